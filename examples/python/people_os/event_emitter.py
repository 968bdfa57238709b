"""Emits events of people_os_spine in the transaction that the caller has open.

A connection is one of psycopg (3) or psycopg2, a cursor of theirs, or over one of them django.db.connection, or a
Connection or Session of SQLAlchemy; people_os.aio takes the asynchronous ones. An error is the driver's, with its
SQLSTATE, or wraps it: the caller's transaction has failed, and is to be rolled back.
"""
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from people_os._statements import (ActorType, Context, Environment, Id, Part, Severity, Statement, as_tuples, context_statement,
                                   emit_statement)

__all__ = ['Connection', 'Context', 'emit_event', 'set_context']


class Connection(Protocol):
    """What all of them have but Django's, which has no types, and the asynchronous ones have not."""

    def __enter__(self) -> Any: ...


def emit_event(connection: Connection, event_type: str, entity_id: Id, *, entity_type: str | None = None, action: str | None = None,
               actor_id: Id | None = None, payload: Part | None = None, organization_id: Id | None = None,
               actor_type: ActorType | None = None, severity: Severity | None = None, environment: Environment | None = None,
               personal: Part | None = None, occurred_at: datetime | str | None = None, correlation_id: Id | None = None,
               causation_id: Id | None = None) -> UUID:
    """Emits one event and returns its id. What is None comes from event_type, or from the context.

    payload: a dict, or a str that is JSON already, for what Python's json would not write: it refuses Decimal, datetime
    and UUID (TypeError), NaN and infinity (ValueError). An int keeps all its digits. personal: likewise, what speaks of
    persons. occurred_at: a datetime with its time zone, or its text.
    """
    return UUID(_run(connection, emit_statement(
        event_type, entity_id, entity_type=entity_type, action=action, actor_id=actor_id, payload=payload,
        organization_id=organization_id, actor_type=actor_type, severity=severity, environment=environment, personal=personal,
        occurred_at=occurred_at, correlation_id=correlation_id, causation_id=causation_id)))


def set_context(connection: Connection, organization_id: Id | None, actor_id: Id | None, actor_type: ActorType = 'human',
                correlation_id: Id | None = None) -> None:
    """Says for the rest of the transaction whose events these are, who acts, and which request or trace it is."""
    _run(connection, context_statement(Context(organization_id, actor_id, actor_type, correlation_id)))


def _run(connection: Any, statement: Statement) -> str:
    if hasattr(connection, '__aenter__'):
        raise TypeError('an asynchronous connection: people_os.aio has these functions for it')
    if hasattr(connection, 'get_bind'):  # a Session of SQLAlchemy
        connection = connection.connection()
    if hasattr(connection, 'exec_driver_sql'):  # a Connection of SQLAlchemy
        return str(connection.exec_driver_sql(*statement).scalar())
    if hasattr(connection, 'execute_wrapper'):  # Django's
        with connection.cursor() as cursor:
            cursor.execute(*statement)
            return str(cursor.fetchone()[0])
    with _cursor(connection) as cursor:
        cursor.execute(*statement)
        return str(cursor.fetchone()[0])


def _cursor(connection: Any) -> Any:
    """A cursor of its own, whose rows are tuples, so that what the caller's cursor holds and makes does not matter."""
    connection = getattr(connection, 'connection', connection)  # a cursor's
    if hasattr(connection, 'row_factory'):  # psycopg
        return connection.cursor(row_factory=as_tuples)
    from psycopg2.extensions import cursor
    return connection.cursor(cursor_factory=cursor)
