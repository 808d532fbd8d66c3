"""The benchmarks in their order, on a running stack."""

import itertools
import re
import time
from contextlib import suppress
from functools import partial

import psycopg
import redis
import requests

from tests.benchmarks import deliveries, latency, load, loop, renewals, webhooks
from tests.benchmarks.measure import Round
from tests.benchmarks.product import customers_messages, notifications, populate
from tests.benchmarks.report import Table, progress
from tests.benchmarks.sink import Sink
from tests.stack import READY_SECONDS, Stack, free_port

CEILING_SECONDS = 1.0
REFERENCE = "reference"
EVENTS = """
    CREATE TABLE benchmark_event (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        key text NOT NULL UNIQUE,
        payload text NOT NULL,
        received_at timestamptz NOT NULL DEFAULT now()
    )
"""


class Suite:
    """What the benchmarks share: the stack, its customers, and their webhooks, each of which is sent once."""

    def __init__(self, stack: Stack, sink: Sink, *, threads: int, rounds: int, renewals: int) -> None:
        self._stack = stack
        self._sink = sink
        self._threads = threads
        self._rounds = rounds
        self._renewals = renewals
        progress("making portals, lines and chats")
        stack.stop("worker")  # until its turn comes
        self._conversations = populate(stack.world, f"{sink.url}/hook")
        self._notifications = notifications(stack.world, self._conversations)
        self._messages = customers_messages(self._conversations)
        with psycopg.connect(stack.database_url, autocommit=True) as database:
            database.execute(EVENTS)
            database.execute("ANALYZE")

    def measure(self, only: str | None) -> list[Table]:
        """Return the tables of one benchmark, or of all."""
        tables = []
        if only in (None, "webhooks"):
            tables += self._measure_webhooks()
        if only == "webhooks":
            return tables
        worker = self._start_worker()
        if only in (None, "deliveries"):
            tables += self._measure_deliveries(worker)
        if only in (None, "latency"):
            tables.append(self._measure_latency())
        if only in (None, "renewals"):
            tables.append(renewals.measure(self._sink, self._threads, self._renewals))
        self._stack.stop("worker")
        return tables

    def _measure_webhooks(self) -> list[Table]:
        ports = {"port": self._stack.port, "reference_port": self._start_reference()}
        tables = [
            webhooks.measure(
                "Signed SNS notifications", self._notifications, status=200, rounds=self._rounds, **ports
            ),
            webhooks.measure("Signed calls of partners", self._messages, status=202, rounds=self._rounds, **ports),
        ]
        self._stack.stop(REFERENCE)
        return tables

    def _measure_deliveries(self, worker: deliveries.Worker) -> list[Table]:
        progress("deliveries: what the stand-in itself can take")
        posts = itertools.repeat(next(self._messages).encoded("/ceiling"))
        ceiling = load.run(self._sink.port, posts, seconds=CEILING_SECONDS, expected=200).per_second
        return [
            deliveries.at_once(worker, self._loop, ceiling, self._rounds),
            deliveries.slowly(worker, self._sink, self._threads, self._rounds),
        ]

    def _measure_latency(self) -> Table:
        send = partial(latency.send, port=self._stack.port, sink=self._sink)
        return latency.measure(
            {
                loop.NAME: self._loop,
                "customer to Uspacy": partial(send, self._messages),
                "operator to customer": partial(send, self._notifications),
            },
            self._rounds,
        )

    @property
    def _loop(self) -> partial[Round]:
        return partial(loop.run, self._stack.database_url, self._sink.port)

    def _start_reference(self) -> int:
        """Start a second web process for the views of `reference`, and return its port."""
        port = free_port()
        own = {"PORT": str(port), "DJANGO_SETTINGS_MODULE": "tests.benchmarks.reference"}
        # Each of its threads keeps a connection to PostgreSQL, which has no room for as many as the product's.
        self._stack.commands[REFERENCE] = re.sub(
            r"(?<=--blocking-threads )\d+", str(load.CONNECTIONS), self._stack.commands["web"]
        )
        self._start(REFERENCE, REFERENCE, own)
        until = time.monotonic() + READY_SECONDS
        while time.monotonic() < until:
            with suppress(requests.ConnectionError):
                requests.post(f"http://127.0.0.1:{port}/bare", data=b"ready?", timeout=5).raise_for_status()
                return port
            time.sleep(0.1)
        raise RuntimeError(f"the reference did not start\n{self._stack.last_lines()}")

    def _start_worker(self) -> deliveries.Worker:
        """Start the one worker process, which takes the sink for Uspacy, with nothing left to do."""
        deliveries.drop_waiting()
        with redis.Redis.from_url(self._stack.redis_url) as broker:
            broker.flushdb()
        self._start("worker", "worker", {"USPACY_API_URL": f"{self._sink.url}/uspacy/{{domain}}"})
        return deliveries.Worker(self._conversations, self._sink)

    def _start(self, process: str, name: str, own: dict[str, str]) -> None:
        usual = self._stack.env
        self._stack.env = usual | own
        self._stack.start(process, as_name=name)
        self._stack.env = usual
