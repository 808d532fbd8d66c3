"""The statements that every message passes, written out (docs/performance.md says what that is worth).

Each does what its name says in one round trip; what they mean is in `services` and `delivery`.
"""

import json
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from externallines.models import ExternalLine
from messaging.models import Attachment, Chat, Delivery, Message, WebhookEvent
from portals.models import Portal
from portals.rows import Columns, fetch

NO_FILES: Any = Attachment.objects.none()
NO_FILES._result_cache = []  # what most messages have is made once
CHAT, MESSAGE, EVENT = Columns(chat=Chat), Columns(message=Message), Columns(event=WebhookEvent)
HEAD = Columns(delivery=Delivery, message=Message, chat=Chat, line=ExternalLine, portal=Portal)

LOCK_CHAT = "SELECT id FROM messaging_chat WHERE id = %s FOR NO KEY UPDATE"

# Only ever a chat of the portal that is named.
AS_OPERATORS_SAY = """
    chat.uspacy_id = %(chat)s AND line.uspacy_id = %(line)s
    AND portal.domain = %(domain)s AND portal.status <> 'uninstalled'
"""

LOCK_CHAT_OF_OPERATOR = f"""
    SELECT {CHAT}
    FROM messaging_chat chat
    JOIN externallines_externalline line ON line.id = chat.line_id
    JOIN portals_portal portal ON portal.id = line.portal_id
    WHERE {AS_OPERATORS_SAY}
    FOR NO KEY UPDATE OF chat
"""

CHAT_OF_CUSTOMER = f"SELECT {CHAT} FROM messaging_chat chat WHERE line_id = %s AND external_id = %s"
LOCK_CHAT_OF_CUSTOMER = f"{CHAT_OF_CUSTOMER} FOR NO KEY UPDATE"

# In the order of the ids, so that two who want several of them do not wait for each other.
LOCK_IDS = """
    SELECT pg_advisory_xact_lock(hashtextextended(%s || ' ' || id, 0))
    FROM (SELECT DISTINCT id FROM unnest(%s::text[]) id ORDER BY id) ids
"""

MESSAGE_OF_MESSENGER = f"""
    SELECT {MESSAGE} FROM messaging_message message
    WHERE chat_id = %s AND external_id = %s AND external_id <> ''
"""

MESSAGES_ALIKE = f"""
    SELECT {MESSAGE} FROM messaging_message message WHERE chat_id = %s AND uspacy_id BETWEEN %s AND %s
"""

# Parts of the statements that store a message: of `chat` and `event`, and of `message`.
NEWEST = """
    last_message_at = greatest(last_message_at, %(created_at)s),
    customer_wrote_at = greatest(customer_wrote_at, %(customer_wrote_at)s::timestamptz)
"""
INSERT_MESSAGE = """
    INSERT INTO messaging_message (chat_id, direction, uspacy_id, external_id, type, text, author_id, parent_id,
        status, error, thanks, sent_at, created_at, event_id)
    SELECT chat.id, %(direction)s, %(uspacy_id)s, %(external_id)s, %(type)s, %(text)s, %(author_id)s, %(parent)s,
        %(status)s, '', %(thanks)s::jsonb, %(sent_at)s, %(created_at)s, event.id
    FROM chat, event
"""
INSERT_DELIVERY = """
    INSERT INTO messaging_delivery (message_id, chat_id, destination, kind, status, attempts, error, in_hand,
        available_at)
    SELECT id, chat_id, %(destination)s, 'message', 'open', 0, '', false, statement_timestamp() + %(wait)s
    FROM message
    RETURNING chat_id, message_id
"""

APPEND_MESSAGE = f"""
    WITH chat (id) AS (VALUES (%(chat)s::bigint)), event (id) AS (VALUES (%(event)s::bigint)),
    message AS ({INSERT_MESSAGE} ON CONFLICT DO NOTHING RETURNING id, chat_id),
    newest AS (UPDATE messaging_chat SET {NEWEST} WHERE id IN (SELECT chat_id FROM message))
    {INSERT_DELIVERY}
"""

INTO_EVENTS = """
    INSERT INTO messaging_webhookevent (source, key, payload, received_at, outcome, reason, error, awaits)
"""

STORE_EVENT = f"""
    {INTO_EVENTS}
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
    ON CONFLICT (source, key) DO NOTHING
    RETURNING id
"""

APPEND_DELIVERY = """
    INSERT INTO messaging_delivery (message_id, chat_id, destination, kind, status, attempts, error, in_hand)
    VALUES (%s, %s, %s, %s, 'open', 0, '', false)
    RETURNING id
"""

