"""What an operator's message becomes in Telegram: its files, alone or in albums, then its text."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import unescape
from itertools import groupby

from externallines.channels.base import MediaKind, OutboundFile, OutboundMessage
from externallines.channels.rendering import TELEGRAM, pieces, utf16
from portals.http import Refused

TEXT_LIMIT, CAPTION_LIMIT = 4096, 1024  # UTF-16 units
MIB = 1024 * 1024
MAX_FILE, MAX_PHOTO = 50 * MIB, 10 * MIB
MAX_ALBUM = 10
MUSIC = ("audio/mpeg", "audio/mp3", "audio/mp4", "audio/m4a", "audio/x-m4a")
SPOKEN = ("audio/ogg", "audio/opus", *MUSIC)
LINK, TAG = re.compile(r'<a href="([^"]*)">(.*?)</a>', re.S), re.compile(r"<[^<>]*>")


@dataclass(frozen=True, slots=True)
class Form:
    """How a file is sent: the method for one, its field, and which others may be in an album with it."""

    method: str
    field: str
    album: str = ""


PHOTO, VIDEO = Form("sendPhoto", "photo", album="pictures"), Form("sendVideo", "video", album="pictures")
AUDIO, DOCUMENT = Form("sendAudio", "audio", album="audio"), Form("sendDocument", "document", album="documents")
VOICE, ANIMATION = Form("sendVoice", "voice"), Form("sendAnimation", "animation")


@dataclass(frozen=True, slots=True)
class Part:
    """What is sent by one call: a text, or files with a caption on the last of them."""

    text: str = ""  # HTML
    files: Sequence[OutboundFile] = ()
    as_documents: bool = False

    @property
    def size(self) -> int:
        """How many messages it makes in Telegram."""
        return len(self.files) or 1

    @property
    def forms(self) -> list[Form]:
        return [DOCUMENT if self.as_documents else form_of(file) for file in self.files]

    @property
    def note(self) -> str:
        """What the operator should know of files that do not look as they were meant to."""
        changed = [
            file
            for file, form in zip(self.files, self.forms, strict=True)
            if form is DOCUMENT and file.kind != MediaKind.FILE
        ]
        if not changed:
            return ""
        return "Sent as a document." if len(changed) == 1 else f"{len(changed)} files were sent as documents."


def plan(message: OutboundMessage) -> list[Part]:
    """Return the parts of a message, the same for every attempt. Raises Refused."""
    for file in message.files:
        if file.size > MAX_FILE:
            raise Refused("Telegram takes files of up to 50 MB, and one is larger.")
    captions = pieces(message.text, TELEGRAM, CAPTION_LIMIT, utf16) if message.files else []
    caption = captions[0] if len(captions) == 1 else ""
    files = [Part(files=files) for files in _albums(message.files)]
    if caption:
        files[-1] = Part(caption, files[-1].files)
    texts = [] if caption else [Part(text) for text in pieces(message.text, TELEGRAM, TEXT_LIMIT, utf16)]
    if not files and not texts:
        raise Refused("There is nothing to send: the message is empty.")
    return files + texts


def form_of(file: OutboundFile) -> Form:
    mime_type = file.mime_type.partition(";")[0].strip().lower()
    if mime_type == "image/gif":
        return ANIMATION
    if file.kind == MediaKind.IMAGE and mime_type in ("image/jpeg", "image/png") and file.size <= MAX_PHOTO:
        return PHOTO
    if file.kind == MediaKind.VIDEO and mime_type == "video/mp4":
        return VIDEO
    if file.kind == MediaKind.VOICE and mime_type in SPOKEN:
        return VOICE
    if file.kind == MediaKind.AUDIO and mime_type in MUSIC:
        return AUDIO
    return DOCUMENT


def without_tags(html: str) -> str:
    """Return our own HTML as plain text that is no longer."""
    return unescape(TAG.sub("", LINK.sub(r"\2 (\1)", html)))


def _albums(files: Sequence[OutboundFile]) -> list[Sequence[OutboundFile]]:
    """Return the files in their order, those together that may be in one album."""
    albums: list[Sequence[OutboundFile]] = []
    for album, group in groupby(files, key=lambda file: form_of(file).album):
        together = list(group)
        step = MAX_ALBUM if album else 1
        albums += [together[start : start + step] for start in range(0, len(together), step)]
    return albums
