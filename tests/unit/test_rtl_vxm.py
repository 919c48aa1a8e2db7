"""One ALU of the VXM against the text of docs/architecture.md section 4, read in vxm_driver."""

import random

import pytest
from vxm_driver import BITS, INT_MAX, INT_MIN, LANES, Operand, Step, bench, expected, wrap

from tsp import isa, isa_rules
from tsp.config import preset
from tsp.isa import OperandKind, Type
from tsp.timing import timing

CONFIG = preset("tiny").override(["vxm_float=off", "ecc=off"])
ALU_OPERATIONS = [operation for operation in isa_rules.operations("vxm", CONFIG) if operation.arity]
"""Those of integers; floating point is left to the benches (tb/unit/vxm.py and vxm_float.py)."""
TYPES = list(isa.INTEGER_TYPES)
BOUNDARIES = [INT_MIN, INT_MIN + 1, -65536, -32769, -32768, -129, -128, -3, -2, -1]
BOUNDARIES += [0, 1, 2, 3, 31, 32, 127, 128, 255, 256, 32767, 32768, 46341, 1 << 30, INT_MAX - 1, INT_MAX]
SHIFT_AMOUNTS = [*range(34), 63, 64, 255, 1 << 30, INT_MAX, INT_MIN, -1, -31]
SHIFTS = ("SHL", "SRA", "SRL")
ZERO = [0] * LANES


def number(rng: random.Random, type_: Type) -> int:
    """A number of a type: small, any, or at a boundary."""
    any_number = rng.randrange(-(1 << 31), 1 << 31) >> rng.randrange(32)
    return wrap(rng.choice([any_number, rng.choice(BOUNDARIES)]), BITS[type_])


def stream_of(rng: random.Random, type_: Type, first: int = 0, end: int = 32) -> int:
    """A stream operand of either direction, aligned for a type, between two stream numbers."""
    return isa.stream_operand(rng.randrange(2), rng.randrange(first, end, type_.planes))


def operands(rng: random.Random, vectors: list[list[int]]) -> tuple[Operand, ...]:
    """The vectors as operands of any kind that holds them; each on its own third of the streams."""
    found = []
    for i, values in enumerate(vectors):
        fitting = [type_ for type_ in TYPES if all(wrap(value, BITS[type_]) == value for value in values)]
        kinds = [OperandKind.STREAM, OperandKind.STREAM]
        kinds += [OperandKind.ALU] if i < CONFIG.vxm_rows else []
        immediate_free = all(operand.kind != OperandKind.IMMEDIATE for operand in found)
        kinds += [OperandKind.IMMEDIATE] if immediate_free and len(set(values)) == 1 else []
        type_ = rng.choice(fitting)
        stream = stream_of(rng, type_, 8 * i, 8 * i + 8)
        found.append(Operand(values, rng.choice(kinds), stream, type_, row=i))
    return tuple(found)


def vectors_for(operation: isa.Operation, rng: random.Random) -> list[list[list[int]]]:
    """Operand vectors: every pair of boundaries, every shift amount, and random numbers of each type."""
    second = SHIFT_AMOUNTS if operation.mnemonic in SHIFTS else BOUNDARIES
    pairs = [(a, b) for a in BOUNDARIES for b in second]
    rng.shuffle(pairs)
    pairs += pairs[: -len(pairs) % LANES]
    found = []
    for start in range(0, len(pairs), LANES):
        a, b = (list(column) for column in zip(*pairs[start : start + LANES], strict=True))
        found.append([a, b, [rng.choice([0, 1, -1, 256, INT_MIN]) for _ in range(LANES)]])
    for type_ in TYPES * 4:
        found.append([[number(rng, type_) for _ in range(LANES)] for _ in range(3)])
        same = number(rng, type_)
        found[-1][1] = [same] * LANES if rng.randrange(2) else found[-1][1]
    if operation.mnemonic in SHIFTS:
        found += [[[number(rng, Type.INT32) for _ in range(LANES)], [b] * LANES, ZERO] for b in SHIFT_AMOUNTS]
    return [vectors[: operation.arity] for vectors in found]


def steps_for(operation: isa.Operation) -> list[Step]:
    rng = random.Random(operation.mnemonic)
    found = []
    for vectors in vectors_for(operation, rng):
        for saturate in (False, True):
            type_ = rng.choice(TYPES)
            sources = operands(rng, vectors)
            found.append(Step(operation.mnemonic, sources, stream_of(rng, type_), type_, saturate))
    return found


def check(step: Step, output, mul_bits: int = CONFIG.vxm_mul_bits, streams: int = CONFIG.streams) -> None:
    """The output of the cycle after ``step`` is what the text says."""
    vectors = [operand.values for operand in step.operands]
    columns = zip(*(vectors + [ZERO] * (3 - len(vectors))), strict=True)
    wanted = [expected(step.mnemonic, *column, step.saturate, step.type, mul_bits) for column in columns]
    assert output.fault is None
    assert output.drive_valid
    assert output.result == [value for value, _ in wanted], step
    assert output.stream_numbers(step.stream, step.type, streams) == [value for _, value in wanted], step


