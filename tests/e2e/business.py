"""A business as a test plays it: a portal with the app, a messenger connected to it, customers, an operator."""

import time
from collections.abc import Sequence
from typing import Any

import psycopg

from tests.simulators import Customer, Message, Partner, Portal
from tests.stack import Stack

PATIENCE = 100.0  # seconds; on an idle machine everything takes a fraction
File = tuple[str, bytes]

DELIVERIES = """
    SELECT delivery.error FROM messaging_delivery delivery
    JOIN messaging_chat chat ON chat.id = delivery.chat_id
    JOIN externallines_externalline line ON line.id = chat.line_id
    JOIN portals_portal portal ON portal.id = line.portal_id
    WHERE delivery.status = %s AND portal.domain = %s
"""


class Business:
    def __init__(self, stack: Stack, domain: str, name: str = "") -> None:
        self.stack = stack
        self.world = stack.world
        self.domain = domain
        self.portal: Portal = self.world.uspacy.create_portal(domain)
        self.messenger: Partner = self.world.add_messenger(domain.partition(".")[0], name or None)

    def open(self) -> None:
        """Install the app and connect the messenger."""
        assert self.world.uspacy.install(self.domain).status_code == 200
        line = self.world.connect_line(self.domain, self.messenger, self.messenger.name)
        assert line["error"] == ""

    # What people do

    def customer(self, name: str) -> Customer:
        return self.messenger.add_customer(name)

    def writes(
        self, customer: Customer, text: str, files: Sequence[File] = (), reply_to: Message | None = None
    ) -> Message:
        """The customer writes."""
        message = self.messenger.write(customer, text, files, reply_to.id if reply_to else None).message
        assert message
        return message

    def answers(
        self, customer: Customer, text: str, files: Sequence[File] = (), parent: str | None = None
    ) -> dict[str, Any]:
        """The operator answers in the customer's chat."""
        return self.world.uspacy.operator_writes(self.domain, self.chat_id(customer), text, files, parent)

    # What they see

    def chat_id(self, customer: Customer) -> str:
        """Return the id of the customer's chat in Uspacy, "" if there is none."""
        return next((chat["id"] for chat in self.portal.chats.values() if chat["name"] == customer.name), "")

    def in_uspacy(self, customer: Customer) -> list[dict[str, Any]]:
        """Return what the customer's chat shows of the customer, oldest first."""
        thread = self.portal.thread(chat_id) if (chat_id := self.chat_id(customer)) else []
        return [message for message in thread if self.portal.is_from_customer(message)]

    def texts_in_uspacy(self, customer: Customer) -> list[str]:
        return [message["message"] for message in self.in_uspacy(customer)]

    def at_customer(self, customer: Customer) -> list[Message]:
        """Return what the customer has from the business, oldest first."""
        messages = self.messenger.messages(customer)
        return [message for message in messages if message.side == "business" and not message.deleted]

    def texts_at_customer(self, customer: Customer) -> list[str]:
        return [message.text for message in self.at_customer(customer)]

    def status(self, answer: dict[str, Any]) -> str | None:
        """Return the delivery status that Uspacy shows at an operator's message."""
        status: str | None = self.portal.messages[answer["id"]]["status"]
        return status

    def answers_to_events(self) -> set[int]:
        """Return the statuses that the app has answered to what Uspacy told it of this portal."""
        told = [event for event in self.world.sns.events if self.domain in event.envelope["Message"]]
        return {attempt.status for event in told for attempt in event.attempts}

    # Waiting

    def rest(self, patience: float = PATIENCE) -> None:
        """Wait until everything that was written has arrived, and all that follows from it."""
        while True:
            self.world.settle(patience)
            until = time.monotonic() + patience
            while waiting := self.waiting():
                assert time.monotonic() < until, f"{waiting} are not delivered"
                time.sleep(0.05)  # not under the world's lock, which its servers need
            if self.world.settle(0) and self.waiting() == 0:  # neither has caused anything new
                return

    def waiting(self) -> int:
        """Return how many deliveries of the portal are open."""
        return len(self.query(DELIVERIES, "open", self.domain))

    def failures(self) -> list[str]:
        """Return why deliveries of the portal have failed for good."""
        return [error for (error,) in self.query(DELIVERIES, "failed", self.domain)]

    def query(self, statement: str, *values: Any) -> list[Any]:
        """Return the rows of a statement in the app's database."""
        return query(self.stack, statement, *values)


def query(stack: Stack, statement: str, *values: Any) -> list[Any]:
    with psycopg.connect(stack.database_url, autocommit=True) as connection:
        cursor = connection.execute(statement, values)
        return list(cursor.fetchall()) if cursor.description else []
