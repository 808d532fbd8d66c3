"""Amazon SNS over HTTP: whether an envelope is what it claims to be (uspacy-api.md 9.1).

A valid signature only proves that Amazon sent it; whose topic it is, is checked against `topics`.
"""

import base64
import json
import re
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import SplitResult, parse_qs, urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from django.conf import settings

from portals import http
from portals.payload import InvalidPayload, Payload, storable

MAX_BODY = 1024 * 1024  # bytes; Amazon's own limit is 256 KiB, unless large payloads are on
MAX_CERTIFICATE = 64 * 1024  # bytes
LOCK_SECONDS = 2.0
FETCH_SECONDS = 10.0  # Amazon waits 15 s for our answer
MAX_AGE, SKEW = timedelta(hours=1), timedelta(minutes=5)  # Amazon repeats for at most an hour
CERTIFICATES_KEPT = 16
HASHES = {"1": SHA1, "2": SHA256}
CONFIRMATIONS = ("SubscriptionConfirmation", "UnsubscribeConfirmation")
SIGNED = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    **dict.fromkeys(
        CONFIRMATIONS, ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
    ),
}


class Rejected(Exception):
    """The envelope is not to be trusted; the text is a reason that may be shown."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """A parsed envelope; `fields` are its strings as they came."""

    type: str
    message_id: str
    topic_arn: str
    message: str
    timestamp: datetime
    subscribe_url: str
    token: str
    fields: Mapping[str, str]

    @property
    def is_confirmation(self) -> bool:
        return self.type == "SubscriptionConfirmation"


def refuse_raw_delivery(headers: Mapping[str, str]) -> None:
    """Raw delivery carries no signature. Raises Rejected."""
    if headers.get("x-amz-sns-rawdelivery", "").lower() == "true":
        raise Rejected("Raw message delivery has no signature; switch it off for this subscription.")


def parse(body: bytes) -> Envelope:
    """Return the envelope in a body of any content type. Raises Rejected."""
    if len(body) > MAX_BODY:
        raise Rejected("The envelope is too large.")
    try:
        envelope = Payload(json.loads(body))  # as it was signed, so not cleaned by parse_json
        kind = envelope.text("Type")
        if kind not in SIGNED:
            raise Rejected("The envelope's Type is unknown.")
        timestamp = datetime.fromisoformat(envelope.text("Timestamp"))
        confirmation = kind in CONFIRMATIONS
        parsed = Envelope(
            type=kind,
            message_id=envelope.id("MessageId"),
            topic_arn=envelope.text("TopicArn"),
            message=envelope.text("Message"),
            timestamp=timestamp if timestamp.tzinfo else timestamp.replace(tzinfo=UTC),
            subscribe_url=envelope.text("SubscribeURL") if confirmation else "",
            token=envelope.text("Token") if confirmation else "",
            fields={name: value for name, value in envelope.value.items() if isinstance(value, str)},
        )
    except InvalidPayload as exc:
        raise Rejected(f"This is not an SNS envelope: {exc}") from exc
    except (ValueError, RecursionError) as exc:
        raise Rejected("The body is not JSON, or its Timestamp no time.") from exc
    names = [parsed.fields.get(name, "") for name in SIGNED[kind] if name != "Message"]
    if any(storable(value) != value for value in names):
        raise Rejected("The envelope has a character where none belongs.")
    if any("\n" in value for value in names):
        # What was signed is one text, a line for each name and value: with line breaks in one value only, it
        # can be cut in one way only, and nobody can send it again with another MessageId.
        raise Rejected("The envelope has a line break where none belongs.")
    return parsed


def verify(envelope: Envelope, *, now: datetime) -> None:
    """Check signature, age and addresses.

    Raises Rejected, or RemoteError if the signing certificate cannot be fetched.
    """
    if not -SKEW <= now - envelope.timestamp <= MAX_AGE + SKEW:
        raise Rejected("The envelope is too old, or from the future.")
    if envelope.type in CONFIRMATIONS:
        _check_subscribe_url(envelope)
    algorithm = HASHES.get(envelope.fields.get("SignatureVersion", ""))
    if algorithm is None:
        raise Rejected("The envelope's SignatureVersion is unknown.")
    url = envelope.fields.get("SigningCertURL") or envelope.fields.get("SigningCertUrl") or ""
    if not _trusted_url(url, "SigningCertURL").path.endswith(".pem"):
        raise Rejected("There is no certificate at SigningCertURL.")
    try:
        signature = base64.b64decode(envelope.fields.get("Signature", ""), validate=True)
        signed = canonical(envelope)
    except ValueError:
        raise Rejected("The signature does not match.") from None
    try:
        # SHA1 is what version 1 of Amazon's signatures is; the topic's owner chooses the version.
        _certificates.get(url, now).key.verify(signature, signed, PKCS1v15(), algorithm())
    except InvalidSignature:
        raise Rejected("The signature does not match.") from None


def canonical(envelope: Envelope) -> bytes:
    """Return the text that was signed: name and value of each signed field, a line each."""
    names = [name for name in SIGNED[envelope.type] if name in envelope.fields]
    return "".join(f"{name}\n{envelope.fields[name]}\n" for name in names).encode()


def _trusted_url(url: str, name: str) -> SplitResult:
    """Return the parts of a URL that matches `SNS_CERT_URL_PATTERN`. Raises Rejected."""
    if not re.fullmatch(settings.SNS_CERT_URL_PATTERN, url):
        raise Rejected(f"The {name} is not at an address of Amazon's.")
    try:
        return urlsplit(url)
    except ValueError:  # where the pattern is the administrator's
        raise Rejected(f"The {name} is not a URL.") from None


def _check_subscribe_url(envelope: Envelope) -> None:
    """The link must be Amazon's, and confirm this topic with this token."""
    query = parse_qs(_trusted_url(envelope.subscribe_url, "SubscribeURL").query, keep_blank_values=True)
    for name, expected in (("TopicArn", envelope.topic_arn), ("Token", envelope.token)):
        if query.get(name, [expected]) != [expected]:
            raise Rejected(f"The SubscribeURL names another {name}.")


