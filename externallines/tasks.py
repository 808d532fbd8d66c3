"""Wake-ups around lines."""

import time
from collections.abc import Callable, Iterable

import structlog
from celery import shared_task

from externallines import health, services
from externallines.models import ExternalLine

log = structlog.get_logger(__name__)

LINES_PER_RUN = 100
CHECKS_PER_RUN = 2_000  # a minute: in an hour each of 100,000 lines has its turn
CHECK_EXPIRES_SECONDS = 1_800  # one that waited longer is left to the next hour
RUN_SECONDS = 20.0  # then the next run goes on: it must not hold the threads that deliver messages


@shared_task
def tend_lines() -> None:
    """Every few seconds: bring lines back with their portal, and remove webhooks of disconnected ones."""
    # In any order, so that lines whose other side is down for long do not keep the rest from their turn.
    until = time.monotonic() + RUN_SECONDS
    revivable = ExternalLine.objects.to_revive().select_related("portal").order_by("?")[:LINES_PER_RUN]
    _tend(revivable, services.revive, until)
    _tend(ExternalLine.objects.to_unsubscribe().order_by("?")[:LINES_PER_RUN], services.unsubscribe, until)


@shared_task
def check_lines() -> None:
    """Every minute: have those lines checked whose hour has come, each by a task of its own."""
    for line_id in health.due(CHECKS_PER_RUN):
        check_line.apply_async((line_id,), expires=CHECK_EXPIRES_SECONDS)


@shared_task
def check_line(line_id: int) -> None:
    """Look for trouble with one line."""
    health.check(line_id)


def _tend(lines: Iterable[ExternalLine], work: Callable[[ExternalLine], None], until: float) -> None:
    for line in lines:
        if time.monotonic() > until:
            return
        try:
            work(line)
        except Exception as exc:  # one line's trouble, of whatever kind, is not the others'
            log.warning("line_not_tended", line_id=line.pk, reason=str(exc), exc_info=exc)
