"""What the partner accepts from the app on its hook, and what it refuses."""

import hashlib
import json
import time
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
import requests
from standardwebhooks import Webhook

from tests.simulator_tests.conftest import SECRET
from tests.simulator_tests.recorder import Recorder
from tests.simulators import Customer, Partner, World
from tests.simulators.partner_events import conversation, signature

Json = dict[str, Any]
SECRET_OF_THE_VECTOR = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
NOW = "2026-01-02T03:04:05.678Z"


def post(
    partner: Partner, event: Json, *, event_id: str | None = None, **headers: str | None
) -> requests.Response:
    """What the app would do, with some headers changed; the signature fits id and timestamp, if it can."""
    body = json.dumps(event).encode()
    given: dict[str, str | None] = {
        "webhook-id": event_id or f"msg_{uuid.uuid4().hex}",
        "webhook-timestamp": str(int(time.time())),
        "content-type": "application/json",
        "user-agent": "app/1.0",
    }
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    signed = signature(SECRET, str(given["webhook-id"]), str(given["webhook-timestamp"]), body)
    given.setdefault("webhook-signature", signed)
    return requests.post(partner.hook, data=body, headers=given, timeout=10)  # type: ignore[arg-type]


def envelope(kind: str, data: Json) -> Json:
    return {"type": kind, "timestamp": NOW, "data": data}


def message(customer: Customer, **changes: Any) -> Json:
    content: Json = {
        "client_id": str(uuid.uuid4()),
        "seq": 1,
        "text": "**Hi**",
        "text_plain": "Hi",
        "format": "markdown",
        "sent_at": NOW,
        "author": {"id": "41", "name": "Operator"},
        **changes,
    }
    about = {"conversation": conversation(customer), "contact": {"id": customer.id}}
    return envelope("message.send", {**about, "message": content})


def attachment(url: str, content: bytes) -> Json:
    digest = hashlib.sha256(content).hexdigest()
    kind = {"name": "a.png", "mime_type": "image/png", "kind": "image"}
    return {"url": url, "size": len(content), "sha256": digest, **kind}


# What the partner accepts


def test_a_message_is_accepted_delivered_and_read(
    world: World, partner: Partner, ann: Customer, app: Recorder
) -> None:
    event = message(ann)
    answer = post(partner, event)
    assert answer.status_code == 200
    (taken,) = partner.messages(ann)
    assert answer.json() == {"message": {"id": taken.id, "status": "accepted"}}
    assert (taken.side, taken.text, taken.client_id) == (
        "business",
        "**Hi**",
        event["data"]["message"]["client_id"],
    )
    assert world.settle()
    partner.read(ann)
    assert world.settle()
    statuses = [call.json["data"]["message"] for call in app.calls]
    assert [(status["id"], status["status"]) for status in statuses] == [
        (taken.id, "delivered"),
        (taken.id, "read"),
    ]
    assert taken.status == "read"
    assert world.breaches == []


def test_a_partner_without_ids_answers_nothing_and_reports_by_client_id(
    world: World, partner: Partner, ann: Customer, app: Recorder
) -> None:
    partner.answer_ids = False
    event = message(ann)
    assert post(partner, event).content == b""
    assert world.settle()
    client_id = event["data"]["message"]["client_id"]
    assert app.calls[0].json["data"]["message"]["client_id"] == client_id
    change = {"conversation": conversation(ann), "message": {"id": client_id, "client_id": client_id}}
    assert post(partner, envelope("message.delete", change)).status_code == 200
    assert world.breaches == []


def test_a_repeat_changes_nothing_and_is_counted(world: World, partner: Partner, ann: Customer) -> None:
    event = message(ann)
    first = post(partner, event, event_id="msg_1")
    assert post(partner, event, event_id="msg_1").json() == first.json()
    assert post(partner, event, event_id="msg_2").json() == first.json()
    assert len(partner.messages(ann)) == 1
    assert partner.repeats == 2
    assert world.breaches == []


def test_a_repeated_change_is_counted_too(world: World, partner: Partner, ann: Customer) -> None:
    event = message(ann)
    ids = {"id": post(partner, event).json()["message"]["id"], "client_id": event["data"]["message"]["client_id"]}
    change = envelope("message.delete", {"conversation": conversation(ann), "message": ids})
    for _ in range(2):
        assert post(partner, change, event_id="msg_1").status_code == 200
    assert partner.repeats == 1
    assert world.breaches == []


def test_an_order_that_went_back_is_noted(partner: Partner, ann: Customer) -> None:
    late = message(ann, seq=1)
    post(partner, message(ann, seq=2))
    post(partner, late)
    assert partner.misordered == [late["data"]["message"]["client_id"]]


def test_changes_are_applied(world: World, partner: Partner, ann: Customer) -> None:
    event = message(ann)
    given = post(partner, event).json()["message"]["id"]
    ids = {"id": given, "client_id": event["data"]["message"]["client_id"]}
    change = {"conversation": conversation(ann), "message": {**ids, "text": "new"}}
    assert post(partner, envelope("message.update", change)).status_code == 200
    assert partner.messages(ann)[0].text == "new"
    assert partner.messages(ann)[0].edited
    change = {"conversation": conversation(ann), "message": ids}
    assert post(partner, envelope("message.delete", change)).status_code == 200
    assert partner.messages(ann)[0].deleted
    wrong = {"conversation": conversation(ann), "message": {**ids, "id": "other"}}
    assert post(partner, envelope("message.delete", wrong)).status_code == 422
    assert len(world.breaches) == 1


