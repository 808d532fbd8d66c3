"""Webhooks of Uspacy and of the messengers: verified, stored, acknowledged; plain views, because they are hot."""

import functools
import math
import uuid
from collections.abc import Callable
from tempfile import TemporaryFile
from typing import Any, cast

import structlog
from django.core.exceptions import RequestDataTooBig
from django.db import InterfaceError, OperationalError
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from externallines.channels.base import Channel, InvalidSignature
from externallines.models import ExternalLine
from externallines.services import find_line, get_channel
from messaging import inbox, pictures, sns, topics, transfer
from portals.http import Busy, RemoteError
from portals.payload import InvalidPayload

log = structlog.get_logger(__name__)

RETRY_AFTER_SECONDS = 5
FETCH_SECONDS = 25.0  # a file for a request that waits; a server that ends gives us 30
SANDBOXED = {"Cache-Control": "private, max-age=86400", "Content-Security-Policy": "sandbox"}

View = Callable[..., HttpResponseBase]


def webhook(view: View) -> View:
    """Make a view one that stores what machines send: past the middleware for people (`RoutingMiddleware`)."""
    wrapped: Any = try_later(view)
    wrapped.is_webhook = True
    return cast(View, wrapped)


def try_later(view: View) -> View:
    """Make the caller come again where the fault is ours and passing: 503 instead of 500."""

    @csrf_exempt
    @functools.wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            return view(request, *args, **kwargs)
        except RequestDataTooBig:
            return _error(413, "too_large", "The body is too large.")
        except (OperationalError, InterfaceError) as exc:
            log.error("webhook_not_stored", path=request.path, reason=type(exc).__name__)
            return _unavailable("Not stored; send it again.", RETRY_AFTER_SECONDS)

    return wrapped


@webhook
@require_POST
def uspacy_webhook(request: HttpRequest) -> HttpResponse:
    """Take in what Uspacy's messenger publishes through Amazon SNS (uspacy-api.md 9)."""
    try:
        sns.refuse_raw_delivery(request.headers)
        envelope = sns.parse(request.body)
        if not envelope.is_confirmation and not topics.is_trusted(envelope.topic_arn):
            raise sns.Rejected("The topic is not one we listen to.")
        sns.verify(envelope, now=timezone.now())
    except sns.Rejected as exc:
        log.warning("sns_rejected", reason=str(exc))
        return _error(403, "rejected", str(exc))
    except RemoteError as exc:
        log.error("sns_certificate_unreachable", reason=str(exc))
        return _error(503, "unavailable", "The signing certificate cannot be fetched now.")
    match envelope.type:
        case "SubscriptionConfirmation":
            topics.request_subscription(envelope)
        case "UnsubscribeConfirmation":
            topics.note_unsubscription(envelope)
        case _:
            _tell_log(request, stored=inbox.receive_from_uspacy(envelope.message_id, envelope.message))
    return HttpResponse()


@webhook
@require_http_methods(["GET", "HEAD", "POST"])
def line_webhook(request: HttpRequest, key: uuid.UUID) -> HttpResponse:
    """Take in what a line's messenger sends, or prove to it that the address is ours."""
    line = find_line(key)
    if line is None:
        return _error(404, "unknown_line", "There is no such line.")
    if line.is_closed:
        return _error(410, "line_disconnected", "This line was disconnected.")
    channel = get_channel(line)
    if request.method != "POST":
        challenge = channel.answer_challenge(request.GET.dict())
        if challenge is None:
            return _error(403, "challenge_refused", "This is not a challenge for this line.")
        return HttpResponse(challenge, content_type="text/plain; charset=utf-8")
    return _receive(line, channel, request)


def _receive(line: ExternalLine, channel: Channel, request: HttpRequest) -> HttpResponse:
    if len(request.body) > channel.max_body:
        return _error(413, "too_large", f"The body is larger than {channel.max_body} bytes.")
    headers = {name.lower(): value for name, value in request.headers.items()}
    try:
        channel.verify(headers, request.body)
        new = inbox.receive_from_line(line, headers, request.body)
    except InvalidSignature as exc:
        log.warning("signature_refused", line_id=line.pk, reason=str(exc))
        return _error(401, "invalid_signature", str(exc) or "The signature does not match.")
    except InvalidPayload as exc:
        return _error(422, "invalid_payload", str(exc), field=exc.field)
    _tell_log(request, stored=new)
    if channel.bare_answer:
        return HttpResponse()
    return JsonResponse({"ok": True, "duplicate": not new}, status=202)


def _tell_log(request: HttpRequest, *, stored: bool) -> None:
    """Spare the log a line of what the rows of its webhook events tell (`RequestLogMiddleware`)."""
    this: Any = request
    this.is_stored = stored


@try_later
@require_GET
def attachment(request: HttpRequest, token: str, name: str) -> HttpResponseBase:
    """Stream an operator's file to a messenger that fetches it; the signed URL is the credential."""
    found = transfer.attachment_of_url(token)
    if found is None or not found.message.is_outbound:
        raise Http404
    file = TemporaryFile()  # noqa: SIM115  FileResponse closes it
    try:
        transfer.read_from_uspacy(found, file, timeout=FETCH_SECONDS)
    except Busy as exc:
        file.close()
        return _unavailable(str(exc), exc.retry_after or RETRY_AFTER_SECONDS)
    except RemoteError as exc:
        file.close()
        return _error(502, "file_unavailable", str(exc))
    file.seek(0)
    return FileResponse(
        file,
        as_attachment=True,
        filename=found.name,
        content_type=found.mime_type,
        headers=SANDBOXED,
    )


@try_later
@require_GET
def picture(request: HttpRequest, token: str) -> HttpResponseBase:
    """Stream a customer's portrait from their messenger to Uspacy; the signed URL is the credential."""
    chat = pictures.chat_of_url(token)
    if chat is None:
        raise Http404
    try:
        file, mime_type = pictures.fetch(chat)
    except Busy as exc:
        return _unavailable(str(exc), exc.retry_after or RETRY_AFTER_SECONDS)
    except RemoteError as exc:
        return _error(502, "picture_unavailable", str(exc))
    return FileResponse(file, content_type=mime_type, headers=SANDBOXED)


def _unavailable(message: str, retry_after: float) -> JsonResponse:
    response = _error(503, "unavailable", message)
    response.headers["Retry-After"] = str(math.ceil(retry_after))
    return response


def _error(status: int, code: str, message: str, *, field: str = "") -> JsonResponse:
    """The error shape of channels.md 5."""
    return JsonResponse({"error": {"code": code, "message": message, "field": field}}, status=status)
