"""What support staff see of messages, and what they can do about them."""

import uuid

import pytest
from django.contrib.auth.models import User
from django.urls import reverse

from messaging.models import Attachment, Chat, Delivery, Message, SnsTopic, WebhookEvent
from tests.console.desk import failed_message, list_url, page_url, queries

pytestmark = pytest.mark.django_db

MODELS = [Chat, Message, Delivery, WebhookEvent, SnsTopic]
NAMES = [model._meta.model_name for model in MODELS]


# Lists and pages


@pytest.mark.parametrize("name", NAMES)
def test_each_list_is_shown(staff, fill, name):
    fill(3)
    answer = staff().get(list_url(name))
    assert answer.status_code == 200
    assert answer.context["cl"].result_count == 3


@pytest.mark.parametrize("model", MODELS)
def test_each_page_is_shown_and_changes_nothing(staff, fill, model):
    fill(2)
    client = staff()
    row = model.objects.last()
    answer = client.get(page_url(row))
    assert answer.status_code == 200
    assert b'name="_save"' not in answer.content
    assert client.post(page_url(row), {}).status_code == 403
    assert client.get(reverse(f"admin:messaging_{model._meta.model_name}_add")).status_code == 403
    assert (
        client.get(reverse(f"admin:messaging_{model._meta.model_name}_delete", args=[row.pk])).status_code == 403
    )


def test_only_a_form_of_ours_changes_anything(staff, line, fill):
    fill()
    topic = SnsTopic.objects.get()
    client = staff("approve_snstopic")
    chosen = {"action": "approve", "_selected_action": [topic.pk]}
    client.get(list_url("snstopic"), chosen)  # a link
    client.handler.enforce_csrf_checks = True  # a form of somebody else's, without our token
    assert client.post(list_url("snstopic"), chosen).status_code == 403
    topic.refresh_from_db()
    assert topic.status == SnsTopic.Status.PENDING
    client.handler.enforce_csrf_checks = False
    client.post(list_url("snstopic"), chosen)
    topic.refresh_from_db()
    assert topic.status == SnsTopic.Status.APPROVED


@pytest.mark.parametrize("name", NAMES)
def test_strangers_are_sent_to_the_login(client, fill, name):
    fill()
    assert client.get(list_url(name)).status_code == 302


@pytest.mark.parametrize("model", MODELS)
def test_who_may_not_look_sees_nothing(client, fill, model):
    fill()
    client.force_login(User.objects.create_user("bob", is_staff=True))
    assert client.get(list_url(model._meta.model_name)).status_code == 403
    assert client.get(page_url(model.objects.first())).status_code == 403


def test_a_failure_is_shown_with_its_reason(staff, fill):
    fill()
    client = staff("read_message")
    for name in ("message", "delivery"):
        assert b"The window is closed." in client.get(list_url(name)).content
    page = client.get(page_url(Message.objects.get())).content
    assert page.count(b"The window is closed.") == 2  # of the message and of its delivery
    assert b"a.pdf" in page


def test_what_came_from_outside_is_shown_as_text(staff, line):
    script = "<script>alert(1)</script>"
    chat = Chat.objects.create(line=line, external_id="x", uspacy_id=uuid.uuid4(), name=script)
    failed_message(chat, text=script)
    WebhookEvent.objects.create(source="uspacy", key=script, payload=script)
    client = staff()
    for model in (Chat, Message, Delivery, WebhookEvent):
        for url in (list_url(model._meta.model_name), page_url(model.objects.get())):
            assert script.encode() not in client.get(url).content


@pytest.mark.parametrize("model", MODELS)
def test_no_secret_is_shown(staff, fill, model):
    fill()
    client = staff()
    for url in (list_url(model._meta.model_name), page_url(model.objects.first())):
        page = client.get(url).content.decode()
        for secret in ("s3cret", "whsec_shops", "eyJ-the-portals-token"):
            assert secret not in page


@pytest.mark.parametrize("name", ["chat", "message", "delivery", "webhookevent"])
def test_rows_are_found_by_their_ids(staff, fill, name):
    fill(3)
    wanted = Message.objects.select_related("chat").order_by("id")[1]
    terms = {
        "chat": str(wanted.chat.external_id),
        "message": str(wanted.uspacy_id),
        "delivery": str(wanted.uspacy_id),
        "webhookevent": WebhookEvent.objects.first().key,
    }
    answer = staff().get(list_url(name), {"q": terms[name]})
    assert answer.context["cl"].result_count == 1


# How much it costs


@pytest.mark.parametrize("name", NAMES)
def test_a_list_costs_the_same_whatever_is_in_it(staff, fill, name):
    client = staff()
    fill(2)
    few = len(queries(client, list_url(name)))
    fill(20)
    assert len(queries(client, list_url(name))) == few
    assert few < 12


def test_a_messages_page_costs_the_same_whatever_became_of_it(staff, fill):
    client = staff()
    fill(2)
    message = Message.objects.first()
    few = len(queries(client, page_url(message)))
    for _attempt in range(20):
        Delivery.objects.create(message=message, chat=message.chat, destination="customer")
        Attachment.objects.create(message=message, name="a.pdf")
    assert len(queries(client, page_url(message))) == few


@pytest.mark.parametrize("parameters", [{}, {"q": "x"}])
@pytest.mark.parametrize("name", NAMES)
def test_no_list_counts_a_whole_table(staff, fill, name, parameters):
    fill(60)
    url = f"{list_url(name)}?{'&'.join(f'{key}={value}' for key, value in parameters.items())}"
    assert [sql for sql in queries(staff(), url) if "COUNT(" in sql or "OFFSET" in sql] == []
