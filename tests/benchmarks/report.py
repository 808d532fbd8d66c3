"""What the benchmarks print: progress on stderr while they work, calm tables on stdout at the end."""

import os
import platform
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg

HOW_TO_READ = (
    "Medians of interleaved rounds, with the lowest and the highest round. Load, servers and databases share the"
    "\nmachine: trust the ratios within a table, not the figures. More in docs/performance.md."
)

_started = time.monotonic()


@dataclass(frozen=True)
class Table:
    """Rows under a header; the first column is text, the others are figures."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    remark: str = ""

    def __str__(self) -> str:
        lines = [self.header, *self.rows]
        widths = [max(len(line[column]) for line in lines) for column in range(len(self.header))]
        text = [self.title, ""]
        for line in lines:
            figures = (cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True))
            text.append("   ".join([f"  {line[0].ljust(widths[0])}", *figures]).rstrip())
        if self.remark:
            text += ["", f"  {self.remark}"]
        return "\n".join(text)


def progress(what: str) -> None:
    """Say what is done now; on a terminal each line replaces the last."""
    line = f"[{time.monotonic() - _started:3.0f} s] {what}"
    print(*((f"\r\033[K{line}",) if sys.stderr.isatty() else (f"{line}\n",)), end="", file=sys.stderr, flush=True)


def done() -> None:
    """End the progress."""
    progress("")
    print(file=sys.stderr)


def machine(database_url: str) -> str:
    """Return on what the figures were taken."""
    with psycopg.connect(database_url) as connection:
        version = connection.info.server_version // 10_000
    load = os.getloadavg()[0]
    return (
        f"{os.cpu_count()} cores ({_processor()}), Python {platform.python_version()}, PostgreSQL {version};"
        f" load average {load:.1f} before the start"
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else ():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def rate(per_second: float) -> str:
    return f"{per_second:,.0f}"


def span(lowest: float, highest: float) -> str:
    return f"{lowest:,.0f}-{highest:,.0f}"


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.1f}"


def ratio(part: float, whole: float) -> str:
    return f"{part / whole:.2f}"
