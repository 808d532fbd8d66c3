"""Messages (uspacy-api.md 7)."""

from typing import Any

from flask.typing import ResponseReturnValue

from tests.simulators.contract import (
    a_filled_text,
    a_number_text,
    a_text,
    a_url,
    a_uuid,
    an_integer,
    list_of,
    nullable,
    one_of,
    record,
)
from tests.simulators.uspacy.api import Api, duplicate_key, invalid, json_body, missing, no_body, query
from tests.simulators.uspacy.portal import INTEGRATION_USER, Json, Portal

ATTACHED_FILE = {
    "id": an_integer,
    "entityId": a_uuid,
    "lastModified": an_integer,
    "originalFilename": a_filled_text,
    "size": an_integer,
    "url": a_url,
}
REQUIRED = {
    "id": a_uuid,
    "externalLine": a_filled_text,
    "chatId": a_uuid,
    "type": one_of("MESSAGE", "AUDIO", "VOICE", "VIDEO", "GIF"),
    "message": a_text,
    "externalId": a_filled_text,
}
OPTIONAL = {
    "externalAuthorId": a_filled_text,
    "parentMessage": a_filled_text,
    "attachedFiles": list_of(record(ATTACHED_FILE), at_least=1),
}
FIXED = ("chatId", "externalLine", "externalId", "externalAuthorId")
STATUS_RANK = {None: 0, "error": 0, "sent": 1, "delivered": 2, "read": 3}


def add_to(api: Api) -> None:
    @api.endpoint("POST", "/messenger/v1/messages")
    def create_message(portal: Portal) -> ResponseReturnValue:
        fields = json_body(record(REQUIRED, OPTIONAL))
        refuse_duplicates(portal, fields)
        check_place(portal, fields)
        check_content(portal, fields)
        message = portal.add_message(fields, INTEGRATION_USER)
        portal.from_app.add(message["id"])
        if portal.echo:
            api.world.uspacy.publish(portal, "create", message)
        return portal.message_object(message), 201

    @api.endpoint("PATCH", "/messenger/v1/messages")
    def change_message(portal: Portal) -> ResponseReturnValue:
        fields = json_body(record({"id": a_uuid}, {**REQUIRED, **OPTIONAL}))
        message = find_message(portal, fields["id"])
        refuse_others_messages(portal, message)
        if changed := [name for name in FIXED if name in fields and fields[name] != message.get(name)]:
            raise invalid(*(f"{name} cannot be changed" for name in changed))
        check_content(portal, {**message, **fields})
        message.update(fields)
        portal.edited.add(message["id"])
        if portal.echo:
            api.world.uspacy.publish(portal, "update", message)
        return portal.message_object(message)

    @api.endpoint("DELETE", "/messenger/v1/messages/<message_id>")
    def delete_message(portal: Portal, message_id: str) -> ResponseReturnValue:
        no_body()
        message = find_message(portal, message_id)
        refuse_others_messages(portal, message)
        portal.remove_message(message_id)
        if portal.echo:
            api.world.uspacy.publish(portal, "delete", message)
        return "", 204

    @api.endpoint("PATCH", "/messenger/v1/messages/<message_id>/status")
    def change_status(portal: Portal, message_id: str) -> ResponseReturnValue:
        fields = json_body(
            record(
                {"status": nullable(one_of("sent", "delivered", "read", "error"))},
                {"statusText": nullable(a_text)},
            )
        )
        message = find_message(portal, message_id)
        refuse_status(portal, message, fields)
        message["status"], message["statusText"] = fields["status"], fields.get("statusText")
        if portal.echo:
            api.world.uspacy.publish(portal, "update", message)
        return portal.message_object(message)

    @api.endpoint("GET", "/messenger/v1/messages/<message_id>")
    def read_message(portal: Portal, message_id: str) -> ResponseReturnValue:
        query()
        if message_id not in portal.messages:
            raise missing("Message", breach=False)  # asking whether it is there is fine
        return portal.message_object(portal.messages[message_id])

    @api.endpoint("GET", "/messenger/v1/messages/")
    def list_messages(portal: Portal) -> ResponseReturnValue:
        numbers = dict.fromkeys(("limit", "firstTimestamp", "lastTimestamp"), a_number_text)
        asked = query({"chatId": a_uuid}, {**numbers, "unreadFirst": one_of("true", "false")})
        find_chat(portal, asked["chatId"])
        first, last = int(asked.get("firstTimestamp", 0)), int(asked.get("lastTimestamp", 1 << 62))
        thread = [m for m in portal.thread(asked["chatId"]) if first <= m["timestamp"] <= last]
        newest_first = [portal.message_object(message) for message in reversed(thread)]
        return newest_first[: int(asked.get("limit", 50))]

    @api.endpoint("POST", "/messenger/v1/messages/readAll/")
    def read_all(portal: Portal) -> ResponseReturnValue:
        chat_id = json_body(record({"chatId": a_uuid}))["chatId"]
        find_chat(portal, chat_id)
        for message in portal.unread(chat_id):
            message["readBy"] = [INTEGRATION_USER]
        return "", 204


