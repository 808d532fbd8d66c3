"""One attempt at a delivery: the calls to Uspacy or to the line's messenger."""

import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace

from externallines.channels import markup
from externallines.channels.base import Blocked, OutboundMessage, Receipt
from externallines.services import get_channel
from messaging import courtesies, pictures, services, transfer
from messaging.models import Chat, Delivery, Message
from portals.http import Refused, RemoteError, ServerFault, Unreachable
from portals.services import get_client
from portals.uspacy import DuplicateMessage, MessageFields, UspacyClient

USPACY_TEXT_LIMIT = 10_000  # characters; Uspacy's own limit is not documented (uspacy-api.md 11.13)
USPACY_STATUS = {
    Message.Status.SENT: "sent",
    Message.Status.DELIVERED: "delivered",
    Message.Status.READ: "read",
    Message.Status.FAILED: "error",
}


class Unheard(RemoteError):
    """The messenger may have taken a message, and would take a repeat for another one."""

    retryable = True


class MayHaveArrived(Refused):
    """The messenger was not heard twice. Final, as another repeat may be one too many."""


class DeletedBeforeSent(Refused):
    """The operator does not want it sent any more."""


class LineDisconnected(Refused):
    """The owner has disconnected the line."""


def remote(delivery: Delivery) -> str:
    """Return the name of the gate that the attempt has to pass."""
    line = delivery.chat.line
    return line.portal.domain if delivery.to_uspacy else get_channel(line).remote


def perform(
    delivery: Delivery, *, still_ours: Callable[[], None], record: Callable[[str], None]
) -> Receipt | None:
    """Make the calls of one delivery; return the messenger's receipt for a message it took.

    `still_ours` is called before every further long step, and raises if another worker has taken over; so does
    `record`, which is given the messenger's id of every part but the last.
    Raises RemoteError; any other exception is a fault of ours.
    """
    match delivery.destination, delivery.kind:
        case Delivery.Destination.USPACY, Delivery.Kind.MESSAGE:
            _create_in_uspacy(delivery, still_ours)
        case Delivery.Destination.USPACY, Delivery.Kind.EDIT:
            _edit_in_uspacy(delivery)
        case Delivery.Destination.USPACY, Delivery.Kind.DELETE:
            _delete_in_uspacy(delivery)
        case Delivery.Destination.USPACY, Delivery.Kind.STATUS:
            _report_status(delivery)
        case Delivery.Destination.CUSTOMER, Delivery.Kind.MESSAGE:
            return _send_to_customer(delivery, still_ours, record)
        case Delivery.Destination.CUSTOMER, Delivery.Kind.EDIT:
            _edit_at_customer(delivery)
        case Delivery.Destination.CUSTOMER, Delivery.Kind.DELETE:
            _delete_at_customer(delivery)
    return None


def _create_in_uspacy(delivery: Delivery, still_ours: Callable[[], None]) -> None:
    message, chat = delivery.message, delivery.chat
    client = get_client(chat.line.portal)
    if not chat.in_uspacy:
        courtesies.look_up(delivery)
        still_ours()
        _create_chat(client, chat)
    notes = transfer.upload_attachments(delivery, client, still_ours)
    still_ours()
    parts = _parts(message.text, notes)
    _count_parts(message, len(parts))
    for number, text in enumerate(parts):
        content = _uspacy_message(message, number, text)
        try:
            _create_message(client, chat, content)
        except DuplicateMessage:
            # Stored by an attempt whose answer was lost, unless another message has our externalId.
            if not client.has_message(content["id"]):
                raise Refused("Uspacy has another message with the same external id.") from None


def _create_message(client: UspacyClient, chat: Chat, content: MessageFields) -> None:
    """Create a message, and its chat again if Uspacy no longer has it, as after an uninstall."""
    try:
        client.create_message(**content)
    except Refused as exc:
        if exc.code != "404":
            raise
        _create_chat(client, chat)
        client.create_message(**content)


def _create_chat(client: UspacyClient, chat: Chat) -> None:
    with suppress(DuplicateMessage):  # created by an attempt whose answer was lost: the id is ours alone
        client.create_chat(
            id=str(chat.uspacy_id),
            name=chat.name or chat.external_id,
            line_id=chat.line.uspacy_id,
            picture_url=pictures.url_of(chat),
            meta=chat.meta,
        )
    Chat.objects.filter(pk=chat.pk).update(in_uspacy=True)


def _parts(text: str, notes: list[str]) -> list[str]:
    """Return the texts of the messages that a customer's message becomes: one, unless it is very long."""
    return markup.split("\n\n".join([text, *notes] if text else notes), USPACY_TEXT_LIMIT) or [""]


