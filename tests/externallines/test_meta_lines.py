"""Lines of WhatsApp, Messenger and Instagram, from one end to the other: the app between the strict stand-ins."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from externallines.channels import addresses
from externallines.models import ExternalLine
from externallines.services import get_channel, webhook_url
from messaging.models import Chat
from tests.simulators.media import avatar

pytestmark = pytest.mark.django_db(transaction=True)

KINDS = ("whatsapp", "facebook", "instagram", "instagram_login")
PNG = b"\x89PNG\r\n\x1a\n" + b"x" * 100


@pytest.fixture(autouse=True)
def _graph(world, monkeypatch):
    monkeypatch.setattr(addresses, "meta_graph", addresses.graph_at(f"{world.base_url}/graph"))
    monkeypatch.setattr(addresses, "instagram_graph", addresses.graph_at(f"{world.base_url}/instagram_graph"))


@pytest.fixture(params=KINDS)
def account(request, world, portal):
    return connected(world, portal, request.param)


@pytest.fixture
def whatsapp(world, portal):
    return connected(world, portal, "whatsapp")


@pytest.fixture
def page(world, portal):
    return connected(world, portal, "facebook")


def connected(world, portal, kind) -> Any:
    account = world.add_messenger("shop", "Corner shop", kind)
    line = world.connect_line(portal.domain, account, "Shop")
    wanted = "connecting" if kind == "instagram_login" else "active"
    assert (line["status"], line["error"]) == (wanted, "")
    return account


def simulated(world, portal):
    return world.uspacy.portals[portal.domain]


def ours(account, customer):
    return [message for message in account.messages(customer) if message.side == "business"]


def conversation(world, portal, account, deliver):
    """A customer has written; return them and the chat."""
    ann = account.add_customer("Ann Miller")
    sent = account.write(ann, "Чи є *синя*?", files=[("bag.png", PNG)], wait=True)
    assert (sent.response.status_code, sent.response.text) == (200, "")
    assert sent.accepted
    deliver()
    [message] = simulated(world, portal).messages.values()
    return ann, message


def answer(world, portal, account, deliver, chat_id, text, **more):
    written = world.uspacy.operator_writes(portal.domain, chat_id, text, **more)
    world.settle()
    deliver()
    world.settle()
    deliver()
    return simulated(world, portal).messages[written["id"]]


def test_a_customer_and_an_operator_talk(world, portal, account, deliver):
    ann, message = conversation(world, portal, account, deliver)
    assert message["message"] == r"Чи є \*синя\*?"
    assert [file["originalFilename"] for file in message["attachedFiles"]]
    chat = simulated(world, portal).chats[message["chatId"]]
    assert {"type": account.channel, "value": ann.id} in chat["meta"]
    assert chat["name"] == "Ann Miller"
    told = answer(world, portal, account, deliver, message["chatId"], "**Three** are left.")
    bold = "*Three*" if account.channel == "whatsapp" else "Three"
    assert [got.text for got in ours(account, ann)] == [f"{bold} are left."]
    delivered = "sent" if account.channel == "instagram" else "delivered"
    assert told["status"] == delivered
    account.read(ann)
    world.settle()
    deliver()
    assert told["status"] == "read"
    assert len(simulated(world, portal).messages) == 2  # no echo came back
    assert ExternalLine.objects.get().status == "active"
    assert world.breaches == []


def test_files_of_an_operator_arrive(world, portal, account, deliver):
    ann, message = conversation(world, portal, account, deliver)
    files = [("1.png", PNG), ("2.png", PNG), ("note.txt", b"hello")]
    told = answer(world, portal, account, deliver, message["chatId"], "all", files=files)
    got = ours(account, ann)
    assert told["status"] != "error"
    contents = [file.content for one in got for file in one.files]
    assert contents == [PNG, PNG] if account.channel == "instagram" else [PNG, PNG, b"hello"]
    assert "all" in "".join(one.text for one in got)
    assert world.breaches == []


def test_an_answer_quotes_what_it_answers(world, portal, account, deliver):
    ann, message = conversation(world, portal, account, deliver)
    answer(world, portal, account, deliver, message["chatId"], "Yes", parent=message["id"])
    [theirs] = [one for one in account.messages(ann) if one.side == "customer"]
    assert ours(account, ann)[0].reply_to == theirs.id


def test_edits_and_unsends_arrive(world, portal, account, deliver):
    ann = account.add_customer("Ann")
    message_id = account.write(ann, "one", wait=True).message.id
    assert account.edit(message_id, "two", wait=True).response.status_code == 200
    deliver()
    [message] = simulated(world, portal).messages.values()
    assert message["message"] == "two"
    assert account.delete(message_id, wait=True).response.status_code == 200
    deliver()
    assert simulated(world, portal).messages == {}
    assert world.breaches == []


def test_what_the_business_writes_by_hand_is_shown_as_its_own(world, portal, account, deliver):
    ann = account.add_customer("Ann")
    account.write(ann, "hi", wait=True)
    account.write_by_hand(ann, "We call you", wait=True)
    deliver()
    _theirs, own = simulated(world, portal).messages.values()
    assert own["message"] == "We call you"
    assert not simulated(world, portal).is_from_customer(own)


def test_a_call_that_comes_again_changes_nothing(world, portal, account, deliver):
    ann = account.add_customer("Ann")
    sent = account.write(ann, "hi", wait=True)
    assert account.redeliver(sent).status_code == 200
    deliver()
    assert len(simulated(world, portal).messages) == 1


def test_a_forged_call_is_refused(account):
    account.app_secret = "0" * 32
    assert account.write(account.add_customer("Ann"), "hi", wait=True).response.status_code == 401


def test_after_a_day_the_operator_is_told(world, portal, account, deliver):
    ann, message = conversation(world, portal, account, deliver)
    with time_machine.travel(timezone.now() + timedelta(hours=25)):
        told = answer(world, portal, account, deliver, message["chatId"], "late")
    assert told["status"] == "error"
    assert "24 hours" in told["statusText"]
    assert ours(account, ann) == []
    assert world.breaches == []


def test_a_customer_who_has_blocked_the_business_is_told_of(world, portal, account, deliver):
    ann, message = conversation(world, portal, account, deliver)
    account.block(ann)
    told = answer(world, portal, account, deliver, message["chatId"], "hello?")
    assert told["status"] == "error"
    assert "cannot be reached" in told["statusText"]


def test_a_token_that_is_taken_back_stops_the_line_and_a_new_one_goes_on(world, portal, account, deliver):
    ann, message = conversation(world, portal, account, deliver)
    account.token_valid = False
    told = answer(world, portal, account, deliver, message["chatId"], "wait for it")
    line = ExternalLine.objects.get()
    assert line.status == "error"
    assert "access token" in line.error
    assert told["status"] is None
    assert ours(account, ann) == []


def test_a_line_that_works_is_well(world, portal, account):
    line = ExternalLine.objects.get()
    assert get_channel(line).health(webhook_url(line)) == []


def test_disconnecting_ends_the_calls(world, portal, account):
    line = ExternalLine.objects.get()
    get_channel(line).unsubscribe(webhook_url(line))
    if account.channel == "whatsapp":
        assert (account.number_address, account.waba_address) == (None, None)
    else:
        assert account.webhook is None
    assert world.breaches == []


# WhatsApp alone


def test_a_customer_without_a_number_is_answered(world, portal, whatsapp, deliver):
    kim = whatsapp.add_customer("Kim", username="kim.k")
    whatsapp.write(kim, "hi", wait=True)
    deliver()
    [message] = simulated(world, portal).messages.values()
    answer(world, portal, whatsapp, deliver, message["chatId"], "hello")
    assert [got.text for got in ours(whatsapp, kim)] == ["hello"]
    meta = simulated(world, portal).chats[message["chatId"]]["meta"]
    assert meta == [{"type": "whatsapp", "value": kim.id}, {"type": "username", "value": "kim.k"}]
    assert world.breaches == []


def test_after_a_day_the_template_is_used(world, portal, deliver):
    number = world.add_messenger("shop", "Corner shop", "whatsapp")
    world.connect_line(portal.domain, number, "Shop", template_name="answer", template_language="uk")
    ann, message = conversation(world, portal, number, deliver)
    with time_machine.travel(timezone.now() + timedelta(hours=25)):
        told = answer(world, portal, number, deliver, message["chatId"], "It is\nhere")
        assert [got.text for got in ours(number, ann)] == ["It is here"]
    assert told["status"] == "delivered"
    assert world.breaches == []


def test_a_failure_that_is_told_late_reaches_the_operator(world, portal, whatsapp, deliver):
    ann, message = conversation(world, portal, whatsapp, deliver)
    whatsapp.report = lambda message: None
    told = answer(world, portal, whatsapp, deliver, message["chatId"], "hello")
    [sent] = ours(whatsapp, ann)
    failure = {"code": 131026, "title": "Message undeliverable"}
    whatsapp.tell_status(sent, "failed", failure)
    world.settle()
    deliver()
    assert told["status"] == "error"
    assert "131026" in told["statusText"]
    assert Chat.objects.get().blocked


def test_two_numbers_of_one_app_keep_their_messages_apart(world, portal, whatsapp, deliver):
    other = world.add_messenger("office", "Office", "whatsapp")
    other.app_id, other.app_secret, other.callbacks = whatsapp.app_id, whatsapp.app_secret, whatsapp.callbacks
    world.connect_line(portal.domain, other, "Office")
    assert other.webhook.url != whatsapp.webhook.url
    assert whatsapp.callbacks[whatsapp.webhook_object].url == whatsapp.webhook.url


# Messenger alone


def test_an_app_that_serves_another_address_is_left_alone(world, portal):
    page = world.add_messenger("shop", "Corner shop", "facebook")
    page.callbacks["page"] = "theirs"

    class Theirs:
        url, fields = "https://else.example.com/", ["messages"]

    page.callbacks["page"] = Theirs
    answer = world.connect_line(portal.domain, page, "Shop")
    assert answer["status"] == "error"
    assert "another address" in answer["error"]
    assert page.callbacks["page"] is Theirs


def test_a_portrait_is_looked_up(world, portal, page, deliver):
    ann, message = conversation(world, portal, page, deliver)
    assert avatar("Ann Miller") == next(iter(page.files.values())).content
    assert simulated(world, portal).chats[message["chatId"]]["pictureUrl"]
    assert [entry.path for entry in world.requests.matching(f"/graph/v26.0/{ann.id}$")]


def test_a_reaction_is_a_note(world, portal, page, deliver):
    ann, message = conversation(world, portal, page, deliver)
    answer(world, portal, page, deliver, message["chatId"], "hello")
    [sent] = ours(page, ann)
    page.react(ann, sent.id, "👍", wait=True)
    deliver()
    *_others, note = simulated(world, portal).messages.values()
    assert note["message"] == "_Reacted with_ 👍"
    assert note["parentMessage"]
