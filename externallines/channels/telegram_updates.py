"""What Telegram's updates tell (channels.md 1, Events): the chats of a bot with single persons."""

from collections.abc import Callable, Sequence
from typing import Any

from externallines.channels import markup
from externallines.channels.events import (
    Contact,
    Event,
    Ignored,
    Media,
    MediaKind,
    MessageEdited,
    MessageReceived,
    ReachabilityChanged,
)
from externallines.channels.telegram_entities import link, to_markdown
from portals.payload import Payload

# In this order: a GIF comes as an animation and as a document. (field, kind, name, media type)
FILES = (
    ("animation", MediaKind.VIDEO, "animation-{}.mp4", "video/mp4"),
    ("video", MediaKind.VIDEO, "video-{}.mp4", "video/mp4"),
    ("video_note", MediaKind.VIDEO, "video-message-{}.mp4", "video/mp4"),
    ("voice", MediaKind.VOICE, "voice-{}.ogg", "audio/ogg"),
    ("audio", MediaKind.AUDIO, "audio-{}.mp3", "audio/mpeg"),
    ("document", MediaKind.FILE, "document-{}", "application/octet-stream"),
)
# What the operator hears of content that has no place in Uspacy.
UNSUPPORTED = {
    "poll": "a poll",
    "dice": "a dice",
    "game": "a game",
    "story": "a story",
    "checklist": "a checklist",
    "paid_media": "paid media",
    "invoice": "an invoice",
    "gift": "a gift",
    "unique_gift": "a gift",
    "giveaway": "a giveaway",
    "pinned_message": "a message was pinned",
}


def read_update(update: Payload) -> Event:
    """Return what happened. Raises InvalidPayload."""
    for kind, read in READERS.items():
        if update.value.get(kind) is not None:
            return read(update.child(kind))
    return Ignored("an update of another kind")


def _message(message: Payload) -> Event:
    chat = message.child("chat")
    if not _is_private(chat):
        return Ignored("not a private chat")
    message_id = message.id("message_id")
    text, media = _content(message, message_id)
    return MessageReceived(
        chat_id=chat.id("id"),
        message_id=message_id,
        contact=_contact(message.child("from"), message.optional_child("contact")),
        text=text,
        media=media,
        reply_to=message.optional_child("reply_to_message").id("message_id", ""),
        sent_at=message.moment("date"),
    )


def _edited_message(message: Payload) -> Event:
    chat = message.child("chat")
    if not _is_private(chat):
        return Ignored("not a private chat")
    if message.value.get("location") is not None:
        return Ignored("a live location moved")
    message_id = message.id("message_id")
    text, _media = _content(message, message_id)
    return MessageEdited(chat.id("id"), message_id, text, at=message.moment("edit_date"))


def _callback_query(query: Payload) -> Event:
    """A customer pressed a button below a message; what it says is what they say."""
    message, sender = query.optional_child("message"), query.child("from")
    chat = message.optional_child("chat")
    if message.value and not _is_private(chat):
        return Ignored("not a private chat")
    data, callback_id = query.text("data", ""), query.id("id")
    return MessageReceived(
        chat_id=chat.id("id", sender.id("id")),
        message_id=f"button-{callback_id}"[:255],
        contact=_contact(sender),
        text=markup.escape(_button(message, data)).strip() or "[Button]",
        reply_to=message.id("message_id", ""),
        thanks={"callback_query_id": callback_id},
    )


def _my_chat_member(change: Payload) -> Event:
    chat = change.child("chat")
    if not _is_private(chat):
        return Ignored("not a private chat")
    status = change.child("new_chat_member").text("status")
    if status not in ("kicked", "member"):
        return Ignored(f"became {status}"[:100])
    return ReachabilityChanged(chat.id("id"), blocked=status == "kicked")


READERS: dict[str, Callable[[Payload], Event]] = {
    "message": _message,
    "edited_message": _edited_message,
    "callback_query": _callback_query,
    "my_chat_member": _my_chat_member,
}


def _is_private(chat: Payload) -> bool:
    return chat.text("type") == "private"


def _contact(person: Payload, card: Payload | None = None) -> Contact:
    """The sender; their phone number is known if they shared their own card."""
    person_id, username = person.id("id"), person.text("username", "")[:255]
    meta = [("telegram", person_id)]
    if username:
        meta.append(("username", username))
    if card and card.id("user_id", "") == person_id and (phone := card.text("phone_number", "")[:255]):
        meta.append(("phone", phone))
    name = f"{person.text('first_name', '')} {person.text('last_name', '')}".strip()
    return Contact(person_id, name[:255], meta=meta)


