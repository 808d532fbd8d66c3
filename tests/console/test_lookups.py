"""By what a list can be narrowed, whatever is written into its address."""

import base64

import pytest
from django.db import connection
from django.urls import reverse

from console import moments
from messaging.models import Chat, Delivery, Message, WebhookEvent
from tests.console.desk import list_url, page_url

pytestmark = pytest.mark.django_db

PORTALS, LINES = "/admin/portals/portal/", "/admin/externallines/externalline/"


def cursor(text):
    return base64.urlsafe_b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("name", "lookup"),
    [
        ("message", "text__regex"),
        ("message", "text"),
        ("message", "error__contains"),
        ("message", "id__in"),
        ("message", "chat__name__startswith"),
        ("message", "attachments__name__contains"),
        ("delivery", "message__text__contains"),
        ("delivery", "error__icontains"),
        ("webhookevent", "payload__contains"),
        ("webhookevent", "error__regex"),
        ("chat", "messages__text__contains"),
        ("snstopic", "subscribe_url__contains"),
    ],
)
def test_nothing_is_guessed_at_by_look_ups_that_no_page_links_to(staff, fill, name, lookup):
    fill()
    assert staff("read_message", "requeue_delivery").get(list_url(name), {lookup: "1"}).status_code == 400


def test_what_is_sent_again_is_not_chosen_by_such_a_look_up(staff, fill):
    fill()
    url = reverse("admin:messaging_delivery_resend")
    assert staff("requeue_delivery").post(f"{url}?message__text__contains=a").status_code == 400


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("message", {"id__gte": 1, "id__lte": 2**62, "created_at__gte": "2020-01-01T00:00:00+00:00"}),
        ("message", {"created_at__lt": "9999-12-31T23:59:59+00:00", "direction__exact": "out"}),
        ("delivery", {"status__exact": "failed", "settled_at__gte": "0001-01-01T00:00:00+00:00"}),
        ("webhookevent", {"outcome__exact": "failed"}),
        ("snstopic", {"status__exact": "pending"}),
    ],
)
def test_what_pages_link_to_is_allowed(staff, fill, name, parameters):
    fill()
    Delivery.objects.update(settled_at="2026-01-01T00:00:00Z")
    assert len(staff().get(list_url(name), parameters).context["cl"].result_list) == 1


def test_the_deliveries_of_a_message_and_of_a_chat_are_linked_to(staff, fill):
    fill(2)
    message = Message.objects.first()
    for parameters in ({"message": message.pk}, {"chat": message.chat_id}):
        [delivery] = staff().get(list_url("delivery"), parameters).context["cl"].result_list
        assert delivery.message == message


