"""The channel `webhook`: the contract of channels, and the table and envelopes of channels.md 5."""

import base64
import dataclasses
import json
import re
from datetime import UTC, datetime, timedelta, timezone
from io import BytesIO

import pytest
import time_machine
from standardwebhooks.webhooks import Webhook as StandardWebhook

from externallines.channels import standard_webhooks, webhook
from externallines.channels.base import (
    AccountProblem,
    Blocked,
    Contact,
    Ignored,
    InvalidCredentials,
    Media,
    MediaKind,
    MessageDeleted,
    MessageEdited,
    MessageReceived,
    Progress,
    ReachabilityChanged,
    Receipt,
    StatusReported,
    WindowClosed,
)
from portals import gate
from portals.http import Busy, ForbiddenAddress, Refused, ServerFault, Throttled, TooLarge, Unreachable
from tests.externallines.channel_contract import PATIENCE, ChannelContract, outcome, raised, sample_message

SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
OTHER_SECRET = "whsec_ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA="
KEY_IN_URL = "a-key-of-the-partners"
URL = f"https://partner.example.com/hook?key={KEY_IN_URL}"
CLIENT_ID = "0b9bd0e6-9f4b-4f6e-8d0a-1f6f0c1d2e3f"
ANN = Contact("2002")


def said(message_id, text, **more):
    return [MessageReceived("conv-1001", message_id, ANN, **{"text": text, **more})]


