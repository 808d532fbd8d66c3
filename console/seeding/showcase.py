"""One conversation that has everything: the example of the documentation's pictures."""

import uuid
from datetime import datetime, timedelta

from console.seeding import dialogues
from console.seeding.customers import Customer, chat_row
from console.seeding.fates import SENT, Fate
from console.seeding.houses import PROBLEMS, Place
from console.seeding.loading import copy, reserve
from console.seeding.rows import MessageRow
from console.seeding.schedule import moment
from console.seeding.scribe import Scribe
from messaging.models import Chat

NAME, USERNAME, PHONE, CONTACT = "Олена Коваль", "olena_koval", "+380671234567", "5312345678"
SCRIPT = """
    > Добрий день! Чи є **лляна** сукня у розмірі M?
    < Вітаю, Олено! Так, є: бежева та синя. Яку показати? | edit
    > Синю, будь ласка
    < Ось вона, зріст моделі 172 см | image синя-сукня.jpg
    > Гарна! А таблиця розмірів є? | reply 4
    < Звичайно | file таблиця-розмірів.pdf
    > Дякую. Ось мої мірки голосом | voice голосове.ogg
    > Ой, це не вам 🙈 | deleted
    < Нічого страшного! За вашими мірками M підійде ідеально
    > My sister would like one as well. She only speaks English, may she write here?
    < Of course! We are happy to help in English, too | reply 10
    > Great, she is interested in the beige one | image beige-dress.jpg
    < The beige one in S is reserved for her until tomorrow evening
    < Here is a film of both dresses | video dresses.mp4
    > I cannot see the film, could you send it again?
    < Here it is once more. Шановна Олено, замовлення №20417 чекає на вас | file catalogue-2026.zip
    > Дякую! Коли зможете відправити?
    < Сьогодні до 18:00, накладну надішлемо сюди
"""
FATES = {  # of single lines, by their number; Telegram does not tell what was read
    14: Fate("failed", "Refused", "The file is too large for Telegram."),
    18: Fate("queued", "AccountProblem", PROBLEMS["telegram"]),
}
ENDED = timedelta(seconds=40)


def build(place: Place, namespace: uuid.UUID, scribe: Scribe, now: datetime) -> None:
    """Store it on a line, as the one that was last written in."""
    dialogue = dialogues.read(SCRIPT)
    begins = (now - ENDED).timestamp() - dialogue.offsets[-1]
    who = _customer(namespace)
    said: list[MessageRow] = []
    for number, (line, offset) in enumerate(zip(dialogue.lines, dialogue.offsets, strict=True), 1):
        fate = FATES.get(number, SENT)
        quoted = None if line.reply_to is None else said[line.reply_to]
        said.append(scribe.write(place, who, line, moment(begins + offset), fate, quoted=quoted))
    copy(Chat, [chat_row(who, place, customer_wrote_at=said[-2].sent_at, last_message_at=said[-1].created_at)])
    scribe.store()


def _customer(namespace: uuid.UUID) -> Customer:
    [chat_id] = reserve(Chat, 1)
    ours = uuid.uuid5(namespace, NAME)
    return Customer(chat_id, CONTACT, CONTACT, ours, NAME, USERNAME, PHONE)
