"""What an operator does in Uspacy, as it arrives at the customer."""

import uuid

import pytest
import requests

from messaging import inbox, services
from messaging.models import Chat, Delivery, Message, WebhookEvent

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def ann(partner):
    return partner.add_customer("Ann", phone="+380501112233")


@pytest.fixture
def chat(world, portal, partner, ann, deliver):
    """A chat that a customer has opened, as Uspacy has it."""
    partner.write(ann, "Hello", wait=True)
    deliver()
    world.settle()
    [chat] = world.uspacy.portals[portal.domain].chats.values()
    return chat


@pytest.fixture
def operator(world, portal, chat, deliver):
    """Let the operator write, and deliver it."""

    def write(text, **options):
        message = world.uspacy.operator_writes(portal.domain, chat["id"], text, **options)
        world.settle()
        deliver()
        world.settle()
        deliver()
        return message

    return write


def got(partner, ann):
    return [
        message.text for message in partner.messages(ann) if message.side == "business" and not message.deleted
    ]


def shown(world, portal, message):
    return world.uspacy.portals[portal.domain].messages[message["id"]]


def test_an_answer_knows_the_event_that_told_of_it(operator):
    operator("Good morning")
    [event] = WebhookEvent.objects.filter(source="uspacy", payload__contains="Good morning", outcome="accepted")
    assert Message.objects.get(direction="out").event_id == event.pk


def test_an_answer_reaches_the_customer_and_its_status_uspacy(world, portal, partner, ann, operator):
    answer = operator("Hi, **Ann**")
    assert got(partner, ann) == ["Hi, **Ann**"]
    assert shown(world, portal, answer)["status"] == "delivered"
    partner.read(ann)
    world.settle()
    assert Message.objects.get(uspacy_id=answer["id"]).status == "read"
    assert world.breaches == []


@pytest.mark.parametrize("version", ["1", "2"])
def test_both_signature_versions_are_understood(world, partner, ann, operator, version):
    world.sns.signature_version = version
    operator("signed")
    assert got(partner, ann) == ["signed"]


def test_an_event_that_comes_twice_is_sent_once(world, partner, ann, operator):
    world.sns.copies = 2
    operator("once")
    world.sns.redeliver()
    assert got(partner, ann) == ["once"]
    assert partner.repeats == 0


def test_the_echo_of_a_customers_message_does_not_come_back(world, partner, ann, chat, deliver):
    assert WebhookEvent.objects.filter(source="uspacy", reason="echo of a customer's message").exists()
    deliver()
    assert got(partner, ann) == []


def test_a_system_message_never_reaches_the_customer(world, portal, partner, ann, chat, deliver):
    world.uspacy.system_message(portal.domain, chat["id"], "Lead created")
    world.settle()
    deliver()
    assert got(partner, ann) == []


def test_events_of_other_apps_lines_are_ignored(world, portal, partner, chat):
    world.uspacy.foreign_event(portal.domain)
    world.settle()
    assert WebhookEvent.objects.latest("id").outcome == "ignored"
    assert not Delivery.objects.filter(destination="customer").exists()


def test_files_arrive_with_their_bytes(world, partner, ann, operator):
    operator("the price list", files=[("prices.pdf", b"%PDF-1.4 prices")])
    world.settle()
    [message] = [message for message in partner.messages(ann) if message.side == "business"]
    assert [(file.name, file.content) for file in message.files] == [("prices.pdf", b"%PDF-1.4 prices")]
    assert world.breaches == []


def test_files_behind_the_portals_token_arrive_too(world, portal, partner, ann, operator):
    world.uspacy.portals[portal.domain].files_need_token = True
    operator("", files=[("prices.pdf", b"%PDF-1.4 prices")])
    world.settle()
    [message] = [message for message in partner.messages(ann) if message.side == "business"]
    assert message.files[0].content == b"%PDF-1.4 prices"


def test_an_edit_reaches_the_customer_once(world, portal, partner, ann, operator, deliver):
    answer = operator("thre")
    world.uspacy.operator_edits(portal.domain, answer["id"], "three")
    world.settle()
    deliver()
    assert got(partner, ann) == ["three"]
    assert Delivery.objects.filter(kind="edit").count() == 1


def test_a_deletion_reaches_the_customer(world, portal, partner, ann, operator, deliver):
    answer = operator("oops")
    world.uspacy.operator_deletes(portal.domain, answer["id"])
    world.settle()
    deliver()
    assert got(partner, ann) == []


def test_a_deletion_that_names_only_the_id_is_understood(world, portal, partner, ann, operator, deliver):
    answer = operator("oops")
    world.uspacy.operator_deletes(portal.domain, answer["id"], bare=True)
    world.settle()
    deliver()
    assert got(partner, ann) == []


def test_a_deletion_that_overtakes_its_message_keeps_it_from_being_sent(
    world, portal, partner, ann, chat, deliver
):
    with world.sns.held(reverse=True):
        message = world.uspacy.operator_writes(portal.domain, chat["id"], "oops")
        world.uspacy.operator_deletes(portal.domain, message["id"])
    world.settle()
    deliver()
    assert got(partner, ann) == []
    assert len(partner.messages(ann)) == 1


