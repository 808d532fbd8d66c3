"""The control API, as the page uses it."""

from typing import Any

import pytest
import requests

from tests.simulator_tests.conftest import DOMAIN, Client
from tests.simulator_tests.recorder import Recorder
from tests.simulators import Customer, Partner, Portal, World

Json = dict[str, Any]


class Control:
    def __init__(self, world: World) -> None:
        self.url = f"{world.base_url}/control"

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        return requests.request(method, f"{self.url}{path}", timeout=10, **options)

    def state(self) -> Json:
        state: Json = self.call("GET", "/state").json()
        return state


@pytest.fixture
def control(world: World) -> Control:
    return Control(world)


def test_the_state_shows_both_sides(
    world: World,
    portal: Portal,
    client: Client,
    chat: Json,
    partner: Partner,
    ann: Customer,
    control: Control,
) -> None:
    client.call("POST", "/messenger/v1/messages", json=client.message(chat))
    written = world.uspacy.operator_writes(DOMAIN, chat["id"], "Hello", [("a.png", b"png")])
    world.uspacy.system_message(DOMAIN, chat["id"], "Lead created")
    partner.write(ann, "Hi", files=[("b.txt", b"text")], wait=True)
    state = control.state()
    assert set(state) == {*("revision", "app_url", "portals", "messengers", "chats", "messages", "conversations")}
    line = chat["externalLines"][0]
    assert state["portals"] == [
        {
            "domain": DOMAIN,
            "installed": True,
            "lines": [
                {"id": line["id"], "name": line["name"], "icon": line["icon"], "external_id": line["externalId"]}
            ],
        }
    ]
    customer = {"id": ann.id, "name": "Ann", "picture_url": ann.picture_url, "blocked": False}
    assert state["messengers"] == [
        {"id": "shop", "channel": "webhook", "name": "Corner shop", "connected": True, "customers": [customer]}
    ]
    (shown,) = state["chats"]
    assert set(shown) == {"id", "portal", "line_id", "name", "picture_url", "unread", "last_message_at"}
    assert (shown["id"], shown["portal"], shown["line_id"], shown["unread"]) == (chat["id"], DOMAIN, line["id"], 1)
    messages = state["messages"]
    assert [(m["side"], m["author"], m["text"]) for m in messages] == [
        ("customer", "Ann", "Hello"),
        ("operator", "Operator", "Hello"),
        ("system", "Uspacy", "Lead created"),
    ]
    assert set(messages[1]) == {
        *("id", "chat_id", "side", "author", "text", "files", "status", "status_text"),
        *("edited", "deleted", "reply_to", "at"),
    }
    file = {"name": "a.png", "size": 3, "mime_type": "image/png", "url": written["attachedFiles"][0]["url"]}
    assert messages[1]["files"] == [file]
    (conversation,) = state["conversations"]
    assert (conversation["messenger"], conversation["customer"]) == ("shop", ann.id)
    (said,) = conversation["messages"]
    assert set(said) == {"id", "side", "text", "files", "status", "edited", "deleted", "reply_to", "at"}
    assert (said["side"], said["text"], said["status"], said["files"][0]["name"]) == (
        *("customer", "Hi", "accepted", "b.txt"),
    )


def test_changes_are_announced(world: World, portal: Portal, control: Control) -> None:
    with requests.get(f"{control.url}/events", stream=True, timeout=10) as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        lines = stream.iter_lines(chunk_size=1, decode_unicode=True)
        assert [next(lines), next(lines), next(lines)] == [
            *("event: change", f'data: {{"revision": {world.revision}}}', ""),
        ]
        world.uspacy.create_portal("other.uspacy.ua")
        assert [next(lines), next(lines)] == ["event: change", f'data: {{"revision": {world.revision}}}']


def test_a_person_plays_the_customer(world: World, partner: Partner, control: Control, app: Recorder) -> None:
    created = control.call("POST", "/customers", json={"messenger": "shop", "name": "Bob"})
    assert created.status_code == 201
    who = {"messenger": "shop", "customer": created.json()["id"]}
    first = control.call("POST", "/customer/messages", json={**who, "text": "Hi"})
    assert first.status_code == 201
    second = control.call(
        "POST",
        "/customer/messages",
        data={**who, "text": "", "reply_to": first.json()["id"]},
        files={"file": ("a.txt", b"a")},
    )
    assert second.status_code == 201
    path = f"/customer/messages/{first.json()['id']}"
    assert control.call("PATCH", path, json={"text": "Hello"}).status_code == 204
    assert control.call("DELETE", path).status_code == 204
    assert control.call("POST", "/customer/read", json=who).status_code == 204
    assert world.settle()
    assert [call.json["type"] for call in app.calls] == [
        *("message.created", "message.created", "message.updated", "message.deleted"),
    ]
    one, two = control.state()["conversations"][0]["messages"]
    assert (one["text"], one["edited"], one["deleted"]) == ("Hello", True, True)
    assert (two["reply_to"], two["files"][0]["name"]) == (one["id"], "a.txt")