# Two looks at the end of an index: a long lane costs no more than a short one.
HEADS = f"""
    SELECT {HEAD}, delivery.available_at - statement_timestamp(),
        EXISTS (SELECT FROM messaging_attachment attachment WHERE attachment.message_id = message.id)
    FROM (VALUES ('uspacy'), ('customer')) lane (destination)
    CROSS JOIN LATERAL (
        SELECT * FROM messaging_delivery
        WHERE chat_id = %s AND destination = lane.destination AND status = 'open'
        ORDER BY id LIMIT 1
    ) delivery
    JOIN messaging_message message ON message.id = delivery.message_id
    JOIN messaging_chat chat ON chat.id = delivery.chat_id
    JOIN externallines_externalline line ON line.id = chat.line_id
    JOIN portals_portal portal ON portal.id = line.portal_id
    ORDER BY delivery.destination DESC
"""

# A row is to be found by its id. Said plainly, `status = 'open'` would allow an index of all that is open instead,
# and a plan that was prepared while that was little would read through it when it is much.
IS_OPEN, IS_QUEUED = "status || '' = 'open'", "status || '' = 'queued'"

CLAIM = f"""
    UPDATE messaging_delivery
    SET attempts = attempts + 1, in_hand = true, available_at = statement_timestamp() + %s
    WHERE id = %s AND attempts = %s AND {IS_OPEN} AND available_at <= statement_timestamp()
    RETURNING id
"""

SETTLE_SENT = f"""
    UPDATE messaging_delivery SET status = 'sent', error = '', settled_at = statement_timestamp()
    WHERE id = %s AND attempts = %s AND {IS_OPEN}
    RETURNING message_id, NOT EXISTS (
        SELECT FROM messaging_delivery other
        WHERE other.chat_id = messaging_delivery.chat_id AND other.status = 'open'
            AND other.id <> messaging_delivery.id
    ) AS is_last
"""

SETTLE_BROUGHT = f"""
    WITH settled AS ({SETTLE_SENT}), advanced AS (
        UPDATE messaging_message SET status = 'sent', error = ''
        WHERE id IN (SELECT message_id FROM settled) AND {IS_QUEUED}
    )
    SELECT message_id, is_last FROM settled
"""

# The messenger's id, or ours if another message of the chat has it.
NAME_MESSAGE = """
    UPDATE messaging_message message SET external_id = CASE
        WHEN EXISTS (
            SELECT FROM messaging_message other
            WHERE other.chat_id = message.chat_id AND other.external_id = %(external_id)s
                AND other.external_id <> '' AND other.id <> message.id
        ) THEN message.uspacy_id::text
        ELSE %(external_id)s
    END
    WHERE id = %(message)s
    RETURNING external_id
"""

ADVANCE = """
    UPDATE messaging_message SET
        status = %(status)s,
        error = CASE WHEN %(error)s <> '' THEN %(error)s WHEN status = 'failed' THEN '' ELSE error END
    WHERE id = %(message)s AND status = ANY(%(reached_from)s)
    RETURNING id
"""

AWAITING = f"""
    SELECT {EVENT} FROM messaging_webhookevent event
    WHERE source = %s AND awaits = %s AND awaits <> '' AND received_at >= %s
    ORDER BY id
"""


def lock_chat(chat_id: int) -> None:
    """Wait until no one else writes to the chat; the lock ends with the transaction."""
    fetch(LOCK_CHAT, [chat_id])


def lock_chat_of_operator(domain: str, line_id: str, chat_id: uuid.UUID) -> Chat | None:
    """Return a chat as Uspacy names it, locked."""
    rows = fetch(LOCK_CHAT_OF_OPERATOR, {"chat": chat_id, "line": line_id, "domain": domain})
    return CHAT.read(rows[0])[0] if rows else None


def chat_of_customer(line: ExternalLine, external_id: str, *, lock: bool) -> Chat | None:
    """Return a chat as its messenger names it."""
    rows = fetch(LOCK_CHAT_OF_CUSTOMER if lock else CHAT_OF_CUSTOMER, [line.pk, external_id])
    if not rows:
        return None
    chat: Chat = CHAT.read(rows[0])[0]
    chat.line = line
    return chat


def lock_ids(line: ExternalLine, ids: Sequence[str]) -> None:
    """Wait until no one else creates a chat under one of these ids; the lock ends with the transaction."""
    fetch(LOCK_IDS, [str(line.key), list(ids)])


def message_of_messenger(chat: Chat, external_id: str) -> Message | None:
    """Return the chat's message that the messenger knows by this id."""
    messages = _messages(chat, fetch(MESSAGE_OF_MESSENGER, [chat.pk, external_id]))
    return messages[0] if messages else None


