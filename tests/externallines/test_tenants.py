"""One portal never reaches another's lines, chats, messages or files: every path of the API, every id there is."""

import itertools
import json
import re
import time
import uuid
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from django.apps import apps
from django.core.cache import cache
from django.urls import URLPattern, URLResolver, get_resolver
from drf_spectacular.generators import SchemaGenerator

from externallines.models import ExternalLine
from messaging.models import Attachment, Chat, Delivery, Message, WebhookEvent
from portals.models import Portal
from tests.conftest import DOMAIN
from tests.simulators import Partner, World
from tests.simulators.partner_events import iso_now

pytestmark = pytest.mark.django_db

VICTIM, ATTACKER = "victim.uspacy.ua", "attacker.uspacy.ua"
TABLES = [
    model for name in ("portals", "externallines", "messaging") for model in apps.get_app_config(name).get_models()
]
BODIES: list[dict[str, Any] | None] = [
    None,
    {"name": "Mine now"},
    {"credentials": {"url": "https://attacker.example.com/"}},
]


def operations() -> list[tuple[str, str, list[str]]]:
    """Every operation of the schema, with the names of its parameters."""
    schema = SchemaGenerator().get_schema(request=None, public=True)
    return [
        (method.upper(), path, [each["name"] for each in operation.get("parameters", ())])
        for path, item in schema["paths"].items()
        for method, operation in item.items()
    ]


def routes(patterns: list[URLPattern | URLResolver], prefix: str = "") -> list[str]:
    """Every route that leads to a view."""
    found = []
    for pattern in patterns:
        route = f"{prefix}{pattern.pattern}"
        found += routes(pattern.url_patterns, route) if isinstance(pattern, URLResolver) else [route]
    return found


@pytest.fixture
def victims() -> Portal:
    """A portal with one of everything, all of it recognizable."""
    portal = Portal.objects.create(domain=VICTIM, token="victims-token", refresh_token="victims-refresh-token")
    line = ExternalLine.objects.create(
        portal=portal,
        channel="webhook",
        name="victims-line",
        external_id="victims-account",
        uspacy_id="victims-uspacy-line",
        status="active",
        credentials={"url": "https://victim.example.com/", "secret": "whsec_" + "MDEy" * 8},
    )
    chat = Chat.objects.create(
        line=line, external_id="victims-chat", uspacy_id=uuid.uuid4(), name="victims-customer"
    )
    message = Message.objects.create(
        chat=chat, uspacy_id=uuid.uuid4(), external_id="victims-message", direction="out", text="victims-text"
    )
    Attachment.objects.create(message=message, name="victims-file", source={"id": "victims-file-id"})
    Delivery.objects.create(message=message, chat=chat, destination="customer")
    WebhookEvent.objects.create(source=str(line.key), key="victims-event", payload="{}")
    return portal


def ids_of_everything() -> set[str]:
    """Every id by which anything is known, to us or to anyone."""
    named = ("pk", "key", "uspacy_id", "external_id", "domain")
    return {
        str(getattr(row, name))
        for model in TABLES
        for row in model.objects.all()
        for name in named
        if getattr(row, name, "")
    }


OF_A_PORTAL = {
    "Portal": "pk",
    "ExternalLine": "portal",
    "Chat": "line__portal",
    "Message": "chat__line__portal",
    "Attachment": "message__chat__line__portal",
    "Delivery": "chat__line__portal",
}


def contents(portal: Portal | None = None) -> dict[str, list[Any]]:
    """Every row there is, or every row of one portal."""
    wanted = {model.__name__: model for model in TABLES if portal is None or model.__name__ in OF_A_PORTAL}
    return {
        name: list(
            model.objects.filter(**({OF_A_PORTAL[name]: portal.pk} if portal else {})).order_by("pk").values()
        )
        for name, model in wanted.items()
    }


@pytest.mark.parametrize(
    ("method", "path", "parameters"), operations(), ids=[f"{method} {path}" for method, path, _ in operations()]
)
def test_whatever_id_a_portal_names_it_reaches_nothing_of_anothers(
    client: Any, settings: Any, victims: Portal, method: str, path: str, parameters: list[str]
) -> None:
    settings.USPACY_API_URL = "http://127.0.0.1:1/{domain}"  # nobody listens there
    ids = sorted(ids_of_everything())
    Portal.objects.create(domain=ATTACKER)
    before = contents()
    expiry = {"exp": int(time.time()) + 600}
    token = jwt.encode(expiry, settings.USPACY_CLIENT_SECRETS[0], "HS256", headers={"domain": ATTACKER})
    for value, body in itertools.product(ids, BODIES if method in ("POST", "PATCH", "PUT") else BODIES[:1]):
        cache.clear()  # of what counts calls
        answer = client.generic(
            method,
            path.format(**dict.fromkeys(parameters, value)),
            json.dumps(body) if body else b"",
            content_type="application/json",
            headers={"Authorization": f"Bearer {token}"},
            query_params={name: value for name in parameters if f"{{{name}}}" not in path},
        )
        assert answer.status_code == 404 if "{" in path else answer.status_code in (200, 400, 404)
        assert not [name for name in (*ids, "victim") if len(name) > 4 and name in answer.content.decode()]
    assert contents() == before


