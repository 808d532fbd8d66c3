"""The world as the page shows it: `GET /control/state`."""

from typing import TYPE_CHECKING, Any

from tests.simulators.media import mime_type
from tests.simulators.messengers import File, Message, Messenger
from tests.simulators.uspacy import Portal

if TYPE_CHECKING:
    from tests.simulators.world import World

Json = dict[str, Any]


def snapshot(world: "World") -> Json:
    """Everything there is, as plain JSON; times are unix milliseconds."""
    with world.lock:
        portals = list(world.uspacy.portals.values())
        messengers = list(world.messengers.values())
        return {
            "revision": world.revision,
            "app_url": world.app_url,
            "portals": [portal_state(portal) for portal in portals],
            "messengers": [messenger_state(messenger) for messenger in messengers],
            "chats": [chat_state(portal, chat) for portal in portals for chat in portal.chats.values()],
            "messages": [
                message_state(portal, message) for portal in portals for message in every_message(portal)
            ],
            "conversations": [
                {
                    "messenger": messenger.id,
                    "customer": customer.id,
                    "messages": [conversation_message_state(message) for message in messenger.messages(customer)],
                }
                for messenger in messengers
                for customer in messenger.customers.values()
            ],
        }


def portal_state(portal: Portal) -> Json:
    lines = [
        {"id": line["id"], "name": line["name"], "icon": line["icon"], "external_id": line["externalId"]}
        for line in portal.lines.values()
    ]
    return {"domain": portal.domain, "installed": portal.installed, "lines": lines}


def messenger_state(messenger: Messenger) -> Json:
    customers = [
        {
            "id": customer.id,
            "name": customer.name,
            "picture_url": customer.picture_url,
            "blocked": customer.blocked,
        }
        for customer in messenger.customers.values()
    ]
    return {
        "id": messenger.id,
        "channel": messenger.channel,
        "name": messenger.name,
        "connected": messenger.connected,
        "customers": customers,
    }


def chat_state(portal: Portal, chat: Json) -> Json:
    return {
        "id": chat["id"],
        "portal": portal.domain,
        "line_id": chat["externalLines"][0],
        "name": chat["name"],
        "picture_url": chat["pictureUrl"],
        "unread": len(portal.unread(chat["id"])),
        "last_message_at": chat["timestamp"],
    }


def every_message(portal: Portal) -> list[Json]:
    """Deleted ones too, oldest first."""
    messages = [*portal.messages.values(), *portal.deleted.values()]
    return sorted(messages, key=lambda message: int(message["timestamp"]))


def message_state(portal: Portal, message: Json) -> Json:
    side = "customer" if portal.is_from_customer(message) else "operator"
    author = portal.chats[message["chatId"]]["name"] if side == "customer" else "Operator"
    if message["type"] == "SYSTEM":
        side, author = "system", "Uspacy"
    files = [
        {
            "name": file["originalFilename"],
            "size": file["size"],
            "mime_type": mime_type(file["originalFilename"]),
            "url": file["url"],
        }
        for file in message["attachedFiles"] or []
    ]
    return {
        "id": message["id"],
        "chat_id": message["chatId"],
        "side": side,
        "author": author,
        "text": message["message"],
        "files": files,
        "status": message["status"],
        "status_text": message["statusText"],
        "edited": message["id"] in portal.edited,
        "deleted": message["id"] in portal.deleted,
        "reply_to": message.get("parentMessage"),
        "at": message["timestamp"],
    }


def conversation_message_state(message: Message) -> Json:
    return {
        "id": message.id,
        "side": message.side,
        "text": message.text,
        "files": [file_state(file) for file in message.files],
        "status": message.status,
        "edited": message.edited,
        "deleted": message.deleted,
        "reply_to": message.reply_to,
        "at": message.at,
    }


def file_state(file: File) -> Json:
    return {"name": file.name, "size": file.size, "mime_type": file.mime_type, "url": file.url}
