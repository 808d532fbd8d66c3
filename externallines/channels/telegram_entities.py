"""Telegram's formatting, which is text plus entities, as Markdown."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from urllib.parse import quote

from markdown_it import MarkdownIt

from externallines.channels import markup
from portals.payload import Payload

MARKS = {"bold": "**", "italic": "*", "strikethrough": "~~"}
QUOTES = {"blockquote", "expandable_blockquote"}
SIMPLE = {"text_link", "code", "pre", *QUOTES}  # underlining and spoilers have no Markdown
UNFIT_FOR_LINKS = re.compile(r"[\s()<>\\]")
BRACKET = re.compile(r"(?<!\\)[\[\]]")
SPACE = " \t\r\x0b\x0c"

_parser = MarkdownIt("commonmark", {"html": False, "breaks": True}).enable("strikethrough")


@dataclass(frozen=True, slots=True)
class Span:
    """Formatting of the characters from `start` to `end`; `detail` is a link's URL or a code's language."""

    kind: str
    start: int
    end: int
    detail: str = ""


def to_markdown(text: str, entities: Sequence[Payload]) -> str:
    """Return Markdown that shows `text`, with as much of its formatting as Markdown can carry.

    Markdown has no form for some formatting, as of half a word before a quotation mark. So the result is read
    back, and goes without the marks that did not work out.
    """
    spans = list(_spans(text, entities))
    for kinds in ({*MARKS, *SIMPLE}, SIMPLE):
        chosen = [span for span in spans if span.kind in kinds]
        if not chosen:
            break
        markdown = _blocks(text, chosen, 0, len(text))
        if _shown(markdown) == _letters(text):
            return markdown
    return markup.escape(text)


def link(label: str, url: str) -> str:
    """Return a link in Markdown; `label` is plain text."""
    return to_markdown(label, [Payload({"type": "text_link", "offset": 0, "length": 2 * len(label), "url": url})])


def _spans(text: str, entities: Sequence[Payload]) -> Iterator[Span]:
    """Yield the entities with their places counted in characters, not in UTF-16 units; outer ones first."""
    positions = [index for index, char in enumerate(text) for _unit in range(1 + (ord(char) > 0xFFFF))]
    last = len(positions)
    positions.append(len(text))
    spans = []
    for entity in entities:
        offset, length = entity.size("offset"), entity.size("length")
        if offset is None or length is None:
            continue
        start, end = positions[min(offset, last)], positions[min(offset + length, last)]
        detail = entity.text("url", "") or entity.text("language", "")
        if start < end:
            spans.append(Span(entity.text("type", ""), start, end, detail))
    yield from sorted(spans, key=lambda span: (span.start, -span.end))


def _blocks(text: str, spans: Sequence[Span], start: int, end: int) -> str:
    """Render the lines from `start` to `end`: code and quotations are blocks of their own."""
    parts, at = [], start
    for number, block in enumerate(spans):
        if block.kind not in QUOTES | {"pre"} or block.start < at or block.end > end:
            continue
        parts.append(_lines(text, spans, at, block.start))
        if block.kind == "pre":
            parts.append(_fence(text[block.start : block.end], block.detail))
        else:
            inside = _blocks(text, spans[number + 1 :], block.start, block.end)
            parts.append("\n".join(f"> {line}".rstrip() for line in inside.split("\n")))
        at = block.end
    parts.append(_lines(text, spans, at, end))
    # The blank line ends a quotation, which would else go on.
    return "\n\n".join(part for part in (part.strip("\n") for part in parts) if part.strip())


def _fence(code: str, language: str) -> str:
    marks = "`" * max(3, 1 + _longest_run(code))
    return f"{marks}{re.sub(r'[^A-Za-z0-9+#._-]', '', language)}\n{code.strip(chr(10))}\n{marks}"


def _lines(text: str, spans: Sequence[Span], start: int, end: int) -> str:
    """Render line by line: no mark may reach over the end of a paragraph."""
    lines = []
    for line in text[start:end].split("\n"):
        lines.append(_line(text, spans, start, start + len(line)))
        start += len(line) + 1
    return "\n".join(lines)


def _line(text: str, spans: Sequence[Span], start: int, end: int) -> str:
    parts: list[str] = []
    opened: list[Span] = []
    inline = _within_line(text, spans, start, end)
    cuts = sorted({start, end, *(place for span in inline for place in (span.start, span.end))})
    for left, right in pairwise(cuts):
        wanted = [span for span in inline if span.start <= left and right <= span.end]
        while opened != wanted[: len(opened)]:
            parts.append(_closing(opened.pop()))
        for span in wanted[len(opened) :]:
            parts.append(_opening(span))
            opened.append(span)
        parts.append(_words(text[left:right], opened, at_line_start=left == start))
    return "".join([*parts, *(_closing(span) for span in reversed(opened))])


def _within_line(text: str, spans: Sequence[Span], start: int, end: int) -> list[Span]:
    """Return the marks of one line, without white space at their ends, and none that begins or ends in code."""
    found = []
    for span in spans:
        left, right = max(span.start, start), min(span.end, end)
        while left < right and text[left].isspace():
            left += 1
        while left < right and text[right - 1].isspace():
            right -= 1
        if left < right and span.kind in {*MARKS, "text_link", "code"}:
            found.append(Span(span.kind, left, right, span.detail))
    for code in [span for span in found if span.kind == "code"]:
        places = range(code.start + 1, code.end)
        found = [
            span
            for span in found
            if span == code
            or not (span.start in places or span.end in places or (code.start, code.end) == (span.start, span.end))
        ]
    return sorted(found, key=lambda span: (span.start, -span.end))


def _opening(span: Span) -> str:
    return "[" if span.kind == "text_link" else MARKS.get(span.kind, "")


def _closing(span: Span) -> str:
    if span.kind != "text_link":
        return MARKS.get(span.kind, "")
    return f"]({UNFIT_FOR_LINKS.sub(lambda match: quote(match[0]), span.detail)})"


def _words(words: str, inside: Sequence[Span], *, at_line_start: bool) -> str:
    kinds = {span.kind for span in inside}
    if "code" in kinds:
        marks = "`" * (1 + _longest_run(words))
        padding = " " if words[0] == "`" or words[-1] == "`" else ""
        return f"{marks}{padding}{words}{padding}{marks}"
    bare = words.lstrip(SPACE)
    escaped = markup.escape(bare)
    if bare.endswith("\\"):
        escaped += "\\"  # else it would escape the mark that follows
    if "text_link" in kinds:
        escaped = BRACKET.sub(r"\\\g<0>", escaped)
    return escaped if at_line_start else words[: len(words) - len(bare)] + escaped


def _longest_run(code: str) -> int:
    return max(map(len, re.findall("`+", code)), default=0)


def _shown(markdown: str) -> str:
    """Return the letters that a reader of `markdown` sees."""
    text = ""
    for token in _parser.parse(markdown):
        text += "".join(child.content for child in token.children or ()) if token.children else token.content
    return _letters(text)


def _letters(text: str) -> str:
    return "".join(text.split())
