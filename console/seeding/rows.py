"""Rows of the large tables, as COPY takes them: the names are the columns'."""

from datetime import datetime
from typing import NamedTuple


class ChatRow(NamedTuple):
    id: int
    line_id: int
    external_id: str
    contact_id: str
    uspacy_id: str
    name: str
    meta: str
    blocked: bool
    customer_wrote_at: datetime | None
    last_message_at: datetime
    in_uspacy: bool = True
    picture_url: str = ""


class MessageRow(NamedTuple):
    id: int
    chat_id: int
    direction: str
    uspacy_id: str
    external_id: str
    type: str
    text: str
    author_id: str
    parent_id: int | None
    status: str
    error: str
    sent_at: datetime
    created_at: datetime
    edited_at: datetime | None = None
    deleted_at: datetime | None = None
    event_id: int | None = None


class AttachmentRow(NamedTuple):
    message_id: int
    name: str
    mime_type: str
    size: int
    kind: str
    source: str
    uspacy_file: str | None
    sha256: str = ""
    error: str = ""


class DeliveryRow(NamedTuple):
    id: int
    message_id: int
    chat_id: int
    destination: str
    kind: str
    status: str
    attempts: int
    available_at: datetime
    created_at: datetime
    settled_at: datetime | None
    error: str = ""
    failure: str = ""
    in_a_row: int = 0


class EventRow(NamedTuple):
    id: int
    source: str
    key: str
    payload: str
    received_at: datetime
    outcome: str = "accepted"
    reason: str = ""
    error: str = ""
    awaits: str = ""
