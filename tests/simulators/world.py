"""The simulated world: everything outside the app, in memory, under one lock."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.simulators import outgoing
from tests.simulators.courier import Courier
from tests.simulators.faults import Faults, RequestLog
from tests.simulators.messenger_platform import FacebookPage, InstagramAccount, InstagramLogin
from tests.simulators.messengers import Messenger
from tests.simulators.partner import Partner
from tests.simulators.sns import Sns
from tests.simulators.telegram import TelegramBot
from tests.simulators.uspacy import Uspacy
from tests.simulators.viber import ViberBot
from tests.simulators.whatsapp import WhatsAppNumber

MESSENGERS = (Partner, TelegramBot, ViberBot, WhatsAppNumber, FacebookPage, InstagramAccount)
CHANNELS: dict[str, type[Messenger]] = {
    **{messenger.channel: messenger for messenger in MESSENGERS},
    "instagram_login": InstagramLogin,  # the other variant of the channel instagram
}


class World:
    """Uspacy, SNS and the messengers around one app; `tests.simulators.serve` puts it on a local port."""

    CLIENT_SECRET = "development-only-client-secret-0123456789"  # as in .env.example

    def __init__(
        self,
        app_url: str = "http://127.0.0.1:8000",
        *,
        client_id: str = "simulated-app",
        client_secret: str = CLIENT_SECRET,
    ) -> None:
        self.app_url = app_url.rstrip("/")
        self.base_url = ""  # set by `serve`
        self.client_id = client_id
        self.client_secret = client_secret
        self.lock = threading.RLock()
        self.revision = 0  # goes up with every change
        self.latency = 0.0  # seconds added to every request of the app
        self.faults = Faults()
        self.requests = RequestLog()
        self.breaches: list[str] = []  # what the app did against the wire contract
        self.courier = Courier()
        self.uspacy = Uspacy(self)
        self.sns = Sns(self)
        self.messengers: dict[str, Messenger] = {}
        self._changed = threading.Condition(self.lock)
        self._closing = threading.Event()

    def add_messenger(self, messenger_id: str, name: str | None = None, channel: str = "webhook") -> Any:
        """A new messenger, a `Partner` unless another channel is named; the id becomes part of its URLs."""
        messenger = CHANNELS[channel](self, messenger_id, name or messenger_id)
        with self.change():
            self.messengers[messenger_id] = messenger
        return messenger

    def connect_line(self, domain: str, messenger: Messenger, name: str, **credentials: str) -> dict[str, Any]:
        """Connect a messenger as the portal's owner does, through the app's API; the app's 201 answer.

        `credentials` are added to what the messenger gives, for instance a ``secret``. Raises RuntimeError
        when the app refuses.
        """
        response = outgoing.call(
            "POST",
            f"{self.app_url}/api/lines/",
            headers={"Authorization": f"Bearer {self.uspacy.integration_token(domain)}"},
            json={
                "channel": messenger.channel,
                "name": name,
                "credentials": {**messenger.credentials(), **credentials},
            },
            timeout=60,
        )
        if response.status_code != 201:
            raise RuntimeError(f"the app refused the line: {response.status_code} {response.text[:500]}")
        line: dict[str, Any] = response.json()
        with self.change():
            messenger.connect(line, {**messenger.credentials(), **credentials})
        return line

    def look_at_line(self, domain: str, line: dict[str, Any]) -> dict[str, Any]:
        """A line as its owner sees it now."""
        headers = {"Authorization": f"Bearer {self.uspacy.integration_token(domain)}"}
        answer: dict[str, Any] = outgoing.call(
            "GET", f"{self.app_url}/api/lines/{line['id']}/", headers=headers, timeout=60
        ).json()
        return answer

    def disconnect_line(self, domain: str, line: dict[str, Any]) -> int:
        """Disconnect a line as its owner does; the status of the app's answer."""
        headers = {"Authorization": f"Bearer {self.uspacy.integration_token(domain)}"}
        url = f"{self.app_url}/api/lines/{line['id']}/"
        return outgoing.call("DELETE", url, headers=headers, timeout=60).status_code

    # Changes, and waiting for them

    @contextmanager
    def change(self) -> Iterator[None]:
        """Change the state: nobody else does meanwhile, and those who watch are told afterwards."""
        with self.lock:
            yield
            self.changed()

    def changed(self) -> None:
        """Tell those who watch."""
        with self._changed:
            self.revision += 1
            self._changed.notify_all()

    def wait_for_change(self, since: int, timeout: float) -> int:
        """The revision once it differs from `since`, or after `timeout` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self.revision != since or self._closing.is_set(), timeout)
            return self.revision

    def wait_for(self, condition: Callable[[], Any], timeout: float = 10) -> Any:
        """What `condition` returns as soon as it is true; its last value after `timeout` seconds.

        It is asked under the world's lock, after every change and 20 times a second.
        """
        deadline = time.monotonic() + timeout
        while True:
            with self.lock:
                revision, value = self.revision, condition()
            if value or time.monotonic() > deadline:
                return value
            self.wait_for_change(revision, 0.05)

    def settle(self, timeout: float = 10) -> bool:
        """Wait until the world has nothing left to deliver or fetch; False if it still has."""
        return self.courier.idle(timeout)

    def pause(self, seconds: float) -> None:
        """Sleep, but not longer than the world lives."""
        if seconds:
            self._closing.wait(seconds)

    def breach(self, description: str) -> None:
        """Note that the app broke the contract."""
        with self.change():
            self.breaches.append(description)

    def close(self) -> None:
        """Stop everything that runs in the background."""
        self._closing.set()
        self.courier.close()
        self.changed()

    @property
    def closing(self) -> bool:
        return self._closing.is_set()
