"""As much of HTTP/1.1 as load generator and sink need, and no more, so that they are fast."""

import re

_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)


def encode(method: str, path: str, headers: dict[str, str], body: bytes) -> bytes:
    """Return a request as it goes over the wire."""
    lines = [f"{method} {path} HTTP/1.1", "host: 127.0.0.1", f"content-length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def split(message: bytes) -> tuple[bytes, bytes] | None:
    """Return head and body of a request or an answer; None while a part of it is still to come."""
    head, end, body = message.partition(b"\r\n\r\n")
    length = _LENGTH.search(head)
    if not end or (length and len(body) < int(length[1])):
        return None
    return head, body
