"""Any partner that speaks our signed HTTP webhook: Standard Webhooks 1.0, envelopes of channels.md 5."""

import hashlib
import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, BinaryIO, ClassVar
from urllib.parse import urlsplit

from externallines.channels import markup, standard_webhooks
from externallines.channels.base import (
    Account,
    AccountProblem,
    Blocked,
    Channel,
    Contact,
    CredentialField,
    Event,
    Headers,
    Ignored,
    InvalidCredentials,
    Media,
    MediaKind,
    MessageDeleted,
    MessageEdited,
    MessageReceived,
    OutboundFile,
    OutboundMessage,
    Progress,
    ReachabilityChanged,
    Receipt,
    StatusReported,
    Update,
    WindowClosed,
)
from portals import http
from portals.payload import InvalidPayload, Payload, parse_json

TIMEOUT = 15.0
MAX_ANSWER = 64 * 1024
RECIPIENT_ERRORS: dict[str, type[http.Refused]] = {
    "recipient_blocked": Blocked,
    "recipient_not_found": Blocked,
    "window_closed": WindowClosed,
}
MEDIA_KINDS = {kind.value: kind for kind in MediaKind}
STATUSES = {status.value: status for status in Progress}
ACCEPTED = {"accepted": Progress.SENT, "sent": Progress.SENT, "delivered": Progress.DELIVERED}


class Webhook(Channel):
    slug, label = "webhook", "Webhook"
    max_body = 256 * 1024
    is_strict = True  # channels.md 5
    repeats_are_known = True  # by webhook-id
    credential_fields = (
        CredentialField("url", "URL", "Where we send operators' messages: an https address of your service."),
        CredentialField(
            "secret",
            "Secret",
            "Signs the calls in both directions. Leave it empty and we make one; it is shown once.",
            required=False,
            secret=True,
        ),
    )
    may_move = True  # the account is the partner's address
    belongs_to: ClassVar[Mapping[str, str]] = {"secret_is_ours": "secret"}

    # connecting

    @classmethod
    def prepare(cls, given: Mapping[str, str]) -> dict[str, Any]:
        url, secret = given["url"], given.get("secret") or standard_webhooks.generate_secret()
        try:
            http.check_url(url)
        except http.ForbiddenAddress as exc:
            raise InvalidCredentials(str(exc), field="url") from exc
        try:
            standard_webhooks.key(secret)
        except ValueError as exc:
            raise InvalidCredentials(
                "The secret has to be whsec_ followed by 24 to 64 bytes in base64.", field="secret"
            ) from exc
        return {"url": url, "secret": secret, "secret_is_ours": not given.get("secret")}

    def reveal(self) -> dict[str, str]:
        return {"secret": self.credentials["secret"]} if self.credentials["secret_is_ours"] else {}

    def check(self) -> Account:
        return Account(external_id=f"webhook-{self._digest}", active=False)

    # webhooks in

    def verify(self, headers: Headers, body: bytes) -> None:
        standard_webhooks.verify(self.credentials["secret"], headers, body, now=time.time())

    def split(self, headers: Headers, body: bytes) -> list[Update]:
        return [Update(key=headers["webhook-id"], payload=parse_json(body))]

    def parse(self, payload: Any) -> list[Event]:
        envelope = Payload(payload)
        kind, data = envelope.text("type"), envelope.child("data")
        match kind:
            case "message.created":
                return [_message_created(data)]
            case "message.updated":
                chat_id, message = data.child("conversation").id("id"), data.child("message")
                at = message.moment("edited_at") or envelope.moment("timestamp")
                return [MessageEdited(chat_id, message.id("id"), _markdown(message), at=at)]
            case "message.deleted":
                return [MessageDeleted(data.child("conversation").id("id"), data.child("message").id("id"))]
            case "message.status":
                return [_status_reported(data.child("message"))]
            case "contact.blocked" | "contact.unblocked":
                contact_id = data.child("contact").id("id")
                return [ReachabilityChanged(contact_id, blocked=kind == "contact.blocked")]
            case "ping":
                return [Ignored("ping")]
        return [Ignored(f"unknown type {kind}"[:100])]

    # calls out

    @property
    def remote(self) -> str:
        return f"{urlsplit(self.credentials['url']).hostname} {self._digest[:12]}"

    @property
    def _digest(self) -> str:
        """The URL's digest names the account: the URL itself may hold a secret of the partner's."""
        return hashlib.sha256(self.credentials["url"].encode()).hexdigest()[:32]

    def send(self, message: OutboundMessage) -> Receipt:
        body: dict[str, Any] = {
            "client_id": message.client_id,
            "seq": message.seq,
            "text": message.text,
            "text_plain": markup.plain_text(message.text),
            "format": "markdown",
            "sent_at": _timestamp(message.sent_at or datetime.now(UTC)),
            # Uspacy's events tell the operator's id, but no name.
            "author": {"id": message.author_id or "unknown", "name": "Operator"},
            "attachments": [_attachment(file) for file in message.files],
        }
        if message.reply_to:
            body["reply_to_id"] = message.reply_to
        answer = self._post("message.send", message, {"contact": {"id": message.contact_id}, "message": body})
        return _receipt(answer, message.client_id)

    def edit(self, message: OutboundMessage) -> None:
        body = {"id": message.external_id, "client_id": message.client_id, "text": message.text}
        self._post("message.update", message, {"message": body})

    def delete(self, message: OutboundMessage) -> None:
        body = {"id": message.external_id, "client_id": message.client_id}
        self._post("message.delete", message, {"message": body})

    def download(self, source: Mapping[str, Any], into: BinaryIO, max_bytes: int) -> str:
        return http.download(source["url"], into, max_bytes=max_bytes).mime_type

    def _post(self, kind: str, message: OutboundMessage, content: dict[str, Any]) -> http.Answer:
        data = {"conversation": {"id": message.chat_id}, **content}
        envelope = {"type": kind, "timestamp": _timestamp(datetime.now(UTC)), "data": data}
        raw = json.dumps(envelope, ensure_ascii=False, separators=(",", ":")).encode()
        now, webhook_id = int(time.time()), f"{message.client_id}-{message.delivery_id}"
        headers = {
            "content-type": "application/json",
            "user-agent": "uspacy-external-lines",
            "webhook-id": webhook_id,
            "webhook-timestamp": str(now),
            "webhook-signature": standard_webhooks.sign(self.credentials["secret"], webhook_id, now, raw),
        }
        answer = http.call(
            "POST",
            self.credentials["url"],
            data=raw,
            headers=headers,
            timeout=TIMEOUT,
            max_bytes=MAX_ANSWER,
            remote=self.remote,
        )
        _raise_for_answer(answer)
        return answer


