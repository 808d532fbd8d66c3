"""A chat is found by who the customer is, and its page is the conversation."""

import re
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django.utils.html import escape

from console import conversation, customers, lookups, sieve
from externallines.models import ExternalLine
from messaging.dead_ends import DEAD_ENDS
from messaging.models import Attachment, Chat, Delivery, Message, WebhookEvent
from portals.models import Portal
from tests.console.desk import act, failed_message, list_url, page_url, queries

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
LIST = "/admin/messaging/chat/"
READ = "read_message"


@pytest.fixture
def chat(line):
    return make_chat(line, name="Ann", meta=[{"type": "phone", "value": "+380501234567"}])


def make_chat(line, **fields):
    return Chat.objects.create(line=line, uspacy_id=uuid.uuid4(), **{"external_id": f"{uuid.uuid4()}", **fields})


def say(chat, text="Hi", **fields):
    fields = {"direction": "in", "status": "sent", **fields}
    return Message.objects.create(chat=chat, uspacy_id=uuid.uuid4(), text=text, **fields)


def page(client, chat, **parameters):
    answer = client.get(page_url(chat), parameters)
    assert answer.status_code == 200
    return answer.content.decode()


def texts(client, chat, **parameters):
    return [bubble.text for bubble in client.get(page_url(chat), parameters).context["page"].bubbles]


# Search


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Anna Shevchenko", "anna"),
        ("Anna Shevchenko", "shev"),
        ("Anna Shevchenko", "shevchenko ann"),
        ("Мар'яна Ковальчук", "мар'яна коваль"),
        ("Мар'яна Ковальчук", "яна"),
        ("МАРІЯ", "марія"),
        ("Sean O’Brien", "o'brien"),
        ("Anna-Maria", "maria"),
        ("Anna-Maria", "anna-mar"),
        ("john.smith@example", "smith"),
        ("+380 50 123", "380"),
        ("Ann 😀", "ann 😀"),
        ("Ann & Co", "ann & co"),
        ("x:* | !y", "x:* | !y"),
    ],
)
def test_a_customer_is_found_by_the_beginnings_of_their_names_words(line, name, text):
    wanted = make_chat(line, name=name)
    make_chat(line, name="Somebody Else")
    assert customers.find(text) == [wanted.pk]


@pytest.mark.parametrize(
    "text", ["n", "!", "&", "'", "\\", "(((", "<->", "a:*b", "%", "_", "ann nobody", "😀", ":*", "''"]
)
def test_what_means_nothing_finds_nobody_and_breaks_nothing(line, text):
    make_chat(line, name="Ann")
    assert customers.find(text) == []


@pytest.mark.parametrize(
    ("told", "text"),
    [
        ("+380501234567", "+380501234567"),
        ("+380501234567", "380501234567"),
        ("+380501234567", "+38 (050) 123-45-67"),
        ("380501234567", "+380 50 123 45 67"),
        ("380501234567", "00380501234567"),
        ("ann_s", "@ann_s"),
        ("@ann_s", "ann_s"),
        ("ann_s", "Ann_S"),
    ],
)
def test_a_customer_is_found_by_phone_and_username_however_written(line, told, text):
    wanted = make_chat(line, meta=[{"type": "phone", "value": told}])
    make_chat(line, meta=[{"type": "phone", "value": "+380509999999"}])
    assert customers.find(text) == [wanted.pk]


@pytest.mark.parametrize("field", ["external_id", "contact_id", "uspacy_id"])
def test_a_chat_is_found_by_its_ids(line, field):
    wanted = make_chat(line, contact_id="customer-7")
    make_chat(line)
    assert customers.find(str(getattr(wanted, field))) == [wanted.pk]


def test_a_chat_is_found_by_an_id_it_had_before(line):
    wanted = make_chat(line, aliases=["before"])
    assert customers.find("before") == [wanted.pk]


def test_chats_are_found_by_the_beginning_of_a_portals_domain(line, chat):
    other = Portal.objects.create(domain="other.uspacy.ua")
    make_chat(ExternalLine.objects.create(portal=other, channel="webhook", name="Other", external_id="o"))
    assert customers.find("ACME.us") == [chat.pk]
    assert customers.find("acme%") == customers.find("acm_") == []


