"""What the tests of Messenger and Instagram share: the tables of channels.md 4."""

import json
from dataclasses import replace
from io import BytesIO

import pytest

from externallines.channels.base import (
    Contact,
    Ignored,
    Media,
    MediaKind,
    MessageDeleted,
    MessageEdited,
    MessageReceived,
    Rate,
    Unsupported,
    WindowClosed,
)
from portals.http import Refused, ServerFault
from tests.externallines.channel_contract import outcome, sample_message
from tests.externallines.meta_contract import (
    AT_MS,
    AUTH,
    BLOCKED,
    CANNOT_BE_SHOWN,
    CLIENT_ID,
    DOUBTFUL,
    PAUSE,
    PERMANENT,
    RETRY,
    WINDOW,
    MetaContract,
    error,
    file,
    long_ago,
    query,
)

APP = "123456"
TOKEN, SECRET = "EAAGtoken-of-the-page", "0123456789abcdef-app-secret"


def common_events(user, chat_meta):
    """What both tell alike."""
    contact = Contact(user, meta=[(chat_meta, user)])

    def said(mid, text="", **more):
        return [MessageReceived(user, mid, contact, **{"text": text, "sent_at": AT_MS, **more})]

    def filed(name, url, file_name, kind, text=""):
        return said(f"m_{name}", text, media=[Media({"url": url}, file_name, kind=kind)])

    cdn = "https://scontent.example.com"
    return {
        "text": said("m_text", r"Чи є \*синя\* сукня?"),
        "quick_reply": said("m_quick_reply", "Yes"),
        "seconds": said("m_seconds", "s", sent_at=AT_MS.replace(microsecond=0)),
        "image": filed("image", f"{cdn}/v/bag%20red.jpg?oh=1", "bag red.jpg", MediaKind.IMAGE),
        "video": filed("video", f"{cdn}/v/clip", "video", MediaKind.VIDEO),
        "audio": filed("audio", f"{cdn}/v/voice.mp4?x=1", "voice.mp4", MediaKind.AUDIO),
        "file": filed("file", "https://cdn.example.com/прайс.pdf?dl=1", "прайс.pdf", MediaKind.FILE),
        "sticker": filed("sticker", f"{cdn}/sticker.png", "sticker.png", MediaKind.IMAGE),
        "location": said("m_location", "[Ann's Location](https://maps.google.com/?q=50.4501,30.5234)"),
        "fallback": said("m_fallback", "see this\nOur \\*shop\\*\nhttps://shop.example.com/"),
        "template": said("m_template", "Receipt"),
        "share": said("m_share", "https://www.instagram.com/p/1/"),
        "reel": said("m_reel", "A reel\nhttps://www.instagram.com/reel/1/"),
        "post": said("m_post", "https://www.instagram.com/p/2/"),
        "story_mention": filed(
            "story_mention",
            "https://lookaside.example.com/story?id=1",
            "story",
            MediaKind.FILE,
            "_Mentions you in a story._",
        ),
        "like_heart": said("m_like_heart", "❤️"),
        "ephemeral": said("m_ephemeral", CANNOT_BE_SHOWN),
        "unknown_attachment": said("m_unknown_attachment", CANNOT_BE_SHOWN),
        "several_files": said(
            "m_several_files",
            media=[Media({"url": f"{cdn}/{n}.jpg"}, f"{n}.jpg", kind=MediaKind.IMAGE) for n in (1, 2)],
        ),
        "reply": said("m_reply", "this one", reply_to="m_ours"),
        "story_reply": filed(
            "story_reply",
            "https://lookaside.example.com/s/story.mp4",
            "story.mp4",
            MediaKind.FILE,
            "_Answers your story:_\nNice!",
        ),
        "unsupported": said("m_unsupported", CANNOT_BE_SHOWN),
        "broken_content": said("m_broken_content", CANNOT_BE_SHOWN),
        "edit": [MessageEdited(user, "m_text", r"And the \*red\* one?", at=AT_MS)],
        "edit_of_nothing": [Ignored("an edit that is none")],
        "unsend": [MessageDeleted(user, "m_text")],
        "reaction": said(f"reaction:m_ours:{user}:react:❤️:1764000000123", "_Reacted with_ ❤️", reply_to="m_ours"),
        "reaction_removed": said(
            f"reaction:m_ours:{user}:unreact::1764000000123", "_Took back a reaction._", reply_to="m_ours"
        ),
        "reaction_of_ours": [Ignored("not about messages: reaction, recipient, sender, timestamp")],
        "postback": said("postback:m_postback", "Get started"),
        "echo_by_hand": said("m_hand", "We called you", outgoing=True),
        "echo_of_ours": said("m_ours1", "Hello", outgoing=True, client_id=CLIENT_ID),
        "echo_of_another_app": said("m_bot", "I am a bot", outgoing=True),
        "echo_unsent": [MessageDeleted(user, "m_hand")],
        "standby": said("m_standby", "to the other app"),
        "referral": [Ignored("not about messages: recipient, referral, sender, timestamp")],
        "another_account": [],
        "another_object": [],
        "without_an_id": [Ignored("breaks the contract: message.mid has to be a string of 1 to 255 characters.")],
        "batch": [
            *said("m_batch1", "one"),
            MessageReceived(
                "3003", "m_batch2", Contact("3003", meta=[(chat_meta, "3003")]), text="two", sent_at=AT_MS
            ),
            *said("m_batch3", "three"),
        ],
    }


