"""A call of the Bot API: what it may hold, by method, and how it is refused."""

import re
from collections.abc import Mapping
from typing import Any

from flask import json, request

from tests.simulators.contract import (
    Check,
    RefusedError,
    a_filled_text,
    a_text,
    a_url,
    an_integer,
    anything,
    list_of,
    one_of,
    record,
    sentences,
)
from tests.simulators.messengers import Customer, Json, Message
from tests.simulators.telegram import TelegramBot
from tests.simulators.telegram_html import read_html

MIB = 1024 * 1024
MAX_UPLOAD, MAX_PHOTO, MAX_DOWNLOAD = 50 * MIB, 10 * MIB, 20 * MIB
TEXT_LIMIT, CAPTION_LIMIT = 4096, 1024
DELETABLE = 48 * 3600  # seconds
KINDS = ("message", "edited_message", "callback_query", "my_chat_member")


def a_bool(value: Any) -> list[tuple[str, str]]:
    return [] if isinstance(value, bool) else [("", "must be true or false")]


def a_secret_token(value: Any) -> list[tuple[str, str]]:
    fits = isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9_-]{32,256}", value)
    return [] if fits else [("", "must be 32 to 256 letters, digits, _ and -")]


REPLY = record({"message_id": an_integer}, {"allow_sending_without_reply": a_bool})
CHAT = {"chat_id": a_filled_text}
MARKUP: dict[str, Check] = {"parse_mode": one_of("HTML")}
CAPTION: dict[str, Check] = {"caption": a_text, **MARKUP}
MEDIA = record({"type": one_of("photo", "video", "audio", "document"), "media": a_filled_text}, CAPTION)
ANSWER: dict[str, Check] = {"reply_parameters": REPLY}
PLACE = {**CHAT, "message_id": an_integer}
UPLOADS = {
    "sendPhoto": "photo",
    "sendVideo": "video",
    "sendAudio": "audio",
    "sendVoice": "voice",
    "sendAnimation": "animation",
    "sendDocument": "document",
}
METHODS: dict[str, Check] = {
    "getMe": record({}),
    "getWebhookInfo": record({}),
    "setWebhook": record(
        {"url": a_url, "secret_token": a_secret_token, "allowed_updates": list_of(one_of(*KINDS), at_least=1)},
        {"drop_pending_updates": a_bool, "max_connections": an_integer},
    ),
    "deleteWebhook": record({}, {"drop_pending_updates": a_bool}),
    "getFile": record({"file_id": a_filled_text}),
    "getUserProfilePhotos": record({"user_id": an_integer}, {"limit": an_integer}),
    "answerCallbackQuery": record({"callback_query_id": a_filled_text}),
    "sendMessage": record({**CHAT, "text": a_text}, {**MARKUP, **ANSWER}),
    **{method: record({**CHAT, field: anything}, {**CAPTION, **ANSWER}) for method, field in UPLOADS.items()},
    "sendMediaGroup": record({**CHAT, "media": list_of(MEDIA, at_least=1)}, ANSWER),
    "editMessageText": record({**PLACE, "text": a_text}, MARKUP),
    "editMessageCaption": record(PLACE, CAPTION),
    "deleteMessage": record(PLACE),
}


# Answers


def refused(status: int, description: str, *, breach: str | None = None, **parameters: Any) -> RefusedError:
    body: Json = {"ok": False, "error_code": status, "description": description}
    if parameters:
        body["parameters"] = parameters
    return RefusedError(status, body, breach=breach)


def bad_request(description: str, *, breach: bool = False) -> RefusedError:
    return refused(400, f"Bad Request: {description}", breach=description if breach else None)


# Reading a call


def checked_fields(method: str) -> Json:
    """The fields of the call, strictly as the contract has them; files stay in `request.files`."""
    check = METHODS.get(method)
    if check is None:
        raise refused(404, "Not Found", breach=f"there is no method {method}")
    if request.mimetype == "application/json":
        fields = request.get_json(silent=True)
    elif request.mimetype == "multipart/form-data":
        fields = dict(request.form.to_dict())
        for name in ("media", "reply_parameters"):
            if name in fields:
                fields[name] = json.loads(fields[name])
        if method in UPLOADS:
            fields |= dict.fromkeys(request.files, True)
    else:
        raise bad_request("the body must be JSON or a form", breach=True)
    if problems := sentences(check(fields)):
        raise bad_request("; ".join(problems), breach=True)
    return dict(fields)


def read_text(bot: TelegramBot, fields: Mapping[str, Any], name: str, limit: int) -> str:
    """The text as the customer sees it."""
    text: str = fields.get(name, "")
    if fields.get("parse_mode") == "HTML":
        if bot.broken_markup and text:
            bot.broken_markup -= 1
            raise bad_request("can't parse entities: refused on request")
        try:
            text = read_html(text)
        except ValueError as exc:
            raise bad_request(str(exc), breach=True) from exc
    if len(text.encode("utf-16-le")) // 2 > limit:
        raise bad_request("message is too long" if name == "text" else "message caption is too long", breach=True)
    return text.strip()


def find_chat(bot: TelegramBot, fields: Mapping[str, Any]) -> Customer:
    customer = bot.customers.get(fields["chat_id"])
    if customer is None:
        raise bad_request("chat not found")
    if customer.blocked:
        raise refused(403, "Forbidden: bot was blocked by the user")
    if customer.id not in bot.started:
        raise refused(403, "Forbidden: bot can't initiate conversation with a user")
    return customer


def find_message(bot: TelegramBot, fields: Mapping[str, Any], missing: str) -> Message:
    customer = find_chat(bot, fields)
    message = bot.all_messages.get(f"{customer.id}-{fields['message_id']}")
    if message is None or message.deleted:
        raise bad_request(missing)
    return message
