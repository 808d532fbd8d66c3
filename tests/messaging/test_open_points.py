"""What Uspacy does not document, and how we bear it either way: the points of uspacy-api.md 11.

Proved elsewhere:

- 1 to 5 (proof, domain, leeway, paths, another installation): `tests/portals/test_jwt.py` and `test_install.py`
- 6 (which token renews): `test_uspacy.py::test_a_refresh_sends_only_the_refresh_token`; here, that it happens once
- 8 (wrapped or bare answers): `test_uspacy.py::test_lines_are_listed_bare_or_wrapped`,
  `test_one_line_is_read_bare_or_wrapped_with_any_kind_of_id`, `test_one_file_is_read_bare_or_wrapped`
- 9 (names in an upload): `test_uspacy.py::test_a_file_is_uploaded_for_its_message`
- 10 (lists of lines): `test_uspacy.py::test_an_answer_without_a_list_is_a_server_fault`
- 11 (events): signature versions and raw mode, `test_uspacy_webhook.py`; updates, deletions and echoes,
  `test_from_operator.py` and `test_uspacy_events.py`; here, receipts and what our own calls cause
- 12 (kinds of ids, sizes and lists): `test_uspacy_events.py`
- 14 (the manifest) concerns no message.
"""

import pytest

from externallines.tasks import tend_lines
from messaging import delivery
from messaging.models import Chat, Delivery, Message, WebhookEvent
from portals.models import Portal
from tests.simulators.uspacy.portal import INTEGRATION_USER

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def uspacy(world, portal):
    """The simulated portal."""
    return world.uspacy.portals[portal.domain]


@pytest.fixture
def ann(partner):
    return partner.add_customer("Ann")


@pytest.fixture
def come_to_rest(world, deliver):
    """Deliver everything, and what is said in return."""

    def come_to_rest():
        for _time in range(3):
            deliver()
            world.settle()

    return come_to_rest


@pytest.fixture
def chat(uspacy, partner, ann, come_to_rest):
    """A chat that the customer has opened, as Uspacy has it."""
    partner.write(ann, "Hello", wait=True)
    come_to_rest()
    [chat] = uspacy.chats.values()
    return chat


def shown(uspacy, chat):
    return [message["message"] for message in uspacy.thread(chat["id"])]


def got(partner, ann):
    return [
        message.text for message in partner.messages(ann) if message.side == "business" and not message.deleted
    ]


# 6. Whether an old refresh token survives its renewal


def test_a_refresh_token_is_used_once(world, uspacy, partner, ann, chat, come_to_rest):
    uspacy.expire_access_tokens()
    before = Portal.objects.get()
    for number in range(3):
        partner.write(ann, f"{number}", wait=True)
    come_to_rest()
    assert shown(uspacy, chat) == ["Hello", "0", "1", "2"]
    assert len(world.requests.matching(r"/auth/v1/auth/refresh_token")) == 1
    after = Portal.objects.get()
    assert after.token != before.token
    assert after.refresh_token != before.refresh_token


# 7. How app_sign_in behaves


def test_the_apps_own_sign_in_stands_in_for_a_dead_refresh_token(uspacy, partner, ann, chat, come_to_rest):
    uspacy.expire_access_tokens()
    uspacy.revoke_refresh_tokens()
    partner.write(ann, "still here", wait=True)
    come_to_rest()
    assert shown(uspacy, chat) == ["Hello", "still here"]


def test_a_refused_sign_in_marks_the_portal_and_loses_nothing(
    world, portal, uspacy, partner, ann, chat, come_to_rest
):
    uspacy.expire_access_tokens()
    uspacy.revoke_refresh_tokens()
    uspacy.sign_in_allowed = False
    partner.write(ann, "I can wait", wait=True)
    come_to_rest()
    assert Portal.objects.get().status == "needs_reinstall"
    assert Delivery.objects.open().count() == 1
    uspacy.sign_in_allowed = True
    world.uspacy.install(portal.domain)
    come_to_rest()
    assert shown(uspacy, chat) == ["Hello", "I can wait"]


# 11. Which events are sent


def test_receipts_and_the_echo_of_our_own_calls_cause_nothing(
    world, portal, uspacy, partner, ann, chat, come_to_rest
):
    answer = world.uspacy.operator_writes(portal.domain, chat["id"], "Hi")
    world.settle()
    come_to_rest()
    assert uspacy.messages[answer["id"]]["status"] == "delivered"
    rows = Delivery.objects.count()

    world.uspacy.operator_reads(portal.domain, chat["id"])
    uspacy.messages[answer["id"]]["readBy"] = [41]
    world.uspacy.publish(uspacy, "update", uspacy.messages[answer["id"]])
    world.settle()
    come_to_rest()
    assert Delivery.objects.count() == rows
    assert got(partner, ann) == ["Hi"]
    updates = WebhookEvent.objects.filter(source="uspacy", payload__contains='"action": "update"')
    assert {event.outcome for event in updates} == {"ignored"}
    assert updates.count() >= 4  # two statuses of ours, two receipts


@pytest.mark.parametrize("echo", [True, False])
def test_it_does_not_matter_whether_uspacy_echoes(uspacy, partner, ann, chat, come_to_rest, echo):
    uspacy.echo = echo
    sent = partner.write(ann, "thre", wait=True)
    partner.edit(sent.message.id, "three", wait=True)
    come_to_rest()
    assert shown(uspacy, chat) == ["Hello", "three"]
    assert got(partner, ann) == []


