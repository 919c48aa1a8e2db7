"""What must come of an illegal program."""

import dataclasses

COLLISION, BANK_CONFLICT, OPERAND_ABSENT, ILLEGAL_INSTRUCTION, GATHER_ADDRESS, PERMUTE_MAP = 1, 2, 3, 5, 6, 7
"""Kinds of faults (docs/architecture.md, section 5), written down again: the expectation is to be independent."""


@dataclasses.dataclass(frozen=True)
class Expectation:
    """What must come of an illegal program.

    Attributes:
        mistake: the class of the mistake.
        rule: the checker's rule it breaks.
        fault: (cycle, queue, kind) of the first run-time fault; None if there is none.
        ends: the program comes to an end on the machine.
        runs: what the machine does is defined, up to the fault if there is one.
    """

    mistake: str
    rule: str
    fault: tuple[int, int, int] | None = None
    ends: bool = True
    runs: bool = True
