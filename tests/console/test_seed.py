"""Made-up data: believable, of any size, and harmless."""

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models import Sum
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from console import seeding
from externallines import health
from externallines.models import ExternalLine
from messaging import inbox
from messaging.models import Attachment, Chat, Delivery, HourlyFigures, Message, SnsTopic, WebhookEvent
from messaging.tasks import confirm_subscriptions
from portals.models import Portal, PortalEvent

pytestmark = pytest.mark.django_db

MESSAGES = 1_500
CHANNELS = {"telegram", "viber", "whatsapp", "facebook", "instagram", "webhook"}
ON_TOP = 18  # messages of the conversation that has everything


@pytest.fixture
def seeded():
    for _stored in seeding.seed(MESSAGES, None, timezone.now()):
        pass


def values(model, *fields, **filters):
    return set(model.objects.filter(**filters).values_list(*fields, flat=len(fields) == 1))


# What there is


def test_there_are_exactly_so_many_messages_as_asked_for_and_the_example(seeded):
    assert Message.objects.count() == MESSAGES + ON_TOP


def test_there_are_portals_and_lines_in_all_states_and_lines_of_all_channels(seeded):
    assert values(Portal, "status") == set(Portal.Status)
    assert values(ExternalLine, "status") == set(ExternalLine.Status)
    assert values(ExternalLine, "channel") == CHANNELS
    assert values(Chat, "line__channel") == CHANNELS
    assert "" not in values(ExternalLine, "error", status="error")
    assert values(ExternalLine, "warning") > {""}
    assert {"installed", "renewed", "refused", "uninstalled"} <= values(PortalEvent, "kind")


def test_messages_have_every_state_and_what_failed_says_why(seeded):
    assert values(Message, "status") == set(Message.Status)
    assert values(Message, "direction") == {"in", "out"}
    assert "" not in values(Message, "error", status="failed")
    assert "" not in values(Delivery, "failure", status="failed")
    assert values(Delivery, "kind") == set(Delivery.Kind)
    assert values(SnsTopic, "status") == set(SnsTopic.Status)


def test_each_conversation_is_in_the_order_of_its_rows_and_ends_now(seeded):
    for chat in Chat.objects.all():
        times = list(chat.messages.order_by("id").values_list("created_at", flat=True))
        assert times == sorted(times)
        assert chat.last_message_at == times[-1]
    newest, oldest = (
        Message.objects.order_by(order).first().created_at for order in ("-created_at", "created_at")
    )
    assert timedelta(0) < timezone.now() - newest < timedelta(minutes=2)
    assert timedelta(days=29) < newest - oldest <= timedelta(days=30)


def test_the_example_has_everything_a_conversation_can_have(seeded):
    chat = Chat.objects.get(name="Олена Коваль", line__channel="telegram", meta__contains=[{"type": "username"}])
    messages = chat.messages.all()
    assert chat.line.error
    assert messages.exclude(parent=None).exists()
    assert messages.exclude(edited_at=None).exists()
    assert messages.exclude(deleted_at=None).exists()
    assert set(messages.values_list("status", flat=True)) == {"sent", "failed", "queued"}
    assert set(Attachment.objects.filter(message__chat=chat).values_list("kind", flat=True)) == {
        "image",
        "file",
        "voice",
        "video",
    }
    assert chat == Chat.objects.first()


def test_the_home_page_has_its_figures_at_once(seeded):
    since = timezone.now() - timedelta(days=6)
    counted = HourlyFigures.objects.filter(hour__gte=since).aggregate(total=Sum("messages"))["total"]
    assert counted >= Message.objects.filter(created_at__gte=since + timedelta(hours=1)).count() > 0


