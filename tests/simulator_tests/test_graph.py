"""The stand-in for Meta's Graph API refuses what Meta refuses, and takes note of it."""

import hmac
import json
import uuid
from typing import Any

import pytest

from tests.simulator_tests.recorder import Recorder
from tests.simulators import World, outgoing
from tests.simulators.meta import Address, MetaAccount

ADDRESS = "https://app.example/hook"


class Api:
    """Calls an account's API as the app does."""

    def __init__(self, account: MetaAccount) -> None:
        self.account = account

    def __call__(self, method: str, path: str, *, token: str = "", version: str = "v26.0", **options: Any) -> Any:
        url = f"{self.account.world.base_url}/{self.account.root}/{version}/{path}"
        headers = {"Authorization": f"Bearer {token or self.account.token}"}
        return outgoing.call(method, url, headers=headers, **options)

    @property
    def as_app(self) -> str:
        return f"{self.account.app_id}|{self.account.app_secret}"


@pytest.fixture
def whatsapp(world: World, app: Recorder) -> Any:
    number = world.add_messenger("shop", "Corner shop", "whatsapp")
    return connected(number, app)


@pytest.fixture
def page(world: World, app: Recorder) -> Any:
    return connected(world.add_messenger("shop", "Corner shop", "facebook"), app)


@pytest.fixture
def instagram(world: World, app: Recorder) -> Any:
    return connected(world.add_messenger("shop", "Corner shop", "instagram"), app)


def connected(account: Any, app: Recorder) -> Any:
    account.callbacks[account.webhook_object] = Address(app.url, "verify", ["messages"])
    account.subscribed = ["messages"]
    account.status_delay = 0
    return account


def text_to(number: Any, **changes: Any) -> dict[str, Any]:
    customer = number.add_customer("Ann")
    number.wrote_at[customer.id] = 9e9
    body = {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": customer.id,
        "type": "text",
        "text": {"body": "hi"},
        "biz_opaque_callback_data": str(uuid.uuid4()),
    }
    return {name: value for name, value in {**body, **changes}.items() if value is not None}


def told(app: Recorder) -> list[Any]:
    return [call.json for call in app.calls if call.method == "POST"]


def test_what_customers_do_is_sent_signed(whatsapp: Any, app: Recorder) -> None:
    sent = whatsapp.write(whatsapp.add_customer("Ann"), "Привіт", wait=True)
    [call] = app.calls
    assert sent.accepted
    digest = hmac.digest(whatsapp.app_secret.encode(), call.body, "sha256").hex()
    assert call.headers["x-hub-signature-256"] == f"sha256={digest}"
    [change] = call.json["entry"][0]["changes"]
    assert change["value"]["metadata"]["phone_number_id"] == whatsapp.number_id
    assert change["value"]["messages"][0]["text"] == {"body": "Привіт"}


def test_what_the_app_does_not_take_is_repeated(world: World, page: Any, app: Recorder) -> None:
    page.retry_delays = (0.01, 0.01)
    app.answers = [500, 503]
    page.write(page.add_customer("Ann"), "hi")
    assert world.settle()
    assert len({call.body for call in app.calls}) == 1
    assert len(app.calls) == 3


def test_an_address_has_to_answer_the_challenge(whatsapp: Any, app: Recorder) -> None:
    params = {
        "object": "whatsapp_business_account",
        "callback_url": app.url,
        "verify_token": "verify",
        "fields": "messages",
    }
    call = Api(whatsapp)
    refused = call("POST", f"{whatsapp.app_id}/subscriptions", token=call.as_app, params=params)
    assert refused.json()["error"]["code"] == 2200
    [asked] = app.calls
    assert "hub.mode=subscribe" in asked.path
    assert "hub.verify_token=verify" in asked.path


@pytest.mark.parametrize(
    "changes",
    [
        {"to": "UA.1"},
        {"to": None},
        {"recipient": "UA.1"},
        {"type": "poll"},
        {"text": {"body": ""}},
        {"text": {"body": "x" * 4097}},
        {"messaging_product": None},
        {"extra": 1},
        {"biz_opaque_callback_data": "x"},
        {"context": {"message_id": "wamid.unknown"}},
        {"type": "image", "image": {"id": "unknown"}},
        {"type": "audio", "audio": {"id": "1", "caption": "x"}},
    ],
)
def test_a_message_that_breaks_the_contract_is_a_breach(world: World, whatsapp: Any, changes: Any) -> None:
    answer = Api(whatsapp)("POST", f"{whatsapp.number_id}/messages", json=text_to(whatsapp, **changes))
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] in (100, 131009)
    assert len(world.breaches) == 1


