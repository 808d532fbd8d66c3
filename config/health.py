"""Probes for load balancers and orchestrators."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import django.db
import psycopg
from django.conf import settings
from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django_celery_beat.models import PeriodicTask
from kombu import Connection
from kombu.exceptions import OperationalError

from config.postgres.base import is_alive

SWEEP = "Sweep"  # the name of beat's most frequent entry
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)  # when it ran last, as its migration says, so that it is due at once
BEAT_SEEN_WITHIN = timedelta(minutes=2)
PATIENCE = 1  # seconds that the database or the broker may take, for probes do not wait long themselves


class NotReady(Exception):
    """A part is missing; the text says which way."""


def live(request: HttpRequest) -> HttpResponse:
    """The process answers."""
    return HttpResponse("ok", content_type="text/plain")


def ready(request: HttpRequest) -> JsonResponse:
    """The process can do its work: 200, or 503 with the parts that are missing."""
    database = _state(_database)
    beat = _state(_beat) if database == "ok" else "unknown without the database"
    states = {"database": database, "broker": _state(_broker), "beat": beat}
    ok = all(state == "ok" for state in states.values())
    return JsonResponse({"status": "ok" if ok else "unavailable", **states}, status=200 if ok else 503)


def _state(check: Callable[[], None]) -> str:
    try:
        check()
    except NotReady as exc:
        return str(exc)
    except (psycopg.Error, django.db.Error, OperationalError) as exc:
        return f"unreachable ({type(exc).__name__})"
    return "ok"


def _database() -> None:
    """Use the pool itself: Django would wait for a connection as long as for a request."""
    pool = cast(Any, connection).pool
    pool.open()
    while True:
        with pool.connection(timeout=PATIENCE) as database:
            if is_alive(database):
                database.execute("SELECT 1")
                return
            database.close()  # cut while it was idle: the pool makes another


def _broker() -> None:
    redis = settings.CELERY_BROKER_URL.startswith("redis")
    options = {"socket_connect_timeout": PATIENCE, "socket_timeout": PATIENCE} if redis else {}
    with Connection(settings.CELERY_BROKER_URL, connect_timeout=PATIENCE, transport_options=options) as broker:
        broker.ensure_connection(max_retries=1, interval_start=0, timeout=PATIENCE)


def beat_seen_at() -> datetime | None:
    """Return when beat last gave a sign of life, None if never."""
    entries = PeriodicTask.objects.filter(name=SWEEP, last_run_at__gt=LONG_AGO)
    return cast(datetime | None, entries.values_list("last_run_at", flat=True).first())


def beat_is_seen(last: datetime | None) -> bool:
    """Whether beat's last sign of life is recent enough."""
    return last is not None and timezone.now() - last <= BEAT_SEEN_WITHIN


def _beat() -> None:
    if not beat_is_seen(beat_seen_at()):
        raise NotReady("not seen within two minutes")
