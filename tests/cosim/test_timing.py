"""Every entry of the timing table, measured on the RTL of both simulators.

An entry is found by trying: a program is run for every offset around the expected one, and the offset (or the last
event's cycle) at which the machine does what the entry says is the measurement. The programs of a configuration run in
as few simulator processes as there are processors.
"""

import dataclasses
import os
from collections.abc import Callable

import numpy as np
import pytest

from rtl.icu_control import START_CYCLES
from tb import machine, regress, simulator
from tb.machine import Job, RtlResult
from tb.small import in_beats, small
from tsp.builder import Builder
from tsp.config import ChipConfig, preset
from tsp.fetched import vectors
from tsp.floorplan import floorplan
from tsp.isa import instruction
from tsp.program import Program
from tsp.timing import arrival, timing

TWO = "superlanes=1 mxm_planes_w=0 vxm_rows=1 beats=2 ifetch=off ecc=off"
CONFIGS = {
    "tiny": preset("tiny"),
    # As slow in Icarus as its lines are many: without what has no entry of its own.
    "small": small().override(["vxm_float=off", "ecc=off", "trace=off"]),
    "cycles of eight clocks": in_beats(),
    "cycles of two clocks": small().override(TWO.split()),
}
Measure = Callable[[], int]


class Lab:
    """Collects programs, runs them all at once, answers with their results."""

    def __init__(self, config: ChipConfig):
        self.config, self.plan = config, floorplan(config)
        self.jobs: list[Job] = []
        self.results: list[RtlResult] = []

    def run(self, program: Program, *read: tuple[str, int]) -> Callable[[], RtlResult]:
        number = len(self.jobs)
        words = [(self.plan.slice(name).index, word) for name, word in read]
        self.jobs.append(Job(program, 2000, words))
        return lambda: self.results[number]

    def last_event(self, program: Program) -> Callable[[], int]:
        result = self.run(program)
        return lambda: result().cycles - 1

    def distance(self, first: str, second: str) -> int:
        def site(name: str) -> int:
            return self.plan.slice(name).site

        return arrival(site(first), site(second))


def only(offsets: list[int]) -> int:
    assert len(offsets) == 1, f"exactly one offset must work, {offsets} do"
    return offsets[0]


def read_func(lab: Lab) -> Measure:
    b = Builder(lab.config)
    b.place("x", "mem.e0", [[1]], address=0)
    b.read("mem.e0", 0, "e0", at=5)
    last = lab.last_event(b.build())
    return lambda: last() - 5


def _write(lab: Lab, at: int) -> Callable[[], RtlResult]:
    b = Builder(lab.config)
    b.place("x", "mem.e0", [[7]], address=0)
    b.read("mem.e0", 0, "e0", at=10)
    b.write("mem.e4", 3, "e0", at=at)
    return lab.run(b.build(), ("mem.e4", 3))


def write_skew(lab: Lab) -> Measure:
    tries = {at: _write(lab, at) for at in range(10, 16)}

    def measure() -> int:
        at = only([at for at, result in tries.items() if result().fault is None])
        place = lab.plan.slice("mem.e4").index
        assert tries[at]().memory[place, 3][0] == 7
        return tries[at]().cycles - 1 - at

    return measure


def write_read(lab: Lab) -> Measure:
    tries = {}
    for offset in range(1, 5):
        b = Builder(lab.config)
        b.place("new", "mem.e0", [[7]], address=0)
        b.place("old", "mem.e4", [[9]], address=3)
        b.read("mem.e0", 0, "e0", at=0)
        b.write("mem.e4", 3, "e0", at=b.arrive(0, "mem.e0", "mem.e4"))
        at = b.arrive(0, "mem.e0", "mem.e4") + offset
        b.read("mem.e4", 3, "w1", at=at)
        b.write("mem.e0", 9, "w1", at=b.arrive(at, "mem.e4", "mem.e0"))
        tries[offset] = lab.run(b.build(), ("mem.e0", 9))
    return lambda: min(offset for offset, result in tries.items() if next(iter(result().memory.values()))[0] == 7)


def alu_skew(lab: Lab) -> Measure:
    tries = {}
    for at in range(10, 18):
        b = Builder(lab.config)
        b.place("x", "mem.w0", [[7]], address=0)
        b.read("mem.w0", 0, "e0", at=10)
        b.alu("vxm.r0s0", "CONVERT", "e0:int8", to="e4:int8", at=at)
        tries[at] = lab.run(b.build())
    in_sr = 10 + timing(lab.config).read_func + lab.distance("mem.w0", "vxm")
    return lambda: in_sr - only([at for at, result in tries.items() if result().fault is None])


