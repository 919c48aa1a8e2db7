"""Elastic buffer, meter and aligner of a link's end: every output in every cycle."""

import random
from itertools import product
from typing import Any

import cocotb
import numpy as np

from tb.unit.link_model import Expected
from tb.unit.link_time_model import INTERVAL, JITTER, SAMPLES, TIMEOUT, align, cross, measure
from tb.unit.link_time_parts import LinkTimeParts
from tb.unit.ports import config, seeded
from tb.unit.window import CYCLES, cycles_of, play

PERIOD = config().hac_period
ICARUS = str(cocotb.SIM_NAME).startswith("Icarus")
INTERVALS = 160 if ICARUS else 480


class Side:
    """The module under test, and random inputs for it."""

    def __init__(self, dut: Any, what: str, cycles: int):
        self._dut, self.parts = dut, LinkTimeParts(config().superlanes, PERIOD)
        self.rng = seeded(what)
        self.numbers = np.random.default_rng(self.rng.getrandbits(64))
        self.rows = np.zeros(cycles, cycles_of(self.parts, True))

    def some(self, name: str, share: float) -> None:
        """An input is 1 in a share of the cycles."""
        self.rows[name] = self.numbers.random(len(self.rows)) < share

    def any_number(self, name: str) -> None:
        self.rows[name] = self.numbers.integers(0, 0x10000, len(self.rows))

    def near(self, cycle: int, error: int) -> None:
        """A good HAC comes that says that the parent's is so far ahead."""
        row = self.rows[cycle]
        row["stamp_valid"] = 1
        row["latency"], row["arrival"] = self.rng.getrandbits(16), self.rng.getrandbits(16)
        row["stamp"] = (int(row["arrival"]) + error - int(row["latency"])) & 0xFFFF

    def any_fraction(self) -> None:
        """Of L, another one in every cycle."""
        self.rows["fraction"] = self.numbers.integers(0, 32, len(self.rows))

    async def check(self) -> Any:
        """The outputs are those of the models, from reset on; returns them, without the window before the inputs."""
        seen = await play(self._dut, self.parts, self.rows)
        rows = np.concatenate([np.zeros(CYCLES, self.rows.dtype), self.rows])
        want = Expected(seen.dtype, len(rows))
        align(rows, want.rows, PERIOD)
        measure(rows, want.rows, PERIOD)
        cross(rows, want.rows, config().superlanes)
        want.compare(seen)
        return seen[CYCLES:]


