"""When which dialogue takes place in which chat. Ten million messages are a million of them, kept in arrays."""

from array import array
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from random import Random

from console.seeding.dialogues import DIALOGUES, Dialogue
from console.seeding.houses import Place

DAYS = 30
MESSAGES_OF_CHAT = 20
CLOSED_FOR = timedelta(days=2)  # at least
TRIES = 20
# Messages in each hour of the day, in UTC: Ukraine is two or three hours ahead.
RHYTHM = (1, 1, 1, 2, 5, 14, 34, 60, 82, 88, 90, 84, 80, 82, 86, 80, 68, 52, 40, 28, 16, 8, 4, 2)


@dataclass(frozen=True, slots=True)
class Visit:
    """One dialogue that takes place."""

    chat: int  # its number
    dialogue: Dialogue
    lines: int  # how many of them are said
    begins: float
    pace: float

    @property
    def customer_last(self) -> int:
        """Which line is the customer's last."""
        return max(place for place in range(self.lines) if self.dialogue.lines[place].by_customer)

    def at(self, line: int) -> float:
        return self.begins + self.dialogue.offsets[line] * self.pace


class Schedule:
    """All visits, in the order of time, and what they come to for each chat."""

    def __init__(self, messages: int, places: list[Place], random: Random, now: datetime) -> None:
        self.now = now.timestamp()
        self._dialogues, self._lines = array("B"), array("B")
        while messages > 0:
            number = random.randrange(len(DIALOGUES))
            self._dialogues.append(number)
            self._lines.append(min(messages, len(DIALOGUES[number].lines)))
            messages -= self._lines[-1]
        count = len(self._dialogues)
        rhythm = _Rhythm(now)
        self._paces = array("f", (random.uniform(0.4, 1.9) for _visit in range(count)))
        begins = (rhythm.moment((number + random.random()) / count) for number in range(count))
        lasts = (self._length(number) for number in range(count))
        self._begins = array("d", (min(at, self.now - last) for at, last in zip(begins, lasts, strict=True)))
        self._chats = array("L", bytes(array("L").itemsize * count))
        self.lines_of = array("L")  # of each chat, its line's place in the list
        self.speaks_english = array("B")
        self.newest, self.customer_wrote = array("d"), array("d")
        self._order = sorted(range(count), key=self._begins.__getitem__)
        self._assign(places, random)

    def __iter__(self) -> Iterator[Visit]:
        return map(self._visit, self._order)

    def _assign(self, places: list[Place], random: Random) -> None:
        """Give each visit a chat: sometimes a new one; else an old one, some of which are busier than others."""
        new = sum(self._lines) / MESSAGES_OF_CHAT / len(self._lines)  # so many chats for each visit
        closing = self.now - CLOSED_FOR.total_seconds()
        for number in self._order:
            english = DIALOGUES[self._dialogues[number]].english
            closed = self._begins[number] > closing  # the lines that are closed today
            chat = None if random.random() < new else self._known(places, random, english=english, closed=closed)
            if chat is None:
                chat = len(self.lines_of)
                self.lines_of.append(_choose(places, random, closed=closed))
                self.speaks_english.append(english)
                self.newest.append(0)
                self.customer_wrote.append(0)
            self._chats[number] = chat
            visit = self._visit(number)
            self.newest[chat] = max(self.newest[chat], visit.at(visit.lines - 1))
            self.customer_wrote[chat] = max(self.customer_wrote[chat], visit.at(visit.customer_last))

    def _known(self, places: list[Place], random: Random, *, english: bool, closed: bool) -> int | None:
        """Return a chat that can go on in this language, None if none is found."""
        for _try in range(TRIES if self.lines_of else 0):
            chat = int(len(self.lines_of) * random.random() ** 1.5)
            if self.speaks_english[chat] == english and not (closed and places[self.lines_of[chat]].is_closed):
                return chat
        return None

    def _visit(self, number: int) -> Visit:
        dialogue = DIALOGUES[self._dialogues[number]]
        return Visit(self._chats[number], dialogue, self._lines[number], self._begins[number], self._paces[number])

    def _length(self, number: int) -> float:
        return DIALOGUES[self._dialogues[number]].offsets[self._lines[number] - 1] * self._paces[number]


class _Rhythm:
    """Moments of the last days, as many in each hour as people write then."""

    def __init__(self, now: datetime) -> None:
        self._start = now - timedelta(days=DAYS)
        hours = (RHYTHM[(self._start + timedelta(hours=hour)).hour] for hour in range(DAYS * 24))
        self._until = list(accumulate(hours, initial=0))

    def moment(self, part: float) -> float:
        """Return the moment before which this part of all was written."""
        sought = part * self._until[-1]
        hour = min(bisect_right(self._until, sought) - 1, len(self._until) - 2)
        within = (sought - self._until[hour]) / (self._until[hour + 1] - self._until[hour])
        return self._start.timestamp() + (hour + within) * 3600


def _choose(places: list[Place], random: Random, *, closed: bool) -> int:
    """Return a line for a new chat: the first ones have most."""
    while True:
        number = int(len(places) * random.random() ** 2.5)
        if not (closed and places[number].is_closed):
            return number


def moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
