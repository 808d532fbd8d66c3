"""Viber's bots: the REST API of channels.md 2, https://developers.viber.com/docs/api/rest-bot-api/"""

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from typing import Any, BinaryIO

from externallines.channels import addresses, viber_events
from externallines.channels.base import (
    Account,
    AccountProblem,
    Channel,
    CredentialField,
    Doubtful,
    Event,
    Headers,
    InvalidCredentials,
    InvalidSignature,
    OutboundMessage,
    Receipt,
    Update,
    host_of,
)
from externallines.channels.viber_errors import WEBHOOK_NOT_SET, raise_for_status
from externallines.channels.viber_parts import plan
from portals import http
from portals.payload import InvalidPayload, Payload, storable

TIMEOUT = 15.0
TIMEOUT_OF_SET_WEBHOOK = 30.0  # Viber calls us before it answers
MAX_ANSWER = 64 * 1024
EVENT_TYPES = ("delivered", "seen", "failed", "subscribed", "unsubscribed", "conversation_started")
LONGEST_SENDER_NAME = 28


class Viber(Channel):
    slug, label = "viber", "Viber"
    bare_answer = True  # it repeats until 200, and may take a body for a welcome message
    chat_meta = "viber"
    credential_fields = (
        CredentialField(
            "token",
            "Token",
            "The bot's key: in Viber under More, Settings, Bots, Edit info, or in the partners' panel.",
            secret=True,
        ),
    )

    # connecting

    @classmethod
    def prepare(cls, given: Mapping[str, str]) -> dict[str, Any]:
        token = given["token"]
        if not re.fullmatch(r"[0-9a-zA-Z]{4,80}(-[0-9a-zA-Z]{4,80}){1,4}", token):
            raise InvalidCredentials(
                "The token has to be three groups of letters and digits with hyphens between.", field="token"
            )
        return {"token": token}

    def check(self) -> Account:
        try:
            bot = self._account()
            name, icon = bot.text("name", "")[:255], bot.text("icon", "")[:2000]
            return Account(bot.id("id"), name, picture_url=icon, learned={"name": name, "icon": icon})
        except AccountProblem as exc:
            raise InvalidCredentials(str(exc), field="token") from exc
        except InvalidPayload as exc:
            raise http.ServerFault("Viber does not say whose token this is.") from exc

    def subscribe(self, webhook_url: str) -> None:
        held = self._webhook(self._account())
        if held and not self.is_ours(held):
            raise InvalidCredentials(
                f"Another service ({host_of(held)}) uses this bot, and a bot can have only one. "
                "Disconnect the bot there, then reconnect the line.",
                field="token",
            )
        body = {"url": webhook_url, "event_types": EVENT_TYPES, "send_name": True, "send_photo": True}
        self._call("set_webhook", body, timeout=TIMEOUT_OF_SET_WEBHOOK)

    def unsubscribe(self, webhook_url: str) -> None:
        if self.is_ours(self._webhook(self._account())):
            self._call("set_webhook", {"url": ""})

    def health(self, webhook_url: str) -> list[str]:
        bot = self._account()
        held, reported = self._webhook(bot), bot.value.get("event_types")
        if not held:
            return ["Viber has no address to report messages to. Reconnect the line."]
        if not self.is_ours(held):
            return [
                f"Another service ({host_of(held)}) has taken over the bot. Disconnect it there, then reconnect."
            ]
        if held != webhook_url:
            return ["Viber reports to an address that we had before. Reconnect the line."]
        missing = sorted(set(EVENT_TYPES) - set(map(str, reported if isinstance(reported, list) else EVENT_TYPES)))
        return [f"Viber does not report: {', '.join(missing)}. Reconnect the line."] if missing else []

    # webhooks in

    def verify(self, headers: Headers, body: bytes) -> None:
        given = headers.get("x-viber-content-signature", "").encode("utf-8", "surrogatepass")
        key = self.credentials["token"].encode()
        if not hmac.compare_digest(given, hmac.new(key, body, hashlib.sha256).hexdigest().encode()):
            raise InvalidSignature(self.slug)

    def split(self, headers: Headers, body: bytes) -> list[Update]:
        return [viber_events.update(body)]

    def parse(self, payload: Any) -> list[Event]:
        return [viber_events.event(Payload(payload))]

    # calls out

    @property
    def remote(self) -> str:
        return f"viber {hashlib.sha256(self.credentials['token'].encode()).hexdigest()[:12]}"

    def send(self, message: OutboundMessage) -> Receipt:
        parts, note = plan(message)
        common = {"receiver": message.contact_id, "min_api_version": 1, "sender": self._sender()}
        done = min(len(message.earlier_ids), len(parts) - 1)
        for part in parts[done:-1]:
            message.record(self._send_part(common | part, message.client_id))
        return Receipt(self._send_part(common | parts[-1], message.client_id), note=note)

    def _send_part(self, body: Mapping[str, Any], client_id: str) -> str:
        """Send one part and return Viber's id of it; ours where Viber gives none."""
        try:
            answer = self._call("send_message", body)
        except AccountProblem as exc:
            if exc.code != WEBHOOK_NOT_SET or not self.webhook_url:
                raise
            self._subscribe_again()
            answer = self._call("send_message", body)
        try:
            return answer.id("message_token", client_id)
        except InvalidPayload:
            return client_id

    def _subscribe_again(self) -> None:
        """Set the webhook that Viber forgot. What keeps us from it is for the owner; the message waits."""
        try:
            self.subscribe(self.webhook_url)
        except (InvalidCredentials, http.Refused, Doubtful) as exc:
            raise AccountProblem(
                f"Viber has no address to report messages to, and does not take ours. {exc}"
            ) from exc

    def download(self, source: Mapping[str, Any], into: BinaryIO, max_bytes: int) -> str:
        return http.download(source["url"], into, max_bytes=max_bytes).mime_type

    def _sender(self) -> dict[str, str]:
        """The bot as customers see it; Viber wants its name with every message."""
        name, icon = self.credentials.get("name") or self.label, self.credentials.get("icon", "")
        return {"name": name[:LONGEST_SENDER_NAME]} | ({"avatar": icon} if icon.startswith("https://") else {})

    def _account(self) -> Payload:
        return self._call("get_account_info", {})

    @staticmethod
    def _webhook(bot: Payload) -> str:
        """Return where Viber reports the bot's messages to, "" if nowhere."""
        return str(bot.value.get("webhook") or "")

    def _call(self, method: str, body: Mapping[str, Any], *, timeout: float | None = None) -> Payload:
        """Return Viber's answer. Raises the error that its status stands for."""
        answer = http.call(
            "POST",
            f"{addresses.viber}/{method}",
            # At most 30 KB are taken, and \uXXXX would make three bytes of one in Cyrillic.
            data=json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(),
            headers={"content-type": "application/json", "x-viber-auth-token": self.credentials["token"]},
            timeout=timeout or TIMEOUT,
            max_bytes=MAX_ANSWER,
            remote=self.remote,
        )
        http.raise_for_status(answer)
        content = storable(answer.json())
        if not isinstance(content, dict):
            raise http.ServerFault("Viber's answer is not an object.")
        raise_for_status(content)
        return Payload(content)
