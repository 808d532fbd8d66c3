"""Amazon SNS: an envelope is believed only with Amazon's signature, fresh and complete (uspacy-api.md 9.1)."""

import base64
import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import responses
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from messaging import sns
from portals import gate
from portals.http import RemoteError

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ARN = "arn:aws:sns:eu-central-1:123456789012:uspacy-events"
HOST = "https://sns.eu-central-1.amazonaws.com"
SUBSCRIBE_URL = f"{HOST}/?Action=ConfirmSubscription&TopicArn={ARN}&Token=t0k3n"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
HASHES: dict[str, hashes.HashAlgorithm] = {"1": hashes.SHA1(), "2": hashes.SHA256()}
SIGNED = {  # https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html
    "Notification": ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"],
    "SubscriptionConfirmation": [
        *("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
    ],
    "UnsubscribeConfirmation": [
        *("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
    ],
}

Fields = dict[str, Any]


def certificate(
    key: Any = KEY, *, since: datetime = NOW - timedelta(days=30), until: datetime = NOW + timedelta(days=30)
) -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sns.amazonaws.com")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), since, until)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


CERTIFICATE = certificate()


def signed(fields: Fields, key: rsa.RSAPrivateKey = KEY) -> Fields:
    names = [name for name in SIGNED[fields["Type"]] if name in fields]
    text = "".join(f"{name}\n{fields[name]}\n" for name in names)
    signature = key.sign(text.encode(), PKCS1v15(), HASHES[fields["SignatureVersion"]])
    return {**fields, "Signature": base64.b64encode(signature).decode()}


def notification(url: str, **changed: Any) -> Fields:
    return {
        "Type": "Notification",
        "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
        "TopicArn": ARN,
        "Subject": "Hello",
        "Message": '{"type":"message"}',
        "Timestamp": "2026-01-02T03:04:05.000Z",
        "SignatureVersion": "1",
        "SigningCertURL": url,
        "UnsubscribeURL": f"{HOST}/?Action=Unsubscribe",
    } | changed


def confirmation(url: str, **changed: Any) -> Fields:
    fields = notification(
        url, Type="SubscriptionConfirmation", Message="You have chosen\nto subscribe.", Token="t0k3n"
    )
    del fields["Subject"], fields["UnsubscribeURL"]
    return fields | {"SubscribeURL": SUBSCRIBE_URL} | changed


def verify(fields: Fields, *, now: datetime = NOW) -> sns.Envelope:
    envelope = sns.parse(json.dumps(fields).encode())
    sns.verify(envelope, now=now)
    return envelope


@pytest.fixture(autouse=True)
def _amazons_addresses(settings: Any) -> None:
    settings.SNS_CERT_URL_PATTERN = settings.DEFAULT_SNS_CERT_URL_PATTERN


@pytest.fixture
def amazon() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield mock


def new_url() -> str:
    """An address from which no certificate is in the cache."""
    return f"{HOST}/SimpleNotificationService-{uuid.uuid4().hex}.pem"


@pytest.fixture
def url(amazon: responses.RequestsMock) -> str:
    url = new_url()
    amazon.get(url, CERTIFICATE)
    return url


# What is believed


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("make", [notification, confirmation])
def test_a_signed_envelope_is_believed(url: str, version: str, make: Callable[..., Fields]) -> None:
    envelope = verify(signed(make(url, SignatureVersion=version)))
    assert (envelope.topic_arn, envelope.timestamp) == (ARN, NOW)


def test_an_envelope_tells_what_it_says(url: str) -> None:
    envelope = verify(signed(notification(url)))
    assert (envelope.type, envelope.is_confirmation) == ("Notification", False)
    assert envelope.message_id == "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324"
    assert envelope.message == '{"type":"message"}'
    envelope = verify(signed(confirmation(url)))
    assert (envelope.is_confirmation, envelope.subscribe_url, envelope.token) == (True, SUBSCRIBE_URL, "t0k3n")


def test_the_end_of_a_subscription_is_believed_but_confirms_nothing(url: str) -> None:
    envelope = verify(signed(confirmation(url, Type="UnsubscribeConfirmation")))
    assert (envelope.type, envelope.is_confirmation) == ("UnsubscribeConfirmation", False)


def test_a_notification_without_subject_is_believed(url: str) -> None:
    fields = notification(url)
    del fields["Subject"]
    assert verify(signed(fields)).message_id == fields["MessageId"]


def test_the_other_spelling_of_the_certificates_address_is_understood(url: str) -> None:
    fields = notification(url, SigningCertUrl=url)
    del fields["SigningCertURL"]
    assert verify(signed(fields)).message_id == fields["MessageId"]


def test_what_a_notification_does_not_sign_is_not_read(url: str) -> None:
    fields = signed(notification(url)) | {"Token": "evil", "SubscribeURL": "https://evil.com/"}
    envelope = verify(fields)
    assert (envelope.token, envelope.subscribe_url) == ("", "")


# Forgeries


@pytest.mark.parametrize("make", [notification, confirmation])
@pytest.mark.parametrize("version", ["1", "2"])
def test_a_change_of_any_signed_field_is_refused(url: str, version: str, make: Callable[..., Fields]) -> None:
    fields = signed(make(url, SignatureVersion=version))
    for name in set(SIGNED[fields["Type"]]) & fields.keys() - {"Type", "Timestamp"}:
        with pytest.raises(sns.Rejected):
            verify(fields | {name: fields[name] + "x"})
    with pytest.raises(sns.Rejected, match="signature"):
        verify(fields | {"Timestamp": "2026-01-02T03:04:06.000Z"})
    assert verify(fields).message_id == fields["MessageId"]


def test_a_confirmation_is_not_taken_for_another_type(url: str) -> None:
    fields = signed(confirmation(url))
    for other in ("Notification", "UnsubscribeConfirmation"):
        with pytest.raises(sns.Rejected, match="signature"):
            verify(fields | {"Type": other})


@pytest.mark.parametrize(
    "changed",
    [
        {"Subject": None},
        {"Subject": "added"},
        {"MessageId": 22},
        {"SignatureVersion": "2"},
        {"SignatureVersion": "3"},
        {"SignatureVersion": 1},
        {"Signature": ""},
        {"Signature": "AAAA"},
        {"Signature": "not base64!"},
        {"Signature": "ї"},
        {"Signature": None},
        {"Message": "\ud800"},
    ],
)
def test_a_broken_envelope_is_refused(url: str, changed: Fields) -> None:
    fields = notification(url)
    if changed.get("Subject"):
        del fields["Subject"]
    with pytest.raises(sns.Rejected):
        verify(signed(fields) | changed)


def test_the_signature_of_another_key_is_refused(url: str) -> None:
    with pytest.raises(sns.Rejected, match="signature"):
        verify(signed(notification(url), OTHER_KEY))


def test_a_signature_does_not_serve_with_the_other_hash(url: str) -> None:
    fields = signed(notification(url, SignatureVersion="1"))
    with pytest.raises(sns.Rejected, match="signature"):
        verify(fields | {"SignatureVersion": "2"})


def test_a_signature_with_foreign_characters_is_refused(url: str) -> None:
    fields = signed(notification(url))
    with pytest.raises(sns.Rejected, match="signature"):
        verify(fields | {"Signature": "!" + fields["Signature"]})


def test_a_signed_text_cannot_be_cut_in_another_way(url: str) -> None:
    fields = notification(url, Message="a\nMessageId\nb\nSubject\nc")
    original = signed(fields)
    assert verify(original).message_id == fields["MessageId"]
    again = original | {
        "Message": "a",
        "MessageId": "b",
        "Subject": f"c\nMessageId\n{fields['MessageId']}\nSubject\n{fields['Subject']}",
    }
    with pytest.raises(sns.Rejected, match="line break"):
        verify(again)


@pytest.mark.parametrize("field", ["TopicArn", "MessageId"])
def test_a_name_that_amazon_does_not_give_is_refused_before_it_is_looked_up(url: str, field: str) -> None:
    body = json.dumps(notification(url, **{field: "\ud800"})).encode()
    with pytest.raises(sns.Rejected, match="character"):
        sns.parse(body)


# Addresses


@pytest.mark.parametrize(
    "address",
    [
        "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-0123456789abcdef.pem",
        "https://sns.us-gov-west-1.amazonaws.com/SimpleNotificationService-0123456789abcdef.pem",
        "https://sns.cn-north-1.amazonaws.com.cn/SimpleNotificationService-0123456789abcdef.pem",
    ],
)
def test_amazons_own_addresses_are_asked(amazon: responses.RequestsMock, address: str) -> None:
    amazon.get(address, CERTIFICATE)
    assert verify(signed(notification(address))).topic_arn == ARN


@pytest.mark.parametrize(
    "address",
    [
        "",
        "http://sns.us-east-1.amazonaws.com/a.pem",
        "ftp://sns.us-east-1.amazonaws.com/a.pem",
        "//sns.us-east-1.amazonaws.com/a.pem",
        "https://sns.us-east-1.amazonaws.com.evil.com/a.pem",
        "https://evil-sns.us-east-1.amazonaws.com/a.pem",
        "https://evil.com/sns.us-east-1.amazonaws.com/a.pem",
        "https://evil.com/a.pem?https://sns.us-east-1.amazonaws.com/a.pem",
        "https://sns.us-east-1.amazonaws.com@evil.com/a.pem",
        "https://user@sns.us-east-1.amazonaws.com/a.pem",
        "https://evil.com#@sns.us-east-1.amazonaws.com/a.pem",
        "https://evil.com\\@sns.us-east-1.amazonaws.com/a.pem",
        "https://sns.us-east-1.amazonaws.com:8443/a.pem",
        "https://sns.us-east-1.amazonaws.com:/a.pem",
        "https://sns.us-east-1.amazonaws.com./a.pem",
        "https://sns.us-east-1.amazonaws.com%2eevil.com/a.pem",
        "https://sns.us-east-1.amazonaws.com/..%2f..%2fa.pem",
        "https://sns.us-east-1.amazonaws.com/a%2fb.pem",
        "https://sns.us-east-1.amazonaws.com/a.pem\n",
        " https://sns.us-east-1.amazonaws.com/a.pem",
        "https://sns.us-east-1.amazonaws.com/a.pem#b",
        "https://sns.us-east-1.amazonaws.com/a.pem?b",
        "https://sns.us-east-1.amazonaws.com/a.txt",
        "https://sns.us-east-1.amazonaws.com/?a=b.pem",
        "https://sns.us-east-1.amazonaws.com/",
        "https://sns.us-east-1.amazonawsXcom/a.pem",
        "https://sns.us.east.amazonaws.com/a.pem",
        "https://sns..amazonaws.com/a.pem",
        "https://amazonaws.com/a.pem",
        # Buckets named "sns" at the addresses of S3: everyone can own one.
        "https://sns.s3.amazonaws.com/a.pem",
        "https://sns.s3-us-west-2.amazonaws.com/a.pem",
        "https://sns.s3-website-us-west-2.amazonaws.com/a.pem",
    ],
)
def test_no_certificate_is_asked_of_another_address(amazon: responses.RequestsMock, address: str) -> None:
    with pytest.raises(sns.Rejected, match="SigningCertURL"):
        verify(signed(notification(address)))
    assert len(amazon.calls) == 0


@pytest.mark.parametrize(
    "address",
    [
        "",
        SUBSCRIBE_URL.replace("https", "http"),
        SUBSCRIBE_URL.replace(".com/", ".com.evil.com/"),
        SUBSCRIBE_URL.replace("https://", "https://evil.com/"),
        SUBSCRIBE_URL.replace("https://", "https://user@"),
        SUBSCRIBE_URL.replace("uspacy-events", "another-topic"),
        SUBSCRIBE_URL.replace("t0k3n", "another"),
        SUBSCRIBE_URL.replace("t0k3n", ""),
        SUBSCRIBE_URL + "&Token=another",
        SUBSCRIBE_URL + "&TopicArn=another",
    ],
)
def test_a_link_that_confirms_something_else_is_refused(url: str, address: str) -> None:
    with pytest.raises(sns.Rejected):
        verify(signed(confirmation(url, SubscribeURL=address)))


def test_a_link_need_not_name_topic_and_token(url: str) -> None:
    link = f"{HOST}/?Action=ConfirmSubscription"
    assert verify(signed(confirmation(url, SubscribeURL=link))).subscribe_url == link


def test_an_administrators_pattern_serves_certificate_and_link(
    amazon: responses.RequestsMock, settings: Any
) -> None:
    settings.SNS_CERT_URL_PATTERN = r"^http://127\.0\.0\.1:\d+/sns/.+"
    base = f"http://127.0.0.1:9000/sns/{uuid.uuid4().hex}"
    amazon.get(f"{base}.pem", CERTIFICATE)
    fields = signed(confirmation(f"{base}.pem", SubscribeURL=f"{base}/confirm?Token=t0k3n"))
    assert verify(fields).subscribe_url == f"{base}/confirm?Token=t0k3n"
    for changed in (
        {"SigningCertURL": base},
        {"SubscribeURL": f"http://127.0.0.2:9000/sns/confirm?TopicArn={ARN}"},
    ):
        with pytest.raises(sns.Rejected):
            verify(signed(fields | changed))


# Time


@pytest.mark.parametrize("age", [timedelta(minutes=65), timedelta(0), timedelta(minutes=-5)])
def test_an_envelope_of_the_last_hour_is_fresh(url: str, age: timedelta) -> None:
    assert verify(signed(notification(url)), now=NOW + age).timestamp == NOW


@pytest.mark.parametrize(
    "age",
    [
        timedelta(minutes=65, milliseconds=1),
        timedelta(days=1),
        timedelta(minutes=-5, milliseconds=-1),
        timedelta(days=-1),
    ],
)
def test_an_old_or_early_envelope_is_refused_without_a_call(
    amazon: responses.RequestsMock, url: str, age: timedelta
) -> None:
    with pytest.raises(sns.Rejected, match="too old"):
        verify(signed(notification(url)), now=NOW + age)
    assert len(amazon.calls) == 0


@pytest.mark.parametrize(
    "timestamp",
    [
        "",
        "yesterday",
        "1767323045",
        1767323045,
        None,
        "2026-13-02T03:04:05Z",
        "9999-12-31T23:59:59-23:59",
        "0001-01-01T00:00:00+23:59",
    ],
)
def test_a_senseless_timestamp_is_refused(url: str, timestamp: object) -> None:
    with pytest.raises(sns.Rejected):
        verify(signed(notification(url, Timestamp=timestamp)))


# Certificates


def test_a_certificate_is_fetched_once(amazon: responses.RequestsMock, url: str) -> None:
    for number in range(3):
        verify(signed(notification(url, MessageId=str(number))))
    assert len(amazon.calls) == 1


def test_threads_that_need_the_same_certificate_share_one_fetch(amazon: responses.RequestsMock) -> None:
    url, threads = new_url(), 8
    barrier = threading.Barrier(threads)

    def slow_answer(_request: object) -> tuple[int, dict[str, str], bytes]:
        time.sleep(0.1)
        return 200, {}, CERTIFICATE

    amazon.add_callback("GET", url, slow_answer)
    fields = signed(notification(url))

    def verify_together(_number: int) -> str:
        barrier.wait()
        return verify(fields).message_id

    with ThreadPoolExecutor(threads) as pool:
        assert len(set(pool.map(verify_together, range(threads)))) == 1
    assert len(amazon.calls) == 1


@pytest.mark.parametrize("status", [500, 503, 404, 403, 302])
def test_a_certificate_that_cannot_be_fetched_is_our_trouble_and_passes(
    amazon: responses.RequestsMock, status: int
) -> None:
    url = new_url()
    amazon.get(url, "try later", status=status)
    with pytest.raises(RemoteError):
        verify(signed(notification(url)))
    gate.reset()
    amazon.replace("GET", url, CERTIFICATE)
    assert verify(signed(notification(url))).topic_arn == ARN


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>Not a certificate</html>",
        CERTIFICATE[:500],
        CERTIFICATE + b"x" * 64 * 1024,
        certificate(ec.generate_private_key(ec.SECP256R1())),
        certificate(until=NOW - timedelta(seconds=1)),
        certificate(since=NOW + timedelta(seconds=1)),
    ],
    ids=["empty", "html", "cut", "too large", "not RSA", "expired", "not valid yet"],
)
def test_what_is_no_valid_certificate_is_refused_and_not_kept(amazon: responses.RequestsMock, body: bytes) -> None:
    url = new_url()
    amazon.get(url, body)
    fields = signed(notification(url))
    with pytest.raises(sns.Rejected, match="certificate"):
        verify(fields)
    amazon.replace("GET", url, CERTIFICATE)
    assert verify(fields).topic_arn == ARN


