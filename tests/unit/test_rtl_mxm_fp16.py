"""The array that multiplies fp16 for a pair of planes, and the site of the pair, against the golden model's sums.

The array on several superlanes is what bench ``mxm`` and random programs run.
"""

import os
import random

import numpy as np
import pytest
from amaranth.hdl import Module
from amaranth.lib.wiring import Component
from amaranth.sim import Simulator
from mxm_model import LANES, pack, simulate, unpack
from test_rtl_mxm_site import ACCUMULATE, ACTIVATIONS, COLLISION, OPERAND_ABSENT, Driver, acc
from test_rtl_mxm_site import CONFIG as PAIR
from test_rtl_mxm_site import run as run_site

from golden import floats, mxm_fp16
from rtl.mxm.fp16_plane import PAIR_TO_ROW, MxmFp16Plane
from rtl.mxm.fp16_sum import Dot, Round, sum_bits
from rtl.stamp import inlined
from tsp.config import preset
from tsp.isa import AccMode
from tsp.randprog import values
from tsp.timing import timing

FULL = bool(os.environ.get("TSP_FULL"))
LARGEST, MINUS = 0x7BFF, 0x8000
ONE = preset("tiny").override(["superlanes=1"])


def golden(vectors: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """fp32 bits [n, outputs] of fp16 bits [n, inputs] and [inputs, outputs]."""
    return mxm_fp16.sums(vectors.astype(np.uint16), mxm_fp16.Weights(weights.astype(np.uint16))).view(np.uint32)


def halves(bits: np.ndarray) -> tuple[int, int]:
    """Low and high bytes of fp16 numbers as two words."""
    return pack((bits & 255).astype(np.uint8)), pack((bits >> 8).astype(np.uint8))


class OneSum(Component):
    """A supercell's part of one sum, and the rounding of what it makes."""

    def __init__(self, superlanes: int):
        self.dot, self.round = Dot(superlanes), Round(superlanes)
        super().__init__({})

    def elaborate(self, platform):
        m = Module()
        m.submodules += [self.dot, self.round]
        m.d.comb += self.round.psum.eq(self.dot.psum_out)
        return m


def factors(rng: random.Random, superlanes: int, number: int) -> tuple[np.ndarray, np.ndarray]:
    """A sum's activations and weights: the largest sums, sums whose second half cancels the first, and others."""
    a, w = (np.concatenate([values.factors(rng, LANES) for _ in range(superlanes)]) for _ in range(2))
    if number < 2:
        return np.full_like(a, LARGEST), np.full_like(w, LARGEST | MINUS * number)
    if number % 3 == 0:
        half = len(a) // 2
        a[half:], w[half:] = a[:half], w[:half] ^ MINUS
        w[-1] = values.number(rng, values.Type.FP16)
    return a, w


@pytest.mark.parametrize("superlanes, count", [(1, 150), (20, 9)])
def test_sums_go_from_supercell_to_supercell_and_are_rounded_once(superlanes, count):
    rng, dut = random.Random(superlanes), OneSum(superlanes)

    async def bench(ctx):
        for number in range(count):
            a, w = factors(rng, superlanes, number)
            psum = 0
            for cell in range(superlanes):
                part = slice(LANES * cell, LANES * cell + LANES)
                for kind, numbers in (("activations", a), ("weights", w)):
                    for half, word in zip(("low", "high"), halves(numbers[part]), strict=True):
                        ctx.set(getattr(dut.dot, f"{kind}_{half}"), word)
                ctx.set(dut.dot.psum_in, psum)
                psum = ctx.get(dut.dot.psum_out)
            assert ctx.get(dut.round.result) == golden(a[None], w[:, None])[0, 0], f"sum {number}"

    simulator = Simulator(dut)
    simulator.add_testbench(bench)
    simulator.run()


class Pair:
    """Buffers and arrays of both planes, ``[out, in]`` bytes: what an ABC of fp16 sees."""

    def __init__(self):
        self.buffer, self.array = np.zeros((2, 2, LANES, LANES), np.uint16)

    def step(self, loads: list[np.ndarray | None], installs: list[bool], activation: np.ndarray | None, adds: bool):
        """One cycle: the product with the old arrays, then the old buffers installed, then the buffers loaded."""
        weights = self.array[0] | self.array[1] << 8 if adds else np.zeros_like(self.array[0])
        product = None if activation is None else golden(activation[None], weights.T)[0]
        for p in range(2):
            if installs[p]:
                self.array[p] = self.buffer[p]
            if loads[p] is not None:
                self.buffer[p] = loads[p]
        return product


@pytest.mark.parametrize("seed", range(2 if FULL else 1))
def test_the_array_takes_both_planes_weights_and_gives_sums_after_abc_acc_cycles(seed):
    rng, numbers = np.random.default_rng(seed), random.Random(seed)
    dut, model, found, expected = MxmFp16Plane(ONE), Pair(), {}, {}
    latency, cycles = timing(ONE).abc_acc, 60 if FULL else 30

    async def bench(ctx):
        for now in range(cycles):
            loads, given = [None, None], dict.fromkeys(PAIR_TO_ROW, 0)
            installs = [bool(rng.random() < 0.3) for _ in range(2)]
            for p in range(2):
                given[f"plane_{p}_install"] = installs[p]
                if rng.random() < 0.5:
                    weights = np.stack([values.factors(numbers, LANES) for _ in range(LANES)])
                    loads[p] = (weights >> 8 * p & 255).astype(np.uint16)
                    given |= {f"plane_{p}_load": 1, f"plane_{p}_load_data": pack(loads[p].astype(np.uint8))}
            activation = values.factors(numbers, LANES) if rng.random() < 0.6 else None
            # Without, the superlane is not powered.
            adds = bool(rng.random() < 0.7)
            activation = activation if activation is None or adds else np.zeros_like(activation)
            if activation is not None:
                low, high = halves(activation)
                given |= {"pair_activate": 1, "plane_0_activation": low, "pair_activation": high, "pair_adds": adds}
            for name, value in given.items():
                ctx.set(getattr(dut, f"{name}_0"), value)
            product = model.step(loads, installs, activation, adds)
            if product is not None and now + latency < cycles:
                expected[now + latency] = product.tolist()
            if ctx.get(dut.pair_sum_valid_0):
                found[now] = unpack(ctx.get(dut.pair_sum_0), np.uint32, LANES).tolist()
            await ctx.tick()

    with inlined():
        simulate(dut, bench)
    assert len(expected) > cycles // 3 and found == expected


def issue_fp16(driver: Driver, stream: int) -> None:
    driver.issue(ACTIVATIONS, "ABC_FP16", stream=stream)


@pytest.mark.parametrize("stream", [0, 14, 30])
def test_abc_of_fp16_sends_two_streams_to_the_pairs_array(stream):
    low, high = np.random.default_rng(stream).integers(0, 256, (2, LANES), dtype=np.uint8)

    async def script(driver):
        driver.arrive({stream: low, stream + 1: high})
        issue_fp16(driver, stream)
        await driver.tick()
        assert driver.get("pair_activate") and not driver.get("plane_0_activate") and driver.fault() is None
        assert driver.get("plane_0_activation") == pack(low) and driver.get("pair_activation") == pack(high)
        driver.arrive({stream: high})
        driver.issue(ACTIVATIONS, "ABC", stream=stream)
        await driver.tick()
        assert driver.get("plane_0_activate") and not driver.get("pair_activate") and driver.fault() is None
        assert driver.get("plane_0_activation") == pack(high)

    run_site(script, planes=2, config=PAIR)


@pytest.mark.parametrize("there", [(4, 5), (4,), (5,), ()])
def test_an_abc_of_fp16_in_an_unpowered_superlane_passes_and_adds_nothing(there):
    async def script(driver):
        driver.arrive({stream: np.full(LANES, 255, np.uint8) for stream in (4, 5)})
        issue_fp16(driver, 4)
        await driver.tick()
        assert driver.get("pair_activate") and driver.get("pair_adds") and driver.get("pair_activation")
        driver.power(False)
        driver.arrive({stream: np.full(LANES, 255, np.uint8) for stream in there})
        issue_fp16(driver, 4)
        # Nor does it meet the other plane's.
        driver.issue(3 + ACTIVATIONS, "ABC", stream=4)
        await driver.tick()
        assert driver.get("pair_activate") and not driver.get("pair_adds") and driver.fault() is None
        assert driver.get("plane_0_activation") == driver.get("pair_activation") == 0
        assert driver.get("north_1_valid")

    run_site(script, planes=2, config=PAIR)


@pytest.mark.parametrize("there", [(4,), (5,), ()])
def test_both_streams_must_be_there(there):
    async def script(driver):
        driver.arrive({stream: np.zeros(LANES, np.uint8) for stream in there})
        issue_fp16(driver, 4)
        await driver.tick()
        assert driver.fault() == (ACTIVATIONS, OPERAND_ABSENT)

    run_site(script, planes=2, config=PAIR)


@pytest.mark.parametrize("mnemonic", ["ABC", "ABC_FP16"])
def test_plane_1_multiplies_at_the_same_time(mnemonic):
    """A collision, which comes before an operand that is absent; with an ABC of int8 in plane 0 there is none."""

    async def script(driver):
        driver.arrive({4: np.zeros(LANES, np.uint8), 5: np.zeros(LANES, np.uint8)})
        driver.issue(ACTIVATIONS, mnemonic, stream=4)
        driver.issue(3 + ACTIVATIONS, "ABC", stream=4)
        await driver.tick()
        assert driver.fault() == (None if mnemonic == "ABC" else (ACTIVATIONS, COLLISION))
        issue_fp16(driver, 8)
        driver.issue(3 + ACTIVATIONS, "ABC", stream=8)
        await driver.tick()
        assert driver.fault() == (ACTIVATIONS, COLLISION)
        await driver.tick()
        assert driver.fault() is None

    run_site(script, planes=2, config=PAIR)


def test_acc_takes_and_adds_fp32_or_int32_as_the_sum_is():
    """Back to back on few rows, whatever they hold: the sum says which addition it is."""
    rng, numbers = np.random.default_rng(3), random.Random(3)
    rows: dict[int, np.ndarray] = {}

    def value_of(mode: AccMode, fp16: bool, row: np.ndarray, sums: np.ndarray) -> np.ndarray:
        if mode not in (AccMode.ADD, AccMode.PEEK):
            return sums
        if fp16:
            return floats.operate("ADD", [row.astype(np.int64), sums.astype(np.int64)]).astype(np.int32)
        return row + sums

    async def script(driver):
        wanted: dict[int, tuple[int, np.ndarray]] = {}
        leaving = None
        for now in range(120):
            if leaving is not None:
                name = "pair_sum" if leaving[0] else "plane_0_sum"
                driver.ctx.set(getattr(driver.site, name), pack(leaving[1]))
                driver.ctx.set(getattr(driver.site, f"{name}_valid"), 1)
                leaving = None
            if rng.random() < 0.8:
                row, fp16, stream = int(rng.integers(3)), bool(rng.random() < 0.6), 4 * int(rng.integers(8))
                mode = AccMode(int(rng.integers(4))) if row in rows else AccMode.STORE
                driver.issue(ACCUMULATE, "ACC", **acc(row, mode, stream))
                bits = [values.number(numbers, values.Type.FP32) for _ in range(LANES)]
                sums = floats.canonical(np.array(bits, np.int64)).astype(np.int32)
                value = value_of(mode, fp16, rows.get(row, sums), sums)
                if mode in (AccMode.STORE, AccMode.ADD):
                    rows[row] = value
                wanted[now + timing(PAIR).acc_func] = stream, value
                leaving = fp16, sums
            if now in wanted:
                stream, value = wanted[now]
                assert np.array_equal(driver.result(stream), value), f"cycle {now}"
            assert driver.fault() is None
            await driver.tick()
            driver.ctx.set(driver.site.pair_sum_valid, 0)

    run_site(script, planes=2, config=PAIR)


def test_an_acc_without_a_sum_of_either_kind_is_absent():
    async def script(driver):
        driver.issue(ACCUMULATE, "ACC", **acc(0, AccMode.STORE))
        driver.ctx.set(driver.site.pair_sum_valid, 1)  # one cycle early
        await driver.tick()
        driver.ctx.set(driver.site.pair_sum_valid, 0)
        assert driver.fault() == (ACCUMULATE, OPERAND_ABSENT)

    run_site(script, planes=2, config=PAIR)


def test_a_sum_has_the_bits_that_the_contract_asks_for():
    """Units of 2^-48, magnitudes of 320 times 2^32 and a sign, in two parts that overlap."""
    assert sum_bits(20) - 2 >= 48 + 32 + 9 + 1
