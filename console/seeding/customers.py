"""The customers of a line, and what messengers call them and their messages."""

import base64
import json
import uuid
from dataclasses import dataclass
from datetime import datetime

from console.seeding import names
from console.seeding.houses import Place
from console.seeding.rows import ChatRow


@dataclass(frozen=True, slots=True)
class Customer:
    """Somebody in a chat: always the same for the same number."""

    chat_id: int
    external_id: str
    contact_id: str
    uspacy_id: uuid.UUID
    name: str
    username: str
    phone: str

    def meta(self, channel: str) -> list[dict[str, str]]:
        """Return what the channel tells Uspacy of them."""
        told = {"username": self.username, "phone": self.phone}
        if channel != "webhook":
            told = {channel: self.contact_id} | told
        return [{"type": kind, "value": value} for kind, value in told.items() if value]


def customer(chat_id: int, number: int, channel: str, namespace: uuid.UUID, *, english: bool) -> Customer:
    number += 1  # zero would give odd ones
    name = names.person(number, english=english)
    nick, spread = names.username(name, number), number * 7_368_787 % 10**9
    phone = f"+380{(50, 63, 66, 67, 68, 73, 93, 95, 96, 97)[number % 10]}{spread % 10**7:07}"
    match channel:
        case "telegram":
            external_id = f"5{spread:09}"
            nick, phone = nick if number % 3 else "", phone if number % 5 == 0 else ""
        case "viber":
            external_id = base64.b64encode(spread.to_bytes(16, "little")).decode()
            nick = phone = ""
        case "whatsapp":
            external_id, nick = phone.removeprefix("+"), ""
        case "facebook":
            external_id, nick, phone = f"6{spread * 1_000_003:018}"[:17], "", ""
        case "instagram":
            external_id, phone = f"17{spread * 1_000_003:016}"[:17], ""
        case _:
            external_id = str(10_000 + number)
            nick = ""
    conversation = f"conversation-{external_id}" if channel == "webhook" else external_id
    uspacy_id = uuid.uuid5(namespace, str(number))
    return Customer(chat_id, conversation, external_id, uspacy_id, name, nick, phone)


def chat_row(who: Customer, place: Place, *, customer_wrote_at: datetime, last_message_at: datetime) -> ChatRow:
    return ChatRow(
        who.chat_id,
        place.id,
        who.external_id,
        who.contact_id,
        str(who.uspacy_id),
        who.name,
        json.dumps(who.meta(place.channel), ensure_ascii=False),
        blocked=who.uspacy_id.int % 211 == 17,
        customer_wrote_at=customer_wrote_at,
        last_message_at=last_message_at,
    )


def message_id(place: Place, number: int) -> str:
    """Return the messenger's id of a message."""
    match place.channel:
        case "telegram":
            return str(number)
        case "viber":
            return str(5_700_000_000_000_000_000 + number * 7_919)
        case "whatsapp":
            return "wamid.HBgM" + base64.b64encode(f"{number:018}".encode()).decode()
        case "facebook":
            return "m_" + base64.urlsafe_b64encode(f"{place.external_id}{number:020}".encode()).decode()
        case "instagram":
            return "aWdfZAG1faXRlbToxOk" + base64.urlsafe_b64encode(f"{number:020}".encode()).decode()
    return f"message-{number}"
