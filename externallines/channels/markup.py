"""Plain text to Markdown, which Uspacy speaks, and back; and long text in pieces that a messenger takes.

Markdown here is CommonMark 0.31 with strikethrough, where a line break is a line break.
"""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence

from markdown_it import MarkdownIt
from markdown_it.token import Token

# Plain text -> Markdown

INDENTATION = re.compile(r"^[ \t]+", re.M)
# Each match's first character, or its group, is what turns the text around it into markup.
SPECIAL = re.compile(
    r"""
      \\(?=[!-/:-@\[-`{-~\n])                                      # an escape or a hard break
    | <(?=[a-z/!?])                                                # HTML, <https://...>, <name@example.com>
    | &(?=(?:\#[0-9]{1,7}|\#x[0-9a-f]{1,6}|[a-z][a-z0-9]{1,31});)  # an entity
    | \](?=[(:])                                                   # the label of a link or a definition
    | ^\#(?=\#{0,5}(?:[ \t]|$))                                    # a heading
    | ^-(?=[- \t]*$) | ^=(?==*[ \t]*$)                             # the underline of a heading, or a rule
    | ^>                                                           # a quotation
    | ^[-+*](?=[ \t]|$) | ^[0-9]{1,9}([.)])(?=[ \t]|$)             # a list item
    """,
    re.X | re.M | re.I,
)
RULE = re.compile(r"^([*_])(?:[ \t]*\1){2,}[ \t]*$", re.M)
FENCE = re.compile(r"^(?:`{3,}|~{3,})", re.M)
BLANK = ("", " ", "\t", "\n")


def escape(text: str) -> str:
    """Return Markdown that renders as `text`, but for white space at line ends and repeated blank lines.

    Only what would be taken for markup gets a backslash: where Markdown is shown raw it stays readable.
    """
    text = INDENTATION.sub("", _unix_lines(text))  # indented text would be code
    special = {match.start(match.lastindex or 0) for match in SPECIAL.finditer(text)}
    for run in (*RULE.finditer(text), *FENCE.finditer(text), *_code_marks(text)):
        special.update(range(*run.span()))
    for marker in "*_~":
        for run in _paired_marks(text, marker):
            special.update(range(*run.span()))
    special -= {position for position in special if text[position] in BLANK}  # inside a rule
    return "".join(f"\\{char}" if position in special else char for position, char in enumerate(text))


def _code_marks(text: str) -> list[re.Match[str]]:
    """Return the runs of backticks, unless there is but one: it finds no other to make code with."""
    runs = list(re.finditer("`+", text))
    return runs if len(runs) > 1 else []


def _paired_marks(text: str, marker: str) -> list[re.Match[str]]:
    """Return the runs of `marker` that touch text, if one of them may open and a later one close emphasis.

    Errs on the safe side of https://spec.commonmark.org/0.31.2/#left-flanking-delimiter-run
    """
    runs, opened, paired = [], False, False
    for run in re.finditer(rf"{re.escape(marker)}+", text):
        before, after = text[run.start() - 1 : run.start()], text[run.end() : run.end() + 1]
        if before in BLANK and after in BLANK:
            continue
        if marker == "_" and before.isalnum() and after.isalnum():
            continue  # snake_case
        paired = paired or (opened and before not in BLANK)
        opened = opened or after not in BLANK
        runs.append(run)
    return runs if paired else []


# Markdown -> plain text

MAX_PARSED = 20_000  # characters: far more than any messenger takes, and a quarter of a second at worst

# Without "reference" a line such as "[1]: see https://..." stays text; as a definition it would vanish.
_parser = MarkdownIt("commonmark", {"html": False, "breaks": True})
_parser.enable("strikethrough").disable("reference")


def plain_text(markdown: str) -> str:
    """Return `markdown` as the plain text of channels.md 0, column "Messenger / Instagram".

    Blank lines stay where they are. Text that is too long or too deeply nested to be parsed, or of which
    nothing would be left, is returned as it is.
    """
    if len(markdown) > MAX_PARSED:
        return markdown
    source = _unix_lines(markdown)
    tokens = _parser.parse(source)
    if any(token.level >= _parser.options.maxNesting - 1 for token in tokens):
        return markdown  # the parser drops what is nested deeper
    text = _blocks(iter(tokens), source.split("\n"))
    return text if text.strip() else markdown


