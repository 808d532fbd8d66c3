"""What a member of staff does at the console."""

import uuid

from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from messaging.models import Delivery, Message

SUBSCRIBE_URL = "https://sns.eu-central-1.amazonaws.com/?Action=ConfirmSubscription&Token=s3cret"


def failed_message(chat, **fields):
    message = Message.objects.create(
        chat=chat,
        uspacy_id=uuid.uuid4(),
        direction="out",
        status="failed",
        error="The window is closed.",
        **fields,
    )
    Delivery.objects.create(
        message=message, chat=chat, destination="customer", status="failed", error="The window is closed."
    )
    return message


def list_url(name):
    return reverse(f"admin:messaging_{name}_changelist")


def page_url(row):
    return reverse(f"admin:messaging_{row._meta.model_name}_change", args=[row.pk])


def act(client, name, action, *rows):
    """Choose an action for rows of a list; the page that follows, as text."""
    chosen = {"action": action, "_selected_action": [row.pk for row in rows]}
    answer = client.post(list_url(name), chosen, follow=True)
    assert answer.status_code == 200
    return answer.content.decode()


def queries(client, url):
    client.get(url)  # what Django looks up once in a process is not to count
    with CaptureQueriesContext(connection) as captured:
        assert client.get(url).status_code == 200
    return [query["sql"] for query in captured]
