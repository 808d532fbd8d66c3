"""Logs are one JSON object a line, with the request's id in each and a secret in none."""

import io
import json
import logging
import re
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import jwt
import pytest
import requests
import structlog
from django.test import Client

from config.logs import MASK, mask
from messaging import services as messaging_services
from messaging.models import Attachment, Delivery, Message, WebhookEvent
from messaging.transfer import attachment_url
from portals import services
from portals.http import RemoteError
from portals.models import Portal
from portals.services import NeedsReinstall
from tests.simulators import Partner, World
from tests.simulators.uspacy.tokens import integration_jwt
from tests.toy import Messenger

TOKEN = jwt.encode({"domain": "acme.uspacy.ua"}, "a-secret-of-the-tests-0123456789-abcdef", "HS256")
WHSEC = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODk="
TELEGRAM = "123456789:AAF-" + "x" * 31
VIBER = "4453b6ac1dbbeb7c-6ad4d7d1bb4b6a3e-a84a1ab4a5b54a54"
META = "EAAG" + "m0PX4ZCpsBAKHZA" * 4

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines() -> Iterator[Lines]:
    """What was written to the log since, as objects."""
    [console] = [
        handler
        for handler in logging.getLogger().handlers
        if isinstance(handler, logging.StreamHandler)
        and isinstance(handler.formatter, structlog.stdlib.ProcessorFormatter)
    ]
    stream = io.StringIO()
    before = console.setStream(stream)

    def read() -> list[dict[str, Any]]:
        *written, rest = stream.getvalue().split("\n")
        assert rest == ""
        return [json.loads(line) for line in written]

    yield read
    console.setStream(before)


# Secrets


@pytest.mark.parametrize(
    "name",
    [
        *("token", "refresh_token", "access_token", "TOKEN", "verify_token", "client_secret", "app_secret"),
        *("password", "Authorization", "credentials", "X-Viber-Content-Signature", "api_key", "apikey", "Cookie"),
    ],
)
@pytest.mark.parametrize(
    "value", ["text", b"bytes", ["in a list"], {"in": "an object"}, ("in a tuple",)], ids=repr
)
def test_what_is_named_a_secret_is_masked(name: str, value: Any) -> None:
    assert mask({name: value, "id": 7}) == {name: MASK, "id": 7}


@pytest.mark.parametrize("value", [None, True, 5, 1.5])
def test_a_secret_that_is_none_is_shown(value: Any) -> None:
    assert mask({"token": value}) == {"token": value}


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (TOKEN, MASK),
        (TOKEN.rpartition(".")[0] + ".", MASK),
        (f"refused {TOKEN}, sorry", f"refused {MASK}, sorry"),
        (WHSEC, MASK),
        (f"https://api.telegram.org/bot{TELEGRAM}/sendMessage", f"https://api.telegram.org/bot{MASK}/sendMessage"),
        (f"auth token {VIBER} is wrong", f"auth token {MASK} is wrong"),
        (f"Error validating {META}", f"Error validating {MASK}"),
        ("Authorization: Bearer abc.def", f"Authorization: Bearer {MASK}"),
        ("authorization: bearer abc'", f"authorization: bearer {MASK}'"),
        ("https://sns.x/?Action=Confirm&Token=2336&x=1", f"https://sns.x/?Action=Confirm&Token={MASK}&x=1"),
        ("GET /x?hub.verify_token=abc&hub.mode=y", f"GET /x?hub.verify_token={MASK}&hub.mode=y"),
        ("/oauth?client_secret=abc&grant_type=x", f"/oauth?client_secret={MASK}&grant_type=x"),
        ("redis://:p4ss@valkey:6379/0", f"redis://{MASK}@valkey:6379/0"),
        ("postgresql://user:p4ss@db/x failed", f"postgresql://{MASK}@db/x failed"),
        ("GET /media/Mw:1vX:abc_-d/price list.pdf", f"GET /media/{MASK}/price list.pdf"),
    ],
)
def test_what_looks_like_a_secret_is_masked(text: str, masked: str) -> None:
    assert mask(text) == masked
    assert mask({"reason": text}) == {"reason": masked}
    assert mask({"a": [{"b": (text, 1)}]}) == {"a": [{"b": [masked, 1]}]}
    assert text not in json.dumps(mask({"a": text.encode(), "b": {text}, "c": ValueError(text)}))


