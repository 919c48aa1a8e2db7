"""Elastic buffer, meter and aligner in every cycle, from docs/links.md and their docstrings.

Inputs and outputs are arrays with a row for each cycle after reset, their fields the ports of
:class:`tb.unit.link_time_parts.LinkTimeParts`.
"""

from collections import deque
from typing import Any

from tb.unit.link_model import Cycles
from tb.unit.link_time_parts import SAMPLES

INTERVAL, SUMMED, JITTER = 32, 32, 9
SILENT_EPOCHS = 16
TIMEOUT = 4096
DEPTH, RESET_EDGES = 16, 8


def error(row: Any, period: int) -> int:
    """By how much the parent's HAC is ahead, modulo the period around 0."""
    apart = int(row["stamp"]) + int(row["latency"]) - int(row["arrival"])
    return (apart + period // 2) % period - period // 2


def fraction(row: Any) -> int:
    """Of L, in 32nds of a cycle: five bits with a sign."""
    return (int(row["fraction"]) + 16) % 32 - 16


def align(rows: Cycles, want: Cycles, period: int) -> None:
    """Steps of the HAC, and silence."""
    sample: int | None = None
    samples: list[int] = []
    quiet, silent, first = 0, False, 0
    for cycle, row in enumerate(rows[:-1]):
        step, begins = 0, not row["enable"]
        if cycle % INTERVAL == INTERVAL - 1:
            if row["enable"] and sample is not None:
                step = _step(sample, samples, first, period)
                begins = not samples
            sample = None
        if begins:
            samples.clear()
            first = fraction(row)
        if row["stamp_valid"]:
            sample = error(row, period)
        heard = row["stamp_valid"] or not row["enable"]
        silent = silent or (not heard and quiet == SILENT_EPOCHS * period - 1)
        quiet = 0 if heard else quiet + 1
        after = want[cycle + 1]
        after["hac_fast"], after["hac_slow"], after["silent"] = step > 0, step < 0, silent


def _step(sample: int, samples: list[int], first: int, period: int) -> int:
    if abs(sample) > period / 4:
        samples.clear()
        return 1
    if abs(sample) > JITTER + 2:
        samples.clear()
        return 1 if sample > 0 else -1
    samples.append(sample)
    if len(samples) < SUMMED:
        return 0
    total = first + sum(samples)
    samples.clear()
    return (total > SUMMED // 2) - (total < -SUMMED // 2)


def measure(rows: Cycles, want: Cycles, period: int) -> None:
    """Probes, reflections and sums."""
    reflect, tag = 0, 0
    offered, probe, waits, sent = 0, 0, False, 0
    trips = trips_sum = offsets = offsets_sum = 0
    last = 0
    for cycle, row in enumerate(rows[:-1]):
        if row["probe_came"]:
            reflect, tag = 1, int(row["tag"])
        elif row["reflect_taken"]:
            reflect = 0
        again = False
        if row["measure_trips"]:
            trips, trips_sum, waits, again = 0, 0, False, True
        elif offered and row["probe_taken"]:
            offered, waits, sent = 0, True, cycle + 1
        elif waits and row["reflection_came"] and row["tag"] == probe:
            trips, trips_sum, waits = trips + 1, trips_sum + cycle - sent, False
            again = trips != SAMPLES
        elif waits and cycle - sent == TIMEOUT - 1:
            waits, again = False, True
        if again:
            offered, probe = 1, (probe + 1) & 0xFFFF
        quarter = int(row["stamp"]) % period * 4 // period
        if row["measure_offsets"]:
            offsets, offsets_sum = 0, 0
        elif row["stamp_valid"] and quarter != last and offsets != 4 * SAMPLES:
            offsets, offsets_sum = offsets + 1, offsets_sum + error(row, period)
        last = quarter if row["stamp_valid"] else last
        after = want[cycle + 1]
        after["reflect_valid"], after["reflect_tag"] = reflect, tag
        after["probe_valid"], after["probe_tag"] = offered, probe
        after["trips"], after["offsets"] = trips, offsets
        for name, value in (("trips_sum", trips_sum), ("offsets_sum", offsets_sum)):
            bits = SUM_BITS[name]
            after[name] = list((value & (1 << bits) - 1).to_bytes(len(after[name]), "little"))


SUM_BITS = {"trips_sum": 21, "offsets_sum": 27}


def cross(rows: Cycles, want: Cycles, superlanes: int) -> None:
    """Words through the buffer. Each side sees how far the other is some of its own ticks late."""
    words: deque[Any] = deque()
    written = read = 0
    to_reader, to_writer = [0, 0], [0, 0, 0]
    level = 0
    coming = going = 0
    valid, word = 0, want[0]["word"]
    for cycle, row in enumerate(rows):
        want[cycle]["valid"], want[cycle]["word"] = valid, word
        seen, begun = to_reader[1] - read, written
        before = list(to_reader), list(to_writer), read
        if not row["holds"]:
            header = bool(words) and going == 0 and _is_vector(words[0])
            valid = int(seen > 0 and not (header and seen < 2))
            if valid:
                word, read = words.popleft(), read + 1
                going = going - 1 if going else superlanes * header
            to_reader = [begun, before[0][0]]
        if cycle >= RESET_EDGES and not row["received_holds"]:
            new = row["received_word"]
            idle = coming == 0 and not _is_vector(new)
            if not (idle and level > DEPTH // 2) and begun - before[1][1] != DEPTH:
                words.append(new)
                written += 1
            coming = coming - 1 if coming else superlanes * (not idle)
            level = begun - before[1][2]
            to_writer = [before[2], before[1][0], before[1][1]]


def _is_vector(word: Any) -> bool:
    return int(word[0]).bit_count() >= 5
