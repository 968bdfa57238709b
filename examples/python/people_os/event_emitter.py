"""Emits events of people_os_spine in the transaction that the caller has open.

A connection is one of psycopg (3) or psycopg2, a cursor of theirs, or a Connection or Session of SQLAlchemy over one of
them. An error is the driver's, with its SQLSTATE: the caller's transaction has failed, and is to be rolled back.
"""
import json
from uuid import UUID

_TYPES = {'event_type': 'text', 'entity_id': 'uuid', 'entity_type': 'text', 'action': 'text', 'actor_id': 'uuid', 'payload': 'jsonb',
          'organization_id': 'uuid', 'actor_type': 'spine.actor_type', 'severity': 'spine.severity', 'environment': 'spine.environment',
          'personal': 'jsonb', 'occurred_at': 'timestamptz', 'correlation_id': 'uuid', 'causation_id': 'uuid'}


def emit_event(connection, event_type, entity_id, *, entity_type=None, action=None, actor_id=None, payload=None,
               organization_id=None, actor_type=None, severity=None, environment=None, personal=None, occurred_at=None,
               correlation_id=None, causation_id=None) -> UUID:
    """Emits one event and returns its id. What is None comes from event_type, or from the context.

    payload: a dict, or a str that is JSON already, for what Python's json would not write: it refuses Decimal, datetime
    and UUID (TypeError), NaN and infinity (ValueError). An int keeps all its digits. personal: likewise, what speaks of
    persons. occurred_at: a datetime with its time zone, or its text.
    """
    arguments = {'event_type': event_type, 'entity_id': entity_id, 'entity_type': entity_type, 'action': action,
                 'actor_id': actor_id, 'payload': _json(payload), 'organization_id': organization_id, 'actor_type': actor_type,
                 'severity': severity, 'environment': environment, 'personal': _json(personal), 'occurred_at': occurred_at,
                 'correlation_id': correlation_id, 'causation_id': causation_id}
    return UUID(_call(connection, 'emit_event', arguments))


def set_context(connection, organization_id, actor_id, actor_type='human', correlation_id=None) -> None:
    """Says for the rest of the transaction whose events these are, who acts, and which request or trace it is."""
    _call(connection, 'set_context', {'organization_id': organization_id, 'actor_id': actor_id, 'actor_type': actor_type,
                                      'correlation_id': correlation_id})


def _json(part):
    return part if part is None or isinstance(part, str) else json.dumps(part, allow_nan=False)


def _call(connection, function, arguments):
    named = ', '.join(f'{name} => %({name})s::{_TYPES[name]}' for name in arguments)
    statement = f'SELECT spine.{function}({named})::text'
    # psycopg2 does not know UUID by itself.
    arguments = {name: str(value) if isinstance(value, UUID) else value for name, value in arguments.items()}
    if hasattr(connection, 'get_bind'):  # a Session of SQLAlchemy
        connection = connection.connection()
    if hasattr(connection, 'exec_driver_sql'):  # a Connection of SQLAlchemy
        return connection.exec_driver_sql(statement, arguments).scalar()
    with _cursor(connection) as cursor:
        cursor.execute(statement, arguments)
        return cursor.fetchone()[0]


def _cursor(connection):
    """A cursor of its own, whose rows are tuples, so that what the caller's cursor holds and makes does not matter."""
    connection = getattr(connection, 'connection', connection)  # a cursor's
    if hasattr(connection, 'row_factory'):  # psycopg
        return connection.cursor(row_factory=lambda cursor: tuple)
    from psycopg2.extensions import cursor
    return connection.cursor(cursor_factory=cursor)
