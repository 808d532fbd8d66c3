"""The portal-facing API, row by row: who may call, what is answered, and what never is."""

import base64
import json
import re
import time
import uuid
from datetime import UTC, datetime, timedelta

import jwt
import pytest
import time_machine
from django.core.cache import cache
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from externallines.models import ExternalLine
from messaging.models import Attachment, Chat, Message
from portals import services
from portals.models import Portal

pytestmark = pytest.mark.django_db

SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
KEY_IN_URL = "a-key-of-the-partners"
HOOK = f"https://partner.example.com/hook?key={KEY_IN_URL}"
DOMAIN, OTHER_DOMAIN = "acme.uspacy.ua", "other.uspacy.com"
UNKNOWN = uuid.UUID("00000000-0000-4000-8000-000000000000")
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _fresh_throttles():
    cache.clear()


@pytest.fixture(autouse=True)
def _nothing_to_call(settings):
    settings.USPACY_API_URL = "http://127.0.0.1:1/{domain}"  # nobody listens there


@pytest.fixture
def token(settings):
    """Make an integration token; claims and header can be changed, None leaves one out."""

    def make(domain=DOMAIN, *, key=None, algorithm="HS256", **claims):
        now = int(time.time())
        claims = {"iat": now, "nbf": now, "exp": now + 600, **claims}
        present = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(present, key or settings.USPACY_CLIENT_SECRETS[0], algorithm, headers={"domain": domain})

    return make


@pytest.fixture
def api(client, token):
    """Call the API as a portal; `authorization` replaces the portal's own header."""

    def call(
        method, path, body=None, *, domain=DOMAIN, authorization=None, raw=None, content_type=None, **headers
    ):
        if authorization is None:
            authorization = f"Bearer {token(domain)}"
        if authorization:
            headers["Authorization"] = authorization
        data = raw if raw is not None else b"" if body is None else json.dumps(body)
        return client.generic(
            method, f"/api/{path}", data, content_type=content_type or "application/json", headers=headers
        )

    return call


def install(domain):
    return services.install(
        domain=domain, token="t", refresh_token="r", expires_at=datetime.now(UTC) + timedelta(hours=6)
    )


@pytest.fixture
def portal():
    return install(DOMAIN)


@pytest.fixture
def other():
    return install(OTHER_DOMAIN)


def make_line(portal, name="Shop", **fields):
    number = ExternalLine.objects.count()
    fields = {"external_id": f"account-{number}", "uspacy_id": f"uspacy-{number}", "status": "active", **fields}
    credentials = {"url": HOOK, "secret": SECRET, "secret_is_ours": True}
    return ExternalLine.objects.create(
        portal=portal, channel="webhook", name=name, credentials=credentials, **fields
    )


def make_chat(line, **fields):
    number = Chat.objects.count()
    fields = {"external_id": f"conv-{number}", "uspacy_id": uuid.uuid4(), "last_message_at": NOON, **fields}
    return Chat.objects.create(line=line, **fields)


def make_message(chat, **fields):
    fields = {"direction": "in", "uspacy_id": uuid.uuid4(), "external_id": f"m-{uuid.uuid4()}", **fields}
    return Message.objects.create(chat=chat, **fields)


@pytest.fixture
def line(portal):
    return make_line(portal)


@pytest.fixture
def chat(line):
    return make_chat(line)


GOOD = {"channel": "webhook", "name": "Shop", "credentials": {"url": HOOK}}
ENDPOINTS = [
    ("GET", "channels/", None),
    ("GET", "lines/", None),
    ("POST", "lines/", GOOD),
    ("GET", "lines/{line}/", None),
    ("PATCH", "lines/{line}/", {"credentials": {"url": HOOK}}),
    ("POST", "lines/{line}/reconnect/", None),
    ("DELETE", "lines/{line}/", None),
    ("GET", "chats/", None),
    ("GET", "chats/?line={line}", None),
    ("GET", "chats/{chat}/messages/", None),
]
every_endpoint = pytest.mark.parametrize(
    ("method", "path", "body"), ENDPOINTS, ids=[f"{method} {path}" for method, path, _ in ENDPOINTS]
)


