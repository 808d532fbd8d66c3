"""Messages and files of a portal: a kept rule is answered as documented, a broken one is a 4xx and a breach."""

import uuid
from typing import Any

import pytest
import requests

from tests.simulator_tests.conftest import Client
from tests.simulators import Portal, World

Json = dict[str, Any]
LINES = "/messenger/v1/external-lines"
MESSAGES = "/messenger/v1/messages"
FILES = "/files/v1/files"


# Messages


def test_a_message_is_created_read_and_listed(world: World, client: Client, chat: Json) -> None:
    bodies = [client.message(chat, message=text) for text in ("one", "two")]
    for body in bodies:
        assert client.call("POST", MESSAGES, json=body).status_code == 201
    read = client.call("GET", f"{MESSAGES}/{bodies[0]['id']}").json()
    assert {**read, "externalLine": read["externalLine"]["id"]} | bodies[0] == {
        **read,
        "externalLine": bodies[0]["externalLine"],
    }
    listed = client.call("GET", f"{MESSAGES}/", params={"chatId": chat["id"], "limit": 1}).json()
    assert [message["message"] for message in listed] == ["two"]
    assert world.breaches == []


@pytest.mark.parametrize(
    "change",
    [
        {"id": "1"},
        {"id": None},
        {"externalLine": {"id": "65a000000000000000000000"}},
        {"externalLine": "65a000000000000000000000"},
        {"chatId": "00000000-0000-4000-8000-000000000000"},
        {"type": "SYSTEM"},
        {"message": None},
        {"message": ""},
        {"externalId": ""},
        {"externalAuthorId": 5},
        {"parentMessage": None},
        {"parentMessage": "00000000-0000-4000-8000-000000000000"},
        {"attachedFiles": []},
        {"status": "sent"},
    ],
)
def test_a_wrong_message_is_refused(world: World, client: Client, chat: Json, change: Json) -> None:
    answer = client.call("POST", MESSAGES, json=client.message(chat, **change))
    assert answer.status_code in (400, 404)
    assert "message" in answer.json()
    assert len(world.breaches) == 1


@pytest.mark.parametrize("field", ["id", "externalLine", "chatId", "type", "message", "externalId"])
def test_no_field_of_a_message_may_be_missing(client: Client, chat: Json, field: str) -> None:
    body = client.message(chat)
    del body[field]
    assert client.call("POST", MESSAGES, json=body).json()["message"] == [f"{field} is missing"]


def test_a_message_must_name_a_line_of_its_chat(world: World, client: Client, chat: Json) -> None:
    other = client.call("POST", LINES, json=client.line()).json()
    answer = client.call("POST", MESSAGES, json=client.message(chat, externalLine=other["id"]))
    assert answer.status_code == 400
    assert len(world.breaches) == 1


@pytest.mark.parametrize("field", ["id", "externalId"])
def test_a_repeated_message_is_a_duplicate_key(world: World, client: Client, chat: Json, field: str) -> None:
    body = client.message(chat)
    client.call("POST", MESSAGES, json=body)
    again = {**body, "id": body["id"] if field == "id" else str(uuid.uuid4())}
    answer = client.call("POST", MESSAGES, json=again)
    assert 400 <= answer.status_code < 500
    assert answer.json()["message"].startswith("E11000 duplicate key error collection: ")
    assert f"index: {field}_1" in answer.json()["message"]
    assert world.breaches == []


def test_the_ids_of_a_deleted_message_stay_taken(client: Client, chat: Json) -> None:
    body = client.message(chat)
    client.call("POST", MESSAGES, json=body)
    client.call("DELETE", f"{MESSAGES}/{body['id']}")
    assert "E11000" in client.call("POST", MESSAGES, json=body).json()["message"]


def test_an_id_used_for_another_message_is_a_breach(world: World, client: Client, chat: Json) -> None:
    body = client.message(chat)
    client.call("POST", MESSAGES, json=body)
    assert client.call("POST", MESSAGES, json={**body, "externalId": "other"}).status_code == 400
    assert "id belongs to another message" in world.breaches[0]


def test_a_reply_shows_the_quoted_message(client: Client, chat: Json) -> None:
    first = client.call("POST", MESSAGES, json=client.message(chat)).json()
    reply = client.call("POST", MESSAGES, json=client.message(chat, parentMessage=first["id"]))
    assert reply.json()["parentMessage"]["id"] == first["id"]


def test_a_message_is_changed_and_deleted(world: World, portal: Portal, client: Client, chat: Json) -> None:
    body = client.message(chat)
    client.call("POST", MESSAGES, json=body)
    assert client.call("PATCH", MESSAGES, json={**body, "message": "new"}).json()["message"] == "new"
    assert client.call("DELETE", f"{MESSAGES}/{body['id']}").status_code == 204
    assert portal.thread(chat["id"]) == []
    assert client.call("GET", f"{MESSAGES}/{body['id']}").status_code == 404
    assert client.call("DELETE", f"{MESSAGES}/{body['id']}").status_code == 404
    assert world.breaches == []


def test_a_message_that_never_was_cannot_be_changed(world: World, client: Client) -> None:
    unknown = str(uuid.uuid4())
    assert client.call("PATCH", MESSAGES, json={"id": unknown, "message": "x"}).status_code == 404
    assert client.call("DELETE", f"{MESSAGES}/{unknown}").status_code == 404
    assert len(world.breaches) == 2


def test_the_place_of_a_message_cannot_be_changed(world: World, client: Client, chat: Json) -> None:
    body = client.message(chat)
    client.call("POST", MESSAGES, json=body)
    assert client.call("PATCH", MESSAGES, json={"id": body["id"], "externalId": "x"}).status_code == 400
    assert len(world.breaches) == 1


