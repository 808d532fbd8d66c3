"""A bot in Viber, and the customers who write to it (channels.md 2)."""

import hashlib
import hmac
import json
import random
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import requests

from tests.simulators import outgoing
from tests.simulators.courier import Job
from tests.simulators.messengers import Customer, File, Json, Message, Messenger, NamedFile

if TYPE_CHECKING:
    from tests.simulators.world import World

RETRY_DELAYS = (0.5, 1, 2, 4, 8, 15)  # seconds; Viber does not say how often it repeats
ALWAYS_REPORTED = ("message", "subscribed", "unsubscribed")


@dataclass
class Sent:
    """An event on its way to the app."""

    event: Json
    message: Message | None = None
    attempts: list[outgoing.Attempt] = field(default_factory=list)
    response: requests.Response | None = None  # the newest answer, None if the last attempt got none

    @property
    def accepted(self) -> bool:
        return bool(self.attempts) and self.attempts[-1].status == 200  # no other 2xx will do


class ViberBot(Messenger):
    """What Viber's servers know of one bot."""

    channel = "viber"
    statuses: ClassVar[Sequence[str]] = ("delivered", "read")
    edits_answers: ClassVar[bool] = False

    def __init__(self, world: "World", messenger_id: str, name: str) -> None:
        super().__init__(world, messenger_id, name)
        self.account_id = f"pa:{random.randrange(10**16, 10**17)}"  # noqa: S311
        self.token = "-".join(secrets.token_hex(8) for _ in range(3))
        self.webhook = ""
        self.event_types: list[str] = []
        self.subscribed: set[str] = set()  # customers to whom the bot may write
        self.devices = 2  # of every customer: each reports delivery
        self.status_delay = 0.1  # seconds until a message is reported delivered
        self.auto_delivered = True
        self.unanswered: dict[str, int] = {}  # messages to a customer since they wrote
        self.retry_delays: Sequence[float] = RETRY_DELAYS
        self._statuses: list[int] = []  # with which the next messages are refused

    # Connecting

    @property
    def connected(self) -> bool:
        return bool(self.webhook)

    def credentials(self) -> dict[str, str]:
        return {"token": self.token}

    def connect(self, line: Json, credentials: dict[str, str]) -> None:
        """Nothing to take over: the app has called set_webhook."""

    @property
    def url(self) -> str:
        return f"{self.world.base_url}/viber/{self.id}"

    # What customers do

    def add_customer(self, name: str, **details: Any) -> Customer:
        """A new person, with an id that only this bot knows them by, who has not subscribed yet."""
        with self.world.change():
            customer = super().add_customer(name, **details)
            del self.customers[customer.id]
            customer.id = f"{secrets.token_urlsafe(16)}=="
            self.customers[customer.id] = customer
        return customer

    def write(
        self,
        customer: Customer | str,
        text: str,
        files: Sequence[NamedFile] = (),
        reply_to: str | None = None,
        *,
        wait: bool = False,
        **content: Any,
    ) -> Sent:
        """A customer writes, which subscribes them; each file is a message, and the text a picture's caption.

        `content` replaces the message as Viber tells it, for instance ``type="sticker", sticker_id=46105``. What
        is quoted is not told to bots. With `wait` there is one attempt to deliver it, now; otherwise it is
        repeated in the background. The same goes for everything below.
        """
        customer = self.customer(customer)
        messages = [self._file_message(self.keep_file(*file)) for file in files]
        if messages and messages[0]["type"] == "picture":
            messages[0]["text"] = text
        elif text or not messages:
            messages.append({"type": "text", "text": text})
        sent = []
        for body in [content] if content else messages:
            with self.world.change():
                self.subscribed.add(customer.id)
                self.unanswered[customer.id] = 0
                kept = [file for file in self.files.values() if file.url == body.get("media")]
                message = Message(new_token(), customer.id, "customer", body.get("text", ""), kept, reply_to)
                message.status = "sending"
                self.all_messages[message.id] = message
            about = {"sender": person(customer), "message": body, "silent": False}
            sent.append(self.send("message", about, customer, message, wait=wait))
        return sent[0]

    def edit(self, message_id: str, text: str) -> None:
        """A customer changes a message: bots do not hear of it."""
        with self.world.change():
            self.all_messages[message_id].text, self.all_messages[message_id].edited = text, True

    def delete(self, message_id: str) -> None:
        """A customer deletes a message: bots do not hear of it."""
        with self.world.change():
            self.all_messages[message_id].deleted = True

    def read(self, customer: Customer | str) -> None:
        """A customer reads everything the business wrote: there is one event for all of it."""
        customer = self.customer(customer)
        with self.world.change():
            unread = [one for one in self.messages(customer) if one.side == "business" and one.status != "read"]
            for message in unread:
                message.status = "read"
        if unread:
            self.report("seen", unread[-1])

    def open(self, customer: Customer | str, *, wait: bool = False) -> Sent:
        """A customer opens the conversation and writes nothing."""
        customer = self.customer(customer)
        about = {"type": "open", "user": person(customer), "subscribed": customer.id in self.subscribed}
        return self.send("conversation_started", about, customer, wait=wait)

    def block(self, customer: Customer | str, *, wait: bool = False) -> Sent:
        customer = self.customer(customer)
        with self.world.change():
            customer.blocked = True
            self.subscribed.discard(customer.id)
        return self.send("unsubscribed", {"user_id": customer.id}, customer, wait=wait)

    def unblock(self, customer: Customer | str, *, wait: bool = False) -> Sent:
        customer = self.customer(customer)
        with self.world.change():
            customer.blocked = False
            self.subscribed.add(customer.id)
        return self.send("subscribed", {"user": person(customer)}, customer, wait=wait)

    # What Viber's servers do

    def refuse(self, status: int, times: int = 1) -> None:
        """Refuse the next messages with a status of the table."""
        self._statuses += [status] * times

    def take_refusal(self) -> int:
        """The status with which the next message is refused, 0 if it is not."""
        return self._statuses.pop(0) if self._statuses else 0

    def forget_webhook(self) -> None:
        with self.world.change():
            self.webhook, self.event_types = "", []

    def report(self, event: str, message: Message, *, wait: bool = False, **more: Any) -> Sent:
        """Report ``delivered``, ``seen`` or ``failed`` (then with `desc`) of a business message."""
        about = {"user_id": message.customer_id, **more}
        customer = self.customers[message.customer_id]
        return self.send(event, about, customer, token=message.id, wait=wait)

    def send(
        self,
        event: str,
        about: Json,
        customer: Customer,
        message: Message | None = None,
        *,
        token: str = "",
        wait: bool = False,
    ) -> Sent:
        """Send any event, also one that makes no sense."""
        if not self.webhook:
            raise RuntimeError(f"{self.name} is not connected to a line.")
        told = {"event": event, "timestamp": int(time.time() * 1000), "chat_hostname": "SN-CHAT-01_"}
        sent = Sent(
            {**told, "message_token": int(token or (message.id if message else new_token())), **about}, message
        )
        if event not in (*ALWAYS_REPORTED, *self.event_types):
            return sent
        if wait:
            self._attempt(sent)
        else:
            self.world.courier.submit(f"{self.id} {customer.id}", self._job(sent))
        return sent

    def redeliver(self, sent: Sent) -> requests.Response | None:
        """Send the same event once more, now; the app's answer."""
        self._attempt(sent)
        return sent.response

    def post(self, url: str, event: Json) -> tuple[outgoing.Attempt, requests.Response | None]:
        """Call a webhook as Viber does, signed with the bot's token."""
        body = json.dumps(event, ensure_ascii=False).encode()
        signature = hmac.new(self.token.encode(), body, hashlib.sha256).hexdigest()
        headers = {"Content-Type": "application/json", "X-Viber-Content-Signature": signature}
        return outgoing.attempt(url, body, headers, timeout=15)

    def _job(self, sent: Sent) -> Job:
        delays = iter(self.retry_delays)

        def attempt() -> float | None:
            return None if not self.webhook or self._attempt(sent) else next(delays, None)

        return attempt

    def _attempt(self, sent: Sent) -> bool:
        """Send it once; whether the app took it."""
        attempt, response = self.post(self.webhook, sent.event)
        with self.world.change():
            sent.attempts.append(attempt)
            sent.response = response
            if sent.accepted and sent.message:
                sent.message.status = "accepted"
        return sent.accepted

    def _file_message(self, file: File) -> Json:
        if file.mime_type.startswith("image/"):
            return {"type": "picture", "media": file.url, "thumbnail": file.url, "file_name": file.name}
        if file.mime_type == "video/mp4":
            return {"type": "video", "media": file.url, "thumbnail": file.url, "size": file.size, "duration": 3}
        return {"type": "file", "media": file.url, "file_name": file.name, "file_size": file.size}


def person(customer: Customer) -> Json:
    known = {"id": customer.id, "name": customer.name, "country": "UA", "language": "uk", "api_version": 10}
    return {**known, **({"avatar": customer.picture_url} if customer.picture_url else {})}


def new_token() -> str:
    """The id of a message or an event: 64 bits, and rising."""
    return str(time.time_ns() * 3 + random.randrange(3))  # noqa: S311