def test_an_edit_that_overtakes_its_message_wins(world, portal, partner, ann, chat, deliver):
    with world.sns.held(reverse=True):
        message = world.uspacy.operator_writes(portal.domain, chat["id"], "old")
        world.uspacy.operator_edits(portal.domain, message["id"], "new")
    world.settle()
    deliver()
    assert got(partner, ann) == ["new"]


def test_two_edits_out_of_order_end_with_the_later_text(world, portal, partner, ann, operator, deliver):
    answer = operator("first")
    with world.sns.held(reverse=True):
        world.uspacy.operator_edits(portal.domain, answer["id"], "second")
        world.pause(0.01)  # Uspacy's timestamps count milliseconds
        world.uspacy.operator_edits(portal.domain, answer["id"], "third")
    world.settle()
    deliver()
    assert got(partner, ann) == ["third"]


def test_a_reply_quotes_the_customers_message(world, portal, partner, ann, chat, operator):
    [question] = world.uspacy.portals[portal.domain].messages.values()
    operator("about that", parent=question["id"])
    assert partner.messages(ann)[-1].reply_to == partner.messages(ann)[0].id


def test_a_blocked_customer_gets_an_error_with_a_reason_until_they_write_again(
    world, portal, partner, ann, operator, deliver
):
    partner.block(ann, wait=True)
    refused = operator("hello?")
    assert shown(world, portal, refused)["status"] == "error"
    assert "blocked" in shown(world, portal, refused)["statusText"]
    partner.unblock(ann, wait=True)
    operator("welcome back")
    assert got(partner, ann) == ["welcome back"]


def test_a_refusal_of_the_partner_shows_its_reason_and_lets_later_messages_pass(
    world, portal, partner, ann, operator
):
    partner.refuse("window_closed", times=1)
    refused = operator("too late")
    operator("in time")
    assert shown(world, portal, refused)["status"] == "error"
    assert Message.objects.get(uspacy_id=refused["id"]).status == "failed"
    assert got(partner, ann) == ["in time"]


def test_a_failed_message_can_be_sent_again(world, portal, partner, ann, operator, deliver):
    partner.refuse("window_closed", times=1)
    refused = operator("again, please")
    failed = Delivery.objects.get(message__uspacy_id=refused["id"], status="failed")
    again = services.requeue(failed)
    deliver()
    assert again is not None
    assert services.requeue(failed) is None  # only once for each failure
    assert got(partner, ann) == ["again, please"]
    assert shown(world, portal, refused)["status"] in ("sent", "delivered")


def test_three_refusals_of_the_secret_stop_the_line_until_it_is_reconnected(
    world, portal, partner, ann, operator, deliver, pass_time
):
    partner.refuse(status=401)
    operator("one")
    operator("two")
    for _attempt in range(4):
        pass_time()
        deliver()
    chat = Chat.objects.select_related("line").get()
    assert chat.line.status == "error"
    assert "401" in chat.line.error
    assert got(partner, ann) == []
    partner.accept()
    token = world.uspacy.integration_token(portal.domain)
    answer = requests.post(
        f"{world.app_url}/api/lines/{chat.line.key}/reconnect/",
        headers={"Authorization": f"Bearer {token}"},
        timeout=10,
    )
    assert answer.json()["status"] == "active"
    pass_time()
    deliver()
    assert got(partner, ann) == ["one", "two"]


def test_an_unknown_chat_is_resolved_by_its_meta(world, portal, partner, ann, chat, deliver):
    simulated = world.uspacy.portals[portal.domain]
    other = simulated.add_chat({**simulated.chats[chat["id"]], "id": str(uuid.uuid4())})
    world.uspacy.operator_writes(portal.domain, other["id"], "by your phone number")
    world.settle()
    deliver()
    assert got(partner, ann) == ["by your phone number"]


def test_an_unresolvable_chat_is_kept_as_failed_and_can_be_processed_again(world, portal, partner, ann, chat):
    simulated = world.uspacy.portals[portal.domain]
    other = simulated.add_chat({**simulated.chats[chat["id"]], "id": str(uuid.uuid4()), "meta": []})
    world.uspacy.operator_writes(portal.domain, other["id"], "to whom?")
    world.settle()
    event = WebhookEvent.objects.get(outcome="failed")
    assert "names no customer" in event.error


def test_a_late_status_does_not_go_back(partner, ann, operator):
    operator("hello")
    [message] = [message for message in partner.messages(ann) if message.side == "business"]
    partner.send_status(message, "read", wait=True)
    partner.send_status(message, "delivered", wait=True)
    assert Message.objects.get(direction="out").status == "read"


def test_a_status_that_overtakes_our_bookkeeping_is_not_lost(world, portal, partner, ann, chat, deliver):
    answer = world.uspacy.operator_writes(portal.domain, chat["id"], "quick")
    world.settle()
    unknown = partner.send("message.status", {"message": {"id": "soon-known", "status": "read"}}, wait=True)
    assert unknown.response.status_code == 202
    message = Message.objects.get(uspacy_id=answer["id"])
    Message.objects.filter(pk=message.pk).update(external_id="soon-known")
    inbox.reprocess_awaiting(str(Chat.objects.get().line.key), "soon-known")
    message.refresh_from_db()
    assert message.status == "read"
