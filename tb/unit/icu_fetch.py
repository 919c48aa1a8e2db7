"""Programs with IFETCH and CONFIG for the ICU alone, and the memory that brings the words they ask for."""

import random
from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from rtl.fetch import fetching_queues, fetching_sites
from tb.unit.icu_programs import Programs, Writer, issues, payloads
from tb.unit.icu_record import COLLISION, ILLEGAL_INSTRUCTION, RUN_DRY, Run, check_issues, check_payloads
from tsp.config import ChipConfig
from tsp.dispatch import Unrolled, unroll
from tsp.floorplan import Queue, floorplan

Command = tuple[int, int, int]
"""Cycle, queue, stream operand: a vector that an IFETCH asks for."""
WATCHED = 2
"""Cycles to watch from a fault on: its pulse comes in the second."""
FAULT_KINDS = {"path": COLLISION, "dry": RUN_DRY, "illegal": ILLEGAL_INSTRUCTION, "step": ILLEGAL_INSTRUCTION}
"""Of a mistake of the dispatcher; the others are no faults."""


class Memory:
    """Brings what queues ask for: word k of a vector asked for in T comes to the ICU in T + 1 + 2·k."""

    def __init__(self, unrolled: Unrolled, programs: Programs, config: ChipConfig):
        self._config = config
        self.sites = {site.name.replace(".", "_"): fetching_queues(config, site) for site in fetching_sites(config)}
        """The names of sites in ports, and their queues."""
        self._vectors = {queue: self._of(queue, words, unrolled) for queue, words in programs.items()}
        self._coming: dict[tuple[int, str], dict[str, int]] = {}

    def _of(self, queue: int, words: list[int], unrolled: Unrolled) -> Iterator[list[int]]:
        """The vectors of a queue in the order it asks for them, each its words from south to north."""
        first = len(words)
        for fetch in unrolled.fetches:
            if fetch.queue == queue:
                brought = unrolled.words[queue][first : first + fetch.words]
                first += fetch.words
                places = [(v, k) for v in range(fetch.vectors) for k in range(self._config.superlanes)]
                found = dict(zip(sorted(places, key=lambda at: at[0] + 2 * at[1]), brought, strict=True))
                yield from ([found[v, k] for k in range(self._config.superlanes)] for v in range(fetch.vectors))

    def ask(self, cycle: int, site: str, number: int) -> None:
        """Queue ``number`` of a site asks for a vector in this cycle; zeros come if its program has no such IFETCH."""
        queue = self.sites[site][number].index
        words = next(self._vectors.get(queue, iter(())), [0] * self._config.superlanes)
        for k, word in enumerate(words):
            self._coming[cycle + 1 + 2 * k, site] = {"valid": 1, "queue": number, "data": word}

    def inputs(self, cycle: int) -> dict[str, int]:
        """What comes to the ICU in this cycle."""
        words = {site: self._coming.pop((cycle, site), {"valid": 0}) for site in self.sites}
        return {f"{site}_word_{part}": value for site, word in words.items() for part, value in word.items()}


def all_queues(config: ChipConfig) -> list[Queue]:
    """Those that take IFETCH."""
    return [queue for site in fetching_sites(config) for queue in fetching_queues(config, site)]


def fetch_programs(rng: random.Random, config: ChipConfig, lead: Queue) -> tuple[Programs, Unrolled]:
    """``lead`` and sometimes others fetch a few words each, now and then too many, too early, too late or two at a
    time; sometimes one takes the power from superlanes. What the dispatcher says is right up to its first mistake."""
    plan = floorplan(config)
    others = [queue for queue in all_queues(config) if queue != lead]
    beside = [queue for queue in others if queue.site == lead.site]
    chosen = [lead, *rng.sample(beside, min(len(beside), rng.choice((0, 0, 0, 1, 2))))]
    chosen += [queue for queue in rng.sample(others, rng.choice((0, 1))) if queue not in chosen]
    writers = {queue.index: Writer(rng, queue, config) for queue in plan.queues}
    programs: Programs = {}
    for queue in chosen:
        programs[queue.index] = _fetching(writers[queue.index], config)
    if config.superlanes > 1 and rng.random() < 0.2:
        writer = rng.choice([w for index, w in writers.items() if index not in programs])
        wait = writer.word("NOP", n=rng.randint(1, 20))
        programs[writer.queue.index] = [wait, writer.word("CONFIG", p=rng.randint(1, config.superlanes))]
    return programs, _unrolled(programs, writers, config, more=0.3)


