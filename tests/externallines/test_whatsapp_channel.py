"""The channel `whatsapp`: the contract of channels, and the tables of channels.md 3."""

import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from io import BytesIO

import pytest

from externallines.channels.base import (
    ChatMoved,
    Contact,
    Ignored,
    InvalidCredentials,
    Media,
    MediaKind,
    MessageDeleted,
    MessageEdited,
    MessageReceived,
    Progress,
    Rate,
    ReachabilityChanged,
    Receipt,
    StatusReported,
    Unsupported,
    WindowClosed,
)
from externallines.channels.whatsapp import WhatsApp
from externallines.channels.whatsapp_identity import number_variants
from externallines.channels.whatsapp_parts import MIB
from portals.http import Refused, ServerFault
from tests.externallines.channel_contract import outcome, sample_message
from tests.externallines.meta_contract import (
    ADDRESS,
    AT,
    AUTH,
    BLOCKED,
    CANNOT_BE_SHOWN,
    CHAT,
    CLIENT_ID,
    DOUBTFUL,
    OLD_ADDRESS,
    PAUSE,
    PERMANENT,
    RETRY,
    WINDOW,
    MetaContract,
    described,
    error,
    file,
    long_ago,
    query,
)

NUMBER_ID, WABA, APP = "106540352242922", "102290129340398", "123456"
TOKEN, SECRET = "EAAGtoken-of-the-system-user", "0123456789abcdef-app-secret"
ANN, ANN_ID, KIM = "380501112233", "UA.13491208655302741918", "US.13491208655302741918"
ANN_CONTACT = Contact(ANN, "Ann Коваль", meta=[("whatsapp", ANN), ("phone", f"+{ANN}")])
FORM = {
    "phone_number_id": NUMBER_ID,
    "waba_id": WABA,
    "access_token": TOKEN,
    "app_id": APP,
    "app_secret": SECRET,
}
KIM_CONTACT = Contact(KIM, "Kim", meta=[("whatsapp", KIM), ("username", "kim.k")])
NOTICE = "a notice of WhatsApp's, the customer's id stays"


def said(message_id, text, **more):
    values = {"contact": ANN_CONTACT, "text": text, "sent_at": AT, "aliases": [ANN_ID], **more}
    return [MessageReceived(ANN, f"wamid.{message_id}", **values)]


def filed(message_id, media_id, name, mime_type, kind, text=""):
    return said(message_id, text, media=[Media({"media_id": media_id}, name, mime_type, kind=kind)])


def undeliverable(message_id):
    reason = (
        "The customer cannot be reached: they may have blocked the business, or have no such account. "
        "Or their WhatsApp is too old. Meta says: Message undeliverable (code 131026)"
    )
    return StatusReported(Progress.FAILED, message_id, CLIENT_ID, error=reason, failure="Blocked")