def test_attachments_are_fetched_and_checked(world: World, partner: Partner, ann: Customer, app: Recorder) -> None:
    app.body = b"png"
    partner.auto_delivered = False
    url = f"{app.url}/media/signed"
    post(partner, message(ann, attachments=[attachment(url, b"png")]))
    assert world.settle()
    (file,) = partner.messages(ann)[0].files
    assert file.content == b"png"
    assert requests.get(file.url, timeout=10).content == b"png"
    assert world.breaches == []
    post(partner, message(ann, seq=2, attachments=[attachment(url, b"other")]))
    assert world.settle()
    assert "size or sha256" in world.breaches[0]


# What the partner refuses


@pytest.mark.parametrize(
    "headers",
    [
        {"webhook_id": None},
        {"webhook_id": "msg.1"},
        {"webhook_id": "m" * 65},
        {"webhook_timestamp": None},
        {"webhook_timestamp": "17672256"},
        {"webhook_timestamp": f"{time.time():.1f}"},
        {"webhook_timestamp": "²²²²²²²²²²".encode().decode("latin-1")},
        {"webhook_timestamp": str(int(time.time()) - 400)},
        {"webhook_signature": None},
        {"webhook_signature": "v1,AAAA"},
        {"webhook_signature": "v1"},
        {"webhook_signature": "v2,x0ppGx2KPYNpIwWCSY93oTv8nAQY8zbp9l7xa4rJ7a0="},
    ],
)
def test_a_call_that_is_not_properly_signed_is_401(
    world: World, partner: Partner, ann: Customer, headers: Json
) -> None:
    assert post(partner, message(ann), **headers).status_code == 401
    assert partner.messages(ann) == []
    assert len(world.breaches) == 1


def test_the_signature_is_the_one_of_the_specification() -> None:
    body = b'{"type":"message.created","timestamp":"2026-01-01T00:00:00Z","data":{"id":"m1"}}'
    assert signature(SECRET_OF_THE_VECTOR, "msg_1", "1767225600", body) == (
        "v1,x0ppGx2KPYNpIwWCSY93oTv8nAQY8zbp9l7xa4rJ7a0="
    )


def test_any_of_several_signatures_will_do(world: World, partner: Partner, ann: Customer) -> None:
    body, event_id, now = json.dumps(message(ann)), "msg_1", datetime.now(UTC)
    good = Webhook(SECRET).sign(event_id, now, body)
    headers = {
        "webhook-id": event_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": f"v1a,ed25519 v1,AAAA {good}",
        "content-type": "application/json",
    }
    assert requests.post(partner.hook, data=body, headers=headers, timeout=10).status_code == 200
    assert world.breaches == []


@pytest.mark.parametrize(
    "change",
    [
        {"client_id": "1"},
        {"seq": "1"},
        {"format": "plain"},
        {"sent_at": "2026-01-02"},
        {"author": {"id": 41, "name": "Operator"}},
        {"text": None},
        {"text": "", "text_plain": ""},
        {"reply_to_id": "unknown"},
        {"attachments": [{"url": "https://app.example/a.png"}]},
        {"attachments": [{**attachment("ftp://x/a.png", b"x")}]},
        {"colour": "red"},
    ],
)
def test_a_message_that_breaks_the_contract_is_422(
    world: World, partner: Partner, ann: Customer, change: Json
) -> None:
    answer = post(partner, message(ann, **change))
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "invalid_payload"
    assert partner.messages(ann) == []
    assert len(world.breaches) == 1


@pytest.mark.parametrize(
    "event",
    [
        {"type": "ping", "data": {}},
        {"type": "ping", "timestamp": NOW, "data": {"a": 1}},
        {"type": "message.sent", "timestamp": NOW, "data": {}},
        {"type": "message.read", "timestamp": NOW, "data": {"conversation": {"id": "x"}, "up_to_message_id": "y"}},
        [],
    ],
)
def test_an_event_outside_the_contract_is_422(world: World, partner: Partner, event: Any) -> None:
    assert post(partner, event).status_code == 422
    assert len(world.breaches) == 1


def test_a_body_over_256_kb_is_413(world: World, partner: Partner, ann: Customer) -> None:
    assert post(partner, message(ann, text="x" * 256 * 1024)).status_code == 413
    assert len(world.breaches) == 1


def test_another_content_type_is_a_breach(world: World, partner: Partner, ann: Customer) -> None:
    assert post(partner, message(ann), content_type="text/plain").status_code == 422
    assert len(world.breaches) == 1


def test_before_the_secret_is_known_only_a_ping_is_taken(world: World, partner: Partner, ann: Customer) -> None:
    partner.secret = None
    assert post(partner, envelope("ping", {})).status_code == 200
    assert partner.pings == 1
    assert world.breaches == []
    assert post(partner, message(ann)).status_code == 401


def test_a_blocked_customer_gets_nothing(world: World, partner: Partner, ann: Customer) -> None:
    partner.block(ann, wait=True)
    answer = post(partner, message(ann))
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "recipient_blocked")
    partner.unblock(ann, wait=True)
    assert post(partner, message(ann)).status_code == 200
    assert world.breaches == []


def test_refusals_can_be_ordered(world: World, partner: Partner, ann: Customer) -> None:
    partner.refuse("window_closed", times=1)
    answer = post(partner, message(ann))
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "window_closed")
    assert post(partner, message(ann)).status_code == 200
    partner.refuse(status=410)
    event = message(ann)
    assert [post(partner, event, event_id="msg_1").status_code for _ in range(2)] == [410, 410]
    partner.accept()
    assert post(partner, event, event_id="msg_1").status_code == 200
    assert partner.repeats == 0
    assert world.breaches == []


def test_an_unknown_partner_is_a_breach(world: World) -> None:
    assert requests.post(f"{world.base_url}/partner/nobody/hook", json={}, timeout=10).status_code == 404
    assert len(world.breaches) == 1
