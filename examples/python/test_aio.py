"""event_emitter's asynchronous twin. Needs what test_event_emitter.py does."""
import unittest
from uuid import uuid4

import psycopg

import server
from people_os import aio, event_emitter

ACTOR = uuid4()


class Asynchronous(unittest.IsolatedAsyncioTestCase):
    def setUp(self):
        self.organization = uuid4()

    def stored(self, columns):
        return server.ask(f'SELECT {columns} FROM spine.events WHERE organization_id = %s ORDER BY sequence', self.organization)

    async def test_a_business_write_and_an_event(self):
        async with await psycopg.AsyncConnection.connect() as connection:
            for end in connection.rollback, connection.commit:
                await connection.execute('INSERT INTO employee (id, name) VALUES (%s, %s)', (self.organization, 'Ada'))
                emitted = await aio.emit_event(connection, 'hcm.employee.created', self.organization, payload={'name': 'Ada'},
                                               organization_id=self.organization, actor_id=ACTOR)
                self.assertEqual(self.stored('id'), [])
                await end()
        self.assertEqual(self.stored('id, payload'), [(emitted, {'name': 'Ada'})])

    async def test_the_context_and_a_cursor(self):
        correlation = uuid4()
        async with await psycopg.AsyncConnection.connect() as connection:
            async with connection.cursor() as cursor:
                await aio.set_context(cursor, self.organization, ACTOR, 'system', correlation)
                await aio.emit_event(cursor, 'hcm.employee.created', uuid4())
            await connection.commit()
            with self.assertRaises(psycopg.Error) as raised:
                await aio.emit_event(connection, 'hcm.employee.created', uuid4())
            self.assertIn(raised.exception.sqlstate, ('SP004', 'SP005'))
        self.assertEqual(self.stored('actor_id, actor_type::text, correlation_id'), [(ACTOR, 'system', correlation)])

    async def test_each_to_its_own(self):
        async with await psycopg.AsyncConnection.connect() as connection:
            with self.assertRaisesRegex(TypeError, 'people_os.aio'):
                event_emitter.emit_event(connection, 'hcm.employee.created', uuid4())
