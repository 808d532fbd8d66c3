"""What Messenger and Instagram have in common: events, and the Send API (channels.md 4)."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, BinaryIO, ClassVar

from externallines.channels import messenger_events, rendering
from externallines.channels.base import (
    Contact,
    CredentialField,
    Event,
    Headers,
    InvalidCredentials,
    OutboundFile,
    OutboundMessage,
    Rate,
    Receipt,
    Update,
    WindowClosed,
)
from externallines.channels.meta import WINDOW, Meta, answered_id, window_age
from externallines.channels.meta_errors import MESSENGER
from externallines.channels.meta_payloads import bare
from portals import http
from portals.payload import Payload

MIB = 1024 * 1024
HUMAN_WINDOW = timedelta(days=7)
HUMAN_AGENT = CredentialField(
    "human_agent",
    "Human Agent",
    "Enter yes if Meta has granted your app the feature Human Agent: operators may then answer for 7 days.",
    required=False,
    choices=("yes", "no"),
)
NO_PROFILE = {"100", "230", "10", "200"}  # the customer has not agreed that we see it, or may not


@dataclass(frozen=True, slots=True)
class Part:
    """One message of Meta's: a text, or files that go in one message."""

    text: str = ""
    files: Sequence[OutboundFile] = ()


class Messenger(Meta):
    """A channel of the Messenger Platform."""

    rows = MESSENGER
    account_rate = Rate(per_second=300, burst=300)
    text_limit: ClassVar[int]
    text_size: ClassVar[Callable[[str], int]]
    profile_fields: ClassVar[str]
    human_tag: ClassVar[Mapping[str, str]] = {"tag": "HUMAN_AGENT"}  # marks what a person wrote after 24 hours

    @classmethod
    def prepare(cls, given: Mapping[str, str]) -> dict[str, Any]:
        if given.get("human_agent", "") not in ("", "yes", "no"):
            raise InvalidCredentials("This has to be yes or no.", field="human_agent")
        return super().prepare(given)

    # webhooks in

    @property
    @abstractmethod
    def own_id(self) -> str:
        """The id of the account in webhooks, "" where it is not known yet."""

    @property
    def echoing_app(self) -> str:
        """The app whose echoes are of our messages, where they carry no id of ours."""
        return ""

    def split(self, headers: Headers, body: bytes) -> list[Update]:
        return [
            update
            for entry in self.entries(body)
            if not self.own_id or str(entry.value.get("id")) == self.own_id
            for update in messenger_events.updates(entry)
        ]

    def parse(self, payload: Any) -> list[Event]:
        known = {"chat_meta": self.chat_meta, "account_id": self.own_id, "app_id": self.echoing_app}
        return messenger_events.events(Payload(payload), **known)

    # calls out

    def send(self, message: OutboundMessage) -> Receipt:
        timing = self._timing(message)
        parts = self.plan(message)
        if not parts:
            raise http.Refused("The message is empty.")
        sent_id = ""
        done = min(len(message.earlier_ids), len(parts) - 1)  # an edit may have made it shorter
        for number, part in enumerate(parts[done:], done):
            envelope = {"recipient": {"id": message.chat_id}, **timing}
            if number == 0 and self._can_quote(message):
                envelope["reply_to"] = {"mid": message.reply_to}
            sent_id = answered_id(self._send_part(part, envelope, message.client_id), "message_id")
            if number < len(parts) - 1:
                message.record(sent_id)
        linked = [file.name for file in message.files if self.kind_of(file) is None]
        return Receipt(sent_id, note=f"Sent as a link: {', '.join(linked)}." if linked else "")

    def _timing(self, message: OutboundMessage) -> dict[str, Any]:
        """Return how Meta is told that the message is allowed now. Raises WindowClosed."""
        silence, human_agent = window_age(message), self.credentials.get("human_agent") == "yes"
        if silence <= WINDOW:
            return {"messaging_type": "RESPONSE"} if self.is_messenger_platform else {}
        if human_agent and silence <= HUMAN_WINDOW:
            return dict(self.human_tag)
        allowed = "7 days" if human_agent else "24 hours"
        raise WindowClosed(
            f"More than {allowed} have passed since the customer's last message. {self.label} takes no answer "
            "until they write again."
        )

    @property
    def is_messenger_platform(self) -> bool:
        """Whether the API has the fields messaging_type and metadata."""
        return True

    def _can_quote(self, message: OutboundMessage) -> bool:
        ours = message.reply_to.startswith(messenger_events.OUR_IDS)
        return bool(message.reply_to) and not ours and window_age(message) <= WINDOW

    def plan(self, message: OutboundMessage) -> list[Part]:
        """Return the parts a message is sent in: its files, then its text with links to what cannot be a file."""
        files = [Part(files=group) for group in self.grouped([f for f in message.files if self.kind_of(f)])]
        links = [self._link_to(file) for file in message.files if self.kind_of(file) is None]
        texts = rendering.plain_pieces(message.text, self.text_limit, type(self).text_size)
        return [*files, *(Part(text) for text in [*texts, *links])]

    def _link_to(self, file: OutboundFile) -> str:
        named = f"{file.name}: {file.url}"
        return named if type(self).text_size(named) <= self.text_limit else file.url

    def grouped(self, files: Sequence[OutboundFile]) -> list[list[OutboundFile]]:
        """Return the files by the messages they go in."""
        return [[file] for file in files]

    @abstractmethod
    def kind_of(self, file: OutboundFile) -> str | None:
        """Return as what a file is sent, None if only a link to it can be."""

    def _send_part(self, part: Part, envelope: Mapping[str, Any], client_id: str) -> Payload:
        metadata = {"metadata": client_id} if self.is_messenger_platform else {}
        if part.files:
            return self.send_files(part.files, envelope, metadata)
        return self.post({**envelope, "message": {"text": part.text, **metadata}})

    @abstractmethod
    def send_files(
        self, files: Sequence[OutboundFile], envelope: Mapping[str, Any], metadata: Mapping[str, str]
    ) -> Payload:
        """Send the files of one part."""

    def post(self, body: Mapping[str, Any]) -> Payload:
        return self.ask("POST", f"{self.account_id}/messages", json=body)

    def look_up(self, contact: Contact) -> Contact:
        """Return the contact with name and picture, which Meta shows once the customer has written."""
        try:
            profile = self.ask("GET", contact.id, params={"fields": self.profile_fields}).value
        except http.RemoteError as exc:
            if exc.code.partition("/")[0] in NO_PROFILE:
                return contact
            raise
        told = {name: value for name, value in profile.items() if isinstance(value, str) and value}
        full_name = " ".join(told[name] for name in ("first_name", "last_name") if name in told)
        username = told.get("username", "")[:255]
        return Contact(
            contact.id,
            name=(told.get("name") or full_name or username or contact.name)[:255],
            picture={"profile_of": contact.id} if "profile_pic" in told else contact.picture,
            meta=[*contact.meta, *([("username", username)] if username else [])],
        )

    def download(self, source: Mapping[str, Any], into: BinaryIO, max_bytes: int) -> str:
        url = self._portrait_of(source["profile_of"]) if "profile_of" in source else str(source["url"])
        return http.download(url, into, max_bytes=max_bytes, remote=f"{self.remote} media").mime_type

    def _portrait_of(self, customer_id: str) -> str:
        """Return where a customer's portrait is now: the address ends within days."""
        url = self.ask("GET", customer_id, params={"fields": "profile_pic"}).value.get("profile_pic")
        if not isinstance(url, str) or not url:
            raise http.Refused("The customer shows no portrait.")
        return url

    # the page

    def app_problems(self, webhook_url: str, account: str) -> list[str]:
        """Return what keeps the account's webhooks from us."""
        address, fields = self.callback()
        if address != webhook_url:
            return ["The Meta app sends its webhooks to another address. Set ours in the App Dashboard."]
        found = []
        if "messages" not in fields:
            found.append("The Meta app does not listen to messages. Subscribe it to the field messages.")
        if self.has_our_app(self.ask("GET", f"{account}/subscribed_apps")) is None:
            found.append("The account does not tell the Meta app of messages. Reconnect the line.")
        return found

    def claim_callback(self, webhook_url: str, fields: Sequence[str]) -> None:
        """Point the app at us. It has one address for all its accounts, which we take from nobody."""
        address, _fields = self.callback()
        if address and not self.is_ours(address):
            raise InvalidCredentials(
                "This Meta app sends its webhooks to another address already. Remove that in the App Dashboard, "
                "or use another app for this line.",
                field="app_id",
            )
        self.set_callback(webhook_url, fields)


def media_kind(file: OutboundFile) -> str:
    """Return the type of attachment for a file, by what it is."""
    family = bare(file.mime_type).partition("/")[0]
    return family if family in ("image", "video", "audio") else "file"


def attachment(kind: str, **payload: Any) -> dict[str, Any]:
    return {"type": kind, "payload": payload}
