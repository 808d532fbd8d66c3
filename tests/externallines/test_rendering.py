"""Operators' Markdown in the markup of each messenger, in pieces that it takes."""

import re
import time
from html import unescape
from itertools import groupby

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from externallines.channels.rendering import (
    TELEGRAM,
    VIBER,
    WHATSAPP,
    pieces,
    plain_pieces,
    plain_text,
    utf8,
    utf16,
)
from tests.externallines.test_markup import MARKS, SPACES

STYLES = (TELEGRAM, WHATSAPP, VIBER)
GRAMMAR = (
    *(
        "**bold**",
        "*it*",
        "~~gone~~",
        "`code`",
        "**a _b_ c**",
        "[label](https://x.ua/a_b?c=1&d=2)",
        "\\*",
        "\\_a\\_",
    ),
    *(
        "> ",
        "> > ",
        "- ",
        "1. ",
        "# ",
        "    ",
        "```py\n",
        "```\n",
        "![alt](https://x.ua/i.png)",
        "[t](tg://u?id=1)",
    ),
    *("[**b** `c`](https://x.ua)", "<https://x.ua/_a_>", "<a@b.ua>", '[q](https://x.ua "t")', "[j](page)"),
)
fragments = st.lists(st.sampled_from([*GRAMMAR, *MARKS.split(), *SPACES]), max_size=20).map("".join)
markdowns = fragments | st.text(st.characters(exclude_categories=["Cs"]))
limits = st.sampled_from([1, 8, 30, 100, 300, 4096])
sizes = st.sampled_from([len, utf8, utf16])


def squeezed(text: str) -> str:
    """All but white space, and what tells quotations and items of lists."""
    return re.sub(r"[\s\u200b>•-]+", "", text)


# Telegram

TAG = re.compile(r'<(/?)([a-z]+)(?: (href|class)="([^"<>]*)")?>')
PAIRED = {"b", "i", "s", "code", "pre", "a", "blockquote"}
ATTRIBUTES = {"a": "href", "code": "class"}


def read_html(html: str) -> tuple[str, list[str]]:
    """Return the text and the links of HTML that is strictly what the Bot API documents."""
    text, links, opened, position = "", [], [], 0
    while position < len(html):
        if html[position] == "<":
            tag = TAG.match(html, position)
            assert tag, html[position:]
            closing, name, attribute, value = tag.groups()
            assert name in PAIRED
            if closing:
                assert opened.pop() == name
                assert not attribute
            else:
                inside_block = opened[-1:] == ["pre"] and name == "code" and html[:position].endswith("<pre>")
                assert not {"code", "pre"} & set(opened) or inside_block
                assert name not in opened
                assert attribute in (None, ATTRIBUTES.get(name))
                assert (name == "a") == (attribute == "href")
                assert attribute != "class" or (inside_block and value.startswith("language-"))
                opened.append(name)
                if name == "a":
                    assert re.match(r"(https?|tg|mailto|tel):", value)
                    links.append(unescape(value))
            position = tag.end()
        elif html[position] == "&":
            entity = re.compile("&(lt|gt|amp|quot);").match(html, position)
            assert entity, html[position:]
            text += unescape(entity[0])
            position = entity.end()
        else:
            assert html[position] != ">"
            text += html[position]
            position += 1
    assert opened == []
    return text, links


@given(markdowns, limits, sizes)
@settings(max_examples=300, deadline=None)
def test_any_markdown_becomes_pieces_of_valid_html(markdown, limit, size):
    read = [read_html(piece) for piece in pieces(markdown, TELEGRAM, limit, size)]
    assert all(text.strip() for text, _ in read)
    whole, _ = read_html("".join(pieces(markdown, TELEGRAM, 10**6)) or "")
    if limit > 200:  # below, a link may be spelled out for its length
        assert squeezed("".join(text for text, _ in read)) == squeezed(whole)


