"""Consumes a subscription of people_os_spine, until it is told to stop. Needs psycopg (3).

    def copy(connection, batch):
        connection.cursor().executemany('INSERT INTO ...', [(event['id'], ...) for event in batch.events])

    Consumer('copier', copy).run()

What the handler writes by the connection that it is given is committed together with the acknowledgement, so it is done
exactly once, whatever is killed and when. What it does elsewhere may be done again: the id of an event tells.
"""
import logging
import random
import selectors
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

__all__ = ['Batch', 'Consumer', 'Report', 'SetAside']

log = logging.getLogger(__name__)

Event: TypeAlias = dict[str, Any]
Connection: TypeAlias = psycopg.Connection[Event]

# Of next_batch: nobody gets further by trying again. No such subscription, a bad max_events, no right, no spine.
_HOPELESS = {'SP029', 'SP031', '42501', '3F000', '42883'}


@dataclass(frozen=True)
class Batch:
    number: int
    delivery: int  # 1 the first time, one more each time it is given again
    events: list[Event]  # by the names of the columns of spine.events; those of an organization in order


@dataclass(frozen=True)
class SetAside:
    """A batch that was given max_deliveries times: spine.retry_batch gives it back, spine.acknowledge says that it is dealt with."""
    batch: int
    events: int
    deliveries: int
    organizations: list[UUID]


@dataclass
class Report:
    """What was done since the consumer began, and how far the subscription is behind."""
    subscription: str
    batches: int = 0
    events: int = 0
    redeliveries: int = 0  # batches that came with a delivery of 2 or more
    failures: int = 0  # batches whose work was rolled back
    connections_lost: int = 0  # or not to be had
    events_behind: int = 0
    organizations_behind: int = 0
    counts_all: bool = True  # False: it is behind at least that much
    seconds_behind: float = 0.0  # the age of the oldest event that is to come
    batches_outstanding: int = 0
    set_aside: list[SetAside] = field(default_factory=list)


