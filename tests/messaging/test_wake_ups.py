"""A wake-up carries several chats, and one of them that hangs delays none of the others."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from messaging import tasks
from messaging.models import Chat, Delivery
from portals.models import Portal
from tests.simulators import Partner, World

pytestmark = pytest.mark.django_db(transaction=True)

MESSAGES = "/messenger/v1/messages$"


@pytest.fixture
def chats(world: World, partner: Partner, deliver: Callable[[], None]) -> list[int]:
    """Chats that are known on both sides, with a message to deliver in each."""
    customers = [partner.add_customer(name) for name in ("Ann", "Bob", "Cid", "Dan")]
    for text in ("Hello", "It is me"):
        for customer in customers:
            partner.write(customer, text, wait=True)
        if text == "Hello":
            deliver()
            world.settle()
    return list(Chat.objects.order_by("pk").values_list("pk", flat=True))


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    """A worker that has just started, with the threads of its pool."""
    with ThreadPoolExecutor(8) as threads:
        tasks.share_threads(sender=SimpleNamespace(pool=SimpleNamespace(executor=threads, limit=8)))
        yield threads
    tasks.share_threads(sender=SimpleNamespace(pool=SimpleNamespace(limit=float("inf"))))


def test_all_chats_of_a_wake_up_are_drained(chats: list[int], threads: ThreadPoolExecutor) -> None:
    tasks.drain_chat(*chats)
    threads.shutdown()
    assert not Delivery.objects.open().exists()


def test_a_pool_without_threads_drains_one_after_the_other(chats: list[int]) -> None:
    tasks.drain_chat(*chats)
    assert not Delivery.objects.open().exists()


def test_a_chat_that_hangs_delays_no_other_of_its_wake_up(
    world: World, portal: Portal, chats: list[int], threads: ThreadPoolExecutor
) -> None:
    world.requests.clear()
    world.faults.add(MESSAGES, "slow", times=len(chats), seconds=2.0)
    tasks.drain_chat(*chats)
    threads.shutdown()
    calls = world.requests.matching(MESSAGES)
    assert len(calls) == len(chats)
    first_answer = min(call.at + call.seconds for call in calls)
    assert all(call.at < first_answer for call in calls)  # none waited for another to end


def test_one_chat_that_cannot_be_drained_is_logged_and_leaves_the_others(
    chats: list[int], threads: ThreadPoolExecutor
) -> None:
    tasks.drain_chat("no id", *chats)  # type: ignore[arg-type]
    threads.shutdown()
    assert not Delivery.objects.open().exists()
