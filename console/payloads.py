"""The payload of a webhook event as it is shown: secrets never, what people wrote to those who may read it.

What is shown to the others is listed here: ids, kinds, times, names. All else that is text is hidden, so that a
messenger's new field does not tell what it must not.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from console.masking import HIDDEN
from portals.payload import InvalidPayload, parse_json

SHOWN_CHARACTERS = 100_000
DEEPEST = 40

SECRET = re.compile(
    r"token|secret|signature|authorization|password|credential|cookie|api_?key|proof|subscribe_?url|jwt|hmac", re.I
)
SECRETS_IN_TEXT = (
    (re.compile(r"(/(?:file/)?bot)\d+:[\w-]+"), rf"\1{HIDDEN}"),  # Telegram's addresses of files
    (re.compile(r"\b\d{6,}:[\w-]{30,}"), HIDDEN),  # its tokens
    (re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]*"), HIDDEN),  # JWT
    (re.compile(r"\b(?:whsec_|EAA)[\w+/=-]{8,}"), HIDDEN),  # Standard Webhooks, Meta
    (re.compile(r"(\b[a-z][a-z0-9+.-]*://)[^\s/?#@]+@", re.I), rf"\1{HIDDEN}@"),  # names and passwords
    (re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s?#\"<>]*)[?#][^\s\"<>]*", re.I), rf"\1?{HIDDEN}"),  # signed addresses
)

PLAIN = re.compile(
    r"(?:.*[_-])?u?u?ids?|.*[a-z]Ids?|.*ID|key|mid|seq|from|to|recipient|sender"
    r"|type|kind|status|state|action|event|events|object|field|version|code|level|direction|chat_?type"
    r"|mime_?type|content_?type|language|language_?code|locale|country|api_version|domain|source"
    r"|external_?line|messaging_?product|(?:display_)?phone_?number|sha256|hash"
    r"|(?:.*_)?(?:time|timestamp|date|at)|.*(?:Time|Timestamp|Date|At)"
)
CODE = re.compile(r"\S{,255}")  # under such a key a partner's own system may write sentences
NAME = re.compile(
    r"(?:first_|last_|user_|full_|display_)?name|username|firstName|lastName|userName|fullName|displayName"
)
NAMED = {
    "from",
    "sender",
    "author",
    "profile",
    "chat",
    "user",
}  # whose name it is: not a file's or somebody else's
PERSONAL = {"location", "venue", "contact", "poll", "order", "passport_data"}  # all below these, even numbers
IDENTITY = re.compile(
    r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"
    r"|\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)?",
    re.I,
)


@dataclass(frozen=True, slots=True)
class Shown:
    """A payload as text, and what there is to know about it."""

    text: str
    note: str = ""


def show(payload: str, *, readable: bool) -> Shown:
    """Return a stored payload, indented, without secrets, and unless `readable` without what people wrote."""
    try:
        value = parse_json(payload)
    except InvalidPayload:
        if not readable:
            return Shown("", _("It is not JSON. To read it takes another right."))
        text, note = _scrubbed(payload[: SHOWN_CHARACTERS + 1]), _("It is not JSON.")
    else:
        text = json.dumps(_Mask(readable=readable).of(value), ensure_ascii=False, indent=2)
        note = "" if readable else _("What people wrote is hidden (••••). To read it takes another right.")
    if len(payload) > SHOWN_CHARACTERS or len(text) > SHOWN_CHARACTERS:
        cut = _("It has %(all)s characters; only the beginning is shown.") % {"all": f"{len(payload):,}"}
        return Shown(text[:SHOWN_CHARACTERS], f"{cut} {note}".strip())
    return Shown(text, note)


def show_traceback(traceback: str, *, readable: bool) -> str:
    """Return a traceback; to those who may not read texts, where it happened and what kind of error it was."""
    if readable:
        return _scrubbed(traceback)
    places = list(re.finditer(r'^  File ".*", line \d+, in .*$', traceback, re.M))
    rest = traceback[places[-1].end() :] if places else ""
    kind = re.search(r"^[A-Za-z_][\w.]*(?=:|$)", rest, re.M)  # what follows it may quote the payload
    return "\n".join([place[0] for place in places] + ([kind[0]] if kind else []))


class _Mask:
    """Goes through a payload, no further than what is shown of it."""

    def __init__(self, *, readable: bool) -> None:
        self.readable = readable
        self.left = SHOWN_CHARACTERS

    def of(self, value: Any, path: tuple[str, ...] = (), *, personal: bool = False, depth: int = 0) -> Any:
        key = path[-1] if path else ""
        self.left -= 10
        if self.left < 0 or depth > DEEPEST:
            return "…"
        if value and SECRET.search(key):
            return HIDDEN
        is_card = key == "contacts" and "messages" in path  # somebody else's, which a customer has passed on
        personal = personal or (not self.readable and (key in PERSONAL or is_card))
        if isinstance(value, dict):
            return {
                name: self.of(value[name], (*path, name), personal=personal, depth=depth + 1)
                for name in self._some(value)
            }
        if isinstance(value, list):
            return [self.of(item, path, personal=personal, depth=depth + 1) for item in self._some(value)]
        if isinstance(value, str):
            return self._text(value, path, personal=personal)
        return HIDDEN if personal and isinstance(value, int | float) and not isinstance(value, bool) else value

    def _some(self, values: Any) -> Any:
        """Yield what there is room for; the last one becomes an ellipsis."""
        for value in values:
            yield value
            if self.left < 0:
                return

    def _text(self, text: str, path: tuple[str, ...], *, personal: bool) -> str:
        is_plain = not personal and _is_plain(text, path)
        if text and not (self.readable or is_plain):
            return HIDDEN
        if text[:1] in "{[" and text[1:]:
            inner = self._json(text, path)
            if inner is not None:
                return inner
        self.left -= len(text)
        return _scrubbed(text[: SHOWN_CHARACTERS + 1])

    def _json(self, text: str, path: tuple[str, ...]) -> str | None:
        """Return JSON within a string, masked as well; None if it is none."""
        try:
            value = parse_json(text)
        except InvalidPayload:
            return None
        return json.dumps(self.of(value, path), ensure_ascii=False) if isinstance(value, dict | list) else None


def _is_plain(text: str, path: tuple[str, ...]) -> bool:
    key, owner = path[-1] if path else "", path[-2] if len(path) > 1 else ""
    if NAME.fullmatch(key):
        return owner in NAMED
    return bool(IDENTITY.fullmatch(text) or (PLAIN.fullmatch(key) and CODE.fullmatch(text)))


def _scrubbed(text: str) -> str:
    for pattern, replacement in SECRETS_IN_TEXT:
        text = pattern.sub(replacement, text)
    return text
