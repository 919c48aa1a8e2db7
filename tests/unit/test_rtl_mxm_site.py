"""The edge site with its tiles, flattened for amaranth.sim: decoding, reads, accumulator, drives, faults, events."""

from collections.abc import Awaitable, Callable

import numpy as np
import pytest
from mxm_model import LANES, int8s, int32, pack, simulate, unpack
from test_rtl_trace import event_hash

from rtl.mxm import MxmSite
from rtl.stamp import inlined
from rtl.trace import SIGNATURE_DELAY
from tsp import isa
from tsp.config import ChipConfig, preset
from tsp.isa import AccMode
from tsp.timing import timing

CONFIG = preset("tiny").override(["acc_depth=8", "ecc=off"])
WEIGHTS, ACTIVATIONS, ACCUMULATE = range(3)
KINDS = ("mxm_weights", "mxm_activations", "mxm_accumulate")
OPERAND_ABSENT, COLLISION = 3, 1
WESTWARD = 1
Script = Callable[["Driver"], Awaitable[None]]


class Driver:
    """One site under test. Instructions and streams given before :meth:`tick` are those of the cycle it ends."""

    def __init__(self, ctx, site: MxmSite):
        self.ctx, self.site = ctx, site
        self.power(True)

    def power(self, on: bool) -> None:
        """Whether the superlane is powered, from this cycle on."""
        self.ctx.set(self.site.powered, on)

    def issue(self, queue: int, mnemonic: str, **operands: int) -> None:
        bits = isa.PAYLOAD_BITS[KINDS[queue % 3]]
        self.ctx.set(getattr(self.site, f"instr_{queue}_valid"), 1)
        word = isa.instruction(mnemonic, **operands).encode()
        self.ctx.set(getattr(self.site, f"instr_{queue}"), word & ((1 << bits) - 1))

    def arrive(self, streams: dict[int, np.ndarray]) -> None:
        """Put sixteen bytes on each of some streams that the site reads."""
        self.ctx.set(self.site.in_present, sum(1 << s for s in streams))
        for number, value in streams.items():
            self.ctx.set(getattr(self.site, f"in_{number}").data, pack(value))

    def leave(self, plane: int, sums: np.ndarray) -> None:
        """Let sums leave the array in this cycle."""
        self.ctx.set(getattr(self.site, f"plane_{plane}_sum"), pack(int32(sums)))
        self.ctx.set(getattr(self.site, f"plane_{plane}_sum_valid"), 1)

    async def tick(self) -> None:
        await self.ctx.tick()
        for queue in range(3 * self.site.planes):
            self.ctx.set(getattr(self.site, f"instr_{queue}_valid"), 0)
        for plane in range(self.site.planes):
            self.ctx.set(getattr(self.site, f"plane_{plane}_sum_valid"), 0)
        self.ctx.set(self.site.in_present, 0)

    def get(self, name: str) -> int:
        return self.ctx.get(getattr(self.site, name))

    def result(self, first: int) -> np.ndarray | None:
        """The int32 vector on the four streams from ``first`` on that leave the site; None if they are empty."""
        if self.get("out_present") >> first & 15 != 15:
            return None
        planes = [unpack(self.ctx.get(getattr(self.site, f"out_{first + i}").data), np.uint8, LANES) for i in range(4)]
        return np.stack(planes, axis=1).reshape(-1).view(np.int32)

    def fault(self) -> tuple[int, int] | None:
        """(queue, kind) of the pulse in this cycle."""
        return (self.get("fault_queue"), self.get("fault_kind")) if self.get("fault_valid") else None


def run(script: Script, planes: int = 1, config: ChipConfig = CONFIG) -> None:
    site = MxmSite(config, planes)

    async def bench(ctx):
        await script(Driver(ctx, site))

    with inlined():
        simulate(site, bench)


def acc(row: int, mode: AccMode, stream: int | None = None) -> dict[str, int]:
    operand = 0 if stream is None else isa.stream_operand(WESTWARD, stream)
    return {"row": row, "mode": int(mode), "out": int(stream is not None), "stream": operand}