class TestWebhook(ChannelContract):
    channel = webhook.Webhook
    form = {"url": URL, "secret": SECRET}
    bad_forms = [
        ({"url": url, "secret": SECRET}, "url")
        for url in (
            *("", "partner", "partner.example.com/hook", "ftp://partner.example.com/", "file:///etc/passwd"),
            *("https://", "https://ann:pw-of-ann@partner.example.com/", "https://partner.example.com/a b"),
        )
    ] + [
        ({"url": URL, "secret": secret}, "secret")
        for secret in (
            *("short", SECRET.removeprefix("whsec_"), SECRET.removesuffix("="), "whsec_", "whsec_тaємниця"),
            *("whsec_" + base64.b64encode(bytes(size)).decode() for size in (23, 65)),
        )
    ]
    credentials = {"url": URL, "secret": SECRET, "secret_is_ours": False}
    other_credentials = {
        "url": "https://partner.example.com/other",
        "secret": OTHER_SECRET,
        "secret_is_ours": True,
    }
    secrets = [SECRET.removeprefix("whsec_"), KEY_IN_URL, "pw-of-ann"]
    events = {
        "message_created": [
            MessageReceived(
                chat_id="conv-1001",
                message_id="m-1",
                contact=Contact(
                    id="2002",
                    name="Ann Коваль",
                    picture_url="https://partner.example.com/avatars/2002.jpg",
                    meta=[("phone", "+380501112233"), ("username", "ann.koval")],
                ),
                text=r"Добрий день! Чи є \*синя\* сукня, 42-й?",
                sent_at=datetime(2026, 11, 22, 10, 0, 0, 250_000, UTC),
            )
        ],
        "message_created_minimal": said("m-2", "Hi"),
        "message_created_markdown": said(
            "m-3",
            "**sale**: [our site](https://example.com)",
            sent_at=datetime(2026, 11, 22, 10, 0, 1, tzinfo=UTC),
        ),
        "message_created_reply": said("m-4", "this one", reply_to="m-1"),
        "message_created_by_the_business": said("m-5", "We called you", outgoing=True),
        "message_created_with_attachments": said(
            "m-6",
            "",
            media=[
                Media(
                    {"url": "https://cdn.example.com/a.jpg?sig=1"}, "a.jpg", "image/jpeg", 48213, MediaKind.IMAGE
                ),
                Media({"url": "https://cdn.example.com/b.mp4"}, "b.mp4", "video/mp4", None, MediaKind.VIDEO),
                Media({"url": "https://cdn.example.com/c.mp3"}, "c.mp3", "audio/mpeg", 1200, MediaKind.AUDIO),
                Media({"url": "https://cdn.example.com/d.ogg"}, "d.ogg", "audio/ogg", None, MediaKind.VOICE),
                Media({"url": "https://cdn.example.com/e.pdf"}, "прайс.pdf", "application/pdf"),
                Media({"url": "https://cdn.example.com/f"}, "file"),
            ],
        ),
        "message_created_with_a_location": said(
            "m-7", "I am here\n[[Kyiv\\](x)](https://maps.google.com/?q=50.4501,30.5234)"
        ),
        "message_created_with_a_bare_location": said("m-8", "[Location](https://maps.google.com/?q=-1,0)"),
        "message_created_with_numeric_ids": [
            MessageReceived("1001", "90071992547409931", ANN, text="numbers", reply_to="7")
        ],
        "message_created_with_nulls": said("m-9", "nulls"),
        "message_created_with_unknown_fields": said("m-10", "more"),
        "message_created_with_unstorable_characters": [
            MessageReceived("conv-1001", "m-11", Contact("2002", name="\ufffdAnn"), text="ab \ufffd 🇺🇦")
        ],
        "message_created_with_a_senseless_time": said("m-12", "when?"),
        "message_created_with_a_time_that_cannot_be_stored": said("m-13", "in year 0"),
        "message_created_with_unix_seconds": said(
            "m-14", "seconds", sent_at=datetime(2026, 11, 22, 10, tzinfo=UTC)
        ),
        "message_created_with_unix_milliseconds": said(
            "m-15", "milliseconds", sent_at=datetime(2026, 11, 22, 10, 0, 0, 250_000, UTC)
        ),
        "message_created_with_long_names": [
            MessageReceived(
                "conv-1001",
                "m" * 255,
                Contact("c" * 255, name="N" * 255),
                text="long",
                media=[Media({"url": "https://cdn.example.com/x"}, "n" * 255, "t" * 255)],
            )
        ],
        "message_updated": [
            MessageEdited(
                "conv-1001", "m-1", r"And the \*red\* one?", at=datetime(2026, 11, 22, 10, 5, tzinfo=UTC)
            )
        ],
        "message_deleted": [MessageDeleted("conv-1001", "m-1")],
        "message_status_delivered": [StatusReported(Progress.DELIVERED, message_id="p-77")],
        "message_status_read_by_client_id": [StatusReported(Progress.READ, client_id=CLIENT_ID)],
        "message_status_failed": [
            StatusReported(Progress.FAILED, "p-78", CLIENT_ID, error="The messenger took it for spam.")
        ],
        "message_status_failed_with_a_code_alone": [StatusReported(Progress.FAILED, "p-79", error="spam")],
        "contact_blocked": [ReachabilityChanged("2002", blocked=True)],
        "contact_unblocked": [ReachabilityChanged("2002", blocked=False)],
        "ping": [Ignored("ping")],
        "unknown_type": [Ignored("unknown type reaction.added")],
    }
    refused = {
        "broken_no_type": "type",
        "broken_no_data": "data",
        "broken_not_an_object": "",
        "broken_no_message_id": "data.message.id",
        "broken_empty_message_id": "data.message.id",
        "broken_long_message_id": "data.message.id",
        "broken_boolean_id": "data.message.id",
        "broken_no_conversation": "data.conversation",
        "broken_long_conversation_id": "data.conversation.id",
        "broken_no_contact": "data.contact",
        "broken_empty_message": "data.message",
        "broken_direction": "data.message.direction",
        "broken_format": "data.message.format",
        "broken_text": "data.message.text",
        "broken_attachments": "data.message.attachments",
        "broken_attachment_without_url": "data.message.attachments.1.url",
        "broken_attachment_without_name": "data.message.attachments.0.name",
        "broken_attachment_on_our_disk": "data.message.attachments.0.url",
        "broken_location": "data.message.location.lat",
        "broken_updated_without_id": "data.message.id",
        "broken_deleted_without_conversation": "data.conversation",
        "broken_status": "data.message.status",
        "broken_status_of_nothing": "data.message",
        "broken_block_of_nobody": "data.contact",
    }

    def signed(self, body, credentials, *, call="call-1"):
        now = datetime.now(UTC)
        signature = StandardWebhook(credentials["secret"]).sign(webhook_id(call), now, body.decode("latin-1"))
        if not body.isascii():  # the package signs text, which it encodes as UTF-8
            signature = standard_webhooks.sign(credentials["secret"], webhook_id(call), int(now.timestamp()), body)
        return {
            "webhook-id": webhook_id(call),
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": signature,
        }

    def at(self, url, monkeypatch):
        return webhook.Webhook({**self.credentials, "url": f"{url}/hook?key={KEY_IN_URL}"})

    def hurry(self, monkeypatch):
        monkeypatch.setattr(webhook, "TIMEOUT", PATIENCE)

    # connecting

    def test_a_secret_is_made_where_none_is_given_and_shown_to_its_owner(self):
        for form in ({"url": URL}, {"url": URL, "secret": ""}):
            prepared = webhook.Webhook.prepare(form)
            assert len(standard_webhooks.key(prepared["secret"])) == 32
            assert webhook.Webhook(prepared).reveal() == {"secret": prepared["secret"]}

    def test_a_secret_that_the_owner_chose_is_not_shown(self):
        assert webhook.Webhook(webhook.Webhook.prepare(self.form)).reveal() == {}

    def test_an_address_inside_our_network_is_refused(self, monkeypatch):
        monkeypatch.setattr("portals.http.allow_private_networks", False)
        for url in ("http://partner.example.com/", "https://127.0.0.1/", "https://partner.example.com:22/"):
            with pytest.raises(InvalidCredentials) as caught:
                webhook.Webhook.prepare({"url": url})
            assert caught.value.field == "url"

    def test_the_account_is_the_address_and_does_not_tell_it(self):
        account = self.line.check()
        assert not account.active  # before its first event
        assert account == webhook.Webhook({**self.credentials, "secret": OTHER_SECRET}).check()
        assert account != webhook.Webhook(self.other_credentials).check()
        assert KEY_IN_URL not in str(account)
        assert "partner.example.com" not in account.external_id

    # in

    def test_a_call_is_known_by_its_webhook_id(self):
        body = self.payload("ping")
        [update] = self.line.split(self.signed(body, self.credentials, call="evt.1"), body)
        assert update.key == webhook_id("evt.1")

    def test_a_call_that_is_older_than_five_minutes_is_refused(self):
        body = self.payload("ping")
        headers = self.signed(body, self.credentials)
        with time_machine.travel(datetime.now(UTC) + timedelta(seconds=299), tick=False):
            self.line.verify(headers, body)
        with time_machine.travel(datetime.now(UTC) + timedelta(seconds=302), tick=False):
            assert raised(self.line.verify, headers, body)

    # out

    def sent(self, remote):
        """The body of the only call that arrived, once the standard's own package has verified it."""
        [call] = remote.calls
        assert call.method == "POST"
        assert call.path == f"/hook?key={KEY_IN_URL}"
        assert call.headers["content-type"] == "application/json"
        assert call.headers["user-agent"] == "uspacy-external-lines"
        assert re.fullmatch("[A-Za-z0-9_-]{1,64}", call.headers["webhook-id"])
        StandardWebhook(SECRET).verify(call.body, call.headers, json_parse=False)
        remote.calls.clear()
        envelope = json.loads(call.body)
        at = datetime.fromisoformat(envelope.pop("timestamp"))
        assert abs(at - datetime.now(UTC)) < timedelta(minutes=1)
        assert call.body == json.dumps(json.loads(call.body), ensure_ascii=False, separators=(",", ":")).encode()
        return envelope

    def test_a_message_is_sent_in_the_agreed_envelope(self, remote, connected):
        connected.send(sample_message())
        assert self.sent(remote) == {
            "type": "message.send",
            "data": {
                "conversation": {"id": "1001"},
                "contact": {"id": "2002"},
                "message": {
                    "client_id": CLIENT_ID,
                    "seq": 3,
                    "text": "Hello, **Ann**",
                    "text_plain": "Hello, Ann",
                    "format": "markdown",
                    "reply_to_id": "5000",
                    "sent_at": "2026-11-22T10:00:00.500Z",
                    "author": {"id": "41", "name": "Operator"},
                    "attachments": [
                        {
                            "url": "https://lines.example.com/media/token/x.png",
                            "name": "Ціни.png",
                            "mime_type": "image/png",
                            "size": 7,
                            "sha256": "5b3513f580c8397212ff2c8f459c199efc0c90e4354a5f3533adf0a3fff3a530",
                            "kind": "image",
                        }
                    ],
                },
            },
        }

    def test_a_message_without_extras_leaves_them_out(self, remote, connected):
        kyiv = timezone(timedelta(hours=2))
        connected.send(sample_message(files=[], reply_to="", sent_at=datetime(2026, 11, 22, 12, tzinfo=kyiv)))
        message = self.sent(remote)["data"]["message"]
        assert "reply_to_id" not in message
        assert message["attachments"] == []
        assert message["sent_at"] == "2026-11-22T10:00:00.000Z"

    def test_an_edit_is_sent_in_the_agreed_envelope(self, remote, connected):
        connected.edit(sample_message(text="Hello, *Ann*!"))
        assert self.sent(remote) == {
            "type": "message.update",
            "data": {
                "conversation": {"id": "1001"},
                "message": {"id": "5001", "client_id": CLIENT_ID, "text": "Hello, *Ann*!"},
            },
        }

    def test_a_deletion_is_sent_in_the_agreed_envelope(self, remote, connected):
        connected.delete(sample_message())
        assert self.sent(remote) == {
            "type": "message.delete",
            "data": {"conversation": {"id": "1001"}, "message": {"id": "5001", "client_id": CLIENT_ID}},
        }

    def test_an_attempt_again_has_the_same_id_and_a_signature_of_its_own(self, remote, connected):
        remote.answer(503)
        assert outcome(connected.send, sample_message())
        with time_machine.travel(datetime.now(UTC) + timedelta(seconds=90)):
            remote.answer(200)
            outcome(connected.send, sample_message())
            first, again = remote.calls
            assert first.headers["webhook-id"] == again.headers["webhook-id"]
            assert 89 <= int(again.headers["webhook-timestamp"]) - int(first.headers["webhook-timestamp"]) <= 92
            StandardWebhook(SECRET).verify(again.body, again.headers, json_parse=False)

    def test_an_edit_has_another_id_than_its_message_and_than_the_next_edit(self, remote, connected):
        connected.send(sample_message())
        for delivery_id in ("18", "9223372036854775807"):
            connected.edit(sample_message(delivery_id=delivery_id))
        ids = [call.headers["webhook-id"] for call in remote.calls]
        assert len(set(ids)) == 3
        assert all(re.fullmatch("[A-Za-z0-9_-]{1,64}", id) for id in ids)

    @pytest.mark.parametrize(
        ("status", "body", "receipt"),
        [
            (200, b"", Receipt(CLIENT_ID)),
            (204, b"", Receipt(CLIENT_ID)),
            (202, b"{}", Receipt(CLIENT_ID)),
            (200, b"thanks", Receipt(CLIENT_ID)),
            (200, b'{"message": null}', Receipt(CLIENT_ID)),
            (200, b'{"message": {"id": "p-1", "status": "accepted"}}', Receipt("p-1", Progress.SENT)),
            (200, b'{"message": {"id": "p-1", "status": "sent"}}', Receipt("p-1", Progress.SENT)),
            (201, b'{"message": {"id": "p-1", "status": "delivered"}}', Receipt("p-1", Progress.DELIVERED)),
            (200, b'{"message": {"id": 77}}', Receipt("77")),
            (200, b'{"message": {"id": "p-1", "status": "read"}}', Receipt("p-1")),
            (200, b'{"message": {"id": "p-1", "status": ["sent"]}}', Receipt("p-1")),
            (200, b'{"message": {"status": "delivered"}}', Receipt(CLIENT_ID, Progress.DELIVERED)),
            (200, b'{"message": {"id": {"a": 1}}}', Receipt(CLIENT_ID)),
            (200, b'{"message": {"id": true}}', Receipt(CLIENT_ID)),
            (200, b'{"message": {"id": "' + b"p" * 256 + b'"}}', Receipt(CLIENT_ID)),
        ],
    )
    def test_what_was_accepted_has_the_partners_id_or_ours(self, remote, connected, status, body, receipt):
        remote.answer(status, body)
        assert connected.send(sample_message()) == receipt

    @pytest.mark.parametrize("method", ["send", "edit", "delete"])
    @pytest.mark.parametrize(
        ("status", "code", "error"),
        [
            (422, "recipient_blocked", Blocked),
            (400, "recipient_blocked", Blocked),
            (422, "recipient_not_found", Blocked),
            (422, "window_closed", WindowClosed),
            (422, "invalid_payload", Refused),
            (422, "", Refused),
            (400, "other", Refused),
            (402, "recipient_blocked", Refused),
            (405, "window_closed", Refused),
            (413, "", Refused),
            (451, "", Refused),
        ],
    )
    def test_a_refusal_is_final_and_tells_the_partners_reason(
        self, remote, connected, method, status, code, error
    ):
        remote.answer(status, json.dumps({"error": {"code": code, "message": "Ні, дякую."}}).encode())
        got = outcome(getattr(connected, method), sample_message())
        assert type(got) is error
        assert not got.retryable
        assert got.code == (code if error is not Refused else str(status))
        assert str(got) == (
            "Ні, дякую." if status in (400, 422) else f"The remote side answered with status {status}."
        )

    @pytest.mark.parametrize(
        ("body", "error", "text"),
        [
            (b'{"error": {"code": "window_closed"}}', WindowClosed, "The partner says: window_closed."),
            (
                b'{"error": {"code": "window_closed", "message": 7}}',
                WindowClosed,
                "The partner says: window_closed.",
            ),
            (b'{"error": {"code": ["window_closed"]}}', Refused, "The remote side answered with status 422."),
            (b'{"error": "window_closed"}', Refused, "The remote side answered with status 422."),
            (b"no", Refused, "The remote side answered with status 422."),
        ],
    )
    def test_a_refusal_without_a_reason_has_a_sentence_of_ours(self, remote, connected, body, error, text):
        remote.answer(422, body)
        got = outcome(connected.send, sample_message())
        assert (type(got), str(got)) == (error, text)

    def test_a_long_reason_is_cut(self, remote, connected):
        remote.answer(422, json.dumps({"error": {"code": "window_closed", "message": "x" * 9_000}}).encode())
        assert str(outcome(connected.send, sample_message())) == "x" * 500

    @pytest.mark.parametrize("status", [401, 403, 404])
    def test_a_wrong_address_or_secret_is_tolerated_twice(self, remote, connected, status):
        remote.answer(status, b'{"error": {"code": "recipient_blocked"}}')
        got = outcome(connected.send, sample_message())
        assert type(got) is AccountProblem
        assert (got.retryable, got.tolerated) == (True, 2)
        assert str(status) in str(got)

    def test_an_address_that_is_gone_stops_the_line_at_once(self, remote, connected):
        remote.answer(410)
        got = outcome(connected.send, sample_message())
        assert type(got) is AccountProblem
        assert (got.retryable, got.tolerated) == (True, 0)
        assert "410" in str(got)

    @pytest.mark.parametrize(
        ("status", "error"),
        [(408, ServerFault), (425, ServerFault), (429, Throttled), (500, ServerFault), (503, ServerFault)],
    )
    @pytest.mark.parametrize(
        ("asked", "seconds"), [("120", 120), ("999999", 86_400), ("soon", None), (None, None), ("date", 3600)]
    )
    def test_a_partner_that_is_unwell_is_tried_again_when_it_asks(
        self, remote, connected, status, error, asked, seconds
    ):
        in_an_hour = datetime.now(UTC) + timedelta(hours=1)
        wait = f"{in_an_hour:%a, %d %b %Y %H:%M:%S GMT}" if asked == "date" else asked
        remote.answer(status, **({"retry_after": wait} if wait else {}))
        got = outcome(connected.send, sample_message())
        assert type(got) is error
        assert got.retryable
        assert got.retry_after == (pytest.approx(seconds, abs=5) if seconds else None)

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_a_redirect_is_not_followed_and_tried_again(self, remote, connected, status):
        remote.answer(status, location="/elsewhere")
        got = outcome(connected.send, sample_message())
        assert type(got) is ServerFault
        assert len(remote.calls) == 1

    def test_a_partner_without_a_name_is_tried_again(self):
        line = webhook.Webhook({**self.credentials, "url": "https://partner.invalid/hook"})
        got = outcome(line.send, sample_message())
        assert type(got) is Unreachable
        assert got.code == "connect"

    def test_fifteen_seconds_are_waited_for_an_answer(self):
        assert webhook.TIMEOUT == 15

    def test_a_partner_that_fails_is_left_alone_for_a_while_and_others_are_not(self, remote, connected):
        other = webhook.Webhook({**connected.credentials, "url": f"{remote.url}/another"})
        remote.answer(500)
        assert type(outcome(connected.send, sample_message())) is ServerFault
        assert type(raised(connected.send, sample_message())) is Busy
        remote.answer(200)
        assert other.send(sample_message()) == Receipt(CLIENT_ID)
        assert gate.gate_for(connected.remote).delay() > 0

    def test_a_file_is_fetched_with_its_type(self, remote, connected):
        remote.answer(200, b"picture", content_type="image/png; charset=binary")
        into = BytesIO()
        assert connected.download({"url": f"{remote.url}/a.png"}, into, 7) == "image/png"
        assert into.getvalue() == b"picture"
        assert remote.calls[0].path == "/a.png"
        assert "webhook-signature" not in remote.calls[0].headers

    def test_a_file_that_is_too_large_is_not_tried_again(self, remote, connected):
        remote.answer(200, b"pictures")
        got = outcome(connected.download, {"url": f"{remote.url}/a.png"}, BytesIO(), 7)
        assert type(got) is TooLarge
        assert not got.retryable

    def test_a_file_inside_our_network_is_not_fetched(self, remote, connected, monkeypatch):
        monkeypatch.setattr("portals.http.allow_private_networks", False)
        got = outcome(connected.download, {"url": f"{remote.url}/a.png"}, BytesIO(), 1000)
        assert type(got) is ForbiddenAddress
        assert remote.calls == []

    def test_every_kind_of_file_has_its_name_on_the_wire(self, remote, connected):
        [picture] = sample_message().files
        connected.send(sample_message(files=[dataclasses.replace(picture, kind=kind) for kind in MediaKind]))
        kinds = [file["kind"] for file in self.sent(remote)["data"]["message"]["attachments"]]
        assert kinds == ["image", "video", "audio", "voice", "file"]


def webhook_id(call):
    """A webhook-id for the name of a call."""
    return re.sub("[^A-Za-z0-9_-]", "_", call)[:64]
