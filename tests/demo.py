"""`make demo`: the product around a simulated Uspacy and a messenger, and a first conversation played through."""

import argparse
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.simulators import Customer, Messenger, Portal, World
    from tests.stack import Stack

DOMAIN = "acme.uspacy.ua"
PICTURE = (
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89"
    b"\x00\x00\x00\rIDATx\x9cc\xf8\xcf\xc0\xf0\x1f\x00\x05\x00\x01\xff\x89\x99=\x1d\x00\x00\x00\x00IEND\xaeB`\x82"
)
WAIT_SECONDS = 30.0


class StepFailed(Exception):
    """A step of the story did not hold."""


def main() -> int:
    arguments = read_arguments()
    for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, stop_once)
    try:
        return run(arguments.channel, once=arguments.once)
    except KeyboardInterrupt:
        say("Stopped.")
        return 0 if not arguments.once else 1


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--once", action="store_true", help="play the story once, then stop everything")
    parser.add_argument("--channel", default="webhook", help="the messenger to play with, as telegram")
    return parser.parse_args()


def run(channel: str, *, once: bool) -> int:
    say("Starting PostgreSQL, Valkey, web, worker, beat and the simulated world …")
    started = time.monotonic()
    from tests.simulators.world import CHANNELS  # late, as it takes a second in which somebody may press Ctrl-C
    from tests.stack import Stack, free_port

    if channel not in CHANNELS:
        say(f"There is no messenger “{channel}” to play with. There are: {', '.join(CHANNELS)}.")
        return 1
    try:
        stack = Stack("demo", web_port=8000)
        with stack.running(simulator_port=free_port(9100)), ThreadPoolExecutor(1) as background:
            say(f"Started in {time.monotonic() - started:.1f} s.\n")
            staff = None if once else background.submit(create_staff, stack)
            play(stack.world, channel)
            if staff:
                staff.result()
                show_the_way(stack)
                signal.pause()
    except StepFailed as exc:
        say(f"\nThe demo failed: {exc}\n{stack.last_lines()}")
        return 1
    except RuntimeError as exc:
        say(f"\n{exc}")
        return 1
    return 0


def play(world: "World", channel: str) -> None:
    """Install, connect, and let a customer and an operator talk."""
    world.uspacy.create_portal(DOMAIN)
    with step("The marketplace installs the app on acme.uspacy.ua"):
        expect(world.uspacy.install(DOMAIN).status_code == 200)
    with step("Amazon SNS asks for confirmation, a worker confirms"):
        world.sns.subscribe()
        wait(world, lambda: world.sns.confirmed)
    shop = world.add_messenger("shop", "Shop chat", channel)
    with step("The portal's owner connects the shop's messenger as a line"):
        line = world.connect_line(DOMAIN, shop, "Shop chat")
        expect(line["uspacy_id"] in world.uspacy.portals[DOMAIN].lines)
    ann = shop.add_customer("Ann Miller")
    portal = world.uspacy.portals[DOMAIN]
    with step("Ann writes, with a picture, and Uspacy shows a new chat"):
        shop.write(ann, "Good morning! Is this in stock?", files=[("bag.png", PICTURE)])
        wait(world, lambda: "Good morning! Is this in stock?" in shown(portal))
        wait(world, lambda: PICTURE in portal.contents.values())
    with step("The line is active, at the latest with its first event"):
        wait(world, lambda: world.look_at_line(DOMAIN, line)["status"] == "active")
    (chat_id,) = portal.chats
    with step("The operator answers, and Ann gets it"):
        answer = world.uspacy.operator_writes(DOMAIN, chat_id, "Yes, **three** are left.")
        wait(world, lambda: "Yes, three are left." in answers(shop, ann))
    with step("Uspacy shows that the answer was " + ", then ".join(shop.statuses or ["sent"])):
        for status in shop.statuses or ["sent"]:
            if status == "read":
                shop.read(ann)
            wait(world, lambda status=status: portal.messages[answer["id"]].get("status") == status)
    if shop.edits_answers:
        with step("The operator corrects a word, and Ann sees the correction"):
            world.uspacy.operator_edits(DOMAIN, answer["id"], "Yes, **four** are left.")
            wait(world, lambda: "Yes, four are left." in answers(shop, ann))
    else:
        with step("The operator corrects a word, and is told that the messenger cannot"):
            world.uspacy.operator_edits(DOMAIN, answer["id"], "Yes, **four** are left.")
            wait(world, lambda: portal.messages[answer["id"]].get("statusText"))
            expect("Yes, four are left." not in answers(shop, ann))
    with step("Nobody broke the wire contract"):
        expect(world.breaches == [], "; ".join(world.breaches))


def shown(portal: "Portal") -> list[str]:
    """The texts that Uspacy shows, without markup."""
    return [bare(message["message"] or "") for message in portal.messages.values()]


def answers(messenger: "Messenger", customer: "Customer") -> list[str]:
    """What the customer has from the business, without the messenger's markup."""
    messages = messenger.messages(customer)
    return [bare(message.text) for message in messages if message.side == "business" and not message.deleted]


def bare(text: str) -> str:
    """A text without tags and marks: each messenger has others."""
    return re.sub(r"<[^>]*>|[*_~\\\u200b]", "", text)


@contextmanager
def step(text: str) -> Iterator[None]:
    started = time.monotonic()
    try:
        yield
    except StepFailed as exc:
        say(f"  ✗ {text}")
        raise StepFailed(f"{text}. {exc}") from exc
    say(f"  ✓ {text}  ({time.monotonic() - started:.1f} s)")


def expect(held: bool, why: str = "It did not happen.") -> None:
    if not held:
        raise StepFailed(why)


def wait(world: "World", condition: Callable[[], Any]) -> Any:
    value = world.wait_for(condition, timeout=WAIT_SECONDS)
    expect(bool(value), f"Not within {WAIT_SECONDS:.0f} seconds.")
    return value


def create_staff(stack: "Stack") -> None:
    name = ("--username=demo", "--email=demo@example.com")
    stack.manage("createsuperuser", "--noinput", *name, DJANGO_SUPERUSER_PASSWORD="demo")


def show_the_way(stack: "Stack") -> None:
    places = {
        f"{stack.world.base_url}/": "the customer's messenger and the operator's Uspacy, side by side",
        f"{stack.url}/admin/": "the support console (sign in as demo, password demo)",
        f"{stack.url}/api/docs/": "the API of portals",
        str(stack.logs): "the logs",
    }
    width = max(map(len, places))
    say("\nEverything is running. Look here:")
    for place, what in places.items():
        say(f"  {place:{width}}  {what}")
    say("\nStop with Ctrl-C.")


def stop_once(*received: object) -> None:
    """End the demo; from now on nothing disturbs the stopping."""
    for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, signal.SIG_IGN)
    say("\nStopping …")
    raise KeyboardInterrupt


def say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
