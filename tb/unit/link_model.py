"""What a link's two ends must do in every cycle, from golden/packet.py and the text of docs/links.md.

Inputs and outputs are arrays with a row for each cycle, their fields the ports of :class:`tb.unit.link_loop.LinkLoop`.
"""

from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from golden import packet

Cycles = NDArray[Any]
COUNTER_MOST = 0xFFFF
READY = 4
"""From a packet's last word to the first RECEIVE that sees its vector."""
DECIDED = 3


@dataclass
class Vector:
    """A vector packet as the receiver finds it: the cycles of its words, and what becomes of it."""

    cycles: NDArray[np.int64]
    sequence: int
    status: int
    data: NDArray[np.uint8]
    flips: list[tuple[int, int]]
    good: bool = False
    dropped: bool = False
    slot: int = 0

    @property
    def end(self) -> int:
        """A."""
        return int(self.cycles[-1])


class Expected:
    """Outputs, and in which cycles each must be so.

    Attributes:
        rows: the outputs. Of pulses and levels every cycle counts, of what goes with a pulse those of the pulse.
    """

    ALONGSIDE = {
        "hac": ("hac_valid",), "hac_arrival": ("hac_valid",), "tag": ("probe_comes", "reflection_comes"),
        **dict.fromkeys(("north_superlane", "north_slot", "north_word"), ("north_valid",)),
        **dict.fromkeys(("taken_good", "taken_slot", "taken_flip_0", "taken_flip_1"), ("taken_valid",)),
    }  # fmt: skip

    def __init__(self, outputs: np.dtype[Any], cycles: int):
        self.rows = np.zeros(cycles + DECIDED + 2, outputs)

    def compare(self, seen: Cycles) -> None:
        """The scoreboard: AssertionError names the first cycle and port that differ."""
        rows = self.rows[: len(seen)]
        for name in seen.dtype.names or ():
            # Of a flip that is none, nothing but that matters.
            mattering = np.where(rows[name] & 1, 0xFFFF, 1) if name.startswith("taken_flip") else None
            differs = seen[name] != rows[name] if mattering is None else (seen[name] ^ rows[name]) & mattering != 0
            differs = differs.any(axis=1) if differs.ndim == 2 else differs
            if pulses := self.ALONGSIDE.get(name):
                differs &= np.any([rows[pulse] == 1 for pulse in pulses], axis=0)
            for cycle in np.flatnonzero(differs)[:1]:
                raise AssertionError(f"cycle {cycle}: {name} is {seen[name][cycle]}, must be {rows[name][cycle]}")


def send(stimuli: Cycles, superlanes: int, want: Expected) -> dict[int, NDArray[np.uint8]]:
    """What is on the pins; returns of every SEND, by the cycle of its header on the pins, the vector."""
    rows, wire = want.rows, superlanes + 4
    hac = np.concatenate([[0], stimuli["hac_next"], np.zeros(DECIDED + 1, np.uint16)])
    valid = stimuli["word_valid"] == 1
    words = np.where(valid[:, None], stimuli["word"], 0).astype(np.uint8)
    starts = np.flatnonzero(stimuli["send"]) + wire
    starts = starts[starts + superlanes < len(stimuli)]
    within = (starts[:, None] + np.arange(superlanes + 1)).astype(np.int64)
    idle = np.ones(len(rows), bool)
    idle[within] = False
    _send_idle_words(stimuli, want, idle, hac)
    arrive = starts[:, None] - wire + 1 + 2 * np.arange(superlanes)
    vectors = words[arrive].reshape(len(starts), 16 * superlanes)
    sequence, number, previous = np.zeros(len(starts), np.int64), 0, 0
    flushes = np.flatnonzero(stimuli["flush"])
    for i, load in enumerate(starts - 1):
        if ((flushes >= previous) & (flushes < load)).any():
            number = 0
        sequence[i], number, previous = number, number + 1, load
    first = (sequence == 0) & (np.arange(len(starts)) < 1 << 16)
    tags = np.where(first, stimuli["epoch_next"][starts - 1], 0)
    headers = packet.Headers(first * packet.START, sequence & 0xFFFF, hac[starts], tags)
    rows["tx"][within] = packet.encode(vectors, headers)
    return dict(zip(starts.tolist(), vectors, strict=True))


