"""Steady traffic in many chats at a time, and the account of it: what became of each message."""

import json
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any

from tests.e2e.business import Business
from tests.simulators import Customer
from tests.simulators.outgoing import Attempt
from tests.simulators.partner import Sent

UNFINISHED = """
    SELECT message.id, message.status FROM messaging_message message
    JOIN messaging_chat chat ON chat.id = message.chat_id
    JOIN externallines_externalline line ON line.id = chat.line_id
    JOIN portals_portal portal ON portal.id = line.portal_id
    WHERE portal.domain = %s AND message.status NOT IN ('sent', 'delivered')
"""


@dataclass
class Conversation:
    """A customer of a business, and what both sides have written."""

    shop: Business
    customer: Customer
    sent: list[Sent] = field(default_factory=list)
    answers: list[dict[str, Any]] = field(default_factory=list)

    def go_on(self) -> None:
        """The customer writes, and the operator does; neither waits for the other."""
        number = len(self.answers) + 1
        self.sent.append(self.shop.messenger.write(self.customer, f"question {number}"))
        self.answers.append(self.shop.answers(self.customer, f"answer {number}"))


def converse(shops: Sequence[Business], chats: int) -> list[Conversation]:
    """Open chats in each shop, and wait until they are there and at rest."""
    conversations = [
        Conversation(shop, shop.customer(f"Customer {number}")) for number in range(chats) for shop in shops
    ]
    for one in conversations:
        one.sent.append(one.shop.messenger.write(one.customer, "Hello"))
    for shop in shops:
        shop.rest()
    return conversations


class Traffic(threading.Thread):
    """Goes on in all conversations in turn, at a steady rate, until it is stopped."""

    def __init__(self, conversations: Sequence[Conversation], per_second: float, most: int = 1_000_000) -> None:
        super().__init__(name="traffic", daemon=True)
        self.written = 0  # messages each way
        self._turns = cycle(conversations)
        self._interval = 1 / per_second
        self._most = most
        self._stopped = threading.Event()

    def run(self) -> None:
        began = time.monotonic()
        while self.written < self._most:
            if self._stopped.wait(max(0.0, began + self.written * self._interval - time.monotonic())):
                return
            next(self._turns).go_on()
            self.written += 1

    def stop(self) -> None:
        self._stopped.set()
        self.join()


@dataclass(frozen=True)
class Passage:
    """One message from the first attempt to tell us of it, over our first 2xx, to its arrival; unix seconds."""

    told: float
    accepted: float
    arrived: float

    @classmethod
    def of(cls, attempts: Sequence[Attempt], arrived_ms: int) -> "Passage":
        accepted = min((one.at + one.seconds for one in attempts if one.accepted), default=float("inf"))
        return cls(min(one.at for one in attempts), accepted, arrived_ms / 1000)

    @property
    def seconds(self) -> float:
        return self.arrived - self.accepted


def shops_of(conversations: Sequence[Conversation]) -> list[Business]:
    return list({one.shop.domain: one.shop for one in conversations}.values())


def to_uspacy(one: Conversation) -> list[Passage]:
    """The customer's messages in the order in which Uspacy has them. AssertionError unless each is there once."""
    shown = one.shop.in_uspacy(one.customer)
    sent = {event.message.text: event for event in one.sent if event.message}
    assert sorted(message["message"] for message in shown) == sorted(sent)
    return [Passage.of(sent[message["message"]].attempts, message["timestamp"]) for message in shown]


def to_customer(one: Conversation, told: dict[str, list[Attempt]]) -> list[Passage]:
    """The operator's messages in the order in which the customer has them, likewise."""
    got = one.shop.at_customer(one.customer)
    assert sorted(message.client_id or "" for message in got) == sorted(answer["id"] for answer in one.answers)
    return [Passage.of(told[message.client_id or ""], message.at) for message in got]


def operator_events(shop: Business) -> dict[str, list[Attempt]]:
    """The attempts to tell us of operators' messages, by the message's id."""
    told: dict[str, list[Attempt]] = {}
    for event in shop.world.sns.events:
        data = json.loads(event.envelope["Message"])["data"]
        if data["action"] == "create":
            told.setdefault(data["entity"]["id"], []).extend(event.attempts)
    return told


def overtaken(passages: Sequence[Passage]) -> int:
    """How many arrived after one that we were first told of when they had been accepted already."""
    latest, overtaken = 0.0, 0
    for passage in passages:
        overtaken += passage.accepted < latest
        latest = max(latest, passage.told)
    return overtaken


def settle_account(conversations: Sequence[Conversation]) -> list[Passage]:
    """Assert that every message arrived once, in order, and has its final status; return all their passages."""
    told = operator_events(conversations[0].shop)
    passages = []
    for one in conversations:
        for lane in (to_uspacy(one), to_customer(one, told)):
            assert overtaken(lane) == 0
            passages += lane
        assert {one.shop.status(answer) for answer in one.answers} <= {"delivered"}
    for shop in shops_of(conversations):
        assert shop.messenger.misordered == []
        assert shop.failures() == []
        assert shop.query(UNFINISHED, shop.domain) == []
    return passages
