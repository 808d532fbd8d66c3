"""What the webhooks of Messenger and Instagram tell (channels.md 4, Payload)."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from externallines.channels import markup
from externallines.channels.base import (
    ChatProgressed,
    Contact,
    Event,
    Ignored,
    Media,
    MediaKind,
    MessageDeleted,
    MessageEdited,
    MessageReceived,
    Progress,
    Update,
)
from externallines.channels.meta_payloads import (
    CANNOT_BE_SHOWN,
    digest,
    file_name,
    lines,
    map_link,
    moment,
    objects,
    our_id,
    reaction_note,
    unique_key,
)
from portals.payload import InvalidPayload, Payload

MEDIA = {
    "image": MediaKind.IMAGE,
    "video": MediaKind.VIDEO,
    "audio": MediaKind.AUDIO,
    "file": MediaKind.FILE,
    "sticker": MediaKind.IMAGE,
    "story_mention": MediaKind.FILE,
}
OUR_IDS = ("reaction:", "postback:")  # of notes we made up: no message of Meta's has such an id


def updates(entry: Payload) -> Iterator[Update]:
    """Yield the parts of an entry, each with its own key."""
    for queue in ("messaging", "standby"):  # standby: another app has the thread, and we only listen
        for item in objects(entry, queue):
            try:
                key = _key(item)
            except InvalidPayload:
                key = unique_key("item", digest(item.value))
            yield Update(key, item.value)
    for change in objects(entry, "changes"):
        yield Update(
            unique_key("change", digest([entry.value.get("time"), change.value])), {"other": "a test event"}
        )


def _key(item: Payload) -> str:
    match item.value:
        case {"message": _}:
            message = item.child("message")
            return unique_key("del" if message.value.get("is_deleted") is True else "msg", message.id("mid"))
        case {"message_edit": _}:
            edit = item.child("message_edit")
            return unique_key("edit", edit.id("mid"), str(edit.value.get("num_edit")))
        case {"delivery": _}:
            return unique_key("delivery", _sender(item), str(item.child("delivery").value.get("watermark")))
        case {"read": _}:
            read = item.child("read").value
            return unique_key("read", _sender(item), str(read.get("watermark") or read.get("mid")))
        case {"reaction": _}:
            return _reaction_id(item)
        case {"postback": _}:
            return _postback_id(item)
    return unique_key("item", digest(item.value))


def _sender(item: Payload) -> str:
    return item.child("sender").id("id")


def _reaction_id(item: Payload) -> str:
    reaction = item.child("reaction")
    told = (reaction.text("action", ""), reaction.text("emoji", "") or reaction.text("reaction", ""))
    at = str(item.value.get("timestamp"))  # the same one may come again, after it was taken back
    return unique_key("reaction", reaction.id("mid"), _sender(item), *told, at)


def _postback_id(item: Payload) -> str:
    mid = item.child("postback").id("mid", "")
    return unique_key("postback", mid or digest(item.value))


def events(item: Payload, *, chat_meta: str, account_id: str, app_id: str) -> list[Event]:
    """Return what happened. What breaks the contract is ignored or shown as a placeholder, never refused:
    Meta would repeat the whole call for days. `app_id` is ours where echoes tell their app but no message of
    ours."""
    try:
        return [_event(item, chat_meta, account_id, app_id)]
    except InvalidPayload as exc:
        return [Ignored(f"breaks the contract: {exc}"[:250])]


def _event(item: Payload, chat_meta: str, account_id: str, app_id: str) -> Event:
    match item.value:
        case {"message": _}:
            return _message(item, item.child("message"), chat_meta, app_id)
        case {"message_edit": _}:
            edit = item.child("message_edit")
            if edit.value.get("num_edit") in (0, "0"):
                return Ignored("an edit that is none")
            text = markup.escape(edit.text("text", ""))
            return MessageEdited(_sender(item), edit.id("mid"), text, at=moment(item, "timestamp"))
        case {"delivery": _}:
            return _progressed(item, Progress.DELIVERED, item.child("delivery"))
        case {"read": _}:
            return _progressed(item, Progress.READ, item.child("read"))
        case {"reaction": _} if _sender(item) != account_id:
            return _reaction(item, item.child("reaction"), chat_meta)
        case {"postback": _}:
            title = markup.escape(item.child("postback").text("title", "")) or CANNOT_BE_SHOWN
            return _said(item, chat_meta, _postback_id(item), title)
    return Ignored(f"not about messages: {', '.join(sorted(item.value))}"[:250])


def _said(item: Payload, chat_meta: str, message_id: str, text: str, **more: Any) -> MessageReceived:
    chat_id, at = _sender(item), moment(item, "timestamp")
    return MessageReceived(chat_id, message_id, _contact(chat_id, chat_meta), text=text, sent_at=at, **more)


def _contact(chat_id: str, chat_meta: str) -> Contact:
    return Contact(chat_id, meta=[(chat_meta, chat_id)])


def _reaction(item: Payload, reaction: Payload, chat_meta: str) -> Event:
    emoji = reaction.text("emoji", "") or reaction.text("reaction", "")
    note = reaction_note("" if reaction.value.get("action") == "unreact" else emoji)
    return _said(item, chat_meta, _reaction_id(item), note, reply_to=reaction.id("mid"))


def _progressed(item: Payload, status: Progress, told: Payload) -> Event:
    until: datetime | None = moment(told, "watermark")
    if until is None:
        return ChatProgressed(status, _sender(item), message_id=told.id("mid"))
    mids = told.value.get("mids")
    last = mids[-1] if isinstance(mids, list) and mids else ""
    known = last if isinstance(last, str) and len(last) <= 255 else ""
    return ChatProgressed(status, _sender(item), message_id=known, until=until)


def _message(item: Payload, message: Payload, chat_meta: str, app_id: str) -> Event:
    outgoing = message.value.get("is_echo") is True
    chat_id, mid = item.child("recipient" if outgoing else "sender").id("id"), message.id("mid")
    if message.value.get("is_deleted") is True:
        return MessageDeleted(chat_id, mid)
    client_id = our_id(message.value.get("metadata")) if outgoing else ""
    if outgoing and not client_id and app_id and str(message.value.get("app_id")) == app_id:
        return Ignored("an echo of ours")
    text, media = _content(message)
    return MessageReceived(
        chat_id=chat_id,
        message_id=mid,
        contact=_contact(chat_id, chat_meta),
        text=text or ("" if media else CANNOT_BE_SHOWN),
        media=media,
        reply_to=_quoted(message),
        sent_at=moment(item, "timestamp"),
        outgoing=outgoing,
        client_id=client_id,
    )


def _quoted(message: Payload) -> str:
    try:
        return message.optional_child("reply_to").id("mid", "")
    except InvalidPayload:
        return ""


def _content(message: Payload) -> tuple[str, list[Media]]:
    """Return a message's text in Markdown and its files; a placeholder where they cannot be read."""
    if message.value.get("is_unsupported") is True:
        return CANNOT_BE_SHOWN, []
    try:
        note, media = _story(message)
        texts = [note, markup.escape(message.text("text", ""))]
        for attachment in objects(message, "attachments"):
            text, files = _attachment(attachment)
            texts.append(text)
            media += files
        return lines(*texts), media
    except InvalidPayload:
        return CANNOT_BE_SHOWN, []


def _story(message: Payload) -> tuple[str, list[Media]]:
    """The story a customer answers, which is there for a day: we keep it."""
    story = message.optional_child("reply_to").optional_child("story")
    url = story.text("url", "")
    if not story.value:
        return "", []
    return "_Answers your story:_", [_file("story", url, MediaKind.FILE)] if url else []


def _file(kind: str, url: str, media_kind: MediaKind) -> Media:
    return Media({"url": url}, file_name(kind, url=url), kind=media_kind)


def _attachment(attachment: Payload) -> tuple[str, list[Media]]:
    kind, payload = attachment.text("type", ""), attachment.optional_child("payload")
    url = payload.text("url", "") or attachment.text("url", "")
    title = payload.text("title", "") or attachment.text("title", "")
    if kind == "story_mention":
        return "_Mentions you in a story._", [_file("story", url, MEDIA[kind])] if url else []
    if kind in MEDIA and url:
        return "", [_file(kind, url, MEDIA[kind])]
    if kind == "location":
        place = payload.child("coordinates")
        return map_link(title, place.number("lat"), place.number("long")), []
    if kind == "like_heart":
        return "❤️", []
    if url:
        return lines(markup.escape(title), url), []
    return markup.escape(title) or CANNOT_BE_SHOWN, []
