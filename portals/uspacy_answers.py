"""How Uspacy's answers are read (uspacy-api.md 3, 8, 10 and 11).

Few of them are documented, so they are read tolerantly: with or without a `data` wrapper, ids and sizes as
numbers or strings, errors in three shapes.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypedDict

import jwt

from portals import http
from portals.http import Answer, RemoteError, ServerFault

DAY = 86_400
REASON_CHARS = 500


class DuplicateMessage(RemoteError):  # noqa: N818 - the name says what happened
    """Uspacy has something with this unique key already: to a repeated call, success (uspacy-api.md 7.2)."""


@dataclass(frozen=True, slots=True)
class TokenPair:
    """Fresh tokens of a portal; `expires_in` counts seconds for `token`."""

    token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_in: int


@dataclass(frozen=True, slots=True)
class Line:
    """An external line as Uspacy has it."""

    id: str
    external_id: str
    name: str
    icon: str
    phone_number: str


class FileObject(TypedDict):
    """A stored file, in the form in which a message refers to it."""

    id: int | str  # as it came: Uspacy's own is a number
    entityId: str
    originalFilename: str
    lastModified: int  # unix seconds
    size: int  # bytes
    url: str


def read_token_pair(answer: Answer, refresh_token: str) -> TokenPair:
    """Read the tokens; where no new refresh token is given, `refresh_token` stays."""
    raise_for_error(answer)
    body = read_body(answer)
    token = body.get("jwt") if isinstance(body, dict) else None
    if not isinstance(token, str) or not token:
        raise ServerFault("Uspacy's answer to the request for a new token has none.")
    return TokenPair(token, str(body.get("refreshToken") or refresh_token), _expires_in(body, token))


def _expires_in(body: Mapping[str, Any], token: str) -> int:
    """Return a token's life in seconds, under whichever name Uspacy gives it (uspacy-api.md 3)."""
    for name in ("expireInSeconds", "expiresInSeconds"):
        if (seconds := _int(body.get(name))) > 0:
            return seconds
    try:
        claims = jwt.decode(token, options={"verify_signature": False})  # it came from Uspacy itself
    except jwt.PyJWTError:
        return DAY
    left = _int(claims.get("exp")) - int(time.time())
    return left if left > 0 else DAY


def raise_for_error(answer: Answer) -> None:
    if answer.ok:
        return
    reason = " ".join(" ".join(_texts(_error(answer))).split())[:REASON_CHARS]
    message = f"Uspacy answered with status {answer.status}" + (f": {reason}" if reason else ".")
    if is_duplicate(answer):
        raise DuplicateMessage(message, code="duplicate")
    http.raise_for_status(answer, message=message)


def _error(answer: Answer) -> Any:
    """Return what an error answer says, in any of Uspacy's three shapes or as text (uspacy-api.md 10)."""
    try:
        body = answer.json()
    except ServerFault:
        text = answer.body.decode(errors="replace")
        return "" if text.lstrip().startswith("<") else text
    if not isinstance(body, dict):
        return body
    return body.get("message") or body.get("errors") or body.get("error")


def _texts(value: Any, depth: int = 3) -> Iterator[str]:
    """Yield the sentences in an error, which may lie in lists and objects."""
    if isinstance(value, str):
        yield value
    elif depth and isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item, depth - 1)


def is_duplicate(answer: Answer) -> bool:
    """Whether a failure is MongoDB's duplicate key error, whatever its status (uspacy-api.md 7.2)."""
    error = _error(answer)
    return isinstance(error, str) and "E11000 duplicate key error" in error


def read_body(answer: Answer) -> Any:
    """Return the parsed body without its `data` wrapper, if it has one (uspacy-api.md 11.8)."""
    match answer.json():
        case {"id": _} | {"jwt": _} as thing:
            return thing
        case {"data": dict() | list() as thing}:
            return thing
        case thing:
            return thing


def read_list(answer: Answer) -> list[dict[str, Any]]:
    body = read_body(answer)
    if not isinstance(body, list):
        raise ServerFault("Uspacy's answer is not the list that was asked for.")
    return [item for item in body if isinstance(item, dict)]


def read_line(body: Mapping[str, Any]) -> Line:
    def text(name: str) -> str:
        return str(body.get(name) or "")

    return Line(read_id(body.get("id")), text("externalId"), text("name"), text("icon"), text("phoneNumber"))


def read_file(body: Mapping[str, Any]) -> FileObject:
    return {
        "id": body["id"] if isinstance(body.get("id"), int) else read_id(body.get("id")),
        "entityId": read_id(body.get("entityId")),
        "originalFilename": str(body.get("originalFilename") or ""),
        "lastModified": _int(body.get("lastModified")),
        "size": _int(body.get("size")),
        "url": str(body.get("url") or ""),
    }


def read_id(value: Any) -> str:
    return str(value) if isinstance(value, str | int) and value != "" else ""


def _int(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return 0
