"""Chips with clocks of their own and wires between them: RTL equals the golden model, cycle for cycle."""

import dataclasses
import functools
import os

import numpy as np
import pytest

from golden.system import run_system
from tb.link.chips import Run, Wires, run
from tb.link.machine import RtlMachine
from tb.link.system import chain
from tb.link.tree_sum import joined, tree_sum
from tb.machine import Fault, Job
from tb.small import linked
from tb.systems import ROWS, Row, measure
from tsp import runtime
from tsp.assembler import assemble
from tsp.config import ChipConfig
from tsp.floorplan import floorplan
from tsp.program import Program
from tsp.run import clock_limit
from tsp.runtime import Failed, Outcome
from tsp.runtime.failures import parse
from tsp.spares import placed, rewired
from tsp.start import started
from tsp.system import Chip, Link, Port, System
from tsp.timing import timing

FULL = bool(os.environ.get("TSP_FULL"))
CONFIG = linked().override(["link_buffer=4"])
SIMS = ("icarus", "verilator") if FULL else ("icarus",)
LATENCY = 216
SHORT = 40
"""The same where more would only take time. Of 20, 8 less and jitter would leave no wire at all."""
QUEUES = {queue.name: queue.index for queue in floorplan(CONFIG).queues}
OVERRUN, UNDERRUN, SILENT, UNEXPECTED, NO_QUEUE = 12, 13, 14, 15, 255
SETTLE = 3_000 if FULL else 300
"""Chips leave reset together, so their HACs are level from the start."""
LOOP_LATENCY = 216
"""L_eff of the link from a chip to itself, as it measures it, which takes 256 epochs."""
THERE, BACK = 290, 620
"""Cycles of the RECEIVEs: legal, by the checker, with clocks that differ by 200 ppm."""


def program(text: str, config: ChipConfig = CONFIG) -> Program:
    return assemble(text, "text", config)


PING = program(f"""
.data x: mem.e4 int8 = [{", ".join(map(str, range(32)))}], [7], [-100, 100]
.space z: mem.e5, 3
.queue mem.e4
        READ x, e0
        REPEAT 2, 3, 1
.queue c2c.e0
@2      SEND 0, e0
        REPEAT 2, 3
@{BACK} RECEIVE 0, w3
        REPEAT 2, 3
.queue mem.e5
@{BACK + 3} WRITE z, w3
        REPEAT 2, 3, 1
""")
PONG = program(f"""
.data y: mem.w0 int8 = [{", ".join(str(3 * i - 50) for i in range(32))}], [-9], [-100, 100]
.queue c2c.w0
@{THERE} RECEIVE 0, e1
        REPEAT 2, 3
.queue mem.w0
@{THERE + 3} READ y, e2
        REPEAT 2, 3, 1
.queue vxm.r0s0
@{THERE + 5} ADD.sat e1:int8, e2:int8 -> w5:int8
        REPEAT 2, 3
.queue c2c.w1
@{THERE + 9} SEND 0, w5
        REPEAT 2, 3
""")


def pair(first: Program = PING, second: Program = PONG, latency: int = LATENCY) -> System:
    """Chip a's e0 joined to chip b's w0."""
    chips = (Chip("a", first.config, first), Chip("b", second.config, second))
    links = {link.name: link.index for link in floorplan(first.config).links}
    ends = Port(0, links["e0"]), Port(1, links["w0"])
    return System("pair", chips, (Link(ends, (latency,) * 2, (latency,) * 2),), 0, (0,))


def simulated(system: System, wires: Wires, sim: str, most: int = 20 * CONFIG.hac_period) -> Run:
    """The system behind its preambles, with all symbols of its programs read back; ``most`` cycles pass beyond those of
    the programs."""
    begun, _ = started(system)
    jobs = []
    for chip, expected in zip(begun.chips, run_system(system), strict=True):
        words = [
            (symbol.slice, symbol.address + i) for symbol in chip.program.symbols.values() for i in range(symbol.count)
        ]
        jobs.append(Job(chip.program, clock_limit(expected.flow) + most, read=sorted(words)))
    return run(begun, jobs, wires, sim)


