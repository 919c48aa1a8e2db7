"""Mistakes that only all queues together show: of NOTIFYs and SYNCs, and of IFETCHes."""

import numpy as np

from tsp.config import ChipConfig
from tsp.dispatched import Fetch, Mistake, Unrolled
from tsp.floorplan import floorplan
from tsp.timing import timing


def add_mistakes(out: Unrolled, config: ChipConfig) -> None:
    """Append them to those that the queues have met."""
    _control_mistakes(out, timing(config).barrier)
    _path_mistakes(out, config)
    _power_mistakes(out, config)


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