def test_of_too_many_some_are_listed_and_that_is_said(staff, line, monkeypatch):
    monkeypatch.setattr(lookups, "MOST", 3)
    for _number in range(5):
        make_chat(line, name="Anna")
    answer = staff().get(LIST, {"q": "anna"})
    assert answer.context["cl"].result_count == 3
    assert "More chats match" in answer.content.decode()


def test_what_is_found_is_in_the_order_of_the_list(staff, line):
    for hours in (2, 1, 3):
        make_chat(line, name=f"Anna {hours}", last_message_at=NOON - timedelta(hours=hours))
    found = staff().get(LIST, {"q": "anna"}).context["cl"].result_list
    assert [chat.name for chat in found] == ["Anna 1", "Anna 2", "Anna 3"]


# The list


def test_the_list_tells_what_needs_care(staff, line):
    failed, waiting, blocked, well = (make_chat(line, name=name, blocked=name == "c") for name in "abcd")
    failed_message(failed)
    late = Delivery.objects.create(message=say(waiting), chat=waiting, destination="uspacy")
    Delivery.objects.filter(pk=late.pk).update(created_at=timezone.now() - timedelta(minutes=2))
    Delivery.objects.create(message=say(well), chat=well, destination="uspacy")  # on its way
    html = staff().get(LIST).content.decode()
    assert [html.count(f"chat-label-{kind}") for kind in ("failed", "waiting", "blocked")] == [1, 1, 1]


def test_a_failure_of_long_ago_is_not_told(staff, chat):
    failed_message(chat)
    for _number in range(20):
        say(chat)
    assert "chat-label-failed" not in staff().get(LIST).content.decode()


def test_the_list_is_filtered(staff, line, chat):
    telegram = ExternalLine.objects.create(portal=line.portal, channel="telegram", name="Bot", external_id="bot")
    bot = make_chat(telegram, blocked=True)
    client = staff()

    def listed(**filters):
        return set(client.get(LIST, filters).context["cl"].result_list)

    assert listed(channel="telegram") == listed(blocked="1") == {bot}
    assert listed(portal="acme") == {bot, chat}
    assert listed(portal="other") == listed(channel="webhook", blocked="1") == set()
    assert listed(channel="nonsense") == {bot, chat}


def test_a_filter_without_an_index_looks_through_so_many_rows_at_a_time(staff, line, monkeypatch):
    monkeypatch.setattr(sieve, "LOOKED_THROUGH", 4)
    for number in range(10):
        make_chat(line, blocked=number in (0, 7), last_message_at=NOON + timedelta(hours=number))
    client, found, url = staff(), [], f"{LIST}?blocked=1"
    for _page in range(3):
        listed = client.get(url).context["cl"]
        found.append([chat.last_message_at.hour for chat in listed.result_list])
        url = f"{LIST}{listed.next_url}"
    assert found == [[19], [], [12]]
    assert (url, listed.note) == (LIST, "")


# The conversation


def test_the_newest_page_comes_first_and_older_ones_by_cursor(staff, chat):
    for number in range(120):
        say(chat, f"message {number}")
    client = staff(READ)
    newest = client.get(page_url(chat)).context["page"]
    assert texts(client, chat) == [f"message {number}" for number in range(70, 120)]
    assert texts(client, chat, after=newest.older) == [f"message {number}" for number in range(20, 70)]
    older = client.get(page_url(chat), {"after": newest.older}).context["page"]
    assert texts(client, chat, before=older.newer) == [f"message {number}" for number in range(70, 120)]
    assert texts(client, chat, after=older.older) == [f"message {number}" for number in range(20)]


def test_a_message_is_shown_among_its_neighbours(staff, chat):
    said = [say(chat, f"message {number}") for number in range(120)]
    shown = texts(staff(READ), chat, around=said[30].pk)
    assert shown[0] == "message 5"
    assert shown[-1] == "message 54"


@pytest.mark.parametrize(
    "parameters", [{"after": "nonsense"}, {"before": "W10="}, {"around": "x"}, {"around": "9" * 30}]
)
def test_a_place_that_is_none_shows_the_newest(staff, chat, parameters):
    say(chat)
    assert texts(staff(READ), chat, **parameters) == ["Hi"]


def test_what_people_wrote_is_shown_as_they_wrote_it(staff, chat):
    say(chat, "<script>alert(1)</script>\n**bold** & more")
    html = page(staff(READ), chat)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\n**bold** &amp; more" in html
    assert "<script>alert" not in html


