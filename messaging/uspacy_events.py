"""Events of Uspacy's messenger, the decoded `Message` of an SNS notification (uspacy-api.md 9.2, 9.3, 11)."""

import mimetypes
import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from portals.payload import InvalidPayload, Payload

FOREIGN_TYPES = {"SYSTEM", "FORM_SUBMISSION"}  # Uspacy's own remarks in a chat: never for the customer
MESSAGE_TYPES = {"MESSAGE", "AUDIO", "VOICE", "VIDEO", "GIF"}


class Action(StrEnum):
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"


class Irrelevant(Exception):
    """A valid event of which nothing comes; the text is the reason for staff.

    `awaits` is the messenger's id of a message that we do not know yet: the event has overtaken it.
    """

    def __init__(self, reason: str, *, awaits: str = "") -> None:
        super().__init__(reason)
        self.awaits = awaits


@dataclass(frozen=True, slots=True)
class OperatorFile:
    id: str
    name: str
    url: str
    size: int | None

    @property
    def source(self) -> dict[str, str]:
        return {"url": self.url, "id": self.id}

    @property
    def mime_type(self) -> str:
        return mimetypes.guess_type(self.name)[0] or "application/octet-stream"

    @property
    def kind(self) -> str:
        family = self.mime_type.partition("/")[0]
        return family if family in ("image", "video", "audio") else "file"


@dataclass(frozen=True, slots=True)
class OperatorMessage:
    """A message of an operator as its event describes it; of a deletion only the ids are sure."""

    action: Action
    domain: str
    line_id: str  # Uspacy's; "" where a deletion does not say
    chat_id: uuid.UUID | None
    id: uuid.UUID
    happened_at: datetime | None
    text: str | None = None  # None where the event does not tell
    type: str = "MESSAGE"
    author_id: str = ""
    parent_id: uuid.UUID | None = None
    files: Sequence[OperatorFile] = ()
    chat_meta: Sequence[tuple[str, str]] = ()
    sent_at: datetime | None = None


def parse(value: Any) -> OperatorMessage:
    """Return the operator's message of an event. Raises Irrelevant, or InvalidPayload where it is malformed."""
    event = Payload(value)
    if event.value.get("type") != "message":
        raise Irrelevant("not a message")
    data = event.child("data")
    if data.value.get("service") not in (None, "messenger"):
        raise Irrelevant("not of the messenger")
    try:
        action = Action(data.text("action"))
    except ValueError:
        raise Irrelevant(f"action {data.text('action')}"[:200]) from None
    if action is Action.DELETE and not isinstance(data.value.get("entity"), dict):
        entity = Payload({"id": data.value.get("entity")}, "data.entity")  # only an id
    else:
        entity = data.child("entity")
    line_id = _id_or_object(entity, "externalLine")
    if not line_id and action is not Action.DELETE:
        raise Irrelevant("not on an external line")
    kind = entity.text("type", "MESSAGE")
    if entity.value.get("externalAuthorId"):
        raise Irrelevant("echo of a customer's message")
    if kind in FOREIGN_TYPES or entity.value.get("relations"):
        raise Irrelevant("system message")
    parent_message = _id_or_object(entity, "parentMessage")
    chat = entity.optional_child("parent")
    return OperatorMessage(
        action=action,
        domain=data.text("domain").lower(),
        line_id=line_id,
        chat_id=_uuid(entity, entity.id("chatId", "") or chat.id("id", ""), "chatId"),
        id=_required_uuid(entity, "id"),
        happened_at=data.moment("timestamp"),
        text=entity.text("message", "") if entity.value.get("message") is not None else None,
        type=kind if kind in MESSAGE_TYPES else "MESSAGE",
        author_id=entity.id("authorId", ""),
        parent_id=_uuid(entity, parent_message, "parentMessage"),
        files=[_file(item) for item in entity.children("attachedFiles")],
        chat_meta=[(item.text("type", ""), item.id("value", "")) for item in chat.children("meta")],
        sent_at=entity.moment("timestamp"),
    )


def _id_or_object(entity: Payload, name: str) -> str:
    """An id that events give bare or as an object with `id`; "" where absent."""
    if isinstance(entity.value.get(name), dict):
        return entity.child(name).id("id", "")
    return entity.id(name, "") if entity.value.get(name) else ""


def _required_uuid(entity: Payload, name: str) -> uuid.UUID:
    return _uuid(entity, entity.id(name), name) or entity.fail("has to be a UUID", name)


def _uuid(entity: Payload, text: str, name: str) -> uuid.UUID | None:
    if not text:
        return None
    try:
        return uuid.UUID(text)
    except ValueError:
        raise InvalidPayload(f"{name} has to be a UUID.", field=name) from None


def _file(item: Payload) -> OperatorFile:
    name = re.sub(r"[\x00-\x1f\x7f]+", " ", item.text("originalFilename", "")).strip()  # it goes into headers
    return OperatorFile(
        id=item.id("id", ""),
        name=name[:255] or "file",
        url=item.text("url", ""),
        size=item.size("size"),
    )
