"""Events of Uspacy's messenger: what they mean, and for whom (uspacy-api.md 9.2, 9.3 and 11).

The way of an event through the webhook is examined in `test_uspacy_webhook.py`.
"""

import json
import uuid
from datetime import UTC, datetime
from pathlib import Path

import pytest
import responses
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from externallines.models import ExternalLine
from messaging import operators
from messaging.models import Chat, Delivery, Message, WebhookEvent
from messaging.uspacy_events import Action, Irrelevant, OperatorFile, OperatorMessage, parse
from portals.models import Portal
from portals.payload import InvalidPayload

PAYLOADS = Path(__file__).parent.parent / "payloads/uspacy"
LINE = "65a0f1b2c3d4e5f60718293a"
CHAT = uuid.UUID("5c1e8d7b-4a39-4c26-8f15-6b0a9d8e7f3c")
MESSAGE = uuid.UUID("0b9f4e2d-5c6a-4b17-9d38-7e1f2a3b4c5d")
OTHER = uuid.UUID("9a1c6f0e-3b52-4f7d-8d0b-5f4b0e2a7c31")
ABSENT = object()


def captured(name):
    return json.loads((PAYLOADS / f"{name}.json").read_text())


def changed(fields, changes):
    for name, value in changes.items():
        if value is ABSENT:
            del fields[name]
        else:
            fields[name] = value


WRITTEN = 1_767_323_045_000  # milliseconds: as the captured event says that it happened


def event(data=(), **entity):
    """The minimal captured event with other values in `data` and `data.entity`, some of them ABSENT."""
    value = captured("message_create_minimal")
    changed(value["data"]["entity"], entity)
    changed(value["data"], dict(data))
    return value


# What an event says


def test_the_articles_event_is_read_completely():
    assert parse(captured("message_create_with_image")) == OperatorMessage(
        action=Action.CREATE,
        domain="demo.uspacy.com",
        line_id="66f10b2c9d3e4a5b6c7d8e9f",
        chat_id=uuid.UUID("c0f2a9d4-71be-4f86-9a53-0d6e8b1f2a47"),
        id=uuid.UUID("9a1c6f0e-3b52-4f7d-8d0b-5f4b0e2a7c31"),
        happened_at=datetime(2024, 9, 23, 6, 28, 44, 512000, UTC),
        text="Here is **the photo** you asked for",
        author_id="3937",
        files=[
            OperatorFile(
                id="40215",
                name="photo.jpg",
                url="https://files.example.com/demo/9a1c6f0e/photo.jpg",
                size=184320,
            )
        ],
        chat_meta=[("instagram", "1234567890123456")],
        sent_at=datetime(2024, 9, 23, 6, 28, 44, 480000, UTC),
    )


def test_the_minimal_event_is_read():
    written = parse(captured("message_create_minimal"))
    assert (written.line_id, written.chat_id, written.id) == (LINE, CHAT, MESSAGE)
    assert (written.text, written.author_id, written.chat_meta) == ("**Hi**", "41", [("instagram", "123")])


@pytest.mark.parametrize("line", [LINE, {"id": LINE}, {"id": LINE, "name": None}])
def test_a_line_is_an_object_or_an_id(line):
    assert parse(event(externalLine=line)).line_id == LINE


def test_an_id_is_text_or_a_number():
    for given_id, text in [(65, "65"), ("65", "65")]:
        written = parse(event(externalLine={"id": given_id}, authorId=given_id))
        assert (written.line_id, written.author_id) == (text, text)
        assert parse(event(attachedFiles=[{"id": given_id}])).files[0].id == text


@pytest.mark.parametrize("nothing", [None, [], ABSENT])
@pytest.mark.parametrize("name", ["attachedFiles", "mentioned", "readBy", "relations"])
def test_lists_may_be_empty_null_or_absent(name, nothing):
    written = parse(event(**{name: nothing}))
    assert written.text == "**Hi**"
    assert len(written.files) == (0 if name == "attachedFiles" else 1)


