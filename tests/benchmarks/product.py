"""The product as the benchmarks find it: portals with a connected line each, whose customers are known."""

import itertools
import json
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from externallines.models import ExternalLine
from messaging.models import Chat
from tests.benchmarks import wire
from tests.simulators import Customer, Partner, Portal
from tests.simulators.partner_events import contact, conversation, iso_now
from tests.simulators.uspacy.events import message_event
from tests.simulators.uspacy.portal import OPERATOR
from tests.simulators.world import World

PORTALS = 10
CUSTOMERS = 200  # of each
TEXT = (
    "Good morning! Is the **blue** one still in stock, and could you send it to me until Friday? Thank you. " * 2
)


@dataclass(frozen=True)
class Conversation:
    """One customer on one line, as we and both sides know them."""

    portal: Portal
    partner: Partner
    customer: Customer
    chat: Chat


def populate(world: World, hook: str) -> list[Conversation]:
    """Install the app, connect the lines, with `hook` as their partner's URL, and make their customers known."""
    houses = []
    for number in range(PORTALS):
        portal = world.uspacy.create_portal(f"bench{number}.uspacy.ua")
        world.uspacy.install(portal.domain).raise_for_status()
        partner: Partner = world.add_messenger(f"shop{number}", f"Shop {number}")
        line = world.connect_line(portal.domain, partner, partner.name, url=hook)
        houses.append(_conversations(portal, partner, ExternalLine.objects.get(key=line["id"])))
    world.settle()  # the pings that make the lines active
    return list(itertools.chain.from_iterable(zip(*houses, strict=True)))  # neighbours are of different portals


def _conversations(portal: Portal, partner: Partner, line: ExternalLine) -> list[Conversation]:
    customers = [partner.add_customer(f"Customer {number}") for number in range(CUSTOMERS)]
    chats = Chat.objects.bulk_create(
        Chat(
            line=line,
            external_id=conversation(customer)["id"],
            contact_id=customer.id,
            name=customer.name,
            picture_url=customer.picture_url,
            uspacy_id=uuid.uuid4(),
            in_uspacy=True,
        )
        for customer in customers
    )
    for chat in chats:
        fields = {"type": "EXTERNAL", "externalLines": [line.uspacy_id], "pictureUrl": "", "meta": []}
        portal.add_chat({"id": str(chat.uspacy_id), "name": chat.name, **fields})
    return [Conversation(portal, partner, *pair) for pair in zip(customers, chats, strict=True)]


@dataclass(frozen=True)
class Webhook:
    """A call that the product is to accept; `id` is how the message is known to the side it goes to."""

    id: str
    path: str
    headers: dict[str, str]
    body: bytes

    def encoded(self, path: str = "") -> bytes:
        return wire.encode("POST", path or self.path, self.headers, self.body)


def notifications(
    world: World, conversations: Sequence[Conversation], *, type: str = "MESSAGE"
) -> Iterator[Webhook]:
    """Yield signed SNS notifications without end: operators write in all the chats, one after the other."""
    for place in itertools.cycle(conversations):
        message = place.portal.add_message(
            {
                "id": str(uuid.uuid4()),
                "chatId": str(place.chat.uspacy_id),
                "type": type,
                "message": TEXT,
                "externalLine": place.chat.line.uspacy_id,
            },
            OPERATOR,
        )
        envelope = world.sns.envelope(message_event(place.portal, "create", message))
        headers = {"x-amz-sns-message-type": "Notification", "content-type": "text/plain; charset=UTF-8"}
        yield Webhook(message["id"], "/webhooks/uspacy", headers, json.dumps(envelope, indent=2).encode())


def customers_messages(conversations: Sequence[Conversation]) -> Iterator[Webhook]:
    """Yield signed calls of partners without end: their customers write, one after the other."""
    for place in itertools.cycle(conversations):
        message = {
            "id": uuid.uuid4().hex,
            "direction": "in",
            "sent_at": iso_now(),
            "format": "plain",
            "text": TEXT,
        }
        data = {
            "conversation": conversation(place.customer),
            "contact": contact(place.customer),
            "message": message,
        }
        body = json.dumps({"type": "message.created", "timestamp": iso_now(), "data": data}).encode()
        headers = place.partner.headers(f"evt_{message['id']}", body)
        yield Webhook(message["id"], f"/webhooks/lines/{place.chat.line.key}", headers, body)
