"""`POST /webhooks/uspacy`: what Amazon SNS brings is verified, stored and answered (uspacy-api.md 9.1).

The envelope itself is examined in `test_sns.py`; what an event means, in `test_uspacy_events.py`.
"""

import json
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from externallines.models import ExternalLine
from messaging import inbox, sns, tasks, topics
from messaging.models import Chat, Delivery, Message, SnsTopic, WebhookEvent
from portals import gate
from portals.models import Portal
from tests.simulators import outgoing

pytestmark = pytest.mark.django_db(transaction=True)

MINIMAL = Path(__file__).parent.parent / "payloads/uspacy/message_create_minimal.json"
OTHER_TOPIC = "arn:aws:sns:eu-central-1:999999999999:somebody-elses"


@pytest.fixture
def chat(world):
    """The chat that the captured event is about, in a portal that has installed the app."""
    portal = Portal.objects.create(domain="acme.uspacy.ua")
    line = ExternalLine.objects.create(
        portal=portal,
        channel="webhook",
        name="Shop IG",
        external_id="ig-17",
        uspacy_id="65a0f1b2c3d4e5f60718293a",
        status="active",
    )
    return Chat.objects.create(
        line=line, external_id="123", uspacy_id="5c1e8d7b-4a39-4c26-8f15-6b0a9d8e7f3c", in_uspacy=True
    )


@pytest.fixture
def post(world):
    """POST a body to the webhook and return the answer."""

    def post(body, content_type="text/plain; charset=UTF-8", method="POST", **headers):
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        return outgoing.call(
            method,
            f"{world.app_url}/webhooks/uspacy",
            data=body,
            headers={"Content-Type": content_type, **headers},
        )

    return post


@pytest.fixture
def errors(caplog):
    """The errors that were logged."""
    return lambda: "\n".join(record.getMessage() for record in caplog.records if record.levelname == "ERROR")


def captured(**changed):
    """The captured event, as another message each time."""
    event = json.loads(MINIMAL.read_text())
    event["data"]["entity"] |= {"id": str(uuid.uuid4()), "attachedFiles": None} | changed
    return event


def signed_at(world, moment):
    timestamp = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return world.sns.sign({**world.sns.envelope(captured()), "Timestamp": timestamp})


# What is taken in


@pytest.mark.parametrize("version", ["1", "2"])
def test_a_signed_event_is_stored_and_queued_for_the_customer(world, chat, post, version):
    world.sns.signature_version = version
    envelope = world.sns.envelope(captured())
    answer = post(envelope)
    assert (answer.status_code, answer.content) == (200, b"")
    event = WebhookEvent.objects.get()
    assert (event.source, event.key, event.outcome) == ("uspacy", envelope["MessageId"], "accepted")
    assert Delivery.objects.get().message.text == "**Hi**"


@pytest.mark.parametrize(
    "content_type",
    ["text/plain; charset=UTF-8", "application/json", "multipart/form-data", "nonsense", "text/plain; charset=?"],
)
def test_the_content_type_does_not_matter(world, chat, post, content_type):
    assert post(world.sns.envelope(captured()), content_type).status_code == 200
    assert Message.objects.count() == 1


def test_a_trailing_slash_does_not_matter(world, chat):
    answer = outgoing.call(
        "POST", f"{world.app_url}/webhooks/uspacy/", data=json.dumps(world.sns.envelope(captured()))
    )
    assert answer.status_code == 200
    assert Message.objects.count() == 1


def test_the_payload_is_kept_as_it_came(world, chat, post):
    text = json.dumps(captured(message="Привіт 👋 \u0000 \\"), indent=3).replace('"topic"', ' "topic" ')
    post(world.sns.envelope(text))
    assert WebhookEvent.objects.get().payload == text
    assert Message.objects.get().text == "Привіт 👋  \\"


@pytest.mark.parametrize("text", ["", "not JSON", "[]", "null", '{"type": "message"}', "\x00", "1" * 5000])
def test_what_cannot_be_interpreted_is_stored_as_failed_and_acknowledged(world, chat, post, text):
    assert post(world.sns.envelope(text)).status_code == 200
    event = WebhookEvent.objects.get()
    assert event.outcome == "failed"
    assert "InvalidPayload" in event.error
    assert event.payload == text.replace("\x00", "\N{REPLACEMENT CHARACTER}")


