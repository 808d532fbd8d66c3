"""What support staff see of portals: everything but the tokens, and nothing to change."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from portals.models import Portal, PortalEvent

pytestmark = pytest.mark.django_db

LIST = "/admin/portals/portal/"
TOKEN, REFRESH_TOKEN = "token-nobody-sees", "refresh-token-nobody-sees"


def staff_client(*permissions: str) -> Client:
    user = User.objects.create_user("support", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def support() -> Client:
    return staff_client("view_portal", "view_portalevent")


@pytest.fixture
def portal() -> Portal:
    portal = Portal.objects.create(
        domain="acme.uspacy.ua",
        token=TOKEN,
        refresh_token=REFRESH_TOKEN,
        status="needs_reinstall",
        expires_at=timezone.now() + timedelta(hours=3),
        last_error="Uspacy refused <b>us</b>.",
    )
    PortalEvent.objects.create(portal=portal, kind="refused", text="Status 401")
    return portal


@pytest.fixture
def page(portal: Portal) -> str:
    return f"{LIST}{portal.pk}/change/"


def ciphertexts() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT token, refresh_token FROM portals_portal")
        return [text for row in cursor.fetchall() for text in row]


def test_the_list_shows_how_each_portal_is(support: Client, portal: Portal) -> None:
    text = support.get(LIST).content.decode()
    for shown in ("acme.uspacy.ua", "Needs re-install", "Uspacy refused &lt;b&gt;us&lt;/b&gt;."):
        assert shown in text


def test_a_portals_page_shows_its_history(support: Client, page: str) -> None:
    text = support.get(page).content.decode()
    for shown in ("acme.uspacy.ua", "Uspacy refused &lt;b&gt;us&lt;/b&gt;.", "Renewal refused", "Status 401"):
        assert shown in text


def test_tokens_are_on_no_page(support: Client, page: str) -> None:
    for path in (LIST, f"{LIST}?q=acme", f"{LIST}?status__exact=needs_reinstall", page, "/admin/"):
        response = support.get(path)
        assert response.status_code == 200
        text = response.content.decode()
        assert "acme.uspacy.ua" in text or path == "/admin/"
        for secret in (TOKEN, REFRESH_TOKEN, *ciphertexts()):
            assert secret not in text


@pytest.mark.parametrize("lookup", ["token", "token__startswith", "refresh_token__contains"])
def test_tokens_cannot_be_guessed_by_filtering(support: Client, portal: Portal, lookup: str) -> None:
    for guess in (TOKEN, REFRESH_TOKEN, *ciphertexts()):
        response = support.get(LIST, {lookup: guess})
        refused = response.headers.get("Location") == f"{LIST}?e=1"
        assert refused or "acme.uspacy.ua" not in response.content.decode()


def test_a_portal_is_found_by_the_beginning_of_its_domain(support: Client, portal: Portal) -> None:
    Portal.objects.create(domain="other.uspacy.com")
    text = support.get(LIST, {"q": "other"}).content.decode()
    assert "other.uspacy.com" in text
    assert "acme.uspacy.ua" not in text


def test_nothing_can_be_added_changed_or_deleted(page: str) -> None:
    everything = [
        f"{action}_{model}"
        for action in ("add", "change", "delete", "view")
        for model in ("portal", "portalevent")
    ]
    client = staff_client(*everything)
    before = list(Portal.objects.values()), list(PortalEvent.objects.values())
    assert client.get(f"{LIST}add/").status_code == 403
    assert client.post(f"{LIST}add/", {"domain": "new.uspacy.ua"}).status_code == 403
    assert client.post(page, {"domain": "new.uspacy.ua", "status": "active"}).status_code == 403
    assert client.post(page.replace("change", "delete"), {"post": "yes"}).status_code == 403
    selected = {"action": "delete_selected", "_selected_action": [Portal.objects.get().pk], "post": "yes"}
    client.post(LIST, selected)
    assert (list(Portal.objects.values()), list(PortalEvent.objects.values())) == before
    text = client.get(page).content.decode()
    assert 'name="_save"' not in text
    assert 'name="token' not in text


def test_the_history_cannot_be_changed_with_the_page(page: str) -> None:
    text = staff_client("view_portal", "view_portalevent", "change_portalevent", "add_portalevent").get(page)
    inputs = text.content.decode().split("<input")[1:]
    assert not any('type="text"' in each or "<textarea" in each or "-DELETE" in each for each in inputs)


@pytest.mark.parametrize("permissions", [(), ("view_portalevent",)])
def test_staff_without_the_permission_see_nothing(page: str, permissions: tuple[str, ...]) -> None:
    client = staff_client(*permissions)
    assert [client.get(path).status_code for path in (LIST, page)] == [403, 403]


def test_strangers_are_asked_to_sign_in(client: Client, page: str) -> None:
    for path in (LIST, page):
        response = client.get(path)
        assert response.status_code == 302
        assert response.headers["Location"] == f"/admin/login/?next={path}"


def test_the_list_needs_as_many_queries_for_many_portals_as_for_one(support: Client, portal: Portal) -> None:
    support.get(LIST)  # what is cached once for all
    counts = []
    for domain in ("x", "y", "z"):
        with CaptureQueriesContext(connection) as queries:
            assert support.get(LIST).status_code == 200
        counts.append(len(queries))
        more = Portal.objects.bulk_create(Portal(domain=f"{domain}{number}.uspacy.ua") for number in range(15))
        PortalEvent.objects.bulk_create(PortalEvent(portal=portal, kind="renewed") for portal in more)
    assert counts[0] == counts[1] == counts[2] <= 6


def test_the_page_needs_as_many_queries_for_a_long_history_as_for_a_short_one(
    support: Client, portal: Portal, page: str
) -> None:
    support.get(page)
    counts = []
    for _round in range(2):
        with CaptureQueriesContext(connection) as queries:
            assert support.get(page).status_code == 200
        counts.append(len(queries))
        PortalEvent.objects.bulk_create(PortalEvent(portal=portal, kind="renewed") for _event in range(20))
    assert counts[0] == counts[1] <= 8
