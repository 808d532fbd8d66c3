"""A messenger of the tests' own: it can do everything that the channel contract knows, and has no wire format.

A webhook call only names events that `Messenger.tell` has put ready, and `send` hands over to Python.
"""

import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, BinaryIO

import requests

from externallines.channels.base import (
    Account,
    Channel,
    Contact,
    CredentialField,
    Event,
    Headers,
    InvalidSignature,
    MessageReceived,
    OutboundMessage,
    Rate,
    Receipt,
    Update,
)
from externallines.models import ExternalLine
from externallines.services import webhook_url
from portals.http import Refused
from portals.payload import parse_json
from tests.simulators import outgoing


class Messenger:
    """The other side. What it shall do next is set on it, what it saw is kept in it."""

    def __init__(self) -> None:
        self.line: ExternalLine | None = None
        self.account = Account("toy-account")
        self.events: dict[str, Sequence[Event]] = {}
        self.taken: list[tuple[str, str]] = []  # chat id and text of every part
        self.ids: list[str] = []  # of every part
        self.messages: list[OutboundMessage] = []  # as `send` got them
        self.deleted: list[OutboundMessage] = []
        self.failures: list[Exception | None] = []  # of the next parts
        self.before_answer: Callable[[str], None] = lambda part_id: None
        self.hold, self.note = 0.0, ""
        self.contact: Contact | Exception | None = None  # what a look-up tells
        self.looked_up: list[Contact] = []
        self.thanks: list[Mapping[str, Any]] = []
        self.thanks_failure: Exception | None = None
        self.files: dict[str, bytes] = {}
        self.warnings: list[str] | Exception = []
        self.renewed: dict[str, Any] | None = None
        self.while_renewing: Callable[[], None] = lambda: None
        self.while_subscribing: Callable[[], None] = lambda: None
        self._numbers = itertools.count(1)

    @property
    def texts(self) -> list[str]:
        return [text for _chat_id, text in self.taken]

    def tell(self, *events: Event) -> requests.Response:
        """Call the line's webhook."""
        assert self.line is not None
        key = f"call-{next(self._numbers)}"
        self.events[key] = events
        return self.call({"key": key})

    def call(self, body: Any) -> requests.Response:
        assert self.line is not None
        return outgoing.call("POST", webhook_url(self.line), data=json.dumps(body), headers={"x-toy": "yes"})

    def writes(self, text: str = "Hello", chat_id: str = "ann", **fields: Any) -> MessageReceived:
        """A customer writes; the event is told."""
        fields = {"message_id": f"c{next(self._numbers)}", "contact": Contact("ann", "Ann"), **fields}
        event = MessageReceived(chat_id=chat_id, text=text, **fields)
        assert self.tell(event).status_code == 202
        return event

    def take(self, message: OutboundMessage, text: str) -> str:
        failure = self.failures.pop(0) if self.failures else None
        if failure is not None:
            raise failure
        part_id = f"p{next(self._numbers)}"
        self.taken.append((message.chat_id, text))
        self.ids.append(part_id)
        self.before_answer(part_id)
        return part_id


class Toy(Channel):
    slug, label = "toy", "Toy"
    credential_fields = (CredentialField("token", "Token", "Anything."),)
    messenger: Messenger  # set anew by each test
    account_rate: Rate | None = None  # type: ignore[misc]
    chat_rate: Rate | None = None  # type: ignore[misc]

    @classmethod
    def prepare(cls, given: Mapping[str, str]) -> dict[str, Any]:
        return {"token": given["token"]}

    def show(self) -> dict[str, str]:
        return {"verify_token": f"verify-{self.credentials['token']}"}

    def check(self) -> Account:
        return self.messenger.account

    def subscribe(self, webhook_url: str) -> None:
        self.messenger.while_subscribing()

    def health(self, webhook_url: str) -> list[str]:
        if isinstance(self.messenger.warnings, Exception):
            raise self.messenger.warnings
        return self.messenger.warnings

    def renew(self, now: datetime) -> dict[str, Any] | None:
        self.messenger.while_renewing()
        return self.messenger.renewed

    def verify(self, headers: Headers, body: bytes) -> None:
        if headers.get("x-toy") != "yes":
            raise InvalidSignature("Not from the toy.")

    def split(self, headers: Headers, body: bytes) -> list[Update]:
        payload = parse_json(body)
        return [Update(payload["key"], payload)] if payload else []

    def parse(self, payload: Any) -> list[Event]:
        return list(self.messenger.events[payload["key"]])

    @property
    def remote(self) -> str:
        return "toy"

    def send(self, message: OutboundMessage) -> Receipt:
        """A text with bars is sent in parts."""
        self.messenger.messages.append(message)
        *earlier, last = message.text.split("|")
        for text in earlier[len(message.earlier_ids) :]:
            message.record(self.messenger.take(message, text))
        return Receipt(self.messenger.take(message, last), hold=self.messenger.hold, note=self.messenger.note)

    def delete(self, message: OutboundMessage) -> None:
        self.messenger.deleted.append(message)

    def look_up(self, contact: Contact) -> Contact:
        self.messenger.looked_up.append(contact)
        if isinstance(self.messenger.contact, Exception):
            raise self.messenger.contact
        return self.messenger.contact or contact

    def acknowledge(self, thanks: Mapping[str, Any]) -> None:
        self.messenger.thanks.append(thanks)
        if self.messenger.thanks_failure:
            raise self.messenger.thanks_failure

    def download(self, source: Mapping[str, Any], into: BinaryIO, max_bytes: int) -> str:
        if source["name"] not in self.messenger.files:
            raise Refused("There is no such file.")
        into.write(self.messenger.files[source["name"]])
        return "application/octet-stream"
