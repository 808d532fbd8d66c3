"""Wake-ups around tokens: beat fans out, one small task a portal."""

import random
from datetime import datetime, timedelta

import structlog
from celery import shared_task
from django.utils import timezone

from portals import services
from portals.http import RemoteError
from portals.models import Portal, PortalEvent, PortalQuerySet

log = structlog.get_logger(__name__)

RENEWALS_PER_SECOND = 20  # the fan-out is spread so that many portals do not arrive at Uspacy at once
EVENT_DAYS = 180
PRUNE_BATCH = 5_000


@shared_task
def renew_all_tokens() -> None:
    """Nightly: renew the tokens of every active portal."""
    _fan_out(Portal.objects.active().renewed_before(_half_a_day_ago()))


@shared_task
def renew_expiring_tokens() -> None:
    """Every 15 minutes: renew what expires within two hours."""
    _fan_out(Portal.objects.active().expiring_before(_soon()))


def _fan_out(portals: PortalQuerySet) -> None:
    ids = list(portals.values_list("pk", flat=True))
    spread = len(ids) / RENEWALS_PER_SECOND
    with renew_tokens.app.producer_pool.acquire(block=True) as producer:
        for portal_id in ids:
            renew_tokens.apply_async((portal_id,), countdown=random.uniform(0, spread), producer=producer)  # noqa: S311


@shared_task
def renew_tokens(portal_id: int) -> None:
    """Renew one portal's tokens, unless that was done since it was announced: two beats announce it twice.

    A failure is logged; the next run, or the next use, tries again.
    """
    portals = Portal.objects.active().filter(pk=portal_id)
    due = portals.renewed_before(_half_a_day_ago()) | portals.expiring_before(_soon())
    for portal in due:
        try:
            services.refresh_tokens(portal.pk, stale_token=portal.token)
        except RemoteError as exc:
            log.warning("token_renewal_failed", portal_id=portal_id, reason=str(exc))


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
