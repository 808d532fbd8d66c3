"""A portal's life with real processes: installed, connected, used, uninstalled, installed again."""

from typing import Any

from tests.e2e.business import PATIENCE, Business
from tests.simulators import World

PICTURE = bytes(range(256)) * 300  # not a picture, but every byte there is
LETTER = "Ціна зросла".encode("cp1251")


def contents(shop: Business, message: dict[str, Any]) -> dict[str, bytes]:
    """The files of a message in Uspacy."""
    return {file["originalFilename"]: shop.portal.contents[file["id"]] for file in message["attachedFiles"] or []}


def test_a_worker_confirms_the_subscription(world: World) -> None:
    assert world.sns.unsubscribe().status_code == 200
    assert world.sns.subscribe().status_code == 200
    assert world.wait_for(lambda: world.sns.confirmed, PATIENCE)


def test_a_connected_line_stands_in_uspacy_and_becomes_active_with_its_first_event(shop: Business) -> None:
    (line,) = shop.portal.lines.values()
    assert line["name"] == shop.messenger.name
    shop.rest()  # the messenger has said hello
    assert shop.query("SELECT status FROM externallines_externalline WHERE uspacy_id = %s", line["id"]) == [
        ("active",)
    ]


def test_what_a_customer_writes_appears_in_uspacy_byte_for_byte(shop: Business) -> None:
    ann, bob = shop.customer("Ann Miller"), shop.customer("Bob")
    shop.writes(ann, "Is this *in stock*?", [("bag.png", PICTURE), ("лист.txt", LETTER)])
    shop.writes(bob, "Hello")
    shop.writes(ann, "Anyone there?")
    shop.rest()
    first, second = shop.in_uspacy(ann)
    assert first["message"] == r"Is this \*in stock\*?"  # Markdown for what was plain text
    assert contents(shop, first) == {"bag.png": PICTURE, "лист.txt": LETTER}
    assert (second["message"], second["attachedFiles"]) == ("Anyone there?", None)
    assert shop.texts_in_uspacy(bob) == ["Hello"]
    assert len(shop.portal.chats) == 2


def test_what_an_operator_answers_reaches_the_customer_byte_for_byte(shop: Business) -> None:
    ann = shop.customer("Ann Miller")
    shop.writes(ann, "Hello")
    shop.rest()
    shop.answers(ann, "**Good** morning!")
    shop.answers(ann, "Here is all", [("price.pdf", PICTURE), ("лист.txt", LETTER)])
    shop.rest()
    greeting, prices = shop.at_customer(ann)
    assert (greeting.text, greeting.files) == ("**Good** morning!", [])
    assert {file.name: file.content for file in prices.files} == {"price.pdf": PICTURE, "лист.txt": LETTER}


def test_uspacy_shows_an_answer_delivered_and_then_read(shop: Business) -> None:
    ann = shop.customer("Ann Miller")
    shop.messenger.auto_delivered = False
    shop.writes(ann, "Hello")
    shop.rest()
    answer = shop.answers(ann, "Good morning!")
    shop.rest()
    assert shop.status(answer) == "sent"
    shop.messenger.send_status(shop.at_customer(ann)[0], "delivered")
    shop.rest()
    assert shop.status(answer) == "delivered"
    shop.messenger.read(ann)
    shop.rest()
    assert shop.status(answer) == "read"


def test_an_answer_to_somebody_who_has_blocked_the_business_is_marked_with_the_reason(shop: Business) -> None:
    ann = shop.customer("Ann Miller")
    shop.writes(ann, "Hello")
    shop.rest()
    shop.messenger.block(ann, wait=True)
    answer = shop.answers(ann, "Good morning!")
    shop.rest()
    assert shop.status(answer) == "error"
    assert "blocked" in shop.portal.messages[answer["id"]]["statusText"]


def test_edits_and_deletions_cross_in_both_directions(shop: Business) -> None:
    ann = shop.customer("Ann Miller")
    wrong, kept = shop.writes(ann, "Is is in stok?"), shop.writes(ann, "Please")
    gone = shop.writes(ann, "Never mind")
    shop.rest()
    answer, slip = shop.answers(ann, "Three"), shop.answers(ann, "Wrong chat")
    shop.rest()
    shop.messenger.edit(wrong.id, "Is it in stock?")
    shop.messenger.delete(gone.id)
    shop.world.uspacy.operator_edits(shop.domain, answer["id"], "Four")
    shop.world.uspacy.operator_deletes(shop.domain, slip["id"])
    shop.rest()
    assert shop.texts_in_uspacy(ann) == ["Is it in stock?", kept.text]
    assert shop.texts_at_customer(ann) == ["Four"]