@given(markdowns)
@settings(max_examples=200, deadline=None)
def test_html_shows_what_plain_text_shows(markdown):
    for piece in pieces(markdown, TELEGRAM, 10**6):
        text, links = read_html(piece)
        spelled = plain_text(markdown)
        for link in links:
            text, spelled = (shown.replace(f" ({link})", "") for shown in (text, spelled))
        assert squeezed(text) == squeezed(spelled)


@pytest.mark.parametrize(
    ("markdown", "html"),
    [
        ("**a** _b_ ~~c~~ `d`", "<b>a</b> <i>b</i> <s>c</s> <code>d</code>"),
        ("**a _b_**_c_", "<b>a <i>b</i></b><i>c</i>"),
        ("**a `b` c**", "<b>a </b><code>b</code><b> c</b>"),
        ("1 < 2 & \"3\" > 0 &lt; <b>", '1 &lt; 2 &amp; "3" &gt; 0 &lt; &lt;b&gt;'),
        ('[a](https://x.ua/?a=1&b="2")', '<a href="https://x.ua/?a=1&amp;b=%222%22">a</a>'),
        ("[call](tel:+380441234567), [write](mailto:a@b.ua)",
         '<a href="tel:+380441234567">call</a>, <a href="mailto:a@b.ua">write</a>'),
        ("[a](ftp://x.ua) [b](/page) [c](https:)", "a (ftp://x.ua) b (/page) c (https:)"),
        ("<https://x.ua/a> [https://x.ua](https://x.ua)", "https://x.ua/a https://x.ua"),
        ("[**a** `b`](https://x.ua)", '<a href="https://x.ua"><b>a</b> b</a>'),
        ("![photo](https://x.ua/i.png)", '<a href="https://x.ua/i.png">photo</a>'),
        ("![](https://x.ua/i.png)", "https://x.ua/i.png"),
        ("[![logo](https://x.ua/i.png)](https://x.ua)", '<a href="https://x.ua">logo (https://x.ua/i.png)</a>'),
        ("# **A** b\ntext", "<b>A b</b>\ntext"),
        ("> a\n> **b**\n\nc", "<blockquote>a\n<b>b</b></blockquote>\n\nc"),
        ("> a\n> > b\n> > c", "<blockquote>a\n&gt; b\n&gt; c</blockquote>"),
        ("- a\n  > b\n  > c", "• a\n  <blockquote>b\n  c</blockquote>"),
        ("1. a\n2. b", "1. a\n2. b"),
        ("```py\na < b\n```", '<pre><code class="language-py">a &lt; b</code></pre>'),
        ('```"><b>\nx\n```', "<pre>x</pre>"),
        ("    x\n     y", "<pre>x\n y</pre>"),
        ("> ```\n> x\n> ```", "<blockquote><pre>x</pre></blockquote>"),
    ],
)  # fmt: skip
def test_telegram(markdown, html):
    assert pieces(markdown, TELEGRAM, 4096, utf16) == [html]
    read_html(html)


# WhatsApp and Viber


def read_marked(text: str, code: str, *, ends_in_space: bool) -> list[tuple[str, str]]:
    """Return what the messenger shows: characters, each with the markers that it takes to be around it."""
    blocks = re.split(r"(```.*?```)" if "```" in text else r"(?!)", text, flags=re.S)
    shown: list[tuple[str, str]] = []
    for number, block in enumerate(blocks):
        if number % 2:
            shown += [(char, "```") for char in block[3:-3]]
        else:
            for line in block.splitlines(keepends=True):
                shown += read_line(line, "", code, ends_in_space=ends_in_space)
    return shown


def read_line(line: str, around: str, code: str, *, ends_in_space: bool) -> list[tuple[str, str]]:
    shown, position = [], 0
    while position < len(line):
        marker = line[position]
        if marker in "*_~" + code.replace("```", "") and marker not in around and opens(line, position):
            for end in range(position + 2, len(line)):
                if line[end] == marker and closes(line, end, ends_in_space=ends_in_space):
                    inner = line[position + 1 : end]
                    if marker == "`":
                        shown += [(char, "`") for char in inner]
                    else:
                        shown += read_line(inner, around + marker, code, ends_in_space=ends_in_space)
                    position = end
                    break
            else:
                shown.append((marker, around))
        else:
            shown.append((marker, around))
        position += 1
    return shown


