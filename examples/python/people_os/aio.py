"""event_emitter for an AsyncConnection of psycopg (3), or an asynchronous cursor of it."""
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from people_os._statements import (ActorType, Context, Environment, Id, Part, Severity, Statement, as_tuples, context_statement,
                                   emit_statement)

__all__ = ['AsyncConnection', 'Context', 'emit_event', 'set_context']


class AsyncConnection(Protocol):
    """What both have, and the others have not."""

    async def __aenter__(self) -> Any: ...


async def emit_event(connection: AsyncConnection, event_type: str, entity_id: Id, *, entity_type: str | None = None,
                     action: str | None = None, actor_id: Id | None = None, payload: Part | None = None,
                     organization_id: Id | None = None, actor_type: ActorType | None = None, severity: Severity | None = None,
                     environment: Environment | None = None, personal: Part | None = None, occurred_at: datetime | str | None = None,
                     correlation_id: Id | None = None, causation_id: Id | None = None) -> UUID:
    """Emits one event and returns its id: as event_emitter.emit_event does."""
    return UUID(await _run(connection, emit_statement(
        event_type, entity_id, entity_type=entity_type, action=action, actor_id=actor_id, payload=payload,
        organization_id=organization_id, actor_type=actor_type, severity=severity, environment=environment, personal=personal,
        occurred_at=occurred_at, correlation_id=correlation_id, causation_id=causation_id)))


async def set_context(connection: AsyncConnection, organization_id: Id | None, actor_id: Id | None, actor_type: ActorType = 'human',
                      correlation_id: Id | None = None) -> None:
    """Says for the rest of the transaction whose events these are, who acts, and which request or trace it is."""
    await _run(connection, context_statement(Context(organization_id, actor_id, actor_type, correlation_id)))


async def _run(connection: Any, statement: Statement) -> str:
    connection = getattr(connection, 'connection', connection)  # a cursor's
    async with connection.cursor(row_factory=as_tuples) as cursor:
        await cursor.execute(*statement)
        return str((await cursor.fetchone())[0])
