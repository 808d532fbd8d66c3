"""`docs/security.md` names a test for each threat, and each of them exists."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
TEXT = (ROOT / "docs/security.md").read_text()


def test_every_test_it_names_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", TEXT)
    assert len(named) > 30
    for file, function in named:
        assert f"def {function}" in (ROOT / file).read_text() if function else (ROOT / file).is_file(), file


def test_every_part_of_the_product_it_names_exists() -> None:
    named = re.findall(r"`((?:config|portals|externallines|messaging|console)/[\w/]+\.py)`", TEXT)
    assert len(named) > 10
    assert [file for file in named if not (ROOT / file).is_file()] == []


def test_every_threat_has_a_test() -> None:
    rows = re.findall(
        r"^\| (.+?) \| (.+?) \|(.*)\|$", TEXT.partition("## Threats")[2].partition("## ")[0], re.MULTILINE
    )
    untested = [threat for threat, _defence, shown_by in rows if "test" not in shown_by and threat != "threat"]
    assert untested == ["a package changed by a stranger"]
