"""An operator's message as the messages that Viber takes, by the limits of channels.md 2."""

import json
import mimetypes
import re
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from externallines.channels.base import MediaKind, OutboundFile, OutboundMessage
from externallines.channels.cutting import split
from externallines.channels.markup import escape, plain_text
from externallines.channels.rendering import VIBER, pieces, utf16
from portals import http

Part = dict[str, Any]

MB = 1000 * 1000  # "MB" may mean less than 1024 * 1024
LONGEST_TEXT = 7000
LONGEST_CAPTION = 512
LONGEST_QUOTE = 200
LARGEST_PICTURE, LARGEST_VIDEO, LARGEST_FILE = 1 * MB, 26 * MB, 50 * MB
LONGEST_FILE_NAME = 256
PICTURES = ("image/jpeg", "image/png")  # of a GIF only the first frame would be shown
VIDEOS = ("video/mp4",)
# https://developers.viber.com/docs/api/rest-bot-api/#forbiddenFileFormats
FORBIDDEN = re.compile(
    r"""\.(
        action|apk|app|applescript|application|bat|bin|command|cmd|com|cpl|csh|dll|exe|gadget|inf|ins|inx|ipa|isu
        |job|jse|ksh|lnk|msc|msi|msp|mst|osx|out|paf|pif|prg|ps1|reg|rgs|run|scr|sct|shb|shs|u3p|vb|vbe|vbs
        |vbscript|workflow|ws|wsf
    )""",
    re.X | re.I,
)


def plan(message: OutboundMessage) -> tuple[list[Part], str]:
    """Return the parts to send, always the same for the same message, and a note for the operator."""
    for file in message.files:
        _refuse_forbidden(file)
    texts = pieces(_with_quotation(message), VIBER, LONGEST_TEXT, _length)
    files = [_file(file) for file in message.files]
    notes = [note for _, note in files if note]
    parts = [part for part, _ in files]
    caption = plain_text(_with_quotation(message))  # whether captions know markup is documented nowhere
    if len(parts) == 1 and parts[0]["type"] == "picture" and utf16(caption) <= LONGEST_CAPTION:
        return [parts[0] | {"text": caption}], " ".join(notes)
    parts += [{"type": "text", "text": text} for text in texts]
    if not parts:
        raise http.Refused("The message is empty.")
    return parts, " ".join(notes)


def _with_quotation(message: OutboundMessage) -> str:
    """The text in Markdown, below the beginning of what it answers: Viber has no quotations."""
    quoted = split(" ".join(plain_text(message.quoted).split()), LONGEST_QUOTE)
    if not quoted:
        return message.text
    more = " …" if len(quoted) > 1 else ""
    return f"> {escape(quoted[0])}{more}\n\n{message.text}"


def _length(text: str) -> int:
    """Measure text in characters, but heavy ones as more: the whole JSON may have 30 KB."""
    return max(utf16(text), len(json.dumps(text, ensure_ascii=False).encode()) // 4)


def _file(file: OutboundFile) -> tuple[Part, str]:
    """Return a file as what Viber shows best, and a note if that is not what the operator may expect."""
    if file.mime_type in PICTURES and file.size <= LARGEST_PICTURE:
        return {"type": "picture", "text": "", "media": _url(file)}, ""
    if file.mime_type in VIDEOS and file.size <= LARGEST_VIDEO:
        return {"type": "video", "media": _url(file), "size": file.size}, ""
    if file.size <= LARGEST_FILE:
        part = {"type": "file", "media": _url(file), "size": file.size, "file_name": _named(file)}
        shown = file.kind in (MediaKind.IMAGE, MediaKind.VIDEO)
        return part, f"{file.name} was sent as a file, as Viber does not show it in the chat." if shown else ""
    link = {"type": "text", "text": f"{file.name}\n{file.url}"}
    return link, f"{file.name} was sent as a link that lasts a few days, as Viber takes files up to 50 MB."


def _url(file: OutboundFile) -> str:
    """The file's URL, ending in the extension by which Viber tells its kind; the name in a URL of ours is free."""
    name = unquote(PurePosixPath(urlsplit(file.url).path).name)
    shown = file.mime_type in (*PICTURES, *VIDEOS)
    fits = mimetypes.guess_type(name)[0] == file.mime_type if shown else PurePosixPath(name).suffix
    return file.url if fits else f"{file.url}{_extension(file)}"


def _extension(file: OutboundFile) -> str:
    guessed = mimetypes.guess_extension(file.mime_type) or ""
    return ".dat" if not guessed or FORBIDDEN.fullmatch(guessed) else guessed


def _named(file: OutboundFile) -> str:
    """The file's name with an extension, which Viber demands."""
    if PurePosixPath(file.name).suffix:
        return file.name
    extension = _extension(file)
    return file.name[: LONGEST_FILE_NAME - len(extension)] + extension


def _refuse_forbidden(file: OutboundFile) -> None:
    extension = PurePosixPath(file.name).suffix
    if FORBIDDEN.fullmatch(extension):
        raise http.Refused(f"{file.name} was not sent: Viber takes no {extension} files.")