def _send_idle_words(stimuli: Cycles, want: Expected, idle: NDArray[np.bool_], hac: NDArray[np.uint16]) -> None:
    rows, count = want.rows, len(stimuli)
    loading = idle[1 : count + 1]
    reflects = loading & (stimuli["reflect_valid"] == 1)
    probes = loading & (stimuli["probe_valid"] == 1) & ~reflects
    rows["reflect_taken"][:count], rows["probe_taken"][:count] = reflects, probes
    flags = probes * packet.PROBE + reflects * packet.REFLECTION
    tags = np.where(reflects, stimuli["reflect_tag"], np.where(probes, stimuli["probe_tag"], 0))
    headers = packet.Headers(np.append(0, flags), 0, hac[: count + 1], np.append(0, tags))
    words = packet.idle_words(headers)[:, 0]
    rows["tx"][: count + 1][idle[: count + 1]] = words[idle[: count + 1]]


def receive(stimuli: Cycles, words: NDArray[np.uint8], superlanes: int, slots: int, want: Expected) -> list[Vector]:
    """What comes of the words (uint8 [cycles, 16]) that are there; returns the vector packets in order."""
    begins, idle = _find_packets(stimuli, words, superlanes)
    _receive_idle_words(stimuli, words, idle, want)
    vectors = _decide(stimuli, words, begins, want)
    _go_north_and_wait(stimuli, words, vectors, slots, want)
    return vectors


def _find_packets(stimuli: Cycles, words: NDArray[np.uint8], superlanes: int) -> tuple[list[Any], NDArray[np.int64]]:
    """The cycles of the words of each vector packet, and the cycles of idle words."""
    packets, idle, under_way = [], [], []
    vector, forget = packet.is_vector(words), stimuli["forget"] == 1
    for cycle in np.flatnonzero((stimuli["here"] == 1) | forget).tolist():
        if forget[cycle]:
            under_way = []
        elif under_way or vector[cycle]:
            under_way.append(cycle)
            if len(under_way) == superlanes + 1:
                packets.append(np.array(under_way))
                under_way = []
        else:
            idle.append(cycle)
    return packets, np.array(idle, np.int64)


def _receive_idle_words(stimuli: Cycles, words: NDArray[np.uint8], idle: NDArray[np.int64], want: Expected) -> None:
    found = packet.decode(words[idle][:, None])
    right = found.status == packet.RIGHT
    _show_hac(stimuli, idle[right], idle[right], np.asarray(found.headers.hac)[right], want)
    flags, tags = np.asarray(found.headers.flags), np.asarray(found.headers.tag)
    want.rows["tag"][idle[right] + 2] = tags[right]
    want.rows["probe_comes"][idle[right] + 2] = (flags[right] & packet.PROBE) != 0
    want.rows["reflection_comes"][idle[right] + 2] = (flags[right] & packet.REFLECTION) != 0


def _show_hac(stimuli: Cycles, begin: Any, end: Any, hac: Any, want: Expected) -> None:
    want.rows["hac_valid"][end + 2] = 1
    want.rows["hac"][end + 2] = hac
    want.rows["hac_arrival"][end + 2] = stimuli["hac_now"][begin]


