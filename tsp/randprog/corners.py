"""Corner cases by turns: each seed takes its share of a list that has every one, so that a few dozen seeds have all."""

import itertools
from functools import lru_cache

from tsp import isa_rules
from tsp.config import ChipConfig
from tsp.floorplan import EAST, WEST
from tsp.isa import CONDITIONS, FLOAT_ONLY, FLOAT_TYPES, INTEGER_TYPES, OPERAND_NAMES, OperandKind, Operation, Type
from tsp.randprog import values
from tsp.randprog.vxm import SHIFTS, Wanted

SHARE = 16
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
    forms = [
        Wanted(op, kinds, is_float=is_float)
        for op in operations
        for kinds in itertools.product(KINDS, repeat=op.arity)
        for is_float in map(bool, isa_rules.stream_types(op, config))
    ]
    results = _floats(operations, config)
    for saturate, type_, direction, op in itertools.product((0, 1), INTEGER_TYPES, (EAST, WEST), operations):
        if op.mnemonic in FLOAT_ONLY:
            continue
        for second in (values.ENDS, values.SHIFTS) if op.mnemonic in SHIFTS else (values.ENDS,):
            kinds, types = (OperandKind.STREAM,) * op.arity, (Type.INT32,) * op.arity
            data = (values.ENDS, second, values.ENDS)
            results.append(Wanted(op, kinds, types, data, saturate, (type_, direction), False))
    longer, shorter = sorted((forms, results), key=len, reverse=True)
    mixed = itertools.zip_longest(longer, shorter)
    return tuple(wanted for pair in mixed for wanted in pair if wanted is not None)


def _floats(operations: list[Operation], config: ChipConfig) -> list[Wanted]:
    """Every result of every operation in fp32 from the boundary values of both types, and conversions to them."""
    found = []
    for saturate, of, direction, op in itertools.product((0, 1), FLOAT_TYPES, (EAST, WEST), operations):
        for type_ in isa_rules.stream_types(op, config).get(1, ()):
            names = OPERAND_NAMES[: op.arity]
            integers = [CONDITIONS.get(op.mnemonic) == name for name in names]
            types = tuple(Type.INT32 if integer else of for integer in integers)
            ends = values.FLOAT_ENDS[of]
            if op.arity > 1:
                ends = tuple(ends[i] for i in values.PAIRED)
            elif of == Type.FP32:
                ends += values.FLOAT_NEAR
            data = tuple(values.ENDS if integer else ends for integer in integers)
            kinds = (OperandKind.STREAM,) * op.arity
            found.append(Wanted(op, kinds, types, data, saturate, (type_, direction), True))
    for saturate, of, direction, op in itertools.product((0, 1), INTEGER_TYPES, (EAST, WEST), operations):
        if op.mnemonic == "CONVERT" and config.vxm_float:
            data = ((*values.boundary(of), *values.ENDS) if of == Type.INT32 else values.boundary(of),)
            for type_ in FLOAT_TYPES:
                found.append(Wanted(op, (OperandKind.STREAM,), (of,), data, saturate, (type_, direction), False))
    return found