def is_error(answer):
    """Whether it has the one shape of errors, with sentences inside."""
    body = answer.json()

    def sentences(value):
        if isinstance(value, dict):
            return all(sentences(item) for item in value.values())
        return isinstance(value, list) and bool(value) and all(isinstance(item, str) and item for item in value)

    return (
        set(body) == {"errors", "status"}
        and body["status"] is False
        and isinstance(body["errors"], dict)
        and bool(body["errors"])
        and sentences(body["errors"])
    )


# Who may call


@every_endpoint
def test_a_portal_may_call_with_its_token(api, line, chat, method, path, body):
    assert api(method, path.format(line=line.key, chat=chat.uspacy_id), body).status_code in (200, 201, 204)


@every_endpoint
def test_nobody_may_call_without_a_valid_token(api, token, line, chat, method, path, body, settings):
    user_claims = {"user_id": 7, "email": "ann@example.com", "domain": DOMAIN}
    headers = {
        "none": "",
        "an empty one": "Bearer",
        "another scheme": f"Token {token()}",
        "garbage": "Bearer garbage",
        "not text": "Bearer \xff\xfe",
        "expired": f"Bearer {token(exp=int(time.time()) - 61)}",
        "not yet valid": f"Bearer {token(nbf=int(time.time()) + 120)}",
        "without an end": f"Bearer {token(exp=None)}",
        "of a stranger": f"Bearer {token(key='a-key-of-somebody-else-0123456789')}",
        "of a user": f"Bearer {token(key='the-key-of-uspacy-for-its-users-01', **user_claims)}",
        "another algorithm": f"Bearer {token(algorithm='HS512', key=settings.USPACY_CLIENT_SECRETS[0] * 2)}",
        "unsigned": f"Bearer {jwt.encode({'exp': time.time() + 60}, None, 'none', headers={'domain': DOMAIN})}",
        "of no Uspacy portal": f"Bearer {token('acme.example.com')}",
        "of a portal that never installed": f"Bearer {token('stranger.uspacy.ua')}",
    }
    path = path.format(line=line.key, chat=chat.uspacy_id)
    answers = {name: api(method, path, body, authorization=header) for name, header in headers.items()}
    assert {name: answer.status_code for name, answer in answers.items()} == dict.fromkeys(headers, 401)
    assert all(is_error(answer) for answer in answers.values())
    assert {answer.headers["WWW-Authenticate"] for answer in answers.values()} == {"Bearer"}
    assert ExternalLine.objects.get().status == "active"


@every_endpoint
def test_an_uninstalled_portal_may_not_call(api, line, chat, method, path, body):
    services.uninstall(domain=DOMAIN)
    answer = api(method, path.format(line=line.key, chat=chat.uspacy_id), body)
    assert answer.status_code == 401
    assert answer.json() == {"errors": {"text": ["The app is not installed on this portal."]}, "status": False}


def test_a_portal_that_has_to_be_installed_again_may_call(api, line):
    Portal.objects.update(status=Portal.Status.NEEDS_REINSTALL)
    assert api("GET", "lines/").status_code == 200


def test_any_of_our_client_secrets_verifies(api, token, line, settings):
    settings.USPACY_CLIENT_SECRETS = ["a-new-client-secret-0123456789abcdef", *settings.USPACY_CLIENT_SECRETS]
    assert api("GET", "lines/", authorization=f"Bearer {token(key=settings.USPACY_CLIENT_SECRETS[1])}").json()
    assert api("GET", "lines/").status_code == 200


# What another portal may see


@every_endpoint
def test_one_portal_never_reaches_what_is_anothers(api, other, line, chat, method, path, body):
    make_message(chat, text="between us")
    before = ExternalLine.objects.values().get()
    answer = api(method, path.format(line=line.key, chat=chat.uspacy_id), body, domain=OTHER_DOMAIN)
    if "{" in path and "?" not in path:
        unknown = api(method, path.format(line=UNKNOWN, chat=UNKNOWN), body, domain=OTHER_DOMAIN)
        assert (answer.status_code, answer.content) == (404, unknown.content)
        assert is_error(answer)
    elif method == "GET" and path != "channels/":
        assert answer.json() == {"next": None, "previous": None, "results": []}
    for private in (str(line.key), str(chat.uspacy_id), line.uspacy_id, "between us"):
        assert private not in answer.content.decode()
    assert ExternalLine.objects.filter(portal__domain=DOMAIN).values().get() == before


