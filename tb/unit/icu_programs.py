"""Random queue programs for the ICU, and what ``tsp.dispatch`` says the machine does with them."""

import dataclasses
import random

from tb.unit.words import any_word, legal_word, put
from tsp import isa, isa_rules
from tsp.config import ChipConfig, preset
from tsp.dispatch import Unrolled, unroll
from tsp.floorplan import Queue, floorplan
from tsp.timing import timing

Programs = dict[int, list[int]]
Issue = tuple[int, int, str, tuple[tuple[str, int], ...]]
"""Cycle, queue, mnemonic, operand values."""


_ADDRESSES = sum((1 << width) - 1 << lo for lo, width in (isa.ADDRESS_A, isa.ADDRESS_B))
WAITING = {isa.BY_MNEMONIC[name].opcode for name in ("NOP", "REPEAT", "SYNC", "IFETCH", "DESKEW", "RUNTIME_DESKEW")}
"""Opcodes of words that may take more than a cycle."""


def small_config() -> ChipConfig:
    """Every kind of queue but the SXM's, a supercell count that is no power of two, short epochs, shallow queues."""
    settings = "superlanes=3 streams=16 mem_slices=8 vxm_rows=1 vxm_stages=2 links_w=0 sxm=false hac_period=64"
    return preset("tiny").override([*settings.split(), "queue_depth=32"])


class Writer:
    """Writes random words for one queue; every choice comes from ``rng``."""

    def __init__(self, rng: random.Random, queue: Queue, config: ChipConfig):
        self.rng, self.queue, self.config = rng, queue, config
        self.issuing = [operation for operation in isa_rules.operations_of(queue, config) if operation.repeatable]

    def word(self, mnemonic: str, **values: int) -> int:
        """A control instruction with rubbish in its unused bits."""
        word = legal_word(self.rng, self.queue, self.config, isa.BY_MNEMONIC[mnemonic])
        for name, value in values.items():
            field = isa.BY_MNEMONIC[mnemonic].field(name)
            word = put(word, field.lo, field.width, value)
        return word

    def issue(self) -> list[int]:
        """An instruction for the slice, sometimes with a REPEAT whose addresses may leave their range."""
        if not self.issuing:
            return [self.word("NOP", n=self.rng.randint(1, 3))]
        words = [legal_word(self.rng, self.queue, self.config, self.rng.choice(self.issuing))]
        if self.rng.random() < 0.4:
            words.append(self.repeat())
        return words

    def repeat(self) -> int:
        """A REPEAT; its steps are small enough not to come round to legal addresses again (n · step < 2^15)."""
        n, d = self.rng.randint(1, 7), self.rng.choice([1, 1, 1, 2, 3, 9])
        largest = self.rng.choice([0, 1, 3, 40, 4000])
        steps = {f"step_{s}": self.rng.randint(-largest, largest) for s in "ab"}
        return self.word("REPEAT", n=n, d=d, **steps)

    def work(self, words: int, illegal: float = 0.0) -> list[int]:
        """About ``words`` words without SYNC, NOTIFY and DESKEW, a share of them illegal."""
        found: list[int] = []
        while len(found) < words:
            choice = self.rng.random()
            if choice < illegal:
                found.append(self.rng.choice([self.illegal, self.repeat])())
            elif choice < illegal + 0.2:
                found.append(self.word("NOP", n=self.rng.randint(1, 9)))
            else:
                found += self.issue()
        return found

    def doubtful(self, words: int) -> list[int]:
        """Words on both sides of the border to what is legal, none that waits; a REPEAT after some."""
        found: list[int] = []
        while len(found) < words:
            if found and self.rng.random() < 0.15:
                found.append(self.word("REPEAT", n=1, d=1, step_a=0, step_b=0))
                continue
            word = any_word(self.rng, self.queue, self.config)
            waits = isa.decode(word) is not None and word & 0xFF in WAITING
            if not waits or isa_rules.broken_rule(word, self.queue, self.config) is not None:
                found.append(word)
        return found

    def illegal(self) -> int:
        """An illegal word near a legal one."""
        while True:
            word = any_word(self.rng, self.queue, self.config)
            if isa_rules.broken_rule(word, self.queue, self.config) is not None:
                return word


