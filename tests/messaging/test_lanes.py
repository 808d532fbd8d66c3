"""The lane engine under concurrency, crashes and refusals."""

import random
import threading
import uuid
from collections import defaultdict
from datetime import timedelta

import pytest
from django.db import connection, connections
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from externallines.models import ExternalLine
from messaging import announcer, delivery, retries, services, tasks
from messaging.models import Chat, Delivery, Message
from portals import gate
from portals.gate import gate_for
from portals.models import Portal

MESSAGES = 12  # in each chat

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def ann(partner):
    return partner.add_customer("Ann")


@pytest.fixture
def chat(partner, ann, deliver):
    partner.write(ann, "Hello", wait=True)
    deliver()
    return Chat.objects.select_related("line__portal").get()


def write(chat, text):
    """An operator's message, as its event would record it."""
    message = Message.objects.create(chat=chat, direction="out", uspacy_id=uuid.uuid4(), text=text, author_id="41")
    return services.enqueue(message, Delivery.Destination.CUSTOMER)


def got(partner, ann):
    return [message.text for message in partner.messages(ann) if message.side == "business"]


def in_thread(work):
    """Run `work` in a thread of its own, which gives its database connection back."""

    def run():
        try:
            work()
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_many_workers_deliver_every_lane_in_order_and_once(world, partner, chat):
    customers = [partner.add_customer(f"Customer {number}") for number in range(4)]
    chats = []
    for customer in customers:
        partner.write(customer, "open", wait=True)
        chats.append(Chat.objects.get(contact_id=customer.id))
    for number in range(MESSAGES):
        for each in chats:
            write(each, f"{number}")
    chance = random.Random(7)
    for _fault in range(8):
        world.faults.add(r"/partner/shop/hook", "status", code=chance.choice([500, 503, 429]), retry_after=0)

    def work():
        for _round in range(400):
            gate.reset()
            open_chats = list(Delivery.objects.open().values_list("chat_id", flat=True).distinct())
            if not open_chats:
                return
            Delivery.objects.open().filter(available_at__gt=Now()).exclude(
                available_at__gt=Now() + timedelta(seconds=60)  # a lease: someone is at it
            ).update(available_at=Now())
            for chat_id in random.sample(open_chats, len(open_chats)):
                delivery.drain(chat_id)

    for thread in [in_thread(work) for _worker in range(4)]:
        thread.join()
    assert not Delivery.objects.open().filter(destination="customer").exists()
    for customer in customers:
        assert got(partner, customer) == [f"{number}" for number in range(MESSAGES)]
    assert partner.repeats == 0
    assert partner.misordered == []


def test_only_one_of_many_workers_gets_a_claim(chat):
    row = write(chat, "one")
    results = []
    barrier = threading.Barrier(8)

    def claim():
        mine = Delivery.objects.get(pk=row.pk)
        barrier.wait()
        results.append(delivery._claim(mine))

    for thread in [in_thread(claim) for _worker in range(8)]:
        thread.join()
    assert sorted(results) == [False] * 7 + [True]
    assert Delivery.objects.get(pk=row.pk).attempts == 1


def test_a_lapsed_lease_is_taken_over_and_the_late_worker_settles_nothing(partner, ann, chat, deliver):
    row = write(chat, "once")
    late = Delivery.objects.select_related("message", "chat__line__portal").get(pk=row.pk)
    assert delivery._claim(late)
    Delivery.objects.filter(pk=row.pk).update(available_at=Now())  # the lease lapses
    deliver()
    assert Delivery.objects.get(pk=row.pk).status == "sent"
    assert delivery._settle_failure(late, RuntimeError("too late")) == "lost"
    assert Delivery.objects.get(pk=row.pk).status == "sent"
    with pytest.raises(delivery.ClaimLost):
        delivery._extend(late)
    assert got(partner, ann) == ["once"]


