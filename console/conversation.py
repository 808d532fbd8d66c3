"""A chat as a conversation: a page of its messages, each with all that is told beside it."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.db.models import QuerySet

from console import keyset
from console.base import as_id
from console.marks import Mark, mark_of
from console.masking import personal
from messaging.models import Attachment, Chat, Delivery, Message, WebhookEvent

NEWEST_FIRST = ("-id",)
SIZE = 50  # messages of a page
NEWER = 24  # of them, after the one that somebody looks for


@dataclass(frozen=True, slots=True)
class File:
    """A file of a message; its name is personal text."""

    name: str
    attachment: Attachment


@dataclass(frozen=True, slots=True)
class Bubble:
    """One message, as the reader may see it."""

    message: Message
    text: str
    quote: str = ""
    files: Sequence[File] = ()
    event_id: int | None = None  # the webhook event that told of it, if that is not pruned
    failed: Sequence[Delivery] = ()  # of it, of an edit, a deletion or a status: the newest of each, if it failed
    day: date | None = None  # where another one begins

    @property
    def mark(self) -> Mark:
        return mark_of(self.message)


@dataclass(frozen=True, slots=True)
class Conversation:
    """A page of bubbles, oldest first, and the cursors of its neighbours."""

    bubbles: Sequence[Bubble]
    older: str
    newer: str


def messages_of(chat: Chat) -> QuerySet[Message]:
    return Message.objects.filter(chat=chat).select_related("parent").prefetch_related("attachments")


def read(chat: Chat, *, readable: bool, after: str = "", before: str = "", around: str = "") -> Conversation:
    """Return the newest page of a chat, its neighbour by a cursor, or the one around a message's id.

    Raises InvalidCursor.
    """
    if (message_id := as_id(around)) is not None:
        after = _before(chat, message_id)
    page = keyset.page(messages_of(chat), NEWEST_FIRST, size=SIZE, after=after, before=before)
    return Conversation(bubbles(page.rows[::-1], readable=readable), older=page.next, newer=page.previous)


def search(chat: Chat, text: str, *, after: str = "", before: str = "") -> Conversation:
    """Return what of a chat has a text in it, for those who may read it. Raises InvalidCursor."""
    found = messages_of(chat).filter(text__icontains=text)
    page = keyset.page(found, NEWEST_FIRST, size=SIZE, after=after, before=before)
    return Conversation(bubbles(page.rows[::-1], readable=True), older=page.next, newer=page.previous)


def bubbles(messages: Sequence[Message], *, readable: bool) -> list[Bubble]:
    """Return messages with all that is told beside them, at the cost of the same few queries for any number."""
    kept = _kept({message.event_id for message in messages if message.event_id})
    newest = _newest_deliveries(messages)
    result, day = [], None
    for message in messages:
        bubble = Bubble(
            message,
            personal(message.text, readable=readable),
            quote=personal(message.parent.text, readable=readable) if message.parent else "",
            files=[
                File(personal(file.name, readable=readable), file)
                for file in message.attachments.all()  # prefetched
            ],
            event_id=message.event_id if message.event_id in kept else None,
            failed=[each for each in newest.get(message.pk, ()) if each.status == Delivery.Status.FAILED],
            day=message.sent_at.date() if message.sent_at.date() != day else None,
        )
        day = message.sent_at.date()
        result.append(bubble)
    return result


def _kept(event_ids: Collection[int]) -> set[Any]:
    """Return which of these events are still there."""
    return set(WebhookEvent.objects.filter(pk__in=event_ids).values_list("pk", flat=True)) if event_ids else set()


def _newest_deliveries(messages: Iterable[Message]) -> dict[int, list[Delivery]]:
    """Return the newest delivery of each kind and message: an older failure is no longer of interest."""
    newest: dict[int, list[Delivery]] = {}
    key = ("message_id", "kind")
    for delivery in Delivery.objects.filter(message__in=messages).order_by(*key, "-id").distinct(*key):
        newest.setdefault(delivery.message_id, []).append(delivery)
    return newest


def _before(chat: Chat, message_id: int) -> str:
    """Return the cursor of a page that has a message in its middle, "" for the newest page."""
    newer = Message.objects.filter(chat=chat, pk__gt=message_id).order_by("pk")[NEWER : NEWER + 1]
    return keyset.cursor(newer[0], NEWEST_FIRST) if newer else ""
