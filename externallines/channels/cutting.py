"""Long text in pieces that a messenger takes."""

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Callable

PARAGRAPH, LINE, SENTENCE = re.compile(r"\n\s*\n"), re.compile(r"\n"), re.compile(r"[.!?…]++[\"'»”’)\]]*+\s")
WORD = re.compile(r"\s")
ZERO_WIDTH_JOINER = "\u200d"
REGIONAL_INDICATORS = "".join(map(chr, range(0x1F1E6, 0x1F200)))  # two of them make a flag
SKIN_TONES = "".join(map(chr, range(0x1F3FB, 0x1F400)))


def split(text: str, limit: int, size: Callable[[str], int] = len) -> list[str]:
    """Return `text` in pieces of at most `limit`, which `size` measures (characters by default).

    Cuts at the end of a paragraph, line, sentence or word if it can, and loses only white space there. A
    blank text is no piece; a single character above the limit is one.
    """
    spans = cut(text, limit, lambda start, end: size(text[start:end]) <= limit)
    return [text[start:end] for start, end in spans]


def cut(text: str, limit: int, fits: Callable[[int, int], bool]) -> list[tuple[int, int]]:
    """Return where the pieces of `text` start and end, by the rules of `split`.

    `fits` tells whether what stands between two positions can be one piece; never more than `limit` characters.
    """
    if limit < 1:
        raise ValueError("limit has to be positive")
    spans, start = [], 0
    while start < len(text):
        if len(text) - start <= limit and fits(start, len(text)):
            spans.append((start, len(text)))
            break
        end = _best_cut(text, start, start + max(1, _longest(text, start, limit, fits)))
        after = end
        end = start + len(text[start:end].rstrip())
        while end > start + 1 and not fits(start, end):  # a shorter piece may need more markup
            after = end = end - 1
        spans.append((start, end))
        start = after
        while start < len(text) and text[start].isspace():
            start += 1
    return [(start, end) for start, end in spans if text[start:end].strip()]


def _longest(text: str, start: int, limit: int, fits: Callable[[int, int], bool]) -> int:
    """Return how many characters from `start` on fit into a piece."""
    lengths = range(1, min(limit, len(text) - start) + 1)
    return bisect_left(lengths, True, key=lambda length: not fits(start, start + length))


def _best_cut(text: str, start: int, end: int) -> int:
    """Return where to cut at or before `end`; one character later if that one is white space."""
    if end >= len(text):
        return len(text)
    window = text[start : end + 1]
    for boundary in (PARAGRAPH, LINE, SENTENCE, WORD):
        position = max((match.end() for match in boundary.finditer(window)), default=0)
        nice = position > len(window) // 2  # no short pieces for the sake of a nicer cut
        if nice or (position and boundary is WORD):
            return start + position
    for position in range(end, max(start, end - 32), -1):
        if not _belongs_together(text, position):
            return position
    return end


def _belongs_together(text: str, position: int) -> bool:
    """Whether a cut at `position` would tear a character from its accents, or an emoji apart."""
    before, after = text[position - 1], text[position]
    if after in REGIONAL_INDICATORS:
        flags = text[max(0, position - 32) : position]
        return (len(flags) - len(flags.rstrip(REGIONAL_INDICATORS))) % 2 == 1
    return (
        before == ZERO_WIDTH_JOINER
        or after in SKIN_TONES
        or "\udc00" <= after <= "\udfff"
        or unicodedata.category(after) in ("Mn", "Mc", "Me", "Cf")
    )
