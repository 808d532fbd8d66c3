"""The pieces of Telegram's updates (channels.md 1, Events)."""

from typing import TYPE_CHECKING

from tests.simulators.messengers import Customer, File, Json, Message

if TYPE_CHECKING:
    from tests.simulators.telegram import TelegramBot

KINDS = {
    "image/jpeg": "photo",
    "image/png": "photo",
    "image/webp": "sticker",
    "audio/ogg": "voice",
    "audio/mpeg": "audio",
    "video/mp4": "video",
}


def names(customer: Customer) -> Json:
    first, _, last = customer.name.partition(" ")
    return {
        "first_name": first,
        **({"last_name": last} if last else {}),
        **({"username": customer.username} if customer.username else {}),
    }


def person(customer: Customer) -> Json:
    return {"id": int(customer.id), "is_bot": False, **names(customer), "language_code": "uk"}


def private_chat(customer: Customer) -> Json:
    return {"id": int(customer.id), **names(customer), "type": "private"}


def number(message: Message) -> int:
    """Telegram's own id of a message, unique within its chat only."""
    return int(message.id.partition("-")[2])


def message_body(bot: "TelegramBot", message: Message) -> Json:
    """A message as Telegram describes it."""
    customer = bot.customers[message.customer_id]
    sender = person(customer)
    if message.side == "business":
        sender = {"id": bot.bot_id, "is_bot": True, "first_name": bot.name, "username": bot.username}
    body: Json = {
        "message_id": number(message),
        "from": sender,
        "chat": private_chat(customer),
        "date": message.at // 1000,
    }
    if message.reply_to and message.reply_to in bot.all_messages:
        quoted = message_body(bot, bot.all_messages[message.reply_to])
        quoted.pop("reply_to_message", None)  # Telegram shows one level
        body["reply_to_message"] = quoted
    if message.text:
        body["caption" if message.files else "text"] = message.text
    for file in message.files:
        body |= file_body(file)
    return body


def file_body(file: File) -> Json:
    kind = KINDS.get(file.mime_type, "document")
    described: Json = {"file_id": file.id, "file_unique_id": f"u{file.id}", "file_size": file.size}
    match kind:
        case "photo":
            small = {"file_id": f"small-{file.id}", "file_unique_id": f"s{file.id}", "width": 90, "height": 60}
            return {"photo": [small, described | {"width": 1280, "height": 853}]}
        case "sticker":
            still = {"type": "regular", "width": 512, "height": 512, "emoji": "👍"}
            return {"sticker": described | still | {"is_animated": False, "is_video": False}}
        case "voice":
            return {"voice": described | {"duration": 3, "mime_type": file.mime_type}}
        case "video":
            return {"video": described | {"width": 640, "height": 360, "duration": 3, "file_name": file.name}}
    return {kind: described | {"file_name": file.name, "mime_type": file.mime_type}}