def _uspacy_message(message: Message, number: int, text: str) -> MessageFields:
    """Return what creates or updates part `number` of a message; the first part has the files."""
    files = [attachment.uspacy_file for attachment in message.attachments.all() if attachment.uspacy_file]
    return {
        "id": str(services.part_id(message, number)),
        "line_id": message.chat.line.uspacy_id,
        "chat_id": str(message.chat.uspacy_id),
        "type": message.type if number == 0 else "MESSAGE",
        "text": text,
        "external_id": message.external_id if number == 0 else f"{message.external_id}#{number + 1}",
        "external_author_id": "" if message.is_outbound else message.author_id,
        "parent_id": str(message.parent.uspacy_id) if message.parent else "",
        "files": files if number == 0 else [],
    }


def _edit_in_uspacy(delivery: Delivery) -> None:
    """Replace the whole message: which fields an update may leave out is not documented (uspacy-api.md 7.3)."""
    message = delivery.message
    if message.status == Message.Status.FAILED and not message.is_outbound:
        return  # never arrived; to send it again sends the new text
    client = get_client(delivery.chat.line.portal)
    notes = [transfer.note(attachment) for attachment in message.attachments.all() if attachment.error]
    parts = _parts(message.text, notes)
    for number, text in enumerate(parts):
        content = _uspacy_message(message, number, text)
        try:
            if number:
                client.create_message(**content)  # the new text may be longer than the old one
                continue
        except DuplicateMessage:
            pass
        client.update_message(**content)
    _delete_parts(client, message, range(len(parts), message.uspacy_parts))
    _count_parts(message, len(parts))


def _delete_in_uspacy(delivery: Delivery) -> None:
    client = get_client(delivery.chat.line.portal)
    _delete_parts(client, delivery.message, range(delivery.message.uspacy_parts))


def _count_parts(message: Message, count: int) -> None:
    """Remember of how many messages Uspacy has one of ours; mostly it is one, as it says already."""
    if message.uspacy_parts != count:
        Message.objects.filter(pk=message.pk).update(uspacy_parts=count)


def _delete_parts(client: UspacyClient, message: Message, numbers: Iterable[int]) -> None:
    for number in numbers:
        try:
            client.delete_message(str(services.part_id(message, number)))
        except Refused as exc:
            if exc.code != "404":  # deleted by an attempt whose answer was lost
                raise


def _report_status(delivery: Delivery) -> None:
    """Send the newest status, so that a burst of them ends in the right one."""
    message = delivery.message
    if status := USPACY_STATUS.get(Message.Status(message.status)):
        client = get_client(delivery.chat.line.portal)
        client.set_message_status(str(message.uspacy_id), status, message.error)


def _send_to_customer(
    delivery: Delivery, still_ours: Callable[[], None], record: Callable[[str], None]
) -> Receipt | None:
    message, chat = delivery.message, delivery.chat
    if message.deleted_at:
        raise DeletedBeforeSent("Deleted by the operator before it was sent.")
    if chat.line.is_closed:
        raise LineDisconnected(f"The line {chat.line.name} is disconnected.")
    if chat.blocked:
        raise Blocked("The customer has blocked the business.")
    files = transfer.outbound_files(message, still_ours)
    still_ours()
    channel = get_channel(chat.line)
    try:
        return channel.send(replace(_outbound(delivery), files=files, record=record))
    except (Unreachable, ServerFault) as exc:
        if channel.repeats_are_known or not _may_have_arrived(exc):
            raise
        raise Unheard(str(exc), code=exc.code, retry_after=exc.retry_after) from exc


def _may_have_arrived(exc: Unreachable | ServerFault) -> bool:
    """Whether a call may have had its effect: no answer came, or a good one that cannot be read."""
    if isinstance(exc, Unreachable):
        return exc.code != "connect"
    return re.fullmatch(r"(2\d\d)?", exc.code) is not None


def _edit_at_customer(delivery: Delivery) -> None:
    message = delivery.message
    if message.external_id and not message.deleted_at and not delivery.chat.line.is_closed:
        get_channel(delivery.chat.line).edit(_outbound(delivery))


def _delete_at_customer(delivery: Delivery) -> None:
    message, outbound = delivery.message, _outbound(delivery)
    if message.earlier_ids and not message.external_id:  # some parts were sent, and then no more
        *earlier, last = message.earlier_ids
        outbound = replace(outbound, external_id=last, earlier_ids=earlier)
    if outbound.external_id and not delivery.chat.line.is_closed:
        get_channel(delivery.chat.line).delete(outbound)


def _outbound(delivery: Delivery) -> OutboundMessage:
    message, chat = delivery.message, delivery.chat
    return OutboundMessage(
        client_id=str(message.uspacy_id),
        delivery_id=str(delivery.pk),
        chat_id=chat.external_id,
        contact_id=chat.contact_id or chat.external_id,
        seq=message.pk,
        text=message.text,
        external_id=message.external_id,
        earlier_ids=message.earlier_ids,
        reply_to=message.parent.external_id if message.parent else "",
        quoted=message.parent.text if message.parent else "",
        author_id=message.author_id,
        sent_at=message.sent_at,
        customer_wrote_at=chat.customer_wrote_at,
    )
