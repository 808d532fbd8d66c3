"""Who writes, and to whom."""


def _words(text: str) -> list[str]:
    return text.split()


FIRST_NAMES = _words("""
    Олена Тарас Ірина Андрій Наталія Сергій Оксана Дмитро Юлія Максим Катерина Олександр Тетяна Богдан Марія
    Назар Софія Віктор Ганна Роман Людмила Ігор Соломія Остап Вікторія Павло Надія Євген Христина Микола
    Дарина Артем Emma James Olivia Thomas Sophie Daniel Grace Oliver Hannah Lucas Amelia Peter Laura Henry
    Julia Martin
""")
LAST_NAMES = _words("""
    Коваль Шевченко Бондаренко Ткаченко Кравченко Олійник Шевчук Поліщук Мельник Лисенко Гончар Марченко
    Савченко Руденко Петренко Мороз Клименко Павленко Левченко Пономаренко Ковальчук Гаврилюк Бойко Романюк
    Сидоренко Гриценко Дяченко Швець Козак Юрченко Стельмах Кушнір Brown Taylor Wilson Evans Walker Wright
    Hughes Edwards Turner Parker Collins Morris Novak Fischer Kelly Reed
""")
UKRAINIAN_FIRST, UKRAINIAN_LAST = 32, 32  # how many of them come first

LATIN = dict(
    zip(
        "абвгґдеєжзиіїйклмнопрстуфхцчшщьюя",
        _words("a b v h g d e ie zh z y i i i k l m n o p r s t u f kh ts ch sh shch _ iu ia"),
        strict=True,
    )
) | {"ь": ""}

FIRMS = _words("""
    romashka veselka medline dobrobut zatyshok lisova-kazka avtopark kvitka svitanok bukvoid smachno kram
    pekarnia ortodent vitamin optyka mebli-plus remont24 chysto spravna-kava tepli-dim sadok zoosvit
    velosklad domivka north-wind blue-door greenleaf brightsmile homefix oakandco swiftcar dailybread fjord
    cedar harbour
""")
TRADES = ("", "-shop", "-clinic", "-service", "-studio", "-kyiv", "-lviv", "-odesa", "-dnipro", "-poltava")
FIRM_NAMES = {"romashka": "Ромашка", "veselka": "Веселка", "medline": "МедЛайн", "dobrobut": "Добробут"}


def firm(number: int) -> str:
    """Return the first part of a domain: another one for each number."""
    word, rest = FIRMS[number % len(FIRMS)], number // len(FIRMS)
    trade, again = TRADES[rest % len(TRADES)], rest // len(TRADES)
    return f"{word}{trade}-{again + 1}" if again else f"{word}{trade}"


def firm_name(domain: str) -> str:
    """Return a firm as its customers know it."""
    word = domain.partition(".")[0]
    return FIRM_NAMES.get(word, word.replace("-", " ").title())


def person(number: int, *, english: bool) -> str:
    """Return a name of somebody who writes Ukrainian or English: of those there are hundreds."""
    place = number * 7919
    if english:
        first, last = FIRST_NAMES[UKRAINIAN_FIRST:], LAST_NAMES[UKRAINIAN_LAST:]
    else:
        first, last = FIRST_NAMES[:UKRAINIAN_FIRST], LAST_NAMES[:UKRAINIAN_LAST]
    return f"{first[place % len(first)]} {last[place // len(first) % len(last)]}"


def username(name: str, number: int) -> str:
    """Return what somebody of this name may be called in a messenger."""
    latin = "".join(LATIN.get(letter, letter) for letter in name.lower())
    return f"{latin.replace(' ', '_')}{number % 90 + 10}"
