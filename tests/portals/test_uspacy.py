"""The wire format of every call, and what becomes of every kind of answer."""

import base64
import io
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import responses
from responses import matchers

from portals import gate, http, uspacy
from portals.uspacy import DuplicateMessage, UspacyClient

BASE = "https://acme.uspacy.ua"
DOMAIN = "acme.uspacy.ua"
FILE = {
    "id": 9,
    "entityType": "chat_message",
    "entityId": "m1",
    "uploadId": "2f",
    "creatorId": 7,
    "originalFilename": "a.jpg",
    "lastModified": 1760000000,
    "size": "10",
    "url": "https://x/a.jpg",
    "width": None,
}
FILE_OBJECT = {
    "id": 9,
    "entityId": "m1",
    "originalFilename": "a.jpg",
    "lastModified": 1760000000,
    "size": 10,
    "url": "https://x/a.jpg",
}
LINE = {
    "id": "65a0",
    "timestamp": 1760000000000,
    "name": "Shop",
    "icon": "https://x/i.png",
    "portal": DOMAIN,
    "phoneNumber": "+1",
    "externalId": "shop-1",
}


@pytest.fixture(autouse=True)
def _fresh_gates() -> None:
    gate.reset()


@pytest.fixture
def stub() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as stub:
        yield stub


@pytest.fixture
def client() -> UspacyClient:
    return UspacyClient(BASE, DOMAIN, "old", renew=lambda stale: {"old": "new"}[stale])


def sent(stub: responses.RequestsMock, index: int = -1) -> tuple[str, str, Any]:
    """Return method, URL and JSON body of a request."""
    request = stub.calls[index].request
    return request.method, request.url, json.loads(request.body) if request.body else None


# Lines, chats, messages


def test_a_line_is_created_with_all_four_fields(stub, client):
    stub.post(f"{BASE}/messenger/v1/external-lines", json=LINE, status=201)
    assert client.create_line(name="Shop", icon="https://x/i", phone_number="+1", external_id="s-1") == "65a0"
    body = {"name": "Shop", "icon": "https://x/i", "phoneNumber": "+1", "externalId": "s-1"}
    assert sent(stub) == ("POST", f"{BASE}/messenger/v1/external-lines", body)
    headers = stub.calls[0].request.headers
    assert headers["Authorization"] == "Bearer old"
    assert headers["Accept"] == "application/json"
    assert headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("body", [[LINE], {"data": [LINE]}, {"data": [LINE], "meta": {"total": 1}}])
def test_lines_are_listed_bare_or_wrapped(stub, client, body):
    stub.get(f"{BASE}/messenger/v1/external-lines", json=body)
    assert client.list_lines() == [uspacy.Line("65a0", "shop-1", "Shop", "https://x/i.png", "+1")]


@pytest.mark.parametrize("body", [LINE | {"id": 7}, {"data": LINE | {"id": 7}}, LINE | {"id": 7, "data": {}}])
def test_one_line_is_read_bare_or_wrapped_with_any_kind_of_id(stub, client, body):
    stub.get(f"{BASE}/messenger/v1/external-lines/7", json=body)
    assert client.get_line("7").id == "7"


def test_a_line_is_updated(stub, client):
    stub.patch(f"{BASE}/messenger/v1/external-lines/65a0", json=LINE)
    client.update_line("65a0", name="New", icon="https://x/i", phone_number="+2")
    assert sent(stub)[2] == {"name": "New", "icon": "https://x/i", "phoneNumber": "+2"}


@pytest.mark.parametrize("body", ["[]", "{}", '{"data": null}', '"x"', "", '{"id": ""}'])
def test_an_answer_without_the_line_is_a_server_fault(stub, client, body):
    stub.post(f"{BASE}/messenger/v1/external-lines", body=body)
    with pytest.raises(http.ServerFault):
        client.create_line(name="Shop", icon="i", phone_number="+1", external_id="s-1")


@pytest.mark.parametrize("body", ["{}", '{"data": {}}', "", "null"])
def test_an_answer_without_a_list_is_a_server_fault(stub, client, body):
    stub.get(f"{BASE}/messenger/v1/external-lines", body=body)
    with pytest.raises(http.ServerFault):
        client.list_lines()


