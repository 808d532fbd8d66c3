"""Strict validation of what the app sends, and the one way to refuse it.

A check looks at a value and returns what is wrong with it as (path, sentence) pairs.
"""

import re
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

Problem = tuple[str, str]
Check = Callable[[Any], list[Problem]]


class RefusedError(Exception):
    """Ends a request with an error answer; ``breach`` says which rule the app broke, if it broke one."""

    def __init__(self, status: int, body: Mapping[str, Any], *, breach: str | None = None) -> None:
        super().__init__(breach or str(body))
        self.status = status
        self.body = body
        self.breach = breach


def sentences(problems: list[Problem]) -> list[str]:
    """Problems as a person reads them: ``message.id must be a UUID``."""
    return [f"{path or 'body'} {sentence}" for path, sentence in problems]


def anything(value: Any) -> list[Problem]:
    return []


def a_text(value: Any) -> list[Problem]:
    return [] if isinstance(value, str) else [("", "must be a string")]


def a_filled_text(value: Any) -> list[Problem]:
    return [] if isinstance(value, str) and value.strip() else [("", "must be a non-empty string")]


def a_short_id(value: Any) -> list[Problem]:
    return (
        []
        if isinstance(value, str) and 0 < len(value) <= 255
        else [("", "must be a string of 1 to 255 characters")]
    )


def an_integer(value: Any) -> list[Problem]:
    return [] if isinstance(value, int) and not isinstance(value, bool) else [("", "must be an integer")]


def a_uuid(value: Any) -> list[Problem]:
    try:
        if isinstance(value, str) and str(uuid.UUID(value)) == value.lower():
            return []
    except ValueError:
        pass
    return [("", "must be a UUID")]


def a_url(value: Any) -> list[Problem]:
    if isinstance(value, str):
        parts = urlsplit(value)
        if parts.scheme in ("http", "https") and parts.hostname:
            return []
    return [("", "must be an http(s) URL")]


def a_time(value: Any) -> list[Problem]:
    """ISO 8601 with an offset."""
    try:
        if isinstance(value, str) and datetime.fromisoformat(value).tzinfo:
            return []
    except ValueError:
        pass
    return [("", "must be an ISO 8601 time with an offset")]


def a_sha256(value: Any) -> list[Problem]:
    matches = isinstance(value, str) and re.fullmatch(r"[0-9a-f]{64}", value)
    return [] if matches else [("", "must be a SHA-256 in lower-case hex")]


def a_number_text(value: Any) -> list[Problem]:
    """A whole number in a query string."""
    return (
        [] if isinstance(value, str) and value.isascii() and value.isdigit() else [("", "must be a whole number")]
    )


def one_of(*allowed: Any) -> Check:
    expected = ", ".join(str(value) for value in allowed)
    return lambda value: [] if value in allowed else [("", f"must be one of {expected}")]


def nullable(check: Check) -> Check:
    return lambda value: [] if value is None else check(value)


def list_of(check: Check, *, at_least: int = 0) -> Check:
    def check_list(value: Any) -> list[Problem]:
        if not isinstance(value, list):
            return [("", "must be an array")]
        if len(value) < at_least:
            return [("", f"must have at least {at_least} element")]
        return [
            (_join(f"[{number}]", path), sentence)
            for number, element in enumerate(value)
            for path, sentence in check(element)
        ]

    return check_list


def record(required: Mapping[str, Check], optional: Mapping[str, Check] | None = None) -> Check:
    """An object with these fields and no others."""
    known = {**required, **(optional or {})}

    def check_record(value: Any) -> list[Problem]:
        if not isinstance(value, dict):
            return [("", "must be an object")]
        problems = [(name, "is missing") for name in required if name not in value]
        for name, content in value.items():
            if name not in known:
                problems.append((name, "is not a field of the contract"))
                continue
            problems += [(_join(name, path), sentence) for path, sentence in known[name](content)]
        return problems

    return check_record


def _join(outer: str, inner: str) -> str:
    return f"{outer}.{inner}" if inner and not inner.startswith("[") else outer + inner
