"""The support console on a full database: how long each of its lists, filters, searches and pages takes."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.db.models import Model
from django.test import Client
from django.test.utils import CaptureQueriesContext, setup_test_environment, teardown_test_environment
from django.urls import reverse
from django.utils import timezone

from console import seeding
from console.base import ConsoleAdmin
from externallines.models import ExternalLine
from messaging.models import Chat, Message
from portals.models import Portal
from tests.benchmarks import history
from tests.benchmarks.report import Table, milliseconds, progress

AIM = 0.3  # seconds
FORWARD = 3  # how many pages


@dataclass(frozen=True)
class Page:
    """One request, and what it took."""

    what: str
    seconds: float
    cpu: float  # of it, Python's own work
    sql: float  # and waiting for the database
    queries: int


def fill(database_url: str, messages: int) -> None:
    """Migrate the database, and store made-up data in it."""
    progress("console: migrate")
    call_command("migrate", verbosity=0)
    for stored in seeding.seed(messages, None, timezone.now()):
        progress(f"console: {stored:,} of {messages:,} messages")
    history.vacuum(database_url)


def measure(rounds: int) -> Table:
    """Return the time of every page, the slowest first."""
    client = Client()
    client.force_login(User.objects.get_or_create(username="benchmark", is_staff=True, is_superuser=True)[0])
    pages = [_visit(client, what, url, rounds) for what, url in _all_urls(client)]
    pages.sort(key=lambda page: -page.seconds)
    slow = sum(page.seconds > AIM for page in pages)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_size_pretty(pg_database_size(current_database()))")
        [size] = cursor.fetchone()
    counts = ", ".join(
        f"{model.objects.count():,} {model._meta.verbose_name_plural}"
        for model in (Portal, ExternalLine, Chat, Message)
    )
    return Table(
        f"Pages of the console, of {counts} ({size})",
        ("", "ms", "Python", "SQL", "queries"),
        [[page.what, *map(milliseconds, (page.seconds, page.cpu, page.sql)), str(page.queries)] for page in pages],
        remark=f"{slow} of {len(pages)} take longer than {AIM * 1000:.0f} ms.",
    )


def _all_urls(client: Client) -> list[tuple[str, str]]:
    setup_test_environment()  # so that answers show their lists
    try:
        urls = [("home", reverse("admin:index"))]
        for model, model_admin in admin.site._registry.items():
            if isinstance(model_admin, ConsoleAdmin):
                progress(f"console: what there is of {model._meta.verbose_name_plural}")
                urls += _urls(client, model, model_admin)
        return urls
    finally:
        teardown_test_environment()


def _visit(client: Client, what: str, url: str, rounds: int) -> Page:
    progress(f"console: {what}")
    taken = []
    for _round in range(rounds):
        with CaptureQueriesContext(connection) as captured:
            started, began = time.perf_counter(), time.process_time()
            answer = client.get(url, secure=True)
            seconds, cpu = time.perf_counter() - started, time.process_time() - began
        if answer.status_code != 200:
            raise RuntimeError(f"{url} answers {answer.status_code}")
        sql = sum(float(query["time"]) for query in captured)
        taken.append(Page(what, seconds, cpu, sql, len(captured)))
    return sorted(taken, key=lambda page: page.seconds)[len(taken) // 2]


def _urls(client: Client, model: type[Model], model_admin: ConsoleAdmin) -> Iterator[tuple[str, str]]:
    """Yield all that one can look at of a model, each with a name."""
    name = model._meta.model_name
    url = reverse(f"admin:{model._meta.app_label}_{name}_changelist")
    yield name, url
    changelist = client.get(url, secure=True).context["cl"]
    yield from _further(client, name, url, changelist)
    for spec in changelist.filter_specs:
        for choice in spec.choices(changelist):
            query = choice.get("query_string", "?")
            if query != "?":
                yield f"{name} {query}", f"{url}{query}"
    if model_admin.finds:
        for term in _terms(model):
            yield f"{name} ?q={term}", f"{url}?q={term}"
    for which, row in _rows(model, model_admin):
        yield (
            f"{name}, the page of {which}",
            reverse(f"admin:{model._meta.app_label}_{name}_change", args=[row.pk]),
        )


def _further(client: Client, name: str, url: str, changelist: Any) -> Iterator[tuple[str, str]]:
    for number in range(2, FORWARD + 1):
        if not changelist.next_url:
            return
        yield f"{name}, list, page {number}", f"{url}{changelist.next_url}"
        changelist = client.get(f"{url}{changelist.next_url}", secure=True).context["cl"]


def _terms(model: type[Model]) -> list[str]:
    """Return what support may be told: ids and names of the newest row, common ones, and what is nowhere."""
    row = model._default_manager.order_by("-pk").first()
    fields = ("external_id", "uspacy_id", "key", "domain", "arn", "name", "contact_id")
    known = [str(getattr(row, field)) for field in fields if getattr(row, field, "")]
    return [*known, "romashka", "Коваль", "380671234567", "nobody-of-this-name"]


def _rows(model: type[Model], model_admin: ConsoleAdmin) -> Iterator[tuple[str, Model]]:
    rows = model._default_manager
    for which, order in (("the newest", "-pk"), ("the oldest", "pk")):
        if row := rows.order_by(order).first():
            yield which, row
    if fullest := _fullest(model):
        yield "the fullest", rows.get(pk=fullest)


def _fullest(model: type[Model]) -> int | None:
    """Return the portal, line or chat to which most belongs."""
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        match model._meta.model_name:
            case "chat":
                cursor.execute(
                    "SELECT chat_id FROM messaging_message GROUP BY chat_id ORDER BY count(*) DESC LIMIT 1"
                )
            case "externalline":
                cursor.execute(
                    "SELECT line_id FROM messaging_chat GROUP BY line_id ORDER BY count(*) DESC LIMIT 1"
                )
            case "portal":
                cursor.execute(
                    "SELECT portal_id FROM messaging_chat"
                    " JOIN externallines_externalline line ON line.id = line_id"
                    " GROUP BY portal_id ORDER BY count(*) DESC LIMIT 1"
                )
            case _:
                return None
        return int(cursor.fetchone()[0])
