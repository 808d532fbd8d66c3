"""Markdown in the markup of each messenger (channels.md 0), in pieces that it takes."""

import re
from collections.abc import Callable, Sequence
from html import escape
from itertools import groupby, takewhile
from operator import eq
from typing import ClassVar
from urllib.parse import urlsplit

from externallines.channels import richtext
from externallines.channels.cutting import cut
from externallines.channels.richtext import (
    BLOCK,
    BOLD,
    CODE,
    ITALIC,
    LINK,
    QUOTE,
    STRIKE,
    Letter,
    Letters,
    Mark,
    is_code,
)


def pieces(markdown: str, style: "Style", limit: int, size: Callable[[str], int] = len) -> list[str]:
    """Return `markdown` in pieces, each valid markup by itself and at most `limit` long, measured by `size`.

    Cuts as `cutting.split` does. What is marked across a cut is marked on both sides. Blank text is no piece.
    """

    def fits(start: int, end: int) -> bool:
        return size(style.render(letters[start:end])) <= limit

    letters = richtext.read(
        markdown, bullet=style.bullet, links=lambda url: style.takes_link(url) and size(url) <= limit // 2
    )
    spans = cut(richtext.string(letters), limit, fits)
    return [
        # Where not even one character fits with its marks, it goes without them.
        style.render(letters[start:end] if fits(start, end) else richtext.plain(richtext.string(letters[start:end])))
        for start, end in spans
    ]


def plain_pieces(markdown: str, limit: int, size: Callable[[str], int] = len) -> list[str]:
    """Return `markdown` as plain text in pieces: what every messenger takes."""
    return pieces(markdown, PLAIN, limit, size)


def plain_text(markdown: str) -> str:
    """Return `markdown` as the plain text of channels.md 0, column "Messenger / Instagram".

    Blank lines stay where they are. Text that is too long or too deeply nested to be parsed, or of which
    nothing would be left, is returned as it is.
    """
    return PLAIN.render(richtext.read(markdown))