def opens(line: str, position: int) -> bool:
    before, after = line[:position], line[position + 1 : position + 2]
    return not before[-1:].isalnum() and bool(after) and not after.isspace() and after != "\u200b"


def closes(line: str, position: int, *, ends_in_space: bool) -> bool:
    after = line[position + 1 :].lstrip("*_~")[:1]
    if line[position - 1].isspace():
        return False
    return not after or after.isspace() if ends_in_space else not after.isalnum()


def understood(markdown: str, style: object) -> list[tuple[str, str]]:
    """What WhatsApp or Viber shows of the Markdown."""
    (piece,) = pieces(markdown, style, 10**6)
    return read_marked(piece, "`" if style is WHATSAPP else "```", ends_in_space=style is VIBER)


def spans(shown: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [("".join(char for char, _ in run), marks) for marks, run in groupby(shown, key=lambda item: item[1])]


@pytest.mark.parametrize("style", [WHATSAPP, VIBER], ids=["whatsapp", "viber"])
@given(
    st.lists(
        st.sampled_from(
            [*("**b**", "*i*", "~~s~~", "**a _b_ c**", "_a **b**_", "`c`", "\\*", "\\_", "\\~", "\\`", "- ", "> "),
             *("a", "bc", " ", " ", "\n", "\n\n", ".", "!", "(", "7", "_x_y_", "https://x.ua/a_b_", "*", "_")]
        ), min_size=1, max_size=14,
    ).map("".join).filter(str.strip)
)  # fmt: skip
@settings(max_examples=300, deadline=None)
def test_what_is_read_is_what_was_meant(style, markdown):
    shown = "".join(char for char, _ in understood(markdown, style))
    if "://" not in markdown:
        assert squeezed(shown) == squeezed(plain_text(markdown))


@pytest.mark.parametrize(
    ("markdown", "whatsapp", "viber"),
    [
        ("**a** _b_ ~~c~~ `d` e", "*a* _b_ ~c~ `d` e", "*a* _b_ ~c~ ```d``` e"),
        ("**a _b_**", "*a _b_*", "*a _b_*"),
        ("**Hi, Ann**!", "*Hi, Ann*!", "*Hi, Ann!*"),
        ("(**a**)", "(*a*)", "(a)"),
        ("un**believ**able", "unbelievable", "unbelievable"),
        ("**a\nb**", "*a*\n*b*", "*a*\n*b*"),
        ("# A\nb", "*A*\nb", "*A*\nb"),
        ("> a\n> **b**", "> a\n> *b*", "> a\n> *b*"),
        ("- a\n  - b\n\n1. c", "- a\n  - b\n\n1. c", "- a\n  - b\n\n1. c"),
        ("[a](https://x.ua/_b_) <https://x.ua>", "a (https://x.ua/_b_) https://x.ua", "a (https://x.ua/_b_) https://x.ua"),
        ("![a](https://x.ua/i.png)", "a (https://x.ua/i.png)", "a (https://x.ua/i.png)"),
        ("```py\na*b*\n c\n```", "```a*b*\n c```", "```a*b*\n c```"),
        ("\\*a\\* 5\\*", "*\u200ba* 5*", "* a* 5*"),
        ("**a** \\*b", "*a* *\u200bb", "*a* * b"),
        ("**5 \\* 5** snake_case_name", "5 * 5 snake_case_name", "5 * 5 snake_case_name"),
        ("`` a`b ``", "a`b", "```a`b```"),
        ("*one* 3\\*4\\*5", "_one_ 3*4*5", "_one_ 3*4*5"),
    ],
)  # fmt: skip
def test_whatsapp_and_viber(markdown, whatsapp, viber):
    assert (pieces(markdown, WHATSAPP, 4096), pieces(markdown, VIBER, 7000)) == ([whatsapp], [viber])


def test_markers_are_understood_as_they_were_meant():
    meant = [("a", "*"), (" ", ""), ("b ", "_"), ("c", "_*"), (" ", ""), ("d", "~")]
    assert spans(understood("**a** _b **c**_ ~~d~~", WHATSAPP)) == meant
    assert spans(understood("**a** _b **c**_ ~~d~~", VIBER)) == meant


# all


@pytest.mark.parametrize("style", STYLES)
@given(markdowns, limits, sizes)
@settings(max_examples=200, deadline=None)
def test_every_piece_fits(style, markdown, limit, size):
    for got in (pieces(markdown, style, limit, size), plain_pieces(markdown, limit, size)):
        assert bool(got) == bool(markdown.strip())
        for piece in got:
            assert piece.strip()
            assert size(piece) <= limit or len(unescape(piece)) == 1


@pytest.mark.parametrize("style", STYLES)
@given(
    st.lists(st.sampled_from(["alpha ", "beta ", "gamma\n", "**delta**", "_**eps** zeta_", "\n\n", "> ", "- "]))
)
@settings(max_examples=100, deadline=None)
def test_no_word_is_lost_or_torn_where_it_fits(style, parts):
    markdown = "".join(parts)
    text = " ".join(pieces(markdown, style, 60))
    for word in ("alpha", "beta", "gamma", "delta", "eps", "zeta"):
        assert text.count(word) == markdown.count(word)


@pytest.mark.parametrize(
    ("style", "cut"),
    [
        (TELEGRAM, ["<b>one <i>two</i></b>", "<b><i>three</i></b> four"]),
        (WHATSAPP, ["*one _two three_*", "four"]),
        (VIBER, ["*one _two three_*", "four"]),
    ],
)
def test_what_is_marked_across_a_cut_is_marked_on_both_sides(style, cut):
    assert pieces("**one _two three_** four", style, 26 if style is TELEGRAM else 18) == cut


def test_a_block_of_code_and_a_quotation_go_on_behind_a_cut():
    code = "```py\n" + "line = 1\n" * 10 + "```"
    for piece in pieces(code, TELEGRAM, 90):
        assert piece.startswith('<pre><code class="language-py">line')
        assert piece.endswith("1</code></pre>")
    assert all(re.fullmatch("```line.*1```", piece, re.S) for piece in pieces(code, VIBER, 50))
    assert all(piece.startswith("> ") for piece in pieces("> " + "words " * 20, WHATSAPP, 40))
    assert all(piece.startswith("> ") for piece in plain_pieces("> " + "words " * 20, 40))


def test_a_link_that_would_fill_a_piece_is_spelled_out():
    url = "https://x.ua/" + "a" * 70
    assert pieces(f"[see]({url})", TELEGRAM, 100) == [f"see ({url})"]


def test_nothing_is_no_piece():
    assert [pieces(blank, TELEGRAM, 10) for blank in ("", " \n", "\t")] == [[], [], []]
    assert plain_pieces(" \n ", 10) == []


@pytest.mark.parametrize("markdown", ["#", "[]()", ">", ">" * 30 + " deep", "**a** " * 10_000])
def test_what_cannot_be_parsed_is_sent_as_it_is(markdown):
    (piece,) = pieces(markdown, TELEGRAM, 10**6)
    assert read_html(piece) == (markdown.rstrip() if piece != markdown else markdown, [])


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(
    "fragment", ["**a** ", "*a_", "~~a", "> ", "\\*a\\* ", "`a` ", "[a](https://x.ua) ", "a\n"]
)
def test_long_text_is_rendered_fast(style, fragment):
    start = time.process_time()
    assert pieces(fragment * (19_000 // len(fragment)), style, 4096, utf16)
    assert time.process_time() - start < 5  # less than one usually


def test_sizes():
    assert [utf16("a"), utf16("є"), utf16("😀")] == [1, 1, 2]
    assert [utf8("a"), utf8("є"), utf8("😀")] == [1, 2, 4]
    assert (utf16("\ud83d"), utf8("\ud83d")) == (1, 3)
