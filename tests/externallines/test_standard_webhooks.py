"""The signed webhook: channels.md 5, checked against the standard's own package."""

import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from externallines.channels import standard_webhooks
from externallines.channels.base import InvalidSignature

SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
ID, TIMESTAMP = "msg_1", 1767225600
BODY = b'{"type":"message.created","timestamp":"2026-01-01T00:00:00Z","data":{"id":"m1"}}'
SIGNATURE = "v1,x0ppGx2KPYNpIwWCSY93oTv8nAQY8zbp9l7xa4rJ7a0="
message_ids = st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True)
texts = st.text(st.characters(exclude_categories=["Cs"]))
HEADERS = {"webhook-id": ID, "webhook-timestamp": str(TIMESTAMP), "webhook-signature": SIGNATURE}


def verify(body: bytes = BODY, *, now: float = TIMESTAMP, **changed: str | None) -> str:
    headers = HEADERS | {f"webhook-{name}": value for name, value in changed.items()}
    present = {name: value for name, value in headers.items() if value is not None}
    return standard_webhooks.verify(SECRET, present, body, now=now)


def test_the_golden_vector_is_signed_and_verified():
    assert standard_webhooks.sign(SECRET, ID, TIMESTAMP, BODY) == SIGNATURE
    assert verify() == ID


@given(message_ids, texts)
def test_the_standards_own_package_verifies_what_we_sign(message_id, text):
    now = int(datetime.now(UTC).timestamp())
    headers = {
        "webhook-id": message_id,
        "webhook-timestamp": str(now),
        "webhook-signature": standard_webhooks.sign(SECRET, message_id, now, text.encode()),
    }
    Webhook(SECRET).verify(text.encode(), headers, json_parse=False)  # raises if it does not
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(text.encode() + b" ", headers, json_parse=False)


@given(message_ids, texts)
def test_we_verify_what_the_standards_own_package_signs(message_id, text):
    signature = Webhook(SECRET).sign(message_id, datetime.fromtimestamp(TIMESTAMP, UTC), text)
    assert verify(text.encode(), id=message_id, signature=signature) == message_id


@given(st.integers(0, len(BODY) - 1), st.integers(1, 255))
def test_a_changed_body_is_refused(position, difference):
    body = bytearray(BODY)
    body[position] ^= difference
    with pytest.raises(InvalidSignature):
        verify(bytes(body))


@pytest.mark.parametrize(
    "changed",
    [
        {"id": None},
        {"timestamp": None},
        {"signature": None},
        {"id": "msg_2"},
        {"id": ""},
        {"id": "msg.1"},
        {"id": "msg_1\n"},
        {"id": "m" * 65},
        {"id": "mѕg_1"},  # a Cyrillic letter
        {"timestamp": str(TIMESTAMP + 1)},
        {"timestamp": f"{TIMESTAMP}\n"},
        {"timestamp": f"+{TIMESTAMP}"[:10]},
        {"timestamp": f"0{TIMESTAMP}"},
        {"timestamp": str(TIMESTAMP * 1000)},
        {"timestamp": "١٧٦٧٢٢٥٦٠٠"},  # the same number in Arabic digits
        {"timestamp": "1767225e00"},
        {"signature": ""},
        {"signature": SIGNATURE.removeprefix("v1,")},
        {"signature": SIGNATURE.replace("v1", "v1a")},
        {"signature": SIGNATURE.replace("v1", "v2")},
        {"signature": SIGNATURE.replace("x0pp", "x0pq")},
        {"signature": SIGNATURE.removesuffix("=")},
        {"signature": SIGNATURE + "\xa0"},
        {"signature": SIGNATURE + "ї"},
        {"signature": "v1,\ud800"},
    ],
)
def test_a_call_with_a_wrong_header_is_refused(changed):
    with pytest.raises(InvalidSignature):
        verify(**changed)


@pytest.mark.parametrize("message_id", ["", "msg.1", "msg_1\n", "m" * 65, "m g", "mѕg_1"])
def test_a_malformed_id_is_refused_even_if_signed(message_id):
    with pytest.raises(InvalidSignature, match="webhook-id"):
        verify(id=message_id, signature=standard_webhooks.sign(SECRET, message_id, TIMESTAMP, BODY))


@pytest.mark.parametrize("offset", [-300, 300])
def test_five_minutes_of_clock_difference_are_tolerated(offset):
    assert verify(now=TIMESTAMP + offset) == ID


@pytest.mark.parametrize("offset", [-300.1, 300.1, 86_400, float("inf")])
def test_an_old_or_early_call_is_refused(offset):
    with pytest.raises(InvalidSignature):
        verify(now=TIMESTAMP + offset)


def test_one_of_several_signatures_is_enough():
    assert verify(signature=f"v1a,abc v1,{'A' * 43}= {SIGNATURE}") == ID


def test_another_secret_does_not_verify():
    with pytest.raises(InvalidSignature):
        standard_webhooks.verify(standard_webhooks.generate_secret(), HEADERS, BODY, now=TIMESTAMP)


header = st.none() | st.text() | st.from_regex(r"[0-9]{10}") | st.sampled_from(list(HEADERS.values()))


@given(header, header, header, st.binary())
def test_garbage_never_raises_anything_but_invalid_signature(message_id, timestamp, signature, body):
    with pytest.raises(InvalidSignature):
        verify(body, id=message_id, timestamp=timestamp, signature=signature)


def test_generated_secrets_are_new_and_hold_32_bytes():
    first, second = standard_webhooks.generate_secret(), standard_webhooks.generate_secret()
    assert first != second
    assert len(standard_webhooks.key(first)) == 32


@pytest.mark.parametrize("size", [24, 32, 64])
def test_a_secret_of_a_partner_is_taken(size):
    secret = "whsec_" + base64.b64encode(bytes(size)).decode()
    assert standard_webhooks.key(secret) == bytes(size)


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "whsec_",
        "whsec_" + base64.b64encode(bytes(23)).decode(),
        "whsec_" + base64.b64encode(bytes(65)).decode(),
        SECRET.removeprefix("whsec_"),
        SECRET.removesuffix("="),
        SECRET + "\n",
        SECRET.replace("M", "*", 1),
        SECRET.replace("M", "ї", 1),
    ],
)
def test_a_malformed_secret_is_a_value_error(secret):
    with pytest.raises(ValueError):  # noqa: PT011 - base64's own message is not ours to fix
        standard_webhooks.key(secret)
