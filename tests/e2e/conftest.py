"""The product as real processes, one stack for all tests, and a new business for each."""

import itertools
import os
from collections.abc import Callable, Generator, Iterator

import pytest
from playwright.sync_api import Browser

from tests.browser import CHROMIUM, chromium
from tests.e2e.business import PATIENCE, Business, query
from tests.e2e.proxy import Proxy
from tests.simulators import World
from tests.stack import Stack

MINUTES = float(os.environ.get("SOAK_MINUTES") or 0)  # 0: the short form, as a part of all tests
Tell = Callable[[str, str], None]

FIGURE = "figure"  # the property of a report that has one
numbers = itertools.count(1)


@pytest.fixture(scope="package")
def _stack() -> Stack:
    return Stack("e2e", own_servers=True)


@pytest.fixture(scope="package")
def broker(_stack: Stack) -> Proxy:
    """The only way of the processes to their broker."""
    return Proxy(_stack.redis_url)


@pytest.fixture(scope="package")
def stack(_stack: Stack, broker: Proxy) -> Iterator[Stack]:
    _stack.env["REDIS_URL"] = broker.url
    _stack.world.sns.retry_delay, _stack.world.sns.retries = 0.5, 120  # a minute, as Amazon by default
    with _stack.running():
        _stack.world.sns.subscribe()
        assert _stack.world.wait_for(lambda: _stack.world.sns.confirmed, PATIENCE)
        yield _stack


@pytest.fixture
def world(stack: Stack) -> Iterator[World]:
    world = stack.world
    world.requests.clear()
    yield world
    world.faults.clear()
    world.latency = 0.0
    world.settle(PATIENCE)
    breaches, world.breaches[:] = list(world.breaches), []
    assert breaches == []
    assert query(stack, "SELECT error FROM messaging_webhookevent WHERE outcome = 'failed'") == []


@pytest.fixture
def new_business(stack: Stack, world: World) -> Callable[..., Business]:
    """Open a business: a portal that has installed the app, and a messenger connected to it."""

    def new_business(domain: str = "", name: str = "") -> Business:
        business = Business(stack, domain or f"shop{next(numbers)}.uspacy.ua", name)
        business.open()
        return business

    return new_business


@pytest.fixture
def shop(new_business: Callable[..., Business]) -> Business:
    return new_business()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("there is no Chromium in PATH")
    with chromium() as browser:
        yield browser


@pytest.fixture
def tell(record_property: Callable[[str, object], None]) -> Tell:
    """Show a figure at the end of the run, in a sentence."""
    return lambda of, sentence: record_property(FIGURE, f"{of + ':':13}{sentence}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [report for outcome in ("passed", "failed") for report in terminalreporter.getreports(outcome)]
    properties = [each for report in reports if report.when == "call" for each in report.user_properties]
    if figures := [text for name, text in properties if name == FIGURE]:
        terminalreporter.section("what breaking things has shown")
        for text in figures:
            terminalreporter.write_line(str(text))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the ends of the processes' logs where a test failed."""
    report = yield
    stack = getattr(item, "funcargs", {}).get("_stack")
    if report.failed and stack:
        report.sections.append(("logs of the processes", stack.last_lines()))
    return report