def _receipt(answer: http.Answer, client_id: str) -> Receipt:
    """What the partner says of a message it took; our id where it gives no sensible one."""
    given = _body(answer).get("message")
    taken = given if isinstance(given, dict) else {}
    try:
        external_id = Payload(taken).id("id", client_id)
    except InvalidPayload:
        external_id = client_id
    return Receipt(external_id, ACCEPTED.get(str(taken.get("status")), Progress.SENT))


def _raise_for_answer(answer: http.Answer) -> None:
    """Classify a partner's answer by the table of channels.md 5."""
    if answer.status == 410:
        raise AccountProblem("The partner's address is gone (410). Enter a new URL and reconnect.")
    if answer.status in (401, 403, 404):
        raise AccountProblem(
            f"The partner's address answers {answer.status}. Check the URL and the secret, then reconnect.",
            tolerated=2,
        )
    error = _body(answer).get("error") if answer.status in (400, 422) else None
    code, text = (error.get("code"), error.get("message")) if isinstance(error, dict) else (None, None)
    sentence = text[:500] if isinstance(text, str) and text else None
    if isinstance(code, str) and code in RECIPIENT_ERRORS:
        raise RECIPIENT_ERRORS[code](sentence or f"The partner says: {code}.", code=code)
    http.raise_for_status(answer, message=sentence)


def _body(answer: http.Answer) -> dict[str, Any]:
    """The answer's JSON object, empty where there is none: partners may answer with anything."""
    try:
        body = parse_json(answer.body)
    except InvalidPayload:
        return {}
    return body if isinstance(body, dict) else {}


def _message_created(data: Payload) -> MessageReceived:
    message, contact = data.child("message"), data.child("contact")
    direction = message.text("direction", "in")
    if direction not in ("in", "out"):
        message.fail("has to be in or out", "direction")
    text, media = _markdown(message), [_media(item) for item in message.children("attachments")]
    if not text and not media:
        message.fail("needs text, attachments or a location")
    return MessageReceived(
        chat_id=data.child("conversation").id("id"),
        message_id=message.id("id"),
        contact=Contact(
            id=contact.id("id"),
            name=contact.text("name", "")[:255],
            picture_url=contact.text("avatar_url", "")[:2000],
            meta=[(kind, value) for kind in ("phone", "username") if (value := contact.text(kind, "")[:255])],
        ),
        text=text,
        media=media,
        reply_to=message.id("reply_to_id", ""),
        sent_at=message.moment("sent_at"),
        outgoing=direction == "out",
    )


def _markdown(message: Payload) -> str:
    """The text as Markdown, with a location as a link to a map."""
    text, form = message.text("text", ""), message.text("format", "plain")
    if form not in ("plain", "markdown"):
        message.fail("has to be plain or markdown", "format")
    parts = [text if form == "markdown" else markup.escape(text)]
    if message.value.get("location") is not None:
        place = message.child("location")
        title = markup.escape(place.text("title", "")) or "Location"
        parts.append(f"[{title}](https://maps.google.com/?q={place.number('lat')},{place.number('lon')})")
    return "\n".join(part for part in parts if part)


def _media(item: Payload) -> Media:
    kind = item.text("kind", "file")
    url = item.text("url")
    try:
        http.check_url(url)
    except http.ForbiddenAddress as exc:
        item.fail(f"cannot be fetched: {exc}".rstrip("."), "url")
    return Media(
        source={"url": url},
        name=item.text("name")[:255] or "file",
        mime_type=item.text("mime_type", "application/octet-stream")[:255],
        size=item.size("size"),
        kind=MEDIA_KINDS.get(kind, MediaKind.FILE),
    )


def _status_reported(message: Payload) -> StatusReported:
    status, error = STATUSES.get(message.text("status")), message.optional_child("error")
    if status is None:
        message.fail("has to be sent, delivered, read or failed", "status")
    message_id, client_id = message.id("id", ""), message.id("client_id", "")
    if not message_id and not client_id:
        message.fail("needs an id or a client_id")
    reason = error.text("message", "")[:500] or error.text("code", "")[:100]
    return StatusReported(status, message_id=message_id, client_id=client_id, error=reason)


def _attachment(file: OutboundFile) -> dict[str, Any]:
    return {
        "url": file.url,
        "name": file.name,
        "mime_type": file.mime_type,
        "size": file.size,
        "sha256": file.sha256,
        "kind": file.kind.value,
    }


def _timestamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