@pytest.mark.parametrize(
    "text",
    [
        "POST /webhooks/lines/0b9f2a52-6a3b-4a57-9a6e-6b8f1b1c2d3e",
        "https://acme.uspacy.ua/messenger/v1/messages",
        "token_renewal_refused",
        "2026-01-02T03:04:05.678Z",
        "65a0b1c2d3e4f5a6b7c8d9e0",
        "Uspacy answered with status 401: The refresh token is invalid",
        "support@example.com",
    ],
)
def test_what_staff_need_to_read_is_left(text: str) -> None:
    assert mask({"reason": text, "n": [1, None, True, 1.5]}) == {"reason": text, "n": [1, None, True, 1.5]}


def test_both_ways_to_log_are_masked(lines: Lines) -> None:
    structlog.get_logger("tests").warning(
        "one", reason=f"no {TOKEN}", headers={"X-Api-Key": "k"}, refresh_token="r"
    )
    logging.getLogger("tests").warning(
        "two %s %(x)s" if False else "two %s", TOKEN, extra={"secret": "s", "id": 5}
    )
    one, two = lines()
    assert (one["event"], one["reason"]) == ("one", f"no {MASK}")
    assert (one["headers"], one["refresh_token"]) == ({"X-Api-Key": MASK}, MASK)
    assert (two["event"], two["secret"], two["id"]) == (f"two {MASK}", MASK, 5)


def test_a_traceback_is_masked(lines: Lines) -> None:
    try:
        raise ValueError(f"cannot use {TOKEN}")
    except ValueError:
        structlog.get_logger("tests").exception("failed")
    [line] = lines()
    assert f"ValueError: cannot use {MASK}" in line["exception"]
    assert TOKEN not in json.dumps(line)


# Form


def test_a_line_is_one_json_object_whatever_is_in_it(lines: Lines) -> None:
    thing = SimpleNamespace(a=1)
    number = uuid.uuid4()
    structlog.get_logger("tests").info(
        "two\nlines", at=datetime(2026, 1, 2, tzinfo=UTC), id=number, thing=thing, keys={1: "a", ("b", 2): "c"}
    )
    logging.getLogger("tests").error("\r\n\u2028{%s}", "Привіт \ud800", extra={"thing": {thing.a}})
    one, two = lines()
    assert one["event"] == "two\nlines"
    assert str(number) in one["id"]
    assert "2026" in one["at"]
    assert one["keys"] == {"1": "a", "('b', 2)": "c"}
    assert two["event"].startswith("\r\n\u2028{Привіт")
    for line in (one, two):
        assert line["logger"] == "tests"
        assert line["level"] in ("info", "error")
        assert datetime.fromisoformat(line["timestamp"]).tzinfo is not None


def test_what_is_below_the_level_is_not_written(lines: Lines) -> None:
    structlog.get_logger("tests").debug("a detail")
    logging.getLogger("tests").debug("a detail")
    assert lines() == []


# Requests


@pytest.mark.django_db
def test_a_request_is_one_line_with_its_id(client: Client, lines: Lines) -> None:
    for _request in range(2):
        client.get("/api/channels/?page=2")
    first, second = (line for line in lines() if line["event"] == "request_finished")
    assert (first["level"], first["request"], first["code"]) == ("warning", "GET /api/channels/", 401)
    assert uuid.UUID(first["request_id"]) != uuid.UUID(second["request_id"])


@pytest.mark.parametrize(
    ("headers", "address"),
    [({}, "127.0.0.1"), ({"X-Forwarded-For": "6.6.6.6, 203.0.113.7"}, "203.0.113.7")],
    ids=["directly", "through a load balancer"],
)
def test_a_request_is_logged_with_its_callers_address(
    client: Client, lines: Lines, headers: dict[str, str], address: str
) -> None:
    client.get("/health/live", headers=headers)
    assert lines()[-1]["ip"] == address


