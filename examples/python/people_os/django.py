"""Says at the beginning of each of a request's transactions who acts.

settings.MIDDLEWARE: 'people_os.django.ContextMiddleware', behind what finds out who the user is.
settings.PEOPLE_OS_CONTEXT: the dotted name of a function that takes the request and gives a Context, or None.
For sync views. A streamed response is made when the context has ended: an event there must say all by itself.
"""
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections
from django.utils.module_loading import import_string

from people_os.event_emitter import Context, set_context

__all__ = ['Context', 'ContextMiddleware', 'spine_context']

# transaction_status of psycopg and psycopg2 alike.
_IDLE, _IN_TRANSACTION = 0, 2


class ContextMiddleware:
    def __init__(self, get_response: Callable[[Any], Any]) -> None:
        self.get_response = get_response
        self.context_of: Callable[[Any], Context | None] = import_string(settings.PEOPLE_OS_CONTEXT)

    def __call__(self, request: Any) -> Any:
        context = self.context_of(request)
        if context is None:
            return self.get_response(request)
        with spine_context(context):
            return self.get_response(request)


@contextmanager
def spine_context(context: Context, using: str = DEFAULT_DB_ALIAS) -> Iterator[None]:
    """Every transaction of the connection that begins in here has the context, and so has one that is open.

    None has it afterwards: what is emitted without saying all by itself is an error then. Within another one it raises
    RuntimeError.
    """
    connection = connections[using]
    if any(isinstance(wrapper, _Wrapper) for wrapper in connection.execute_wrappers):
        raise RuntimeError('the connection has a context already, and a transaction has one actor')
    wrapper = _Wrapper(connection, context)
    with connection.execute_wrapper(wrapper):
        try:
            if wrapper.status() == _IN_TRANSACTION:
                wrapper.set(context)
            yield
        finally:
            if wrapper.status() == _IN_TRANSACTION:
                wrapper.set(Context(None, None))


class _Wrapper:
    def __init__(self, connection: Any, context: Context) -> None:
        self.connection = connection
        self.context = context

    def __call__(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, info: dict[str, Any]) -> Any:
        # The first statement of a transaction, be it SAVEPOINT: no rollback to a savepoint takes the context back.
        if not self.connection.get_autocommit() and self.status() == _IDLE:
            self.set(self.context)
        return execute(sql, params, many, info)

    def set(self, context: Context) -> None:
        with self.connection.wrap_database_errors:
            set_context(self.connection.connection, *context)

    def status(self) -> int | None:
        driver = self.connection.connection  # None: not connected
        return None if driver is None else int(driver.info.transaction_status)
