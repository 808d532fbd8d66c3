"""What the partner sends to the app."""

import hashlib
from typing import Any

import pytest
import requests
from standardwebhooks import Webhook

from tests.simulator_tests.conftest import SECRET
from tests.simulator_tests.recorder import Recorder
from tests.simulators import Customer, Partner, World
from tests.simulators.partner_events import conversation

Json = dict[str, Any]


def test_what_customers_do_is_sent_signed(partner: Partner, ann: Customer, app: Recorder) -> None:
    app.answers = [202] * 9
    sent = partner.write(ann, "Hi", files=[("a.png", b"png")], wait=True)
    assert sent.response is not None
    assert sent.response.status_code == 202
    assert sent.message is not None
    partner.write(ann, "Re", reply_to=sent.message.id, wait=True)
    partner.edit(sent.message.id, "Hello", wait=True)
    partner.delete(sent.message.id, wait=True)
    partner.block(ann, wait=True)
    partner.unblock(ann, wait=True)
    partner.ping(wait=True)
    for call in app.calls:
        Webhook(SECRET).verify(call.body, call.headers)
    assert [call.json["type"] for call in app.calls] == [
        *("message.created", "message.created", "message.updated", "message.deleted"),
        *("contact.blocked", "contact.unblocked", "ping"),
    ]
    created, reply, updated, deleted, *_ = (call.json["data"] for call in app.calls)
    assert created["conversation"] == conversation(ann)
    assert created["contact"] == {
        "id": ann.id,
        "name": "Ann",
        "avatar_url": ann.picture_url,
        "phone": "+380000000000",
    }
    assert (created["message"]["text"], created["message"]["direction"]) == ("Hi", "in")
    (file,) = created["message"]["attachments"]
    assert (file["name"], file["kind"], file["size"]) == ("a.png", "image", 3)
    content = requests.get(file["url"], timeout=10).content
    assert hashlib.sha256(content).hexdigest() == file["sha256"]
    assert reply["message"]["reply_to_id"] == created["message"]["id"]
    assert updated["message"]["text"] == "Hello"
    assert deleted["message"]["id"] == created["message"]["id"]
    assert [m.status for m in partner.messages(ann)] == ["accepted", "accepted"]
    assert (partner.messages(ann)[0].edited, partner.messages(ann)[0].deleted) == (True, True)
    assert str(ann.picture_url).startswith(partner.url)
    assert requests.get(str(ann.picture_url), timeout=10).headers["Content-Type"].startswith("image/svg+xml")


def test_what_the_app_does_not_take_is_repeated_with_the_same_id(
    world: World, partner: Partner, ann: Customer, app: Recorder
) -> None:
    partner.retry_delays = (0.01, 0.01, 0.01)
    app.answers = [503, 401, 202]
    sent = partner.write(ann, "Hi")
    assert world.settle()
    assert [attempt.status for attempt in sent.attempts] == [503, 401, 202]
    assert {call.headers["webhook-id"] for call in app.calls} == {sent.id}
    assert partner.messages(ann)[0].status == "accepted"


@pytest.mark.parametrize(("answers", "attempts"), [([422], 1), ([410], 1), ([500] * 9, 4)])
def test_repeating_ends(
    world: World, partner: Partner, ann: Customer, app: Recorder, answers: list[int], attempts: int
) -> None:
    partner.retry_delays = (0.01, 0.01, 0.01)
    app.answers = answers
    sent = partner.write(ann, "Hi")
    assert world.settle()
    assert len(sent.attempts) == attempts
    assert partner.messages(ann)[0].status == "refused"


def test_retry_after_is_honoured(world: World, partner: Partner, ann: Customer, app: Recorder) -> None:
    partner.retry_delays = (0.01,)
    app.answers, app.answer_headers = [429], {"Retry-After": "1"}
    sent = partner.write(ann, "Hi")
    assert world.settle()
    assert sent.attempts[1].at - sent.attempts[0].at >= 1


def test_an_event_can_be_repeated_on_purpose(partner: Partner, ann: Customer, app: Recorder) -> None:
    sent = partner.write(ann, "Hi", wait=True)
    partner.redeliver(sent)
    first, second = app.calls
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.json["data"] == second.json["data"]
    Webhook(SECRET).verify(second.body, second.headers)


def test_an_unconnected_partner_cannot_send(world: World) -> None:
    with pytest.raises(RuntimeError, match="not connected"):
        world.add_messenger("other").ping()
