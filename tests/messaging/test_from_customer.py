"""What a customer does in a messenger, as it arrives in Uspacy."""

from datetime import timedelta

import pytest
from django.utils import timezone

from externallines.channels import CHANNELS
from messaging import late_files
from messaging.models import Attachment, Chat, Delivery, Message, WebhookEvent
from portals import gate

pytestmark = pytest.mark.django_db(transaction=True)


def texts(world, portal):
    return [message["message"] for message in world.uspacy.portals[portal.domain].messages.values()]


@pytest.fixture
def ann(partner):
    return partner.add_customer("Ann", phone="+380501112233", username="ann")


def test_a_first_message_creates_the_chat_with_what_is_known_of_the_customer(world, portal, partner, ann, deliver):
    sent = partner.write(ann, "Hello", wait=True)
    deliver()
    simulated = world.uspacy.portals[portal.domain]
    [chat] = simulated.chats.values()
    [message] = simulated.messages.values()
    assert sent.response.status_code == 202
    assert sent.response.json() == {"ok": True, "duplicate": False}
    assert chat["name"] == "Ann"
    assert chat["pictureUrl"] == ann.picture_url
    assert chat["meta"] == [{"type": "phone", "value": "+380501112233"}, {"type": "username", "value": "ann"}]
    assert (message["message"], message["externalAuthorId"]) == ("Hello", ann.id)
    assert message["chatId"] == chat["id"]
    assert world.breaches == []


def test_a_message_knows_the_event_that_told_of_it(partner, ann):
    partner.write(ann, "Hello", wait=True)
    [event] = WebhookEvent.objects.filter(source=str(Chat.objects.get().line.key), payload__contains="Hello")
    assert Message.objects.get().event_id == event.pk


def test_later_messages_go_into_the_same_chat_in_order(world, portal, partner, ann, deliver):
    for number in range(5):
        partner.write(ann, f"message {number}", wait=True)
    deliver()
    assert texts(world, portal) == [f"message {number}" for number in range(5)]
    assert len(world.uspacy.portals[portal.domain].chats) == 1


def test_a_redelivered_webhook_changes_nothing(world, portal, partner, ann, deliver):
    sent = partner.write(ann, "once", wait=True)
    repeat = partner.redeliver(sent)
    deliver()
    assert repeat.json() == {"ok": True, "duplicate": True}
    assert texts(world, portal) == ["once"]
    assert WebhookEvent.objects.filter(source=str(Chat.objects.get().line.key), outcome="accepted").count() == 1


def test_a_second_creation_with_another_text_is_an_edit(world, portal, partner, ann, deliver):
    sent = partner.write(ann, "typo", wait=True)
    partner.send("message.created", {**sent.data, "message": {**sent.data["message"], "text": "fixed"}}, wait=True)
    deliver()
    assert texts(world, portal) == ["fixed"]


def test_a_file_is_uploaded_before_the_message_that_shows_it(world, portal, partner, ann, deliver):
    partner.write(ann, "look", files=[("a.png", b"picture"), ("b.txt", b"notes")], wait=True)
    deliver()
    simulated = world.uspacy.portals[portal.domain]
    [message] = simulated.messages.values()
    assert [file["originalFilename"] for file in message["attachedFiles"]] == ["a.png", "b.txt"]
    assert {file["entityId"] for file in message["attachedFiles"]} == {message["id"]}
    assert sorted(simulated.contents.values()) == [b"notes", b"picture"]
    assert world.breaches == []


def test_a_file_that_cannot_be_had_leaves_the_text_with_a_note(world, portal, partner, ann, deliver):
    world.faults.add(r"/partner/shop/media/", "status", code=404)
    partner.write(ann, "look", files=[("a.png", b"picture")], wait=True)
    deliver()
    [text] = texts(world, portal)
    assert text.startswith("look\n\n[The file “a.png” could not be transferred:")


def test_a_file_over_the_limit_leaves_the_text_with_a_note(world, portal, partner, ann, deliver, settings):
    settings.MAX_ATTACHMENT_MB = 0
    partner.write(ann, "look", files=[("a.png", b"picture")], wait=True)
    deliver()
    [text] = texts(world, portal)
    assert "it is larger than 0 MB" in text


def test_a_file_service_that_is_down_for_long_does_not_hold_the_text(
    world, portal, partner, ann, deliver, pass_time
):
    world.faults.add(r"/files/v1/files", "status", code=500, times=100)
    partner.write(ann, "look", files=[("a.png", b"picture")], wait=True)
    for _attempt in range(5):
        deliver()
        pass_time()
    [text] = texts(world, portal)
    assert text.startswith("look\n\n[The file “a.png” could not be transferred:")


