"""The unit beside the queues: start, barrier distance, which fault wins."""

import pytest
from amaranth.sim import Simulator

from rtl.counters import DELTA_MIN
from rtl.icu_control import DESKEW_NEGATIVE, DRIFT_SATURATED, ILLEGAL_INSTRUCTION, NO_QUEUE, START_CYCLES, IcuControl
from tsp.config import PRESETS, preset
from tsp.timing import timing

QUEUES = 5


def run(bench, config=None):
    """Run ``bench(control, ctx, clock)``; ``await clock(n, port=value …)`` sets inputs for the first of n cycles."""
    control = IcuControl(config or preset("tiny"), QUEUES)

    async def testbench(ctx):
        async def clock(cycles=1, **inputs):
            for name, value in inputs.items():
                ctx.set(getattr(control, name), value)
            await ctx.tick()
            for name in inputs:
                ctx.set(getattr(control, name), 0)
            for _ in range(cycles - 1):
                await ctx.tick()

        await bench(control, ctx, clock)

    simulator = Simulator(control)
    simulator.add_clock(1e-6)
    simulator.add_testbench(testbench)
    simulator.run()


@pytest.mark.parametrize("name", PRESETS)
def test_notify_lets_go_one_cycle_before_the_release(name):
    barrier = timing(preset(name)).barrier

    async def bench(control, ctx, clock):
        # Three NOTIFYs, closer than a barrier: each has its own release.
        sent, released = (0, 3, 4), []
        for cycle in range(2 * barrier):
            await clock(notify=1 << cycle % QUEUES if cycle in sent else 0)
            if ctx.get(control.unpark):
                released.append(cycle + 1)
        assert released == [cycle + barrier - 1 for cycle in sent]

    run(bench, preset(name))


def test_config_holds_two_cycles_later_until_the_next_start():
    async def bench(control, ctx, clock):
        def shown():
            return ctx.get(control.power), ctx.get(control.whole)

        assert shown() == (2, 1)
        await clock(1, config=1)
        assert shown() == (2, 0)
        for _ in range(5):
            await clock()
            assert shown() == (1, 0)
        await clock(1, config=2)
        assert shown() == (1, 1)
        await clock(1, config=1)
        assert shown() == (2, 0)
        await clock(2)
        assert shown() == (1, 0)
        await clock(1, start=1)
        assert shown() == (1, 1)
        await clock()
        assert shown() == (2, 1)

    assert timing(preset("tiny")).config == 2
    run(bench)


def test_start_and_end():
    async def bench(control, ctx, clock):
        for _ in range(2):
            await clock(2, busy=1)
            assert not ctx.get(control.run)
            await clock(1, start=1, busy=1)
            for cycle in range(1, START_CYCLES + 10):
                assert ctx.get(control.run) == (cycle >= START_CYCLES - 1), cycle
                assert ctx.get(control.now) == max(0, cycle - START_CYCLES)
                assert not ctx.get(control.idle)
                await clock(1, busy=0b10000)
            await clock(2)
            assert ctx.get(control.idle)
            # What is pushed now waits for the next start, but time goes on for what is in the slices.
            now = ctx.get(control.now)
            await clock(3, busy=1)
            assert not ctx.get(control.run)
            assert ctx.get(control.now) == now + 3

    run(bench)


def faults_of_one_cycle(**inputs):
    """(queue, kind) of the pulse after a cycle with δ = -2, and that there is no pulse later."""
    seen = []

    async def bench(control, ctx, clock):
        await clock(2, hac_fast=1)
        await clock(2, hac_fast=1)
        await clock(START_CYCLES + 7, start=1)
        assert not ctx.get(control.fault_valid)
        await clock(1, **inputs)
        if ctx.get(control.fault_valid):
            seen.append((ctx.get(control.fault_queue), ctx.get(control.fault_kind)))
        for _ in range(5):
            await clock()
            assert not ctx.get(control.fault_valid)

    run(bench)
    return seen[0] if seen else None


@pytest.mark.parametrize(
    ("inputs", "fault"),
    [
        ({"illegal": 0b11000}, (3, ILLEGAL_INSTRUCTION)),
        ({"illegal": 0b10000}, (4, ILLEGAL_INSTRUCTION)),
        ({"runtime_deskew": 0b00110, "runtime_t": 1}, (1, DESKEW_NEGATIVE)),
        ({"runtime_deskew": 0b00110, "runtime_t": 2}, None),
        ({"runtime_deskew": 0b00100, "illegal": 0b01000, "runtime_t": 1}, (2, DESKEW_NEGATIVE)),
        ({"runtime_deskew": 0b00100, "illegal": 0b00010, "runtime_t": 1}, (1, ILLEGAL_INSTRUCTION)),
    ],
)
def test_the_lowest_queue_wins(inputs, fault):
    assert faults_of_one_cycle(**inputs) == fault


@pytest.mark.parametrize("illegal", [0, 0b100])
def test_drift_belongs_to_no_queue_and_comes_last(illegal):
    async def bench(control, ctx, clock):
        await clock(START_CYCLES, start=1)
        for _ in range(-DELTA_MIN):
            await clock(1, hac_fast=1)
            assert not ctx.get(control.fault_valid)
        await clock(1, hac_fast=1, illegal=illegal)
        assert ctx.get(control.fault_valid)
        found = (ctx.get(control.fault_queue), ctx.get(control.fault_kind))
        assert found == ((2, ILLEGAL_INSTRUCTION) if illegal else (NO_QUEUE, DRIFT_SATURATED))

    run(bench)


@pytest.mark.parametrize(("t", "wait"), [(0, 0), (1, 0), (2, 0), (3, 1), (4, 2)])
def test_runtime_deskew_waits_t_plus_delta(t, wait):
    """δ = -2: with t = 2 nothing is waited for, without being a fault."""

    async def bench(control, ctx, clock):
        await clock(1, hac_fast=1)
        await clock(1, hac_fast=1)
        await clock(START_CYCLES, start=1)
        for _ in range(wait):
            ctx.set(control.runtime_deskew, 1)
            ctx.set(control.runtime_t, t)
            assert not ctx.get(control.resume)
            await clock()
            assert ctx.get(control.now) == 0
        ctx.set(control.runtime_deskew, 1)
        ctx.set(control.runtime_t, t)
        assert ctx.get(control.resume)
        await clock(1, runtime_deskew=1, runtime_t=t)
        assert ctx.get(control.now) == 1 + t
        assert ctx.get(control.delta) == 0
        await clock()
        assert ctx.get(control.now) == 2 + t

    run(bench)


@pytest.mark.parametrize("before", [0, 1, 2])
def test_deskew_ends_with_the_first_carry_that_is_not_earlier(before):
    """A DESKEW ``before`` cycles before the last cycle of an epoch; one cycle too late it waits for a whole epoch."""
    config = preset("tiny").override(["hac_period=16"])

    async def bench(control, ctx, clock):
        await clock(START_CYCLES, start=1)
        while ctx.get(control.hac) != 15 - before:
            await clock()
        now = ctx.get(control.now)
        for wait in (before, 15):
            for number in range(wait + 1):
                ctx.set(control.deskew, 0b100)
                assert ctx.get(control.now) == now
                assert ctx.get(control.resume) == (number == wait)
                await clock()
            now += 1
            assert (ctx.get(control.hac), ctx.get(control.now)) == (0, now)

    run(bench, config)
