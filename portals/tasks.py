"""Wake-ups around tokens: beat fans out, a few portals in each small task."""

import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog
from celery import shared_task
from celery.signals import worker_shutting_down
from django.utils import timezone

from portals import services
from portals.http import RemoteError
from portals.models import Portal, PortalEvent, PortalQuerySet

log = structlog.get_logger(__name__)

RENEWALS_PER_SECOND = 20
PORTALS_PER_TASK = 16  # one after the other; Celery's own work for a task is more than a renewal's
EVENT_DAYS = 180
PRUNE_BATCH = 5_000

_ending = threading.Event()


@shared_task
def renew_all_tokens() -> None:
    """Nightly: renew the tokens of every active portal."""
    _fan_out(Portal.objects.active().renewed_before(_half_a_day_ago()))


@shared_task
def renew_expiring_tokens() -> None:
    """Every 15 minutes: renew what expires within two hours."""
    _fan_out(Portal.objects.active().expiring_before(_soon()))


def _fan_out(portals: PortalQuerySet) -> None:
    announce(list(portals.values_list("pk", flat=True)), per_second=RENEWALS_PER_SECOND)


def announce(portal_ids: Sequence[int], *, per_second: float) -> None:
    """Leave portals to the workers, some in a task, spread so that not all arrive at Uspacy at once."""
    with renew_tokens.app.producer_pool.acquire(block=True) as producer:
        for start in range(0, len(portal_ids), PORTALS_PER_TASK):
            some = portal_ids[start : start + PORTALS_PER_TASK]
            renew_tokens.apply_async(tuple(some), countdown=start / per_second, producer=producer)


@shared_task
def renew_tokens(*portal_ids: int) -> None:
    """Renew some portals' tokens, but for those renewed since they were announced: two beats announce them twice.

    A failure is logged; the next run, or the next use, tries again.
    """
    portals = Portal.objects.active().filter(pk__in=portal_ids)
    due = portals.renewed_before(_half_a_day_ago()) | portals.expiring_before(_soon())
    for portal_id, refreshed_at in due.values_list("pk", "refreshed_at"):
        if _ending.is_set():
            return  # what is left is renewed before it expires
        try:
            services.renew(portal_id, refreshed_at)
        except RemoteError as exc:
            log.warning("token_renewal_failed", portal_id=portal_id, reason=str(exc))
        except Exception:  # a fault of ours, or of this portal's secrets: the others are not to wait for it
            log.exception("token_renewal_failed", portal_id=portal_id)


@worker_shutting_down.connect
def stop_renewing(**kwargs: Any) -> None:
    """A worker that is asked to end finishes the renewals under way, and begins no other."""
    _ending.set()


def _half_a_day_ago() -> datetime:
    return timezone.now() - timedelta(hours=12)


def _soon() -> datetime:
    return timezone.now() + timedelta(hours=2)


@shared_task
def prune_portal_events() -> None:
    """Nightly: forget portal history older than half a year, in batches."""
    old = PortalEvent.objects.filter(created_at__lt=timezone.now() - timedelta(days=EVENT_DAYS)).order_by(
        "created_at"
    )
    while ids := list(old.values_list("pk", flat=True)[:PRUNE_BATCH]):
        PortalEvent.objects.filter(pk__in=ids).delete()
