"""The supercell against numpy: random loads, installs and products, and what happens when they come together."""

import numpy as np
import pytest
from mxm_model import LANES, Array, int8s, int32, pack, simulate, unpack

from rtl.mxm import MxmSupercell
from tsp.config import preset

WEIGHTS = 16 * 16


def supercell() -> MxmSupercell:
    return MxmSupercell(preset("tiny"))


def psums(rng: np.random.Generator) -> np.ndarray:
    """Sums from the south, some so near the ends of int32 that the result wraps."""
    far = rng.choice(np.array([2**31 - 1, -(2**31)]), LANES) + rng.integers(-99, 99, LANES)
    return int32(np.where(rng.random(LANES) < 0.3, far, rng.integers(-(2**22), 2**22, LANES)))


async def cycle(ctx, dut, weights=None, install=False, activation=None, psum=None) -> np.ndarray:
    """Give one cycle's inputs; what psum_out holds after it."""
    ctx.set(dut.load, weights is not None)
    ctx.set(dut.install, install)
    ctx.set(dut.activate, activation is not None)
    if weights is not None:
        ctx.set(dut.load_data, pack(weights))
    if activation is not None:
        ctx.set(dut.activation, pack(activation))
        ctx.set(dut.psum_in, pack(np.zeros(LANES, np.int32) if psum is None else psum))
    await ctx.tick()
    return unpack(ctx.get(dut.psum_out), np.int32, LANES)


@pytest.mark.parametrize("seed", range(3))
def test_random_cycles_equal_numpy(seed):
    rng = np.random.default_rng(seed)
    dut, model = supercell(), Array(LANES, LANES)

    async def bench(ctx):
        expected = np.zeros(LANES, np.int32)
        for _ in range(150):
            weights = int8s(rng, LANES, LANES) if rng.random() < 0.4 else None
            activation = int8s(rng, LANES) if rng.random() < 0.6 else None
            install, psum = bool(rng.random() < 0.4), psums(rng)
            got = await cycle(ctx, dut, weights, install, activation, psum)
            product = model.step(None if weights is None else slice(None), weights, install, activation)
            if product is not None:
                expected = int32(psum.astype(np.int64) + product)
            assert np.array_equal(got, expected), f"seed {seed}"

    simulate(dut, bench)


def test_products_with_the_extremes_of_int8_do_not_overflow():
    dut = supercell()

    async def bench(ctx):
        lowest = np.full((LANES, LANES), -128, np.int8)
        await cycle(ctx, dut, weights=lowest)
        await cycle(ctx, dut, install=True)
        assert (await cycle(ctx, dut, activation=lowest[0]) == LANES * 128 * 128).all()
        assert (await cycle(ctx, dut, activation=np.full(LANES, 127, np.int8)) == -LANES * 128 * 127).all()

    simulate(dut, bench)


def test_install_and_activate_together_use_the_old_array():
    dut = supercell()
    ones = np.ones(LANES, np.int8)

    async def bench(ctx):
        await cycle(ctx, dut, weights=np.full((LANES, LANES), 1, np.int8))
        await cycle(ctx, dut, install=True, weights=np.full((LANES, LANES), 2, np.int8))
        assert (await cycle(ctx, dut, install=True, activation=ones) == LANES).all()
        assert (await cycle(ctx, dut, activation=ones) == 2 * LANES).all()

    simulate(dut, bench)


def test_load_and_install_together_install_the_old_buffer():
    dut = supercell()
    ones = np.ones(LANES, np.int8)

    async def bench(ctx):
        await cycle(ctx, dut, weights=np.full((LANES, LANES), 3, np.int8))
        await cycle(ctx, dut, weights=np.full((LANES, LANES), 4, np.int8), install=True)
        assert (await cycle(ctx, dut, activation=ones) == 3 * LANES).all()
        await cycle(ctx, dut, install=True)
        assert (await cycle(ctx, dut, activation=ones) == 4 * LANES).all()

    simulate(dut, bench)


def test_every_weight_has_its_own_place():
    """One activation at a time shows the column of weights it meets."""
    dut = supercell()
    weights = np.arange(WEIGHTS, dtype=np.uint8).reshape(LANES, LANES).view(np.int8)

    async def bench(ctx):
        await cycle(ctx, dut, weights=weights)
        await cycle(ctx, dut, install=True)
        for i in range(LANES):
            got = await cycle(ctx, dut, activation=np.eye(LANES, dtype=np.int8)[i])
            assert np.array_equal(got, weights[:, i])

    simulate(dut, bench)
