"""What support staff see of lines."""

import re
import uuid
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django.utils.html import escape

from console.lines import ways
from console.lookups import ids_of
from console.rights import SUPERVISOR, SUPPORT
from externallines.channels import CHANNELS
from externallines.models import ExternalLine
from externallines.services import webhook_url
from messaging.dead_ends import DEAD_ENDS
from messaging.models import Chat, Delivery
from portals.models import Portal
from tests.console.desk import failed_message

pytestmark = pytest.mark.django_db

SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
KEY_IN_URL = "a-key-of-the-partners"
LIST = "/admin/externallines/externalline/"


def make_line(number=0, **fields):
    portal = Portal.objects.create(domain=f"acme-{number}.uspacy.ua", token="token-of-the-portal")
    return ExternalLine.objects.create(
        portal=portal,
        channel="webhook",
        name=f"Shop {number}",
        external_id=f"account-{number}",
        uspacy_id=f"uspacy-{number}",
        credentials={
            "url": f"https://partner.example.com/?key={KEY_IN_URL}",
            "secret": SECRET,
            "secret_is_ours": True,
        },
        **fields,
    )


@pytest.fixture
def line():
    return make_line(status="error", error="The partner's address answers 401.", activated_at=timezone.now())


def page(admin_client, path):
    answer = admin_client.get(path)
    assert answer.status_code == 200
    return answer.content.decode()


def test_the_list_shows_which_line_needs_attention(admin_client, line):
    html = page(admin_client, LIST)
    for shown in (
        "Shop 0",
        "webhook",
        "acme-0.uspacy.ua",
        "Needs attention",
        "The partner&#x27;s address answers 401.",
    ):
        assert shown in html


def test_the_page_shows_everything_but_the_credentials(admin_client, line):
    html = page(admin_client, f"{LIST}{line.pk}/change/")
    for shown in ("Shop 0", "acme-0.uspacy.ua", str(line.key), "account-0", "uspacy-0", "Needs attention", "401"):
        assert shown in html


def test_each_line_has_a_box_to_choose_it(admin_client, line):
    html = page(admin_client, LIST)
    assert re.search(rf'<input[^>]*name="_selected_action"[^>]*value="{line.pk}"', html)


def test_credentials_are_never_shown(admin_client, line):
    for path in (LIST, f"{LIST}?q=Shop", f"{LIST}{line.pk}/change/", f"{LIST}{line.pk}/history/"):
        html = page(admin_client, path).lower()
        for hidden in ("credentials", "whsec_", SECRET.lower(), KEY_IN_URL, "token-of-the-portal"):
            assert hidden not in html


def listed(admin_client, query):
    """The names of the lines that the list shows."""
    html = page(admin_client, f"{LIST}?{query}")
    return [line.name for line in ExternalLine.objects.order_by("id") if f"{LIST}{line.pk}/change/" in html]


@pytest.mark.parametrize("what", ["key", "external_id", "uspacy_id", "name", "portal"])
def test_a_line_is_found_by_what_support_is_told(admin_client, line, what):
    make_line(1)
    assert listed(admin_client, f"q={getattr(line, what)}") == ["Shop 0"]


@pytest.mark.parametrize(("text", "names"), [("sho", ["Shop 0", "Shop 1"]), ("1 SHOP", ["Shop 1"]), ("hop", [])])
def test_a_line_is_found_by_the_beginnings_of_words_of_its_name(admin_client, line, text, names):
    make_line(1)
    assert listed(admin_client, f"q={text}") == names


def test_a_search_for_lines_reads_no_whole_table(line):
    with CaptureQueriesContext(connection) as captured:
        ids_of(ways("romashka"))
    [search] = captured
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN {search['sql']}")
        plan = "\n".join(row for (row,) in cursor.fetchall())
    assert "Seq Scan" not in plan
    for index in ("line_words", "line_external_id", "line_uspacy_id"):
        assert index in plan


@pytest.mark.parametrize("query", ["nobody", "ї", "00000000-0000-4000-8000-000000000000"])
def test_a_search_for_what_is_not_there_finds_nothing(admin_client, line, query):
    assert listed(admin_client, f"q={query}") == []