def test_a_deletion_event_that_names_only_the_message_is_understood(shop: Business) -> None:
    ann = shop.customer("Ann Miller")
    shop.writes(ann, "Hello")
    shop.rest()
    slip = shop.answers(ann, "Wrong chat")
    shop.rest()
    shop.world.uspacy.operator_deletes(shop.domain, slip["id"], bare=True)
    shop.rest()
    assert shop.texts_at_customer(ann) == []


def test_replies_quote_the_same_message_on_both_sides(shop: Business) -> None:
    ann = shop.customer("Ann Miller")
    question = shop.writes(ann, "Which colour?")
    shop.rest()
    (asked,) = shop.in_uspacy(ann)
    shop.answers(ann, "Red", parent=asked["id"])
    shop.rest()
    (red,) = shop.at_customer(ann)
    assert red.reply_to == question.id
    shop.writes(ann, "Fine", reply_to=red)
    shop.rest()
    assert shop.in_uspacy(ann)[-1]["parentMessage"] == shop.portal.thread(asked["chatId"])[1]["id"]


def test_only_what_an_operator_writes_to_the_customer_reaches_the_customer(shop: Business) -> None:
    ann, uspacy = shop.customer("Ann Miller"), shop.world.uspacy
    shop.writes(ann, "Hello")  # Uspacy tells us of it, since we have put it there: an echo
    shop.rest()
    chat_id = shop.chat_id(ann)
    uspacy.system_message(shop.domain, chat_id, "Lead created")
    uspacy.operator_reads(shop.domain, chat_id)
    uspacy.foreign_event(shop.domain)
    shop.messenger.write(ann, "From the shop's phone", direction="out")  # the customer has it already
    uspacy.operator_writes(shop.domain, uspacy.foreign_chat(shop.domain), "For somebody else's customer")
    shop.answers(ann, "Good morning!")
    shop.rest()
    assert sorted(shop.texts_at_customer(ann)) == ["From the shop's phone", "Good morning!"]
    assert shop.texts_in_uspacy(ann) == ["Hello"]
    assert "From the shop's phone" in [message["message"] for message in shop.portal.thread(chat_id)]
    assert shop.answers_to_events() == {200}


def test_a_message_told_twice_is_carried_once(shop: Business) -> None:
    ann = shop.customer("Ann Miller")
    shop.messenger.redeliver(shop.messenger.write(ann, "Hello", wait=True))
    shop.rest()
    shop.answers(ann, "Good morning!")
    shop.rest()
    assert shop.world.sns.redeliver().status_code == 200
    shop.rest()
    assert shop.texts_in_uspacy(ann) == ["Hello"]
    assert shop.texts_at_customer(ann) == ["Good morning!"]
    assert shop.messenger.repeats == 0


def test_messages_wait_while_the_app_has_to_be_installed_again(shop: Business) -> None:
    ann = shop.customer("Ann Miller")
    shop.writes(ann, "one")
    shop.rest()
    shop.portal.sign_in_allowed = False
    shop.portal.expire_access_tokens()
    shop.portal.revoke_refresh_tokens()
    shop.writes(ann, "two")
    state = "SELECT status FROM portals_portal WHERE domain = %s"
    assert shop.world.wait_for(lambda: shop.query(state, shop.domain) == [("needs_reinstall",)], PATIENCE)
    shop.writes(ann, "three")
    shop.answers(ann, "Good morning!")
    shop.writes(ann, "four")
    shop.world.settle(PATIENCE)
    assert shop.waiting() == 4
    assert shop.world.uspacy.install(shop.domain).status_code == 200
    shop.rest()
    assert shop.texts_in_uspacy(ann) == ["one", "two", "three", "four"]
    assert shop.texts_at_customer(ann) == ["Good morning!"]


def test_messages_survive_an_uninstall_and_go_on_with_the_next_install(shop: Business) -> None:
    ann, uspacy = shop.customer("Ann Miller"), shop.world.uspacy
    shop.writes(ann, "one")
    shop.rest()
    shop.world.faults.add("/messenger/v1/messages$", "status", times=1000, domain=shop.domain)
    shop.writes(ann, "two")
    shop.answers(ann, "Good morning!")
    shop.writes(ann, "three")
    shop.world.settle(PATIENCE)
    assert uspacy.uninstall(shop.domain).status_code == 204
    shop.writes(ann, "four")
    shop.world.settle(PATIENCE)
    shop.world.faults.clear()
    assert shop.texts_in_uspacy(ann) == ["one"]
    assert uspacy.install(shop.domain).status_code == 200
    shop.rest()
    assert shop.texts_in_uspacy(ann) == ["one", "two", "three", "four"]
    assert shop.texts_at_customer(ann) == ["Good morning!"]
    assert len(shop.portal.lines) == len(shop.portal.chats) == 1
    shop.answers(ann, "Welcome back!")
    shop.rest()
    assert shop.texts_at_customer(ann) == ["Good morning!", "Welcome back!"]