def test_a_chat_is_created_under_our_id(stub, client):
    stub.post(f"{BASE}/messenger/v1/chats", json={"id": "c1"}, status=201)
    meta = [{"type": "telegram", "value": "5"}]
    client.create_chat(id="c1", name="Ann", line_id="65a0", picture_url="https://x/p", meta=meta)
    assert sent(stub)[2] == {
        "name": "Ann",
        "type": "EXTERNAL",
        "id": "c1",
        "externalLines": ["65a0"],
        "pictureUrl": "https://x/p",
        "meta": [{"type": "telegram", "value": "5"}],
    }


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_a_message_is_created_and_updated_with_its_whole_body(stub, client, method):
    stub.add(method, f"{BASE}/messenger/v1/messages", body="not json, and nobody minds", status=201)
    send = client.create_message if method == "POST" else client.update_message
    send(
        id="m1",
        line_id="65a0",
        chat_id="c1",
        text="**Hi**",
        external_id="77",
        external_author_id="5",
        type="VOICE",
        parent_id="m0",
        files=[FILE_OBJECT],
    )
    assert sent(stub) == (
        method,
        f"{BASE}/messenger/v1/messages",
        {
            "id": "m1",
            "externalLine": "65a0",
            "chatId": "c1",
            "type": "VOICE",
            "message": "**Hi**",
            "externalId": "77",
            "externalAuthorId": "5",
            "parentMessage": "m0",
            "attachedFiles": [FILE_OBJECT],
        },
    )


def test_what_a_message_does_not_have_is_not_sent(stub, client):
    stub.post(f"{BASE}/messenger/v1/messages", json={})
    client.create_message(id="m", line_id="l", chat_id="c", text="", external_id="e", parent_id="", files=[])
    assert sent(stub)[2] == {
        "id": "m",
        "externalLine": "l",
        "chatId": "c",
        "type": "MESSAGE",
        "message": "",
        "externalId": "e",
    }


def test_a_message_is_deleted_with_an_empty_object(stub, client):
    stub.delete(f"{BASE}/messenger/v1/messages/m1", status=204)
    client.delete_message("m1")
    assert sent(stub)[2] == {}


@pytest.mark.parametrize(("text", "status_text"), [("", None), ("Blocked by the customer.",) * 2])
def test_a_status_is_reported_with_its_reason(stub, client, text, status_text):
    stub.patch(f"{BASE}/messenger/v1/messages/m1/status", json={})
    client.set_message_status("m1", "error", text)
    assert sent(stub)[2] == {"status": "error", "statusText": status_text}


def test_a_message_is_looked_up(stub, client):
    stub.get(f"{BASE}/messenger/v1/messages/m1", json={"id": "m1", "message": "Hi"})
    stub.get(f"{BASE}/messenger/v1/messages/m2", status=404)
    assert client.get_message("m1")["message"] == "Hi"
    assert client.has_message("m1")
    assert not client.has_message("m2")


def test_a_lookup_that_is_forbidden_proves_nothing(stub, client):
    stub.get(f"{BASE}/messenger/v1/messages/m1", status=403)
    with pytest.raises(http.Refused):
        client.has_message("m1")


def test_ids_in_paths_are_encoded(stub, client):
    stub.delete(f"{BASE}/messenger/v1/messages/a%2Fb%3Fc%23d%20%D1%97", status=204)
    client.delete_message("a/b?c#d ї")
    assert stub.calls[0].request.url.endswith("/messages/a%2Fb%3Fc%23d%20%D1%97")


@pytest.mark.parametrize("id", ["", ".", ".."])
def test_an_id_that_would_lead_elsewhere_is_refused(client, id):
    with pytest.raises(http.Refused):
        client.delete_message(id)


# Files


def test_a_file_is_uploaded_for_its_message(stub, client):
    stub.post(f"{BASE}/files/v1/files", json={"data": [FILE]}, status=201)
    assert client.upload_file("m1", "Кіт.jpg", "image/jpeg", io.BytesIO(b"bytes")) == FILE_OBJECT
    request = stub.calls[0].request
    body = request.body
    assert request.headers["Content-Type"].startswith("multipart/form-data; boundary=")
    assert b'name="entityType"\r\n\r\nchat_message\r\n' in body
    assert b'name="entityId"\r\n\r\nm1\r\n' in body
    assert 'name="files[]"; filename="Кіт.jpg"\r\nContent-Type: image/jpeg\r\n\r\nbytes\r\n'.encode() in body


def test_an_upload_is_repeated_from_its_beginning_after_a_401(stub, client):
    stub.post(f"{BASE}/files/v1/files", status=401)
    stub.post(f"{BASE}/files/v1/files", json=[FILE])
    file = io.BytesIO(b"skip bytes")
    file.seek(5)
    assert client.upload_file("m1", "a.jpg", "image/jpeg", file)["id"] == 9
    bodies = [call.request.body for call in stub.calls]
    assert [body.count(b"\r\n\r\nbytes\r\n") for body in bodies] == [1, 1]
    assert stub.calls[1].request.headers["Authorization"] == "Bearer new"


