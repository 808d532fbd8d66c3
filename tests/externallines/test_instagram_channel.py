"""The channel `instagram`, in both variants: the contract of channels, and the tables of channels.md 4."""

from datetime import UTC, datetime, timedelta

import pytest

from externallines.channels import addresses
from externallines.channels.base import (
    ChatProgressed,
    Contact,
    Ignored,
    InvalidCredentials,
    InvalidSignature,
    MediaKind,
    Progress,
)
from externallines.channels.instagram import Instagram
from portals.http import ServerFault
from tests.externallines.channel_contract import outcome, sample_message
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
from tests.externallines.meta_contract import ADDRESS, described
from tests.externallines.test_facebook_channel import FIELDS as PAGE_FIELDS

PAGE, IG = "1122334455", "17841400000000001"
FORM = {"login": "facebook", "page_id": PAGE, "access_token": TOKEN, "app_id": APP, "app_secret": SECRET}
OWN_FORM = {"login": "instagram", "access_token": TOKEN, "app_id": APP, "app_secret": SECRET}
FIELDS = "messages,messaging_postbacks,messaging_seen,message_reactions"
SCOPES = ["pages_messaging", "pages_manage_metadata", "instagram_basic", "instagram_manage_messages"]
ENTERED = datetime(2026, 11, 1, 12, tzinfo=UTC)
STORED = {
    "verify_token": "verify-me-0123456789",
    "account_id": IG,
    "entered_at": ENTERED.isoformat(),
}
BAD_FORMS = [
    ({**FORM, "login": "google"}, "login"),
    ({**FORM, "login": ""}, "login"),
    ({**FORM, "page_id": ""}, "page_id"),
    ({**FORM, "page_id": "my page"}, "page_id"),
    ({**FORM, "app_id": "my app"}, "app_id"),
    *(({**FORM, field: "with a space"}, field) for field in ("access_token", "app_secret")),
    *(({**FORM, field: ""}, field) for field in ("access_token", "app_id", "app_secret")),
    ({**FORM, "human_agent": "maybe"}, "human_agent"),
]


class InstagramContract(MessengerContract):
    """What both variants hold."""

    channel = Instagram
    bad_forms = BAD_FORMS
    secrets = [TOKEN, SECRET, "another-app-secret", "with a space"]
    events = {
        **common_events("5005", "instagram"),
        "read": [ChatProgressed(Progress.READ, "5005", message_id="m_ours")],
        "echo_of_our_app": [Ignored("an echo of ours")],
        "test_event": [Ignored("not about messages: other")],
    }

    @pytest.mark.parametrize(
        ("given", "kind"),
        [
            (file(), "image"),
            (file("a.gif", "image/gif"), "image"),
            (file("a.m4a", "audio/mp4", MediaKind.VOICE), "audio"),
            (file("a.mp4", "video/mp4", MediaKind.VIDEO), "video"),
            (file("a.pdf", "application/pdf", MediaKind.FILE), "file"),
        ],
    )
    def test_a_file_is_sent_by_its_address(self, sent, given, kind):
        self.line.send(sample_message(text="", files=[given], reply_to=""))
        attachment = {"type": kind, "payload": {"url": given.url}}
        assert sent()[0]["message"] == {"attachment": attachment, **self.metadata}

    @pytest.mark.parametrize(
        "given",
        [
            file("a.webp", "image/webp"),
            file("a.png", "image/png", size=8 * 1024 * 1024 + 1),
            file("a.ogg", "audio/ogg", MediaKind.VOICE),
            file("a.mp4", "video/mp4", MediaKind.VIDEO, 25 * 1024 * 1024 + 1),
            file("a.docx", "application/msword", MediaKind.FILE),
        ],
    )
    def test_a_file_of_another_kind_is_a_link(self, sent, given):
        receipt = self.line.send(sample_message(text="", files=[given]))
        assert [body["message"]["text"] for body in sent()] == [f"{given.name}: {given.url}"]
        assert receipt.note == f"Sent as a link: {given.name}."

    def test_pictures_go_in_albums_of_ten(self, sent):
        pictures = [file(f"{number}.png") for number in range(12)]
        video = file("a.mp4", "video/mp4", MediaKind.VIDEO)
        self.line.send(sample_message(text="all", files=[*pictures, video, file("last.png")]))
        messages = [body["message"] for body in sent()]
        assert [len(message.get("attachments", [])) for message in messages] == [10, 2, 0, 0, 0]
        assert messages[0]["attachments"][9] == {"type": "image", "payload": {"url": pictures[9].url}}
        assert messages[2]["attachment"]["type"] == "video"
        assert messages[4]["text"] == "all"

    def test_long_text_goes_in_parts_of_1000_bytes(self, sent):
        self.line.send(sample_message(text="слово " * 200, files=[]))
        texts = [body["message"]["text"] for body in sent()]
        assert len(texts) >= 3
        assert all(len(text.encode()) <= 1000 for text in texts)
        assert "".join(texts).count("слово") == 200

    def test_a_customers_name_and_picture_are_looked_up(self, graph):
        profile = {"name": "Ann", "username": "ann.k", "profile_pic": "https://scontent.example.com/ann.jpg"}
        assert self.look_up(graph, profile) == Contact(
            "2002",
            name="Ann",
            picture={"profile_of": "2002"},
            meta=[("x", "2002"), ("username", "ann.k")],
        )


