"""What Uspacy tells us of its operators, applied to the chats of the portal's lines (uspacy-api.md 9.3)."""

import uuid
from datetime import timedelta
from typing import Any

from externallines.channels import CHANNELS
from externallines.models import ExternalLine
from messaging import chats, express, services, statements
from messaging.models import Chat, Delivery, Message, WebhookEvent
from messaging.uspacy_events import Action, Irrelevant, OperatorMessage, parse
from portals.models import Portal
from portals.payload import InvalidPayload

CUSTOMER = Delivery.Destination.CUSTOMER
OVERTAKEN_FOR = timedelta(hours=1)  # as long as Amazon SNS repeats a notification (uspacy-api.md 9.1)


def take(event: WebhookEvent, payload: Any) -> list[str] | None:
    """Store an event of Uspacy's messenger with the plain message it brings; None if it brings none (`express`).

    Raises Irrelevant and InvalidPayload.
    """
    return [] if express.take_from_operator(event, parse(payload)) else None


def interpret(payload: Any, event_id: int | None = None) -> list[str]:
    """Apply one event of Uspacy's messenger, stored under `event_id` if it is.

    Raises Irrelevant where nothing came of it, and InvalidPayload.

    It brings no message of a messenger: the list it returns, as every interpreter, is empty.
    """
    written = parse(payload)
    chat = _lock_chat(written)
    message, is_ours = services.find_alike(chat, written.id)
    if message is not None and (is_ours or not message.is_outbound):
        raise Irrelevant("echo of our own message")
    if is_ours:
        raise Irrelevant("echo of a part of our own message")
    match written.action:
        case Action.DELETE:
            _delete(written, chat, message, event_id)
        case Action.UPDATE if message is not None:
            if written.text is None:
                raise Irrelevant("no text in the update")
            if not services.record_edit(message, written.text, towards=CUSTOMER, at=written.happened_at):
                raise Irrelevant("nothing changed")
        case Action.UPDATE if not _has_just_been_written(written):
            raise Irrelevant("update of a message from before our time")
        case _:  # an update that overtook its creation is the first we hear of the message
            if services.record_outbound(chat, written, event_id) is None:
                raise Irrelevant("known message")
    return []


def _has_just_been_written(written: OperatorMessage) -> bool:
    """Whether an update may have overtaken its creation. Updates also tell that an old message was read."""
    if written.sent_at is None or written.happened_at is None:
        return False
    return written.happened_at - written.sent_at < OVERTAKEN_FOR


def _delete(written: OperatorMessage, chat: Chat, message: Message | None, event_id: int | None) -> None:
    if message is None:
        services.record_deleted(chat, written, event_id)
    elif not services.record_deletion(message, towards=CUSTOMER):
        raise Irrelevant("nothing changed")


def _lock_chat(written: OperatorMessage) -> Chat:
    """Return the chat an event is about, locked: only ever one of the portal that the event names."""
    if written.chat_id and written.line_id:
        chat = statements.lock_chat_of_operator(written.domain, written.line_id, written.chat_id)
        if chat is not None:
            return chat
    chat = _find_chat(written)
    services.lock(chat.pk)
    return chat


def _find_chat(written: OperatorMessage) -> Chat:
    """Return the chat of an event that does not name it plainly. Raises Irrelevant or InvalidPayload."""
    line = _line(written)
    chats = Chat.objects.select_related("line__portal").filter(line__portal__domain=written.domain)
    if line is not None:
        chats = chats.filter(line=line)
    if written.chat_id and (chat := chats.filter(uspacy_id=written.chat_id).first()):
        return chat
    if line is not None and (chat := _chat_by_meta(line, written)):
        return chat
    if written.action is Action.DELETE:
        message = Message.objects.filter(uspacy_id=written.id, chat__in=chats).select_related("chat__line").first()
        if message is None:
            raise Irrelevant("unknown message")
        return message.chat
    raise InvalidPayload("The chat is not one of the line's, and its meta names no customer of the line.")


def _line(written: OperatorMessage) -> ExternalLine | None:
    """Return the line of the event; None where a deletion names none."""
    portal = Portal.objects.filter(domain=written.domain).exclude(status=Portal.Status.UNINSTALLED).first()
    if portal is None:
        raise Irrelevant("not a portal of ours")
    if not written.line_id:
        return None
    line = ExternalLine.objects.filter(portal=portal, uspacy_id=written.line_id).select_related("portal").first()
    if line is None:
        raise Irrelevant("not a line of ours")
    return line


def _chat_by_meta(line: ExternalLine, written: OperatorMessage) -> Chat | None:
    """Resolve a chat that Uspacy knows by another id: by the customer its `meta` names (uspacy-api.md 9.3.6)."""
    for kind, value in written.chat_meta:
        known = Chat.objects.filter(line=line, meta__contains=[{"type": kind, "value": value}])
        match list(known.select_related("line__portal")[:2]):
            case [chat]:
                return chat
            case [_, _]:
                return None  # a phone number that two customers gave names neither
    chat_kind = CHANNELS[line.channel].chat_meta
    for kind, value in written.chat_meta:
        if chat_kind and kind == chat_kind and value:
            return (
                chats.find(line, value)
                or Chat.objects.get_or_create(
                    line=line,
                    external_id=value,
                    defaults={
                        "uspacy_id": written.chat_id or uuid.uuid4(),
                        "in_uspacy": written.chat_id is not None,
                        "contact_id": value,
                        "meta": [{"type": kind, "value": value}],
                    },
                )[0]
            )
    return None
