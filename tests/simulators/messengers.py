"""What every stand-in messenger has in common: customers who write, and a business that answers them.

A new messenger is one more module: a subclass of `Messenger`, named in `world.CHANNELS`, and a function
``routes(world)`` with its HTTP API, named in `server.ROUTES`.
"""

import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal
from urllib.parse import quote

from tests.simulators.media import avatar, mime_type

if TYPE_CHECKING:
    from tests.simulators.world import World

Json = dict[str, Any]
NamedFile = tuple[str, bytes]


@dataclass
class Customer:
    """A person outside, with one conversation."""

    id: str
    name: str
    picture_url: str | None = None
    phone: str | None = None
    username: str | None = None
    email: str | None = None
    blocked: bool = False  # has blocked the business


@dataclass
class File:
    """A file of a message; `content` is None until it was fetched."""

    id: str
    name: str
    mime_type: str
    size: int
    url: str
    content: bytes | None = field(default=None, repr=False)


@dataclass
class Message:
    """One message as the messenger knows it."""

    id: str
    customer_id: str
    side: Literal["customer", "business"]
    text: str
    files: list[File] = field(default_factory=list)
    reply_to: str | None = None
    at: int = field(default_factory=lambda: int(time.time() * 1000))  # unix milliseconds
    status: str | None = None  # customer: sending, accepted, refused; business: accepted, delivered, read
    edited: bool = False
    deleted: bool = False
    client_id: str | None = None  # the app's own id of a business message


class Messenger(ABC):
    """One account of a business in an outside messenger."""

    channel: ClassVar[str]
    statuses: ClassVar[Sequence[str]] = ("delivered", "read")  # what it tells of the business's messages
    edits_answers: ClassVar[bool] = True  # whether the business can change a message that was sent

    def __init__(self, world: "World", messenger_id: str, name: str) -> None:
        self.world = world
        self.id = messenger_id
        self.name = name
        self.customers: dict[str, Customer] = {}
        self.all_messages: dict[str, Message] = {}  # by id, in order of arrival
        self.files: dict[str, File] = {}

    # What a messenger has to bring

    @property
    @abstractmethod
    def connected(self) -> bool:
        """Whether a line of the app is bound to it."""

    @abstractmethod
    def credentials(self) -> dict[str, str]:
        """What the owner of the account enters to connect it."""

    @abstractmethod
    def connect(self, line: Json, credentials: dict[str, str]) -> None:
        """Take over what the app answered when the line was connected with `credentials`."""

    @abstractmethod
    def write(
        self,
        customer: Customer | str,
        text: str,
        files: Sequence[NamedFile] = (),
        reply_to: str | None = None,
    ) -> Any:
        """A customer writes; `files` are (name, content)."""

    @abstractmethod
    def edit(self, message_id: str, text: str) -> Any:
        """A customer changes the text of a message."""

    @abstractmethod
    def delete(self, message_id: str) -> Any:
        """A customer takes a message back."""

    @abstractmethod
    def read(self, customer: Customer | str) -> None:
        """A customer reads everything the business wrote."""

    # What all of them have

    @property
    def url(self) -> str:
        """Where the app reaches this account."""
        return f"{self.world.base_url}/partner/{self.id}"

    def add_customer(
        self,
        name: str,
        *,
        picture: bool = True,
        phone: str | None = None,
        username: str | None = None,
        email: str | None = None,
    ) -> Customer:
        """A new customer, with an avatar unless told otherwise."""
        with self.world.change():
            customer = Customer(f"c-{secrets.token_hex(6)}", name, phone=phone, username=username, email=email)
            if picture:
                customer.picture_url = self.keep_file("avatar.svg", avatar(name)).url
            self.customers[customer.id] = customer
        return customer

    def messages(self, customer: Customer | str) -> list[Message]:
        """A customer's conversation, oldest first."""
        customer = self.customer(customer)
        return [message for message in self.all_messages.values() if message.customer_id == customer.id]

    def customer(self, customer: Customer | str) -> Customer:
        """The customer with this id; raises KeyError."""
        return customer if isinstance(customer, Customer) else self.customers[customer]

    def keep_file(self, name: str, content: bytes) -> File:
        """Offer a file for download; `routes` serves it at its `url`."""
        file_id = secrets.token_hex(8)
        url = f"{self.url}/media/{file_id}/{quote(name, safe='')}"
        self.files[file_id] = File(file_id, name, mime_type(name), len(content), url, content)
        return self.files[file_id]
