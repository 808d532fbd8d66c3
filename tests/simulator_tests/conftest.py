import base64
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.simulator_tests.recorder import Recorder, recording
from tests.simulators import Customer, Partner, Portal, World, serve

Json = dict[str, Any]
DOMAIN = "acme.uspacy.ua"
SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()


class Client:
    """Calls a portal's API the way the contract wants it, unless a test says otherwise."""

    def __init__(self, world: World, portal: Portal) -> None:
        self.world = world
        self.portal = portal
        self.pair = portal.tokens.mint()
        self.session = requests.Session()
        self.session.headers.update({"Accept": "application/json", "Authorization": f"Bearer {self.pair['jwt']}"})

    def url(self, path: str) -> str:
        return f"{self.world.base_url}/uspacy/{self.portal.domain}{path}"

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        return self.session.request(method, self.url(path), timeout=10, **options)

    def line(self, **changes: Any) -> Json:
        """A create body of a line."""
        name = f"Shop {uuid.uuid4().hex[:6]}"
        icon = "https://app.example/icon.png"
        return {"name": name, "icon": icon, "phoneNumber": name, "externalId": uuid.uuid4().hex, **changes}

    def chat(self, line_id: str, **changes: Any) -> Json:
        """A create body of a chat."""
        return {
            "id": str(uuid.uuid4()),
            "name": "Ann",
            "type": "EXTERNAL",
            "externalLines": [line_id],
            "pictureUrl": "https://app.example/ann.png",
            "meta": [{"type": "phone", "value": "+380000000000"}],
            **changes,
        }

    def message(self, chat: Json, **changes: Any) -> Json:
        """A create body of a customer's message."""
        return {
            "id": str(uuid.uuid4()),
            "externalLine": chat["externalLines"][0]["id"],
            "chatId": chat["id"],
            "type": "MESSAGE",
            "message": "Hello",
            "externalId": uuid.uuid4().hex,
            "externalAuthorId": "ann",
            **changes,
        }

    def upload(self, entity_id: str, name: str = "a.txt", content: bytes = b"hello") -> Json:
        """Upload one file; the file object as a message takes it."""
        answer = self.call(
            "POST",
            "/files/v1/files",
            data={"entityType": "chat_message", "entityId": entity_id},
            files={"files[]": (name, content)},
        )
        assert answer.status_code == 201, answer.text
        keys = ("id", "entityId", "lastModified", "originalFilename", "size", "url")
        return {key: answer.json()["data"][0][key] for key in keys}


@pytest.fixture
def app() -> Iterator[Recorder]:
    with recording() as recorder:
        yield recorder


@pytest.fixture
def world(app: Recorder) -> Iterator[World]:
    world = World(app.url)
    world.sns.retry_delay = 0.05
    with serve(world):
        yield world
    world.close()


@pytest.fixture
def portal(world: World) -> Portal:
    portal = world.uspacy.create_portal(DOMAIN)
    portal.installed = True
    return portal


@pytest.fixture
def client(world: World, portal: Portal) -> Client:
    return Client(world, portal)


@pytest.fixture
def line(client: Client) -> Json:
    line: Json = client.call("POST", "/messenger/v1/external-lines", json=client.line()).json()
    return line


@pytest.fixture
def chat(client: Client, line: Json) -> Json:
    chat: Json = client.call("POST", "/messenger/v1/chats", json=client.chat(line["id"])).json()
    return chat


@pytest.fixture
def partner(world: World, app: Recorder) -> Partner:
    """A partner bound to a line whose inbound URL is the recorder."""
    partner: Partner = world.add_messenger("shop", "Corner shop")
    partner.inbound_url, partner.secret = f"{app.url}/webhooks/lines/key", SECRET
    partner.status_delay = 0
    return partner


@pytest.fixture
def ann(partner: Partner) -> Customer:
    return partner.add_customer("Ann", phone="+380000000000")
