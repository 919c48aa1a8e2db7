"""CONFIG on the RTL of both simulators: written programs whose results depend on which superlanes are powered when.

Random programs (:mod:`test_random`) contain it too. What the programs mean is held in ``tests/golden/test_power.py``.
"""

import numpy as np
import pytest

import golden.machine
from tb import machine, simulator
from tb.compare import compare
from tb.machine import Job
from tsp.builder import Builder
from tsp.checker import check
from tsp.config import ChipConfig, preset
from tsp.floorplan import floorplan
from tsp.isa import instruction
from tsp.program import Program
from tsp.timing import timing

TINY = preset("tiny")


def weights(config: ChipConfig, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(-99, 99, (config.lanes, config.lanes))


def products(config: ChipConfig) -> Program:
    """Products with all superlanes, with one, and again with all, of weights and onto rows that stayed."""
    b = Builder(config)
    slices = [f"mem.{h}{i}" for h in "we" for i in range(4, 12)]
    w, x = b.place_weights("w", slices, weights(config, 1)), b.place("x", "mem.w0", weights(config, 2)[:2])
    b.iw("mxm.e0", b.load_weights("mxm.e0", w, 0, at=30))
    # Another buffer waits while superlane 1 is off, and is installed when it is on again.
    b.load_weights("mxm.e0", b.place_weights("v", slices, weights(config, 3)), 0, at=50)
    taken = 0
    for n, (at, p, mode) in enumerate([(80, 2, "store"), (140, 1, "peek"), (200, 2, "add"), (260, 2, "add")]):
        if n:
            b.power(f"mem.e{n}", p, at=at - 25)
        if n == 3:
            b.iw("mxm.e0", at - 10)
        stream = b.fetch(x, 0, "mxm.e0.activations", at=at, count=2)
        taken = b.abc("mxm.e0", stream, at=at, count=2)
        b.acc("mxm.e0", 3, mode, at=taken, to="w4", count=2)
        y = b.place(f"y{n}", "mem.w8", np.full((2, config.lanes), 9), "int32")
        b.store(y, 4, "mxm.e0.accumulate", at=taken, count=2)
    return b.build()


def bytes_moved(config: ChipConfig, p: int) -> Program:
    """Every SXM instruction with p superlanes, the VXM, and a word written in parts."""
    b = Builder(config)
    on, lanes = 16 * p, config.lanes
    rng = np.random.default_rng(4)
    rows = rng.integers(-128, 128, (16, lanes))
    map_ = np.r_[rng.permutation(on), rng.integers(0, lanes, lanes - on)]
    a = [b.place(f"a{j}", f"mem.e{j % 12}", rows[j : j + 1]) for j in range(12)]
    low, high = b.place("low", "mem.w1", [map_]), b.place("high", "mem.w2", [map_ >> 8])
    inside = b.place("inside", "mem.w3", [map_ % 20])
    b.power("sxm.e.rotate", p, at=1)
    operations = [
        ("permute", "PERMUTE", ["e0", "e2"], [(a[0], 0), (low, 2), (high, 3)]),
        ("distribute0", "DISTRIBUTE", ["e0", "e1"], [(a[1], 0), (inside, 1)]),
        ("shift0", "SHIFT", ["e0", "down", "5"], [(a[2], 0)]),
        ("shift1", "SHIFT", ["e0", "up", "17", "e1"], [(a[3], 0), (low, 1)]),
        ("rotate", "ROTATE", ["e0", "3"], [(a[4], 0), (a[5], 1), (a[6], 2)]),
    ]
    for n, (name, mnemonic, operands, brought) in enumerate(operations):
        at, queue = 30 + 12 * n, f"sxm.e.{name}"
        for symbol, index in brought:
            slice_ = floorplan(config).slices[symbol.slice].name
            b.read(slice_, symbol.address, f"e{index}", at=b.depart(at, slice_, queue))
        b.sxm(queue, mnemonic, *operands, to="w0", at=at)
        y = b.place(f"y{n}", "mem.w0", [[9] * lanes])
        b.store(y, 0, queue, at=at)
    stream = b.fetch(a[7], 4, "vxm.r0s0", at=100)
    b.alu("vxm.r0s0", "NOT", f"{stream}:int8", to="next", at=100)
    b.alu("vxm.r0s1", "NEG", "r0", to="e4:int8", at=101)
    b.store(b.place("z", "mem.e8", [[9] * lanes]), 4, "vxm.r0s1", at=101)
    return b.build()


def indirect(config: ChipConfig) -> Program:
    """GATHER and SCATTER whose maps name words beyond the memory in the superlane that is off."""
    b = Builder(config)
    map_ = np.zeros(config.lanes, np.int64)
    map_[0], map_[17] = 2, 127
    m = b.place("m", "mem.e0", [map_], address=0)
    b.place("t", "mem.e4", np.arange(4 * config.lanes).reshape(4, -1) % 100, address=0)
    b.power("mem.w0", 1, at=0)
    for at in (10, 20):
        stream = b.fetch(m, 0, "mem.e4", at=at)
        if at == 10:
            b.gather("mem.e4", "e1", stream, at=at)
            b.store(b.place("g", "mem.e8", [[9] * config.lanes]), 1, "mem.e4", at=at)
        else:
            x = b.place("x", "mem.e1", [[7] * config.lanes])
            b.scatter("mem.e4", b.fetch(x, 5, "mem.e4", at=at), stream, at=at)
    return b.build()


def by_every_queue(config: ChipConfig) -> Program:
    """Every queue dispatches a CONFIG, one a cycle; a READ between them shows each."""
    b = Builder(config)
    b.place("x", "mem.e0", [[1] * config.lanes], address=0)
    queues = [queue.name for queue in floorplan(config).queues if queue.name != "mem.e0"]
    for n, queue in enumerate(queues):
        b.power(queue, 1 + n * 7 // 4 % 2, at=3 + n)
    b.read("mem.e0", 0, "e0", at=1, count=len(queues) + 8, step=0)
    return b.build()


def programs(config: ChipConfig) -> list[Program]:
    return [products(config), bytes_moved(config, 1), bytes_moved(config, 2), indirect(config), by_every_queue(config)]


def test_the_programs_are_legal() -> None:
    for program in programs(TINY):
        assert check(program).ok, str(check(program))
        partly = golden.machine.run(program).flow.issues.powered
        assert len(partly), "nothing is issued"


def _jobs(made: list[Program]) -> tuple[list[golden.machine.Result], list[Job]]:
    wanted = [golden.machine.run(program) for program in made]
    read = [[(place, int(a)) for place, image in want.written.items() for a in image.addresses] for want in wanted]
    return wanted, [Job(p, want.cycles + 200, words) for p, want, words in zip(made, wanted, read, strict=True)]


def run_on(config: ChipConfig, sim: str) -> None:
    """All programs in one simulator process, so that each also starts after one that left superlanes off."""
    wanted, jobs = _jobs(programs(config))
    found = machine.run_on(machine.build(config, sim), jobs, config)
    for want, got in zip(wanted, found, strict=True):
        assert got.done and not compare(want, got, config), "\n".join(map(str, compare(want, got, config)))


@pytest.mark.slow
@pytest.mark.parametrize("sim", simulator.SIMULATORS)
def test_the_rtl_does_what_the_golden_model_does(sim: str) -> None:
    run_on(TINY, sim)


@pytest.mark.slow
def test_a_bad_map_among_the_powered_lanes_is_a_fault() -> None:
    """And a good one is none, whatever it says of the others."""
    made = []
    for first in (15, 16, 14):
        b = Builder(TINY)
        rows = {"e0": np.arange(32), "e2": [first, *range(14, -1, -1), *[77] * 16], "e3": [0] * 32}
        b.power("mem.w0", 1, at=0)
        for n, (stream, row) in enumerate(rows.items()):
            symbol = b.place(f"v{n}", f"mem.e{n}", [row])
            b.read(f"mem.e{n}", symbol.address, stream, at=b.depart(40, f"mem.e{n}", "sxm.e.permute"))
        b.sxm("sxm.e.permute", "PERMUTE", "e0", "e2", to="w0", at=40)
        made.append(b.build())
    wanted, jobs = _jobs(made)
    found = machine.run_on(machine.build(TINY, "verilator"), jobs, TINY)
    assert [want.fault and want.fault.cycle for want in wanted] == [None, *[40 + timing(TINY).sxm_across_func] * 2]
    assert not [str(d) for want, got in zip(wanted, found, strict=True) for d in compare(want, got, TINY)]


def test_config_out_of_range_is_illegal() -> None:
    for p, legal in ((0, False), (1, True), (2, True), (3, False), (65, False), (1 << 15, False)):
        queue = floorplan(TINY).queue("mem.w0").index
        program = Program(TINY, {queue: [instruction("CONFIG", p=p).encode()]}).validate()
        fault = golden.machine.run(program).fault
        assert (fault is None) == legal