def hold(system: System, found: Run) -> None:
    """Every event of every chip is the golden model's, in its cycle."""
    for chip, got, expected in zip(system.chips, found.chips, run_system(system), strict=True):
        slices = floorplan(chip.config).slices
        assert got.done and got.fault is None, (chip.name, got.fault)
        assert got.cycles == expected.cycles
        assert {slices[place].name: value for place, value in got.signatures.items()} == expected.signature


if FULL:  # three chips do it too

    @pytest.mark.parametrize("sim", SIMS)
    @pytest.mark.parametrize("seed", range(1, 7))
    def test_two_chips_do_what_the_golden_model_does(seed: int, sim: str) -> None:
        ppm = [(100, -100), (-100, 100), (0, 0), (100, 100), (-70, 30), (3, -99)][seed - 1]
        system = pair()
        found = simulated(system, Wires(ppm=ppm, settle=SETTLE, uneven=(8, -8)[:: (-1) ** seed], seed=seed), sim)
        hold(system, found)
        sums = np.clip(np.add(*(np.arange(32), 3 * np.arange(32) - 50)), -128, 127)
        z = PING.symbols["z"]
        assert np.array_equal(found.chips[0].memory[z.slice, z.address].view(np.int8), sums)

    def test_three_chips_measure_latencies_that_are_those_of_the_wires() -> None:
        made = tree_sum(joined(chain(3), CONFIG, LATENCY), np.zeros((3, 1, CONFIG.lanes), np.int8))
        wires = Wires(ppm=(100, -100, 100), settle=15_000, uneven=(8, -8, -8, 8), seed=3, measure=True)
        l_eff = np.reshape(simulated(made.system, wires, "verilator").l_eff, (2, 2))
        # HACs that differ cancel in there and back; a child's is as far off as what comes is longer than nominal.
        assert np.abs(l_eff.sum(axis=1) - 2 * LATENCY).max() < 1.5
        assert np.abs(l_eff - LATENCY).max() < 2

    @pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
    def test_larger_systems_do_the_same_whatever_their_clocks_and_wires(row: Row) -> None:
        assert measure(row, 5, "verilator")["wrong"] == []


def test_three_chips_add_up_and_pass_on() -> None:
    vectors = np.random.default_rng(3).integers(-40, 40, (3, 2, CONFIG.lanes), dtype=np.int8)
    made = tree_sum(joined(chain(3), CONFIG, SHORT), vectors)
    wires = Wires(ppm=(100, -100, 100), settle=SETTLE, uneven=(8, -8, -8, 8), seed=7)
    found = simulated(made.system, wires, SIMS[-1])
    hold(made.system, found)
    for chip, (total,) in zip(found.chips, made.parts, strict=True):
        sums = [chip.memory[total.slice, total.address + k].view(np.int8) for k in range(total.count)]
        assert np.array_equal(sums, vectors.sum(axis=0))
    assert all(0 < slack < 60 for slack in found.slack), "vectors come before their RECEIVEs, by their margin of 26"


def loop(made: Program) -> System:
    """One chip, its east link joined to its west link, that begins at once."""
    return System("loop", (Chip("a", CONFIG, made),), (Link((Port(0, 0), Port(0, 1)), (LATENCY,) * 2, (LATENCY,) * 2),),
                  preamble=False)  # fmt: skip