def test_an_operators_message_is_not_the_apps_to_change(
    world: World, portal: Portal, client: Client, chat: Json
) -> None:
    written = world.uspacy.operator_writes(portal.domain, chat["id"], "Hi")
    assert client.call("PATCH", MESSAGES, json={"id": written["id"], "message": "x"}).status_code == 400
    assert client.call("DELETE", f"{MESSAGES}/{written['id']}").status_code == 400
    assert len(world.breaches) == 2


def test_a_status_goes_forward_only(world: World, portal: Portal, client: Client, chat: Json) -> None:
    written = world.uspacy.operator_writes(portal.domain, chat["id"], "Hi")

    def report(status: str | None, text: str | None = None) -> requests.Response:
        path = f"{MESSAGES}/{written['id']}/status"
        return client.call("PATCH", path, json={"status": status, "statusText": text})

    for status, text in (("sent", None), ("error", "No such number"), ("sent", None), ("read", None)):
        answer = report(status, text)
        assert (answer.json()["status"], answer.json()["statusText"]) == (status, text)
    assert world.breaches == []
    assert report("delivered").status_code == 400
    assert report("error", "late").status_code == 400
    assert report("seen").status_code == 400
    assert len(world.breaches) == 3


def test_a_customers_message_has_no_status(world: World, client: Client, chat: Json) -> None:
    body = client.message(chat)
    client.call("POST", MESSAGES, json=body)
    answer = client.call("PATCH", f"{MESSAGES}/{body['id']}/status", json={"status": "sent"})
    assert answer.status_code == 400
    assert len(world.breaches) == 1


def test_read_all_marks_the_chat_as_read(world: World, portal: Portal, client: Client, chat: Json) -> None:
    client.call("POST", MESSAGES, json=client.message(chat))
    assert len(portal.unread(chat["id"])) == 1
    assert client.call("POST", f"{MESSAGES}/readAll/", json={"chatId": chat["id"]}).status_code == 204
    assert portal.unread(chat["id"]) == []
    assert world.breaches == []


# Files


def test_a_file_is_uploaded_attached_read_and_deleted(world: World, client: Client, chat: Json) -> None:
    message_id = str(uuid.uuid4())
    file = client.upload(message_id, "naïve name.png", b"\x89PNG")
    assert (file["entityId"], file["originalFilename"], file["size"]) == (message_id, "naïve name.png", 4)
    body = client.message(chat, id=message_id, message="", attachedFiles=[file])
    created = client.call("POST", MESSAGES, json=body)
    assert created.status_code == 201
    assert created.json()["attachedFiles"][0]["entityType"] == "chat_message"  # shown as stored
    listed = client.call("GET", FILES, params={"entityType": "chat_message", "entityId": message_id}).json()
    assert [stored["id"] for stored in listed["data"]] == [file["id"]]
    assert client.call("GET", f"{FILES}/{file['id']}").json()["url"] == file["url"]
    assert requests.get(file["url"], timeout=10).content == b"\x89PNG"
    assert client.call("DELETE", f"{FILES}/{file['id']}").status_code == 204
    assert requests.get(file["url"], timeout=10).status_code == 404
    assert len(world.breaches) == 1  # the last call


def test_file_content_can_need_the_token(portal: Portal, client: Client) -> None:
    portal.files_need_token = True
    url = client.upload(str(uuid.uuid4()))["url"]
    assert requests.get(url, timeout=10).status_code == 401
    headers = {"Authorization": f"Bearer {client.pair['jwt']}"}
    assert requests.get(url, headers=headers, timeout=10).content == b"hello"


@pytest.mark.parametrize(
    ("fields", "part", "filename"),
    [
        ({"entityType": "task"}, "files[]", "a.txt"),
        ({"entityId": "1"}, "files[]", "a.txt"),
        ({"folder": "x"}, "files[]", "a.txt"),
        ({"entity_id": "00000000-0000-4000-8000-000000000000"}, "files[]", "a.txt"),
        ({}, "file", "a.txt"),
        ({}, "files[]", None),
    ],
)
def test_a_wrong_upload_is_refused(
    world: World, client: Client, fields: Json, part: str, filename: str | None
) -> None:
    data = {"entityType": "chat_message", "entityId": str(uuid.uuid4()), **fields}
    answer = client.call("POST", FILES, data=data, files={part: (filename, b"x")})
    assert answer.status_code == 400
    assert len(world.breaches) == 1


def test_both_spellings_and_numbered_parts_are_fine(world: World, client: Client) -> None:
    entity = str(uuid.uuid4())
    data = {"entityType": "chat_message", "entityId": entity, "entity_id": entity}
    files = {"files[0]": ("a.txt", b"a"), "files[1]": ("b.txt", b"b")}
    answer = client.call("POST", FILES, data=data, files=files)
    assert [file["originalFilename"] for file in answer.json()["data"]] == ["a.txt", "b.txt"]
    assert world.breaches == []


@pytest.mark.parametrize("change", [{"entityId": str(uuid.uuid4())}, {"size": 1}, {"id": 99}, {"size": "5"}])
def test_an_attached_file_must_be_the_uploaded_one(world: World, client: Client, chat: Json, change: Json) -> None:
    message_id = str(uuid.uuid4())
    file = client.upload(message_id) | change
    answer = client.call("POST", MESSAGES, json=client.message(chat, id=message_id, attachedFiles=[file]))
    assert answer.status_code in (400, 404)
    assert len(world.breaches) == 1


def test_a_file_of_another_message_cannot_be_attached(world: World, client: Client, chat: Json) -> None:
    file = client.upload(str(uuid.uuid4()))
    assert client.call("POST", MESSAGES, json=client.message(chat, attachedFiles=[file])).status_code == 400
    assert "entityId is another message" in world.breaches[0]
