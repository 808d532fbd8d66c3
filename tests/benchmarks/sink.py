"""A stand-in for all remote sides at once that only takes note: much faster than the simulated world.

It runs in a process of its own, answers every request alike after `latency` seconds, and keeps when each came.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection

from tests.benchmarks import wire

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
# In Uspacy's shapes, of a thing that was made and of new tokens; a partner may answer anything.
BODY = json.dumps({"id": "0", "jwt": "new" * 100, "refreshToken": "new" * 100, "expireInSeconds": 86_400}).encode()
TAKEN = ANSWER % (len(BODY), BODY)
CONTROL = b"/control/"


@dataclass(frozen=True)
class Arrival:
    """A request that came in: at which monotonic time, to which path, with which JSON."""

    at: float
    path: str
    body: str

    @property
    def is_message(self) -> bool:
        """Whether it brings a message, to Uspacy or to a customer; else it is a chat, a status or a ping."""
        return self.path.endswith("/messenger/v1/messages") or '"type":"message.send"' in self.body


class Sink:
    """The running stand-in."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"

    def set_latency(self, seconds: float) -> None:
        self._control(f"latency/{seconds}")

    def taken(self) -> list[Arrival]:
        """Return what has come since this was last asked."""
        return [Arrival(*each) for each in json.loads(self._control("taken"))]

    def wait_for_messages(self, count: int, timeout: float) -> list[Arrival]:
        """Return the next `count` messages to come. Raises RuntimeError if they do not."""
        return self.wait(count, timeout, lambda arrival: arrival.is_message)

    def wait(self, count: int, timeout: float, wanted: Callable[[Arrival], bool]) -> list[Arrival]:
        """Return the next `count` arrivals that are wanted. Raises RuntimeError if they do not come."""
        until, arrivals = time.monotonic() + timeout, list[Arrival]()
        while len(arrivals) < count:
            if time.monotonic() > until:
                raise RuntimeError(f"only {len(arrivals)} of {count} calls came in {timeout:.0f} s")
            time.sleep(0.05)
            arrivals += filter(wanted, self.taken())
        return arrivals

    def _control(self, what: str) -> bytes:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("GET", f"/control/{what}")
        try:
            return connection.getresponse().read()
        finally:
            connection.close()


@contextmanager
def running() -> Iterator[Sink]:
    """Serve in a process of its own until the block ends."""
    command = [sys.executable, "-m", "tests.benchmarks.sink"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        try:
            assert process.stdout
            yield Sink(int(process.stdout.readline()))
        finally:
            process.terminate()


class _State:
    latency = 0.0
    taken: list[tuple[float, str, str]] = []  # noqa: RUF012  one server, one process


class _Connection(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport, self._data = transport, b""

    def data_received(self, data: bytes) -> None:
        self._data += data
        if (whole := wire.split(self._data)) is None:
            return
        head, body = whole
        self._data = b""
        path = head.split(b" ", 2)[1]
        if path.startswith(CONTROL):
            self._control(*path.removeprefix(CONTROL).decode().split("/"))
            return
        _State.taken.append((time.monotonic(), path.decode(), body.decode()))
        if _State.latency:
            asyncio.get_running_loop().call_later(_State.latency, self._transport.write, TAKEN)
        else:
            self._transport.write(TAKEN)

    def _control(self, what: str, value: str = "0") -> None:
        answer = b""
        if what == "latency":
            _State.latency = float(value)
        else:
            answer, _State.taken = json.dumps(_State.taken).encode(), []
        self._transport.write(ANSWER % (len(answer), answer))


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(_Connection, "127.0.0.1", 0, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve())
