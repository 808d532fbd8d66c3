"""A day of support staff at the console, in a browser, with the product as real processes."""

import re
from collections.abc import Callable, Iterator
from urllib.parse import urljoin

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.e2e.business import PATIENCE, Business
from tests.simulators import World
from tests.stack import Stack

LOOK = 30_000.0  # milliseconds until a page shows something
PASSWORD = "a-long-password-of-staff"
CUSTOMER = "Олена Коваль"
ANSWER = "Так, замовлення вже їде до вас."
LATER = "У середу воно буде у вас."
HIRE = """
from django.contrib.auth.models import Group, User
user = User.objects.create_user("{name}", password="{password}", is_staff=True, is_superuser={everything})
user.groups.set(Group.objects.filter(name__in={groups}))
"""
TWO_DAYS_PASS = (
    "UPDATE messaging_delivery SET created_at = created_at - interval '2 days' WHERE status = 'open'",
    "UPDATE externallines_externalline SET activated_at = activated_at - interval '2 days'",
    "UPDATE portals_portal SET installed_at = installed_at - interval '2 days'",
)
LINE_STATE = """
    SELECT line.status FROM externallines_externalline line
    JOIN portals_portal portal ON portal.id = line.portal_id WHERE portal.domain = %s
"""
LACKS = """() => {
    const seen = (element) => element.checkVisibility();
    const text = (element) => {
        const copy = element.cloneNode(true);
        copy.querySelectorAll("[aria-hidden=true]").forEach((hidden) => hidden.remove());
        return copy.textContent.trim();
    };
    const name = (element) => element.ariaLabel || element.title || text(element)
        || element.placeholder || [...(element.labels || [])].map((label) => label.innerText).join(" ").trim();
    const all = (selector) => [...document.querySelectorAll(selector)].filter(seen);
    const lacks = [];
    if (!document.title.split("|")[0].trim()) lacks.push("a title");
    if (!document.documentElement.lang) lacks.push("a language");
    if (all("main").length !== 1) lacks.push(`one main landmark, not ${all("main").length}`);
    if (all("h1").length !== 1) lacks.push(`one h1, not ${all("h1").map((each) => each.innerText)}`);
    for (const element of all("input:not([type=hidden]), select, textarea, button, a[href]"))
        if (!name(element) && !element.closest(".datetimeshortcuts"))  // Django's own
            lacks.push(`a name: ${element.outerHTML.slice(0, 200)}`);
    for (const element of all("img:not([alt])")) lacks.push(`a text: ${element.outerHTML.slice(0, 200)}`);
    return lacks;
}"""


class Desk:
    """A member of staff at a browser of their own."""

    def __init__(self, page: Page, stack: Stack, name: str) -> None:
        self.page, self.stack, self.name = page, stack, name

    def hire(self, *groups: str) -> None:
        """Make the account; without a group it is a superuser's."""
        everything = not groups
        code = HIRE.format(name=self.name, password=PASSWORD, groups=list(groups), everything=everything)
        self.stack.manage("shell", "-c", code)

    def go(self, path: str) -> None:
        self.page.goto(urljoin(self.stack.url, path))

    def sign_in(self, password: str = PASSWORD) -> None:
        self.go("/admin/")
        self.page.get_by_label("Username").fill(self.name)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Log in").click()

    def open(self, section: str) -> None:
        """Go to a list by the menu."""
        self.page.get_by_role("link", name=section, exact=True).click()

    def search(self, text: str) -> None:
        self.page.keyboard.press("/")
        self.page.keyboard.type(text)
        self.page.keyboard.press("Enter")

    def lacks(self) -> list[str]:
        """Tell what somebody with a keyboard or a screen reader would miss on the page."""
        expect(self.page.locator("html:not([x-cloak])")).to_be_visible()
        lacks: list[str] = self.page.evaluate(LACKS)
        return lacks

    def reload_until(self, shown: Locator) -> None:
        """Look again and again, as somebody who waits does."""
        for _ in range(int(PATIENCE)):
            if shown.is_visible():
                return
            self.page.wait_for_timeout(500)
            self.page.reload()
        expect(shown).to_be_visible()


@pytest.fixture
def new_desk(browser: Browser, stack: Stack) -> Iterator[Callable[[str], Desk]]:
    """Open a browser for somebody; its console has to stay without errors, of the CSP as well."""
    faults: list[str] = []
    pages: list[Page] = []

    def new_desk(name: str) -> Desk:
        page = browser.new_page(viewport={"width": 1440, "height": 900}, locale="en")
        page.set_default_timeout(LOOK)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
        pages.append(page)
        return Desk(page, stack, name)

    expect.set_options(timeout=LOOK)
    yield new_desk
    for page in pages:
        page.close()
    assert [fault for fault in faults if "status of 429" not in fault] == []  # a locked sign-in is one