def test_a_list_has_only_what_is_the_portals_own(api, portal, other):
    mine, theirs = make_line(portal), make_line(other)
    my_chat, their_chat = make_chat(mine), make_chat(theirs)
    make_message(my_chat, text="mine")
    make_message(their_chat, text="theirs")
    assert [row["id"] for row in api("GET", "lines/").json()["results"]] == [str(mine.key)]
    assert [row["id"] for row in api("GET", "chats/").json()["results"]] == [str(my_chat.uspacy_id)]
    messages = api("GET", f"chats/{my_chat.uspacy_id}/messages/").json()["results"]
    assert [row["text"] for row in messages] == ["mine"]


# How errors look


@pytest.mark.parametrize(
    ("method", "path", "request_", "status", "field"),
    [
        ("POST", "lines/", {"body": {}}, 400, "channel"),
        ("POST", "lines/", {"body": {**GOOD, "channel": "pigeon"}}, 400, "channel"),
        ("POST", "lines/", {"body": {**GOOD, "channel": None}}, 400, "channel"),
        ("POST", "lines/", {"body": {**GOOD, "name": ""}}, 400, "name"),
        ("POST", "lines/", {"body": {**GOOD, "name": "x" * 256}}, 400, "name"),
        ("POST", "lines/", {"body": {**GOOD, "name": ["Shop"]}}, 400, "name"),
        ("POST", "lines/", {"body": {**GOOD, "icon": "javascript:alert(1)"}}, 400, "icon"),
        ("POST", "lines/", {"body": {**GOOD, "phone_number": "1" * 65}}, 400, "phone_number"),
        ("POST", "lines/", {"body": {**GOOD, "credentials": "x"}}, 400, "credentials"),
        ("POST", "lines/", {"body": {**GOOD, "credentials": {"\ud800\x00": "x"}}}, 400, "credentials"),
        ("POST", "lines/", {"body": {**GOOD, "credentials": {"url": {"deep": 1}}}}, 400, "credentials"),
        ("POST", "lines/", {"body": {**GOOD, "credentials": {"\ud800": {"deep": 1}}}}, 400, "credentials"),
        ("POST", "lines/", {"body": []}, 400, "text"),
        ("POST", "lines/", {"raw": b"{"}, 400, "text"),
        ("POST", "lines/", {"raw": b"\xff"}, 400, "text"),
        ("POST", "lines/", {"raw": b"NaN"}, 400, "text"),
        ("POST", "lines/", {"raw": b"[" * 100_000}, 400, "text"),
        ("POST", "lines/", {"raw": b"x=1", "content_type": "application/x-www-form-urlencoded"}, 415, "text"),
        ("PATCH", "lines/{line}/", {"body": {"name": ""}}, 400, "name"),
        ("PATCH", "lines/{line}/", {"body": {"credentials": {"secret": "x"}}}, 400, "credentials"),
        ("PATCH", "lines/{line}/", {"body": {"credentials": {"token": "x"}}}, 400, "credentials"),
        ("PATCH", "lines/{line}/", {"body": {"name": "New name"}}, 502, "text"),
        ("PUT", "lines/{line}/", {"body": GOOD}, 405, "text"),
        ("DELETE", "lines/", {}, 405, "text"),
        ("POST", "chats/", {"body": {}}, 405, "text"),
        ("GET", f"lines/{UNKNOWN}/", {}, 404, "text"),
        ("GET", f"chats/{UNKNOWN}/messages/", {}, 404, "text"),
        ("GET", "lines/not-an-id/", {}, 404, "text"),
        ("GET", "nothing/", {}, 404, "text"),
        ("GET", "chats/?line=1", {}, 400, "line"),
        ("GET", "chats/?line=%00", {}, 400, "line"),
        ("GET", "lines/", {"Accept": "text/html"}, 406, "text"),
    ],
)
def test_every_error_has_one_shape(api, line, method, path, request_, status, field):
    answer = api(method, path.format(line=line.key), **request_)
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/json"
    assert is_error(answer)
    assert field in answer.json()["errors"]


def test_who_calls_too_often_is_told_when_to_come_again(api, portal, other):
    statuses = [api("GET", "channels/").status_code for _ in range(300)]
    assert set(statuses) == {200}
    answer = api("GET", "lines/")
    assert answer.status_code == 429
    assert is_error(answer)
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
    assert api("GET", "lines/", domain=OTHER_DOMAIN).status_code == 200
    with time_machine.travel(datetime.now(UTC) + timedelta(seconds=61)):
        assert api("GET", "lines/").status_code == 200


