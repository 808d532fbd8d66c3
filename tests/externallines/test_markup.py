"""Customers' text into Markdown, operators' Markdown into text, long text into pieces."""

import re
import time

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from externallines.channels.markup import escape, plain_text, split

COMMONMARK = MarkdownIt("commonmark", {"html": False, "breaks": True}).enable("strikethrough")

MARKS = r"""
    * ** *** _ __ ___ ~ ~~ ~~~ ` `` ``` [ ] ]( ]: ) ! ![ [x] < > <a> <https://x.ua> <a@b.ua> &amp; &#42; & ;
    # ## ###### ####### - -- --- + = == 1. 2) 10. | \ \\ : . , " ' a bc де 7 snake_case https://x.ua/_a_(b)
    a@b.ua é 😀
"""
SPACES = (" ", "  ", "\t", "\n", "\n\n", "\r\n", "    ", "\\\n", "  \n", "\u00a0", "\u2028", "\x0b")
fragments = st.lists(st.sampled_from([*MARKS.split(), *SPACES]), max_size=14).map("".join)


def folded(text: str) -> str:
    """White space that Markdown does not keep: at the ends of lines, and more than one blank line."""
    lines = [line.strip() for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip().replace("\x00", "\ufffd")


def rendered(markdown: str) -> str:
    """The text that CommonMark shows for `markdown`, which must not hold anything but text."""
    blocks = COMMONMARK.parse(markdown)
    assert {block.type for block in blocks} <= {"paragraph_open", "inline", "paragraph_close"}
    paragraphs = [block.children for block in blocks if block.type == "inline"]
    assert {token.type for tokens in paragraphs for token in tokens} <= {"text", "softbreak", "hardbreak"}
    return folded("\n\n".join("".join(token.content or "\n" for token in tokens) for tokens in paragraphs))


# escape


@given(fragments | st.text() | st.text("*_~`[]()<>!#&;:\\-+=.1a \n\t\"'"))
@settings(max_examples=1500, deadline=None)
def test_escaped_text_renders_as_it_was_written(text):
    assert rendered(escape(text)) == folded(text)


@given(fragments | st.text())
@settings(max_examples=500, deadline=None)
def test_escaped_text_reaches_another_messenger_as_it_was_written(text):
    assume(text.strip())
    assert folded(plain_text(escape(text))) == folded(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Добрий день! Чи є в наявності? (синій, 42-й)",
        "snake_case_name, x__y",
        "a * b = c",
        "2*3=6",
        "5* готель",
        "*умови на сайті і **інше",
        "п`ять",
        "~5 хв, ~10 грн",
        "https://example.com/a_b/c-d?x=1&y=2#top",
        "https://uk.wikipedia.org/wiki/Ромашка_(рослина)",
        "first_last+tag@my-example.com",
        "1.5 + 2.5 - 3 = 1",
        "+380501234567",
        "-5 градусів",
        "#hashtag",
        "I <3 you, 3 < 4 > 2",
        "R&D, AT&T; Q&A",
        "[12:30] Ann, [x] done, array[0]",
        "C:\\Users\\ann",
        "wow!!! :) ;-) =) |x| {y} $5 ^_^",
        "one\ntwo\n\nthree",
    ],
)
def test_ordinary_text_stays_as_it_is(text):
    assert escape(text) == text


@pytest.mark.parametrize(
    ("text", "markdown"),
    [
        ("*a* **b** _c_ ~~d~~", r"\*a\* \*\*b\*\* \_c\_ \~\~d\~\~"),
        ("`rm -rf`", r"\`rm -rf\`"),
        ("п`ять комп`ютерів", r"п\`ять комп\`ютерів"),
        ("```\nx", "\\`\\`\\`\nx"),
        ("[site](https://x.ua)", r"[site\](https://x.ua)"),
        ("![](https://x.ua/i.png)", r"![\](https://x.ua/i.png)"),
        ("[1]: https://x.ua", r"[1\]: https://x.ua"),
        ("<b>x</b> <!-- y -->", r"\<b>x\</b> \<!-- y -->"),
        ("Ann <ann@x.ua>", r"Ann \<ann@x.ua>"),
        ("&lt; &#42;", r"\&lt; \&#42;"),
        ("# a\n## b", "\\# a\n\\## b"),
        ("a\n---\nb\n===", "a\n\\---\nb\n\\==="),
        ("-- -", "\\-- -"),
        ("***\n_ _ _", "\\*\\*\\*\n\\_ \\_ \\_"),
        ("- a\n+ b\n* c\n-", "\\- a\n\\+ b\n\\* c\n\\-"),
        ("1. a\n2) b\n15.", "1\\. a\n2\\) b\n15\\."),
        ("> a", r"\> a"),
        ("    a\n\tb", "a\nb"),
        ("a\\\nb \\* c \\\\", "a\\\\\nb \\\\* c \\\\\\"),
    ],
)
def test_markup_is_escaped(text, markdown):
    assert escape(text) == markdown
    assert rendered(markdown) == folded(text)


