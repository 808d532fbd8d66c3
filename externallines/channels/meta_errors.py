"""Meta's error codes, each with what it means for the message, the chat or the line (channels.md 3 and 4)."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from externallines.channels.base import AccountProblem, AccountThrottled, Blocked, Doubtful, WindowClosed
from portals import http
from portals.payload import InvalidPayload, Payload, parse_json

HOUR = 3600.0
PAIR_PAUSE = 16.0  # seconds; Meta asks for 4, 16, 64 ... and an adapter does not know the attempt


@dataclass(frozen=True, slots=True)
class Complaint:
    """The `error` of a Graph answer, or of a failed status."""

    code: int
    subcode: int = 0
    text: str = ""
    retry_after: float | None = None

    @property
    def name(self) -> str:
        return f"{self.code}/{self.subcode}" if self.subcode else str(self.code)


Outcome = Callable[[str, Complaint], http.RemoteError]


def _plainly(kind: type[http.RemoteError]) -> Outcome:
    return lambda sentence, complaint: kind(sentence, code=complaint.name, retry_after=complaint.retry_after)


permanent = _plainly(http.Refused)
retry = _plainly(http.ServerFault)
pause = _plainly(AccountThrottled)
blocked = _plainly(Blocked)
window = _plainly(WindowClosed)


def this_chat(sentence: str, complaint: Complaint) -> http.RemoteError:
    """Return an error of one chat; the waits that headers ask for are the account's.

    Should Meta send it as HTTP 429, the gate of the whole number shuts for a moment all the same.
    """
    return http.Throttled(sentence, code=complaint.name, retry_after=PAIR_PAUSE)


def auth(sentence: str, complaint: Complaint, *, tolerated: int = 0) -> http.RemoteError:
    problem = AccountProblem(sentence, tolerated=tolerated)
    problem.code = complaint.name
    return problem


def long_outage(sentence: str, complaint: Complaint) -> http.RemoteError:
    return auth(sentence, complaint, tolerated=9)  # about 15 minutes of the engine's waits


def long_pause(sentence: str, complaint: Complaint) -> http.RemoteError:
    wait = max(HOUR, complaint.retry_after or 0.0)
    return AccountThrottled(sentence, code=complaint.name, retry_after=wait)


def thrice(sentence: str, complaint: Complaint) -> http.RemoteError:
    return Doubtful(permanent(sentence, complaint), tolerated=2)


def blocked_after_five(sentence: str, complaint: Complaint) -> http.RemoteError:
    return Doubtful(blocked(sentence, complaint), tolerated=4)


ANOTHER = -1  # any subcode that is not listed
Rows = Mapping[tuple[int, int], tuple[Outcome, str]]


def _rows(outcome: Outcome, sentence: str, *codes: int | tuple[int, int]) -> Rows:
    return {code if isinstance(code, tuple) else (code, 0): (outcome, sentence) for code in codes}


EXPIRED = "Meta no longer accepts the access token. Enter a new one and reconnect."
PERMISSION = "The access token lacks a permission. Grant it in the Meta app, enter a new token and reconnect."
RESTRICTED = "Meta has restricted this account. Look at its page in the Business Support Home, then reconnect."
LIMIT = "Meta wants fewer calls for now; the message will be sent later."
PASSING = "Meta has a passing fault; the message will be sent later."
WINDOW = "More than 24 hours have passed since the customer's last message."
UNREACHABLE = "The customer cannot be reached: they may have blocked the business, or have no such account."

WHATSAPP: Rows = {
    **_rows(auth, EXPIRED, 0, 190),
    **_rows(auth, PERMISSION, 3, 10, *range(200, 300), 131005),
    **_rows(auth, RESTRICTED, 368, 131031),
    **_rows(auth, "WhatsApp has no valid payment method for this account. Add one in the Billing Hub.", 131042),
    **_rows(
        auth,
        "This number is not registered with the Cloud API. Register it with its PIN, then reconnect.",
        *(131045, 133010),
    ),
    **_rows(window, f"{WINDOW} WhatsApp then takes templates only.", 131047),
    **_rows(pause, LIMIT, 4, 80007, 130429),
    **_rows(this_chat, "WhatsApp wants fewer messages to this customer for now.", 131056),
    **_rows(long_pause, "WhatsApp has slowed this number down, as people blocked or reported it.", 131048, 131064),
    **_rows(retry, PASSING, 1, 2, 131000, 131016, 131057),
    **_rows(thrice, "WhatsApp could not take the file.", 131053),
    **_rows(permanent, "WhatsApp could not hand out the customer's file.", 131052),
    **_rows(blocked, f"{UNREACHABLE} Or their WhatsApp is too old.", 131026),
    **_rows(permanent, "The customer wants no marketing messages from this business.", 131050),
    **_rows(permanent, "WhatsApp limits how many marketing messages this customer gets.", 131049, 130472),
    **_rows(permanent, "WhatsApp refused the message.", 100, 131008, 131009, 131021, 131030, 131037),
    **_rows(permanent, "WhatsApp refused the message.", 131051, 131062, 135000, 137000),
    **_rows(permanent, "WhatsApp refused the template.", *range(132000, 133000)),
}
MESSENGER: Rows = {
    **_rows(auth, EXPIRED, 190, 102, *((190, subcode) for subcode in (458, 459, 460, 463, 464, 467))),
    **_rows(auth, PERMISSION, 10, 200, 230, 3),
    **_rows(window, WINDOW, (10, 2018065), (10, 2018108), (10, 2018278), (10, 2534022)),
    **_rows(blocked, UNREACHABLE, 551, (551, 1545041), (200, 1545041), (100, 2018001), (100, 2534014)),
    **_rows(
        auth,
        "The Meta app is in development mode: it reaches only people with a role in it. Publish it.",
        (200, 2018028),
    ),
    **_rows(auth, RESTRICTED, (10, 1893063), 368),
    **_rows(pause, LIMIT, 4, 17, 32, 613, 80006, (4, 2018022)),
    **_rows(retry, PASSING, 1, 1200, (1200, 2018024)),
    **_rows(blocked_after_five, UNREACHABLE, 2, (2, 1545133)),
    **_rows(permanent, "The file is too large.", (100, 2018109)),
    **_rows(
        permanent, "Meta could not fetch the file, or does not take its type.", (100, 2018047), (100, 2018008)
    ),
    **_rows(permanent, "The message is empty.", (100, 2018034)),
    **_rows(permanent, "Meta refused the message.", 100, (10, ANOTHER), (200, ANOTHER)),
}
OUTAGE = "Unsupported request - method type: post"
OUTAGE_SENTENCE = "Instagram takes no messages for this account. Check the app's permissions, then reconnect."


def error_of(answer: http.Answer, rows: Rows) -> http.RemoteError | None:
    """Return what a Graph answer stands for; None where it is a success."""
    complaint = _complaint_of(answer)
    if complaint is None and answer.ok:
        return None
    if complaint is None:
        complaint = Complaint(0, retry_after=wait_of(answer))
    elif answer.status == 429 or _row(complaint, rows):
        return classify(complaint, rows, throttled=answer.status == 429)
    if answer.status == 429:
        return pause(LIMIT, complaint)
    try:
        http.raise_for_status(answer, message=complaint.text or None)
    except http.Unauthorized:
        return auth(EXPIRED, complaint)
    except http.RemoteError as exc:
        return exc
    return permanent(complaint.text or "Meta refused the call.", complaint)  # an error that came with 200


def _row(complaint: Complaint, rows: Rows) -> tuple[Outcome, str] | None:
    subcodes = (complaint.subcode, ANOTHER, 0) if complaint.subcode else (0,)
    return next((rows[complaint.code, one] for one in subcodes if (complaint.code, one) in rows), None)


def classify(complaint: Complaint, rows: Rows, *, throttled: bool = False) -> http.RemoteError:
    """Return the error of a code: by its subcode where that is listed, else by the code alone."""
    default = pause if throttled else permanent
    outcome, sentence = _row(complaint, rows) or (default, "Meta refused the call.")
    if complaint.code == 100 and OUTAGE in complaint.text and rows is MESSENGER:
        outcome, sentence = long_outage, OUTAGE_SENTENCE
    return outcome(with_details(sentence, complaint), complaint)


def with_details(sentence: str, complaint: Complaint) -> str:
    details = f" Meta says: {complaint.text}" if complaint.text else ""
    return f"{sentence}{details} (code {complaint.name})"[:500]


def _complaint_of(answer: http.Answer) -> Complaint | None:
    try:
        error = Payload(parse_json(answer.body)).optional_child("error")
    except InvalidPayload:
        return None
    return read_complaint(error, retry_after=wait_of(answer)) if error.value else None


def read_complaint(error: Payload, *, retry_after: float | None = None) -> Complaint:
    """Read an error object, whatever is wrong with its parts."""
    data = error.value.get("error_data")
    details = data.get("details") if isinstance(data, dict) else None
    given = (details, error.value.get("message"), error.value.get("title"))
    texts = [text for text in given if isinstance(text, str) and text]
    code, subcode = (_number(error.value.get(name)) for name in ("code", "error_subcode"))
    return Complaint(code if code is not None else -1, subcode or 0, texts[0][:300] if texts else "", retry_after)


def _number(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value < 2**31 else None


def wait_of(answer: http.Answer) -> float | None:
    """Return the wait that an answer asks for: by Retry-After or by Meta's own usage headers."""
    asked = http.retry_after(answer.headers)
    if asked is not None:
        return asked
    minutes = [
        usage.get("estimated_time_to_regain_access")
        for usages in _header(answer, "X-Business-Use-Case-Usage").values()
        for usage in (usages if isinstance(usages, list) else [])
        if isinstance(usage, dict)
    ]
    longest = max((m for m in minutes if isinstance(m, int | float) and 0 < m < 1e6), default=0)
    if longest:
        return min(longest * 60.0, http.LONGEST_RETRY_AFTER)
    used = [share for share in _header(answer, "X-App-Usage").values() if isinstance(share, int | float)]
    return 5 * 60.0 if max(used, default=0) >= 100 else None  # per cent of what an hour allows


def _header(answer: http.Answer, name: str) -> dict[str, Any]:
    try:
        value = json.loads(answer.headers.get(name, "{}"))
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