def test_a_poll_behind_an_underrun_waits_for_the_oldest_vector() -> None:
    made = program("""
    .data x: mem.w4 int8 = [1, 2, 3]
    .queue mem.w4
            READ x, w0
    .queue c2c.w0
    @2      SEND 0, w0
    .queue c2c.e0
    @20     RECEIVE 0, w3
    @40     POLL 0
            RECEIVE 0, w3
    """)
    system = loop(made)
    (expected,) = run_system(system)
    assert [fault.kind for fault in expected.faults] == [UNDERRUN]
    (found,) = run(system, [Job(made, 5000)], Wires(jitter=False, settle=300), "icarus").chips
    assert found.fault == Fault(20, QUEUES["c2c.e0"], UNDERRUN) and found.cycles == expected.cycles
    assert found.signatures[floorplan(CONFIG).slice("c2c.e").index] == expected.signature["c2c.e"] != 0


@functools.cache
def looped(cycle: int | None, sends: int = 1, **wires: object) -> Run:
    """:func:`loop`: SENDs from cycle 2 on, and a RECEIVE in a cycle, or none."""
    receives = f"""
    .queue c2c.e0
    @{cycle} RECEIVE 0, w3
    .queue mem.e4
    @{cycle} + 3 WRITE z, w3
    """
    text = f"""
    .data x: mem.w4 int8 = [1, 2, 3], [4], [5], [6], [7]
    .space z: mem.e4, 1
    .queue mem.w4
            READ x, w0
            REPEAT {max(1, sends - 1)}, 3
    .queue c2c.w0
    @2      SEND 0, w0
            {f"REPEAT {sends - 1}, 3" if sends > 1 else "NOP 1"}
    {"" if cycle is None else receives}"""
    made = program(text)
    z = made.symbols["z"]
    job = Job(made, 5000, read=[] if cycle is None else [(z.slice, z.address)])
    return run(loop(made), [job], Wires(jitter=False, settle=300, **wires), "icarus")


def test_latencies_of_links_are_those_of_the_table() -> None:
    table, words = timing(CONFIG), CONFIG.superlanes + 1
    if FULL:
        assert looped(400, measure=True).l_eff == [LOOP_LATENCY] * 2, "each way"
    # One more, because the header waits in the elastic buffer for the word behind it, and idle words do not.
    first = 2 + table.send_wire + LOOP_LATENCY + words + table.receive_ready + 1
    found = looped(first).chips[0]
    assert found.done and found.fault is None
    # The WRITE is in the one cycle in which receive_func puts the vector there.
    (word,) = found.memory.values()
    assert word[:4].tolist() == [1, 2, 3, 0]
    early = looped(first - 1).chips[0]
    assert early.fault == Fault(first - 1, QUEUES["c2c.e0"], UNDERRUN)


def test_a_vector_without_room_is_a_fault() -> None:
    fault = looped(400, sends=5).chips[0].fault
    assert fault is not None and (fault.queue, fault.kind) == (NO_QUEUE, OVERRUN)
    assert looped(400, sends=4).chips[0].fault is None


def test_a_vector_for_a_chip_that_does_not_run_is_a_fault() -> None:
    fault = looped(None, linger=400).chips[0].fault
    assert fault is not None and (fault.queue, fault.kind) == (NO_QUEUE, UNEXPECTED)
    assert looped(None).chips[0].fault is None, "it ends before its vector comes"


if FULL:  # sixteen epochs pass

    @pytest.mark.parametrize("sim", SIMS)
    def test_a_parent_that_is_not_heard_any_more_is_told_of(sim: str) -> None:
        found = simulated(pair(), Wires(settle=17 * CONFIG.hac_period, cut=500), sim, 0).chips
        fault = found[1].fault
        assert fault is not None and (fault.queue, fault.kind) == (NO_QUEUE, SILENT)
        assert not found[1].done


@pytest.mark.parametrize("seed", range(1, 9 if FULL else 2))
def test_wrong_bits_are_corrected_or_told_of(seed: int) -> None:
    system = pair()
    found = simulated(system, Wires(ppm=(100, -100), settle=SETTLE, flipped=0.2, flips=1, seed=seed), SIMS[-1])
    if all(chip.fault is None for chip in found.chips):
        hold(system, found)
    else:
        assert any(chip.fault is not None and chip.fault.kind in (11, 13) for chip in found.chips)


