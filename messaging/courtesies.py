"""What we ask and tell messengers out of courtesy. Nothing depends on it, so nothing may fail with it."""

import structlog

from externallines.channels.base import Contact
from externallines.services import get_channel
from messaging.models import Chat, Delivery, Message

log = structlog.get_logger(__name__)

LOOK_UPS = 3  # attempts of a delivery; then the chat is created with what is known


def look_up(delivery: Delivery) -> None:
    """Complete what is known of a customer, before Uspacy shows them for the first time."""
    chat = delivery.chat
    if delivery.attempts > LOOK_UPS:
        return
    known = Contact(
        id=chat.contact_id or chat.external_id,
        name=chat.name,
        picture_url=chat.picture_url,
        picture=chat.picture,
        meta=tuple((entry["type"], entry["value"]) for entry in chat.meta),
    )
    try:
        told = get_channel(chat.line).look_up(known)
    except Exception as exc:  # whatever it is: a chat without a portrait is better than none
        log.warning("look_up_failed", chat_id=chat.pk, reason=type(exc).__name__, error=str(exc)[:200])
        return
    if told == known:
        return
    news = {
        "name": told.name[:255],
        "picture_url": told.picture_url,
        "picture": told.picture,
        "meta": [{"type": kind, "value": value} for kind, value in told.meta],
    }
    # Unless the customer has written meanwhile, and told something newer.
    Chat.objects.filter(pk=chat.pk, name=chat.name, meta=chat.meta).update(**news)
    chat.refresh_from_db(fields=list(news))


def thank(delivery: Delivery) -> None:
    """Tell the messenger, at most once, that a customer's message has arrived in Uspacy."""
    message = delivery.message
    if message.thanks is None:
        return
    if not Message.objects.filter(pk=message.pk, thanks__isnull=False).update(thanks=None):
        return  # thanked already
    try:
        get_channel(delivery.chat.line).acknowledge(message.thanks)
    except Exception as exc:  # whatever it is: the message has arrived
        log.warning("thanks_failed", message_id=message.pk, reason=type(exc).__name__, error=str(exc)[:200])