@pytest.mark.django_db
def test_a_request_is_logged_with_who_made_it(
    client: Client, admin_client: Client, settings: Any, lines: Lines
) -> None:
    portal = Portal.objects.create(domain="acme.uspacy.ua")
    token = integration_jwt(portal.domain, settings.USPACY_CLIENT_SECRETS[0])
    client.get("/api/lines/", headers={"Authorization": f"Bearer {token}"})
    admin_client.get("/admin/")
    admin_client.get("/health/live")  # asks for nobody
    staff = int(admin_client.session["_auth_user_id"])
    assert [line["user_id"] for line in lines()] == [portal.pk, staff, None]


@pytest.mark.django_db
def test_what_is_logged_during_a_request_has_its_id(client: Client, lines: Lines) -> None:
    client.delete("/portals/uninstall", headers={"Authorization": f"Bearer {TOKEN}"})
    events = {line["event"]: line for line in lines()}
    assert events["callback_refused"]["request_id"] == events["request_finished"]["request_id"]
    structlog.get_logger("tests").info("afterwards")
    assert "request_id" not in lines()[-1]


def test_a_successful_request_is_a_single_line(client: Client, lines: Lines) -> None:
    client.get("/health/live")
    [line] = lines()
    assert (line["event"], line["request"], line["code"]) == ("request_finished", "GET /health/live", 200)


def finished(lines: list[dict[str, Any]]) -> list[tuple[str, str, int]]:
    """The lines of requests: level, request and status."""
    return [
        (line["level"], line["request"], line["code"]) for line in lines if line["event"] == "request_finished"
    ]


@pytest.mark.django_db(transaction=True)
def test_a_notification_whose_event_is_stored_has_a_line_for_debugging_only(
    client: Client, world: World, lines: Lines, caplog: pytest.LogCaptureFixture
) -> None:
    def post(envelope: dict[str, Any]) -> list[tuple[str, str, int]]:
        before = len(lines())
        client.post("/webhooks/uspacy", envelope, "application/json")
        return finished(lines()[before:])

    envelope = world.sns.envelope({"event": "of no interest"})
    assert post(envelope) == []
    assert WebhookEvent.objects.get().key == envelope["MessageId"]
    assert post(envelope) == [("info", "POST /webhooks/uspacy", 200)]  # it is here already
    assert post(envelope | {"Message": "forged"}) == [("warning", "POST /webhooks/uspacy", 403)]
    with caplog.at_level("DEBUG"):
        assert post(world.sns.envelope({})) == [("debug", "POST /webhooks/uspacy", 200)]


@pytest.mark.django_db(transaction=True)
def test_a_messengers_call_of_which_nothing_is_stored_has_a_line(toy: Messenger, lines: Lines) -> None:
    assert toy.line
    request = f"POST /webhooks/lines/{toy.line.key}"
    toy.writes("Hello")
    assert finished(lines()) == []
    toy.call({"key": next(iter(toy.events))})  # again
    assert finished(lines()) == [("info", request, 202)]
    toy.call({})  # of something that does not concern us
    assert finished(lines()) == [("info", request, 202)] * 2
    assert WebhookEvent.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_any_other_post_that_succeeds_has_a_line(world: World, lines: Lines) -> None:
    world.uspacy.create_portal("acme.uspacy.ua")
    world.uspacy.install("acme.uspacy.ua")
    assert finished(lines()) == [("info", "POST /portals/install", 200)]


@pytest.mark.django_db
def test_a_fault_of_ours_is_logged_with_its_traceback_and_id(settings: Any, lines: Lines) -> None:
    settings.FIELD_ENCRYPTION_KEYS = ["not-a-key"]
    Portal.objects.create(domain="acme.uspacy.ua")
    secret = settings.USPACY_CLIENT_SECRETS[0]
    token = jwt.encode({"exp": 4_000_000_000}, secret, "HS256", {"domain": "acme.uspacy.ua"})
    body = {"token": token, "refresh_token": "refresh-secret-1", "expiry_date": 4_000_000_000}
    client = Client(raise_request_exception=False)
    assert client.post("/portals/install", body, "application/json").status_code == 500
    failed, finished = lines()
    assert "Fernet key must be" in failed["exception"]
    assert (finished["event"], finished["level"], finished["code"]) == ("request_finished", "error", 500)
    assert uuid.UUID(failed["request_id"]) == uuid.UUID(finished["request_id"])
    written = json.dumps(lines())
    assert token not in written
    assert "refresh-secret-1" not in written