@pytest.mark.parametrize("parent", [None, ABSENT, {}, {"meta": None}, {"meta": []}])
def test_the_chat_may_be_described_poorly(parent):
    written = parse(event(parent=parent))
    assert (written.chat_id, written.chat_meta) == (CHAT, [])


@pytest.mark.parametrize("chat_id", [None, ABSENT])
def test_the_chats_id_is_taken_from_its_description_if_need_be(chat_id):
    assert parse(event(chatId=chat_id)).chat_id == CHAT
    assert parse(event(chatId=chat_id, parent=None)).chat_id is None


@pytest.mark.parametrize(
    ("given_size", "size"),
    [
        (10, 10),
        ("184320", 184320),
        (0, 0),
        (None, None),
        (ABSENT, None),
        ("", None),
        ("10 KB", None),
        ("\N{SUPERSCRIPT TWO}", None),
        (-1, None),
        (1.5, None),
        (True, None),
        ([], None),
        (10**30, None),
        ("9" * 5000, None),
    ],
)
def test_a_size_is_a_number_a_numeric_text_or_unknown(given_size, size):
    file = {"id": 9, "originalFilename": "a.jpg", "url": "https://x/a.jpg"}
    changed(file, {} if given_size is ABSENT else {"size": given_size})
    assert parse(event(attachedFiles=[file])).files[0].size == size


@pytest.mark.parametrize(
    ("name", "read", "mime_type", "kind"),
    [
        ("a.jpg", "a.jpg", "image/jpeg", "image"),
        ("a.MP4", "a.MP4", "video/mp4", "video"),
        ("a.mp3", "a.mp3", "audio/mpeg", "audio"),
        ("a.pdf", "a.pdf", "application/pdf", "file"),
        ("a", "a", "application/octet-stream", "file"),
        (None, "file", "application/octet-stream", "file"),
        ("", "file", "application/octet-stream", "file"),
        ("x" * 300, "x" * 255, "application/octet-stream", "file"),
        ("a\r\nb\t.pdf", "a b .pdf", "application/pdf", "file"),
        ("\n", "file", "application/octet-stream", "file"),
    ],
)
def test_a_file_has_a_name_of_one_line_that_tells_its_kind(name, read, mime_type, kind):
    [file] = parse(event(attachedFiles=[{"originalFilename": name}])).files
    assert (file.name, file.mime_type, file.kind) == (read, mime_type, kind)


@pytest.mark.parametrize(("url", "read"), [("https://x/a%20b?c", "https://x/a%20b?c"), (None, ""), (ABSENT, "")])
def test_a_files_url_is_kept_as_it_is(url, read):
    file = {"originalFilename": "a.jpg"} | ({} if url is ABSENT else {"url": url})
    assert parse(event(attachedFiles=[file])).files[0].url == read


@pytest.mark.parametrize("quoted", [str(OTHER), {"id": str(OTHER)}, {"id": str(OTHER), "message": "What?"}])
def test_a_quoted_message_is_an_object_or_an_id(quoted):
    assert parse(event(parentMessage=quoted)).parent_id == OTHER


@pytest.mark.parametrize("quoted", [None, "", {}, ABSENT])
def test_no_message_need_be_quoted(quoted):
    changes = {} if quoted is ABSENT else {"parentMessage": quoted}
    assert parse(event(**changes)).parent_id is None


@pytest.mark.parametrize(
    ("given_type", "read"), [("VOICE", "VOICE"), ("GIF", "GIF"), ("STICKER", "MESSAGE"), (None, "MESSAGE")]
)
def test_an_unknown_type_is_a_plain_message(given_type, read):
    assert parse(event(type=given_type)).type == read


def test_a_message_may_have_no_text():
    assert parse(event(message="")).text == ""
    assert parse(event(message=None)).text is None


