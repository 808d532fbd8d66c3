"""Staff read Ukrainian or English, as they choose; all others, and all that is stored, English."""

import re
import shutil
import uuid
from collections import Counter
from datetime import timedelta
from html import unescape
from html.parser import HTMLParser

import polib
import pytest
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User
from django.urls import reverse
from django.utils import timezone, translation

from console.formats import moment
from externallines.channels import CHANNELS
from externallines.models import ExternalLine
from messaging.models import Attachment, Chat, Delivery, Message, SnsTopic, WebhookEvent
from portals.models import Portal
from tests import translations

pytestmark = pytest.mark.django_db

CATALOGUE = translations.catalogue_of("uk", settings.LOCALE_PATHS[0])
UK = {"Accept-Language": "uk"}
FORMS = {1: 0, 21: 0, 2: 1, 4: 1, 5: 2, 11: 2, 12: 2, 100: 2}  # 1 чат, 2 чати, 5 чатів


def entries():
    return polib.pofile(str(CATALOGUE))


def pairs(entry):
    """The texts of an entry with what they are translated to."""
    if not entry.msgid_plural:
        return [(entry.msgid, entry.msgstr)]
    return [(entry.msgid_plural, text) for text in entry.msgstr_plural.values()]


# The catalogue


def test_everything_is_translated():
    assert [entry.msgid for entry in entries() if not entry.translated()] == []


def test_plural_forms_are_complete_and_are_those_of_ukrainian():
    plurals = [entry for entry in entries() if entry.msgid_plural]
    assert {tuple(sorted(entry.msgstr_plural)) for entry in plurals} == {(0, 1, 2, 3)}
    with translation.override("uk"):
        told = {number: translation.ngettext("%(num)d hour", "%(num)d hours", number) for number in FORMS}
    assert told == {number: f"%(num)d {('годину', 'години', 'годин')[form]}" for number, form in FORMS.items()}


@pytest.mark.parametrize("placeholder", [r"%\(\w+\)[sd]", r"\{\w*\}"])
def test_placeholders_agree(placeholder):
    def named(text):
        return Counter(re.findall(placeholder, text))

    wrong = [
        (text, told)
        for entry in entries()
        for text, told in pairs(entry)
        # "one" may be said without a number
        if named(told) != named(text) and not (entry.msgid_plural and named(told) == named(entry.msgid))
    ]
    assert wrong == []


def test_an_apostrophe_is_one_and_the_same():
    word = r"[а-яіїєґ]['`ʼ‘][а-яіїєґ]"
    assert [told for entry in entries() for _text, told in pairs(entry) if re.search(word, told, re.I)] == []


def test_what_is_compiled_is_what_is_written():
    written = {(entry.msgctxt, entry.msgid): pairs(entry) for entry in entries()}
    compiled = polib.mofile(str(CATALOGUE.with_suffix(".mo")))
    assert {(entry.msgctxt, entry.msgid): pairs(entry) for entry in compiled} == written


def test_the_code_says_nothing_that_the_catalogue_has_not(tmp_path):
    if not shutil.which("xgettext"):
        pytest.skip("GNU gettext is not installed: whether `make messages` was forgotten cannot be told")
    wanted = translations.extract("uk", tmp_path)
    assert {(entry.msgctxt, entry.msgid) for entry in wanted} == {
        (entry.msgctxt, entry.msgid) for entry in entries()
    }, "run `make messages`, and translate what is new"


# What staff read

DATA = {"Uspacy", "uspacy", "English", "Support", "Supervisor", "Крамниця", "webhook", "telegram", "CSV", "URL"}
DATA |= {channel.label for channel in CHANNELS.values()} | set(CHANNELS)
ID = r"(?:Uspacy|[0-9a-f-]{36}) \d|[0-9a-f-]{36}|\S+\.uspacy\.ua|arn:\S+|https?://\S+|[\d-]{10} [\d:]{8} UTC"


class Spoken(HTMLParser):
    """What a page says to the eye and to a screen reader; neither code, nor what only names a symbol."""

    SILENT = ("script", "style", "pre", "code", "kbd")
    NAMED = ("title", "placeholder", "aria-label", "data-copied", "data-text", "alt")

    def __init__(self, page):
        super().__init__()
        self.texts, self.silent_in = set(), ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.texts |= {attrs[name] or "" for name in self.NAMED if name in attrs}
        if tag in self.SILENT or "material-symbols" in (attrs.get("class") or ""):
            self.silent_in = tag

    def handle_endtag(self, tag):
        if tag == self.silent_in:
            self.silent_in = ""

    def handle_data(self, data):
        if not self.silent_in:
            self.texts.add(data)


