"""Why something failed or waits: what that means, what to do, and what happens next."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from externallines.models import ExternalLine
from messaging import dead_ends, receipts, statements
from messaging.dead_ends import DeadEnd
from messaging.models import Chat, Delivery
from portals.models import Portal


@dataclass(frozen=True, slots=True)
class Wait:
    """Why a delivery has not been made yet, and when it is tried, None where the reason has no known end."""

    reason: str
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Lane:
    """A lane of a chat with something to deliver, and what its first delivery waits for."""

    head: Delivery
    wait: Wait


def explained(kind: str) -> DeadEnd:
    """Return what a kind of failure means, in the viewer's language."""
    dead_end = dead_ends.explain(kind)
    return DeadEnd(_(dead_end.name), _(dead_end.meaning), _(dead_end.advice))


def dead_end_of(row: Delivery | ExternalLine | Portal) -> DeadEnd | None:
    """Return what a row has come to that does not go on by itself; None for one that does, or is done."""
    kind = _kind_of(row)
    return explained(kind) if kind else None


def _kind_of(row: Delivery | ExternalLine | Portal) -> str:
    match row:
        case Delivery(status=Delivery.Status.FAILED):
            return row.failure
        case ExternalLine(status=ExternalLine.Status.ERROR, activated_at=datetime()):
            return "AccountProblem"
        case ExternalLine(status=ExternalLine.Status.ERROR | ExternalLine.Status.CONNECTING):
            return "LineConnecting"
        case Portal(status=Portal.Status.NEEDS_REINSTALL):
            return "NeedsReinstall"
        case Portal(status=Portal.Status.UNINSTALLED):
            return "Uninstalled"
    return ""


def wait_of(delivery: Delivery, ahead: Delivery | None) -> Wait:
    """Return what an open delivery waits for, if `ahead` is the oldest one of its lane before it."""
    if reason := delivery.waits_for:
        return Wait(reason, None)
    if ahead is not None:
        return Wait(_("The ones before it in its lane come first: order is kept."), None)
    due = max(delivery.available_at, timezone.now())
    if delivery.in_hand and delivery.available_at > timezone.now():
        return Wait(_("A worker is at it right now."), None)
    if receipts.held_for(delivery):
        held_until = delivery.chat.held_until
        return Wait(_("The messenger has not yet told that the message before it arrived."), held_until)
    if delivery.failure:
        return Wait(explained(delivery.failure).meaning, due)
    if due > timezone.now() + timedelta(seconds=5):
        return Wait(_("There is no room for another call to the other side now."), due)
    return Wait(_("A worker takes it in a moment."), due)


def waiting(chat: Chat) -> list[Lane]:
    """Return the lanes of a chat which have something to deliver, Uspacy's first."""
    return [Lane(head, wait_of(head, None)) for head in statements.heads(chat.pk)]


def with_repeats(deliveries: QuerySet[Delivery]) -> QuerySet[Delivery]:
    """Add to each whether it was sent again since, as `was_repeated`."""
    newer = Delivery.objects.filter(message=OuterRef("message"), kind=OuterRef("kind"), id__gt=OuterRef("id"))
    return deliveries.annotate(was_repeated=Exists(newer))