def test_every_route_is_in_the_schema_or_has_a_guard_of_its_own() -> None:
    """A new endpoint is either examined above, or it has to be named here with what guards it."""
    guards = {
        "portals/install": "signed token",
        "portals/uninstall": "signed token",
        "portals/uinstall": "signed token",
        "webhooks/uspacy": "signature of Amazon SNS",
        "webhooks/lines/<uuid:key>": "signature of the messenger",
        "media/<str:token>/<path:name>": "signed URL",
        "media/pictures/<str:token>": "signed URL",
        "api/schema/": "holds no data",
        "api/docs/": "holds no data",
        "health/live": "holds no data",
        "health/ready": "closed at the load balancer",
        "metrics": "closed at the load balancer",
    }
    found = {route for route in routes(get_resolver().url_patterns) if not route.startswith("admin/")}
    described = {path.strip("/") for _method, path, _parameters in operations()}
    undescribed = {route for route in found if re.sub(r"<\w+:(\w+)>", r"{\1}", route).strip("/") not in described}
    assert undescribed == set(guards)


@pytest.mark.django_db(transaction=True)
def test_a_partner_that_names_what_is_anothers_reaches_nothing_of_it(
    world: World, partner: Partner, deliver: Callable[[], None]
) -> None:
    """Conversations, messages and contacts of another portal's line, in every kind of event."""
    partner.auto_delivered = False  # a status would come later, and change what is compared below
    ann = partner.add_customer("Ann")
    written = partner.write(ann, "Mine", wait=True).message
    assert written
    deliver()
    chat = Chat.objects.get()
    world.uspacy.operator_writes(DOMAIN, str(chat.uspacy_id), "Ours")
    world.settle()
    for _round in range(2):
        deliver()
        assert world.settle()
    world.uspacy.create_portal(ATTACKER)
    assert world.uspacy.install(ATTACKER).status_code == 200
    stranger = world.add_messenger("stranger", "Stranger")
    world.connect_line(ATTACKER, stranger, "Stranger")
    world.settle()
    before, theirs = contents(chat.line.portal), world.uspacy.portals[DOMAIN].messages.copy()

    answer = Message.objects.get(direction="out")
    names = [written.id, answer.external_id, str(answer.uspacy_id), str(chat.uspacy_id), str(chat.line.key), "1"]
    for name in names:
        about = {"conversation": {"id": chat.external_id}, "contact": {"id": ann.id, "name": "Mallory"}}
        for kind, message in {
            "message.updated": {"id": name, "text": "changed"},
            "message.deleted": {"id": name},
            "message.created": {"id": name, "text": "changed", "reply_to_id": name, "direction": "in"},
        }.items():
            message |= {"sent_at": iso_now(), "format": "plain"}
            stranger.send(kind, {**about, "message": message}, wait=True)
        for known_as in ("id", "client_id"):
            failed = {known_as: name, "status": "failed", "at": iso_now(), "error": {"code": "x", "message": "x"}}
            stranger.send("message.status", {"message": failed}, wait=True)
    stranger.send("contact.blocked", {"contact": {"id": ann.id}}, wait=True)
    deliver()
    assert contents(chat.line.portal) == before
    assert world.uspacy.portals[DOMAIN].messages == theirs
    assert Message.objects.exclude(chat=chat).filter(text="changed").count() == len(names)


@pytest.mark.django_db(transaction=True)
def test_the_secret_of_one_line_does_not_open_another(world: World, partner: Partner) -> None:
    stranger = world.add_messenger("stranger", "Stranger")
    world.uspacy.create_portal(ATTACKER)
    assert world.uspacy.install(ATTACKER).status_code == 200
    world.connect_line(ATTACKER, stranger, "Stranger")
    world.settle()
    stranger.inbound_url = partner.inbound_url
    sent = stranger.write(stranger.add_customer("Mallory"), "Hello", wait=True)
    assert sent.response is not None
    assert sent.response.status_code == 401
    assert not Chat.objects.exists()