def test_a_file_whose_text_went_ahead_follows_when_it_can_be_had(world, portal, partner, ann, deliver, pass_time):
    down = world.faults.add(r"/files/v1/files", "status", code=503, times=100)
    partner.write(ann, "look", files=[("a.png", b"picture"), ("b.txt", b"notes")], wait=True)
    while not texts(world, portal):
        deliver()
        pass_time()
    late_files.fetch_due()  # not yet: it has just failed
    assert Attachment.objects.filter(retry_at__gt=timezone.now()).count() == 2
    Attachment.objects.update(retry_at=timezone.now())
    late_files.fetch_due()
    deliver()
    assert texts(world, portal)[0].count("could not be transferred") == 2
    down.times = 0
    gate.reset()
    Attachment.objects.update(retry_at=timezone.now())
    late_files.fetch_due()
    deliver()
    [message] = world.uspacy.portals[portal.domain].messages.values()
    assert message["message"] == "look"
    assert [file["originalFilename"] for file in message["attachedFiles"]] == ["a.png", "b.txt"]
    assert not Attachment.objects.exclude(retry_at=None).exists()


def test_a_file_is_given_up_after_a_day_or_when_it_is_refused(world, portal, partner, ann, deliver, pass_time):
    world.faults.add(r"/files/v1/files", "status", code=503, times=100)
    partner.write(ann, "look", files=[("a.png", b"picture")], wait=True)
    for _attempt in range(5):
        deliver()
        pass_time()
    Attachment.objects.update(retry_at=timezone.now())
    Message.objects.update(created_at=timezone.now() - timedelta(hours=25))
    late_files.fetch_due()
    assert Attachment.objects.get().retry_at is None
    world.faults.add(r"/partner/shop/media/", "status", code=404)
    partner.write(ann, "and this", files=[("b.png", b"picture")], wait=True)
    deliver()
    assert Attachment.objects.get(name="b.png").retry_at is None


def test_the_name_of_a_file_is_no_markup_in_its_note(world, portal, partner, ann, deliver):
    world.faults.add(r"/partner/shop/media/", "status", code=404)
    partner.write(ann, "", files=[("x](https://evil.example)", b"?")], wait=True)
    deliver()
    [text] = texts(world, portal)
    assert r"x\](https://evil.example)" in text


def test_an_upload_whose_answer_was_lost_is_not_repeated(world, portal, partner, ann, deliver, pass_time):
    world.faults.add(r"/files/v1/files", "stored_then_cut", method="POST")
    partner.write(ann, "look", files=[("a.png", b"picture")], wait=True)
    deliver()
    pass_time()
    deliver()
    simulated = world.uspacy.portals[portal.domain]
    assert len(simulated.files) == 1
    assert [len(message["attachedFiles"]) for message in simulated.messages.values()] == [1]


def test_plain_text_arrives_as_markdown_that_shows_the_same(world, portal, partner, ann, deliver):
    partner.write(ann, "*not bold* <b> snake_case https://example.com/a_b", wait=True)
    deliver()
    assert texts(world, portal) == [r"\*not bold\* \<b> snake_case https://example.com/a_b"]


def test_a_reply_names_the_message_it_answers(world, portal, partner, ann, deliver):
    first = partner.write(ann, "first", wait=True)
    partner.write(ann, "second", reply_to=first.message.id, wait=True)
    deliver()
    one, two = world.uspacy.portals[portal.domain].messages.values()
    assert two["parentMessage"] == one["id"]


def test_an_edit_and_a_deletion_reach_uspacy(world, portal, partner, ann, deliver):
    kept = partner.write(ann, "kept", wait=True)
    gone = partner.write(ann, "gone", wait=True)
    deliver()
    partner.edit(kept.message.id, "kept, edited", wait=True)
    partner.delete(gone.message.id, wait=True)
    deliver()
    assert texts(world, portal) == ["kept, edited"]
    assert world.breaches == []


def test_what_the_business_wrote_elsewhere_shows_as_its_own(world, portal, partner, ann, deliver):
    partner.write(ann, "hi", wait=True)
    partner.write(ann, "from our phone", direction="out", wait=True)
    deliver()
    world.settle()
    deliver()
    mine = list(world.uspacy.portals[portal.domain].messages.values())[1]
    assert "externalAuthorId" not in mine or not mine["externalAuthorId"]
    assert partner.messages(ann)[-1].text == "from our phone"
    assert not Delivery.objects.filter(destination="customer").exists()


def test_an_answer_that_was_lost_makes_no_second_message(world, portal, partner, ann, deliver, pass_time):
    world.faults.add(r"/messenger/v1/messages$", "stored_then_cut", method="POST")
    partner.write(ann, "once", wait=True)
    deliver()
    pass_time()
    deliver()
    assert texts(world, portal) == ["once"]
    assert Message.objects.get().status == "sent"


