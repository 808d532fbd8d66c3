"""What happens in a chat: messages are recorded, edited, deleted, get a status, are sent again.

What writes runs in one transaction that locks its chat, so that the order of arrival is the order of rows.
"""

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from externallines.channels.base import Media, MediaKind, MessageReceived, Progress
from externallines.models import ExternalLine
from messaging import announcer, chats, parts, statements
from messaging.models import Attachment, Chat, Delivery, Message
from messaging.uspacy_events import OperatorFile, OperatorMessage

LAST_BYTE = 0xFF
ECHO_WAIT = timedelta(seconds=5)  # how long the messenger may take to answer after it has shown us what we sent
STATUS_OF = {
    Progress.SENT: Message.Status.SENT,
    Progress.DELIVERED: Message.Status.DELIVERED,
    Progress.READ: Message.Status.READ,
    Progress.FAILED: Message.Status.FAILED,
}
# From which statuses each can be reached; nothing else changes a status, but `requeue`.
REACHED_FROM = {
    Message.Status.SENT: [Message.Status.QUEUED],
    Message.Status.DELIVERED: [Message.Status.QUEUED, Message.Status.SENT, Message.Status.FAILED],
    Message.Status.READ: [
        Message.Status.QUEUED,
        Message.Status.SENT,
        Message.Status.DELIVERED,
        Message.Status.FAILED,
    ],
    Message.Status.FAILED: [Message.Status.QUEUED, Message.Status.SENT],
}


@transaction.atomic(savepoint=False)
def record_inbound(line: ExternalLine, received: MessageReceived, event_id: int) -> Message | None:
    """Store a customer's message and queue it for Uspacy; None if we have it as it is.

    A known id with another text is an edit. With `outgoing` the business wrote it elsewhere.
    """
    chat = chats.lock_of_customer(line, received)
    if received.outgoing and _is_ours(chat, received):
        return None
    message = inbound(chat, received)
    message.event_id = event_id
    if received.reply_to:
        message.parent = parts.find(Message.objects.filter(chat=chat), received.reply_to)
    # What the business wrote elsewhere may be what we are sending right now: `receipts`.
    wait = ECHO_WAIT if received.outgoing and parts.is_being_sent(chat.pk) else timedelta(0)
    towards = Delivery.Destination.USPACY
    if _append(message, received.media, towards, wait=wait, customer_wrote_at=wrote_at(message)):
        return message
    known = statements.message_of_messenger(chat, received.message_id)
    if known is None or known.is_outbound:
        return None  # the messenger tells of our own message
    return known if record_edit(known, received.text, towards=towards) else None


def inbound(chat: Chat, received: MessageReceived) -> Message:
    """Return what is to be stored of a customer's message, or of one that the business wrote elsewhere."""
    return Message(
        chat=chat,
        external_id=received.message_id,
        uspacy_id=chosen_id(chat, received.message_id),
        direction=Message.Direction.OUTBOUND if received.outgoing else Message.Direction.INBOUND,
        status=Message.Status.SENT if received.outgoing else Message.Status.QUEUED,
        text=received.text,
        type=_uspacy_type(received.media),
        author_id=received.contact.id,
        sent_at=received.sent_at or timezone.now(),
        thanks=received.thanks,
    )


def wrote_at(message: Message) -> datetime | None:
    """Return when the customer wrote a message; None if it is not the customer's."""
    return None if message.is_outbound else min(message.sent_at, message.created_at)


@transaction.atomic(savepoint=False)
def record_outbound(chat: Chat, written: OperatorMessage, event_id: int | None) -> Message | None:
    """Store an operator's message and queue it for the customer; None if we have it already.

    The caller holds the chat's lock.
    """
    message = outbound(written)
    message.chat, message.event_id = chat, event_id
    if written.parent_id:
        message.parent = _find(chat, uspacy_id=written.parent_id)
    return message if _append(message, written.files, Delivery.Destination.CUSTOMER) else None


def outbound(written: OperatorMessage) -> Message:
    """Return what is to be stored of an operator's message, but for its chat."""
    return Message(
        uspacy_id=written.id,
        direction=Message.Direction.OUTBOUND,
        text=written.text or "",
        type=written.type,
        author_id=written.author_id,
        sent_at=written.sent_at or timezone.now(),
    )


