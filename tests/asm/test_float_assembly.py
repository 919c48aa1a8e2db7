"""Floating point in programs: types, immediates, data, what is refused, and numbers that survive being written down."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tsp import isa
from tsp.assembler import AssemblyError, assemble
from tsp.builder import Builder
from tsp.config import preset
from tsp.disassembler import disassemble
from tsp.errors import InputError
from tsp.float_text import numbers_of, text_of
from tsp.floorplan import floorplan
from tsp.isa import Type
from tsp.memory_map import typed

CONFIG = preset("tiny").override(["superlanes=1"])


def word(text: str) -> isa.Instruction:
    """The one instruction of the first ALU's queue."""
    program = assemble(f".const half = 0.5\n.queue vxm.r0s0\n{text}", config=CONFIG)
    (found,) = program.queues[floorplan(CONFIG).queue("vxm.r0s0").index]
    instruction = isa.decode(found)
    assert instruction is not None
    return instruction


@pytest.mark.parametrize(
    ("text", "bits"),
    [
        ("#1.5", 0x3FC00000),
        ("#-0.0", -0x80000000),
        ("#inf", 0x7F800000),
        ("#-inf", -0x00800000),
        ("#nan", 0x7FC00000),
        ("#1e-45", 1),
        ("#3.4028235e38", 0x7F7FFFFF),
        ("#0.1", 0x3DCCCCCD),
        ("#16777217.0", 0x4B800000),  # rounded half to even
        ("#half", 0x3F000000),
        ("#half * 3 + 1", 0x40200000),
        ("#0x7FC00001:fp32", 0x7FC00001),
        ("#0xBF800000:fp32", -0x40800000),
    ],
)
def test_immediates(text: str, bits: int) -> None:
    instruction = word(f"ADD r0:fp32, {text} -> next")
    assert (instruction["immediate"] - bits) % 2**32 == 0 and instruction["float"] == 1
    built = Builder(CONFIG)
    if "half" not in text:
        built.alu("vxm.r0s0", "ADD", "r0:fp32", text, to="next", at=0)
        assert isa.decode(next(iter(built.build().queues.values()))[0]) == instruction


def test_an_integer_instruction_is_as_before() -> None:
    assert word("ADD r0, #5 -> next").encode() == word("ADD r0:int32, #5:int32 -> next").encode()
    assert word("ADD r0, #5 -> next")["float"] == 0
    assert word("CONVERT r0 -> next")["type"] == 0


def test_a_condition_is_an_integer() -> None:
    assert word("MASK e4:fp16, e1:int8 -> e4:fp16")["float"] == 1
    assert word("SELECT #1.5, r0:fp32, #0x3FC00000 -> next")["immediate"] == 0x3FC00000


MISTAKES = [
    ("ADD r0:fp32, #1 -> next", "operand a is a float and b an integer; write #1.0"),
    ("ADD r0, e4:fp16 -> next", "operand b is a float and a an integer; write r0:fp32"),
    ("ADD e0:int8, e4:fp16 -> next", "operand b is a float and a an integer; CONVERT one of them before"),
    ("EXP r0 -> next", "EXP: operand a must be fp16 or fp32; write r0:fp32"),
    ("EXP e4:int8 -> next", "EXP: operand a must be fp16 or fp32"),
    ("AND e4:fp32, #1 -> next", "operand a must be an integer: read a float's bits as int32 or int16"),
    ("MASK e4:fp32, e8:fp32 -> next", "condition b is a float, must be an integer; NE with #0.0 makes one"),
    ("ADD r0:fp32, r1:fp32 -> e4:int8", "the result is int8, must be one of fp16, fp32; CONVERT gives any type"),
    ("ADD r0, r1 -> e4:fp32", "the result is fp32, must be one of int8, int16, int32; CONVERT gives any type"),
    ("LT r0:fp32, r1:fp32 -> e4:fp32", "the result is fp32, must be one of int8, int16, int32"),
    ("ADD r0:fp16, r1:fp32 -> next", "type fp16: rows of ALUs and immediates are int32 or fp32"),
    ("ADD r0:fp32, #1.0, -> next", "unexpected"),
    ("ADD r0:fp32, #1e60 -> next", "'immediate' holds 1e+60, but fp32 ends at ±3.402823e+38; write inf for infinity"),
    ("ADD #1.5, #2.5 -> next", "ADD has one immediate, but #1.5 and #2.5 differ"),
    ("ADD r0, #1.5:int32 -> next", "1.5 is no int32"),
    ("ADD r0, r1 -> next:fp32", "next takes a type in a CONVERT without a stream only; write next"),
    ("CONVERT r0 -> e4:fp16, next:fp32", "next takes a type in a CONVERT without a stream only; write next"),
    ("ADD e1:fp16, e2:fp16 -> next", "a multiple of 2, for 2 streams; try e0"),
    ("ADD e4:fp32, 1.5 -> next", "an immediate is written #1.5"),
]


