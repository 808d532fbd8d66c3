"""Which chat an id names. A customer may be known by several: a phone number, a user id, an id they had before."""

from collections.abc import Sequence

from django.db.models import QuerySet

from externallines.models import ExternalLine
from messaging import statements
from messaging.models import Chat


def find(line: ExternalLine, chat_id: str) -> Chat | None:
    """Return the line's chat with this id, else the one with this alias."""
    chats = Chat.objects.filter(line=line)
    return chats.filter(external_id=chat_id).first() or _with_alias(chats, [chat_id])


def lock_known(line: ExternalLine, chat_id: str, aliases: Sequence[str]) -> Chat | None:
    """Return the line's chat that goes by one of these ids, locked; one with this very id before all others."""
    if exact := statements.lock_chat_of_customer(line, chat_id):
        return exact
    chats = Chat.objects.filter(line=line)
    named = chats.filter(external_id__in=aliases).order_by("id").first() if aliases else None
    known = named or _with_alias(chats, [chat_id, *aliases])
    return chats.select_for_update(no_key=True).get(pk=known.pk) if known else None


def with_aliases(chat: Chat, ids: Sequence[str]) -> list[str]:
    """Return the chat's aliases, with those of `ids` that are new."""
    return [*chat.aliases, *(each for each in dict.fromkeys(ids) if each not in (*chat.aliases, chat.external_id))]


def _with_alias(chats: QuerySet[Chat], ids: Sequence[str]) -> Chat | None:
    # `exclude` names the condition of the index, which most chats are not in
    return chats.filter(aliases__overlap=list(ids)).exclude(aliases=[]).order_by("id").first()
