"""What a failure means and what to do about it: operators read it, and staff find it by its kind."""

import subprocess
import sys
import uuid
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models.functions import Now

from externallines.channels import base
from externallines.models import ExternalLine
from messaging import dead_ends, delivery, failures, services
from messaging.models import Chat, Delivery, Message
from portals import http
from portals.models import Portal

FINAL = {
    "Refused": http.Refused("No."),
    "Blocked": base.Blocked("The customer left."),
    "WindowClosed": base.WindowClosed("A day has passed."),
    "Unsupported": base.Unsupported("There is no such thing."),
    "TooLarge": http.TooLarge("It has 60 MB."),
    "ForbiddenAddress": http.ForbiddenAddress("It is inside."),
    "Unauthorized": http.Unauthorized("Status 401."),
}
ALL_KINDS = """
import django; django.setup()
from messaging import dead_ends, tasks
from portals.http import RemoteError
def below(kind):
    return {kind}.union(*(below(one) for one in kind.__subclasses__()))
missing = {kind.__name__ for kind in below(RemoteError)} - set(dead_ends.DEAD_ENDS)
assert not missing, missing
"""


def test_every_error_of_a_remote_has_an_entry():
    subprocess.run([sys.executable, "-c", ALL_KINDS], check=True)  # a process that knows no errors of tests


def test_every_entry_says_what_it_means_and_what_to_do():
    for dead_end in dead_ends.DEAD_ENDS.values():
        assert dead_end.name
        assert not dead_end.name.endswith(".")
        for sentence in (dead_end.meaning, dead_end.advice):
            assert sentence.endswith(".")
            assert ". " not in sentence


def test_an_error_of_an_older_version_is_an_internal_one():
    assert dead_ends.explain("KeyError") is dead_ends.explain("InternalFault")


@pytest.fixture
def answer(toy, deliver):
    """Let an operator answer a customer who has written; the delivery."""
    toy.writes()
    deliver()

    def answer(text="Hi"):
        chat = Chat.objects.get()
        message = Message.objects.create(chat=chat, direction="out", uspacy_id=uuid.uuid4(), text=text)
        return services.enqueue(message, Delivery.Destination.CUSTOMER)

    return answer


def came_to(row):
    """What became of a delivery: its state, its kind of failure, and what its operator reads."""
    row = Delivery.objects.select_related("message").get(pk=row.pk)
    return row.status, row.failure, row.message.error


def grow_old():
    ago = Now() - timedelta(hours=25)
    Delivery.objects.open().update(created_at=ago)
    Portal.objects.update(installed_at=ago)
    ExternalLine.objects.update(activated_at=ago)


@pytest.mark.django_db(transaction=True)
class TestSettled:
    @pytest.mark.parametrize("kind", FINAL)
    def test_a_refusal_is_kept_by_its_kind_and_told_with_what_to_do(self, toy, answer, deliver, kind):
        toy.failures = [FINAL[kind]]
        row = answer()
        deliver()
        assert came_to(row) == ("failed", kind, f"{FINAL[kind]} {dead_ends.DEAD_ENDS[kind].advice}")

    def test_a_doubtful_refusal_is_kept_as_what_it_is_taken_for(self, toy, answer, deliver, pass_time):
        toy.failures = [base.Doubtful(base.Blocked("They left."), tolerated=1)] * 2
        row = answer()
        deliver()
        assert came_to(row)[:2] == ("open", "Doubtful")
        pass_time()
        deliver()
        assert came_to(row)[:2] == ("failed", "Blocked")

    @pytest.mark.parametrize(
        ("failure", "kind"),
        [
            (http.Unreachable("No route.", code="connect"), "Unreachable"),
            (http.ServerFault("502", code="502"), "ServerFault"),
            (http.Throttled("Slowly."), "Throttled"),
            (KeyError("ours"), "InternalFault"),
        ],
    )
    def test_what_took_too_long_is_kept_by_what_kept_it(self, toy, answer, deliver, failure, kind):
        toy.failures = [failure]
        row = answer()
        grow_old()
        deliver()
        status, kept, told = came_to(row)
        assert (status, kept) == ("failed", kind)
        assert told.endswith(f"Given up after 24 hours. {dead_ends.DEAD_ENDS[kind].advice}")

    def test_what_the_line_cannot_make_sense_of_is_an_internal_fault(self, answer, deliver):
        row = answer()
        ExternalLine.objects.update(channel="gone")
        grow_old()
        deliver()
        assert came_to(row)[:2] == ("failed", "InternalFault")

    def test_what_was_not_heard_twice_says_that_it_may_have_arrived(self, toy, answer, deliver, pass_time):
        toy.failures = [http.Unreachable("No answer.", code="timeout")] * 2
        row = answer()
        deliver()
        assert came_to(row)[:2] == ("open", "Unheard")
        pass_time()
        deliver()
        assert came_to(row)[:2] == ("failed", "MayHaveArrived")

    @pytest.mark.parametrize(
        ("change", "kind"),
        [
            (lambda: Message.objects.filter(direction="out").update(deleted_at=Now()), "DeletedBeforeSent"),
            (lambda: ExternalLine.objects.update(status="disabled"), "LineDisconnected"),
            (lambda: Chat.objects.update(blocked=True), "Blocked"),
        ],
    )
    def test_what_is_not_even_tried_has_its_kind(self, answer, deliver, change, kind):
        row = answer()
        change()
        deliver()
        status, kept, told = came_to(row)
        assert (status, kept) == ("failed", kind)
        assert told.endswith(dead_ends.DEAD_ENDS[kind].advice)

    def test_an_answer_that_waited_too_long_for_its_line_has_its_kind(self, answer):
        row = answer()
        ExternalLine.objects.update(status="error", error="The token was revoked.")
        grow_old()
        assert delivery.expire_held() == 1
        assert came_to(row)[:2] == ("failed", "HeldTooLong")

    def test_what_a_messenger_reports_later_is_told_with_what_to_do(self, toy, answer, deliver):
        row = answer()
        deliver()
        sent = Message.objects.get(pk=row.message_id)
        toy.tell(base.StatusReported(base.Progress.FAILED, message_id=sent.external_id, failure="WindowClosed"))
        window = dead_ends.DEAD_ENDS["WindowClosed"]
        assert came_to(row)[2] == f"{window.meaning} {window.advice}"