def _content(message: Payload, message_id: str) -> tuple[str, Sequence[Media]]:
    """The message's text as Markdown, with what has no field of its own in it, and its files."""
    media, emoji = _media(message, message_id)
    body = "\n".join(
        part
        for part in (
            to_markdown(message.text("text", ""), message.children("entities")),
            to_markdown(message.text("caption", ""), message.children("caption_entities")),
            emoji,
            _place(message),
            _card(message.optional_child("contact")),
        )
        if part.strip()
    )
    if not body and not media:
        what = next((what for name, what in UNSUPPORTED.items() if message.value.get(name) is not None), "")
        body = f"[This message cannot be shown here{f': {what}' if what else ''}]"
    return "\n\n".join(part for part in (_forwarded(message), _quoted(message), body) if part), media


def _media(message: Payload, message_id: str) -> tuple[Sequence[Media], str]:
    """The message's file, and a sticker's emoji."""
    for field, kind, name, mime_type in FILES:
        if message.value.get(field) is not None:
            file = message.child(field)
            default = name.format(message_id)
            return [_file(file, kind, file.text("file_name", "")[:255] or default, mime_type)], ""
    if sizes := message.children("photo"):  # from small to large
        return [_file(sizes[-1], MediaKind.IMAGE, f"photo-{message_id}.jpg", "image/jpeg")], ""
    if message.value.get("sticker") is not None:
        return _sticker(message.child("sticker"), message_id)
    return [], ""


def _file(file: Payload, kind: MediaKind, name: str, mime_type: str) -> Media:
    return Media(
        source={"file_id": file.text("file_id")},
        name=name,
        mime_type=file.text("mime_type", "")[:255] or mime_type,
        size=file.size("file_size"),
        kind=kind,
    )


def _sticker(sticker: Payload, message_id: str) -> tuple[Sequence[Media], str]:
    """A still picture of it: moving stickers are of kinds that only Telegram plays."""
    moves = sticker.value.get("is_animated") is True or sticker.value.get("is_video") is True
    picture = sticker.optional_child("thumbnail") if moves else sticker
    files = [_file(picture, MediaKind.IMAGE, f"sticker-{message_id}.webp", "image/webp")] if picture.value else []
    return files, markup.escape(sticker.text("emoji", "")).strip() or "[Sticker]"


def _place(message: Payload) -> str:
    """A link to a map."""
    if message.value.get("location") is None:
        return ""
    venue, spot = message.optional_child("venue"), message.child("location")
    named = ", ".join(part for part in (venue.text("title", ""), venue.text("address", "")) if part.strip())
    url = f"https://maps.google.com/?q={spot.number('latitude')},{spot.number('longitude')}"
    return link(" ".join(named.split()) or "Location", url)


def _card(contact: Payload) -> str:
    if not contact.value:
        return ""
    name = f"{contact.text('first_name', '')} {contact.text('last_name', '')}".strip()
    return markup.escape(
        f"Contact: {', '.join(part for part in (name, contact.text('phone_number', '')) if part)}"
    )


def _forwarded(message: Payload) -> str:
    if message.value.get("forward_origin") is None:
        return ""
    origin = message.child("forward_origin")
    person, chat = origin.optional_child("sender_user"), origin.optional_child("sender_chat")
    channel = origin.optional_child("chat")
    names = (
        f"{person.text('first_name', '')} {person.text('last_name', '')}",
        origin.text("sender_user_name", ""),
        chat.text("title", ""),
        channel.text("title", ""),
    )
    name = next((name.strip() for name in names if name.strip()), "somebody")
    return markup.escape(f"[Forwarded from {name}]")


def _quoted(message: Payload) -> str:
    """What a reply quotes of a message, if not the whole of one in this chat."""
    quote = message.optional_child("quote")
    text = to_markdown(quote.text("text", ""), quote.children("entities"))
    if not text.strip() and message.value.get("reply_to_story") is not None:
        text = "[A story]"
    if not text.strip() and message.value.get("external_reply") is not None:
        text = "[A message of another chat]"
    return "\n".join(f"> {line}".rstrip() for line in text.strip().split("\n")) if text.strip() else ""


def _button(message: Payload, data: str) -> str:
    """The label of the button that has these data, else the data."""
    keyboard: Any = message.optional_child("reply_markup").value.get("inline_keyboard")
    for row in keyboard if isinstance(keyboard, list) else ():
        for button in row if isinstance(row, list) else ():
            if isinstance(button, dict) and button.get("callback_data") == data:
                return Payload(button).text("text", "") or data
    return data
