"""The floor of deliveries: one thread, one connection each way, no queue, no claims, no retries, no order."""

import json
import time
import uuid
from http.client import HTTPConnection

import psycopg

from tests.benchmarks.measure import Round
from tests.benchmarks.product import TEXT

NAME = "loop of one thread: select, POST, update"
MESSAGES = 20_000  # more than it sends
SECONDS = 1.5


def run(database_url: str, port: int) -> Round:
    """Send for some seconds; the round's seconds are of each message, from its select to the end of its update."""
    body = json.dumps({"id": str(uuid.uuid4()), "message": TEXT})
    took = []
    remote = HTTPConnection("127.0.0.1", port)
    with psycopg.connect(database_url, autocommit=True) as database:
        database.execute("DROP TABLE IF EXISTS benchmark_outbox")
        database.execute(
            "CREATE TABLE benchmark_outbox AS"
            " SELECT id, %s AS body, false AS sent FROM generate_series(1, %s::bigint) AS id",
            [body, MESSAGES],
        )
        database.execute("ALTER TABLE benchmark_outbox ADD PRIMARY KEY (id)")
        last, end = 0, time.perf_counter() + SECONDS
        while (started := time.perf_counter()) < end:
            row = database.execute(
                "SELECT id, body FROM benchmark_outbox WHERE id > %s AND NOT sent ORDER BY id LIMIT 1", [last]
            ).fetchone()
            assert row
            last = row[0]
            remote.request("POST", "/loop", row[1].encode(), {"content-type": "application/json"})
            remote.getresponse().read()
            database.execute("UPDATE benchmark_outbox SET sent = true WHERE id = %s", [last])
            took.append(time.perf_counter() - started)
    remote.close()
    return Round(len(took) / sum(took), took)
