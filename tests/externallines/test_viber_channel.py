"""The channel `viber`: the contract of channels, and the tables of channels.md 2."""

import dataclasses
import hashlib
import hmac
import json
from datetime import UTC, datetime

import pytest

from externallines.channels import addresses, viber
from externallines.channels.base import (
    Account,
    AccountProblem,
    Blocked,
    ChatProgressed,
    Contact,
    Doubtful,
    Ignored,
    InvalidCredentials,
    Media,
    MediaKind,
    MessageReceived,
    OutboundFile,
    Progress,
    ReachabilityChanged,
    Receipt,
    StatusReported,
    Unsupported,
)
from externallines.channels.viber_errors import PROBLEMS
from externallines.channels.viber_parts import plan
from portals.http import Refused, ServerFault, Throttled
from tests.externallines.channel_contract import PATIENCE, ChannelContract, outcome, sample_message

TOKEN = "445da6az1s345z78-dazcczb2542zv51a-e0vc5fva17480im9"
OTHER_TOKEN = "445da6az1s345z79-dazcczb2542zv51a-e0vc5fva17480im9"
HOOK = "https://lines.example.com/webhooks/lines/6b1f6e4c-6f0c-4a0e-9c55-0a0b0c0d0e0f"
OLD_HOOK = HOOK.replace("lines.example.com", "old.example.com/prefix")
SENT_AT = datetime(2016, 3, 12, 6, 29, 57, 627_000, UTC)
ANN = Contact("01234567890A=", "Ann Коваль", "https://avatars.viber.com/a.jpg", meta=[("viber", "01234567890A=")])
FIRST = 4912661846655238146
CDN = "https://dl-media.viber.com/1/share"


def said(number, text="", contact=ANN, media=()):
    return [MessageReceived(contact.id, str(FIRST + number), contact, text=text, media=media, sent_at=SENT_AT)]


class TestViber(ChannelContract):
    channel = viber.Viber
    form = {"token": TOKEN}
    bad_forms = [
        ({"token": token}, "token")
        for token in ("", "short", TOKEN[:16], f"{TOKEN}\n", f" {TOKEN}", f"{TOKEN}-", "ї" * 16 + TOKEN[16:])
    ]
    credentials = {"token": TOKEN}
    other_credentials = {"token": OTHER_TOKEN}
    secrets = [TOKEN, OTHER_TOKEN]
    events = {
        "message_text": said(0, r"Добрий день! Чи є \*синя\* сукня?"),
        "message_picture": said(
            1,
            r"\*this\* one",
            media=[Media({"url": f"{CDN}/a.jpg?Expires=1"}, "IMG_1.jpg", "image/jpeg", 48213, MediaKind.IMAGE)],
        ),
        "message_picture_without_caption": said(
            2, media=[Media({"url": f"{CDN}/b.jpg"}, "photo.jpg", "image/jpeg", None, MediaKind.IMAGE)]
        ),
        "message_video": said(
            3, media=[Media({"url": f"{CDN}/v.mp4"}, "video.mp4", "video/mp4", 10000, MediaKind.VIDEO)]
        ),
        "message_file": said(4, media=[Media({"url": f"{CDN}/f"}, "прайс.pdf", "application/pdf", 12000)]),
        "message_voice": said(
            5, media=[Media({"url": f"{CDN}/s"}, "voice.m4a", "audio/mp4", 900, MediaKind.AUDIO)]
        ),
        "message_file_with_a_long_name": said(
            6, media=[Media({"url": f"{CDN}/l"}, "n" * 251 + ".pdf", "application/pdf", 1)]
        ),
        "message_sticker": said(7, "[sticker 46105]"),
        "message_contact": said(8, "Bob \\*B\\*\n+380501112233"),
        "message_url": said(9, "https://x.ua/a_b?c=1"),
        "message_location": said(10, "[Location](https://maps.google.com/?q=50.76891,6.11499)"),
        "message_of_an_unknown_type": said(11, "[rich_media]"),
        "message_empty": said(12, "[text]"),
        "message_file_from_nowhere": said(13, "[picture]"),
        "message_of_an_anonymous": said(14, "Hi", Contact(ANN.id, "Subscriber", meta=ANN.meta)),
        "conversation_started": [Ignored("conversation_started")],
        "subscribed": [ReachabilityChanged(ANN.id, blocked=False)],
        "unsubscribed": [ReachabilityChanged(ANN.id, blocked=True)],
        "delivered": [StatusReported(Progress.DELIVERED, message_id=str(FIRST + 19))],
        "seen": [ChatProgressed(Progress.READ, ANN.id, message_id=str(FIRST + 20))],
        "failed": [StatusReported(Progress.FAILED, message_id=str(FIRST + 21), error="failure description")],
        "failed_without_a_reason": [
            StatusReported(
                Progress.FAILED, message_id=str(FIRST + 22), error="Viber could not deliver the message."
            )
        ],
        "webhook": [Ignored("webhook")],
        "client_status": [Ignored("client_status")],
        "action": [Ignored("action")],
    }
    refused = {
        "broken_no_event": "event",
        "broken_no_sender": "sender",
        "broken_no_sender_id": "sender.id",
        "broken_no_message": "message",
        "broken_no_type": "message.type",
        "broken_no_token": "message_token",
        "broken_text": "message.text",
        "broken_location": "message.location.lat",
        "broken_contact": "message.contact",
        "broken_seen_by_nobody": "user_id",
        "broken_delivered_of_nothing": "message_token",
        "broken_unsubscribed_nobody": "user_id",
        "broken_not_an_object": "",
    }

    def signed(self, body, credentials, *, call="call-1"):
        digest = hmac.new(credentials["token"].encode(), body, hashlib.sha256).hexdigest()
        return {"x-viber-content-signature": digest}

    def at(self, url, monkeypatch):
        monkeypatch.setattr(addresses, "viber", url)
        return viber.Viber(self.credentials, HOOK)

    def hurry(self, monkeypatch):
        monkeypatch.setattr(viber, "TIMEOUT", PATIENCE)
        monkeypatch.setattr(viber, "TIMEOUT_OF_SET_WEBHOOK", PATIENCE)


