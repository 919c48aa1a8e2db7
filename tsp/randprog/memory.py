"""Memory of a random program: which words it uses, when they are defined, what they hold at the start."""

import random
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
from numpy.typing import NDArray

from tsp.config import ChipConfig
from tsp.floorplan import Queue
from tsp.program import Image
from tsp.randprog import values

REGION = 4
"""Words of each of the three places programs use: the first, around the border of the banks, the last."""


class Memory:
    """Words in use. A word that is read before anything writes it becomes part of the image."""

    def __init__(self, config: ChipConfig, rng: random.Random, log: Callable[[Callable[[], object]], None]):
        self.config, self.rng, self.log = config, rng, log
        self.half = config.mem_words // 2
        ends = {0: REGION, self.half - REGION // 2: REGION, config.mem_words - REGION: REGION}
        self.pool = sorted({a for lo, n in ends.items() for a in range(lo, lo + n) if 0 <= a < config.mem_words})
        self.image: dict[tuple[int, int], NDArray[np.uint8]] = {}
        self._written: dict[tuple[int, int], int] = {}
        """(slice, word) → the first cycle in which a READ sees a WRITE."""

    def addresses(self, count: int, bank: int | None = None) -> tuple[int, int]:
        """First address and step of ``count`` accesses, all in one bank if one is given."""
        words = [a for a in self.pool if bank is None or a // self.half == bank]
        for _ in range(4):
            start = self.rng.choice(words)
            step = self.rng.choice((-2, -1, -1, 0, 1, 1, 2))
            if count == 2 and self.rng.random() < 0.2:
                step = self.rng.choice(words) - start
            if all(start + i * step in words for i in range(count)):
                return start, step if count > 1 else 0
        return start, 0

    def fresh(self, slice_: int, count: int) -> tuple[int, int]:
        """Like :meth:`addresses`, of words that are not in the image yet if there are any."""
        start, step = self.addresses(count)
        for _ in range(4):
            if all((slice_, start + i * step) not in self.image for i in range(count)):
                break
            start, step = self.addresses(count)
        return start, step

    def constant(self, queue: Queue, words: list[NDArray[np.uint8]]) -> int:
        """First of adjacent words that nothing else ever uses, and that hold these from the start; -1 if none are left.

        The words that :meth:`addresses` gives out may be written, or hold something already.
        """
        count = len(words)
        for start in range(self.config.mem_words - count + 1):
            run = range(start, start + count)
            if not any(a in self.pool or (queue.slice, a) in self.image for a in run):
                for address, word in zip(run, words, strict=True):
                    self.image[queue.slice, address] = word
                    self.log(partial(self.image.pop, (queue.slice, address)))
                return start
        return -1

    def read(self, queue: Queue, word: int, time: int, data: NDArray[np.uint8] | None = None) -> None:
        """A READ in cycle ``time``; ``data`` is what the word should hold if it is still undefined."""
        key = (queue.slice, word)
        if key in self.image or self._written.get(key, time + 1) <= time:
            return
        self.image[key] = values.byte_vector(self.rng, self.config.lanes) if data is None else data
        self.log(lambda: self.image.pop(key))

    def write(self, queue: Queue, word: int, time: int, seen: int) -> None:
        """A WRITE in cycle ``time``; reads from cycle ``seen`` on see it."""
        key, before = (queue.slice, word), self._written.get((queue.slice, word))
        self._written[key] = seen if before is None else min(before, seen)
        self.log(lambda: self._written.pop(key) if before is None else self._written.update({key: before}))

    def undefined(self, queue: Queue, word: int) -> bool:
        """Whether nothing ever defines a word."""
        return (queue.slice, word) not in self.image and (queue.slice, word) not in self._written

    def images(self, others: Mapping[tuple[int, int], NDArray[np.uint8]]) -> dict[int, Image]:
        """Place → image, for a program; ``others``: (slice, word) → what is there in place of what was booked."""
        places: dict[int, dict[int, NDArray[np.uint8]]] = {}
        for (place, word), data in (self.image | dict(others)).items():
            places.setdefault(place, {})[word] = data
        return {place: Image.of(words, self.config.lanes) for place, words in places.items()}
