"""Two things timed in turn, so that a machine that slows down slows both."""

import dataclasses
import statistics
from collections.abc import Callable


@dataclasses.dataclass(frozen=True)
class Pairs:
    """Times of two things, measured in turn: (first, second) in each entry."""

    times: list[tuple[float, float]]

    @property
    def ratio(self) -> float:
        """First over second: the median of the neighbours' ratios."""
        return statistics.median(first / second for first, second in self.times)

    @property
    def medians(self) -> tuple[float, float]:
        first, second = zip(*self.times, strict=True)
        return statistics.median(first), statistics.median(second)

    def details(self, first: str, second: str) -> dict[str, object]:
        """Medians and number of repeats, for a row."""
        return {first: self.medians[0], second: self.medians[1], "repeats": len(self.times)}


def interleave(first: Callable[[], float], second: Callable[[], float], repeats: int) -> Pairs:
    """Call both in turn, ``repeats`` times, the order changing each time. Each returns its time."""
    times = []
    for i in range(repeats):
        if i % 2:
            late = second()
            times.append((first(), late))
        else:
            early = first()
            times.append((early, second()))
    return Pairs(times)
