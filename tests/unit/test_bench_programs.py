"""The programs that ``make bench`` times: legal, as long as they say, and as busy."""

import numpy as np
import pytest

import golden.machine
from tb.bench import programs
from tsp.checker import check
from tsp.config import preset
from tsp.floorplan import floorplan
from tsp.memory_map import typed
from tsp.program import Program

TINY = preset("tiny")


@pytest.fixture(scope="module")
def busy():
    program = programs.busy(TINY, 1000)
    return program, golden.machine.run(program, trace=False)


def test_the_busy_program_is_legal_and_long_enough(busy):
    program, result = busy
    report = check(program)
    assert report.ok, str(report)
    assert result.fault is None and report.cycles == result.cycles
    assert 1000 <= result.cycles < 1000 + 256 + 200


def test_the_busy_program_is_busy(busy):
    program, result = busy
    flow = result.flow
    unit = {queue.index: queue.name.split(".")[0] for queue in floorplan(TINY).queues}
    issues = {"mem": 0, "vxm": 0, "mxm": 0}
    for index, burst in enumerate(flow.issues.bursts):
        issues[unit[burst.queue]] += int(flow.issues.first[index + 1] - flow.issues.first[index])
    # Of 24 slices 16 write and 8 read in every second cycle; 4 ALUs; ABC and ACC of 3 planes.
    assert issues["mem"] > 20 * 1000 and issues["vxm"] == 4 * 1024 and issues["mxm"] > 6 * 1000
    assert max(map(len, program.queues.values())) < TINY.queue_depth


def test_the_busy_program_computes_something_new_all_the_time(busy):
    slots = golden.machine.compute(busy[1].flow, busy[0].memory)[0].slots
    # The high bytes of sums are often the same; low ones are not.
    assert len(np.unique(slots, axis=0)) > 0.5 * len(slots)


def test_twenty_thousand_busy_cycles_fit_the_queues():
    assert check(programs.busy(TINY)).ok


def test_the_idle_program_does_nothing():
    program = programs.idle(TINY, 20_000)
    report = check(program)
    assert report.ok and report.cycles == 0
    assert len(golden.machine.run(program).flow.issues) == 0


@pytest.mark.parametrize("name", ["tiny", "groqchip"])
def test_the_matrix_product_is_numpys(name):
    config, rng = preset(name), np.random.default_rng(5)
    x = rng.integers(-128, 128, (60, config.lanes), dtype=np.int8)
    w = rng.integers(-128, 128, (config.lanes, config.lanes), dtype=np.int8)
    program = programs.matmul(config, x, w)
    assert check(program).ok
    after = Program(config, memory=golden.machine.run(program).memory)
    assert np.array_equal(typed(after, program.symbols["y"]), x.astype(int) @ w.astype(int).T)