def _decide(stimuli: Cycles, words: NDArray[np.uint8], begins: list[Any], want: Expected) -> list[Vector]:
    """Status and sequence; in ``begins`` the cycles of each packet's words."""
    if not begins:
        return []
    cycles = np.array(begins)
    found = packet.decode(words[cycles])
    right = found.status == packet.RIGHT
    _show_hac(stimuli, cycles[right, 0], cycles[right, -1], np.asarray(found.headers.hac)[right], want)
    flushes = np.flatnonzero(stimuli["forget"])
    vectors, expected, previous, size = [], 0, 0, 8 * found.vectors.shape[1]
    for i, sequence in enumerate(np.asarray(found.headers.sequence).tolist()):
        end = int(cycles[i, -1])
        if ((flushes >= previous) & (flushes < end)).any():
            expected = 0
        previous = end
        flips = [divmod(bit - 64, 128) for bit in found.turned[i].tolist() if 0 <= bit - 64 < size]
        vector = Vector(cycles[i], sequence, int(found.status[i]), found.vectors[i], flips)
        vector.good = vector.status != packet.UNCORRECTABLE and sequence == expected
        expected = ((sequence if right[i] else expected) + 1) % 0x10000
        vectors.append(vector)
    return vectors


def _go_north_and_wait(
    stimuli: Cycles, words: NDArray[np.uint8], vectors: list[Vector], slots: int, want: Expected
) -> None:
    """The receive buffer, cycle by cycle."""
    rows = want.rows
    begin = {int(vector.cycles[0]): vector for vector in vectors}
    end = {vector.end: vector for vector in vectors}
    ready: deque[Vector] = deque()
    entered = taken = corrected = bad = occupancy = 0
    slack, waited = COUNTER_MOST, None
    take, clear, forget = (stimuli[name].tolist() for name in ("take", "clear", "forget"))
    levels = ("ready_good", "corrected", "bad", "occupancy", "slack")
    history = []
    for cycle in range(len(stimuli)):
        history.append((bool(ready) and ready[0].good, corrected, bad, occupancy, slack))
        used = entered - taken
        occupancy = used if clear[cycle] else max(occupancy, used)
        slack = COUNTER_MOST if clear[cycle] else slack if waited is None else min(slack, waited)
        corrected, bad, waited = corrected * (1 - clear[cycle]), bad * (1 - clear[cycle]), None
        if cycle in begin:
            begin[cycle].dropped, begin[cycle].slot = used == slots, entered % slots
            if not begin[cycle].dropped:
                _go_north(words, begin[cycle], want)
        if take[cycle] and ready:
            vector = ready.popleft()
            waited, taken = cycle - vector.end - READY, taken + 1
            rows["taken_valid"][cycle + 1] = 1
            rows["taken_good"][cycle + 1], rows["taken_slot"][cycle + 1] = vector.good, vector.slot
            _show_flips(rows[cycle + 1], vector)
        if cycle in end:
            entered += not end[cycle].dropped
        if decided := end.get(cycle - DECIDED):
            if not clear[cycle]:
                corrected = min(corrected + (decided.status == packet.CORRECTED), COUNTER_MOST)
                bad = min(bad + (not decided.good), COUNTER_MOST)
            rows["overrun"][cycle + 1] = decided.dropped
            if not decided.dropped:
                ready.append(decided)
        if forget[cycle]:
            ready.clear()
            entered = taken = 0
    for name, values in zip(levels, zip(*history, strict=True), strict=True):
        rows[name][: len(stimuli)] = values


def _go_north(words: NDArray[np.uint8], vector: Vector, want: Expected) -> None:
    for k in range(len(vector.cycles) - 1):
        row = want.rows[vector.cycles[k + 1] + 1]
        row["north_valid"], row["north_superlane"], row["north_slot"] = 1, k, vector.slot
        row["north_word"] = np.concatenate([words[vector.cycles[k], 8:], words[vector.cycles[k + 1], :8]])


def _show_flips(row: Any, vector: Vector) -> None:
    """A flip names its superlane and bit; of the codes A turns even bits back and B odd ones."""
    for superlane, bit in vector.flips if vector.good else ():
        row[f"taken_flip_{bit % 2}"] = 1 | superlane << 1 | bit << 6
