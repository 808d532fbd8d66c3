"""On a process's PYTHONPATH: its clock is wrong by the seconds of `CLOCK_SKEW`, from the first line on."""

import os
from datetime import UTC, datetime, timedelta

import time_machine

time_machine.travel(datetime.now(UTC) + timedelta(seconds=float(os.environ["CLOCK_SKEW"])), tick=True).start()
