"""Handing a part of a message to the Bot API: its text, and the bytes of its files."""

import logging
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from tempfile import TemporaryFile
from typing import Any, BinaryIO

from externallines.channels import telegram_errors, telegram_parts
from externallines.channels.base import OutboundFile
from externallines.channels.telegram_api import Bot
from externallines.channels.telegram_parts import Part
from portals import http

log = logging.getLogger(__name__)


def post(bot: Bot, part: Part, address: Mapping[str, Any]) -> Any:
    """Send a part by the one call that it takes. Raises RemoteError."""
    if not part.files:
        return say("text", part.text, lambda text: bot.call("sendMessage", {**address, **text}))
    return say("caption", part.text, lambda caption: _upload(bot, part, address, caption))


def say(field: str, html: str, call: Callable[[dict[str, str]], Any]) -> Any:
    """Make a call with a text as HTML; as it reads without tags if Telegram cannot parse it."""
    try:
        return call({field: html, "parse_mode": "HTML"} if html else {})
    except http.Refused as exc:
        if exc.code != telegram_errors.UNPARSABLE:
            raise
        log.error("telegram_refuses_our_markup")  # a fault of the renderer
        return call({field: telegram_parts.without_tags(html)})


def _upload(bot: Bot, part: Part, address: Mapping[str, Any], caption: Mapping[str, str]) -> Any:
    with ExitStack() as stack:
        contents = [_fetched(file, stack) for file in part.files]
        kinds = [file.mime_type for file in part.files]
        names = [file.name for file in part.files]
        if part.size == 1:
            [form] = part.forms
            files = list(zip([form.field], names, contents, kinds, strict=True))
            return bot.call(form.method, {**address, **caption}, files)
        fields = [f"file{number}" for number in range(part.size)]
        media = [
            {"type": form.field, "media": f"attach://{field}"}
            for form, field in zip(part.forms, fields, strict=True)
        ]
        media[-1] |= caption
        files = list(zip(fields, names, contents, kinds, strict=True))
        return bot.call("sendMediaGroup", {**address, "media": media}, files)


def _fetched(file: OutboundFile, stack: ExitStack) -> BinaryIO:
    fetched = stack.enter_context(TemporaryFile())  # noqa: SIM115  the stack closes it
    file.write_to(fetched)
    return fetched
