"""Viber's REST API (channels.md 2): checks what the app calls, and answers as Viber's servers do."""

import secrets
import time
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import requests
from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from tests.simulators import outgoing
from tests.simulators.contract import (
    Check,
    Problem,
    RefusedError,
    a_filled_text,
    a_text,
    a_url,
    an_integer,
    list_of,
    one_of,
    record,
    sentences,
)
from tests.simulators.courier import Job
from tests.simulators.media import file_response, mime_type
from tests.simulators.messengers import File, Json, Message
from tests.simulators.viber import ViberBot, new_token

if TYPE_CHECKING:
    from tests.simulators.world import World

MAX_BODY = 30_000
MB = 1000 * 1000
MAX_UNANSWERED = 100  # messages to a customer in an hour
EVENT_TYPES = ("delivered", "seen", "failed", "subscribed", "unsubscribed", "conversation_started")
FORBIDDEN = {
    ".exe",
    ".bat",
    ".cmd",
    ".com",
    ".msi",
    ".ps1",
    ".reg",
    ".vbs",
    ".jse",
    ".wsf",
    ".lnk",
    ".apk",
    ".ipa",
}
FORBIDDEN |= {".app", ".bin", ".run", ".out", ".csh"}
STATUSES = {
    1: "invalidUrl",
    2: "invalidAuthToken",
    3: "badData",
    5: "receiverNotRegistered",
    6: "receiverNotSubscribed",
    10: "webhookNotSet",
    12: "tooManyRequests",
}


def a_text_up_to(longest: int) -> Check:
    def check(value: Any) -> list[Problem]:
        problems = a_text(value)
        too_long = not problems and len(value) > longest
        return [("", f"must have at most {longest} characters")] if too_long else problems

    return check


def a_size_up_to(largest: int) -> Check:
    def check(value: Any) -> list[Problem]:
        fits = isinstance(value, int) and 0 <= value <= largest
        return [] if fits else [("", f"must be a number of bytes up to {largest}")]

    return check


def a_file_name(value: Any) -> list[Problem]:
    extension = PurePosixPath(value).suffix.lower() if isinstance(value, str) else ""
    if not extension or extension in FORBIDDEN or len(value) > 256:
        return [("", "must be up to 256 characters with an extension that is allowed")]
    return []


def media_ending_in(*extensions: str) -> Check:
    """A URL whose path ends with one of the extensions, or with any if none is given."""

    def check(value: Any) -> list[Problem]:
        if problems := a_url(value):
            return problems
        extension = PurePosixPath(urlsplit(value).path).suffix.lower()
        fits = extension in extensions if extensions else bool(extension)
        return [] if fits else [("", f"must end with an extension {' '.join(extensions)}".rstrip())]

    return check


COMMON = {
    "receiver": a_filled_text,
    "min_api_version": an_integer,
    "type": a_text,
    "sender": record({"name": a_text_up_to(28)}, {"avatar": a_url}),
}
MESSAGES: dict[Any, Check] = {
    "text": record({**COMMON, "text": a_text_up_to(7000)}, {"tracking_data": a_text_up_to(4000)}),
    "picture": record(
        {**COMMON, "text": a_text_up_to(512), "media": media_ending_in(".jpg", ".jpeg", ".png", ".gif")}
    ),
    "video": record({**COMMON, "media": media_ending_in(".mp4"), "size": a_size_up_to(26 * MB)}),
    "file": record(
        {**COMMON, "media": media_ending_in(), "size": a_size_up_to(50 * MB), "file_name": a_file_name}
    ),
}
WEBHOOK = record(
    {"url": a_text},
    {"event_types": list_of(one_of(*EVENT_TYPES)), "send_name": one_of(True), "send_photo": one_of(True)},
)


def routes(world: "World") -> Blueprint:
    viber = Blueprint("viber", __name__, url_prefix="/viber")

    def find_bot() -> ViberBot:
        token = request.headers.get("X-Viber-Auth-Token", "")
        for messenger in world.messengers.values():
            if isinstance(messenger, ViberBot) and secrets.compare_digest(messenger.token, token):
                return messenger
        raise refused(2)

    @viber.post("/pa/<method>")
    def call(method: str) -> ResponseReturnValue:
        bot = find_bot()
        if method not in METHODS:
            raise refused(3, f"there is no method {method}")
        return {"status": 0, "status_message": "ok", **METHODS[method](bot, checked_body())}

    @viber.get("/<messenger_id>/media/<file_id>/<path:name>")
    def media(messenger_id: str, file_id: str, name: str) -> ResponseReturnValue:
        messenger = world.messengers.get(messenger_id)
        file = messenger.files.get(file_id) if messenger else None
        if file is None or file.name != name or file.content is None:
            raise RefusedError(404, {}, breach="there is no such file")
        return file_response(name, file.content)

    return viber