class TestWhatsApp(MetaContract):
    channel = WhatsApp
    form = FORM
    bad_forms = [
        *(({**FORM, field: "+380 44"}, field) for field in ("phone_number_id", "waba_id", "app_id")),
        *(({**FORM, field: "with a space"}, field) for field in ("access_token", "app_secret")),
        *(({**FORM, field: "тайна"}, field) for field in ("access_token", "app_secret")),
        *(({**FORM, field: ""}, field) for field in FORM),
        ({**FORM, "template_name": "Upper Case", "template_language": "uk"}, "template_name"),
        ({**FORM, "template_name": "answer"}, "template_language"),
        ({**FORM, "template_language": "uk"}, "template_language"),
        ({**FORM, "template_name": "answer", "template_language": "Ukrainian"}, "template_language"),
    ]
    credentials = {**FORM, "verify_token": "verify-me-0123456789"}
    other_credentials = {**credentials, "phone_number_id": "999", "app_secret": "another-app-secret"}
    secrets = [TOKEN, SECRET, "another-app-secret", "with a space", "тайна"]
    success = b'{"id":"media-1","messages":[{"id":"wamid.sent","message_status":"accepted"}]}'
    events = {
        "text": said("text", r"Добрий день! Чи є \*синя\* сукня?"),
        "image": filed("image", "1001", "image.jpg", "image/jpeg", MediaKind.IMAGE, r"this \*one\*"),
        "document": filed("document", "1002", "прайс.pdf", "application/pdf", MediaKind.FILE),
        "voice": filed("voice", "1003", "audio.oga", "audio/ogg", MediaKind.VOICE),
        "audio": filed("audio", "1004", "audio.mp3", "audio/mpeg", MediaKind.AUDIO),
        "video": filed("video", "1005", "video.mp4", "video/mp4", MediaKind.VIDEO),
        "sticker": filed("sticker", "1006", "sticker.webp", "image/webp", MediaKind.IMAGE),
        "location": said(
            "location", "[Opera House](https://maps.google.com/?q=50.4501,30.5234)\nVolodymyrska St, 50"
        ),
        "contacts": said("contacts", "Bob Shop, +380 67 000 00 00\nNobody"),
        "button": said("button", "Yes, please"),
        "button_reply": said("button_reply", "Delivery"),
        "list_reply": said("list_reply", "Pick-up"),
        "flow_reply": said("flow_reply", 'Sent\n{"size": 42}'),
        "reply": said("reply", "this one", reply_to="wamid.ours"),
        "forwarded": said("forwarded", "look"),
        "ad": said("ad", "_Came by_ Winter sale: https://fb.me/ad1\nHow much?"),
        "ad_with_a_picture": filed(
            "ad_with_a_picture",
            "1007",
            "image.jpg",
            "image/jpeg",
            MediaKind.IMAGE,
            "_Came by_ Winter sale: https://fb.me/ad1\nthis one?",
        ),
        "ad_that_is_odd": filed("ad_that_is_odd", "1007", "image.jpg", "image/jpeg", MediaKind.IMAGE, "this one?"),
        "reaction": said("reaction", "_Reacted with_ 👍", reply_to="wamid.ours"),
        "reaction_removed": said("reaction_removed", "_Took back a reaction._", reply_to="wamid.ours"),
        "edit": [MessageEdited(ANN, "wamid.text", r"And the \*red\* one?", at=AT)],
        "edit_caption": [MessageEdited(ANN, "wamid.image", "that one", at=AT)],
        "edit_away": [MessageEdited(ANN, "wamid.image", "", at=AT)],
        "edit_of_a_place": [Ignored("breaks the contract: message.edit.message.text has to be an object.")],
        "revoke": [MessageDeleted(ANN, "wamid.text")],
        "unsupported": said("unsupported", CANNOT_BE_SHOWN),
        "unknown_type": said("unknown_type", CANNOT_BE_SHOWN),
        "broken_content": said("broken_content", CANNOT_BE_SHOWN),
        "group": [Ignored("a message of a group")],
        "number_changed": [
            ChatMoved(
                ANN,
                "380671112233",
                "wamid.number_changed",
                "Ann changed from 380501112233 to 380671112233",
                sent_at=AT,
            )
        ],
        "user_id_changed": [
            ChatMoved(KIM, "US.777", "wamid.user_id_changed", "The customer's WhatsApp is US.777 now.", sent_at=AT)
        ],
        "user_id_of_a_number_changed": [Ignored(NOTICE)],
        "identity_changed": [Ignored(NOTICE)],
        "username_without_a_number": [MessageReceived(KIM, "wamid.username1", KIM_CONTACT, text="hi", sent_at=AT)],
        "username_as_the_number": [MessageReceived(KIM, "wamid.username2", KIM_CONTACT, text="hi", sent_at=AT)],
        "of_nobody": [Ignored("a message of nobody")],
        "brazil": [
            MessageReceived(
                "551187654321",
                "wamid.br",
                Contact("551187654321", "Rui", meta=[("whatsapp", "551187654321"), ("phone", "+551187654321")]),
                text="oi",
                sent_at=AT,
                aliases=["5511987654321"],
            )
        ],
        "milliseconds": [
            MessageReceived(
                ANN,
                "wamid.ms",
                Contact(ANN, meta=ANN_CONTACT.meta),
                text="ms",
                sent_at=AT.replace(microsecond=123_000),
            )
        ],
        "echo": [
            MessageReceived(
                ANN,
                "wamid.echo",
                Contact(ANN, meta=ANN_CONTACT.meta),
                text="We called you",
                sent_at=AT,
                outgoing=True,
                aliases=[ANN_ID],
            )
        ],
        "echo_edit": [MessageEdited(ANN, "wamid.echo", "We call you", at=AT)],
        "echo_revoke": [MessageDeleted(ANN, "wamid.echo")],
        "status_sent": [StatusReported(Progress.SENT, "wamid.s-sent", CLIENT_ID)],
        "status_delivered": [StatusReported(Progress.DELIVERED, "wamid.s-delivered")],
        "status_read": [StatusReported(Progress.READ, "wamid.s-read")],
        "status_played": [StatusReported(Progress.READ, "wamid.s-played")],
        "status_deleted": [Ignored("status deleted")],
        "status_failed": [
            StatusReported(
                Progress.FAILED,
                "wamid.s-failed",
                CLIENT_ID,
                error="More than 24 hours have passed since the customer's last message. WhatsApp then takes "
                "templates only. Meta says: More than 24 hours have passed. (code 131047)",
                failure="WindowClosed",
            )
        ],
        "status_undeliverable": [undeliverable("wamid.s-undeliverable"), ReachabilityChanged(ANN, blocked=True)],
        "status_undeliverable_to_a_user_id": [
            undeliverable("wamid.s-undeliverable_to_a_user_id"),
            ReachabilityChanged(KIM, blocked=True),
        ],
        "status_unpaid": [
            StatusReported(
                Progress.FAILED,
                "wamid.s-unpaid",
                CLIENT_ID,
                error="The owner of the line has to act. WhatsApp has no valid payment method for this account. "
                "Add one in the Billing Hub. Meta says: Business eligibility payment issue (code 131042)",
                failure="AccountProblem",
            )
        ],
        "account_error": [Ignored("not about messages: error 131031")],
        "another_number": [],
        "another_field": [Ignored("not about messages: account_update")],
        "another_object": [],
        "batch": [
            MessageReceived(ANN, "wamid.batch1", ANN_CONTACT, text="one", sent_at=AT, aliases=[ANN_ID]),
            MessageReceived(
                "380502223344",
                "wamid.batch2",
                Contact("380502223344", "Bob", meta=[("whatsapp", "380502223344"), ("phone", "+380502223344")]),
                text="two",
                sent_at=AT,
            ),
            StatusReported(Progress.SENT, "wamid.batch0"),
            MessageReceived(ANN, "wamid.batch3", ANN_CONTACT, text="three", sent_at=AT, aliases=[ANN_ID]),
        ],
    }
    refused = {"broken_not_an_object": ""}
    error_rows = (
        *((code, 0, AUTH, {}) for code in (0, 3, 10, 190, 200, 299, 131005, 368, 131031, 131042, 131045, 133010)),
        (190, 463, AUTH, {"tolerated": 0}),
        (131047, 0, WINDOW, {}),
        *((code, 0, PAUSE, {}) for code in (4, 80007, 130429)),
        (131056, 0, CHAT, {"retryable": True, "retry_after": 16}),
        *((code, 0, PAUSE, {"retry_after": 3600}) for code in (131048, 131064)),
        *((code, 0, RETRY, {}) for code in (1, 2, 131000, 131016, 131057)),
        (131053, 0, DOUBTFUL, {"tolerated": 2, "final": PERMANENT}),
        (131026, 0, BLOCKED, {}),
        *((code, 0, PERMANENT, {}) for code in (131050, 131049, 130472, 131052)),
        *((code, 0, PERMANENT, {}) for code in (100, 131008, 131009, 131021, 131030, 131037, 131051, 131062)),
        *((code, 0, PERMANENT, {}) for code in (132000, 132001, 132015, 132999, 135000, 137000)),
    )

    def source(self, url):
        return {"media_id": "1001"}

    # connecting

    def well(self, graph, fields=("messages", "smb_message_echoes"), **number):
        """Let Graph know the account."""
        graph.on(
            f"GET {NUMBER_ID}",
            {
                "id": NUMBER_ID,
                "display_phone_number": "+380 44 111 22 33",
                "verified_name": "Corner shop",
                "quality_rating": "GREEN",
                "status": "CONNECTED",
                "webhook_configuration": {"phone_number": ADDRESS, "application": "https://else.example.com/"},
                **number,
            },
        )
        graph.on(f"GET {WABA}/phone_numbers", {"data": [{"id": "1"}, {"id": NUMBER_ID}]})
        scopes = ["whatsapp_business_messaging", "whatsapp_business_management"]
        token = {"is_valid": True, "app_id": APP, "expires_at": 0, "scopes": scopes}
        graph.on("GET debug_token", {"data": token})
        graph.on(
            f"GET {APP}/subscriptions",
            {
                "data": [
                    {
                        "object": "whatsapp_business_account",
                        "callback_url": ADDRESS,
                        "active": True,
                        "fields": [{"name": name} for name in fields],
                    }
                ]
            },
        )
        graph.on(f"GET {WABA}/subscribed_apps", {"data": [{"whatsapp_business_api_data": {"id": APP}}]})
        return token

    def test_an_account_is_checked_in_the_order_of_the_contract(self, graph):
        self.well(graph)
        account = self.line.check()
        assert (account.external_id, account.name, account.phone_number, account.active) == (
            NUMBER_ID,
            "Corner shop",
            "+380 44 111 22 33",
            True,
        )
        number, numbers, token = graph.calls
        assert [described(call) for call in graph.calls] == [
            f"GET {NUMBER_ID}",
            f"GET {WABA}/phone_numbers",
            "GET debug_token",
        ]
        assert number.headers["authorization"] == numbers.headers["authorization"] == f"Bearer {TOKEN}"
        proof = hmac.digest(SECRET.encode(), TOKEN.encode(), "sha256").hex()
        assert query(number)["appsecret_proof"] == proof
        assert token.headers["authorization"] == f"Bearer {APP}|{SECRET}"
        assert query(token) == {"input_token": TOKEN}

    @pytest.mark.parametrize(
        ("call", "status", "body", "field"),
        [
            (f"GET {NUMBER_ID}", 401, error(190, 463), "access_token"),
            (f"GET {NUMBER_ID}", 400, error(100, 33), "phone_number_id"),
            (f"GET {NUMBER_ID}", 400, error(100, text="Invalid appsecret_proof provided"), "app_secret"),
            (f"GET {WABA}/phone_numbers", 400, error(100, 33), "waba_id"),
            (f"GET {WABA}/phone_numbers", 200, {"data": [{"id": "1"}]}, "waba_id"),
            ("GET debug_token", 400, error(190), "app_secret"),
            ("GET debug_token", 200, {"data": {"is_valid": False}}, "access_token"),
            ("GET debug_token", 200, {"data": {"is_valid": True, "app_id": "7"}}, "access_token"),
            (
                "GET debug_token",
                200,
                {"data": {"is_valid": True, "app_id": APP, "scopes": ["whatsapp_business_messaging"]}},
                "access_token",
            ),
        ],
    )
    def test_a_mistake_in_the_credentials_is_told_by_field(self, graph, call, status, body, field):
        self.well(graph)
        graph.on(call, body, status=status)
        with pytest.raises(InvalidCredentials) as caught:
            self.line.check()
        assert caught.value.field == field

    def test_a_fault_of_metas_while_connecting_is_no_mistake_of_the_owners(self, graph):
        self.well(graph)
        graph.on(f"GET {WABA}/phone_numbers", error(131016), status=500)
        assert type(outcome(self.line.check)) is ServerFault

    def test_a_new_app_is_pointed_at_us_and_so_is_the_number(self, graph):
        self.well(graph)
        graph.on(f"GET {APP}/subscriptions", {"data": []})
        graph.on(f"GET {WABA}/subscribed_apps", {"data": []})
        self.line.subscribe(ADDRESS)
        app, waba, number = graph.made("POST")
        assert query(app) == {
            "object": "whatsapp_business_account",
            "callback_url": ADDRESS,
            "verify_token": "verify-me-0123456789",
            "fields": "messages,smb_message_echoes",
        }
        assert app.headers["authorization"] == f"Bearer {APP}|{SECRET}"
        override = {"override_callback_uri": ADDRESS, "verify_token": "verify-me-0123456789"}
        assert (described(waba), json.loads(waba.body)) == (f"POST {WABA}/subscribed_apps", override)
        assert (described(number), json.loads(number.body)) == (
            f"POST {NUMBER_ID}",
            {"webhook_configuration": override},
        )

    @pytest.mark.parametrize("registration", [f"POST {NUMBER_ID}", f"POST {WABA}/subscribed_apps"])
    def test_only_a_registration_may_take_long(self, graph, monkeypatch, registration):
        self.well(graph)
        graph.on(f"GET {WABA}/subscribed_apps", {"data": []})
        self.assert_only_a_registration_may_take_long(
            graph, monkeypatch, registration=registration, message=f"POST {NUMBER_ID}/messages"
        )

    def test_an_app_that_serves_another_address_keeps_it(self, graph):
        self.well(graph)
        theirs = {"object": "whatsapp_business_account", "callback_url": "https://else.example.com/"}
        graph.on(f"GET {APP}/subscriptions", {"data": [theirs]})
        self.line.subscribe(ADDRESS)
        assert [described(call) for call in graph.made("POST")] == [f"POST {NUMBER_ID}"]

    def test_disconnecting_removes_what_is_ours_alone(self, graph):
        self.well(graph, webhook_configuration={"phone_number": ADDRESS, "whatsapp_business_account": ADDRESS})
        self.line.unsubscribe(ADDRESS)
        number, waba = graph.made("POST")
        assert json.loads(number.body) == {"webhook_configuration": {"override_callback_uri": ""}}
        assert (described(waba), json.loads(waba.body)) == (f"POST {WABA}/subscribed_apps", {})
        graph.calls.clear()
        self.well(graph, webhook_configuration={"phone_number": "https://else.example.com/"})
        self.line.unsubscribe(ADDRESS)
        assert graph.made("POST") == graph.made("DELETE") == []

    def test_an_address_that_we_had_before_is_ours(self, graph):
        self.well(
            graph, webhook_configuration={"phone_number": OLD_ADDRESS, "whatsapp_business_account": OLD_ADDRESS}
        )
        theirs = {"object": "whatsapp_business_account", "callback_url": OLD_ADDRESS}
        graph.on(f"GET {APP}/subscriptions", {"data": [theirs]})
        self.line.subscribe(ADDRESS)
        assert query(graph.made(f"POST {APP}/subscriptions")[0])["callback_url"] == ADDRESS
        graph.calls.clear()
        self.line.unsubscribe(ADDRESS)
        assert [described(call) for call in graph.made("POST")] == [
            f"POST {NUMBER_ID}",
            f"POST {WABA}/subscribed_apps",
        ]

    def test_a_line_that_is_well_has_nothing_to_mend(self, graph):
        self.well(graph)
        assert self.line.health(ADDRESS) == []

    @pytest.mark.parametrize(
        ("number", "said"),
        [
            ({"webhook_configuration": {"phone_number": "https://else.example.com/"}}, "another address"),
            ({"webhook_configuration": None}, "another address"),
            ({"quality_rating": "RED"}, "quality"),
            ({"status": "FLAGGED"}, "FLAGGED"),
        ],
    )
    def test_what_is_wrong_with_the_number_is_told(self, graph, number, said):
        self.well(graph, **number)
        [sentence] = self.line.health(ADDRESS)
        assert said in sentence

    def test_a_token_that_ends_or_an_app_that_does_not_listen_is_told(self, graph):
        token = self.well(graph)
        soon = datetime.now(UTC) + timedelta(days=5)
        graph.on("GET debug_token", {"data": {**token, "expires_at": int(soon.timestamp())}})
        assert f"expires on {soon:%d.%m.%Y}" in self.line.health(ADDRESS)[0]
        later = datetime.now(UTC) + timedelta(days=50)
        graph.on("GET debug_token", {"data": {**token, "expires_at": int(later.timestamp())}})
        assert self.line.health(ADDRESS) == []
        graph.on("GET debug_token", {"data": {"is_valid": False}})
        graph.on(f"GET {APP}/subscriptions", {"data": []})
        graph.on(f"GET {WABA}/subscribed_apps", {"data": [{"whatsapp_business_api_data": {"id": "7"}}]})
        assert len(self.line.health(ADDRESS)) == 3

    @pytest.mark.parametrize("missing", ["messages", "smb_message_echoes"])
    def test_a_field_that_the_app_does_not_listen_to_is_told(self, graph, missing):
        self.well(graph, [name for name in ("messages", "smb_message_echoes") if name != missing])
        [sentence] = self.line.health(ADDRESS)
        assert f"listen to {missing}." in sentence

    # identity

    @pytest.mark.parametrize(
        ("number", "variants"),
        [
            ("5511987654321", ["551187654321"]),
            ("551187654321", ["5511987654321"]),
            ("551133334444", []),  # a landline
            ("5491123456789", ["541123456789"]),
            ("541123456789", ["5491123456789"]),
            ("5215512345678", ["525512345678"]),
            ("525512345678", ["5215512345678"]),
            ("380501112233", []),
            ("12025550123", []),
            ("1", []),
            ("", []),
        ],
    )
    def test_numbers_of_three_countries_have_two_forms(self, number, variants):
        assert number_variants(number) == variants

    # out

    @pytest.fixture
    def sent(self, graph):
        """Return the bodies of the messages that were sent."""
        graph.on(f"POST {NUMBER_ID}/media", {"id": "media-1"})
        graph.on(f"POST {NUMBER_ID}/messages", {"messages": [{"id": "wamid.sent"}]})
        return lambda: [json.loads(call.body) for call in graph.made(f"POST {NUMBER_ID}/messages")]

    def test_a_text_is_sent(self, sent):
        message = sample_message(chat_id=ANN, files=[], text="Hello", reply_to="wamid.theirs")
        assert self.line.send(message) == Receipt("wamid.sent", hold=10.0)
        assert sent() == [
            {
                "messaging_product": "whatsapp",
                "recipient_type": "individual",
                "to": ANN,
                "type": "text",
                "text": {"body": "Hello", "preview_url": True},
                "context": {"message_id": "wamid.theirs"},
                "biz_opaque_callback_data": CLIENT_ID,
            }
        ]

    def test_a_customer_without_a_number_is_addressed_by_their_user_id(self, sent):
        self.line.send(sample_message(chat_id=KIM, files=[]))
        [body] = sent()
        assert body["recipient"] == KIM
        assert "to" not in body

    def test_a_file_is_uploaded_and_gets_the_text_as_its_caption(self, graph, sent):
        self.line.send(sample_message(text="Hello", files=[file()]))
        [upload] = graph.made(f"POST {NUMBER_ID}/media")
        assert upload.headers["content-type"].startswith("multipart/form-data")
        for part in (b'name="messaging_product"\r\n\r\nwhatsapp', b'name="type"\r\n\r\nimage/png', b"picture"):
            assert part in upload.body
        [body] = sent()
        assert (body["type"], body["image"]) == ("image", {"id": "media-1", "caption": "Hello"})

    @pytest.mark.parametrize(
        ("given", "kind", "mime_type", "noted"),
        [
            (file("a.jpg", "image/jpeg", size=5 * MIB), "image", "image/jpeg", False),
            (file("a.jpg", "image/jpeg", size=5 * MIB + 1), "document", "image/jpeg", True),
            (file("a.webp", "image/webp"), "document", "image/webp", True),
            (file("a.heic", "image/heic"), "document", "image/heic", True),
            (file("a.mp4", "video/mp4", MediaKind.VIDEO, 16 * MIB), "video", "video/mp4", False),
            (file("a.mp4", "video/mp4", MediaKind.VIDEO, 16 * MIB + 1), "document", "video/mp4", True),
            (file("a.mov", "video/quicktime", MediaKind.VIDEO), "document", "video/quicktime", True),
            (file("a.mp3", "audio/mpeg", MediaKind.AUDIO), "audio", "audio/mpeg", False),
            (file("a.ogg", "audio/ogg", MediaKind.VOICE), "audio", "audio/ogg; codecs=opus", False),
            (file("a.opus", "audio/opus", MediaKind.VOICE), "audio", "audio/ogg; codecs=opus", False),
            (file("a.wav", "audio/wav", MediaKind.AUDIO), "document", "audio/wav", True),
            (file("a.pdf", "application/pdf", MediaKind.FILE), "document", "application/pdf", False),
            (file("a", "", MediaKind.FILE), "document", "application/octet-stream", False),
        ],
    )
    def test_what_is_too_large_or_unknown_goes_as_a_document(self, graph, sent, given, kind, mime_type, noted):
        receipt = self.line.send(sample_message(text="", files=[given]))
        [body] = sent()
        assert body["type"] == kind
        assert body[kind].get("filename") == (given.name if kind == "document" else None)
        assert body[kind].get("voice") == (True if given.kind is MediaKind.VOICE else None)
        assert f'name="type"\r\n\r\n{mime_type}\r\n'.encode() in graph.made(f"POST {NUMBER_ID}/media")[0].body
        assert receipt.note == (f"{given.name} was sent as a document." if noted else "")

    def test_a_picture_that_whatsapp_does_not_take_goes_as_a_document(self, graph, sent):
        uploads = iter([(400, error(131053)), (200, {"id": "media-2"})])
        serve = graph.serve

        def once_refused(call):
            if call.path.startswith(f"/{NUMBER_ID}/media"):
                status, body = next(uploads)
                graph.on(f"POST {NUMBER_ID}/media", body, status=status)
            return serve(call)

        graph.serve = once_refused
        receipt = self.line.send(sample_message(text="", files=[file()]))
        assert receipt.note == "bag.png was sent as a document."
        assert sent()[0]["document"] == {"id": "media-2", "filename": "bag.png"}

    def test_a_file_beyond_all_limits_is_refused(self):
        too_large = file("a.zip", "application/zip", MediaKind.FILE, 100 * MIB + 1)
        got = outcome(self.line.send, sample_message(files=[too_large]))
        assert type(got) is Refused
        assert "100 MB" in str(got)

    def test_several_files_go_one_by_one_and_the_text_with_the_last(self, sent):
        recorded = []
        self.line.send(
            sample_message(text="two", files=[file("1.png"), file("2.png")], reply_to="w", record=recorded.append)
        )
        first, last = sent()
        assert "caption" not in first["image"]
        assert last["image"]["caption"] == "two"
        assert "context" in first
        assert "context" not in last
        assert "biz_opaque_callback_data" not in first  # its statuses are not the message's
        assert last["biz_opaque_callback_data"] == CLIENT_ID
        assert recorded == ["wamid.sent"]

    def test_text_that_is_no_caption_follows_the_files(self, sent):
        self.line.send(sample_message(text="listen", files=[file("a.mp3", "audio/mpeg", MediaKind.AUDIO)]))
        assert [body["type"] for body in sent()] == ["audio", "text"]

    def test_a_text_beyond_a_captions_limit_follows_the_files(self, sent):
        self.line.send(sample_message(text="x" * 1024, files=[file()]))
        self.line.send(sample_message(text="x" * 1025, files=[file()]))
        assert [body["type"] for body in sent()] == ["image", "image", "text"]

    def test_long_text_goes_in_parts_of_4096_characters(self, sent):
        self.line.send(sample_message(text="word " * 1500, files=[]))
        assert [len(body["text"]["body"]) <= 4096 for body in sent()] == [True, True]

    def test_after_24_hours_nothing_is_tried(self, graph):
        for wrote_at in (None, long_ago(hours=24, seconds=1)):
            got = outcome(self.line.send, sample_message(customer_wrote_at=wrote_at))
            assert type(got) is WindowClosed
        assert graph.calls == []

    def test_just_before_that_it_is(self, sent):
        self.line.send(sample_message(files=[], customer_wrote_at=long_ago(hours=23, minutes=59)))
        assert len(sent()) == 1

    @property
    def with_template(self):
        return WhatsApp({**self.credentials, "template_name": "answer", "template_language": "uk"})

    def test_after_24_hours_the_template_carries_the_text(self, sent):
        receipt = self.with_template.send(
            sample_message(text="It is\n**here**", customer_wrote_at=long_ago(days=2))
        )
        [body] = sent()
        assert body["type"] == "template"
        assert body["template"] == {
            "name": "answer",
            "language": {"code": "uk"},
            "components": [{"type": "body", "parameters": [{"type": "text", "text": "It is here"}]}],
        }
        assert body["biz_opaque_callback_data"] == CLIENT_ID
        assert receipt.note == "Sent in the template answer, after 24 hours. Its files were not sent."

    @pytest.mark.parametrize("changes", [{"text": "x" * 1025}, {"text": ""}, {"earlier_ids": ["wamid.1"]}])
    def test_what_a_template_cannot_carry_is_not_sent(self, graph, changes):
        got = outcome(self.with_template.send, sample_message(customer_wrote_at=None, **changes))
        assert type(got) is WindowClosed
        assert graph.calls == []

    def test_what_was_sent_cannot_be_changed(self):
        assert type(outcome(self.line.edit, sample_message())) is Unsupported
        assert type(outcome(self.line.delete, sample_message())) is Unsupported

    def test_the_budgets_are_those_of_the_contract(self):
        assert WhatsApp.account_rate == Rate(80, 80)
        assert WhatsApp.chat_rate is not None
        assert WhatsApp.chat_rate.per_second == pytest.approx(1 / 6)

    def test_too_much_for_one_customer_is_not_too_much_for_the_number(self, remote, connected):
        usage = {"1": [{"estimated_time_to_regain_access": 7}]}
        for status in (400, 429):
            remote.answer(
                status,
                json.dumps(error(131056)).encode(),
                X_Business_Use_Case_Usage=json.dumps(usage),
                X_App_Usage='{"call_count":100}',
            )
            got = outcome(connected.send, sample_message(files=[]))
            assert (type(got), got.retry_after) == (CHAT, 16)

    # files in

    def test_a_file_is_fetched_with_the_token(self, graph):
        digest = hashlib.sha256(b'{"the": "file"}').hexdigest()
        graph.on(
            "GET 1001", {"url": f"{graph.url}/cdn/1", "mime_type": "audio/ogg; codecs=opus", "sha256": digest}
        )
        graph.on("GET cdn/1", {"the": "file"})
        into = BytesIO()
        assert self.line.download({"media_id": "1001"}, into, 1000) == "audio/ogg"
        assert into.getvalue() == b'{"the": "file"}'
        ask, fetch = graph.calls
        assert query(ask)["phone_number_id"] == NUMBER_ID
        assert fetch.headers["authorization"] == f"Bearer {TOKEN}"
        assert fetch.headers["user-agent"]

    def test_an_address_that_has_expired_is_asked_for_again(self, graph):
        graph.on("GET 1001", {"url": f"{graph.url}/cdn/1"})
        for status in (401, 404):
            graph.calls.clear()
            graph.on("GET cdn/1", {}, status=status)
            outcome(self.line.download, {"media_id": "1001"}, BytesIO(), 1000)
            assert [described(call) for call in graph.calls] == ["GET 1001", "GET cdn/1"] * 2

    def test_a_file_that_was_changed_on_its_way_is_fetched_again(self, graph):
        graph.on("GET 1001", {"url": f"{graph.url}/cdn/1", "sha256": "0" * 64})
        assert type(outcome(self.line.download, {"media_id": "1001"}, BytesIO(), 1000)) is ServerFault
