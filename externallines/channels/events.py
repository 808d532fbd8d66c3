"""What an adapter makes of a webhook: the events that happen in chats, in one vocabulary for all messengers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class MediaKind(StrEnum):
    IMAGE = "image"
    VIDEO = "video"
    AUDIO = "audio"
    VOICE = "voice"
    FILE = "file"


@dataclass(frozen=True, slots=True)
class Media:
    """A file of an incoming message; `source` is what the adapter needs to download it later (JSON)."""

    source: Mapping[str, Any]
    name: str
    mime_type: str = "application/octet-stream"
    size: int | None = None
    kind: MediaKind = MediaKind.FILE


@dataclass(frozen=True, slots=True)
class Contact:
    """The customer as the messenger describes them; `meta` are Uspacy's `{type, value}` pairs for its CRM.

    `picture` is for a portrait that has no lasting public URL: what `download` needs to fetch it (JSON).
    """

    id: str
    name: str = ""
    picture_url: str = ""
    picture: Mapping[str, Any] | None = None
    meta: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True)
class MessageReceived:
    """A new message of a customer, or with `outgoing` one that the business wrote elsewhere.

    `aliases` are other ids under which the same chat may be known: it is looked up by any, and remembers all.
    An outgoing message that is an echo of ours tells so by `client_id`, where the messenger gives it back.
    `thanks` is what `acknowledge` needs, if the messenger wants to hear that the message has arrived (JSON).
    """

    chat_id: str
    message_id: str
    contact: Contact
    text: str = ""  # Markdown
    media: Sequence[Media] = ()
    reply_to: str = ""  # the messenger's id of the quoted message
    sent_at: datetime | None = None
    outgoing: bool = False
    aliases: Sequence[str] = ()
    client_id: str = ""
    thanks: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class MessageEdited:
    chat_id: str
    message_id: str
    text: str
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class MessageDeleted:
    chat_id: str
    message_id: str


class Progress(StrEnum):
    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class StatusReported:
    """How far our message came; named by the messenger's id or by ours (`client_id`)."""

    status: Progress
    message_id: str = ""
    client_id: str = ""
    error: str = ""
    failure: str = ""  # the class of error that it stands for, where the messenger tells


@dataclass(frozen=True, slots=True)
class ChatProgressed:
    """All our messages of a chat came so far: up to one (`message_id`), up to a time (`until`), or both."""

    status: Progress
    chat_id: str
    message_id: str = ""
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class ChatMoved:
    """A customer has another id now; `note` tells the operator (Markdown)."""

    chat_id: str
    new_chat_id: str
    message_id: str
    note: str
    sent_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ReachabilityChanged:
    """A customer blocked the business, or lifted the block."""

    contact_id: str
    blocked: bool


@dataclass(frozen=True, slots=True)
class Ignored:
    """A valid webhook that concerns no message; `reason` is for support staff."""

    reason: str


Event = (
    MessageReceived
    | MessageEdited
    | MessageDeleted
    | StatusReported
    | ChatProgressed
    | ChatMoved
    | ReachabilityChanged
    | Ignored
)


@dataclass(frozen=True, slots=True)
class Update:
    """One deduplicable part of a webhook call: `key` is unique per line, `payload` is what `parse` takes."""

    key: str
    payload: Any
