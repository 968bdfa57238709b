"""The statements that event_emitter and aio run, and their arguments."""
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, NamedTuple, TypeAlias
from uuid import UUID

Id: TypeAlias = UUID | str
Part: TypeAlias = Mapping[str, Any] | str
ActorType: TypeAlias = Literal['human', 'system', 'pipeline']
Severity: TypeAlias = Literal['low', 'medium', 'high', 'critical']
Environment: TypeAlias = Literal['dev', 'test', 'stage', 'prod']
Statement: TypeAlias = tuple[str, dict[str, Any]]

_TYPES = {'event_type': 'text', 'entity_id': 'uuid', 'entity_type': 'text', 'action': 'text', 'actor_id': 'uuid', 'payload': 'jsonb',
          'organization_id': 'uuid', 'actor_type': 'spine.actor_type', 'severity': 'spine.severity', 'environment': 'spine.environment',
          'personal': 'jsonb', 'occurred_at': 'timestamptz', 'correlation_id': 'uuid', 'causation_id': 'uuid'}


class Context(NamedTuple):
    """Whose events these are, who acts, and which request or trace it is: set_context(connection, *context)."""
    organization_id: Id | None
    actor_id: Id | None
    actor_type: ActorType = 'human'
    correlation_id: Id | None = None


def emit_statement(event_type: str, entity_id: Id, *, entity_type: str | None, action: str | None, actor_id: Id | None,
                   payload: Part | None, organization_id: Id | None, actor_type: ActorType | None, severity: Severity | None,
                   environment: Environment | None, personal: Part | None, occurred_at: datetime | str | None,
                   correlation_id: Id | None, causation_id: Id | None) -> Statement:
    return _call('emit_event', {
        'event_type': event_type, 'entity_id': entity_id, 'entity_type': entity_type, 'action': action, 'actor_id': actor_id,
        'payload': _json(payload), 'organization_id': organization_id, 'actor_type': actor_type, 'severity': severity,
        'environment': environment, 'personal': _json(personal), 'occurred_at': occurred_at, 'correlation_id': correlation_id,
        'causation_id': causation_id})


def context_statement(context: Context) -> Statement:
    return _call('set_context', context._asdict())


def _json(part: Part | None) -> str | None:
    return part if part is None or isinstance(part, str) else json.dumps(part, allow_nan=False)


def _call(function: str, arguments: dict[str, Any]) -> Statement:
    named = ', '.join(f'{name} => %({name})s::{_TYPES[name]}' for name in arguments)
    # psycopg2 does not know UUID by itself.
    values = {name: str(value) if isinstance(value, UUID) else value for name, value in arguments.items()}
    return f'SELECT spine.{function}({named})::text', values


def as_tuples(_cursor: Any) -> Any:
    """A row factory of psycopg: what the caller's connection makes of rows does not matter."""
    return tuple