def test_the_list_can_be_narrowed_to_a_status_and_a_channel(admin_client, line):
    make_line(1, status="active")
    offered = admin_client.get(LIST).context["cl"].filter_specs
    assert [spec.title for spec in offered] == ["status", "channel", "portal (domain)"]
    assert listed(admin_client, "status__exact=error") == ["Shop 0"]
    assert listed(admin_client, "channel=webhook") == ["Shop 0", "Shop 1"]
    assert listed(admin_client, "channel=telegram") == []


def test_nothing_can_be_changed_or_deleted_by_djangos_own_pages(admin_client, line):
    before = ExternalLine.objects.values().get()
    for path in (f"{line.pk}/delete/", f"{line.pk}/change/"):
        answer = admin_client.post(f"{LIST}{path}", {"name": "Hacked", "post": "yes"})
        assert answer.status_code == 403
    delete_all = {"action": "delete_selected", "_selected_action": [line.pk], "post": "yes"}
    admin_client.post(LIST, delete_all)
    assert ExternalLine.objects.values().get() == before


def test_strangers_are_asked_to_sign_in(client, django_user_model, line):
    for path in (LIST, f"{LIST}{line.pk}/change/"):
        assert client.get(path).headers["Location"].startswith("/admin/login/")
    client.force_login(django_user_model.objects.create_user("ann", is_staff=True))
    assert client.get(LIST).status_code == 403


def test_the_list_takes_the_same_queries_for_many_lines(admin_client, line):
    page(admin_client, LIST)  # what is only asked once
    counts = []
    for more in (range(0), range(1, 40)):
        for number in more:
            make_line(number)
        with CaptureQueriesContext(connection) as queries:
            page(admin_client, LIST)
        counts.append(len(queries))
    assert counts[0] == counts[1]


# What stands beside a line


def can(staff, rights, *, but=""):
    return staff(*(right.partition(".")[2] for right in rights if right != but))


def test_the_list_shows_channel_reason_warning_webhook_and_last_message(admin_client, line):
    ExternalLine.objects.update(error="", warning="The token expires in 5 days.")
    written = timezone.now() - timedelta(hours=2)
    for hours in (0, 5):
        Chat.objects.create(
            line=line,
            external_id=f"{hours}",
            uspacy_id=uuid.uuid4(),
            last_message_at=written - timedelta(hours=hours),
        )
    html = page(admin_client, LIST)
    for shown in ("The token expires in 5 days.", f'data-copy="{webhook_url(line)}"', ">2\xa0hours ago<"):
        assert shown in html
    assert 'data-channel="webhook"' in html


def test_the_list_can_be_narrowed_to_a_portal(admin_client, line):
    make_line(1)
    assert listed(admin_client, "portal=acme-1.uspacy.ua") == ["Shop 1"]
    assert listed(admin_client, "portal=acme-") == ["Shop 0", "Shop 1"]
    assert listed(admin_client, "portal=nobody") == []


def test_a_whole_domain_names_no_other_that_begins_like_it(admin_client, line):
    make_line(1)
    Portal.objects.filter(domain__startswith="acme-1").update(domain="acme-0.uspacy.ua.example")
    assert listed(admin_client, "portal=acme-0.uspacy.ua") == ["Shop 0"]


def test_the_page_shows_what_fails_on_the_line_and_on_no_other(staff, line):
    other = make_line(1)
    for owner, error in ((line, "The chat is closed."), (other, "Nobody's business.")):
        chat = Chat.objects.create(line=owner, external_id="x", uspacy_id=uuid.uuid4())
        failed_message(chat)
        Delivery.objects.filter(chat=chat).update(error=error)
    html = page(staff(), f"{LIST}{line.pk}/change/")
    assert "The chat is closed." in html
    assert "Nobody" not in html


