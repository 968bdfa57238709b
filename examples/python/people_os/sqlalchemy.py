"""Says at the beginning of each of a session's transactions who acts."""
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event
from sqlalchemy.orm import Session

from people_os.event_emitter import Context, set_context

__all__ = ['Context', 'spine_context']

_KEY = 'people_os.context'
_IN_TRANSACTION = 2  # transaction_status of psycopg and psycopg2 alike


@contextmanager
def spine_context(session: Session, context: Context) -> Iterator[None]:
    """Every transaction of the session that begins in here has the context, and so has one that is open.

    None has it afterwards: what is emitted without saying all by itself is an error then. Within another one it raises
    RuntimeError.
    """
    if _KEY in session.info:
        raise RuntimeError('the session has a context already, and a transaction has one actor')

    def set_at_begin(_session: Session, transaction: Any, connection: Any) -> None:
        # A savepoint is part of a transaction that has it.
        if not transaction.nested:
            set_context(connection, *context)

    session.info[_KEY] = context
    event.listen(session, 'after_begin', set_at_begin)
    try:
        if session.in_transaction():
            set_context(session, *context)
        yield
    finally:
        event.remove(session, 'after_begin', set_at_begin)
        del session.info[_KEY]
        if _can_go_on(session):
            set_context(session, None, None)


def _can_go_on(session: Session) -> bool:
    """Whether a transaction is open, and has not failed: nothing is emitted in one that has."""
    if not session.in_transaction() or not session.is_active:
        return False
    connection = session.connection()
    return not connection.invalidated and connection.connection.dbapi_connection.info.transaction_status == _IN_TRANSACTION