def test_strangers_do_not_use_up_a_portals_calls(api, portal, token):
    stranger = f"Bearer {token(key='a-key-of-somebody-else-0123456789')}"
    assert {api("GET", "lines/", authorization=stranger).status_code for _ in range(301)} == {401}
    assert api("GET", "lines/").status_code == 200


# How paths look


@every_endpoint
def test_the_slash_at_the_end_is_optional(api, line, chat, method, path, body):
    path = path.format(line=line.key, chat=chat.uspacy_id)
    bare = path.replace("/?", "?").removesuffix("/")
    assert bare != path
    assert api(method, bare, body).status_code in (200, 201, 204)


# Channels


def test_the_channels_tell_what_they_need(api, portal):
    page = api("GET", "channels/").json()
    assert (page["next"], page["previous"]) == (None, None)
    [channel] = [channel for channel in page["results"] if channel["channel"] == "webhook"]
    assert channel == {
        "channel": "webhook",
        "label": "Webhook",
        "credential_fields": [
            {
                "name": "url",
                "label": "URL",
                "help_text": "Where we send operators' messages: an https address of your service.",
                "required": True,
                "secret": False,
            },
            {
                "name": "secret",
                "label": "Secret",
                "help_text": "Signs the calls in both directions. Leave it empty and we make one; "
                "it is shown once.",
                "required": False,
                "secret": True,
            },
        ],
    }


# Lines


def test_a_line_has_these_fields(api, line, settings):
    shown = {
        "id": str(line.key),
        "status": "active",
        "error": "",
        "warning": "",
        "channel": "webhook",
        "name": "Shop",
        "icon": "",
        "phone_number": "",
        "external_id": "account-0",
        "uspacy_id": "uspacy-0",
        "webhook_url": f"{settings.PUBLIC_URL}/webhooks/lines/{line.key}",
        "created_at": line.created_at.isoformat().replace("+00:00", "Z"),
    }
    assert api("GET", f"lines/{line.key}/").json() == shown
    assert api("GET", "lines/").json() == {"next": None, "previous": None, "results": [shown]}
    assert api("PATCH", f"lines/{line.key}/", {"credentials": {"secret": SECRET}}).json() == shown


def test_an_empty_change_changes_nothing(api, line):
    before = ExternalLine.objects.values().get()
    assert api("PATCH", f"lines/{line.key}/", {}).status_code == 200
    assert api("PATCH", f"lines/{line.key}/", {"id": str(UNKNOWN), "status": "error"}).status_code == 200
    assert ExternalLine.objects.values().get() == before


def test_a_secret_is_shown_once_and_only_if_we_made_it(api, portal):
    made = api("POST", "lines/", GOOD)
    chosen = api(
        "POST", "lines/", {**GOOD, "credentials": {"url": "https://partner.example.com/b", "secret": SECRET}}
    )
    assert made.status_code == chosen.status_code == 201
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", made.json()["secret"])
    assert "secret" not in chosen.json()
    line = made.json()["id"]
    for method, path, body in (
        ("GET", f"lines/{line}/", None),
        ("POST", f"lines/{line}/reconnect/", None),
        ("PATCH", f"lines/{line}/", {"credentials": {"url": HOOK}}),
    ):
        assert "secret" not in api(method, path, body).json()


def test_no_answer_holds_credentials(api, portal, other, caplog):
    caplog.set_level("DEBUG")
    answers = [api("POST", "lines/", {**GOOD, "credentials": {"url": HOOK, "secret": SECRET}})]
    line = ExternalLine.objects.get()
    chat = make_chat(line)
    make_message(chat)
    for domain in (DOMAIN, OTHER_DOMAIN):
        for method, path, body in ENDPOINTS:
            answers.append(api(method, path.format(line=line.key, chat=chat.uspacy_id), body, domain=domain))
    credentials = {"url": HOOK, "secret": SECRET}
    for broken in ({"url": ""}, {"secret": f"{SECRET}x"}, {"token": SECRET}, {"url": f"x{HOOK}"}):
        answers.append(api("POST", "lines/", {**GOOD, "credentials": {**credentials, **broken}}))
        answers.append(api("PATCH", f"lines/{line.key}/", {"credentials": {**credentials, **broken}}))
    assert {answer.status_code for answer in answers} == {200, 201, 204, 400, 404, 409}
    shown = [answer.content.decode() for answer in answers]
    assert [text for text in (*shown, caplog.text) if KEY_IN_URL in text or SECRET in text] == []
    assert [text for text in shown if '"credentials":' in text and '"errors":' not in text] == []


