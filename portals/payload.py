"""Reading JSON from outside: nothing is used unchecked, and what is wrong is named."""

import json
import re
from datetime import UTC, datetime
from typing import Any, NoReturn


class InvalidPayload(Exception):
    """A payload breaks its contract; `field` is the dotted path of the culprit."""

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.field = field


# How JSON would have to look to come to a string that PostgreSQL cannot store: to look first is much faster.
_UNSTORABLE = re.compile(r"\\u(?:0000|[dD][89a-fA-F])|[\x00\ud800-\udfff]")


def parse_json(text: bytes | str) -> Any:
    """Return the JSON value, with strings that PostgreSQL can store. Raises InvalidPayload."""
    try:
        if isinstance(text, bytes):
            text = text.decode(json.detect_encoding(text), "surrogatepass")
        value = json.loads(text, parse_constant=_refuse_constant)
        return storable(value) if _UNSTORABLE.search(text) else value
    except (ValueError, RecursionError) as exc:
        raise InvalidPayload("The body is not JSON.") from exc


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def storable(value: Any) -> Any:
    """Drop what JSON allows but PostgreSQL's text does not: NUL characters and lone surrogates."""
    if isinstance(value, str):
        if value.isascii():
            return value.replace("\x00", "")
        return value.replace("\x00", "").encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [storable(item) for item in value]
    if isinstance(value, dict):
        return {storable(key): storable(item) for key, item in value.items()}
    return value


class Payload:
    """A JSON object whose fields are checked as they are read; every reader may raise InvalidPayload."""

    def __init__(self, value: Any, path: str = "") -> None:
        self.path = path
        if not isinstance(value, dict):
            self.fail("has to be an object")
        self.value: dict[str, Any] = value

    def fail(self, what: str, name: str = "") -> NoReturn:
        field = ".".join(part for part in (self.path, name) if part)
        raise InvalidPayload(f"{field or 'The body'} {what}.", field=field)

    def child(self, name: str) -> "Payload":
        return Payload(self.value.get(name), f"{self.path}.{name}".lstrip("."))

    def optional_child(self, name: str) -> "Payload":
        """The object under `name`; an empty one where it is absent or null."""
        return (
            self.child(name)
            if self.value.get(name) is not None
            else Payload({}, f"{self.path}.{name}".lstrip("."))
        )

    def children(self, name: str) -> list["Payload"]:
        """The objects of the list under `name`; none where it is absent or null."""
        items = self.value.get(name)
        if items is None:
            return []
        if not isinstance(items, list):
            self.fail("has to be a list", name)
        return [Payload(item, f"{self.path}.{name}.{index}".lstrip(".")) for index, item in enumerate(items)]

    def text(self, name: str, default: str | None = None) -> str:
        """The string under `name`; `default` where it is absent or null, else required."""
        value = self.value.get(name)
        if value is None and default is not None:
            return default
        if not isinstance(value, str):
            self.fail("has to be a string", name)
        return value

    def id(self, name: str, default: str | None = None) -> str:
        """A string or whole number under `name` as a string of 1 to 255 characters."""
        value = self.value.get(name)
        if value is None and default is not None:
            return default
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str) or not 1 <= len(value) <= 255:
            self.fail("has to be a string of 1 to 255 characters", name)
        return value

    def number(self, name: str) -> float:
        value = self.value.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.fail("has to be a number", name)
        return value

    def size(self, name: str) -> int | None:
        """A number of bytes, given as a number or a numeric string; None where it is absent or senseless."""
        value = self.value.get(name)
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 16:
            value = int(value)
        return value if type(value) is int and 0 <= value < 2**53 else None

    def moment(self, name: str) -> datetime | None:
        """An ISO 8601 time, or unix seconds or milliseconds; None where it is absent or senseless."""
        value = self.value.get(name)
        try:
            if isinstance(value, str):
                moment = datetime.fromisoformat(value)
                return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
            if isinstance(value, int | float) and not isinstance(value, bool):
                return datetime.fromtimestamp(value / 1000 if value >= 1e11 else value, UTC)
        except (ValueError, OverflowError, OSError):
            pass
        return None
