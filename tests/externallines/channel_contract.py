"""What every channel has to hold, whatever it bridges: a suite that each adapter's tests inherit.

A subclass describes one channel (the attributes and methods without a value below) and adds what is special
to it. Everything is judged from outside: bytes in, events or errors out, and a real server as the messenger.
"""

import copy
import dataclasses
import inspect
import json
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any, ClassVar

import pytest
import time_machine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from externallines.channels import CHANNELS
from externallines.channels.base import (
    Account,
    Channel,
    Event,
    InvalidCredentials,
    InvalidSignature,
    MediaKind,
    MessageReceived,
    OutboundFile,
    OutboundMessage,
    Receipt,
    StatusReported,
)
from portals import gate
from portals.http import RemoteError
from portals.payload import InvalidPayload
from tests.adversaries import EFFORT
from tests.externallines.remote import Remote, serve_remote

ROOT = Path(__file__).resolve().parent.parent.parent
# The types of Uspacy's chat meta, channels.md 0.
META_TYPES = {"phone", "username", "telegram", "viber", "whatsapp", "facebook", "instagram"}
PATIENCE = 0.3  # seconds a channel waits for a remote that hangs

texts = st.text(st.characters())  # with lone surrogates and NUL: JSON allows both
NASTY = (
    *("", "\x00", "\ud800", "0", "-1", "a" * 256, "9" * 300, "None", "plain", "failed", "🇺🇦"),
    *("0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2026-13-01", "24:00"),
    *("https://", "https://[::1", "https://ex%ample.com:99999/", "javascript:alert(1)", "//x", "http://\x00/"),
    *([], {}, [None], {"": {}}, None, True, False),
    *(0, -1, 2**31, 2**53, 2**63, 2**64, 10**400, -1e308, 1e308, 1e-300, 0.5),
)
values = st.recursive(
    st.sampled_from(NASTY) | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
# What a remote may answer with, whatever was agreed.
BODIES = (
    *(b"", b"<html>It works</html>", b"null", b"[]", b"0", b'"ok"', b"\xff\xfe", b"{", b"[" * 100_000),
    *(b'{"ok": true}', b'{"result": null}', b'{"error": []}', b'{"error": {"code": {}}}', b'{"message": []}'),
    *(b'{"message": {"id": {}}}', b'{"message": {"id": "\\u0000"}}', b'{"message": {"id": [], "status": {}}}'),
    b'{"message": {"id": "' + b"x" * 300 + b'"}}',
    b'{"messages": [{}]}',
)
# Tests that subclasses share run on several classes; that is what they are for.
shared = settings(max_examples=40 * EFFORT, deadline=None, suppress_health_check=[HealthCheck.differing_executors])


def sample_message(**changes: Any) -> OutboundMessage:
    """A message with everything a channel may be given."""
    picture = OutboundFile(
        name="Ціни.png",
        mime_type="image/png",
        size=7,
        sha256="5b3513f580c8397212ff2c8f459c199efc0c90e4354a5f3533adf0a3fff3a530",
        kind=MediaKind.IMAGE,
        url="https://lines.example.com/media/token/x.png",
        write_to=lambda file: file.write(b"picture"),
    )
    message = OutboundMessage(
        client_id="0b9bd0e6-9f4b-4f6e-8d0a-1f6f0c1d2e3f",
        delivery_id="17",
        chat_id="1001",
        contact_id="2002",
        seq=3,
        text="Hello, **Ann**",
        files=[picture],
        external_id="5001",
        reply_to="5000",
        author_id="41",
        sent_at=datetime(2026, 11, 22, 10, 0, 0, 500_000, UTC),
        customer_wrote_at=datetime.now(UTC),
    )
    return dataclasses.replace(message, **changes)


class ChannelContract:
    """The suite. Payloads are files in `tests/payloads/<slug>`."""

    channel: ClassVar[type[Channel]]
    form: ClassVar[Mapping[str, str]]  # what an owner enters, complete
    bad_forms: ClassVar[Sequence[tuple[Mapping[str, str], str]]]  # forms with a mistake, and the field it is in
    credentials: ClassVar[Mapping[str, Any]]  # as they are stored
    other_credentials: ClassVar[Mapping[str, Any]]  # those of another line
    secrets: ClassVar[Sequence[str]]  # what must never show, of all the credentials above
    events: ClassVar[Mapping[str, Sequence[Event]]]  # payload file -> what it tells
    refused: ClassVar[Mapping[str, str]]  # payload file that breaks the contract -> the field that does
    signs_body: ClassVar[bool] = True  # False: the messenger proves itself by a header alone

    def signed(self, body: bytes, credentials: Mapping[str, Any], *, call: str = "call-1") -> dict[str, str]:
        """Return the headers that prove a call of the messenger's; `call` is the same for a repeat of it."""
        raise NotImplementedError

    def at(self, url: str, monkeypatch: pytest.MonkeyPatch) -> Channel:
        """Return the channel with `credentials`, for which the messenger is at `url`."""
        raise NotImplementedError

    def hurry(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Make the channel wait for an answer for `PATIENCE` only."""
        raise NotImplementedError

    def source(self, url: str) -> Mapping[str, Any]:
        """Return the `source` of a customer's file that is at the messenger at `url`."""
        return {"url": f"{url}/file"}

    # what the tests below are made of

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        cases = {
            "file": (*self.events, *self.refused),
            "told": tuple(self.events),
            "broken": tuple(self.refused),
            "operation": ("send", "edit", "delete"),
        }
        for name, names in cases.items():
            if name in metafunc.fixturenames:
                metafunc.parametrize(name, names)
        if "bad_form" in metafunc.fixturenames:
            metafunc.parametrize("bad_form", self.bad_forms, ids=lambda case: f"{case[1]}={case[0].get(case[1])}")

    @pytest.fixture
    def remote(self) -> Iterator[Remote]:
        with serve_remote() as remote:
            yield remote

    @pytest.fixture
    def connected(self, remote: Remote, monkeypatch: pytest.MonkeyPatch) -> Channel:
        """The channel, with the stand-in for its messenger."""
        return self.at(remote.url, monkeypatch)

    @property
    def line(self) -> Channel:
        return self.channel(self.credentials)

    def payload(self, file: str) -> bytes:
        return (ROOT / "tests" / "payloads" / self.channel.slug / f"{file}.json").read_bytes()

    def take(self, body: bytes, *, call: str = "call-1") -> list[Event]:
        """What a genuine call tells. Raises InvalidPayload."""
        line, headers = self.line, self.signed(body, self.credentials, call=call)
        line.verify(headers, body)
        return [event for update in line.split(headers, body) for event in line.parse(update.payload)]

    # who may call

    def test_a_genuine_call_passes(self, file: str) -> None:
        body = self.payload(file)
        self.line.verify(self.signed(body, self.credentials), body)

    def test_a_call_signed_with_the_secret_of_another_line_is_refused(self, file: str) -> None:
        body = self.payload(file)
        with pytest.raises(InvalidSignature):
            self.line.verify(self.signed(body, self.other_credentials), body)

    def test_a_changed_body_is_refused(self, file: str) -> None:
        if not self.signs_body:
            pytest.skip("the messenger does not sign the body")
        body = self.payload(file)
        headers = self.signed(body, self.credentials)
        flipped = [body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :] for at in range(0, len(body), 7)]
        passed = [
            changed
            for changed in (b"", body[:-1], body + b" ", b" " + body, body * 2, *flipped)
            if not refuses(self.line, headers, changed)
        ]
        assert passed == []

    def test_a_call_without_one_of_its_headers_is_refused(self) -> None:
        headers = self.signed(b"{}", self.credentials)
        passed = [
            name
            for name in headers
            if not refuses(self.line, {key: value for key, value in headers.items() if key != name}, b"{}")
        ]
        assert passed == []
        assert refuses(self.line, {}, b"{}")

    def test_a_call_with_a_changed_header_is_refused(self) -> None:
        headers = self.signed(b"{}", self.credentials)
        passed = [
            (name, changed)
            for name, value in headers.items()
            for changed in tampered(value)
            if not refuses(self.line, headers | {name: changed}, b"{}")
        ]
        assert passed == []

    @given(st.data())
    @shared
    def test_no_header_makes_a_check_fail_otherwise_than_by_refusing(self, data: st.DataObject) -> None:
        headers = self.signed(b"{}", self.credentials)
        name = data.draw(st.sampled_from(sorted(headers)))
        given = data.draw(texts | st.binary().map(lambda raw: raw.decode("latin-1")))
        assert given == headers[name] or refuses(self.line, headers | {name: given}, b"{}")

    # what a call tells

    def test_every_captured_payload_has_an_expectation(self) -> None:
        folder = ROOT / "tests" / "payloads" / self.channel.slug
        assert {file.stem for file in folder.glob("*.json")} == {*self.events, *self.refused}
        assert not set(self.events) & set(self.refused)

    def test_a_captured_payload_tells_what_happened(self, told: str) -> None:
        assert comparable(self.take(self.payload(told))) == comparable(self.events[told])

    def test_a_payload_that_breaks_the_contract_is_refused_by_field(self, broken: str) -> None:
        with pytest.raises(InvalidPayload) as caught:
            self.take(self.payload(broken))
        assert caught.value.field == self.refused[broken]
        assert str(caught.value)

    def test_the_parts_of_a_call_have_keys_that_a_repeat_has_too(self, told: str) -> None:
        body, keys = self.payload(told), []
        for seconds in (0, 90):  # a repeat comes later, and is signed anew where the messenger does so
            with time_machine.travel(datetime.now(UTC) + timedelta(seconds=seconds)):
                headers = self.signed(body, self.credentials)
                self.line.verify(headers, body)
                keys.append([update.key for update in self.line.split(headers, body)])
        first, repeat = keys
        assert first == repeat
        assert len(set(first)) == len(first)
        assert all(1 <= len(key) <= 255 for key in first)

    def test_different_calls_have_different_keys(self) -> None:
        keys = [
            update.key
            for file in self.events
            for update in self.line.split(
                self.signed(self.payload(file), self.credentials, call=f"call-{file}"), self.payload(file)
            )
        ]
        assert len(set(keys)) == len(keys)

    def test_any_part_of_a_payload_may_be_missing_or_nasty(self, told: str) -> None:
        for body in nasty(json.loads(self.payload(told))):
            self.take_anything(json.dumps(body).encode())

    @given(st.data())
    @shared
    def test_any_json_is_told_or_refused(self, data: st.DataObject) -> None:
        samples = [json.loads(self.payload(file)) for file in self.events]
        body = json.dumps(data.draw(spoiled(samples) | values)).encode()
        self.take_anything(body)

    @given(st.binary() | st.sampled_from([b"[" * 100_000, b"NaN", b"1e999", b"1" * 5_000, b"\xef\xbb\xbf{}"]))
    @shared
    def test_any_bytes_are_told_or_refused(self, body: bytes) -> None:
        self.take_anything(body)

    @pytest.mark.parametrize(
        "body", [b"", b"{", b"\xff", b"NaN", b'{"a": Infinity}', b'{"type": "ping", "data": {"a": NaN}}']
    )
    def test_what_is_not_json_is_refused(self, body: bytes) -> None:
        with pytest.raises(InvalidPayload):
            self.take(body)

    def take_anything(self, body: bytes) -> None:
        """Of a body that may break the contract come events that can be stored, or InvalidPayload."""
        headers = self.signed(body, self.credentials)
        with suppress(InvalidPayload):
            for update in self.line.split(headers, body):
                for event in self.line.parse(update.payload):
                    assert_storable(event)

    @given(st.dictionaries(texts, texts, max_size=4))
    @shared
    def test_a_strange_challenge_is_not_answered(self, query: dict[str, str]) -> None:
        assert self.line.answer_challenge(query) is None

    # calls out

    def test_every_refusal_and_fault_of_the_remote_is_a_remote_error(
        self, remote: Remote, connected: Channel, operation: str
    ) -> None:
        outcomes = {}
        for status in (*range(300, 309), *range(400, 600)):
            remote.answer(status, b"" if status < 400 else b"{}", location=f"{remote.url}/elsewhere")
            outcomes[status] = outcome(getattr(connected, operation), sample_message())
        assert {status: got for status, got in outcomes.items() if not isinstance(got, RemoteError)} == {}
        assert "/elsewhere" not in {call.path for call in remote.calls}

    def test_a_busy_or_faulty_remote_is_tried_again_and_when_it_asks(
        self, remote: Remote, connected: Channel
    ) -> None:
        for status in (408, 425, 429, 500, 502, 503, 504):
            remote.answer(status, retry_after="90")
            error = outcome(connected.send, sample_message())
            assert isinstance(error, RemoteError)
            assert (status, error.retryable, error.retry_after) == (status, True, 90)

    @pytest.mark.parametrize("status", [200, 400, 403, 422, 500])
    def test_whatever_a_remote_answers_is_a_receipt_or_a_remote_error(
        self, remote: Remote, connected: Channel, operation: str, status: int
    ) -> None:
        for body in (*BODIES, b"x" * 5_000_000):
            remote.answer(status, body)
            got = outcome(getattr(connected, operation), sample_message())
            described = f"{status} {body[:60]!r}: {got!r}"
            if isinstance(got, Receipt):
                assert operation == "send", described
                assert 1 <= len(got.external_id) <= 255, described
                assert is_storable(got.external_id), described
            else:
                assert isinstance(got, RemoteError) or (got is None and operation != "send"), described
            assert status == 200 or isinstance(got, RemoteError), described

    @pytest.mark.parametrize(
        "part",
        [
            b"",
            b"\x00\xff not HTTP at all\r\n\r\n",
            b"HTTP/1.1 2",
            b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
        ],
    )
    def test_a_broken_answer_is_tried_again(
        self, remote: Remote, connected: Channel, operation: str, part: bytes
    ) -> None:
        remote.cut(after=part)
        assert_passing(connected, operation)

    def test_no_answer_is_tried_again_and_not_waited_for(
        self, remote: Remote, connected: Channel, operation: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.hurry(monkeypatch)
        remote.hang()
        started = time.monotonic()
        assert_passing(connected, operation)
        assert time.monotonic() - started < PATIENCE + 5  # on a busy machine

    def test_a_remote_that_is_down_is_tried_again(self, monkeypatch: pytest.MonkeyPatch, operation: str) -> None:
        with serve_remote() as gone:
            pass
        assert_passing(self.at(gone.url, monkeypatch), operation)

    def test_connecting_ends_in_an_account_or_in_a_known_error(self, remote: Remote, connected: Channel) -> None:
        for status, body in [(status, b"{}") for status in range(400, 600)] + [(200, body) for body in BODIES]:
            remote.answer(status, body)
            for action in (connected.check, connected.subscribe, connected.unsubscribe):
                address = [] if action == connected.check else ["https://lines.example.com/webhooks/lines/1"]
                got = outcome(action, *address)
                known = got is None or isinstance(got, Account | InvalidCredentials | RemoteError)
                assert known, f"{status} {body[:60]!r}: {got!r}"

    def test_a_file_that_cannot_be_had_is_a_remote_error(self, remote: Remote, connected: Channel) -> None:
        source = self.source(remote.url)
        for status in (*range(300, 309), *range(400, 600)):
            remote.answer(status)
            got = outcome(connected.download, source, BytesIO(), 1000)
            assert isinstance(got, RemoteError), f"{status}: {got!r}"
        remote.cut(after=b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{")
        assert isinstance(outcome(connected.download, source, BytesIO(), 1000), RemoteError)

    def test_a_file_is_never_read_beyond_the_limit(self, remote: Remote, connected: Channel) -> None:
        remote.answer(200, b"x" * 200_000)
        into = BytesIO()
        assert isinstance(outcome(connected.download, self.source(remote.url), into, 100_000), RemoteError)
        assert len(into.getvalue()) <= 100_000

    def test_the_name_of_the_remote_is_one_for_the_line_and_another_for_others(self) -> None:
        assert self.line.remote == self.channel(copy.deepcopy(dict(self.credentials))).remote
        assert self.line.remote != self.channel(self.other_credentials).remote
        assert [secret for secret in self.secrets if secret in self.line.remote] == []

    # connecting

    def test_the_channel_is_listed_under_its_name(self) -> None:
        assert CHANNELS[self.channel.slug] is self.channel
        assert self.channel.label

    def test_every_field_of_the_form_is_labelled_and_explained(self) -> None:
        fields = self.channel.credential_fields
        assert len({field.name for field in fields}) == len(fields)
        for field in fields:
            assert field.name.isidentifier()
            assert field.label
            assert field.help_text.endswith(".")
        assert set(self.form) <= {field.name for field in fields}

    def test_a_good_form_gives_credentials_that_hold_what_was_entered(self) -> None:
        prepared = self.channel.prepare(dict(self.form))
        assert json.loads(json.dumps(prepared)) == prepared
        assert {name: prepared[name] for name in self.form} == dict(self.form)

    def test_a_bad_form_is_refused_by_field(self, bad_form: tuple[Mapping[str, str], str]) -> None:
        form, field = bad_form
        with pytest.raises(InvalidCredentials) as caught:
            self.channel.prepare(dict(form))
        assert caught.value.field == field
        assert str(caught.value).endswith(".")

    @given(st.data())
    @shared
    def test_any_form_is_taken_or_refused(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.form)))
        names = [field.name for field in self.channel.credential_fields]
        got = raised(self.channel.prepare, {**self.form, name: data.draw(texts)})
        assert isinstance(got, dict) or (isinstance(got, InvalidCredentials) and got.field in names), repr(got)

    # what must not show

    def test_no_secret_shows_in_an_error_or_a_log(
        self,
        remote: Remote,
        connected: Channel,
        caplog: pytest.LogCaptureFixture,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        caplog.set_level("DEBUG")
        caplog.set_level("WARNING", logger="markdown_it")  # tells every step
        errors: list[object] = []
        for status in (200, 302, 400, 401, 403, 404, 410, 422, 429, 500):
            for body in (b"", b"[]", b"x" * 5_000_000):
                remote.answer(status, body)
                errors += self.call_everything(connected, remote)
        remote.cut()
        errors += self.call_everything(connected, remote)
        gate.reset()
        remote.answer(500)
        errors += [raised(connected.send, sample_message()) for _ in range(3)]  # at last the gate refuses
        self.hurry(monkeypatch)
        remote.hang()
        errors.append(outcome(connected.send, sample_message()))
        errors += [raised(self.channel.prepare, dict(form)) for form, _ in self.bad_forms]
        errors += [raised(self.take, self.payload(file)) for file in self.refused]
        errors += [raised(self.line.verify, headers, b"{}") for headers in self.forgeries()]
        shown = [*map(described, errors), caplog.text, repr(connected), str(connected), connected.remote]
        assert sum(isinstance(error, Exception) for error in errors) > 50
        assert [(secret, text) for secret in self.secrets for text in shown if secret in text] == []

    def call_everything(self, connected: Channel, remote: Remote) -> list[object]:
        return [
            outcome(connected.send, sample_message()),
            outcome(connected.edit, sample_message()),
            outcome(connected.delete, sample_message()),
            outcome(connected.check),
            outcome(connected.subscribe, "https://lines.example.com/webhooks/lines/1"),
            outcome(connected.unsubscribe, "https://lines.example.com/webhooks/lines/1"),
            outcome(connected.download, self.source(remote.url), BytesIO(), 1000),
        ]

    def forgeries(self) -> Iterator[dict[str, str]]:
        headers = self.signed(b"{}", self.credentials)
        for name, value in headers.items():
            for changed in tampered(value):
                yield headers | {name: changed}

    # where it stands

    def test_the_adapter_needs_no_django(self) -> None:
        module = inspect.getmodule(self.channel)
        assert module is not None
        program = (
            f"import sys, {module.__name__}\n"
            "print(sorted({'django', 'rest_framework', 'celery', 'structlog'} & set(sys.modules)))"
        )
        run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True)
        assert run.stdout.strip() == "[]"


def comparable(value: Any) -> Any:
    """Events as plain values: whether a sequence is a list or a tuple is up to the adapter."""
    if dataclasses.is_dataclass(value):
        return type(value).__name__, comparable(vars_of(value))
    if isinstance(value, list | tuple):
        return [comparable(item) for item in value]
    if isinstance(value, dict):
        return {name: comparable(item) for name, item in value.items()}
    return value


def vars_of(event: Any) -> dict[str, Any]:
    return {field.name: getattr(event, field.name) for field in dataclasses.fields(event)}


def refuses(channel: Channel, headers: Mapping[str, str], body: bytes) -> bool:
    """Whether the call is refused; any other exception is a failure of the test."""
    try:
        channel.verify(headers, body)
    except InvalidSignature:
        return True
    return False


def tampered(value: str) -> Iterator[str]:
    """Yield values of a header that are almost right, or cannot be compared."""
    yield from ("", value[:-1], f"0{value}", *(value + more for more in ("0", "\n", "\xa0", "ї", "\ud800")))
    for at, char in enumerate(value):
        yield value[:at] + ("0" if char != "0" else "1") + value[at + 1 :]


def raised(action: Callable[..., object], *arguments: object) -> object:
    """What an action returns or raises."""
    try:
        return action(*arguments)
    except Exception as exc:
        return exc


def outcome(action: Callable[..., object], *arguments: object) -> object:
    """What an action returns or raises, with all gates open before."""
    gate.reset()
    return raised(action, *arguments)


def described(outcome: object) -> str:
    """All that a log, a traceback or a page could show of it."""
    text = "".join(traceback.format_exception(outcome)) if isinstance(outcome, Exception) else ""
    return f"{outcome} {outcome!r} {getattr(outcome, '__dict__', '')} {text}"


def assert_passing(channel: Channel, operation: str) -> None:
    """The operation fails in a way that is tried again, unless the messenger has no such operation."""
    got = outcome(getattr(channel, operation), sample_message())
    assert isinstance(got, RemoteError)
    unsupported = getattr(type(channel), operation) is getattr(Channel, operation)
    assert got.retryable or unsupported, f"{got!r}"


def assert_storable(event: Event) -> None:
    """The event has the sizes and characters that the models and Uspacy take."""
    known = dataclasses.asdict(event)
    assert is_storable(json.dumps(known, default=str, ensure_ascii=False)), known
    for name in ("chat_id", "message_id"):
        if name in known and not isinstance(event, StatusReported) and known.get("until") is None:
            assert 1 <= len(known[name]) <= 255, known
    for moment in (value for value in known.values() if isinstance(value, datetime)):
        assert moment.tzinfo, known
        moment.astimezone(UTC)  # as it is stored; raises where there is no such year
    if isinstance(event, StatusReported):
        assert event.message_id or event.client_id
        assert len(event.message_id) <= 255
    if isinstance(event, MessageReceived):
        assert 1 <= len(event.contact.id) <= 255, known
        assert len(event.contact.name) <= 255, known
        assert len(event.reply_to) <= 255, known
        assert {kind for kind, _ in event.contact.meta} <= META_TYPES, known
        assert event.text or event.media, known
        for media in event.media:
            assert 1 <= len(media.name) <= 255, known
            assert len(media.mime_type) <= 255, known
            assert media.size is None or 0 <= media.size < 2**63, known


def is_storable(text: str) -> bool:
    """Whether PostgreSQL takes the text."""
    try:
        return "\\u0000" not in text and "\x00" not in text.encode().decode()
    except UnicodeEncodeError:
        return False


def nasty(payload: Any) -> Iterator[Any]:
    """Yield the payload with each of its parts missing, and with each nasty value in its place."""
    for container, key in list(_places(payload)):
        part = container[key]
        for value in NASTY:
            container[key] = value
            yield payload
        del container[key]
        yield payload
        container.insert(key, part) if isinstance(container, list) else container.update({key: part})


@st.composite
def spoiled(draw: st.DrawFn, samples: Sequence[Any]) -> Any:
    """A captured payload in which something is missing, or other than agreed."""
    payload = copy.deepcopy(draw(st.sampled_from(samples)))
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(payload))
        if not places:
            break
        container, key = draw(st.sampled_from(places))
        if draw(st.booleans()):
            container[key] = draw(values)
        else:
            del container[key]
    return payload


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every place inside a JSON value, as its container and its key there."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from _places(value[key])
