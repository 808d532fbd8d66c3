"""What the tests of Meta's channels share: signatures, addresses, and a remote that answers call by call."""

import copy
import hmac
import json
import time
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from externallines.channels import addresses, meta
from externallines.channels.base import (
    AccountProblem,
    AccountThrottled,
    Blocked,
    Doubtful,
    InvalidSignature,
    MediaKind,
    OutboundFile,
    WindowClosed,
)
from portals.http import Refused, ServerFault, Throttled, Unreachable
from tests.externallines.channel_contract import (
    PATIENCE,
    ChannelContract,
    comparable,
    nasty,
    outcome,
    sample_message,
)
from tests.externallines.remote import Remote, serve_remote

# The classes of the error tables, channels.md 3 and 4.
AUTH, PAUSE, BLOCKED, WINDOW = AccountProblem, AccountThrottled, Blocked, WindowClosed
PERMANENT, RETRY, CHAT, DOUBTFUL = Refused, ServerFault, Throttled, Doubtful
SLOW, PATIENT_ENOUGH = 3.0, 2.0  # seconds of an answer, and for any answer but a registration's
CLIENT_ID = "0b9bd0e6-9f4b-4f6e-8d0a-1f6f0c1d2e3f"
AT = datetime(2025, 11, 24, 16, 0, tzinfo=UTC)  # 1764000000, in the payloads of WhatsApp
AT_MS = AT.replace(microsecond=123_000)  # and in the others
CANNOT_BE_SHOWN = "_A message of a kind that cannot be shown here. Look at it in the messenger._"
ADDRESS = "https://lines.example.com/webhooks/lines/1"
OLD_ADDRESS = "https://old.example.com/app/webhooks/lines/1"  # ours as well, before we moved


class Graph(Remote):
    """Answers each call by its method and path, without the version; {} where nothing is set."""

    def __init__(self, url):
        super().__init__(url)
        self.answers = {}
        self.slow = ""  # the call that takes SLOW seconds

    def on(self, call, body, *, status=200, **headers):
        """Answer `call`, for instance "GET me"."""
        self.answers[call] = (status, json.dumps(body).encode(), headers)

    def serve(self, call):
        path = urlsplit(call.path).path.removeprefix("/")
        status, body, headers = self.answers.get(f"{call.method} {path}", (200, b"{}", {}))
        self.answer(status, body, **headers)
        if described(call) == self.slow:
            time.sleep(SLOW)
        return super().serve(call)

    def made(self, wanted=""):
        """The calls whose method and path start like that."""
        return [call for call in self.calls if described(call).startswith(wanted)]


def described(call):
    return f"{call.method} {urlsplit(call.path).path.removeprefix('/')}"


def query(call):
    return {name: values[0] for name, values in parse_qs(urlsplit(call.path).query).items()}


def error(code, subcode=0, text="no", **more):
    body = {"message": text, "type": "OAuthException", "code": code, "fbtrace_id": "x", **more}
    return {"error": {**body, "error_subcode": subcode} if subcode else body}


def file(name="bag.png", mime_type="image/png", kind=MediaKind.IMAGE, size=7):
    url = f"https://lines.example.com/media/t/{name}"
    return OutboundFile(name, mime_type, size, "0" * 64, kind, url, lambda into: into.write(b"picture"))


def long_ago(**age):
    return datetime.now(UTC) - timedelta(**age)


