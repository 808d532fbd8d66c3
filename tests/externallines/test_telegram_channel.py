"""The channel `telegram`: the contract of channels, and the tables of channels.md 1."""

import dataclasses
import json
import re
from datetime import UTC, datetime
from email.message import Message as Header
from io import BytesIO

import pytest
from requests_toolbelt import MultipartDecoder

from externallines.channels import addresses, telegram, telegram_api
from externallines.channels.base import (
    Account,
    AccountProblem,
    AccountThrottled,
    Blocked,
    Contact,
    Ignored,
    InvalidCredentials,
    Media,
    MediaKind,
    MessageEdited,
    MessageReceived,
    OutboundFile,
    Rate,
    ReachabilityChanged,
    Receipt,
    Unsupported,
)
from externallines.channels.rendering import utf16
from portals.http import Refused, ServerFault
from tests.externallines.channel_contract import PATIENCE, ChannelContract, outcome, raised, sample_message

PART = "AAF0-lo_ng1ShopSecretOfTheBot234567"
OTHER_PART = "BBF0-lo_ng1ShopSecretOfTheBot234567"
TOKEN, OTHER_TOKEN = f"123456789:{PART}", f"987654321:{OTHER_PART}"
SECRET, OTHER_SECRET = "webhook-secret-of-the-line-01234567890", "webhook-secret-of-another-0123456789"
HOOK = "https://lines.example.com/webhooks/lines/6b1f6e4c-6f0c-4a0e-9c55-0a0b0c0d0e0f"
AT = datetime(2026, 11, 22, 10, tzinfo=UTC)
META = [("telegram", "5312345678"), ("username", "ann_koval")]
ANN = Contact("5312345678", "Ann Коваль", meta=META)
KINDS = ["message", "edited_message", "callback_query", "my_chat_member"]


def said(message_id, text, *media, **more):
    more = {"contact": ANN, "sent_at": AT, **more}
    return [MessageReceived("5312345678", message_id, text=text, media=media, **more)]


def media(file_id, name, mime_type, size, kind=MediaKind.FILE):
    return Media({"file_id": file_id}, name, mime_type, size, kind)


def edited(message_id, text, second):
    return [MessageEdited("5312345678", message_id, text, at=datetime(2026, 11, 22, 10, 1, second, tzinfo=UTC))]


def pressed(callback_id, text, **more):
    return said(f"button-{callback_id}", text, sent_at=None, thanks={"callback_query_id": callback_id}, **more)


def file(name="a.pdf", mime_type="application/pdf", kind=MediaKind.FILE, content=b"content", size=None):
    return OutboundFile(
        name, mime_type, len(content) if size is None else size, "", kind, "", lambda into: into.write(content)
    )


PHOTO = file("x.png", "image/png", MediaKind.IMAGE, b"picture")
JPEG = file("y.jpg", "image/jpeg", MediaKind.IMAGE, b"jpeg")
VIDEO = file("v.mp4", "video/mp4", MediaKind.VIDEO, b"video")
VOICE = file("o.ogg", "audio/ogg; codecs=opus", MediaKind.VOICE, b"voice")
SONG = file("s.mp3", "audio/mpeg", MediaKind.AUDIO, b"song")
PRICES = file()


def taken(*ids):
    """The answer to one message, or to an album."""
    messages = [{"message_id": number, "date": 1, "chat": {"id": 1001, "type": "private"}} for number in ids]
    return 200, json.dumps({"ok": True, "result": messages[0] if len(ids) == 1 else messages}).encode()


def fine(result=True):
    return 200, json.dumps({"ok": True, "result": result}).encode()


def refusal(status, description, **parameters):
    body = {"ok": False, "error_code": status, "description": description}
    return status, json.dumps({**body, **({"parameters": parameters} if parameters else {})}).encode()


def script(remote, *answers):
    """Answer call by call; the last answer stays."""
    left, serve = list(answers), remote.serve

    def next_answer(call):
        remote.answer(*(left.pop(0) if len(left) > 1 else left[0]))
        return serve(call)

    remote.serve = next_answer


def methods(remote):
    return [call.path.rpartition("/")[2] for call in remote.calls]


def fields(call):
    """The fields of a call, and the files of a form as (file name, media type, content)."""
    assert call.method == "POST"
    assert call.path.startswith(f"/bot{TOKEN}/")
    if call.headers["content-type"] == "application/json":
        return json.loads(call.body)
    given = {}
    for part in MultipartDecoder(call.body, call.headers["content-type"]).parts:
        header = Header()
        header["content-disposition"] = part.headers[b"Content-Disposition"].decode()
        name, file_name = header.get_param("name", header="content-disposition"), header.get_filename()
        mime_type = part.headers.get(b"Content-Type", b"").decode()
        given[name] = (file_name, mime_type, part.content) if file_name else part.text
    for name in ("media", "reply_parameters"):
        if name in given:
            given[name] = json.loads(given[name])
    return given


