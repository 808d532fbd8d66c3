"""Who a customer of WhatsApp is: the ids under which one chat may be known (channels.md 3)."""

from dataclasses import dataclass

import phonenumbers

from portals.payload import Payload


@dataclass(frozen=True, slots=True)
class Identity:
    """A customer: a phone number as WhatsApp writes it, or a user id where that is hidden, or both."""

    number: str
    user_id: str

    @classmethod
    def read(cls, message: Payload, number: str, user_id: str, contact: Payload) -> "Identity":
        """Read them from a message, and from its contact what the message does not tell."""
        given = message.text(number, "") or contact.text("wa_id", "")
        user = message.text(user_id, "") or contact.text("user_id", "") or (given if not is_number(given) else "")
        return cls(given if is_number(given) else "", user[:255])

    @property
    def chat_id(self) -> str:
        return self.number or self.user_id

    @property
    def aliases(self) -> list[str]:
        known = [*number_variants(self.number), self.user_id]
        return [alias for alias in known if alias and alias != self.chat_id]


def is_number(value: str) -> bool:
    return value.isascii() and value.isdigit() and len(value) <= 20


def number_variants(number: str) -> list[str]:
    """Return the other forms in which a mobile's number of Brazil, Argentina or Mexico is written."""
    try:
        parsed = phonenumbers.parse(f"+{number}")
    except phonenumbers.NumberParseException:
        return []
    national = str(parsed.national_number)
    match parsed.country_code, len(national):
        case 55, 11 if national[2] == "9":
            other = national[:2] + national[3:]
        case 55, 10 if national[2] in "6789":  # a mobile, from before they all got a 9
            other = f"{national[:2]}9{national[2:]}"
        case (54, 11) if national[0] == "9":
            other = national[1:]
        case 54, 10:
            other = f"9{national}"
        case (52, 11) if national[0] == "1":
            other = national[1:]
        case 52, 10:
            other = f"1{national}"
        case _:
            return []
    return [f"{parsed.country_code}{other}"]