def test_the_page_says_what_a_problem_means_and_what_to_do(staff, line):
    chat = Chat.objects.create(line=line, external_id="x", uspacy_id=uuid.uuid4())
    failed_message(chat)
    Delivery.objects.update(failure="Blocked")
    html = page(staff(), f"{LIST}{line.pk}/change/")
    for told in (DEAD_ENDS["AccountProblem"].advice, DEAD_ENDS["Blocked"].name, DEAD_ENDS["Blocked"].advice):
        assert escape(told) in html
    ExternalLine.objects.update(activated_at=None)
    html = page(staff(), f"{LIST}{line.pk}/change/")
    assert escape(DEAD_ENDS["LineConnecting"].advice) in html


def test_what_the_owner_enters_at_the_messenger_is_shown_to_copy(admin_client, line):
    credentials = {"verify_token": "enter-me", "access_token": "not-me", "app_secret": "nor-me"}
    ExternalLine.objects.update(channel="whatsapp", credentials=credentials)
    html = page(admin_client, f"{LIST}{line.pk}/change/")
    assert 'data-copy="enter-me"' in html
    assert "not-me" not in html
    assert "nor-me" not in html


# Adding and changing


ADD = f"{LIST}add/?portal=acme-0.uspacy.ua&channel="


@pytest.mark.parametrize("channel", CHANNELS)
def test_the_fields_of_a_new_line_are_its_channels(admin_client, line, channel):
    html = page(admin_client, f"{ADD}{channel}")
    for field in CHANNELS[channel].credential_fields:
        assert f'name="credential-{field.name}"' in html
        assert escape(field.label) in html
        assert field.help_text in html
    hidden = set(re.findall(r'<input type="password" name="credential-(\w+)"', html))
    assert hidden == {field.name for field in CHANNELS[channel].credential_fields if field.secret}


def test_the_login_of_instagram_is_chosen(admin_client, line):
    html = page(admin_client, f"{ADD}instagram")
    assert '<option value="facebook">' in html
    assert '<option value="instagram">' in html


def test_a_portal_is_named_by_the_beginning_of_its_domain(admin_client, line):
    assert "Connect Viber to acme-0.uspacy.ua" in page(admin_client, f"{LIST}add/?portal=ACME-0&channel=viber")
    make_line(1)
    html = page(admin_client, f"{LIST}add/?portal=acme&channel=viber")
    assert "Several portals begin so." in html
    assert 'href="?portal=acme-1.uspacy.ua&amp;channel=viber"' in html
    assert "No portal has" in page(admin_client, f"{LIST}add/?portal=nobody&channel=viber")
    assert 'value="acme-1.uspacy.ua"' in page(admin_client, f"{LIST}add/?portal=acme-1.uspacy.ua")


def test_no_line_is_added_to_a_portal_that_has_gone(admin_client, line):
    Portal.objects.update(status="uninstalled")
    html = page(admin_client, f"{ADD}viber")
    assert "The app has to be installed again on acme-0.uspacy.ua first." in html
    admin_client.post(f"{ADD}webhook", {"credential-url": "https://partner.example.com/"})
    assert ExternalLine.objects.count() == 1


@pytest.mark.parametrize("query", ["channel=nonsense", "channel=", "portal=%00&channel=viber"])
def test_nonsense_in_the_address_is_no_fault(admin_client, line, query):
    assert "Continue" in page(admin_client, f"{LIST}add/?{query}")


def test_what_the_channel_refuses_is_told_at_its_field_without_the_secret(admin_client, line):
    fields = {"name": "Bot", "credential-token": "an-entered-secret"}
    answer = admin_client.post(f"{ADD}telegram", fields)
    assert "Copy it from @BotFather." in str(answer.context["form"].errors["credential-token"])
    html = answer.content.decode()
    assert 'value="Bot"' in html
    assert "an-entered-secret" not in html
    assert ExternalLine.objects.count() == 1


def test_a_form_shows_only_that_a_value_is_set(admin_client, line):
    html = page(admin_client, f"{LIST}{line.pk}/edit/")
    assert html.count('placeholder="Set"') == 2
    for hidden in ("whsec_", SECRET, KEY_IN_URL, "partner.example.com"):
        assert hidden not in html


