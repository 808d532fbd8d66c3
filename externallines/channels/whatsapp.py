"""WhatsApp through Meta's Cloud API: https://developers.facebook.com/docs/whatsapp/cloud-api (channels.md 3)."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, BinaryIO

from externallines.channels import markup, whatsapp_events
from externallines.channels.base import (
    Account,
    CredentialField,
    Doubtful,
    Event,
    Headers,
    InvalidCredentials,
    MediaKind,
    OutboundFile,
    OutboundMessage,
    Rate,
    Receipt,
    Update,
    WindowClosed,
)
from externallines.channels.meta import (
    ACCESS_TOKEN,
    APP_ID,
    APP_SECRET,
    TIMEOUT_OF_REGISTRATION,
    WINDOW,
    Meta,
    account_field,
    answered_id,
    window_age,
)
from externallines.channels.meta_errors import WHATSAPP
from externallines.channels.meta_payloads import bare, objects
from externallines.channels.whatsapp_identity import is_number
from externallines.channels.whatsapp_parts import Part, kind_of, media_type, note_on, plan
from portals import http
from portals.payload import Payload

PARAMETER_LIMIT = 1024
HOLD = 10.0  # a phone may show the next message first, until it has got this one
SCOPES = ("whatsapp_business_messaging", "whatsapp_business_management")
FIELDS = ("messages", "smb_message_echoes")
NUMBER_FIELDS = (
    "id,display_phone_number,verified_name,quality_rating,status,code_verification_status,platform_type,"
    "webhook_configuration"
)
OPUS = "audio/ogg; codecs=opus"


class WhatsApp(Meta):
    slug, label, chat_meta = "whatsapp", "WhatsApp", "whatsapp"
    rows, webhook_object = WHATSAPP, "whatsapp_business_account"
    account_rate = Rate(per_second=80, burst=80)
    chat_rate = Rate(per_second=1 / 6, burst=30)
    credential_fields = (
        CredentialField(
            "phone_number_id",
            "Phone number ID",
            "App Dashboard, WhatsApp, API Setup: the ID below the number, not the number itself.",
        ),
        CredentialField("waba_id", "WhatsApp Business Account ID", "On the same page, beside the number's ID."),
        CredentialField(
            ACCESS_TOKEN.name,
            ACCESS_TOKEN.label,
            "A permanent token of a system user, with whatsapp_business_messaging and "
            "whatsapp_business_management. The one that API Setup shows lasts for a day only.",
            secret=True,
        ),
        APP_ID,
        APP_SECRET,
        CredentialField(
            "template_name",
            "Template",
            "Optional: an approved template with one variable. It carries answers that come after 24 hours.",
            required=False,
        ),
        CredentialField(
            "template_language", "Template's language", "Its code, such as uk or en_US.", required=False
        ),
    )

    # connecting

    @classmethod
    def prepare(cls, given: Mapping[str, str]) -> dict[str, Any]:
        name, language = given.get("template_name", ""), given.get("template_language", "")
        if name and not re.fullmatch("[a-z0-9_]{1,512}", name):
            raise InvalidCredentials(
                "A template's name has small letters, digits and underscores only.", field="template_name"
            )
        if bool(name) != bool(language) or not re.fullmatch("([a-z]{2,3}(_[A-Z]{2,3})?)?", language):
            raise InvalidCredentials(
                "A template needs its language's code, such as uk or en_US.", field="template_language"
            )
        return super().prepare(given)

    def check(self) -> Account:
        try:
            number = self._number()
        except http.RemoteError as exc:
            raise account_field(exc, "phone_number_id") or exc from exc
        try:
            numbers = self.ask("GET", f"{self._waba}/phone_numbers", params={"fields": "id", "limit": 100})
        except http.RemoteError as exc:
            raise account_field(exc, "waba_id") or exc from exc
        if self.account_id not in [str(one.value.get("id")) for one in objects(numbers, "data")]:
            raise InvalidCredentials("This account does not have the phone number.", field="waba_id")
        self.inspect_token(SCOPES)
        phone = str(number.value.get("display_phone_number") or "")
        return Account(self.account_id, name=str(number.value.get("verified_name") or phone), phone_number=phone)

    def subscribe(self, webhook_url: str) -> None:
        """Point the app at us if it points nowhere, and this number in any case: others may share the app."""
        address, _fields = self.callback()
        if not address or self.is_ours(address):
            self.set_callback(webhook_url, FIELDS)
        override = {"override_callback_uri": webhook_url, "verify_token": self.credentials["verify_token"]}
        if self.has_our_app(self.ask("GET", f"{self._waba}/subscribed_apps")) is None:
            self._register(f"{self._waba}/subscribed_apps", override)
        self._register(self.account_id, {"webhook_configuration": override})

    def _register(self, path: str, body: Mapping[str, Any]) -> None:
        self.ask("POST", path, json=body, timeout=TIMEOUT_OF_REGISTRATION)

    def unsubscribe(self, webhook_url: str) -> None:
        """Take our address away from the number and from its account. The app's other numbers stay."""
        places = _places(self._number())
        if self.is_ours(places.get("phone_number", "")):
            self.ask("POST", self.account_id, json={"webhook_configuration": {"override_callback_uri": ""}})
        if self.is_ours(places.get("whatsapp_business_account", "")):
            self.ask("POST", f"{self._waba}/subscribed_apps", json={})

    def health(self, webhook_url: str) -> list[str]:
        number, found = self._number(), self.token_health(datetime.now(UTC))
        places = _places(number)
        narrowest = ("phone_number", "whatsapp_business_account", "application")
        if next((places[name] for name in narrowest if places.get(name)), "") != webhook_url:
            found.append("Meta sends this number's messages to another address. Reconnect the line.")
        if missing := [field for field in FIELDS if field not in self.callback()[1]]:
            found.append(f"The Meta app does not listen to {' and '.join(missing)}. Subscribe it to these fields.")
        if self.has_our_app(self.ask("GET", f"{self._waba}/subscribed_apps")) is None:
            found.append(
                "The WhatsApp Business Account does not tell the Meta app of messages. Reconnect the line."
            )
        if number.value.get("quality_rating") == "RED":
            found.append("WhatsApp rates this number's quality as low, and may limit it.")
        if number.value.get("status") not in (None, "CONNECTED"):
            found.append(f"WhatsApp calls this number's status {number.value['status']}."[:200])
        return found

    def _number(self) -> Payload:
        number = self.ask("GET", self.account_id, params={"fields": NUMBER_FIELDS})
        if str(number.value.get("id")) != self.account_id:
            raise http.ServerFault("Meta's answer is about another number.")
        return number

    # webhooks in

    def split(self, headers: Headers, body: bytes) -> list[Update]:
        return [
            update
            for entry in self.entries(body)
            for change in objects(entry, "changes")
            for update in whatsapp_events.updates(change, self.account_id)
        ]

    def parse(self, payload: Any) -> list[Event]:
        return whatsapp_events.events(Payload(payload))

    # calls out

    @property
    def account_id(self) -> str:
        return str(self.credentials["phone_number_id"])

    @property
    def _waba(self) -> str:
        return str(self.credentials["waba_id"])

    def send(self, message: OutboundMessage) -> Receipt:
        if window_age(message) > WINDOW:
            return self._send_template(message)
        parts = plan(message)
        if not parts:
            raise http.Refused("The message is empty.")
        notes, sent_id = [], ""
        done = min(len(message.earlier_ids), len(parts) - 1)  # an edit may have made it shorter
        for number, part in enumerate(parts[done:], done):
            body, note = self._body(part)
            last = number == len(parts) - 1
            if number == 0 and message.reply_to:
                body["context"] = {"message_id": message.reply_to}
            sent_id = self._post(message, body, last=last)
            notes.append(note)
            if not last:
                message.record(sent_id)
        return Receipt(sent_id, hold=HOLD, note=" ".join(note for note in notes if note))

    def _send_template(self, message: OutboundMessage) -> Receipt:
        """Send the text as the variable of the line's template: all that WhatsApp takes after 24 hours."""
        name, language = self.credentials.get("template_name"), self.credentials.get("template_language")
        text = " ".join(markup.plain_text(message.text).split())  # a variable has no line breaks
        if not name:
            raise WindowClosed(
                "More than 24 hours have passed since the customer's last message. WhatsApp then takes templates "
                "only, and this line has none."
            )
        if message.earlier_ids or not 1 <= len(text) <= PARAMETER_LIMIT:
            raise WindowClosed(
                "More than 24 hours have passed since the customer's last message. Then only a text of up to "
                f"{PARAMETER_LIMIT} characters can be sent, in the line's template."
            )
        body = {"type": "body", "parameters": [{"type": "text", "text": text}]}
        template = {"name": name, "language": {"code": language}, "components": [body]}
        sent_id = self._post(message, {"type": "template", "template": template}, last=True)
        lost = " Its files were not sent." if message.files else ""
        return Receipt(sent_id, hold=HOLD, note=f"Sent in the template {name}, after 24 hours.{lost}")

    def _post(self, message: OutboundMessage, body: Mapping[str, Any], *, last: bool) -> str:
        # A user id in `to` is answered with success and dropped.
        name = "to" if is_number(message.chat_id) else "recipient"
        envelope = {
            "messaging_product": "whatsapp",
            "recipient_type": "individual",
            name: message.chat_id,
            **body,
        }
        if last:  # its statuses are the message's; those of earlier parts are told by their ids
            envelope["biz_opaque_callback_data"] = message.client_id
        answer = self.ask("POST", f"{self.account_id}/messages", json=envelope)
        sent = objects(answer, "messages")
        return answered_id(sent[0] if sent else Payload({}), "id")

    def _body(self, part: Part) -> tuple[dict[str, Any], str]:
        """Return a part as WhatsApp takes it, with what the operator should know of it."""
        if part.file is None:
            return {"type": "text", "text": {"body": part.text, "preview_url": True}}, ""
        kind, file = kind_of(part.file), part.file
        try:
            media_id, note = self._upload(file, kind), ""
        except (http.Refused, Doubtful):
            if kind == "document":
                raise
            kind, media_id, note = (
                "document",
                self._upload(file, "document"),
                f"{file.name} was sent as a document.",
            )
        media: dict[str, Any] = {"id": media_id}
        if kind == "document":
            media["filename"] = file.name
        if kind == "audio" and file.kind is MediaKind.VOICE and media_type(file) == "audio/ogg":
            media["voice"] = True
        if part.text:
            media["caption"] = part.text
        return {"type": kind, kind: media}, note or note_on(file, kind)

    def _upload(self, file: OutboundFile, kind: str) -> str:
        mime_type = media_type(file)
        if kind == "audio" and mime_type == "audio/ogg":
            mime_type = OPUS
        fields = {"messaging_product": "whatsapp", "type": mime_type}
        return answered_id(self.upload(f"{self.account_id}/media", fields, file, "file", mime_type), "id")

    def download(self, source: Mapping[str, Any], into: BinaryIO, max_bytes: int) -> str:
        """Ask where the file is and fetch it from there, twice: the address lasts for five minutes."""
        try:
            return self._fetch(source, into, max_bytes)
        except (http.Unauthorized, http.Refused) as exc:
            if exc.code not in ("401", "404"):
                raise
            into.seek(0)
            into.truncate()
            return self._fetch(source, into, max_bytes)

    def _fetch(self, source: Mapping[str, Any], into: BinaryIO, max_bytes: int) -> str:
        params = {"phone_number_id": self.account_id}
        file = self.ask("GET", str(source["media_id"]), params=params)
        url = file.value.get("url")
        if not isinstance(url, str):
            raise http.ServerFault("Meta's answer has no address of the file.")
        bearer = {"Authorization": f"Bearer {self.credentials['access_token']}"}
        got = http.download(url, into, headers=bearer, max_bytes=max_bytes, remote=f"{self.remote} media")
        if file.value.get("sha256") not in (None, got.sha256):
            raise http.ServerFault("The file that came is not the one that was sent.")
        return bare(str(file.value.get("mime_type") or got.mime_type))


def _places(number: Payload) -> dict[str, str]:
    """Return where Meta sends a number's webhooks, by whose address it is."""
    places = number.value.get("webhook_configuration")
    places = places if isinstance(places, dict) else {}
    return {name: address for name, address in places.items() if isinstance(address, str)}
