"""A bot in Telegram, and the customers who write to it (channels.md 1)."""

import itertools
import random
import secrets
import struct
import time
import zlib
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import requests

from tests.simulators import outgoing
from tests.simulators.messengers import Customer, File, Json, Message, Messenger, NamedFile
from tests.simulators.telegram_updates import message_body, person, private_chat

if TYPE_CHECKING:
    from tests.simulators.world import World

RETRY_DELAYS = (0, 0.5, 1, 2, 4, 8)  # seconds, then the last one again; Telegram's own go up to 60


@dataclass
class Webhook:
    """Where a bot's updates go; a bot has one at most."""

    url: str
    secret_token: str
    allowed_updates: list[str]


@dataclass
class Sent:
    """An update on its way to the app."""

    update: Json
    customer_id: str
    message: Message | None = None
    attempts: list[outgoing.Attempt] = field(default_factory=list)
    response: requests.Response | None = None  # the newest answer, None if the last attempt got none

    @property
    def accepted(self) -> bool:
        return bool(self.attempts) and self.attempts[-1].accepted


class TelegramBot(Messenger):
    """What Telegram's servers know of one bot. Updates go out in order within a chat, and wait for the app."""

    channel = "telegram"
    statuses: ClassVar[Sequence[str]] = ()  # bots hear nothing of delivery and reading

    def __init__(self, world: "World", messenger_id: str, name: str) -> None:
        super().__init__(world, messenger_id, name)
        self.bot_id = random.randrange(10**9, 10**10)  # noqa: S311
        self.token = f"{self.bot_id}:{secrets.token_urlsafe(26)}"
        self.username = f"{messenger_id.replace('-', '_')}_bot"
        self.webhook: Webhook | None = None
        self.last_error: tuple[int, str] | None = None  # when, and what
        self.started: set[str] = set()  # customers to whom the bot may write
        self.refusing_voice: set[str] = set()  # customers who take no voice messages
        self.portraits: dict[str, File] = {}
        self.callbacks: set[str] = set()  # pressed buttons that wait for an answer
        self.throttled: tuple[int, int] = (0, 0)  # how many more calls are answered 429, and the seconds to wait
        self.markup: dict[str, str] = {}  # message id -> the HTML of what the app sent
        self.broken_markup = 0  # how many more texts with markup are refused
        self.retry_delays: Sequence[float] = RETRY_DELAYS
        self._numbers: dict[str, itertools.count[int]] = {}
        self._update_ids = itertools.count(random.randrange(10**8, 10**9))  # noqa: S311
        self._queues: dict[str, deque[Sent]] = {}

    # Connecting

    @property
    def connected(self) -> bool:
        return self.webhook is not None

    def credentials(self) -> dict[str, str]:
        return {"token": self.token}

    def connect(self, line: Json, credentials: dict[str, str]) -> None:
        """Nothing to take over: the app has called setWebhook."""

    @property
    def url(self) -> str:
        return f"{self.world.base_url}/telegram/{self.id}"

    # What customers do

    def add_customer(self, name: str, **details: Any) -> Customer:
        """A new person with a numeric id, who has not pressed Start yet."""
        with self.world.change():
            customer = super().add_customer(name, **details)
            del self.customers[customer.id]
            customer.id = str(random.randrange(10**9, 10**10))  # noqa: S311
            self.customers[customer.id] = customer
            if customer.picture_url:
                portrait = self.keep_file("portrait.png", picture(name))
                self.portraits[customer.id], customer.picture_url = portrait, portrait.url
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
        """A customer writes: one message, or an album of several files, whose first has the text.

        `content` goes into the message as it is, for instance a ``location``. With `wait` there is one attempt
        to deliver it, now; otherwise it is repeated in the background. The same goes for everything below.
        """
        customer = self.customer(customer)
        album = {"media_group_id": str(random.randrange(10**13, 10**14))} if len(files) > 1 else {}  # noqa: S311
        sent = []
        for number, file in enumerate(files or [None]):
            kept = [self.keep_file(*file)] if file else []
            with self.world.change():
                self.started.add(customer.id)
                message = Message(
                    f"{customer.id}-{self.next_number(customer)}",
                    customer.id,
                    "customer",
                    "" if number else text,
                    kept,
                    reply_to,
                )
                message.status = "sending"
                self.all_messages[message.id] = message
            body = message_body(self, message) | album | content
            sent.append(self.send("message", body, customer, message, wait=wait))
        return sent[0]

    def edit(self, message_id: str, text: str, *, wait: bool = False) -> Sent:
        """A customer changes the text or the caption of a message."""
        with self.world.change():
            message = self.all_messages[message_id]
            message.text, message.edited = text, True
        body = {**message_body(self, message), "edit_date": int(time.time())}
        return self.send("edited_message", body, self.customers[message.customer_id], wait=wait)

    def delete(self, message_id: str) -> None:
        """A customer deletes a message: bots do not hear of it."""
        with self.world.change():
            self.all_messages[message_id].deleted = True

    def read(self, customer: Customer | str) -> None:
        """A customer reads what the business wrote: bots do not hear of it."""
        with self.world.change():
            for message in self.messages(customer):
                if message.side == "business":
                    message.status = "read"

    def press(self, customer: Customer | str, data: str, *, wait: bool = False) -> Sent:
        """A customer presses a button that an earlier service put below a message."""
        customer = self.customer(customer)
        callback_id = str(random.randrange(10**17, 10**18))  # noqa: S311
        with self.world.change():
            self.callbacks.add(callback_id)
        query = {"id": callback_id, "from": person(customer), "chat_instance": "1", "data": data}
        old = {"message_id": 1, "chat": private_chat(customer), "date": 0}
        return self.send("callback_query", {**query, "message": old}, customer, wait=wait)

    def block(self, customer: Customer | str, *, wait: bool = False) -> Sent:
        return self._change_membership(customer, "member", "kicked", wait)

    def unblock(self, customer: Customer | str, *, wait: bool = False) -> Sent:
        return self._change_membership(customer, "kicked", "member", wait)

    # What Telegram's servers do

    def throttle(self, times: int, seconds: int) -> None:
        """Answer the next calls with 429."""
        self.throttled = (times, seconds)

    def next_number(self, customer: Customer) -> int:
        """The id of a chat's next message: they are counted within the chat."""
        return next(self._numbers.setdefault(customer.id, itertools.count(1)))

    def send(
        self, kind: str, body: Json, customer: Customer, message: Message | None = None, *, wait: bool = False
    ) -> Sent:
        """Send any update, also one that makes no sense."""
        if self.webhook is None:
            raise RuntimeError(f"{self.name} is not connected to a line.")
        sent = Sent({"update_id": next(self._update_ids), kind: body}, customer.id, message)
        if kind not in self.webhook.allowed_updates:
            return sent
        if wait:
            self._attempt(sent)
            return sent
        with self.world.lock:
            queue = self._queues.setdefault(customer.id, deque())
            queue.append(sent)
            if len(queue) == 1:
                self.world.courier.submit(f"{self.id} {customer.id}", lambda: self._deliver(queue))
        return sent

    def redeliver(self, sent: Sent) -> requests.Response | None:
        """Send the same update once more, now; the app's answer."""
        self._attempt(sent)
        return sent.response

    @property
    def pending(self) -> int:
        return sum(map(len, self._queues.values()))

    def _deliver(self, queue: deque[Sent]) -> float | None:
        """Send the oldest update of a chat; seconds until the next try, None when all are through."""
        head = queue[0]
        if not self._attempt(head):
            return self.retry_delays[min(len(head.attempts), len(self.retry_delays)) - 1]
        with self.world.lock:
            queue.popleft()
            return 0 if queue else None

    def _attempt(self, sent: Sent) -> bool:
        """Send it once; whether the app took it."""
        webhook = self.webhook
        if webhook is None:
            return True  # deleted meanwhile: nobody wants it any more
        headers = {"Content-Type": "application/json", "X-Telegram-Bot-Api-Secret-Token": webhook.secret_token}
        body = outgoing.json_bytes(sent.update)
        attempt, response = outgoing.attempt(webhook.url, body, headers, timeout=15)
        with self.world.change():
            sent.attempts.append(attempt)
            sent.response = response
            if sent.accepted and sent.message:
                sent.message.status = "accepted"
            if not sent.accepted:
                self.last_error = (int(time.time()), f"Wrong response from the webhook: {attempt.status}")
        return sent.accepted

    def _change_membership(self, customer: Customer | str, old: str, new: str, wait: bool) -> Sent:
        customer = self.customer(customer)
        with self.world.change():
            customer.blocked = new == "kicked"
            self.started.add(customer.id)
        bot = {"id": self.bot_id, "is_bot": True, "first_name": self.name, "username": self.username}
        body = {
            "chat": private_chat(customer),
            "from": person(customer),
            "date": int(time.time()),
            "old_chat_member": {"user": bot, "status": old},
            "new_chat_member": {"user": bot, "status": new, **({"until_date": 0} if new == "kicked" else {})},
        }
        return self.send("my_chat_member", body, customer, wait=wait)


def picture(name: str, width: int = 80, height: int = 80) -> bytes:
    """A PNG of one colour, which depends on the name."""
    colour = struct.pack("<I", zlib.crc32(name.encode()))[:3]

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = (b"\x00" + colour * width) * height
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
