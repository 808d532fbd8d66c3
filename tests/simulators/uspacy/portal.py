"""One portal: its settings, and everything its messenger keeps."""

import itertools
import secrets
import time
import uuid
from typing import Any
from urllib.parse import quote

from tests.simulators.uspacy.tokens import Tokens

Json = dict[str, Any]

INTEGRATION_USER = 4001  # author of what the app posts (authUserId)
OPERATOR = 41  # the operator's authUserId: `authorId` of messages, `members` of chats
OPERATOR_USER = 7  # the same person's portal user id: `user_id` of events


def now_ms() -> int:
    return int(time.time() * 1000)


class Portal:
    """State is plain JSON, as stored; `chat_object` and `message_object` give what Uspacy sends out."""

    def __init__(self, domain: str, client_secret: str) -> None:
        self.domain = domain
        self.installed = False
        self.sign_in_allowed = True  # whether app_sign_in works
        self.files_need_token = False  # whether file content needs the Bearer token
        self.echo = True  # whether the app's own messages come back as events
        self.tokens = Tokens(domain, client_secret)
        self.lines: dict[str, Json] = {}
        self.foreign_lines: set[str] = set()  # lines of other apps
        self.chats: dict[str, Json] = {}
        self.messages: dict[str, Json] = {}
        self.threads: dict[str, dict[str, Json]] = {}  # chat id -> its messages by id, oldest first
        self.deleted: dict[str, Json] = {}  # messages that are gone
        self.edited: set[str] = set()
        self.from_app: set[str] = set()  # ids of messages the app posted
        self.by_external_id: dict[tuple[str, str], str] = {}  # (line, externalId) -> message id
        self.files: dict[int, Json] = {}
        self.contents: dict[int, bytes] = {}
        self._file_numbers = itertools.count(1)

    @property
    def access_lifetime(self) -> float:
        """Seconds that access tokens minted from now on will live."""
        return self.tokens.access_lifetime

    @access_lifetime.setter
    def access_lifetime(self, seconds: float) -> None:
        self.tokens.access_lifetime = seconds

    def expire_access_tokens(self) -> None:
        """Calls with any access token given out so far get 401."""
        self.tokens.expire_access()

    def revoke_refresh_tokens(self) -> None:
        """Renewals with any refresh token given out so far get 401."""
        self.tokens.revoke_refresh()

    def thread(self, chat_id: str) -> list[Json]:
        """The messages of a chat that still exist, oldest first."""
        return list(self.threads[chat_id].values())

    def add_line(self, fields: Json, *, foreign: bool = False) -> Json:
        """Store a line; `fields` are the four of the create body."""
        line = {"id": secrets.token_hex(12), "timestamp": now_ms(), **fields, "portal": self.domain}
        self.lines[line["id"]] = line
        if foreign:
            self.foreign_lines.add(line["id"])
        return line

    def add_chat(self, fields: Json) -> Json:
        """Store a chat; `fields` are the six of the create body. It starts unassigned."""
        at = now_ms()
        chat: Json = {
            **fields,
            "portals": [self.domain],
            "ownerId": INTEGRATION_USER,
            "members": [],
            "active": True,
            "assigned": False,
            "timestamp": at,
            "createdAt": at,
        }
        self.chats[chat["id"]] = chat
        self.threads[chat["id"]] = {}
        return chat

    def add_message(self, fields: Json, author: int) -> Json:
        """Store a message; `fields` are those of the create body."""
        at = now_ms()
        if attached := fields.get("attachedFiles"):
            fields = {**fields, "attachedFiles": [self.files[file["id"]] for file in attached]}
        nothing: Json = {"attachedFiles": None, "mentioned": None, "readBy": None, "relations": None}
        message = nothing | fields | {"authorId": author, "timestamp": at, "status": None, "statusText": None}
        self.messages[message["id"]] = self.threads[message["chatId"]][message["id"]] = message
        if message.get("externalId"):
            self.by_external_id[message["externalLine"], message["externalId"]] = message["id"]
        self.chats[message["chatId"]]["timestamp"] = at
        return message

    def add_file(self, name: str, content: bytes, entity_id: str, creator: int, base_url: str) -> Json:
        """Store a file of a message, which may not exist yet."""
        number = next(self._file_numbers)
        self.contents[number] = content
        self.files[number] = {
            "id": number,
            "entityType": "chat_message",
            "entityId": entity_id,
            "uploadId": str(uuid.uuid4()),
            "creatorId": creator,
            "originalFilename": name,
            "lastModified": int(time.time()),
            "size": len(content),
            "url": f"{base_url}/uspacy/{self.domain}/files/content/{number}/{quote(name, safe='')}",
            "width": None,
            "height": None,
        }
        return self.files[number]

    def remove_message(self, message_id: str) -> Json:
        """Take a message out; its ids stay taken."""
        message = self.deleted[message_id] = self.messages.pop(message_id)
        del self.threads[message["chatId"]][message_id]
        return message

    def is_from_customer(self, message: Json) -> bool:
        """What Uspacy's front end shows as the client's: it has a line and an outside author."""
        return bool(message.get("externalAuthorId"))

    def unread(self, chat_id: str) -> list[Json]:
        """The customer's messages no operator has read, oldest first."""
        return [m for m in self.thread(chat_id) if self.is_from_customer(m) and not m["readBy"]]

    def chat_object(self, chat: Json) -> Json:
        """A chat as answers and events show it: lines as objects, the last message with its line as an id."""
        lines = [self.lines[line_id] for line_id in chat["externalLines"]]
        last = next(reversed(self.threads[chat["id"]].values()), None)
        return {**chat, "externalLines": lines, "lastMessage": last}

    def message_object(self, message: Json) -> Json:
        """A message as answers and events show it: the line and the quoted message as objects."""
        shown = {**message, "externalLine": self.lines[message["externalLine"]]}
        if quoted := self.messages.get(message.get("parentMessage") or ""):
            shown["parentMessage"] = {key: quoted[key] for key in ("id", "chatId", "type", "message", "authorId")}
        return shown