def barrier_programs(seed: int, config: ChipConfig, illegal: float) -> Programs:
    """Programs of all queues with SYNCs and NOTIFYs strewn in, so that some of them meet and some SYNCs hang."""
    rng = random.Random(seed)
    programs = {}
    for queue in floorplan(config).queues:
        writer = Writer(rng, queue, config)
        words: list[int] = []
        for _ in range(rng.randint(0, 4)):
            words += writer.work(rng.randint(0, 5), illegal)
            words.append(writer.word(rng.choice(["SYNC", "SYNC", "NOTIFY"])))
        words += writer.work(rng.randint(0, 3), illegal)
        programs[queue.index] = words[: config.queue_depth]
    return programs


def long_programs(rng: random.Random, config: ChipConfig) -> Programs:
    """Every queue waits for a long time, and repeats an instruction in long intervals if it can."""
    programs = {}
    for queue in floorplan(config).queues:
        writer = Writer(rng, queue, config)
        first, last = (writer.word("NOP", n=rng.randint(2**11, 2**12)) for _ in range(2))
        programs[queue.index] = [first, last]
        if writer.issuing:
            again = writer.word("REPEAT", n=2, d=rng.randint(2**10, 2**11), step_a=0, step_b=0)
            programs[queue.index] = [first, *writer.issue()[:1], again, last, *writer.issue()[:1]]
    return programs


def faulty_programs(rng: random.Random, config: ChipConfig) -> Programs:
    """Queue q has an illegal word in cycle q and in those before, as far as it has room: in each cycle another queue is
    the lowest of many that meet a fault."""
    programs = {}
    for number, queue in enumerate(floorplan(config).queues):
        writer = Writer(rng, queue, config)
        first = max(0, number + 2 - config.queue_depth)
        waiting = [writer.word("NOP", n=first)] if first else []
        programs[queue.index] = waiting + [writer.illegal() for _ in range(first, number + 1)]
    return programs


def issues(unrolled: Unrolled) -> list[Issue]:
    """Every burst expanded, sorted by cycle and queue."""
    found = []
    for burst in unrolled.bursts:
        for i in range(burst.count):
            instruction = burst.instruction.with_steps(i * burst.step_a, i * burst.step_b)
            values = tuple(sorted(instruction.values.items()))
            found.append((burst.start + i * burst.interval, burst.queue, instruction.mnemonic, values))
    return sorted(found)


def payloads(unrolled: Unrolled, config: ChipConfig) -> dict[tuple[int, int], tuple[int, int]]:
    """(cycle, queue) of an issue → the bits that the slice is given, and which of them are known: of an instruction
    that is repeated all but its addresses."""
    queues, found = floorplan(config).queues, {}
    for burst in (burst for burst in unrolled.bursts if burst.instruction.mnemonic != "IFETCH"):
        every = (1 << isa.PAYLOAD_BITS[queues[burst.queue].kind]) - 1
        for number in range(burst.count):
            known = every if number == 0 else every & ~_ADDRESSES
            place = burst.start + number * burst.interval, burst.queue
            found[place] = unrolled.words[burst.queue][burst.index] & known, known
    return found


def illegal_instructions(unrolled: Unrolled, programs: Programs) -> dict[int, int]:
    """Cycle → the lowest queue that meets an illegal instruction in it."""
    found: list[tuple[int, int]] = []
    for mistake in unrolled.mistakes:
        if mistake.kind == "illegal":
            found.append((mistake.cycle, mistake.queue))
        elif mistake.kind == "step":
            # unroll() names the first issue out of range; the later ones are out of range as well.
            repeat = isa.decode(programs[mistake.queue][mistake.index])
            burst = next(b for b in unrolled.bursts if (b.queue, b.index + 1) == (mistake.queue, mistake.index))
            for i in range(burst.count, repeat["n"] + 1):
                found.append((burst.start + i * burst.interval, mistake.queue))
    return {cycle: min(queue for c, queue in found if c == cycle) for cycle, _ in found}