def test_a_bubble_tells_what_became_of_its_message(staff, chat):
    question = say(chat, "What size?")
    answer = say(chat, "38", direction="out", status="read", parent=question, edited_at=NOON)
    gone = say(chat, "Oops", direction="out", deleted_at=NOON)
    Attachment.objects.create(message=answer, name="bill.pdf", size=2048, kind="file", error="It is too large.")
    event = WebhookEvent.objects.create(source="uspacy", key="1", payload="{}")
    Message.objects.filter(pk=answer.pk).update(event=event)
    Message.objects.filter(pk=gone.pk).update(event=event.pk + 1)  # pruned
    html = page(staff(READ), chat)
    bubbles = dict(re.findall(r'<li id="m(\d+)"(.*?)</li>\s*(?=<li|</ol>)', html, re.DOTALL))
    told = bubbles[str(answer.pk)]
    for shown in (
        "Read",
        "edited",
        "bill.pdf",
        "2.0",
        "It is too large.",
        "What size?",
        page_url(event),
        page_url(answer),
    ):
        assert shown in told, shown
    assert f"?around={question.pk}#m{question.pk}" in told
    assert f"?message={answer.pk}" in told
    assert "deleted" in bubbles[str(gone.pk)]
    assert "webhookevent" not in bubbles[str(gone.pk)]


def test_days_are_set_apart(staff, chat):
    for hours in (0, 1, 24):
        say(chat, sent_at=NOON + timedelta(hours=hours))
    assert page(staff(), chat).count('class="chat-day"') == 2


def test_an_edit_that_failed_is_told_and_sent_again(staff, chat):
    message = say(chat, direction="out", status="delivered")
    Delivery.objects.create(message=message, chat=chat, destination="customer", status="sent")
    edit = Delivery.objects.create(
        message=message, chat=chat, destination="customer", kind="edit", status="failed", error="It is too old."
    )
    client = staff("requeue_delivery")
    assert "Edit: It is too old." in page(client, chat)
    act(client, "delivery", "send_again", edit)
    assert "It is too old." not in page(client, chat)


def test_who_may_sends_a_failed_message_again_and_comes_back_to_it(staff, chat):
    message = failed_message(chat)
    client = staff("requeue_delivery")
    form = re.search(
        r'name="_selected_action" value="(\d+)".*?name="back" value="([^"]+)"', page(client, chat), re.S
    )
    pk, back = form.groups()
    answer = client.post(list_url("delivery"), {"action": "send_again", "_selected_action": pk, "back": back})
    assert answer.url == f"{page_url(chat)}?around={message.pk}#m{message.pk}"
    assert Delivery.objects.open().filter(message=message).exists()
    assert "send_again" not in page(client, chat)


@pytest.mark.parametrize("where", ["chat", "message"])
def test_what_failed_says_what_that_means_and_what_to_do(staff, chat, where):
    message = failed_message(chat)
    Delivery.objects.update(failure="WindowClosed")
    html = page(staff(), {"chat": chat, "message": message}[where])
    meant = DEAD_ENDS["WindowClosed"]
    for told in ("The window is closed.", meant.name, meant.meaning, meant.advice):
        assert escape(told) in html


def test_a_line_is_shown_with_its_channels_symbol_and_name(staff, chat, line):
    ExternalLine.objects.update(channel="telegram")
    message = failed_message(chat)
    WebhookEvent.objects.create(source=str(line.key), key="1", payload="{}")
    client = staff()
    pages = [page_url(chat), page_url(message), page_url(message.deliveries.get())]
    for url in (*map(list_url, ("chat", "message", "delivery", "webhookevent")), *pages):
        html = client.get(url).content.decode()
        assert 'data-channel="telegram"' in html, url
        assert "<small>Telegram" in html, url


def test_who_may_not_is_not_offered_to_send_again(staff, chat):
    failed_message(chat)
    html = page(staff(), chat)
    assert "The window is closed." in html
    assert "send_again" not in html


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({}, "A worker takes it in a moment."),
        ({"attempts": 2, "error": "Status 502."}, "Last attempt: Status 502."),
    ],
)
def test_what_a_lane_waits_for_is_told(staff, chat, line, fields, told):
    ExternalLine.objects.update(status="active")
    message = say(chat, direction="out", status="queued")
    Delivery.objects.create(message=message, chat=chat, destination="customer", **fields)
    assert told in page(staff(), chat)


