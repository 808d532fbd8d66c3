"""JSON from outside: every string that comes of it can be stored."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portals.payload import InvalidPayload, parse_json


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r'"a\u0000b"', "ab"),
        (r'"a\ud83db"', "a\N{REPLACEMENT CHARACTER}b"),
        (r'"\uDEADb"', "\N{REPLACEMENT CHARACTER}b"),
        ('"\ud83d"', "\N{REPLACEMENT CHARACTER}"),
        (b'"\xed\xa0\xbd"', "\N{REPLACEMENT CHARACTER}"),
        (r'{"a\u0000": ["\ud83d"]}', {"a": ["\N{REPLACEMENT CHARACTER}"]}),
        (r'"\ud83d\ude00"', "\N{GRINNING FACE}"),
        (r'"\\u0000"', r"\u0000"),
        ('{"ї": "€"}'.encode("utf-16"), {"ї": "€"}),
    ],
)
def test_what_cannot_be_stored_is_dropped_and_all_else_kept(text: str | bytes, value: object) -> None:
    assert parse_json(text) == value


@given(st.text(st.characters()), st.booleans())
def test_any_string_can_be_stored(text: str, ascii_only: bool) -> None:
    parsed = parse_json(json.dumps(text, ensure_ascii=ascii_only))

    assert "\x00" not in parsed
    assert parsed.encode().decode() == parsed


@pytest.mark.parametrize("text", ["", "{", "NaN", '"\x00"', b"\xff\xff", "[" * 100_000])
def test_what_is_no_json_is_named(text: str | bytes) -> None:
    with pytest.raises(InvalidPayload, match="The body is not JSON."):
        parse_json(text)