@pytest.mark.parametrize("streams", [16, 32])
@pytest.mark.parametrize("mnemonic", ["LW", "LW_IW"])
def test_lw_sends_its_sixteen_streams_to_the_row_one_cycle_later(mnemonic, streams):
    rng = np.random.default_rng(1)
    weights = int8s(rng, LANES, LANES)
    first = streams - 16

    async def script(driver):
        driver.arrive({first + j: weights[j] for j in range(LANES)})
        driver.issue(WEIGHTS, mnemonic, supercell=1, stream=first)
        await driver.tick()
        assert driver.get("plane_0_load") and driver.get("plane_0_load_index") == 1
        assert driver.get("plane_0_install") == (mnemonic == "LW_IW")
        assert np.array_equal(unpack(driver.get("plane_0_load_data"), np.int8, 256).reshape(LANES, LANES), weights)
        assert driver.fault() is None
        await driver.tick()
        assert not driver.get("plane_0_load") and not driver.get("plane_0_install")

    run(script, config=CONFIG.override([f"streams={streams}"]))


def test_iw_installs_and_loads_nothing():
    async def script(driver):
        driver.issue(WEIGHTS, "IW")
        await driver.tick()
        assert driver.get("plane_0_install") and not driver.get("plane_0_load") and driver.fault() is None

    run(script)


def test_an_abc_in_an_unpowered_superlane_passes_and_adds_nothing():
    value = int8s(np.random.default_rng(1), LANES) | 1

    async def script(driver):
        for there in (True, False):
            driver.power(True)
            driver.arrive({3: value})
            driver.issue(ACTIVATIONS, "ABC", stream=3)
            await driver.tick()
            assert np.array_equal(unpack(driver.get("plane_0_activation"), np.int8, LANES), value)
            driver.power(False)
            if there:
                driver.arrive({3: value})
            driver.issue(ACTIVATIONS, "ABC", stream=3)
            await driver.tick()
            # The sums of the rows south of it come by, whatever its own stream carries.
            assert driver.get("plane_0_activate") and driver.get("plane_0_activation") == 0
            assert driver.fault() is None and driver.get("north_1_valid")
            await driver.tick()

    run(script)


@pytest.mark.parametrize("stream", [0, 13, 31])
def test_abc_sends_its_stream_to_the_row_one_cycle_later(stream):
    value = int8s(np.random.default_rng(stream), LANES)

    async def script(driver):
        driver.arrive({stream: value})
        driver.issue(ACTIVATIONS, "ABC", stream=stream)
        await driver.tick()
        assert driver.get("plane_0_activate") and driver.fault() is None
        assert np.array_equal(unpack(driver.get("plane_0_activation"), np.int8, LANES), value)
        await driver.tick()
        assert not driver.get("plane_0_activate")

    run(script)


def test_instructions_move_north_in_the_next_cycle():
    async def script(driver):
        driver.issue(WEIGHTS, "IW")
        driver.issue(ACCUMULATE, "ACC", **acc(3, AccMode.STORE))
        driver.leave(0, np.zeros(LANES))
        await driver.tick()
        assert [driver.get(f"north_{queue}_valid") for queue in range(3)] == [1, 0, 1]
        assert driver.get("north_2") == isa.instruction("ACC", **acc(3, AccMode.STORE)).encode()
        await driver.tick()
        assert not driver.get("north_0_valid") and not driver.get("north_2_valid")

    run(script)


@pytest.mark.parametrize("seed", range(2))
def test_random_acc_equal_numpy(seed):
    """Back to back on few rows, so that an ACC often meets the row of the one just before; sums wrap."""
    rng = np.random.default_rng(seed)
    rows: dict[int, np.ndarray] = {}

    async def script(driver):
        expected: dict[int, tuple[int, np.ndarray] | None] = {}
        pending = None
        for now in range(160):
            if pending is not None:
                driver.leave(0, pending)
            pending = None
            if rng.random() < 0.8:
                row = int(rng.integers(3))
                mode = AccMode(int(rng.integers(4))) if row in rows else AccMode.STORE
                stream = 4 * int(rng.integers(8)) if rng.random() < 0.7 else None
                driver.issue(ACCUMULATE, "ACC", **acc(row, mode, stream))
                pending = rng.integers(-(2**31), 2**31, LANES)
                value = int32(pending + (rows[row] if mode in (AccMode.ADD, AccMode.PEEK) else 0))
                if mode in (AccMode.STORE, AccMode.ADD):
                    rows[row] = value.astype(np.int64)
                if stream is not None:
                    expected[now + timing(CONFIG).acc_func] = (stream, value)
            if now in expected:
                stream, value = expected[now]
                assert np.array_equal(driver.result(stream), value), f"seed {seed}, cycle {now}"
                assert driver.get("out_present") == 15 << stream
            else:
                assert driver.get("out_present") == 0
            assert driver.get("stream_event") == (now + 1 in expected)
            assert driver.fault() is None
            await driver.tick()

    run(script)