@pytest.mark.parametrize("domain", ["acme.uspacy.ua", "ACME.Uspacy.UA"])
def test_a_domain_is_read_in_lower_case(domain):
    assert parse(event(data={"domain": domain})).domain == "acme.uspacy.ua"


@pytest.mark.parametrize(
    ("timestamp", "moment"),
    [
        (1760000001000, datetime(2025, 10, 9, 8, 53, 21, tzinfo=UTC)),
        (1760000001, datetime(2025, 10, 9, 8, 53, 21, tzinfo=UTC)),
        ("2025-10-09T08:53:21.000Z", datetime(2025, 10, 9, 8, 53, 21, tzinfo=UTC)),
        ("yesterday", None),
        (10**40, None),
        (None, None),
    ],
)
def test_a_time_is_in_milliseconds_seconds_or_text(timestamp, moment):
    assert parse(event(timestamp=timestamp)).sent_at == moment


@pytest.mark.parametrize(
    "entity", [str(MESSAGE), {"id": str(MESSAGE)}, {"id": str(MESSAGE), "externalLine": None, "parent": None}]
)
def test_a_deletion_may_name_only_the_message(entity):
    written = parse(event(data={"action": "delete", "entity": entity}))
    assert (written.action, written.id, written.line_id, written.chat_id) == (Action.DELETE, MESSAGE, "", None)


# What concerns no customer


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"type": "deal"}, "not a message"),
        ({}, "not a message"),
        ({"type": None, "data": None}, "not a message"),
        (event(data={"service": "crm"}), "not of the messenger"),
        (event(data={"service": []}), "not of the messenger"),
        (event(data={"action": "updateStage"}), "action updateStage"),
        (event(data={"action": ""}), "action "),
        (event(externalLine=None), "not on an external line"),
        (event(externalLine=ABSENT), "not on an external line"),
        (event(externalLine=""), "not on an external line"),
        (event(externalLine={}), "not on an external line"),
        (event(externalLine=None, data={"action": "update"}), "not on an external line"),
        (event(externalAuthorId="17"), "echo of a customer's message"),
        (event(externalAuthorId=17), "echo of a customer's message"),
        (event(externalAuthorId="17", data={"action": "update"}), "echo of a customer's message"),
        (event(externalAuthorId="17", data={"action": "delete"}), "echo of a customer's message"),
        (event(type="SYSTEM"), "system message"),
        (event(type="FORM_SUBMISSION"), "system message"),
        (event(type="SYSTEM", data={"action": "update"}), "system message"),
        (event(relations=[{"action": "create", "service": "crm", "entity": "lead"}]), "system message"),
        (event(relations={"entity": "lead"}), "system message"),
    ],
)
def test_what_is_not_for_a_customer_is_dropped(value, reason):
    with pytest.raises(Irrelevant) as dropped:
        parse(value)
    assert str(dropped.value) == reason


@pytest.mark.parametrize("service", ["messenger", None, ABSENT])
def test_the_service_need_not_be_named(service):
    assert parse(event(data={"service": service})).id == MESSAGE


@pytest.mark.parametrize("author", [None, "", ABSENT])
def test_an_operator_has_no_external_author(author):
    changes = {} if author is ABSENT else {"externalAuthorId": author}
    assert parse(event(**changes)).id == MESSAGE


# What is malformed


