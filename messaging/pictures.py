"""Customers' portraits: Uspacy wants a lasting public URL, and where the messenger has none, we have one."""

from io import BytesIO

from django.conf import settings
from django.core import signing
from django.templatetags.static import static

from externallines.services import get_channel
from messaging import transfer
from messaging.models import Chat
from portals.http import Refused

MAX_BYTES = 5 * 1024 * 1024
URL_SALT = "picture"
# How files of the types begin that every browser shows. No SVG: it can hold a script.
BEGINNINGS = ((b"\xff\xd8\xff", "image/jpeg"), (b"\x89PNG\r\n\x1a\n", "image/png"), (b"GIF8", "image/gif"))


def url_of(chat: Chat) -> str:
    """Return a public URL of the customer's portrait; that of a drawn one where there is none."""
    if chat.picture:
        return f"{transfer.media_url()}/pictures/{signing.Signer(salt=URL_SALT).sign(str(chat.pk))}"
    return chat.picture_url or f"{settings.PUBLIC_URL}{static('externallines/customer.svg')}"


def chat_of_url(token: str) -> Chat | None:
    """Return the chat whose portrait a URL was signed for, if there is one to show. It does not expire."""
    try:
        pk = signing.Signer(salt=URL_SALT).unsign(token)
    except signing.BadSignature:
        return None
    chat = Chat.objects.select_related("line__portal").filter(pk=pk).first()
    return chat if chat and chat.picture and not chat.line.is_closed else None


def fetch(chat: Chat) -> tuple[BytesIO, str]:
    """Return a portrait, fetched from the messenger, and its MIME type. Raises RemoteError."""
    file = BytesIO()
    get_channel(chat.line).download(chat.picture or {}, file, MAX_BYTES)
    file.seek(0)
    return file, _image_type(file.getvalue())


def _image_type(content: bytes) -> str:
    """Return the type by what the file is, whatever the messenger calls it. Raises Refused."""
    for beginning, mime_type in BEGINNINGS:
        if content.startswith(beginning):
            return mime_type
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    raise Refused("The messenger's picture is not an image of a known type.")
