"""What the processes take does not grow with what they carry."""

import os
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.e2e.business import Business
from tests.e2e.conftest import MINUTES, Tell
from tests.e2e.test_faults import a_chat
from tests.e2e.traffic import converse, settle_account
from tests.simulators import World
from tests.stack import Stack

MIB = 1024 * 1024
MESSAGES = 20_000 if MINUTES else 300
WARM_UP = 1_000 if MINUTES else 100
AT_A_TIME = 50  # each way
GROWTH, PEAK = 15.0, 8.0  # MiB


def processes(stack: Stack) -> dict[str, psutil.Process]:
    """The processes that carry messages: the worker, and web's two."""
    watched = {"worker": psutil.Process(stack.processes["worker"].pid)}
    return watched | {f"web {number}": process for number, process in enumerate(stack.web_processes(), start=1)}


def memory(process: psutil.Process) -> float:
    return process.memory_info().rss / MIB


def descriptors(process: psutil.Process, stack: Stack) -> int:
    """Open files and connections, but for those that a client keeps open."""
    kept = [each for each in process.net_connections() if each.laddr and each.laddr.port == stack.port]
    return process.num_fds() - len(kept)


def connections(shop: Business) -> int:
    [(count,)] = shop.query("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
    return int(count)


def forget_peak(process: psutil.Process) -> None:
    Path(f"/proc/{process.pid}/clear_refs").write_text("5")


def peak(process: psutil.Process) -> float:
    """The most memory that the process has had since `forget_peak`."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    [high_water] = [line for line in lines if line.startswith("VmHWM")]
    return int(high_water.split()[1]) / 1024


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_memory_and_connections_stay_flat(shop: Business, world: World, stack: Stack, tell: Tell) -> None:
    conversations = converse([shop], 10)

    def carry(messages: int) -> None:
        while messages > 0:
            for number in range(AT_A_TIME):
                conversations[number % len(conversations)].go_on()
            shop.rest(120)
            messages -= 2 * AT_A_TIME

    carry(WARM_UP)
    watched = processes(stack)
    before = {name: (memory(process), descriptors(process, stack)) for name, process in watched.items()}
    connected, began = connections(shop), time.monotonic()
    carry(MESSAGES)
    seconds = time.monotonic() - began
    after = {name: (memory(process), descriptors(process, stack)) for name, process in watched.items()}
    settle_account(conversations)
    grown = {name: after[name][0] - before[name][0] for name in watched}
    tell(
        "resources",
        f"{MESSAGES} messages in {seconds:.0f} s: "
        + ", ".join(f"{name} {before[name][0]:.0f} {grown[name]:+.1f} MiB" for name in watched)
        + f"; connections to PostgreSQL {connected} before, {connections(shop)} after",
    )
    assert max(grown.values()) < GROWTH
    assert connections(shop) <= connected + 10  # the pools open one for each thread at the most
    assert all(after[name][1] <= before[name][1] + 40 for name in watched), (before, after)


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_a_large_file_passes_through_without_filling_the_memory(
    shop: Business, world: World, stack: Stack, tell: Tell
) -> None:
    ann = a_chat(shop)
    content = os.urandom(MIB) * 50
    for direction in ("to Uspacy", "to the customer"):
        small = [("warm-up.bin", content[:MIB])]
        for files in (small, [("large.bin", content)]):
            watched = processes(stack)
            before = {name: memory(process) for name, process in watched.items()}
            for process in watched.values():
                forget_peak(process)
            began = time.monotonic()
            _send(shop, ann, direction, files)
            shop.rest(120)
            seconds = time.monotonic() - began
        grown = {name: peak(process) - before[name] for name, process in watched.items()}
        tell(
            "resources",
            f"50 MiB {direction} in {seconds:.1f} s: at its peak "
            + ", ".join(f"{name} {grown[name]:+.1f} MiB" for name in watched),
        )
        assert max(grown.values()) < PEAK
    [*_, arrived] = shop.in_uspacy(ann)
    assert shop.portal.contents[arrived["attachedFiles"][0]["id"]] == content
    assert shop.at_customer(ann)[-1].files[0].content == content


def _send(shop: Business, ann: Any, direction: str, files: list[tuple[str, bytes]]) -> None:
    if direction == "to Uspacy":
        shop.writes(ann, "", files)
    else:
        shop.answers(ann, "", files)
