"""How much a program does at once."""

import dataclasses
from collections import defaultdict

from tsp import isa
from tsp.dispatch import Burst, unroll
from tsp.floorplan import floorplan
from tsp.program import Program
from tsp.timing import timing

FILLERS = {isa.BY_MNEMONIC[name].opcode for name in ("NOP", "REPEAT")}


@dataclasses.dataclass(frozen=True)
class Density:
    """``instructions``: words other than NOP and REPEAT; ``queues``: queues that command a slice; ``busy``: share of
    cycles in which two or more of MEM, VXM, MXM and SXM dispatch; ``cycles``: the program's cycle count."""

    instructions: int
    queues: int
    busy: float
    cycles: int

    def reaches(self, least: "Density") -> bool:
        """Whether instructions, queues and busy share are all at least those of ``least``."""
        return self.instructions >= least.instructions and self.queues >= least.queues and self.busy >= least.busy

    def __str__(self) -> str:
        return (
            f"{self.instructions} instructions, {self.queues} queues, "
            f"{self.busy:.0%} of {self.cycles} cycles with two or more units active"
        )


MINIMUM = Density(instructions=200, queues=8, busy=0.30, cycles=0)
"""What :func:`tsp.randprog.legal` reaches."""


def density(program: Program) -> Density:
    """The density of a program."""
    plan = floorplan(program.config)
    instructions = sum(word & 0xFF not in FILLERS for words in program.queues.values() for word in words)
    units: dict[int, set[str]] = defaultdict(set)
    queues, cycles = set(), 0
    for burst in unroll(dict(program.queues), program.config).bursts:
        queues.add(burst.queue)
        unit = plan.queues[burst.queue].kind.split("_")[0]
        for i in range(burst.count):
            units[burst.start + i * burst.interval].add(unit)
        func = _event(burst, program)
        if func is not None:
            cycles = max(cycles, burst.end - 1 + func + 1)
    busy = sum(len(found) >= 2 for cycle, found in units.items() if cycle < cycles)
    return Density(instructions, len(queues), busy / cycles if cycles else 0.0, cycles)


def _event(burst: Burst, program: Program) -> int | None:
    """Cycles from an instruction to its last event; None if it has none."""
    table, instruction = timing(program.config), burst.instruction
    if instruction.mnemonic in ("READ", "READ_WRITE", "GATHER"):
        return table.read_func
    if instruction.mnemonic in ("WRITE", "SCATTER"):
        return table.write_skew
    if instruction.operation in isa.ALU_OPERATIONS:
        return table.alu_func if instruction["to_stream"] else None
    if instruction.operation.queues[0] in isa.SXM_KINDS:
        return table.sxm_result(instruction.operation.queues[0])
    return table.acc_func if instruction.mnemonic == "ACC" and instruction["out"] else None