@pytest.mark.parametrize(
    ("value", "field"),
    [
        (None, ""),
        ([], ""),
        ({"type": "message"}, "data"),
        (event(data={"action": None}), "data.action"),
        (event(data={"entity": None}), "data.entity"),
        (event(data={"entity": "x", "action": "update"}), "data.entity"),
        (event(data={"entity": None, "action": "delete"}), "data.entity.id"),
        (event(data={"domain": None}), "data.domain"),
        (event(id=None), "data.entity.id"),
        (event(id="17"), "id"),
        (event(id=17), "id"),
        (event(chatId="17"), "chatId"),
        (event(externalLine=["x"]), "data.entity.externalLine"),
        (event(type=[]), "data.entity.type"),
        (event(type={}), "data.entity.type"),
        (event(message=17), "data.entity.message"),
        (event(attachedFiles={}), "data.entity.attachedFiles"),
        (event(attachedFiles=["x"]), "data.entity.attachedFiles.0"),
        (event(parent=[]), "data.entity.parent"),
        (event(parentMessage="17"), "parentMessage"),
    ],
)
def test_what_is_malformed_is_refused_with_the_field(value, field):
    with pytest.raises(InvalidPayload) as refused:
        parse(value)
    assert refused.value.field == field


# For whom it is


class Way:
    """Whether plain messages go in one statement, or the long way as all else; both have to come to the same."""

    is_short = False


@pytest.fixture(params=["in one statement", "the long way"])
def way(request, monkeypatch):
    monkeypatch.setattr(Way, "is_short", request.param == "in one statement")


def interpret(value):
    unstored = WebhookEvent(source="uspacy", key=uuid.uuid4().hex, payload="{}")
    if not Way.is_short or operators.take(unstored, value) is None:
        operators.interpret(value)


def connect(domain, line_id=LINE, **chat):
    """A portal with a line and, unless `chat` is empty, a chat."""
    portal, _ = Portal.objects.get_or_create(domain=domain)
    line = ExternalLine.objects.create(
        portal=portal,
        channel="webhook",
        name=f"Line {line_id}",
        external_id=line_id,
        uspacy_id=line_id,
        status="active",
    )
    return Chat.objects.create(line=line, **{"external_id": "ann", "in_uspacy": True} | chat) if chat else line


@pytest.fixture
def chat(db, way):
    return connect("acme.uspacy.ua", uspacy_id=CHAT, meta=[{"type": "instagram", "value": "123"}])


@pytest.fixture
def untouched():
    """Asserts at the end that no row has changed since `untouched()` was called."""
    remembered = []

    def rows():
        tables = (Portal, ExternalLine, Chat, Message, Delivery)
        return [list(table.objects.order_by("pk").values()) for table in tables]

    yield lambda: remembered.append(rows())
    assert remembered == [rows()]


def dropped(value):
    with pytest.raises(Irrelevant) as reason:
        interpret(value)
    return str(reason.value)


def test_an_operators_message_is_queued_for_its_customer(chat):
    interpret(event(parentMessage=None))
    delivery = Delivery.objects.get()
    assert (delivery.chat, delivery.destination, delivery.kind) == (chat, "customer", "message")
    message = delivery.message
    assert (message.uspacy_id, message.text, message.author_id) == (MESSAGE, "**Hi**", "41")
    assert message.sent_at == datetime(2025, 10, 9, 8, 53, 21, tzinfo=UTC)
    [attachment] = message.attachments.all()
    assert (attachment.name, attachment.size, attachment.kind) == ("a.jpg", 10, "image")
    assert attachment.source == {"url": "https://x/a.jpg", "id": "9"}


def test_the_domain_finds_its_portal_in_any_case(chat):
    interpret(event(data={"domain": "ACME.Uspacy.UA"}))
    assert Message.objects.get().chat == chat


def test_another_domain_in_the_line_does_not_matter(chat):
    """As in the article's example, where `data.domain` and `externalLine.portal` differ (uspacy-api.md 9.2)."""
    interpret(event(externalLine={"id": LINE, "portal": "test.uspacy.com"}))
    assert Message.objects.get().chat == chat


