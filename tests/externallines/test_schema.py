"""The portal-facing API keeps what its own schema promises, whatever is sent to it (schemathesis)."""

import socket
import time
import uuid
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
import schemathesis
from django.core.cache import cache
from drf_spectacular.generators import SchemaGenerator
from hypothesis import given
from hypothesis import strategies as st
from schemathesis import GenerationMode, checks

from externallines.models import ExternalLine
from messaging.models import Attachment, Chat, Message
from portals.models import Portal
from tests.adversaries import effort

DOMAIN = "acme.uspacy.ua"
KNOWN = {"id": uuid.uuid4(), "line": uuid.uuid4(), "uspacy_id": uuid.uuid4()}


def not_our_fault(ctx: Any, response: schemathesis.Response, case: schemathesis.Case) -> None:
    """Only a fault of Uspacy's, which is not there in these tests, may look like one of the server."""
    assert response.status_code < 500 or response.status_code in (502, 503)


CHECKS = [
    not_our_fault,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
]
OPERATIONS = [
    result.ok()
    for result in schemathesis.openapi.from_dict(
        SchemaGenerator().get_schema(request=None, public=True)
    ).get_all_operations()
]
every_operation = pytest.mark.parametrize("operation", OPERATIONS, ids=[each.label for each in OPERATIONS])


@pytest.fixture
def call(
    transactional_db: None, live_server: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Any]:
    """Send a case to the served app as a portal that has a line, a chat and messages; return the answer."""
    settings.USPACY_API_URL = "http://127.0.0.1:1/{domain}"  # nobody listens there
    monkeypatch.setattr(socket, "getaddrinfo", only_ourselves)
    portal = Portal.objects.create(domain=DOMAIN)
    expiry = {"exp": int(time.time()) + 3600}
    token = jwt.encode(expiry, settings.USPACY_CLIENT_SECRETS[0], "HS256", headers={"domain": DOMAIN})

    def call(case: schemathesis.Case) -> schemathesis.Response:
        cache.clear()  # of what counts calls
        make_known(portal)
        case.headers["Authorization"] = f"Bearer {token}"  # in place of one that was made up
        return case.call(base_url=live_server.url, timeout=30)

    yield call
    cache.clear()


def only_ourselves(host: str, port: int, *args: Any, **kwargs: Any) -> Any:
    """No name that somebody makes up is looked up."""
    if host not in ("127.0.0.1", "localhost"):
        raise socket.gaierror(socket.EAI_NONAME, "unknown")
    return REAL_GETADDRINFO(host, port, *args, **kwargs)


REAL_GETADDRINFO = socket.getaddrinfo


def make_known(portal: Portal) -> None:
    """Bring back what the last call may have changed."""
    ExternalLine.objects.exclude(key=KNOWN["line"]).delete()
    line, _created = ExternalLine.objects.update_or_create(
        key=KNOWN["line"],
        defaults={
            "portal": portal,
            "channel": "webhook",
            "name": "Shop",
            "external_id": "account",
            "uspacy_id": "65a0f1b2c3d4e5f60718293a",
            "status": "active",
            "credentials": {"url": "https://127.0.0.1/hook", "secret": "whsec_" + "MDEy" * 8},
        },
    )
    chat, created = Chat.objects.get_or_create(
        uspacy_id=KNOWN["uspacy_id"], line=line, defaults={"meta": [{"type": "phone", "value": "+380"}]}
    )
    if created:
        for direction in ("in", "out"):
            message = Message.objects.create(chat=chat, uspacy_id=uuid.uuid4(), direction=direction, text="Hello")
            Attachment.objects.create(message=message, name="a.png")


def aim(case: schemathesis.Case, data: st.DataObject) -> None:
    """Half of the time, name something that there is."""
    known = KNOWN | {"id": KNOWN["line"]}
    for place in (case.path_parameters, case.query):
        for name in set(place or ()) & set(known):
            if data.draw(st.booleans()):
                place[name] = str(known[name])


@every_operation
@effort(10)
@given(data=st.data())
def test_what_the_schema_allows_is_answered_as_it_says(
    call: Any, operation: schemathesis.schemas.APIOperation, data: st.DataObject
) -> None:
    case = data.draw(operation.as_strategy())
    aim(case, data)
    case.validate_response(call(case), checks=CHECKS)


@every_operation
@effort(10)
@given(data=st.data())
def test_what_the_schema_forbids_is_refused_as_it_says(
    call: Any, operation: schemathesis.schemas.APIOperation, data: st.DataObject
) -> None:
    case = data.draw(operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))
    aim(case, data)
    case.validate_response(call(case), checks=CHECKS)
