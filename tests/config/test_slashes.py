"""Every path answers with and without its trailing slash, bare and under URL_PREFIX, and is never redirected."""

import uuid
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from externallines.models import ExternalLine
from messaging.models import Chat
from portals.models import Portal
from tests.mounting import mounted_under
from tests.simulators.uspacy.tokens import integration_jwt

pytestmark = pytest.mark.django_db

DOMAIN = "acme.uspacy.ua"
KEY, CHAT = uuid.UUID(int=1), uuid.UUID(int=2)
PREFIX = "bridge/v1"

PATHS = [  # method, path, and how it answers a call without a body
    ("POST", "/portals/install", 422),
    ("DELETE", "/portals/uninstall", 204),
    ("DELETE", "/portals/uinstall", 204),
    ("POST", "/webhooks/uspacy", 403),
    ("GET", f"/webhooks/lines/{KEY}", 403),
    ("POST", f"/webhooks/lines/{KEY}", 401),
    ("GET", "/api/channels", 200),
    ("GET", "/api/lines", 200),
    ("POST", "/api/lines", 400),
    ("GET", f"/api/lines/{KEY}", 200),
    ("PATCH", f"/api/lines/{KEY}", 200),
    ("DELETE", f"/api/lines/{KEY}", 204),
    ("POST", f"/api/lines/{KEY}/reconnect", 200),
    ("GET", "/api/chats", 200),
    ("GET", f"/api/chats?line={KEY}", 200),
    ("GET", f"/api/chats/{CHAT}/messages", 200),
    ("GET", "/api/schema", 200),
    ("GET", "/api/docs", 200),
    ("GET", "/health/live", 200),
    ("GET", "/health/ready", 503),  # no beat
    ("GET", "/metrics", 200),
]

ADMIN_PATHS = [
    "/admin",
    "/admin/portals",
    "/admin/portals/portal",
    "/admin/portals/portal/{portal}/change",
    "/admin/portals/portal/{portal}/history",
    "/admin/externallines/externalline",
    "/admin/messaging/message",
    "/admin/django_celery_beat/periodictask",
    "/admin/auth/user",
    "/admin/auth/user/add",
    "/admin/password_change",
    "/admin/jsi18n",
]


@pytest.fixture
def portal(settings: Any) -> Portal:
    settings.USPACY_API_URL = "http://127.0.0.1:1/{domain}"  # nobody answers there
    portal = Portal.objects.create(domain=DOMAIN, token="token")
    line = ExternalLine.objects.create(
        portal=portal,
        key=KEY,
        channel="webhook",
        name="Shop",
        external_id="shop",
        credentials={"url": "https://shop.example.com/hook", "secret": "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"},
    )
    Chat.objects.create(line=line, uspacy_id=CHAT, external_id="ann", name="Ann")
    return portal


def slashed(path: str) -> str:
    path, mark, query = path.partition("?")
    return f"{path}/{mark}{query}"


@pytest.mark.parametrize("prefix", ["", PREFIX])
@pytest.mark.parametrize(("method", "path", "status"), PATHS)
def test_a_path_answers_with_and_without_its_slash(
    settings: Any, portal: Portal, prefix: str, method: str, path: str, status: int
) -> None:
    client = Client(raise_request_exception=False)
    bearer = integration_jwt(DOMAIN, settings.USPACY_CLIENT_SECRETS[0])
    mounted = f"/{prefix}{path}" if prefix else path
    with mounted_under(prefix):
        for each in (mounted, slashed(mounted)):
            before = list(ExternalLine.objects.values()), list(Portal.objects.values())
            response = client.generic(method, each, headers={"Authorization": f"Bearer {bearer}"})
            assert "Location" not in response.headers
            assert response.status_code == status, response.content[:500]
            if method == "DELETE":  # put back what is gone
                ExternalLine.objects.update(**before[0][0])
                Portal.objects.update(**before[1][0])


@pytest.mark.parametrize("prefix", ["", PREFIX])
@pytest.mark.parametrize("path", ADMIN_PATHS)
def test_the_admin_answers_with_and_without_its_slash(portal: Portal, prefix: str, path: str) -> None:
    client = Client()
    client.force_login(User.objects.create_superuser("staff"))
    path = path.format(portal=portal.pk)
    path = f"/{prefix}{path}" if prefix else path
    with mounted_under(prefix):
        for each in (path, slashed(path)):
            assert client.get(each).status_code == 200, each


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_stranger_is_sent_to_sign_in_and_back_to_the_same_path(client: Client, slash: str) -> None:
    response = client.get(f"/admin{slash}")
    assert response.headers["Location"] == f"/admin/login/?next=/admin{slash}"
    User.objects.create_superuser("staff", password="staff")
    response = client.post(f"/admin/login{slash}?next=/admin{slash}", {"username": "staff", "password": "staff"})
    assert response.headers["Location"] == f"/admin{slash}"


@pytest.mark.parametrize(
    "path",
    ["/", "/nothing", "/portals", "/portals/install//", "/portals/installed", f"/webhooks/lines/{KEY}x"],
)
def test_what_does_not_exist_is_not_found_either_way(client: Client, path: str) -> None:
    for each in (path, slashed(path)):
        for method in ("GET", "POST", "DELETE"):
            assert client.generic(method, each).status_code == 404


def test_without_a_prefix_nothing_is_there_under_one(client: Client) -> None:
    assert client.get(f"/{PREFIX}/health/live").status_code == 404
    with mounted_under(PREFIX):
        assert client.get(f"/{PREFIX}/health/live").status_code == 200
        assert client.get("/health/live").status_code == 200
    assert client.get(f"/{PREFIX}/health/live").status_code == 404