def test_a_lane_that_waits_for_a_person_says_for_what(staff, chat):
    Portal.objects.update(status="needs_reinstall")
    Delivery.objects.create(message=say(chat), chat=chat, destination="uspacy")
    html = page(staff(), chat)
    assert "The app has to be installed again on acme.uspacy.ua." in html
    assert "It goes on once that is mended." in html


def test_a_lane_that_is_held_says_until_when(staff, chat):
    ExternalLine.objects.update(status="active")
    Chat.objects.update(held_until=timezone.now() + timedelta(minutes=10))
    Delivery.objects.create(message=say(chat, direction="out"), chat=chat, destination="customer")
    html = page(staff(), chat)
    assert "has not yet told that the message before it arrived" in html
    assert re.search(r"Next attempt <time [^>]*>in [89]|in 10", html)


@pytest.mark.parametrize(
    ("ago", "told"), [(1, "open, ends"), (25, "the customer has to write first"), (None, "write first")]
)
def test_the_window_of_a_messenger_that_has_one_is_told(staff, chat, ago, told):
    ExternalLine.objects.update(channel="whatsapp")
    Chat.objects.update(customer_wrote_at=ago and timezone.now() - timedelta(hours=ago))
    assert told in page(staff(), chat)


def test_a_messenger_without_a_window_has_none(staff, chat):
    assert "Window" not in page(staff(), chat)


# Search in the chat


def test_a_text_is_found_and_leads_to_its_place(staff, line, chat):
    say(chat, "Nothing of it")
    wanted = say(chat, "The BLUE <shoes>, blue")
    say(make_chat(line), "blue, in another chat")
    html = page(staff(READ), chat, q="blue")
    assert "The <mark>BLUE</mark> &lt;shoes&gt;, <mark>blue</mark>" in html
    assert html.count("<article") == 1
    assert f"?around={wanted.pk}#m{wanted.pk}" in html
    assert "No message of this chat" in page(staff(READ), chat, q="red")


@pytest.mark.parametrize("wanted", ["%", "_", "(", "\\", "<"])
def test_a_search_takes_signs_as_they_are(staff, chat, wanted):
    say(chat, "plain")
    say(chat, f"with {wanted}!")
    assert texts(staff(READ), chat, q=wanted) == [f"with {wanted}!"]


# Who may read


def test_without_the_right_no_text_is_read(staff, line):
    chat = make_chat(line, name="Ann", meta=[{"type": "phone", "value": "+380501234567"}])
    message = say(chat, "My card is 4111", parent=say(chat, "Secret question?"))
    Attachment.objects.create(message=message, name="passport-anna.pdf", size=2048)
    failed_message(chat, text="The code is 77")
    client = staff("requeue_delivery")
    for html in (page(client, chat), page(client, chat, q="card"), client.get(LIST).content.decode()):
        for secret in ("4111", "Secret question", "passport", "code is 77"):
            assert secret not in html
    html = page(client, chat)
    assert "•••• 15 characters" in html
    assert 'name="q"' not in html
    assert "Ann" in html
    assert "+380501234567" in html
    assert "4111" in page(staff(READ), chat)


def test_without_the_right_a_text_is_not_searched_for(staff, chat):
    say(chat, "red")
    say(chat, "blue")
    assert len(texts(staff(), chat, q="red")) == 2


# How much it costs


def test_a_chat_costs_the_same_whatever_is_in_it(staff, chat):
    ExternalLine.objects.update(status="active")
    event = WebhookEvent.objects.create(source="uspacy", key="1", payload="{}")

    def talk(count):
        for _number in range(count):
            message = failed_message(chat, parent=Message.objects.first(), event=event)
            Attachment.objects.create(message=message, name="a.pdf")
            Delivery.objects.create(message=message, chat=chat, destination="uspacy")
            Delivery.objects.create(message=message, chat=chat, destination="customer", kind="edit")

    talk(2)
    client = staff(READ, "requeue_delivery")
    few = len(queries(client, page_url(chat)))
    talk(70)
    assert len(queries(client, page_url(chat))) == few
    assert few <= 12
    assert len(queries(client, f"{page_url(chat)}?around={Message.objects.earliest('id').pk}")) <= few + 1


def test_a_search_costs_two_queries():
    with CaptureQueriesContext(connection) as captured:
        customers.find("+380501234567")
    assert len(captured) == 2


def test_a_page_holds_so_many_messages(chat):
    for _number in range(60):
        say(chat)
    assert len(conversation.read(chat, readable=True).bubbles) == conversation.SIZE
