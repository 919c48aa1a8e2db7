"""The cover groups, generated from the instruction set: every group is a list of bins, every bin a tuple."""

import itertools
from collections.abc import Iterator

from tsp import isa, isa_rules
from tsp.config import ChipConfig
from tsp.floorplan import floorplan
from tsp.isa import INTEGER_TYPES, AccMode, OperandKind, Operation

Bin = tuple[str | int, ...]

DIRECTIONS = ("east", "west")
MODES = ("modular", "saturating")
KINDS = {OperandKind.STREAM: "stream", OperandKind.IMMEDIATE: "immediate", OperandKind.ALU: "alu"}
SIGNS = ("down", "stay", "up")
BOUNDARIES = ("0", "1", "-1", "lowest", "highest")
"""Values every operand takes: lowest and highest of its type."""
FLOAT_BOUNDARIES = {
    "0": 0, "-0": 1 << 31, "1": 0x3F800000, "-1": 0xBF800000, "inf": 0x7F800000, "-inf": 0xFF800000, "NaN": 0x7FC00000,
    "least": 1, "least normal": 0x00800000, "largest": 0x7F7FFFFF,
}  # fmt: skip
"""Values every fp32 operand takes, as bits; of an fp16 operand ``least`` … ``largest`` are those of fp16."""
FLOAT_PAIRED = ("0", "-0", "1", "inf", "-inf", "NaN", "least", "largest")
"""Those of them that both operands take in every combination."""
FLOAT_CASES = ("below", "in range", "above", "-inf", "inf", "NaN", "half way")
"""What CONVERT to an integer can meet."""
DISTANCES = ("0", "1", "7", "8", "15", "16", "31", "32", "33", "-1", "lowest")
"""Shift distances."""
SHIFTS = ("SHL", "SRA", "SRL")
INT8_ENDS = (-128, -1, 0, 1, 127)
FACTORS = ("weight", "activation")
FP16_ENDS = {
    "0": 0, "-0": 0x8000, "1": 0x3C00, "inf": 0x7C00, "-inf": 0xFC00, "NaN": 0x7E00, "least": 1, "least normal": 0x0400,
    "largest": 0x7BFF,
}  # fmt: skip
"""Values every fp16 factor takes, as bits."""
FP16_SUMS = ("0", "inf", "-inf", "NaN", "positive", "negative")
SYNC_TIMES = ("before NOTIFY", "with NOTIFY", "after NOTIFY", "in the last cycle")
WAYS = tuple(way.name for way in isa.Way)
WEIGHT_OPERATIONS = ("LW", "IW", "LW_IW")


def groups(config: ChipConfig) -> dict[str, list[Bin]]:
    """Group name → its bins, before exclusions."""
    found: dict[str, list[Bin]] = {}
    for part in (_dispatch(config), _mem(config), _vxm(config), _mxm(config), _sxm(config)):
        for name, bins in part:
            found[name] = list(bins)
    return found


def _dispatch(config: ChipConfig) -> Iterator[tuple[str, list[Bin]]]:
    plan = floorplan(config)
    kinds = [kind for kind in isa.QUEUE_KINDS if any(q.kind == kind for q in plan.queues)]
    yield "queue", [(kind, op.mnemonic) for kind in kinds for op in isa_rules.operations(kind, config)]
    repeatable = [op for kind in kinds for op in isa_rules.operations(kind, config) if op.repeatable]
    yield "repeat_count", [(op.mnemonic, n) for op in repeatable for n in ("n=1", "n>1")]
    repeats = ((op.mnemonic, d, *signs) for op in repeatable for d in ("d=1", "d>1") for signs in _steps(op))
    yield "repeat_steps", list(repeats)
    yield "nop", [("n=1",), ("n=2",), ("n>2",)]
    yield "sync", list(itertools.product(kinds, SYNC_TIMES))
    yield "notify", [("one barrier after the last",), ("later",), ("the notifier parks too",)]
    yield "deskew", list(itertools.product(("DESKEW", "RUNTIME_DESKEW"), ("alone", "together")))
    yield "runtime_deskew", [("t=0",), ("t>0",)]
    few = [("p=1",), ("1<p<S",)][: max(0, min(2, config.superlanes - 1))]
    yield "config", [*few, ("p=S",)]
    yield "config_change", [("same",), *([("fewer",), ("more",)] if config.superlanes > 1 else [])]