@pytest.fixture
def remote():
    yield from TestViber.remote.__wrapped__(None)


@pytest.fixture
def line(remote, monkeypatch):
    answer(remote)
    return TestViber().at(remote.url, monkeypatch)


def answer(remote, **content):
    """Let the stand-in answer every call like this."""
    remote.answer(200, json.dumps({"status": 0, "status_message": "ok", "name": "Shop"} | content).encode())


def answer_in_turn(remote, monkeypatch, *contents):
    """Let the stand-in answer the coming calls like this, each differently; further ones as it is told then."""
    waiting = list(contents)

    def serve(call):
        if waiting:
            answer(remote, **waiting.pop(0))
        return serve_alike(call)

    serve_alike = remote.serve
    monkeypatch.setattr(remote, "serve", serve)


def bodies(remote, method):
    return [json.loads(call.body) for call in remote.calls if call.path == f"/{method}"]


def file(name, mime_type, size=1000, kind=MediaKind.FILE):
    return OutboundFile(name, mime_type, size, "0" * 64, kind, f"https://x.ua/media/t/{name}", lambda into: None)


def parts(**changes):
    return plan(sample_message(**{"files": []} | changes))


@pytest.mark.parametrize(
    ("name", "mime_type", "ends"),
    [
        ("a.png", "image/png", "/a.png"),
        ("a.PNG", "image/png", "/a.PNG"),
        ("photo", "image/jpeg", "/photo.jpg"),
        ("photo.png", "image/jpeg", "/photo.png.jpg"),
        ("%D1%84%2Epng", "image/png", "/%D1%84%2Epng"),
        ("clip.mov", "video/mp4", "/clip.mov.mp4"),
        ("price.pdf", "application/pdf", "/price.pdf"),
        ("price", "application/pdf", "/price.pdf"),
        ("list", "application/x-nobody-knows", "/list.dat"),
    ],
)
def test_the_address_of_a_file_ends_as_its_kind(name, mime_type, ends):
    [part], _note = parts(text="", files=[file(name, mime_type)])
    assert part["media"] == f"https://x.ua/media/t{ends}"


# Signatures


def test_the_golden_signature_passes():
    body = b'{"event":"webhook","timestamp":1457764197627,"message_token":241256543215}'
    signature = "bd52434b46be1542d32bfa5e3332b757b927e183c5ef3b20a5f9877207dc55b9"
    viber.Viber({"token": TOKEN}).verify({"x-viber-content-signature": signature}, body)


def test_a_delivery_to_another_device_is_the_same_event():
    told = {"event": "delivered", "timestamp": 1, "message_token": 7, "user_id": "u"}
    keys = {viber.Viber({"token": TOKEN}).split({}, json.dumps(told | {"timestamp": at}).encode())[0].key
            for at in (1, 2)}  # fmt: skip
    assert keys == {"delivered:7:u"}


