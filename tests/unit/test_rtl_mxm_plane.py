"""A plane of stamped rows and supercells, flattened for amaranth.sim, against numpy's matrix product."""

from dataclasses import dataclass

import numpy as np
import pytest
from mxm_model import LANES, Array, int8s, pack, simulate, unpack

from rtl.mxm import MxmPlane
from rtl.stamp import inlined
from tsp.config import ChipConfig, preset
from tsp.timing import timing


@dataclass
class Cycle:
    """What the three queues of a plane ask for in one cycle T."""

    column: int | None = None
    weights: np.ndarray | None = None
    """LW: ``[16 outputs, 16·S inputs]`` for supercell column ``column``."""
    install: bool = False
    activation: np.ndarray | None = None


def random_cycles(rng: np.random.Generator, superlanes: int, count: int) -> list[Cycle]:
    cycles = []
    for _ in range(count):
        cycle = Cycle(install=bool(rng.random() < 0.2))
        if rng.random() < 0.5:
            cycle.column = int(rng.integers(superlanes))
            cycle.weights = int8s(rng, LANES, LANES * superlanes)
        if rng.random() < 0.7:
            cycle.activation = int8s(rng, LANES * superlanes)
        cycles.append(cycle)
    return cycles


def products(cycles: list[Cycle], superlanes: int) -> list[np.ndarray | None]:
    """For each cycle T: the sums of its ABC, or None."""
    model = Array(LANES * superlanes, LANES * superlanes)
    found = []
    for cycle in cycles:
        rows = None if cycle.column is None else slice(LANES * cycle.column, LANES * (cycle.column + 1))
        found.append(model.step(rows, cycle.weights, cycle.install, cycle.activation))
    return found


def give(ctx, plane: MxmPlane, k: int, cycle: Cycle) -> None:
    """The bundle of row k for one cycle."""
    lanes = slice(LANES * k, LANES * (k + 1))
    ctx.set(getattr(plane, f"load_{k}"), cycle.column is not None)
    ctx.set(getattr(plane, f"install_{k}"), cycle.install)
    ctx.set(getattr(plane, f"activate_{k}"), cycle.activation is not None)
    if cycle.column is not None:
        ctx.set(getattr(plane, f"load_index_{k}"), cycle.column)
        ctx.set(getattr(plane, f"load_data_{k}"), pack(cycle.weights[:, lanes]))
    if cycle.activation is not None:
        ctx.set(getattr(plane, f"activation_{k}"), pack(cycle.activation[lanes]))


def run(config: ChipConfig, cycles: list[Cycle], wait: int) -> dict[tuple[int, int], np.ndarray]:
    """(cycle after the bundle, row) → sum, for every valid sum; row k is given everything k cycles after row 0."""
    plane, found = MxmPlane(config), {}
    rows = range(config.superlanes)

    async def bench(ctx):
        for now in range(len(cycles) + wait):
            for k in rows:
                give(ctx, plane, k, cycles[now - k] if 0 <= now - k < len(cycles) else Cycle())
                if ctx.get(getattr(plane, f"sum_valid_{k}")):
                    found[now - k, k] = unpack(ctx.get(getattr(plane, f"sum_{k}")), np.int32, LANES)
            await ctx.tick()

    with inlined():
        simulate(plane, bench)
    return found


@pytest.mark.parametrize("superlanes", [1, 2, 3])
def test_random_instructions_equal_numpy_after_exactly_abc_acc_cycles(superlanes):
    config = preset("tiny").override([f"superlanes={superlanes}"])
    latency = timing(config).abc_acc
    cycles = random_cycles(np.random.default_rng(superlanes), superlanes, 60)
    found = run(config, cycles, latency + 2 * superlanes)
    expected = {
        (time + latency, k): product[LANES * k : LANES * (k + 1)]
        for time, product in enumerate(products(cycles, superlanes))
        if product is not None
        for k in range(superlanes)
    }
    assert found.keys() == expected.keys()
    for place, sums in expected.items():
        assert np.array_equal(found[place], sums), place


def test_two_supercell_columns_load_in_consecutive_cycles_and_are_used_in_the_next():
    """LW→IW and IW→ABC are one cycle each: four instructions in four cycles."""
    config = preset("tiny")
    rng = np.random.default_rng(4)
    weights, activation = int8s(rng, LANES * 2, LANES * 2), int8s(rng, LANES * 2)
    halves = [Cycle(column=c, weights=weights[LANES * c : LANES * (c + 1)]) for c in range(2)]
    found = run(config, [*halves, Cycle(install=True), Cycle(activation=activation)], 12)
    expected = weights.astype(np.int64) @ activation
    assert {time for time, _ in found} == {3 + timing(config).abc_acc}
    assert np.array_equal(np.concatenate([found[3 + timing(config).abc_acc, k] for k in range(2)]), expected)