def alu_func(lab: Lab) -> Measure:
    b = Builder(lab.config)
    b.alu("vxm.r0s0", "ADD", "#1", "#1", to="w4:int32", at=6)
    last = lab.last_event(b.build())
    return lambda: last() - 6


def alu_next(lab: Lab) -> Measure:
    tries = {}
    following = f"vxm.r0s{1 % lab.config.vxm_stages}"
    for offset in range(following == "vxm.r0s0", 5):
        b = Builder(lab.config)
        b.alu("vxm.r0s0", "ADD", "#1", "#1", to="next", at=6)
        b.alu(following, "ADD", "r0", "#2", to="w4:int32", at=6 + offset)
        tries[offset] = lab.run(b.build())
    return lambda: only([offset for offset, result in tries.items() if result().fault is None])


def _weights(b: Builder, value: int, at: int, name: str) -> int:
    """Load a plane of equal weights, first LW in cycle ``at``; the first cycle an IW may come in."""
    slices = [slice_.name for slice_ in floorplan(b.config).slices if slice_.unit == "mem"][:16]
    symbols = b.place_weights(name, slices, np.full((b.config.lanes, b.config.lanes), value, np.int8))
    return b.load_weights("mxm.e0", symbols, 0, at)


def lw_skew(lab: Lab) -> Measure:
    tries = {}
    slices = [slice_.name for slice_ in lab.plan.slices if slice_.unit == "mem"][:16]
    for offset in range(-2, 3):
        b = Builder(lab.config)
        for j, name in enumerate(slices):
            b.place(f"x{j}", name, [[1]], address=0)
            b.read(name, 0, f"e{j}", at=b.depart(40, name, "mxm.e0.weights"))
        b.lw("mxm.e0", 0, "e0", at=40 + offset)
        tries[offset] = lab.run(b.build())
    expected = timing(lab.config).lw_skew
    return lambda: expected - only([offset for offset, result in tries.items() if result().fault is None])


def abc_skew(lab: Lab) -> Measure:
    tries = {}
    in_sr = 10 + timing(lab.config).read_func + lab.distance("mem.e0", "mxm.e0")
    for at in range(in_sr - 3, in_sr + 4):
        b = Builder(lab.config)
        b.place("x", "mem.e0", [[7]], address=0)
        b.read("mem.e0", 0, "e0", at=10)
        b.abc("mxm.e0", "e0", at=at)
        tries[at] = lab.run(b.build())
    return lambda: in_sr - only([at for at, result in tries.items() if result().fault is None])


def _product(lab: Lab, lw_to_iw: int, iw_to_abc: int) -> Callable[[], bool]:
    """Old weights are 1, new ones 3: whether the activation 5 in lane 0 meets the new ones."""
    b = Builder(lab.config)
    b.place("x", "mem.e0", [[5]], address=12)
    _weights(b, 1, 60, "old")
    b.iw("mxm.e0", at=100)
    free = _weights(b, 3, 120, "new")
    iw = free - timing(lab.config).lw_iw + lw_to_iw
    b.iw("mxm.e0", at=iw)
    abc = iw + iw_to_abc
    b.fetch(b._memory.symbols["x"], 0, "mxm.e0", at=abc)
    acc = b.abc("mxm.e0", "e0", at=abc)
    b.acc("mxm.e0", 0, "pass", at=acc, to="w0")
    b.write("mem.e0", 13, "w0", at=b.arrive(acc, "mxm.e0", "mem.e0"))
    result = lab.run(b.build(), ("mem.e0", 13))

    def new() -> bool:
        value = next(iter(result().memory.values()))[0]
        assert result().fault is None and value in (5, 15)
        return bool(value == 15)

    return new


def lw_iw(lab: Lab) -> Measure:
    tries = {offset: _product(lab, offset, 4) for offset in (1, 2, 3)}
    return lambda: min(offset for offset, new in tries.items() if new())


def iw_abc(lab: Lab) -> Measure:
    tries = {offset: _product(lab, 2, offset) for offset in (-1, 0, 1, 2)}
    return lambda: min(offset for offset, new in tries.items() if new())


