"""Probes for load balancers and orchestrators."""

from collections.abc import Callable
from datetime import timedelta

from django.conf import settings
from django.db import Error, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django_celery_beat.models import PeriodicTask
from kombu import Connection
from kombu.exceptions import OperationalError

SWEEP = "Sweep"  # the name of beat's most frequent entry
BEAT_SEEN_WITHIN = timedelta(minutes=2)


class NotReady(Exception):
    """A part is missing; the text says which way."""


def live(request: HttpRequest) -> HttpResponse:
    """The process answers."""
    return HttpResponse("ok", content_type="text/plain")


def ready(request: HttpRequest) -> JsonResponse:
    """The process can do its work: 200, or 503 with the parts that are missing."""
    parts = {"database": _database, "broker": _broker, "beat": _beat}
    states = {name: _state(check) for name, check in parts.items()}
    ok = all(state == "ok" for state in states.values())
    return JsonResponse({"status": "ok" if ok else "unavailable", **states}, status=200 if ok else 503)


def _state(check: Callable[[], None]) -> str:
    try:
        check()
    except NotReady as exc:
        return str(exc)
    except (Error, OperationalError, OSError) as exc:
        return f"unreachable ({type(exc).__name__})"
    return "ok"


def _database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def _broker() -> None:
    with Connection(settings.CELERY_BROKER_URL, connect_timeout=1) as broker:
        broker.ensure_connection(max_retries=1, timeout=1)


def _beat() -> None:
    last = PeriodicTask.objects.filter(name=SWEEP).values_list("last_run_at", flat=True).first()
    if last is None or timezone.now() - last > BEAT_SEEN_WITHIN:
        raise NotReady("not seen within two minutes")
