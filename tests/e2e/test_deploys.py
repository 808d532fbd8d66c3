"""Deploys under traffic: web is replaced, and an old and a new version run side by side."""

import shutil
import time
from pathlib import Path

import pytest

from tests.e2e.business import PATIENCE, Business
from tests.e2e.conftest import Tell
from tests.e2e.traffic import Traffic, converse, settle_account
from tests.simulators import World
from tests.stack import ROOT, Stack

pytestmark = [pytest.mark.soak, pytest.mark.timeout(600)]

PACKAGES = ("config", "portals", "externallines", "messaging", "console", "templates", "locale")
PER_SECOND, MOST = 5, 100  # messages each way
MIGRATION = """
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("messaging", "{latest}")]
    operations = [
        migrations.AddField(
            "message", "mood", models.CharField(max_length=20, blank=True, default="happy", db_default="")
        )
    ]
"""
COLUMN = "    deleted_at = models.DateTimeField(null=True, blank=True)\n"
NEW_COLUMN = '    mood = models.CharField(max_length=20, blank=True, default="happy", db_default="")\n'


def new_version(folder: Path) -> str:
    """Make the next version of the product there, with one column more; return the newest migration before it."""
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "manage.py", folder)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    models, migrations = folder / "messaging" / "models.py", folder / "messaging" / "migrations"
    latest = max(file.stem for file in migrations.glob("0*.py"))
    (migrations / "9999_mood.py").write_text(MIGRATION.format(latest=latest))
    text = models.read_text()
    assert COLUMN in text
    models.write_text(text.replace(COLUMN, COLUMN + NEW_COLUMN, 1))
    return latest


def test_two_versions_side_by_side_with_a_migration_between_them(
    shop: Business, world: World, stack: Stack, tmp_path: Path, tell: Tell
) -> None:
    latest = new_version(tmp_path)
    conversations = converse([shop], 5)
    traffic = Traffic(conversations, PER_SECOND, MOST)
    traffic.start()
    try:
        stack.run("release", folder=tmp_path)
        stack.start("worker", as_name="new worker", folder=tmp_path)
        stack.start("beat", as_name="new beat", folder=tmp_path)
        assert world.wait_for(lambda: stack.worker_is_ready("new worker"), PATIENCE)
        assert stack.stop("worker"), (
            "it had to be killed"
        )  # the old version leaves, with the same traffic going on
        written = min(traffic.written + 10, MOST)
        assert world.wait_for(lambda: traffic.written >= written, PATIENCE)
        stack.start("worker")  # and comes back: a step back to the old version leaves the database as it is
        assert world.wait_for(stack.worker_is_ready, PATIENCE)
        assert stack.stop("new worker"), "it had to be killed"
        traffic.stop()
        shop.rest()
    finally:
        traffic.stop()
        for name in {"new beat", "new worker"} & set(stack.processes):
            stack.kill(name)
        stack.manage("migrate", "messaging", latest, folder=tmp_path)
    settle_account(conversations)
    assert shop.messenger.repeats == 0
    assert 500 not in shop.answers_to_events()
    tell("deploys", f"{traffic.written} messages each way while a migration ran and versions changed twice")


def test_terminated_web_answers_what_it_has_in_hand_and_senders_repeat_the_rest(
    shop: Business, world: World, stack: Stack, tell: Tell
) -> None:
    conversations = converse([shop], 1)
    traffic = Traffic(conversations, 20, most=50)
    traffic.start()
    assert world.wait_for(lambda: traffic.written >= 10, PATIENCE)
    asked = time.monotonic()
    assert stack.stop("web"), "it had to be killed"
    seconds = time.monotonic() - asked
    stack.start("web")
    traffic.stop()
    shop.rest()
    settle_account(conversations)
    assert shop.messenger.repeats == 0
    tell("deploys", f"web ended {seconds:.1f} s after SIGTERM under traffic, and nothing was lost or sent twice")