def test_a_failed_answer_is_found_understood_mended_and_sent_again(
    shop: Business, world: World, stack: Stack, new_desk: Callable[[str], Desk]
) -> None:
    olena = shop.customer(CUSTOMER)
    shop.writes(olena, "Доброго дня! Де моє замовлення?")
    shop.rest()
    shop.messenger.refuse(status=410)
    shop.answers(olena, ANSWER)
    assert world.wait_for(lambda: shop.query(LINE_STATE, shop.domain) == [("error",)], PATIENCE)
    for statement in TWO_DAYS_PASS:
        shop.query(statement)
    stack.manage("shell", "-c", "from messaging.tasks import expire_held; expire_held.delay()")
    assert world.wait_for(shop.failures, PATIENCE)

    desk = new_desk("iryna")
    desk.hire("Supervisor")
    desk.sign_in()
    page = desk.page
    desk.open("Chats")
    desk.search("олена")
    page.get_by_role("link", name=CUSTOMER).click()
    failed = page.get_by_role("listitem").filter(has=page.get_by_text(ANSWER))
    expect(failed).to_contain_text("Failed")
    expect(failed).to_contain_text("The partner's address is gone (410).")
    chat_url = page.url
    failed.get_by_role("link", name="Deliveries").click()
    page.get_by_role("main").get_by_role("link", name=re.compile("Message")).first.click()
    expect(page.get_by_role("main")).to_contain_text("Once the line is connected again, send it again.")

    page.get_by_role("link", name=shop.messenger.name, exact=True).click()
    expect(page.get_by_role("main")).to_contain_text("The partner's address is gone (410).")
    shop.messenger.accept()  # its people have put it right
    page.get_by_role("button", name="Reconnect").click()
    expect(page.get_by_text(f"{shop.messenger.name} (webhook): Active.")).to_be_visible()

    desk.go(chat_url)
    failed.get_by_role("button", name="Send again").click()
    desk.reload_until(failed.get_by_text("Delivered"))
    expect(failed.get_by_role("button", name="Send again")).to_have_count(0)
    assert shop.texts_at_customer(olena) == [ANSWER]
    assert shop.messenger.repeats == 0


def test_operators_are_heard_once_their_topic_is_approved(
    shop: Business, world: World, new_desk: Callable[[str], Desk], monkeypatch: pytest.MonkeyPatch
) -> None:
    olena = shop.customer(CUSTOMER)
    shop.writes(olena, "Доброго дня!")
    shop.rest()
    monkeypatch.setattr(world.sns, "topic_arn", "arn:aws:sns:eu-central-1:000000000000:uspacy-anew")
    monkeypatch.setattr(world.sns, "confirmed", False)
    assert world.sns.subscribe().status_code == 200
    shop.answers(olena, "Nobody hears this")

    desk = new_desk("petro")
    desk.hire("Support", "Supervisor")
    desk.sign_in()
    page = desk.page
    page.get_by_role("main").get_by_role("link", name=re.compile("topic")).first.click()
    page.get_by_role("link", name=re.compile("uspacy-anew")).click()
    assert not world.sns.confirmed
    page.get_by_role("button", name=re.compile("^Approve")).click()
    expect(page.get_by_text("Approved. The subscription is confirmed within seconds.")).to_be_visible()
    assert world.wait_for(lambda: world.sns.confirmed, PATIENCE)

    shop.answers(olena, LATER)
    shop.rest()
    assert shop.texts_at_customer(olena) == [LATER]


def test_a_guessed_password_locks_the_sign_in_until_a_superuser_unlocks_it(
    new_desk: Callable[[str], Desk],
) -> None:
    desk, chief = new_desk("oksana"), new_desk("chief")
    desk.hire("Support")
    chief.hire()
    for _ in range(5):
        desk.sign_in("guessed")
    expect(desk.page.get_by_role("heading", name="Sign-in is locked")).to_be_visible()
    expect(desk.page.get_by_text("Try again in 15 minutes.")).to_be_visible()
    assert desk.lacks() == []
    desk.sign_in()
    expect(desk.page.get_by_role("heading", name="Sign-in is locked")).to_be_visible()

    chief.sign_in()
    chief.open("Failed sign-ins")
    row = chief.page.get_by_role("row").filter(has_text="oksana")
    expect(row).to_contain_text("Locked")
    row.get_by_role("checkbox").check()
    chief.page.get_by_role("combobox", name="Action").select_option(label="Unlock")
    chief.page.get_by_role("button", name="Run").click()
    expect(chief.page.get_by_text(re.compile("oksana can sign in from .+ again"))).to_be_visible()

    desk.sign_in()
    expect(desk.page.get_by_role("link", name="Chats", exact=True)).to_be_visible()


def test_every_kind_of_page_can_be_used_with_keyboard_and_screen_reader(
    shop: Business, new_desk: Callable[[str], Desk]
) -> None:
    olena = shop.customer(CUSTOMER)
    shop.writes(olena, "Доброго дня!")
    shop.rest()
    shop.answers(olena, ANSWER)
    shop.rest()
    desk = new_desk("zoya")
    desk.hire()
    page = desk.page
    desk.go("/admin/")
    lacking = {"sign-in": desk.lacks()}
    desk.sign_in()
    expect(page.get_by_role("heading", name="Home")).to_be_visible()
    lists = page.locator("#nav-sidebar-apps a")
    paths = list(dict.fromkeys(each.get_attribute("href") or "" for each in lists.all()))
    assert len(paths) >= 12
    for path in paths:
        desk.go(path)
        lacking[path] = desk.lacks()
        row = page.locator(f"#result_list a[href^='{path}'][href*='/change/']").first
        if row.count():
            desk.go(row.get_attribute("href") or "")
            lacking[f"one of {path}"] = desk.lacks()
            desk.go(path)
        if page.locator("#searchbar").count():
            page.keyboard.press("/")
            expect(page.locator("#searchbar")).to_be_focused()
    assert sum(name.startswith("one of") for name in lacking) >= 7
    assert {name: lacks for name, lacks in lacking.items() if lacks} == {}

    desk.go("/admin/messaging/chat/")
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the content")
    expect(skip).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()
