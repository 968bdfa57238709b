"""The context of a request, in Django and SQLAlchemy. Needs what test_event_emitter.py does."""
import logging
import os
import unittest
from types import SimpleNamespace
from uuid import UUID, uuid4

import django
import sqlalchemy
import sqlalchemy.orm
from django.conf import settings

import server
import web
from people_os.event_emitter import Context, emit_event
from people_os.sqlalchemy import spine_context

settings.configure(
    DATABASES={'default': {'ENGINE': 'django.db.backends.postgresql', 'NAME': os.environ['PGDATABASE'], 'HOST': os.environ['PGHOST'],
                           'PORT': os.environ['PGPORT'], 'USER': os.environ['PGUSER'], 'ATOMIC_REQUESTS': True, 'CONN_MAX_AGE': None}},
    MIDDLEWARE=['test_context.Login', 'people_os.django.ContextMiddleware'], PEOPLE_OS_CONTEXT='web.context_of', ROOT_URLCONF='test_context',
    ALLOWED_HOSTS=['*'])
django.setup()
logging.disable(logging.CRITICAL)  # of requests that are refused

from django.db import connection, transaction  # noqa: E402
from django.db.utils import Error as DjangoError  # noqa: E402
from django.http import HttpResponse  # noqa: E402
from django.test import Client  # noqa: E402
from django.urls import path  # noqa: E402

from people_os.django import spine_context as django_context  # noqa: E402

ENTITY = uuid4()