class MessengerContract(MetaContract):
    """The contract of channels, for Messenger or Instagram."""

    success = b'{"recipient_id":"1001","message_id":"m_sent"}'
    refused = {"broken_not_an_object": ""}
    account: str  # whose messages are sent
    tagged: dict = {}  # how a message within 24 h is marked
    human: dict = {}  # and one within 7 days
    metadata: dict = {}
    error_rows = (
        *((190, sub, AUTH, {}) for sub in (0, 458, 459, 460, 463, 464, 467, 1)),
        *((code, 0, AUTH, {}) for code in (102, 10, 200, 230, 3, 368)),
        *((code, 99, PERMANENT, {"retryable": False}) for code in (10, 200)),
        (200, 2018028, AUTH, {}),
        (10, 1893063, AUTH, {}),
        *((10, sub, WINDOW, {}) for sub in (2018065, 2018108, 2018278, 2534022)),
        *((551, sub, BLOCKED, {}) for sub in (0, 1545041)),
        (200, 1545041, BLOCKED, {}),
        *((100, sub, BLOCKED, {}) for sub in (2018001, 2534014)),
        *((code, 0, PAUSE, {"retryable": True}) for code in (4, 17, 32, 613, 80006)),
        (4, 2018022, PAUSE, {}),
        *((code, 0, RETRY, {}) for code in (1, 1200)),
        (1200, 2018024, RETRY, {}),
        *((2, sub, DOUBTFUL, {"tolerated": 4, "final": BLOCKED}) for sub in (0, 1545133)),
        *((100, sub, PERMANENT, {}) for sub in (0, 2018109, 2018047, 2018008, 2018034, 5)),
        (100, 0, AUTH, {"tolerated": 9, "text": "Unsupported request - method type: post"}),
    )

    @pytest.fixture
    def sent(self, graph):
        """Return the bodies of the messages that were sent."""
        graph.on(f"POST {self.account}/messages", {"recipient_id": "1001", "message_id": "m_sent"})
        return lambda: [json.loads(call.body) for call in graph.made(f"POST {self.account}/messages")]

    def test_a_text_is_sent(self, sent):
        receipt = self.line.send(sample_message(files=[], text="Hello, **Ann**", reply_to="m_theirs"))
        assert receipt.external_id == "m_sent"
        assert sent() == [
            {
                "recipient": {"id": "1001"},
                **self.tagged,
                "reply_to": {"mid": "m_theirs"},
                "message": {"text": "Hello, Ann", **self.metadata},
            }
        ]

    @pytest.mark.parametrize("note", ["reaction:m_1:2:react:x", "postback:m_1"])
    def test_a_note_of_ours_is_not_quoted(self, sent, note):
        self.line.send(sample_message(files=[], reply_to=note))
        assert "reply_to" not in sent()[0]

    def test_after_24_hours_nothing_is_tried(self, graph):
        for wrote_at in (None, long_ago(hours=24, seconds=1)):
            got = outcome(self.line.send, sample_message(customer_wrote_at=wrote_at))
            assert type(got) is WindowClosed
            assert "24 hours" in str(got)
        assert graph.calls == []

    def test_an_app_with_human_agent_has_seven_days(self, graph, sent):
        line = self.channel({**self.credentials, "human_agent": "yes"})
        line.send(sample_message(files=[], customer_wrote_at=long_ago(hours=23)))
        line.send(sample_message(files=[], customer_wrote_at=long_ago(days=6, hours=23)))
        within, later = sent()
        assert {name: within[name] for name in ("messaging_type", "tag") if name in within} == self.tagged
        assert {name: later[name] for name in ("messaging_type", "tag") if name in later} == self.human
        assert "reply_to" not in later
        got = outcome(line.send, sample_message(customer_wrote_at=long_ago(days=7, seconds=1)))
        assert type(got) is WindowClosed
        assert "7 days" in str(got)
        assert len(graph.calls) == 2

    def test_human_agent_is_yes_or_no(self):
        for answer in ("", "yes", "no"):
            assert self.channel.prepare({**self.form, "human_agent": answer})["human_agent"] == answer

    def test_what_was_sent_cannot_be_changed(self):
        assert type(outcome(self.line.edit, sample_message())) is Unsupported
        assert type(outcome(self.line.delete, sample_message())) is Unsupported

    def test_a_file_that_cannot_be_sent_is_a_link(self, sent):
        too_large = file("a.zip", "application/zip", MediaKind.FILE, 25 * 1024 * 1024 + 1)
        receipt = self.line.send(sample_message(text="Look", files=[too_large]))
        assert [body["message"]["text"] for body in sent()] == ["Look", f"a.zip: {too_large.url}"]
        assert receipt.note == "Sent as a link: a.zip."

    def test_a_link_that_is_too_long_with_its_name_goes_without_it(self, sent):
        limit, size = self.channel.text_limit, self.channel.text_size
        name = "ж" * 100 + ".zip"
        for length, named in ((limit - size(f"{name}: "), True), (limit - size(f"{name}: ") + 1, False)):
            url = "https://lines.example.com/".ljust(length, "x")
            given = file(name, "application/zip", MediaKind.FILE, 25 * 1024 * 1024 + 1)
            self.line.send(sample_message(text="", files=[replace(given, url=url)]))
            assert sent()[-1]["message"]["text"] == (f"{name}: {url}" if named else url)

    def test_the_budget_is_that_of_the_contract(self):
        assert self.channel.account_rate == Rate(300, 300)

    # in

    def test_a_reaction_that_comes_back_is_another(self):
        call = json.loads(self.payload("reaction"))
        keys, ids = set(), set()
        for action, second in (("react", 1), ("unreact", 2), ("react", 3)):
            [item] = call["entry"][0]["messaging"]
            item["timestamp"], item["reaction"]["action"] = 1764000000000 + second, action
            [update] = self.line.split({}, json.dumps(call).encode())
            keys.add(update.key)
            ids |= {event.message_id for event in self.line.parse(update.payload)}
        assert len(keys) == len(ids) == 3

    # customers

    def look_up(self, graph, profile, status=200):
        graph.on("GET 2002", profile, status=status)
        return outcome(self.line.look_up, Contact("2002", meta=[("x", "2002")]))

    def test_a_customer_who_does_not_show_themselves_stays_nameless(self, graph):
        for refusal in (error(100, 2018218), error(230), error(10)):
            assert self.look_up(graph, refusal, 400) == Contact("2002", meta=[("x", "2002")])

    def test_a_look_up_that_fails_is_a_remote_error(self, graph):
        assert type(self.look_up(graph, error(1), 500)) is ServerFault

    def test_an_empty_profile_changes_nothing(self, graph):
        got = self.look_up(graph, {"id": "2002", "name": 7, "profile_pic": None})
        assert got == Contact("2002", meta=[("x", "2002")])
        assert query(graph.calls[0])["fields"] == self.channel.profile_fields

    def test_a_portrait_is_asked_for_anew_as_its_address_ends_within_days(self, graph):
        contact = self.look_up(graph, {"name": "Ann", "profile_pic": f"{graph.url}/old"})
        graph.on("GET 2002", {"id": "2002", "profile_pic": f"{graph.url}/new"})
        graph.on("GET old", {}, status=403)
        graph.on("GET new", {"a": "portrait"})
        into = BytesIO()
        self.line.download(contact.picture, into, 1000)
        assert into.getvalue() == b'{"a": "portrait"}'
        *_asked, fetched = graph.calls
        assert "authorization" not in fetched.headers

    @pytest.mark.parametrize("profile", [{"id": "2002"}, {"profile_pic": 7}, {"profile_pic": ""}])
    def test_a_portrait_that_is_gone_is_refused(self, graph, profile):
        graph.on("GET 2002", profile)
        assert type(outcome(self.line.download, {"profile_of": "2002"}, BytesIO(), 1000)) is Refused

    def test_a_picture_is_fetched_without_the_token(self, graph):
        graph.on("GET pic", {"a": "picture"})
        into = BytesIO()
        self.line.download({"url": f"{graph.url}/pic"}, into, 1000)
        assert into.getvalue() == b'{"a": "picture"}'
        assert "authorization" not in graph.calls[0].headers
