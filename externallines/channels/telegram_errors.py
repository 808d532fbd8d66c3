"""What Telegram's refusals mean: the table of channels.md 1."""

from externallines.channels.errors import AccountProblem, AccountThrottled, Blocked
from portals import http
from portals.payload import Payload

# Refusals that the adapter has an answer to, by the code under which they are raised.
UNPARSABLE = "can't parse entities"
NOT_MODIFIED = "message is not modified"
NOTHING_TO_DELETE = "message to delete not found"
NO_TEXT = "there is no text in the message to edit"
NO_CAPTION = "there is no caption in the message to edit"
VOICE_FORBIDDEN = "voice_messages_forbidden"
FILE_TOO_BIG = "file is too big"
BAD_PHOTO = (
    "photo_invalid_dimensions",
    "image_process_failed",
    "photo_ext_invalid",
    "photo_save_file_invalid",
    "photo_content_type_invalid",
)
BLOCKED = "The customer has blocked the bot."
UNKNOWN = "Telegram does not let this bot write to the customer: they have to press Start in it."

# status, what the description contains in lower case ("": anything), error, what staff read
REFUSALS: tuple[tuple[int, str, type[http.RemoteError], str], ...] = (
    (401, "", AccountProblem, "Telegram does not accept the bot's token. Enter the current one and reconnect."),
    (404, "", AccountProblem, "Telegram does not know this bot. Enter its current token and reconnect."),
    (409, "", AccountProblem, "Another program reads this bot's messages. Stop it there, then reconnect."),
    (403, "bot was blocked by the user", Blocked, BLOCKED),
    (403, "user is deactivated", Blocked, "The customer's Telegram account does not exist any more."),
    (403, "bot can't initiate conversation", Blocked, UNKNOWN),
    (403, "bot was kicked", Blocked, BLOCKED),
    (403, "can't send messages to bots", Blocked, "Telegram does not let bots write to bots."),
    (400, "chat not found", Blocked, UNKNOWN),
    (400, "peer_id_invalid", Blocked, UNKNOWN),
    (400, UNPARSABLE, http.Refused, "Telegram could not read the formatting of the text."),
    (400, NOT_MODIFIED, http.Refused, "The customer sees this text already."),
    (400, NOTHING_TO_DELETE, http.Refused, "The message is deleted already."),
    (400, NO_TEXT, http.Refused, "The message has no text that can be changed."),
    (400, NO_CAPTION, http.Refused, "The message has no text that can be changed."),
    (400, "message to edit not found", http.Refused, "The message does not exist in Telegram any more."),
    (400, "message can't be edited", http.Refused, "Telegram does not let this message be changed any more."),
    (400, "message can't be deleted", http.Refused, "Telegram deletes messages only within 48 hours."),
    (400, VOICE_FORBIDDEN, http.Refused, "The customer takes no voice messages."),
    (400, FILE_TOO_BIG, http.Refused, "Telegram hands files to bots only up to 20 MB."),
    *((400, code, http.Refused, "Telegram does not take the picture as a photo.") for code in BAD_PHOTO),
    (413, "", http.Refused, "The file is too large for Telegram."),
)


class Moved(http.Refused):
    """The chat has another id now."""

    def __init__(self, chat_id: str) -> None:
        super().__init__("The chat has another id now.", code="migrate_to_chat_id")
        self.chat_id = chat_id


def raise_for_refusal(answer: http.Answer, envelope: Payload) -> None:
    """Raise the error that an answer other than "ok" stands for, if it tells one."""
    status = envelope.size("error_code") if answer.ok else answer.status
    told = envelope.value.get("description")
    description = told[:300] if isinstance(told, str) else ""
    parameters = envelope.value.get("parameters")
    hints = Payload(parameters if isinstance(parameters, dict) else {})
    if status == 429:
        seconds = hints.size("retry_after")
        wait = http.retry_after({"Retry-After": str(seconds)}) if seconds else http.retry_after(answer.headers)
        raise AccountThrottled("Telegram asks this bot to slow down.", code="429", retry_after=wait)
    if status == 400 and hints.value.get("migrate_to_chat_id"):
        raise Moved(str(hints.value["migrate_to_chat_id"])[:32])
    for refused, fragment, error, sentence in REFUSALS:
        if status == refused and fragment in description.lower():
            if issubclass(error, AccountProblem):
                raise error(sentence)
            raise error(sentence, code=fragment or str(status))
    if not answer.ok:
        http.raise_for_status(answer, message=f"Telegram refused: {description}" if description else None)
    elif status and 400 <= status < 500:
        raise http.Refused(f"Telegram refused: {description}", code=str(status))
