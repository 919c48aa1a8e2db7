"""From queue words to what is issued when: the one place where NOP, REPEAT, SYNC, NOTIFY and DESKEW are unrolled.

Checker, golden model, cycle prediction and the random generator share :func:`unroll`; the RTL is the independent
reading.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from tsp import isa, isa_rules
from tsp.config import ChipConfig
from tsp.fetched import arrivals
from tsp.floorplan import Queue, floorplan
from tsp.power import Power
from tsp.timing import timing

Fetched = Mapping[tuple[int, int], Sequence[int]]
"""(queue, index of an IFETCH in it) → the words it brings."""


@dataclasses.dataclass(frozen=True)
class Burst:
    """``count`` issues of one instruction: at ``start``, ``start + interval``, …

    Issue i has its address operands moved by i · (step_a, step_b). ``index`` is the instruction's word in its queue (a
    REPEAT's is index + 1).
    """

    queue: int
    index: int
    start: int
    count: int
    interval: int
    instruction: isa.Instruction
    step_a: int = 0
    step_b: int = 0

    @property
    def end(self) -> int:
        """Cycle after the last issue."""
        return self.start + (self.count - 1) * self.interval + 1


@dataclasses.dataclass(frozen=True)
class Mistake:
    """Something the dispatcher met that no legal program has.

    ``kind``: ``illegal`` (the machine skips the word in one cycle and latches a fault), ``step`` (a REPEAT leaves its
    range: the machine skips that issue and latches a fault), ``dry`` (a word that an IFETCH brings is not there yet),
    ``path`` (words of two IFETCHes of a site meet on their way), ``sync`` (a SYNC nobody releases), ``notify`` (two
    within one barrier latency).
    """

    kind: str
    queue: int
    index: int
    cycle: int
    reason: str


@dataclasses.dataclass(frozen=True)
class Fetch:
    """An IFETCH: it reads vectors in the cycles ``cycle`` … ``cycle + vectors - 1``, and they are ``words`` words."""

    queue: int
    index: int
    cycle: int
    vectors: int
    words: int

    @property
    def key(self) -> tuple[int, int]:
        """What names it in a program."""
        return self.queue, self.index


@dataclasses.dataclass
class Control:
    """A control instruction that was issued: SYNC, NOTIFY, CONFIG, DESKEW or RUNTIME_DESKEW."""

    queue: int
    index: int
    cycle: int
    mnemonic: str
    t: int = 0
    p: int = 0
    resume: int | None = None
    """Cycle of the queue's next instruction; None for a SYNC that is never released."""


@dataclasses.dataclass
class Unrolled:
    """Everything that a program's queues issue, in architectural time."""

    bursts: list[Burst]
    controls: list[Control]
    mistakes: list[Mistake]
    ends: dict[int, int]
    """Queue → first cycle in which it has nothing left (absent if it never gets there)."""
    words: dict[int, list[int]]
    """Queue → its words, those fetched among them."""
    fetches: list[Fetch]
    unknown: list[Fetch]
    """Those of the fetches whose words were not given: their queues were followed to the last known word."""
    reached: dict[int, int] = dataclasses.field(default_factory=dict)
    """Queue → the cycle to which it was followed: a word that is not known dispatches then or later."""

    def power(self, config: ChipConfig) -> Power:
        """How many superlanes are powered when."""
        return Power.of([(c.cycle, c.p) for c in self.controls if c.mnemonic == "CONFIG"], config)


class _Reader:
    """One queue being unrolled: runs to its next SYNC or its end."""

    def __init__(self, queue: Queue, words: Sequence[int], config: ChipConfig, fetched: Fetched):
        self.queue, self.words, self.config, self.fetched = queue, list(words), config, fetched
        self.there = [0] * len(words)
        """The first cycle that each word can dispatch in."""
        self.expected = len(words)
        """Words there are and words that IFETCHes will bring."""
        self.index = self.cycle = 0
        self.parked: Control | None = None
        self.last: Burst | None = None
        """The instruction just issued, when a REPEAT may follow it."""

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
        if fetch.key in self.fetched and self.expected == len(self.words) + fetch.words:
            self.words += self.fetched[fetch.key]
            self.there += arrivals(self.cycle, vectors, self.config)
        else:
            out.unknown.append(fetch)
        self.cycle += vectors

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
        elif instruction.mnemonic == "DESKEW":
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


