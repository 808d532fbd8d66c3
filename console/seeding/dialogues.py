"""What customers and operators say to each other.

A line of a script begins with > where the customer speaks, with < where the operator does. What stands behind a |
is of that message: `reply 2` quotes the second line, `edit` and `deleted` say what became of it later, and a file
is named behind its kind, as `image dress.jpg`. {order} is a number, another one in each conversation.
"""

import mimetypes
import re
from dataclasses import dataclass, replace
from itertools import accumulate

CUSTOMER = ">"
CYRILLIC = re.compile("[а-яіїєґ]", re.IGNORECASE)
SECONDS_BETWEEN = (20, 95, 40, 160, 65, 240, 30, 120)  # between one message and the next

SCRIPTS = (
    """
    > Добрий день! Чи є ця сукня у розмірі M? | image сукня.jpg
    < Добрий день! Так, M є у синьому та бежевому. Який колір відкласти?
    > Синій, будь ласка
    < Готово, замовлення №{order}. Відправити Новою поштою?
    > Так, відділення 14, Полтава
    < Дякую! Номер накладної надішлемо сьогодні до 18:00
    > Чудово, дякую 🙏
    """,
    """
    > Вітаю! Хочу записатися до стоматолога на цей тиждень
    < Добрий день! Є вільний час у середу о 15:30 та в четвер о 10:00. Що зручніше?
    > Четвер о 10:00
    < Записали вас на четвер, 10:00, лікар **Мельник О. В.** | edit
    > А скільки коштує консультація?
    < Консультація 600 грн, знімок за потреби ще 350 грн
    > Добре, буду
    """,
    """
    > Доброго дня, моє замовлення №{order} вже відправили?
    < Вітаю! Зараз перевірю
    < Так, учора ввечері. Накладна у файлі | file накладна-{order}.pdf
    > Дякую, побачила!
    """,
    """
    > Добрий вечір. Холодильник після ремонту знову не морозить
    < Добрий вечір! Дуже шкода. Коли майстер був у вас востаннє?
    > У понеділок | reply 2
    > Ось що він показує | image дисплей.jpg
    < Це код E5, датчик. Приїдемо завтра з 9 до 11, безкоштовно за гарантією
    > Домовились, дякую
    < Заявка №{order}. Майстер подзвонить за годину
    """,
    """
    > Скільки коштує доставка у Львів?
    < Від 2000 грн доставка безкоштовна, інакше за тарифами перевізника
    > Зрозуміло, дякую
    """,
    """
    > Вітаю, чи можна повернути кросівки, якщо не підійшов розмір?
    < Так, протягом 14 днів, якщо вони не ношені та є коробка
    > Коробка є. Що робити далі?
    < Заповніть, будь ласка, цю заяву й покладіть у коробку | file заява.pdf
    > Відправила, накладна 20450{order}
    < Отримали! Гроші повернемо протягом трьох днів
    """,
    """
    > Слухайте, легше голосом | voice голосове.ogg
    < Прослухали, дякую! Столик на шістьох у суботу о 19:00, так?
    > Так! І дитячий стілець, якщо є
    < Стілець буде. Чекаємо на вас, бронь №{order}
    """,
    """
    > Чому досі ніхто не відповідає??
    < Перепрошуємо за очікування! Чим можемо допомогти?
    > Вже розібралась сама, дякую | deleted
    < Добре. Якщо будуть питання, пишіть у будь-який час
    """,
    """
    > Hi! Is the oak table still available?
    < Hello! Yes, two left. Would you like to see more photos?
    > Yes please
    < Here you are | image oak-table.jpg
    > Lovely. Can you deliver to Brighton next week?
    < Tuesday between 9 and 12 would work, delivery is £35
    > Perfect, let's do that
    < Your order is #{order}. Thank you!
    """,
    """
    > Good morning, I need to move my appointment on Friday
    < Good morning! Of course. Would Monday at 11:20 suit you?
    > Do you have anything later in the day? | reply 2
    < Monday 16:40 is free as well
    > 16:40 it is, thank you
    < Done. Please come ten minutes earlier | edit
    """,
    """
    > My car makes a strange noise since the service yesterday
    < Sorry to hear that! Could you record it for us?
    > Sure | video noise.mp4
    < That is the heat shield, it takes five minutes. Come any time before 18:00
    > On my way
    """,
    """
    > Do you ship to Poland?
    < Yes, 3 to 5 days. Over 100 EUR it is free
    > Great, thanks!
    """,
    """
    > I was charged twice for order #{order} 😕
    < I am very sorry. Let me look into it
    < You are right, the second payment was a mistake. It is on its way back to you
    > How long does that take?
    < Usually two working days, here is the confirmation | file refund-{order}.pdf
    > Thank you for being so quick
    """,
    """
    > Is the vet in today? Our cat does not eat
    < Yes, until 20:00. Since when does she not eat?
    > Since yesterday evening
    < Please come right away, we keep a place for you at 14:15
    > Thank you!!
    < See you soon. Room 2, first floor
    """,
    """
    > Добрий день, у вас є подарункові сертифікати?
    < Так, на 500, 1000 і 2000 грн, електронні або в конверті
    > Електронний на 1000, оплатила за посиланням
    < Дякую! Ось ваш сертифікат | file сертифікат-{order}.pdf
    > Дуже гарний, дякую ❤️
    """,
)


@dataclass(frozen=True, slots=True)
class Line:
    """One message of a dialogue."""

    by_customer: bool
    text: str
    reply_to: int | None = None  # which line it quotes
    edited: bool = False
    deleted: bool = False
    kind: str = ""  # of its file
    file: str = ""

    @property
    def mime_type(self) -> str:
        return mimetypes.guess_type(self.file)[0] or "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Dialogue:
    """Its lines, and after how many seconds each is said."""

    lines: tuple[Line, ...]
    offsets: tuple[int, ...]

    @property
    def english(self) -> bool:
        return CYRILLIC.search(self.lines[0].text) is None


def read(script: str) -> Dialogue:
    """Return what a script says."""
    lines = tuple(_line(line.strip()) for line in script.strip().splitlines())
    gaps = [SECONDS_BETWEEN[place % len(SECONDS_BETWEEN)] for place in range(len(lines) - 1)]
    return Dialogue(lines, tuple(accumulate(gaps, initial=0)))


def _line(written: str) -> Line:
    text, *marks = (part.strip() for part in written[1:].split(" | "))
    line = Line(written[0] == CUSTOMER, text)
    for mark in marks:
        name, _space, rest = mark.partition(" ")
        match name:
            case "reply":
                line = replace(line, reply_to=int(rest) - 1)
            case "edit":
                line = replace(line, edited=True)
            case "deleted":
                line = replace(line, deleted=True)
            case _:
                line = replace(line, kind=name, file=rest)
    return line


DIALOGUES = tuple(read(script) for script in SCRIPTS)