def _blocks(tokens: Iterator[Token], lines: Sequence[str], number: int | None = None) -> str:
    """Render the blocks up to the end of the container that `tokens` has just entered.

    `lines` are the whole source. `number` is the first item's in an ordered list.
    """
    text = ""
    for token in tokens:
        match token.type:
            case "inline":
                block = _inline(token.children or [])
            case "fence" | "code_block":
                block = _code(token)
            case "hr":
                block = "---"
            case "blockquote_open":
                block = _prefixed(_blocks(tokens, lines), "> ", "> ")
            case "bullet_list_open":
                block = _blocks(tokens, lines)
            case "ordered_list_open":
                block = _blocks(tokens, lines, int(token.attrs.get("start", 1)))
            case "list_item_open":
                marker = "• " if number is None else f"{number}{token.markup} "
                number = None if number is None else number + 1
                block = _prefixed(_blocks(tokens, lines), marker, " " * len(marker))
            case "blockquote_close" | "bullet_list_close" | "ordered_list_close" | "list_item_close":
                break
            case _:
                continue  # the ends of paragraphs and headings
        separator = "\n\n" if _follows_blank_line(token, lines) else "\n"
        text += separator + block if text else block
    return text


def _follows_blank_line(token: Token, lines: Sequence[str]) -> bool:
    first = token.map[0] if token.map else 0
    return first > 0 and not lines[first - 1].strip(" \t>")  # ">" is the blank line of a quotation


def _prefixed(text: str, first: str, others: str) -> str:
    head, *rest = text.split("\n")
    return "\n".join(line.rstrip() for line in (first + head, *(others + line for line in rest)))


def _code(token: Token) -> str:
    code, info = token.content.removesuffix("\n"), token.info.strip()
    # One word after the fence is the language; else someone wrote text there.
    return code if code and len(info.split()) < 2 else f"{info}\n{code}".strip("\n")


def _inline(tokens: Sequence[Token]) -> str:
    parts: list[str] = []
    links: list[tuple[int, Token]] = []  # open ones: where their label starts in `parts`
    for token in tokens:
        match token.type:
            case "softbreak" | "hardbreak":
                parts.append("\n")
            case "image":
                parts.append(_link(_inline(token.children or []), token, "src"))
            case "link_open":
                links.append((len(parts), token))
            case "link_close":
                start, opening = links.pop()
                parts[start:] = [_link("".join(parts[start:]), opening, "href")]
            case _:
                parts.append(token.content)  # "" for the marks of bold, italic and strike
    return "".join(parts)


def _link(label: str, token: Token, attribute: str) -> str:
    url, title = str(token.attrs[attribute]), token.attrs.get("title")
    bare = url.removeprefix("mailto:").removeprefix("tel:")
    if not title and bare in ("", label, _parser.normalizeLink(label)):
        return label
    target = f'{url} "{title}"' if title else url
    return f"{label} ({target})" if label else target


def _unix_lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


# Long text -> pieces

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
    if limit < 1:
        raise ValueError("limit has to be positive")
    pieces, start = [], 0
    while start < len(text):
        end = start + max(1, _longest(text, start, limit, size))
        if end >= len(text):
            pieces.append(text[start:])
            break
        end = _best_cut(text, start, end)
        pieces.append(text[start:end].rstrip())
        start = end
        while start < len(text) and text[start].isspace():
            start += 1
    return [piece for piece in pieces if piece.strip()]


def _longest(text: str, start: int, limit: int, size: Callable[[str], int]) -> int:
    """Return how many characters from `start` on stay within `limit`."""
    return bisect_right(range(1, limit + 1), limit, key=lambda length: size(text[start : start + length]))


def _best_cut(text: str, start: int, end: int) -> int:
    """Return where to cut at or before `end`; one character later if that one is white space."""
    window = text[start : end + 1]
    for boundary in (PARAGRAPH, LINE, SENTENCE, WORD):
        cut = max((match.end() for match in boundary.finditer(window)), default=0)
        nice = cut > len(window) // 2  # no short pieces for the sake of a nicer cut
        if nice or (cut and boundary is WORD):
            return start + cut
    for cut in range(end, max(start, end - 32), -1):
        if not _belongs_together(text, cut):
            return cut
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
