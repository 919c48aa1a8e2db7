"""The SECDED encoder and decoder of the RTL, against the table of docs/architecture.md."""

import random
import re
from itertools import combinations
from pathlib import Path

from amaranth.sim import Simulator

from rtl import ecc

ARCHITECTURE = Path(__file__).parents[2] / "docs" / "architecture.md"
BITS = ecc.DATA_BITS + ecc.CHECK_BITS
TABLE = re.findall(r"^ *\d+ …((?: +[0-9a-f]{3}){16})$", ARCHITECTURE.read_text(), re.MULTILINE)
COLUMNS = [int(column, 16) for row in TABLE for column in row.split()]


def check_bits(data):
    """Bit by bit from the document."""
    check = 0
    for bit, column in enumerate(COLUMNS):
        check ^= column * (data >> bit & 1)
    return check


def words(seed, count):
    rng = random.Random(seed)
    return [0, (1 << 128) - 1, *(rng.getrandbits(128) for _ in range(count - 2))]


def run(component, cases):
    """The outputs for each case of inputs."""
    seen = []

    async def bench(ctx):
        for inputs in cases:
            for name, value in inputs.items():
                ctx.set(getattr(component, name), value)
            await ctx.delay(1e-9)
            outputs = ("check",) if isinstance(component, ecc.EccEncoder) else ("fixed", "corrected", "uncorrectable")
            seen.append(tuple(ctx.get(getattr(component, name)) for name in outputs))

    simulator = Simulator(component)
    simulator.add_testbench(bench)
    simulator.run()
    return seen


def decoded(word, flips, valid=1):
    """The inputs for a word of which some bits are flipped."""
    mask = sum(1 << bit for bit in flips)
    data, check = word ^ mask & (1 << 128) - 1, check_bits(word) ^ mask >> 128
    return {"valid": valid, "data": data, "check": check}


def test_the_columns_are_those_of_the_document():
    assert list(ecc.COLUMNS) == COLUMNS and len(COLUMNS) == 128


def test_words_have_the_documented_check_bits():
    some = words(1, 60)
    assert run(ecc.EccEncoder(), [{"valid": 1, "data": word} for word in some]) == [(check_bits(w),) for w in some]


def test_every_data_bit_alone_has_its_column():
    cases = [{"valid": 1, "data": 1 << bit} for bit in range(128)]
    assert run(ecc.EccEncoder(), cases) == [(column,) for column in COLUMNS]


def test_worked_examples():
    ends = 1 | 1 << 127
    assert run(ecc.EccEncoder(), [{"valid": 1, "data": ends}]) == [(0x0DE,)]
    assert run(ecc.EccDecoder(), [decoded(ends, [17]), decoded(ends, [131]), decoded(ends, [0, 17])]) == [
        (ends, 1, 0), (ends, 1, 0), (ends ^ 1 ^ 1 << 17, 0, 1)
    ]  # fmt: skip


def test_nothing_happens_without_valid():
    (word,) = words(2, 3)[2:]
    assert run(ecc.EccDecoder(), [decoded(word, [3, 4], valid=0), decoded(word, [3], valid=0)]) == [(0, 0, 0)] * 2


def test_every_single_flip_is_corrected():
    some = words(3, 4)
    cases = [decoded(word, flips) for word in some for flips in [(), *((bit,) for bit in range(BITS))]]
    assert run(ecc.EccDecoder(), cases) == [(word, int(n > 0), 0) for word in some for n in range(BITS + 1)]


def test_every_double_flip_is_uncorrectable_and_left_alone():
    (word,) = words(4, 3)[2:]
    cases = [decoded(word, pair) for pair in combinations(range(BITS), 2)]
    assert run(ecc.EccDecoder(), cases) == [(case["data"], 0, 1) for case in cases]