def test_a_kept_certificate_that_expires_is_fetched_again(amazon: responses.RequestsMock) -> None:
    url, later = new_url(), NOW + timedelta(minutes=30)
    amazon.get(url, certificate(until=NOW + timedelta(minutes=1)))
    fields = signed(notification(url))
    verify(fields)
    with pytest.raises(sns.Rejected, match="not valid now"):
        verify(fields, now=later)
    amazon.replace("GET", url, certificate(until=NOW + timedelta(days=1)))
    assert verify(fields, now=later).topic_arn == ARN


def test_only_so_many_certificates_are_kept(amazon: responses.RequestsMock) -> None:
    urls = [new_url() for _ in range(sns.CERTIFICATES_KEPT + 1)]
    for url in urls:
        amazon.get(url, CERTIFICATE)
        verify(signed(notification(url)))
    verify(signed(notification(urls[-1])))
    assert len(amazon.calls) == len(urls)
    verify(signed(notification(urls[0])))
    assert len(amazon.calls) == len(urls) + 1


# The body


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"Notification"',
        b"{",
        b"\xff\xfe\xfd",
        b'{"Type": "Notification"}',
        b'{"Type": "Other"}',
        b'{"Type": ["Notification"]}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"a":' + b"9" * 5000 + b"}",
    ],
    ids=lambda body: repr(body[:20]),
)
def test_what_is_no_envelope_is_refused(body: bytes) -> None:
    with pytest.raises(sns.Rejected):
        sns.parse(body)