class TestThroughAPage(InstagramContract):
    form = FORM
    credentials = {**FORM, **STORED}
    other_credentials = {**credentials, "account_id": "999", "app_secret": "another-app-secret"}
    account = PAGE
    tagged = {"messaging_type": "RESPONSE"}
    human = {"tag": "HUMAN_AGENT"}
    metadata = {"metadata": CLIENT_ID}

    def well(self, graph, **subscription):
        linked = {"id": IG, "username": "shop", "profile_picture_url": "https://scontent.example.com/s.jpg"}
        graph.on("GET me", {"id": PAGE, "name": "Corner shop"})
        graph.on(f"GET {PAGE}", {"id": PAGE, "instagram_business_account": linked})
        token = {"is_valid": True, "app_id": APP, "expires_at": 0, "scopes": SCOPES}
        graph.on("GET debug_token", {"data": token})
        fields = [{"name": "messages"}]
        ours = {"object": "instagram", "callback_url": ADDRESS, "active": True, "fields": fields, **subscription}
        graph.on(f"GET {APP}/subscriptions", {"data": [ours]})
        graph.on(f"GET {PAGE}/subscribed_apps", {"data": [{"id": APP}]})

    def test_the_account_is_the_one_linked_to_the_page(self, graph):
        self.well(graph)
        account = self.line.check()
        assert (account.external_id, account.name, account.active) == (IG, "shop", True)
        assert account.learned == {"account_id": IG}
        assert account.picture_url == "https://scontent.example.com/s.jpg"

    @pytest.mark.parametrize(
        ("call", "status", "body", "field"),
        [
            ("GET me", 401, error(190), "access_token"),
            ("GET me", 200, {"id": "7"}, "access_token"),
            (f"GET {PAGE}", 200, {"id": PAGE}, "page_id"),
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

    def test_the_apps_fields_are_instagrams_and_the_pages_are_the_pages(self, graph):
        self.well(graph)
        self.line.subscribe(ADDRESS)
        app, page = graph.made("POST")
        asked = query(app)
        assert (asked["object"], asked["callback_url"], asked["fields"]) == ("instagram", ADDRESS, FIELDS)
        assert (described(page), query(page)["subscribed_fields"]) == (f"POST {PAGE}/subscribed_apps", PAGE_FIELDS)

    def test_disconnecting_removes_what_is_ours_alone(self, graph):
        self.well(graph)
        self.line.unsubscribe(ADDRESS)
        assert [described(call) for call in graph.made("DELETE")] == [
            f"DELETE {APP}/subscriptions",
            f"DELETE {PAGE}/subscribed_apps",
        ]
        graph.calls.clear()
        self.well(graph, callback_url="https://else.example.com/")
        self.line.unsubscribe(ADDRESS)
        assert graph.made("DELETE") == []

    def test_health_is_that_of_app_and_page(self, graph):
        self.well(graph)
        assert self.line.health(ADDRESS) == []
        self.well(graph, callback_url="https://else.example.com/")
        assert len(self.line.health(ADDRESS)) == 1

    def test_a_pages_token_is_not_renewed(self, graph):
        assert self.line.renew(ENTERED + timedelta(days=365)) is None
        assert graph.calls == []


class TestOwnLogin(InstagramContract):
    form = OWN_FORM
    credentials = {**OWN_FORM, **STORED}
    other_credentials = {**credentials, "account_id": "999", "app_secret": "another-app-secret"}
    account = "me"
    human = {"tag": "HUMAN_AGENT"}

    @pytest.fixture(autouse=True)
    def _other_graph_is_elsewhere(self, request, monkeypatch):
        """Nothing of this variant may go to graph.facebook.com."""
        if "graph" in request.fixturenames:
            request.getfixturevalue("graph")
            monkeypatch.setattr(addresses, "meta_graph", "http://127.0.0.1:9")

    def well(self, graph):
        graph.on("GET me", {"id": "1", "user_id": IG, "username": "shop", "name": "Corner shop"})
        graph.on(f"GET {IG}/subscribed_apps", {"data": [{"id": APP}]})

    def test_the_account_is_known_by_its_user_id(self, graph):
        self.well(graph)
        account = self.line.check()
        assert (account.external_id, account.name) == (IG, "Corner shop")
        assert account.learned == {"account_id": IG}
        assert not account.active  # until the owner has entered our address in the dashboard
        assert "appsecret_proof" not in query(graph.calls[0])

    def test_a_token_that_is_not_accepted_is_told(self, graph):
        graph.on("GET me", error(190), status=401)
        with pytest.raises(InvalidCredentials) as caught:
            self.line.check()
        assert caught.value.field == "access_token"

    def test_the_account_is_subscribed_and_unsubscribed(self, graph):
        self.well(graph)
        self.line.subscribe(ADDRESS)
        [call] = graph.made("POST")
        assert (described(call), query(call)) == (f"POST {IG}/subscribed_apps", {"subscribed_fields": FIELDS})
        self.line.unsubscribe(ADDRESS)
        assert [described(call) for call in graph.made("DELETE")] == [f"DELETE {IG}/subscribed_apps"]

    def test_either_of_two_secrets_may_have_signed(self):
        body = b"{}"
        headers = self.signed(body, {"app_secret": "the-meta-apps-secret"})
        with pytest.raises(InvalidSignature):
            self.line.verify(headers, body)
        both = Instagram({**self.credentials, "meta_app_secret": "the-meta-apps-secret"})
        both.verify(headers, body)
        both.verify(self.signed(body, self.credentials), body)

    def test_an_account_that_is_not_known_yet_takes_what_is_signed(self):
        unknown = Instagram({name: value for name, value in self.credentials.items() if name != "account_id"})
        assert len(unknown.split({}, self.payload("another_account"))) == 1

    def test_health_tells_of_an_end_and_of_a_lost_subscription(self, graph):
        self.well(graph)
        assert self.line.health(ADDRESS) == []
        graph.on(f"GET {IG}/subscribed_apps", {"data": []})
        soon = datetime.now(UTC) + timedelta(days=10)
        ending = Instagram({**self.credentials, "expires_at": soon.isoformat()})
        expires, lost = ending.health(ADDRESS)
        assert "expires on" in expires
        assert "Reconnect" in lost

    # renewing

    def renewing(self, graph, now, **stored):
        graph.on("GET refresh_access_token", {"access_token": "IGAA-new", "expires_in": 60 * 86400})
        return Instagram({**self.credentials, **stored}).renew(now)

    def test_a_token_is_renewed_as_soon_as_it_may_be(self, graph):
        assert self.renewing(graph, ENTERED + timedelta(hours=23)) is None
        now = ENTERED + timedelta(hours=25)
        assert self.renewing(graph, now) == {
            **self.credentials,
            "access_token": "IGAA-new",
            "expires_at": (now + timedelta(days=60)).isoformat(),
        }
        [call] = graph.calls
        assert query(call) == {"grant_type": "ig_refresh_token", "access_token": TOKEN}

    @pytest.mark.parametrize("renewed", [TOKEN, f"{TOKEN}x", f"x{SECRET}"])
    def test_a_token_that_is_much_like_the_old_one_is_stored_whole(self, graph, renewed):
        graph.on("GET refresh_access_token", {"access_token": renewed, "expires_in": 60 * 86400})
        stored = self.line.renew(ENTERED + timedelta(hours=25))
        assert stored["access_token"] == renewed

    def test_and_again_15_days_before_it_ends(self, graph):
        ends = ENTERED + timedelta(days=60)
        assert self.renewing(graph, ends - timedelta(days=16), expires_at=ends.isoformat()) is None
        assert self.renewing(graph, ends - timedelta(days=14), expires_at=ends.isoformat())

    def test_a_renewal_that_brings_nothing_fails(self, graph):
        later = ENTERED + timedelta(days=2)
        for body in ({}, {"access_token": 7, "expires_in": 5}, {"access_token": "x", "expires_in": "soon"}):
            graph.on("GET refresh_access_token", body)
            assert type(outcome(self.line.renew, later)) is ServerFault