@pytest.fixture(scope="module")
def runs():
    """Every operation's steps with the outputs one cycle after each, from one simulation."""
    by_operation = {operation.mnemonic: steps_for(operation) for operation in ALU_OPERATIONS}
    steps = [step for group in by_operation.values() for step in group]
    outputs = iter(bench(CONFIG).run(steps)[1:])
    return {mnemonic: [(step, next(outputs)) for step in group] for mnemonic, group in by_operation.items()}


@pytest.mark.parametrize("mnemonic", [operation.mnemonic for operation in ALU_OPERATIONS])
def test_operation(runs, mnemonic):
    pairs = runs[mnemonic]
    assert len(pairs) >= 2 * (len(BOUNDARIES) ** 2 // LANES)
    for step, output in pairs:
        check(step, output)


WIDE, HALF, BYTE = Type.INT32, Type.INT16, Type.INT8
MODULAR, SAT = False, True
CORNERS = [
    # mnemonic, mode, type of the result, a, b, c, value on the stream
    ("ADD", MODULAR, WIDE, INT_MAX, 1, 0, INT_MIN),
    ("ADD", SAT, WIDE, INT_MAX, 1, 0, INT_MAX),
    ("ADD", SAT, WIDE, INT_MIN, -1, 0, INT_MIN),
    ("SUB", MODULAR, WIDE, INT_MIN, 1, 0, INT_MAX),
    ("SUB", SAT, WIDE, INT_MIN, 1, 0, INT_MIN),
    ("SUB", SAT, WIDE, 0, INT_MIN, 0, INT_MAX),
    ("MUL", MODULAR, WIDE, 65536, 65536, 0, 0),
    ("MUL", SAT, WIDE, 65536, 65536, 0, INT_MAX),
    ("MUL", SAT, WIDE, -65536, 65536, 0, INT_MIN),
    ("MUL", SAT, WIDE, INT_MIN, INT_MIN, 0, INT_MAX),
    ("ABS", MODULAR, WIDE, INT_MIN, 0, 0, INT_MIN),
    ("ABS", SAT, WIDE, INT_MIN, 0, 0, INT_MAX),
    ("NEG", MODULAR, WIDE, INT_MIN, 0, 0, INT_MIN),
    ("NEG", SAT, WIDE, INT_MIN, 0, 0, INT_MAX),
    ("MIN", MODULAR, WIDE, INT_MIN, INT_MAX, 0, INT_MIN),
    ("MAX", MODULAR, WIDE, INT_MIN, INT_MAX, 0, INT_MAX),
    ("EQ", MODULAR, WIDE, INT_MIN, INT_MIN, 0, 1),
    ("NE", MODULAR, WIDE, INT_MIN, INT_MIN, 0, 0),
    ("LT", MODULAR, WIDE, INT_MIN, INT_MAX, 0, 1),
    ("LE", MODULAR, WIDE, INT_MAX, INT_MIN, 0, 0),
    ("GT", MODULAR, WIDE, INT_MAX, INT_MIN, 0, 1),
    ("GE", MODULAR, WIDE, INT_MIN, INT_MAX, 0, 0),
    ("SHL", MODULAR, WIDE, 3, 31, 0, INT_MIN),
    ("SHL", SAT, WIDE, 3, 31, 0, INT_MAX),
    ("SHL", SAT, WIDE, -1, 31, 0, INT_MIN),
    ("SHL", SAT, WIDE, -2, 31, 0, INT_MIN),
    ("SHL", MODULAR, WIDE, -1, 32, 0, 0),
    ("SHL", SAT, WIDE, -1, 32, 0, INT_MIN),
    ("SHL", SAT, WIDE, 1, 32, 0, INT_MAX),
    ("SHL", SAT, WIDE, 0, 100, 0, 0),
    ("SRA", MODULAR, WIDE, 5, 1, 0, 2),
    ("SRA", MODULAR, WIDE, 7, 1, 0, 4),
    ("SRA", MODULAR, WIDE, -5, 1, 0, -2),
    ("SRA", MODULAR, WIDE, -7, 2, 0, -2),
    ("SRA", MODULAR, WIDE, INT_MAX, 31, 0, 1),
    ("SRA", MODULAR, WIDE, INT_MIN, 31, 0, -1),
    ("SRA", MODULAR, WIDE, INT_MIN, 32, 0, 0),
    ("SRA", MODULAR, WIDE, -12345, 0, 0, -12345),
    ("SRL", MODULAR, WIDE, -1, 1, 0, INT_MAX),
    ("SRL", SAT, WIDE, -1, 0, 0, -1),
    ("SRL", MODULAR, WIDE, -1, 32, 0, 0),
    ("SHL", MODULAR, WIDE, 1, -1, 0, 0),
    ("SHL", SAT, WIDE, 1, -1, 0, INT_MAX),
    ("SRA", MODULAR, WIDE, INT_MIN, -1, 0, 0),
    ("SRL", MODULAR, WIDE, -1, -32, 0, 0),
    ("MASK", MODULAR, WIDE, 77, INT_MIN, 0, 77),
    ("MASK", MODULAR, WIDE, 77, 0, 0, 0),
    ("SELECT", MODULAR, WIDE, 1, 2, 256, 1),
    ("SELECT", MODULAR, WIDE, 1, 2, 0, 2),
    ("CONVERT", MODULAR, WIDE, INT_MIN, 0, 0, INT_MIN),
    ("RELU", MODULAR, WIDE, INT_MIN, 0, 0, 0),
    ("RELU", MODULAR, WIDE, INT_MAX, 0, 0, INT_MAX),
    ("CONVERT", MODULAR, BYTE, 0x180, 0, 0, -128),
    ("CONVERT", SAT, BYTE, 128, 0, 0, 127),
    ("CONVERT", SAT, BYTE, -129, 0, 0, -128),
    ("CONVERT", SAT, BYTE, -128, 0, 0, -128),
    ("CONVERT", MODULAR, HALF, 32768, 0, 0, -32768),
    ("CONVERT", SAT, HALF, 32768, 0, 0, 32767),
    ("CONVERT", SAT, HALF, -32769, 0, 0, -32768),
    ("ADD", SAT, BYTE, INT_MAX, INT_MAX, 0, 127),
    ("SRL", SAT, BYTE, -1, 24, 0, 127),
]


def corner_step(corner) -> Step:
    mnemonic, saturate, type_, a, b, c, _ = corner
    places = [Operand([value] * LANES, stream=isa.stream_operand(0, 4 * i)) for i, value in enumerate((a, b, c))]
    return Step(mnemonic, tuple(places[: isa.BY_MNEMONIC[mnemonic].arity]), 0, type_, saturate)


def test_corner_table():
    outputs = bench(CONFIG).run([corner_step(corner) for corner in CORNERS])[1:]
    for corner, output in zip(CORNERS, outputs, strict=False):
        assert output.stream_numbers(0, corner[2], CONFIG.streams) == [corner[-1]] * LANES, corner


@pytest.mark.parametrize("bits", [8, 17])
def test_narrow_multipliers_take_the_low_bits_of_their_operands(bits):
    config = CONFIG.override([f"vxm_mul_bits={bits}"])
    steps = steps_for(isa.BY_MNEMONIC["MUL"])[::2]
    for step, output in zip(steps, bench(config).run(steps)[1:], strict=False):
        check(step, output, mul_bits=bits)


def test_board_has_its_own_number_of_streams_and_rows():
    config = preset("board").override(["beats=1"])
    rng = random.Random(5)
    steps = []
    for operation in ALU_OPERATIONS:
        values = [[number(rng, Type.INT8) for _ in range(LANES)] for _ in range(operation.arity)]
        places = [Operand(v, stream=stream_of(rng, BYTE, 5 * i, 5 * i + 5), type=BYTE) for i, v in enumerate(values)]
        places[0] = Operand(values[0], OperandKind.ALU)
        steps.append(Step(operation.mnemonic, tuple(places), stream_of(rng, HALF, end=16), HALF, True))
    for step, output in zip(steps, bench(config).run(steps)[1:], strict=False):
        check(step, output, config.vxm_mul_bits, config.streams)


def test_without_multiplier_the_rest_works():
    config = CONFIG.override(["vxm_mul_bits=0", "vxm_float=off"])
    steps = steps_for(isa.BY_MNEMONIC["ADD"])[:8]
    for step, output in zip(steps, bench(config).run(steps)[1:], strict=False):
        check(step, output)


def test_latencies_are_those_of_the_timing_table():
    step = Step("ADD", (Operand([3] * LANES), Operand([4] * LANES, stream=4)), stream=8)
    outputs = bench(CONFIG).run([Step(None)] * 3 + [step], idle=4)
    table, at = timing(CONFIG), 3
    assert table.alu_skew == 0  # the streams held the operands in cycle 3 only
    # The SR takes a drive one cycle after it is valid.
    assert [t + 1 - at for t, output in enumerate(outputs) if output.mask] == [table.alu_func]
    assert [t - at for t, output in enumerate(outputs) if output.result] == [table.alu_next]
    assert [t - at for t, output in enumerate(outputs) if output.north[0]] == [1]
    assert outputs[at + 1].north[1] == step.word()
    assert outputs[at + 3].north[1] == step.word(), "the instruction going north is kept until the next one"
    assert outputs[at + 2].mask == 0 and outputs[at + 2].result is None