def find_chat(portal: Portal, chat_id: str) -> Json:
    if chat_id not in portal.chats:
        raise missing("Chat")
    return portal.chats[chat_id]


def find_message(portal: Portal, message_id: str) -> Json:
    """The message; one that was deleted meanwhile is no breach, one that never existed is."""
    if message_id not in portal.messages:
        raise missing("Message", breach=message_id not in portal.deleted)
    return portal.messages[message_id]


def refuse_duplicates(portal: Portal, fields: Json) -> None:
    """Both ids stay taken for good. The same id for another message is a breach, for the same one a retry."""
    known = portal.messages.get(fields["id"]) or portal.deleted.get(fields["id"])
    if known and any(known.get(name) != fields.get(name) for name in FIXED):
        raise invalid("id belongs to another message")
    if known:
        raise duplicate_key("messages", "id", fields["id"])
    if (fields["externalLine"], fields["externalId"]) in portal.by_external_id:
        raise duplicate_key("messages", "externalId", fields["externalId"])


def refuse_others_messages(portal: Portal, message: Json) -> None:
    if message["id"] not in portal.from_app:
        raise invalid("the app may only change or delete what it has posted")


def check_place(portal: Portal, fields: Json) -> None:
    """Line, chat and quoted message exist and belong together."""
    if fields["externalLine"] not in portal.lines:
        raise missing("External line")
    chat = find_chat(portal, fields["chatId"])
    if fields["externalLine"] not in chat["externalLines"]:
        raise invalid("externalLine is not a line of this chat")
    if parent := fields.get("parentMessage"):
        known = portal.messages.get(parent) or portal.deleted.get(parent)
        if known is None or known["chatId"] != fields["chatId"]:
            raise invalid("parentMessage is not a message of this chat")


def check_content(portal: Portal, fields: Json) -> None:
    """There is something to show, and every file was uploaded for this very message."""
    files: list[Any] = fields.get("attachedFiles") or []
    if not fields["message"] and not files:
        raise invalid("message must not be empty without files")
    for file in files:
        stored = portal.files.get(file["id"])
        if stored is None:
            raise missing("File")
        if file["entityId"] != fields["id"]:
            raise invalid("attachedFiles: entityId is another message")
        if any(file[name] != stored[name] for name in ATTACHED_FILE):
            raise invalid("attachedFiles: the file is not as the upload answered it")


def refuse_status(portal: Portal, message: Json, fields: Json) -> None:
    """A status belongs to a message on its way to the customer, and never goes back."""
    if portal.is_from_customer(message):
        raise invalid("a customer's message has no delivery status")
    old, new = message["status"], fields["status"]
    if STATUS_RANK[new] < STATUS_RANK[old] and not (new == "error" and old == "sent"):
        raise invalid(f"status goes back from {old} to {new}")