@pytest.mark.parametrize("moment", ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00"])
def test_a_time_at_the_end_of_the_calendar_harms_nobody_who_reads_it(chat, moment):
    interpret(event(timestamp=moment))
    interpret(event(data={"action": "update", "timestamp": moment}, message="Hello"))
    message = Message.objects.get()
    assert message.text == "Hello"
    assert abs(message.sent_at.year - datetime.now(UTC).year) <= 1


def test_a_portal_we_do_not_know_is_dropped(chat, untouched):
    untouched()
    assert dropped(event(data={"domain": "other.uspacy.ua"})) == "not a portal of ours"


def test_a_portal_that_uninstalled_the_app_is_dropped(chat, untouched):
    Portal.objects.update(status="uninstalled")
    untouched()
    assert dropped(event()) == "not a portal of ours"


def test_a_portal_that_needs_a_new_installation_is_still_heard(chat):
    Portal.objects.update(status="needs_reinstall")
    interpret(event())
    assert Delivery.objects.count() == 1


def test_a_line_of_another_app_is_dropped(chat, untouched):
    untouched()
    assert dropped(event(externalLine="someone-elses")) == "not a line of ours"


def test_an_empty_line_id_matches_no_line_that_is_still_connecting(db, way, untouched):
    connect("acme.uspacy.ua", line_id="", uspacy_id=CHAT)
    untouched()
    assert dropped(event(externalLine={"id": None})) == "not on an external line"


@pytest.mark.parametrize("action", ["create", "update", "delete"])
def test_another_portal_that_claims_our_line_and_chat_reaches_nothing(chat, untouched, action):
    connect("evil.uspacy.ua", line_id="evils-own", uspacy_id=uuid.uuid4())
    interpret(event())
    untouched()
    value = event(data={"domain": "evil.uspacy.ua", "action": action}, message="Pay me")
    assert dropped(value) == "not a line of ours"


@pytest.mark.parametrize("action", ["create", "update"])
@pytest.mark.parametrize("meta", [[], [{"type": "instagram", "value": "123"}]])
def test_another_portal_with_the_same_line_id_does_not_reach_our_chat(chat, untouched, action, meta):
    connect("evil.uspacy.ua")
    interpret(event())
    untouched()
    value = event(data={"domain": "evil.uspacy.ua", "action": action}, message="Pay me", parent={"meta": meta})
    with pytest.raises(InvalidPayload):
        interpret(value)


@pytest.mark.parametrize("line", [LINE, None])
def test_another_portal_cannot_delete_our_message(chat, untouched, line):
    connect("evil.uspacy.ua")
    interpret(event())
    untouched()
    value = event(data={"domain": "evil.uspacy.ua", "action": "delete"}, externalLine=line)
    assert dropped(value) == "unknown message"


def test_a_message_id_that_another_portal_uses_is_not_taken(chat):
    theirs = connect("evil.uspacy.ua", uspacy_id=OTHER)
    interpret(event(data={"domain": "evil.uspacy.ua"}, chatId=str(OTHER), message="theirs"))
    interpret(event(message="ours"))
    assert Message.objects.get(chat=theirs).text == "theirs"
    assert Message.objects.get(chat=chat).text == "ours"


def test_a_chat_of_another_line_of_the_portal_is_not_taken(chat, untouched):
    connect("acme.uspacy.ua", line_id="second")
    untouched()
    with pytest.raises(InvalidPayload, match="not one of the line's"):
        interpret(event(externalLine="second"))


def test_a_quoted_message_of_another_chat_is_not_taken(chat):
    other = connect("acme.uspacy.ua", line_id="second", uspacy_id=OTHER)
    Message.objects.create(chat=other, uspacy_id=OTHER, direction="in")
    interpret(event(parentMessage=str(OTHER)))
    assert Message.objects.get(chat=chat).parent is None


# Messages that are known


def test_a_message_is_recorded_once(chat):
    interpret(event())
    assert dropped(event()) == "known message"
    assert Delivery.objects.count() == 1


def test_an_update_of_the_text_is_an_edit(chat):
    interpret(event())
    interpret(event(data={"action": "update"}, message="Hello"))
    assert Message.objects.get().text == "Hello"
    assert list(Delivery.objects.order_by("id").values_list("kind", flat=True)) == ["message", "edit"]


def test_an_update_that_overtook_its_creation_brings_the_message(chat):
    interpret(event(data={"action": "update"}, timestamp=WRITTEN, message="Hello"))
    assert Message.objects.get().text == "Hello"
    assert dropped(event()) == "known message"


@pytest.mark.parametrize("written", [WRITTEN - 3600_000, None])
def test_an_update_of_a_message_from_before_our_time_is_not_sent_to_the_customer(chat, written):
    seen = event(data={"action": "update"}, timestamp=written, readBy=[41])
    assert dropped(seen) == "update of a message from before our time"
    assert not Message.objects.exists()


def test_an_update_of_anything_else_is_dropped(chat):
    interpret(event())
    update = event(data={"action": "update"}, readBy=[41], status="delivered")
    assert dropped(update) == "nothing changed"
    assert Delivery.objects.count() == 1


def test_an_update_that_is_older_than_the_last_is_dropped(chat):
    interpret(event())
    interpret(event(data={"action": "update", "timestamp": "2026-01-02T03:05:00Z"}, message="new"))
    old = event(data={"action": "update", "timestamp": "2026-01-02T03:04:30Z"}, message="old")
    assert dropped(old) == "nothing changed"
    assert Message.objects.get().text == "new"


@pytest.mark.parametrize("action", ["create", "update", "delete"])
def test_what_uspacy_tells_of_a_customers_message_is_an_echo(chat, untouched, action):
    """Also where `externalAuthorId` is missing."""
    Message.objects.create(chat=chat, uspacy_id=MESSAGE, direction="in", text="Hello", external_id="m1")
    untouched()
    assert dropped(event(data={"action": action})) == "echo of our own message"


@pytest.mark.parametrize("bare", [str(MESSAGE), {"id": str(MESSAGE)}])
def test_a_bare_deletion_finds_its_message(chat, bare):
    interpret(event())
    interpret(event(data={"action": "delete", "entity": bare}))
    assert Message.objects.get().deleted_at is not None
    assert list(Delivery.objects.order_by("id").values_list("kind", flat=True)) == ["message", "delete"]


def test_a_bare_deletion_of_an_unknown_message_is_dropped(chat, untouched):
    untouched()
    assert dropped(event(data={"action": "delete", "entity": str(MESSAGE)})) == "unknown message"


# The way to the customer


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.django_db(transaction=True)
def test_the_articles_event_reaches_the_customer(world, deliver, version):
    domain = "demo.uspacy.com"
    sample = captured("message_create_with_image")
    world.sns.signature_version = version
    world.uspacy.create_portal(domain)
    world.uspacy.install(domain)
    partner = world.add_messenger("shop", "Demo shop")
    world.connect_line(domain, partner, "Demo shop")
    ann = partner.add_customer("Ann Example")
    partner.write(ann, "Do you have a photo?", wait=True)
    deliver()
    ExternalLine.objects.update(uspacy_id=sample["data"]["entity"]["externalLine"]["id"])
    Chat.objects.update(uspacy_id=sample["data"]["entity"]["chatId"])

    with responses.RequestsMock() as web:
        web.add_passthru("http://127.0.0.1")
        web.add_passthru("http://localhost")
        web.get("https://files.example.com/demo/9a1c6f0e/photo.jpg", b"the photo", content_type="image/jpeg")
        text = (PAYLOADS / "message_create_with_image.json").read_text()
        assert world.sns.deliver(world.sns.envelope(text)).status_code == 200
        Delivery.objects.filter(destination="uspacy").delete()  # the stand-in knows neither line nor chat
        deliver()
        world.settle()
    [answer] = [message for message in partner.messages(ann) if message.side == "business"]
    assert answer.text == "Here is **the photo** you asked for"
    assert [(file.name, file.content) for file in answer.files] == [("photo.jpg", b"the photo")]
    assert Message.objects.get(direction="out").status in ("sent", "delivered")
    assert Message.objects.get(direction="out").attachments.get().size == len(b"the photo")


@pytest.mark.django_db(transaction=True)
def test_a_file_at_no_address_of_the_web_fails_its_message_with_a_reason(world, portal, partner, deliver):
    ann = partner.add_customer("Ann")
    partner.write(ann, "Hello", wait=True)
    deliver()
    chat = Chat.objects.select_related("line").get()
    urls = [None, "", "file:///etc/passwd", "ftp://acme.uspacy.ua/a.jpg", "https://ann:s3cret@x/a"]
    for url in urls:
        files = [{"originalFilename": "a.jpg", "url": url}]
        ids = {"id": str(uuid.uuid4()), "chatId": str(chat.uspacy_id), "externalLine": chat.line.uspacy_id}
        interpret(event(attachedFiles=files, **ids))
    deliver()
    failed = Message.objects.filter(direction="out", status="failed")
    assert failed.count() == len(urls)
    for message in failed:
        assert message.error
        assert "internal error" not in message.error
        assert "s3cret" not in message.error
    assert len(partner.messages(ann)) == 1


# Anything at all

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["message", "create", "delete", "SYSTEM", LINE, str(CHAT), str(MESSAGE), "acme.uspacy.ua"])
    | st.datetimes(timezones=st.timezones()).map(datetime.isoformat)
    | st.sampled_from(["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", 1e300, -62135596800]),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(max_size=10), values, max_size=3),
    max_leaves=6,
)


