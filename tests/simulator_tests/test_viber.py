"""The simulated Viber: as strict as the contract, and as talkative."""

import hashlib
import hmac
import json

import pytest
import requests

ICON = "https://media.example.com/icon.png"


@pytest.fixture
def bot(world):
    return world.add_messenger("shop", "Shop", channel="viber")


@pytest.fixture
def call(world, bot):
    def call(method, token=None, **body):
        headers = {"X-Viber-Auth-Token": token or bot.token}
        answer = requests.post(f"{world.base_url}/viber/pa/{method}", json=body, headers=headers, timeout=10)
        assert answer.status_code == 200
        return answer.json()

    return call


@pytest.fixture
def connected(app, bot, call):
    assert call("set_webhook", url=f"{app.url}/hook")["status"] == 0
    app.calls.clear()
    return bot


@pytest.fixture
def ann(connected):
    """A customer who has written."""
    ann = connected.add_customer("Ann")
    connected.write(ann, "Hello", wait=True)
    return ann


@pytest.fixture
def send(call, ann):
    def send(**body):
        common = {"receiver": ann.id, "min_api_version": 1, "sender": {"name": "Shop", "avatar": ICON}}
        text = {"type": "text", "text": "Hi"} if "type" not in body else {}
        return call("send_message", **common | text | body)

    return send


def told(app):
    return [call.json for call in app.calls if call.method == "POST"]


def test_a_webhook_is_called_while_it_is_set(world, app, bot, call):
    answer = call("set_webhook", url=f"{app.url}/hook", event_types=["seen"], send_name=True)
    assert answer == {"status": 0, "status_message": "ok", "event_types": ["seen"]}
    (webhook,) = app.calls
    assert webhook.json["event"] == "webhook"
    signature = hmac.new(bot.token.encode(), webhook.body, hashlib.sha256).hexdigest()
    assert webhook.headers["x-viber-content-signature"] == signature
    assert call("get_account_info")["webhook"] == f"{app.url}/hook"
    assert call("set_webhook", url="")["event_types"] == []
    assert not bot.connected
    assert world.breaches == []


@pytest.mark.parametrize("status", [204, 404, 500])
def test_a_webhook_that_does_not_answer_200_is_not_taken(world, app, bot, call, status):
    app.answers = [status]
    assert call("set_webhook", url=f"{app.url}/hook")["status"] == 1
    assert not bot.connected
    assert len(world.breaches) == 1


def test_a_wrong_token_is_refused(call):
    assert call("get_account_info", token="no")["status"] == 2


def test_what_customers_do_is_told(world, app, connected, ann):
    connected.write(ann, "see", files=[("a.png", b"1"), ("b.pdf", b"22")], wait=True)
    connected.write(ann, "", type="sticker", sticker_id=46105, wait=True)
    connected.open(ann, wait=True)
    connected.block(ann, wait=True)
    connected.unblock(ann, wait=True)
    events = told(app)
    assert [event["event"] for event in events] == [
        *("message", "message", "message", "message", "conversation_started", "unsubscribed", "subscribed")
    ]
    hello, picture, document, sticker = (event["message"] for event in events[:4])
    assert hello == {"type": "text", "text": "Hello"}
    assert (picture["type"], picture["text"], document["file_size"]) == ("picture", "see", 2)
    assert requests.get(picture["media"], timeout=10).content == b"1"
    assert sticker == {"type": "sticker", "sticker_id": 46105}
    assert events[0]["sender"]["id"] == ann.id
    assert len({event["message_token"] for event in events}) == 7


def test_an_event_is_repeated_until_it_is_answered_200(world, app, connected, ann):
    app.answers, connected.retry_delays = [500, 204], (0, 0)
    app.calls.clear()
    sent = connected.write(ann, "again")
    assert world.settle()
    assert [attempt.status for attempt in sent.attempts] == [500, 204, 200]
    assert len({json.dumps(event) for event in told(app)}) == 1


def test_every_device_tells_of_delivery_and_all_of_them_once_of_reading(world, app, connected, ann, send):
    tokens = [send()["message_token"], send()["message_token"]]
    world.settle()
    connected.read(ann)
    connected.read(ann)
    world.settle()
    statuses = [(event["event"], event["message_token"]) for event in told(app)[1:]]
    assert sorted(statuses) == sorted([("delivered", token) for token in tokens] * 2 + [("seen", tokens[1])])


@pytest.mark.parametrize(
    "wrong",
    [
        {"text": "a" * 7001},
        {"text": "a" * 20_000},
        {"text": None},
        {"type": "poem"},
        {"sender": {"name": "n" * 29}},
        {"sender": {}},
        {"tracking_data": "a" * 4001},
        {"unknown": 1},
        {"type": "picture", "text": "a" * 513, "media": "https://x.ua/a.png"},
        {"type": "picture", "media": "https://x.ua/a.png"},
        {"type": "picture", "text": "", "media": "https://x.ua/a.png/token"},
        {"type": "video", "media": "https://x.ua/a.mp4"},
        {"type": "video", "media": "https://x.ua/a.mp4", "size": 27_000_000},
        {"type": "file", "media": "https://x.ua/a.exe", "size": 1, "file_name": "a.exe"},
        {"type": "file", "media": "https://x.ua/a", "size": 1, "file_name": "a.pdf"},
        {"type": "file", "media": "https://x.ua/a.pdf", "size": 50_000_001, "file_name": "a.pdf"},
    ],
)
def test_what_breaks_the_contract_is_refused_and_noted(world, send, wrong):
    assert send(**wrong)["status"] == 3
    assert len(world.breaches) == 1


def test_whom_the_bot_may_not_write_to(connected, ann, call, send):
    connected.block(ann)
    assert send()["status"] == 6
    assert send(receiver="nobody")["status"] == 5
    connected.unblock(ann)
    connected.unanswered[ann.id] = 100
    assert send()["status"] == 12
    connected.refuse(24)
    assert send()["status"] == 24
    connected.forget_webhook()
    assert send()["status"] == 10


def test_a_file_is_fetched_and_kept(world, app, connected, ann, send):
    app.body = b"12345"
    assert send(type="file", media=f"{app.url}/a.pdf", size=5, file_name="a.pdf")["status"] == 0
    assert world.settle()
    (message,) = [one for one in connected.messages(ann) if one.side == "business"]
    assert message.files[0].content == b"12345"
    assert world.breaches == []


def test_a_file_that_is_not_as_announced_fails_its_message(world, app, connected, ann, send):
    app.body, connected.auto_delivered = b"12345", False
    token = send(type="file", media=f"{app.url}/a.pdf", size=6, file_name="a.pdf")["message_token"]
    assert world.settle()
    assert len(world.breaches) == 1
    failed = [event for event in told(app) if event["event"] == "failed"]
    assert [(event["message_token"], event["user_id"]) for event in failed] == [(token, ann.id)]
