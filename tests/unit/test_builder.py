"""The builder: programs that are legal and compute what they should, and refusals of what cannot be."""

from collections.abc import Callable

import numpy as np
import pytest

from golden.machine import run
from tsp.builder import Builder
from tsp.checker import check
from tsp.config import ChipConfig, preset
from tsp.dispatch import unroll
from tsp.errors import InputError
from tsp.floorplan import floorplan
from tsp.memory_map import typed
from tsp.program import Program, Symbol

TINY = preset("tiny")


def result(program: Program, symbol: Symbol) -> np.ndarray:
    """What a symbol holds after the golden model ran the program, which must be legal."""
    report = check(program)
    assert report.ok, str(report)
    after = run(program)
    assert after.cycles == report.cycles
    return typed(Program(program.config, {}, after.memory), symbol)


def vector_add(config: ChipConfig, barrier: bool = False) -> tuple[Builder, Symbol]:
    b = Builder(config, barrier)
    x = b.place("x", "mem.w0", [1, 100, -100])
    y = b.place("y", "mem.e0", [10, 100, -100])
    z = b.space("z", "mem.e4", 1)
    e, w = b.fetch(x, 4, "vxm.r0s0", at=10), b.fetch(y, 4, "vxm.r0s0", at=10)
    b.alu("vxm.r0s0", "ADD.sat", f"{e}:int8", f"{w}:int8", to="e8:int8", at=10)
    assert b.store(z, 8, "vxm.r0s0", at=10) == 13
    return b, z


@pytest.mark.parametrize("barrier", [False, True])
@pytest.mark.parametrize("name", ["tiny", "board", "groqchip"])
def test_vector_add(name: str, barrier: bool) -> None:
    b, z = vector_add(preset(name), barrier)
    assert result(b.build(), z)[0, :4].tolist() == [11, 127, -128, 0]


@pytest.mark.parametrize("hemisphere", ["e", "w"])
def test_matrix_times_vectors(hemisphere: str) -> None:
    rng = np.random.default_rng(3)
    weights, inputs = rng.integers(-128, 128, (32, 32)), rng.integers(-128, 128, (5, 32))
    b, plane = Builder(TINY), f"mxm.{hemisphere}0"
    slices = [f"mem.{h}{i}" for h in "ew" for i in range(4, 12)]
    symbols = b.place_weights("weights", slices, weights)
    x = b.place("x", "mem.e0" if hemisphere == "w" else "mem.w0", inputs)
    y = b.space("y", f"mem.{hemisphere}0", 5, "int32")
    ready = b.load_weights(plane, symbols, 16, at=20)
    b.iw(plane, ready)
    stream = b.fetch(x, 0, f"{plane}.activations", at=ready + 1, count=5)
    acc = b.abc(plane, stream, at=ready + 1, count=5)
    b.acc(plane, 0, "store", at=acc, to="w4" if hemisphere == "e" else "e4", count=5)
    b.store(y, 4, plane, at=acc, count=5)
    assert (result(b.build(), y) == inputs @ weights.T).all()


def test_chain_of_stages() -> None:
    b = Builder(TINY)
    x = b.place("x", "mem.w3", [[-5, 300, 7]], "int16")
    z = b.space("z", "mem.e4", 1, "int16")
    at = 20
    stream = b.fetch(x, 2, "vxm", at)
    b.alu("vxm.r0s0", "RELU", f"{stream}:int16", to="next", at=at)
    b.alu("vxm.r1s1", "MUL", "r0", "#-3", to="e6:int16", at=at + 1)
    b.store(z, 6, "vxm", at + 1)
    assert result(b.build(), z)[0, :3].tolist() == [0, -900, -21]


def test_reads_and_writes_in_one_word() -> None:
    b = Builder(TINY)
    b.place("x", "mem.w0", np.arange(6).reshape(3, 2))
    z = b.space("z", "mem.w8", 3, address=64)
    b.read("mem.w0", 0, "w3", at=0, count=3)
    b.place("dummy", "mem.w8", np.zeros((3, 1), int))
    b.read_write("mem.w8", (0, "w9"), (64, "w3"), at=b.arrive(0, "mem.w0", "mem.w8"), count=3)
    assert result(b.build(), z)[:, :2].tolist() == [[0, 1], [2, 3], [4, 5]]


def test_any_order_of_cycles() -> None:
    b = Builder(TINY)
    b.place("x", "mem.e0", np.zeros((128, 1), int))
    cycles = [90, 3, 50, 70_000, 4]
    for cycle in cycles:
        b.read("mem.e0", cycle % 128, "e1", at=cycle)
    assert [burst.start for burst in unroll(b.build().queues, TINY).bursts] == sorted(cycles)