def test_the_echo_of_what_the_business_wrote_elsewhere_does_not_come_back(
    uspacy, partner, ann, chat, come_to_rest
):
    """Such a message has no external author, so only its id tells."""
    partner.write(ann, "from our phone", direction="out", wait=True)
    come_to_rest()
    assert shown(uspacy, chat) == ["Hello", "from our phone"]
    assert not Delivery.objects.filter(destination="customer").exists()


# 13. Length limits


def long_text(parts):
    """A text that becomes so many messages in Uspacy."""
    return "\n\n".join(f"Paragraph {number}. " + "x" * 8_000 for number in range(parts))


def test_a_long_text_becomes_several_messages_in_order(world, uspacy, partner, ann, chat, come_to_rest):
    partner.write(ann, long_text(3), files=[("a.txt", b"hello")], wait=True)
    come_to_rest()
    first, *rest = uspacy.thread(chat["id"])[1:]
    assert [message["message"][:12] for message in (first, *rest)] == [f"Paragraph {n}." for n in range(3)]
    assert [len(message["attachedFiles"] or []) for message in (first, *rest)] == [1, 0, 0]
    assert all(len(message["message"]) <= 10_000 for message in (first, *rest))
    assert got(partner, ann) == []
    assert world.breaches == []


def test_the_parts_of_a_long_text_are_created_once(world, uspacy, partner, ann, chat, come_to_rest, pass_time):
    world.faults.add(r"/messenger/v1/messages$", "stored_then_cut", method="POST", times=1)
    partner.write(ann, long_text(2), wait=True)
    come_to_rest()
    pass_time()
    come_to_rest()
    assert [text[:12] for text in shown(uspacy, chat)] == ["Hello", "Paragraph 0.", "Paragraph 1."]
    assert Message.objects.order_by("-id")[0].status == "sent"


def test_a_long_text_is_deleted_with_all_its_parts(uspacy, partner, ann, chat, come_to_rest):
    sent = partner.write(ann, long_text(2), wait=True)
    come_to_rest()
    partner.delete(sent.message.id, wait=True)
    come_to_rest()
    assert shown(uspacy, chat) == ["Hello"]


def test_the_parts_of_what_the_business_wrote_elsewhere_do_not_come_back(uspacy, partner, ann, chat, come_to_rest):
    """A part has neither an external author nor a row of its own."""
    partner.write(ann, long_text(3), direction="out", wait=True)
    come_to_rest()
    assert len(shown(uspacy, chat)) == 4
    assert not Delivery.objects.filter(destination="customer").exists()
    assert Message.objects.filter(direction="out").count() == 1


def test_what_becomes_of_those_parts_later_does_not_reach_the_customer_either(
    uspacy, partner, ann, chat, come_to_rest
):
    sent = partner.write(ann, long_text(2), direction="out", wait=True)
    come_to_rest()
    partner.edit(sent.message.id, long_text(4), wait=True)
    come_to_rest()
    assert len(shown(uspacy, chat)) == 5
    partner.delete(sent.message.id, wait=True)
    come_to_rest()
    assert shown(uspacy, chat) == ["Hello"]
    assert not Delivery.objects.filter(destination="customer").exists()
    assert Message.objects.filter(direction="out").count() == 1


# 15. Who is the author of what we post


def test_an_operators_message_is_known_by_its_id_and_not_by_its_author(
    world, portal, uspacy, partner, ann, chat, come_to_rest
):
    message = world.uspacy.operator_writes(portal.domain, chat["id"], "Hi")
    message["authorId"] = INTEGRATION_USER  # the author that our own messages have here
    world.settle()
    come_to_rest()
    message["message"] = "Hi there"
    world.uspacy.publish(uspacy, "update", message)
    world.settle()
    come_to_rest()
    assert got(partner, ann) == ["Hi there"]


# 16. What is left after an uninstallation


def test_after_an_uninstallation_nothing_is_called_or_taken_until_the_next(
    world, portal, uspacy, partner, ann, chat, come_to_rest
):
    world.uspacy.uninstall(portal.domain)
    calls = len(world.requests.matching(rf"^/uspacy/{portal.domain}/"))
    world.uspacy.operator_writes(portal.domain, chat["id"], "to a closed door")
    world.settle()
    partner.write(ann, "anyone there?", wait=True)
    come_to_rest()
    assert delivery.expire_held() == 0
    assert len(world.requests.matching(rf"^/uspacy/{portal.domain}/")) == calls
    assert WebhookEvent.objects.filter(source="uspacy").latest("id").reason == "not a portal of ours"
    assert got(partner, ann) == []

    world.uspacy.install(portal.domain)
    tend_lines()
    come_to_rest()
    assert "anyone there?" in shown(uspacy, chat)  # in the same chat, on the same line
    assert (len(uspacy.chats), len(uspacy.lines), Chat.objects.count()) == (1, 1, 1)
    world.uspacy.operator_writes(portal.domain, chat["id"], "we are back")
    world.settle()
    come_to_rest()
    assert got(partner, ann) == ["we are back"]
