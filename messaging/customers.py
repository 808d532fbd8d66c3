"""What a messenger tells us of its customers, applied to the line's chats."""

from typing import Any

from externallines.channels.base import (
    Event,
    Ignored,
    MessageDeleted,
    MessageEdited,
    MessageReceived,
    ReachabilityChanged,
    StatusReported,
)
from externallines.models import ExternalLine
from externallines.services import get_channel
from messaging import services
from messaging.models import UNKNOWN_MESSAGE, Delivery, Message
from messaging.uspacy_events import Irrelevant

USPACY = Delivery.Destination.USPACY


def interpret(line: ExternalLine, payload: Any) -> None:
    """Apply one update of a messenger. Raises Irrelevant where nothing came of it, and InvalidPayload."""
    reasons = [_apply(line, event) for event in get_channel(line).parse(payload)]
    if all(reasons):
        raise Irrelevant("; ".join(sorted({reason for reason in reasons if reason})) or "nothing to bridge")


def _apply(line: ExternalLine, event: Event) -> str:
    """Apply one event; return why nothing came of it, "" if something did."""
    match event:
        case MessageReceived():
            return "" if services.record_inbound(line, event) else "known message"
        case MessageEdited():
            message = _message_of_chat(line, event.chat_id, event.message_id)
            if message is None:
                return UNKNOWN_MESSAGE
            return "" if services.record_edit(message, event.text, towards=USPACY) else "nothing changed"
        case MessageDeleted():
            message = _message_of_chat(line, event.chat_id, event.message_id)
            if message is None:
                return UNKNOWN_MESSAGE
            return "" if services.record_deletion(message, towards=USPACY) else "nothing changed"
        case StatusReported():
            message = services.find_message(line, external_id=event.message_id, client_id=event.client_id)
            if message is None or not message.is_outbound:
                return UNKNOWN_MESSAGE
            status = services.STATUS_OF[event.status]
            return "" if services.record_status(message, status, error=event.error) else "nothing changed"
        case ReachabilityChanged():
            services.record_reachability(line, event.contact_id, blocked=event.blocked)
            return ""
        case Ignored():
            return event.reason


def _message_of_chat(line: ExternalLine, chat_id: str, message_id: str) -> Message | None:
    return Message.objects.filter(chat__line=line, chat__external_id=chat_id, external_id=message_id).first()
