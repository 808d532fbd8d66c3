"""Probes: an orchestrator learns soon, and without waiting, what a process lacks."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from importlib import import_module
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.apps import apps
from django.conf import settings as django_settings
from django.db import connections
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from config import health

pytestmark = pytest.mark.django_db

SOON = 2.5  # seconds


@pytest.fixture
def sweep() -> PeriodicTask:
    """Beat's most frequent entry, which has just run."""
    interval, _ = IntervalSchedule.objects.get_or_create(every=3, period="seconds")
    entry, _ = PeriodicTask.objects.update_or_create(
        name=health.SWEEP,
        defaults={"task": "messaging.tasks.sweep", "interval": interval, "last_run_at": timezone.now()},
    )
    return entry


def ready(client: Client) -> tuple[int, dict[str, str]]:
    response: HttpResponse = client.get("/health/ready")
    assert response.headers["Content-Type"] == "application/json"
    return response.status_code, json.loads(response.content)


def test_a_process_that_answers_is_live(client: Client) -> None:
    response = client.get("/health/live")
    assert (response.status_code, response.content) == (200, b"ok")


def test_with_all_parts_there_a_process_is_ready(client: Client, sweep: PeriodicTask) -> None:
    assert ready(client) == (200, {"status": "ok", "database": "ok", "broker": "ok", "beat": "ok"})


def test_probes_may_name_us_by_address(client: Client, sweep: PeriodicTask, settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["lines.example.com"]
    for path in ("/health/live", "/health/ready", "/metrics"):
        assert client.get(path, headers={"Host": "10.1.2.3:8000"}).status_code == 200


def test_connections_that_died_while_they_were_idle_are_replaced(client: Client, sweep: PeriodicTask) -> None:
    pool: Any = connections["default"].pool  # type: ignore[attr-defined]
    idle = [pool.getconn() for _number in range(3)]
    pids = [each.info.backend_pid for each in idle]
    for each in idle:
        pool.putconn(each)
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pid, 5000) FROM unnest(%s) pid", [pids])
    assert ready(client) == (200, {"status": "ok", "database": "ok", "broker": "ok", "beat": "ok"})


# Beat


@pytest.mark.parametrize(("seconds", "state"), [(115, "ok"), (125, "not seen within two minutes")])
def test_beat_is_missing_after_two_minutes(client: Client, sweep: PeriodicTask, seconds: int, state: str) -> None:
    sweep.last_run_at = timezone.now() - timedelta(seconds=seconds)
    sweep.save()
    status, parts = ready(client)
    assert (status, parts["beat"]) == (200 if state == "ok" else 503, state)
    assert (parts["database"], parts["broker"]) == ("ok", "ok")
    assert parts["status"] == ("ok" if state == "ok" else "unavailable")


def test_beat_that_never_ran_is_missing(client: Client, sweep: PeriodicTask) -> None:
    PeriodicTask.objects.filter(pk=sweep.pk).update(last_run_at=None)
    assert ready(client)[1]["beat"] == "not seen within two minutes"
    sweep.delete()
    assert ready(client)[1]["beat"] == "not seen within two minutes"


def test_the_sign_of_life_is_an_entry_that_every_installation_has() -> None:
    PeriodicTask.objects.all().delete()
    import_module("messaging.migrations.0002_beat_schedule").create_entries(apps, None)
    entry = PeriodicTask.objects.get(name=health.SWEEP)
    assert entry.enabled
    assert entry.interval is not None
    assert entry.interval.every * 10 < health.BEAT_SEEN_WITHIN.total_seconds()


# The broker


@contextmanager
def closed_port() -> Iterator[int]:
    """A port at which connections are refused."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        yield probe.getsockname()[1]


@contextmanager
def silent_port() -> Iterator[int]:
    """A port that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=50) as server:
        yield server.getsockname()[1]


@contextmanager
def unreachable_port() -> Iterator[int]:
    """A port that does not even take a connection, as behind a firewall that drops packets."""
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=1))
        for _number in range(10):  # fill its queue
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            with suppress(BlockingIOError):
                filler.connect(server.getsockname())
        yield server.getsockname()[1]


