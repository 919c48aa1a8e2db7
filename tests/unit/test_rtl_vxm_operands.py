"""Where an ALU reads and drives, and what it does when an operand is missing."""

import dataclasses
import random

import pytest
from vxm_driver import LANES, Operand, Step, bench, planes_of

from tsp import isa
from tsp.config import preset
from tsp.isa import OperandKind, Type

CONFIG = preset("tiny").override(["vxm_float=off", "ecc=off"])
OPERAND_ABSENT = 3
NUMBERS = list(range(-8, 8))
ONES = [1] * LANES


def every_place(type_: Type) -> list[int]:
    """Stream operands of both directions that fit a type."""
    return [isa.stream_operand(side, i) for side in (0, 1) for i in range(0, CONFIG.streams, type_.planes)]


@pytest.mark.parametrize("type_", isa.INTEGER_TYPES)
def test_an_operand_is_read_from_exactly_its_streams(type_):
    """Each place in turn holds the numbers, as a, b and c; every other stream holds something else."""
    rng = random.Random(type_)
    steps = []
    for place in every_place(type_):
        here = Operand(NUMBERS, stream=place, type=type_)
        one = Operand(ONES, OperandKind.IMMEDIATE)
        steps += [Step("CONVERT", (here,)), Step("SUB", (one, here)), Step("SELECT", (one, here, here))]
    noise = {f"{side}_{i}": rng.getrandbits(128) for side in "ew" for i in range(CONFIG.streams)}
    outputs = bench(CONFIG).run(steps, noise=noise)[1:]
    wanted = {"CONVERT": NUMBERS, "SUB": [1 - n for n in NUMBERS], "SELECT": [int(n != 0) for n in NUMBERS]}
    for step, output in zip(steps, outputs, strict=False):
        assert output.result == wanted[step.mnemonic], step
        assert output.fault is None


@pytest.mark.parametrize("type_", isa.INTEGER_TYPES)
def test_a_result_is_driven_on_exactly_its_streams(type_):
    steps = [Step("CONVERT", (Operand(NUMBERS, stream=8),), place, type_) for place in every_place(type_)]
    for step, output in zip(steps, bench(CONFIG).run(steps)[1:], strict=False):
        assert output.stream_numbers(step.stream, type_, CONFIG.streams) == NUMBERS
        words = planes_of(NUMBERS, type_.planes)
        for plane, word in enumerate(words):
            assert output.words[(step.stream + plane) % 4] == word


@pytest.mark.parametrize(("to_stream", "to_next"), [(False, False), (False, True), (True, False), (True, True)])
def test_a_result_goes_only_where_the_instruction_says(to_stream, to_next):
    step = Step("CONVERT", (Operand(NUMBERS),), 12, Type.INT8, to_stream=to_stream, to_next=to_next)
    output = bench(CONFIG).run([step])[1]
    assert (output.mask != 0) == bool(output.drive_valid) == to_stream
    assert output.result == (NUMBERS if to_next else None)


def test_the_rows_of_the_stage_before_are_told_apart():
    config = CONFIG.override(["vxm_rows=3"])
    rows = [Operand([10 * row + lane for lane in range(LANES)], OperandKind.ALU, row=row) for row in range(3)]
    steps = [Step("SUB", (rows[i], rows[j])) for i in range(3) for j in range(3) if i != j]
    steps += [Step("SELECT", (Operand(ONES, OperandKind.IMMEDIATE), rows[1], rows[0]))]
    outputs = bench(config).run(steps)[1:]
    for step, output in zip(steps[:-1], outputs, strict=False):
        first, second = (operand.row for operand in step.operands)
        assert output.result == [10 * (first - second)] * LANES
    assert outputs[len(steps) - 1].result == [10] + [1] * 15


