"""Telegram bots: https://core.telegram.org/bots/api, the parts of channels.md 1."""

import dataclasses
import hmac
import re
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, BinaryIO

from externallines.channels import telegram_errors, telegram_parts
from externallines.channels.base import (
    Account,
    AccountProblem,
    Channel,
    Contact,
    CredentialField,
    Event,
    Headers,
    InvalidCredentials,
    InvalidSignature,
    OutboundMessage,
    Rate,
    Receipt,
    Unsupported,
    Update,
    host_of,
)
from externallines.channels.rendering import TELEGRAM, pieces, utf16
from externallines.channels.telegram_api import Bot, understood
from externallines.channels.telegram_parts import CAPTION_LIMIT, TEXT_LIMIT, Part
from externallines.channels.telegram_sending import post, say
from externallines.channels.telegram_updates import READERS, read_update
from portals import http
from portals.payload import Payload, parse_json

RECENT = timedelta(hours=2)  # the health of a line is looked at every hour
ALLOWED_UPDATES = list(READERS)
SECRET_HEADER = "x-telegram-bot-api-secret-token"  # noqa: S105  a name
TOO_LONG = "The new text is too long for its place in Telegram. The customer still sees the old one."
NO_EMPTY_TEXT = (
    "A message in Telegram cannot be without text. The customer still sees the old one; delete it instead."
)