@pytest.mark.parametrize("text", ["\x00", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"])
@pytest.mark.parametrize(
    ("url", "names"),
    [
        (list_url("message"), ("status", "channel", "portal", "since", "until", "created_at__gte", "q")),
        (list_url("delivery"), ("status__exact", "settled_at__gte", "message", "failure")),
        (list_url("snstopic"), ("status__exact",)),
        (PORTALS, ("status__exact", "expires_at__lt", "token_is")),
        (LINES, ("status__exact", "warning__gt")),
    ],
)
def test_no_address_breaks_a_list(staff, line, url, names, text):
    client = staff()
    for name in names:
        assert client.get(url, {name: text}, follow=True).status_code in (200, 400), name


@pytest.mark.parametrize(
    ("url", "values"),
    [
        *((list_url("message"), values) for values in ("[null]", "[1e400]", "[NaN]", "[" * 3_000, f"[{10**30}]")),
        *((PORTALS, values) for values in ('["x\\u0000"]', '["\\ud800"]', "[null]")),
        (list_url("chat"), '["0001-01-01T00:00:00+23:59", 1]'),
        (list_url("chat"), '["9999-12-31T23:59:59-23:59", 1]'),
        (list_url("chat"), '["2026-01-01T00:00:00+23:59", 1]'),
        (list_url("chat"), '["2026-01-01T00:00:00Z", null]'),
    ],
)
def test_no_cursor_breaks_a_list(staff, line, url, values):
    client = staff()
    for way in ("after", "before"):
        assert client.get(url, {way: cursor(values)}, follow=True).status_code == 200


@pytest.mark.parametrize("text", ["9" * 5_000, "x", "\x00", "-1"])
def test_no_message_to_go_to_breaks_the_page_of_a_chat(staff, fill, text):
    fill()
    url = reverse("admin:messaging_chat_change", args=[Chat.objects.get().pk])
    answer = staff("read_message").get(url, {"around": text})
    assert len(answer.context["page"].bubbles) == 1


@pytest.mark.parametrize("key", ["abc", "9" * 5_000, "\x00", "1.5"])
@pytest.mark.parametrize("index", [{}, {"index": "0"}])
def test_what_is_no_key_chooses_no_row(staff, fill, key, index):
    fill()
    [event] = WebhookEvent.objects.all()
    client = staff("reprocess_webhookevent")
    answer = client.post(
        list_url("webhookevent"), {"action": "process_again", "_selected_action": [key], **index}, follow=True
    )
    assert answer.status_code == 200
    assert b"Items must be selected" in answer.content
    event.refresh_from_db()
    assert event.outcome == "failed"


@pytest.mark.parametrize("across", ["1", "true"])
def test_nobody_acts_on_all_rows_at_once(staff, fill, across):
    """Django's lists can do that, of which ours have ten million rows."""
    fill(3)
    chosen = Delivery.objects.order_by("id")[1]
    data = {"action": "send_again", "select_across": across, "index": "0", "_selected_action": [chosen.pk]}
    staff("requeue_delivery").post(list_url("delivery"), data)
    assert [new.message_id for new in Delivery.objects.filter(status="open")] == [chosen.message_id]


def test_a_moment_that_no_calendar_has_is_no_filter(staff, fill):
    fill()
    for text in ("0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"):
        assert len(staff().get(list_url("message"), {"since": text}).context["cl"].result_list) == 1


def test_a_moment_of_any_zone_is_a_filter(staff, fill, monkeypatch):
    asked = []
    monkeypatch.setattr(moments, "first_since", lambda model, column, moment: asked.append(moment) or 0)
    staff().get(list_url("message"), {"since": "2026-01-01T00:00:00+23:00"})
    assert [moment.isoformat() for moment in asked] == ["2025-12-31T01:00:00+00:00"]


@pytest.mark.parametrize(
    ("model", "field"), [("delivery", "message"), ("message", "chat"), ("chat", "line"), ("message", "parent")]
)
def test_nothing_is_counted_to_complete_what_somebody_types(staff, fill, model, field):
    parameters = {"app_label": "messaging", "model_name": model, "field_name": field, "term": ""}
    assert staff().get("/admin/autocomplete/", parameters).status_code == 403


def test_a_secret_that_cannot_be_decrypted_takes_no_list_and_no_conversation_down(staff, fill, line):
    fill()
    WebhookEvent.objects.update(source=line.key)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE portals_portal SET token = 'lost', refresh_token = 'lost'")
        cursor.execute("UPDATE externallines_externalline SET credentials = 'lost'")
    client = staff("read_message")
    rows = [model.objects.get() for model in (Chat, Message, Delivery, WebhookEvent)]
    portal_page = reverse("admin:portals_portal_change", args=[line.portal_id])
    lists = [list_url(name) for name in ("chat", "message", "delivery", "webhookevent")]
    for url in (*lists, PORTALS, LINES, portal_page, *map(page_url, rows)):
        assert client.get(url).status_code == 200, url


@pytest.mark.parametrize("page", ["abc", "9", "0", "9" * 5_000])
def test_no_page_breaks_the_search_of_the_menu(admin_client, page):
    assert admin_client.get("/admin/search/", {"s": "a", "page": page}).status_code == 200


def test_the_search_of_the_menu_is_for_staff(client):
    assert client.get("/admin/search/", {"s": "a"}).status_code == 302