# plain_text


@pytest.mark.parametrize(
    ("markdown", "text"),
    [
        ("", ""),
        ("Hi, **Ann**! *one* _two_ ~~three~~ ***four***", "Hi, Ann! one two three four"),
        ("run `a * b` and\nthen", "run a * b and\nthen"),
        ("a\\\nb  \nc", "a\nb\nc"),
        ("a\n\n\n\nb", "a\n\nb"),
        ("a\r\nb", "a\nb"),
        ("2 \\* 3 &lt; 7 &amp; <b>x</b>", "2 * 3 < 7 & <b>x</b>"),
        ("# Price\nlist", "Price\nlist"),
        ("Price\n===\n\nlist", "Price\n\nlist"),
        ("a\n\n---\n\nb", "a\n\n---\n\nb"),
        ("[our **site**](https://x.ua/a)", "our site (https://x.ua/a)"),
        ("[site](https://x.ua/a 'Open it')", 'site (https://x.ua/a "Open it")'),
        ("[https://x.ua/a](https://x.ua/a)", "https://x.ua/a"),
        ("[https://x.ua](https://x.ua 'Open it')", 'https://x.ua (https://x.ua "Open it")'),
        ("<https://x.ua/привіт> <ann@x.ua>", "https://x.ua/привіт ann@x.ua"),
        ("[+380441234567](tel:+380441234567)", "+380441234567"),
        ("[](https://x.ua/a) [b]()", "https://x.ua/a b"),
        ("[b](javascript:alert)", "[b](javascript:alert)"),
        (
            "![photo](https://x.ua/i.png) ![](https://x.ua/j.png)",
            "photo (https://x.ua/i.png) https://x.ua/j.png",
        ),
        ("[![logo](https://x.ua/i.png)](https://x.ua)", "logo (https://x.ua/i.png) (https://x.ua)"),
        ("[1]: https://x.ua\n[see][1]", "[1]: https://x.ua\n[see][1]"),
        ("We have:\n- tea\n- coffee\n\nBye", "We have:\n• tea\n• coffee\n\nBye"),
        ("1. a\n1. b\n\n7) c\n8) d", "1. a\n2. b\n\n7) c\n8) d"),
        ("0. a", "0. a"),
        ("- a\n  b\n  - c\n    1. d\n- \n- e", "• a\n  b\n  • c\n    1. d\n•\n• e"),
        ("- a\n\n  b\n\n- c", "• a\n\n  b\n\n• c"),
        ("> a\n> b\n>\n> > c\n\nd", "> a\n> b\n>\n> > c\n\nd"),
        ("> - a\n> - b", "> • a\n> • b"),
        ("```python\nif a:\n    b()\n```\nend", "if a:\n    b()\nend"),
        ("```are you there?", "are you there?"),
        ("~~~ two words\ncode\n~~~", "two words\ncode"),
        ("    code\n      more", "code\n  more"),
    ],
)
def test_markdown_becomes_plain_text(markdown, text):
    assert plain_text(markdown) == text


@pytest.mark.parametrize("markdown", ["#", "[]()", "```\n```", ">", ">" * 30 + " deep", "- " * 30 + "deep"])
def test_what_would_leave_nothing_or_a_part_is_sent_as_it_is(markdown):
    assert plain_text(markdown) == markdown


WORDS = ("alpha", "beta", "gamma")


@given(
    st.lists(
        st.sampled_from((*WORDS, *"*_~`[]()!<># \n\\", "**", "~~", "](", "]: ", "> ", "- ", "1. ", "    ", "\n\n"))
    ).map("".join)
)
@settings(max_examples=1000, deadline=None)
def test_no_word_of_an_operator_is_lost(markdown):
    assume(not re.search(r"(```|~~~)[^\n]*\w", markdown))  # the language of a code block
    text = plain_text(markdown)
    assert [text.count(word) for word in WORDS] == [markdown.count(word) for word in WORDS]


