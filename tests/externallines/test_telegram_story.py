"""Telegram with the app around it: a bot is connected, customers and operators talk, over real HTTP."""

import time

import pytest

from externallines.channels import addresses
from messaging.models import Chat, Message
from portals.models import Portal
from tests.simulators import Customer, TelegramBot, World
from tests.simulators.telegram import picture

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def bot(world: World, portal: Portal, monkeypatch: pytest.MonkeyPatch) -> TelegramBot:
    """A bot, connected as a line of the portal."""
    monkeypatch.setattr(addresses, "telegram", f"{world.base_url}/telegram")
    bot: TelegramBot = world.add_messenger("shop", "Shop bot", channel="telegram")
    line = world.connect_line(portal.domain, bot, "Shop")
    assert (line["status"], line["external_id"]) == ("active", str(bot.bot_id))
    return bot


@pytest.fixture
def ann(bot: TelegramBot) -> Customer:
    return bot.add_customer("Ann Miller", username="ann")


@pytest.fixture
def chat(world, portal, bot, ann, deliver):
    """Ann's chat in Uspacy, after her first message."""
    assert bot.write(ann, "/start", wait=True).accepted
    deliver()
    [chat] = world.uspacy.portals[portal.domain].chats.values()
    return chat


@pytest.fixture
def answer(world, portal, chat, deliver):
    """Let the operator write; returns the message in Uspacy."""

    def answer(text, files=(), reply_to=None):
        written = world.uspacy.operator_writes(portal.domain, chat["id"], text, files, reply_to)
        world.settle()
        deliver()
        return world.uspacy.portals[portal.domain].messages[written["id"]]

    return answer


def seen(bot, customer):
    """What the customer has from the business, oldest first."""
    return [
        (message.text, [file.name for file in message.files])
        for message in bot.messages(customer)
        if message.side == "business" and not message.deleted
    ]


def test_a_customer_writes_and_the_operator_sees_it_with_its_files(world, portal, bot, ann, deliver):
    bot.write(ann, "Чи є *така*?", files=[("bag.png", picture("bag")), ("a.pdf", b"%PDF")], wait=True)
    deliver()
    uspacy = world.uspacy.portals[portal.domain]
    [chat] = uspacy.chats.values()
    assert chat["name"] == "Ann Miller"
    assert {"type": "telegram", "value": ann.id} in chat["meta"]
    assert {"type": "username", "value": "ann"} in chat["meta"]
    first, second = uspacy.thread(chat["id"])
    assert first["message"] == r"Чи є \*така\*?"
    assert [file["originalFilename"].partition("-")[0] for file in first["attachedFiles"]] == ["photo"]
    assert [file["originalFilename"] for file in second["attachedFiles"]] == ["a.pdf"]
    assert world.breaches == []


def test_an_operator_answers_with_formatting_and_quotes(world, bot, ann, chat, answer):
    [start] = world.uspacy.portals["acme.uspacy.ua"].thread(chat["id"])
    sent = answer("Yes, **three** are left & more", reply_to=start["id"])
    assert seen(bot, ann) == [("Yes, three are left & more", [])]
    [message] = [message for message in bot.messages(ann) if message.side == "business"]
    assert bot.markup[message.id] == "Yes, <b>three</b> are left &amp; more"
    assert message.reply_to == bot.messages(ann)[0].id
    assert sent["status"] == "sent"
    assert world.breaches == []


def test_files_go_as_an_album_and_a_file_that_is_no_photo_as_a_document(world, bot, ann, answer):
    answer("Two **bags**", files=[("a.png", picture("a")), ("b.png", picture("b"))])
    answer("A banner", files=[("long.png", picture("c", width=900, height=10))])
    assert seen(bot, ann) == [("", ["a.png"]), ("Two bags", ["b.png"]), ("A banner", ["long.png"])]
    assert [request.path.rpartition("/")[2] for request in world.requests.matching("/send")] == [
        *("sendMediaGroup", "sendPhoto", "sendDocument")
    ]
    assert world.breaches == []


def test_an_edit_and_a_deletion_reach_the_customer(world, portal, bot, ann, answer, deliver):
    text, captioned = answer("Yes, **three**"), answer("Look", files=[("a.png", picture("a"))])
    for message, changed in ((text, "Yes, **four**"), (captioned, "Look *here*")):
        world.uspacy.operator_edits(portal.domain, message["id"], changed)
    world.settle()
    deliver()
    assert seen(bot, ann) == [("Yes, four", []), ("Look here", ["a.png"])]
    world.uspacy.operator_deletes(portal.domain, text["id"])
    world.settle()
    deliver()
    assert seen(bot, ann) == [("Look here", ["a.png"])]
    assert world.breaches == []


def test_a_customers_edit_reaches_the_operator_and_a_repeated_update_changes_nothing(
    world, portal, bot, ann, chat, deliver
):
    sent = bot.write(ann, "one", wait=True)
    assert bot.redeliver(sent).status_code == 202
    bot.edit(sent.message.id, "two", wait=True)
    deliver()
    thread = world.uspacy.portals[portal.domain].thread(chat["id"])
    assert [message["message"] for message in thread] == ["/start", "two"]


def test_a_customer_who_blocks_the_bot_gets_nothing_until_they_return(bot, ann, chat, answer):
    bot.block(ann, wait=True)
    assert Chat.objects.get().blocked
    assert answer("Are you there?")["status"] == "error"
    bot.unblock(ann, wait=True)
    assert answer("Welcome back")["status"] == "sent"
    assert seen(bot, ann) == [("Welcome back", [])]


def test_a_pressed_button_is_a_message(world, portal, bot, ann, chat, deliver):
    bot.press(ann, "size:42", wait=True)
    deliver()
    [_start, pressed] = world.uspacy.portals[portal.domain].thread(chat["id"])
    assert pressed["message"] == "size:42"


def test_a_file_above_20_mb_is_named_in_its_place(world, portal, bot, ann, deliver):
    bot.write(ann, "see", files=[("a.pdf", b"0" * (20 * 1024 * 1024 + 1))], wait=True)
    deliver()
    [message] = world.uspacy.portals[portal.domain].messages.values()
    assert "20 MB" in message["message"]
    assert message["message"].startswith("see")


def test_a_throttled_bot_sends_when_telegram_asks(world, bot, ann, chat, answer, deliver):
    bot.throttle(times=1, seconds=1)
    answer("Hello")
    for _round in range(300):
        if seen(bot, ann):
            break
        time.sleep(0.1)
        deliver()
    assert seen(bot, ann) == [("Hello", [])]
    assert [request.status for request in world.requests.matching("/sendMessage")] == [429, 200]


def test_a_forged_update_is_refused(world, bot, ann):
    bot.webhook.secret_token = "another-secret-token-of-somebody-else-0"
    assert bot.write(ann, "Hi", wait=True).response.status_code == 401
    assert Message.objects.count() == 0