def unroll(queues: Mapping[int, Sequence[int]], config: ChipConfig, fetched: Fetched | None = None) -> Unrolled:
    """Unroll every queue's 128-bit words (queue index → words); bursts come queue by queue, not sorted by time.

    ``fetched``: what IFETCHes bring, by :attr:`Fetch.key`, in the order it comes in; :func:`tsp.flow.fetch.expand`
    finds it.
    """
    plan, given = floorplan(config), fetched or {}
    out = Unrolled([], [], [], {}, {}, [], [])
    named = [(plan.queues[index], words) for index, words in sorted(queues.items()) if len(words)]
    readers = [_Reader(queue, words, config, given) for queue, words in named]
    for reader in readers:
        reader.run(out)
    barrier = timing(config).barrier
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
    out.words = {reader.queue.index: reader.words for reader in readers}
    _control_mistakes(out, barrier)
    _path_mistakes(out, config)
    _power_mistakes(out, config)
    return out


def _release(reader: _Reader, notifies: list[int], barrier: int) -> int | None:
    """The cycle the earliest NOTIFY releases a parked reader in; a SYNC dispatched in that cycle is too late."""
    assert reader.parked is not None
    return next((cycle + barrier for cycle in notifies if cycle + barrier > reader.parked.cycle), None)


def _path_mistakes(out: Unrolled, config: ChipConfig) -> None:
    """The words of a site go south on one path: vectors read an even number of cycles apart must be 2·S apart."""
    plan = floorplan(config)
    reads: dict[int, dict[int, list[Fetch]]] = {}
    for fetch in out.fetches:
        for cycle in range(fetch.cycle, fetch.cycle + fetch.vectors):
            reads.setdefault(plan.queues[fetch.queue].site, {}).setdefault(cycle, []).append(fetch)
    for at in reads.values():
        for cycle, fetches in at.items():
            first = min(fetches, key=lambda fetch: fetch.queue)
            before = [cycle - 2 * n for n in range(1, config.superlanes) if cycle - 2 * n in at]
            if len(fetches) > 1 or before:
                other = at[before[0]][0] if before else max(fetches, key=lambda fetch: fetch.queue)
                name, then = plan.queues[other.queue].name, before[0] if before else cycle
                reason = f"IFETCH reads a vector in cycle {cycle}, and its words meet those of {name} of cycle {then}"
                reason += f" on their way to the queues; works from cycle {then + 2 * config.superlanes}"
                out.mistakes.append(Mistake("path", first.queue, first.index, cycle, reason))


def _power_mistakes(out: Unrolled, config: ChipConfig) -> None:
    """The words of an IFETCH come from all superlanes."""
    power = out.power(config)
    for fetch in out.fetches:
        count = int(power.at(np.asarray(fetch.cycle)))
        if count < config.superlanes:
            reason = f"IFETCH with {count} of {config.superlanes} superlanes powered; it needs them all, so put"
            reason += f" CONFIG {config.superlanes} at least {timing(config).config} cycles before it"
            out.mistakes.append(Mistake("illegal", fetch.queue, fetch.index, fetch.cycle, reason))


def _control_mistakes(out: Unrolled, barrier: int) -> None:
    notifies = sorted((c for c in out.controls if c.mnemonic == "NOTIFY"), key=lambda c: c.cycle)
    for earlier, later in zip(notifies, notifies[1:], strict=False):
        if later.cycle - earlier.cycle < barrier:
            reason = f"NOTIFY in cycle {later.cycle}, {later.cycle - earlier.cycle} after one in cycle {earlier.cycle};"
            reason += f" the barrier takes {barrier}; works from cycle {earlier.cycle + barrier}"
            out.mistakes.append(Mistake("notify", later.queue, later.index, later.cycle, reason))
    for control in out.controls:
        if control.mnemonic == "SYNC" and control.resume is None:
            reason = f"no NOTIFY after cycle {control.cycle - barrier} releases this SYNC"
            out.mistakes.append(Mistake("sync", control.queue, control.index, control.cycle, reason))
