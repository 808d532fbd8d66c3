"""Sick remotes: the others do not notice, and the sick recover by themselves, with everything in order."""

import time
from collections.abc import Callable, Sequence

import pytest

from tests.e2e.business import PATIENCE, Business
from tests.e2e.conftest import MINUTES, Tell
from tests.e2e.traffic import Conversation, Passage, Traffic, converse, settle_account, shops_of
from tests.simulators import World

HANG, SECONDS = (30.0, 60.0) if MINUTES else (4.0, 4.0)
CROWD = 15  # chats of each sick remote: with both lanes many more than the worker has threads
PER_SECOND = 8.0
LIMIT = 2.0  # seconds
TEXTS = 3


def p95(passages: Sequence[Passage]) -> float:
    waits = sorted(passage.seconds for passage in passages)
    return waits[int(len(waits) * 0.95)]


def measured(conversations: list[Conversation]) -> float:
    """The 95th percentile, from accepted to delivered, of some seconds of traffic."""
    began, traffic = time.time(), Traffic(conversations, PER_SECOND)
    traffic.start()
    time.sleep(SECONDS)
    traffic.stop()
    for shop in shops_of(conversations):
        shop.rest()
    return p95([passage for passage in settle_account(conversations) if passage.told > began])


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_sick_remotes_leave_the_others_fast_and_recover_by_themselves(
    new_business: Callable[..., Business], world: World, tell: Tell
) -> None:
    hanging, failing, deaf, *well = [new_business() for _ in range(5)]
    sick, healthy = converse([hanging, failing, deaf], CROWD), converse(well, 3)
    for path in (f"^/uspacy/{hanging.domain}/", f"^/partner/{deaf.messenger.id}/hook$"):
        world.faults.add(path, "hang", 1_000_000, seconds=HANG)
    ill = world.faults.add(f"^/uspacy/{failing.domain}/", "status", 1_000_000, code=500)
    for _text in range(TEXTS):
        for one in sick:
            one.go_on()
    assert world.wait_for(lambda: ill.times < 1_000_000, PATIENCE)
    beside = measured(healthy)
    world.faults.clear()
    cleared = time.monotonic()
    for shop in (hanging, failing, deaf):
        shop.rest(120)
    recovered = time.monotonic() - cleared
    settle_account(sick)
    if beside > LIMIT:  # a machine so busy that the others are slow without any sick remote as well?
        assert beside < LIMIT + 5 * measured(healthy)
    tell(
        "isolation",
        f"p95 from accepted to delivered {beside:.2f} s beside a portal that hangs, one that answers 500 and a"
        f" partner that hangs; these were at rest {recovered:.0f} s after they were well again",
    )
