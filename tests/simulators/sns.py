"""The stand-in Amazon SNS: one topic, one HTTP subscription (uspacy-api.md 9.1).

https://docs.aws.amazon.com/sns/latest/dg/SendMessageToHttp.prepare.html
"""

import base64
import functools
import json
import secrets
import uuid
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID
from flask import Blueprint, Response, request

from tests.simulators import outgoing
from tests.simulators.contract import RefusedError
from tests.simulators.courier import Job

if TYPE_CHECKING:
    from tests.simulators.world import World

Envelope = dict[str, str]

CERTIFICATE = "SimpleNotificationService-0123456789abcdef0123456789abcdef.pem"
SIGNED_KEYS = ("Message", "MessageId", "Subject", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
HASHES: dict[str, hashes.HashAlgorithm] = {"1": hashes.SHA1(), "2": hashes.SHA256()}


@dataclass
class Event:
    """An envelope, and what became of it."""

    envelope: Envelope
    attempts: list[outgoing.Attempt] = field(default_factory=list)

    @property
    def handled(self) -> bool:
        """Whether SNS is done with it: everything from 200 to 499 counts, also a refusal."""
        return bool(self.attempts) and 200 <= self.attempts[-1].status < 500


class Sns:
    """Signs events, and delivers them to ``{app_url}/webhooks/uspacy`` once the app has confirmed."""

    topic_arn = "arn:aws:sns:eu-central-1:000000000000:uspacy-events"
    subscription_arn = f"{topic_arn}:2bcfbf39-05c3-41de-beaa-fcfcc21c8f55"

    def __init__(self, world: "World") -> None:
        self._world = world
        self._token: str | None = None
        self._held: list[Event] | None = None
        self.confirmed = False  # nothing is delivered before
        self.signature_version = "1"  # or "2"
        self.copies = 1  # how often each event is delivered
        self.delay = 0.02  # seconds before the first attempt, so that the call that caused it is answered first
        self.retries = 3
        self.retry_delay = 20.0  # seconds
        self.timeout = 15.0  # seconds
        self.events: deque[Event] = deque(maxlen=50_000)  # everything published, oldest first

    # The subscription

    def subscribe(self) -> requests.Response:
        """Ask the app to confirm the subscription; its answer. `confirmed` turns true with its GET."""
        self._token = secrets.token_hex(64)
        return self.deliver(self.handshake("SubscriptionConfirmation"))

    def unsubscribe(self) -> requests.Response:
        """End the subscription and tell the app; its answer."""
        self.confirmed = False
        self._token = secrets.token_hex(64)
        return self.deliver(self.handshake("UnsubscribeConfirmation"))

    def handshake(self, kind: str) -> Envelope:
        """A signed ``SubscriptionConfirmation`` or ``UnsubscribeConfirmation``."""
        token = self._token or ""
        return self._sign(
            {
                "Type": kind,
                "MessageId": str(uuid.uuid4()),
                "Token": token,
                "TopicArn": self.topic_arn,
                "Message": f"You have chosen to subscribe to the topic {self.topic_arn}.\n"
                "To confirm the subscription, visit the SubscribeURL included in this message.",
                "SubscribeURL": f"{self._world.base_url}/sns/confirm"
                f"?Action=ConfirmSubscription&TopicArn={self.topic_arn}&Token={token}",
            }
        )

    def confirm(self, topic_arn: str, token: str) -> bool:
        """Whether this was the confirmation we wait for."""
        if topic_arn != self.topic_arn or self._token is None or not secrets.compare_digest(token, self._token):
            return False
        with self._world.change():
            self.confirmed = True
        return True

    # Events

    def publish(self, payload: Any, key: str = "") -> Event:
        """Deliver a payload in the background; payloads with the same `key` start in the order given."""
        event = Event(self.envelope(payload))
        self.events.append(event)
        if self._held is not None:
            self._held.append(event)
        else:
            self._submit(event, key)
        return event

    def redeliver(self, event: Event | None = None) -> requests.Response:
        """Deliver an event (the newest one unless given) once more, now; the app's answer."""
        return self.deliver((event or self.events[-1]).envelope)

    @contextmanager
    def held(self, *, reverse: bool = False) -> Iterator[None]:
        """Hold back what this block publishes and deliver it at the end, the last one first if `reverse`."""
        self._held = []
        try:
            yield
        finally:
            events, self._held = self._held, None
            for event in reversed(events) if reverse else events:
                self._submit(event, "held")

    def envelope(self, payload: Any, subject: str | None = None) -> Envelope:
        """A signed Notification that carries `payload` as JSON (a string as it is)."""
        message = payload if isinstance(payload, str) else json.dumps(payload, ensure_ascii=False)
        return self._sign(
            {
                "Type": "Notification",
                "MessageId": str(uuid.uuid4()),
                "TopicArn": self.topic_arn,
                **({"Subject": subject} if subject else {}),
                "Message": message,
                "UnsubscribeURL": f"{self._world.base_url}/sns/unsubscribe"
                f"?Action=Unsubscribe&SubscriptionArn={self.subscription_arn}",
            }
        )

    def deliver(self, envelope: Envelope) -> requests.Response:
        """POST an envelope now, as it is; the app's answer."""
        body, headers = self._request(envelope)
        return outgoing.call("POST", self._url, data=body, headers=headers, timeout=self.timeout)

    def sign(self, envelope: Envelope) -> Envelope:
        """The envelope with a signature that fits what it says now."""
        signed = "".join(f"{key}\n{envelope[key]}\n" for key in SIGNED_KEYS if key in envelope)
        key, _ = _key_and_certificate()
        signature = key.sign(signed.encode(), padding.PKCS1v15(), HASHES[envelope["SignatureVersion"]])
        return {**envelope, "Signature": base64.b64encode(signature).decode()}

    def _sign(self, fields: Envelope) -> Envelope:
        timestamp = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        url = f"{self._world.base_url}/sns/{CERTIFICATE}"
        version = self.signature_version
        return self.sign({**fields, "Timestamp": timestamp, "SignatureVersion": version, "SigningCertURL": url})

    def _submit(self, event: Event, key: str) -> None:
        if self.confirmed:
            for _ in range(self.copies):
                self._world.courier.submit(f"sns {key}", self._job(event), self.delay)

    def _job(self, event: Event) -> Job:
        left = self.retries

        def attempt() -> float | None:
            nonlocal left
            body, headers = self._request(event.envelope)
            tried, _ = outgoing.attempt(self._url, body, headers, self.timeout)
            with self._world.change():
                event.attempts.append(tried)
            if event.handled or left == 0:
                return None
            left -= 1
            return self.retry_delay

        return attempt

    @property
    def _url(self) -> str:
        return f"{self._world.app_url}/webhooks/uspacy"

    def _request(self, envelope: Envelope) -> tuple[bytes, dict[str, str]]:
        """Body and headers exactly as SNS sends them."""
        headers = {
            "x-amz-sns-message-type": envelope["Type"],
            "x-amz-sns-message-id": envelope["MessageId"],
            "x-amz-sns-topic-arn": envelope["TopicArn"],
            "Content-Type": "text/plain; charset=UTF-8",
            "User-Agent": "Amazon Simple Notification Service Agent",
        }
        if envelope["Type"] != "SubscriptionConfirmation":
            headers["x-amz-sns-subscription-arn"] = self.subscription_arn
        return json.dumps(envelope, indent=2, separators=(",", " : "), ensure_ascii=False).encode(), headers


def routes(world: "World") -> Blueprint:
    """The signing certificate, and where a subscription is confirmed."""
    blueprint = Blueprint("sns", __name__, url_prefix="/sns")

    @blueprint.get(f"/{CERTIFICATE}")
    def certificate() -> Response:
        return Response(_key_and_certificate()[1], content_type="application/x-pem-file")

    @blueprint.get("/confirm")
    def confirm() -> Response:
        if not world.sns.confirm(request.args.get("TopicArn", ""), request.args.get("Token", "")):
            raise RefusedError(
                403, {"message": "Invalid token"}, breach="a subscription was confirmed with a wrong token"
            )
        result = f"<SubscriptionArn>{world.sns.subscription_arn}</SubscriptionArn>"
        xml = f"<ConfirmSubscriptionResponse><ConfirmSubscriptionResult>{result}</ConfirmSubscriptionResult>"
        return Response(f"{xml}</ConfirmSubscriptionResponse>", content_type="text/xml")

    return blueprint


@functools.cache
def _key_and_certificate() -> tuple[rsa.RSAPrivateKey, bytes]:
    """The key that signs and its self-signed certificate (PEM), made once per process."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=365))
        .not_valid_after(now + timedelta(days=3650))
        .sign(key, hashes.SHA256())
    )
    return key, certificate.public_bytes(serialization.Encoding.PEM)
