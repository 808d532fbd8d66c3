"""A customer goes on under another id, as with a new phone number."""

import structlog
from django.db import IntegrityError, transaction
from django.utils import timezone

from externallines.channels.base import ChatMoved
from externallines.models import ExternalLine
from messaging import chats, services
from messaging.models import Chat, Delivery, Message
from messaging.uspacy_events import Irrelevant

log = structlog.get_logger(__name__)


def record_move(line: ExternalLine, event: ChatMoved) -> bool:
    """Give a chat the customer's new id, and show the operator a note; False if that was done before.

    If the customer has written under the new id already, there are two chats, and each keeps its history: the
    note in the old one tells where they went. Raises Irrelevant.
    """
    chat = chats.find(line, event.chat_id)
    if chat is None:
        raise Irrelevant("unknown chat")
    return _move(line, chat, event)


@transaction.atomic(savepoint=False)
def _move(line: ExternalLine, chat: Chat, event: ChatMoved) -> bool:
    services.lock(chat.pk)
    if Message.objects.filter(chat=chat, external_id=event.message_id).exists():
        return False
    other = chats.find(line, event.new_chat_id)
    there_are_two = other.pk != chat.pk if other else not _rename(chat, event)
    if there_are_two:
        log.warning("chat_moved_onto_another", chat_id=chat.pk)
    message = Message.objects.create(
        chat=chat,
        external_id=event.message_id,
        uspacy_id=services.chosen_id(chat, event.message_id),
        direction=Message.Direction.INBOUND,
        text=event.note,
        author_id=chat.contact_id or chat.external_id,
        sent_at=event.sent_at or timezone.now(),
    )
    services.enqueue(message, Delivery.Destination.USPACY)
    return True


def _rename(chat: Chat, event: ChatMoved) -> bool:
    """Give the chat its new id; False if another chat has got it just now."""
    old, new = chat.external_id, event.new_chat_id
    chat.aliases = [*chats.with_aliases(chat, [event.chat_id]), old]
    chat.aliases = list(dict.fromkeys(alias for alias in chat.aliases if alias != new))
    chat.external_id = new
    chat.contact_id = new if chat.contact_id in ("", old) else chat.contact_id
    chat.meta = [{**entry, "value": new} if entry["value"] == old else entry for entry in chat.meta]
    try:
        with transaction.atomic():
            chat.save(update_fields=["external_id", "aliases", "contact_id", "meta"])
    except IntegrityError:
        chat.refresh_from_db()
        return False
    return True
