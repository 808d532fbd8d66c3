"""Which chats a text names: by their customer's name, phone, username or ids, or by the domain of their portal.

Each way has an index and a limit of its own, so that what names no one of ten million costs no more than a
common name. With a limit in sight PostgreSQL would rather walk through the whole table than use the index: a
materialized subquery is planned as if all of it was wanted, and read only as far as the limit all the same.
"""

import re
from collections.abc import Iterator
from typing import Any

from django.contrib.postgres.search import SearchQuery
from django.db import connection
from django.db.models import Q, QuerySet

from console.base import as_uuid
from messaging.models import BETWEEN_WORDS, Chat, words_of

MOST = 500  # of each way

PHONE = re.compile(r"[\d\s()+.-]{5,}")
BLANKS = str.maketrans(dict.fromkeys(BETWEEN_WORDS + "%\0", " "))

NEWEST_OF_PORTALS = """
    SELECT chat.id FROM (
        SELECT line.id FROM externallines_externalline line
        JOIN portals_portal portal ON portal.id = line.portal_id
        WHERE portal.domain LIKE %(domain)s ORDER BY portal.domain LIMIT 50
    ) line CROSS JOIN LATERAL (
        SELECT id, last_message_at FROM messaging_chat WHERE line_id = line.id
        ORDER BY last_message_at DESC, id DESC LIMIT %(most)s
    ) chat ORDER BY chat.last_message_at DESC, chat.id DESC LIMIT %(most)s
"""


def find(text: str) -> list[int]:
    """Return the ids of the chats that a text names, at most `MOST` of each way to name them."""
    found = [queryset.order_by().values("pk").query.sql_with_params() for queryset in _ways(text)]
    ways = ", ".join(f"way_{number} AS MATERIALIZED ({sql})" for number, (sql, _params) in enumerate(found))
    some = " UNION ".join(f"(TABLE way_{number} LIMIT {MOST})" for number in range(len(found)))
    ids = _ids(f"WITH {ways} {some}", [param for _sql, params in found for param in params])
    return list({*ids, *newest_of_portals(text)})


def newest_of_portals(domain: str) -> list[int]:
    """Return the ids of the newest chats of the portals whose domain begins like this."""
    pattern = re.sub(r"([%_\\])", r"\\\1", domain.lower()) + "%"
    return _ids(NEWEST_OF_PORTALS, {"domain": pattern, "most": MOST})


def _ways(text: str) -> Iterator[QuerySet[Chat]]:
    spellings = _spellings(text)
    if query := _prefixes(text):
        words = SearchQuery(query, config="simple", search_type="raw")
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


def _prefixes(text: str) -> str:
    """Return a query for names with words that begin like those of the text; a letter alone is a word."""
    words = text.translate(BLANKS).split()
    return " & ".join(f"{word}:*" if len(word) > 1 else word for word in words)


def _spellings(text: str) -> list[str]:
    """Return how messengers may write a phone number or a username."""
    name = text.removeprefix("@")
    spellings = {text, name, name.lower(), f"@{name}", f"@{name.lower()}"}
    if PHONE.fullmatch(text):
        number = re.sub(r"\D", "", text).removeprefix("00")
        spellings |= {number, f"+{number}"}
    return sorted(spellings)


def _ids(sql: str, params: Any) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return [pk for (pk,) in cursor.fetchall()]
