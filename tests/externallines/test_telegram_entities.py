"""Telegram's entities as Markdown: nothing is lost, nothing crashes, and formatting survives where it can."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from externallines.channels.telegram_entities import to_markdown
from portals.payload import Payload

COMMONMARK = MarkdownIt("commonmark", {"html": False, "breaks": True}).enable("strikethrough")
KINDS = (
    *("bold", "italic", "underline", "strikethrough", "spoiler", "code", "pre", "text_link", "text_mention"),
    *("blockquote", "expandable_blockquote", "url", "mention", "custom_emoji", "of_tomorrow"),
)
places = st.integers(0, 40)
entities = st.lists(
    st.fixed_dictionaries(
        {"type": st.sampled_from(KINDS), "offset": places, "length": places},
        optional={
            "url": st.sampled_from(["https://x.ua/a_(b)?c=d&e", "tg://user?id=7", "javascript:x", "", "a b)"]),
            "language": st.sampled_from(["python", "c++", "", "a`b\n```", "мова"]),
        },
    ),
    max_size=6,
)
texts = st.text("ab яЇ 😀🇺🇦*_~`[]()<>!#&;:\\-+=.1>|\n\t\"'") | st.text(st.characters(exclude_categories=["Cs"]))


def entity(kind, offset, length, **more):
    return {"type": kind, "offset": offset, "length": length, **more}


def converted(text, *entities):
    return to_markdown(text, [Payload(one) for one in entities])


def letters(text):
    return "".join(text.replace("\x00", "\ufffd").split())


def shown(markdown):
    """What a reader sees, but for white space."""
    seen = []
    for block in COMMONMARK.parse(markdown):
        seen += [child.content for child in block.children] if block.children else [block.content]
    return letters("".join(seen))


@given(texts, entities)
@settings(max_examples=600, deadline=None)
def test_any_entities_give_markdown_that_shows_the_text(text, entities):
    assert shown(converted(text, *entities)) == letters(text)


@given(texts)
@settings(max_examples=200, deadline=None)
def test_blocks_are_of_known_kinds_only(text):
    """What a customer typed makes no heading, list or rule."""
    whole = entity("bold", 0, 2 * len(text))
    kinds = {token.type for token in COMMONMARK.parse(converted(text, whole))}
    assert kinds <= {"paragraph_open", "inline", "paragraph_close"}


@pytest.mark.parametrize(
    ("text", "entities", "markdown"),
    [
        ("", [], ""),
        ("plain *text*", [], r"plain \*text\*"),
        ("very bold", [entity("bold", 5, 4)], "very **bold**"),
        ("an italic word", [entity("italic", 3, 6)], "an *italic* word"),
        ("no more", [entity("strikethrough", 0, 2)], "~~no~~ more"),
        ("run x_y()", [entity("code", 4, 5)], "run `x_y()`"),
        ("a `b` c", [entity("code", 0, 7)], "``a `b` c``"),
        ("`b`", [entity("code", 0, 3)], "`` `b` ``"),
        ("under secret", [entity("underline", 0, 5), entity("spoiler", 6, 6)], "under secret"),
        ("@ann #tag /start", [entity("mention", 0, 4), entity("hashtag", 5, 4)], "@ann #tag /start"),
        (
            "our site",
            [entity("text_link", 4, 4, url="https://x.ua/?a=1&b=2")],
            "our [site](https://x.ua/?a=1&b=2)",
        ),
        (
            "a [b] c",
            [entity("text_link", 0, 7, url="https://x.ua/(1) 2")],
            r"[a \[b\] c](https://x.ua/%281%29%202)",
        ),
        ("bad", [entity("text_link", 0, 3, url="javascript:alert(1)")], "bad"),
        # UTF-16 units: an emoji is two, a flag four
        ("😀 bold", [entity("bold", 3, 4)], "😀 **bold**"),
        ("🇺🇦🇺🇦 x", [entity("italic", 9, 1)], "🇺🇦🇺🇦 *x*"),
        ("😀😀", [entity("bold", 2, 2)], "😀**😀**"),
        # nested, as Telegram allows
        ("bold italic", [entity("bold", 0, 11), entity("italic", 5, 6)], "**bold *italic***"),
        ("all", [entity("bold", 0, 3), entity("italic", 0, 3)], "***all***"),
        (
            "see our *site* now",
            [entity("bold", 0, 18), entity("text_link", 8, 6, url="https://x.ua")],
            r"**see our [\*site\*](https://x.ua) now**",
        ),
        # white space at the ends and line breaks
        ("a bold  b", [entity("bold", 1, 7)], "a **bold**  b"),
        ("one\ntwo\n\nthree", [entity("bold", 0, 14)], "**one**\n**two**\n\n**three**"),
        ("  indented", [entity("bold", 0, 10)], "**indented**"),
        # blocks
        ("x = 1", [entity("pre", 0, 5, language="python")], "```python\nx = 1\n```"),
        ("a ``` b", [entity("pre", 0, 7)], "````\na ``` b\n````"),
        ("so:\nx\n\ny\nok", [entity("pre", 4, 4)], "so:\n\n```\nx\n\ny\n```\n\nok"),
        ("he said\nyes\nand no", [entity("blockquote", 0, 11)], "> he said\n> yes\n\nand no"),
        (
            "quoted bold\nmine",
            [entity("expandable_blockquote", 0, 11), entity("bold", 7, 4)],
            "> quoted **bold**\n\nmine",
        ),
        ("try x\nok", [entity("blockquote", 0, 8), entity("pre", 4, 1)], "> try\n>\n> ```\n> x\n> ```\n>\n> ok"),
        # what Markdown cannot say goes without its marks, and the rest keeps them
        ("«Увага!»текст", [entity("bold", 0, 8)], "«Увага!»текст"),
        ("(x)y and code", [entity("bold", 0, 3), entity("code", 9, 4)], "(x)y and `code`"),
        # senseless places
        (
            "short",
            [entity("bold", 90, 5), entity("bold", -1, 3), entity("bold", 1, -2), entity("bold", 2, 0)],
            "short",
        ),
        ("short", [entity("bold", 0, 999)], "**short**"),
    ],
)
def test_formatting_becomes_markdown(text, entities, markdown):
    assert converted(text, *entities) == markdown
    assert shown(markdown) == letters(text)