@given(st.text() | fragments)
@settings(max_examples=1000, deadline=None)
def test_any_text_can_be_rendered(markdown):
    assert bool(plain_text(markdown).strip()) == bool(markdown.strip())


@pytest.mark.parametrize(
    "fragment",
    ["[", "*", "`", "![", "](", "[a](", "<", ">", "- ", "*a_", "**a *", "[a](<", "~~a", "\\", "`a``", "a\n"],
)
@pytest.mark.parametrize("length", [19_990, 100_000])
def test_pathological_text_stays_fast(fragment, length):
    text = fragment * (length // len(fragment))
    start = time.process_time()  # other processes may keep the machine busy
    plain_text(text)
    escape(text)
    split(text, 1000)
    assert time.process_time() - start < 3  # a tenth of it usually


def test_text_longer_than_any_message_is_not_parsed():
    assert plain_text("**a** " * 10) == "a " * 9 + "a"
    assert plain_text("**a** " * 10_000) == "**a** " * 10_000


def test_nested_images_do_not_exhaust_the_stack():
    markdown = "![" * 1000 + "a" + "](u)" * 1000
    assert "a" in plain_text(markdown)


# split


@pytest.mark.parametrize(
    ("text", "limit", "pieces"),
    [
        ("", 10, []),
        (" \n ", 10, []),
        ("short", 10, ["short"]),
        ("  as it is \n", 20, ["  as it is \n"]),
        ("exactly 10", 10, ["exactly 10"]),
        ("first one\n\nsecond", 12, ["first one", "second"]),
        ("aa bb\n\ncc dd\nee ff", 15, ["aa bb\n\ncc dd", "ee ff"]),
        ("aaa bbb ccc\n\nd\nee ff", 17, ["aaa bbb ccc", "d\nee ff"]),
        ("One two. Three four five", 14, ["One two.", "Three four", "five"]),
        ("He said: «Yes.» Then left", 20, ["He said: «Yes.»", "Then left"]),
        ("a. bcdefgh ijkl", 11, ["a. bcdefgh", "ijkl"]),
        ("ten letter word", 10, ["ten letter", "word"]),
        ("see https://example.com/long", 25, ["see", "https://example.com/long"]),
        ("abcdefghij", 4, ["abcd", "efgh", "ij"]),
        ("ab" + "e\u0301" * 3, 5, ["abe\u0301", "e\u0301e\u0301"]),
        ("a👩‍👩‍👧b", 5, ["a", "👩‍👩‍👧", "b"]),
        ("👍🏽👍🏽", 3, ["👍🏽", "👍🏽"]),
        ("🇺🇦🇵🇱🇧🇷", 3, ["🇺🇦", "🇵🇱", "🇧🇷"]),
        ("a" + "\u0301" * 100, 50, ["a" + "\u0301" * 49, "\u0301" * 50, "\u0301"]),
    ],
)
def test_text_is_cut_where_it_hurts_least(text, limit, pieces):
    assert split(text, limit) == pieces


def utf8(text: str) -> int:
    return len(text.encode())


@given(
    st.text(st.characters(exclude_categories=["Cs"])) | st.text("ab. \n!їé\u0301😀🇺🇦\u200d"),
    st.integers(1, 12),
    st.sampled_from([len, utf8]),
)
@settings(max_examples=1000, deadline=None)
def test_pieces_fit_and_hold_everything_but_white_space(text, limit, size):
    pieces = split(text, limit, size)
    assert all(size(piece) <= limit or len(piece) == 1 for piece in pieces)
    assert all(piece.strip() for piece in pieces)
    assert "".join("".join(pieces).split()) == "".join(text.split())


@given(st.lists(st.text("ab", min_size=1, max_size=6), min_size=1).map(" ".join))
def test_words_that_fit_are_never_cut(text):
    assert " ".join(split(text, 10)) == text


def test_surrogate_pairs_are_not_torn():
    assert split("\ud83d\ude00" * 2, 3) == ["\ud83d\ude00", "\ud83d\ude00"]


def test_a_limit_has_to_be_positive():
    with pytest.raises(ValueError, match="positive"):
        split("a", 0)