@pytest.mark.parametrize("make", [notification, confirmation])
def test_an_envelope_without_one_of_its_fields_is_refused(url: str, make: Callable[..., Fields]) -> None:
    fields = signed(make(url))
    for name in fields.keys() - {"UnsubscribeURL"}:
        for value in (None, 1, ["x"]):
            with pytest.raises(sns.Rejected):
                verify(fields | {name: value})
        with pytest.raises(sns.Rejected):
            verify({key: value for key, value in fields.items() if key != name})


def test_an_unknown_type_is_refused(url: str) -> None:
    with pytest.raises(sns.Rejected, match="Type"):
        sns.parse(json.dumps(notification(url, Type="Other")).encode())


def test_a_body_above_one_mebibyte_is_refused(url: str) -> None:
    body = json.dumps(notification(url)).encode()
    assert sns.parse(body.ljust(1024 * 1024)).topic_arn == ARN
    with pytest.raises(sns.Rejected, match="too large"):
        sns.parse(body.ljust(1024 * 1024 + 1))


@given(st.binary() | st.text().map(str.encode))
def test_no_body_raises_anything_but_rejected(body: bytes) -> None:
    with pytest.raises(sns.Rejected):
        sns.parse(body)


def test_raw_delivery_is_refused() -> None:
    for value in ("true", "True"):
        with pytest.raises(sns.Rejected, match="Raw"):
            sns.refuse_raw_delivery({"x-amz-sns-rawdelivery": value})
    assert sns.refuse_raw_delivery({"x-amz-sns-message-type": "Notification"}) is None