def test_an_event_of_no_concern_is_acknowledged_with_the_reason(world, chat, post):
    assert post(world.sns.envelope({"type": "deal", "data": {}})).status_code == 200
    event = WebhookEvent.objects.get()
    assert (event.outcome, event.reason) == ("ignored", "not a message")


def test_the_same_notification_is_one_event_however_often_it_comes(world, chat, post):
    envelope = world.sns.envelope(captured())
    assert [post(envelope).status_code for _time in range(3)] == [200, 200, 200]
    assert (WebhookEvent.objects.count(), Message.objects.count(), Delivery.objects.count()) == (1, 1, 1)
    assert WebhookEvent.objects.get().outcome == "accepted"  # and not interpreted a second time


def test_eight_deliveries_at_the_same_time_are_one_message(world, chat, post):
    envelope = world.sns.envelope(captured())
    barrier = threading.Barrier(8)

    def deliver(_number):
        barrier.wait()
        return post(envelope).status_code

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(deliver, range(8))) == [200] * 8
    assert (WebhookEvent.objects.count(), Message.objects.count(), Delivery.objects.count()) == (1, 1, 1)
    assert WebhookEvent.objects.get().outcome == "accepted"  # and not interpreted a second time


def test_eight_events_of_one_message_at_the_same_time_are_one_message(world, chat, post):
    event = captured()
    envelopes = [world.sns.envelope(event) for _number in range(8)]  # each with a MessageId of its own
    barrier = threading.Barrier(8)

    def deliver(envelope):
        barrier.wait()
        return post(envelope).status_code

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(deliver, envelopes)) == [200] * 8
    assert (Message.objects.count(), Delivery.objects.count()) == (1, 1)
    outcomes = WebhookEvent.objects.values_list("outcome", "reason")
    assert sorted(outcomes) == [("accepted", "")] + [("ignored", "known message")] * 7


# What is refused


def refused(answer):
    """Whether an answer is a 403 with a readable reason, and nothing was stored."""
    return answer.status_code == 403 and answer.json()["error"]["message"] and not WebhookEvent.objects.exists()


@pytest.mark.parametrize("version", ["1", "2"])
def test_a_changed_event_is_refused(world, chat, post, version):
    world.sns.signature_version = version
    envelope = world.sns.envelope(captured())
    assert refused(post({**envelope, "Message": envelope["Message"].replace("Hi", "Pay me")}))


@pytest.mark.parametrize("version", ["1", "2"])
def test_a_validly_signed_event_of_another_topic_is_refused(world, chat, post, version):
    world.sns.signature_version = version
    world.sns.topic_arn = OTHER_TOPIC
    assert refused(post(world.sns.envelope(captured())))
    assert not SnsTopic.objects.exists()


@pytest.mark.parametrize(("minutes", "status"), [(64, 200), (66, 403), (-4, 200), (-6, 403)])
def test_an_event_is_taken_for_an_hour_and_the_difference_of_clocks(world, chat, post, minutes, status):
    assert post(signed_at(world, datetime.now(UTC) - timedelta(minutes=minutes))).status_code == status
    assert WebhookEvent.objects.count() == (1 if status == 200 else 0)


@pytest.mark.parametrize("flag", ["true", "TRUE"])
def test_raw_delivery_is_refused_however_well_it_is_signed(world, chat, post, flag):
    assert refused(post(world.sns.envelope(captured()), **{"x-amz-sns-rawdelivery": flag}))
    assert refused(post(captured(), **{"x-amz-sns-rawdelivery": flag}))


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff\xfe", b"null", b"[]", b'"text"', b"{}", b"[" * 100_000, b'{"Type": "Notification"}']
)
def test_garbage_is_refused(world, chat, post, body):
    assert refused(post(body))


@pytest.mark.parametrize("name", ["MessageId", "TopicArn", "Subject"])
def test_an_envelope_with_a_nul_in_its_names_is_refused(world, chat, post, name):
    envelope = world.sns.envelope(captured(), subject="Hello")
    assert refused(post(world.sns.sign({**envelope, name: f"{envelope[name]}\x00"})))


def test_a_body_above_one_mebibyte_is_refused(world, chat, post):
    assert refused(post(world.sns.envelope(captured(message="a" * 1024 * 1024))))