@pytest.mark.parametrize("body", [{"data": []}, [], {"data": [{"url": "x"}]}, {}])
def test_an_upload_that_is_not_confirmed_is_a_server_fault(stub, client, body):
    stub.post(f"{BASE}/files/v1/files", json=body)
    with pytest.raises(http.ServerFault):
        client.upload_file("m1", "a.jpg", "image/jpeg", io.BytesIO(b"bytes"))


def test_the_files_of_a_message_are_listed(stub, client):
    query = matchers.query_param_matcher({"entityType": "chat_message", "entityId": "m1"})
    stub.get(f"{BASE}/files/v1/files", json={"data": [FILE, FILE | {"id": "10", "size": None}]}, match=[query])
    assert [(file["id"], file["size"]) for file in client.list_files("m1")] == [(9, 10), ("10", 0)]


@pytest.mark.parametrize("body", [FILE, {"data": FILE}])
def test_one_file_is_read_bare_or_wrapped(stub, client, body):
    stub.get(f"{BASE}/files/v1/files/9", json=body)
    assert client.get_file("9") == FILE_OBJECT


def authorizations(stub: responses.RequestsMock) -> list[str | None]:
    return [call.request.headers.get("Authorization") for call in stub.calls]


def test_a_file_is_downloaded_anonymously(stub, client):
    stub.get(f"{BASE}/f/1", body=b"bytes", content_type="image/png")
    into = io.BytesIO()
    assert client.download_file(f"{BASE}/f/1", into, max_bytes=5).mime_type == "image/png"
    assert (into.getvalue(), authorizations(stub)) == (b"bytes", [None])


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("url", [f"{BASE}/f/1", "https://ACME.uspacy.ua:443/f/1"])
def test_the_portals_own_host_gets_the_token_when_it_asks(stub, client, status, url):
    stub.get(url, status=status, body=b"no")
    stub.get(url, status=401, body=b"no")
    stub.get(url, body=b"bytes")
    into = io.BytesIO()
    client.download_file(url, into, max_bytes=5)
    assert (into.getvalue(), authorizations(stub)) == (b"bytes", [None, "Bearer old", "Bearer new"])


@pytest.mark.parametrize(
    "url", ["https://cdn.example/f", "https://acme.uspacy.ua:8443/f", "https://acme.uspacy.ua.evil.example/f"]
)
def test_no_other_host_gets_the_token(stub, client, url):
    stub.get(url, status=401)
    with pytest.raises(http.Unauthorized):
        client.download_file(url, io.BytesIO(), max_bytes=5)
    assert authorizations(stub) == [None]


def test_a_missing_file_is_not_asked_for_with_the_token(stub, client):
    stub.get(f"{BASE}/f/1", status=404)
    with pytest.raises(http.Refused):
        client.download_file(f"{BASE}/f/1", io.BytesIO(), max_bytes=5)
    assert authorizations(stub) == [None]


@pytest.mark.parametrize(
    "url",
    [
        "https://10.0.0.1/f",
        "http://acme.uspacy.ua/f",
        "https://acme.uspacy.ua\\@x.example/f",
        "/f",
        "https://x:1a/",
    ],
)
def test_a_file_at_a_forbidden_address_is_not_fetched(client, monkeypatch, url):
    monkeypatch.setattr(http, "allow_private_networks", False)
    with pytest.raises(http.ForbiddenAddress):
        client.download_file(url, io.BytesIO(), max_bytes=5)


# Tokens


def test_a_401_renews_the_token_and_repeats_the_request_once(stub, client):
    stub.patch(f"{BASE}/messenger/v1/messages", status=401)
    stub.patch(f"{BASE}/messenger/v1/messages", json={})
    client.update_message(id="m", line_id="l", chat_id="c", text="Hi", external_id="e")
    assert authorizations(stub) == ["Bearer old", "Bearer new"]
    assert sent(stub, 0) == sent(stub, 1)
    client.update_message(id="m", line_id="l", chat_id="c", text="Hi", external_id="e")
    assert authorizations(stub)[2] == "Bearer new"


def test_a_401_with_a_fresh_token_is_uspacys_trouble_and_worth_another_attempt(stub, client):
    stub.get(f"{BASE}/messenger/v1/external-lines", status=401)
    with pytest.raises(http.ServerFault):
        client.list_lines()
    assert len(stub.calls) == 2


def test_without_a_way_to_renew_a_401_is_final(stub):
    stub.get(f"{BASE}/messenger/v1/external-lines", status=401)
    with pytest.raises(http.Unauthorized):
        UspacyClient(BASE, DOMAIN, "old").list_lines()
    assert len(stub.calls) == 1


