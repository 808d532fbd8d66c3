"""The wire format of the calls that no flow of ours needs yet, but an app built on this one may."""

import json
from collections.abc import Iterator
from urllib.parse import parse_qsl, urlsplit

import pytest
import responses

from portals import http
from portals.uspacy import UspacyClient

BASE = "https://acme.uspacy.ua"
CHATS = f"{BASE}/messenger/v1/chats"
MESSAGES = f"{BASE}/messenger/v1/messages"
FILES = f"{BASE}/files/v1/files"
TOTALS = f"{BASE}/files/v1/totals/size/"


@pytest.fixture
def stub() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as stub:
        yield stub


@pytest.fixture
def client() -> UspacyClient:
    return UspacyClient(BASE, "acme.uspacy.ua", "token")


def asked(stub: responses.RequestsMock) -> tuple[str, list[tuple[str, str]]]:
    """Return address and query of the last request."""
    url = stub.calls[-1].request.url
    return url.partition("?")[0], parse_qsl(urlsplit(url).query, keep_blank_values=True)


# Chats


def test_chats_are_asked_for_with_uspacys_own_names(stub, client):
    stub.get(CHATS, json=[])
    client.list_chats(type="EXTERNAL", externalLineIds=["65a0", "65a1"], members=(7,), lastMessageFrom=1, all=True)
    assert asked(stub) == (
        CHATS,
        [
            ("type", "EXTERNAL"),
            ("externalLineIds[]", "65a0"),
            ("externalLineIds[]", "65a1"),
            ("members[]", "7"),
            ("lastMessageFrom", "1"),
            ("all", "true"),
        ],
    )


def test_all_chats_are_asked_for_without_a_query(stub, client):
    stub.get(CHATS, json=[{"id": "c1"}])
    assert client.list_chats() == ([{"id": "c1"}], "")
    assert stub.calls[0].request.url == CHATS


@pytest.mark.parametrize(
    ("page", "cursor"),
    [
        ({"nextCursor": "n2", "hasNext": True}, "n2"),
        ({"nextCursor": 2, "hasNext": True}, "2"),
        ({"nextCursor": "n2"}, "n2"),
        ({"nextCursor": None, "hasNext": False}, ""),
        ({"nextCursor": "n2", "hasNext": False}, ""),
        ({}, ""),
    ],
)
def test_a_page_of_chats_comes_with_the_cursor_of_the_next_one(stub, client, page, cursor):
    stub.get(CHATS, json={"data": [{"id": "c1"}]} | page)
    assert client.list_chats(externalStatuses="active", limit=1, cursor="n1") == ([{"id": "c1"}], cursor)
    assert asked(stub)[1] == [("externalStatuses", "active"), ("limit", "1"), ("cursor", "n1")]


@pytest.mark.parametrize("data", [[{"id": "c1"}], [{"id": "c1"}, {"id": "c2"}]])
def test_pinned_chats_come_first_and_once(stub, client, data):
    stub.get(CHATS, json={"pinned": [{"id": "c2"}], "data": data, "nextCursor": None, "hasNext": False})
    assert client.list_chats(limit=5)[0] == [{"id": "c2"}, {"id": "c1"}]


@pytest.mark.parametrize("pinned", [None, [], [None]])
def test_a_page_without_pinned_chats_is_read(stub, client, pinned):
    stub.get(CHATS, json={"pinned": pinned, "data": [{"id": "c1"}]})
    assert client.list_chats(limit=5)[0] == [{"id": "c1"}]


@pytest.mark.parametrize("body", ["{}", '{"data": null}', "null", ""])
def test_an_answer_without_chats_is_a_server_fault(stub, client, body):
    stub.get(CHATS, body=body)
    with pytest.raises(http.ServerFault):
        client.list_chats()


# Messages


@pytest.mark.parametrize("body", [[{"id": "m2"}, {"id": "m1"}], {"data": [{"id": "m2"}, {"id": "m1"}]}])
def test_the_messages_of_a_chat_are_listed_in_uspacys_order(stub, client, body):
    stub.get(f"{MESSAGES}/", json=body)
    assert [message["id"] for message in client.list_messages("c1")] == ["m2", "m1"]
    assert asked(stub) == (f"{MESSAGES}/", [("chatId", "c1")])


def test_messages_are_asked_for_by_number_and_time(stub, client):
    stub.get(f"{MESSAGES}/", json=[])
    client.list_messages(
        "c1", limit=5, firstTimestamp=1760000000000, lastTimestamp=1760000000009, unreadFirst=False
    )
    assert asked(stub)[1] == [
        ("chatId", "c1"),
        ("limit", "5"),
        ("firstTimestamp", "1760000000000"),
        ("lastTimestamp", "1760000000009"),
        ("unreadFirst", "false"),
    ]


def test_a_message_is_fetched_with_its_neighbours(stub, client):
    stub.get(f"{MESSAGES}/m%2F1/goToMessage/", json=[{"id": "m0"}, {"id": "m/1"}])
    assert [message["id"] for message in client.messages_around("m/1")] == ["m0", "m/1"]


def test_a_chat_is_marked_as_read(stub, client):
    stub.post(f"{MESSAGES}/readAll/", status=204)
    client.read_all("c1")
    assert json.loads(stub.calls[0].request.body) == {"chatId": "c1"}


# Files


def test_a_file_is_deleted(stub, client):
    stub.delete(f"{FILES}/9", status=204)
    client.delete_file("9")
    request = stub.calls[0].request
    assert (request.url, request.body) == (f"{FILES}/9", None)


def test_the_files_of_a_message_are_deleted(stub, client):
    stub.delete(FILES, status=204)
    client.delete_files("m1")
    assert asked(stub) == (FILES, [("entityType", "chat_message"), ("entityId", "m1")])


def test_files_are_not_deleted_without_naming_a_message(stub, client):
    with pytest.raises(http.Refused):
        client.delete_files("")
    assert len(stub.calls) == 0


@pytest.mark.parametrize("call", ["delete_file", "delete_files"])
def test_a_deletion_that_is_refused_is_an_error(stub, client, call):
    stub.delete(f"{FILES}/9" if call == "delete_file" else FILES, json={"message": "Not yours"}, status=403)
    with pytest.raises(http.Refused, match="Not yours"):
        getattr(client, call)("9")


@pytest.mark.parametrize(
    "body",
    [{"data": {"size": 10, "limit": 99}}, {"size": "10", "limit": "99"}, {"data": {"size": 10, "limit": 99.0}}],
)
def test_the_storage_and_its_limit_are_told_in_bytes(stub, client, body):
    stub.get(TOTALS, json=body)
    assert client.storage_totals() == (10, 99)


@pytest.mark.parametrize(
    "body",
    ["{}", "[]", "null", "", '{"data": {"size": 1}}', '{"size": 1, "limit": null}', '{"size": 1, "limit": 1e999}'],
)
def test_an_answer_without_the_storage_is_a_server_fault(stub, client, body):
    stub.get(TOTALS, body=body)
    with pytest.raises(http.ServerFault):
        client.storage_totals()
