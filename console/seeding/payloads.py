"""Webhooks in the messengers' own format, as they are stored: what `messaging.inbox` can process again."""

from datetime import datetime
from typing import Any

from console.seeding.customers import Customer
from console.seeding.dialogues import Line
from console.seeding.houses import Place

Json = dict[str, Any]
OPERATOR, OPERATOR_USER = "41", 7
FILES_URL = "https://files.uspacy.test"


def ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def iso(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def of_customer(
    place: Place, who: Customer, line: Line, text: str, message_id: str, at: datetime, number: int, quoted: str
) -> tuple[str, Json]:
    """Return the key and the payload of the event that brings a customer's message."""
    match place.channel:
        case "telegram":
            key = 700_000_000 + number
            return str(key), {"update_id": key, "message": _telegram(who, line, text, message_id, at, quoted)}
        case "viber":
            return f"message:{message_id}:{who.contact_id}", _viber(who, line, text, message_id, at)
        case "whatsapp":
            return message_id, _whatsapp(who, line, text, message_id, at, quoted)
        case "webhook":
            return f"evt_{number}", _partner(who, line, text, message_id, at, quoted)
    return message_id, _messenger(place, who, line, text, message_id, at, quoted)


def of_operator(
    place: Place, who: Customer, line: Line, text: str, uspacy_id: str, at: datetime, file: Json | None
) -> Json:
    """Return what Uspacy publishes when an operator has written."""
    external_line = {
        "id": place.uspacy_id,
        "externalId": place.key,
        "name": place.name,
        "phoneNumber": place.name,
        "icon": f"https://lines.uspacy.test/static/externallines/{place.channel}.svg",
        "portal": place.domain,
        "timestamp": ms(at) - 86_400_000,
    }
    chat_id = str(who.uspacy_id)
    entity = {
        "id": uspacy_id,
        "chatId": chat_id,
        "type": "MESSAGE",
        "message": text,
        "authorId": int(OPERATOR),
        "externalLine": external_line,
        "attachedFiles": [file] if file else None,
        "mentioned": None,
        "readBy": None,
        "relations": None,
        "timestamp": ms(at),
        "parent": {
            "id": chat_id,
            "type": "EXTERNAL",
            "name": who.name,
            "active": True,
            "ownerId": int(OPERATOR),
            "members": [int(OPERATOR)],
            "portals": [place.domain],
            "pictureUrl": "",
            "timestamp": ms(at),
            "meta": who.meta(place.channel),
            "externalLines": [external_line],
            "lastMessage": {"id": uspacy_id, "externalLine": place.uspacy_id},
        },
    }
    return {
        "type": "message",
        "topic": "Notifications",
        "env": place.domain.rpartition(".")[2],
        "request_id": uspacy_id,
        "metadata": None,
        "data": {
            "action": "create",
            "service": "messenger",
            "domain": place.domain,
            "user_id": OPERATOR_USER,
            "timestamp": iso(at),
            "entity": entity,
        },
    }


def echo(event: Json, author: str) -> Json:
    """Return the event with which Uspacy tells us of a customer's message that it has from us."""
    entity = {**event["data"]["entity"], "externalAuthorId": author}
    return {**event, "data": {**event["data"], "user_id": None, "entity": entity}}


def uspacy_file(line: Line, name: str, message_id: str, number: int, at: datetime) -> Json:
    return {
        "id": number,
        "entityType": "chat_message",
        "entityId": message_id,
        "originalFilename": name,
        "size": size_of(line, number),
        "lastModified": int(at.timestamp()),
        "uploadId": message_id,
        "creatorId": OPERATOR_USER,
        "url": f"{FILES_URL}/{message_id}/{name}",
    }


def source(place: Place, message_id: str) -> Json:
    """Return where the messenger has the file of a customer's message."""
    if place.channel == "telegram":
        return {"file_id": f"AgACAgIAAxkBAAI{message_id}"}
    if place.channel == "whatsapp":
        return {"id": f"media-{message_id[-12:]}"}
    return {"url": f"{FILES_URL}/{place.channel}/{message_id}"}


def size_of(line: Line, number: int) -> int:
    return {"image": 180_000, "voice": 34_000, "video": 4_200_000}.get(line.kind, 96_000) + number % 9_973


def _telegram(who: Customer, line: Line, text: str, message_id: str, at: datetime, quoted: str) -> Json:
    first, _space, last = who.name.partition(" ")
    person = {"id": int(who.contact_id), "first_name": first, "last_name": last}
    if who.username:
        person["username"] = who.username
    seconds = int(at.timestamp())
    message: Json = {
        "message_id": int(message_id),
        "from": {**person, "is_bot": False, "language_code": "uk"},
        "chat": {**person, "type": "private"},
        "date": seconds,
    }
    if not line.kind:
        message["text"] = text
    else:
        file_id = source_id = f"AgACAgIAAxkBAAI{message_id}"
        file: Json = {"file_id": file_id, "file_unique_id": f"u{source_id[-8:]}", "file_size": size_of(line, 1)}
        match line.kind:
            case "image":
                message["photo"] = [{**file, "width": 1280, "height": 853}]
            case "voice":
                message["voice"] = {**file, "duration": 9, "mime_type": "audio/ogg"}
            case "video":
                message["video"] = {**file, "width": 720, "height": 1280, "duration": 14, "mime_type": "video/mp4"}
            case _:
                message["document"] = {**file, "file_name": line.file, "mime_type": line.mime_type}
        message["caption"] = text
    if quoted:
        message["reply_to_message"] = {"message_id": int(quoted), "date": seconds - 60, "chat": message["chat"]}
    return message


def _viber(who: Customer, line: Line, text: str, message_id: str, at: datetime) -> Json:
    kind = {"": "text", "image": "picture", "video": "video"}.get(line.kind, "file")
    message: Json = {"type": kind, "text": text, "tracking_data": ""}
    if line.kind:
        message |= {
            "media": f"{FILES_URL}/viber/{message_id}",
            "file_name": line.file,
            "size": size_of(line, 1),
        }
    return {
        "event": "message",
        "timestamp": ms(at),
        "message_token": int(message_id),
        "chat_hostname": "SN-CHAT-01_",
        "sender": {"id": who.contact_id, "name": who.name, "country": "UA", "language": "uk", "api_version": 10},
        "message": message,
        "silent": False,
    }


def _whatsapp(who: Customer, line: Line, text: str, message_id: str, at: datetime, quoted: str) -> Json:
    kind = {"": "text", "voice": "audio", "file": "document"}.get(line.kind, line.kind)
    message: Json = {
        "from": who.contact_id,
        "id": message_id,
        "timestamp": str(int(at.timestamp())),
        "type": kind,
    }
    if not line.kind:
        message["text"] = {"body": text}
    else:
        message[kind] = {"id": f"media-{message_id[-12:]}", "mime_type": line.mime_type, "caption": text}
    if quoted:
        message["context"] = {"id": quoted}
    return {"message": message, "contact": {"profile": {"name": who.name}, "wa_id": who.contact_id}}


def _messenger(
    place: Place, who: Customer, line: Line, text: str, message_id: str, at: datetime, quoted: str
) -> Json:
    message: Json = {"mid": message_id}
    if line.kind:
        kind = {"voice": "audio"}.get(line.kind, line.kind)
        url = f"{FILES_URL}/{place.channel}/{message_id}"
        message["attachments"] = [{"type": kind, "payload": {"url": url}}]
    if text:
        message["text"] = text
    if quoted:
        message["reply_to"] = {"mid": quoted}
    sides = {"sender": {"id": who.contact_id}, "recipient": {"id": place.external_id}}
    return {**sides, "timestamp": ms(at), "message": message}


def _partner(who: Customer, line: Line, text: str, message_id: str, at: datetime, quoted: str) -> Json:
    message: Json = {"id": message_id, "text": text, "format": "plain", "direction": "in", "sent_at": iso(at)}
    if quoted:
        message["reply_to_id"] = quoted
    if line.kind:
        url = f"{FILES_URL}/webhook/{message_id}"
        file = {"url": url, "name": line.file, "mime_type": line.mime_type, "size": size_of(line, 1)}
        message["attachments"] = [{**file, "kind": line.kind}]
    contact = {"id": who.contact_id, "name": who.name, "phone": who.phone}
    data = {"conversation": {"id": who.external_id}, "contact": contact, "message": message}
    return {"type": "message.created", "timestamp": iso(at), "data": data}