def token_with(**claims: object) -> str:
    parts = [{"alg": "HS256", "typ": "JWT"}, claims]
    return (
        ".".join(base64.urlsafe_b64encode(json.dumps(p).encode()).rstrip(b"=").decode() for p in parts) + ".c2ln"
    )


def test_a_refresh_sends_only_the_refresh_token(stub):
    stub.post(
        f"{BASE}/auth/v1/auth/refresh_token", json={"jwt": "t", "refreshToken": "r", "expireInSeconds": 86400}
    )
    assert uspacy.refresh(BASE + "/", DOMAIN, "old-refresh") == uspacy.TokenPair("t", "r", 86400)
    request = stub.calls[0].request
    assert (request.headers["Authorization"], request.body) == ("Bearer old-refresh", None)


def test_a_sign_in_sends_only_the_apps_credentials(stub):
    stub.post(f"{BASE}/auth/v1/auth/app_sign_in", json={"data": {"jwt": "t", "refreshToken": "r"}})
    assert uspacy.app_sign_in(BASE, DOMAIN, "id", "secret").refresh_token == "r"
    assert "Authorization" not in stub.calls[0].request.headers
    assert sent(stub)[2] == {"client_id": "id", "client_secret": "secret"}


@pytest.mark.parametrize(
    ("fields", "seconds"),
    [
        ({"expireInSeconds": 3600}, 3600),
        ({"expireInSeconds": "3600"}, 3600),
        ({"expiresInSeconds": 1800}, 1800),
        ({"expireInSeconds": 3600, "expiresInSeconds": 1800}, 3600),
        ({"expireInSeconds": None, "expiresInSeconds": "1800"}, 1800),
        ({"expireInSeconds": "soon"}, 86400),
        ({"expireInSeconds": -5}, 86400),
        ({"jwt": token_with(exp=1)}, 86400),
        ({"jwt": token_with(exp="never")}, 86400),
        ({"jwt": token_with()}, 86400),
        ({}, 86400),
    ],
)
def test_the_life_of_a_token_is_read_under_any_name(stub, fields, seconds):
    stub.post(f"{BASE}/auth/v1/auth/refresh_token", json={"jwt": "t", "refreshToken": "r"} | fields)
    assert uspacy.refresh(BASE, DOMAIN, "x").expires_in == pytest.approx(seconds, abs=60)


def test_the_life_of_a_token_is_read_from_itself_where_nothing_else_tells(stub):
    token = token_with(exp=int(time.time()) + 7200)
    stub.post(f"{BASE}/auth/v1/auth/refresh_token", json={"jwt": token, "refreshToken": "r"})
    assert uspacy.refresh(BASE, DOMAIN, "x").expires_in == pytest.approx(7200, abs=60)


def test_a_refresh_token_that_is_not_replaced_stays(stub):
    stub.post(f"{BASE}/auth/v1/auth/refresh_token", json={"jwt": "t"})
    assert uspacy.refresh(BASE, DOMAIN, "old-refresh").refresh_token == "old-refresh"


@pytest.mark.parametrize("body", [{}, [], {"jwt": ""}, {"jwt": None}, {"jwt": 5}, {"data": {}}])
def test_success_without_a_token_is_a_failure(stub, body):
    stub.post(f"{BASE}/auth/v1/auth/refresh_token", json=body)
    with pytest.raises(http.ServerFault):
        uspacy.refresh(BASE, DOMAIN, "x")


@pytest.mark.parametrize(
    ("status", "error"), [(401, http.Unauthorized), (403, http.Refused), (500, http.ServerFault)]
)
def test_a_refused_refresh_says_why(stub, status, error):
    body = {"errors": {"token": ["The token is invalid."]}, "status": False}
    stub.post(f"{BASE}/auth/v1/auth/refresh_token", json=body, status=status)
    with pytest.raises(error, match=f"^Uspacy answered with status {status}: The token is invalid.$"):
        uspacy.refresh(BASE, DOMAIN, "x")


def test_a_token_pair_does_not_show_its_tokens():
    assert repr(uspacy.TokenPair("secret-1", "secret-2", 5)) == "TokenPair(expires_in=5)"


