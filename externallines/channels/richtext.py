"""Markdown as letters with marks: what the markup of every messenger is made from.

Markdown here is CommonMark 0.31 with strikethrough, where a line break is a line break.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from markdown_it import MarkdownIt
from markdown_it.token import Token


@dataclass(frozen=True, slots=True)
class Mark:
    """How a letter looks; `value` is the address of a link, or the language of a block of code."""

    kind: str
    value: str = ""


BOLD, ITALIC, STRIKE, CODE, QUOTE = map(Mark, ("bold", "italic", "strike", "code", "quote"))
BLOCK, LINK = "block", "link"  # kinds of marks with a value
PAIRS = {"strong_close": BOLD, "em_close": ITALIC, "s_close": STRIKE}

Letter = tuple[str, tuple[Mark, ...]]  # a character and its marks, the outermost first
Letters = list[Letter]

MAX_PARSED = 20_000  # characters: far more than any messenger takes, and a quarter of a second at worst

# Without "reference" a line such as "[1]: see https://..." stays text; as a definition it would vanish.
_parser = MarkdownIt("commonmark", {"html": False, "breaks": True})
_parser.enable("strikethrough").disable("reference")


def read(markdown: str, *, bullet: str = "• ", links: Callable[[str], bool] = lambda url: False) -> Letters:
    """Return the letters of `markdown`. `links` tells which addresses become marks; others are spelled out.

    Blank lines stay where they are. Text that is too long or too deeply nested to be parsed, or of which
    nothing would be left, is returned as it is.
    """
    if len(markdown) > MAX_PARSED:
        return plain(markdown)
    source = unix_lines(markdown)
    tokens = _parser.parse(source)
    if any(token.level >= _parser.options.maxNesting - 1 for token in tokens):
        return plain(markdown)  # the parser drops what is nested deeper
    letters = _Reader(source.split("\n"), bullet, links).blocks(iter(tokens))
    return letters if string(letters).strip() else plain(markdown)


def plain(text: str) -> Letters:
    return [(char, ()) for char in text]


def string(letters: Letters) -> str:
    return "".join(char for char, _ in letters)


def unix_lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def is_code(mark: Mark) -> bool:
    return mark == CODE or mark.kind == BLOCK


def _marked(letters: Letters, mark: Mark) -> Letters:
    """Put `mark` around the letters. Code takes no other mark but a quotation's, and gives way to a link."""
    if mark == QUOTE:
        return [(char, (mark, *marks)) for char, marks in letters]
    if mark.kind == LINK:
        return [(char, (mark, *(other for other in marks if other != CODE))) for char, marks in letters]
    return [
        (char, marks if any(map(is_code, marks)) else (mark, *(other for other in marks if other != mark)))
        for char, marks in letters
    ]


def _indented(letters: Letters, marker: str) -> Letters:
    """An item of a list: its marker, and all further lines below its text."""
    text = plain(marker if letters and letters[0][0] != "\n" else marker.rstrip())
    ended: tuple[Mark, ...] | None = None  # the marks of the line's end just before, which go on
    for char, marks in letters:
        if ended is not None and char != "\n":
            text += [(" ", ended)] * len(marker)
        text.append((char, marks))
        ended = marks if char == "\n" else None
    return text


@dataclass(frozen=True, slots=True)
class _Reader:
    lines: Sequence[str]  # the whole source
    bullet: str
    links: Callable[[str], bool]

    def blocks(self, tokens: Iterator[Token], number: int | None = None) -> Letters:
        """Read up to the end of the container just entered; `number` is the first item's of an ordered list."""
        text: Letters = []
        heading = False
        for token in tokens:
            match token.type:
                case "heading_open":
                    heading = True
                    continue
                case "inline":
                    block = self.inline(token.children or [])
                    block = _marked(block, BOLD) if heading else block
                    heading = False
                case "fence" | "code_block":
                    block = _code(token)
                case "hr":
                    block = plain("---")
                case "blockquote_open":
                    block = _marked(self.blocks(tokens), QUOTE)
                case "bullet_list_open":
                    block = self.blocks(tokens)
                case "ordered_list_open":
                    block = self.blocks(tokens, int(token.attrs.get("start", 1)))
                case "list_item_open":
                    marker = self.bullet if number is None else f"{number}{token.markup} "
                    number = None if number is None else number + 1
                    block = _indented(self.blocks(tokens), marker)
                case "blockquote_close" | "bullet_list_close" | "ordered_list_close" | "list_item_close":
                    break
                case _:
                    continue  # the bounds of paragraphs, the ends of headings
            separator = "\n\n" if self._follows_blank_line(token) else "\n"
            text += plain(separator) + block if text else block
        return text

    def _follows_blank_line(self, token: Token) -> bool:
        first = token.map[0] if token.map else 0
        return first > 0 and not self.lines[first - 1].strip(" \t>")  # ">" is the blank line of a quotation

    def inline(self, tokens: Sequence[Token], *, linked: bool = False) -> Letters:
        """Read text within a block; `linked` text is the label of a link, which holds no other."""
        text: Letters = []
        opened: list[tuple[int, Token]] = []  # where in `text`, and by what
        for token in tokens:
            match token.type:
                case "softbreak" | "hardbreak":
                    text += plain("\n")
                case "code_inline":
                    text += _marked(plain(token.content), CODE)
                case "image":
                    label = self.inline(token.children or [], linked=True)
                    inside = linked or any(opening.type == "link_open" for _, opening in opened)
                    text += self._link(label, token, "src", spelled=inside)
                case "link_open" | "strong_open" | "em_open" | "s_open":
                    opened.append((len(text), token))
                case "link_close":
                    start, opening = opened.pop()
                    text[start:] = self._link(text[start:], opening, "href", spelled=linked)
                case "strong_close" | "em_close" | "s_close":
                    start, _ = opened.pop()
                    text[start:] = _marked(text[start:], PAIRS[token.type])
                case _:
                    text += plain(token.content)
        return text

    def _link(self, label: Letters, token: Token, attribute: str, *, spelled: bool) -> Letters:
        url, title, name = str(token.attrs[attribute]), token.attrs.get("title"), string(label)
        bare = url.removeprefix("mailto:").removeprefix("tel:")
        if not title and bare in ("", name, _parser.normalizeLink(name)):
            return label
        if name.strip() and not (title or spelled) and self.links(url):
            return _marked(label, Mark(LINK, url))
        target = f'{url} "{title}"' if title else url
        return label + plain(f" ({target})") if label else plain(target)


def _code(token: Token) -> Letters:
    code, info = token.content.removesuffix("\n"), token.info.strip()
    if (
        len(info.split()) > 1 or not code
    ):  # one word after the fence is the language; else someone wrote text there
        return plain(f"{info}\n{code}".strip("\n"))
    return [(char, (Mark(BLOCK, info),)) for char in code]