class TestTelegram(ChannelContract):
    channel = telegram.Telegram
    signs_body = False
    form = {"token": TOKEN}
    bad_forms = [
        ({"token": token}, "token")
        for token in (
            "",
            "123456789",
            f":{PART}",
            f"12a:{PART}",
            f"{TOKEN} x",
            f"{TOKEN}\n",
            f"٣٣٣٣٣٣:{PART}",
            "1:x",
        )
    ]
    credentials = {"token": TOKEN, "webhook_secret": SECRET}
    other_credentials = {"token": OTHER_TOKEN, "webhook_secret": OTHER_SECRET}
    secrets = [PART, OTHER_PART, SECRET, OTHER_SECRET]
    events = {
        "text": said("101", r"Добрий день! Чи є \*синя\* сукня, 42-й?"),
        "text_without_names": [
            MessageReceived("77", "201", Contact("77", meta=[("telegram", "77")]), text="Hi", sent_at=AT)
        ],
        "text_with_entities": said(
            "102", "😀 **bold** *italic* `code` [site](https://x.ua/a_%28b%29) ~~strike~~ #tag"
        ),
        "text_with_blocks": said("103", "look:\n\n```python\nx = 1\n```\n\n> said so\n\ndone"),
        "start": said("104", "/start promo_42"),
        "photo": said(
            "105", r"**this** \*one\*", media("p-l", "photo-105.jpg", "image/jpeg", 98213, MediaKind.IMAGE)
        ),
        "document": said("106", "", media("d-1", "прайс.pdf", "application/pdf", 48213)),
        "document_without_a_name": said("107", "", media("d-2", "document-107", "application/octet-stream", None)),
        "animation": said("108", "", media("a-1", "cat.gif.mp4", "video/mp4", 7000, MediaKind.VIDEO)),
        "voice": said("109", "", media("v-1", "voice-109.ogg", "audio/ogg", 9000, MediaKind.VOICE)),
        "audio": said("110", "", media("m-1", "обійми.mp3", "audio/mpeg", 4_000_000, MediaKind.AUDIO)),
        "video": said("111", "large", media("w-1", "video-111.mp4", "video/mp4", 25_000_000, MediaKind.VIDEO)),
        "video_note": said(
            "112", "", media("n-1", "video-message-112.mp4", "video/mp4", 300_000, MediaKind.VIDEO)
        ),
        "sticker": said("113", "👍", media("s-1", "sticker-113.webp", "image/webp", 20_000, MediaKind.IMAGE)),
        "sticker_animated": said(
            "114", "😀", media("s-2-t", "sticker-114.webp", "image/webp", 4_000, MediaKind.IMAGE)
        ),
        "sticker_without_a_picture": said("115", "[Sticker]"),
        "location": said("116", "[Location](https://maps.google.com/?q=50.4501,30.5234)"),
        "venue": said("117", r"[Кав'ярня \[2\], вул. Садова, 1](https://maps.google.com/?q=50.45,-30.5)"),
        "contact_own": said(
            "118",
            "Contact: Ann Коваль, +380501112233",
            contact=dataclasses.replace(ANN, meta=[*META, ("phone", "+380501112233")]),
        ),
        "contact_of_another": said("119", r"Contact: Bo\*b\*, +380670000000"),
        "album_first": said(
            "120", "two of them", media("g-1", "photo-120.jpg", "image/jpeg", 5_000, MediaKind.IMAGE)
        ),
        "album_second": said("121", "", media("g-2", "photo-121.jpg", "image/jpeg", 6_000, MediaKind.IMAGE)),
        "reply": said("122", "yes, that", reply_to="90"),
        "reply_with_a_quote": said("123", "> **Blue**\n\nthe first", reply_to="91"),
        "reply_to_another_chat": said("124", "> [A message of another chat]\n\nthis?"),
        "reply_to_a_story": said("125", "> [A story]\n\nnice"),
        "forward_of_a_user": said("126", "[Forwarded from Bob Li]\n\nsee"),
        "forward_of_a_hidden_user": said("127", "[Forwarded from Deleted \\*x\\*]\n\nsee"),
        "forward_of_a_chat": said("128", "[Forwarded from Friends]\n\nsee"),
        "forward_of_a_channel": said("129", "[Forwarded from Sales]\n\nsee"),
        "poll": said("130", "[This message cannot be shown here: a poll]"),
        "unknown_content": said("131", "[This message cannot be shown here]"),
        "edited_text": edited("101", "Чи є червона?", 0),
        "edited_caption": edited("106", "that one", 1),
        "edited_without_a_caption": edited("107", "", 2),
        "edited_live_location": [Ignored("a live location moved")],
        "button": pressed("4382bfdwdsb323b2d9", r"42 (\*L\*)", reply_to="95"),
        "button_of_an_old_message": pressed("99", "size:44", reply_to="3"),
        "button_without_a_message": pressed("98", "[Button]"),
        "button_in_a_group": [Ignored("not a private chat")],
        "blocked": [ReachabilityChanged("5312345678", blocked=True)],
        "unblocked": [ReachabilityChanged("5312345678", blocked=False)],
        "membership_of_another_kind": [Ignored("became restricted")],
        "removed_from_a_group": [Ignored("not a private chat")],
        "group": [Ignored("not a private chat")],
        "supergroup": [Ignored("not a private chat")],
        "edited_in_a_group": [Ignored("not a private chat")],
        "another_kind_of_update": [Ignored("an update of another kind")],
    }
    refused = {
        "broken_not_an_object": "",
        "broken_no_update_id": "update_id",
        "broken_no_chat": "message.chat",
        "broken_no_message_id": "message.message_id",
        "broken_no_sender": "message.from",
        "broken_text": "message.text",
        "broken_file": "message.voice.file_id",
        "broken_location": "message.location.latitude",
        "broken_button": "callback_query.id",
        "broken_membership": "my_chat_member.new_chat_member",
    }

    def signed(self, body, credentials, *, call="call-1"):
        return {"x-telegram-bot-api-secret-token": credentials["webhook_secret"]}

    def at(self, url, monkeypatch):
        monkeypatch.setattr(addresses, "telegram", url)
        return telegram.Telegram(self.credentials, HOOK)

    def hurry(self, monkeypatch):
        monkeypatch.setattr(telegram_api, "TIMEOUT", PATIENCE)
        monkeypatch.setattr(telegram_api, "UPLOAD_TIMEOUT", PATIENCE)

    def source(self, url):
        return {"file_id": "d-1"}

    # connecting

    def test_every_connection_has_a_secret_of_its_own(self):
        first, second = (telegram.Telegram.prepare(self.form)["webhook_secret"] for _ in range(2))
        assert first != second
        assert re.fullmatch("[A-Za-z0-9_-]{32,256}", first)

    def test_the_account_is_the_bot(self, remote, connected):
        remote.answer(*fine({"id": 123456789, "is_bot": True, "first_name": "Shop", "username": "shop_bot"}))
        assert connected.check() == Account("123456789", "@shop_bot")
        assert methods(remote) == ["getMe"]

    @pytest.mark.parametrize(("status", "description"), [(401, "Unauthorized"), (404, "Not Found")])
    def test_a_token_that_telegram_does_not_know_is_the_owners_mistake(
        self, remote, connected, status, description
    ):
        remote.answer(*refusal(status, description))
        got = outcome(connected.check)
        assert type(got) is InvalidCredentials
        assert got.field == "token"

    @pytest.mark.parametrize(
        "held", ["", HOOK, "https://old.example.com/prefix/webhooks/lines/6b1f6e4c-6f0c-4a0e-9c55-0a0b0c0d0e0f"]
    )
    def test_the_webhook_is_registered_with_its_secret_and_all_kinds_of_updates(self, remote, connected, held):
        script(remote, fine({"url": held, "pending_update_count": 0}), fine())
        connected.subscribe(HOOK)
        assert methods(remote) == ["getWebhookInfo", "setWebhook"]
        assert fields(remote.calls[1]) == {
            "url": HOOK,
            "secret_token": SECRET,
            "allowed_updates": KINDS,
            "drop_pending_updates": False,
        }

    def test_a_bot_that_another_service_uses_is_left_to_it(self, remote, connected):
        remote.answer(*fine({"url": "https://chat.example.org/hooks/telegram/secret", "pending_update_count": 0}))
        got = outcome(connected.subscribe, HOOK)
        assert type(got) is InvalidCredentials
        assert "chat.example.org" in str(got)
        assert "secret" not in str(got)
        assert methods(remote) == ["getWebhookInfo"]

    @pytest.mark.parametrize(
        ("held", "called"),
        [
            (HOOK, ["getWebhookInfo", "deleteWebhook"]),
            ("", ["getWebhookInfo"]),
            (f"{HOOK[:-1]}a", ["getWebhookInfo"]),
            ("https://chat.example.org/hook", ["getWebhookInfo"]),
        ],
    )
    def test_only_our_own_webhook_is_removed(self, remote, connected, held, called):
        script(remote, fine({"url": held}), fine())
        connected.unsubscribe(HOOK)
        assert methods(remote) == called

    @pytest.mark.parametrize(
        ("info", "words"),
        [
            ({"url": HOOK, "pending_update_count": 0, "allowed_updates": KINDS}, []),
            ({"url": HOOK, "allowed_updates": [*KINDS, "poll"]}, []),
            ({"url": ""}, ["Reconnect"]),
            ({"url": "https://chat.example.org/hook"}, ["chat.example.org"]),
            ({"url": HOOK, "allowed_updates": ["message"]}, ["not pass on all"]),
            (
                {
                    "url": HOOK,
                    "pending_update_count": 4,
                    "last_error_date": "now",
                    "last_error_message": "Wrong response from the webhook: 403 Forbidden",
                },
                ["403 Forbidden"],
            ),
            ({"url": HOOK, "pending_update_count": 4, "last_error_date": "now"}, ["it does not say why"]),
            ({"url": HOOK, "pending_update_count": 0, "last_error_date": "now", "last_error_message": "x"}, []),
            ({"url": HOOK, "pending_update_count": 4, "last_error_date": 1, "last_error_message": "x"}, []),
        ],
    )
    def test_the_owner_hears_what_keeps_customers_messages_back(self, remote, connected, info, words):
        if info.get("last_error_date") == "now":
            info = {**info, "last_error_date": int(datetime.now(UTC).timestamp())}
        remote.answer(*fine(info))
        sentences = connected.health(HOOK)
        assert len(sentences) == len(words)
        assert all(word in sentence for word, sentence in zip(words, sentences, strict=True))
        assert methods(remote) == ["getWebhookInfo"]

    def test_the_budgets_are_those_of_telegrams_faq(self):
        assert telegram.Telegram.account_rate == Rate(30, 30)
        assert telegram.Telegram.chat_rate == Rate(1, 5)

    # in

    def test_an_update_is_known_by_its_id(self):
        [update] = self.line.split({}, self.payload("text"))
        assert update.key == str(json.loads(self.payload("text"))["update_id"])

    def test_a_portrait_is_looked_up(self, remote, connected):
        sizes = [{"file_id": "small"}, {"file_id": "large"}]
        remote.answer(*fine({"total_count": 3, "photos": [sizes]}))
        assert connected.look_up(ANN) == dataclasses.replace(
            ANN, picture={"file_id": "large", "mime_type": "image/jpeg"}
        )
        assert fields(remote.calls[0]) == {"user_id": 5312345678, "limit": 1}

    def test_a_customer_may_have_no_portrait(self, remote, connected):
        remote.answer(*fine({"total_count": 0, "photos": []}))
        assert connected.look_up(ANN) == ANN

    def test_a_file_is_fetched_by_its_path(self, remote, connected):
        script(remote, fine({"file_id": "d-1", "file_path": "documents/file 1.pdf"}), (200, b"content"))
        into = BytesIO()
        assert connected.download({"file_id": "d-1"}, into, 100) == ""  # the message told its type
        assert into.getvalue() == b"content"
        assert fields(remote.calls[0]) == {"file_id": "d-1"}
        assert remote.calls[1].path == f"/file/bot{TOKEN}/documents/file%201.pdf"

    def test_a_portrait_is_fetched_with_its_type(self, remote, connected):
        script(remote, fine({"file_path": "photos/1.jpg"}), (200, b"content"))
        source = {"file_id": "large", "mime_type": "image/jpeg"}
        assert connected.download(source, BytesIO(), 100) == "image/jpeg"

    def test_a_file_above_20_mb_is_named_as_such(self, remote, connected):
        remote.answer(*refusal(400, "Bad Request: file is too big"))
        got = outcome(connected.download, {"file_id": "w-1"}, BytesIO(), 50_000_000)
        assert (type(got), got.retryable) == (Refused, False)
        assert "20 MB" in str(got)

    def test_a_pressed_button_is_acknowledged(self, remote, connected):
        remote.answer(*fine())
        connected.acknowledge({"callback_query_id": "99"})
        assert methods(remote) == ["answerCallbackQuery"]
        assert fields(remote.calls[0]) == {"callback_query_id": "99"}

    # out

    def test_a_text_is_sent_as_html_and_quotes(self, remote, connected):
        remote.answer(*taken(7001))
        message = sample_message(files=[], text="1 < 2, **Ann**", record=pytest.fail)
        assert connected.send(message) == Receipt("7001")
        assert methods(remote) == ["sendMessage"]
        assert fields(remote.calls[0]) == {
            "chat_id": "1001",
            "text": "1 &lt; 2, <b>Ann</b>",
            "parse_mode": "HTML",
            "reply_parameters": {"message_id": 5000, "allow_sending_without_reply": True},
        }

    @pytest.mark.parametrize("reply_to", ["", "button-99"])
    def test_what_telegram_does_not_know_is_not_quoted(self, remote, connected, reply_to):
        remote.answer(*taken(7001))
        connected.send(sample_message(files=[], reply_to=reply_to))
        assert "reply_parameters" not in fields(remote.calls[0])

    def test_a_long_text_goes_in_parts_and_each_is_recorded(self, remote, connected):
        script(remote, taken(7001), taken(7002), taken(7003))
        recorded = []
        text = "😀 слово **bold** & " * 400  # about 20 UTF-16 units each, 24 and more with markup
        assert connected.send(sample_message(files=[], text=text, record=recorded.append)) == Receipt("7003")
        assert recorded == ["7001", "7002"]
        texts = [fields(call)["text"] for call in remote.calls]
        assert max(map(utf16, texts)) <= 4096
        assert ["reply_parameters" in fields(call) for call in remote.calls] == [True, False, False]
        seen = "".join(re.sub("<[^>]+>", "", text) for text in texts).replace("&amp;", "&")
        assert "".join(seen.split()) == "".join(text.replace("*", "").split())

    def test_a_repeated_attempt_goes_on_behind_what_was_sent(self, remote, connected):
        script(remote, taken(7003))
        text = "😀 слово **bold** & " * 400
        message = sample_message(files=[], text=text, earlier_ids=["7001", "7002"], record=pytest.fail)
        assert connected.send(message) == Receipt("7003")
        assert len(remote.calls) == 1
        assert "reply_parameters" not in fields(remote.calls[0])

    def test_what_was_sent_completely_is_not_sent_again(self, remote, connected):
        message = sample_message(files=[PHOTO, PHOTO], text="", earlier_ids=["7001"], record=pytest.fail)
        assert connected.send(message) == Receipt("7001")  # an album is taken as a whole
        assert remote.calls == []

    @pytest.mark.parametrize("earlier_ids", [["7001"], ["7001", "7002"]])
    def test_an_album_counts_as_all_its_messages(self, remote, connected, earlier_ids):
        remote.answer(*taken(7003))
        message = sample_message(files=[PHOTO, PHOTO], text="я" * 1025, earlier_ids=earlier_ids)
        assert connected.send(message) == Receipt("7003")
        assert methods(remote) == ["sendMessage"]

    @pytest.mark.parametrize(
        ("sent", "method", "field", "note"),
        [
            (PHOTO, "sendPhoto", "photo", ""),
            (JPEG, "sendPhoto", "photo", ""),
            (VIDEO, "sendVideo", "video", ""),
            (VOICE, "sendVoice", "voice", ""),
            (SONG, "sendAudio", "audio", ""),
            (PRICES, "sendDocument", "document", ""),
            (file("g.gif", "image/gif", MediaKind.IMAGE), "sendAnimation", "animation", ""),
            (
                file("w.webp", "image/webp", MediaKind.IMAGE),
                *("sendDocument", "document", "Sent as a document."),
            ),
            (
                file("q.mov", "video/quicktime", MediaKind.VIDEO),
                *("sendDocument", "document", "Sent as a document."),
            ),
            (
                file("v.webm", "audio/webm", MediaKind.VOICE),
                *("sendDocument", "document", "Sent as a document."),
            ),
            (
                file("f.flac", "audio/flac", MediaKind.AUDIO),
                *("sendDocument", "document", "Sent as a document."),
            ),
            (
                file("l.png", "image/png", MediaKind.IMAGE, size=10 * 1024 * 1024 + 1),
                *("sendDocument", "document", "Sent as a document."),
            ),
            (file("s.png", "image/png", MediaKind.FILE), "sendDocument", "document", ""),
        ],
    )
    def test_each_kind_of_file_has_its_method(self, remote, connected, sent, method, field, note):
        remote.answer(*taken(7001))
        assert connected.send(sample_message(files=[sent], text="**Hi**")) == Receipt("7001", note=note)
        assert methods(remote) == [method]
        given = fields(remote.calls[0])
        name, mime_type, content = given.pop(field)
        buffer = BytesIO()
        sent.write_to(buffer)
        assert (name, mime_type, content) == (sent.name, sent.mime_type, buffer.getvalue())
        assert given == {
            "chat_id": "1001",
            "caption": "<b>Hi</b>",
            "parse_mode": "HTML",
            "reply_parameters": {"message_id": 5000, "allow_sending_without_reply": True},
        }

    def test_a_text_too_long_for_a_caption_follows_the_file(self, remote, connected):
        script(remote, taken(7001), taken(7002))
        recorded = []
        message = sample_message(files=[PHOTO], text="я" * 1025, record=recorded.append)
        assert connected.send(message) == Receipt("7002")
        assert methods(remote) == ["sendPhoto", "sendMessage"]
        assert "caption" not in fields(remote.calls[0])
        assert fields(remote.calls[1])["text"] == "я" * 1025
        assert recorded == ["7001"]

    def test_a_caption_may_have_1024_units(self, remote, connected):
        remote.answer(*taken(7001))
        connected.send(sample_message(files=[PHOTO], text="😀" * 512))
        assert fields(remote.calls[0])["caption"] == "😀" * 512

    def test_several_pictures_are_an_album_with_the_text_below(self, remote, connected):
        remote.answer(*taken(7001, 7002, 7003))
        recorded = []
        message = sample_message(files=[PHOTO, VIDEO, JPEG], text="**Hi**", record=recorded.append)
        assert connected.send(message) == Receipt("7003")
        assert recorded == ["7001", "7002"]
        assert methods(remote) == ["sendMediaGroup"]
        given = fields(remote.calls[0])
        assert given["media"] == [
            {"type": "photo", "media": "attach://file0"},
            {"type": "video", "media": "attach://file1"},
            {"type": "photo", "media": "attach://file2", "caption": "<b>Hi</b>", "parse_mode": "HTML"},
        ]
        assert [given[f"file{number}"][0] for number in range(3)] == ["x.png", "v.mp4", "y.jpg"]
        assert given["reply_parameters"]["message_id"] == 5000

    @pytest.mark.parametrize(
        ("files", "called"),
        [
            ([PHOTO] * 11, ["sendMediaGroup", "sendPhoto"]),
            ([PRICES] * 21, ["sendMediaGroup", "sendMediaGroup", "sendDocument"]),
            ([SONG, SONG, PRICES, PRICES], ["sendMediaGroup", "sendMediaGroup"]),
            ([PHOTO, PRICES, PHOTO], ["sendPhoto", "sendDocument", "sendPhoto"]),
            ([VOICE, VOICE], ["sendVoice", "sendVoice"]),
        ],
    )
    def test_albums_have_two_to_ten_files_of_a_kind(self, remote, connected, files, called):
        remote.answer(*taken(7001))
        connected.send(sample_message(files=files, text="Hi"))
        assert methods(remote) == called
        captioned = [b"Hi" in call.body for call in remote.calls]
        assert captioned == [False] * (len(called) - 1) + [True]

    def test_a_file_above_50_mb_is_refused_before_anything_is_sent(self, remote, connected):
        large = file(size=50 * 1024 * 1024 + 1)
        got = outcome(connected.send, sample_message(files=[PHOTO, large]))
        assert (type(got), got.retryable) == (Refused, False)
        assert "50 MB" in str(got)
        assert large.name not in str(got)  # staff see errors without the right to read messages
        assert remote.calls == []

    def test_an_empty_message_is_refused(self, remote, connected):
        assert type(outcome(connected.send, sample_message(files=[], text=" \n"))) is Refused
        assert remote.calls == []

    def test_what_telegram_cannot_parse_is_sent_as_plain_text(self, remote, connected, caplog):
        script(remote, refusal(400, "Bad Request: can't parse entities: Unsupported start tag"), taken(7001))
        text = "**Ann** & [site](https://x.ua/?a=1&b=2) <3"
        assert connected.send(sample_message(files=[], text=text)) == Receipt("7001")
        assert fields(remote.calls[1])["text"] == "Ann & site (https://x.ua/?a=1&b=2) <3"
        assert "parse_mode" not in fields(remote.calls[1])
        assert "telegram_refuses_our_markup" in caplog.text

    def test_a_caption_that_telegram_cannot_parse_is_sent_as_plain_text(self, remote, connected):
        script(remote, refusal(400, "Bad Request: can't parse entities"), taken(7001, 7002))
        assert connected.send(sample_message(files=[PHOTO, PHOTO], text="**Ann**")) == Receipt("7002")
        assert fields(remote.calls[1])["media"][1] == {
            "type": "photo",
            "media": "attach://file1",
            "caption": "Ann",
        }
        assert fields(remote.calls[1])["file0"] == ("x.png", "image/png", b"picture")

    @pytest.mark.parametrize(
        "code",
        ["PHOTO_INVALID_DIMENSIONS", "IMAGE_PROCESS_FAILED", "PHOTO_EXT_INVALID", "PHOTO_SAVE_FILE_INVALID"],
    )
    def test_a_picture_that_is_no_photo_is_sent_as_a_document(self, remote, connected, code):
        script(remote, refusal(400, f"Bad Request: {code}"), taken(7001))
        assert connected.send(sample_message(files=[PHOTO])) == Receipt("7001", note="Sent as a document.")
        assert methods(remote) == ["sendPhoto", "sendDocument"]
        assert fields(remote.calls[1])["document"] == ("x.png", "image/png", b"picture")

    def test_an_album_with_a_picture_that_is_no_photo_is_sent_as_documents(self, remote, connected):
        script(remote, refusal(400, "Bad Request: PHOTO_INVALID_DIMENSIONS"), taken(7001, 7002))
        got = connected.send(sample_message(files=[PHOTO, VIDEO]))
        assert got == Receipt("7002", note="2 files were sent as documents.")
        assert [item["type"] for item in fields(remote.calls[1])["media"]] == ["document", "document"]

    def test_a_voice_message_that_is_not_wanted_is_sent_as_a_document(self, remote, connected):
        script(remote, refusal(400, "Bad Request: VOICE_MESSAGES_FORBIDDEN"), taken(7001))
        got = connected.send(sample_message(files=[VOICE], text=""))
        assert got == Receipt("7001", note="Sent as a document.")
        assert methods(remote) == ["sendVoice", "sendDocument"]

    def test_what_is_refused_as_a_document_too_is_refused(self, remote, connected):
        remote.answer(*refusal(400, "Bad Request: IMAGE_PROCESS_FAILED"))
        assert type(outcome(connected.send, sample_message(files=[PHOTO]))) is Refused
        assert methods(remote) == ["sendPhoto", "sendDocument"]

    def test_a_chat_that_has_moved_is_followed(self, remote, connected):
        moved = refusal(400, "Bad Request: group chat was upgraded", migrate_to_chat_id=-1001)
        script(remote, moved, taken(7001))
        assert connected.send(sample_message(files=[PHOTO])) == Receipt("7001")
        assert fields(remote.calls[1])["chat_id"] == "-1001"
        assert fields(remote.calls[1])["photo"] == ("x.png", "image/png", b"picture")

    # edits

    def edit(self, connected, **changes):
        return outcome(connected.edit, sample_message(**{"files": [], "text": "**new**", **changes}))

    def test_a_text_is_edited(self, remote, connected):
        remote.answer(*taken(5001))
        assert self.edit(connected) is None
        assert methods(remote) == ["editMessageText"]
        assert fields(remote.calls[0]) == {
            "chat_id": "1001",
            "message_id": 5001,
            "text": "<b>new</b>",
            "parse_mode": "HTML",
        }

    def test_a_caption_is_edited_where_there_is_no_text(self, remote, connected):
        script(remote, refusal(400, "Bad Request: there is no text in the message to edit"), taken(5001))
        assert self.edit(connected) is None
        assert methods(remote) == ["editMessageText", "editMessageCaption"]
        assert fields(remote.calls[1]) == {
            "chat_id": "1001",
            "message_id": 5001,
            "caption": "<b>new</b>",
            "parse_mode": "HTML",
        }

    def test_the_text_behind_files_is_edited(self, remote, connected):
        no_text = refusal(400, "Bad Request: there is no text in the message to edit")
        script(remote, no_text, no_text, taken(5001))
        assert self.edit(connected, earlier_ids=["4998", "4999"]) is None
        assert [fields(call)["message_id"] for call in remote.calls] == [4998, 4999, 5001]

    def test_a_text_that_became_shorter_leaves_no_old_parts(self, remote, connected):
        remote.answer(*taken(5001))
        assert self.edit(connected, text="a" * 5000, earlier_ids=["4998", "4999"]) is None
        assert methods(remote) == ["editMessageText", "editMessageText", "deleteMessage"]
        assert [fields(call)["message_id"] for call in remote.calls] == [4998, 4999, 5001]

    @pytest.mark.parametrize(
        ("text", "answers"),
        [
            ("a" * 5000, [taken(1)]),
            ("a" * 1025, [refusal(400, "Bad Request: there is no text in the message to edit")]),
        ],
    )
    def test_a_text_that_became_too_long_is_not_edited(self, remote, connected, text, answers):
        script(remote, *answers)
        got = self.edit(connected, text=text)
        assert type(got) is Unsupported
        assert "still sees the old" in str(got)
        assert "editMessageCaption" not in methods(remote)

    def test_a_caption_can_be_emptied(self, remote, connected):
        remote.answer(*taken(5001))
        assert self.edit(connected, text=" ") is None
        assert methods(remote) == ["editMessageCaption"]
        assert fields(remote.calls[0]) == {"chat_id": "1001", "message_id": 5001}

    def test_a_text_cannot_be_emptied(self, remote, connected):
        remote.answer(*refusal(400, "Bad Request: there is no caption in the message to edit"))
        assert type(self.edit(connected, text="")) is Unsupported

    def test_an_edit_that_changes_nothing_is_done(self, remote, connected):
        remote.answer(
            *refusal(400, "Bad Request: message is not modified: specified new message content and reply")
        )
        assert self.edit(connected) is None
        script(
            remote,
            refusal(400, "Bad Request: there is no text in the message to edit"),
            refusal(400, "Bad Request: message is not modified"),
        )
        assert self.edit(connected) is None

    def test_an_edit_that_telegram_cannot_parse_is_plain(self, remote, connected):
        script(remote, refusal(400, "Bad Request: can't parse entities"), taken(5001))
        assert self.edit(connected) is None
        assert fields(remote.calls[1]) == {"chat_id": "1001", "message_id": 5001, "text": "new"}

    # deletions

    def test_all_parts_are_deleted(self, remote, connected):
        remote.answer(*fine())
        connected.delete(sample_message(earlier_ids=["4999", "5000"]))
        assert methods(remote) == ["deleteMessage"] * 3
        assert [fields(call) for call in remote.calls] == [
            {"chat_id": "1001", "message_id": number} for number in (4999, 5000, 5001)
        ]

    def test_what_is_deleted_already_is_deleted(self, remote, connected):
        remote.answer(*refusal(400, "Bad Request: message to delete not found"))
        assert outcome(connected.delete, sample_message(earlier_ids=["5000"])) is None
        assert len(remote.calls) == 2

    # errors, row by row

    @pytest.mark.parametrize("does", ["send", "edit", "delete"])
    @pytest.mark.parametrize(
        ("status", "description", "error", "words"),
        [
            (401, "Unauthorized", AccountProblem, "token"),
            (404, "Not Found", AccountProblem, "token"),
            (409, "Conflict: terminated by other getUpdates request", AccountProblem, "Another program"),
            (403, "Forbidden: bot was blocked by the user", Blocked, "blocked the bot"),
            (403, "Forbidden: user is deactivated", Blocked, "does not exist"),
            (403, "Forbidden: bot can't initiate conversation with a user", Blocked, "press Start"),
            (403, "Forbidden: bot was kicked from the group chat", Blocked, "blocked the bot"),
            (403, "Forbidden: bots can't send messages to bots", Blocked, "bots"),
            (403, "Forbidden: something else", Refused, "something else"),
            (400, "Bad Request: chat not found", Blocked, "press Start"),
            (400, "Bad Request: PEER_ID_INVALID", Blocked, "press Start"),
            (400, "Bad Request: message to edit not found", Refused, "not exist"),
            (400, "Bad Request: message can't be edited", Refused, "be changed"),
            (400, "Bad Request: message can't be deleted for everyone", Refused, "48 hours"),
            (400, "Bad Request: message is too long", Refused, "message is too long"),
            (400, "Bad Request: ENTITIES_TOO_LONG", Refused, "ENTITIES_TOO_LONG"),
            (400, "", Refused, "400"),
            (413, "Request Entity Too Large", Refused, "too large"),
            (500, "Internal Server Error", ServerFault, "Internal"),
            (502, "Bad Gateway", ServerFault, "Bad Gateway"),
        ],
    )
    def test_each_refusal_has_its_class(self, remote, connected, does, status, description, error, words):
        for answer in (refusal(status, description), (200, refusal(status, description)[1])):
            remote.answer(*answer)
            got = outcome(getattr(connected, does), sample_message(files=[]))
            assert type(got) is error
            assert got.retryable == (error in (AccountProblem, ServerFault))
            if answer[0] != 200 or status < 500:
                assert words in str(got) or not description

    @pytest.mark.parametrize(
        ("parameters", "header", "seconds"),
        [
            ({"retry_after": 17}, "90", 17),
            ({}, "90", 90),
            ({}, None, None),
            ({"retry_after": 10**9}, None, 86_400),
        ],
    )
    def test_a_throttled_bot_pauses_as_a_whole(self, remote, connected, parameters, header, seconds):
        _, body = refusal(429, "Too Many Requests: retry after 17", **parameters)
        remote.answer(429, body, **({"retry_after": header} if header else {}))
        got = outcome(connected.send, sample_message())
        assert (type(got), got.retryable, got.retry_after) == (AccountThrottled, True, seconds)

    def test_a_refused_button_is_a_refusal(self, remote, connected):
        remote.answer(*refusal(400, "Bad Request: query is too old and response timeout expired"))
        assert type(raised(connected.acknowledge, {"callback_query_id": "1"})) is Refused
