"""The bins that instructions in fp32 hit, and conversions to floats. Numbers are their fp32 bits."""

import itertools
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from golden import floats
from tb.coverage.bins import FLOAT_BOUNDARIES, FLOAT_PAIRED, MODES, Bin
from tsp import isa
from tsp.isa import FLOAT_TYPES, INTEGER_TYPES, Instruction, OperandKind, Type

Numbers = NDArray[np.int64]
_HALF_ENDS = {"least": 0x33800000, "least normal": 0x38800000, "largest": 0x477FE000}


def _is(label: str, numbers: Numbers, ends: Mapping[str, int]) -> NDArray[np.bool_]:
    """Where numbers are the boundary value of that name; any NaN is NaN."""
    bits = numbers & 0xFFFFFFFF
    return (bits & 0x7FFFFFFF) > floats.INFINITY if label == "NaN" else bits == ends[label]


def value(instruction: Instruction, operand: int, numbers: Numbers, found: Mapping[str, set[Bin]]) -> None:
    """An operand of an instruction with ``float`` = 1."""
    name, mnemonic = isa.OPERAND_NAMES[operand], instruction.mnemonic
    if instruction[f"{name}_kind"] == OperandKind.STREAM and isa.CONDITIONS.get(mnemonic) != name:
        type_ = Type(instruction[f"{name}_type"])
        ends = FLOAT_BOUNDARIES | (_HALF_ENDS if type_ == Type.FP16 else {})
        for label in ends:
            if _is(label, numbers, ends).any():
                found["float_value"].add((mnemonic, name, type_.name, label))
    if mnemonic == "CONVERT" and instruction["to_stream"] and instruction["type"] in INTEGER_TYPES:
        _to_integers(instruction, numbers, found)


def together(instruction: Instruction, known: list[Numbers | None], found: Mapping[str, set[Bin]]) -> None:
    """Pairs of values of operands a and b."""
    if len(known) != 2 or known[0] is None or known[1] is None or instruction.mnemonic in isa.CONDITIONS:
        return
    a, b = np.broadcast_arrays(known[0], known[1])
    of_a, of_b = ({label: _is(label, x, FLOAT_BOUNDARIES) for label in FLOAT_PAIRED} for x in (a, b))
    for label_a, label_b in itertools.product(FLOAT_PAIRED, repeat=2):
        if (of_a[label_a] & of_b[label_b]).any():
            found["float_pair"].add((instruction.mnemonic, label_a, label_b))


def _to_integers(instruction: Instruction, numbers: Numbers, found: Mapping[str, set[Bin]]) -> None:
    type_, mode = Type(instruction["type"]), MODES[instruction["saturate"]]
    with np.errstate(invalid="ignore"):
        exact = floats.floats_of(numbers).astype(np.float64)
        part = np.abs(exact - np.trunc(exact))
    half = 2.0 ** (8 * type_.planes - 1)
    finite = np.isfinite(exact)
    cases = {
        "NaN": np.isnan(exact),
        "inf": exact == np.inf,
        "-inf": exact == -np.inf,
        "half way": finite & (part == 0.5),
        "below": finite & (np.rint(exact) < -half),
        "above": finite & (np.rint(exact) > half - 1),
    }
    cases["in range"] = finite & ~cases["below"] & ~cases["above"]
    found["float_to_int"] |= {(type_.name, mode, case) for case, hit in cases.items() if hit.any()}


def from_integers(instruction: Instruction, numbers: Numbers, found: Mapping[str, set[Bin]]) -> None:
    """A CONVERT of integers to a stream of floats."""
    if instruction["type"] not in FLOAT_TYPES or instruction["a_kind"] != OperandKind.STREAM:
        return
    of, type_ = Type(instruction["a_type"]), Type(instruction["type"])
    with np.errstate(over="ignore"):
        rounded = numbers.astype(np.float16 if type_ == Type.FP16 else np.float32).astype(np.float64)
    infinite, exact = np.isinf(rounded), rounded == numbers
    cases = {"exact": exact, "rounded": ~exact & ~infinite}
    if type_ == Type.FP16:
        cases["infinite"] = infinite
    found["int_to_float"] |= {(of.name, type_.name, case) for case, hit in cases.items() if hit.any()}
