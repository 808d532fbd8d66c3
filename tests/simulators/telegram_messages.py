"""The methods of the Bot API about messages: sending, changing, deleting."""

import struct
import time

from flask import request

from tests.simulators.messengers import Customer, File, Json, Message
from tests.simulators.telegram import TelegramBot
from tests.simulators.telegram_calls import (
    CAPTION_LIMIT,
    DELETABLE,
    MAX_PHOTO,
    MAX_UPLOAD,
    TEXT_LIMIT,
    UPLOADS,
    bad_request,
    checked_fields,
    find_chat,
    find_message,
    read_text,
    refused,
)
from tests.simulators.telegram_updates import message_body


def send(bot: TelegramBot, method: str) -> Json | list[Json]:
    """Take a message, or an album."""
    fields = checked_fields(method)
    customer = find_chat(bot, fields)
    quoted = find_quoted(bot, customer, fields.get("reply_parameters"))
    if method == "sendMediaGroup":
        return [message_body(bot, message) for message in take_album(bot, customer, fields["media"], quoted)]
    if method == "sendMessage":
        text = read_text(bot, fields, "text", TEXT_LIMIT)
        if not text:
            raise bad_request("message text is empty", breach=True)
        return message_body(bot, keep(bot, customer, text, fields.get("text", ""), [], quoted))
    caption = read_text(bot, fields, "caption", CAPTION_LIMIT)
    file = take_file(bot, customer, UPLOADS[method], UPLOADS[method])
    return message_body(bot, keep(bot, customer, caption, fields.get("caption", ""), [file], quoted))


def take_album(bot: TelegramBot, customer: Customer, media: list[Json], quoted: str | None) -> list[Message]:
    kinds = {item["type"] for item in media}
    if not 2 <= len(media) <= 10:
        raise bad_request("an album has 2 to 10 files", breach=True)
    if len(kinds) > 1 and kinds & {"audio", "document"}:
        raise bad_request("audio and documents make albums of their own kind only", breach=True)
    captions = [read_text(bot, item, "caption", CAPTION_LIMIT) for item in media]
    files = [take_file(bot, customer, item["media"].removeprefix("attach://"), item["type"]) for item in media]
    return [
        keep(bot, customer, caption, item.get("caption", ""), [file], quoted)
        for caption, item, file in zip(captions, media, files, strict=True)
    ]


def take_file(bot: TelegramBot, customer: Customer, field: str, kind: str) -> File:
    upload = request.files.get(field)
    if upload is None or not upload.filename:
        raise bad_request(f"there is no file {field}", breach=True)
    content = upload.read()
    if not content:
        raise bad_request("file must be non-empty", breach=True)
    if len(content) > MAX_UPLOAD:
        raise refused(413, "Request Entity Too Large", breach="a file of more than 50 MB")
    if kind == "photo":
        check_photo(content)
    if kind == "voice" and customer.id in bot.refusing_voice:
        raise bad_request("VOICE_MESSAGES_FORBIDDEN")
    return bot.keep_file(upload.filename, content)


def check_photo(content: bytes) -> None:
    if len(content) > MAX_PHOTO:
        raise bad_request(f"file of size {len(content)} bytes is too big for a photo", breach=True)
    if content.startswith(b"\x89PNG\r\n\x1a\n") and len(content) >= 24:
        width, height = struct.unpack(">II", content[16:24])
        if not width or not height or width + height > 10_000 or not 1 / 20 <= width / height <= 20:
            raise bad_request("PHOTO_INVALID_DIMENSIONS")
    elif not content.startswith(b"\xff\xd8\xff"):
        raise bad_request("IMAGE_PROCESS_FAILED")


def keep(
    bot: TelegramBot, customer: Customer, text: str, markup: str, files: list[File], quoted: str | None
) -> Message:
    message = Message(f"{customer.id}-{bot.next_number(customer)}", customer.id, "business", text, files, quoted)
    message.status = "accepted"
    bot.all_messages[message.id] = message
    bot.markup[message.id] = markup
    return message


def find_quoted(bot: TelegramBot, customer: Customer, reply: Json | None) -> str | None:
    if reply is None:
        return None
    message = bot.all_messages.get(f"{customer.id}-{reply['message_id']}")
    if message is None and not reply.get("allow_sending_without_reply"):
        raise bad_request("message to be replied not found")
    return message.id if message else None


def edit_message_text(bot: TelegramBot, fields: Json) -> Json:
    message = find_message(bot, fields, "message to edit not found")
    if message.files:
        raise bad_request("there is no text in the message to edit")
    return change(bot, message, fields, "text", TEXT_LIMIT)


def edit_message_caption(bot: TelegramBot, fields: Json) -> Json:
    message = find_message(bot, fields, "message to edit not found")
    if not message.files:
        raise bad_request("there is no caption in the message to edit")
    return change(bot, message, fields, "caption", CAPTION_LIMIT)


def change(bot: TelegramBot, message: Message, fields: Json, name: str, limit: int) -> Json:
    text = read_text(bot, fields, name, limit)
    if message.side != "business":
        raise bad_request("message can't be edited", breach=True)
    if bot.markup[message.id] == fields.get(name, ""):
        raise bad_request("message is not modified: specified new message content is the same")
    if name == "text" and not text:
        raise bad_request("message text is empty", breach=True)
    message.text, message.edited, bot.markup[message.id] = text, True, fields.get(name, "")
    return message_body(bot, message)


def delete_message(bot: TelegramBot, fields: Json) -> bool:
    message = find_message(bot, fields, "message to delete not found")
    if time.time() - message.at / 1000 > DELETABLE:
        raise bad_request("message can't be deleted for everyone")
    message.deleted = True
    return True
