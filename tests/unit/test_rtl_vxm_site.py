"""The VXM site of one superlane: stream registers, stages, collisions, the signature."""

import dataclasses
from functools import lru_cache

import pytest
from amaranth.sim import Simulator
from vxm_driver import LANES, Operand, Step, numbers_of, planes_of

from rtl.stamp import inlined
from rtl.vxm import VxmSite
from tsp.config import ChipConfig, preset
from tsp.isa import OperandKind, Type
from tsp.timing import timing

SMALL = preset("tiny").override(["streams=16", "vxm_mul_bits=0", "vxm_float=off", "ecc=off"])
STAGES = SMALL.override(["vxm_rows=1", "vxm_stages=3"])
ROWS = SMALL.override(["vxm_rows=2", "vxm_stages=1"])
COLLISION, OPERAND_ABSENT = 1, 3
PLACE = 5
W = 32
"""Added to a stream number for the westward one."""

Word = tuple[int, int]
"""Stream operand and the word on it."""


@dataclasses.dataclass
class Cycle:
    """What a site shows in one cycle: present words of both directions by stream operand, fault (queue, kind)."""

    streams: dict[int, int]
    fault: tuple[int, int] | None
    stream_event: int
    host: int | None


class SiteBench:
    """Runs instructions and arriving words through a site, in amaranth.sim."""

    def __init__(self, config: ChipConfig):
        self._config = config
        self._site = VxmSite(config)
        with inlined():
            self._simulator = Simulator(self._site)
        self._simulator.add_clock(1e-6)
        self._simulator.add_testbench(self._process)
        self._used = False

    def run(
        self, cycles: int, steps: dict[tuple[int, int], Step], arrivals: dict[int, list[Word]], host: int | None = None
    ) -> list[Cycle]:
        """One :class:`Cycle` per cycle.

        Args:
            steps: (cycle, queue) → instruction; its operands' values do not matter.
            arrivals: cycle → words in the registers that the site reads.
            host: cycle in which the host asks for the signature.
        """
        self._steps, self._arrivals, self._count, self._host = steps, arrivals, cycles, host
        self._seen: list[Cycle] = []
        if self._used:
            self._simulator.reset()
        self._used = True
        self._simulator.run()
        return self._seen

    async def _process(self, ctx) -> None:
        site = self._site
        ctx.set(site.place, PLACE)
        for t in range(self._count):
            for queue in range(self._config.alus):
                step = self._steps.get((t, queue))
                ctx.set(getattr(site, f"instr_{queue}_valid"), step is not None)
                ctx.set(getattr(site, f"instr_{queue}"), step.word() if step else 0)
            present = {"e": 0, "w": 0}
            for operand, word in self._arrivals.get(t, ()):
                side, number = "ew"[operand >> 5], operand & 31
                present[side] |= 1 << number
                ctx.set(getattr(site, f"{side}_in_{number}").as_value(), word)
            for side, bits in present.items():
                ctx.set(getattr(site, f"{side}_present_in"), bits)
            ctx.set(site.time, t)
            ctx.set(site.host_select, t == self._host)
            ctx.set(site.host_signature, 1)
            ctx.set(site.host_place, PLACE)
            self._seen.append(self._sample(ctx))
            await ctx.tick()

    def _sample(self, ctx) -> Cycle:
        site = self._site
        streams = {}
        for side, base in (("e", 0), ("w", W)):
            present = ctx.get(getattr(site, f"{side}_present_out"))
            for number in range(self._config.streams):
                if present >> number & 1:
                    streams[base + number] = ctx.get(getattr(site, f"{side}_out_{number}")).data
        fault = (ctx.get(site.fault_queue), ctx.get(site.fault_kind)) if ctx.get(site.fault_valid) else None
        host = ctx.get(site.host_rdata) if ctx.get(site.host_rvalid) else None
        return Cycle(streams, fault, ctx.get(site.stream_event), host)


@lru_cache(maxsize=2)
def bench(config: ChipConfig) -> SiteBench:
    """The bench of a configuration; building one takes longer than the tests."""
    return SiteBench(config)


def arriving(values: list[int], operand: int, type_: Type) -> list[Word]:
    return [(operand + plane, word) for plane, word in enumerate(planes_of(values, type_.planes))]


NUMBERS = [7 * lane - 50 for lane in range(LANES)]
BYTES = planes_of(NUMBERS, 1)[0]
HERE = Operand(NUMBERS, stream=2, type=Type.INT8)
THERE = Operand(NUMBERS, stream=W + 3, type=Type.INT8)
CHAIN = Operand(NUMBERS, OperandKind.ALU)
ONE = Operand([1], OperandKind.IMMEDIATE)


def test_words_hop_and_reading_does_not_remove_them():
    steps = {(1, 0): Step("ADD", (HERE, THERE), 6, Type.INT8)}
    seen = bench(STAGES).run(5, steps, {1: [(2, BYTES), (W + 3, BYTES)]})
    twice = planes_of([2 * n for n in NUMBERS], 1)[0]
    assert [cycle.streams for cycle in seen] == [{}, {}, {2: BYTES, W + 3: BYTES}, {6: twice}, {}]
    assert timing(STAGES).alu_func == 3 - 1
    assert [cycle.stream_event for cycle in seen] == [0, 0, 1, 0, 0]
    assert not any(cycle.fault for cycle in seen)


