"""What Viber's statuses mean (channels.md 2). An answer has one in its body, and HTTP 200 in any case."""

from collections.abc import Mapping
from typing import Any

from externallines.channels.base import AccountProblem, Blocked, Doubtful
from portals import http

OK = 0
WEBHOOK_NOT_SET = "10"
THROTTLED = 12  # most often a hundred messages in an hour to a customer who does not answer
PAUSE = 60.0  # seconds, each time: Viber does not say how long, and an adapter does not know the attempt
PATIENCE = 3  # failures of an unknown kind before a message is given up

Problem = tuple[type[http.RemoteError], str]
PROBLEMS: dict[int, Problem] = {
    1: (http.Refused, "Viber does not accept an address (invalidUrl)."),
    2: (AccountProblem, "Viber does not know the token. Enter the bot's current token and reconnect."),
    3: (http.Refused, "Viber does not accept the message (badData)."),
    4: (http.Refused, "Viber misses something in the message (missingData)."),
    5: (Blocked, "This customer is not on Viber any more."),
    6: (Blocked, "The customer has not subscribed to the bot, or left it."),
    7: (AccountProblem, "Viber has blocked the bot. Ask Viber's support, then reconnect."),
    8: (AccountProblem, "Viber has no bot for this token. Enter the bot's current token and reconnect."),
    9: (AccountProblem, "Viber has suspended the bot. Ask Viber's support, then reconnect."),
    10: (AccountProblem, "Viber has no address to report messages to. Reconnect the line."),
    11: (http.Refused, "None of the customer's devices can show this message."),
    THROTTLED: (http.Throttled, "Viber takes no more messages for now, maybe until the customer answers."),
    13: (http.Refused, "The customer's Viber is too old for this message."),
    14: (http.Refused, "Viber does not know the API's version."),
    15: (AccountProblem, "Viber does not let the bot send messages. Ask Viber's support, then reconnect."),
    16: (http.Refused, "The message is not of the API's version (incompatibleVersion)."),
    17: (http.Refused, "Viber does not let the bot send such a message (publicAccountNotAllowed)."),
    19: (http.Refused, "Viber does not let the bot send such a message (receiverNoInlineKeyboard)."),
    20: (http.Refused, "Viber does not let the bot send such a message (publicChatFailed)."),
    21: (http.Refused, "Viber does not let bots write to customers in this country."),
    22: (http.Refused, "Viber does not let the bot send this message (paymentUnsupported)."),
    23: (http.Refused, "The bot's free messages to customers who have not written are used up. Tell its owner."),
    24: (http.Refused, "The bot's account at Viber has no money left. Tell its owner."),
}


def raise_for_status(answer: Mapping[str, Any]) -> None:
    """Raise the error that an answer's status stands for; nothing for success."""
    status = answer.get("status")
    if type(status) is not int:
        raise http.ServerFault("Viber's answer has no status.")
    if status == OK:
        return
    code = str(status)[:20]
    if status not in PROBLEMS:
        raise Doubtful(
            http.Refused(f"Viber refused the message with status {code}.", code=code), tolerated=PATIENCE
        )
    kind, sentence = PROBLEMS[status]
    error = kind(sentence)
    error.code = code
    error.retry_after = PAUSE if status == THROTTLED else None
    raise error