def test_what_the_webhooks_say_is_what_the_product_understands(seeded):
    """Each kind of event, processed again, comes to what it came to before: the message is known."""
    before = Message.objects.count()
    lines = {str(line.key): line.channel for line in ExternalLine.objects.all()}
    seen = set()
    for event in WebhookEvent.objects.exclude(outcome="failed"):
        kind = (lines.get(event.source, "uspacy"), event.outcome, "attach" in event.payload)
        if kind not in seen:
            seen.add(kind)
            inbox.reprocess(event)
            assert event.outcome != WebhookEvent.Outcome.FAILED, (event.payload, event.error)
    assert {source for source, *_rest in seen} == {*CHANNELS, "uspacy"}
    assert Message.objects.count() == before


def test_a_message_leads_to_the_webhook_that_told_of_it(seeded):
    message = Message.objects.filter(event__isnull=False, direction="in").first()
    assert message.event.source == str(message.chat.line.key)
    old = timezone.now() - timedelta(days=14, minutes=5)
    assert not WebhookEvent.objects.filter(received_at__lt=old).exists()
    assert json.loads(message.event.payload)


def test_the_same_comes_out_each_time():
    now = timezone.now()
    texts = []
    for _time in range(2):
        for _stored in seeding.seed(50, None, now):
            pass
        texts.append(list(Message.objects.order_by("id").values_list("text", "status", "sent_at")))
        Portal.objects.all().delete()
        WebhookEvent.objects.all().delete()
    assert texts[0] == texts[1]


def test_a_second_time_adds_other_portals(seeded):
    domains = values(Portal, "domain")
    for _stored in seeding.seed(50, 3, timezone.now()):
        pass
    assert Portal.objects.count() == len(domains) + 3
    assert Message.objects.count() == MESSAGES + 50 + 2 * ON_TOP


def test_more_messages_take_no_more_queries_until_a_batch_is_full():
    counts = []
    for messages in (50, 50, 1_000):  # the first time staff are made as well
        with CaptureQueriesContext(connection) as queries:
            for _stored in seeding.seed(messages, 2, timezone.now()):
                pass
        counts.append(len(queries))
    assert counts[1] == counts[2]


# It is harmless


def test_no_portal_has_a_name_that_leads_anywhere(seeded):
    assert all(domain.endswith(".uspacy.test") for domain in values(Portal, "domain"))


def test_a_worker_finds_nothing_to_deliver_to_check_or_to_tend(seeded):
    assert Delivery.objects.open().exists()
    assert not Delivery.objects.open().deliverable().exists()
    assert health.due(1_000) == []
    assert not ExternalLine.objects.to_revive().exists()
    assert not ExternalLine.objects.to_unsubscribe().exists()
    assert not Attachment.objects.exclude(retry_at=None).exists()
    soon = timezone.now() + timedelta(hours=2)
    assert not Portal.objects.active().expiring_before(soon).exists()


def test_no_topic_is_confirmed_by_itself(seeded):
    confirm_subscriptions()  # `responses` would refuse a call
    assert not SnsTopic.objects.filter(status="approved", confirmed_at=None).exists()


# The command


def test_it_refuses_without_debug(settings):
    settings.DEBUG = False
    with pytest.raises(CommandError, match="DEBUG=1"):
        call_command("seed")
    assert not Portal.objects.exists()


def test_it_refuses_where_there_are_other_portals(settings):
    settings.DEBUG = True
    Portal.objects.create(domain="acme.uspacy.ua")
    with pytest.raises(CommandError, match=r"acme\.uspacy\.ua"):
        call_command("seed")
    assert Portal.objects.count() == 1


@pytest.mark.parametrize("number", ["--messages=0", "--portals=0"])
def test_it_refuses_nonsense(settings, number):
    settings.DEBUG = True
    with pytest.raises(CommandError, match="above zero"):
        call_command("seed", number)


@pytest.mark.django_db(transaction=True)
def test_it_says_what_it_did(settings, capsys):
    settings.DEBUG = True
    told = StringIO()
    call_command("seed", "--messages=60", "--portals=4", stdout=told)
    assert "60 messages" in told.getvalue()
    assert "60 of 60" in capsys.readouterr().err
    assert Portal.objects.count() == 4
