"""A partner's own messenger on the generic channel ``webhook`` (channels.md 5), the partner's side of it."""

import json
import secrets
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import requests

from tests.simulators import outgoing
from tests.simulators.courier import Job
from tests.simulators.messengers import Customer, Json, Message, Messenger, NamedFile
from tests.simulators.partner_events import attachment, contact, conversation, iso_now, signature

if TYPE_CHECKING:
    from tests.simulators.world import World

RETRY_DELAYS = (0.5, 1, 2, 4, 8, 15, 30, 60)  # seconds; the schedule of channels.md 5, shortened
FINAL_ANSWERS = (400, 410, 413, 422)  # repeating the same event is pointless


@dataclass
class Sent:
    """An event on its way to the app."""

    id: str  # webhook-id, the same on every attempt
    type: str
    data: Json
    message: Message | None = None  # the message it is about, if it is about one
    attempts: list[outgoing.Attempt] = field(default_factory=list)
    response: requests.Response | None = None  # the newest answer, None if the last attempt got none

    @property
    def accepted(self) -> bool:
        return bool(self.attempts) and self.attempts[-1].accepted


@dataclass
class Refusing:
    """What the partner answers instead of accepting a message."""

    code: str
    status: int
    times: int | None  # None: until told otherwise


class Partner(Messenger):
    """The partner's servers: they push what customers do, and take what operators write on a hook."""

    channel = "webhook"

    def __init__(self, world: "World", messenger_id: str, name: str) -> None:
        super().__init__(world, messenger_id, name)
        self.secret: str | None = None  # ``whsec_...``, of both directions
        self.inbound_url: str | None = None
        self.retry_delays: Sequence[float] = RETRY_DELAYS
        self.answer_ids = True  # whether the hook answers an id of its own for what it accepts
        self.auto_delivered = True  # whether ``delivered`` follows by itself
        self.status_delay = 0.1  # seconds between accepting a message and reporting it delivered
        self.repeats = 0  # events and messages that arrived again
        self.pings = 0
        self.misordered: list[str] = []  # client ids of messages whose ``seq`` went back
        self.by_client_id: dict[str, Message] = {}
        self.answered: dict[str, Json] = {}  # webhook-id -> what was answered
        self.last_seq: dict[str, int] = {}  # conversation -> highest seq seen
        self._refusing: Refusing | None = None

    # Connecting

    @property
    def connected(self) -> bool:
        return self.inbound_url is not None and self.secret is not None

    @property
    def hook(self) -> str:
        """Where the app sends what operators write."""
        return f"{self.url}/hook"

    def credentials(self) -> dict[str, str]:
        return {"url": self.hook}

    def connect(self, line: Json, credentials: dict[str, str]) -> None:
        """Keep the inbound URL and the secret, and ping the app: that is what makes the line active."""
        self.inbound_url = line["webhook_url"]
        self.secret = credentials.get("secret") or line["secret"]
        self.ping()

    # What customers do

    def write(
        self,
        customer: Customer | str,
        text: str,
        files: Sequence[NamedFile] = (),
        reply_to: str | None = None,
        direction: Literal["in", "out"] = "in",
        *,
        location: Json | None = None,
        wait: bool = False,
    ) -> Sent:
        """A customer writes, or with ``out`` the business itself somewhere else than in Uspacy.

        With `wait` the event is sent once, now, and `response` is the app's answer; otherwise it is sent, and
        repeated if need be, in the background. The same goes for everything below.
        """
        self._require_connection()
        customer = self.customer(customer)
        with self.world.change():
            message = Message(
                f"m-{uuid.uuid4().hex}",
                customer.id,
                "customer" if direction == "in" else "business",
                text,
                [self.keep_file(name, content) for name, content in files],
                reply_to,
            )
            message.status = "sending"
            self.all_messages[message.id] = message
        content: Json = {"id": message.id, "direction": direction, "sent_at": iso_now(), "format": "plain"}
        if text:
            content["text"] = text
        if reply_to:
            content["reply_to_id"] = self._known_id(self.all_messages[reply_to])
        if files:
            content["attachments"] = [attachment(file) for file in message.files]
        if location:
            content["location"] = location
        data = {"conversation": conversation(customer), "contact": contact(customer), "message": content}
        return self.send("message.created", data, message=message, wait=wait)

    def edit(self, message_id: str, text: str, *, wait: bool = False) -> Sent:
        """A customer changes the text of a message."""
        self._require_connection()
        with self.world.change():
            message = self.all_messages[message_id]
            message.text, message.edited = text, True
        return self._send_change("message.updated", message, {"text": text, "edited_at": iso_now()}, wait)

    def delete(self, message_id: str, *, wait: bool = False) -> Sent:
        """A customer takes a message back."""
        self._require_connection()
        with self.world.change():
            message = self.all_messages[message_id]
            message.deleted = True
        return self._send_change("message.deleted", message, {"deleted_at": iso_now()}, wait)

    def read(self, customer: Customer | str) -> None:
        """A customer reads everything the business wrote."""
        for message in self.messages(customer):
            if message.client_id and message.status in ("accepted", "delivered"):
                self.send_status(message, "read")

    def block(self, customer: Customer | str, *, wait: bool = False) -> Sent:
        """A customer blocks the business; from now on messages to them are refused."""
        return self._send_block(customer, True, wait)

    def unblock(self, customer: Customer | str, *, wait: bool = False) -> Sent:
        """The customer takes that back."""
        return self._send_block(customer, False, wait)

    # What the partner's servers do

    def ping(self, *, wait: bool = False) -> Sent:
        return self.send("ping", {}, wait=wait)

    def send_status(self, message: Message, status: str, error: Json | None = None, *, wait: bool = False) -> Sent:
        """Report ``delivered``, ``read`` or ``failed`` (then `error` has code and message)."""
        with self.world.change():
            message.status = status
        known = self._known_id(message)
        about: Json = {"id" if known == message.id else "client_id": known, "status": status, "at": iso_now()}
        if error:
            about["error"] = error
        return self.send("message.status", {"message": about}, message=message, wait=wait)

    def send(
        self,
        type: str,
        data: Json,
        *,
        message: Message | None = None,
        wait: bool = False,
        event_id: str | None = None,
    ) -> Sent:
        """Send any event, also one that makes no sense."""
        self._require_connection()
        sent = Sent(event_id or f"evt_{secrets.token_hex(12)}", type, data, message)
        if not wait:
            self.world.courier.submit(self.lane(message), self._job(sent))
        elif not self._attempt(sent):
            self._give_up(sent)
        return sent

    def lane(self, message: Message | None) -> str:
        """What has to stay in order in the background: the events of one conversation."""
        return f"{self.id} {message.customer_id if message else ''}"

    def redeliver(self, sent: Sent) -> requests.Response | None:
        """Send the same event once more, now, freshly signed; the app's answer."""
        self._attempt(sent)
        return sent.response

    # How the hook answers

    def refuse(self, code: str = "", status: int = 422, times: int | None = None) -> None:
        """Refuse the next `times` messages (or all): ``recipient_blocked``, ``window_closed``, 410, ..."""
        self._refusing = Refusing(code, status, times)

    def accept(self) -> None:
        """Refuse no longer."""
        self._refusing = None

    def take_refusal(self) -> Refusing | None:
        """The refusal the next message meets, counted as used."""
        refusing = self._refusing
        if refusing and refusing.times is not None:
            refusing.times -= 1
            if refusing.times == 0:
                self._refusing = None
        return refusing

    # Sending

    def headers(self, event_id: str, body: bytes) -> dict[str, str]:
        """The headers of Standard Webhooks for one attempt, signed now."""
        timestamp = str(int(time.time()))
        return {
            "webhook-id": event_id,
            "webhook-timestamp": timestamp,
            "webhook-signature": signature(self.secret or "", event_id, timestamp, body),
            "content-type": "application/json",
            "user-agent": f"{self.id}-webhooks/1.0",
        }

    def _job(self, sent: Sent) -> Job:
        delays = iter(self.retry_delays)

        def attempt() -> float | None:
            if self._attempt(sent):
                return None
            delay = None if sent.attempts[-1].status in FINAL_ANSWERS else next(delays, None)
            if delay is None:
                self._give_up(sent)
                return None
            return max(delay, retry_after(sent.response))

        return attempt

    def _attempt(self, sent: Sent) -> bool:
        """Send it once; whether the app took it."""
        body = json.dumps(
            {"type": sent.type, "timestamp": iso_now(), "data": sent.data}, ensure_ascii=False
        ).encode()
        attempt, response = outgoing.attempt(str(self.inbound_url), body, self.headers(sent.id, body), timeout=15)
        with self.world.change():
            sent.attempts.append(attempt)
            sent.response = response
            if sent.accepted and sent.type == "message.created" and sent.message:
                sent.message.status = "accepted"
        return sent.accepted

    def _give_up(self, sent: Sent) -> None:
        with self.world.change():
            if sent.type == "message.created" and sent.message:
                sent.message.status = "refused"

    def _known_id(self, message: Message) -> str:
        """What the app knows a message by: its own id where we answered none."""
        return message.id if self.answer_ids else message.client_id or message.id

    def _require_connection(self) -> None:
        if not self.connected:
            raise RuntimeError(f"{self.name} is not connected to a line.")

    def _send_change(self, type: str, message: Message, change: Json, wait: bool) -> Sent:
        customer = self.customers[message.customer_id]
        data = {"conversation": conversation(customer), "message": {"id": message.id, **change}}
        return self.send(type, data, message=message, wait=wait)

    def _send_block(self, customer: Customer | str, blocked: bool, wait: bool) -> Sent:
        self._require_connection()
        customer = self.customer(customer)
        with self.world.change():
            customer.blocked = blocked
        data = {"contact": {"id": customer.id}}
        return self.send("contact.blocked" if blocked else "contact.unblocked", data, wait=wait)


def retry_after(response: requests.Response | None) -> float:
    """Seconds the app asked us to wait, 0 if it did not."""
    asked = response.headers.get("Retry-After", "") if response is not None else ""
    return float(asked) if asked.isdigit() else 0
