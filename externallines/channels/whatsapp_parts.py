"""An operator's message as the messages that WhatsApp takes, by the limits of channels.md 3."""

from collections.abc import Mapping
from dataclasses import dataclass

from externallines.channels import rendering
from externallines.channels.base import MediaKind, OutboundFile, OutboundMessage
from externallines.channels.meta_payloads import bare
from portals import http

MIB = 1024 * 1024
TEXT_LIMIT, CAPTION_LIMIT = 4096, 1024
# What a file may be sent as: its media types and the most bytes. Anything else is a document.
KINDS: Mapping[str, tuple[frozenset[str], int]] = {
    "image": (frozenset({"image/jpeg", "image/png"}), 5 * MIB),
    "video": (frozenset({"video/mp4", "video/3gpp"}), 16 * MIB),
    "audio": (frozenset({"audio/aac", "audio/amr", "audio/mpeg", "audio/mp4", "audio/ogg"}), 16 * MIB),
}
DOCUMENT_LIMIT = 100 * MIB
SAME_TYPE = {"audio/opus": "audio/ogg", "audio/x-m4a": "audio/mp4", "audio/mp3": "audio/mpeg"}


@dataclass(frozen=True, slots=True)
class Part:
    """One message of WhatsApp's: text, or a file with a caption."""

    text: str = ""
    file: OutboundFile | None = None


def plan(message: OutboundMessage) -> list[Part]:
    """Return the parts a message is sent in: its files, the last with the text as its caption if it can."""
    parts = [Part(file=file) for file in message.files]
    caption = rendering.pieces(message.text, rendering.WHATSAPP, CAPTION_LIMIT)
    if parts and len(caption) == 1 and kind_of(message.files[-1]) != "audio":
        parts[-1] = Part(caption[0], message.files[-1])
        return parts
    return parts + [Part(text) for text in rendering.pieces(message.text, rendering.WHATSAPP, TEXT_LIMIT)]


def kind_of(file: OutboundFile) -> str:
    """Return what a file is sent as. Raises Refused if it is too large for anything."""
    for kind, (types, limit) in KINDS.items():
        if media_type(file) in types and file.size <= limit:
            return kind
    if file.size > DOCUMENT_LIMIT:
        raise http.Refused(f"{file.name} is too large: WhatsApp takes files of up to 100 MB.")
    return "document"


def media_type(file: OutboundFile) -> str:
    return SAME_TYPE.get(bare(file.mime_type), bare(file.mime_type)) or "application/octet-stream"


def note_on(file: OutboundFile, kind: str) -> str:
    wanted = file.kind in (MediaKind.IMAGE, MediaKind.VIDEO, MediaKind.AUDIO, MediaKind.VOICE)
    return f"{file.name} was sent as a document." if kind == "document" and wanted else ""