def _steps(operation: Operation) -> Iterator[Bin]:
    """Signs of the steps that count for an operation."""
    places = {(field.lo, field.width) for field in operation.fields}
    if operation.queues == ("vxm",):
        places = set()
    a = SIGNS if isa.ADDRESS_A in places else ("-",)
    b = SIGNS if isa.ADDRESS_B in places else ("-",)
    return itertools.product(a, b)


def _mem(config: ChipConfig) -> Iterator[tuple[str, list[Bin]]]:
    ports = [("READ", "read"), ("WRITE", "write"), ("READ_WRITE", "read"), ("READ_WRITE", "write")]
    yield "mem", [(*port, direction, bank) for port in ports for direction in DIRECTIONS for bank in (0, 1)]
    yield "mem_both", list(itertools.product(DIRECTIONS, DIRECTIONS))
    yield "mem_address", list(itertools.product(("read", "write"), ("first", "below the border", "above it", "last")))
    streams = [isa.stream_name(isa.stream_operand(d, i)) for d in (0, 1) for i in range(config.streams)]
    yield "mem_stream", list(itertools.product(("read", "write"), streams))
    indirect = [op.mnemonic for op in isa_rules.operations("mem", config) if op.mnemonic in isa.INDIRECT]
    yield "mem_indirect", list(itertools.product(indirect, DIRECTIONS, DIRECTIONS))
    yield "mem_named", list(itertools.product(indirect, ("one word", "several", "first", "last")))
    yield "mem_word", [("of the image",), ("written the cycle before",), ("written earlier",)]


def _vxm(config: ChipConfig) -> Iterator[tuple[str, list[Bin]]]:
    operations = [op for op in isa_rules.operations("vxm", config) if op.arity]
    integer = [op for op in operations if 0 in isa_rules.stream_types(op, config)]
    kinds, types = KINDS.values(), [t.name for t in INTEGER_TYPES]
    yield "alu_form", [(op.mnemonic, *form) for op in operations for form in itertools.product(kinds, repeat=op.arity)]
    slots = [(op.mnemonic, name) for op in integer for name in isa.OPERAND_NAMES[: op.arity]]
    yield "alu_operand", [(*slot, t, d) for slot in slots for t in types for d in DIRECTIONS]
    yield "alu_result", list(itertools.product([op.mnemonic for op in integer], types, DIRECTIONS, MODES))
    yield "alu_target", [(op.mnemonic, to) for op in operations for to in ("stream", "next", "both")]
    yield "alu_value", [(*slot, t, value) for slot in slots for t in types for value in BOUNDARIES]
    pairs = list(itertools.product(MODES, BOUNDARIES, BOUNDARIES))
    yield "alu_pair", [(op.mnemonic, *pair) for op in integer if op.arity > 1 for pair in pairs]
    distances = itertools.product(SHIFTS, MODES, ("negative", "positive"), DISTANCES)
    yield "alu_shift", list(distances)
    yield "alu_convert", list(itertools.product(types, MODES, ("below", "in range", "above")))
    queues = [q for q in floorplan(config).queues if q.kind == "vxm"]
    yield "alu_chain", [(q.name, f"row {row}") for q in queues for row in range(config.vxm_rows)]
    yield from _float(config, operations)


