"""`make screenshots`: the console's pages with made-up data, light and dark, into docs/img/."""

import re
from collections.abc import Iterator
from typing import Literal
from urllib.parse import urljoin

from playwright.sync_api import Browser, Page

from tests.browser import chromium
from tests.stack import ROOT, Stack, clear

IMAGES = ROOT / "docs" / "img"
SIZE = {"width": 1440, "height": 900}
MESSAGES = 5_000
NAME = "demo"
Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")


def main() -> None:
    stack = Stack("screenshots")
    clear(stack.logs)
    try:
        stack.start("web")
        stack.run("release")
        stack.manage("seed", f"--messages={MESSAGES}")
        account = (f"--username={NAME}", "--email=demo@example.com")
        stack.manage("createsuperuser", "--noinput", *account, DJANGO_SUPERUSER_PASSWORD=NAME)
        stack.start("beat")  # not earlier, as it would have counted hours that were still empty
        stack.wait_until_ready()
        with chromium() as browser:
            for scheme in SCHEMES:
                for name, page in pages(browser, stack.url, scheme):
                    path = IMAGES / f"console-{name}-{scheme}.png"
                    page.screenshot(path=path)
                    print(f"{path.relative_to(ROOT)}  {path.stat().st_size // 1024} KB", flush=True)
    finally:
        stack.kill_all()
        stack.world.close()


def pages(browser: Browser, url: str, scheme: Scheme) -> Iterator[tuple[str, Page]]:
    """Sign in, and go from page to page."""
    page = browser.new_page(viewport=SIZE, color_scheme=scheme, locale="en", timezone_id="Europe/Kyiv")
    page.goto(urljoin(url, "/admin/"))
    page.get_by_label("Username").fill(NAME)
    page.get_by_label("Password").fill(NAME)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/admin/")
    yield "home", page
    for name, path, link in (
        ("portal", "portals/portal/", "/portals/portal/"),
        ("chat", "messaging/chat/?q=Олена Коваль", "/messaging/chat/"),
        ("delivery", "messaging/delivery/?status__exact=failed", "/messaging/delivery/"),
        ("event", "messaging/webhookevent/", "/messaging/webhookevent/"),
    ):
        page.goto(urljoin(url, f"/admin/{path}"))
        row = page.locator(f"#result_list a[href*='{link}'][href*='/change/']").first
        page.goto(urljoin(url, re.sub(r"\?.*", "", row.get_attribute("href") or "")))
        page.wait_for_load_state("networkidle")
        yield name, page
    page.close()


if __name__ == "__main__":
    main()
