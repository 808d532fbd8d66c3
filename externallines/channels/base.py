"""The channel contract: what an adapter takes, gives and raises.

An adapter is one file and one class. It knows its messenger's wire format and nothing of Django, rows or
retries: it turns requests into the events below, sends what it is given, and raises the right error.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, BinaryIO, ClassVar
from urllib.parse import urlsplit

from externallines.channels.errors import (
    AccountProblem,
    AccountThrottled,
    Blocked,
    Doubtful,
    InvalidCredentials,
    InvalidSignature,
    Unsupported,
    WindowClosed,
)
from externallines.channels.events import (
    ChatMoved,
    ChatProgressed,
    Contact,
    Event,
    Ignored,
    Media,
    MediaKind,
    MessageDeleted,
    MessageEdited,
    MessageReceived,
    Progress,
    ReachabilityChanged,
    StatusReported,
    Update,
)

__all__ = [
    "Account",
    "AccountProblem",
    "AccountThrottled",
    "Blocked",
    "Channel",
    "ChatMoved",
    "ChatProgressed",
    "Contact",
    "CredentialField",
    "Doubtful",
    "Event",
    "Headers",
    "Ignored",
    "InvalidCredentials",
    "InvalidSignature",
    "Media",
    "MediaKind",
    "MessageDeleted",
    "MessageEdited",
    "MessageReceived",
    "OutboundFile",
    "OutboundMessage",
    "Progress",
    "Rate",
    "ReachabilityChanged",
    "Receipt",
    "StatusReported",
    "Unsupported",
    "Update",
    "WindowClosed",
    "host_of",
]

Headers = Mapping[str, str]  # keys in lower case


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
    """An operator's message, or its newest state for an edit or a deletion.

    A messenger may need several messages for one of ours, its parts: long text, several files. `send` calls
    `record` with the id of each part that was taken but the last, whose id is the receipt's. A repeated
    `send` finds those ids in `earlier_ids` and goes on behind them.
    """

    client_id: str  # our id of the message: a UUID
    delivery_id: str  # our id of this sending: the same on every attempt, another for an edit
    chat_id: str
    contact_id: str
    seq: int  # rises with every message of the chat
    text: str = ""  # Markdown
    files: Sequence[OutboundFile] = ()
    external_id: str = ""  # the messenger's id, known once sent; of the last part
    earlier_ids: Sequence[str] = ()  # the ids of the parts before it
    record: Callable[[str], None] = field(default=lambda part_id: None, compare=False)
    reply_to: str = ""  # the messenger's id of the quoted message
    quoted: str = ""  # its text in Markdown, for messengers that cannot quote
    author_id: str = ""
    sent_at: datetime | None = None
    customer_wrote_at: datetime | None = None  # when the customer's newest message was sent


@dataclass(frozen=True, slots=True)
class Receipt:
    """The messenger took the message; `external_id` is the id of its last part there.

    `hold` keeps the chat's next message back for that many seconds, or until a status of this one is reported:
    for messengers that may overtake themselves. `note` tells the operator what the customer does not see.
    """

    external_id: str
    status: Progress = Progress.SENT
    hold: float = 0.0
    note: str = ""


# What connecting needs and yields


@dataclass(frozen=True, slots=True)
class CredentialField:
    """One field of the form in which an owner connects an account; with `choices` its value is one of them."""

    name: str
    label: str
    help_text: str
    required: bool = True
    secret: bool = False
    choices: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Account:
    """The connected account as its messenger describes it; `external_id` is unique per account.

    `learned` is kept with the credentials: what the adapter needs to know of the account later (JSON).
    """

    external_id: str
    name: str = ""
    phone_number: str = ""
    picture_url: str = ""
    active: bool = True  # False: works only once its first event arrived
    learned: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rate:
    """A budget of calls: `burst` at once, refilled by `per_second`."""

    per_second: float
    burst: int


class Channel(ABC):
    """One messenger. An instance speaks for one line, with that line's credentials and webhook URL."""

    slug: ClassVar[str]
    label: ClassVar[str]
    credential_fields: ClassVar[Sequence[CredentialField]]
    max_body: ClassVar[int] = 1024 * 1024  # bytes of one webhook call
    is_strict: ClassVar[bool] = False  # a payload that breaks the contract is refused (422), not kept as failed
    bare_answer: ClassVar[bool] = False  # whether the messenger wants its calls answered by 200 and no word
    chat_meta: ClassVar[str] = ""  # the Uspacy meta type whose value is the chat id, where there is one
    may_move: ClassVar[bool] = False  # whether new credentials may bring a line another account
    # What `prepare` says of a field, and nothing else: a name in the credentials, and the field it changes with.
    belongs_to: ClassVar[Mapping[str, str]] = {}
    account_rate: ClassVar[Rate | None] = None  # what the messenger takes from one account, None: anything
    chat_rate: ClassVar[Rate | None] = None  # and within one chat
    repeats_are_known: ClassVar[bool] = False  # whether the messenger drops a repeat of a message, by our ids

    def __init__(self, credentials: Mapping[str, Any], webhook_url: str = "") -> None:
        self.credentials = credentials
        self.webhook_url = webhook_url

    def is_ours(self, held: str) -> bool:
        """Whether a webhook that the messenger has is this line's, perhaps at an address that we had before."""
        return bool(key := _last_segment(self.webhook_url)) and _last_segment(held) == key

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

    def show(self) -> dict[str, str]:
        """Return what the owner may look up at any time, as the token to enter in the messenger's console."""
        return {}

    @abstractmethod
    def check(self) -> Account:
        """Ask the messenger whose account this is. Raises InvalidCredentials or RemoteError."""

    def subscribe(self, webhook_url: str) -> None:  # noqa: B027  some messengers need no call
        """Make the messenger call `webhook_url`. Raises InvalidCredentials or RemoteError."""

    def unsubscribe(self, webhook_url: str) -> None:  # noqa: B027
        """Stop the calls to `webhook_url`, and only those. Raises RemoteError."""

    def health(self, webhook_url: str) -> list[str]:
        """Return sentences about what the owner should mend before customers notice. Raises RemoteError."""
        return []

    def renew(self, now: datetime) -> dict[str, Any] | None:
        """Return new credentials to store if some are about to expire, else None. Raises RemoteError."""
        return None

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

    def look_up(self, contact: Contact) -> Contact:
        """Return the contact with what the messenger tells of it on request. Raises RemoteError."""
        return contact

    def acknowledge(self, thanks: Mapping[str, Any]) -> None:  # noqa: B027
        """Tell the messenger that a message has arrived in Uspacy. Raises RemoteError."""

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


def host_of(url: str) -> str:
    """Return the host that a URL names, for an owner to recognize; "" for what is no URL."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _last_segment(url: str) -> str:
    """Return the end of a URL's path, which in ours is the key of the line; "" for what is no URL."""
    try:
        return urlsplit(url).path.rpartition("/")[2]
    except ValueError:
        return ""