def abc_acc(lab: Lab) -> Measure:
    tries = {}
    for offset in range(2 * lab.config.superlanes + 4):
        b = Builder(lab.config)
        b.place("x", "mem.e0", [[5]], address=0)
        b.fetch(b._memory.symbols["x"], 0, "mxm.e0", at=30)
        b.abc("mxm.e0", "e0", at=30)
        b.acc("mxm.e0", 0, "store", at=30 + offset)
        tries[offset] = lab.run(b.build())
    return lambda: only([offset for offset, result in tries.items() if result().fault is None])


def acc_func(lab: Lab) -> Measure:
    b = Builder(lab.config)
    b.place("x", "mem.e0", [[5]], address=0)
    b.fetch(b._memory.symbols["x"], 0, "mxm.e0", at=30)
    acc = b.abc("mxm.e0", "e0", at=30)
    b.acc("mxm.e0", 0, "pass", at=acc, to="w0")
    last = lab.last_event(b.build())
    return lambda: last() - acc


def acc_acc(lab: Lab) -> Measure:
    tries = {}
    for offset in (1, 2, 3):
        b = Builder(lab.config)
        x = b.place("x", "mem.e0", [[5], [6]], address=12)
        b.iw("mxm.e0", at=_weights(b, 1, 60, "w"))
        acc = 0
        for i in (0, 1):
            at = 80 + i * offset
            b.fetch(x, 0, "mxm.e0", at=at, first=i)
            acc = b.abc("mxm.e0", "e0", at=at)
            b.acc("mxm.e0", 3, "add" if i else "store", at=acc, to="w0" if i else None)
        b.write("mem.e0", 14, "w0", at=b.arrive(acc, "mxm.e0", "mem.e0"))
        tries[offset] = lab.run(b.build(), ("mem.e0", 14))
    return lambda: min(offset for offset, result in tries.items() if next(iter(result().memory.values()))[0] == 11)


def _sxm(lab: Lab, mnemonic: str, queue: str, *operands: str, at: int) -> Program:
    b = Builder(lab.config)
    b.place("x", "mem.e0", [[1]], address=0)
    b.read("mem.e0", 0, "e0", at=10)
    b.sxm(queue, mnemonic, "e0", *operands, to="e8", at=at)
    return b.build()


def sxm_skew(lab: Lab) -> Measure:
    tries = {at: lab.run(_sxm(lab, "DISTRIBUTE", "sxm.e.distribute0", "e0", at=at)) for at in range(10, 24)}
    in_sr = 10 + timing(lab.config).read_func + lab.distance("mem.e0", "sxm.e")
    return lambda: in_sr - only([at for at, result in tries.items() if result().fault is None])


def sxm_func(lab: Lab) -> Measure:
    last = lab.last_event(_sxm(lab, "DISTRIBUTE", "sxm.e.distribute0", "e0", at=30))
    return lambda: last() - 30


def sxm_across_func(lab: Lab) -> Measure:
    last = lab.last_event(_sxm(lab, "SHIFT", "sxm.e.shift1", "down", "1", at=30))
    return lambda: last() - 30


def _queued(lab: Lab, **queues: list[tuple[str, dict[str, int]]]) -> Program:
    words = {
        lab.plan.queue(f"mem.{name}").index: [instruction(mnemonic, **values).encode() for mnemonic, values in items]
        for name, items in queues.items()
    }
    return Program(lab.config, words).validate()


def barrier(lab: Lab) -> Measure:
    waits = [("SYNC", {}), ("READ", {})]
    last = lab.last_event(_queued(lab, e0=waits, e1=[("NOP", {"n": 7}), ("NOTIFY", {})]))
    return lambda: last() - timing(lab.config).read_func - 7


def deskew(lab: Lab) -> Measure:
    last = lab.last_event(_queued(lab, e0=[("NOP", {"n": 3}), ("DESKEW", {}), ("READ", {})]))
    return lambda: last() - timing(lab.config).read_func - 3


def runtime_deskew(lab: Lab) -> Measure:
    last = lab.last_event(_queued(lab, e0=[("NOP", {"n": 3}), ("RUNTIME_DESKEW", {"t": 11}), ("READ", {})]))
    return lambda: last() - timing(lab.config).read_func - 3 - 11


