"""What a request passes on its way to its view."""

import uuid
from collections.abc import Callable

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import Client

pytestmark = pytest.mark.django_db


class Barrier:
    """A middleware that lets nothing through."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None: ...

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("no further", status=418)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/webhooks/uspacy", 403),
        ("/webhooks/uspacy/", 403),
        (f"/webhooks/lines/{uuid.UUID(int=1)}", 404),
        (f"/webhooks/lines/{uuid.UUID(int=1)}/", 404),
        ("/portals/install", 418),
        ("/admin/", 418),
        ("/media/token/name", 418),
        ("/nowhere", 418),
    ],
)
def test_webhooks_alone_skip_what_is_for_people(path: str, status: int, settings) -> None:
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"{__name__}.Barrier"]

    assert Client().post(path).status_code == status


def test_a_webhook_needs_no_csrf_token(db) -> None:
    answer = Client(enforce_csrf_checks=True).post("/webhooks/uspacy", b"{}", content_type="text/plain")

    assert answer.json()["error"]["message"].startswith("This is not an SNS envelope")


@pytest.mark.parametrize("path", ["/webhooks/uspacy", "/admin/login/"])
def test_every_answer_is_safe_from_sniffing_and_told_by_its_length(path: str) -> None:
    answer = Client().get(path)

    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Length"] == str(len(answer.content))