def mistaken_programs(rng: random.Random, config: ChipConfig) -> Iterator[tuple[Programs, Unrolled]]:
    """For each queue: it alone fetches and runs dry; then its words would meet those of another queue of its site."""
    writers = {queue.index: Writer(rng, queue, config) for queue in all_queues(config)}
    for queue in all_queues(config):
        writer = writers[queue.index]
        fetch = writer.word("IFETCH", n=1)
        chosen: list[Programs] = [{queue.index: [fetch]}]
        for other in [q for q in all_queues(config) if q.site == queue.site and q != queue][:1]:
            first = writers[other.index]
            waiting = [first.word("IFETCH", n=1), first.word("NOP", n=2 * WATCHED)]
            chosen.append({queue.index: [writer.word("NOP", n=2), fetch], other.index: waiting})
        for programs in chosen:
            yield programs, _unrolled(programs, writers, config)


def _unrolled(programs: Programs, writers: dict[int, Writer], config: ChipConfig, more: float = 0.0) -> Unrolled:
    """What the dispatcher says if words that are fetched are random work; ``more``: how likely one fetches again."""
    fetched: dict[tuple[int, int], list[int]] = {}
    while (out := unroll(programs, config, fetched)).unknown:
        for fetch in out.unknown:
            writer = writers[fetch.queue]
            words = writer.work(fetch.words)[: fetch.words]
            if more and writer.rng.random() < more and fetch.words > 1:
                words[-2:] = [_ifetch(writer, config), words[-1]]
            fetched[fetch.key] = words
    return out


def _fetching(writer: Writer, config: ChipConfig) -> list[int]:
    """A queue's own words; some fill it, so that what is fetched finds little room or none."""
    rng = writer.rng
    before = [writer.word("NOP", n=rng.randint(1, 12)) for _ in range(rng.randint(0, 2))]
    behind = rng.choice([rng.randint(0, 3), *[rng.randint(6, 12)] * 3, config.queue_depth - 1 - rng.randint(0, 5)])
    words = [*before, _ifetch(writer, config), *writer.work(behind)[:behind]]
    return words[: config.queue_depth]


def _ifetch(writer: Writer, config: ChipConfig) -> int:
    most = 2 if config.superlanes > 1 else 6
    return writer.word("IFETCH", n=writer.rng.randint(1, most))


def commands(unrolled: Unrolled) -> list[Command]:
    """Every vector that is asked for, sorted."""
    bursts = [burst for burst in unrolled.bursts if burst.instruction.mnemonic == "IFETCH"]
    return sorted((cycle, burst.queue, burst.instruction["stream"]) for burst in bursts
                  for cycle in range(burst.start, burst.start + burst.count))  # fmt: skip


def first_fault(unrolled: Unrolled) -> tuple[int, int, int] | None:
    """Cycle, queue and kind of the first fault."""
    found = [(m.cycle, m.queue, FAULT_KINDS[m.kind]) for m in unrolled.mistakes if m.kind in FAULT_KINDS]
    return min(found, default=None)


def check_whole(run: Run, unrolled: Unrolled, config: ChipConfig) -> None:
    """Everything up to the first fault: issues, vectors asked for, power in every cycle, and the fault's pulse."""
    fault = first_fault(unrolled)
    end = run.cycles[-1].now + 1 if fault is None else fault[0]
    cycles = [cycle for cycle in run.cycles if cycle.now < end]
    check_issues(Run(run.first, cycles), [i for i in issues(unrolled) if i[2] != "IFETCH" and i[0] < end])
    check_payloads(Run(run.first, cycles), {p: w for p, w in payloads(unrolled, config).items() if p[0] < end})
    seen = sorted((cycle.now, queue, stream) for cycle in cycles for queue, stream in cycle.asked)
    asked = [command for command in commands(unrolled) if command[0] < end]
    assert seen == asked, f"asked for {seen}, must be {asked}"
    if config.superlanes > 1:
        counts = unrolled.power(config).at(np.asarray([cycle.now for cycle in cycles], np.int64))
        assert [cycle.power for cycle in cycles] == counts.tolist(), "power"
    pulses = [(before.now, *after.fault) for before, after in pairwise(run.cycles) if after.fault]
    assert pulses[:1] == ([] if fault is None else [fault]), f"first fault {pulses[:1]}, must be {fault}"