# Errors


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ('{"message": "Chat not found"}', ": Chat not found"),
        ('{"message": ["name is long", "icon is no URL"], "error": "Bad"}', ": name is long icon is no URL"),
        ('{"errors": {"name": ["Taken."], "text": "No."}, "status": true}', ": Taken. No."),
        ('{"status": 400, "error": "Bad field"}', ": Bad field"),
        ("Provide portal domain", ": Provide portal domain"),
        ('"plain"', ": plain"),
        ("  <html>gateway</html>", "."),
        ("", "."),
        ("{}", "."),
        ("null", "."),
        ('{"message": {"a": {"b": {"c": {"d": "too deep"}}}}}', "."),
        ('{"message": "line\\none\\ttwo"}', ": line one two"),
    ],
)
def test_the_reason_of_a_refusal_is_one_sentence(stub, client, body, reason):
    stub.get(f"{BASE}/messenger/v1/external-lines", body=body, status=400)
    with pytest.raises(http.Refused) as caught:
        client.list_lines()
    assert (str(caught.value), caught.value.code) == (f"Uspacy answered with status 400{reason}", "400")


def test_a_long_reason_is_cut(stub, client):
    stub.get(f"{BASE}/messenger/v1/external-lines", json={"message": "x" * 5000}, status=400)
    with pytest.raises(http.Refused) as caught:
        client.list_lines()
    assert str(caught.value).count("x") == 500


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (403, http.Refused),
        (404, http.Refused),
        (422, http.Refused),
        (429, http.Throttled),
        (502, http.ServerFault),
    ],
)
def test_each_status_has_its_error(stub, client, status, error):
    stub.get(f"{BASE}/messenger/v1/external-lines", json={}, status=status, headers={"Retry-After": "9"})
    with pytest.raises(error) as caught:
        client.list_lines()
    assert caught.value.retry_after == 9


DUPLICATE = "E11000 duplicate key error collection: messenger.messages index: id_1 dup key"


@pytest.mark.parametrize("status", [400, 409, 422, 500])
def test_a_duplicate_key_is_told_apart_whatever_its_status(stub, client, status):
    stub.post(f"{BASE}/messenger/v1/messages", json={"message": DUPLICATE}, status=status)
    with pytest.raises(DuplicateMessage) as caught:
        client.create_message(id="m", line_id="l", chat_id="c", text="Hi", external_id="e")
    assert not caught.value.retryable


def test_duplicates_do_not_shut_the_gate(stub, client):
    stub.post(f"{BASE}/messenger/v1/chats", json={"message": DUPLICATE}, status=500)
    for _ in range(5):
        with pytest.raises(DuplicateMessage):
            client.create_chat(id="c", name="n", line_id="l", picture_url="", meta=[])
    assert gate.gate_for(DOMAIN).delay() == 0


def test_a_success_that_quotes_a_duplicate_key_is_a_success(stub, client):
    stub.post(f"{BASE}/messenger/v1/messages", json={"message": DUPLICATE}, status=201)
    client.create_message(id="m", line_id="l", chat_id="c", text=DUPLICATE, external_id="e")
    assert len(stub.calls) == 1


def test_a_message_that_is_no_string_is_no_duplicate(stub, client):
    stub.post(f"{BASE}/messenger/v1/messages", json={"message": [DUPLICATE]}, status=400)
    with pytest.raises(http.Refused):
        client.create_message(id="m", line_id="l", chat_id="c", text="Hi", external_id="e")


# Isolation


def test_portals_on_one_stand_in_have_a_gate_each(stub):
    base = "https://stand-in.example/uspacy"
    stub.get(f"{base}/a.uspacy.ua/messenger/v1/external-lines", status=503)
    stub.get(f"{base}/b.uspacy.ua/messenger/v1/external-lines", json=[])
    first = UspacyClient(f"{base}/a.uspacy.ua", "a.uspacy.ua", "t")
    with pytest.raises(http.ServerFault):
        first.list_lines()
    with pytest.raises(http.Busy):
        first.list_lines()
    assert UspacyClient(f"{base}/b.uspacy.ua", "b.uspacy.ua", "t").list_lines() == []


def test_files_that_fail_do_not_hold_back_messages(stub, client):
    stub.get(f"{BASE}/files/v1/files/9", status=503)
    stub.get(f"{BASE}/messenger/v1/external-lines", json=[])
    with pytest.raises(http.ServerFault):
        client.get_file("9")
    with pytest.raises(http.Busy):
        client.download_file(f"{BASE}/f/1", io.BytesIO(), max_bytes=5)
    assert client.list_lines() == []


def test_a_renewal_and_a_sign_in_share_the_portals_gate(stub):
    stub.post(f"{BASE}/auth/v1/auth/refresh_token", status=500)
    with pytest.raises(http.ServerFault):
        uspacy.refresh(BASE, DOMAIN, "x")
    with pytest.raises(http.Busy):
        uspacy.app_sign_in(BASE, DOMAIN, "id", "secret")
