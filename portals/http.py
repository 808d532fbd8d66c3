"""The one way to call out: bounded in time and size, closed to internal addresses, with one tree of errors.

It stands on requests' adapter rather than its Session, which would bring cookies shared between portals,
proxies and credentials from the environment, and redirects.
"""

import hashlib
import logging
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from io import SEEK_END
from json import loads
from typing import Any, BinaryIO, cast
from urllib.parse import urlsplit

import requests
from requests_toolbelt import MultipartEncoder
from urllib3 import HTTPResponse
from urllib3.exceptions import DecodeError, HTTPError

from portals import guard
from portals.gate import gate_for
from portals.remote import (
    Busy,
    ForbiddenAddress,
    Refused,
    RemoteError,
    ServerFault,
    Throttled,
    TooLarge,
    Unauthorized,
    Unreachable,
)
from portals.transport import cut_all, thread

__all__ = [
    "Answer",
    "Busy",
    "Download",
    "ForbiddenAddress",
    "Refused",
    "RemoteError",
    "ServerFault",
    "Throttled",
    "TooLarge",
    "Unauthorized",
    "Unreachable",
    "call",
    "check_url",
    "cut_off",
    "download",
    "multipart",
    "raise_for_status",
    "retry_after",
]

MIB = 1024 * 1024
USER_AGENT = "uspacy-external-lines/1"

allow_private_networks = False
"""Lets calls reach private addresses, over plain http and on any port. Set once, from the settings."""

DOWNLOAD_SECONDS = 120.0  # at most, unless told otherwise
LONGEST_RETRY_AFTER = 24 * 3600.0
CHUNK = 64 * 1024

# These log whole URLs, and Telegram's hold the token (channels.md 0, Secrets).
for _name in ("urllib3.connection", "urllib3.connectionpool"):
    logging.getLogger(_name).setLevel(logging.CRITICAL)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the remote side answered; `headers` are case-insensitive, `body` is decoded."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    def json(self) -> Any:
        """Return the parsed body. Raises ServerFault if it is not JSON."""
        try:
            return loads(self.body)
        except (ValueError, RecursionError):
            code = str(self.status)
            raise ServerFault(f"The answer with status {code} is not JSON.", code=code) from None


@dataclass(frozen=True, slots=True)
class Download:
    """A file that was fetched: size in bytes, SHA-256 in hex, and the media type the server gave it."""

    size: int
    sha256: str
    mime_type: str


def call(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    params: Mapping[str, str | int] | None = None,
    json: Any = None,
    data: bytes | Mapping[str, str] | MultipartEncoder | None = None,
    timeout: float = 15.0,
    max_bytes: int = 4 * MIB,
    remote: str | None = None,
    expected: Callable[[Answer], bool] | None = None,
) -> Answer:
    """Send one request and return the answer, whatever its status. Redirects are not followed.

    `timeout` bounds the whole exchange in seconds, `max_bytes` the decoded body. `remote` names the gate
    (default: the URL's host and port). `expected` tells which answers are normal for this API although their
    status is a server fault, so that they do not shut the gate.

    Raises Unreachable, ServerFault if the body cannot be decoded, Busy, ForbiddenAddress, TooLarge, or
    Refused if the request cannot be built.
    """
    request, remote = _prepare(method, url, headers, params, json, data, remote)
    with gate_for(remote).admitted(slow=timeout / 8) as visit:  # 2 s of the usual 15
        with _exchange(request, timeout) as response:
            body = b"".join(_chunks(response, max_bytes))
        answer = Answer(response.status, response.headers, body)
        fault = _fault(answer.status)
        visit.unwell = fault is ServerFault and not (expected and expected(answer))
        if fault is Throttled:
            visit.throttled(retry_after(answer.headers))
    return answer


def download(
    url: str,
    into: BinaryIO,
    *,
    headers: Mapping[str, str] | None = None,
    max_bytes: int,
    timeout: float = DOWNLOAD_SECONDS,
    remote: str | None = None,
) -> Download:
    """Stream a file into `into`, and return what it was.

    Raises what `call` and `raise_for_status` raise; after a failure `into` may hold a part of the file, but
    never the body of a refusal.
    """
    headers = {"Accept-Encoding": "identity"} | dict(headers or {})
    request, remote = _prepare("GET", url, headers, None, None, None, remote)
    digest, size = hashlib.sha256(), 0
    with gate_for(remote).admitted(slow=timeout / 8), _exchange(request, timeout) as response:
        raise_for_status(Answer(response.status, response.headers, b""))
        for chunk in _chunks(response, max_bytes):
            into.write(chunk)
            digest.update(chunk)
            size += len(chunk)
    mime_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return Download(size, digest.hexdigest(), mime_type or "application/octet-stream")


def multipart(
    fields: Sequence[tuple[str, str]], files: Sequence[tuple[str, str, BinaryIO, str]]
) -> MultipartEncoder:
    """Return a form as `data` for `call`, which reads the files while it sends them.

    `files` are (field name, file name, file, media type); each file is sent from its current position. Pass
    the encoder's `content_type` as the Content-Type header. It can be sent once.
    """
    parts = [(name, (file_name, _Remainder(file), mime_type)) for name, file_name, file, mime_type in files]
    return MultipartEncoder(fields=[*fields, *parts])