# A whole life

JSON_WEB_TOKEN = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]*")
WEBHOOK_SECRET = re.compile(r"whsec_[\w+/=-]+")


@contextmanager
def every_record() -> Iterator[list[str]]:
    """All that any logger is told, of any level, before and after it is masked and formatted."""
    root = logging.getLogger()
    [formatter] = [
        handler.formatter
        for handler in root.handlers
        if isinstance(handler.formatter, structlog.stdlib.ProcessorFormatter)
    ]
    records: list[str] = []
    lock = threading.Lock()

    class Everything(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            with lock:
                records.append(f"{vars(record)!r} {record.getMessage()}")
                records.append(formatter.format(record))

    handler, level = Everything(), root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield records
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


@pytest.mark.django_db(transaction=True)
def test_no_logger_is_ever_told_a_secret(
    world: World,
    portal: Portal,
    deliver: Callable[[], None],
    pass_time: Callable[..., None],
    settings: Any,
) -> None:
    secrets = {settings.USPACY_CLIENT_SECRETS[0], portal.token, portal.refresh_token}
    with every_record() as records:
        _live(world, portal, deliver, pass_time, secrets)
    assert len(records) > 100
    told = "\n".join(records)
    assert "portal_needs_reinstall" in told
    assert "callback_refused" in told
    assert "delivery_attempted" in told
    for secret in secrets:
        assert secret not in told
    assert JSON_WEB_TOKEN.findall(told) == []
    assert WEBHOOK_SECRET.findall(told) == []


def _live(
    world: World, portal: Portal, deliver: Callable[[], None], pass_time: Callable[..., None], secrets: set[str]
) -> None:
    """Go through everything that handles a secret, well and badly."""
    simulated = world.uspacy.portals[portal.domain]
    partner: Partner = world.add_messenger("shop", "Shop chat")
    line = world.connect_line(portal.domain, partner, "Shop")
    secrets.add(line["secret"])
    ann = partner.add_customer("Ann")
    partner.write(ann, "Hello", files=[("a.png", b"picture")], wait=True)
    deliver()
    [chat_id] = simulated.chats
    world.uspacy.operator_writes(portal.domain, chat_id, "Hi", files=[("prices.pdf", b"%PDF-1.4")])
    world.settle()
    deliver()
    attachment = Attachment.objects.filter(message__direction=Message.Direction.OUTBOUND).get()
    assert requests.get(attachment_url(attachment), timeout=10).status_code == 200
    # Calls that are refused
    forged = jwt.encode({"domain": portal.domain}, "another-secret-0123456789-0123456789", "HS256")
    secrets.add(forged)
    for method, path in (("POST", "install"), ("DELETE", "uninstall")):
        requests.request(
            method,
            f"{world.app_url}/portals/{path}",
            headers={"Authorization": f"Bearer {forged}"},
            json={"token": forged, "refresh_token": forged, "expiry_date": "soon"},
            timeout=10,
        )
    requests.get(f"{world.app_url}/api/lines/", headers={"Authorization": f"Bearer {forged}"}, timeout=10)
    partner.refuse(status=401, times=1)
    world.uspacy.operator_writes(portal.domain, chat_id, "refused")
    world.settle()
    deliver()
    pass_time()
    deliver()
    # Renewals: on a 401, by signing in, refused, and a new installation
    simulated.expire_access_tokens()
    services.get_client(portal).list_lines()
    simulated.revoke_refresh_tokens()
    secrets.update(Portal.objects.values_list("token", flat=True))
    services.refresh_tokens(portal.pk)
    world.faults.add("/refresh_token$", "cut")
    with pytest.raises(RemoteError):
        services.refresh_tokens(portal.pk)
    pass_time()
    simulated.revoke_refresh_tokens()
    simulated.sign_in_allowed = False
    with pytest.raises(NeedsReinstall):
        services.refresh_tokens(portal.pk)
    world.uspacy.install(portal.domain)
    messaging_services.requeue(Delivery.objects.latest("pk"))
    world.uspacy.uninstall(portal.domain)
