"""What staff can do to portals and lines, with a Uspacy and a messenger that answer."""

import re

import pytest
from django.contrib.admin.models import LogEntry

from console.rights import SUPERVISOR, SUPPORT
from externallines.models import ExternalLine

pytestmark = pytest.mark.django_db(transaction=True)

PORTALS, LINES = "/admin/portals/portal/", "/admin/externallines/externalline/"
WHERE = f"{LINES}add/?portal=acme.uspacy.ua&channel=webhook"


@pytest.fixture
def supervisor(staff):
    return staff(*(right.partition(".")[2] for right in SUPERVISOR))


@pytest.fixture
def support(staff):
    return staff(*(right.partition(".")[2] for right in SUPPORT))


def act(client, url, action, row, **more):
    answer = client.post(url, {"action": action, "_selected_action": [row.pk], **more}, follow=True)
    assert answer.status_code == 200
    return answer.content.decode()


def recorded():
    return list(LogEntry.objects.order_by("id").values_list("change_message", flat=True))


def test_checking_a_portal_tells_what_uspacy_answered(partner, portal, support):
    text = act(support, PORTALS, "check_connection", portal)
    assert re.search(r"acme.uspacy.ua answered in \d.\d seconds and has 1 external line\.", text)
    assert portal.token not in text
    assert recorded()[0].startswith("Checked the connection: answered in ")


def test_checking_a_portal_names_the_lines_that_uspacy_has_lost(partner, portal, support):
    ExternalLine.objects.create(portal=portal, channel="webhook", name="Lost", uspacy_id="x", status="active")
    assert "Uspacy does not know these of our lines: Lost." in act(support, PORTALS, "check_connection", portal)


def test_renewing_a_token_stores_a_new_one(portal, supervisor):
    old = portal.token
    text = act(supervisor, PORTALS, "renew_token", portal)
    portal.refresh_from_db()
    assert portal.token != old
    assert "acme.uspacy.ua has new tokens, valid until" in text
    assert portal.token not in text
    assert recorded() == ["Renewed the tokens."]


def test_a_line_is_added_and_its_secret_is_shown_once(world, portal, supervisor):
    hook = world.add_messenger("shop", "Shop chat").hook
    answer = supervisor.post(WHERE, {"name": "Shop", "credential-url": hook})
    assert answer.status_code == 200
    line = ExternalLine.objects.get()
    assert line.portal == portal
    assert line.uspacy_id
    assert line.credentials["secret"] in answer.content.decode()
    assert "no-store" in answer.headers["Cache-Control"]
    assert recorded() == ["Connected."]
    for path in (LINES, f"{LINES}{line.pk}/change/", f"{LINES}{line.pk}/edit/", "/admin/"):
        assert line.credentials["secret"] not in supervisor.get(path).content.decode()
    again = supervisor.post(WHERE, {"name": "Shop", "credential-url": hook}).content.decode()
    assert "This account is connected to the portal already." in again
    assert ExternalLine.objects.count() == 1


def test_a_line_with_a_secret_of_its_owners_leads_to_its_page(world, portal, supervisor):
    secret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
    fields = {"credential-url": world.add_messenger("shop", "Shop chat").hook, "credential-secret": secret}
    answer = supervisor.post(WHERE, fields, follow=True)
    line = ExternalLine.objects.get()
    assert line.credentials["secret"] == secret
    assert answer.redirect_chain == [(f"{LINES}{line.pk}/change/", 302)]
    assert secret not in answer.content.decode()


def test_a_line_is_disconnected_once_that_is_confirmed_and_reconnected(partner, supervisor):
    line = ExternalLine.objects.get()
    page = act(supervisor, LINES, "disconnect", line)
    assert "no longer reach the portal" in page
    line.refresh_from_db()
    assert line.status == "active"
    act(supervisor, LINES, "disconnect", line, confirmed="yes")
    line.refresh_from_db()
    assert line.status == "disabled"
    assert "Shop (webhook): Active." in act(supervisor, LINES, "reconnect", line)
    line.refresh_from_db()
    assert line.status == "active"
    assert recorded() == ["Disconnected.", "Reconnected: active."]


def test_new_credentials_are_tried_at_once_and_an_empty_field_keeps_what_is_stored(toy, supervisor):
    line = ExternalLine.objects.get()
    url = f"{LINES}{line.pk}/edit/"
    supervisor.post(url, {"name": "Corner shop", "credential-token": ""})
    line.refresh_from_db()
    assert (line.name, line.credentials["token"]) == ("Corner shop", "1")
    assert recorded() == ["Changed: name."]
    text = supervisor.post(
        url, {"name": "Corner shop", "credential-token": "1234567"}, follow=True
    ).content.decode()
    line.refresh_from_db()
    assert line.credentials["token"] == "1234567"
    assert "Corner shop (toy): " in text
    assert recorded()[1:] == ["Changed: credential-token.", f"Reconnected: {line.status}."]


def test_nothing_of_a_line_changes_where_uspacy_does_not_take_it(toy, supervisor, settings):
    settings.USPACY_API_URL = "http://127.0.0.1:1/{domain}"  # nobody listens there
    line = ExternalLine.objects.get()
    answer = supervisor.post(f"{LINES}{line.pk}/edit/", {"name": "Corner shop"})
    assert answer.status_code == 200
    assert answer.context["form"].non_field_errors()
    line.refresh_from_db()
    assert line.name != "Corner shop"
    assert recorded() == []
