#!/usr/bin/env python3
"""Emits events as an application behind Patroni does, until it is told to stop by a line on its standard input.

emit.py DATABASE CLIENTS NODE ...      NODE: the port of its Patroni, the folder of its socket, its port: 8008,/run/postgresql,5432

Each client asks Patroni which node is the primary, emits there one event after another, and on any error, or where no
answer comes in time, asks again. What it is told of goes to standard output, a line each:

acked SECONDS PORT ORGANIZATION ID     the server acknowledged this event
lost SECONDS PORT TEXT                 it may be there or not
"""
import select
import sys
import threading
import time
import urllib.error
import urllib.request

import psycopg2
import psycopg2.extensions

ANSWER_WITHIN = 4  # seconds
MODES = ["", "-c people_os_spine.early_lock_release=on", "-c people_os_spine.chain_at=commit"]

stopping = threading.Event()
output = threading.Lock()


def tell(*words):
    with output:
        print(*words, flush=True)


def wait(connection):
    """Psycopg's way of waiting, with an end: a commit that waits for a standby waits for ever."""
    until = time.monotonic() + ANSWER_WITHIN
    while True:
        state = connection.poll()
        if state == psycopg2.extensions.POLL_OK:
            return
        reads = [connection.fileno()] if state == psycopg2.extensions.POLL_READ else []
        writes = [connection.fileno()] if state == psycopg2.extensions.POLL_WRITE else []
        if not any(select.select(reads, writes, [], max(0, until - time.monotonic()))):
            raise psycopg2.OperationalError("no answer")


def primary(nodes):
    for patroni, folder, port in nodes:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{patroni}/primary", timeout=1):
                return folder, port
        except (urllib.error.URLError, OSError):
            pass
    return None


def client(number, database, nodes):
    organization = f"00000000-0000-4000-8000-{number % 3 + 1:012d}"
    while not stopping.is_set():
        node = primary(nodes)
        if node is None:
            time.sleep(0.1)
            continue
        folder, port = node
        connection = None
        try:
            connection = psycopg2.connect(host=folder, port=port, dbname=database, connect_timeout=2, options=MODES[number % len(MODES)])
            connection.autocommit = True
            with connection.cursor() as cursor:
                while not stopping.is_set():
                    cursor.execute(
                        "SELECT spine.emit_event('hcm.employee.updated', entity_id => gen_random_uuid(), actor_id => %s::uuid, organization_id => %s::uuid)",
                        (organization, organization))
                    tell("acked", f"{time.time():.3f}", port, organization, cursor.fetchone()[0])
        except psycopg2.Error as error:
            tell("lost", f"{time.time():.3f}", port, str(error).strip().replace("\n", " "))
            time.sleep(0.1)
        finally:
            if connection is not None:
                connection.close()


def main():
    database, clients = sys.argv[1], int(sys.argv[2])
    nodes = [node.split(",") for node in sys.argv[3:]]
    psycopg2.extensions.set_wait_callback(wait)
    threads = [threading.Thread(target=client, args=(number, database, nodes)) for number in range(clients)]
    for thread in threads:
        thread.start()
    sys.stdin.readline()
    stopping.set()
    for thread in threads:
        thread.join()


main()
