"""What WhatsApp's webhooks tell (channels.md 3, Payload)."""

from collections.abc import Iterator, Sequence
from typing import Any

from externallines.channels import markup
from externallines.channels.base import (
    AccountProblem,
    Blocked,
    ChatMoved,
    Contact,
    Event,
    Ignored,
    Media,
    MediaKind,
    MessageDeleted,
    MessageEdited,
    MessageReceived,
    Progress,
    ReachabilityChanged,
    StatusReported,
    Update,
)
from externallines.channels.meta_errors import WHATSAPP as ROWS
from externallines.channels.meta_errors import classify, read_complaint
from externallines.channels.meta_payloads import (
    CANNOT_BE_SHOWN,
    bare,
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
from externallines.channels.whatsapp_identity import Identity, is_number
from portals.payload import InvalidPayload, Payload

PROGRESS = {
    "sent": Progress.SENT,
    "delivered": Progress.DELIVERED,
    "read": Progress.READ,
    "played": Progress.READ,
    "failed": Progress.FAILED,
}
MEDIA = {
    "image": MediaKind.IMAGE,
    "video": MediaKind.VIDEO,
    "audio": MediaKind.AUDIO,
    "document": MediaKind.FILE,
    "sticker": MediaKind.IMAGE,
}


def updates(change: Payload, phone_number_id: str) -> Iterator[Update]:
    """Yield the parts of a change, each with its own key; nothing where it is of another number."""
    try:
        value = change.child("value")
        metadata = value.child("metadata")
    except InvalidPayload:  # not of a number, or odd: Meta would repeat the whole call for days
        yield Update(unique_key("change", digest(change.value)), {"other": str(change.value.get("field"))})
        return
    if str(metadata.value.get("phone_number_id")) != phone_number_id:
        return
    contacts = objects(value, "contacts")
    for kind, name in (("message", "messages"), ("echo", "message_echoes")):
        for message in objects(value, name):
            content = {kind: message.value, "contact": _contact_of(message, contacts)}
            yield Update(_key(message), content)
    for status in objects(value, "statuses"):
        yield Update(_key(status, str(status.value.get("status"))), {"status": status.value})
    for error in objects(value, "errors"):
        yield Update(unique_key("error", digest(value.value)), {"other": f"error {error.value.get('code')}"})


def _key(item: Payload, *more: str) -> str:
    try:
        return unique_key(item.id("id"), *more)
    except InvalidPayload:
        return unique_key("item", digest(item.value))


def _contact_of(message: Payload, contacts: Sequence[Payload]) -> Any:
    names = {
        message.value.get(name) for name in ("from", "from_user_id", "to", "to_user_id") if _is_id(message, name)
    }
    for contact in contacts:
        if names & {contact.value[name] for name in ("wa_id", "user_id") if _is_id(contact, name)}:
            return contact.value
    return None


def _is_id(container: Payload, name: str) -> bool:
    return isinstance(container.value.get(name), str) and container.value[name] != ""


def events(update: Payload) -> list[Event]:
    """Return what happened. What breaks the contract is ignored or shown as a placeholder, never refused:
    Meta would repeat the whole call for days."""
    try:
        if update.value.get("status") is not None:
            return _status(update.child("status"))
        if update.value.get("other") is not None:
            return [Ignored(f"not about messages: {update.value['other']}"[:250])]
        outgoing = update.value.get("echo") is not None
        message = update.child("echo" if outgoing else "message")
        return [_message(message, update.optional_child("contact"), outgoing)]
    except InvalidPayload as exc:
        return [Ignored(f"breaks the contract: {exc}"[:250])]


def _message(message: Payload, contact: Payload, outgoing: bool) -> Event:
    if message.value.get("group_id"):
        return Ignored("a message of a group")
    who = Identity.read(message, *(("to", "to_user_id") if outgoing else ("from", "from_user_id")), contact)
    if not who.chat_id:
        return Ignored("a message of nobody")
    match message.value.get("type"):
        case "system":
            return _system(message, who)
        case "edit":
            edit, at = message.child("edit"), moment(message, "timestamp")
            text = _edited_text(edit.child("message"))
            return MessageEdited(who.chat_id, edit.id("original_message_id"), text, at=at)
        case "revoke":
            return MessageDeleted(who.chat_id, message.child("revoke").id("original_message_id"))
    text, media = content(message)
    return MessageReceived(
        chat_id=who.chat_id,
        message_id=message.id("id"),
        contact=_contact(who, contact),
        text=text or ("" if media else CANNOT_BE_SHOWN),
        media=media,
        reply_to=_quoted(message),
        sent_at=moment(message, "timestamp"),
        outgoing=outgoing,
        aliases=who.aliases,
    )


def _contact(who: Identity, contact: Payload) -> Contact:
    try:
        profile = contact.optional_child("profile")
        name, username = profile.text("name", "")[:255], profile.text("username", "")[:255]
    except InvalidPayload:
        name = username = ""
    meta = [("whatsapp", who.chat_id), ("phone", who.number and f"+{who.number}"), ("username", username)]
    return Contact(who.chat_id, name=name, meta=[(kind, value) for kind, value in meta if value])


def _quoted(message: Payload) -> str:
    try:
        if message.value.get("type") == "reaction":
            return message.child("reaction").id("message_id", "")
        return message.optional_child("context").id("id", "")
    except InvalidPayload:
        return ""


def _system(message: Payload, who: Identity) -> Event:
    system = message.child("system")
    new = _new_id(system, who)
    if new in ("", who.chat_id, *who.aliases):
        return Ignored("a notice of WhatsApp's, the customer's id stays")
    note = markup.escape(system.text("body", "")) or f"The customer's WhatsApp is {new} now."
    return ChatMoved(who.chat_id, new, message.id("id"), note, sent_at=moment(message, "timestamp"))


def _new_id(system: Payload, who: Identity) -> str:
    """Return the id that a notice gives the chat: one known by its number stays as long as that does."""
    if who.number:
        new = system.text("wa_id", "")
        return new if is_number(new) else ""
    names = ("user_id", "wa_id") if system.value.get("type") == "user_changed_number" else ("user_id",)
    return next((system.id(name) for name in names if _is_id(system, name)), "")


def _edited_text(new: Payload) -> str:
    """Return what a text or a caption is now; of a file nothing else can change, and it comes without its id."""
    kind = new.text("type")
    if kind in MEDIA:
        return markup.escape(new.child(kind).text("caption", ""))
    return markup.escape(new.child("text").text("body"))


def content(message: Payload) -> tuple[str, list[Media]]:
    """Return a message's text in Markdown and its files; a placeholder where they cannot be read."""
    try:
        kind = message.text("type", "")
        if kind in MEDIA:
            caption, media = _media(message.child(kind), kind)
            return lines(_referral(message), caption), media
        return lines(_referral(message), _text(message, kind)), []
    except InvalidPayload:
        return CANNOT_BE_SHOWN, []


def _media(file: Payload, kind: str) -> tuple[str, list[Media]]:
    mime_type = bare(file.text("mime_type", "application/octet-stream"))
    media = Media(
        source={"media_id": file.id("id")},
        name=file_name(kind, mime_type=mime_type, given=file.text("filename", "")),
        mime_type=mime_type,
        kind=MediaKind.VOICE if file.value.get("voice") is True else MEDIA[kind],
    )
    return markup.escape(file.text("caption", "")), [media]


def _text(message: Payload, kind: str) -> str:
    match kind:
        case "text":
            return markup.escape(message.child("text").text("body"))
        case "location":
            place = message.child("location")
            link = map_link(place.text("name", ""), place.number("latitude"), place.number("longitude"))
            return lines(link, markup.escape(place.text("address", "")))
        case "contacts":
            return "\n".join(_card(card) for card in message.children("contacts"))
        case "button":
            return markup.escape(message.child("button").text("text"))
        case "interactive":
            return _choice(message.child("interactive"))
        case "reaction":
            return reaction_note(message.child("reaction").text("emoji", ""))
    return CANNOT_BE_SHOWN


def _card(card: Payload) -> str:
    phones = [phone.text("phone", "") or phone.text("wa_id", "") for phone in card.children("phones")]
    return markup.escape(", ".join([card.optional_child("name").text("formatted_name", "Contact"), *phones]))


def _choice(interactive: Payload) -> str:
    kind = interactive.text("type", "")
    if kind in ("button_reply", "list_reply"):
        return markup.escape(interactive.child(kind).text("title"))
    if kind == "nfm_reply":
        form = interactive.child(kind)
        return markup.escape(lines(form.text("body", ""), form.text("response_json", "")))
    return CANNOT_BE_SHOWN


def _referral(message: Payload) -> str:
    """Tell of the advertisement through which a customer came."""
    try:
        referral = message.optional_child("referral")
        title = markup.escape(" ".join(referral.text("headline", "").split()) or "an advertisement")
        url = referral.text("source_url", "")
    except InvalidPayload:
        return ""
    return f"_Came by_ {title}: {url}" if url else ""


def _status(status: Payload) -> list[Event]:
    progress = PROGRESS.get(status.text("status"))
    if progress is None:
        return [Ignored(f"status {status.value['status']}"[:250])]
    named = {
        "message_id": status.id("id"),
        "client_id": our_id(status.value.get("biz_opaque_callback_data")),
    }
    errors = objects(status, "errors")
    if progress is not Progress.FAILED or not errors:
        return [StatusReported(progress, **named)]
    error = classify(read_complaint(errors[0]), ROWS)
    named["failure"] = type(error).__name__
    if isinstance(error, AccountProblem):
        return [StatusReported(progress, **named, error=f"The owner of the line has to act. {error}")]
    failed = StatusReported(progress, **named, error=str(error))
    recipient = status.text("recipient_id", "") or status.text("recipient_user_id", "")
    if isinstance(error, Blocked) and 1 <= len(recipient) <= 255:
        return [failed, ReachabilityChanged(recipient, blocked=True)]
    return [failed]