def test_a_claimed_head_holds_back_the_rest_of_its_lane(partner, ann, chat, deliver):
    first = write(chat, "first")
    write(chat, "second")
    claimed = Delivery.objects.get(pk=first.pk)
    assert delivery._claim(claimed)
    deliver()
    assert got(partner, ann) == []
    Delivery.objects.filter(pk=first.pk).update(available_at=Now())
    deliver()
    assert got(partner, ann) == ["first", "second"]


def test_a_passing_fault_holds_the_lane_and_a_refusal_lets_it_go_on(world, partner, ann, chat, deliver, pass_time):
    for text in ("one", "two"):
        write(chat, text)
    world.faults.add(r"/partner/shop/hook", "status", code=503)
    deliver()
    assert got(partner, ann) == []
    assert Delivery.objects.open().filter(destination="customer").count() == 2
    pass_time()
    partner.refuse("window_closed", times=1)
    deliver()
    assert got(partner, ann) == ["two"]
    assert [row.status for row in Delivery.objects.filter(destination="customer").order_by("id")] == [
        "failed",
        "sent",
    ]


def test_the_other_lane_and_other_chats_do_not_wait(world, portal, partner, ann, chat, deliver):
    write(chat, "held")
    world.faults.add(r"/partner/shop/hook", "status", code=503, times=50)
    ben = partner.add_customer("Ben")
    partner.write(ann, "still here", wait=True)
    partner.write(ben, "me too", wait=True)
    deliver()
    shown = [message["message"] for message in world.uspacy.portals[portal.domain].messages.values()]
    assert sorted(shown) == ["Hello", "me too", "still here"]


def test_waits_grow_exponentially_and_stay_under_a_quarter_of_an_hour():
    waits = []
    for attempts in range(1, 40):
        row = Delivery(attempts=attempts)
        waits.append(retries.delay(row, RuntimeError()))
    assert 1.6 <= waits[0] <= 2.4
    assert 3.2 <= waits[1] <= 4.8
    assert max(waits) <= 15 * 60 * 1.2
    assert min(waits[15:]) >= 15 * 60 * 0.8


def test_a_wait_that_the_other_side_asks_for_is_kept(world, partner, chat, deliver):
    row = write(chat, "patience")
    world.faults.add(r"/partner/shop/hook", "status", code=429, retry_after=120)
    deliver()
    wait = Delivery.objects.get(pk=row.pk).available_at - timezone.now()
    assert timedelta(seconds=110) < wait < timedelta(seconds=121)


def test_a_shut_gate_postpones_without_an_attempt(partner, chat, deliver):
    row = write(chat, "later")
    shut = gate_for(
        delivery.destinations.remote(Delivery.objects.select_related("chat__line__portal").get(pk=row.pk))
    )
    shut._failed(shut._enter())
    deliver()
    row.refresh_from_db()
    assert (row.status, row.attempts) == ("open", 0)
    assert row.available_at > timezone.now()


def grow_old(chat):
    """Let everything have been there for 25 hours."""
    ago = timezone.now() - timedelta(hours=25)
    Delivery.objects.open().update(created_at=ago)
    Portal.objects.update(installed_at=ago)
    ExternalLine.objects.update(activated_at=ago)


def test_a_message_that_waited_long_for_its_portal_is_tried_like_a_new_one(
    world, portal, partner, ann, chat, deliver, pass_time
):
    write(chat, "better late")
    grow_old(chat)
    world.uspacy.install(portal.domain)
    world.faults.add(r"/partner/shop/hook", "status", code=503)
    deliver()
    assert Delivery.objects.open().filter(destination="customer").exists()
    pass_time()
    deliver()
    assert got(partner, ann) == ["better late"]


def test_a_message_that_is_too_old_fails_with_a_reason_the_operator_sees(
    world, portal, partner, ann, chat, deliver
):
    answer = world.uspacy.operator_writes(portal.domain, str(chat.uspacy_id), "too late")
    world.settle()
    grow_old(chat)
    world.faults.add(r"/partner/shop/hook", "status", code=503)
    deliver()
    shown = world.uspacy.portals[portal.domain].messages[answer["id"]]
    assert shown["status"] == "error"
    assert shown["statusText"].endswith("Given up after 24 hours. Send it again once the other side is well.")