def test_credentials_are_encrypted_in_the_database(api, portal):
    api("POST", "lines/", {**GOOD, "credentials": {"url": HOOK, "secret": SECRET}})
    with connection.cursor() as cursor:
        cursor.execute("SELECT row_to_json(externallines_externalline)::text FROM externallines_externalline")
        [[row]] = cursor.fetchall()
    assert SECRET not in row
    assert KEY_IN_URL not in row
    assert ExternalLine.objects.get().credentials["secret"] == SECRET


# Chats and messages


def test_a_chat_has_these_fields(api, line):
    chat = make_chat(
        line,
        name="Ann",
        picture_url="https://partner.example.com/ann.jpg",
        meta=[{"type": "phone", "value": "+380501112233"}],
    )
    assert api("GET", "chats/").json()["results"] == [
        {
            "id": str(chat.uspacy_id),
            "line": str(line.key),
            "external_id": "conv-0",
            "name": "Ann",
            "picture_url": "https://partner.example.com/ann.jpg",
            "meta": [{"type": "phone", "value": "+380501112233"}],
            "blocked": False,
            "last_message_at": "2026-11-22T12:00:00Z",
        }
    ]


def test_chats_are_filtered_by_line(api, portal):
    first, second = make_line(portal), make_line(portal)
    make_chat(first, name="first")
    make_chat(second, name="second")

    def names(path):
        return [row["name"] for row in api("GET", path).json()["results"]]

    assert names("chats/") == ["second", "first"]
    assert names(f"chats/?line={first.key}") == ["first"]
    assert names(f"chats/?line={str(second.key).upper().replace('-', '')}") == ["second"]
    assert names(f"chats/?line={UNKNOWN}") == []


def test_a_message_has_these_fields(api, chat):
    message = make_message(
        chat,
        direction="out",
        external_id="p-1",
        text="**Hi**",
        status="failed",
        error="The customer has blocked the business.",
        sent_at=NOON,
        edited_at=NOON + timedelta(minutes=1),
    )
    Attachment.objects.create(
        message=message,
        name="a.png",
        mime_type="image/png",
        size=7,
        kind="image",
        source={"url": "https://hidden"},
    )
    answer = api("GET", f"chats/{chat.uspacy_id}/messages/")
    assert answer.json()["results"] == [
        {
            "id": str(message.uspacy_id),
            "chat": str(chat.uspacy_id),
            "direction": "out",
            "type": "MESSAGE",
            "text": "**Hi**",
            "status": "failed",
            "error": "The customer has blocked the business.",
            "external_id": "p-1",
            "sent_at": "2026-11-22T12:00:00Z",
            "edited_at": "2026-11-22T12:01:00Z",
            "deleted_at": None,
            "attachments": [{"name": "a.png", "mime_type": "image/png", "size": 7, "kind": "image", "error": ""}],
        }
    ]
    assert "hidden" not in answer.content.decode()


# Pages