def checked_body() -> Json:
    body = request.get_data()
    if len(body) > MAX_BODY:
        raise refused(3, f"a body of {len(body)} bytes")
    content = request.get_json(silent=True) if request.mimetype == "application/json" else None
    if not isinstance(content, dict):
        raise refused(3, "the body must be a JSON object")
    return content


# Methods


def get_account_info(bot: ViberBot, body: Json) -> Json:
    if body:
        raise refused(3, "get_account_info takes nothing")
    return {
        "id": bot.account_id,
        "name": bot.name,
        "uri": bot.id,
        "icon": "https://media.example.com/icon.png",
        "webhook": bot.webhook,
        "event_types": bot.event_types,
        "subscribers_count": len(bot.subscribed),
    }


def set_webhook(bot: ViberBot, body: Json) -> Json:
    """Calls the new address before it is taken, while the app waits for the answer."""
    if problems := sentences(WEBHOOK(body)):
        raise refused(3, "; ".join(problems))
    if body["url"]:
        event = {"event": "webhook", "timestamp": int(time.time() * 1000), "message_token": int(new_token())}
        attempt, _ = bot.post(body["url"], event)
        if attempt.status != 200:
            raise refused(1, f"the webhook answered {attempt.status or 'nothing'} while it was set")
    with bot.world.change():
        bot.webhook = body["url"]
        bot.event_types = body.get("event_types", list(EVENT_TYPES)) if body["url"] else []
    return {"event_types": bot.event_types}


def send_message(bot: ViberBot, body: Json) -> Json:
    check = MESSAGES.get(body.get("type"))
    if check is None:
        raise refused(3, f"{body.get('type')} is not a type of message")
    if problems := sentences(check(body)):
        raise refused(3, "; ".join(problems))
    with bot.world.change():
        if status := bot.take_refusal():
            raise refused(status)
        if not bot.webhook:
            raise refused(10)
        customer = bot.customers.get(body["receiver"])
        if customer is None:
            raise refused(5)
        if customer.id not in bot.subscribed:
            raise refused(6)
        if bot.unanswered.get(customer.id, 0) >= MAX_UNANSWERED:
            raise refused(12)
        bot.unanswered[customer.id] = bot.unanswered.get(customer.id, 0) + 1
        message = Message(new_token(), customer.id, "business", body.get("text", ""), status="accepted")
        bot.all_messages[message.id] = message
    if "media" in body:
        fetch_later(bot, message, body)
    if bot.auto_delivered:
        bot.world.courier.submit(
            f"{bot.id} {customer.id}", lambda: report_delivered(bot, message), bot.status_delay
        )
    return {"message_token": int(message.id), "chat_hostname": "SN-CHAT-01_", "billing_status": 1}


METHODS: dict[str, Callable[[ViberBot, Json], Json]] = {
    "get_account_info": get_account_info,
    "set_webhook": set_webhook,
    "send_message": send_message,
}


# Afterwards


def report_delivered(bot: ViberBot, message: Message) -> None:
    """Every device of the customer reports it."""
    if not bot.connected or message.status == "failed":
        return
    with bot.world.change():
        message.status = "delivered" if message.status == "accepted" else message.status
    for _ in range(bot.devices):
        bot.report("delivered", message)


def fetch_later(bot: ViberBot, message: Message, body: Json) -> None:
    """Fetch a file in the background; one that cannot be had, or is not as announced, fails the message."""
    url = body["media"]
    name = body.get("file_name") or unquote(PurePosixPath(urlsplit(url).path).name)
    file = File(secrets.token_hex(8), name, mime_type(name), body.get("size", 0), url)
    message.files.append(file)
    bot.world.courier.submit(f"fetch {file.id}", fetch_job(bot, message, file, body))


def fetch_job(bot: ViberBot, message: Message, file: File, body: Json) -> Job:
    def fetch() -> float | None:
        try:
            response = outgoing.call("GET", file.url, timeout=30)
            status, content = response.status_code, response.content
        except requests.RequestException:
            status, content = 0, b""
        announced = body.get("size", len(content))
        fits = len(content) == announced and (body["type"] != "picture" or len(content) <= MB)
        if status != 200 or not fits:
            bot.world.breach(f"file {file.name}: {len(content)} bytes were fetched with status {status}")
            message.status = "failed"
            bot.report("failed", message, desc="the media could not be fetched")
            return None
        with bot.world.change():
            kept = bot.keep_file(file.name, content)
            file.content, file.size, file.url = content, len(content), kept.url
        return None

    return fetch


def refused(status: int, breach: str | None = None) -> RefusedError:
    """Viber answers 200 and says in the body what is wrong."""
    return RefusedError(200, {"status": status, "status_message": STATUSES.get(status, "refused")}, breach=breach)
