"""The bins that VXM instructions hit."""

import itertools
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from golden import vxm
from golden.stream import Values
from tb.coverage import sample_float
from tb.coverage.bins import BOUNDARIES, DIRECTIONS, DISTANCES, KINDS, MODES, SHIFTS, Bin
from tsp import isa
from tsp.floorplan import floorplan
from tsp.flow import Flow
from tsp.isa import INTEGER_TYPES, Instruction, OperandKind, Type
from tsp.program import Program

INT32 = Type.INT32


def sample(program: Program, flow: Flow, values: Values, found: Mapping[str, set[Bin]]) -> None:
    """Add what the ALUs of a program do to ``found``."""
    reads = [flow.reads.rows_of(flow.issues, number) for number in range(len(isa.OPERAND_NAMES))]
    for number, burst in enumerate(flow.issues.bursts):
        instruction = burst.instruction
        if not instruction.operation.arity:
            continue
        _form(program, burst.queue, instruction, found)
        is_float = bool(instruction["float"])
        rows = slice(int(flow.issues.first[number]), int(flow.issues.first[number + 1]))
        known: list[NDArray[np.int64] | None] = []
        for operand in range(instruction.operation.arity):
            known.append(_values(instruction, operand, reads[operand][rows], values))
            if known[-1] is not None and is_float:
                sample_float.value(instruction, operand, known[-1], found)
            elif known[-1] is not None:
                _value(instruction, operand, known[-1], found)
        if is_float:
            sample_float.together(instruction, known, found)
        else:
            _together(instruction, known, found)


def _form(program: Program, queue: int, instruction: Instruction, found: Mapping[str, set[Bin]]) -> None:
    mnemonic, names = instruction.mnemonic, isa.OPERAND_NAMES[: instruction.operation.arity]
    kinds = [OperandKind(instruction[f"{name}_kind"]) for name in names]
    found["alu_form"].add((mnemonic, *(KINDS[kind] for kind in kinds)))
    group = "float" if instruction["float"] else "alu"
    for name, kind in zip(names, kinds, strict=True):
        source = instruction[f"{name}_source"]
        if kind == OperandKind.STREAM:
            direction = DIRECTIONS[source >> isa.STREAM_DIRECTION_BIT]
            found[f"{group}_operand"].add((mnemonic, name, Type(instruction[f"{name}_type"]).name, direction))
        elif kind == OperandKind.ALU:
            found["alu_chain"].add((floorplan(program.config).queues[queue].name, f"row {source}"))
    to_stream, to_next = instruction["to_stream"], instruction["to_next"]
    if to_stream:
        direction = DIRECTIONS[instruction["stream"] >> isa.STREAM_DIRECTION_BIT]
        mode = MODES[instruction["saturate"]]
        if group == "float" or instruction["type"] in INTEGER_TYPES:
            found[f"{group}_result"].add((mnemonic, Type(instruction["type"]).name, direction, mode))
    found["alu_target"].add((mnemonic, "both" if to_stream and to_next else "stream" if to_stream else "next"))


def _values(
    instruction: Instruction, operand: int, rows: NDArray[np.int64], values: Values
) -> NDArray[np.int64] | None:
    """An operand's values in every issue, int64 [issues, lanes or 1]; None for the result of an ALU."""
    name = isa.OPERAND_NAMES[operand]
    kind = instruction[f"{name}_kind"]
    if kind == OperandKind.IMMEDIATE:
        return np.full((len(rows), 1), instruction["immediate"], np.int64)
    if kind == OperandKind.ALU:
        return None
    type_ = Type(instruction[f"{name}_type"])
    return vxm.widen(values.slots[values.of_read[rows[:, None] + np.arange(type_.planes)]], type_)


def _ends(type_: Type) -> dict[str, int]:
    half = 1 << (8 * type_.planes - 1)
    return dict(zip(BOUNDARIES, (0, 1, -1, -half, half - 1), strict=True))


def _value(
    instruction: Instruction, operand: int, found_values: NDArray[np.int64], found: Mapping[str, set[Bin]]
) -> None:
    name, mnemonic = isa.OPERAND_NAMES[operand], instruction.mnemonic
    if instruction[f"{name}_kind"] == OperandKind.STREAM:
        type_ = Type(instruction[f"{name}_type"])
        for label, value in _ends(type_).items():
            if (found_values == value).any():
                found["alu_value"].add((mnemonic, name, type_.name, label))
    if mnemonic == "CONVERT" and instruction["to_stream"]:
        sample_float.from_integers(instruction, found_values, found)
        mode = MODES[instruction["saturate"]]
        for type_ in INTEGER_TYPES:
            if type_ == instruction["type"]:
                low, high = _ends(type_)["lowest"], _ends(type_)["highest"]
                cases = {"below": found_values < low, "above": found_values > high}
                cases["in range"] = ~(cases["below"] | cases["above"])
                found["alu_convert"] |= {(type_.name, mode, case) for case, hit in cases.items() if hit.any()}


def _together(instruction: Instruction, known: list[NDArray[np.int64] | None], found: Mapping[str, set[Bin]]) -> None:
    """Pairs of values of operands a and b."""
    if len(known) < 2 or known[0] is None or known[1] is None:
        return
    mnemonic, mode = instruction.mnemonic, MODES[instruction["saturate"]]
    a, b = np.broadcast_arrays(known[0], known[1])
    ends = _ends(INT32)
    for (label_a, value_a), (label_b, value_b) in itertools.product(ends.items(), repeat=2):
        if ((a == value_a) & (b == value_b)).any():
            found["alu_pair"].add((mnemonic, mode, label_a, label_b))
    if mnemonic in SHIFTS:
        for label in DISTANCES:
            at = b == (ends["lowest"] if label == "lowest" else int(label))
            for sign, hit in (("negative", a < 0), ("positive", a > 0)):
                if (at & hit).any():
                    found["alu_shift"].add((mnemonic, mode, sign, label))
