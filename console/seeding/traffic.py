"""The conversations themselves, in the order of time."""

import heapq
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

from django.db import transaction

from console.seeding import fates
from console.seeding.customers import Customer, chat_row, customer
from console.seeding.houses import Place
from console.seeding.loading import copy, in_batches, reserve
from console.seeding.rows import ChatRow, MessageRow
from console.seeding.schedule import Schedule, Visit, moment
from console.seeding.scribe import SOON, Scribe
from messaging.models import Chat

BATCH = 20_000


@dataclass(slots=True)
class Scene:
    """A visit while it takes place."""

    visit: Visit
    place: Place
    who: Customer
    order: int
    said: list[MessageRow] = field(default_factory=list)


class Traffic:
    """Stores all that a schedule says."""

    def __init__(
        self, schedule: Schedule, places: list[Place], namespace: uuid.UUID, scribe: Scribe, random: Random
    ) -> None:
        self._schedule, self._places, self._namespace = schedule, places, namespace
        self._scribe, self._random = scribe, random
        self._chat_ids = reserve(Chat, len(schedule.lines_of))

    def store(self) -> Iterator[int]:
        """Store chats, then messages; yield from time to time how many messages are stored."""
        for numbers in in_batches(range(len(self._chat_ids)), BATCH):
            with transaction.atomic():
                copy(Chat, (self._chat(number) for number in numbers))
        stored = 0
        for stored in self._play():
            if stored % BATCH == 0:
                self._scribe.store()
                yield stored
        self._scribe.store()
        yield stored

    def _chat(self, number: int) -> ChatRow:
        place, who = self._whose(number)
        return chat_row(
            who,
            place,
            customer_wrote_at=moment(self._schedule.customer_wrote[number]),
            last_message_at=moment(self._schedule.newest[number]) + SOON,
        )

    def _whose(self, number: int) -> tuple[Place, Customer]:
        place = self._places[self._schedule.lines_of[number]]
        english = bool(self._schedule.speaks_english[number])
        return place, customer(self._chat_ids[number], number, place.channel, self._namespace, english=english)

    def _play(self) -> Iterator[int]:
        """Let everybody speak when it is their turn; yield how many messages that makes."""
        said = 0
        waiting: list[tuple[float, int, Scene]] = []
        for number, visit in enumerate(self._schedule):
            while waiting and waiting[0][0] <= visit.begins:
                self._speak(waiting)
                said += 1
                yield said
            place, who = self._whose(visit.chat)
            heapq.heappush(waiting, (visit.begins, number, Scene(visit, place, who, 10_000 + number)))
        while waiting:
            self._speak(waiting)
            said += 1
            yield said

    def _speak(self, waiting: list[tuple[float, int, Scene]]) -> None:
        """Let the one whose turn is next say a line."""
        at, number, scene = heapq.heappop(waiting)
        line = scene.visit.dialogue.lines[len(scene.said)]
        age = self._schedule.now - at
        fate = fates.of(scene.place, by_customer=line.by_customer, age=age, random=self._random)
        quoted = None if line.reply_to is None else scene.said[line.reply_to]
        scene.said.append(
            self._scribe.write(scene.place, scene.who, line, moment(at), fate, quoted=quoted, order=scene.order)
        )
        if (spoken := len(scene.said)) < scene.visit.lines:
            heapq.heappush(waiting, (scene.visit.at(spoken), number, scene))
