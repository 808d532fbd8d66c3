"""What every channel has from the base of them all."""

import pytest

from externallines.channels.viber import Viber

KEY = "6b1f6e4c-6f0c-4a0e-9c55-0a0b0c0d0e0f"
HOOK = f"https://lines.example.com/webhooks/lines/{KEY}"


@pytest.mark.parametrize(
    ("held", "ours"),
    [
        (HOOK, True),
        (f"https://old.example.com/prefix/webhooks/lines/{KEY}", True),
        (f"{HOOK[:-1]}a", False),
        ("https://chat.example.org/hook", False),
        ("https://chat.example.org/", False),
        ("https://[", False),
        ("", False),
    ],
)
def test_a_webhook_is_known_by_the_key_of_its_line(held: str, ours: bool) -> None:
    assert Viber({}, HOOK).is_ours(held) is ours


@pytest.mark.parametrize("held", ["", "https://chat.example.org/", HOOK])
def test_who_has_no_webhook_owns_none(held: str) -> None:
    assert not Viber({}).is_ours(held)