class _Remainder:
    """A file as MultipartEncoder wants it: `len` says how much is left. Others it may copy into memory."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        start = file.tell()
        self.len = file.seek(0, SEEK_END) - start
        file.seek(start)

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self.len = self.len - len(data) if data else 0
        return data


def cut_off(*, after: float) -> None:
    """Break off, `after` seconds from now, what is still under way: the process has to end."""
    timer = threading.Timer(after, cut_all)
    timer.daemon = True
    timer.start()


def check_url(url: str) -> None:
    """Raise ForbiddenAddress for a URL we would not call, as far as can be told without asking DNS."""
    guard.check_url(url, private=allow_private_networks)


def raise_for_status(answer: Answer, *, message: str | None = None) -> None:
    """Raise the error an answer's status stands for, with `message` for staff; nothing for 2xx."""
    if fault := _fault(answer.status):
        text = message or f"The remote side answered with status {answer.status}."
        raise fault(text, code=str(answer.status), retry_after=retry_after(answer.headers))


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the wait that a Retry-After header asks for, in seconds up to a day; None if it asks for none.

    Both forms of RFC 9110 10.2.3 are understood, seconds and a date.
    """
    value = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"[0-9]{1,15}(\.[0-9]{1,15})?", value):
        seconds = float(value)
    else:
        try:
            date = parsedate_to_datetime(value)
        except (ValueError, IndexError, OverflowError):
            return None
        date = date if date.tzinfo else date.replace(tzinfo=UTC)
        seconds = (date - datetime.now(UTC)).total_seconds()
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER)


def _fault(status: int) -> type[RemoteError] | None:
    if 200 <= status < 300:
        return None
    if status == 401:
        return Unauthorized
    if status == 429:
        return Throttled
    if 400 <= status < 500 and status not in (408, 425):
        return Refused
    return ServerFault


def _prepare(
    method: str,
    url: str,
    headers: Mapping[str, str] | None,
    params: Mapping[str, str | int] | None,
    json: Any,
    data: Any,
    remote: str | None,
) -> tuple[requests.PreparedRequest, str]:
    """Return the request in its final form, and the name of its gate."""
    checked = guard.check_url(url, private=allow_private_networks)
    own = {"User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": "gzip, deflate"}
    prepared = requests.PreparedRequest()
    try:  # what `prepare` does, less cookies, credentials and hooks, which there are none of
        prepared.prepare_method(method)
        prepared.prepare_url(url, params)
        prepared.prepare_headers(own | dict(headers or {}))
        prepared.prepare_body(data, None, json)
        for value in prepared.headers.values():
            value.encode("latin-1")
    except (requests.RequestException, UnicodeError):
        # `from None`, here and below: the original error quotes the URL or the header.
        raise Refused("The request holds an address or a header that HTTP does not allow.") from None
    if prepared.url != url:  # as it will be sent, it may be another than was given
        checked = guard.check_url(str(prepared.url), private=allow_private_networks)
    return prepared, remote or ":".join(map(str, checked))


@contextmanager
def _exchange(request: requests.PreparedRequest, timeout: float) -> Iterator[HTTPResponse]:
    """Send the request, and hand out the response to be read before `timeout` seconds are over."""
    thread.host = str(urlsplit(request.url).hostname)
    thread.deadline = time.monotonic() + timeout
    thread.private = allow_private_networks
    with _readable_errors():
        response = cast(HTTPResponse, _send(request, timeout).raw)
    try:
        yield response
    finally:
        response.close()  # after a body read to its end the connection is back in the pool, and stays open


def _send(request: requests.PreparedRequest, timeout: float) -> requests.Response:
    """Send the request on a kept or a new connection.

    urllib3 drops a kept connection that it sees closed, but the server may close it at the moment we write.
    A GET is then sent again on a new connection; anything else may have been processed and is never repeated.
    """
    thread.connected = False
    try:
        return thread.adapter.send(request, stream=True, timeout=timeout)
    except requests.ConnectionError:
        if thread.connected or request.method not in ("GET", "HEAD"):
            raise
        return thread.adapter.send(request, stream=True, timeout=timeout)


def _chunks(response: HTTPResponse, max_bytes: int) -> Iterator[bytes]:
    """Yield the decoded body. Raises TooLarge as soon as it proves longer than `max_bytes`."""
    size = 0
    too_large = TooLarge(f"{thread.host} sent more than the {max_bytes} bytes that are accepted.")
    if (response.length_remaining or 0) > max_bytes:
        raise too_large
    while True:
        with _readable_errors():
            chunk = response.read(CHUNK, decode_content=True)
        if not chunk:
            return
        size += len(chunk)
        if size > max_bytes:
            raise too_large
        yield chunk


@contextmanager
def _readable_errors() -> Iterator[None]:
    """Turn what requests and urllib3 raise during an exchange into our own errors."""
    try:
        yield
    except DecodeError:
        raise ServerFault(f"{thread.host} sent a body that cannot be decoded.") from None
    except (requests.RequestException, HTTPError, OSError):
        if time.monotonic() >= thread.deadline:
            raise Unreachable(f"{thread.host} did not answer in time.", code="timeout") from None
        raise Unreachable(f"{thread.host} broke off the connection.", code="broken") from None
