"""What can go wrong when we call a remote API, each class with another consequence.

Every message is a sentence for staff: no secret, no query string, no whole URL.
"""

# ruff: noqa: N818 - the names say what happened

from portals.payload import storable


class RemoteError(Exception):
    """A remote API failed or refused; `retryable` decides what the delivery does next.

    `code` is the remote side's own code, or the HTTP status, as text. `retry_after` is the wait it asked
    for, in seconds, or None.
    """

    retryable = False

    def __init__(self, message: str, *, code: str = "", retry_after: float | None = None) -> None:
        super().__init__(storable(message))  # it may quote the remote side
        self.code = code
        self.retry_after = retry_after


class Unreachable(RemoteError):
    """No complete answer came: DNS, connect, TLS, timeout, cut connection.

    `code` is `connect` if nothing of the request was sent, so that a repeat cannot do anything twice;
    `timeout` or `broken` if it may have been received.
    """

    retryable = True


class ServerFault(RemoteError):
    """The remote side is unwell: 5xx, 408, 425, a redirect, an answer that cannot be read."""

    retryable = True


class Throttled(RemoteError):
    """429: the remote side asks us to slow down."""

    retryable = True


class Busy(RemoteError):
    """Our own gate refused before any byte was sent; `retry_after` is always set."""

    retryable = True


class Unauthorized(RemoteError):
    """401: the credentials are not accepted. A repeat makes sense only with new ones."""


class Refused(RemoteError):
    """Any other 4xx, or a request that cannot be sent as it is. Final."""


class ForbiddenAddress(RemoteError):
    """The address is not one we may call (channels.md 5, SSRF). Final."""


class TooLarge(RemoteError):
    """The body has more bytes than the caller accepts. Final."""