def english_on(page):
    """What a page says that has no Ukrainian in it, and is no datum."""
    said = {" ".join(text.split()).strip(" ·,.") for text in Spoken(page).texts}
    words = {text for text in said if re.search("[A-Za-z]{3}", text) and not re.search("[а-яіїєґ]", text, re.I)}
    return {
        text
        for text in words
        if not all(part in DATA or re.fullmatch(ID, part, re.I) for part in text.split(" · "))
    }


@pytest.fixture
def rows():
    """One of everything, whose own words are Ukrainian; by name."""
    now = timezone.now()
    portal = Portal.objects.create(domain="acme.uspacy.ua", token="t", last_error="Відмова.", expires_at=now)
    for kind in ("installed", "renewed", "refused"):
        portal.events.create(kind=kind)
    line = ExternalLine.objects.create(
        portal=portal,
        channel="webhook",
        name="Крамниця",
        external_id="1",
        status="error",
        error="Відмова.",
        credentials={"url": "https://x", "secret": "s"},
    )
    chat = Chat.objects.create(
        line=line,
        external_id="2",
        uspacy_id=uuid.uuid4(),
        name="Олена",
        blocked=True,
        meta=[{"type": "phone", "value": "+380501234567"}],
    )
    inbound = Message.objects.create(
        chat=chat, uspacy_id=uuid.uuid4(), direction="in", text="Добрий день", external_id="3"
    )
    failed = Message.objects.create(
        chat=chat,
        uspacy_id=uuid.uuid4(),
        direction="out",
        type="VOICE",
        status="failed",
        error="Відмова.",
        parent=inbound,
    )
    Attachment.objects.create(message=failed, name="голос.ogg", kind="voice", mime_type="", source={})
    of_chat = {"chat": chat, "created_at": now - timedelta(minutes=3)}
    Delivery.objects.create(message=inbound, destination="uspacy", status="sent", settled_at=now, **of_chat)
    delivery = Delivery.objects.create(
        message=failed,
        destination="customer",
        status="failed",
        failure="WindowClosed",
        error="Відмова.",
        **of_chat,
    )
    waiting = Delivery.objects.create(message=failed, destination="customer", kind="edit", **of_chat)
    ignored = WebhookEvent.objects.create(
        source="uspacy", key="4", payload="{}", outcome="ignored", reason="echo of a customer's message"
    )
    event = WebhookEvent.objects.create(source=str(line.key), key="5", payload="{}", outcome="failed")
    topic = SnsTopic.objects.create(arn="arn:aws:sns:1")
    Group.objects.get(name="Support").user_set.add(User.objects.create_user("olena"))
    return {
        "portal": portal,
        "line": line,
        "chat": chat,
        "message": failed,
        "inbound": inbound,
        "delivery": delivery,
        "waiting": waiting,
        "event": event,
        "ignored": ignored,
        "topic": topic,
    }


@pytest.fixture
def root(client):
    client.force_login(User.objects.create_superuser("1"))
    return client


def address(row):
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])


def read(client, path):
    answer = client.get(path, headers=UK)
    assert answer.status_code == 200, path
    page = answer.content.decode()
    assert re.search(r'<html[^>]* lang="uk"', page), path
    return page


LISTS = [
    "portals_portal", "externallines_externalline", "messaging_chat", "messaging_message", "messaging_delivery",
    "messaging_webhookevent", "messaging_snstopic", "auth_user", "auth_group", "admin_logentry",
    "axes_accessattempt",
]  # fmt: skip


@pytest.mark.parametrize("name", LISTS)
def test_a_list_is_ukrainian(root, rows, name):
    path = reverse(f"admin:{name}_changelist")
    assert english_on(read(root, path)) == set()
    assert english_on(read(root, f"{path}?q=123")) == set()  # nothing matches


@pytest.mark.parametrize(
    "name", ["portal", "line", "chat", "message", "inbound", "delivery", "waiting", "event", "ignored", "topic"]
)
def test_the_page_of_a_row_is_ukrainian(root, rows, name):
    assert english_on(read(root, address(rows[name]))) == set()


@pytest.mark.parametrize(
    "path", ["/admin/", "/admin/password_change/", "/admin/auth/user/add/", "/admin/auth/group/add/"]
)
def test_home_and_the_pages_of_users_are_ukrainian(root, rows, path):
    assert english_on(read(root, path)) == set()