@dataclass(frozen=True, slots=True)
class _Certificate:
    key: RSAPublicKey
    not_before: datetime
    not_after: datetime

    def is_valid(self, now: datetime) -> bool:
        return self.not_before <= now <= self.not_after


class _Certificates:
    """Amazon's certificates by address, fetched once; what is no valid certificate is not kept."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[str, _Certificate] = OrderedDict()

    def get(self, url: str, now: datetime) -> _Certificate:
        """Return the certificate at `url`, valid `now`. Raises Rejected or RemoteError."""
        known = self._known.get(url)
        if known and known.is_valid(now):
            return known
        if not self._lock.acquire(timeout=LOCK_SECONDS):  # strangers can make it fetch from hosts that hang
            raise http.Unreachable("Another certificate is being fetched.")
        try:  # one fetch serves all who wait for it
            known = self._known.get(url)
            if not known or not known.is_valid(now):
                self._known[url] = known = _fetch(url, now)
            while len(self._known) > CERTIFICATES_KEPT:
                self._known.popitem(last=False)
            return known
        finally:
            self._lock.release()


def _fetch(url: str, now: datetime) -> _Certificate:
    try:
        answer = http.call("GET", url, timeout=FETCH_SECONDS, max_bytes=MAX_CERTIFICATE)
    except http.TooLarge:
        raise Rejected("There is no certificate at SigningCertURL.") from None
    http.raise_for_status(answer)
    try:
        found = x509.load_pem_x509_certificate(answer.body)
        key = found.public_key()
    except (ValueError, UnsupportedAlgorithm):
        raise Rejected("There is no certificate at SigningCertURL.") from None
    if not isinstance(key, RSAPublicKey):
        raise Rejected("The signing certificate has no RSA key.")
    certificate = _Certificate(key, found.not_valid_before_utc, found.not_valid_after_utc)
    if not certificate.is_valid(now):
        raise Rejected("The signing certificate is not valid now.")
    return certificate


_certificates = _Certificates()
