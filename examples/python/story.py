"""Ada is hired, and the spine knows. Needs python3-psycopg, and a database where the role may emit and write to a table employee."""
from typing import Any
from uuid import uuid4

import psycopg

from people_os.event_emitter import emit_event

ORGANIZATION, ACTOR = '00000000-0000-4000-8000-000000000001', '00000000-0000-4000-8000-0000000000a1'


def hire(connection: psycopg.Connection[Any], name: str, event_type: str = 'hcm.employee.created') -> None:
    """The row and its event are stored together, or neither is."""
    employee = uuid4()
    with connection.transaction():
        connection.execute('INSERT INTO employee (id, name) VALUES (%s, %s)', (employee, name))
        emit_event(connection, event_type, employee, payload={'name': name}, organization_id=ORGANIZATION, actor_id=ACTOR)


def main() -> None:
    with psycopg.connect(autocommit=True) as connection:  # where PGHOST, PGDATABASE … say
        hire(connection, 'Ada')
        print('Ada is hired')
        try:
            hire(connection, 'Bob', event_type='Employee created')
        except psycopg.Error as error:
            print(f'{error.sqlstate}: {error.diag.message_primary}')
            print(f'HINT: {error.diag.message_hint}')
        employees = connection.execute('SELECT name FROM employee ORDER BY name').fetchall()
        print('employees:', ', '.join(name for name, in employees))


if __name__ == '__main__':
    main()
