"""What the runtime asks of a machine: a system of chips, real or simulated, of which it knows the host ports only."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tsp.dump import Word
from tsp.flow import Fault
from tsp.program import Program
from tsp.system import System


@dataclasses.dataclass(frozen=True)
class Alignment:
    """What came of an alignment.

    Attributes:
        answer: the chips whose host port answers.
        locked: those whose HAC follows its parent's; the root is one of them.
        latency: receiving port, as of :meth:`tsp.system.System.port_name` → L as measured, in cycles, or None if
            nothing good came.
    """

    answer: frozenset[str]
    locked: frozenset[str]
    latency: Mapping[str, float | None]


@dataclasses.dataclass(frozen=True)
class Status:
    """The registers of a chip: whether it is done, its cycles (last event + 1), and its first fault."""

    done: bool
    cycles: int
    fault: Fault | None


class Machine(Protocol):
    """Chips by name, joined as they are. Every call returns within a bounded time, whatever has failed."""

    def align(self, system: System) -> Alignment:
        """Align the HACs of a system's chips down its tree, and measure its links."""

    def load(self, chip: str, program: Program) -> None:
        """Write a program's words and memory."""

    def start(self, chip: str) -> None:
        """Start what was loaded. Children are started before their parents, and the root last."""

    def wait(self, cycles: int) -> Mapping[str, Status | None]:
        """Wait until all started chips are done, but at most so many cycles; their registers, None for a chip that does
        not answer."""

    def words(self, chip: str, words: Iterable[Word]) -> Mapping[Word, NDArray[np.uint8]]:
        """Words of memory, uint8 [16·S], as they are now; without those that were never written."""

    def flush(self) -> None:
        """Stop all chips, clear their faults, and drop what is in receive buffers; numbers of vectors begin anew. HACs
        stay aligned."""