@cocotb.test()
async def steps_are_those_of_the_rule(dut: Any) -> None:
    """Errors of all sizes, mostly such as are summed up; some intervals have no sample, some several."""
    side = Side(dut, "steps", INTERVALS * INTERVAL)
    side.rows["enable"] = 1
    side.any_fraction()
    for i in range(INTERVALS):
        bias, spread = (-1, 1, 0)[i // 80 % 3], JITTER + 2 if i % 80 < 72 else PERIOD // 2
        for cycle in side.rng.sample(range(INTERVAL), side.rng.choice((0, 1, 1, 1, 3))):
            error = max(-spread, min(spread, side.rng.randint(-spread, spread) + bias))
            side.near(i * INTERVAL + cycle, error)
    for block in range(INTERVALS // 80):
        # It has a parent again an odd and an even number of cycles before an interval's end.
        begin = (80 * block + 1) * INTERVAL + 3
        side.rows["enable"][begin : begin + 7 + block] = 0
    seen = await side.check()
    assert seen["hac_fast"].sum() > 1 and seen["hac_slow"].sum() > 1


def summing_to(total: int, rng: random.Random) -> list[int]:
    """32 errors by chance, none beyond J + 2, whose sum this is."""
    errors = [rng.randint(-JITTER, JITTER) for _ in range(32)]
    while (off := total - sum(errors)) != 0:
        k = rng.randrange(32)
        errors[k] = max(-JITTER - 2, min(JITTER + 2, errors[k] + off))
    return errors


@cocotb.test()
async def errors_at_the_limits(dut: Any) -> None:
    """One more and one less than a quarter and half of a period, than J + 2, and sums of 16 and 17 either way, begun by
    a sample and by a parent an odd and an even number of cycles before an interval's end, at 0 and at a fraction of L;
    and the farthest sums."""
    limits = [PERIOD // 4, PERIOD // 2 - 1, JITTER + 2]
    errors = [sign * (limit + more) for limit in limits for more in (-1, 0, 1) for sign in (1, -1)]
    begun: dict[int, tuple[int, int]] = {}
    rng = seeded("sums")
    for total in (16, 17, -16, -17):
        for away, first in ((0, 0), (0, 15), (0, -16)) if ICARUS else product((0, 7, 8), (0, 15, -16, 5)):
            begun[len(errors)] = away, first
            each, more = divmod(total - first, 32)
            errors += [JITTER + 3, *[each + 1] * more, *[each] * (32 - more)]
        for _ in range(1 if ICARUS else 4):
            errors += [JITTER + 3, *summing_to(total, rng)]
    begun |= {len(errors): (0, 15), len(errors) + 32: (0, -16)}
    errors += [JITTER + 3, *[JITTER + 2] * 32, *[-JITTER - 2] * 32]
    side = Side(dut, "limits", (len(errors) + 1) * INTERVAL)
    side.rows["enable"] = 1
    for i, error in enumerate(errors):
        side.near(i * INTERVAL, error)
        # A sample counts at its interval's end, so the sum that it begins anew has none yet.
        away, first = begun.get(i, (0, 0))
        side.rows["enable"][(i + 1) * INTERVAL + 3 :][:away] = 0
        side.rows["fraction"][(i + 1) * INTERVAL - 1 :][: 1 + away + 3] = first % 32
    await side.check()


@cocotb.test()
async def silence(dut: Any) -> None:
    """After sixteen epochs without a good HAC, and not if there is no parent; it is not forgotten."""
    quiet = 16 * PERIOD
    for enabled, last in ((0, 0), (1, 37), (1, quiet - 1)):
        side = Side(dut, "silence", last + quiet + 2 * INTERVAL)
        side.rows["enable"] = enabled
        side.near(last, 0)
        side.near(last + quiet + 20, 0)
        seen = await side.check()
        assert seen["silent"][-1] == enabled


@cocotb.test()
async def round_trips_and_offsets(dut: Any) -> None:
    """Measurements that end and that begin anew; reflections with other numbers, and of probes that were given up."""
    side = Side(dut, "trips", (1 if ICARUS else 4) * TIMEOUT)
    for name, share in (("measure_trips", 0.0005), ("measure_offsets", 0.001), ("probe_taken", 0.1)):
        side.some(name, share)
    side.some("reflect_taken", 0.2)
    side.some("stamp_valid", 0.1)
    for name in ("tag", "stamp", "latency", "arrival"):
        side.any_number(name)
    side.some("probe_came", 0.05)
    side.some("reflection_came", 0.2)
    side.rows["measure_trips"][:2] = 1, 0
    # The probes have numbers from 1 on.
    small = side.numbers.random(len(side.rows)) < 0.95
    side.rows["tag"][small] = side.numbers.integers(1, 64, small.sum())
    seen = await side.check()
    assert (seen["trips"] > 1).any() and (seen["offsets"] == 4 * SAMPLES).any()


@cocotb.test()
async def probes_that_come_back(dut: Any) -> None:
    """Of a measurement each probe is reflected after some cycles, one after the last moment and one in it; before it is
    on its way, and after the last, a reflection of its number is none."""
    after = [3, 700, 3000, TIMEOUT - 1, TIMEOUT, *[20] * (SAMPLES - 4)]
    side = Side(dut, "back", 3 * TIMEOUT)
    side.any_number("tag")
    side.rows["tag"] |= 0x8000
    side.rows["measure_trips"][0], cycle = 1, 5
    for number, wait in enumerate(after, 1):
        side.rows["probe_taken"][cycle] = side.rows["reflection_came"][cycle - 1] = 1
        side.rows["tag"][cycle - 1] = number
        side.rows["reflection_came"][cycle + 1 + wait - 1 : cycle + 2 + wait] = 1
        side.rows["tag"][cycle + 1 + wait] = number
        cycle += wait + 6
    side.rows["reflection_came"][cycle], side.rows["tag"][cycle] = 1, len(after)
    seen = await side.check()
    assert seen["trips"][-1] == SAMPLES


@cocotb.test()
async def words_between_clocks(dut: Any) -> None:
    """Packets of random kinds, the writing or the reading side often standing still, once for so long that words are
    lost or none is there."""
    superlanes = config().superlanes
    for slower, share in (("holds", 0.02), ("received_holds", 0.02), ("holds", 0.3), ("received_holds", 0.3)):
        for idle in (0.2, 0.9):
            side = Side(dut, f"words {slower} {share} {idle}", (8 if ICARUS else 20) * CYCLES)
            side.some(slower, share)
            side.rows[slower][300:360] = 1
            words = side.numbers.integers(0, 256, (len(side.rows), 16))
            at = 0
            while at < len(words):
                vector = side.rng.random() >= idle
                words[at, 0] = (0xFF if vector else 0) ^ sum(1 << bit for bit in side.rng.sample(range(8), 3))
                at += 1 + superlanes * vector
            # A word waits for its side's next tick.
            ticks = np.cumsum(side.rows["received_holds"] == 0) - (side.rows["received_holds"] == 0)
            side.rows["received_word"] = words[ticks]
            await side.check()
