"""The channel `facebook`: the contract of channels, and the tables of channels.md 4."""

import hmac
import json
from datetime import UTC, datetime, timedelta

import pytest

from externallines.channels.base import ChatProgressed, Contact, InvalidCredentials, MediaKind, Progress
from externallines.channels.facebook import Facebook
from tests.externallines.channel_contract import sample_message
from tests.externallines.messenger_contract import (
    APP,
    CLIENT_ID,
    SECRET,
    TOKEN,
    MessengerContract,
    common_events,
    error,
    file,
    query,
)
from tests.externallines.meta_contract import ADDRESS, OLD_ADDRESS, described

PAGE = "1122334455"
FORM = {"page_id": PAGE, "access_token": TOKEN, "app_id": APP, "app_secret": SECRET}
FIELDS = (
    "messages,messaging_postbacks,message_echoes,message_deliveries,message_reads,message_edits,message_reactions"
)
SCOPES = ["pages_messaging", "pages_manage_metadata"]


class TestFacebook(MessengerContract):
    channel = Facebook
    form = FORM
    bad_forms = [
        *(({**FORM, field: "my page"}, field) for field in ("page_id", "app_id")),
        *(({**FORM, field: "with a space"}, field) for field in ("access_token", "app_secret")),
        *(({**FORM, field: ""}, field) for field in FORM),
        ({**FORM, "human_agent": "maybe"}, "human_agent"),
    ]
    credentials = {**FORM, "verify_token": "verify-me-0123456789"}
    other_credentials = {**credentials, "page_id": "999", "app_secret": "another-app-secret"}
    secrets = [TOKEN, SECRET, "another-app-secret", "with a space"]
    account = PAGE
    tagged = {"messaging_type": "RESPONSE"}
    human = {"messaging_type": "MESSAGE_TAG", "tag": "HUMAN_AGENT"}
    metadata = {"metadata": CLIENT_ID}
    events = {
        **common_events("2002", "facebook"),
        "delivery": [
            ChatProgressed(
                Progress.DELIVERED,
                "2002",
                message_id="m_ours",
                until=datetime(2025, 11, 24, 16, 0, 1, tzinfo=UTC),
            )
        ],
        "read": [ChatProgressed(Progress.READ, "2002", until=datetime(2025, 11, 24, 16, 0, 2, tzinfo=UTC))],
    }

    # connecting

    def well(self, graph, *subscriptions):
        picture = {"data": {"url": "https://scontent.example.com/page.jpg"}}
        graph.on("GET me", {"id": PAGE, "name": "Corner shop", "picture": picture})
        token = {"is_valid": True, "app_id": APP, "expires_at": 0, "scopes": SCOPES}
        graph.on("GET debug_token", {"data": token})
        graph.on(f"GET {APP}/subscriptions", {"data": subscriptions or [self.subscription()]})
        graph.on(f"GET {PAGE}/subscribed_apps", {"data": [{"id": APP, "subscribed_fields": ["messages"]}]})

    def subscription(self, **changes):
        fields = [{"name": name, "version": "v26.0"} for name in FIELDS.split(",")]
        return {"object": "page", "callback_url": ADDRESS, "active": True, "fields": fields, **changes}

    def test_an_account_is_checked(self, graph):
        self.well(graph)
        account = self.line.check()
        assert (account.external_id, account.name, account.picture_url, account.active) == (
            PAGE,
            "Corner shop",
            "https://scontent.example.com/page.jpg",
            True,
        )
        me, token = graph.calls
        assert described(me) == "GET me"
        assert me.headers["authorization"] == f"Bearer {TOKEN}"
        assert query(me)["appsecret_proof"] == hmac.digest(SECRET.encode(), TOKEN.encode(), "sha256").hex()
        assert (described(token), token.headers["authorization"]) == ("GET debug_token", f"Bearer {APP}|{SECRET}")

    @pytest.mark.parametrize(
        ("call", "status", "body", "field"),
        [
            ("GET me", 401, error(190), "access_token"),
            ("GET me", 400, error(100, text="Invalid appsecret_proof"), "app_secret"),
            ("GET me", 200, {"id": "7", "name": "Another page"}, "access_token"),
            ("GET debug_token", 400, error(190), "app_secret"),
            ("GET debug_token", 200, {"data": {"is_valid": True, "app_id": APP, "scopes": []}}, "access_token"),
        ],
    )
    def test_a_mistake_in_the_credentials_is_told_by_field(self, graph, call, status, body, field):
        self.well(graph)
        graph.on(call, body, status=status)
        with pytest.raises(InvalidCredentials) as caught:
            self.line.check()
        assert caught.value.field == field

    def test_the_app_is_pointed_at_us_and_the_page_at_the_app(self, graph):
        self.well(graph, self.subscription(object="user"))
        self.line.subscribe(ADDRESS)
        app, page = graph.made("POST")
        assert (described(app), app.headers["authorization"]) == (
            f"POST {APP}/subscriptions",
            f"Bearer {APP}|{SECRET}",
        )
        assert query(app) == {
            "object": "page",
            "callback_url": ADDRESS,
            "verify_token": "verify-me-0123456789",
            "fields": FIELDS,
        }
        assert (described(page), query(page)["subscribed_fields"]) == (f"POST {PAGE}/subscribed_apps", FIELDS)

    def test_only_a_registration_may_take_long(self, graph, monkeypatch):
        self.well(graph)
        self.assert_only_a_registration_may_take_long(
            graph, monkeypatch, registration=f"POST {APP}/subscriptions", message=f"POST {PAGE}/messages"
        )

    def test_an_app_that_serves_another_address_is_not_taken_over(self, graph):
        self.well(graph, self.subscription(callback_url="https://else.example.com/"))
        with pytest.raises(InvalidCredentials) as caught:
            self.line.subscribe(ADDRESS)
        assert caught.value.field == "app_id"
        assert graph.made("POST") == []

    def test_disconnecting_removes_what_is_ours_alone(self, graph):
        self.well(graph)
        self.line.unsubscribe(ADDRESS)
        app, page = graph.made("DELETE")
        assert (described(app), query(app)) == (f"DELETE {APP}/subscriptions", {"object": "page"})
        assert described(page) == f"DELETE {PAGE}/subscribed_apps"
        graph.calls.clear()
        self.well(graph, self.subscription(callback_url="https://else.example.com/"))
        self.line.unsubscribe(ADDRESS)
        assert graph.made("DELETE") == []

    def test_an_address_that_we_had_before_is_ours(self, graph):
        self.well(graph, self.subscription(callback_url=OLD_ADDRESS))
        self.line.subscribe(ADDRESS)
        assert query(graph.made("POST")[0])["callback_url"] == ADDRESS
        self.line.unsubscribe(ADDRESS)
        assert [described(call) for call in graph.made("DELETE")] == [
            f"DELETE {APP}/subscriptions",
            f"DELETE {PAGE}/subscribed_apps",
        ]

    def test_the_page_keeps_the_app_that_serves_instagram_too(self, graph):
        self.well(graph, self.subscription(), self.subscription(object="instagram"))
        self.line.unsubscribe(ADDRESS)
        assert [described(call) for call in graph.made("DELETE")] == [f"DELETE {APP}/subscriptions"]

    def test_a_line_that_is_well_has_nothing_to_mend(self, graph):
        self.well(graph)
        assert self.line.health(ADDRESS) == []

    def test_what_keeps_messages_from_us_is_told(self, graph):
        self.well(graph, self.subscription(callback_url="https://else.example.com/"))
        assert "another address" in self.line.health(ADDRESS)[0]
        self.well(graph, self.subscription(fields=["feed"]))
        graph.on(f"GET {PAGE}/subscribed_apps", {"data": [{"id": "7"}]})
        soon = datetime.now(UTC) + timedelta(days=3)
        token = {"is_valid": True, "app_id": APP, "expires_at": int(soon.timestamp())}
        graph.on("GET debug_token", {"data": token})
        expires, fields, page = self.line.health(ADDRESS)
        assert "expires on" in expires
        assert "field messages" in fields
        assert "does not tell" in page

    # out

    @pytest.mark.parametrize(
        ("given", "kind"),
        [
            (file(), "image"),
            (file("a.webp", "image/webp"), "image"),
            (file("a.mp4", "video/mp4", MediaKind.VIDEO), "video"),
            (file("a.ogg", "audio/ogg", MediaKind.VOICE), "audio"),
            (file("a.pdf", "application/pdf", MediaKind.FILE), "file"),
        ],
    )
    def test_a_file_is_sent_as_bytes(self, graph, sent, given, kind):
        self.line.send(sample_message(text="", files=[given], reply_to=""))
        [call] = graph.made("POST")
        assert call.headers["content-type"].startswith("multipart/form-data")
        message = {"attachment": {"type": kind, "payload": {"is_reusable": False}}, "metadata": CLIENT_ID}
        for name, value in (("recipient", {"id": "1001"}), ("message", message)):
            text = json.dumps(value, separators=(",", ":"))
            assert f'name="{name}"\r\n\r\n{text}\r\n'.encode() in call.body
        assert b'name="messaging_type"\r\n\r\nRESPONSE\r\n' in call.body
        assert f'name="filedata"; filename="{given.name}"'.encode() in call.body
        assert b"picture" in call.body

    def test_files_go_before_the_text(self, graph, sent):
        recorded = []
        self.line.send(sample_message(files=[file("1.png"), file("2.png")], record=recorded.append))
        assert [b"filedata" in call.body for call in graph.made("POST")] == [True, True, False]
        assert recorded == ["m_sent", "m_sent"]

    def test_long_text_goes_in_parts_of_2000_characters(self, sent):
        self.line.send(sample_message(text="слово " * 500, files=[]))
        texts = [body["message"]["text"] for body in sent()]
        assert [len(text) <= 2000 for text in texts] == [True, True]
        assert "".join(texts).count("слово") == 500

    def test_a_customers_name_and_picture_are_looked_up(self, graph):
        picture = "https://scontent.example.com/ann.jpg"
        profile = {"first_name": "Ann", "last_name": "Коваль", "profile_pic": picture, "id": "2002"}
        assert self.look_up(graph, profile) == Contact(
            "2002", name="Ann Коваль", picture={"profile_of": "2002"}, meta=[("x", "2002")]
        )