def test_a_message_is_taken_and_its_way_is_told(world: World, whatsapp: Any, app: Recorder) -> None:
    body = text_to(whatsapp)
    answer = Api(whatsapp)("POST", f"{whatsapp.number_id}/messages", json=body)
    [message] = answer.json()["messages"]
    assert world.settle()
    statuses = [call["entry"][0]["changes"][0]["value"]["statuses"][0] for call in told(app)]
    assert [status["status"] for status in statuses] == ["sent", "delivered"]
    assert {status["id"] for status in statuses} == {message["id"]}
    assert {status["biz_opaque_callback_data"] for status in statuses} == {body["biz_opaque_callback_data"]}


def test_uploads_are_judged_when_they_are_sent(world: World, whatsapp: Any) -> None:
    call = Api(whatsapp)
    form = {"messaging_product": "whatsapp", "type": "image/webp"}
    upload = call("POST", f"{whatsapp.number_id}/media", data=form, files={"file": ("a.webp", b"x", "image/webp")})
    body = text_to(whatsapp, type="image", text=None, image={"id": upload.json()["id"]})
    assert call("POST", f"{whatsapp.number_id}/messages", json=body).json()["error"]["code"] == 131053
    assert len(world.breaches) == 1


def test_tokens_versions_and_proofs_are_checked(whatsapp: Any) -> None:
    call = Api(whatsapp)
    assert call("GET", whatsapp.number_id).json()["id"] == whatsapp.number_id
    assert call("GET", whatsapp.number_id, token="another").status_code == 401
    assert call("GET", whatsapp.number_id, version="v13.0").json()["error"]["code"] == 2635
    assert call("GET", whatsapp.number_id, params={"appsecret_proof": "0"}).json()["error"]["code"] == 100
    whatsapp.token_valid = False
    assert call("GET", whatsapp.number_id).json()["error"]["error_subcode"] == 463


def test_files_of_whatsapp_need_the_token(world: World, whatsapp: Any) -> None:
    kept = whatsapp.keep_file("a.png", b"x")
    assert outgoing.call("GET", kept.url).status_code == 401
    bearer = {"Authorization": f"Bearer {whatsapp.token}"}
    assert outgoing.call("GET", kept.url, headers=bearer).content == b"x"


def send(account: Any, message: dict[str, Any], **more: Any) -> Any:
    customer = account.add_customer("Ann")
    account.wrote_at[customer.id] = 9e9
    body = {"recipient": {"id": customer.id}, "messaging_type": "RESPONSE", "message": message, **more}
    return Api(account)("POST", f"{account.page_id}/messages", json=body)


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"text": ""},
        {"text": "x" * 2001},
        {"text": "x", "attachment": {}},
        {"text": "x", "metadata": "not a UUID"},
        {"attachment": {"type": "gif", "payload": {"url": "https://app.example/a.gif"}}},
        {"attachments": [{"type": "image", "payload": {"url": "https://app.example/a.png"}}] * 2},
    ],
)
def test_a_messenger_message_that_breaks_the_contract_is_a_breach(
    world: World, page: Any, message: dict[str, Any]
) -> None:
    assert send(page, message).json()["error"]["code"] == 100
    assert len(world.breaches) == 1


def test_instagram_counts_bytes(world: World, instagram: Any) -> None:
    assert send(instagram, {"text": "ж" * 500}).status_code == 200
    assert send(instagram, {"text": "ж" * 501}).status_code == 400


def test_the_window_and_its_tag(page: Any) -> None:
    customer = page.add_customer("Ann")
    body = {"recipient": {"id": customer.id}, "messaging_type": "RESPONSE", "message": {"text": "hi"}}
    call = Api(page)
    assert call("POST", f"{page.page_id}/messages", json=body).json()["error"]["error_subcode"] == 2018278
    tagged = {**body, "messaging_type": "MESSAGE_TAG", "tag": "HUMAN_AGENT"}
    assert call("POST", f"{page.page_id}/messages", json=tagged).json()["error"]["code"] == 100
    page.wrote_at[customer.id] = 9e9
    page.has_human_agent = True
    assert call("POST", f"{page.page_id}/messages", json=tagged).status_code == 200


def test_a_page_shows_its_echo_and_its_delivery(world: World, page: Any, app: Recorder) -> None:
    metadata = str(uuid.uuid4())
    answer = send(page, {"text": "hi", "metadata": metadata}).json()
    assert world.settle()
    echo, delivery = (call["entry"][0]["messaging"][0] for call in told(app))
    assert (echo["message"]["mid"], echo["message"]["metadata"]) == (answer["message_id"], metadata)
    assert delivery["delivery"]["mids"] == [answer["message_id"]]


def test_fields_of_instagram_are_refused_at_the_page(world: World, instagram: Any) -> None:
    params = {"subscribed_fields": "messages,messaging_seen"}
    assert Api(instagram)("POST", f"{instagram.page_id}/subscribed_apps", params=params).status_code == 400
    assert world.breaches


def test_refusals_are_given_on_request(page: Any) -> None:
    page.refuse(2, 1545133, status=500)
    refused = send(page, {"text": "hi"})
    assert (refused.status_code, json.loads(refused.content)["error"]["code"]) == (500, 2)
    assert send(page, {"text": "hi"}).status_code == 200
