"""What the tests do to the server that PGHOST and PGPORT name. ADMIN is a superuser; test/clients/run makes the database."""
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import psycopg

# What it emits wakes those who listen.
ADMIN = f'user={os.environ["ADMIN"]} options=-cpeople_os_spine.notify=on'
ACTOR = uuid4()


def ask(sql: str, *values: Any) -> list[tuple[Any, ...]]:
    """What a statement of a superuser gives, whose server may have to recover first."""
    def once() -> list[list[tuple[Any, ...]]]:
        try:
            with psycopg.connect(ADMIN, autocommit=True) as connection:
                cursor = connection.execute(sql, values)
                return [cursor.fetchall() if cursor.description else []]
        except psycopg.OperationalError:
            return []
    return until(once)[0]


def until(condition: Callable[[], Any]) -> Any:
    """What it gives, as soon as that is true; a minute is too long."""
    give_up = time.monotonic() + 60
    while time.monotonic() < give_up:
        given = condition()
        if given:
            return given
        time.sleep(0.02)
    raise AssertionError('nothing for a minute')


def emit(organization: UUID, count: int) -> list[UUID]:
    """Emits so many events, and gives their ids."""
    event = {'event_type': 'hcm.employee.created', 'entity_id': str(uuid4()), 'actor_id': str(ACTOR), 'organization_id': str(organization)}
    return [row[0] for row in ask('SELECT spine.emit_events(%s::jsonb)', json.dumps([event] * count))]


def copied(*organizations: UUID) -> list[tuple[Any, ...]]:
    """What consumers copied of them, in the order in which they did."""
    return ask('SELECT organization_id, sequence, id FROM copied WHERE organization_id = ANY (%s) ORDER BY n', list(organizations))


def backend_of(application: str) -> int:
    """The process that works for it, in the middle: it has copied, and sleeps before it acknowledges."""
    return int(until(lambda: ask("SELECT pid FROM pg_stat_activity WHERE application_name = %s AND wait_event = 'PgSleep'", application))[0][0])


def kill_backend(application: str) -> None:
    """Kills a backend, and with it all sessions: the server recovers."""
    while True:
        try:
            os.kill(backend_of(application), signal.SIGKILL)
            return
        except ProcessLookupError:
            pass


def restart() -> None:
    """The server goes as if its power went, and comes again."""
    data = ask('SHOW data_directory')[0][0]
    subprocess.run(['pg_ctl', '-D', data, '-l', os.path.join(os.path.dirname(data), 'log'), '-m', 'immediate', '-w', 'restart'],
                   check=True, stdout=subprocess.DEVNULL)
