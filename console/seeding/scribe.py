"""One message with all that belongs to it: its file, its deliveries, and the webhook that told of it."""

import json
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

from django.db import transaction

from console.seeding import payloads
from console.seeding.customers import Customer, message_id
from console.seeding.dialogues import Line
from console.seeding.fates import Fate
from console.seeding.houses import Place
from console.seeding.loading import copy, ids_of
from console.seeding.rows import AttachmentRow, DeliveryRow, EventRow, MessageRow
from messaging.models import USPACY, Attachment, Delivery, Message, WebhookEvent

TYPES = {"voice": "VOICE", "video": "VIDEO"}
ECHOED, BROKEN = 0.1, 0.0002  # parts of the customers' messages; more would be more of the same
BROKEN_EVENT = """Traceback (most recent call last):
  File "messaging/inbox.py", line 104, in _receive
    brought = _interpret(event, interpret)
portals.payload.InvalidPayload: data.entity.chatId has to be a UUID.
"""
SOON, LATER = timedelta(milliseconds=350), timedelta(seconds=45)


@dataclass(slots=True)
class Batch:
    """Rows that are stored together."""

    messages: list[MessageRow] = field(default_factory=list)
    attachments: list[AttachmentRow] = field(default_factory=list)
    deliveries: list[DeliveryRow] = field(default_factory=list)
    events: list[EventRow] = field(default_factory=list)

    def store(self) -> None:
        with transaction.atomic():
            copy(WebhookEvent, self.events)
            copy(Message, self.messages)
            copy(Attachment, self.attachments)
            copy(Delivery, self.deliveries)


class Scribe:
    """Writes messages into batches; webhook events only of those that are younger than `events_since`."""

    def __init__(self, random: Random, events_since: datetime) -> None:
        self._random = random
        self._events_since = events_since
        self._message_ids, self._delivery_ids = ids_of(Message), ids_of(Delivery)
        self._event_ids = ids_of(WebhookEvent)
        self.batch = Batch()

    def store(self) -> None:
        self.batch.store()
        self.batch = Batch()

    def write(
        self,
        place: Place,
        who: Customer,
        line: Line,
        at: datetime,
        fate: Fate,
        *,
        quoted: MessageRow | None = None,
        order: int = 0,
    ) -> MessageRow:
        number = next(self._message_ids)
        text, file_name = (said.replace("{order}", str(order)) for said in (line.text, line.file))
        arrived = fate.status not in ("queued", "failed")
        external_id = message_id(place, number) if line.by_customer or arrived else ""
        uspacy_id = str(uuid.uuid5(who.uspacy_id, external_id) if line.by_customer else self._uuid())
        message = MessageRow(
            number,
            who.chat_id,
            "in" if line.by_customer else "out",
            uspacy_id,
            external_id,
            TYPES.get(line.kind, "MESSAGE"),
            text,
            who.contact_id if line.by_customer else payloads.OPERATOR,
            quoted.id if quoted else None,
            fate.status,
            fate.error if fate.status == "failed" else "",
            at,
            at + SOON,
            edited_at=at + LATER if line.edited else None,
            deleted_at=at + LATER if line.deleted else None,
            event_id=next(self._event_ids) if at > self._events_since else None,
        )
        self.batch.messages.append(message)
        if line.kind:
            self._attach(place, line, file_name, message)
        self._deliver(line, message, fate)
        if message.event_id:
            self._tell(place, who, line, message, message.event_id, quoted, file_name)
        return message

    def _attach(self, place: Place, line: Line, name: str, message: MessageRow) -> None:
        file = payloads.uspacy_file(line, name, message.uspacy_id, message.id, message.sent_at)
        source = payloads.source(place, message.external_id) if line.by_customer else {"url": file["url"]}
        self.batch.attachments.append(
            AttachmentRow(
                message.id,
                name,
                line.mime_type,
                file["size"],
                line.kind,
                json.dumps(source),
                json.dumps(file, ensure_ascii=False),
            )
        )

    def _deliver(self, line: Line, message: MessageRow, fate: Fate) -> None:
        towards, back = ("uspacy", "customer") if line.by_customer else ("customer", "uspacy")
        at = message.created_at
        if message.status == "queued":
            tried = 1 if fate.failure else 0
            self._delivery(
                message, towards, "message", "open", at, error=fate.error, failure=fate.failure, attempts=tried
            )
            return
        if message.status == "failed":
            self._delivery(message, towards, "message", "failed", at, error=fate.error, failure=fate.failure)
        else:
            self._delivery(message, towards, "message", "sent", at)
        if not line.by_customer:
            self._delivery(message, back, "status", "sent", at + SOON)
        if message.edited_at:
            self._delivery(message, towards, "edit", "sent", message.edited_at)
        if message.deleted_at:
            self._delivery(message, towards, "delete", "sent", message.deleted_at)

    def _delivery(
        self,
        message: MessageRow,
        destination: str,
        kind: str,
        status: str,
        at: datetime,
        *,
        attempts: int = 1,
        error: str = "",
        failure: str = "",
    ) -> None:
        settled = None if status == "open" else at + SOON
        number = next(self._delivery_ids)
        in_a_row = 1 if failure else 0
        self.batch.deliveries.append(
            DeliveryRow(
                number,
                message.id,
                message.chat_id,
                destination,
                kind,
                status,
                attempts,
                settled or at,
                at,
                settled,
                error,
                failure,
                in_a_row,
            )
        )

    def _tell(
        self,
        place: Place,
        who: Customer,
        line: Line,
        message: MessageRow,
        event_id: int,
        quoted: MessageRow | None,
        file_name: str,
    ) -> None:
        at, text = message.sent_at, message.text
        if line.by_customer:
            quoted_id = quoted.external_id if quoted else ""
            key, payload = payloads.of_customer(
                place, who, line, text, message.external_id, at, message.id, quoted_id
            )
            self._event(event_id, place.key, key, payload, at)
            chance = self._random.random()
            if chance < ECHOED:
                echo = payloads.of_operator(place, who, line, text, message.uspacy_id, at + SOON, None)
                reason = "echo of a customer's message"
                self._event(
                    next(self._event_ids),
                    USPACY,
                    self._uuid(),
                    payloads.echo(echo, who.contact_id),
                    at + SOON,
                    "ignored",
                    reason,
                )
            elif chance < ECHOED + BROKEN:
                broken = payloads.of_operator(place, who, line, text, message.uspacy_id, at, None)
                broken["data"]["entity"]["chatId"] = broken["data"]["entity"]["parent"]["id"] = "unknown"
                self._event(next(self._event_ids), USPACY, self._uuid(), broken, at, "failed", error=BROKEN_EVENT)
            return
        file = payloads.uspacy_file(line, file_name, message.uspacy_id, message.id, at) if line.kind else None
        written = payloads.of_operator(place, who, line, text, message.uspacy_id, at, file)
        self._event(event_id, USPACY, self._uuid(), written, at)

    def _event(
        self,
        number: int,
        source: str,
        key: str,
        payload: payloads.Json,
        at: datetime,
        outcome: str = "accepted",
        reason: str = "",
        error: str = "",
    ) -> None:
        text = json.dumps(payload, ensure_ascii=False)
        self.batch.events.append(EventRow(number, source, key, text, at + SOON, outcome, reason, error))

    def _uuid(self) -> str:
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))
