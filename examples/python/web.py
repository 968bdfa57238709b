"""What a web application says at its beginning, so that no view need say who acts."""
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from people_os.event_emitter import Context, emit_event
from people_os.sqlalchemy import spine_context


# Django: settings.MIDDLEWARE has 'people_os.django.ContextMiddleware', and settings.PEOPLE_OS_CONTEXT = 'web.context_of'.
def context_of(request: Any) -> Context | None:
    if not request.user.is_authenticated:
        return None
    return Context(request.user.organization_id, request.user.actor_id, correlation_id=request.headers.get('X-Request-Id'))


# SQLAlchemy: around what a request does with its session.
def promote(session: Session, context: Context, employee: UUID, grade: int) -> UUID:
    with spine_context(session, context), session.begin():
        return emit_event(session, 'hcm.employee.promoted', employee, payload={'grade': grade})
