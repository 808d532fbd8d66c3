"""Watermarks: a messenger tells once how far all messages of a chat came."""

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from externallines.channels.base import ChatProgressed, Progress
from externallines.models import ExternalLine
from messaging import announcer, chats, parts, receipts, services
from messaging.models import Chat, Delivery, Message
from messaging.uspacy_events import Irrelevant

REACH_BACK = 500  # messages of a chat; a watermark moves on none before them
SETTLING = timedelta(seconds=10)  # at most, between the messenger's time of a message and our learning of it
# What a watermark moves on: of messages that were not sent, or failed, it tells nothing.
MOVES_ON = {
    Progress.DELIVERED: [Message.Status.SENT],
    Progress.READ: [Message.Status.SENT, Message.Status.DELIVERED],
}


def record_progress(line: ExternalLine, event: ChatProgressed) -> bool:
    """Move our messages of a chat on, and queue the status of each for Uspacy; False if nothing changed.

    Raises Irrelevant; it is looked at again once the message it names is known.
    """
    chat = chats.find(line, event.chat_id)
    if chat is None or event.status not in MOVES_ON:
        raise Irrelevant("unknown chat" if chat is None else "no watermark")
    named = parts.find(Message.objects.filter(chat=chat), event.message_id) if event.message_id else None
    moved = _move_on(chat, _covered(event, named), event.status)
    if event.message_id and named is None:
        raise Irrelevant("unknown message", awaits=event.message_id)
    return moved


@transaction.atomic(savepoint=False)
def _move_on(chat: Chat, covered: Q, status: Progress) -> bool:
    services.lock(chat.pk)
    ours = Message.objects.filter(covered, chat=chat, direction=Message.Direction.OUTBOUND)
    newest = Message.objects.filter(chat=chat).order_by("-id").values("pk")[:REACH_BACK]
    moved = list(
        ours.filter(pk__in=newest, status__in=MOVES_ON[status]).order_by("id").values_list("pk", flat=True)
    )
    if not moved:
        return False
    Message.objects.filter(pk__in=moved).update(status=services.STATUS_OF[status])
    receipts.release(chat, told=moved)
    Delivery.objects.bulk_create(
        Delivery(
            message_id=message_id,
            chat=chat,
            destination=Delivery.Destination.USPACY,
            kind=Delivery.Kind.STATUS,
        )
        for message_id in moved
    )
    transaction.on_commit(lambda: announcer.announce(chat.pk))
    return True


def _covered(event: ChatProgressed, named: Message | None) -> Q:
    """Which messages lie under the watermark: up to a time, up to a message, or both."""
    covered = Q(pk__in=[])
    if event.until is not None:
        covered |= Q(sent_at__lte=event.until) & ~Q(Exists(_sent_after(event.until)))
    if named is not None:  # all of it, unless a part is named that is not the last
        covered |= Q(pk__lt=named.pk) if event.message_id in named.earlier_ids else Q(pk__lte=named.pk)
    return covered


def _sent_after(until: datetime) -> QuerySet[Delivery]:
    """Deliveries of messages that had to wait: written before a time, taken by the messenger after it."""
    return Delivery.objects.filter(
        message=OuterRef("pk"),
        destination=Delivery.Destination.CUSTOMER,
        kind=Delivery.Kind.MESSAGE,
        settled_at__gt=until + SETTLING,
    )
