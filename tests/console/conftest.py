"""What the tests of the console share: something to look at, and somebody who looks."""

import uuid

import pytest
from django.contrib.auth.models import Permission, User
from django.db.models import Q

from externallines.models import ExternalLine
from messaging.models import Attachment, Chat, Message, SnsTopic, WebhookEvent
from portals.models import Portal
from tests.console.desk import SUBSCRIBE_URL, failed_message


@pytest.fixture
def line():
    portal = Portal.objects.create(domain="acme.uspacy.ua", token="eyJ-the-portals-token")
    return ExternalLine.objects.create(
        portal=portal,
        channel="webhook",
        name="Shop",
        external_id="shop",
        uspacy_id="65a0",
        credentials={"url": "https://x", "secret": "whsec_shops"},
    )


@pytest.fixture
def fill(line):
    """Write so many rows of everything that staff can look at."""

    def fill(count=1):
        for number in range(count):
            chat = Chat.objects.create(
                line=line, external_id=f"{uuid.uuid4()}", contact_id="ann", uspacy_id=uuid.uuid4(), name="Ann"
            )
            message = failed_message(chat, parent=Message.objects.first(), external_id=f"m{number}")
            Attachment.objects.create(message=message, name="a.pdf", source={"url": "https://x/a.pdf"})
            WebhookEvent.objects.create(source="uspacy", key=f"{uuid.uuid4()}", payload="{}", outcome="failed")
            SnsTopic.objects.create(arn=f"arn:aws:sns:{uuid.uuid4()}", subscribe_url=SUBSCRIBE_URL)

    return fill


@pytest.fixture
def staff(client):
    """Sign in somebody with these permissions, and may look at everything."""

    def staff(*permissions):
        user = User.objects.create_user(f"{uuid.uuid4()}", is_staff=True)
        user.user_permissions.set(
            Permission.objects.filter(Q(codename__in=permissions) | Q(codename__startswith="view_"))
        )
        client.force_login(user)
        return client

    return staff