class Consumer:
    """Gives the batches of a subscription to handle(connection, batch), one after the other.

    take_first: False: a batch is taken, worked on and acknowledged in one transaction. If that fails, the batch comes
    again at once, and holds up its organizations until it succeeds. True: that it was taken is committed before. If the
    work fails, the batch comes again after the subscription's redeliver_after, and is set aside after max_deliveries.

    Between batches it listens on channel people_os_spine (listen: not through a pooler that lends connections by
    transaction), and looks every poll_every seconds whether it is woken or not. After a failure or without a connection it
    waits from first_wait on, twice as long each time, up to longest_wait; some less, by chance, so that many do not come
    at once. report gets a Report every report_every seconds, when a batch is set aside, and at the end.
    """

    def __init__(self, subscription: str, handle: Callable[[Connection, Batch], object], conninfo: str = '', *,
                 max_events: int = 1000, take_first: bool = False, listen: bool = True, poll_every: float = 5.0,
                 first_wait: float = 0.1, longest_wait: float = 30.0, report: Callable[[Report], object] | None = None,
                 report_every: float = 30.0) -> None:
        self.subscription = subscription
        self.handle = handle
        self.conninfo = conninfo
        self.max_events = max_events
        self.take_first = take_first
        self.listen = listen
        self.poll_every = poll_every
        self.first_wait = first_wait
        self.longest_wait = longest_wait
        self.report = report
        self.report_every = report_every
        self._done = Report(subscription)
        self._told: set[int] = set()  # batches that were set aside
        self._report_at = 0.0
        self._failed = 0  # times in a row
        self._woken = False
        self._stopping = False
        self._bell, self._button = socket.socketpair()  # ends a wait from a signal handler or another thread
        self._bell.setblocking(False)
        self._button.setblocking(False)

    def stop(self) -> None:
        """Has run return after the batch that it works on. For any thread, and for signal handlers."""
        self._stopping = True
        with suppress(OSError):  # pressed often, or run has returned
            self._button.send(b'.')

    def run(self, signals: tuple[int, ...] = (signal.SIGINT, signal.SIGTERM)) -> None:
        """Consumes until stop is called, or one of the signals comes; a second one does what it did before.

        Raises what next_batch raises where trying again is no use: there is no such subscription, or the role may not.
        """
        with self._bell, self._button, self._stopped_by(signals):
            while not self._stopping:
                try:
                    with psycopg.connect(self.conninfo, autocommit=True, row_factory=dict_row) as connection:
                        self._consume(connection)
                except psycopg.OperationalError as error:
                    self._done.connections_lost += 1
                    log.warning('subscription %s: no connection: %s', self.subscription, error)
                    self._wait_longer_each_time()

    def _consume(self, connection: Connection) -> None:
        connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
        connection.add_notice_handler(self._notice)
        connection.add_notify_handler(self._notify)
        if self.listen:
            connection.execute('LISTEN people_os_spine')
        while not self._stopping:
            self._report_if_due(connection)
            self._woken = False
            try:
                found = self._work(connection)
            except _Failed as failure:
                error = failure.__cause__
                if connection.closed:
                    raise psycopg.OperationalError(str(error)) from error
                self._done.failures += 1
                log.error('subscription %s: a batch failed and comes again', self.subscription, exc_info=error)
                self._wait_longer_each_time()
                continue
            self._failed = 0
            if not found and not self._woken:
                self._wait(self.poll_every, connection if self.listen else None)
        self._report_at = 0.0
        self._report_if_due(connection)

    def _work(self, connection: Connection) -> bool:
        """Deals with one batch. False: there is none."""
        with self._failing(), connection.transaction():
            batch = self._next(connection)
            if batch and not self.take_first:
                self._deal_with(connection, batch)
        if batch and self.take_first:
            with self._failing(), connection.transaction():
                self._deal_with(connection, batch)
        if batch:
            self._done.batches += 1
            self._done.events += len(batch.events)
        return batch is not None

    def _next(self, connection: Connection) -> Batch | None:
        try:
            rows = connection.execute('SELECT batch AS batch_number, delivery AS batch_delivery, (event).* FROM spine.next_batch(%s, %s)',
                                      (self.subscription, self.max_events)).fetchall()
        except psycopg.Error as error:
            if error.sqlstate in _HOPELESS:
                raise _Hopeless from error
            raise
        if not rows:
            return None
        heads = [(row.pop('batch_number'), row.pop('batch_delivery')) for row in rows]
        batch = Batch(*heads[0], rows)
        self._done.redeliveries += batch.delivery > 1
        return batch

    def _deal_with(self, connection: Connection, batch: Batch) -> None:
        self.handle(connection, batch)
        connection.execute('SELECT spine.acknowledge(%s, %s)', (self.subscription, batch.number))

    @contextmanager
    def _failing(self) -> Iterator[None]:
        """What a batch raises is told from what the consumer itself raises."""
        try:
            yield
        except _Hopeless as error:
            assert error.__cause__ is not None
            raise error.__cause__ from None
        except Exception as error:
            raise _Failed from error

    def _report_if_due(self, connection: Connection) -> None:
        if time.monotonic() < self._report_at:
            return
        self._report_at = time.monotonic() + self.report_every
        lag = connection.execute(
            'SELECT events_behind, organizations_behind, counts_all, batches_outstanding,'
            ' coalesce(extract(epoch FROM clock_timestamp() - oldest_unread), 0)::float8 AS seconds_behind'
            ' FROM spine.subscription_lag WHERE name = %s', (self.subscription,)).fetchone()
        for name, value in (lag or {}).items():
            setattr(self._done, name, value)
        self._done.set_aside = [SetAside(**row) for row in connection.execute(
            'SELECT batch, events, deliveries, organizations FROM spine.set_aside_batches WHERE subscription = %s ORDER BY batch',
            (self.subscription,))]
        for one in self._done.set_aside:
            if one.batch not in self._told:
                log.error('subscription %s: batch %d of %d events is set aside after %d deliveries', self.subscription, one.batch,
                          one.events, one.deliveries)
        self._told = {one.batch for one in self._done.set_aside}
        if self.report:
            self.report(replace(self._done))

    def _notice(self, diagnostic: psycopg.errors.Diagnostic) -> None:
        if diagnostic.sqlstate == '01000':  # a warning: a batch was set aside
            self._report_at = 0.0

    def _notify(self, _notification: psycopg.Notify) -> None:
        self._woken = True

    def _wait(self, seconds: float, connection: Connection | None = None) -> None:
        """Until a notification comes, or anything else by the connection; until stop is called; or so long."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._bell, selectors.EVENT_READ)
            if connection is not None:
                selector.register(connection.fileno(), selectors.EVENT_READ)
            selector.select(0 if self._stopping else seconds)

    def _wait_longer_each_time(self) -> None:
        self._wait(random.uniform(0.5, 1) * min(self.longest_wait, self.first_wait * 2.0 ** min(self._failed, 30)))
        self._failed += 1

    @contextmanager
    def _stopped_by(self, signals: tuple[int, ...]) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            signals = ()  # Python lets the main thread alone have them
        before = {number: signal.getsignal(number) for number in signals}

        def restore() -> None:
            for number, handler in before.items():
                signal.signal(number, handler)

        def first(_number: int, _frame: object) -> None:
            restore()
            self.stop()

        for number in signals:
            signal.signal(number, first)
        try:
            yield
        finally:
            restore()


class _Failed(Exception):
    pass


class _Hopeless(Exception):
    pass
