"""What an adapter raises: each class has another consequence for the message, the chat or the line."""

# ruff: noqa: N818 - the names say what happened

from portals.http import Refused, RemoteError, Throttled


class InvalidSignature(Exception):
    """A webhook is not from the line's messenger."""


class InvalidCredentials(Exception):
    """The credentials cannot be used; the message tells the line's owner why."""

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class AccountProblem(RemoteError):
    """The account behind the line needs its owner: the line goes to `error`, its messages wait.

    In the first `tolerated` attempts at a message, whatever came of them, it is taken for a passing trouble.
    """

    retryable = True

    def __init__(self, message: str, *, tolerated: int = 0) -> None:
        super().__init__(message)
        self.tolerated = tolerated


class AccountThrottled(Throttled):
    """The messenger wants less of the whole account: all of the line's deliveries pause for `retry_after`."""


class Doubtful(RemoteError):
    """A failure that may pass, and is taken for `final` after `tolerated` attempts, whatever came of them."""

    retryable = True

    def __init__(self, final: RemoteError, *, tolerated: int) -> None:
        super().__init__(str(final), code=final.code, retry_after=final.retry_after)
        self.final = final
        self.tolerated = tolerated


class Blocked(Refused):
    """This customer cannot be reached until they write again."""


class WindowClosed(Refused):
    """The messenger takes no answer so long after the customer's last message."""


class Unsupported(Refused):
    """The messenger has no such operation; the operator gets the message as a note."""