def utf16(text: str) -> int:
    """Measure `text` in UTF-16 units, as Telegram does."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def utf8(text: str) -> int:
    """Measure `text` in bytes of UTF-8."""
    return len(text.encode("utf-8", "surrogatepass"))


class Style:
    """The markup of a messenger; this one is none: only quotations are told by their lines."""

    bullet = "• "
    quotation_tags = 0  # how deep quotations are marked by tags; those within are told by their lines

    def takes_link(self, url: str) -> bool:
        """Whether a label can link to `url`; else both are written."""
        return False

    def escaped(self, char: str) -> str:
        return char

    def tags(self, mark: Mark) -> tuple[str, str]:
        """What stands before and after what is marked."""
        return "", ""

    def adapted(self, letters: Letters) -> Letters:
        """Return the letters with the marks that this messenger would understand at their place."""
        return letters

    def render(self, letters: Letters) -> str:
        """Return the letters with their marks as markup that is whole."""
        out: list[str] = []
        opened: tuple[Mark, ...] = ()
        told, at_line_start = 0, True  # how many quotations the line has told so far
        for char, marks in self.adapted(letters):
            depth = marks.count(QUOTE)  # quotations stand before all other marks
            tagged = min(depth, self.quotation_tags)
            wanted = marks[:tagged] + marks[depth:]
            kept = sum(1 for _ in takewhile(bool, map(eq, opened, wanted)))
            out += [self.tags(mark)[1] for mark in reversed(opened[kept:])]
            if char != "\n":
                out += map(self.escaped, "> " * (depth - tagged - told))
            elif at_line_start:
                out += map(self.escaped, ("> " * (depth - tagged)).rstrip())
            out += [self.tags(mark)[0] for mark in wanted[kept:]]
            out.append(self.escaped(char))
            opened, at_line_start = wanted, char == "\n"
            told = 0 if at_line_start else depth - tagged
        out += [self.tags(mark)[1] for mark in reversed(opened)]
        return "".join(out)


class Telegram(Style):
    """HTML as the Bot API takes it. Code holds no other tags, and there is one level of quotations."""

    quotation_tags = 1
    schemes = ("http", "https", "tg", "mailto", "tel")
    simple: ClassVar = {BOLD: "b", ITALIC: "i", STRIKE: "s", CODE: "code", QUOTE: "blockquote"}

    def takes_link(self, url: str) -> bool:
        try:
            parts = urlsplit(url)
        except ValueError:
            return False
        return parts.scheme in self.schemes and bool(parts.netloc or parts.path)

    def escaped(self, char: str) -> str:
        return escape(char, quote=False)

    def tags(self, mark: Mark) -> tuple[str, str]:
        if mark.kind == LINK:
            return f'<a href="{escape(mark.value)}">', "</a>"
        if mark.kind == BLOCK:
            if not re.fullmatch(r"[\w+#.-]+", mark.value):
                return "<pre>", "</pre>"
            return f'<pre><code class="language-{mark.value}">', "</code></pre>"
        return f"<{self.simple[mark]}>", f"</{self.simple[mark]}>"


class Marked(Style):
    """Markers around words, as WhatsApp and Viber know them.

    A marker touches the text inside and nothing but white space or punctuation outside, and its pair is on the
    same line; a block of code may have several. There is no way to escape: marks that would not be understood
    are left out, and what a writer's own characters would mark by accident is broken up.
    """

    bullet = "- "

    def __init__(self, code: str, breaker: str, *, ends_in_space: bool) -> None:
        self.markers = {"bold": "*", "italic": "_", "strike": "~", "code": code, BLOCK: "```"}
        self.breaker = breaker  # makes a pair of markers none, when it stands after the first
        self.ends_in_space = ends_in_space  # whether only white space may follow a closing marker

    def tags(self, mark: Mark) -> tuple[str, str]:
        marker = self.markers[mark.kind]
        return marker, marker

    def adapted(self, letters: Letters) -> Letters:
        text = richtext.string(letters)
        marks = [_on_one_line(letter) for letter in letters]
        for mark in dict.fromkeys(mark for own in marks for mark in own if mark != QUOTE):
            for start, end in _stretches(marks, mark):
                self._bind(mark, start, end, text, marks)
        return self._broken_up(list(zip(text, marks, strict=True)))

    def _bind(self, mark: Mark, start: int, end: int, text: str, marks: list[tuple[Mark, ...]]) -> None:
        """Keep the mark on as much of the stretch as can have it, or on none."""
        first = start + len(text[start:end]) - len(text[start:end].lstrip())
        last = start + len(text[start:end].rstrip())  # and one
        if self.ends_in_space and not is_code(mark):
            while last < len(text) and text[last] in ".,:;!?…" and set(marks[last]) <= set(marks[last - 1]):
                inner = (*marks[last], mark)
                marks[last] = tuple(other for other in marks[last - 1] if other in inner)
                last += 1
        before, after = text[max(0, first - 1) : first], text[last : last + 1]
        fits = first < last and self.markers[mark.kind] not in text[first:last] and not before.isalnum()
        if self.ends_in_space:
            fits = fits and not after.strip()
        else:
            fits = fits and not text[last : last + 8].lstrip("*_~")[:1].isalnum()
        for position in range(start, max(end, last)):
            if not (fits and first <= position < last):
                marks[position] = tuple(other for other in marks[position] if other != mark)

    def _broken_up(self, letters: Letters) -> Letters:
        """Put a breaker after each character that would open a pair of markers."""
        text, result = richtext.string(letters), Letters()
        addresses = {position for word in ADDRESS.finditer(text) for position in range(*word.span())}
        anywhere = {marker for marker in self._paired(letters) if "`" in marker}  # these reach over lines
        paired, line_end = anywhere, -1
        for position, (char, marks) in enumerate(letters):
            if position > line_end:
                line_end = text.find("\n", position) % (len(text) + 1)
                paired = anywhere | self._paired(letters[position:line_end])
            result.append((char, marks))
            before, after = letters[position - 1] if position else ("", ()), text[position + 1 : position + 2]
            within_word = before[0].isalnum() and before[1] == marks  # else a marker of ours stands before
            opens = any(text.startswith(marker, position) for marker in paired) and not within_word
            if opens and after.strip() and position not in addresses and not any(map(is_code, marks)):
                following = letters[position + 1][1]
                result.append((self.breaker, tuple(mark for mark in marks if mark in following)))
        return result

    def _paired(self, letters: Letters) -> set[str]:
        """The markers that stand in the text more than once, or beside ours."""
        text, kinds = richtext.string(letters), {mark.kind for _, marks in letters for mark in marks}
        return {marker for kind, marker in self.markers.items() if kind in kinds or text.count(marker) > 1}


ADDRESS = re.compile(r"\S*://\S*")


def _on_one_line(letter: Letter) -> tuple[Mark, ...]:
    """The letter's marks: a line's end has none, but within a block of code that no quotation cuts in lines."""
    char, marks = letter
    if char == "\n" and not (marks and marks[0].kind == BLOCK):
        return tuple(mark for mark in marks if mark == QUOTE)
    return marks


def _stretches(marks: Sequence[tuple[Mark, ...]], mark: Mark) -> list[tuple[int, int]]:
    """Return where `mark` starts and ends."""
    found, position = [], 0
    for has, group in groupby(marks, key=lambda own: mark in own):
        length = sum(1 for _ in group)
        if has:
            found.append((position, position + length))
        position += length
    return found


PLAIN = Style()
TELEGRAM = Telegram()
WHATSAPP = Marked(code="`", breaker="\u200b", ends_in_space=False)
VIBER = Marked(code="```", breaker=" ", ends_in_space=True)