# Any text


values = st.text(st.characters(exclude_categories=["Cs"]))
lines = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\x00"), min_size=1, max_size=200)


@given(values, lines, lines, st.none() | lines, st.data())
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_text_is_verified_and_no_other_text_in_its_place(
    url: str, message: str, message_id: str, topic: str, subject: str | None, data: st.DataObject
) -> None:
    fields = notification(url, Message=message, MessageId=message_id, TopicArn=topic, Subject=subject)
    if subject is None:
        del fields["Subject"]
    fields = signed(fields)
    envelope = verify(fields)
    assert (envelope.message, envelope.message_id, envelope.topic_arn) == (message, message_id, topic)

    name = data.draw(st.sampled_from(["Message", "MessageId", "TopicArn", "Subject"]))
    other = data.draw((values if name == "Message" else lines).filter(lambda text: text != fields.get(name)))
    with pytest.raises(sns.Rejected, match="signature"):
        verify(fields | {name: other})


@given(
    st.sampled_from(sorted(SIGNED)),
    st.dictionaries(
        st.sampled_from(
            sorted({*SIGNED["Notification"], *SIGNED["SubscriptionConfirmation"], "Extra", "subject"})
        ),
        values | st.none() | st.integers(),
    ),
    st.randoms(use_true_random=False),
)
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_what_is_signed_are_the_contracts_fields_in_its_order_as_far_as_they_are_texts(
    kind: str, changed: Fields, chance: Any
) -> None:
    """Whatever the order of the fields, whatever is absent, null or no text, and whatever else is there."""
    make = notification if kind == "Notification" else confirmation
    items = [*(make("https://x", Type=kind) | changed | {"Type": kind}).items()]
    chance.shuffle(items)
    fields = dict(items)
    try:
        envelope = sns.parse(json.dumps(fields).encode())
    except sns.Rejected:
        return
    lines = [[name, fields[name]] for name in SIGNED[kind] if isinstance(fields.get(name), str)]
    assert sns.canonical(envelope) == "".join(f"{line}\n" for pair in lines for line in pair).encode()
