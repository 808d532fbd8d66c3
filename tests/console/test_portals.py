"""What support staff see of portals: everything but the tokens, and nothing to change."""

import uuid
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django.utils.html import escape

from console.rights import SUPERVISOR, SUPPORT
from externallines.models import ExternalLine
from messaging.dead_ends import DEAD_ENDS
from messaging.models import Chat, Delivery, Message
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
    assert counts[0] == counts[1] == counts[2] <= 7


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


# What stands beside a portal


def granted(*rights: str) -> Client:
    return staff_client(*(right.partition(".")[2] for right in rights))


def line_of(portal: Portal, number: int = 0, **fields: str) -> ExternalLine:
    name = f"Shop {number} of {portal}"
    return ExternalLine.objects.create(
        portal=portal, channel="webhook", name=name, external_id=name, uspacy_id=name, **fields
    )


def write(line: ExternalLine, status: str, error: str = "", *, hours: int = 1) -> Delivery:
    """A customer wrote on a line so many hours ago; what became of the message's delivery."""
    written = timezone.now() - timedelta(hours=hours)
    chat = Chat.objects.create(
        line=line, external_id=f"{uuid.uuid4()}", uspacy_id=uuid.uuid4(), name="Ann", last_message_at=written
    )
    message = Message.objects.create(chat=chat, uspacy_id=uuid.uuid4(), direction="in", created_at=written)
    return Delivery.objects.create(message=message, chat=chat, destination="uspacy", status=status, error=error)


def test_the_list_tells_the_tokens_time_left_the_lines_and_the_traffic(portal: Portal) -> None:
    line, quiet = line_of(portal), line_of(portal, 1)
    write(quiet, "sent", hours=40)
    for hours in (30, 5, 3):
        write(line, "sent", hours=hours)
    write(line_of(Portal.objects.create(domain="other.uspacy.ua")), "sent")
    text = granted(*SUPPORT).get(LIST, {"q": "acme"})
    [row] = text.context["cl"].result_list
    assert (row.line_count, row.message_count) == (2, 2)
    assert row.last_message_at == max(Chat.objects.filter(line=line).values_list("last_message_at", flat=True))
    html = text.content.decode()
    for shown in (">in 2\xa0hours<", ">3\xa0hours ago<", f"?portal={portal.domain}"):
        assert shown in html