def test_a_message_that_never_got_through_the_gate_fails_when_it_is_too_old(partner, chat, deliver):
    row = write(chat, "too late")
    grow_old(chat)
    shut = gate_for(
        delivery.destinations.remote(Delivery.objects.select_related("chat__line__portal").get(pk=row.pk))
    )
    shut._failed(shut._enter())
    deliver()
    row.refresh_from_db()
    assert row.status == "failed"
    assert "could not be reached" in row.error


def test_a_message_is_not_too_old_for_a_remote_that_merely_has_no_room(partner, ann, chat, deliver, pass_time):
    row = write(chat, "one of many")
    grow_old(chat)
    full = gate_for(
        delivery.destinations.remote(Delivery.objects.select_related("chat__line__portal").get(pk=row.pk))
    )
    calls = [full._enter() for _call in range(gate.FIRST_WINDOW)]
    deliver()
    row.refresh_from_db()
    assert (row.status, row.attempts) == ("open", 0)
    for call in calls:
        full._leave(call)
    pass_time()
    deliver()
    assert got(partner, ann) == ["one of many"]


def test_a_line_whose_channel_is_gone_loses_nothing(partner, ann, chat, deliver, pass_time):
    row = write(chat, "hello")
    ExternalLine.objects.update(channel="pigeon")
    deliver()
    row.refresh_from_db()
    assert (row.status, row.attempts) == ("open", 1)
    ExternalLine.objects.update(channel="webhook")
    pass_time()
    deliver()
    assert got(partner, ann) == ["hello"]


def test_answers_to_a_line_that_comes_back_with_its_portal_do_not_expire_meanwhile(
    world, portal, partner, ann, chat, deliver
):
    row = write(chat, "better late")
    world.uspacy.uninstall(portal.domain)
    grow_old(chat)
    world.uspacy.install(portal.domain)
    assert delivery.expire_held() == 0
    Portal.objects.update(installed_at=timezone.now() - timedelta(hours=25))
    assert delivery.expire_held() == 0  # the line is still on its way back
    assert Delivery.objects.get(pk=row.pk).status == "open"


def test_all_answers_of_a_lane_expire_in_one_run(chat):
    for number in range(3):
        write(chat, f"{number}")
    chat.line.status, chat.line.error = "error", "The secret is wrong."
    chat.line.save()
    grow_old(chat)
    assert delivery.expire_held() == 3


def test_an_answer_fails_after_a_day_in_a_line_that_needs_attention(partner, ann, chat, deliver):
    row = write(chat, "waits")
    chat.line.status, chat.line.error = "error", "The secret is wrong."
    chat.line.save()
    assert delivery.expire_held() == 0
    deliver()
    assert Delivery.objects.get(pk=row.pk).attempts == 0
    grow_old(chat)
    assert delivery.expire_held() == 1
    row.refresh_from_db()
    assert row.status == "failed"
    assert "The secret is wrong." in row.error


def test_a_customers_message_waits_for_its_portal_however_long(world, portal, partner, ann, chat, deliver):
    portal.status = "needs_reinstall"
    portal.save()
    partner.write(ann, "I can wait", wait=True)
    Delivery.objects.open().update(created_at=timezone.now() - timedelta(days=9))
    assert delivery.expire_held() == 0
    deliver()
    world.uspacy.install(portal.domain)
    deliver()
    assert "I can wait" in [m["message"] for m in world.uspacy.portals[portal.domain].messages.values()]


def test_a_result_outlives_a_restart_of_the_database(world, partner, ann, chat):
    row = write(chat, "once")
    world.faults.add(r"/partner/shop/hook", "slow", seconds=1.0)
    thread = in_thread(lambda: delivery.drain(chat.pk))
    world.wait_for(lambda: world.requests.matching(r"/partner/shop/hook") or None)
    assert world.wait_for(lambda: Delivery.objects.get(pk=row.pk).attempts == 1)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    thread.join()
    assert Delivery.objects.get(pk=row.pk).status == "sent"
    assert got(partner, ann) == ["once"]
    assert partner.repeats == 0