def test_control_instructions() -> None:
    b = Builder(TINY)
    b.control("mem.e0", "RUNTIME_DESKEW", at=5, t=20)
    b.control("mem.e0", "DESKEW", at=26)
    controls = unroll(b.build().queues, TINY).controls
    assert [(c.mnemonic, c.cycle) for c in controls] == [("RUNTIME_DESKEW", 5), ("DESKEW", 26)]


def test_source_lines_point_here() -> None:
    b = Builder(TINY)
    b.place("x", "mem.e0", [1])
    b.read("mem.e0", 0, "e1", at=7)
    program = b.build()
    queue = floorplan(TINY).queue("mem.e0").index
    assert program.where(queue, 1).startswith("test_builder.py:")
    assert 'b.read("mem.e0"' in program.source.text[program.source.lines[queue, 1]]


def test_free_cycles() -> None:
    b = Builder(TINY)
    b.read("mem.e0", 0, "e1", at=10, count=3, every=4)
    assert [b.free("mem.e0", at, 2) for at in (0, 8, 9, 15, 19, 40)] == [0, 8, 19, 19, 19, 40]


def busy(b: Builder) -> None:
    b.read("mem.e0", 0, "e1", at=10, count=3, every=4)
    b.read("mem.e0", 5, "e1", at=12)


REFUSED: list[tuple[Callable[[Builder], object], str]] = [
    (busy, r"'READ 5, e1' takes cycles 12…12, but 'READ 0, e1' \(line \d+\) takes 10…18; free from cycle 19"),
    (lambda b: b.read("mem.e0", 0, "e1", at=-1), "would dispatch in cycle -1; the first cycle is 0"),
    (lambda b: b.read("mem.e0", 128, "e1", at=0), "must be 0…127; try 127"),
    (lambda b: b.read("mem.e0", 0, "x1", at=0), "'x1' is no stream"),
    (lambda b: b.read("vxm.r0s0", 0, "e1", at=0), "READ is no instruction of queue vxm.r0s0"),
    (lambda b: b.read("mem.e12", 0, "e1", at=0), "unknown queue 'mem.e12'"),
    (lambda b: b.read("mem.e0", 0, "e1", at=0, count=0), "count 0, must be at least 1"),
    (lambda b: b.read("mem.e0", 0, "e1", at=0, count=70_000), "REPEAT: n is 69999, must be 1…65535"),
    (lambda b: b.alu("vxm.r0s0", "ADD", "e1", "#1", to="next", at=0), "must be a typed stream"),
    (lambda b: b.alu("vxm.r0s0", "ADD", "e1:int8", "#x", to="next", at=0), "is not a whole number"),
    (lambda b: b.alu("vxm.r0s0", "ADD", "e1:int8", "#1", to="", at=0), "must be a typed stream"),
    (lambda b: b.alu("vxm.r0s0", "ADDD", "e1:int8", "#1", to="next", at=0), "did you mean 'ADD'"),
    (lambda b: b.acc("mxm.e0", 0, "keep", at=0), "known: store, add, pass, peek"),
    (lambda b: b.acc("mxm.e0", 0, "store", at=0, to="e4"), "must use a westward stream; try w4"),
    (lambda b: b.control("mem.e0", "SYNC", at=0), "has no place at an absolute cycle"),
    (
        lambda b: b.depart(3, "mem.w8", "vxm"),
        "dispatch in cycle -1 to meet vxm in cycle 3; vxm can have it from cycle 4",
    ),
    (lambda b: b.arrive(3, "mem.w8", "mem.w9"), "stand at one site"),
    (lambda b: b.arrive(3, "c2c.w0", "vxm"), "queue c2c.w0 needs c2c to use streams, but config tiny has c2c=False"),
    (lambda b: b.place_weights("w", ["mem.e0"], [[1]]), "must be a matrix on 16 slices"),
    (lambda b: b.place("x", "mem.e0", [0.5]), "array of integers"),
    (lambda b: b.space("x", "mem.e11", 1, "int16"), "start at mem.e10"),
]


@pytest.mark.parametrize("use, message", REFUSED, ids=[message[:30] for _, message in REFUSED])
def test_refused(use: Callable[[Builder], object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        use(Builder(TINY))


def test_too_many_words_are_refused() -> None:
    b = Builder(TINY)
    for cycle in range(257):
        b.read("mem.e0", 0, "e1", at=cycle)
    with pytest.raises(InputError, match="queue mem.e0 is full: queue_depth is 256"):
        b.build()
