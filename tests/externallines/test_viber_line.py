"""A Viber bot as a line of a portal: from connecting to disconnecting, with the simulated Viber around it."""

import pytest

from externallines.channels import addresses

pytestmark = pytest.mark.django_db(transaction=True)
PICTURE = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def bot(world, portal, monkeypatch):
    monkeypatch.setattr(addresses, "viber", f"{world.base_url}/viber/pa")
    bot = world.add_messenger("shop", "Shop bot", channel="viber")
    bot.status_delay = 0
    return bot


def test_a_conversation(world, portal, owner, bot, deliver):
    line = world.connect_line(portal.domain, bot, "Shop")
    assert line["status"] == "active"
    assert bot.webhook == line["webhook_url"]

    ann = bot.add_customer("Ann")
    bot.write(ann, "Is this in stock?", files=[("bag.png", PICTURE)], wait=True)
    deliver()
    uspacy = world.uspacy.portals[portal.domain]
    (chat_id,), (message,) = uspacy.chats, uspacy.messages.values()
    assert message["message"] == "Is this in stock?"
    assert [file["originalFilename"] for file in message["attachedFiles"]] == ["bag.png"]
    assert {"type": "viber", "value": ann.id} in uspacy.chats[chat_id]["meta"]

    answer = world.uspacy.operator_writes(
        portal.domain, chat_id, "Yes, **three** are left.", [("price.pdf", b"%PDF")]
    )
    world.settle()
    deliver()
    world.settle()
    deliver()
    got = [message for message in bot.messages(ann) if message.side == "business"]
    assert [(message.text, [file.content for file in message.files]) for message in got] == [
        ("", [b"%PDF"]),
        ("Yes, *three* are left.", []),
    ]
    assert uspacy.messages[answer["id"]]["status"] == "delivered"

    owner.disconnect(line)
    assert world.breaches == []


def test_a_bot_of_another_service_is_taken_over_only_once_it_is_free(world, portal, owner, bot):
    bot.webhook = "https://chat.example.org/viber"
    line = owner.call(
        "POST", "lines/", {"channel": "viber", "name": "Shop", "credentials": bot.credentials()}
    ).json()
    assert line["status"] == "error"
    assert "Another service (chat.example.org) uses this bot" in line["error"]
    assert bot.webhook == "https://chat.example.org/viber"
    bot.forget_webhook()
    assert owner.reconnect(line).json()["status"] == "active"
    assert bot.webhook == line["webhook_url"]
