"""What needs somebody: each thing as a sentence, with the way to the list that shows it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.contrib.auth.models import AnonymousUser, User
from django.db.models import Model
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import ngettext_lazy
from django_celery_beat.models import PeriodicTask

from config import health
from console.counts import ENOUGH, Listed, list_url, listed, may_see
from console.formats import moment
from externallines.models import ExternalLine
from messaging.models import SnsTopic, WebhookEvent
from portals.models import Portal

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise as StrPromise

EXPIRE_SOON = timedelta(hours=1)  # tokens are renewed two hours before: these should have been
LATE = timedelta(minutes=5)  # a delivery that waits for longer waits for something


@dataclass(frozen=True)
class Need:
    text: str
    url: str = ""
    urgent: bool = False  # nothing works, or somebody waits
    note: str = ""


@dataclass(frozen=True)
class Outbox:
    """Deliveries that wait, those that failed lately, and what makes them go on."""

    waiting: Listed
    oldest: datetime | None  # since when the one that waits the longest does
    failed: Listed
    beat_seen_at: datetime | None


def needs(user: User | AnonymousUser, outbox: Outbox | None) -> list[Need]:
    """Return what needs somebody, of what this user may see: the worst first."""
    now = timezone.now()
    rows = [*_of_beat(user, outbox), *_of_connections(user, now), *_of_deliveries(outbox, now), *_of_events(user)]
    return sorted(rows, key=lambda need: not need.urgent)


def _of_beat(user: User | AnonymousUser, outbox: Outbox | None) -> Iterator[Need]:
    if outbox and not health.beat_is_seen(last := outbox.beat_seen_at):
        yield Need(
            _("The scheduler (beat) is not running: tokens are not renewed, and lost wake-ups are not found."),
            list_url(PeriodicTask) if may_see(user, PeriodicTask) else "",
            urgent=True,
            note=format_html(_("Last seen {}."), moment(last)) if last else _("It was never seen."),
        )


def _of_connections(user: User | AnonymousUser, now: datetime) -> Iterator[Need]:
    yield from _of_list(
        user,
        SnsTopic,
        ngettext_lazy(
            "%(text)s SNS topic waits for approval: what it would send does not arrive.",
            "%(text)s SNS topics wait for approval: what they would send does not arrive.",
            "count",
        ),
        urgent=True,
        status__exact=SnsTopic.Status.PENDING,
    )
    yield from _of_list(
        user,
        Portal,
        ngettext_lazy(
            "%(text)s portal has to install the app again: its messages wait.",
            "%(text)s portals have to install the app again: their messages wait.",
            "count",
        ),
        urgent=True,
        status__exact=Portal.Status.NEEDS_REINSTALL,
    )
    yield from _of_list(
        user,
        ExternalLine,
        ngettext_lazy(
            "%(text)s line does not work: operators' answers wait until it is mended.",
            "%(text)s lines do not work: operators' answers wait until they are mended.",
            "count",
        ),
        urgent=True,
        status__exact=ExternalLine.Status.ERROR,
    )
    yield from _of_list(
        user,
        Portal,
        ngettext_lazy(
            "The tokens of %(text)s portal expire within an hour and were not renewed.",
            "The tokens of %(text)s portals expire within an hour and were not renewed.",
            "count",
        ),
        status__exact=Portal.Status.ACTIVE,
        expires_at__lt=now + EXPIRE_SOON,
    )
    yield from _of_list(
        user,
        ExternalLine,
        ngettext_lazy(
            "%(text)s line works, but has something that its owner should mend in time.",
            "%(text)s lines work, but have something that their owners should mend in time.",
            "count",
        ),
        status__exact=ExternalLine.Status.ACTIVE,
        warning__gt="",
    )


def _of_deliveries(outbox: Outbox | None, now: datetime) -> Iterator[Need]:
    if outbox and outbox.failed.count:
        text = ngettext_lazy(
            "%(text)s delivery failed in the last 24 hours.",
            "%(text)s deliveries failed in the last 24 hours.",
            "count",
        )
        yield _need(text, outbox.failed, urgent=True)
    if outbox and outbox.oldest and outbox.oldest < now - LATE:
        text = ngettext_lazy("%(text)s delivery waits.", "%(text)s deliveries wait.", "count")
        yield _need(text, outbox.waiting, note=format_html(_("The oldest came {}."), moment(outbox.oldest)))


def _of_events(user: User | AnonymousUser) -> Iterator[Need]:
    yield from _of_list(
        user,
        WebhookEvent,
        ngettext_lazy(
            "%(text)s webhook event could not be understood and was kept.",
            "%(text)s webhook events could not be understood and were kept.",
            "count",
        ),
        outcome__exact=WebhookEvent.Outcome.FAILED,
    )


def _of_list(
    user: User | AnonymousUser, model: type[Model], text: "StrPromise", *, urgent: bool = False, **filters: Any
) -> Iterator[Need]:
    if may_see(user, model) and (rows := listed(model, **filters)).count:
        yield _need(text, rows, urgent=urgent)


def _need(text: "StrPromise", rows: Listed, **more: Any) -> Need:
    return Need(text % {"count": min(rows.count, ENOUGH), "text": rows.text}, rows.url, **more)