def test_reads_of_nothing_are_operand_absent():
    async def script(driver):
        driver.issue(WEIGHTS, "LW", supercell=0, stream=0)
        driver.arrive({s: np.zeros(LANES, np.int8) for s in range(15)})
        await driver.tick()
        assert driver.fault() == (WEIGHTS, OPERAND_ABSENT)
        driver.issue(ACTIVATIONS, "ABC", stream=4)
        driver.arrive({5: np.zeros(LANES, np.int8)})
        await driver.tick()
        assert driver.fault() == (ACTIVATIONS, OPERAND_ABSENT)
        driver.issue(ACCUMULATE, "ACC", **acc(0, AccMode.STORE))
        driver.leave(0, np.zeros(LANES))  # one cycle early
        await driver.tick()
        assert driver.fault() == (ACCUMULATE, OPERAND_ABSENT)
        await driver.tick()
        assert driver.fault() is None

    run(script)


def test_the_lowest_queue_of_a_cycle_is_reported():
    async def script(driver):
        driver.issue(3 + ACTIVATIONS, "ABC", stream=4)
        driver.issue(ACCUMULATE, "ACC", **acc(0, AccMode.STORE))
        await driver.tick()
        assert driver.fault() == (ACCUMULATE, OPERAND_ABSENT)

    run(script, planes=2)


@pytest.mark.parametrize("streams", [(8, 8), (8, 12)])
def test_two_planes_that_drive_one_stream_collide(streams):
    async def script(driver):
        for plane, stream in enumerate(streams):
            driver.issue(3 * plane + ACCUMULATE, "ACC", **acc(0, AccMode.PASS, stream))
        await driver.tick()
        for plane in range(2):
            driver.leave(plane, np.full(LANES, 7 + plane))
        await driver.tick()
        event = timing(CONFIG).acc_func
        assert driver.fault() is None
        if streams[0] != streams[1]:
            assert (driver.result(8) == 7).all() and (driver.result(12) == 8).all()
        await driver.tick()
        # Valid in the cycle after the values are in the SR.
        assert event == 2
        assert driver.fault() == ((ACCUMULATE, COLLISION) if streams[0] == streams[1] else None)

    run(script, planes=2)


@pytest.mark.parametrize("planes", [1, 2])
def test_signature_is_the_sum_over_the_four_streams_of_each_drive(planes):
    place, time = 40, 1000
    sums = np.arange(LANES) * 0x01020304 - 5
    plane = planes - 1

    async def script(driver):
        driver.ctx.set(driver.site.place, place)
        driver.ctx.set(driver.site.time, time)
        driver.issue(3 * plane + ACCUMULATE, "ACC", **acc(0, AccMode.PASS, 20))
        await driver.tick()
        driver.ctx.set(driver.site.time, time + 1)
        driver.leave(plane, sums)
        for _ in range(SIGNATURE_DELAY):
            await driver.tick()
        request = {"host_select": 1, "host_write": 0, "host_signature": 1, "host_place": place + plane}
        for name, value in request.items():
            driver.ctx.set(getattr(driver.site, name), value)
        await driver.tick()
        assert driver.get("host_rvalid")
        assert driver.get("host_rdata") == signature(int32(sums), time + 2, place + plane, 20)
        driver.ctx.set(driver.site.host_place, place + planes)
        await driver.tick()
        assert not driver.get("host_rvalid") and driver.get("host_rdata") == 0

    run(script, planes=planes)


def signature(sums: np.ndarray, time: int, place: int, first: int) -> int:
    planes = sums.view(np.uint8).reshape(LANES, 4).T
    hashes = (
        event_hash(time, place, isa.stream_operand(WESTWARD, first + i), pack(plane)) for i, plane in enumerate(planes)
    )
    return sum(hashes) % 2**64
