"""Which chats a text names: by their customer's name, phone, username or ids, or by the domain of their portal."""

import re
from collections.abc import Iterator

from django.db.models import Q, QuerySet

from console import lookups
from console.base import as_uuid
from messaging.models import Chat
from portals.words import beginning_like, words_of

PHONE = re.compile(r"[\d\s()+.-]{5,}")

OF_PORTAL = 2_000  # messages that are looked through for a portal's

NEWEST_OF_PORTALS = """
    SELECT chat.id FROM (
        SELECT id FROM externallines_externalline WHERE portal_id = ANY(%(portals)s) LIMIT 50
    ) line CROSS JOIN LATERAL (
        SELECT id, last_message_at FROM messaging_chat WHERE line_id = line.id
        ORDER BY last_message_at DESC, id DESC LIMIT %(most)s
    ) chat ORDER BY chat.last_message_at DESC, chat.id DESC LIMIT %(most)s
"""
NEWEST_IN_CHATS = """
    SELECT message.id FROM unnest(%(chats)s::bigint[]) chat (id) CROSS JOIN LATERAL (
        SELECT id FROM messaging_message WHERE chat_id = chat.id ORDER BY id DESC LIMIT 200
    ) message ORDER BY message.id DESC LIMIT %(most)s
"""


def find(text: str) -> list[int]:
    """Return the ids of the chats that a text names, at most `MOST` of each way to name them."""
    return list({*lookups.ids_of(_ways(text)), *newest_of_portals(text)})


def newest_of_portals(domain: str) -> list[int]:
    """Return the ids of the newest chats of the portals that a domain, or its beginning, names."""
    portals = lookups.portals_named(domain)
    return lookups.ids(NEWEST_OF_PORTALS, {"portals": portals, "most": lookups.MOST}) if portals else []


def newest_messages_of_portals(domain: str) -> list[int]:
    """Return the ids of the newest messages in these chats."""
    return lookups.ids(NEWEST_IN_CHATS, {"chats": newest_of_portals(domain), "most": OF_PORTAL})


def _ways(text: str) -> Iterator[QuerySet[Chat]]:
    spellings = _spellings(text)
    if words := beginning_like(text):
        yield Chat.objects.alias(words=words_of("name")).filter(words=words)
    told = Q()
    for spelling in spellings:
        told |= Q(meta__contains=[{"value": spelling}])
    yield Chat.objects.filter(told)
    yield Chat.objects.filter(external_id__in=spellings)
    yield Chat.objects.filter(contact_id__in=spellings)
    yield Chat.objects.filter(aliases__overlap=spellings).exclude(aliases=[])  # which the index asks for
    if (uspacy_id := as_uuid(text)) is not None:
        yield Chat.objects.filter(uspacy_id=uspacy_id)


def _spellings(text: str) -> list[str]:
    """Return how messengers may write a phone number or a username."""
    name = text.removeprefix("@")
    spellings = {text, name, name.lower(), f"@{name}", f"@{name.lower()}"}
    if PHONE.fullmatch(text):
        number = re.sub(r"\D", "", text).removeprefix("00")
        spellings |= {number, f"+{number}"}
    return sorted(spellings)