@pytest.mark.parametrize("scheme", ["redis", "amqp"])
@pytest.mark.parametrize("away", [closed_port, silent_port, unreachable_port])
def test_a_broker_that_is_away_is_noticed_soon(
    client: Client, sweep: PeriodicTask, settings: Any, away: Any, scheme: str
) -> None:
    with away() as port:
        settings.CELERY_BROKER_URL = f"{scheme}://user:secret@127.0.0.1:{port}/"
        started = time.monotonic()
        status, parts = ready(client)
        assert time.monotonic() - started < SOON
    assert status == 503
    assert parts["broker"].startswith("unreachable (")
    assert (parts["database"], parts["beat"]) == ("ok", "ok")
    assert "secret" not in str(parts)


def test_a_broker_that_refuses_our_password_is_no_broker(
    client: Client, sweep: PeriodicTask, settings: Any
) -> None:
    broker = urlsplit(django_settings.REDIS_URL)
    settings.CELERY_BROKER_URL = f"redis://:not-the-password@{broker.hostname}:{broker.port}/0"
    status, parts = ready(client)
    assert status == 503
    assert parts["broker"].startswith("unreachable (")
    assert "not-the-password" not in str(parts)


def test_without_a_broker_the_process_is_still_live(client: Client, settings: Any) -> None:
    with closed_port() as port:
        settings.CELERY_BROKER_URL = f"redis://127.0.0.1:{port}/0"
        assert client.get("/health/live").status_code == 200


# The database


@contextmanager
def database_at(port: int) -> Iterator[None]:
    """Let this thread have its database at another port, with a pool of its own."""
    ours = connections["default"]
    there: Any = type(ours)({**ours.settings_dict, "PORT": port}, alias=f"at port {port}")
    connections["default"] = there
    try:
        yield
    finally:
        connections["default"] = ours
        there.close()
        there.pool.close(timeout=0)
        del there._connection_pools[there.alias]


class Forwarder:
    """A port in front of the real database; closing it cuts every connection."""

    def __init__(self, port: int = 0) -> None:
        self._server = socket.create_server(("127.0.0.1", port))
        self.port = self._server.getsockname()[1]
        self._connections: list[socket.socket] = []
        Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        database = django_settings.DATABASES["default"]
        with suppress(OSError):
            while True:
                near, _address = self._server.accept()
                far = socket.create_connection((database["HOST"], database["PORT"]))
                self._connections += [near, far]
                for source, target in ((near, far), (far, near)):
                    Thread(target=self._pump, args=(source, target), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                target.sendall(data)

    def close(self) -> None:
        for connection in (self._server, *self._connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()


@pytest.mark.parametrize("away", [closed_port, silent_port, unreachable_port])
def test_a_database_that_is_away_is_noticed_soon(client: Client, sweep: PeriodicTask, away: Any) -> None:
    with away() as port, database_at(port):
        for _look in range(2):
            started = time.monotonic()
            status, parts = ready(client)
            assert time.monotonic() - started < SOON
            assert status == 503
            assert parts["database"].startswith("unreachable (")
            assert parts["beat"] != "ok"
            assert parts["broker"] == "ok"
        assert client.get("/health/live").status_code == 200


@pytest.mark.django_db(transaction=True)
def test_a_database_that_goes_away_is_missed_until_it_is_back(client: Client, sweep: PeriodicTask) -> None:
    forwarder = Forwarder()
    with database_at(forwarder.port):
        assert ready(client)[0] == 200
        connections["default"].close()  # as at the end of a request
        forwarder.close()
        started = time.monotonic()
        status, parts = ready(client)
        assert time.monotonic() - started < SOON
        assert status == 503
        assert parts["database"].startswith("unreachable (")
        forwarder = Forwarder(forwarder.port)
        deadline = time.monotonic() + 20
        while ready(client)[0] != 200:
            assert time.monotonic() < deadline
        forwarder.close()