def test_many_messages_are_not_counted_to_the_end(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("console.portals.COUNTED", 3)
    line = line_of(portal)
    for _message in range(4):
        write(line, "sent")
    assert ">3+<" in granted(*SUPPORT).get(LIST).content.decode()


def test_an_expired_token_is_called_so(portal: Portal) -> None:
    Portal.objects.update(status="active", expires_at=timezone.now() - timedelta(hours=3))
    text = granted(*SUPPORT).get(LIST).content.decode()
    assert "expired <time" in text


@pytest.mark.parametrize(("asked", "domains"), [("expired", ["old.uspacy.ua"]), ("expiring", ["soon.uspacy.ua"])])
def test_portals_are_listed_by_their_tokens(support: Client, asked: str, domains: list[str]) -> None:
    for domain, hours in (("old.uspacy.ua", -1), ("soon.uspacy.ua", 5), ("fine.uspacy.ua", 30)):
        Portal.objects.create(domain=domain, expires_at=timezone.now() + timedelta(hours=hours))
    rows = support.get(LIST, {"token_is": asked}).context["cl"].result_list
    assert [row.domain for row in rows] == domains


def test_a_portals_page_shows_its_lines_and_what_fails_and_nothing_of_others(portal: Portal, page: str) -> None:
    line = line_of(portal, status="error", error="The token is refused.")
    failed, waiting = write(line, "failed", "The chat is closed."), write(line, "open")
    other = line_of(Portal.objects.create(domain="other.uspacy.ua"), error="Nobody's business.")
    foreign = write(other, "failed", "A failure of another portal.")
    text = granted(*SUPPORT).get(page).content.decode()
    for shown in (line.name, "Needs attention", "The token is refused.", "The chat is closed."):
        assert shown in text
    for delivery in (failed, waiting):
        assert f"/admin/messaging/delivery/{delivery.pk}/change/" in text
    for hidden in (other.name, "Nobody", "A failure of another", f"/delivery/{foreign.pk}/"):
        assert hidden not in text


def test_a_portals_page_has_no_end_of_nothing(portal: Portal, page: str) -> None:
    PortalEvent.objects.bulk_create(PortalEvent(portal=portal, kind="renewed") for _event in range(60))
    for number in range(25):
        write(line_of(portal, number), "failed", "The chat is closed.")
    client = granted(*SUPPORT)
    shown = client.get(page).context
    assert [len(shown[name]) for name in ("history", "lines", "failures")] == [50, 20, 10]
    assert "All 25" in client.get(page).content.decode()


def test_a_portals_page_needs_as_many_queries_for_many_lines(portal: Portal, page: str) -> None:
    client = granted(*SUPPORT)
    counts = []
    for lines in (range(1), range(1, 1), range(1, 15)):
        for number in lines:
            write(line_of(portal, number), "failed", "The chat is closed.")
        with CaptureQueriesContext(connection) as queries:
            assert client.get(page).status_code == 200
        counts.append(len(queries))
    assert counts[1] == counts[2] <= 12


def test_who_may_see_portals_only_sees_no_lines_and_no_deliveries(portal: Portal, page: str) -> None:
    write(line_of(portal), "failed", "The chat is closed.")
    text = staff_client("view_portal").get(page).content.decode()
    assert "acme.uspacy.ua" in text
    for hidden in ("Shop 0", "The chat is closed.", "Renewal refused"):
        assert hidden not in text


# What can be done


def act(client: Client, action: str, *portals: Portal) -> str:
    chosen = {"action": action, "_selected_action": [portal.pk for portal in portals]}
    answer = client.post(LIST, chosen, follow=True)
    assert answer.status_code == 200
    return answer.content.decode()


def recorded() -> list[str]:
    return list(LogEntry.objects.order_by("id").values_list("change_message", flat=True))


@pytest.fixture
def unreachable(settings) -> None:
    settings.USPACY_API_URL = "http://127.0.0.1:1/{domain}"  # nobody listens there


@pytest.mark.parametrize("action", ["check_connection", "renew_token"])
def test_uspacy_that_cannot_be_reached_is_told_with_the_reason(unreachable, portal: Portal, action: str) -> None:
    Portal.objects.update(status="active")
    text = act(granted(*SUPERVISOR), action, portal)
    assert "acme.uspacy.ua: " in text
    assert "could not be reached" in text or "connect" in text.lower()
    assert TOKEN not in text
    assert len(recorded()) == 1


@pytest.mark.parametrize("action", ["check_connection", "renew_token"])
def test_a_portal_without_tokens_is_not_called(portal: Portal, action: str) -> None:
    text = act(granted(*SUPERVISOR), action, portal)
    assert "acme.uspacy.ua: Uspacy refused &lt;b&gt;us&lt;/b&gt;." in text


@pytest.mark.parametrize(
    ("action", "rights"), [("check_connection", "portals.check_portal"), ("renew_token", "portals.renew_portal")]
)
def test_without_the_right_nothing_is_called(
    unreachable, portal: Portal, page: str, action: str, rights: str
) -> None:
    client = granted(*(right for right in SUPERVISOR if right != rights))
    assert action not in client.get(page).content.decode()
    act(client, action, portal)
    assert recorded() == []


def test_support_checks_and_does_not_renew() -> None:
    assert "portals.check_portal" in SUPPORT
    assert "portals.renew_portal" not in SUPPORT


def test_only_a_few_are_called_at_a_time(unreachable) -> None:
    portals = [Portal.objects.create(domain=f"p{number}.uspacy.ua") for number in range(11)]
    assert "Choose at most 10 at a time." in act(granted(*SUPERVISOR), "check_connection", *portals)
    assert recorded() == []


@pytest.mark.parametrize(
    ("status", "kind"), [("needs_reinstall", "NeedsReinstall"), ("uninstalled", "Uninstalled")]
)
def test_a_portal_that_is_gone_says_what_that_means_and_what_to_do(
    support: Client, portal: Portal, page: str, status: str, kind: str
) -> None:
    Portal.objects.update(status=status)
    html = support.get(page).content.decode()
    assert escape(DEAD_ENDS[kind].meaning) in html
    assert escape(DEAD_ENDS[kind].advice) in html