TAKEN = program("""
.space z: mem.w0, 1
.queue c2c.w0
@80     RECEIVE 0, e1
.queue mem.w0
@84     WRITE z, e1
""")
GIVEN = program("""
.data x: mem.e4 int8 = 1, -2, 3
.queue mem.e4
        READ x, e0
.queue c2c.e0
@2      SEND 0, e0
""")
NEAR = 20


def replayed(failure: str, sim: str = "icarus") -> Outcome:
    """A vector goes from a to b over short wires, and once more if it must."""
    system = pair(GIVEN, TAKEN, NEAR)
    wires = Wires(ppm=(100, -100), settle=60)
    with RtlMachine(system, [parse(failure, system)], sim, wires, samples=1) as machine:
        found = runtime.run(system, machine, lambda chips: chips, retries=1, dump=["b:z"])
    assert found.dumped["b", "z"][0][:4] == [1, -2, 3, 0]
    return found


def test_a_vector_that_comes_wrong_is_sent_again() -> None:
    found = replayed("bits:b.w0:1:1")
    assert found.attempts == 2
    wrong = [step.text for step in found.log if not step.ok]
    assert len(wrong) == 1
    assert "c2c.w0: link uncorrectable (text:4: @80 RECEIVE 0, e1), of what comes from a.e0" in wrong[0]


if FULL:

    @pytest.mark.parametrize("sim", SIMS)
    @pytest.mark.parametrize(
        "failure, attempts",
        [
            ("bits:b.w0:2", 1),  # no such vector is sent
            ("bits:b.w0:0:1", 2),
            ("bits:b.w0:1:1", 2),
            ("link:b.w0:100:1", 2),
            ("link:a.e0:0:1", 2),
            ("chip:b:300:1", 2),
            ("chip:a:0:1", 2),
            ("late:b:2000:1", 2),
            ("late:a:200", 1),
            ("slow:b.w0:60:1", 2),
        ],
    )
    def test_what_passes_is_replayed(failure: str, attempts: int, sim: str) -> None:
        assert replayed(failure, sim).attempts == attempts

    @pytest.mark.parametrize("sim", SIMS)
    @pytest.mark.parametrize("failure", ["bits:b.w0:1", "link:b.w0:100", "chip:a:300", "late:b:2000", "slow:b.w0:60"])
    def test_what_stays_ends_in_an_error(failure: str, sim: str) -> None:
        with pytest.raises(Failed, match="no right result in 2 attempts; .*; there is no spare"):
            replayed(failure, sim)

    def test_a_spare_takes_the_place_of_a_chip() -> None:
        config = CONFIG.override(["links_w=2", "links_e=2"])
        given, taken = (dataclasses.replace(made, config=config) for made in (GIVEN, TAKEN))
        chips = (Chip("a", config, given), Chip("b", config, taken), Chip("s", config, Program(config), spare=True))
        ports = {link.name: link.index for link in floorplan(config).links}
        ends = [(Port(0, ports["e0"]), Port(1, ports["w0"])), (Port(0, ports["e1"]), Port(2, ports["w1"]))]
        system = System("spare", chips, tuple(Link(both, (NEAR,) * 2, (NEAR,) * 2) for both in ends), 0, (0, 1))
        home = placed(system, ["a", "b"])
        failures = [parse("chip:b:300", system)]
        with RtlMachine(system, failures, SIMS[-1], Wires(ppm=(100, -100, 50), settle=60), samples=1) as machine:
            found = runtime.run(system, machine, lambda used: rewired(home, used), retries=1, dump=["b:z"])
        assert found.attempts == 3 and found.chips == {"a": "a", "b": "s"}
        assert found.dumped["b", "z"][0][:4] == [1, -2, 3, 0]
