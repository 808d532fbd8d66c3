"""The payload of an event, as Uspacy publishes it (uspacy-api.md 9.2)."""

import uuid
from datetime import UTC, datetime

from tests.simulators.uspacy.portal import OPERATOR_USER, Json, Portal


def message_event(portal: Portal, action: str, message: Json) -> Json:
    """What happened to a message; ``parent`` is the chat."""
    chat = portal.chats[message["chatId"]]
    entity = {**portal.message_object(message), "parent": portal.chat_object(chat)}
    return event(portal, action, entity)


def bare_event(portal: Portal, action: str, message: Json) -> Json:
    """An event that names the message and nothing else, which no source rules out for deletions."""
    return event(portal, action, {"id": message["id"]})


def event(portal: Portal, action: str, entity: Json, *, kind: str = "message", service: str = "messenger") -> Json:
    """Any event of the bus; with another `kind` and `service` one that is none of the app's business."""
    return {
        "type": kind,
        "topic": "Notifications",
        "env": portal.domain.rpartition(".")[2],
        "request_id": str(uuid.uuid4()),
        "metadata": None,
        "data": {
            "action": action,
            "service": service,
            "domain": portal.domain,
            "user_id": OPERATOR_USER,
            "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "entity": entity,
        },
    }