class Telegram(Channel):
    slug, label = "telegram", "Telegram"
    credential_fields = (
        CredentialField(
            "token",
            "Bot token",
            "What @BotFather answers to /newbot, or to /token for a bot you have, such as 123456789:AAF0….",
            secret=True,
        ),
    )
    chat_meta = "telegram"
    account_rate = Rate(per_second=30, burst=30)
    chat_rate = Rate(per_second=1, burst=5)

    # connecting

    @classmethod
    def prepare(cls, given: Mapping[str, str]) -> dict[str, Any]:
        token = given["token"]
        if not re.fullmatch(r"[0-9]{5,20}:[A-Za-z0-9_-]{30,60}", token):
            raise InvalidCredentials(
                "A bot's token is a number, a colon and about 35 letters. Copy it from @BotFather.", field="token"
            )
        return {"token": token, "webhook_secret": secrets.token_urlsafe(32)}

    def check(self) -> Account:
        try:
            bot = self._bot.call("getMe")
        except AccountProblem as exc:
            raise InvalidCredentials(
                "Telegram does not know this token. Copy it from @BotFather.", field="token"
            ) from exc
        with understood():
            described = Payload(bot)
            username = described.text("username", "")
            return Account(described.id("id"), f"@{username}" if username else described.text("first_name", ""))

    def subscribe(self, webhook_url: str) -> None:
        held = self._webhook_info().text("url", "")
        if held and not self.is_ours(held):
            raise InvalidCredentials(
                f"Another service ({host_of(held)}) uses this bot, and a bot can have only one. "
                "Disconnect the bot there, then reconnect the line.",
                field="token",
            )
        self._bot.call(
            "setWebhook",
            {
                "url": webhook_url,
                "secret_token": self.credentials["webhook_secret"],
                "allowed_updates": ALLOWED_UPDATES,
                "drop_pending_updates": False,
            },
        )

    def unsubscribe(self, webhook_url: str) -> None:
        if self.is_ours(self._webhook_info().text("url", "")):
            self._bot.call("deleteWebhook", {"drop_pending_updates": False})

    def health(self, webhook_url: str) -> list[str]:
        info = self._webhook_info()
        held = info.text("url", "")
        if not held:
            return ["Telegram no longer passes on what customers write to the bot. Reconnect the line."]
        if not self.is_ours(held):
            return [
                f"Another service ({host_of(held)}) has taken over the bot. Disconnect it there, then reconnect."
            ]
        found = []
        failed_at, reason = info.moment("last_error_date"), info.text("last_error_message", "")[:300]
        if failed_at and failed_at > datetime.now(UTC) - RECENT and info.size("pending_update_count"):
            found.append(f"Telegram cannot pass on what customers write: {reason or 'it does not say why'}.")
        allowed = info.value.get("allowed_updates")
        if isinstance(allowed, list) and not set(ALLOWED_UPDATES) <= {str(kind) for kind in allowed}:
            found.append("Telegram does not pass on all that happens in the bot's chats. Reconnect the line.")
        return found

    def _webhook_info(self) -> Payload:
        with understood():
            info = Payload(self._bot.call("getWebhookInfo"))
            info.text("url", ""), info.text("last_error_message", "")
            return info

    # webhooks in

    def verify(self, headers: Headers, body: bytes) -> None:
        given = headers.get(SECRET_HEADER, "").encode("utf-8", "surrogatepass")
        if not hmac.compare_digest(given, self.credentials["webhook_secret"].encode()):
            raise InvalidSignature("The secret token is missing or wrong.")

    def split(self, headers: Headers, body: bytes) -> list[Update]:
        update = parse_json(body)
        return [Update(key=Payload(update).id("update_id"), payload=update)]

    def parse(self, payload: Any) -> list[Event]:
        return [read_update(Payload(payload))]

    # calls out

    @property
    def remote(self) -> str:
        return self._bot.remote

    @property
    def _bot(self) -> Bot:
        return Bot(self.credentials["token"])

    def send(self, message: OutboundMessage) -> Receipt:
        ids, notes = list(message.earlier_ids), []
        parts = telegram_parts.plan(message)
        known = len(ids)
        for part in parts:
            if known > 0:  # sent by an earlier attempt
                known -= part.size
                continue
            first = not ids
            sent, note = self._send_part(part, _address(message, quoting=first))
            notes += [note] if note else []
            ids += sent
            for part_id in sent if part is not parts[-1] else sent[:-1]:
                message.record(part_id)
        return Receipt(ids[-1], note=" ".join(notes))

    def edit(self, message: OutboundMessage) -> None:
        """Put the new text where the old one is: behind the files, or in the caption of the last of them."""
        ids = [*message.earlier_ids, message.external_id]
        texts = pieces(message.text, TELEGRAM, TEXT_LIMIT, utf16)
        for number in range(len(ids)):
            places = ids[number:]
            if not texts or len(texts) > len(places):
                break
            if self._replace_text(message.chat_id, places[0], texts[0]):
                for place, text in zip(places[1:], texts[1:], strict=False):
                    self._replace_text(message.chat_id, place, text)
                for place in places[len(texts) :]:
                    self._delete(message.chat_id, place)
                return
        self._replace_caption(message)

    def delete(self, message: OutboundMessage) -> None:
        for part_id in (*message.earlier_ids, message.external_id):
            self._delete(message.chat_id, part_id)

    def look_up(self, contact: Contact) -> Contact:
        with understood():
            found = Payload(self._bot.call("getUserProfilePhotos", {"user_id": int(contact.id), "limit": 1}))
            photos = found.value.get("photos")
            sizes = Payload({"sizes": photos[0] if isinstance(photos, list) and photos else None}).children(
                "sizes"
            )
            if not sizes:
                return contact
            picture = {"file_id": sizes[-1].text("file_id"), "mime_type": "image/jpeg"}
        return dataclasses.replace(contact, picture=picture)

    def acknowledge(self, thanks: Mapping[str, Any]) -> None:
        self._bot.call("answerCallbackQuery", {"callback_query_id": thanks["callback_query_id"]})

    def download(self, source: Mapping[str, Any], into: BinaryIO, max_bytes: int) -> str:
        self._bot.download(source["file_id"], into, max_bytes)
        return str(source.get("mime_type", ""))  # of a customer's file the message told it

    def _send_part(self, part: Part, address: Mapping[str, Any]) -> tuple[list[str], str]:
        """Send one part; return the ids of its messages, and what the operator should know of it."""
        try:
            result = post(self._bot, part, address)
        except http.Refused as exc:
            if exc.code not in (telegram_errors.VOICE_FORBIDDEN, *telegram_errors.BAD_PHOTO) or part.as_documents:
                raise
            part = dataclasses.replace(part, as_documents=True)
            result = post(self._bot, part, address)
        with understood():
            taken = Payload({"messages": result if isinstance(result, list) else [result]}).children("messages")
            ids = [one.id("message_id") for one in taken]
        if not ids:
            raise http.ServerFault("Telegram's answer names no message.")
        return ids, part.note

    def _replace_text(self, chat_id: str, message_id: str, html: str) -> bool:
        """Change the text of a message; False if it is a file, which has none."""
        place = _place(chat_id, message_id)
        try:
            say("text", html, lambda text: self._bot.call("editMessageText", place | text))
        except http.Refused as exc:
            if exc.code == telegram_errors.NO_TEXT:
                return False
            if exc.code != telegram_errors.NOT_MODIFIED:
                raise
        return True

    def _replace_caption(self, message: OutboundMessage) -> None:
        captions = pieces(message.text, TELEGRAM, CAPTION_LIMIT, utf16)
        if len(captions) > 1:
            raise Unsupported(TOO_LONG)
        place = _place(message.chat_id, message.external_id)
        html = captions[0] if captions else ""
        try:
            say("caption", html, lambda caption: self._bot.call("editMessageCaption", place | caption))
        except http.Refused as exc:
            if exc.code == telegram_errors.NO_CAPTION:
                raise Unsupported(NO_EMPTY_TEXT if not html else TOO_LONG) from exc
            if exc.code != telegram_errors.NOT_MODIFIED:
                raise

    def _delete(self, chat_id: str, message_id: str) -> None:
        try:
            self._bot.call("deleteMessage", _place(chat_id, message_id))
        except http.Refused as exc:
            if exc.code != telegram_errors.NOTHING_TO_DELETE:
                raise


def _address(message: OutboundMessage, *, quoting: bool) -> dict[str, Any]:
    address: dict[str, Any] = {"chat_id": message.chat_id}
    if quoting and message.reply_to.isdecimal():
        address["reply_parameters"] = {
            "message_id": int(message.reply_to),
            "allow_sending_without_reply": True,
        }
    return address


def _place(chat_id: str, message_id: str) -> dict[str, Any]:
    return {"chat_id": chat_id, "message_id": int(message_id)}