def fill(kind, line, chat, count):
    """Make `count` rows; return the path of their list and their ids, the newest first."""
    if kind == "lines":
        rows = [str(make_line(line.portal, f"Line {number}").key) for number in range(count)]
        return "lines/", [*reversed(rows), str(line.key)]
    if kind == "chats":
        # Many at the same moment: a page may end among them.
        moments = [NOON + timedelta(seconds=number // 40) for number in range(count)]
        rows = [str(make_chat(line, last_message_at=moment).uspacy_id) for moment in moments]
        return "chats/", [*reversed(rows), str(chat.uspacy_id)]
    messages = [make_message(chat, text=str(number)) for number in range(count)]
    for message in messages:
        Attachment.objects.create(message=message, name="a.png")
    return f"chats/{chat.uspacy_id}/messages/", [str(message.uspacy_id) for message in reversed(messages)]


every_list = pytest.mark.parametrize("kind", ["lines", "chats", "messages"])


def pages(api, path, *, then=lambda: None):
    """Follow the pages; `then` is done after each."""
    found = []
    while path:
        answer = api("GET", path)
        assert answer.status_code == 200
        page = answer.json()
        assert set(page) == {"next", "previous", "results"}
        assert len(page["results"]) <= 50
        found.append(page)
        path = page["next"] and page["next"].removeprefix("http://testserver/api/")
        then()
    return found


@every_list
def test_pages_together_have_every_row_once_the_newest_first(api, line, chat, kind):
    path, ids = fill(kind, line, chat, 120)
    found = pages(api, path)
    assert [row["id"] for page in found for row in page["results"]] == ids
    assert len(found) == 3
    assert found[0]["previous"] is None
    back = api("GET", found[1]["previous"].removeprefix("http://testserver/api/")).json()
    assert [row["id"] for row in back["results"]] == ids[:50]


@every_list
def test_what_is_new_does_not_move_the_pages(api, line, chat, kind):
    path, ids = fill(kind, line, chat, 120)

    def add():
        fill(kind, line, chat, 1) if kind != "chats" else make_chat(
            line, last_message_at=NOON + timedelta(hours=1)
        )

    found = pages(api, path, then=add)
    assert [row["id"] for page in found for row in page["results"]] == ids


@every_list
def test_a_full_page_takes_no_more_queries_than_a_short_one(api, line, chat, kind):
    path, _ = fill(kind, line, chat, 1)
    counts = []
    for more in (0, 30):
        fill(kind, line, chat, more)
        with CaptureQueriesContext(connection) as queries:
            assert len(api("GET", path).json()["results"]) > more
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 5


CURSORS = ["garbage", "\x00", "%ff", "ё", "p=abc", "p=\x00", "o=-1", "p=2026-13-01", "p=" + "9" * 30, "r=1&p=x"]


@every_list
def test_a_cursor_of_somebody_elses_making_is_refused_or_harmless(api, line, chat, kind):
    path, _ = fill(kind, line, chat, 2)
    for cursor in CURSORS:
        for given in (cursor, base64.b64encode(cursor.encode()).decode()):
            answer = api("GET", f"{path}?cursor={given}")
            assert answer.status_code == 200 or (answer.status_code == 404 and is_error(answer)), cursor


# The description of the API


def test_the_schema_is_valid_openapi_without_a_warning(tmp_path):
    call_command("spectacular", validate=True, fail_on_warn=True, file=str(tmp_path / "schema.yaml"))
    assert "integrationToken" in (tmp_path / "schema.yaml").read_text()


@pytest.fixture
def schema(client):
    answer = client.get("/api/schema/", headers={"Accept": "application/vnd.oai.openapi+json"})
    assert answer.status_code == 200
    return json.loads(answer.content)


def test_the_schema_names_every_path_and_that_a_token_is_needed(schema):
    operations = {
        (method.upper(), path): operation
        for path, item in schema["paths"].items()
        for method, operation in item.items()
    }
    # Every endpoint stands in the table above, with which its access is tested.
    names = {"line": "{id}", "chat": "{uspacy_id}"}
    assert set(operations) == {
        (method, f"/api/{path.partition('?')[0].format(**names)}") for method, path, _body in ENDPOINTS
    }
    assert {json.dumps(operation["security"]) for operation in operations.values()} == {
        '[{"integrationToken": []}]'
    }
    assert all(operation["description"] for operation in operations.values())


def test_the_schema_describes_no_answer_with_credentials(schema):
    shapes = schema["components"]["schemas"]
    answers = json.dumps(
        [operation["responses"] for item in schema["paths"].values() for operation in item.values()]
    )
    named = set(re.findall(r"#/components/schemas/(\w+)", answers))
    assert "ConnectedLine" in named
    assert not any("credentials" in shapes[name].get("properties", {}) for name in named)
    assert "secret" in shapes["ConnectedLine"]["properties"]
    assert "secret" not in shapes["Line"]["properties"]
    assert "credentials" in shapes["LineConnectRequest"]["properties"]


def test_the_documentation_comes_from_our_own_host_alone(client):
    page = client.get("/api/docs/")
    assert page.status_code == 200
    html = page.content.decode()
    links = re.findall(r"""(?:src|href|url)\s*[=:]\s*["']([^"']+)""", html)
    assert any(link.endswith("swagger-ui-bundle.js") for link in links)
    assert [link for link in links if re.match(r"(\w+:)?//", link)] == []
    assert re.findall(r"https?://(?!testserver)[\w.]+", html) == []
    for link in links:
        assert client.get(link).status_code == 200