class MetaContract(ChannelContract):
    """The contract of channels, for one of Meta's."""

    success: bytes  # an answer to every call of `send`
    error_rows: tuple = ()

    def pytest_generate_tests(self, metafunc):
        super().pytest_generate_tests(metafunc)
        if "row" in metafunc.fixturenames:
            metafunc.parametrize("row", self.error_rows, ids=lambda row: f"{row[0]}-{row[1]}")

    def signed(self, body, credentials, *, call="call-1"):
        key = credentials["app_secret"].encode()
        return {"x-hub-signature-256": "sha256=" + hmac.digest(key, body, "sha256").hex()}

    def at(self, url, monkeypatch):
        monkeypatch.setattr(addresses, "meta_graph", url)
        monkeypatch.setattr(addresses, "instagram_graph", url)
        return self.line

    @property
    def line(self):
        return self.channel(self.credentials, ADDRESS)

    def hurry(self, monkeypatch):
        monkeypatch.setattr(meta, "TIMEOUT", PATIENCE)
        monkeypatch.setattr(meta, "UPLOAD_TIMEOUT", PATIENCE)

    @pytest.fixture
    def graph(self, monkeypatch):
        with serve_remote(Graph) as graph:
            self.at(graph.url, monkeypatch)
            yield graph

    # who may call

    def test_the_golden_signature_of_the_contract_passes(self):
        line = self.channel({**self.credentials, "app_secret": "app_secret_123"})
        digest = "3b38910fd4c2e5c834930c9fd805f746ee525de8bee6b29c36fbabcbb61670c2"
        body = b'{"object":"page","entry":[]}'
        line.verify({"x-hub-signature-256": f"sha256={digest}"}, body)
        for wrong in (digest, f"sha1={digest}", f"SHA256={digest}", f"sha256={digest.upper()}"):
            with pytest.raises(InvalidSignature):
                line.verify({"x-hub-signature-256": wrong}, body)

    def test_the_challenge_is_answered_to_who_knows_the_token(self):
        prepared = self.channel.prepare(self.form)
        line, token = self.channel(prepared), prepared["verify_token"]
        asked = {"hub.mode": "subscribe", "hub.verify_token": token, "hub.challenge": "1158201444"}
        assert line.show() == {"verify_token": token}
        assert line.answer_challenge(asked) == "1158201444"
        assert line.answer_challenge({**asked, "hub.verify_token": f"{token}x"}) is None
        assert line.answer_challenge({**asked, "hub.mode": "unsubscribe"}) is None
        assert line.answer_challenge({"hub.mode": "subscribe", "hub.verify_token": token}) is None

    def test_every_line_has_a_token_of_its_own(self):
        one, other = (self.channel.prepare(self.form)["verify_token"] for _ in range(2))
        assert len(one) >= 32
        assert one != other

    # what a call tells

    def test_an_odd_part_of_a_call_does_not_cost_the_others(self):
        call = json.loads(self.payload("text"))
        for odd in nasty(copy.deepcopy(call["entry"])):
            told = self.take(json.dumps({**call, "entry": [*odd, *call["entry"]]}).encode())
            assert comparable(told[-1]) == comparable(self.events["text"][-1]), odd

    # connecting

    @pytest.mark.parametrize(
        ("held", "ours"),
        [
            (ADDRESS, True),
            (OLD_ADDRESS, True),
            ("https://lines.example.com/webhooks/lines/2", False),
            ("https://lines.example.com/", False),
            ("", False),
            ("https://[", False),
        ],
    )
    def test_an_address_is_ours_by_the_key_at_its_end(self, held, ours):
        assert self.line.is_ours(held) is ours
        assert not self.channel(self.credentials).is_ours(held)

    def assert_only_a_registration_may_take_long(self, graph, monkeypatch, *, registration, message):
        """Meta calls us before it answers a registration; a worker that shuts down does not wait for more."""
        assert meta.TIMEOUT <= 15
        monkeypatch.setattr(meta, "TIMEOUT", PATIENT_ENOUGH)
        graph.slow = registration
        self.line.subscribe(ADDRESS)
        assert graph.made(registration)
        graph.slow = message
        assert type(outcome(self.line.send, sample_message(files=[]))) is Unreachable

    # errors

    def test_an_error_has_the_outcome_of_its_row(self, remote, connected, row):
        code, subcode, kind, more = row
        remote.answer(400, json.dumps(error(code, subcode, more.get("text", "no"))).encode())
        got = outcome(connected.send, sample_message(files=[]))
        assert type(got) is kind, repr(got)
        assert got.code == (f"{code}/{subcode}" if subcode else str(code))
        assert f"(code {got.code})" in str(got)
        assert {name: getattr(got, name) for name in more if name not in ("text", "final")} == {
            name: value for name, value in more.items() if name not in ("text", "final")
        }
        if "final" in more:
            assert type(got.final) is more["final"]

    def test_an_unknown_code_is_judged_by_the_status(self, remote, connected):
        for status, kind in ((400, Refused), (403, Refused), (500, ServerFault), (503, ServerFault)):
            remote.answer(status, json.dumps(error(987654)).encode())
            assert type(outcome(connected.send, sample_message(files=[]))) is kind

    def test_a_wait_is_taken_from_the_usage_headers(self, remote, connected):
        usage = {"1": [{"estimated_time_to_regain_access": 3}, {"estimated_time_to_regain_access": 7}], "2": []}
        for headers, wait in (
            ({"X_Business_Use_Case_Usage": json.dumps(usage)}, 420),
            ({"X_Business_Use_Case_Usage": json.dumps(usage), "Retry_After": "9"}, 9),
            ({"X_App_Usage": '{"call_count":100,"total_time":25}'}, 300),
            ({"X_App_Usage": '{"call_count":99}'}, None),
            ({"X_App_Usage": "nonsense", "X_Business_Use_Case_Usage": '{"1":[{}],"2":7}'}, None),
        ):
            remote.answer(400, json.dumps(error(4)).encode(), **headers)
            got = outcome(connected.send, sample_message(files=[]))
            assert (type(got), got.retry_after) == (PAUSE, wait)

    def test_a_token_that_meta_quotes_is_not_shown(self, remote, connected):
        token = self.credentials["access_token"]
        remote.answer(400, json.dumps(error(190, text=f"Malformed access token {token}")).encode())
        assert token not in str(outcome(connected.send, sample_message(files=[])))

    def test_an_answer_about_one_customer_does_not_shut_the_gate(self, remote, connected):
        remote.answer(500, json.dumps(error(100)).encode())
        for _ in range(20):
            with pytest.raises(Refused):
                connected.send(sample_message(files=[]))

    def test_an_empty_message_is_refused(self, connected):
        assert type(outcome(connected.send, sample_message(text=" ", files=[]))) is Refused

    def test_parts_that_were_taken_are_not_sent_again(self, remote, connected):
        recorded = []
        remote.answer(200, self.success)
        message = sample_message(text="word " * 1500, files=[], record=recorded.append)
        connected.send(message)
        parts = len(remote.calls)
        assert parts >= 2
        assert len(recorded) == parts - 1
        remote.calls.clear()
        connected.send(sample_message(text="word " * 1500, files=[], earlier_ids=recorded[:1]))
        assert len(remote.calls) == parts - 1

    def test_a_message_that_became_shorter_than_what_was_sent_ends_with_its_last_part(self, remote, connected):
        remote.answer(200, self.success)
        receipt = connected.send(sample_message(text="short", files=[], earlier_ids=["m_1", "m_2"]))
        assert receipt.external_id
        assert len(remote.calls) == 1
