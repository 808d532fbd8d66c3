"""What the tests of lines share."""

from collections.abc import Callable
from typing import Any

import pytest
import requests

from portals.models import Portal
from tests.simulators import World, outgoing

pytest.register_assert_rewrite("tests.externallines.channel_contract")


class Owner:
    """A portal's owner, who uses the portal-facing API over HTTP."""

    def __init__(self, world: World, domain: str) -> None:
        self._world = world
        self.domain = domain

    def call(self, method: str, path: str, body: Any = None) -> requests.Response:
        token = self._world.uspacy.integration_token(self.domain)
        headers = {"Authorization": f"Bearer {token}"}
        return outgoing.call(method, f"{self._world.app_url}/api/{path}", headers=headers, json=body, timeout=60)

    def connect(self, url: str, name: str = "Shop", **more: Any) -> requests.Response:
        """Connect a webhook line; `secret` goes into the credentials."""
        credentials = {"url": url} | ({"secret": more.pop("secret")} if "secret" in more else {})
        return self.call(
            "POST", "lines/", {"channel": "webhook", "name": name, "credentials": credentials, **more}
        )

    def look(self, line: dict[str, Any]) -> dict[str, Any]:
        """The line as it is now."""
        answer: dict[str, Any] = self.call("GET", f"lines/{line['id']}/").json()
        return answer

    def change(self, line: dict[str, Any], **changes: Any) -> requests.Response:
        return self.call("PATCH", f"lines/{line['id']}/", changes)

    def reconnect(self, line: dict[str, Any]) -> requests.Response:
        return self.call("POST", f"lines/{line['id']}/reconnect/")

    def disconnect(self, line: dict[str, Any]) -> requests.Response:
        return self.call("DELETE", f"lines/{line['id']}/")

    def lines(self) -> list[dict[str, Any]]:
        results: list[dict[str, Any]] = self.call("GET", "lines/").json()["results"]
        return results


@pytest.fixture
def owner(world: World, portal: Portal) -> Owner:
    return Owner(world, portal.domain)


@pytest.fixture
def new_owner(world: World) -> Callable[[str], Owner]:
    """Let another portal install the app."""

    def install(domain: str) -> Owner:
        world.uspacy.create_portal(domain)
        assert world.uspacy.install(domain).status_code == 200
        return Owner(world, domain)

    return install
