"""From queue words to what is issued when: the one place where NOP, REPEAT, SYNC, NOTIFY and DESKEW are unrolled.

Checker, golden model, cycle prediction and the random generator share :func:`unroll`; the RTL is the independent
reading.
"""

import copy
from collections.abc import Mapping, Sequence

from tsp import isa, isa_rules
from tsp.config import ChipConfig
from tsp.dispatch_mistakes import add_mistakes
from tsp.dispatched import Burst, Control, Fetch, Mistake, Unrolled
from tsp.fetched import arrivals
from tsp.floorplan import Queue, floorplan
from tsp.timing import timing

__all__ = ["Burst", "Control", "Fetch", "Fetched", "Mistake", "Unrolled", "Unrolling", "unroll"]

Fetched = Mapping[tuple[int, int], Sequence[int]]
"""(queue, index of an IFETCH in it) → the words it brings."""


class _Reader:
    """One queue being unrolled: runs to its next SYNC, its end or its last known word, and on from there."""

    def __init__(self, queue: Queue, words: Sequence[int], config: ChipConfig):
        self.queue, self.words, self.config = queue, list(words), config
        self.fetched: Fetched = {}
        self.there = [0] * len(words)
        """The first cycle that each word can dispatch in."""
        self.expected = len(words)
        """Words there are and words that IFETCHes will bring."""
        self.index = self.cycle = 0
        self.parked: Control | None = None
        self.last: Burst | None = None
        """The instruction just issued, when a REPEAT may follow it."""
        self.unknown: list[Fetch] = []
        """IFETCHes whose words are not there, the first first."""
        self.begun = Unrolled.nothing()
        """What comes before the first SYNC: no other queue has a say in it."""

    def begin(self, fetched: Fetched) -> None:
        """Run to the first SYNC."""
        self.fetched = fetched
        self._bring()
        self.run(self.begun)

    def copy(self) -> "_Reader":
        """One that goes on from here."""
        other = copy.copy(self)
        other.words, other.there, other.unknown = list(self.words), list(self.there), list(self.unknown)
        return other

    def run(self, out: Unrolled) -> None:
        while self.index < len(self.words) and self.parked is None:
            if self.there[self.index] > self.cycle:
                reason = f"the word that IFETCH brings can dispatch from cycle {self.there[self.index]} on"
                self._mistake("dry", reason, out, cost=self.there[self.index] - self.cycle)
            self._step(self.words[self.index], out)
            self.index += 1
        out.reached[self.queue.index] = self.cycle
        if self.parked is None and self.expected == len(self.words):
            out.ends[self.queue.index] = self.cycle

    def _step(self, word: int, out: Unrolled) -> None:
        reason = isa_rules.broken_rule(word, self.queue, self.config)
        instruction = isa.decode(word)
        if reason is not None or instruction is None:
            text = reason if isinstance(reason, str) else f"{reason.field} out of range" if reason else ""
            self._mistake("illegal", text, out)
            self.last = None
        elif instruction.mnemonic == "REPEAT":
            self._repeat(instruction, out)
        elif instruction.mnemonic == "IFETCH":
            self._fetch(instruction, out)
            self.last = None
        elif instruction.operation.repeatable:
            self.last = Burst(self.queue.index, self.index, self.cycle, 1, 1, instruction)
            out.bursts.append(self.last)
            self.cycle += 1
        else:
            self._control(instruction, out)
            self.last = None

    def _repeat(self, repeat: isa.Instruction, out: Unrolled) -> None:
        if self.last is None:
            self._mistake("illegal", "REPEAT must follow an instruction that can repeat", out)
            return
        once, interval, steps = self.last, repeat["d"], (repeat["step_a"], repeat["step_b"])
        count = self._issues_in_range(once.instruction, *steps, repeat["n"] + 1)
        out.bursts[-1] = Burst(once.queue, once.index, once.start, count, interval, once.instruction, *steps)
        if count <= repeat["n"]:
            cycle = once.start + count * interval
            reason = f"issue {count} of the REPEAT takes an address out of range in cycle {cycle}"
            out.mistakes.append(Mistake("step", self.queue.index, self.index, cycle, reason))
        self.last = None
        self.cycle += repeat["n"] * interval

    def _fetch(self, instruction: isa.Instruction, out: Unrolled) -> None:
        vectors = instruction["n"]
        fetch = Fetch(self.queue.index, self.index, self.cycle, vectors, vectors * self.config.superlanes)
        room = self.config.queue_depth - (self.expected - self.index - 1)
        if fetch.words > room:
            self._mistake("illegal", f"IFETCH of {fetch.words} words into a queue with room for {room}", out)
            return
        out.fetches.append(fetch)
        out.bursts.append(Burst(self.queue.index, self.index, self.cycle, vectors, 1, instruction))
        self.expected += fetch.words
        self.unknown.append(fetch)
        self._bring()
        self.cycle += vectors

    def _bring(self) -> None:
        """Append words that IFETCHes bring, one's after the other's, up to the first that is not known."""
        while self.unknown and self.unknown[0].key in self.fetched:
            fetch = self.unknown.pop(0)
            self.words += self.fetched[fetch.key]
            self.there += arrivals(fetch.cycle, fetch.vectors, self.config)

    def _issues_in_range(self, instruction: isa.Instruction, step_a: int, step_b: int, count: int) -> int:
        """How many issues keep every address operand in range. The machine skips the others as illegal instructions."""
        limits = {
            "mem_address": self.config.mem_words,
            "acc_row": self.config.acc_depth,
            "supercell": self.config.superlanes,
        }
        steps = {isa.ADDRESS_A: step_a, isa.ADDRESS_B: step_b}
        for field in instruction.operation.fields:
            step = steps.get((field.lo, field.width), 0)
            if field.kind in limits and step:
                value = instruction[field.name]
                room = limits[field.kind] - 1 - value if step > 0 else value
                count = min(count, room // abs(step) + 1)
        return count

    def _control(self, instruction: isa.Instruction, out: Unrolled) -> None:
        if instruction.mnemonic == "NOP":
            self.cycle += instruction["n"]
            return
        control = Control(self.queue.index, self.index, self.cycle, instruction.mnemonic)
        table = timing(self.config)
        if instruction.mnemonic == "SYNC":
            self.parked = control
        elif instruction.mnemonic in ("NOTIFY", "CONFIG"):
            control.p = instruction.values.get("p", 0)
            self.cycle += 1
        elif instruction.mnemonic in isa.WAITS:
            control.link = instruction.values.get("link", 0)
            self.cycle += table.deskew
        else:
            control.t = instruction["t"]
            self.cycle += control.t + table.runtime_deskew
        if self.parked is None:
            control.resume = self.cycle
        out.controls.append(control)

    def _mistake(self, kind: str, reason: str, out: Unrolled, cost: int = 1) -> None:
        out.mistakes.append(Mistake(kind, self.queue.index, self.index, self.cycle, reason))
        self.cycle += cost


class Unrolling:
    """Programs unrolled again and again, each time with more of what their IFETCHes bring: each goes on where the one
    before had to stop."""

    def __init__(self, queues: Mapping[int, Sequence[int]], config: ChipConfig):
        plan = floorplan(config)
        self.config = config
        self.readers = [_Reader(plan.queues[i], words, config) for i, words in sorted(queues.items()) if len(words)]

    def run(self, fetched: Fetched) -> Unrolled:
        """As :func:`unroll`. ``fetched`` holds what it held the last time, whose result may change."""
        out = Unrolled.nothing()
        for reader in self.readers:
            if reader.parked is not None:
                reader.parked.resume = None
            reader.begin(fetched)
            out.add(reader.begun)
        # What follows a SYNC may come at another time once more is known, so it begins anew each time.
        readers = [reader if reader.parked is None else reader.copy() for reader in self.readers]
        _release_all(readers, out, timing(self.config).barrier)
        waiting = {fetch.key for reader in readers for fetch in reader.unknown}
        out.unknown = [fetch for fetch in out.fetches if fetch.key in waiting]
        out.words = {reader.queue.index: reader.words for reader in readers}
        add_mistakes(out, self.config)
        return out


def unroll(queues: Mapping[int, Sequence[int]], config: ChipConfig, fetched: Fetched | None = None) -> Unrolled:
    """Unroll every queue's 128-bit words (queue index → words); bursts come queue by queue, not sorted by time.

    ``fetched``: what IFETCHes bring, by :attr:`Fetch.key`, in the order it comes in; :func:`tsp.flow.fetch.expand`
    finds it.
    """
    return Unrolling(queues, config).run(fetched or {})


def _release_all(readers: list[_Reader], out: Unrolled, barrier: int) -> None:
    """Run parked queues to their ends, as far as NOTIFYs release them."""
    while parked := [reader for reader in readers if reader.parked]:
        notifies = sorted(control.cycle for control in out.controls if control.mnemonic == "NOTIFY")
        release = {id(r): _release(r, notifies, barrier) for r in parked}
        times = [time for time in release.values() if time is not None]
        if not times:
            break
        # A NOTIFY not yet known comes from a queue that is parked now, so it cannot release anybody earlier.
        for reader in parked:
            if release[id(reader)] == min(times):
                assert reader.parked is not None
                reader.cycle = min(times)
                reader.parked.resume = min(times)
                reader.parked = None
                reader.run(out)


def _release(reader: _Reader, notifies: list[int], barrier: int) -> int | None:
    """The cycle the earliest NOTIFY releases a parked reader in; a SYNC dispatched in that cycle is too late."""
    assert reader.parked is not None
    return next((cycle + barrier for cycle in notifies if cycle + barrier > reader.parked.cycle), None)
