"""A Facebook Page and an Instagram account, as Meta's servers and the customers see them (channels.md 4)."""

import secrets
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from tests.simulators.messengers import Customer, Json, Message, NamedFile
from tests.simulators.meta import Address, MetaAccount, Sent, digits

if TYPE_CHECKING:
    from tests.simulators.world import World


class MessengerAccount(MetaAccount):
    """What both have: customers' events come as `entry[].messaging[]`."""

    text_limit: ClassVar[int]

    def __init__(self, world: "World", messenger_id: str, name: str) -> None:
        super().__init__(world, messenger_id, name)
        self.page_id = digits(15)
        self.scopes = ["pages_messaging", "pages_manage_metadata"]
        self.has_human_agent = False

    def credentials(self) -> dict[str, str]:
        return {
            "page_id": self.page_id,
            "access_token": self.token,
            "app_id": self.app_id,
            "app_secret": self.app_secret,
        }

    @property
    def own_id(self) -> str:
        """The account in webhooks."""
        return self.page_id

    def size(self, text: str) -> int:
        return len(text)

    # What customers do

    def write(
        self,
        customer: Customer | str,
        text: str,
        files: Sequence[NamedFile] = (),
        reply_to: str | None = None,
        *,
        wait: bool = False,
        **content: Any,
    ) -> Sent:
        """A customer writes; files come in one message. `content` goes into the message as it is."""
        customer = self.customer(customer)
        message = self.new_message(customer, text, [self.keep_file(*file) for file in files], reply_to)
        return self.tell(customer, {"message": {**self.body(message), **content}}, message, wait=wait)

    def edit(self, message_id: str, text: str, *, wait: bool = False) -> Sent:
        message = self.all_messages[message_id]
        with self.world.change():
            message.text, message.edited = text, True
        told = {"message_edit": {"mid": message.id, "text": text, "num_edit": 1}}
        return self.tell(self.customers[message.customer_id], told, message, wait=wait)

    def delete(self, message_id: str, *, wait: bool = False) -> Sent:
        message = self.all_messages[message_id]
        with self.world.change():
            message.deleted = True
        told = {"message": {"mid": message.id, "is_deleted": True}}
        return self.tell(self.customers[message.customer_id], told, message, wait=wait)

    def react(self, customer: Customer | str, message_id: str, emoji: str, *, wait: bool = False) -> Sent:
        told = {"reaction": {"mid": message_id, "action": "react", "emoji": emoji, "reaction": "other"}}
        return self.tell(self.customer(customer), told, wait=wait)

    def read(self, customer: Customer | str) -> None:
        customer = self.customer(customer)
        ours = [message for message in self.messages(customer) if message.side == "business"]
        with self.world.change():
            for message in ours:
                message.status = "read"
        if ours:
            self.tell(customer, {"read": self.reading(ours[-1])})

    def reading(self, last: Message) -> Json:
        return {"watermark": int(time.time() * 1000)}

    def write_by_hand(self, customer: Customer | str, text: str, *, wait: bool = False) -> Sent:
        """The business writes in its own inbox."""
        customer = self.customer(customer)
        message = Message(self.new_message_id(), customer.id, "business", text)
        with self.world.change():
            self.all_messages[message.id] = message
        return self.echo(message, wait=wait)

    # What Meta tells

    def body(self, message: Message) -> Json:
        body: Json = {"mid": message.id}
        if message.text:
            body["text"] = message.text
        if message.reply_to:
            body["reply_to"] = {"mid": message.reply_to}
        if message.files:
            body["attachments"] = [
                {"type": family(file.mime_type), "payload": {"url": file.url}} for file in message.files
            ]
        return body

    def report(self, message: Message) -> None:
        self.echo(message)

    def echo(self, message: Message, *, wait: bool = False) -> Sent:
        """Show the app what the business wrote."""
        told = {"message": {**self.body(message), "is_echo": True, **self.origin(message)}}
        customer = self.customers[message.customer_id]
        return self.tell(customer, told, message, wait=wait, outgoing=True)

    def origin(self, message: Message) -> Json:
        """What an echo tells of who sent it: only an app names itself."""
        return {"app_id": int(self.app_id), "metadata": message.client_id} if message.client_id else {}

    def tell(
        self,
        customer: Customer,
        event: Json,
        message: Message | None = None,
        *,
        wait: bool = False,
        outgoing: bool = False,
    ) -> Sent:
        sender, recipient = {"id": customer.id}, {"id": self.own_id}
        if outgoing:
            sender, recipient = recipient, sender
        now = int(time.time() * 1000)
        item = {"sender": sender, "recipient": recipient, "timestamp": now, **event}
        entry = {"id": self.own_id, "time": now, "messaging": [item]}
        return self.deliver({"object": self.webhook_object, "entry": [entry]}, customer, message, wait=wait)


class FacebookPage(MessengerAccount):
    channel, webhook_object, text_limit = "facebook", "page", 2000

    def report(self, message: Message) -> None:
        super().report(message)
        with self.world.change():
            message.status = "delivered"
        told = {"delivery": {"watermark": int(time.time() * 1000), "mids": [message.id]}}
        self.tell(self.customers[message.customer_id], told, message)


class InstagramAccount(MessengerAccount):
    """An account linked to a Page."""

    channel, webhook_object, text_limit = "instagram", "instagram", 1000
    statuses = ("sent", "read")  # Instagram does not tell of delivery

    def __init__(self, world: "World", messenger_id: str, name: str) -> None:
        super().__init__(world, messenger_id, name)
        self.user_id = f"1784{digits(13)}"
        self.scopes += ["instagram_basic", "instagram_manage_messages"]

    def credentials(self) -> dict[str, str]:
        return {"login": "facebook", **super().credentials()}

    @property
    def own_id(self) -> str:
        return self.user_id

    def size(self, text: str) -> int:
        return len(text.encode())

    def reading(self, last: Message) -> Json:
        return {"mid": last.id}


class InstagramLogin(InstagramAccount):
    """An account that signed in at Instagram itself: its token ends, and its callback is set by hand."""

    root = "instagram_graph"

    def __init__(self, world: "World", messenger_id: str, name: str) -> None:
        super().__init__(world, messenger_id, name)
        self.token = f"IGAA{secrets.token_urlsafe(40)}"
        self.token_made_at = time.time() - 2 * 86400

    def credentials(self) -> dict[str, str]:
        credentials = {**super().credentials(), "login": "instagram"}
        del credentials["page_id"]
        return credentials

    def connect(self, line: Json, credentials: dict[str, str]) -> None:
        """The owner enters address and token in the App Dashboard."""
        address = Address(line["webhook_url"], line["verify_token"], ["messages", "messaging_seen"])
        if not self.challenge(address.url, address.verify_token):
            raise RuntimeError(
                "The App Dashboard says: the callback URL or the verify token could not be validated."
            )
        self.callbacks[self.webhook_object] = address

    def origin(self, message: Message) -> Json:
        return {"app_id": int(self.app_id)} if message.client_id else {}


def family(mime_type: str) -> str:
    kind = mime_type.partition("/")[0]
    return kind if kind in ("image", "video", "audio") else "file"
