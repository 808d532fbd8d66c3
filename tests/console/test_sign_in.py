"""Guessing a password is stopped, and nobody else is: sessions, cookies and headers of the console."""

from datetime import timedelta

import pytest
import time_machine
from axes.models import AccessAttempt, AccessLog
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.utils import timezone

pytestmark = pytest.mark.django_db

LOGIN, LIST = "/admin/login/", "/admin/axes/accessattempt/"
PASSWORD = "the right one: 4711"  # noqa: S105
NOW = timezone.now()
ELSEWHERE = "198.51.100.7"


@pytest.fixture(autouse=True)
def quick_passwords(settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(autouse=True)
def ann(quick_passwords):
    return User.objects.create_user("ann", password=PASSWORD, is_staff=True)


@pytest.fixture
def root(django_user_model):
    from django.test import Client

    client = Client()
    client.force_login(django_user_model.objects.create_superuser("root"))
    return client


def sign_in(client, *, username="ann", password=PASSWORD, address="203.0.113.5", **headers):
    headers = {"X-Forwarded-For": address, **headers}
    return client.post(LOGIN, {"username": username, "password": password}, headers=headers)


def fail(client, times, **who):
    return [sign_in(client, password="wrong", **who).status_code for _try in range(times)]


def test_who_knows_the_password_is_let_in(client):
    assert sign_in(client).status_code == 302
    assert client.get("/admin/").status_code == 200


def test_the_fifth_failure_locks_even_the_right_password_out(client):
    assert fail(client, 5) == [200, 200, 200, 200, 429]
    assert sign_in(client).status_code == 429


def test_the_page_of_a_lock_says_when_it_ends(client):
    with time_machine.travel(NOW, tick=False) as clock:
        fail(client, 5)
        clock.shift(timedelta(minutes=5))
        answer = sign_in(client)
    page = answer.content.decode()
    assert answer.status_code == 429
    assert answer.headers["Retry-After"] == "600"
    assert "Try again in 10 minutes." in page
    assert "ann" not in page  # whether there is such a user is nobody's business
    assert PASSWORD not in page


def test_a_lock_ends_by_itself_and_trying_on_does_not_prolong_it(client):
    with time_machine.travel(NOW, tick=False) as clock:
        fail(client, 5)
        clock.shift(timedelta(minutes=14, seconds=59))
        assert sign_in(client).status_code == 429
        clock.shift(timedelta(seconds=2))
        assert sign_in(client).status_code == 302


def test_another_user_is_not_locked(client):
    User.objects.create_user("bob", password=PASSWORD, is_staff=True)
    fail(client, 5)
    assert sign_in(client, username="bob").status_code == 302


def test_the_same_user_elsewhere_is_not_locked(client):
    fail(client, 5)
    assert sign_in(client, address=ELSEWHERE).status_code == 302


def test_an_address_that_the_caller_made_up_is_not_believed(client):
    """The last one is the load balancer's word."""
    for made_up in range(5):
        fail(client, 1, address=f"192.0.2.{made_up}, 203.0.113.5")
    assert sign_in(client, address="192.0.2.99, 203.0.113.5").status_code == 429


@pytest.mark.parametrize("header", ["", "unknown", "nonsense, <b>"])
def test_without_the_load_balancers_word_it_is_who_calls(client, header):
    fail(client, 5, address=header)
    assert AccessAttempt.objects.get().ip_address == "127.0.0.1"
    assert sign_in(client, address=header).status_code == 429


def test_another_browser_is_no_way_around(client):
    for number in range(5):
        fail(client, 1, **{"User-Agent": f"browser {number}"})
    assert sign_in(client).status_code == 429


def test_a_success_forgets_the_failures_before_it(client):
    fail(client, 4)
    sign_in(client)
    client.logout()
    assert fail(client, 4) == [200] * 4


def test_no_log_grows_with_each_sign_in(client):
    sign_in(client)
    assert not AccessLog.objects.exists()


# In the console


def test_a_lock_is_shown_without_what_was_entered(client, root):
    fail(client, 4)
    assert "1 more until locked" in root.get(LIST).content.decode()
    fail(client, 1, **{"User-Agent": "another browser"})  # counted together
    page = root.get(LIST).content.decode()
    assert page.count("Locked") >= 2
    assert "203.0.113.5" in page
    for attempt in AccessAttempt.objects.all():
        page += root.get(f"{LIST}{attempt.pk}/change/").content.decode()
    assert "wrong" not in page
    assert "csrfmiddlewaretoken=" not in page


def test_what_no_longer_counts_is_not_shown(client, root):
    with time_machine.travel(NOW - timedelta(minutes=16), tick=False):
        fail(client, 5)
    assert root.get(LIST).context["cl"].result_count == 0


def test_a_failure_is_found_by_name_and_address(client, root):
    fail(client, 1)
    fail(client, 1, username="bob", address=ELSEWHERE)
    for text in ("bob", ELSEWHERE):
        assert [row.username for row in root.get(LIST, {"q": text}).context["cl"].result_list] == ["bob"]


def test_an_administrator_unlocks(client, root, ann):
    fail(client, 4)
    fail(client, 1, **{"User-Agent": "another browser"})
    fail(client, 5, address=ELSEWHERE)
    row = AccessAttempt.objects.filter(ip_address="203.0.113.5").first()
    answer = root.post(LIST, {"action": "unlock", "_selected_action": [row.pk]}, follow=True)
    assert "ann can sign in from 203.0.113.5 again." in answer.content.decode()
    assert sign_in(client, address=ELSEWHERE).status_code == 429
    assert sign_in(client).status_code == 302
    entry = LogEntry.objects.get()
    assert (entry.object_id, entry.change_message) == (str(ann.pk), "Unlocked ann's sign-in from 203.0.113.5.")


def test_that_a_name_of_nobody_was_unlocked_is_written_down(client, root):
    AccessAttempt.objects.create(username="ghost", ip_address="203.0.113.5", failures_since_start=5)
    root.post(LIST, {"action": "unlock", "_selected_action": [AccessAttempt.objects.get().pk]})
    assert LogEntry.objects.get().change_message == "Unlocked ghost's sign-in from 203.0.113.5."


def test_every_page_says_that_a_sign_in_is_locked(client, root, ann, monkeypatch):
    monkeypatch.setattr("console.sign_in.AccessAttemptAdmin.list_per_page", 1)
    fail(client, 4)
    fail(client, 1, **{"User-Agent": "another browser"})
    first = root.get(LIST)
    second = root.get(f"{LIST}{first.context['cl'].next_url}")
    assert second.context["cl"].previous_url
    for page in (first, second):
        assert "more until locked" not in page.content.decode()


def test_only_superusers_unlock(client, staff):
    fail(client, 5)
    row = AccessAttempt.objects.get()
    answer = staff().post(LIST, {"action": "unlock", "_selected_action": [row.pk]}, follow=True)
    assert b'value="unlock"' not in answer.content
    assert AccessAttempt.objects.filter(pk=row.pk).exists()


def test_who_may_not_look_sees_no_failures(client, ann):
    client.force_login(ann)
    assert client.get(LIST).status_code == 403
    for hidden in ("accesslog", "accessfailurelog"):
        assert client.get(f"/admin/axes/{hidden}/").status_code == 404


# Cookies and headers


def test_a_session_lasts_a_working_day_and_ends_with_the_browser(client):
    with time_machine.travel(NOW, tick=False) as clock:
        cookie = sign_in(client).cookies["sessionid"]
        assert (cookie["max-age"], cookie["expires"]) == ("", "")
        assert (cookie["samesite"], cookie["httponly"]) == ("Lax", True)
        clock.shift(timedelta(hours=11, minutes=59))
        assert client.get("/admin/").status_code == 200
        clock.shift(timedelta(minutes=2))
        assert client.get("/admin/").status_code == 302


@pytest.mark.parametrize("path", [LOGIN, "/admin/", "/admin/portals/portal/", "/admin/auth/user/"])
def test_pages_are_in_no_frame_run_no_script_of_others_and_tell_nobody_where_one_was(root, path):
    headers = root.get(path, follow=True).headers
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "no-store" in headers["Cache-Control"]
    policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["script-src"] == "'self' 'unsafe-eval'"
    assert policy["form-action"] == policy["connect-src"] == "'self'"


def test_the_page_of_a_lock_has_the_same_headers(client):
    fail(client, 4)
    headers = sign_in(client, password="wrong").headers
    assert headers["X-Frame-Options"] == "DENY"
    assert "script-src 'self'" in headers["Content-Security-Policy"]
    assert "no-store" in headers["Cache-Control"]
