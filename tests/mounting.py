"""The app as it is served with another `URL_PREFIX`, which is read when the URLs are built."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import reload

from django.test import override_settings
from django.urls import clear_url_caches

from config import urls


@contextmanager
def mounted_under(prefix: str) -> Iterator[None]:
    """Serve every path under `prefix` as well, until the block ends."""
    try:
        with override_settings(URL_PREFIX=prefix):
            _build()
            yield
    finally:
        _build()


def _build() -> None:
    reload(urls)
    clear_url_caches()
