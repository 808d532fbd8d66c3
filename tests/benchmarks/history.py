"""What a month of use leaves behind, in the size that is asked for."""

import psycopg
from django.utils import timezone

from console import seeding
from externallines.models import ExternalLine
from tests.benchmarks.report import Table, progress


def load(database_url: str, messages: int) -> None:
    """Store messages with their deliveries and events, in chats of their own on the lines of the benchmarks."""
    places = [seeding.Place.of(line) for line in ExternalLine.objects.select_related("portal")]
    for stored in seeding.converse(messages, places, "history", timezone.now()):
        progress(f"history: {stored:,} of {messages:,} messages")
    vacuum(database_url)


def vacuum(database_url: str) -> None:
    progress("VACUUM ANALYZE")
    with psycopg.connect(database_url, autocommit=True) as database:
        database.execute("VACUUM ANALYZE")


def compare(empty: list[Table], full: list[Table], messages: int) -> Table:
    """Return how the first figure of each row changed; above 1.00 it got better."""
    rows = []
    for before, after in zip(empty, full, strict=True):
        for old, new in zip(before.rows, after.rows, strict=True):
            first, second = (float(row[1].replace(",", "")) for row in (old, new))
            better = second / first if before.header[1] == "per second" else first / second
            rows.append([f"{before.title.partition(',')[0]}: {old[0]}", old[1], new[1], f"{better:.2f}"])
    return Table(
        f"The same with {messages:,} stored messages, their deliveries and events",
        ("", "empty", "full", "of empty"),
        rows,
        remark="Per second, and ms where a title says From accepted to arrived.",
    )