@pytest.mark.parametrize("target", [0, 12, W + 4])
def test_a_result_takes_the_place_of_what_arrives(target):
    """The result is in the register at T + 2, so what is in the way arrives at T + 1."""
    steps = {(0, 1): Step("SUB", (HERE, ONE), target, Type.INT32)}
    old = [(target + i, 99 + i) for i in range(4)]
    seen = bench(STAGES).run(4, steps, {0: [(2, BYTES)], 1: [*old, (W + 9, 5)], 2: old})
    streams = seen[2].streams
    assert streams.pop(W + 9) == 5
    assert list(streams) == [target + i for i in range(4)]
    assert numbers_of(list(streams.values())) == [n - 1 for n in NUMBERS]
    assert seen[3].streams == dict(old)


@pytest.mark.parametrize("first", [0, 1, 2])
def test_a_result_goes_through_the_stages_and_around(first):
    """Each stage adds one; stage 0 follows the last."""
    steps = {(0, first): Step("ADD", (HERE, ONE), to_stream=False)}
    for t in range(1, 4):
        steps[t, (first + t) % 3] = Step("ADD", (CHAIN, ONE), 4 * t, Type.INT8)
    seen = bench(STAGES).run(7, steps, {0: [(2, BYTES)]})
    for t in range(1, 4):
        assert seen[t + timing(STAGES).alu_func].streams == {4 * t: planes_of([n + t + 1 for n in NUMBERS], 1)[0]}
    assert not any(cycle.fault for cycle in seen)


def test_with_one_stage_every_row_follows_every_row():
    other = dataclasses.replace(CHAIN, row=1)
    first = {(0, 0): Step("ADD", (HERE, ONE), to_stream=False), (0, 1): Step("NEG", (HERE,), to_stream=False)}
    second = {(1, 0): Step("SUB", (CHAIN, other), 0, Type.INT16), (1, 1): Step("SUB", (other, CHAIN), 2, Type.INT16)}
    seen = bench(ROWS).run(5, first | second, {0: [(2, BYTES)]})
    difference = [2 * n + 1 for n in NUMBERS]
    words = planes_of(difference, 2) + planes_of([-n for n in difference], 2)
    assert seen[3].streams == dict(enumerate(words))


@pytest.mark.parametrize("late", [0, 2, 3])
def test_a_result_is_there_for_one_cycle_only(late):
    steps = {(1, 0): Step("ADD", (HERE, ONE), 0), (1 + late, 1): Step("NOT", (CHAIN,), 4)}
    seen = bench(STAGES).run(8, steps, {1: [(2, BYTES)]})
    assert {t: cycle.fault for t, cycle in enumerate(seen) if cycle.fault} == {2 + late: (1, OPERAND_ABSENT)}


def test_two_results_on_one_stream_collide_when_they_get_there():
    half = dataclasses.replace(HERE, stream=4)
    steps = {(0, 0): Step("NOT", (HERE,), 4, Type.INT32), (0, 1): Step("NOT", (half,), 6, Type.INT16)}
    seen = bench(ROWS).run(6, steps, {0: [(2, BYTES), (4, BYTES)]})
    at = timing(ROWS).alu_func
    assert {t: cycle.fault for t, cycle in enumerate(seen) if cycle.fault} == {at + 1: (0, COLLISION)}


def test_results_in_two_directions_or_cycles_do_not_collide():
    steps = {(0, 0): Step("NOT", (HERE,), 4, Type.INT32), (0, 1): Step("NOT", (HERE,), W + 4, Type.INT32)}
    steps[1, 1] = Step("NOT", (HERE,), 4, Type.INT32)
    seen = bench(ROWS).run(6, steps, {t: [(2, BYTES)] for t in (0, 1)})
    assert not any(cycle.fault for cycle in seen)


def test_of_two_faults_the_lowest_queue_then_kind_is_told():
    both = {(2, 0): Step("NOT", (HERE,), 0), (2, 1): Step("NOT", (HERE,), 4)}
    collide = {(0, q): Step("NOT", (HERE,), 8, Type.INT8) for q in (0, 1)}
    only_second = {(5, 1): Step("NOT", (HERE,))}
    seen = bench(ROWS).run(9, both | collide | only_second, {0: [(2, BYTES)]})
    found = {t: cycle.fault for t, cycle in enumerate(seen) if cycle.fault}
    assert found == {3: (0, COLLISION), 6: (1, OPERAND_ABSENT)}


def mixed(time: int, address: int, word: int) -> int:
    """The hash of an event at PLACE, as docs/architecture.md section 7 writes it."""
    key = time + address * 2**32 + PLACE * 2**48
    a = key * 0x9E3779B97F4A7C15 % 2**64
    b = ((a ^ (a >> 32)) + word % 2**64) * 0xBF58476D1CE4E5B9 % 2**64
    c = ((b ^ (b >> 29)) + (word >> 64)) * 0x94D049BB133111EB % 2**64
    return c ^ (c >> 32)


def test_the_signature_sums_over_all_alus_and_the_host_reads_it():
    steps = {(0, 0): Step("NOT", (HERE,), 4, Type.INT16), (0, 1): Step("NEG", (THERE,), W + 1, Type.INT8)}
    seen = bench(STAGES).run(12, steps, {0: [(2, BYTES), (W + 3, BYTES)]}, host=10)
    events = list(enumerate(planes_of([~n for n in NUMBERS], 2), 4)) + [(W + 1, planes_of([-n for n in NUMBERS], 1)[0])]
    total = sum(mixed(timing(STAGES).alu_func, address, word) for address, word in events) % 2**64
    assert {t: cycle.host for t, cycle in enumerate(seen) if cycle.host is not None} == {11: total}
