"""Which chat an id names, and what is known of its customer.

A customer may be known by several ids: a phone number, a user id, an id they had before.
"""

import uuid
from collections.abc import Sequence

from django.db.models import QuerySet

from externallines.channels.base import Contact, MessageReceived
from externallines.models import ExternalLine
from messaging import statements
from messaging.models import Chat

NAMESPACE = uuid.UUID("6f2f7a52-5a43-4a8e-9e0c-0d4b7d1f5c11")  # of the ids we choose in Uspacy; never changes


def lock_of_customer(line: ExternalLine, received: MessageReceived) -> Chat:
    """Return the chat of a message, locked, with what is known of its customer brought up to date."""
    chat, is_new = _lock_known(line, received.chat_id, received.aliases), False
    if chat is None and received.aliases:  # their first messages may come at once, under several of their ids
        statements.lock_ids(line, [received.chat_id, *received.aliases])
        chat = _lock_known(line, received.chat_id, received.aliases)
    if chat is None:
        chat, is_new = Chat.objects.select_for_update(no_key=True).get_or_create(
            line=line,
            external_id=received.chat_id,
            defaults={
                "uspacy_id": uuid.uuid5(NAMESPACE, f"{line.key} {received.chat_id}"),
                "aliases": [alias for alias in dict.fromkeys(received.aliases) if alias != received.chat_id],
                **_described(received.contact),
            },
        )
    if not is_new:
        _bring_up_to_date(chat, received)
    return chat


def find(line: ExternalLine, chat_id: str) -> Chat | None:
    """Return the line's chat with this id, else the one with this alias."""
    chats = Chat.objects.filter(line=line)
    return chats.filter(external_id=chat_id).first() or _with_alias(chats, [chat_id])


def with_aliases(chat: Chat, ids: Sequence[str]) -> list[str]:
    """Return the chat's aliases, with those of `ids` that are new."""
    return [*chat.aliases, *(each for each in dict.fromkeys(ids) if each not in (*chat.aliases, chat.external_id))]


def _lock_known(line: ExternalLine, chat_id: str, aliases: Sequence[str]) -> Chat | None:
    """Return the line's chat that goes by one of these ids, locked; one with this very id before all others."""
    if exact := statements.chat_of_customer(line, chat_id, lock=True):
        return exact
    chats = Chat.objects.filter(line=line)
    named = chats.filter(external_id__in=aliases).order_by("id").first() if aliases else None
    known = named or _with_alias(chats, [chat_id, *aliases])
    return chats.select_for_update(no_key=True).get(pk=known.pk) if known else None


def known_by(line: ExternalLine, received: MessageReceived) -> Chat | None:
    """Return the chat of a message if we have it, and the message tells nothing new of it; it is not locked."""
    chat = statements.chat_of_customer(line, received.chat_id, lock=False)
    return chat if chat and not _news(chat, received) else None


def _bring_up_to_date(chat: Chat, received: MessageReceived) -> None:
    """Store what is news of a chat."""
    if news := _news(chat, received):
        Chat.objects.filter(pk=chat.pk).update(**news)
        for name, value in news.items():
            setattr(chat, name, value)


def _news(chat: Chat, received: MessageReceived) -> dict[str, object]:
    """What a message tells that is new. Of a customer only their own messages tell; who writes can be answered."""
    told: dict[str, object] = {"aliases": with_aliases(chat, [received.chat_id, *received.aliases])}
    if not received.outgoing:
        told |= {name: value for name, value in _described(received.contact).items() if value}
        told["meta"] = _merged(chat.meta, received.contact.meta)
        told["blocked"] = False
    return {name: value for name, value in told.items() if value != getattr(chat, name)}


def _merged(known: Sequence[dict[str, str]], told: Sequence[tuple[str, str]]) -> list[dict[str, str]]:
    """What is told of a customer, and what was known of them that it is silent about."""
    types = {kind for kind, _value in told}
    return [*_pairs(told), *(entry for entry in known if entry["type"] not in types)]


def _pairs(meta: Sequence[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"type": kind, "value": value} for kind, value in meta]


def _described(contact: Contact) -> dict[str, object]:
    return {
        "contact_id": contact.id,
        "name": contact.name,
        "picture_url": contact.picture_url,
        "picture": contact.picture,
        "meta": _pairs(contact.meta),
    }


def _with_alias(chats: QuerySet[Chat], ids: Sequence[str]) -> Chat | None:
    # `exclude` names the condition of the index, which most chats are not in
    return chats.filter(aliases__overlap=list(ids)).exclude(aliases=[]).order_by("id").first()
