"""A consumer whose server is killed and restarted copies each event exactly once. Needs what server.py does."""
import asyncio
import contextlib
import logging
import signal
import subprocess
import sys
import threading
import unittest
from uuid import uuid4

import psycopg

import consume
import server
from people_os.consumer import Consumer

SLOW = '''
import logging, sys
import consume
from people_os.consumer import Consumer
logging.basicConfig()

def copy(connection, batch):
    consume.copy(connection, batch)
    connection.execute('SELECT pg_sleep(0.1)')
    print(len(batch.events), flush=True)

Consumer(sys.argv[1], copy, 'user=spine_consumer application_name=' + sys.argv[1], max_events=10, take_first=sys.argv[2] == 'first',
         poll_every=0.1, first_wait=0.02, longest_wait=0.3).run()
'''


class Consuming(unittest.TestCase):
    def setUp(self):
        self.organizations = [uuid4() for _ in range(3)]
        self.name = f'test_{self.organizations[0].hex}'
        self.options = dict(poll_every=0.1, first_wait=0.01, longest_wait=0.1)
        logging.disable(logging.CRITICAL)
        self.addCleanup(logging.disable, logging.NOTSET)

    def subscribe(self, **options):
        with psycopg.connect('user=spine_consumer', autocommit=True) as connection:
            given = {'organizations': self.organizations, **options}
            named = ', '.join(f'{name} => %({name})s' for name in given)
            connection.execute(f'SELECT spine.create_subscription(%(name)s, {named})', {'name': self.name, **given})
        self.addCleanup(server.ask, 'SELECT spine.drop_subscription(%s)', self.name)

    def emit(self, count=1):
        return [event for organization in self.organizations for event in server.emit(organization, count)]

    def copied(self):
        return server.copied(*self.organizations)

    def start_process(self, mode):
        process = subprocess.Popen([sys.executable, '-c', SLOW, self.name, mode], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    @contextlib.contextmanager
    def running(self, handle=consume.copy, **options):
        """A consumer in a thread of its own; gives it, and afterwards what it raised."""
        consumer = Consumer(self.name, handle, f'user=spine_consumer application_name={self.name}', **{**self.options, **options})
        raised = []

        def run():
            try:
                consumer.run()
            except psycopg.Error as error:
                raised.append(error)
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        try:
            yield raised
        finally:
            consumer.stop()
            thread.join(60)
        self.assertFalse(thread.is_alive())

    def survives(self, mode, **options):
        self.subscribe(**options)
        emitted = self.emit(60)
        process = self.start_process(mode)
        server.kill_backend(self.name)
        emitted += self.emit(20)
        server.until(lambda: len(self.copied()) > 60)
        server.backend_of(self.name)
        server.restart()
        emitted += self.emit(20)
        server.until(lambda: len(self.copied()) > 120)
        server.backend_of(self.name)
        process.kill()
        emitted += self.emit(20)
        process.communicate()
        process = self.start_process(mode)
        server.kill_backend(self.name)
        server.until(lambda: len(self.copied()) >= len(emitted))
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
        self.assertEqual(process.returncode, 0)
        rows = self.copied()
        self.assertEqual(sorted(row[2] for row in rows), sorted(emitted))
        return rows

    def test_killed_and_restarted_nothing_is_twice_nothing_is_lost_and_all_is_in_order(self):
        rows = self.survives('together')
        for organization in self.organizations:
            sequences = [row[1] for row in rows if row[0] == organization]
            self.assertEqual(sequences, sorted(sequences))

    def test_killed_and_restarted_where_batches_are_taken_first(self):
        self.survives('first', redeliver_after='1 second', max_deliveries=1000)

    def test_a_signal_has_it_finish_its_batch(self):
        self.subscribe()
        self.emit(100)
        process = self.start_process('together')
        first = process.stdout.readline()
        server.backend_of(self.name)
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 0)
        done = int(first) + sum(int(line) for line in said.split())
        self.assertEqual(len(self.copied()), done)
        self.assertLess(done, 300)

    def test_what_fails_comes_again_and_is_rolled_back(self):
        self.subscribe()
        emitted = self.emit(2)
        reports, tries = [], []

        def fail_twice(connection, batch):
            consume.copy(connection, batch)
            tries.append(len(batch.events))
            if len(tries) < 3:
                raise ValueError('not yet')
        with self.running(fail_twice, report=reports.append):
            server.until(lambda: len(tries) > 2 and len(self.copied()) >= 6)
        self.assertEqual(sorted(row[2] for row in self.copied()), sorted(emitted))
        self.assertEqual((tries, reports[-1].failures, reports[-1].batches, reports[-1].events), ([6, 6, 6], 2, 1, 6))

    def test_poison_is_set_aside_reported_and_given_back(self):
        self.organizations = self.organizations[:1]
        self.subscribe(redeliver_after='1 microsecond', max_deliveries=2)
        emitted = self.emit(4)
        reports, is_poison = [], [True]

        def work(connection, batch):
            if is_poison[0] and batch.events[0]['sequence'] == 2:
                raise ValueError('poison')
            consume.copy(connection, batch)
        with self.running(work, take_first=True, max_events=1, report=reports.append, report_every=3600):
            server.until(lambda: reports and reports[-1].set_aside and len(self.copied()) == 3)
            aside = reports[-1].set_aside[0]
            self.assertEqual((aside.events, aside.deliveries, aside.organizations), (1, 2, self.organizations))
            is_poison[0] = False
            server.ask('SELECT spine.retry_batch(%s, %s)', self.name, aside.batch)
            server.until(lambda: len(self.copied()) == 4)
        self.assertEqual(([row[1] for row in self.copied()], reports[-1].failures, reports[-1].redeliveries, reports[-1].set_aside), ([1, 3, 4, 2], 2, 1, []))
        self.assertEqual(sorted(row[2] for row in self.copied()), sorted(emitted))

    def test_the_late_one_of_two_loses(self):
        self.organizations = self.organizations[:1]
        self.subscribe(redeliver_after='1 microsecond')
        self.emit()
        other = Consumer(self.name, consume.copy, 'user=spine_consumer', take_first=True, **self.options)
        overtaken, reports = [], []

        def sleep_meanwhile(connection, batch):
            consume.copy(connection, batch)
            if not overtaken:
                overtaken.append(True)
                thread = threading.Thread(target=other.run)
                thread.start()
                server.until(self.copied)
                other.stop()
                thread.join()
        with self.running(sleep_meanwhile, take_first=True, report=reports.append):
            server.until(lambda: overtaken and reports and self.copied())
        self.assertEqual((len(self.copied()), reports[-1].failures), (1, 1))

    def test_it_tells_how_far_it_is_behind(self):
        self.subscribe()
        self.emit(5)
        reports = []
        with self.running(report=reports.append):
            server.until(lambda: len(self.copied()) == 15)
        self.assertEqual((reports[0].events_behind, reports[0].organizations_behind, reports[0].events), (15, 3, 0))
        self.assertGreater(reports[0].seconds_behind, 0)
        self.assertEqual((reports[-1].events_behind, reports[-1].events, reports[-1].subscription), (0, 15, self.name))

    def test_it_goes_on_after_its_connection_was_lost_while_it_waited(self):
        self.subscribe()
        reports = []
        with self.running(poll_every=3600, report=reports.append):
            # Idle, and listening.
            server.until(lambda: server.ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s AND query = 'COMMIT'",
                                            self.name))
            self.emit(2)
            server.until(lambda: len(self.copied()) == 6)
        self.assertEqual((reports[-1].connections_lost, reports[-1].failures, reports[-1].events), (1, 0, 6))

    def test_it_is_woken(self):
        self.subscribe()
        with self.running(poll_every=3600):
            for number in 3, 6, 9:
                self.emit()
                server.until(lambda: len(self.copied()) == number)

    def test_nobody_waits_for_a_subscription_that_is_not_there(self):
        with self.running() as raised:
            server.until(lambda: raised)
        self.assertEqual(raised[0].sqlstate, 'SP029')

    def test_beside_an_event_loop(self):
        self.subscribe()
        emitted = self.emit()

        async def run():
            consumer = Consumer(self.name, consume.copy, 'user=spine_consumer', **self.options)
            work = asyncio.create_task(asyncio.to_thread(consumer.run))
            while len(await asyncio.to_thread(self.copied)) < 3:
                await asyncio.sleep(0.05)
            consumer.stop()
            await work
        asyncio.run(run())
        self.assertEqual(sorted(row[2] for row in self.copied()), sorted(emitted))