# Connecting


def test_the_account_is_the_bot_as_viber_describes_it(remote, line):
    answer(remote, id="pa:75346594275468546724", name="Shop", icon="https://media.viber.com/i.jpg", webhook="")
    assert line.check() == Account(
        "pa:75346594275468546724",
        "Shop",
        picture_url="https://media.viber.com/i.jpg",
        learned={"name": "Shop", "icon": "https://media.viber.com/i.jpg"},
    )
    (call,) = remote.calls
    assert (call.path, call.body) == ("/get_account_info", b"{}")
    assert call.headers["x-viber-auth-token"] == TOKEN
    assert call.headers["content-type"] == "application/json"


@pytest.mark.parametrize("status", [2, 7, 8, 9, 15])
def test_a_token_that_cannot_be_used_is_told_to_the_owner(remote, line, status):
    answer(remote, status=status)
    with pytest.raises(InvalidCredentials, match=r"\.$") as caught:
        line.check()
    assert caught.value.field == "token"


@pytest.mark.parametrize("held", ["", HOOK, OLD_HOOK, None])
def test_the_webhook_is_set_with_everything_we_want_to_hear(remote, line, held):
    answer(remote, webhook=held)
    line.subscribe(HOOK)
    assert bodies(remote, "set_webhook") == [
        {
            "url": HOOK,
            "event_types": ["delivered", "seen", "failed", "subscribed", "unsubscribed", "conversation_started"],
            "send_name": True,
            "send_photo": True,
        }
    ]


@pytest.mark.parametrize(
    ("held", "named"),
    [("https://chat.example.org/viber/secret", "(chat.example.org)"), (f"{HOOK[:-1]}a", "(lines.example.com)")],
)
def test_a_bot_that_another_service_uses_is_left_to_it(remote, line, held, named):
    answer(remote, webhook=held)
    got = outcome(line.subscribe, HOOK)
    assert (type(got), got.field) == (InvalidCredentials, "token")
    assert named in str(got)
    assert "secret" not in str(got)
    assert bodies(remote, "set_webhook") == []


@pytest.mark.parametrize(
    ("webhook", "removed"),
    [(HOOK, [{"url": ""}]), (OLD_HOOK, [{"url": ""}]), ("https://other.example.com/", []), ("", [])],
)
def test_only_our_webhook_is_removed(remote, line, webhook, removed):
    answer(remote, webhook=webhook)
    line.unsubscribe(HOOK)
    assert bodies(remote, "set_webhook") == removed


@pytest.mark.parametrize(
    ("account", "warning"),
    [
        ({"webhook": HOOK, "event_types": [*viber.EVENT_TYPES, "message"]}, None),
        ({"webhook": HOOK}, None),
        ({}, "no address"),
        ({"webhook": "https://other.example.com/"}, "Another service (other.example.com)"),
        ({"webhook": "https://["}, "Another service"),
        ({"webhook": OLD_HOOK}, "an address that we had before"),
        ({"webhook": HOOK, "event_types": ["delivered", "failed", "subscribed", "unsubscribed"]},
         "conversation_started, seen"),
    ],
)  # fmt: skip
def test_health(remote, line, account, warning):
    answer(remote, **account)
    warnings = line.health(HOOK)
    assert bool(warnings) == bool(warning)
    assert all(warning in sentence and sentence.endswith(".") for sentence in warnings)


# Sending


def test_a_picture_with_a_caption_is_one_message(remote, line):
    answer(remote, message_token=5741311803571721087)
    assert line.send(sample_message()) == Receipt("5741311803571721087")
    assert bodies(remote, "send_message") == [
        {
            "receiver": "2002",
            "min_api_version": 1,
            "sender": {"name": "Viber"},
            "type": "picture",
            "text": "Hello, Ann",
            "media": "https://lines.example.com/media/token/x.png",
        }
    ]


@pytest.mark.parametrize(
    ("learned", "sender"),
    [
        ({"name": "Shop", "icon": "https://media.viber.com/i.jpg"},
         {"name": "Shop", "avatar": "https://media.viber.com/i.jpg"}),
        ({"name": "A bot with a name that is longer than it may be", "icon": ""},
         {"name": "A bot with a name that is lo"}),
        ({"name": "", "icon": "http://media.viber.com/i.jpg"}, {"name": "Viber"}),
    ],
)  # fmt: skip
def test_messages_come_from_the_bot(remote, line, learned, sender):
    answer(remote, message_token=1)
    viber.Viber({"token": TOKEN, **learned}).send(sample_message())
    assert [body["sender"] for body in bodies(remote, "send_message")] == [sender]


