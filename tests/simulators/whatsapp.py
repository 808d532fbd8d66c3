"""A business number on WhatsApp's Cloud API, and the customers' phones (channels.md 3)."""

import secrets
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tests.simulators.messengers import Customer, File, Json, Message, NamedFile
from tests.simulators.meta import Address, MetaAccount, Sent, Upload, digits

if TYPE_CHECKING:
    from tests.simulators.world import World

WINDOW_CLOSED = {
    "code": 131047,
    "title": "Re-engagement message",
    "error_data": {"details": "More than 24 hours have passed since the customer last replied to this number."},
}


class WhatsAppNumber(MetaAccount):
    """One number; customers are known by theirs, or without one (`add_customer(..., username=)`) by a user id."""

    channel = "whatsapp"
    webhook_object = "whatsapp_business_account"

    def __init__(self, world: "World", messenger_id: str, name: str) -> None:
        super().__init__(world, messenger_id, name)
        self.number_id, self.waba_id = digits(15), digits(15)
        self.phone = f"+38044{digits(7)}"
        self.waba_address: Address | None = None
        self.number_address: Address | None = None
        self.uploads: dict[str, Upload] = {}
        self.templates = {("answer", "uk")}
        self.scopes = ["whatsapp_business_messaging", "whatsapp_business_management"]
        self.quality, self.status = "GREEN", "CONNECTED"

    def credentials(self) -> dict[str, str]:
        return {
            "phone_number_id": self.number_id,
            "waba_id": self.waba_id,
            "access_token": self.token,
            "app_id": self.app_id,
            "app_secret": self.app_secret,
        }

    @property
    def webhook(self) -> Address | None:
        """The narrowest address, as far as the app listens at all."""
        app = self.callbacks.get(self.webhook_object)
        if app is None or "messages" not in app.fields or self.subscribed is None:
            return None
        return self.number_address or self.waba_address or app

    # What customers do

    def add_customer(self, name: str, **details: Any) -> Customer:
        customer = super().add_customer(name, picture=False, **details)  # WhatsApp shows nobody's portrait
        if not customer.username:
            customer.phone = f"+{customer.id}"
        else:
            with self.world.change():
                del self.customers[customer.id]
                customer.id = f"UA.{customer.id}"
                self.customers[customer.id] = customer
        return customer

    def new_customer_id(self) -> str:
        return f"38050{digits(7)}"

    def new_message_id(self) -> str:
        return f"wamid.{secrets.token_urlsafe(30)}"

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
        """A customer writes: each file is a message, and the first has the text as its caption.

        `content` goes into the message as it is, for instance ``type="location", location={...}``.
        """
        customer = self.customer(customer)
        sent = []
        for number, file in enumerate(files or [None]):
            kept = [self.keep_file(*file)] if file else []
            message = self.new_message(customer, "" if number else text, kept, reply_to)
            body = {**self._body(message), **content}
            sent.append(self._tell(customer, {"messages": [body]}, message, wait=wait))
        return sent[0]

    def edit(self, message_id: str, text: str, *, wait: bool = False) -> Sent:
        """A customer changes a message, of which only numbers that the Business app uses too hear."""
        message = self.all_messages[message_id]
        with self.world.change():
            message.text, message.edited = text, True
        kind = self._body(message)["type"]
        new = {"type": kind, kind: {"body": text} if kind == "text" else {"caption": text}}
        return self._change(message, "edit", {"original_message_id": message.id, "message": new}, wait)

    def delete(self, message_id: str, *, wait: bool = False) -> Sent:
        """A customer takes a message back."""
        message = self.all_messages[message_id]
        with self.world.change():
            message.deleted = True
        return self._change(message, "revoke", {"original_message_id": message.id}, wait)

    def read(self, customer: Customer | str) -> None:
        for message in self.messages(customer):
            if message.side == "business" and message.status in ("accepted", "sent", "delivered"):
                self.tell_status(message, "read")

    def write_by_hand(self, customer: Customer | str, text: str, *, wait: bool = False) -> Sent:
        """The business writes on its phone."""
        customer = self.customer(customer)
        message = Message(self.new_message_id(), customer.id, "business", text)
        with self.world.change():
            self.all_messages[message.id] = message
        body = {"from": self.phone[1:], "to": customer.id, **self._body(message)}
        del body["from_user_id"]
        return self._tell(customer, {"message_echoes": [body]}, message, field="smb_message_echoes", wait=wait)

    # What Meta tells

    def report(self, message: Message) -> None:
        self.tell_status(message, "sent")
        self.tell_status(message, "delivered")

    def tell_status(self, message: Message, status: str, failure: Json | None = None) -> Sent:
        with self.world.change():
            message.status = status
        told: Json = {
            "id": message.id,
            "status": status,
            "timestamp": str(int(time.time())),
            "recipient_id": message.customer_id,
        }
        if message.client_id:
            told["biz_opaque_callback_data"] = message.client_id
        if failure:
            told["errors"] = [failure]
        return self._tell(self.customers[message.customer_id], {"statuses": [told]}, message)

    def _tell(
        self,
        customer: Customer,
        content: Json,
        message: Message | None = None,
        *,
        field: str = "messages",
        wait: bool = False,
    ) -> Sent:
        metadata = {"display_phone_number": self.phone, "phone_number_id": self.number_id}
        value = {"messaging_product": "whatsapp", "metadata": metadata, **content}
        if "messages" in content:
            value["contacts"] = [self._contact(customer)]
        entry = {"id": self.waba_id, "changes": [{"field": field, "value": value}]}
        return self.deliver({"object": self.webhook_object, "entry": [entry]}, customer, message, wait=wait)

    def _contact(self, customer: Customer) -> Json:
        if customer.username:
            return {"profile": {"name": customer.name, "username": customer.username}, "user_id": customer.id}
        return {"profile": {"name": customer.name}, "wa_id": customer.id, "user_id": f"UA.1{customer.id}"}

    def _body(self, message: Message) -> Json:
        sender = self.customers[message.customer_id]
        body: Json = {
            "from": "" if sender.username else sender.id,
            "from_user_id": sender.id if sender.username else f"UA.1{sender.id}",
            "id": message.id,
            "timestamp": str(int(message.at / 1000)),
        }
        if message.reply_to:
            body["context"] = {"from": self.phone[1:], "id": message.reply_to}
        if not message.files:
            return {**body, "type": "text", "text": {"body": message.text}}
        return {**body, **media_content(message.files[0], message.text)}

    def _change(self, message: Message, kind: str, content: Json, wait: bool) -> Sent:
        body = {**self._body(message), "id": self.new_message_id(), "type": kind, kind: content}
        for name in ("text", "image", "document", "audio", "video"):
            body.pop(name, None)
        return self._tell(self.customers[message.customer_id], {"messages": [body]}, message, wait=wait)


def media_content(file: File, caption: str) -> Json:
    family = file.mime_type.partition("/")[0]
    kind = family if family in ("image", "video", "audio") else "document"
    content = {"id": file.id, "mime_type": file.mime_type, **({"caption": caption} if caption else {})}
    if kind == "document":
        content["filename"] = file.name
    return {"type": kind, kind: content}
