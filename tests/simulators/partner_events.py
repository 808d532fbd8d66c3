"""The pieces of a partner's events (channels.md 5)."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime

from tests.simulators.messengers import Customer, File, Json


def signature(secret: str, event_id: str, timestamp: str, body: bytes) -> str:
    """``v1,<base64>`` as https://www.standardwebhooks.com defines it."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    content = f"{event_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, content, "sha256")).decode()


def conversation(customer: Customer) -> Json:
    """A customer has one conversation."""
    return {"id": f"conversation-{customer.id}"}


def contact(customer: Customer) -> Json:
    details = {
        "avatar_url": customer.picture_url,
        "phone": customer.phone,
        "username": customer.username,
        "email": customer.email,
    }
    return {
        "id": customer.id,
        "name": customer.name,
        **{key: value for key, value in details.items() if value},
    }


def attachment(file: File) -> Json:
    kind = file.mime_type.partition("/")[0]
    return {
        "url": file.url,
        "name": file.name,
        "mime_type": file.mime_type,
        "size": file.size,
        "sha256": hashlib.sha256(file.content or b"").hexdigest(),
        "kind": kind if kind in ("image", "video", "audio") else "file",
    }


def iso_now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
