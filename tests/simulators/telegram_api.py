"""The Bot API (channels.md 1): checks what the app calls, and answers as Telegram's servers do."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flask import Blueprint
from flask.typing import ResponseReturnValue

from tests.simulators.media import file_response
from tests.simulators.messengers import Json
from tests.simulators.telegram import TelegramBot, Webhook
from tests.simulators.telegram_calls import MAX_DOWNLOAD, bad_request, checked_fields, refused
from tests.simulators.telegram_messages import delete_message, edit_message_caption, edit_message_text, send

if TYPE_CHECKING:
    from tests.simulators.world import World


def routes(world: "World") -> Blueprint:
    telegram = Blueprint("telegram", __name__, url_prefix="/telegram")

    def bots() -> list[TelegramBot]:
        return [messenger for messenger in world.messengers.values() if isinstance(messenger, TelegramBot)]

    def find_bot(token: str) -> TelegramBot:
        for bot in bots():
            if bot.token == token:
                return bot
        raise refused(401, "Unauthorized")

    @telegram.post("/bot<token>/<method>")
    def call(token: str, method: str) -> ResponseReturnValue:
        with world.lock:
            bot = find_bot(token)
            times, seconds = bot.throttled
            if times:
                bot.throttle(times - 1, seconds)
                raise refused(429, f"Too Many Requests: retry after {seconds}", retry_after=seconds)
            result = CALLS[method](bot, checked_fields(method)) if method in CALLS else send(bot, method)
            world.changed()
        return {"ok": True, "result": result}

    @telegram.get("/file/bot<token>/<path:path>")
    def file(token: str, path: str) -> ResponseReturnValue:
        found = find_bot(token).files.get(path.partition("/")[2])
        if found is None or found.content is None:
            raise refused(404, "Not Found", breach="there is no such file")
        response = file_response(found.name, found.content)
        response.content_type = "application/octet-stream"
        return response

    @telegram.get("/<messenger_id>/media/<file_id>/<path:name>")
    def shown(messenger_id: str, file_id: str, name: str) -> ResponseReturnValue:
        """For the page only: Telegram itself has no such address."""
        messenger = world.messengers.get(messenger_id)
        found = messenger.files.get(file_id) if messenger else None
        if found is None or found.content is None:
            raise refused(404, "Not Found")
        return file_response(found.name, found.content)

    return telegram


# Methods about the bot


def get_me(bot: TelegramBot, fields: Json) -> Json:
    return {"id": bot.bot_id, "is_bot": True, "first_name": bot.name, "username": bot.username}


def get_webhook_info(bot: TelegramBot, fields: Json) -> Json:
    info: Json = {"url": "", "has_custom_certificate": False, "pending_update_count": bot.pending}
    if bot.webhook:
        info |= {"url": bot.webhook.url, "allowed_updates": bot.webhook.allowed_updates}
    if bot.last_error:
        info |= {"last_error_date": bot.last_error[0], "last_error_message": bot.last_error[1]}
    return info


def set_webhook(bot: TelegramBot, fields: Json) -> bool:
    bot.webhook = Webhook(fields["url"], fields["secret_token"], fields["allowed_updates"])
    bot.last_error = None
    return True


def delete_webhook(bot: TelegramBot, fields: Json) -> bool:
    bot.webhook = None
    return True


def get_file(bot: TelegramBot, fields: Json) -> Json:
    file = bot.files.get(fields["file_id"].removeprefix("small-"))
    if file is None:
        raise bad_request("wrong file_id or the file is temporarily unavailable", breach=True)
    if file.size > MAX_DOWNLOAD:
        raise bad_request("file is too big")
    return {"file_id": file.id, "file_unique_id": f"u{file.id}", "file_path": f"documents/{file.id}"}


def get_user_profile_photos(bot: TelegramBot, fields: Json) -> Json:
    portrait = bot.portraits.get(str(fields["user_id"]))
    sizes = [{"file_id": f"small-{portrait.id}"}, {"file_id": portrait.id}] if portrait else []
    return {"total_count": int(bool(sizes)), "photos": [sizes] if sizes else []}


def answer_callback_query(bot: TelegramBot, fields: Json) -> bool:
    if fields["callback_query_id"] not in bot.callbacks:
        raise bad_request("query is too old and response timeout expired or query ID is invalid")
    bot.callbacks.remove(fields["callback_query_id"])
    return True


CALLS: dict[str, Callable[[TelegramBot, Json], Any]] = {
    "getMe": get_me,
    "getWebhookInfo": get_webhook_info,
    "setWebhook": set_webhook,
    "deleteWebhook": delete_webhook,
    "getFile": get_file,
    "getUserProfilePhotos": get_user_profile_photos,
    "answerCallbackQuery": answer_callback_query,
    "editMessageText": edit_message_text,
    "editMessageCaption": edit_message_caption,
    "deleteMessage": delete_message,
}
