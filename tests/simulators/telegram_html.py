"""Reading Telegram's HTML mode as strictly as its servers do, and more so."""

import re
from html import unescape

TOKEN = re.compile(
    r"""
      <(?P<end>/?)(?P<tag>[a-z-]+)(?P<attributes>(?:\ [a-z]+="[^"<>]*")*)>
    | (?P<entity>&(?:lt|gt|amp|quot|\#[0-9]+|\#x[0-9a-fA-F]+);)
    | (?P<text>[^<>&]+)
    """,
    re.X,
)
TAGS = {"b", "strong", "i", "em", "u", "ins", "s", "strike", "del", "code", "pre", "a", "blockquote", "tg-spoiler"}
LINK = re.compile(r' href="(?:https?|tg|mailto|tel):[^"]+"')


def read_html(html: str) -> str:
    """The text a customer sees. Raises ValueError with Telegram's sentence."""
    text, opened, at = "", list[str](), 0
    while at < len(html):
        token = TOKEN.match(html, at)
        if token is None:
            raise ValueError(f"can't parse entities: unexpected character at byte offset {at}")
        at = token.end()
        if token["text"] or token["entity"]:
            text += token["text"] or unescape(token["entity"])
        elif token["end"]:
            if not opened or opened.pop() != token["tag"] or token["attributes"]:
                raise ValueError(
                    f'can\'t parse entities: unexpected end tag at byte offset {at}, "{token["tag"]}"'
                )
        else:
            check_start(token["tag"], token["attributes"], opened)
            opened.append(token["tag"])
    if opened:
        raise ValueError(f"can't parse entities: can't find end tag corresponding to start tag \"{opened[-1]}\"")
    return text


def check_start(tag: str, attributes: str, opened: list[str]) -> None:
    problem = ""
    if tag not in TAGS:
        problem = "unsupported start tag"
    elif tag == "a" and not LINK.fullmatch(attributes):
        problem = "a link needs an address"
    elif tag not in ("a", "code") and attributes:
        problem = "unexpected attributes"
    elif tag == "code" and attributes and (opened[-1:] != ["pre"] or 'class="language-' not in attributes):
        problem = "only code in pre has a language"
    elif "code" in opened or ("pre" in opened and not (tag == "code" and opened[-1] == "pre")):
        problem = "code holds no other tags"
    elif tag == "blockquote" and "blockquote" in opened:
        problem = "blockquotes cannot be nested"
    if problem:
        raise ValueError(f'can\'t parse entities: {problem} "{tag}"')