@pytest.mark.parametrize(("text", "message"), MISTAKES)
def test_mistakes(text: str, message: str) -> None:
    with pytest.raises(AssemblyError) as caught:
        word(text)
    assert len(caught.value.errors) == 1 and message in caught.value.errors[0], caught.value.errors


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ADD e4:fp32, #1.0 -> next", "fp16 and fp32 need vxm_float, but config tiny has vxm_float=False"),
        ("CONVERT r0 -> e4:fp16", "fp16 and fp32 need vxm_float, but config tiny has vxm_float=False"),
        ("CONVERT r0 -> next:fp32", "fp16 and fp32 need vxm_float, but config tiny has vxm_float=False"),
        ("TANH r0 -> next", "TANH needs vxm_float, but config tiny has vxm_float=False"),
    ],
)
def test_without_the_feature(text: str, message: str) -> None:
    with pytest.raises(AssemblyError, match=message):
        assemble(f".queue vxm.r0s0\n{text}", config=CONFIG.override(["vxm_float=off"]))


def test_data() -> None:
    text = """
        .config tiny superlanes=1
        .data h: mem.e0 fp16 = 1, -0.5, inf, 65504, 6e-8
        .data s: mem.e2[3] fp32 = [0.1, nan], [-1e-45]
    """
    program = assemble(text)
    h, s = (typed(program, program.symbols[name]) for name in "hs")
    assert h.dtype == np.float16 and h[0, :5].tolist() == [1, -0.5, math.inf, 65504, 2**-24]
    assert s.dtype == np.float32 and s[:, 0].tolist() == [np.float32(0.1), -(2.0**-149)] and np.isnan(s[0, 1])
    again = assemble(disassemble(program))
    assert again.memory == program.memory and again.symbols == program.symbols


@pytest.mark.parametrize(
    ("values", "type_", "message"),
    [
        ([70000.0], "fp16", "'x' holds 70000, but fp16 ends at ±65504; write inf for infinity"),
        ([1.5], "int8", "integers"),
    ],
)
def test_values_that_do_not_fit(values: list[float], type_: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Builder(CONFIG).place("x", "mem.e0", values, type_)


@pytest.mark.parametrize("type_", isa.FLOAT_TYPES, ids=lambda type_: type_.name)
def test_numbers_survive_being_written(type_: Type) -> None:
    @settings(max_examples=1000, deadline=None, database=None)
    @given(st.integers(0, (1 << 8 * type_.planes) - 1))
    def check(bits: int) -> None:
        text = text_of(bits, type_)
        number = numbers_of(np.array([bits]), type_)
        if text is None:
            assert np.isnan(number).all()
            return
        program = assemble(f".config tiny\n.data x: mem.e0 {type_.name.lower()} = {text}")
        found = typed(program, program.symbols["x"])[0, :1]
        assert found.view(f"u{type_.planes}") == bits, text

    check()