@transaction.atomic(savepoint=False)
def record_deleted(chat: Chat, written: OperatorMessage, event_id: int | None) -> None:
    """Remember an operator's message whose deletion overtook it, so that it is never sent.

    The caller holds the chat's lock, and has seen that the message is not known.
    """
    Message.objects.create(
        chat=chat,
        uspacy_id=written.id,
        direction=Message.Direction.OUTBOUND,
        status=Message.Status.FAILED,
        error="Deleted by the operator before it was sent.",
        deleted_at=timezone.now(),
        event_id=event_id,
    )


@transaction.atomic(savepoint=False)
def record_edit(message: Message, text: str, *, towards: Delivery.Destination, at: datetime | None = None) -> bool:
    """Store a new text and queue it; False if nothing changed, or if a later edit is known."""
    message = _lock_message(message)
    at = at or timezone.now()
    if message.deleted_at or message.text == text or (message.edited_at and at < message.edited_at):
        return False
    message.text, message.edited_at = text, at
    message.save(update_fields=["text", "edited_at"])
    enqueue(message, towards, Delivery.Kind.EDIT)
    return True


@transaction.atomic(savepoint=False)
def record_late_file(message: Message) -> None:
    """Queue a customer's message once more for Uspacy, which has it without one of its files."""
    if not _lock_message(message).deleted_at:
        enqueue(message, Delivery.Destination.USPACY, Delivery.Kind.EDIT)


@transaction.atomic(savepoint=False)
def record_deletion(message: Message, *, towards: Delivery.Destination) -> bool:
    """Mark a message as deleted by its author and queue that; False if it was already."""
    message = _lock_message(message)
    if message.deleted_at:
        return False
    message.deleted_at = timezone.now()
    message.save(update_fields=["deleted_at"])
    enqueue(message, towards, Delivery.Kind.DELETE)
    return True


@transaction.atomic(savepoint=False)
def record_status(message: Message, status: Message.Status, *, error: str = "") -> bool:
    """Move an operator's message on and queue its status for Uspacy; False if it is there or further already."""
    lock(message.chat_id)
    if not advance(message, status, error=error):
        return False
    enqueue(message, Delivery.Destination.USPACY, Delivery.Kind.STATUS)
    return True


@transaction.atomic(savepoint=False)
def record_note(message: Message, note: str) -> None:
    """Tell the operator something about a message whose status stays."""
    lock(message.chat_id)
    Message.objects.filter(pk=message.pk).update(error=note[:2000])
    enqueue(message, Delivery.Destination.USPACY, Delivery.Kind.STATUS)


def advance(message: Message, status: Message.Status, *, error: str = "") -> bool:
    """Raise a message's status; False if that would be a step back. A note stays, the reason of a failure goes."""
    return statements.advance(message, status, REACHED_FROM[status], error[:2000])


@transaction.atomic(savepoint=False)
def record_reachability(line: ExternalLine, contact_id: str, *, blocked: bool) -> None:
    """Remember whether a customer has blocked the business."""
    Chat.objects.filter(line=line, contact_id=contact_id).update(blocked=blocked)


@transaction.atomic(savepoint=False)
def requeue(delivery: Delivery) -> Delivery | None:
    """Send a failed delivery again, as a new row at the end of its lane; None if it has not failed."""
    lock(delivery.chat_id)
    message = delivery.message
    if not Delivery.objects.resendable().filter(pk=delivery.pk).exists():
        return None
    if delivery.kind == Delivery.Kind.MESSAGE:
        Message.objects.filter(pk=message.pk, status=Message.Status.FAILED).update(
            status=Message.Status.QUEUED, error=""
        )
        if message.external_id:  # all of it was sent, and failed later: all of it is sent again
            Message.objects.filter(pk=message.pk).update(earlier_ids=[])
    return enqueue(message, Delivery.Destination(delivery.destination), Delivery.Kind(delivery.kind))


def lock(chat_id: int) -> None:
    """Wait until no one else writes to the chat; the lock ends with the transaction."""
    statements.lock_chat(chat_id)


