"""The page of the simulated world in a browser: what one side does, the other sees without reloading."""

import os
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, FilePayload, Locator, Page, expect

from tests.e2e.business import PATIENCE, Business
from tests.simulators import World
from tests.stack import ROOT

SCREENSHOT = ROOT / "docs" / "img" / "simulator.png"  # taken anew with the variable SCREENSHOT set
PICTURE: FilePayload = {
    "name": "bag.svg",
    "mimeType": "image/svg+xml",
    "buffer": b"""
<svg xmlns="http://www.w3.org/2000/svg" width="168" height="120" viewBox="0 0 280 200">
<rect width="280" height="200" fill="#f3e9dc"/>
<ellipse cx="140" cy="172" rx="88" ry="9" fill="#d9c7b2"/>
<path d="M104 84c0-56 72-56 72 0" fill="none" stroke="#5e3023" stroke-width="9"/>
<path d="M72 80h136l12 92H60z" fill="#c2563b"/><path d="M72 80h136l3 24H69z" fill="#a8452c"/>
<circle cx="140" cy="112" r="8" fill="#f3e9dc"/></svg>""",
}


@pytest.fixture
def open_page(browser: Browser, world: World) -> Iterator[Callable[[Business], Page]]:
    """Open the page with a business's messenger and line chosen."""
    expect.set_options(timeout=PATIENCE * 1000)
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))

    def open_page(shop: Business) -> Page:
        page.goto(world.base_url)
        page.get_by_label("Messenger").select_option(shop.messenger.id)
        page.get_by_label("External line").select_option(label=shop.messenger.name)
        return page

    yield open_page
    page.close()
    assert faults == []


@pytest.fixture
def page(open_page: Callable[[Business], Page], shop: Business) -> Page:
    """The page with one customer, Ann, who has not written yet."""
    shop.customer("Ann Miller")
    return open_page(shop)


def log(page: Page, side: str) -> Locator:
    return page.get_by_test_id(f"{side}-log")


def bubble(page: Page, side: str, text: str) -> Locator:
    """A message as one side sees it."""
    return log(page, side).get_by_test_id("bubble").filter(has_text=text)


def send(page: Page, side: str, text: str) -> None:
    page.get_by_test_id(f"{side}-input").fill(text)
    page.get_by_test_id(f"{side}-send").click()


def open_chat(page: Page, name: str) -> None:
    page.get_by_test_id("chat-list").get_by_text(name).click()


def act(message: Locator, action: str) -> None:
    message.hover()
    message.get_by_test_id(action).click()


def test_a_customer_and_an_operator_talk(
    new_business: Callable[..., Business], open_page: Callable[[Business], Page]
) -> None:
    shop = new_business("acme.uspacy.ua", "Corner shop")
    shop.customer("Ann Kovalenko")
    shop.writes(shop.customer("Bohdan Melnyk"), "Thank you, it has arrived!")
    page = open_page(shop)
    send(page, "customer", "Good morning! I saw this bag in your window.")
    open_chat(page, "Ann Kovalenko")
    page.get_by_test_id("customer-file").set_input_files([PICTURE])
    send(page, "customer", "Is it still in stock?")
    expect(bubble(page, "operator", "Is it still in stock?").get_by_role("img", name="bag.svg")).to_be_visible()
    send(page, "operator", "Good morning, Ann! Yes, **three** are left.")
    expect(bubble(page, "customer", "Yes, three are left.").locator("strong")).to_have_text("three")
    act(bubble(page, "customer", "three are left"), "reply")
    send(page, "customer", "Lovely. Please keep one for me until tomorrow.")
    expect(bubble(page, "operator", "Please keep one").locator(".quote")).to_contain_text("three are left")
    send(page, "operator", "It is yours. See you tomorrow!")
    status = bubble(page, "operator", "It is yours").get_by_test_id("status")
    expect(status).to_have_attribute("data-status", "read")
    expect(bubble(page, "operator", "It is yours")).to_have_attribute("data-side", "operator")
    expect(bubble(page, "customer", "It is yours")).to_have_attribute("data-side", "business")
    if os.environ.get("SCREENSHOT"):
        SCREENSHOT.parent.mkdir(parents=True, exist_ok=True)
        page.mouse.move(0, 0)
        page.screenshot(path=SCREENSHOT)


def test_a_status_tick_turns_read_when_the_customer_has_read(page: Page) -> None:
    page.get_by_label("Customer reads at once").uncheck()
    send(page, "customer", "Hello")
    open_chat(page, "Ann Miller")
    send(page, "operator", "Good morning!")
    status = bubble(page, "operator", "Good morning!").get_by_test_id("status")
    expect(status).to_have_attribute("data-status", "delivered")
    page.get_by_label("Customer reads at once").check()
    expect(status).to_have_attribute("data-status", "read")


@pytest.mark.parametrize(("side", "other"), [("customer", "operator"), ("operator", "customer")])
def test_edits_deletions_replies_and_files_cross(page: Page, shop: Business, side: str, other: str) -> None:
    send(page, "customer", "Hello")
    open_chat(page, "Ann Miller")
    expect(bubble(page, "operator", "Hello")).to_be_visible()

    send(page, side, "Three")
    expect(bubble(page, other, "Three")).to_be_visible()
    act(bubble(page, side, "Three"), "edit")
    send(page, side, "Four")
    expect(bubble(page, other, "Four")).to_contain_text("edited")

    act(bubble(page, other, "Four"), "reply")
    send(page, other, "Fine")
    expect(bubble(page, side, "Fine").locator(".quote")).to_contain_text("Four")

    page.get_by_test_id(f"{side}-file").set_input_files([PICTURE])
    send(page, side, "Look")
    picture = bubble(page, other, "Look").get_by_role("img", name="bag.svg")
    expect(picture).to_be_visible()
    expect(picture).to_have_js_property("complete", True)
    assert picture.evaluate("picture => picture.naturalWidth") > 0

    act(bubble(page, side, "Look"), "delete")
    expect(bubble(page, other, "Look")).to_have_count(0)
    expect(bubble(page, other, "Message deleted")).to_be_visible()
