"""Files as they are named and served."""

import hashlib
import mimetypes
from html import escape
from urllib.parse import quote

from flask import Response

SHOWN_IN_PLACE = ("image/", "audio/", "video/")


def mime_type(name: str) -> str:
    """The MIME type a file name suggests."""
    return mimetypes.guess_type(name)[0] or "application/octet-stream"


def file_response(name: str, content: bytes) -> Response:
    """The file. Only media is shown in place, so that no script of a file runs on the page's origin."""
    kind = mime_type(name)
    place = "inline" if kind.startswith(SHOWN_IN_PLACE) else "attachment"
    response = Response(content, content_type=kind)
    response.headers["Content-Disposition"] = f"{place}; filename*=UTF-8''{quote(name, safe='')}"
    response.headers["Content-Security-Policy"] = "sandbox; default-src 'none'; style-src 'unsafe-inline'"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def avatar(name: str) -> bytes:
    """A round SVG picture with the first letters of a name, in a colour of its own."""
    initials = escape("".join(word[0] for word in name.split()[:2]).upper() or "?")
    hue = int(hashlib.sha256(name.encode()).hexdigest(), 16) % 360
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 80 80">'
        f'<circle cx="40" cy="40" r="40" fill="hsl({hue} 45% 45%)"/>'
        '<text x="40" y="50" font-family="sans-serif" font-size="28" fill="#fff" text-anchor="middle">'
        f"{initials}</text></svg>"
    ).encode()
