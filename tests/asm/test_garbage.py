"""Garbage for the assembler: a program or a sentence, never a traceback, and never long."""

import os
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tsp import isa
from tsp.assembler import assemble
from tsp.config import preset
from tsp.errors import InputError
from tsp.files import parse_npy

EXAMPLES = 5000 if os.environ.get("TSP_FULL") else 300
SOURCE = (Path(__file__).parents[2] / "programs" / "examples" / "vector_add.tsp").read_text()
FRAGMENTS = [
    *isa.BY_MNEMONIC,
    *(".config", ".const", ".data", ".space", ".queue", ".word", "tiny", "superlanes=4", "mem.e0", "vxm.r0s0"),
    *("mxm.e0.weights", "mxm.e0.accumulate", "x", "x:", "int8", ":int32", "file", '"a.npy"', "next", "store", "pass"),
    *("e4", "w31", "e99999999999", "r0", "r9", "#", "#5", "#-1", "@", "@5", "&", "->", ",", ":", "=", "[", "]", "("),
    *(")", "+", "-", "*", "0", "1", "65536", "0x", "0xg", "0b2", "1_", "9" * 5000, ";", "\n", "\n", "\n", "\t", ".sat"),
    *("\0", "\r", "\x0c", "\u2028", "ä", "🦜", ".", "..", "''", '"'),
]


def swallow(text: str) -> None:
    try:
        assemble(text, "garbage.tsp", preset("tiny"), Path("/nonexistent"))
    except InputError as error:
        assert all(line.startswith("garbage.tsp") for line in str(error).split("\n")), str(error)


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.text(max_size=200))
def test_text(text: str) -> None:
    swallow(text)


@settings(max_examples=2 * EXAMPLES, deadline=None)
@given(st.lists(st.sampled_from(FRAGMENTS), max_size=40), st.sampled_from(["", ".queue mem.e0\n", ".queue vxm.r0s0\n"]))
@example(["("] * 20000 + ["1"] + [")"] * 20000, ".data mem.e0 int8 = ")
@example(["-"] * 20000 + ["1"], ".const x = ")
@example(["*9"] * 2000, ".const x = 9")
@example(["1,\n"] * 5000 + ["1"], ".data mem.e0 int8 = ")
def test_fragments(fragments: list[str], start: str) -> None:
    swallow(start + " ".join(fragments))


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.integers(0, len(SOURCE)), st.integers(0, 30), st.text(max_size=10))
def test_damaged_source(place: int, length: int, text: str) -> None:
    swallow(SOURCE[:place] + text + SOURCE[place + length :])


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.binary(max_size=200), st.booleans())
def test_npy(data: bytes, magic: bool) -> None:
    try:
        parse_npy((b"\x93NUMPY\x01\x00" if magic else b"") + data, "a.npy")
    except InputError as error:
        assert str(error).startswith("a.npy: ")
