"""What the stand-ins for WhatsApp, Messenger and Instagram have in common: an app at Meta, and its webhooks."""

import hmac
import json
import random
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

import requests

from tests.simulators import outgoing
from tests.simulators.courier import Job
from tests.simulators.media import mime_type
from tests.simulators.messengers import Customer, File, Json, Message, Messenger

if TYPE_CHECKING:
    from tests.simulators.world import World

RETRY_DELAYS = (0.5, 1, 2, 4, 8, 15, 30, 60)  # seconds; Meta goes on for a week


@dataclass
class Address:
    """Where webhooks go, once it has answered Meta's challenge."""

    url: str
    verify_token: str
    fields: list[str] = field(default_factory=list)


@dataclass
class Sent:
    """A webhook call on its way to the app."""

    payload: Json
    message: Message | None = None  # the message it is about, if it is about one
    attempts: list[outgoing.Attempt] = field(default_factory=list)
    response: requests.Response | None = None  # the newest answer, None if the last attempt got none

    @property
    def accepted(self) -> bool:
        return bool(self.attempts) and self.attempts[-1].status == 200  # Meta repeats after any other


@dataclass
class Upload:
    """A file the app has uploaded."""

    file: File
    type: str  # the media type it was uploaded as


class MetaAccount(Messenger):
    """One account of a business at Meta, and the Meta app through which it is reached."""

    edits_answers = False
    webhook_object: ClassVar[str]
    root: ClassVar[str] = "graph"  # the Graph API that knows it

    def __init__(self, world: "World", messenger_id: str, name: str) -> None:
        super().__init__(world, messenger_id, name)
        self.app_id, self.app_secret = digits(16), secrets.token_hex(16)
        self.token = f"EAA{secrets.token_urlsafe(40)}"
        self.token_expires_at = 0  # never
        self.token_valid = True
        self.callbacks: dict[str, Address] = {}  # of the app, by the kind of account
        self.subscribed: list[str] | None = None  # the fields the account tells the app of
        self.retry_delays: Sequence[float] = RETRY_DELAYS
        self.status_delay = 0.1  # seconds between taking a message and telling what became of it
        self.refusals: list[tuple[int, Json]] = []  # what the next sends are answered
        self.wrote_at: dict[str, float] = {}  # when a customer wrote last

    # Connecting

    @property
    def connected(self) -> bool:
        return self.webhook is not None

    @property
    def webhook(self) -> Address | None:
        """Where this account's webhooks go."""
        app = self.callbacks.get(self.webhook_object)
        return app if app and "messages" in app.fields and self.subscribed is not None else None

    def connect(self, line: Json, credentials: dict[str, str]) -> None:
        """Nothing to take over: the app has registered its webhook."""

    def challenge(self, url: str, verify_token: str) -> bool:
        """Whether the address answers Meta's challenge; asked while the app waits for our answer."""
        challenge = digits(10)
        query = {"hub.mode": "subscribe", "hub.verify_token": verify_token, "hub.challenge": challenge}
        try:
            answer = outgoing.call("GET", url, params=query, timeout=10)
        except requests.RequestException:
            return False
        plain = answer.headers.get("Content-Type", "").startswith("text/plain")
        return answer.status_code == 200 and answer.text == challenge and plain

    @property
    def url(self) -> str:
        return f"{self.world.base_url}/graph/cdn/{self.id}"

    # What customers do

    def add_customer(self, name: str, **details: Any) -> Customer:
        """A new customer, with an id as Meta gives them."""
        with self.world.change():
            customer = super().add_customer(name, **details)
            del self.customers[customer.id]
            customer.id = self.new_customer_id()
            self.customers[customer.id] = customer
        return customer

    def new_customer_id(self) -> str:
        return digits(16)

    def new_message(self, customer: Customer, text: str, files: Sequence[File], reply_to: str | None) -> Message:
        with self.world.change():
            message = Message(self.new_message_id(), customer.id, "customer", text, list(files), reply_to)
            message.status = "sending"
            self.all_messages[message.id] = message
            self.wrote_at[customer.id] = time.time()
        return message

    def new_message_id(self) -> str:
        return f"m_{secrets.token_urlsafe(24)}"

    def block(self, customer: Customer | str) -> None:
        """A customer blocks the business: Meta tells when it sends."""
        with self.world.change():
            self.customer(customer).blocked = True

    def unblock(self, customer: Customer | str) -> None:
        with self.world.change():
            self.customer(customer).blocked = False

    # What Meta does

    def refuse(self, code: int, subcode: int = 0, *, status: int = 400, times: int = 1, text: str = "no") -> None:
        """Answer the next sends with an error."""
        self.refusals += [(status, error(code, text, subcode))] * times

    def within(self, customer: Customer, hours: float) -> bool:
        return time.time() - self.wrote_at.get(customer.id, 0) <= hours * 3600

    def take(
        self, customer: Customer, text: str, files: list[File], client_id: str | None, **more: Any
    ) -> Message:
        """Keep what the app sent."""
        message = Message(self.new_message_id(), customer.id, "business", text, files, more.get("reply_to"))
        message.client_id, message.status = client_id, "accepted"
        with self.world.change():
            self.all_messages[message.id] = message
        self.world.courier.submit(self.lane(customer), lambda: self.report(message), self.status_delay)
        return message

    def report(self, message: Message) -> None:
        """Tell the app what became of its message."""

    def keep_upload(self, name: str, content: bytes, kind: str) -> File:
        file_id = digits(15)
        url = f"{self.url}/media/{file_id}/{quote(name, safe='')}"
        self.files[file_id] = File(file_id, name, kind or mime_type(name), len(content), url, content)
        return self.files[file_id]

    def lane(self, customer: Customer) -> str:
        """What has to stay in order in the background: the events of one conversation."""
        return f"{self.id} {customer.id}"

    def deliver(
        self, payload: Json, customer: Customer, message: Message | None = None, *, wait: bool = False
    ) -> Sent:
        """Call the webhook: once, now, or in the background until it is taken."""
        if self.webhook is None:
            raise RuntimeError(f"{self.name} is not connected to a line.")
        sent = Sent(payload, message)
        if wait:
            self._attempt(sent)
        else:
            self.world.courier.submit(self.lane(customer), self._job(sent))
        return sent

    def redeliver(self, sent: Sent) -> requests.Response | None:
        """Make the same call once more, now; the app's answer."""
        self._attempt(sent)
        return sent.response

    def _job(self, sent: Sent) -> Job:
        delays = iter(self.retry_delays)
        return lambda: None if self._attempt(sent) else next(delays, None)

    def _attempt(self, sent: Sent) -> bool:
        webhook = self.webhook
        if webhook is None:
            return True  # removed meanwhile: nobody wants it any more
        body = json.dumps(sent.payload).encode()  # what is not ASCII is escaped, as Meta does
        signature = hmac.digest(self.app_secret.encode(), body, "sha256").hex()
        headers = {"Content-Type": "application/json", "X-Hub-Signature-256": f"sha256={signature}"}
        attempt, response = outgoing.attempt(webhook.url, body, headers, timeout=15)
        with self.world.change():
            sent.attempts.append(attempt)
            sent.response = response
            if sent.message and sent.message.side == "customer":
                sent.message.status = "accepted" if sent.accepted else "sending"
        return sent.accepted


def digits(length: int) -> str:
    return str(random.randrange(10 ** (length - 1), 10**length))  # noqa: S311


def error(code: int, message: str, subcode: int = 0, details: str = "") -> Json:
    """The body of a Graph API error."""
    body: Json = {"message": f"(#{code}) {message}", "type": "OAuthException", "code": code, "fbtrace_id": "A"}
    if subcode:
        body["error_subcode"] = subcode
    if details:
        body["error_data"] = {"messaging_product": "whatsapp", "details": details}
    return {"error": body}
