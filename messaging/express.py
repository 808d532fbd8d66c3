"""What comes most, a plain message, in one statement: its event, itself, its delivery, and the time of its chat.

Plain is a new message of nothing but text, in a chat of which nothing else is new. All else goes the long way,
through `inbox` and `services`, and so does what the statement finds not to be plain: it then stores nothing. Both
ways store the same (tests/messaging/test_express.py); docs/performance.md says what this one is worth.
"""

from datetime import timedelta
from functools import partial
from typing import Any

from django.db import transaction

from externallines.channels.base import MessageReceived
from externallines.models import ExternalLine
from messaging import announcer, chats, services
from messaging.models import Delivery, Message, WebhookEvent
from messaging.statements import (
    AS_OPERATORS_SAY,
    INSERT_DELIVERY,
    INSERT_MESSAGE,
    INTO_EVENTS,
    NEWEST,
    values_of,
)
from messaging.uspacy_events import Action, OperatorMessage
from portals.rows import fetch


def _taking(which: str) -> str:
    """Return the statement that stores a message in the chat of an UPDATE that ends with `which`.

    It locks the chat first, so that the ids of messages and deliveries rise in the order of commits. The long way
    stores its event before that: two copies of one event, one on each way, may lock each other out. PostgreSQL
    ends that, and the sender repeats.
    """
    return f"""
        WITH chat AS (
            UPDATE messaging_chat chat SET {NEWEST}
            {which} AND NOT EXISTS (
                SELECT FROM messaging_webhookevent WHERE source = %(source)s AND key = %(key)s
            )
            RETURNING chat.id
        ), event AS (
            {INTO_EVENTS}
            SELECT %(source)s, %(key)s, %(payload)s, %(received_at)s, 'accepted', '', '', '' FROM chat
            RETURNING id
        ), message AS ({INSERT_MESSAGE} RETURNING id, chat_id)
        {INSERT_DELIVERY}
    """  # noqa: S608  no part of it is from outside


# Nobody has a message with such an id: whose chat it is in does not matter here, and one look at the index tells.
# Of a range, PostgreSQL's prepared plan expects many, and would rather read through the chat.
TAKE_FROM_OPERATOR = _taking(f"""
    FROM externallines_externalline line JOIN portals_portal portal ON portal.id = line.portal_id
    WHERE line.id = chat.line_id AND {AS_OPERATORS_SAY}
        AND coalesce(%(last)s < (
            SELECT uspacy_id FROM messaging_message WHERE uspacy_id >= %(first)s ORDER BY uspacy_id LIMIT 1
        ), true)
""")  # noqa: S608  no part of it is from outside

TAKE_FROM_CUSTOMER = _taking("""
    WHERE chat.id = %(chat)s AND NOT EXISTS (
        SELECT FROM messaging_message message
        WHERE message.chat_id = chat.id AND message.external_id = %(external_id)s AND message.external_id <> ''
    )
""")


def take_from_operator(event: WebhookEvent, written: OperatorMessage) -> bool:
    """Store an event with the message that it brings; False, and nothing is stored, if that is not plain.

    Raises IntegrityError, and nothing is stored, if another is storing the same at this moment.
    """
    if written.action is not Action.CREATE or written.files or written.parent_id or not written.line_id:
        return False
    first, last = services.ids_alike(written.id)
    chat = {"chat": written.chat_id, "line": written.line_id, "domain": written.domain}
    towards = Delivery.Destination.CUSTOMER
    return _take(TAKE_FROM_OPERATOR, event, services.outbound(written), towards, **chat, first=first, last=last)


def take_from_customer(line: ExternalLine, event: WebhookEvent, received: MessageReceived) -> bool:
    """Do the same with a customer's."""
    if received.media or received.reply_to or received.outgoing:
        return False
    chat = chats.known_by(line, received)
    if chat is None:
        return False
    towards = Delivery.Destination.USPACY
    return _take(TAKE_FROM_CUSTOMER, event, services.inbound(chat, received), towards, chat=chat.pk)


def _take(
    statement: str, event: WebhookEvent, message: Message, towards: Delivery.Destination, **where: Any
) -> bool:
    values = values_of(message, towards, wait=timedelta(0), customer_wrote_at=services.wrote_at(message))
    for name in ("source", "key", "payload", "received_at"):
        values[name] = getattr(event, name)
    rows = fetch(statement, values | where)
    for chat_id, _message_id in rows:
        transaction.on_commit(partial(announcer.announce, chat_id))
    return bool(rows)
