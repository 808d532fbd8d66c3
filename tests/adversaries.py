"""How hard the adversaries try: a few seconds in every run of the tests, much longer where time is given.

    ADVERSARIES=20 .venv/bin/python -m pytest tests/messaging/test_lane_machine.py

tries twenty times as much.
"""

import os
from typing import Any

from hypothesis import HealthCheck, settings

EFFORT = int(os.environ.get("ADVERSARIES", "1"))


def effort(max_examples: int, **more: Any) -> settings:
    """The settings of a search that shares its database and server between examples."""
    return settings(
        max_examples=max_examples * EFFORT,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
        **more,
    )
