"""Needs a database that PGHOST, PGDATABASE … name, with the extension and a role that may emit for all; test/clients/run makes it."""
import contextlib
import datetime
import decimal
import io
import json
import os
import subprocess
import sys
import unittest
from uuid import uuid4

import psycopg
import psycopg2
import psycopg2.extras
import sqlalchemy
import sqlalchemy.orm
from psycopg.rows import class_row, dict_row
from sqlalchemy.dialects.postgresql import UUID

import story
from people_os.event_emitter import emit_event, set_context

ACTOR = uuid4()


class EventEmitter(unittest.TestCase):
    def setUp(self):
        self.organization = uuid4()
        self.admin = psycopg.connect(user=os.environ['ADMIN'], autocommit=True)
        self.addCleanup(self.admin.close)

    def emit(self, connection, event_type='hcm.employee.created', entity_id=None, **given):
        return emit_event(connection, event_type, entity_id or uuid4(), **{'organization_id': self.organization, 'actor_id': ACTOR, **given})

    def stored(self, columns='action'):
        return self.admin.execute(f'SELECT {columns} FROM spine.events WHERE organization_id = %s ORDER BY sequence', (self.organization,)).fetchall()

    def hired(self):
        return self.admin.execute('SELECT count(*) FROM employee WHERE id = %s', (self.organization,)).fetchone()[0]

    def together(self, connection, execute, commit, rollback):
        """A business write and an event: both are rolled back, then both are committed."""
        insert = f"INSERT INTO employee (id, name) VALUES ('{self.organization}', 'Ada')"
        execute(insert)
        self.emit(connection)
        rollback()
        self.assertEqual((self.hired(), self.stored()), (0, []))
        execute(insert)
        emitted = self.emit(connection, payload={'name': 'Ada'})
        self.assertEqual((self.hired(), self.stored()), (0, []))
        commit()
        self.assertEqual((self.hired(), self.stored('id, payload, sequence')), (1, [(emitted, {'name': 'Ada'}, 1)]))

    def test_what_an_event_may_say_besides(self):
        correlation, causation = uuid4(), uuid4()
        occurred = datetime.datetime(2026, 1, 18, 9, 30, tzinfo=datetime.timezone.utc)
        with psycopg.connect() as connection:
            self.emit(connection, personal={'name': 'Ada'}, occurred_at=occurred, correlation_id=correlation, causation_id=causation)
            set_context(connection, self.organization, ACTOR, correlation_id=correlation)
            emit_event(connection, 'hcm.employee.created', uuid4(), personal='{"n": 12345678901234567890}', occurred_at='2026-01-18T10:30:00+01')
        self.assertEqual(self.stored('personal, occurred_at, correlation_id, causation_id'),
                         [({'name': 'Ada'}, occurred, correlation, causation), ({'n': 12345678901234567890}, occurred, correlation, None)])

    def test_psycopg_connection_and_cursor(self):
        with psycopg.connect() as connection:
            self.together(connection, connection.execute, connection.commit, connection.rollback)
            self.organization = uuid4()
            cursor = connection.cursor()
            self.together(cursor, cursor.execute, connection.commit, connection.rollback)

    def test_psycopg2_connection_and_cursor(self):
        with contextlib.closing(psycopg2.connect('')) as connection:
            cursor = connection.cursor()
            self.together(connection, cursor.execute, connection.commit, connection.rollback)
            self.organization = uuid4()
            self.together(cursor, cursor.execute, connection.commit, connection.rollback)

    def test_sqlalchemy_connection(self):
        with sqlalchemy.create_engine('postgresql+psycopg2://').connect() as connection:
            transaction = connection.begin()

            def end(how):
                nonlocal transaction
                getattr(transaction, how)()
                transaction = connection.begin()
            self.together(connection, connection.exec_driver_sql, lambda: end('commit'), lambda: end('rollback'))
            transaction.rollback()

    def test_sqlalchemy_session(self):
        engine = sqlalchemy.create_engine('postgresql+psycopg2://')
        employee = sqlalchemy.Table('employee', sqlalchemy.MetaData(), sqlalchemy.Column('id', UUID(as_uuid=True), primary_key=True),
                                    sqlalchemy.Column('name', sqlalchemy.Text))
        Employee = type('Employee', (), {})
        sqlalchemy.orm.registry().map_imperatively(Employee, employee)
        with sqlalchemy.orm.Session(engine) as session:
            def add(_):
                ada = Employee()
                ada.id, ada.name = self.organization, 'Ada'
                session.add(ada)
            self.together(session, add, session.commit, session.rollback)

    def test_cursors_of_another_kind(self):
        def no_row(**_):
            raise AssertionError('no row of the emitter is the caller\'s')
        with psycopg.connect(row_factory=dict_row) as connection:
            self.emit(connection)
        with psycopg.connect() as connection:
            cursor = connection.cursor(row_factory=class_row(no_row))
            cursor.execute('SELECT 1 AS a')
            self.emit(cursor)
            with self.assertRaises(AssertionError):
                cursor.fetchone()  # what it held is still there
        for factory in psycopg2.extras.RealDictCursor, psycopg2.extras.DictCursor, psycopg2.extras.NamedTupleCursor:
            with contextlib.closing(psycopg2.connect('', cursor_factory=factory)) as connection, connection, connection.cursor() as cursor:
                self.emit(connection)
                self.emit(cursor)
        self.assertEqual(len(self.stored()), 8)

    def test_every_argument(self):
        entity = uuid4()
        given = {'entity_type': 'employee', 'action': 'created', 'actor_type': 'pipeline', 'severity': 'high', 'environment': 'test', 'payload': {'a': [1, None, 'é😀']}}
        with psycopg.connect() as connection:
            self.emit(connection, entity_id=entity, **given)
            self.emit(connection, entity_id=str(entity))
        row = ('hcm.employee.created', entity, ACTOR, 'pipeline', 'high', {'a': [1, None, 'é😀']}, 'spine_client')
        self.assertEqual(self.stored('event_type, entity_id, actor_id, actor_type::text, severity::text, payload, recorded_by'),
                         [row, (*row[:3], 'human', 'low', {}, 'spine_client')])

    def test_numbers(self):
        exact = '{"salary": 120000.10, "n": 12345678901234567890.0000000000000000055}'
        with psycopg.connect() as connection:
            self.emit(connection, payload={'int': 12345678901234567890123, 'float': 0.1})
            self.emit(connection, payload=exact)
        stored = self.stored('payload::text')
        self.assertEqual(json.loads(stored[0][0]), {'int': 12345678901234567890123, 'float': 0.1})
        self.assertEqual(json.loads(stored[1][0], parse_float=decimal.Decimal), json.loads(exact, parse_float=decimal.Decimal))

    def test_what_json_cannot_hold_is_refused(self):
        with psycopg.connect() as connection:
            for value, error in (decimal.Decimal('1.10'), TypeError), (datetime.date.today(), TypeError), (ACTOR, TypeError), (float('nan'), ValueError):
                with self.assertRaises(error):
                    self.emit(connection, payload={'value': value})
            self.emit(connection)  # the transaction goes on
        self.assertEqual(len(self.stored()), 1)

    def test_errors_keep_their_sqlstate(self):
        with psycopg.connect() as connection:
            for given, sqlstate in ({'event_type': 'Employee created'}, 'SP001'), ({'payload': []}, 'SP008'), ({'environment': 'prod'}, 'SP007'):
                with self.assertRaises(psycopg.Error) as raised:
                    self.emit(connection, **given)
                self.assertEqual((raised.exception.sqlstate, bool(raised.exception.diag.message_hint)), (sqlstate, True))
                connection.rollback()
        with contextlib.closing(psycopg2.connect('')) as connection, self.assertRaises(psycopg2.Error) as raised:
            self.emit(connection, event_type='Employee created')
        self.assertEqual(raised.exception.pgcode, 'SP001')
        with sqlalchemy.create_engine('postgresql+psycopg2://').connect() as connection, self.assertRaises(sqlalchemy.exc.DBAPIError) as raised:
            self.emit(connection, event_type='Employee created')
        self.assertEqual(raised.exception.orig.pgcode, 'SP001')
        self.assertEqual(self.stored(), [])

    def test_context(self):
        with psycopg.connect() as connection:
            set_context(connection, self.organization, ACTOR, 'system')
            emit_event(connection, 'hcm.employee.created', uuid4())
            connection.commit()
            with self.assertRaises(psycopg.Error) as raised:  # it was for that transaction
                emit_event(connection, 'hcm.employee.created', uuid4())
            self.assertIn(raised.exception.sqlstate, ('SP004', 'SP005'))
        self.assertEqual(self.stored('actor_id, actor_type::text'), [(ACTOR, 'system')])

    def test_no_driver_is_imported(self):
        drivers = '{"psycopg", "psycopg2", "sqlalchemy"} & set(sys.modules)'
        subprocess.run([sys.executable, '-c', f'import sys, people_os.event_emitter; sys.exit(bool({drivers}))'], check=True)

    def test_story(self):
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            story.main()
        self.assertRegex(said.getvalue(), r'\AAda is hired\nSP001: "Employee created" [^\n]+\nHINT: [^\n]+\nemployees: (Ada, )*Ada\n\Z')