def test_parts_are_recorded_and_a_repeat_goes_on_behind_them(remote, line, monkeypatch):
    files = [file("a.pdf", "application/pdf"), file("b.mp4", "video/mp4")]
    recorded = []
    message = sample_message(files=files, text="**both**", record=recorded.append)
    answer_in_turn(remote, monkeypatch, {"message_token": 1}, {"message_token": 2}, {"status": 12})
    with pytest.raises(Throttled):
        line.send(message)
    assert recorded == ["1", "2"]
    remote.calls.clear()
    answer_in_turn(remote, monkeypatch, {"message_token": 3})
    assert line.send(dataclasses.replace(message, earlier_ids=recorded)) == Receipt("3")
    assert [body["text"] for body in bodies(remote, "send_message")] == ["*both*"]
    assert recorded == ["1", "2"]


def test_cyrillic_goes_out_as_it_is(remote, line):
    answer(remote, message_token=1)
    line.send(sample_message(text="я" * 7000, files=[]))
    (sent,) = [call for call in remote.calls if call.path == "/send_message"]
    assert "я".encode() * 7000 in sent.body
    assert len(sent.body) < 30_000


@pytest.mark.parametrize("char", ["я", "€", "😀", '"', "\x01"])
def test_no_message_is_too_big(char):
    texts, _ = parts(text=char * 30_000)
    for part in texts:
        assert len(part["text"]) <= 7000
        assert len(json.dumps(part, ensure_ascii=False).encode()) < 29_000
    assert "".join(part["text"] for part in texts) == char * 30_000


def test_an_answer_begins_with_what_it_answers():
    (part,), _ = parts(text="**Yes**", quoted="Is *it*\n\nin stock?")
    assert part == {"type": "text", "text": "> Is it in stock?\n\n*Yes*"}
    (part,), _ = parts(text="Yes", quoted="word " * 100)
    quotation, _, text = part["text"].partition("\n\n")
    assert (len(quotation) < 210, quotation[-3:], text) == (True, "d …", "Yes")


@pytest.mark.parametrize(
    ("sent", "part", "note"),
    [
        (file("a.jpg", "image/jpeg", 10**6), {"type": "picture", "media": "https://x.ua/media/t/a.jpg"}, ""),
        (file("a.jpg", "image/jpeg", 10**6 + 1, MediaKind.IMAGE), {"type": "file"}, "as a file"),
        (file("a.gif", "image/gif", 9, MediaKind.IMAGE), {"type": "file", "file_name": "a.gif"}, "as a file"),
        (file("a.mp4", "video/mp4", 26 * 10**6), {"type": "video", "size": 26 * 10**6}, ""),
        (file("a.mp4", "video/mp4", 26 * 10**6 + 1, MediaKind.VIDEO), {"type": "file"}, "as a file"),
        (file("a.mov", "video/quicktime", 9, MediaKind.VIDEO), {"type": "file"}, "as a file"),
        (file("a.ogg", "audio/ogg", 9, MediaKind.VOICE), {"type": "file", "file_name": "a.ogg", "size": 9}, ""),
        (file("a.pdf", "application/pdf", 50 * 10**6), {"type": "file", "size": 50 * 10**6}, ""),
        (file("a.pdf", "application/pdf", 50 * 10**6 + 1),
         {"type": "text", "text": "a.pdf\nhttps://x.ua/media/t/a.pdf"}, "as a link"),
        (file("Makefile", "text/plain"), {"type": "file", "file_name": "Makefile.txt"}, ""),
        (file("blob", "application/octet-stream"), {"type": "file", "file_name": "blob.dat"}, ""),
    ],
)  # fmt: skip
def test_files(sent, part, note):
    (got,), told = parts(text="", files=[sent])
    assert part.items() <= got.items()
    assert note in told
    assert bool(note) == bool(told)


@pytest.mark.parametrize("name", ["setup.exe", "x.BAT", "a.tar.run", "app.apk", "lib.bin"])
def test_what_viber_forbids_is_refused_before_anything_is_sent(remote, line, name):
    with pytest.raises(Refused, match="takes no"):
        line.send(sample_message(files=[file("a.pdf", "application/pdf"), file(name, "application/octet-stream")]))
    assert bodies(remote, "send_message") == []


