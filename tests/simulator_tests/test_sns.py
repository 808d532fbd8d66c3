import base64
import json
import re
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.simulator_tests.conftest import DOMAIN, Client
from tests.simulator_tests.recorder import Recorder
from tests.simulators import Portal, World

Json = dict[str, Any]
URL_PATTERN = r"^http://127\.0\.0\.1:\d+/sns/.+"  # what the app is configured with
ORDER = ("Message", "MessageId", "Subject", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")


def verify(envelope: dict[str, str]) -> None:
    """As https://github.com/aws/aws-php-sns-message-validator does it; raises InvalidSignature."""
    certificate = x509.load_pem_x509_certificate(requests.get(envelope["SigningCertURL"], timeout=10).content)
    key = certificate.public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    digest = {"1": hashes.SHA1(), "2": hashes.SHA256()}[envelope["SignatureVersion"]]
    text = "".join(f"{name}\n{envelope[name]}\n" for name in ORDER if name in envelope)
    key.verify(base64.b64decode(envelope["Signature"]), text.encode(), padding.PKCS1v15(), digest)


@pytest.fixture
def subscribed(world: World) -> World:
    assert world.sns.subscribe().ok
    assert world.sns.confirm(world.sns.topic_arn, str(world.sns._token))
    return world


def events(app: Recorder) -> list[Json]:
    return [json.loads(call.json["Message"]) for call in app.calls if call.json["Type"] == "Notification"]


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("subject", [None, "A subject"])
def test_notifications_are_signed(world: World, version: str, subject: str | None) -> None:
    world.sns.signature_version = version
    envelope = world.sns.envelope({"text": "привіт"}, subject)
    assert envelope["SignatureVersion"] == version
    assert re.match(URL_PATTERN, envelope["SigningCertURL"])
    assert urlsplit(envelope["SigningCertURL"]).path.endswith(".pem")
    verify(envelope)
    with pytest.raises(InvalidSignature):
        verify({**envelope, "Message": "{}"})


@pytest.mark.parametrize("version", ["1", "2"])
def test_a_subscription_is_confirmed_by_its_url(world: World, app: Recorder, version: str) -> None:
    world.sns.signature_version = version
    world.sns.subscribe()
    envelope = app.calls[0].json
    verify(envelope)
    assert envelope["Type"] == "SubscriptionConfirmation"
    assert re.match(URL_PATTERN, envelope["SubscribeURL"])
    assert not world.sns.confirmed
    assert requests.get(envelope["SubscribeURL"], timeout=10).status_code == 200
    assert world.sns.confirmed
    world.sns.unsubscribe()
    assert app.calls[-1].json["Type"] == "UnsubscribeConfirmation"
    verify(app.calls[-1].json)
    assert not world.sns.confirmed


def test_a_wrong_confirmation_is_a_breach(world: World) -> None:
    world.sns.subscribe()
    url = f"{world.base_url}/sns/confirm?Action=ConfirmSubscription&TopicArn={world.sns.topic_arn}&Token=wrong"
    assert requests.get(url, timeout=10).status_code == 403
    assert not world.sns.confirmed
    assert len(world.breaches) == 1


def test_requests_look_like_those_of_aws(subscribed: World, app: Recorder) -> None:
    subscribed.sns.publish({"n": 1})
    assert subscribed.settle()
    confirmation, notification = app.calls
    assert notification.path == "/webhooks/uspacy"
    assert notification.headers["content-type"] == "text/plain; charset=UTF-8"
    assert notification.headers["x-amz-sns-message-type"] == "Notification"
    assert notification.headers["x-amz-sns-message-id"] == notification.json["MessageId"]
    assert notification.headers["x-amz-sns-topic-arn"] == notification.json["TopicArn"]
    assert notification.headers["x-amz-sns-subscription-arn"].startswith(notification.json["TopicArn"])
    assert confirmation.headers["x-amz-sns-message-type"] == "SubscriptionConfirmation"
    assert "x-amz-sns-subscription-arn" not in confirmation.headers
    assert isinstance(notification.json["Message"], str)


def test_nothing_is_delivered_before_the_confirmation(world: World, app: Recorder) -> None:
    event = world.sns.publish({"n": 1})
    assert world.settle()
    assert app.calls == []
    assert event.attempts == []


@pytest.mark.parametrize(
    ("answers", "attempts"),
    [([], 1), ([403], 1), ([302], 1), ([500, 503], 3), ([500, 500, 500, 500, 500], 4)],
)
def test_only_failures_are_repeated_and_three_times_at_most(
    subscribed: World, app: Recorder, answers: list[int], attempts: int
) -> None:
    app.answers = answers
    event = subscribed.sns.publish({"n": 1})
    assert subscribed.settle()
    assert len(event.attempts) == attempts == len(app.calls) - 1
    assert event.handled == (attempts < 4)
    assert len({call.json["MessageId"] for call in app.calls[1:]}) == 1


def test_an_app_that_is_down_gets_the_event_later(subscribed: World, app: Recorder) -> None:
    subscribed.app_url = "http://127.0.0.1:9"
    event = subscribed.sns.publish({"n": 1})
    assert subscribed.wait_for(lambda: event.attempts)
    subscribed.app_url = app.url
    assert subscribed.settle()
    assert [attempt.status for attempt in event.attempts] == [0, 200]


def test_an_event_can_come_twice_and_again(subscribed: World, app: Recorder) -> None:
    subscribed.sns.copies = 2
    subscribed.sns.publish({"n": 1})
    assert subscribed.settle()
    subscribed.sns.redeliver()
    assert len(app.calls[1:]) == 3
    assert len({call.body for call in app.calls[1:]}) == 1


def test_events_can_come_in_reverse(subscribed: World, app: Recorder) -> None:
    with subscribed.sns.held(reverse=True):
        for number in range(3):
            subscribed.sns.publish({"n": number}, key="chat")
    assert subscribed.settle()
    assert [event["n"] for event in events(app)] == [2, 1, 0]


def test_events_of_a_chat_come_in_order(subscribed: World, app: Recorder) -> None:
    for number in range(30):
        subscribed.sns.publish({"n": number}, key="chat")
    assert subscribed.settle()
    assert [event["n"] for event in events(app)] == list(range(30))


# What the operators' work publishes


def test_an_operators_message_has_every_documented_field(
    subscribed: World, portal: Portal, client: Client, chat: Json, app: Recorder
) -> None:
    quoted = client.call("POST", "/messenger/v1/messages", json=client.message(chat)).json()
    files = [("a.png", b"png")]
    written = subscribed.uspacy.operator_writes(DOMAIN, chat["id"], "**Hi**", files, parent=quoted["id"])
    assert subscribed.settle()
    event = events(app)[-1]
    data, entity = event["data"], event["data"]["entity"]
    assert set(event) == {"type", "topic", "env", "request_id", "metadata", "data"}
    assert (event["type"], event["topic"], event["env"]) == ("message", "Notifications", "ua")
    assert set(data) == {"action", "service", "domain", "user_id", "timestamp", "entity"}
    assert (data["action"], data["service"], data["domain"]) == ("create", "messenger", DOMAIN)
    assert entity["id"] == written["id"]
    assert (entity["message"], entity["type"], entity["authorId"]) == ("**Hi**", "MESSAGE", 41)
    assert "externalAuthorId" not in entity
    assert set(entity["externalLine"]) == {
        *("externalId", "icon", "id", "name", "phoneNumber", "portal", "timestamp")
    }
    assert entity["parent"]["id"] == entity["chatId"] == chat["id"]
    assert entity["parent"]["meta"] == chat["meta"]
    assert isinstance(entity["parent"]["lastMessage"]["externalLine"], str)
    assert entity["parentMessage"]["id"] == quoted["id"]
    (file,) = entity["attachedFiles"]
    assert (file["entityId"], file["originalFilename"], file["size"]) == (written["id"], "a.png", 3)
    assert requests.get(file["url"], timeout=10).content == b"png"


def test_edits_deletions_readings_and_system_messages_are_published(
    subscribed: World, portal: Portal, client: Client, chat: Json, app: Recorder
) -> None:
    portal.echo = False
    client.call("POST", "/messenger/v1/messages", json=client.message(chat))
    written = subscribed.uspacy.operator_writes(DOMAIN, chat["id"], "one")
    subscribed.uspacy.operator_edits(DOMAIN, written["id"], "two")
    subscribed.uspacy.operator_reads(DOMAIN, chat["id"])
    subscribed.uspacy.system_message(DOMAIN, chat["id"], "Lead created")
    subscribed.uspacy.operator_deletes(DOMAIN, written["id"], bare=True)
    assert subscribed.settle()
    seen = [(event["data"]["action"], event["data"]["entity"]) for event in events(app)]
    assert [action for action, _ in seen] == ["create", "update", "update", "create", "delete"]
    assert seen[1][1]["message"] == "two"
    assert seen[2][1]["readBy"] == [41]
    assert (seen[3][1]["type"], bool(seen[3][1]["relations"])) == ("SYSTEM", True)
    assert seen[4][1] == {"id": written["id"]}


def test_what_the_app_does_comes_back_unless_switched_off(
    subscribed: World, portal: Portal, client: Client, chat: Json, app: Recorder
) -> None:
    body = client.message(chat)
    client.call("POST", "/messenger/v1/messages", json=body)
    assert subscribed.settle()
    (echo,) = events(app)
    assert echo["data"]["action"] == "create"
    assert echo["data"]["entity"]["id"] == body["id"]
    assert echo["data"]["entity"]["externalAuthorId"] == body["externalAuthorId"]
    written = subscribed.uspacy.operator_writes(DOMAIN, chat["id"], "Hi")
    client.call("PATCH", f"/messenger/v1/messages/{written['id']}/status", json={"status": "sent"})
    assert subscribed.settle()
    assert events(app)[-1]["data"]["entity"]["status"] == "sent"
    portal.echo = False
    before = len(app.calls)
    client.call("POST", "/messenger/v1/messages", json=client.message(chat))
    assert subscribed.settle()
    assert len(app.calls) == before


def test_foreign_events_are_signed_but_none_of_the_apps_business(
    subscribed: World, portal: Portal, app: Recorder
) -> None:
    chat_id = subscribed.uspacy.foreign_chat(DOMAIN)
    subscribed.uspacy.operator_writes(DOMAIN, chat_id, "Hi")
    subscribed.uspacy.foreign_event(DOMAIN)
    assert subscribed.settle()
    by_service = {event["data"]["service"]: event for event in events(app)}
    assert by_service["messenger"]["data"]["entity"]["externalLine"]["id"] in portal.foreign_lines
    assert by_service["crm"]["type"] == "deal"
