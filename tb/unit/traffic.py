"""Random traffic for a site: vectors on its streams and instructions for its queues, with what must come of it."""

import random
from collections.abc import Callable, Sequence

from tb.unit.site import SETTLE_CYCLES, Row, Shown, idle
from tb.unit.site_model import SiteModel
from tsp import isa
from tsp.config import ChipConfig
from tsp.floorplan import Queue

TRIES = 12
"""Proposals for a queue and a cycle before it stays idle."""

Propose = Callable[[random.Random, Queue], int]
"""A word for a queue, legal as a word."""


def random_vector(rng: random.Random, lanes: int) -> int:
    """Bytes of one character: any, small numbers, extremes, or all zero."""
    kind = rng.randrange(6)
    if kind == 0:
        return 0
    if kind == 1:
        return int.from_bytes(bytes(rng.choices((0x00, 0x01, 0x7F, 0x80, 0xFF), k=lanes)), "little")
    if kind == 2:
        return int.from_bytes(bytes(rng.choices(range(40), k=lanes)), "little")
    return rng.getrandbits(8 * lanes)


def operands(config: ChipConfig) -> list[int]:
    """The stream operands of both directions."""
    return [direction << isa.STREAM_DIRECTION_BIT | i for direction in (0, 1) for i in range(config.streams)]


def arrivals(rng: random.Random, streams: Sequence[int], lanes: int, density: float) -> dict[int, int]:
    """Vectors on a share of some streams."""
    return {operand: random_vector(rng, lanes) for operand in streams if rng.random() < density}


def payload(queue: Queue, word: int) -> int:
    """The bits of a word that the ICU hands to a slice."""
    return word & (1 << isa.PAYLOAD_BITS[queue.kind]) - 1


class Traffic:
    """Makes rows for a model and keeps what the model says of them.

    Args:
        queues: those of the site, in its order; ``propose`` makes a word for one of them.
        streams: stream operands that can arrive, with vectors of ``lanes`` bytes.
    """

    def __init__(
        self, model: SiteModel, rng: random.Random, queues: Sequence[Queue], propose: Propose, streams: Sequence[int],
        lanes: int,
    ):  # fmt: skip
        self.model, self.rng, self.queues, self.propose = model, rng, queues, propose
        self.streams, self.lanes = streams, lanes
        self.rows: list[Row] = []
        self.want: list[Shown] = []

    def add(self, row: Row) -> None:
        """One more row."""
        self.rows.append(row)
        self.want.append(self.model.step(row))

    def legal(self, cycles: int, density: float = 0.8) -> None:
        """Rows without a fault, each queue busy in up to a share ``density`` of the cycles."""
        for _ in range(cycles):
            row = self._row(density)
            for number, queue in enumerate(self.queues):
                if self.rng.random() < density:
                    self._issue_legal(row, number, queue)
            self.add(row)

    def mistaken(self, cycles: int, density: float) -> None:
        """Rows of legal words that do not care what is on the streams, nor about each other."""
        for _ in range(cycles):
            row = self._row(density)
            for number, queue in enumerate(self.queues):
                if self.rng.random() < density:
                    word = payload(queue, self.propose(self.rng, queue))
                    if self.foreseen(row, word):
                        row.instructions[number] = word
            self.add(row)

    def foreseen(self, row: Row, word: int) -> bool:
        """Whether the model can say which faults a word raises in this row."""
        return True

    def settle(self) -> None:
        """Rows in which everything that is under way comes to its end."""
        for row in idle(SETTLE_CYCLES):
            self.add(row)

    def issued(self) -> int:
        """How many instructions there are in all."""
        return sum(len(row.instructions) for row in self.rows)

    def faults(self) -> int:
        """How many fault pulses there must be."""
        return sum(shown.fault is not None for shown in self.want)

    def _row(self, density: float) -> Row:
        return Row({}, arrivals(self.rng, self.streams, self.lanes, density))

    def _issue_legal(self, row: Row, number: int, queue: Queue) -> None:
        for _ in range(TRIES):
            word = payload(queue, self.propose(self.rng, queue))
            instruction = isa.decode(word)
            assert instruction is not None
            if self.model.legal(row, number, instruction):
                row.instructions[number] = word
                return
