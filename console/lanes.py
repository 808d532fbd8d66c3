"""What the two lanes of a chat wait for, and until when."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone
from django.utils.translation import gettext as _

from messaging import receipts, statements
from messaging.models import Chat, Delivery


@dataclass(frozen=True, slots=True)
class Lane:
    """A lane with something to deliver: why its head is still there, and when it is tried."""

    head: Delivery
    reason: str
    until: datetime | None  # None: until a person has done what the reason says


def waiting(chat: Chat) -> list[Lane]:
    """Return the lanes of a chat which have something to deliver, Uspacy's first."""
    return [_lane(head) for head in statements.heads(chat.pk)]


def _lane(head: Delivery) -> Lane:
    if reason := head.waits_for:
        return Lane(head, reason, None)
    due = timezone.now() + max(head.due_in, timedelta(0))
    if receipts.held_for(head):
        reason = _("The messenger has not yet told that the message before it arrived.")
        return Lane(head, reason, max(due, head.chat.held_until or due))
    if head.attempts and head.error:
        return Lane(head, head.error, due)
    return Lane(head, _("A worker is at it, or will be in a moment."), due)
