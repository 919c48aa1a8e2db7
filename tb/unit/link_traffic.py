"""Random traffic on a link, and what goes wrong with it on the way."""

import random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tb.unit.link_loop import LinkLoop
from tb.unit.link_model import READY, Cycles
from tb.unit.window import cycles_of

WORD_BITS = 128


class Traffic:
    """Inputs of a :class:`LinkLoop` being put together, cycle by cycle.

    Attributes:
        rows: the inputs. headers: the cycles in which SENDs' headers are on the pins.
    """

    def __init__(self, rng: random.Random, superlanes: int, cycles: int):
        self.rng, self.superlanes = rng, superlanes
        self._numbers = np.random.default_rng(rng.getrandbits(64))
        self.rows: Cycles = np.zeros(cycles, cycles_of(LinkLoop(superlanes), True))
        self.rows["here"] = 1
        self.rows["word"] = self._numbers.integers(0, 256, (cycles, 16))
        self.headers: list[int] = []
        self._count_hacs()

    def _count_hacs(self) -> None:
        """Two HACs that begin anywhere and are stepped at times."""
        cycles = len(self.rows)
        for name in ("hac_next", "hac_now", "epoch_next"):
            steps = self._numbers.choice([0, 1, 2], cycles, p=[0.05, 0.9, 0.05])
            self.rows[name] = self.rng.getrandbits(16) + np.cumsum(steps) & 0xFFFF

    def send(self, cycle: int, vector: NDArray[np.uint8] | None = None) -> int:
        """A SEND dispatched in ``cycle``, of any vector by default; the cycle of its header on the pins."""
        arrive = cycle + 1 + 2 * np.arange(self.superlanes)
        self.rows["send"][cycle] = 1
        self.rows["word_valid"][arrive] = 1
        if vector is not None:
            self.rows["word"][arrive] = vector.reshape(-1, 16)
        self.headers.append(cycle + self.superlanes + 4)
        return self.headers[-1]

    def fill(self, share_close: float) -> None:
        """SENDs until near the end, ``share_close`` of them as close together as they may be."""
        cycle, size = self.rng.randrange(1, 9), self.superlanes
        while cycle + 4 * size + 16 < len(self.rows):
            self.send(cycle)
            distance = size + 1
            if self.rng.random() >= share_close:
                distance += self.rng.randrange(3 * size)
            cycle += distance + (distance < 2 * size and distance % 2 == 0)

    def take(self, slack: int) -> None:
        """A RECEIVE for every SEND, at most ``slack`` cycles after the first that may be, at most one in a cycle."""
        last = -1
        for header in self.headers:
            last = max(last + 1, header + self.superlanes + READY + self.rng.randint(0, slack))
            if last < len(self.rows):
                self.rows["take"][last] = 1

    def probe(self, share: float) -> None:
        """Probes and reflections asked for in a share of cycles: taken or not."""
        for name in ("probe", "reflect"):
            self.rows[f"{name}_valid"] = self._numbers.random(len(self.rows)) < share
            self.rows[f"{name}_tag"] = self._numbers.integers(0, 0x10000, len(self.rows))

    def turn(self, word: int, bit: int) -> None:
        """Turn over a bit of the word that is on the pins in cycle ``word``."""
        self.rows["error"][word, bit // 8] ^= 1 << bit % 8

    def turn_some(self, share: float, most: int, last: int | None = None) -> None:
        """Turn over 1 … ``most`` bits, anywhere or among the ``last`` ones, of a share of the vector packets and of as
        many idle words."""
        packets = [(header, WORD_BITS * (self.superlanes + 1)) for header in self.headers]
        for cycle, bits in [*packets, *((cycle, WORD_BITS) for cycle in self.idle())]:
            if self.rng.random() < share:
                few = range(bits if last is None else last)
                for bit in self.rng.sample(few, self.rng.randint(1, most)):
                    bit += bits - len(few)
                    self.turn(cycle + bit // WORD_BITS, bit % WORD_BITS)

    def idle(self) -> list[int]:
        """The cycles with idle words on the pins."""
        idle = np.ones(len(self.rows), bool)
        for header in self.headers:
            idle[header : header + self.superlanes + 1] = False
        return np.flatnonzero(idle).tolist()

    def lose(self, cycles: Any) -> None:
        """No word comes in these cycles."""
        self.rows["here"][cycles] = 0

    def put(self, cycle: int, words: NDArray[np.uint8], gap: int = 0) -> int:
        """These words, uint8 [n, 16], come from ``cycle`` on in place of what is on the pins, none in ``gap`` cycles
        after each; returns the cycle after."""
        after = cycle + len(words) * (1 + gap)
        self.lose(slice(cycle, after))
        for i, word in enumerate(words):
            at = cycle + i * (1 + gap)
            self.rows["here"][at] = self.rows["replace"][at] = 1
            self.rows["error"][at] = word
        return after
