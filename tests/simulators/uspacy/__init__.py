"""The stand-in Uspacy: portals, the marketplace that installs the app in them, and their operators."""

import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING

import requests

from tests.simulators import outgoing
from tests.simulators.uspacy.events import bare_event, event, message_event
from tests.simulators.uspacy.portal import INTEGRATION_USER, OPERATOR, Json, Portal
from tests.simulators.uspacy.tokens import integration_jwt

if TYPE_CHECKING:
    from tests.simulators.world import World

__all__ = ["Portal", "Uspacy"]


class Uspacy:
    """All portals, and what happens in them apart from their HTTP API."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self.portals: dict[str, Portal] = {}

    # The marketplace

    def create_portal(self, domain: str) -> Portal:
        """A new portal without the app."""
        with self._world.change():
            portal = self.portals[domain] = Portal(domain, self._world.client_secret)
        return portal

    def install(self, domain: str) -> requests.Response:
        """Install the app, as the marketplace does it; also a second time. The app's answer."""
        portal = self.portals[domain]
        with self._world.change():
            pair = portal.tokens.mint()
            portal.installed = True  # the app may call back before it has answered
        return outgoing.call(
            "POST",
            f"{self._world.app_url}/portals/install",
            headers={"Authorization": f"Bearer {self.integration_token(domain)}"},
            json={
                "token": pair["jwt"],
                "refresh_token": pair["refreshToken"],
                "expiry_date": portal.tokens.expires_at(str(pair["jwt"])),
            },
        )

    def uninstall(self, domain: str) -> requests.Response:
        """Remove the app: its tokens die, lines and chats stay. The app's answer."""
        portal = self.portals[domain]
        with self._world.change():
            portal.installed = False
            portal.expire_access_tokens()
            portal.revoke_refresh_tokens()
        return outgoing.call(
            "DELETE",
            f"{self._world.app_url}/portals/uninstall",
            headers={"Authorization": f"Bearer {self.integration_token(domain)}"},
        )

    def integration_token(self, domain: str, lifetime: float = 3600) -> str:
        """What the portal's pages send to the app's ``/api/`` as Bearer token."""
        return integration_jwt(domain, self._world.client_secret, lifetime)

    # The operators

    def operator_writes(
        self,
        domain: str,
        chat_id: str,
        text: str,
        files: Sequence[tuple[str, bytes]] = (),
        parent: str | None = None,
        type: str = "MESSAGE",
    ) -> Json:
        """Write to the customer; `files` are (name, content), `parent` is the id of the quoted message."""
        with self._world.change():
            portal = self.portals[domain]
            chat = portal.chats[chat_id]
            message_id = str(uuid.uuid4())
            attached = [
                portal.add_file(name, content, message_id, OPERATOR, self._world.base_url)
                for name, content in files
            ]
            chat["assigned"], chat["members"] = True, [OPERATOR]
            message = portal.add_message(
                {
                    "id": message_id,
                    "chatId": chat_id,
                    "type": type,
                    "message": text,
                    "externalLine": chat["externalLines"][0],
                    **({"attachedFiles": attached} if attached else {}),
                    **({"parentMessage": parent} if parent else {}),
                },
                OPERATOR,
            )
            self.publish(portal, "create", message)
        return message

    def operator_edits(self, domain: str, message_id: str, text: str) -> Json:
        """Change the text of an operator's message."""
        with self._world.change():
            portal = self.portals[domain]
            message = portal.messages[message_id]
            message["message"] = text
            portal.edited.add(message_id)
            self.publish(portal, "update", message)
        return message

    def operator_deletes(self, domain: str, message_id: str, *, bare: bool = False) -> None:
        """Delete a message; with `bare` the event carries its id and nothing else."""
        with self._world.change():
            portal = self.portals[domain]
            message = portal.remove_message(message_id)
            payload = (bare_event if bare else message_event)(portal, "delete", message)
            self._world.sns.publish(payload, key=message["chatId"])

    def operator_reads(self, domain: str, chat_id: str) -> None:
        """Open a chat: every unread message of the customer gets a read receipt, published as an update."""
        with self._world.change():
            portal = self.portals[domain]
            for message in portal.unread(chat_id):
                message["readBy"] = [OPERATOR]
                self.publish(portal, "update", message)

    def system_message(self, domain: str, chat_id: str, text: str) -> Json:
        """What Uspacy itself writes into a chat, such as "lead created"; never meant for the customer."""
        with self._world.change():
            portal = self.portals[domain]
            relation = {"action": "create", "service": "crm", "entity": "lead", "name": text, "entityId": 1}
            message = portal.add_message(
                {
                    "id": str(uuid.uuid4()),
                    "chatId": chat_id,
                    "type": "SYSTEM",
                    "message": text,
                    "externalLine": portal.chats[chat_id]["externalLines"][0],
                    "relations": [relation],
                },
                INTEGRATION_USER,
            )
            self.publish(portal, "create", message)
        return message

    # What the app must not take for its own

    def foreign_chat(self, domain: str) -> str:
        """Id of a chat on a line of another app; its events reach the app all the same."""
        with self._world.change():
            portal = self.portals[domain]
            name = f"Foreign {uuid.uuid4().hex[:6]}"
            icon = f"{self._world.base_url}/page/icon.png"
            line = portal.add_line(
                {"name": name, "icon": icon, "phoneNumber": name, "externalId": uuid.uuid4().hex},
                foreign=True,
            )
            chat = portal.add_chat(
                {
                    "id": str(uuid.uuid4()),
                    "name": "Someone else's customer",
                    "type": "EXTERNAL",
                    "externalLines": [line["id"]],
                    "pictureUrl": icon,
                    "meta": [],
                }
            )
        return str(chat["id"])

    def foreign_event(self, domain: str) -> None:
        """An event of another service on the same bus."""
        entity = {"id": 17, "title": "A deal"}
        payload = event(self.portals[domain], "updateStage", entity, kind="deal", service="crm")
        self._world.sns.publish(payload, key=domain)

    # Shared

    def publish(self, portal: Portal, action: str, message: Json) -> None:
        """Tell the world through SNS what happened to a message."""
        self._world.sns.publish(message_event(portal, action, message), key=message["chatId"])

    def chats(self) -> dict[str, Portal]:
        """Chat ids of all portals, with their portal."""
        return {chat_id: portal for portal in self.portals.values() for chat_id in portal.chats}

    def messages(self) -> dict[str, Portal]:
        """Message ids of all portals, with their portal."""
        return {message_id: portal for portal in self.portals.values() for message_id in portal.messages}
