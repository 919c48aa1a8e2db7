"""The aligner's step rule against a plain reading of it. That HACs come together is for the bench of whole systems."""

import os
import random

import pytest
from amaranth.lib.wiring import In
from amaranth.sim import Simulator

from rtl.link.aligner import Aligner

FULL = os.environ.get("TSP_FULL") == "1"
INTERVAL = 32


class Model:
    """Section 3 of docs/links.md, of one sample an interval; ``step`` gives what the HAC is stepped by."""

    def __init__(self, period, jitter):
        self.period, self.jitter, self.samples = period, jitter, []

    def step(self, stamp, latency, arrival):
        e = (stamp + latency - arrival + self.period // 2) % self.period - self.period // 2
        if abs(e) > self.period / 4:
            self.samples = []
            return 1
        if abs(e) > self.jitter + 2:
            self.samples = []
            return 1 if e > 0 else -1
        self.samples.append(e)
        if len(self.samples) < 32:
            return 0
        total, self.samples = sum(self.samples), []
        return (total > 16) - (total < -16)


def run(dut, cycles, inputs):
    """Outputs of every cycle. ``inputs`` maps a cycle to its inputs, which stay but for pulses."""
    names = [name for name, member in dut.signature.members.items() if member.flow == In]
    outputs = [name for name in dut.signature.members if name not in names]
    seen = []

    async def bench(ctx):
        for cycle in range(cycles):
            ctx.set(dut.stamp_valid, 0)
            for name, value in inputs.get(cycle, {}).items():
                ctx.set(getattr(dut, name), value)
            seen.append({name: ctx.get(getattr(dut, name)) for name in outputs})
            await ctx.tick()

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return seen


@pytest.mark.parametrize(("period", "jitter"), [(256, 9), (64, 3)])
def test_steps_are_those_of_the_rule(period, jitter):
    """Errors of all sizes, mostly such as are summed up; some intervals have no sample, some several."""
    rng, model = random.Random(period), Model(period, jitter)
    intervals, inputs, steps = 2400 if FULL else 480, {0: {"enable": 1}}, []
    for i in range(intervals):
        bias, spread = (-1, 0, 1)[i // 80 % 3], jitter + 2 if i % 80 < 72 else period // 2
        taken = None
        for cycle in sorted(rng.sample(range(INTERVAL), rng.choice((0, 1, 1, 1, 3)))):
            arrival, latency = rng.randrange(period), rng.randrange(3 * period)
            error = max(-spread, min(spread, rng.randint(-spread, spread) + bias))
            taken = (arrival + error - latency) % period, latency, arrival
            stamp = dict(zip(("stamp", "latency", "arrival"), taken, strict=True))
            # What comes in the cycle in which an interval is judged belongs to the next one.
            inputs[(i + 1) * INTERVAL - 1 + cycle] = {"stamp_valid": 1, **stamp}
        steps.append(0 if taken is None else model.step(*taken))
    seen = run(Aligner(period, jitter), (intervals + 2) * INTERVAL, inputs)
    found = [cycle["hac_fast"] - cycle["hac_slow"] for cycle in seen[2 * INTERVAL :]]
    for i, step in enumerate(steps):
        assert found[i * INTERVAL :][:INTERVAL] == [step] + [0] * (INTERVAL - 1), f"interval {i}"
    assert steps.count(1) > 5 and steps.count(-1) > 5
    assert sum(step != 0 for i, step in enumerate(steps) if i % 80 < 72) > 2, "hardly any step came from a sum"


def test_silence_is_noticed_after_sixteen_epochs_and_not_forgotten():
    quiet, last = 16 * 16, 40

    stamps = {cycle: {"stamp_valid": 1} for cycle in (20, last, last + quiet + 50)}
    silent = [cycle["silent"] for cycle in run(Aligner(16), last + quiet + 100, {10: {"enable": 1}} | stamps)]
    assert silent.index(1) == last + quiet + 1 and all(silent[silent.index(1) :])
    assert not any(cycle["silent"] for cycle in run(Aligner(16), 2 * quiet, {})), "a root has nobody to hear"
