"""`manage.py seed`: a console full of believable data, of any size, for development."""

import sys
import time
from argparse import ArgumentParser
from typing import Any, TextIO

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from django.utils import timezone

from console import seeding
from portals.models import Portal

PROGRESS_SECONDS = 0.5


class Command(BaseCommand):
    help = "Add made-up portals, lines, chats and messages of the last 30 days. Only with DEBUG=1."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--messages", type=int, default=10_000, help="how many messages (10,000)")
        parser.add_argument("--portals", type=int, help="how many portals (one for each 1,000 messages)")

    def handle(self, *args: Any, messages: int, portals: int | None, **options: Any) -> None:
        if not settings.DEBUG:
            raise CommandError("Made-up data is for development: set DEBUG=1, and use a database of its own.")
        if messages < 1 or (portals is not None and portals < 1):
            raise CommandError("There have to be messages and portals: give numbers above zero.")
        if real := Portal.objects.exclude(domain__endswith=seeding.SUFFIX).first():
            raise CommandError(
                f"This database has a portal that is not made up, {real.domain}. Use a database of its own."
            )
        started = time.monotonic()
        with connection.cursor() as cursor:  # a crash of the database may cost data that can be made again
            cursor.execute("SET synchronous_commit = off; SET statement_timeout = 0; SET lock_timeout = 0")
        progress = Progress(sys.stderr, messages)
        for stored in seeding.seed(messages, portals, timezone.now()):
            progress.show(stored)
        progress.end("VACUUM ANALYZE ...")
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")
        minutes, seconds = divmod(round(time.monotonic() - started), 60)
        self.stdout.write(f"Added {messages:,} messages in {minutes}:{seconds:02}.")


class Progress:
    """A line that says how far it is, again and again in its place where that is a terminal."""

    def __init__(self, stream: TextIO, total: int) -> None:
        self._stream, self._total = stream, total
        self._started = self._shown = time.monotonic()

    def show(self, done: int) -> None:
        now = time.monotonic()
        if now - self._shown < PROGRESS_SECONDS and done < self._total:
            return
        self._shown = now
        rate = done / max(now - self._started, 0.001)
        minutes, seconds = divmod(round((self._total - done) / max(rate, 1)), 60)
        share = done / self._total
        bar = "#" * round(share * 30)
        self._stream.write(
            f"\r[{bar:30}] {share:4.0%} {done:,} of {self._total:,}, {rate:,.0f}/s, {minutes}:{seconds:02} left "
        )
        self._stream.flush()

    def end(self, text: str) -> None:
        self._stream.write(f"\n{text}\n")
        self._stream.flush()