def test_a_long_text_follows_the_picture_it_does_not_fit_under():
    picture = file("a.png", "image/png")
    got, _ = parts(text="a" * 513, files=[picture])
    assert [(part["type"], part["text"]) for part in got] == [("picture", ""), ("text", "a" * 513)]
    got, _ = parts(text="a" * 512, files=[picture])
    assert [(part["type"], part["text"]) for part in got] == [("picture", "a" * 512)]
    got, _ = parts(text="a", files=[picture, picture])
    assert [part["type"] for part in got] == ["picture", "picture", "text"]


def test_an_empty_message_is_refused(remote, line):
    with pytest.raises(Refused, match="empty"):
        line.send(sample_message(text=" ", files=[]))


@pytest.mark.parametrize("operation", ["edit", "delete"])
def test_a_sent_message_stays_as_it_is(remote, line, operation):
    with pytest.raises(Unsupported, match="still sees"):
        getattr(line, operation)(sample_message())
    assert remote.calls == []


# What Viber answers


CLASSES = {
    **dict.fromkeys((1, 3, 4, 11, 13, 14, 16, 17, 19, 20, 21, 22, 23, 24), Refused),
    **dict.fromkeys((2, 7, 8, 9, 10, 15), AccountProblem),
    **dict.fromkeys((5, 6), Blocked),
    12: Throttled,
}


def test_every_status_of_the_table_is_known():
    assert set(PROBLEMS) == set(CLASSES)


@pytest.mark.parametrize(("status", "kind"), CLASSES.items())
def test_a_status_stands_for_an_error(remote, line, status, kind):
    line.send(sample_message())
    answer(remote, status=status)
    error = outcome(line.send, sample_message())
    assert type(error) is kind
    assert error.code == str(status)
    assert str(error).endswith(".")
    assert error.retry_after == (60 if status == 12 else None)


@pytest.mark.parametrize("status", [18, 25, 999, -1, 10**30])
def test_an_unknown_status_is_tried_a_few_times(remote, line, status):
    answer(remote, status=status)
    error = outcome(line.send, sample_message())
    assert isinstance(error, Doubtful)
    assert (type(error.final), error.tolerated, error.retryable) == (Refused, 3, True)


@pytest.mark.parametrize("content", [b"{}", b"[]", b'{"status": "0"}', b'{"status": null}', b'{"status": false}'])
def test_an_answer_without_a_status_is_a_fault(remote, line, content):
    remote.answer(200, content)
    error = outcome(line.send, sample_message())
    assert type(error) is ServerFault


@pytest.mark.parametrize("token", [None, "", [], {"a": 1}])
def test_a_message_without_a_token_of_vibers_is_known_by_ours(remote, line, token):
    answer(remote, message_token=token)
    assert line.send(sample_message()).external_id == sample_message().client_id


def test_a_forgotten_webhook_is_set_once_and_the_message_sent(remote, line, monkeypatch):
    answer_in_turn(remote, monkeypatch, {"status": 10}, {}, {}, {"message_token": 9})
    assert line.send(sample_message()) == Receipt("9")
    assert [call.path for call in remote.calls] == [
        "/send_message",
        "/get_account_info",
        "/set_webhook",
        "/send_message",
    ]
    assert bodies(remote, "set_webhook")[0]["url"] == HOOK


def test_a_webhook_that_cannot_be_set_is_for_the_owner(remote, line, monkeypatch):
    answer_in_turn(remote, monkeypatch, {"status": 10}, {}, {}, {"status": 10})
    assert type(outcome(line.send, sample_message())) is AccountProblem
    answer(remote, status=10)
    unaware = viber.Viber({"token": TOKEN})
    assert type(outcome(unaware.send, sample_message())) is AccountProblem
    assert len(bodies(remote, "set_webhook")) == 1


@pytest.mark.parametrize(
    "answers",
    [
        [{"webhook": ""}, {"status": 1}],  # our address is refused
        [{"webhook": ""}, {"status": 99}],  # so it is for an unknown reason
        [{"webhook": "https://chat.example.org/"}],  # another service has taken over
    ],
)
def test_a_message_waits_while_its_webhook_is_refused(remote, line, monkeypatch, answers):
    answer_in_turn(remote, monkeypatch, {"status": 10}, *answers)
    got = outcome(line.send, sample_message())
    assert type(got) is AccountProblem
    assert str(got).startswith("Viber has no address to report messages to, and does not take ours. ")