def enqueue(
    message: Message, destination: Delivery.Destination, kind: Delivery.Kind = Delivery.Kind.MESSAGE
) -> Delivery:
    """Append to a lane; a worker hears of it once the transaction has committed.

    The caller holds the chat's lock, so that ids in a lane rise in the order of commits.
    """
    delivery = Delivery(message=message, chat_id=message.chat_id, destination=destination, kind=kind)
    statements.append_delivery(delivery)
    transaction.on_commit(lambda: announcer.announce(message.chat_id))
    return delivery


def chosen_id(chat: Chat, external_id: str) -> uuid.UUID:
    """Return the id under which we create a messenger's message in Uspacy: the same on every attempt."""
    return uuid.uuid5(chat.uspacy_id, external_id)


def part_id(message: Message, number: int) -> uuid.UUID:
    """Return the id in Uspacy of part `number` of a message: all parts are alike but for the last byte."""
    return uuid.UUID(int=message.uspacy_id.int ^ (number & LAST_BYTE))


def find_alike(chat: Chat, uspacy_id: uuid.UUID) -> tuple[Message | None, bool]:
    """Return the message with an id, and whether it is, or is a further part of, one that Uspacy has from us.

    Further parts have no rows of their own: their ids differ from the first one's in the last byte only.
    """
    alike = statements.messages_alike(chat, *ids_alike(uspacy_id))
    message = next((message for message in alike if message.uspacy_id == uspacy_id), None)
    return message, any(is_echo(one) for one in ([message] if message else alike))


def ids_alike(uspacy_id: uuid.UUID) -> tuple[uuid.UUID, uuid.UUID]:
    """Return the first and the last id that a message and its further parts have in Uspacy."""
    return uuid.UUID(int=uspacy_id.int & ~LAST_BYTE), uuid.UUID(int=uspacy_id.int | LAST_BYTE)


def is_echo(message: Message) -> bool:
    """Whether Uspacy has the message from us, so that what it tells of it concerns no one."""
    return message.uspacy_id == chosen_id(message.chat, message.external_id)


def find_message(line: ExternalLine, *, external_id: str = "", client_id: str = "") -> Message | None:
    """Return a message of the line's chats by the messenger's id or by ours."""
    messages = Message.objects.filter(chat__line=line).select_related("chat")
    if client_id:
        try:
            return messages.filter(uspacy_id=uuid.UUID(client_id)).first()
        except ValueError:
            return None
    return parts.find(messages, external_id)


def _append(
    message: Message,
    files: Sequence[Media | OperatorFile],
    destination: Delivery.Destination,
    *,
    wait: timedelta = timedelta(0),
    customer_wrote_at: datetime | None = None,
) -> bool:
    """Store a new message under its chat's lock, and queue it; False if the chat has it already."""
    if not statements.append_message(message, destination, wait=wait, customer_wrote_at=customer_wrote_at):
        return False
    _attach(message, files)
    transaction.on_commit(lambda: announcer.announce(message.chat_id))
    return True


def _is_ours(chat: Chat, received: MessageReceived) -> bool:
    """Whether an outgoing message is the messenger's echo of one that an operator wrote in Uspacy."""
    messages = Message.objects.filter(chat=chat)
    if received.client_id:
        try:
            return messages.filter(uspacy_id=uuid.UUID(received.client_id)).exists()
        except ValueError:
            pass  # the mark of another app
    return messages.filter(earlier_ids__contains=[received.message_id]).exclude(earlier_ids=[]).exists()


def _attach(message: Message, files: Sequence[Media | OperatorFile]) -> None:
    if files:
        Attachment.objects.bulk_create(
            Attachment(
                message=message,
                name=file.name,
                mime_type=file.mime_type,
                size=file.size,
                kind=file.kind,
                source=dict(file.source),
            )
            for file in files
        )


def _lock_message(message: Message) -> Message:
    """Return the newest state of a message, under its chat's lock."""
    lock(message.chat_id)
    return Message.objects.get(pk=message.pk)


def _find(chat: Chat, **ids: object) -> Message | None:
    return Message.objects.filter(chat=chat, **ids).first()


def _uspacy_type(media: Sequence[Media]) -> str:
    """Uspacy shows a lone recording or film as a player (uspacy-api.md 7.1)."""
    kinds = {MediaKind.VOICE: "VOICE", MediaKind.AUDIO: "AUDIO", MediaKind.VIDEO: "VIDEO"}
    return kinds.get(media[0].kind, "MESSAGE") if len(media) == 1 else "MESSAGE"