def places(value, path=()):
    """Every place in a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in items for place in places(item, (*path, key)))]


PLACES = [place for place in places(captured("message_create_minimal")) if place]


@st.composite
def almost_events(draw):
    """The captured event with other values in some places."""
    value = event(id=str(uuid.uuid4()), data={"action": draw(st.sampled_from(["create", "update", "delete"]))})
    for place in draw(st.lists(st.sampled_from(PLACES), min_size=1, max_size=3)):
        *parents, last = place
        target = value
        for key in parents:
            target = target[key] if has(target, key) else None
        if has(target, last):
            target[last] = draw(json_values)
    return value


def has(target, key):
    return key in target if isinstance(target, dict) else isinstance(target, list) and key in range(len(target))


any_example = hypothesis_settings(
    deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def signed(world, client, chat):
    """Have the webhook take in a text, signed by the trusted topic, and return the stored event."""

    def signed(text):
        envelope = world.sns.envelope(text)
        answer = client.post("/webhooks/uspacy", json.dumps(envelope), content_type="text/plain")
        assert answer.status_code == 200
        return WebhookEvent.objects.get(key=envelope["MessageId"])

    return signed


def is_understood(stored):
    """Whether an event is accepted, ignored, or known to be malformed, and nothing in it harms those who read."""
    list(Message.objects.values())
    list(Chat.objects.values())
    return stored.outcome != "failed" or "portals.payload.InvalidPayload" in stored.error


@pytest.mark.django_db(transaction=True)
@any_example
@given(value=almost_events())
def test_any_variation_of_an_event_is_stored_and_understood(signed, value):
    assert is_understood(signed(json.dumps(value)))


@pytest.mark.django_db(transaction=True)
@any_example
@given(value=json_values)
def test_any_json_is_stored_and_understood(signed, value):
    assert is_understood(signed(json.dumps(value)))


@pytest.mark.django_db(transaction=True)
@any_example
@given(text=st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_is_stored_and_understood(signed, text):
    assert is_understood(signed(text))


@pytest.mark.django_db(transaction=True)
@any_example
@given(body=st.binary() | json_values.map(lambda value: json.dumps(value).encode()))
def test_anything_unsigned_is_refused(client, body):
    assert client.post("/webhooks/uspacy", body, content_type="text/plain").status_code == 403
    assert not WebhookEvent.objects.exists()