def absent_steps() -> list[Step]:
    """Instructions with one operand, or one of its planes, missing."""
    three = [Operand(NUMBERS, stream=isa.stream_operand(i % 2, 8 * i + 4), type=Type.INT32) for i in range(3)]
    found = []
    for missing in range(3):
        for plane in range(4):
            places = list(three)
            places[missing] = dataclasses.replace(three[missing], absent_planes=(plane,))
            found.append(Step("SELECT", tuple(places)))
    for place, type_ in ((3, Type.INT8), (32 + 6, Type.INT16)):
        operand = Operand(NUMBERS, stream=place, type=type_, absent_planes=(type_.planes - 1,))
        found += [Step("NEG", (operand,)), Step("MASK", (three[0], operand))]
    lost = [Operand(NUMBERS, OperandKind.ALU, row=row, absent_planes=(0,)) for row in (0, 1)]
    return found + [Step("ABS", (lost[0],)), Step("ADD", (three[0], lost[1])), Step("SELECT", (*three[:2], lost[1]))]


def test_an_absent_operand_pulses_a_fault_in_the_next_cycle():
    for step in absent_steps():
        assert step.operands
    steps = [step for each in absent_steps() for step in (each, Step(None))]
    outputs = bench(CONFIG).run(steps, idle=3)
    found = [output.fault for output in outputs]
    assert found == [None, OPERAND_ABSENT] * len(absent_steps()) + [None] * 3


def test_what_an_operation_does_not_read_cannot_be_absent():
    """Neither streams beside a narrow operand, nor fields beyond the operation's operands."""
    c = isa.BY_MNEMONIC["SELECT"]
    stray = 0
    for name, kind in (("b", OperandKind.STREAM), ("c", OperandKind.ALU)):
        stray |= kind << c.field(f"{name}_kind").lo | 9 << c.field(f"{name}_source").lo
    narrow = [Operand(NUMBERS, stream=i, type=Type.INT8) for i in (8, 9, 10, 11)]
    names = ("CONVERT", "NEG", "NOT", "RELU", "ABS")
    steps = [Step(name, (narrow[i % 4],), stray=stray) for i, name in enumerate(names)]
    outputs = bench(CONFIG).run(steps)[1:]
    wanted = [NUMBERS, [-n for n in NUMBERS], [~n for n in NUMBERS], [max(n, 0) for n in NUMBERS]]
    wanted += [[abs(n) for n in NUMBERS]]
    assert [output.fault for output in outputs] == [None] * 6
    assert [output.result for output in outputs[: len(steps)]] == wanted


def test_without_an_instruction_nothing_is_driven_whatever_the_streams_hold():
    noise = {f"{side}_{i}": (1 << 128) - 1 for side in "ew" for i in range(CONFIG.streams)}
    outputs = bench(CONFIG).run([Step(None)] * 5, noise=noise)
    for output in outputs:
        assert (output.mask, output.drive_valid, output.result, output.fault) == (0, 0, None, None)


def mixed(time: int, address: int, place: int, word: int) -> int:
    """The hash of one event, as docs/architecture.md section 7 writes it."""
    key = time % 2**32 + address * 2**32 + place * 2**48
    d0, d1 = word % 2**64, word >> 64
    a = key * 0x9E3779B97F4A7C15 % 2**64
    b = ((a ^ (a >> 32)) + d0) * 0xBF58476D1CE4E5B9 % 2**64
    c = ((b ^ (b >> 29)) + d1) * 0x94D049BB133111EB % 2**64
    return c ^ (c >> 32)


def test_every_driven_word_is_an_event_when_it_is_in_the_stream_register():
    rng = random.Random(3)
    time, place, total = 2**32 - 9, 40, 0
    steps = []
    for t in range(40):
        type_ = rng.choice(isa.INTEGER_TYPES)
        values = [rng.randrange(-128, 128) for _ in range(LANES)]
        stream = rng.choice(every_place(type_))
        step = Step("CONVERT", (Operand(values, stream=4),), stream, type_, to_stream=rng.random() < 0.8)
        steps.append(rng.choice([step, Step(None)]))
        if steps[-1].mnemonic and step.to_stream:
            for plane, word in enumerate(planes_of(values, type_.planes)):
                total += mixed(time + t + 2, stream + plane, place, word)
    alu = bench(CONFIG)
    alu.run(steps, idle=8, time=time, place=place)
    assert alu.event_sum == total % 2**64
