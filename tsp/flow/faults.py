"""Run-time faults of a program on a chip whose clocks do not drift, and which is the first (docs, section 5)."""

from typing import NamedTuple

import numpy as np

from tsp.dispatch import Mistake
from tsp.flow.issues import Ints

COLLISION, BANK_CONFLICT, OPERAND_ABSENT, RUN_DRY, ILLEGAL_INSTRUCTION = 1, 2, 3, 4, 5
GATHER_ADDRESS, PERMUTE_MAP, ECC_UNCORRECTABLE = 6, 7, 8
LINK_UNCORRECTABLE, LINK_UNDERRUN = 11, 13
KINDS = {
    1: "collision",
    2: "bank_conflict",
    3: "operand_absent",
    4: "run_dry",
    5: "illegal_instruction",
    6: "gather_address",
    7: "permute_map",
    8: "ecc_uncorrectable",
    9: "deskew_negative",
    10: "drift_saturated",
    11: "link_uncorrectable",
    12: "link_overrun",
    13: "link_underrun",
    14: "link_silent",
    15: "link_unexpected",
}
NO_QUEUE = 255
"""Queue of a fault that no queue causes."""


class Fault(NamedTuple):
    """What the machine latches; sorts in the order of precedence: cycle, then queue, then kind."""

    cycle: int
    queue: int
    kind: int

    @property
    def name(self) -> str:
        """The kind in words."""
        return KINDS[self.kind]


def rows(kind: int, cycle: Ints, queue: Ints) -> Ints:
    """int64 [n, 3] rows (cycle, queue, kind)."""
    return np.stack([cycle, queue, np.full(len(cycle), kind, np.int64)], axis=1)


def of_mistakes(mistakes: list[Mistake]) -> Ints:
    """Rows of illegal words, of issues that leave their range, and of what goes wrong with IFETCHes."""
    kinds = {"illegal": ILLEGAL_INSTRUCTION, "step": ILLEGAL_INSTRUCTION, "dry": RUN_DRY, "path": COLLISION}
    found = [(m.cycle, m.queue, kinds[m.kind]) for m in mistakes if m.kind in kinds]
    return np.asarray(found, np.int64).reshape(-1, 3)


def ordered(tables: list[Ints]) -> list[Fault]:
    """All faults, the first first, each once."""
    table = np.concatenate([np.zeros((0, 3), np.int64), *tables])
    if not len(table):
        return []
    return [Fault(*row) for row in np.unique(table, axis=0).tolist()]
