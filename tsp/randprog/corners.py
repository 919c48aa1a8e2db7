"""Corner cases by turns: each seed takes its share of a list that has every one, so that a few dozen seeds have all."""

import itertools
from functools import lru_cache

from tsp import isa_rules
from tsp.config import ChipConfig
from tsp.floorplan import EAST, WEST
from tsp.isa import INTEGER_TYPES, OperandKind, Type
from tsp.randprog import values
from tsp.randprog.vxm import SHIFTS, Wanted

SHARE = 10
"""Corner cases in a program."""

KINDS = (OperandKind.STREAM, OperandKind.IMMEDIATE, OperandKind.ALU)


def corners(seed: int, config: ChipConfig) -> list[Wanted]:
    """The corner cases of a seed."""
    every = _every(config)
    return [every[(seed * SHARE + i) % len(every)] for i in range(SHARE)]


@lru_cache(maxsize=8)
def _every(config: ChipConfig) -> tuple[Wanted, ...]:
    """Every form of every VXM operation; every result of each, from the boundary values of int32; every distance."""
    operations = [op for op in isa_rules.operations("vxm", config) if op.arity]
    forms = [Wanted(op, kinds) for op in operations for kinds in itertools.product(KINDS, repeat=op.arity)]
    results = []
    for saturate, type_, direction, op in itertools.product((0, 1), INTEGER_TYPES, (EAST, WEST), operations):
        for second in (values.ENDS, values.SHIFTS) if op.mnemonic in SHIFTS else (values.ENDS,):
            kinds, types = (OperandKind.STREAM,) * op.arity, (Type.INT32,) * op.arity
            data = (values.ENDS, second, values.ENDS)
            results.append(Wanted(op, kinds, types, data, saturate, (type_, direction)))
    longer, shorter = sorted((forms, results), key=len, reverse=True)
    mixed = itertools.zip_longest(longer, shorter)
    return tuple(wanted for pair in mixed for wanted in pair if wanted is not None)
