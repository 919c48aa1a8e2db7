"""Queues of random programs of which the last words come from memory."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tsp import isa
from tsp.config import ChipConfig
from tsp.fetched import arrivals, vectors

Timed = Sequence[tuple[int, int]]
"""(cycle a word dispatches in, word)."""


@dataclasses.dataclass(frozen=True)
class Fetch:
    """An IFETCH in cycle ``time`` of a queue, of ``count`` vectors from ``address`` on in slice ``place``."""

    queue: int
    time: int
    count: int
    place: int
    address: int


def word(operand: int, count: int) -> int:
    """IFETCH as a word."""
    return isa.instruction("IFETCH", stream=operand, n=count).encode()


def move(words: Timed, fetch: Fetch, config: ChipConfig) -> tuple[list[int], NDArray[np.uint8] | None]:
    """The words that stay in the queue, and as vectors [count, lanes] those that the fetch brings: the last ones, if
    there are enough and all are there in time. Otherwise nothing is fetched, and the IFETCH becomes a NOP."""
    size = fetch.count * config.superlanes
    at = next(i for i, (time, _) in enumerate(words) if time == fetch.time)
    there = arrivals(fetch.time, fetch.count, config)
    tail = words[at + 1 :][-size:]
    plain = [word for _, word in words]
    if len(tail) < size or any(time < earliest for (time, _), earliest in zip(tail, there, strict=True)):
        plain[at] = isa.instruction("NOP", n=fetch.count).encode()
        return plain, None
    data = vectors(plain[-size:], config)
    return plain[:-size], np.array([np.frombuffer(vector, np.uint8) for vector in data])
