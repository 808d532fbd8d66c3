"""The channel contract: what an adapter takes, gives and raises.

An adapter is one file and one class. It knows its messenger's wire format and nothing of Django, rows or
retries: it turns requests into the events below, sends what it is given, and raises the right error.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, BinaryIO, ClassVar

from portals.http import Refused, RemoteError

Headers = Mapping[str, str]  # keys in lower case


# Errors


class InvalidSignature(Exception):
    """A webhook is not from the line's messenger."""


class InvalidCredentials(Exception):
    """The credentials cannot be used; the message tells the line's owner why."""

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class AccountProblem(RemoteError):
    """The account behind the line needs its owner: the line goes to `error`, its messages wait.

    `tolerated` earlier failures of the same message are taken for a passing trouble first.
    """

    retryable = True

    def __init__(self, message: str, *, tolerated: int = 0) -> None:
        super().__init__(message)
        self.tolerated = tolerated


class Blocked(Refused):
    """This customer cannot be reached until they write again."""


class WindowClosed(Refused):
    """The messenger takes no answer so long after the customer's last message."""


class Unsupported(Refused):
    """The messenger has no such operation; the operator gets the message as a note."""


# What comes in


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
    """The customer as the messenger describes them; `meta` are Uspacy's `{type, value}` pairs for its CRM."""

    id: str
    name: str = ""
    picture_url: str = ""
    meta: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True)
class MessageReceived:
    """A new message of a customer, or with `outgoing` one that the business wrote elsewhere."""

    chat_id: str
    message_id: str
    contact: Contact
    text: str = ""  # Markdown
    media: Sequence[Media] = ()
    reply_to: str = ""  # the messenger's id of the quoted message
    sent_at: datetime | None = None
    outgoing: bool = False


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


@dataclass(frozen=True, slots=True)
class ReachabilityChanged:
    """A customer blocked the business, or lifted the block."""

    contact_id: str
    blocked: bool


@dataclass(frozen=True, slots=True)
class Ignored:
    """A valid webhook that concerns no message; `reason` is for support staff."""

    reason: str


Event = MessageReceived | MessageEdited | MessageDeleted | StatusReported | ReachabilityChanged | Ignored


@dataclass(frozen=True, slots=True)
class Update:
    """One deduplicable part of a webhook call: `key` is unique per line, `payload` is what `parse` takes."""

    key: str
    payload: Any


# What goes out


@dataclass(frozen=True, slots=True)
class OutboundFile:
    """A file of an operator; `url` is public, signed and lasts for days, `write_to` streams the bytes."""

    name: str
    mime_type: str
    size: int
    sha256: str
    kind: MediaKind
    url: str
    write_to: Callable[[BinaryIO], object]


@dataclass(frozen=True, slots=True)
class OutboundMessage:
    """An operator's message, or its newest state for an edit or a deletion."""

    client_id: str  # our id of the message: a UUID
    delivery_id: str  # our id of this sending: the same on every attempt, another for an edit
    chat_id: str
    contact_id: str
    seq: int  # rises with every message of the chat
    text: str = ""  # Markdown
    files: Sequence[OutboundFile] = ()
    external_id: str = ""  # the messenger's id, known once sent
    reply_to: str = ""
    author_id: str = ""
    sent_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """The messenger took the message; `external_id` is its id there."""

    external_id: str
    status: Progress = Progress.SENT


# What connecting needs and yields


@dataclass(frozen=True, slots=True)
class CredentialField:
    """One field of the form in which an owner connects an account."""

    name: str
    label: str
    help_text: str
    required: bool = True
    secret: bool = False


@dataclass(frozen=True, slots=True)
class Account:
    """The connected account as its messenger describes it; `external_id` is unique per account."""

    external_id: str
    name: str = ""
    phone_number: str = ""
    picture_url: str = ""
    active: bool = True  # False: works only once its first event arrived


class Channel(ABC):
    """One messenger. An instance speaks for one line, with that line's credentials."""

    slug: ClassVar[str]
    label: ClassVar[str]
    credential_fields: ClassVar[Sequence[CredentialField]]
    max_body: ClassVar[int] = 1024 * 1024  # bytes of one webhook call
    is_strict: ClassVar[bool] = False  # a payload that breaks the contract is refused (422), not kept as failed
    chat_meta: ClassVar[str] = ""  # the Uspacy meta type whose value is the chat id, where there is one

    def __init__(self, credentials: Mapping[str, Any]) -> None:
        self.credentials = credentials

    # connecting

    @classmethod
    @abstractmethod
    def prepare(cls, given: Mapping[str, str]) -> dict[str, Any]:
        """Return the credentials to store: checked for form, with generated secrets added.

        Raises InvalidCredentials.
        """

    def reveal(self) -> dict[str, str]:
        """Return what the owner is shown once, in the answer that connects the line."""
        return {}

    @abstractmethod
    def check(self) -> Account:
        """Ask the messenger whose account this is. Raises InvalidCredentials or RemoteError."""

    def subscribe(self, webhook_url: str) -> None:  # noqa: B027  some messengers need no call
        """Make the messenger call `webhook_url`. Raises InvalidCredentials or RemoteError."""

    def unsubscribe(self, webhook_url: str) -> None:  # noqa: B027
        """Stop the calls to `webhook_url`, and only those. Raises RemoteError."""

    # webhooks in

    def answer_challenge(self, query: Mapping[str, str]) -> str | None:
        """Return the text that proves the webhook URL is ours, None where the challenge is not for us."""
        return None

    @abstractmethod
    def verify(self, headers: Headers, body: bytes) -> None:
        """Return if `body` is from this line's messenger, else raise InvalidSignature."""

    @abstractmethod
    def split(self, headers: Headers, body: bytes) -> list[Update]:
        """Return the parts of a verified webhook call. Raises InvalidPayload."""

    @abstractmethod
    def parse(self, payload: Any) -> list[Event]:
        """Return what happened. Raises InvalidPayload."""

    # calls out

    @property
    @abstractmethod
    def remote(self) -> str:
        """The name under which the circuit breaker knows the other side (`portals.gate`)."""

    @abstractmethod
    def send(self, message: OutboundMessage) -> Receipt:
        """Hand a message to the messenger. Raises RemoteError."""

    def edit(self, message: OutboundMessage) -> None:
        """Replace the text of a sent message. Raises RemoteError."""
        raise Unsupported(
            f"{self.label} cannot change a message that was sent. The customer still sees the old text."
        )

    def delete(self, message: OutboundMessage) -> None:
        """Delete a sent message. Raises RemoteError."""
        raise Unsupported(f"{self.label} cannot delete a message that was sent. The customer still sees it.")

    @abstractmethod
    def download(self, source: Mapping[str, Any], into: BinaryIO, max_bytes: int) -> str:
        """Write a customer's file to `into` and return its MIME type ("" if unknown). Raises RemoteError."""
