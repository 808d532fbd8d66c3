"""Every messenger from the first to the last day of its line, with real processes."""

import pytest

from tests.demo import PICTURE, answers, shown
from tests.e2e.business import PATIENCE
from tests.simulators import Customer, Messenger, World
from tests.simulators.world import CHANNELS


def files(messenger: Messenger, customer: Customer) -> list[bytes | None]:
    """What the customer has got from the business, besides words."""
    messages = messenger.messages(customer)
    return [file.content for message in messages if message.side == "business" for file in message.files]


@pytest.mark.parametrize("channel", CHANNELS)
def test_a_messenger_is_connected_used_and_disconnected(world: World, channel: str) -> None:
    domain = f"{channel.replace('_', '-')}.uspacy.ua"
    portal = world.uspacy.create_portal(domain)
    assert world.uspacy.install(domain).status_code == 200
    messenger = world.add_messenger(f"{channel}-shop", "Shop", channel)
    line = world.connect_line(domain, messenger, "Shop")
    assert line["error"] == ""

    ann = messenger.add_customer("Ann Miller")
    messenger.write(ann, "Is this in stock?", files=[("bag.png", PICTURE)])
    assert world.wait_for(lambda: "Is this in stock?" in shown(portal), PATIENCE)
    assert world.wait_for(lambda: PICTURE in portal.contents.values(), PATIENCE)
    [chat_id] = portal.chats
    assert world.look_at_line(domain, line)["status"] == "active"  # some are so only with their first event

    answer = world.uspacy.operator_writes(domain, chat_id, "Yes, **three**.", files=[("three.png", PICTURE)])
    assert world.wait_for(lambda: "Yes, three." in answers(messenger, ann), PATIENCE)
    assert world.wait_for(lambda: files(messenger, ann) == [PICTURE], PATIENCE)  # some fetch it later
    messenger.read(ann)
    final = ["sent", *messenger.statuses][-1]
    assert world.wait_for(lambda: portal.messages[answer["id"]].get("status") == final, PATIENCE)

    world.settle(PATIENCE)  # what the messenger still has to tell, it tells a line that listens
    assert world.disconnect_line(domain, line) == 204
    assert world.look_at_line(domain, line)["status"] == "disabled"
