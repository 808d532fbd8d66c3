"""Signing and verifying after Standard Webhooks 1.0, as channels.md 5 narrows it.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping

from externallines.channels.base import InvalidSignature

PREFIX = "whsec_"
KEY_BYTES = range(24, 65)
TOLERANCE_SECONDS = 300
MESSAGE_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
TIMESTAMP = re.compile(r"[0-9]{10}")


def generate_secret() -> str:
    """Return a new secret: `whsec_` and 32 random bytes in base64."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def key(secret: str) -> bytes:
    """Return the 24 to 64 bytes that `secret` (`whsec_` and base64) stands for. Raises ValueError."""
    if not secret.startswith(PREFIX):
        raise ValueError("a webhook secret starts with whsec_")
    decoded = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    if len(decoded) not in KEY_BYTES:
        raise ValueError("a webhook secret has 24 to 64 bytes")
    return decoded


def sign(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """Return the `webhook-signature` of one attempt at `timestamp` (unix seconds): `v1,` and base64."""
    content = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key(secret), content, hashlib.sha256)).decode()


def verify(secret: str, headers: Mapping[str, str], body: bytes, *, now: float) -> str:
    """Return the webhook-id of a call that was signed with `secret` within 300 s of `now` (unix seconds).

    Headers are looked up in lower case. Raises InvalidSignature whatever is wrong with the call, and
    ValueError if `secret` itself is malformed.
    """
    message_id = headers.get("webhook-id", "")
    timestamp = headers.get("webhook-timestamp", "")
    signatures = headers.get("webhook-signature", "")
    if not MESSAGE_ID.fullmatch(message_id):
        raise InvalidSignature("webhook-id is missing or malformed")
    if not TIMESTAMP.fullmatch(timestamp):
        raise InvalidSignature("webhook-timestamp is missing or malformed")
    if abs(now - int(timestamp)) > TOLERANCE_SECONDS:
        raise InvalidSignature("webhook-timestamp is too far from our clock")
    if not signatures.isascii():
        raise InvalidSignature("webhook-signature is malformed")
    expected = sign(secret, message_id, int(timestamp), body)
    # A list of signatures is how a sender rotates keys; other versions than v1 simply do not match.
    if not any(hmac.compare_digest(given, expected) for given in signatures.split(" ")):
        raise InvalidSignature("no webhook-signature matches")
    return message_id
