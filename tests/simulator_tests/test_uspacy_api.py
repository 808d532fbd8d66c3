"""Requests, lines and chats: a kept rule is answered as documented, a broken one is a 4xx and a breach."""

from typing import Any

import pytest

from tests.simulator_tests.conftest import Client
from tests.simulators import Portal, World

Json = dict[str, Any]
LINES = "/messenger/v1/external-lines"
CHATS = "/messenger/v1/chats"
MESSAGES = "/messenger/v1/messages"
FILES = "/files/v1/files"


# Requests as such


def test_a_missing_token_is_a_breach(world: World, client: Client) -> None:
    answer = client.call("GET", LINES, headers={"Authorization": None})
    assert answer.status_code == 401
    assert "Bearer token is missing" in world.breaches[0]


def test_a_missing_accept_header_is_a_breach(world: World, client: Client) -> None:
    assert client.call("GET", LINES, headers={"Accept": "*/*"}).status_code == 400
    assert "Accept" in world.breaches[0]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", f"{LINES}/"),
        ("GET", f"{CHATS}/"),
        ("POST", f"{MESSAGES}/"),
        ("GET", MESSAGES),
        ("POST", f"{MESSAGES}/readAll"),
        ("GET", f"{FILES}/"),
        ("DELETE", f"{LINES}/65a000000000000000000000"),
        ("GET", "/messenger/v2/chats"),
    ],
)
def test_urls_that_are_not_in_the_contract_are_breaches(
    world: World, client: Client, method: str, path: str
) -> None:
    answer = client.call(method, path, allow_redirects=False)
    assert answer.status_code == 404
    assert isinstance(answer.json()["message"], str)
    assert len(world.breaches) == 1


def test_an_unknown_portal_is_a_breach(world: World, client: Client) -> None:
    answer = client.session.get(f"{world.base_url}/uspacy/other.uspacy.ua{LINES}", timeout=10)
    assert answer.status_code == 404
    assert len(world.breaches) == 1


def test_a_json_endpoint_takes_json_only(world: World, client: Client) -> None:
    assert client.call("POST", LINES, data=client.line()).status_code == 400
    assert "content type" in world.breaches[0]


# Lines and chats


def test_a_line_is_created_listed_read_and_changed(world: World, portal: Portal, client: Client) -> None:
    body = client.line()
    created = client.call("POST", LINES, json=body)
    assert created.status_code == 201
    line = created.json()
    assert line == {**body, "id": line["id"], "timestamp": line["timestamp"], "portal": portal.domain}
    assert len(line["id"]) == 24
    assert client.call("GET", LINES).json() == [line]
    assert client.call("GET", f"{LINES}/{line['id']}").json() == line
    changed = client.call("PATCH", f"{LINES}/{line['id']}", json={"name": "New"})
    assert changed.json() == {**line, "name": "New"} == portal.lines[line["id"]]
    assert world.breaches == []


@pytest.mark.parametrize(
    "change",
    [
        {"name": ""},
        {"name": 5},
        {"icon": "icon.png"},
        {"phoneNumber": None},
        {"externalId": ""},
        {"colour": "red"},
    ],
)
def test_a_wrong_line_is_refused(world: World, client: Client, change: Json) -> None:
    answer = client.call("POST", LINES, json=client.line(**change))
    assert answer.status_code == 400
    assert next(iter(change)) in answer.json()["message"][0]
    assert len(world.breaches) == 1


@pytest.mark.parametrize("field", ["name", "icon", "phoneNumber", "externalId"])
def test_no_field_of_a_line_may_be_missing(client: Client, field: str) -> None:
    body = client.line()
    del body[field]
    assert client.call("POST", LINES, json=body).json()["message"] == [f"{field} is missing"]


@pytest.mark.parametrize("field", ["name", "externalId"])
def test_a_second_line_of_the_same_name_is_refused_without_a_breach(
    world: World, client: Client, line: Json, field: str
) -> None:
    answer = client.call("POST", LINES, json=client.line(**{field: line[field]}))
    assert 400 <= answer.status_code < 500
    assert isinstance(answer.json()["message"], str)
    assert world.breaches == []


def test_a_line_of_another_app_cannot_be_changed(world: World, portal: Portal, client: Client) -> None:
    world.uspacy.foreign_chat(portal.domain)
    foreign = next(iter(portal.foreign_lines))
    assert client.call("PATCH", f"{LINES}/{foreign}", json={"name": "Mine"}).status_code == 400
    assert len(world.breaches) == 1


def test_a_chat_is_created_and_listed(world: World, client: Client, line: Json) -> None:
    body = client.chat(line["id"])
    created = client.call("POST", CHATS, json=body)
    assert created.status_code == 201
    assert created.json()["externalLines"] == [line]
    assert {key: created.json()[key] for key in ("id", "name", "type", "pictureUrl", "meta")} == {
        key: body[key] for key in ("id", "name", "type", "pictureUrl", "meta")
    }
    listed = client.call("GET", CHATS, params={"type": "EXTERNAL", "externalLineIds[]": line["id"]}).json()
    assert [chat["id"] for chat in listed] == [body["id"]]
    page = client.call("GET", CHATS, params={"limit": 1, "externalStatuses": "undistributed"}).json()
    assert (page["hasNext"], page["nextCursor"], len(page["data"])) == (False, None, 1)
    assert world.breaches == []


@pytest.mark.parametrize(
    "change",
    [
        {"id": "chat-1"},
        {"name": ""},
        {"type": "PRIVATE"},
        {"externalLines": []},
        {"externalLines": "line"},
        {"externalLines": ["65a000000000000000000000"]},
        {"pictureUrl": ""},
        {"meta": [{"type": "email", "value": "a@b.c"}]},
        {"meta": [{"type": "phone", "value": 380}]},
        {"members": []},
    ],
)
def test_a_wrong_chat_is_refused(world: World, client: Client, line: Json, change: Json) -> None:
    assert client.call("POST", CHATS, json=client.chat(line["id"], **change)).status_code in (400, 404)
    assert len(world.breaches) == 1


def test_a_second_chat_of_the_same_id_is_a_duplicate_key(world: World, client: Client, chat: Json) -> None:
    answer = client.call("POST", CHATS, json=client.chat(chat["externalLines"][0]["id"], id=chat["id"]))
    assert 400 <= answer.status_code < 500
    assert "E11000 duplicate key error" in answer.json()["message"]
    assert world.breaches == []
