"""A closed-loop load generator: connections that each send the next request once the last one is answered."""

import asyncio
import time
from collections.abc import Iterable, Iterator

from tests.benchmarks import wire
from tests.benchmarks.measure import Round

CONNECTIONS = 16
PATIENCE = 20.0  # seconds beyond the planned end, then something hangs


def run(port: int, requests: Iterable[bytes], *, seconds: float, expected: int) -> Round:
    """Send requests to a local port for some seconds, or as long as there are any.

    Raises RuntimeError if an answer has another status than `expected`.
    """
    return asyncio.run(_run(port, _Work(iter(requests), seconds, expected)))


async def _run(port: int, work: "_Work") -> Round:
    loop = asyncio.get_running_loop()
    connections = [(await loop.create_connection(_Connection, "127.0.0.1", port))[1] for _ in range(CONNECTIONS)]
    started = time.perf_counter()
    try:
        async with asyncio.timeout(work.seconds + PATIENCE):
            await asyncio.gather(*(connection.work_off(work) for connection in connections))
    except TimeoutError:
        raise RuntimeError(f"port {port} does not answer") from None
    return Round(len(work.took) / (time.perf_counter() - started), work.took)


class _Work:
    """What the connections share: the requests left, and how long each one sent took."""

    def __init__(self, requests: Iterator[bytes], seconds: float, expected: int) -> None:
        self.seconds = seconds
        self.took: list[float] = []
        self._requests = requests
        self._expected = b"HTTP/1.1 %d" % expected
        self._end = time.perf_counter() + seconds

    def next(self) -> bytes | None:
        return next(self._requests, None) if time.perf_counter() < self._end else None

    def note(self, answer: bytes, seconds: float) -> None:
        if not answer.startswith(self._expected):
            raise RuntimeError(f"{self._expected.decode()} was expected, not {answer[:500]!r}")
        self.took.append(seconds)


class _Connection(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def work_off(self, work: _Work) -> "asyncio.Future[None]":
        self._work, self._end = work, asyncio.get_running_loop().create_future()
        self._send()
        return self._end

    def _send(self) -> None:
        request = self._work.next()
        if request is None:
            self._finish()
            return
        self._answer = b""
        self._started = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._answer += data
        if wire.split(self._answer) is None:
            return
        try:
            self._work.note(self._answer, time.perf_counter() - self._started)
        except RuntimeError as exc:
            self._finish(exc)
        else:
            self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        self._finish(RuntimeError(f"the server closed the connection ({exc})"))

    def _finish(self, exc: Exception | None = None) -> None:
        if not self._end.done():
            self._end.set_exception(exc) if exc else self._end.set_result(None)
            self._transport.close()
