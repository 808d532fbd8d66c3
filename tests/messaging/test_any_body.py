"""Bodies made to hurt: whatever is sent, and however deep, no webhook and no API path answers with a fault."""

import itertools
import json
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from externallines.models import ExternalLine
from messaging.models import Chat, WebhookEvent
from portals.models import Portal
from tests.adversaries import effort
from tests.simulators import Partner, World
from tests.simulators.partner_events import iso_now

pytestmark = pytest.mark.django_db(transaction=True)

Post = Callable[[bytes], Any]
numbers = itertools.count()
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(max_size=10), values, max_size=3),
    max_leaves=6,
)
KINDS = ["message.created", "message.updated", "message.deleted", "message.status", "contact.blocked", "ping"]
ids = st.fixed_dictionaries({"id": st.just("1") | json_values}) | json_values
events = json_values | st.fixed_dictionaries(
    {"type": st.sampled_from(KINDS), "timestamp": st.builds(iso_now)},
    optional={
        "data": st.fixed_dictionaries(
            {},
            optional={
                "conversation": ids,
                "contact": ids,
                "message": st.dictionaries(
                    st.sampled_from(
                        ["id", "text", "sent_at", "attachments", "reply_to_id", "status", "client_id"]
                    ),
                    st.just("1") | json_values,
                ),
            },
        )
    },
)


@pytest.fixture
def post_to_line(partner: Partner, client: Client) -> Post:
    """Send a line's webhook a body, signed by its partner; return the answer."""

    def post(body: bytes) -> Any:
        path = f"/webhooks/lines/{ExternalLine.objects.get().key}"
        headers = partner.headers(f"evt_{next(numbers)}", body)
        return client.post(path, body, content_type="application/json", headers=headers)

    return post


@effort(40)
@given(events)
def test_any_signed_json_is_stored_or_refused_by_a_line(post_to_line: Post, value: Any) -> None:
    answer = post_to_line(json.dumps(value).encode())
    assert answer.status_code in (202, 422)
    assert not WebhookEvent.objects.filter(outcome="failed").exists()
    list(Chat.objects.values())  # nothing in them harms who reads


DEPTHS = [900]  # about where the parsers of Python give up


@pytest.mark.parametrize("depth", DEPTHS)
def test_deep_json_is_stored_or_refused(
    world: World, post_to_line: Post, client: Client, settings: Any, depth: int
) -> None:
    deep = "[" * depth + "]" * depth
    event = '{"type": "%s", "timestamp": "2026-01-01T00:00:00Z", "data": {"x": %s}}'
    for kind in ("message.created", "unknown"):
        assert post_to_line((event % (kind, deep)).encode()).status_code in (202, 422)
    envelope = json.dumps(world.sns.envelope(f'{{"type": "message", "data": {{"entity": {deep}}}}}'))
    assert client.post("/webhooks/uspacy", envelope, content_type="text/plain").status_code == 200
    assert client.post("/webhooks/uspacy", deep, content_type="text/plain").status_code == 403
    portal = Portal.objects.get()
    claims = {"exp": int(time.time()) + 600}
    token = jwt.encode(claims, settings.USPACY_CLIENT_SECRETS[0], "HS256", headers={"domain": portal.domain})
    headers = {"Authorization": f"Bearer {token}"}
    for path, method in (("lines/", "POST"), (f"lines/{ExternalLine.objects.get().key}/", "PATCH")):
        for body in (deep, f'{{"channel": "webhook", "name": "x", "credentials": {{"url": {deep}}}}}'):
            answer = client.generic(method, f"/api/{path}", body, "application/json", headers=headers)
            assert answer.status_code == 400
    body = f'{{"token": "x", "refresh_token": {deep}, "expiry_date": 1}}'
    answer = client.post("/portals/install", body, content_type="application/json", headers=headers)
    assert answer.status_code in (401, 422)