def test_our_own_fault_is_tried_again_and_loses_nothing(partner, ann, chat, deliver, pass_time):
    row = write(chat, "hello")
    Message.objects.filter(pk=row.message_id).update(text="")
    attachment = row.message.attachments.create(name="a", kind="?", sha256="x", source={"url": "https://x"})
    deliver()
    row.refresh_from_db()
    assert (row.status, row.attempts) == ("open", 1)
    assert row.error == "An internal error, which the logs explain."
    attachment.delete()
    Message.objects.filter(pk=row.message_id).update(text="hello")
    pass_time()
    deliver()
    assert got(partner, ann) == ["hello"]


def test_the_sweep_announces_only_lanes_whose_turn_has_come(broker, chat):
    broker.delete("messages")
    row = write(chat, "announced, and lost")
    write(chat, "behind it")
    waiting_elsewhere = Chat.objects.create(line=chat.line, external_id="x", uspacy_id=uuid.uuid4())
    later = write(waiting_elsewhere, "not yet")
    Delivery.objects.filter(pk=later.pk).update(available_at=Now() + timedelta(minutes=5))
    assert world_is_quiet(broker)
    tasks.sweep()
    assert broker.llen("messages") == 0  # it has just been announced
    Delivery.objects.filter(chat=chat).update(available_at=Now() - timedelta(seconds=10))
    tasks.sweep()
    assert broker.llen("messages") == 1
    assert row.chat_id == chat.pk


@pytest.mark.parametrize(
    ("age", "due", "announced"),
    [
        (10, 10, False),  # its announcement may be what waits
        (90, 90, True),  # that would have expired
        (90, 10, True),  # a later attempt, which nobody has announced
    ],
)
def test_while_announcements_wait_the_sweep_repeats_none_that_may_be_among_them(broker, chat, age, due, announced):
    row = write(chat, "one")
    assert world_is_quiet(broker)
    created = timezone.now() - timedelta(seconds=age)
    available = created + timedelta(seconds=age - due)
    Delivery.objects.filter(pk=row.pk).update(created_at=created, available_at=available)
    announcer.publish([chat.pk])
    tasks.sweep()
    assert broker.llen("messages") == 1 + announced
    broker.delete("messages")
    tasks.sweep()
    assert broker.llen("messages") == 1  # nothing waits any more


@pytest.mark.parametrize("run", [lambda chat: tasks._drain_apart(chat.pk), lambda chat: tasks.sweep.apply()])
def test_workers_keep_no_statements_that_debug_collects(chat, run):
    with CaptureQueriesContext(connection):
        write(chat, "one")
        assert connection.queries_log
        run(chat)
        assert not connection.queries_log


def world_is_quiet(broker):
    """Wait until the announcer has said what it had to say, and forget that."""
    threading.Event().wait(0.2)
    broker.delete("messages")
    return True


def test_the_lanes_of_a_chat_are_found_without_reading_its_history(chat, django_assert_max_num_queries):
    for number in range(30):
        row = write(chat, f"{number}")
        Delivery.objects.filter(pk=row.pk).update(status="sent")
    write(chat, "the one")
    with django_assert_max_num_queries(1):
        heads = delivery._heads(chat.pk)
    assert [head.message.text for head in heads] == ["the one"]


def test_ids_in_a_lane_rise_in_the_order_of_commits(partner, ann, chat):
    """Writers that hold the chat's lock cannot commit a lower id after a higher one."""
    customers = defaultdict(list)

    def write_some(name):
        for number in range(10):
            sent = partner.write(ann, f"{name}{number}", wait=True)
            customers[name].append(sent.message.id)

    for thread in [in_thread(lambda name=name: write_some(name)) for name in "abcd"]:
        thread.join()
    rows = Delivery.objects.filter(chat=chat, destination="uspacy", kind="message").order_by("id")
    order = [row.message.external_id for row in rows.select_related("message")]
    for sent in customers.values():
        positions = [order.index(external_id) for external_id in sent]
        assert positions == sorted(positions)
