"""Random flips of bits that a program's words meet on their way; for chips with check bits."""

import random
from collections.abc import Iterator

import numpy as np

from tsp.flips import FIRST_CYCLE, LEAST_DISTANCE, MOST_WAITING, WORD_BITS, Flip, MemoryFlip, StreamFlip
from tsp.flow import NONE, Flow
from tsp.isa import STREAM_DIRECTION_BIT

SEVERAL = (1, 1, 1, 1, 1, 2, 3)
"""Bits of a flip, when not all of them are of one bit."""


def flips(seed: int, flow: Flow, count: int = 12, single: bool = False) -> list[Flip]:
    """Flips that readers of a resolved program see: half of words of the image, half on streams.

    Args:
        single: one bit each, and no two on one vector's way from its producer, so that all are corrected.
    """
    rng = random.Random(f"flips {seed}")
    found: list[Flip] = []
    origins: set[int] = set()
    cycles: list[int] = []
    for flip, row in _candidates(rng, flow, count, single):
        if single and _origin(flow, row) in origins:
            continue
        if isinstance(flip, StreamFlip):
            if any(abs(flip.cycle - cycle) < LEAST_DISTANCE for cycle in cycles) or len(cycles) == MOST_WAITING:
                continue
            cycles.append(flip.cycle)
        origins.add(_origin(flow, row))
        found.append(flip)
    return found


def _candidates(rng: random.Random, flow: Flow, count: int, single: bool) -> Iterator[tuple[Flip, int]]:
    """Flips, and the drive whose word they hit."""
    loads = flow.loads.initial.nonzero()[0].tolist()
    reads = [row for row, source in enumerate(flow.source.tolist()) if source != NONE]
    if single:
        reads = [row for row in reads if not _unknown(flow, row)]
    drive = flow.drives.rows_of(flow.issues, 0)
    for number in range(count):
        bits = 1 if single else rng.choice(SEVERAL)
        mask = sum(1 << bit for bit in rng.sample(range(WORD_BITS), bits))
        superlane = rng.randrange(flow.config.superlanes)
        if number % 2 and loads:
            load = rng.choice(loads)
            place, address = int(flow.loads.place[load]), int(flow.loads.address[load])
            yield MemoryFlip(place, address, superlane, mask), int(drive[flow.loads.issue[load]])
        elif reads:
            row = rng.choice(reads)
            yield _before(rng, flow, row, superlane, mask), int(flow.source[row])


def _unknown(flow: Flow, row: int) -> bool:
    """Whether only running tells where the word that a row of ``flow.reads`` sees comes from, or is written to."""
    issue = flow.drives.issue[flow.source[row]]
    piecewise = np.isin(flow.loads.place, flow.piecewise)
    unknown = np.concatenate([flow.indirect.issue, flow.loads.issue[piecewise]])
    return bool(issue in unknown) or bool(row in flow.indirect.data)


def _before(rng: random.Random, flow: Flow, row: int, superlane: int, mask: int) -> StreamFlip:
    """A flip somewhere between the drive that a row of ``flow.reads`` sees and this reader."""
    first, last = int(flow.drives.position[flow.source[row]]) + 1, int(flow.reads.position[row])
    position = rng.randint(first, last)
    cycle = int(flow.reads.time[row]) - (last - position)
    assert cycle >= FIRST_CYCLE
    stream = int(flow.reads.stream[row])
    sr = -position if stream >> STREAM_DIRECTION_BIT else position - 1
    return StreamFlip(cycle, superlane, stream, sr, mask)


def _origin(flow: Flow, drive: int) -> int:
    """The drive that made or first loaded what a drive brings: a copy through memory is the same word."""
    store = dict(zip(flow.loads.issue.tolist(), flow.loads.store.tolist(), strict=True))
    while (number := store.get(int(flow.drives.issue[drive]), NONE)) != NONE:
        earlier = int(flow.source[flow.stores.read[number]])
        if earlier == NONE:
            break
        drive = earlier
    load = (flow.loads.issue == flow.drives.issue[drive]).nonzero()[0]
    if len(load) and flow.loads.initial[load[0]]:
        # Two READs of a word of the image bring the same wrong bits.
        return -2 - int(flow.loads.place[load[0]]) * flow.config.mem_words - int(flow.loads.address[load[0]])
    return drive