def test_a_body_above_all_limits_is_not_even_read(world, chat, post):
    answer = post(b" " * (3 * 1024 * 1024 + 1))
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "too_large"


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_only_post_is_answered(world, chat, post, method):
    assert post(world.sns.envelope(captured()), method=method).status_code == 405
    assert not WebhookEvent.objects.exists()


@pytest.mark.parametrize("fault", [{"kind": "status", "code": 500}, {"kind": "cut", "times": 2}])
def test_while_the_certificate_cannot_be_fetched_amazon_is_asked_to_come_again(
    world, chat, post, monkeypatch, errors, fault
):
    monkeypatch.setattr(sns, "_certificates", sns._Certificates())
    world.faults.add(r"^/sns/.*\.pem$", **fault)
    envelope = world.sns.envelope(captured())
    assert post(envelope).status_code == 503
    assert not WebhookEvent.objects.exists()
    assert "sns_certificate_unreachable" in errors()
    world.faults.clear()
    gate.reset()
    assert post(envelope).status_code == 200
    assert Message.objects.count() == 1


# Our own faults


def test_an_event_we_fail_to_interpret_is_kept_and_can_be_processed_once_that_is_mended(world, chat, post, errors):
    ExternalLine.objects.update(channel="no-longer-there")
    Chat.objects.all().delete()
    assert post(world.sns.envelope(captured())).status_code == 200
    event = WebhookEvent.objects.get()
    assert event.outcome == "failed"
    assert event.error.startswith("Traceback")
    assert "KeyError: 'no-longer-there'" in event.error
    assert "webhook_event_failed" in errors()
    assert not Message.objects.exists()

    assert inbox.reprocess(event).outcome == "failed"  # nothing has been mended yet
    ExternalLine.objects.update(channel="webhook")
    chat.pk = None
    chat.save()
    inbox.reprocess(event)
    event.refresh_from_db()
    assert (event.outcome, event.error) == ("accepted", "")
    assert Message.objects.get().text == "**Hi**"
    assert Delivery.objects.count() == 1
    assert inbox.reprocess(event).outcome == "ignored"
    assert Delivery.objects.count() == 1


def test_an_event_that_failed_is_not_taken_in_again_when_it_is_repeated(world, chat, post):
    envelope = world.sns.envelope("not JSON")
    assert [post(envelope).status_code, post(envelope).status_code] == [200, 200]
    assert WebhookEvent.objects.count() == 1


def test_a_repeat_of_what_failed_is_known_as_one(db):
    assert [inbox.receive_from_uspacy("key", "{]") for _time in range(3)] == [True, False, False]


# The subscription


def confirm():
    """Do the worker's part."""
    gate.reset()
    tasks.confirm_subscriptions()


def visits(world):
    return len(world.requests.matching(r"^/sns/confirm"))


@pytest.mark.parametrize("version", ["1", "2"])
def test_a_trusted_topic_is_confirmed_by_the_worker(world, version):
    world.sns.signature_version = version
    assert world.sns.subscribe().status_code == 200
    assert not world.sns.confirmed
    confirm()
    assert world.sns.confirmed
    topic = SnsTopic.objects.get()
    assert (topic.arn, topic.status) == (world.sns.topic_arn, "approved")
    assert topic.confirmed_at is not None
    assert topic.subscribe_url == ""  # whoever has it can confirm
    confirm()
    assert visits(world) == 1


def test_an_unknown_topic_waits_for_approval_and_is_refused_until_then(world, chat, post):
    world.sns.topic_arn = OTHER_TOPIC
    assert world.sns.subscribe().status_code == 200
    confirm()
    topic = SnsTopic.objects.get()
    assert (topic.arn, topic.status, topic.confirmed_at) == (OTHER_TOPIC, "pending", None)
    assert visits(world) == 0
    assert refused(post(world.sns.envelope(captured())))

    topics.approve(topic)
    confirm()
    assert world.sns.confirmed
    assert post(world.sns.envelope(captured())).status_code == 200
    assert Message.objects.count() == 1


def test_a_rejected_topic_stays_refused_however_often_it_asks(world, chat, post):
    world.sns.topic_arn = OTHER_TOPIC
    world.sns.subscribe()
    topics.reject(SnsTopic.objects.get())
    assert world.sns.subscribe().status_code == 200
    confirm()
    assert SnsTopic.objects.get().status == "rejected"
    assert visits(world) == 0
    assert refused(post(world.sns.envelope(captured())))


