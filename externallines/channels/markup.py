"""Plain text to Markdown, which Uspacy speaks, and back; and long text in pieces that a messenger takes."""

import re

from externallines.channels.cutting import split
from externallines.channels.rendering import plain_text
from externallines.channels.richtext import unix_lines

__all__ = ["escape", "plain_text", "split"]

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
    text = INDENTATION.sub("", unix_lines(text))  # indented text would be code
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