def _float(config: ChipConfig, operations: list[Operation]) -> Iterator[tuple[str, list[Bin]]]:
    """What instructions with ``float`` = 1 do, and CONVERTs to floats."""
    able = [op for op in operations if 1 in isa_rules.stream_types(op, config)]
    slots = [
        (op.mnemonic, name, type_.name)
        for op in able
        for name in isa.OPERAND_NAMES[: op.arity]
        for type_ in isa_rules.operand_types(op, name, config)[1]
    ]
    yield "float_operand", [(*slot, d) for slot in slots for d in DIRECTIONS]
    results = [(op.mnemonic, t.name) for op in able for t in isa_rules.stream_types(op, config)[1]]
    yield "float_result", [(*result, d, mode) for result in results for d in DIRECTIONS for mode in MODES]
    floats = [t.name for t in isa.FLOAT_TYPES]
    yield "float_value", [(*slot, value) for slot in slots if slot[2] in floats for value in FLOAT_BOUNDARIES]
    pairs = itertools.product(FLOAT_PAIRED, FLOAT_PAIRED)
    binary = [op.mnemonic for op in able if op.arity == 2 and op.mnemonic not in isa.CONDITIONS]
    yield "float_pair", [(op, *pair) for pair in pairs for op in binary]
    able_to_convert = [t.name for t in INTEGER_TYPES] if able else []
    yield "float_to_int", list(itertools.product(able_to_convert, MODES, FLOAT_CASES))
    from_int = itertools.product(able_to_convert, floats, ("exact", "rounded"))
    yield "int_to_float", [*from_int, *((t, "FP16", "infinite") for t in able_to_convert)]


def _mxm(config: ChipConfig) -> Iterator[tuple[str, list[Bin]]]:
    planes = [s.name for s in floorplan(config).slices if s.unit == "mxm"]
    groups16 = range(config.streams // isa.GROUP16)
    yield "mxm_load", list(itertools.product(planes, ("LW", "LW_IW"), range(config.superlanes)))
    yield "mxm_group", list(itertools.product(planes, groups16))
    yield "mxm_acc", list(itertools.product(planes, [m.name for m in AccMode], ("silent", "driven")))
    yield "mxm_row", list(itertools.product(planes, ("first", "last")))
    yield "mxm_activation", list(itertools.product(planes, range(config.streams)))
    yield "mxm_overlap", list(itertools.product(planes, WEIGHT_OPERATIONS, ("with ABC", "between ABC and ACC")))
    yield "mxm_value", list(itertools.product(INT8_ENDS, INT8_ENDS)) if planes else []
    pairs = [f"mxm.{h}" for h in "we" if config.multiplies_fp16(h)]
    yield "fp16_acc", list(itertools.product(pairs, [m.name for m in AccMode]))
    yield "fp16_activation", list(itertools.product(pairs, range(0, config.streams, 2)))
    yield "fp16_factor", list(itertools.product(FACTORS, FP16_ENDS)) if pairs else []
    yield "fp16_sum", [(kind,) for kind in FP16_SUMS] if pairs else []


def shift_distances(config: ChipConfig) -> dict[int, str]:
    """Distances of SHIFT that have a bin each; the others share one."""
    return {0: "0", 1: "1", 15: "15", 16: "16", config.lanes - 1: "lanes - 1", config.lanes: "lanes"}


def _sxm(config: ChipConfig) -> Iterator[tuple[str, list[Bin]]]:
    queues = [q for q in floorplan(config).queues if q.kind in isa.SXM_KINDS]
    yield "sxm_queue", [(q.name,) for q in queues]
    operations = [op.mnemonic for kind in isa.SXM_KINDS for op in isa_rules.operations(kind, config) if op.repeatable]
    sites = sorted({q.hemisphere for q in queues})
    yield "sxm_result", list(itertools.product(operations, sites, DIRECTIONS)) if queues else []
    # Sixteen streams never come out of the MXM side by side.
    yield "sxm_source", [(op, site, way) for op in operations for site in sites for way in ("from MEM", "from MXM")
                         if op in ("PERMUTE", "DISTRIBUTE", "SHIFT") or way == "from MEM"]  # fmt: skip
    distances = [*shift_distances(config).values(), "other"]
    yield "sxm_shift", list(itertools.product(WAYS, distances, ("all", "selected"))) if queues else []
    yield "sxm_rotate", [(n,) for n in range(isa.ROTATIONS[0], isa.ROTATIONS[1] + 1)] if queues else []
    yield "sxm_map", [(n,) for n in (0, 15, 16, 255)] if queues else []
