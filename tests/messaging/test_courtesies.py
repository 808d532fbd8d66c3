"""Portraits and names that are asked for, and thanks that are given: what nothing depends on."""

import pytest

from externallines.channels.base import Contact
from messaging import pictures
from messaging.models import Chat, Message
from portals.http import Refused, ServerFault
from tests.simulators import outgoing
from tests.toy import Toy

pytestmark = pytest.mark.django_db(transaction=True)

PNG = b"\x89PNG\r\n\x1a\n..."
PICTURED = Contact("ann", "Ann", picture={"name": "ann.png"})


@pytest.fixture
def uspacy(world, portal):
    return world.uspacy.portals[portal.domain]


@pytest.fixture
def picture(toy, uspacy, deliver):
    """Return the answer to whom Uspacy's link to Ann's portrait leads."""

    def get():
        toy.writes(contact=PICTURED)
        deliver()
        [chat] = uspacy.chats.values()
        return outgoing.call("GET", chat["pictureUrl"])

    return get


def test_uspacy_gets_a_lasting_link_to_the_portrait(toy, uspacy, picture):
    toy.files["ann.png"] = PNG
    answer = picture()
    assert (answer.status_code, answer.content) == (200, PNG)
    assert answer.headers["Content-Type"] == "image/png"
    assert answer.headers["Content-Security-Policy"] == "sandbox"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    chat = Chat.objects.get()
    assert pictures.url_of(chat) == pictures.url_of(chat) == next(iter(uspacy.chats.values()))["pictureUrl"]


@pytest.mark.parametrize(
    ("content", "type"),
    [(b"\xff\xd8\xff\xe0", "image/jpeg"), (b"GIF89a", "image/gif"), (b"RIFF....WEBP", "image/webp")],
)
def test_the_type_is_what_the_file_is(toy, picture, content, type):
    toy.files["ann.png"] = content
    assert picture().headers["Content-Type"] == type


@pytest.mark.parametrize(
    "content", [b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"<html>", b"", b"RIFF....WAVE"]
)
def test_what_is_not_a_picture_is_not_shown(toy, picture, content):
    toy.files["ann.png"] = content
    answer = picture()
    assert answer.status_code == 502
    assert answer.headers["Content-Type"] == "application/json"


def test_a_portrait_that_is_gone_is_not_shown(picture):
    assert picture().status_code == 502


def test_a_link_is_good_for_its_own_chat_only(toy, uspacy, picture, settings):
    toy.files["ann.png"] = PNG
    url = picture().request.url
    assert outgoing.call("GET", url.replace(f"/{Chat.objects.get().pk}:", "/999:")).status_code == 404
    assert outgoing.call("GET", url[:-1]).status_code == 404
    line = Chat.objects.get().line
    line.status = "disabled"
    line.save()
    assert outgoing.call("GET", url).status_code == 404


def test_a_customer_is_looked_up_before_uspacy_shows_them(toy, uspacy, deliver):
    toy.contact = Contact("ann", "Ann Miller", "https://x.example/ann.png", meta=[("username", "ann")])
    toy.writes(contact=Contact("ann"))
    toy.writes("again", contact=Contact("ann"))
    deliver()
    [chat] = uspacy.chats.values()
    assert (chat["name"], chat["pictureUrl"]) == ("Ann Miller", "https://x.example/ann.png")
    assert chat["meta"] == [{"type": "username", "value": "ann"}]
    assert toy.looked_up == [Contact("ann")]
    assert Chat.objects.get().name == "Ann Miller"


@pytest.mark.parametrize("failure", [ServerFault("Down."), Refused("No consent."), KeyError("name")])
def test_a_look_up_that_fails_is_harmless(toy, uspacy, deliver, failure):
    toy.contact = failure
    toy.writes(contact=Contact("ann", "Ann"))
    deliver()
    assert [chat["name"] for chat in uspacy.chats.values()] == ["Ann"]
    assert len(uspacy.messages) == 1


def test_the_messenger_is_thanked_once_the_message_is_in_uspacy(world, toy, uspacy, deliver, pass_time):
    world.faults.add(r"/messenger/v1/messages$", "status", code=503, method="POST")
    toy.writes(thanks={"id": "button-1"})
    deliver()
    assert toy.thanks == []
    pass_time()
    deliver()
    assert toy.thanks == [{"id": "button-1"}]
    assert Message.objects.get().thanks is None


@pytest.mark.parametrize("failure", [ServerFault("Down."), KeyError("id")])
def test_thanks_that_fail_are_not_given_again(toy, uspacy, deliver, failure):
    toy.thanks_failure = failure
    toy.writes(thanks={"id": "button-1"})
    deliver()
    assert len(toy.thanks) == 1
    assert Message.objects.get().status == "sent"
    assert len(uspacy.messages) == 1


def test_what_the_customer_tells_while_they_are_looked_up_stays(toy, deliver, monkeypatch):
    def look_up(self, contact):
        if Chat.objects.get().name == "Ann":
            toy.writes(contact=Contact("ann", "Anna"))
        return Contact("ann", "Ann", picture_url="https://x.example/old.png")

    monkeypatch.setattr(Toy, "look_up", look_up)
    toy.writes(contact=Contact("ann", "Ann"))
    deliver()
    assert (Chat.objects.get().name, Chat.objects.get().picture_url) == ("Anna", "")


def test_what_is_known_of_a_customer_stays_when_other_things_are_told(toy):
    toy.writes(contact=Contact("ann", "Ann", meta=[("phone", "+1"), ("username", "ann")]))
    toy.writes(contact=Contact("ann", "Ann", meta=[("phone", "+2")]))
    toy.writes(contact=Contact("ann", "Ann"))
    assert Chat.objects.get().meta == [
        {"type": "phone", "value": "+2"},
        {"type": "username", "value": "ann"},
    ]
