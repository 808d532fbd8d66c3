"""What each kind of failure means and what can be done about it: one table, for operators and for support staff.

A kind is the name of the error's class. The sentences are English, which is what operators read; the console
translates them. An error's own text names the culprit ("Telegram answered with status 502."); it leaves to this
table what holds for all of its kind.
"""

from dataclasses import dataclass

from django.utils.translation import gettext_noop as _

from portals.http import RemoteError

INTERNAL = "InternalFault"  # the kind of whatever is not a remote's doing
REPORTED = "Reported"  # of what a messenger took, and later said that it could not bring


@dataclass(frozen=True, slots=True)
class DeadEnd:
    """A kind of failure: its name in lists, what it means, and what to do, each a sentence."""

    name: str
    meaning: str
    advice: str


DEAD_ENDS = {
    # the other side, for now
    "Unreachable": DeadEnd(
        _("No answer"),
        _("The other side could not be reached, or broke off."),
        _("Send it again once the other side is back."),
    ),
    "ServerFault": DeadEnd(
        _("Fault of the other side"),
        _("The other side has a fault of its own."),
        _("Send it again once the other side is well."),
    ),
    "Throttled": DeadEnd(
        _("Slowed down"),
        _("The other side takes no more of this for now."),
        _("Send it again later."),
    ),
    "AccountThrottled": DeadEnd(
        _("Account slowed down"),
        _("The messenger takes no more from the whole account for now."),
        _("Send it again later."),
    ),
    "Busy": DeadEnd(
        _("No room"),
        _("There was no room for another call to the other side."),
        _("Send it again later."),
    ),
    "Doubtful": DeadEnd(
        _("Refused, maybe for now"),
        _("The messenger refuses, in a way that may pass."),
        _("Send it again later."),
    ),
    "NotFetched": DeadEnd(
        _("File not available"),
        _("The operator's file could not be had from Uspacy."),
        _("Attach the file to a new message."),
    ),
    # in doubt
    "Unheard": DeadEnd(
        _("No receipt"),
        _("The messenger may have taken the message, but its answer was lost."),
        _("Ask the customer whether it arrived before you send it again."),
    ),
    "MayHaveArrived": DeadEnd(
        _("May have arrived"),
        _("Two attempts were made, and both answers were lost: the customer may have the message or not."),
        _("Ask the customer whether it arrived before you send it again."),
    ),
    # for good
    "Refused": DeadEnd(
        _("Refused"),
        _("The other side does not take this, and would not take a repeat."),
        _("Put right what was refused, then send it again."),
    ),
    "Unsupported": DeadEnd(
        _("Not possible there"),
        _("The messenger has no such operation."),
        _("Write to the customer in a new message."),
    ),
    "TooLarge": DeadEnd(
        _("Too large"),
        _("It is larger than what can be passed on."),
        _("Send a smaller file, or a link to it."),
    ),
    "ForbiddenAddress": DeadEnd(
        _("Address not allowed"),
        _("It leads to an address that is not called, such as one inside a network."),
        _("Enter a public https address, then send it again."),
    ),
    "DuplicateMessage": DeadEnd(
        _("Known already"),
        _("The other side has this message already."),
        _("Look for it there: nothing has to be sent."),
    ),
    "Moved": DeadEnd(
        _("Chat has moved"),
        _("The chat has another id in the messenger now."),
        _("Send it again."),
    ),
    # the customer
    "Blocked": DeadEnd(
        _("Customer not reachable"),
        _("The customer cannot be reached: they blocked the business, or have no such account."),
        _("Reach the customer another way and ask them to write first."),
    ),
    "WindowClosed": DeadEnd(
        _("Answered too late"),
        _("The messenger takes no answer so long after the customer's last message."),
        _("Once the customer has written again, send it again."),
    ),
    REPORTED: DeadEnd(
        _("Not delivered"),
        _("The messenger took the message, and later said that it could not deliver it."),
        _("Reach the customer another way, or send it again."),
    ),
    # the line and the portal
    "AccountProblem": DeadEnd(
        _("Line needs its owner"),
        _("The messenger does not let the account behind the line work."),
        _("Mend the account and reconnect the line: what waits then goes on."),
    ),
    "HeldTooLong": DeadEnd(
        _("Waited too long for its line"),
        _("The line was not mended in time, and the answer went stale."),
        _("Once the line is connected again, send it again."),
    ),
    "LineDisconnected": DeadEnd(
        _("Line disconnected"),
        _("The line was disconnected before this was sent."),
        _("Connect the line again, then send it again."),
    ),
    "LineConnecting": DeadEnd(
        _("Line not connected yet"),
        _("The line waits for the first message of its messenger, or connecting it failed."),
        _("Write to the account from a phone; if that does not help, reconnect the line."),
    ),
    "NeedsReinstall": DeadEnd(
        _("App to be installed again"),
        _("Uspacy no longer lets the app into this portal."),
        _("Install the app again in the portal: what waits then goes on."),
    ),
    "Uninstalled": DeadEnd(
        _("App uninstalled"),
        _("Somebody removed the app from the portal."),
        _("If that was a mistake, install the app again: the lines come back by themselves."),
    ),
    "Unauthorized": DeadEnd(
        _("Not let in"),
        _("The other side does not accept the access that it gave us."),
        _("Install the app again or reconnect the line, then send it again."),
    ),
    "RenewalInProgress": DeadEnd(
        _("Access being renewed"),
        _("The portal's token was just being renewed."),
        _("Send it again."),
    ),
    # us
    "DeletedBeforeSent": DeadEnd(
        _("Deleted before it was sent"),
        _("The operator deleted the message while it waited."),
        _("Nothing has to be done."),
    ),
    "GivenUp": DeadEnd(
        _("Given up"),
        _("Support staff decided that it need not be sent any more."),
        _("If it is wanted after all, send it again."),
    ),
    "EventFailed": DeadEnd(
        _("Event not understood"),
        _("The event is kept, but what it tells could not be read; nothing of it is in the chat."),
        _("Give its number to the developers, and process it again once they have mended that."),
    ),
    "RemoteError": DeadEnd(
        _("Failed"),
        _("The other side did not do what was asked of it."),
        _("Send it again, and tell the developers if it fails again."),
    ),
    INTERNAL: DeadEnd(
        _("Internal error"),
        _("A fault of our own, which the logs explain."),
        _("Tell the developers, and send it again once they have mended that."),
    ),
}


def kind_of(exc: Exception) -> str:
    """Return the kind of a failure."""
    return type(exc).__name__ if isinstance(exc, RemoteError) else INTERNAL


def explain(kind: str) -> DeadEnd:
    """Return what a kind means; rows of older versions name the class of an internal error."""
    return DEAD_ENDS.get(kind, DEAD_ENDS[INTERNAL])


def told(kind: str, reason: str) -> str:
    """Return what an operator reads: the reason, or what the kind means, and what to do."""
    dead_end = explain(kind)
    sentence = reason.strip() or dead_end.meaning
    if sentence[-1] not in ".!?…":  # as many a messenger's are
        sentence += "."
    return f"{sentence} {dead_end.advice}"