def test_a_form_that_is_shown_again_has_no_secret_either(admin_client, line):
    fields = {"name": "", "credential-secret": "an-entered-secret"}
    html = admin_client.post(f"{LIST}{line.pk}/edit/", fields).content.decode()
    assert "This field is required." in html
    fields = {"name": "Shop 0", "credential-secret": "an-entered-secret"}
    html += admin_client.post(f"{LIST}{line.pk}/edit/", fields).content.decode()
    assert "The secret has to be whsec_" in html
    for hidden in ("an-entered-secret", SECRET, KEY_IN_URL):
        assert hidden not in html


# Rights


@pytest.mark.parametrize(
    ("path", "right"),
    [("add/?portal=acme-0.uspacy.ua&channel=webhook", "add"), ("{pk}/edit/", "change")],
)
def test_without_the_right_there_is_no_form(staff, line, path, right):
    before = ExternalLine.objects.values().get()
    client = can(staff, SUPERVISOR, but=f"externallines.{right}_externalline")
    url = LIST + path.format(pk=line.pk)
    assert client.get(url).status_code == 403
    posted = {"name": "Hacked", "credential-url": "https://partner.example.com/"}
    assert client.post(url, posted).status_code == 403
    assert ExternalLine.objects.values().get() == before
    assert "/edit/" not in page(can(staff, SUPPORT), f"{LIST}{line.pk}/change/")


@pytest.mark.parametrize("action", ["reconnect", "disconnect"])
def test_without_the_right_nothing_is_done(staff, line, action):
    before = ExternalLine.objects.values().get()
    client = can(staff, SUPERVISOR, but=f"externallines.{action}_externalline")
    client.post(LIST, {"action": action, "_selected_action": [line.pk], "confirmed": "yes"})
    assert f'value="{action}"' not in page(client, f"{LIST}{line.pk}/change/")
    assert ExternalLine.objects.values().get() == before
    assert not LogEntry.objects.exists()


def test_support_reconnects_and_does_no_more():
    can = {right.partition(".")[2] for right in SUPPORT if right.startswith("externallines.")}
    assert can == {"view_externalline", "reconnect_externalline"}


def test_only_a_few_lines_are_reconnected_at_a_time(staff, line):
    rows = [line, *(make_line(number) for number in range(1, 11))]
    chosen = {"action": "reconnect", "_selected_action": [row.pk for row in rows]}
    html = can(staff, SUPPORT).post(LIST, chosen, follow=True).content.decode()
    assert "Choose at most 10 at a time." in html
    assert not LogEntry.objects.exists()


def test_a_line_that_cannot_be_reconnected_says_why(staff, line, settings):
    settings.USPACY_API_URL = "http://127.0.0.1:1/{domain}"  # nobody listens there
    Portal.objects.update(expires_at=timezone.now() + timedelta(hours=3))
    chosen = {"action": "reconnect", "_selected_action": [line.pk]}
    html = can(staff, SUPPORT).post(LIST, chosen, follow=True).content.decode()
    line.refresh_from_db()
    assert f"Shop 0 (webhook): Needs attention. {escape(line.error)}" in html
    assert SECRET not in html
    assert [entry.change_message for entry in LogEntry.objects.all()] == ["Reconnected: error."]


def test_an_address_of_elsewhere_is_no_way_back(staff, line):
    chosen = {"action": "disconnect", "_selected_action": [line.pk], "back": "https://evil.example.com/"}
    assert "evil.example.com" not in can(staff, SUPERVISOR).post(LIST, chosen).content.decode()


def test_a_line_that_is_not_there_has_no_form(admin_client, line):
    assert admin_client.get(f"{LIST}{line.pk + 1}/edit/").status_code == 404


def test_one_can_go_back_from_the_question_whether_to_disconnect(staff, line):
    answer = staff("disconnect_externalline").post(LIST, {"action": "disconnect", "_selected_action": [line.pk]})
    assert f'<a href="{LIST}">Cancel</a>' in answer.content.decode()