def test_a_person_plays_the_operator(world: World, client: Client, chat: Json, control: Control) -> None:
    client.call("POST", "/messenger/v1/messages", json=client.message(chat))
    first = control.call("POST", "/operator/messages", json={"chat_id": chat["id"], "text": "Hi"})
    assert first.status_code == 201
    second = control.call(
        "POST",
        "/operator/messages",
        data={"chat_id": chat["id"], "text": "See", "reply_to": first.json()["id"]},
        files=[("file", ("a.txt", b"a")), ("file", ("b.txt", b"b"))],
    )
    assert second.status_code == 201
    path = f"/operator/messages/{first.json()['id']}"
    assert control.call("PATCH", path, json={"text": "Hello"}).status_code == 204
    assert control.call("DELETE", path).status_code == 204
    assert control.call("POST", "/operator/read", json={"chat_id": chat["id"]}).status_code == 204
    state = control.state()
    by_id = {message["id"]: message for message in state["messages"]}
    assert by_id[first.json()["id"]]["deleted"]
    assert [file["name"] for file in by_id[second.json()["id"]]["files"]] == ["a.txt", "b.txt"]
    assert by_id[second.json()["id"]]["reply_to"] == first.json()["id"]
    assert state["chats"][0]["unread"] == 0


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/customers", {"messenger": "nobody", "name": "Bob"}, 404),
        ("POST", "/customers", {"messenger": "shop"}, 400),
        ("POST", "/customer/messages", {"messenger": "shop", "customer": "x", "text": "Hi"}, 404),
        ("PATCH", "/customer/messages/x", {"text": "Hi"}, 404),
        ("POST", "/operator/messages", {"chat_id": "x", "text": "Hi"}, 404),
        ("DELETE", "/operator/messages/x", None, 404),
        ("POST", "/operator/read", ["x"], 400),
        ("POST", "/faults", {"path": "x", "kind": "explode"}, 400),
    ],
)
def test_what_cannot_be_done_is_explained(
    partner: Partner, control: Control, method: str, path: str, body: Any, status: int
) -> None:
    answer = control.call(method, path, json=body)
    assert answer.status_code == status
    assert answer.json()["error"].endswith(".")


def test_an_empty_message_is_refused(partner: Partner, ann: Customer, control: Control) -> None:
    answer = control.call(
        "POST", "/customer/messages", json={"messenger": "shop", "customer": ann.id, "text": " "}
    )
    assert answer.status_code == 400
    assert partner.messages(ann) == []


def test_a_messenger_without_a_line_says_so(world: World, control: Control) -> None:
    customer = world.add_messenger("other").add_customer("Bob")
    body = {"messenger": "other", "customer": customer.id, "text": "Hi"}
    answer = control.call("POST", "/customer/messages", json=body)
    assert answer.status_code == 409
    assert "not connected" in answer.json()["error"]
    assert world.messengers["other"].messages(customer) == []


def test_another_process_can_set_the_scene(world: World, control: Control, app: Recorder) -> None:
    assert control.call("POST", "/portals", json={"domain": DOMAIN}).status_code == 201
    assert control.call("POST", f"/portals/{DOMAIN}/install").json()["app_status"] == 200
    assert control.call("POST", "/subscribe").json() == {"app_status": 200, "app_body": "", "confirmed": False}
    assert control.call("POST", "/messengers", json={"id": "shop", "name": "Shop"}).status_code == 201
    app.answers = [201]
    app.body = b'{"id":"key","webhook_url":"%s/webhooks/lines/key","secret":"whsec_AAAA"}' % app.url.encode()
    line = control.call("POST", "/lines", json={"domain": DOMAIN, "messenger": "shop", "name": "Shop"})
    assert line.status_code == 201
    assert world.settle()
    connect, ping = app.calls[-2:]
    assert (connect.path, connect.json["channel"]) == ("/api/lines/", "webhook")
    assert connect.json["credentials"] == {"url": f"{world.base_url}/partner/shop/hook"}
    assert connect.headers["authorization"].startswith("Bearer ")
    assert (ping.path, ping.json["type"]) == ("/webhooks/lines/key", "ping")
    app.answers = [422]
    refused = control.call("POST", "/lines", json={"domain": DOMAIN, "messenger": "shop", "name": "Shop"})
    assert refused.status_code == 409
    assert "422" in refused.json()["error"]
    fault = {"path": "external-lines", "kind": "status", "times": 1, "code": 500}
    assert control.call("POST", "/faults", json=fault).status_code == 204
    lines = f"{world.base_url}/uspacy/{DOMAIN}/messenger/v1/external-lines"
    assert requests.get(lines, timeout=10).status_code == 500
    assert control.call("DELETE", "/faults").status_code == 204
    assert requests.get(lines, headers={"Accept": "application/json"}, timeout=10).status_code == 401
    assert len(control.call("GET", "/breaches").json()) == 1
    assert [entry["status"] for entry in control.call("GET", "/requests").json()] == [500, 401]
    world.app_url = "http://127.0.0.1:9"
    down = control.call("POST", f"/portals/{DOMAIN}/uninstall")
    assert (down.status_code, "does not answer" in down.json()["error"]) == (409, True)


def test_the_page_is_served(world: World) -> None:
    page = requests.get(world.base_url, timeout=10)
    assert page.status_code == 200
    assert page.headers["Content-Type"].startswith("text/html")
    assert requests.get(f"{world.base_url}/page/index.html", timeout=10).content == page.content
    assert requests.get(f"{world.base_url}/page/../world.py", timeout=10).status_code == 404
    assert requests.get(f"{world.base_url}/page/%2e%2e/world.py", timeout=10).status_code == 404