class Login:
    """Who the user is, says the request."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        who = request.GET.get('who')
        request.user = SimpleNamespace(is_authenticated=bool(who), actor_id=who, organization_id=request.GET['organization'])
        return self.get_response(request)


def emit(event_type='hcm.employee.promoted'):
    emit_event(connection, event_type, ENTITY)


def once(_request):
    emit()
    return HttpResponse()


def with_savepoints(_request):
    try:
        with transaction.atomic():
            emit()
            raise ValueError
    except ValueError:
        pass
    emit()
    return HttpResponse()


@transaction.non_atomic_requests
def in_two_transactions(_request):
    for _ in range(2):
        with transaction.atomic():
            emit()
    return HttpResponse()


urlpatterns = [path('once', once), path('savepoints', with_savepoints), path('two', in_two_transactions)]


class Requests(unittest.TestCase):
    def setUp(self):
        self.organization = uuid4()
        self.client = Client()
        self.addCleanup(connection.close)

    def stored(self, columns='actor_id'):
        return server.ask(f'SELECT {columns} FROM spine.events WHERE organization_id = %s ORDER BY sequence', self.organization)

    def get(self, page, who='', **headers):
        return self.client.get(f'/{page}?who={who}&organization={self.organization}', **headers)

    def assert_nobody_acts(self):
        with self.assertRaises(DjangoError) as raised, transaction.atomic():
            emit()
        self.assertIn(raised.exception.__cause__.pgcode, ('SP004', 'SP005'))


class Django(Requests):
    def test_each_request_has_its_own(self):
        first, second, trace = uuid4(), uuid4(), uuid4()
        self.get('once', first, HTTP_X_REQUEST_ID=str(trace))
        self.get('once', second)
        self.assertEqual(self.stored('actor_id, correlation_id'), [(first, trace), (second, None)])
        self.assert_nobody_acts()

    def test_where_nobody_is_logged_in_nobody_acts(self):
        self.get('once', uuid4())
        with self.assertRaises(DjangoError) as raised:
            self.get('once')
        self.assertIn(raised.exception.__cause__.pgcode, ('SP004', 'SP005'))
        self.assertEqual(len(self.stored()), 1)

    def test_a_savepoint_that_is_rolled_back(self):
        who = uuid4()
        self.get('savepoints', who)
        self.assertEqual(self.stored(), [(who,)])

    def test_each_transaction_of_a_request(self):
        who = uuid4()
        self.get('two', who)
        self.assertEqual(self.stored(), [(who,), (who,)])

    def test_within_a_transaction(self):
        who = uuid4()
        with transaction.atomic():
            connection.cursor().execute('SELECT 1')
            with django_context(Context(self.organization, who)):
                emit()
            self.assert_nobody_acts()
        self.assertEqual(self.stored(), [(who,)])

    def test_one_actor_a_transaction(self):
        with django_context(Context(self.organization, uuid4())), self.assertRaisesRegex(RuntimeError, 'already'):
            with django_context(Context(self.organization, uuid4())):
                pass

    def test_an_error_of_the_context_is_django_s(self):
        with self.assertRaises(DjangoError), django_context(Context(None, uuid4())), transaction.atomic():
            connection.cursor().execute('SELECT 1')


class SqlAlchemy(Requests):
    def setUp(self):
        super().setUp()
        engine = sqlalchemy.create_engine('postgresql+psycopg2://')
        self.addCleanup(engine.dispose)
        self.session = sqlalchemy.orm.Session(engine)
        self.addCleanup(self.session.close)

    def emit(self):
        return emit_event(self.session, 'hcm.employee.promoted', ENTITY)

    def assert_nobody_acts(self):
        with self.assertRaises(sqlalchemy.exc.DBAPIError) as raised:
            self.emit()
        self.assertIn(raised.exception.orig.pgcode, ('SP004', 'SP005'))
        self.session.rollback()

    def test_the_example(self):
        who, trace = uuid4(), uuid4()
        self.assertIsInstance(web.promote(self.session, Context(self.organization, who, 'system', trace), ENTITY, 7), UUID)
        self.assertEqual(self.stored("actor_id, actor_type::text, correlation_id, payload -> 'grade'"), [(who, 'system', trace, 7)])
        self.assert_nobody_acts()

    def test_each_transaction_and_savepoint(self):
        first, second = uuid4(), uuid4()
        for who in first, second:
            with spine_context(self.session, Context(self.organization, who)):
                savepoint = self.session.begin_nested()
                self.emit()
                savepoint.rollback()
                self.emit()
                self.session.commit()
                self.emit()
                self.session.commit()
        self.assertEqual(self.stored(), [(first,), (first,), (second,), (second,)])

    def test_a_transaction_that_was_open_and_is_still(self):
        who = uuid4()
        self.session.execute(sqlalchemy.text('SELECT 1'))
        with spine_context(self.session, Context(self.organization, who)):
            self.emit()
        savepoint = self.session.begin_nested()
        with self.assertRaises(sqlalchemy.exc.DBAPIError):
            self.emit()
        savepoint.rollback()
        self.session.commit()
        self.assertEqual(self.stored(), [(who,)])

    def test_a_savepoint_around_the_context_that_is_rolled_back(self):
        self.session.execute(sqlalchemy.text('SELECT 1'))
        savepoint = self.session.begin_nested()
        with spine_context(self.session, Context(self.organization, uuid4())):
            self.emit()
        savepoint.rollback()
        with self.assertRaises(sqlalchemy.exc.DBAPIError) as raised:
            self.emit()
        self.assertIn(raised.exception.orig.pgcode, ('SP004', 'SP005', 'SP042'))
        self.session.rollback()
        self.assertEqual(self.stored(), [])

    def test_a_transaction_that_failed(self):
        with self.assertRaises(sqlalchemy.exc.DBAPIError), spine_context(self.session, Context(self.organization, uuid4())):
            self.session.execute(sqlalchemy.text('SELECT 1/0'))
        self.session.rollback()
        self.assert_nobody_acts()

    def test_one_actor_a_transaction(self):
        with spine_context(self.session, Context(self.organization, uuid4())), self.assertRaisesRegex(RuntimeError, 'already'):
            with spine_context(self.session, Context(self.organization, uuid4())):
                pass