def config_distance(lab: Lab) -> Measure:
    """A WRITE so many cycles after CONFIG 1 no longer writes superlane 1."""
    tries = {}
    for offset in range(6):
        b = Builder(lab.config)
        b.place("x", "mem.e0", [[7] * lab.config.lanes], address=0)
        b.place("y", "mem.e4", [[9] * lab.config.lanes], address=3)
        b.read("mem.e0", 0, "e0", at=b.depart(10 + offset, "mem.e0", "mem.e4"))
        b.power("mem.w0", 1, at=10)
        b.write("mem.e4", 3, "e0", at=10 + offset)
        tries[offset] = lab.run(b.build(), ("mem.e4", 3))

    def measure() -> int:
        kept = {}
        for offset, result in tries.items():
            word = next(iter(result().memory.values())).tolist()
            kept[offset] = word == [7] * 16 + [9] * (lab.config.lanes - 16)
            assert kept[offset] or word == [7] * lab.config.lanes
        first = min(offset for offset in kept if kept[offset])
        assert all(kept[offset] == (offset >= first) for offset in kept)
        return first

    return measure


def drain(lab: Lab) -> Measure:
    result = lab.run(_queued(lab, e0=[("NOP", {"n": 20}), ("READ", {})]))
    # The queue is empty from cycle 21 on, START_CYCLES + 21 after the start.
    return lambda: result().clocks - START_CYCLES - 21


def _fetch(lab: Lab, at: int, wait: int) -> Callable[[], RtlResult]:
    """A queue that fetches a NOP, long enough for the vector's other words to come."""
    b = Builder(lab.config)
    vector = vectors([instruction("NOP", n=99).encode()], lab.config)[0]
    b.place("prog", "mem.e0", np.frombuffer(vector, np.int8)[None], address=0)
    b.read("mem.e0", 0, "e0", at=12)
    b.fetch_words("mem.e4", "e0", 1, at=at)
    program = b.build()
    queue = lab.plan.queue("mem.e4").index
    # The IFETCH is followed by the NOP that waits for the words; those that are fetched follow that.
    program.queues[queue] = [*program.queues[queue], instruction("NOP", n=wait).encode()]
    return lab.run(program)


def ifetch_skew(lab: Lab) -> Measure:
    tries = {at: _fetch(lab, at, 40) for at in range(12, 18)}
    in_sr = 12 + timing(lab.config).read_func + lab.distance("mem.e0", "mem.e4")
    return lambda: in_sr - only([at for at, result in tries.items() if result().fault is None])


def ifetch_dispatch(lab: Lab) -> Measure:
    at = 12 + timing(lab.config).read_func + lab.distance("mem.e0", "mem.e4") - timing(lab.config).ifetch_skew
    tries = {wait: _fetch(lab, at, wait) for wait in range(1, 10)}
    return lambda: 1 + min(wait for wait, result in tries.items() if result().fault is None)


MEASURES: dict[str, Callable[[Lab], Measure]] = {
    measure.__name__.removesuffix("_distance"): measure
    for measure in (
        *(read_func, write_skew, write_read, alu_skew, alu_func, alu_next, lw_skew, lw_iw, iw_abc, abc_skew, abc_acc),
        *(acc_func, acc_acc, barrier, deskew, runtime_deskew, drain),
        config_distance,
        *(sxm_skew, sxm_func, sxm_across_func, ifetch_skew, ifetch_dispatch),
    )
}


OF_LINKS = ("send_skew", "send_wire", "receive_ready", "receive_func")


def test_every_entry_has_a_measurement() -> None:
    absent = () if any(chip.c2c for chip in CONFIGS.values()) else OF_LINKS
    assert set(MEASURES) == set(dataclasses.asdict(timing(preset("tiny")))) - {*absent}


FULL = [(name, sim) for name in CONFIGS for sim in simulator.SIMULATORS]
RUNS = [("tiny", "verilator"), ("small", "icarus"), ("cycles of eight clocks", "verilator")]


@pytest.mark.parametrize("name, sim", FULL if os.environ.get("TSP_FULL") else RUNS)
def test_table_is_what_the_rtl_does(name: str, sim: str) -> None:
    chip = CONFIGS[name]
    lab = Lab(chip)
    # With one superlane there is nothing to switch off.
    absent = [*["config"] * (chip.superlanes == 1), *["ifetch_skew", "ifetch_dispatch"] * (not chip.ifetch)]
    pending = {entry: measure(lab) for entry, measure in MEASURES.items() if entry not in absent}
    made = machine.build(chip, sim)
    lab.results = list(regress.run_jobs(made, lab.jobs, chip))
    table = dataclasses.asdict(timing(chip))
    assert {entry: measure() for entry, measure in pending.items()} == {entry: table[entry] for entry in pending}