def test_a_chat_whose_answer_was_lost_is_not_created_twice(world, portal, partner, ann, deliver, pass_time):
    world.faults.add(r"/messenger/v1/chats$", "stored_then_cut", method="POST")
    partner.write(ann, "hello", wait=True)
    deliver()
    pass_time()
    deliver()
    assert len(world.uspacy.portals[portal.domain].chats) == 1
    assert texts(world, portal) == ["hello"]


def test_a_very_long_text_arrives_whole_in_parts(world, portal, partner, ann, deliver):
    text = "word " * 5_000
    partner.write(ann, text, wait=True)
    deliver()
    assert len(texts(world, portal)) == 3
    assert "".join(texts(world, portal)).replace(" ", "") == text.replace(" ", "")


def test_a_very_long_text_that_is_edited_leaves_no_parts_behind(world, portal, partner, ann, deliver):
    sent = partner.write(ann, "word " * 5_000, wait=True)
    deliver()
    partner.edit(sent.message.id, "short", wait=True)
    deliver()
    assert texts(world, portal) == ["short"]


def test_a_very_long_text_is_deleted_whole_though_an_answer_is_lost(
    world, portal, partner, ann, deliver, pass_time
):
    sent = partner.write(ann, "word " * 5_000, wait=True)
    deliver()
    world.faults.add(r"/messenger/v1/messages/", "stored_then_cut", method="DELETE")
    partner.delete(sent.message.id, wait=True)
    deliver()
    pass_time()
    deliver()
    assert texts(world, portal) == []
    assert not Delivery.objects.exclude(status="sent").exists()


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({}, "data.message"),
        ({"message": {"id": "1", "text": "x"}}, "data.contact"),
        ({"message": {"id": "1"}, "contact": {"id": "c"}}, "data.message"),
        ({"message": {"id": "1", "text": 5}, "contact": {"id": "c"}}, "data.message.text"),
        (
            {"message": {"id": "", "text": "x"}, "contact": {"id": "c"}, "conversation": {"id": "c"}},
            "data.message.id",
        ),
        ({"message": {"id": "1", "text": "x"}, "contact": {"id": "c"}}, "data.conversation"),
        ({"message": {"id": "1", "text": "x", "direction": "up"}, "contact": {}}, "data.message.direction"),
        (
            {"message": {"id": "1", "attachments": [{"url": "ftp://x/a", "name": "a"}]}, "contact": {"id": "c"}},
            "data.message.attachments.0.url",
        ),
    ],
)
def test_a_malformed_event_is_refused_by_field_and_stores_nothing(partner, data, field):
    before = WebhookEvent.objects.count()
    sent = partner.send("message.created", data, wait=True)
    assert sent.response.status_code == 422
    assert sent.response.json()["error"]["code"] == "invalid_payload"
    assert sent.response.json()["error"]["field"] == field
    assert WebhookEvent.objects.count() == before
    assert not Message.objects.exists()


def test_text_that_postgresql_cannot_store_is_cleaned(world, portal, partner, ann, deliver):
    sent = partner.write(ann, "a\x00b", wait=True)
    deliver()
    assert sent.response.status_code == 202
    assert texts(world, portal) == ["ab"]


def test_an_unknown_event_type_is_accepted_and_ignored(partner):
    sent = partner.send("party.started", {}, wait=True)
    assert sent.response.status_code == 202
    assert WebhookEvent.objects.latest("id").outcome == "ignored"


def test_a_portal_that_needs_reinstall_keeps_its_messages_and_goes_on_in_order(
    world, portal, partner, ann, deliver, pass_time
):
    simulated = world.uspacy.portals[portal.domain]
    simulated.sign_in_allowed = False
    simulated.expire_access_tokens()
    simulated.revoke_refresh_tokens()
    for text in ("one", "two", "three"):
        partner.write(ann, text, wait=True)
    deliver()
    portal.refresh_from_db()
    assert portal.status == "needs_reinstall"
    assert texts(world, portal) == []
    assert list(Delivery.objects.order_by("id").values_list("status", "attempts"))[1:] == [
        ("open", 0),
        ("open", 0),
    ]
    world.uspacy.install(portal.domain)
    deliver()
    assert texts(world, portal) == ["one", "two", "three"]


def test_a_malformed_event_of_a_lenient_messenger_is_kept_and_stops_nothing(partner, ann, monkeypatch):
    monkeypatch.setattr(CHANNELS["webhook"], "is_strict", False)
    sent = partner.send("message.created", {"message": {"id": "1", "text": "x"}}, wait=True)
    assert sent.response.status_code == 202
    event = WebhookEvent.objects.get(key=sent.id)
    assert event.outcome == "failed"
    assert "data.contact" in event.error
