"""A plain reading of docs/architecture.md section 6: schedule time and counters while the HAC drifts."""

import random
from collections.abc import Callable, Iterable

from tb.unit.icu_programs import Wait

Steps = Callable[[int], int]
"""HAC addition of a cycle, counted from reset: 0, 1 or 2."""


class ScheduleClock:
    """Schedule time and counters in every cycle, from the waits of a program; counts with unbounded numbers.

    Attributes:
        cycle: cycles since reset.
        negative: schedule time → queue of RUNTIME_DESKEWs whose wait would be negative.
    """

    def __init__(self, waits: Iterable[Wait], steps: Steps, period: int):
        self._waits, self._steps, self._period = {wait.cycle: wait for wait in waits}, steps, period
        self._hac = self._sac = self._delta = 0
        self._now: int | None = None
        self._until: int | None = None
        """The cycle a RUNTIME_DESKEW ends in."""
        self.cycle = 0
        self.negative: dict[int, int] = {}

    def begin(self) -> None:
        """This is cycle 0 of the program."""
        self._now = 0

    def shown(self) -> tuple[int | None, int, int, int]:
        """Schedule time, HAC, SAC and δ in this cycle."""
        return self._now, self._hac % self._period, self._sac % self._period, self._delta

    def tick(self) -> None:
        """To the next cycle."""
        step = self._steps(self.cycle)
        epoch = (self._hac + step) // self._period > self._hac // self._period
        sampled, wait = 0, None if self._now is None else self._waits.get(self._now)
        self._hac, self._sac, self.cycle = self._hac + step, self._sac + 1, self.cycle + 1
        if self._now is not None and wait is None:
            self._now += 1
        elif self._now is not None and wait is not None and wait.t is None:
            if epoch:
                self._now += 1
                self._sac, self._delta, step = self._hac, 0, 1
        elif self._now is not None and wait is not None and wait.t is not None:
            if self._until is None:
                sampled = self._delta
                if wait.t + sampled < 0:
                    self.negative[wait.cycle] = wait.queue
                self._until = self.cycle + max(wait.t + sampled, 0)
                self._sac -= sampled
            if self.cycle == self._until:
                self._now, self._until = self._now + 1 + wait.t, None
        self._delta += 1 - step - sampled


def steady(cycle: int) -> int:
    """A HAC that does not drift."""
    return 1


def wandering(rng: random.Random) -> Steps:
    """Random HAC additions whose drift changes sign now and then; every 6,000 cycles they come again."""
    values: list[int] = []
    for _ in range(60):
        fast, slow = rng.choice([(0.3, 0.0), (0.0, 0.3), (0.1, 0.1), (0.0, 0.0), (0.9, 0.0)])
        values += rng.choices([0, 1, 2], [slow, 1 - fast - slow, fast], k=100)
    return lambda cycle: values[cycle % len(values)]