@pytest.mark.django_db(transaction=True)
class TestGivenUp:
    def test_the_lane_goes_on_and_the_operator_is_told(self, world, portal, toy, answer, deliver):
        stuck, behind = answer("stuck"), answer("behind it")
        toy.failures = [http.ServerFault("502", code="502")]
        deliver()
        assert toy.texts == []
        assert failures.give_up(stuck, by="ann")
        deliver()
        assert toy.texts == ["behind it"]
        assert Delivery.objects.get(pk=behind.pk).status == "sent"
        settled = Delivery.objects.get(pk=stuck.pk)
        assert (settled.status, settled.error, settled.settled_at is None) == ("failed", "Given up by ann.", False)
        assert Delivery.objects.filter(message=stuck.message, kind="status").exists()
        given_up = dead_ends.DEAD_ENDS["GivenUp"]
        assert came_to(stuck) == ("failed", "GivenUp", f"{given_up.meaning} {given_up.advice}")

    def test_not_while_a_worker_has_it_in_hand(self, answer):
        row = answer()
        assert delivery._claim(Delivery.objects.get(pk=row.pk))
        assert not failures.give_up(row, by="ann")
        assert came_to(row)[0] == "open"
        Delivery.objects.update(available_at=Now())  # the worker was killed, and its lease has lapsed
        assert failures.give_up(row, by="ann")

    def test_what_a_killed_worker_left_and_a_shut_gate_holds_back(self, answer):
        row = answer()
        assert delivery._claim(Delivery.objects.get(pk=row.pk))
        Delivery.objects.update(available_at=Now())
        left = Delivery.objects.get(pk=row.pk)
        assert delivery._postpone(left, 60.0, gave_up=False)
        assert failures.give_up(left, by="ann")

    def test_not_what_an_older_version_may_have_in_hand(self, answer):
        row = answer()
        with connection.cursor() as cursor:  # as its INSERT and its claim
            cursor.execute("UPDATE messaging_delivery SET in_hand = DEFAULT, attempts = 1")
        Delivery.objects.update(available_at=Now() + timedelta(seconds=180))
        assert not failures.give_up(row, by="ann")

    def test_why_it_waited_is_kept(self, toy, answer, deliver):
        stuck = answer("stuck")
        toy.failures = [http.ServerFault("Status 502.", code="502")]
        deliver()
        assert failures.give_up(Delivery.objects.get(pk=stuck.pk), by="ann")
        assert Delivery.objects.get(pk=stuck.pk).error == "Given up by ann. Before: Status 502."

    def test_a_worker_that_comes_back_later_settles_nothing(self, answer):
        row = answer()
        late = Delivery.objects.select_related("message", "chat__line__portal").get(pk=row.pk)
        assert delivery._claim(late)
        Delivery.objects.filter(pk=row.pk).update(available_at=Now())
        assert failures.give_up(row, by="ann")
        assert delivery._settle_failure(late, RuntimeError("too late")) == "lost"
        assert came_to(row)[1] == "GivenUp"

    def test_what_is_settled_stays_as_it_is(self, toy, answer, deliver):
        row = answer()
        deliver()
        assert not failures.give_up(row, by="ann")
        assert came_to(row)[0] == "sent"


@pytest.mark.parametrize("reason", ["Number not on network", "Number not on network.", " Number not on network "])
def test_a_reason_ends_as_a_sentence_before_what_to_do(reason):
    assert dead_ends.told("Reported", reason).startswith("Number not on network. ")
