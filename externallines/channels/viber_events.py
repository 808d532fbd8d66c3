"""What Viber tells us: the events and message types of channels.md 2."""

import hashlib
import mimetypes
from pathlib import PurePosixPath

from externallines.channels import markup
from externallines.channels.base import (
    ChatProgressed,
    Contact,
    Event,
    Ignored,
    Media,
    MediaKind,
    MessageReceived,
    Progress,
    ReachabilityChanged,
    StatusReported,
    Update,
)
from portals import http
from portals.payload import Payload, parse_json

# Of each type of message with a file: the file's name where none is given, and its kind.
FILES = {
    "picture": ("photo.jpg", MediaKind.IMAGE),
    "video": ("video.mp4", MediaKind.VIDEO),
    "file": ("file", MediaKind.FILE),
}


def update(body: bytes) -> Update:
    """Return the one event of a call. Viber repeats it until it is taken, and tells `delivered` per device."""
    payload = parse_json(body)
    told = Payload(payload)
    user = told.id("user_id", "") or next(
        (told.child(who).id("id", "") for who in ("sender", "user") if isinstance(told.value.get(who), dict)), ""
    )
    key = f"{told.text('event')}:{told.id('message_token', '')}:{user}"
    return Update(key if len(key) <= 255 else hashlib.sha256(key.encode()).hexdigest(), payload)


def event(told: Payload) -> Event:
    match kind := told.text("event"):
        case "message":
            return _message(told)
        case "subscribed":
            return ReachabilityChanged(told.child("user").id("id"), blocked=False)
        case "unsubscribed":
            return ReachabilityChanged(told.id("user_id"), blocked=True)
        case "delivered":
            return StatusReported(Progress.DELIVERED, message_id=told.id("message_token"))
        case "seen":  # once for all that was unread
            return ChatProgressed(Progress.READ, told.id("user_id"), message_id=told.id("message_token"))
        case "failed":
            reason = told.text("desc", "")[:500] or "Viber could not deliver the message."
            return StatusReported(Progress.FAILED, message_id=told.id("message_token"), error=reason)
    return Ignored(kind[:100])


def _message(told: Payload) -> MessageReceived:
    sender, message = told.child("sender"), told.child("message")
    text, media, customer = _text(message), _media(message), sender.id("id")
    if not text and not media:
        text = markup.escape(
            f"[{message.text('type')[:50] or 'message'}]"
        )  # the operator sees that there was something
    picture = sender.text("avatar", "")
    return MessageReceived(
        chat_id=customer,
        message_id=told.id("message_token"),
        contact=Contact(
            customer,
            name=sender.text("name", "")[:255],
            picture_url=picture if picture.startswith("https://") and len(picture) <= 2000 else "",
            meta=[("viber", customer)],
        ),
        text=text,
        media=media,
        sent_at=told.moment("timestamp"),
    )


def _text(message: Payload) -> str:
    """What the message says, as Markdown; of a picture it is the caption."""
    match message.text("type"):
        case "url":
            return markup.escape(message.text("media", "") or message.text("text", ""))
        case "sticker":  # its picture is not delivered
            return markup.escape(f"[sticker {message.id('sticker_id', '')}]")
        case "contact":
            shared = message.child("contact")
            return markup.escape(
                "\n".join(filter(None, (shared.text("name", ""), shared.text("phone_number", ""))))
            )
        case "location":
            place = message.child("location")
            return f"[Location](https://maps.google.com/?q={place.number('lat')},{place.number('lon')})"
    return markup.escape(message.text("text", ""))


def _media(message: Payload) -> list[Media]:
    kind, url = message.text("type"), message.text("media", "")
    if kind not in FILES or not _is_fetchable(url):
        return []
    default, media_kind = FILES[kind]
    name = _shortened(message.text("file_name", "")) or default
    mime_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
    if media_kind is MediaKind.FILE and mime_type.startswith("audio/"):
        media_kind = MediaKind.AUDIO
    size = message.size("size")
    return [Media({"url": url}, name, mime_type, message.size("file_size") if size is None else size, media_kind)]


def _is_fetchable(url: str) -> bool:
    try:
        http.check_url(url)
    except http.ForbiddenAddress:
        return False
    return True


def _shortened(name: str) -> str:
    """The name as it can be stored, with its extension."""
    extension = PurePosixPath(name).suffix[-20:]
    return name if len(name) <= 255 else name[: 255 - len(extension)] + extension
