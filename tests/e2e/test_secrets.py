"""No secret in any log line, page or answer of a whole life, with real processes.

The logs are those of all the end-to-end tests that ran before, too.
"""

import re
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests

from tests.e2e.business import PATIENCE, Business
from tests.simulators import World
from tests.stack import Stack

PASSWORD = "the-password-of-the-staff-0123456789"
KEYS = ("SECRET_KEY", "FIELD_ENCRYPTION_KEYS", "USPACY_CLIENT_SECRET")
LOOKS_LIKE_ONE = re.compile(
    r"eyJ[\w-]+\.[\w-]+\.[\w-]*"  # JSON web tokens: integration, access, refresh
    r"|whsec_[\w+/=-]+"  # webhook secrets
    r"|gAAAA[\w=-]{60,}"  # what is encrypted, which nobody needs to see either
    r"|(?<=GET )/media/[^•/]+"  # what a URL of a file is signed with
)
ROWS = 2  # of each list in the admin, whose pages are read


class Reader:
    """Reads whatever may be read, and remembers where a secret stood."""

    def __init__(self, base: str, secrets: set[str]) -> None:
        self._base = base
        self._secrets = secrets
        self._session = requests.Session()
        self._session.trust_env = False
        self.read: list[str] = []
        self.found: list[str] = []

    def call(self, path: str, method: str = "GET", **options: Any) -> requests.Response:
        answer = self._session.request(method, urljoin(self._base, path), timeout=30, **options)
        self.look(f"{method} {path}", answer.text)
        return answer

    def look(self, where: str, text: str) -> None:
        self.read.append(where)
        shown = [secret for secret in self._secrets if secret in text] + LOOKS_LIKE_ONE.findall(text)
        self.found += [f"{where}: {secret[:12]}..." for secret in shown]


def test_no_secret_is_written_or_shown_anywhere(shop: Business, world: World, stack: Stack) -> None:
    secrets = {stack.env[name] for name in KEYS} | {PASSWORD}
    secrets |= {word for url in (stack.database_url, stack.redis_url) if (word := urlsplit(url).password)}
    live(shop, world, secrets)
    reader = Reader(stack.url, secrets)
    read_the_api(reader, shop, world)
    stack.manage("createsuperuser", "--noinput", "--username=ann", "--email=", DJANGO_SUPERUSER_PASSWORD=PASSWORD)
    read_the_admin(reader)
    assert world.uspacy.uninstall(shop.domain).status_code == 204
    for log in stack.logs.glob("*.log"):
        reader.look(log.name, log.read_text())
    assert {"web.log", "worker.log", "beat.log"} <= set(reader.read)
    assert reader.found == []


def live(shop: Business, world: World, secrets: set[str]) -> None:
    """Go through everything that handles a secret, well and badly."""
    assert world.sns.subscribe().status_code == 200
    secrets.add(world.sns.handshake("SubscriptionConfirmation")["Token"])
    assert world.wait_for(lambda: world.sns.confirmed, PATIENCE)
    ann = shop.customer("Ann Miller")
    shop.writes(ann, "Hello", [("bag.png", b"picture")])
    shop.rest()
    shop.answers(ann, "Good morning!", [("prices.pdf", b"prices")])
    shop.rest()
    shop.messenger.refuse("window_closed", times=1)
    shop.answers(ann, "Too late")
    shop.rest()
    assert shop.failures()
    shop.portal.expire_access_tokens()  # renewed on a 401
    shop.writes(ann, "Are you there?")
    shop.rest()
    shop.portal.sign_in_allowed = False
    shop.portal.expire_access_tokens()
    shop.portal.revoke_refresh_tokens()  # renewal refused
    shop.writes(ann, "Anyone?")
    state = "SELECT status FROM portals_portal WHERE domain = %s"
    assert world.wait_for(lambda: shop.query(state, shop.domain) == [("needs_reinstall",)], PATIENCE)
    assert world.uspacy.install(shop.domain).status_code == 200
    shop.rest()


def read_the_api(reader: Reader, shop: Business, world: World) -> None:
    """Read every answer of the API, what it refuses, and the pages that are for anyone."""
    mine = {"headers": {"Authorization": f"Bearer {world.uspacy.integration_token(shop.domain)}"}}
    line = reader.call("/api/lines/", **mine).json()["results"][0]
    chat = reader.call("/api/chats/", **mine).json()["results"][0]
    one = f"/api/lines/{line['id']}/"
    for path in ("/api/channels/", one, f"/api/chats/{chat['id']}/messages/"):
        assert reader.call(path, **mine).status_code == 200
    assert reader.call(one, "PATCH", json={"name": "Shop"}, **mine).status_code == 200
    assert reader.call(f"{one}reconnect/", "POST", **mine).status_code == 200
    other = {"headers": {"Authorization": f"Bearer {world.uspacy.integration_token(shop.domain)}x"}}
    given = {"token": mine["headers"]["Authorization"][7:], "refresh_token": PASSWORD, "expiry_date": "soon"}
    refusals = [
        reader.call("/api/lines/", **other),
        reader.call(one, "PATCH", json={"credentials": {"url": "x", PASSWORD[:5]: "y"}}, **mine),
        reader.call("/api/lines/", "POST", data=b"{" + PASSWORD.encode(), **mine),
        reader.call("/portals/install", "POST", json=given),
        reader.call("/portals/uninstall", "DELETE", **other),
        reader.call(f"/webhooks/lines/{line['id']}", "POST", json=given),
        reader.call("/webhooks/uspacy", "POST", json=given),
        reader.call("/nothing"),
    ]
    assert {answer.status_code for answer in refusals} == {400, 401, 403, 404, 415, 422} | {
        refusals[2].status_code
    }
    for path in ("/metrics", "/health/ready", "/api/schema/", "/api/docs/"):
        reader.call(path)


def read_the_admin(reader: Reader) -> None:
    """Sign in, and read every list of the admin and some pages of each."""
    form = reader.call("/admin/login/").text
    csrf = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', form)
    assert csrf
    entered = {"username": "ann", "password": PASSWORD, "csrfmiddlewaretoken": csrf[1]}
    index = reader.call("/admin/login/?next=/admin/", "POST", data=entered).text
    lists = set(re.findall(r'href="(/admin/\w+/\w+/)"', index))
    assert len(lists) >= 7
    for path in sorted(lists):
        rows = re.findall(rf'href="({path}[^"/]+/change/)[?"]', reader.call(path).text)
        for row in list(dict.fromkeys(rows))[:ROWS]:
            assert reader.call(row).status_code == 200
            reader.call(row.replace("/change/", "/history/"))
    assert sum("/change/" in where for where in reader.read) >= 7