def test_an_approved_topic_that_is_rejected_is_refused_from_then_on(world, chat, post):
    world.sns.topic_arn = OTHER_TOPIC
    world.sns.subscribe()
    topics.approve(SnsTopic.objects.get())
    confirm()
    topics.reject(SnsTopic.objects.get())
    assert refused(post(world.sns.envelope(captured())))


def test_a_waiting_topic_that_the_settings_come_to_trust_is_confirmed(world, settings):
    world.sns.topic_arn = OTHER_TOPIC
    world.sns.subscribe()
    settings.SNS_TOPIC_ARNS = [OTHER_TOPIC]
    confirm()
    assert world.sns.confirmed
    topic = SnsTopic.objects.get()
    assert topic.confirmed_at is not None
    assert topic.status == "approved"


def test_a_forged_request_to_subscribe_leaves_no_trace(world, post):
    envelope = world.sns.handshake("SubscriptionConfirmation")
    assert refused(post({**envelope, "TopicArn": OTHER_TOPIC}))
    assert refused(post(world.sns.sign({**envelope, "SubscribeURL": "https://evil.example/confirm"})))
    assert not SnsTopic.objects.exists()


def test_a_confirmation_that_fails_for_a_passing_reason_is_tried_again(world):
    world.sns.subscribe()
    world.faults.add(r"^/sns/confirm", "status", code=503)
    confirm()
    topic = SnsTopic.objects.get()
    assert (topic.confirmed_at, topic.error) == (None, "")
    confirm()
    assert world.sns.confirmed
    assert visits(world) == 2


def test_a_confirmation_that_is_refused_is_shown_and_tried_again_only_when_approved_again(world):
    world.sns.subscribe()
    world.faults.add(r"^/sns/confirm", "status", code=404)
    confirm()
    confirm()
    topic = SnsTopic.objects.get()
    assert "404" in topic.error
    assert (topic.confirmed_at, visits(world)) == (None, 1)
    topics.approve(topic)
    confirm()
    assert world.sns.confirmed
    topic.refresh_from_db()
    assert topic.error == ""


def test_a_link_that_comes_while_an_older_one_is_visited_is_visited_too(world):
    world.sns.subscribe()
    world.faults.add(r"^/sns/confirm", "slow", seconds=0.3)
    worker = threading.Thread(target=tasks.confirm_subscriptions)
    worker.start()
    world.pause(0.1)
    world.sns.subscribe()
    worker.join()
    assert SnsTopic.objects.get().confirmed_at is None
    confirm()
    assert world.sns.confirmed


def test_a_link_that_fails_does_not_hold_back_other_topics(world, settings):
    world.sns.topic_arn = OTHER_TOPIC
    world.sns.subscribe()
    topics.approve(SnsTopic.objects.get())
    SnsTopic.objects.create(
        arn="arn:aws:sns:eu-central-1:1:dead", status="approved", subscribe_url="http://127.0.0.1:1/sns/confirm"
    )
    confirm()
    assert world.sns.confirmed


def test_an_unsubscription_is_flagged_and_logged_until_the_topic_subscribes_again(world, chat, post, errors):
    world.sns.subscribe()
    confirm()
    assert world.sns.unsubscribe().status_code == 200
    assert SnsTopic.objects.get().unsubscribed_at is not None
    assert "sns_unsubscribed" in errors()
    confirm()
    assert not world.sns.confirmed  # nobody subscribes again by himself
    assert visits(world) == 1
    assert post(world.sns.envelope(captured())).status_code == 200  # what was under way still counts

    world.sns.subscribe()
    assert SnsTopic.objects.get().unsubscribed_at is not None
    confirm()
    assert world.sns.confirmed
    assert SnsTopic.objects.get().unsubscribed_at is None


def test_an_unsubscription_of_a_topic_that_never_asked_is_flagged_too(world, errors):
    assert world.sns.unsubscribe().status_code == 200  # it was confirmed by other means
    topic = SnsTopic.objects.get()
    assert (topic.arn, topic.status) == (world.sns.topic_arn, "approved")
    assert topic.unsubscribed_at is not None
    assert "sns_unsubscribed" in errors()


def test_an_unsubscription_of_an_unknown_topic_is_refused(world, post, errors):
    world.sns.topic_arn = OTHER_TOPIC
    assert world.sns.unsubscribe().status_code == 403
    assert not SnsTopic.objects.exists()
    assert "sns_unsubscribed" not in errors()
