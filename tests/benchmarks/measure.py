"""Rounds of a measurement, and how variants take turns so that a noisy machine is noisy for all of them."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tests.benchmarks.report import progress


@dataclass(frozen=True)
class Round:
    """One short measurement; `seconds` are of each single request or message, where they were taken."""

    per_second: float
    seconds: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Series:
    """All rounds of one variant."""

    rounds: Sequence[Round]

    @property
    def per_second(self) -> float:
        return statistics.median(self._rates)

    @property
    def lowest(self) -> float:
        return min(self._rates)

    @property
    def highest(self) -> float:
        return max(self._rates)

    @property
    def _rates(self) -> list[float]:
        return [one.per_second for one in self.rounds]

    def percentile(self, percent: int) -> float:
        """Return the median over the rounds of a percentile, in seconds."""
        return statistics.median(percentile(one.seconds, percent) for one in self.rounds)


def interleaved(what: str, variants: Mapping[str, Callable[[], Round]], rounds: int) -> dict[str, Series]:
    """Measure all variants in turn, `rounds` times over: A B C A B C."""
    taken: dict[str, list[Round]] = {name: [] for name in variants}
    for number in range(1, rounds + 1):
        for name, variant in variants.items():
            progress(f"{what}: {name}, round {number} of {rounds}")
            taken[name].append(variant())
    return {name: Series(series) for name, series in taken.items()}


def percentile(values: Sequence[float], percent: int) -> float:
    """Return the smallest value that `percent` of all do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]