@dataclasses.dataclass(frozen=True)
class Expected:
    """What the machine must do with ``programs``."""

    issues: list[Issue]
    illegal: dict[int, int]
    end: int | None
    """First cycle in which every queue is done; None if one hangs in a SYNC."""
    payloads: dict[tuple[int, int], tuple[int, int]]
    """See :func:`payloads`."""


def expected(programs: Programs, config: ChipConfig) -> Expected:
    """From the dispatcher that all the software shares."""
    unrolled = unroll(programs, config)
    busy = [queue for queue, words in programs.items() if words]
    done = all(queue in unrolled.ends for queue in busy)
    end = max(unrolled.ends.values(), default=0) if done else None
    return Expected(issues(unrolled), illegal_instructions(unrolled, programs), end, payloads(unrolled, config))


@dataclasses.dataclass(frozen=True)
class Wait:
    """A DESKEW (``t`` None) or RUNTIME_DESKEW dispatched at schedule time ``cycle``; ``queue`` is the lowest of it."""

    cycle: int
    queue: int
    t: int | None


def deskew_programs(seed: int, config: ChipConfig, phases: int, kind: str = "") -> tuple[Programs, list[Wait]]:
    """Legal programs whose phases are parted by DESKEWs of one or two leaders while all the others are parked.

    If ``kind`` is given, the one that always leads is such a queue.

    A phase: everybody works and the others end in SYNC; the leaders wait until that is over, DESKEW, and one of them
    NOTIFYs. Sometimes several DESKEWs follow each other.
    """
    rng = random.Random(seed)
    barrier = timing(config).barrier
    writers = {queue.index: Writer(rng, queue, config) for queue in floorplan(config).queues}
    leads = [queue.index for queue in floorplan(config).queues if kind in ("", queue.kind)]
    leaders = [0, rng.choice(leads)]
    leaders[0] = rng.choice(sorted(writers.keys() - leaders[1:]))
    programs: Programs = {index: [] for index in writers}
    begin, waits = 0, []
    for _ in range(phases):
        ends = []
        for index, writer in writers.items():
            words = writer.work(rng.randint(0, 4)) if index not in leaders else []
            end = begin + unroll({index: words}, config).ends.get(index, 0)
            programs[index] += words if index in leaders else [*words, writer.word("SYNC")]
            ends.append(end)
        # A NOTIFY reaches everybody whose SYNC is not later than the barrier.
        now = max(ends) + barrier
        both = rng.random() < 0.5
        for index in leaders:
            programs[index].append(writers[index].word("NOP", n=now - begin))
        for _ in range(rng.randint(1, 3)):
            t = rng.choice([None, rng.randint(0, 20), rng.randint(64, 1023)])
            waits.append(Wait(now, min(leaders) if both else leaders[1], t))
            after = 1 if t is None else 1 + t
            for index in leaders if both else leaders[1:]:
                word = writers[index].word("DESKEW") if t is None else writers[index].word("RUNTIME_DESKEW", t=t)
                programs[index].append(word)
            now += after
        if not both:
            programs[leaders[0]].append(writers[leaders[0]].word("SYNC"))
        programs[leaders[1]].append(writers[leaders[1]].word("NOTIFY"))
        programs[leaders[1]].append(writers[leaders[1]].word("NOP", n=barrier - 1))
        if both:
            programs[leaders[0]].append(writers[leaders[0]].word("NOP", n=barrier))
        begin = now + barrier
    for index, writer in writers.items():
        programs[index] += writer.work(2)
    return programs, waits