def test_who_may_not_read_messages_is_told_so_in_ukrainian(staff, rows):
    client = staff()
    for name in ("chat", "message", "event"):
        assert english_on(read(client, address(rows[name]))) == set()


@pytest.mark.parametrize("channel", CHANNELS)
def test_the_form_of_a_line_explains_its_fields_in_ukrainian(root, rows, channel):
    Portal.objects.update(status="active")
    path = f"{reverse('admin:externallines_externalline_add')}?portal=acme.uspacy.ua&channel={channel}"
    page = read(root, path)
    texts = {
        text for field in CHANNELS[channel].credential_fields for text in (field.label, field.help_text) if text
    }
    assert english_on(page) & texts <= {"Human Agent"}
    assert not {text for text in texts if len(text) > 20 and text in unescape(page)}


def test_sign_in_and_its_lock_are_ukrainian(client):
    assert english_on(read(client, reverse("admin:login"))) == set()
    for _try in range(5):
        answer = client.post(reverse("admin:login"), {"username": "1", "password": "2"}, headers=UK)
    assert answer.status_code == 429
    assert english_on(answer.content.decode()) == set()
    assert "Вхід заблоковано" in answer.content.decode()


def test_an_action_tells_in_ukrainian_what_came_of_it(root, rows):
    chosen = {"action": "send_again", "_selected_action": [rows["delivery"].pk]}
    answer = root.post(reverse("admin:messaging_delivery_changelist"), chosen, headers=UK, follow=True)
    assert "Надсилається ще раз." in answer.content.decode()


def test_what_a_delivery_waits_for_is_ukrainian(root, rows):
    for name in ("chat", "waiting", "line"):
        assert "Лінія Крамниця потребує уваги: Відмова." in read(root, address(rows[name]))


def test_what_a_script_says_is_ukrainian(root, rows):
    page = read(root, address(rows["line"]))
    assert 'data-copied="Скопійовано"' in page


@pytest.mark.parametrize(
    ("ago", "told"),
    [(0, "щойно"), (60, "1\xa0хвилину тому"), (7200, "2\xa0години тому"), (-3700, "через 1\xa0годину")],
)
def test_times_are_told_as_one_says_them(ago, told):
    with translation.override("uk"):
        assert f">{told}<" in moment(timezone.now() - timedelta(seconds=ago + (1 if ago else 0)))


# Who chooses


def test_a_language_that_was_chosen_is_kept(root):
    assert 'action="/admin/language/setlang/"' in root.get("/admin/").content.decode()
    root.post("/admin/language/setlang/", {"language": "uk", "next": "/admin/"})
    for browser in ("en", "de"):
        assert '<html lang="uk"' in root.get("/admin/", headers={"Accept-Language": browser}).content.decode()
    root.post(reverse("admin:logout"))
    assert '<html lang="uk"' in root.get(reverse("admin:login")).content.decode()


@pytest.mark.parametrize(("browser", "spoken"), [("uk-UA,uk;q=0.9,en;q=0.8", "uk"), ("en-GB", "en"), ("de", "en")])
def test_until_then_it_is_the_browsers_if_we_speak_it(root, browser, spoken):
    assert f'<html lang="{spoken}"' in root.get("/admin/", headers={"Accept-Language": browser}).content.decode()


# Who reads English all the same


def test_the_api_speaks_english_even_after_a_page_of_the_console(root):
    root.get("/admin/", headers=UK)
    refused = root.get("/api/lines/", headers=UK)
    assert refused.status_code == 401
    assert refused.content.isascii()
    assert root.get("/api/channels/", headers=UK).content.isascii()
    assert root.get("/api/schema/", headers=UK).content.decode().count("Лін") == 0


def test_what_an_action_stores_is_english(root, rows):
    """An operator reads why their message was given up; the log is read by all staff."""
    chosen = {"action": "give_up", "_selected_action": [rows["waiting"].pk]}
    answer = root.post(reverse("admin:messaging_delivery_changelist"), chosen, headers=UK, follow=True)
    assert "Спроби припинено." in answer.content.decode()
    rows["waiting"].refresh_from_db()
    rows["message"].refresh_from_db()
    entry = LogEntry.objects.get()
    assert rows["waiting"].status == "failed"
    for text in (rows["waiting"].error, entry.change_message, entry.object_repr):
        assert re.search("[a-z]", text)
        assert not re.search("[а-яіїєґ]", text, re.I)
