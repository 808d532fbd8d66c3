"""What support staff see of lines."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from externallines.models import ExternalLine
from portals.models import Portal

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


@pytest.mark.parametrize("query", ["nobody", "ї", "00000000-0000-4000-8000-000000000000"])
def test_a_search_for_what_is_not_there_finds_nothing(admin_client, line, query):
    assert listed(admin_client, f"q={query}") == []


def test_the_list_can_be_narrowed_to_a_status_and_a_channel(admin_client, line):
    make_line(1, status="active")
    offered = admin_client.get(LIST).context["cl"].filter_specs
    assert [spec.title for spec in offered] == ["status", "channel"]
    assert listed(admin_client, "status__exact=error") == ["Shop 0"]
    assert listed(admin_client, "channel=webhook") == ["Shop 0", "Shop 1"]
    assert listed(admin_client, "channel=telegram") == []


def test_nothing_can_be_added_changed_or_deleted(admin_client, line):
    before = ExternalLine.objects.values().get()
    for path in ("add/", f"{line.pk}/delete/", f"{line.pk}/change/"):
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
