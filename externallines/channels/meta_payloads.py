"""What the webhooks of Meta's channels have in common, and how it is read."""

import hashlib
import json
import mimetypes
import re
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import UUID

from externallines.channels import markup
from portals.payload import Payload

CANNOT_BE_SHOWN = "_A message of a kind that cannot be shown here. Look at it in the messenger._"


def objects(container: Payload, name: str) -> list[Payload]:
    """Return the objects in a list, and skip what is none."""
    items = container.value.get(name)
    return [Payload(item, name) for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def moment(container: Payload, name: str) -> datetime | None:
    """Return a time in unix seconds or milliseconds, given as a number or a string of digits."""
    return Payload({name: container.size(name)}).moment(name)


def digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def unique_key(*parts: str) -> str:
    """Return the parts as one key of at most 255 characters."""
    key = ":".join(parts)
    return key if 0 < len(key) <= 255 else hashlib.sha256(key.encode()).hexdigest()


def our_id(value: Any) -> str:
    """Return the id of a message of ours that Meta gives back; "" for what another app put there."""
    try:
        return value if isinstance(value, str) and str(UUID(value)) == value else ""
    except ValueError:
        return ""


def map_link(title: str, latitude: float, longitude: float) -> str:
    label = markup.escape(" ".join(title.split())) or "Location"
    return f"[{label}](https://maps.google.com/?q={latitude},{longitude})"


def reaction_note(emoji: str) -> str:
    return f"_Reacted with_ {markup.escape(emoji)}" if emoji.strip() else "_Took back a reaction._"


def lines(*parts: str) -> str:
    return "\n".join(part for part in parts if part.strip())


def file_name(kind: str, *, url: str = "", mime_type: str = "", given: str = "") -> str:
    """Return a name for a customer's file: the given one, else the URL's, else one made of its kind."""
    try:
        from_url = unquote(PurePosixPath(urlsplit(url).path).name)
    except ValueError:
        from_url = ""
    if given.strip():
        return given.strip()[-255:]
    if re.fullmatch(r"[^/\\]{1,200}\.\w{1,8}", from_url):
        return from_url
    return f"{kind}{mimetypes.guess_extension(bare(mime_type)) or ''}"[:255]


def bare(mime_type: str) -> str:
    """Return a media type without its parameters."""
    return mime_type.partition(";")[0].strip().lower()[:255]
