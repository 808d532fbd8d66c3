"""What a messenger tells us of its customers, applied to the line's chats."""

from typing import Any

from externallines.channels.base import (
    ChatMoved,
    ChatProgressed,
    Event,
    Ignored,
    MessageDeleted,
    MessageEdited,
    MessageReceived,
    Progress,
    ReachabilityChanged,
    StatusReported,
)
from externallines.models import ExternalLine
from externallines.services import get_channel
from messaging import chats, dead_ends, express, moves, parts, progress, receipts, services
from messaging.models import Delivery, Message, WebhookEvent
from messaging.uspacy_events import Irrelevant

USPACY = Delivery.Destination.USPACY


def take(line: ExternalLine, event: WebhookEvent, payload: Any) -> list[str] | None:
    """Store an event of a messenger with the plain message it brings, and return that one's id (`express`).

    None if it brings none, or something else as well. Raises InvalidPayload.
    """
    match get_channel(line).parse(payload):
        case [MessageReceived() as received] if express.take_from_customer(line, event, received):
            return [received.message_id]
    return None


def interpret(line: ExternalLine, payload: Any, event_id: int) -> list[str]:
    """Apply one update of a messenger; return the ids of the messages it brought.

    Raises Irrelevant where nothing came of it, and InvalidPayload.
    """
    events = get_channel(line).parse(payload)
    ignored = []
    for event in events:
        try:
            _apply(line, event, event_id)
        except Irrelevant as exc:
            ignored.append(exc)
    if len(ignored) == len(events):
        raise ignored[0] if ignored else Irrelevant("nothing to bridge")
    return [event.message_id for event in events if isinstance(event, MessageReceived)]


def _apply(line: ExternalLine, event: Event, event_id: int) -> None:
    """Apply one event. Raises Irrelevant where nothing came of it."""
    match event:
        case MessageReceived():
            changed = services.record_inbound(line, event, event_id) is not None
        case MessageEdited():
            message = _message_of_chat(line, event.chat_id, event.message_id)
            changed = services.record_edit(message, event.text, towards=USPACY, at=event.at)
        case MessageDeleted():
            message = _message_of_chat(line, event.chat_id, event.message_id)
            changed = services.record_deletion(message, towards=USPACY)
        case StatusReported():
            message = _message_of_operator(line, event)
            receipts.release(message.chat, told=[message.pk])
            error = event.error
            if event.status is Progress.FAILED:
                error = dead_ends.told(event.failure or dead_ends.REPORTED, event.error)
            changed = services.record_status(message, services.STATUS_OF[event.status], error=error)
        case ChatProgressed():
            changed = progress.record_progress(line, event)
        case ChatMoved():
            changed = moves.record_move(line, event)
        case ReachabilityChanged():
            services.record_reachability(line, event.contact_id, blocked=event.blocked)
            changed = True
        case Ignored():
            raise Irrelevant(event.reason)
    if not changed:
        raise Irrelevant("nothing changed")


def _message_of_chat(line: ExternalLine, chat_id: str, message_id: str) -> Message:
    chat = chats.find(line, chat_id)
    message = parts.find(Message.objects.filter(chat=chat), message_id) if chat else None
    if message is None:
        raise Irrelevant("unknown message", awaits=message_id)
    if message_id in message.earlier_ids:
        raise Irrelevant("one of several parts of an operator's message")
    return message


def _message_of_operator(line: ExternalLine, event: StatusReported) -> Message:
    message = services.find_message(line, external_id=event.message_id, client_id=event.client_id)
    if message is None:
        raise Irrelevant("unknown message", awaits=event.message_id)
    if not message.is_outbound:
        raise Irrelevant("status of a customer's message")
    if event.message_id and event.status is not Progress.FAILED:
        if event.message_id in message.earlier_ids:
            raise Irrelevant("status of a part that is not the last")
        if not message.external_id:  # nobody knows yet which part this is
            raise Irrelevant("the message is being sent", awaits=event.message_id)
    return message
