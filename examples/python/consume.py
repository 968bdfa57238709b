"""Copies the events of a subscription into a table of this database, each exactly once. Ends on SIGTERM or Ctrl-C.

Needs python3-psycopg, and a database where the role may consume the subscription and write to a table copied.
"""
import logging

from people_os.consumer import Batch, Connection, Consumer, Report


def copy(connection: Connection, batch: Batch) -> None:
    """Is committed together with the acknowledgement, or not at all."""
    rows = [(event['id'], event['organization_id'], event['sequence']) for event in batch.events]
    with connection.cursor() as cursor:
        cursor.executemany('INSERT INTO copied (id, organization_id, sequence) VALUES (%s, %s, %s)', rows)


def tell(report: Report) -> None:
    print(f'{report.events} copied, {report.events_behind} to come, {len(report.set_aside)} batches set aside', flush=True)


def main() -> None:
    logging.basicConfig()
    Consumer('copier', copy, report=tell).run()  # where PGHOST, PGDATABASE … say


if __name__ == '__main__':
    main()
