"""How many superlanes are powered when: what the CONFIGs of a program come to."""

import dataclasses
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from tsp.config import ChipConfig
from tsp.timing import timing


@dataclasses.dataclass(frozen=True)
class Power:
    """Instructions dispatched from ``since[i]`` on act in the first ``count[i]`` superlanes, up to ``since[i + 1]``.

    Attributes:
        since: int64 [n] ascending; the first entry is before every cycle.
        count: int64 [n].
    """

    since: NDArray[np.int64]
    count: NDArray[np.int64]

    @classmethod
    def of(cls, configs: Iterable[tuple[int, int]], config: ChipConfig) -> "Power":
        """What the CONFIGs (cycle, p) make of a chip that starts with all its superlanes."""
        ordered = sorted(configs)
        first, after = np.iinfo(np.int64).min, timing(config).config
        since = np.asarray([first, *(cycle + after for cycle, _ in ordered)], np.int64)
        return cls(since, np.asarray([config.superlanes, *(p for _, p in ordered)], np.int64))

    def at(self, cycle: NDArray[np.int64]) -> NDArray[np.int64]:
        """How many superlanes instructions act in that are dispatched in these cycles."""
        found: NDArray[np.int64] = self.count[np.searchsorted(self.since, cycle, "right") - 1]
        return found
