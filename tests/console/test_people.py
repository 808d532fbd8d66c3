"""Staff, their groups, what they did, and the schedule."""

import pytest
from django.contrib.admin.models import ADDITION, CHANGE, DELETION, LogEntry
from django.contrib.auth.models import Group, User
from django_celery_beat.models import PeriodicTask

from tests.console.desk import queries

pytestmark = pytest.mark.django_db

LOG, USERS, TASKS = "/admin/admin/logentry/", "/admin/auth/user/", "/admin/django_celery_beat/periodictask/"


def did(user, row, what, flag=CHANGE):
    entries = LogEntry.objects.log_actions(user.pk, [row], flag, change_message=what)
    return LogEntry.objects.latest("id") if entries else None


@pytest.fixture
def ann():
    ann = User.objects.create_user("ann", is_staff=True, first_name="Ann", last_name="Koval")
    ann.groups.add(Group.objects.get(name="Supervisor"))
    return ann


def test_a_list_of_users_says_who_may_do_what(admin_client, ann):
    page = admin_client.get(USERS).content.decode()
    for shown in ("Ann Koval", "Supervisor", "Superuser"):
        assert shown in page


def test_the_list_of_users_takes_as_many_queries_for_many(admin_client, ann):
    before = len(queries(admin_client, USERS))
    for number in range(20):
        User.objects.create_user(f"user-{number}").groups.set(Group.objects.all())
    assert len(queries(admin_client, USERS)) == before


def test_the_pages_of_users_and_groups_are_shown(admin_client, ann):
    for path in (f"{USERS}{ann.pk}/change/", f"{USERS}add/", f"{USERS}{ann.pk}/password/"):
        assert admin_client.get(path).status_code == 200
    group = Group.objects.get(name="Support")
    assert admin_client.get(f"/admin/auth/group/{group.pk}/change/").status_code == 200


@pytest.mark.parametrize("role", ["Support", "Supervisor"])
def test_neither_group_may_give_itself_more(client, role):
    user = User.objects.create_user("bob", is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    client.force_login(user)
    for path in (USERS, "/admin/auth/group/", TASKS, LOG):
        assert client.get(path).status_code == 403


def test_the_log_says_who_did_what_to_which_row(admin_client, ann, line):
    did(ann, line, "Reconnected: active.")
    page = admin_client.get(LOG).content.decode()
    for shown in (
        "ann",
        "Reconnected: active.",
        f'<a href="/admin/externallines/externalline/{line.pk}/change/">',
    ):
        assert shown in page


def test_the_log_has_no_link_to_what_is_gone(admin_client, ann, line):
    entry = did(ann, line, "", DELETION)
    for path in (LOG, f"{LOG}{entry.pk}/change/"):
        page = admin_client.get(path).content.decode()
        assert "Deletion" in page
        assert f"/externalline/{line.pk}/change/" not in page


def test_the_log_shows_what_staff_wrote_as_text(admin_client, ann, line):
    line.name = "<script>alert(1)</script>"
    did(ann, line, "<script>alert(2)</script>", ADDITION)
    assert "<script>alert" not in admin_client.get(LOG).content.decode()


def test_the_log_is_searched_by_user_and_by_row(admin_client, ann, line):
    did(ann, line, "Reconnected: active.")
    did(User.objects.get(username="admin"), line.portal, "Renewed the tokens.")
    for text, shown, hidden in (("ANN", "Reconnected", "Renewed"), ("acme.usp", "Renewed", "Reconnected")):
        page = admin_client.get(LOG, {"q": text}).content.decode()
        assert shown in page
        assert hidden not in page


def test_nobody_writes_the_log(admin_client, ann, line):
    entry = did(ann, line, "Reconnected: active.")
    for path in ("add/", f"{entry.pk}/change/", f"{entry.pk}/delete/"):
        assert admin_client.post(f"{LOG}{path}", {"post": "yes"}).status_code == 403


def test_the_log_takes_as_many_queries_for_many_entries(admin_client, ann, line):
    did(ann, line, "Reconnected: active.")
    before = len(queries(admin_client, LOG))
    for number in range(20):
        did(User.objects.create_user(f"user-{number}"), line, "Reconnected: active.")
    assert len(queries(admin_client, LOG)) == before


def test_the_schedule_is_shown_and_can_be_changed(admin_client):
    task = PeriodicTask.objects.get(name__startswith="Prune webhook events")
    assert task.name in admin_client.get(TASKS).content.decode()
    page = admin_client.get(f"{TASKS}{task.pk}/change/")
    form = page.context["adminform"].form
    values = {name: form[name].value() for name in form.fields if form[name].value() not in (None, False)}
    answer = admin_client.post(f"{TASKS}{task.pk}/change/", {**values, "description": "at night"})
    assert answer.status_code == 302
    task.refresh_from_db()
    assert (task.description, task.enabled) == ("at night", True)


def test_the_pages_of_the_schedule_have_no_script_in_them(admin_client):
    """Which the content policy would stop."""
    task = PeriodicTask.objects.first()
    page = admin_client.get(f"{TASKS}{task.pk}/change/").content.decode()
    scripts = [tag.partition(">")[0] for tag in page.split("<script")[1:]]
    assert all("src=" in tag or "application/json" in tag for tag in scripts)


def test_a_task_of_the_schedule_is_not_deleted(admin_client):
    task = PeriodicTask.objects.first()
    assert admin_client.post(f"{TASKS}{task.pk}/delete/", {"post": "yes"}).status_code == 403
    admin_client.post(TASKS, {"action": "delete_selected", "_selected_action": [task.pk], "post": "yes"})
    assert PeriodicTask.objects.filter(pk=task.pk).exists()


def test_what_nobody_uses_is_not_there(admin_client):
    for model in ("solarschedule", "clockedschedule"):
        assert admin_client.get(f"/admin/django_celery_beat/{model}/").status_code == 404
    for model in ("intervalschedule", "crontabschedule"):
        assert admin_client.get(f"/admin/django_celery_beat/{model}/").status_code == 200


@pytest.mark.parametrize(("action", "enabled"), [("enable_tasks", True), ("disable_tasks", False)])
def test_who_may_change_the_schedule_is_on_record(staff, action, enabled):
    task = PeriodicTask.objects.first()
    PeriodicTask.objects.update(enabled=not enabled)
    staff("change_periodictask").post(TASKS, {"action": action, "_selected_action": [task.pk]})
    task.refresh_from_db()
    assert task.enabled is enabled
    assert LogEntry.objects.get().object_id == str(task.pk)


@pytest.mark.parametrize("action", ["enable_tasks", "disable_tasks", "run_tasks"])
def test_who_may_only_look_changes_nothing_of_the_schedule(staff, action):
    task = PeriodicTask.objects.first()
    PeriodicTask.objects.update(enabled=action != "enable_tasks")
    client = staff()
    assert f'value="{action}"' not in client.get(TASKS).content.decode()
    client.post(TASKS, {"action": action, "_selected_action": [task.pk]})
    task.refresh_from_db()
    assert task.enabled is (action != "enable_tasks")
    assert not LogEntry.objects.exists()