def messages_alike(chat: Chat, first: uuid.UUID, last: uuid.UUID) -> list[Message]:
    """Return the chat's messages whose ids in Uspacy are in this range."""
    return _messages(chat, fetch(MESSAGES_ALIKE, [chat.pk, first, last]))


def _messages(chat: Chat, rows: Sequence[Sequence[Any]]) -> list[Message]:
    messages = [MESSAGE.read(row)[0] for row in rows]
    for message in messages:
        message.chat = chat
    return messages


def store_event(event: WebhookEvent) -> bool:
    """Insert an event, and set its key; False if it is here already (waits for a concurrent insert to end)."""
    values = [event.source, event.key, event.payload, event.received_at]
    rows = fetch(STORE_EVENT, [*values, event.outcome, event.reason, event.error, event.awaits])
    for (event.pk,) in rows:
        event._state.adding = False
    return bool(rows)


def append_message(
    message: Message, destination: Delivery.Destination, *, wait: timedelta, customer_wrote_at: datetime | None
) -> bool:
    """Insert a message with its delivery, the newest of its chat, and set its key; False if the chat has it.

    It does if either of the message's ids is known there. The delivery is due after `wait`.
    """
    values = values_of(message, destination, wait=wait, customer_wrote_at=customer_wrote_at)
    rows = fetch(APPEND_MESSAGE, values | {"chat": message.chat_id, "event": message.event_id})
    for _chat_id, message.pk in rows:
        message._state.adding = False
    return bool(rows)


def values_of(
    message: Message, destination: Delivery.Destination, *, wait: timedelta, customer_wrote_at: datetime | None
) -> dict[str, Any]:
    """Return what `NEWEST`, `INSERT_MESSAGE` and `INSERT_DELIVERY` ask for."""
    return {
        "direction": message.direction,
        "uspacy_id": message.uspacy_id,
        "external_id": message.external_id,
        "type": message.type,
        "text": message.text,
        "author_id": message.author_id,
        "parent": message.parent_id,
        "status": message.status,
        "thanks": None if message.thanks is None else json.dumps(message.thanks),
        "sent_at": message.sent_at,
        "created_at": message.created_at,
        "destination": destination,
        "wait": wait,
        "customer_wrote_at": customer_wrote_at,
    }


def append_delivery(delivery: Delivery) -> None:
    """Insert a delivery at the end of its lane, and set its key."""
    [[delivery.pk]] = fetch(
        APPEND_DELIVERY, [delivery.message_id, delivery.chat_id, delivery.destination, delivery.kind]
    )
    delivery._state.adding = False


def heads(chat_id: int) -> list[Delivery]:
    """Return the oldest open delivery of each lane of a chat, Uspacy's first, with all that is about it."""
    found = []
    for row in fetch(HEADS, [chat_id]):
        delivery, message, chat, line, portal = HEAD.read(row)
        delivery.due_in, delivery.has_files = row[-2:]
        delivery.message, delivery.chat = message, chat
        message.chat, chat.line, line.portal = chat, line, portal
        if not delivery.has_files:
            message._prefetched_objects_cache = {"attachments": NO_FILES}
        found.append(delivery)
    return found


def claim(delivery: Delivery, lease: timedelta) -> bool:
    """Raise `attempts` if it is still what we read, and the delivery due; False if another worker was faster."""
    return bool(fetch(CLAIM, [lease, delivery.pk, delivery.attempts]))


def settle_sent(delivery: Delivery) -> bool:
    """Mark a delivery as sent, with `is_last` if its chat has no more; False if our claim of it was lost."""
    return _settle(SETTLE_SENT, delivery)


def settle_brought(delivery: Delivery) -> bool:
    """Do the same with a delivery to Uspacy, and mark its message, too."""
    return _settle(SETTLE_BROUGHT, delivery)


def _settle(sql: str, delivery: Delivery) -> bool:
    rows = fetch(sql, [delivery.pk, delivery.attempts])
    if rows:
        _message_id, delivery.is_last = rows[0]
    return bool(rows)


def name_message(message: Message, external_id: str) -> None:
    """Give a message the id that its messenger told us."""
    [[message.external_id]] = fetch(NAME_MESSAGE, {"external_id": external_id, "message": message.pk})


def advance(message: Message, status: str, reached_from: Sequence[str], error: str) -> bool:
    """Give a message a status that is reached only from these; False if it has another."""
    params = {"status": status, "error": error, "message": message.pk, "reached_from": list(reached_from)}
    return bool(fetch(ADVANCE, params))


def awaiting(source: str, message_id: str, since: datetime) -> list[WebhookEvent]:
    """Return the events that wait for a message to become known."""
    return [EVENT.read(row)[0] for row in fetch(AWAITING, [source, message_id, since])]
