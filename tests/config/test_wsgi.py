"""A request waits for a place among those at work; a probe of the process itself waits for nobody."""

import threading
from collections.abc import Iterable
from io import BytesIO
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest

from config import wsgi


@pytest.mark.parametrize("path", ["/health/live", "/health/live/", "/lines/health/live"])
def test_the_process_is_live_while_all_places_are_taken(
    settings: Any, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    settings.WEB_THREADS = 1
    monkeypatch.setattr(wsgi, "LIVE", ("/health/live", "/lines/health/live"))
    at_work, may_end = threading.Event(), threading.Event()

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"].startswith("/webhooks/"):
            at_work.set()
            may_end.wait(20)
        return [b"ok"]

    whole_bodies = wsgi.WholeBodies(application)

    def call(path: str) -> Iterable[bytes]:
        return whole_bodies({"PATH_INFO": path, "wsgi.input": BytesIO()}, lambda *_: lambda _: None)

    webhook = threading.Thread(target=call, args=["/webhooks/uspacy"])
    webhook.start()
    try:
        assert at_work.wait(20)
        probe = threading.Thread(target=call, args=[path], daemon=True)
        probe.start()
        probe.join(5)
        assert not probe.is_alive()
    finally:
        may_end.set()
        webhook.join()


def test_the_probe_has_the_prefix_of_all_paths(settings: Any) -> None:
    assert ("/health/live", f"/{settings.URL_PREFIX}/health/live") == wsgi.LIVE
