"""Error reports to Sentry, which get no more secrets than the logs."""

from typing import Any, cast

import sentry_sdk
from sentry_sdk.transport import Transport
from sentry_sdk.types import Breadcrumb, Event

from config.logs import mask


def start(dsn: str, transport: type[Transport] | None = None) -> None:
    """Report errors to `dsn`."""
    sentry_sdk.init(
        dsn,
        transport=transport,
        send_default_pii=False,
        include_local_variables=False,
        max_request_body_size="never",
        before_send=mask_event,
        before_breadcrumb=keep_breadcrumb,
    )


def mask_event(event: Event, hint: dict[str, Any]) -> Event:
    """Mask what is, or looks like, a secret."""
    return cast(Event, mask(event))


def keep_breadcrumb(crumb: Breadcrumb, hint: dict[str, Any]) -> Breadcrumb | None:
    """Drop the outgoing calls: their paths and queries may hold a messenger's token or a partner's key."""
    return None if crumb.get("category") == "httplib" else crumb
