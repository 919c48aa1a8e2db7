"""HAC, SAC and δ against a model that counts with unbounded numbers."""

import random
from collections.abc import Iterable

import pytest
from amaranth.sim import Simulator

from rtl.counters import DELTA_MAX, DELTA_MIN, Counters
from tsp.config import preset

PERIOD = 16
CONFIG = preset("tiny").override([f"hac_period={PERIOD}"])
Inputs = tuple[int, int, int, int]
"""hac_fast, hac_slow, align, absorb."""


class Model:
    """Counters that never wrap; ``epochs`` are the cycles in which an epoch begins."""

    def __init__(self):
        self.hac = self.sac = self.delta = self.cycle = 0
        self.epochs = set()

    def step(self, fast: int, slow: int, align: int, absorb: int) -> None:
        before = self.hac
        self.cycle += 1
        self.hac += 1 + fast - slow
        self.sac += 1
        if self.hac // PERIOD > before // PERIOD:
            self.epochs.add(self.cycle)
        if align:
            self.sac, self.delta = self.hac, 0
            return
        if absorb:
            self.sac, self.delta = self.sac - self.delta, 0
        self.delta = min(max(self.delta + slow - fast, DELTA_MIN), DELTA_MAX)


def run(inputs: Iterable[Inputs]) -> list[tuple[int, int, int, int, int]]:
    """(hac, sac, delta, carry, saturated) of every cycle, the two pulses with the cycle's inputs, and once more at the
    end."""
    counters, seen = Counters(CONFIG), []

    async def bench(ctx):
        for values in [*inputs, (0, 0, 0, 0)]:
            for name, value in zip(("hac_fast", "hac_slow", "align", "absorb"), values, strict=True):
                ctx.set(getattr(counters, name), value)
            outputs = (counters.hac, counters.sac, counters.delta, counters.carry, counters.saturated)
            seen.append(tuple(ctx.get(output) for output in outputs))
            await ctx.tick()

    simulator = Simulator(counters)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return seen


@pytest.mark.parametrize("seed", range(4))
def test_random_steps_against_unbounded_counters(seed):
    rng = random.Random(seed)
    odds = (0.3, 0.05)[seed % 2]
    chance = lambda p: int(rng.random() < p)  # noqa: E731
    inputs = [(chance(0.3), chance(0.3), chance(odds / 10), chance(odds / 10)) for _ in range(3000)]
    seen, model = run(inputs), Model()
    carries = {cycle + 1 for cycle, values in enumerate(seen[:-1]) if values[3]}
    for cycle, values in enumerate(inputs):
        assert seen[cycle][:3] == (model.hac % PERIOD, model.sac % PERIOD, model.delta), f"seed {seed} cycle {cycle}"
        assert (model.sac - model.hac - model.delta) % PERIOD == 0
        model.step(*values)
    assert carries == model.epochs
    assert len(model.epochs) == model.hac // PERIOD, "an epoch was skipped or doubled"


@pytest.mark.parametrize(
    ("steps", "hac", "carry"),
    [
        # From PERIOD - 2: a skip of 0 still begins one epoch, standing still before the carry begins none.
        ([2], 0, [1]),
        ([1, 2], 1, [0, 1]),
        ([1, 0, 0, 1], 0, [0, 0, 0, 1]),
        ([2, 0, 0, 1], 1, [1, 0, 0, 0]),
    ],
)
def test_one_carry_per_epoch(steps, hac, carry):
    lead = [(0, 0, 0, 0)] * (PERIOD - 2)
    seen = run(lead + [(int(step == 2), int(step == 0), 0, 0) for step in steps])
    assert seen[-1][0] == hac
    assert [values[3] for values in seen[PERIOD - 2 : -1]] == carry


@pytest.mark.parametrize(("fast", "limit"), [(1, DELTA_MIN), (0, DELTA_MAX)])
def test_delta_saturates_with_a_pulse_per_lost_step(fast, limit):
    step, back = (fast, 1 - fast, 0, 0), (1 - fast, fast, 0, 0)
    taken = abs(limit)
    seen = run([step] * (taken + 3) + [back] + [step] * 2)
    assert [cycle for cycle, values in enumerate(seen) if values[4]] == [taken, taken + 1, taken + 2, taken + 5]
    assert seen[taken][2] == seen[taken + 3][2] == seen[-1][2] == limit


def test_a_step_at_the_limit_fits_when_delta_is_taken_off():
    step = (0, 1, 0, 0)
    for correction in ((0, 1, 1, 0), (0, 1, 0, 1)):
        seen = run([step] * DELTA_MAX + [correction])
        assert not any(values[4] for values in seen)
        assert seen[-1][2] == (0 if correction[2] else 1)
