"""A site of the chip as a bench sees it (docs/rtl.md, "Site"): what it is given, what it shows, the scoreboard."""

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np

from golden.trace import event_hash
from tsp.isa import stream_name

WORD_BITS = 128
SETTLE_CYCLES = 8
"""After the last instruction: its drive, its fault pulse and its hash are through."""
COLLISION, BANK_CONFLICT, OPERAND_ABSENT, GATHER_ADDRESS = 1, 2, 3, 6
Fault = tuple[int, int]
"""Queue of the site, kind."""


@dataclasses.dataclass
class Row:
    """What a site is given for one cycle T: words of its queues, vectors on the streams that arrive."""

    instructions: dict[int, int] = dataclasses.field(default_factory=dict)
    arrivals: dict[int, int] = dataclasses.field(default_factory=dict)
    """Stream operand → vector, lane 0 lowest."""


@dataclasses.dataclass
class Shown:
    """What a site shows in one cycle.

    ``streams``: stream operand → vector in the SRs it drives (seen: one superlane's word of it), None where undefined.
    ``north``: queue → word handed on, None where that cannot be seen. ``fault``: the pulse of this cycle, which belongs
    to the cycle before.
    """

    streams: dict[int, int | None]
    north: dict[int, int] | None
    fault: Fault | None
    stream_event: bool
    write_event: bool


@dataclasses.dataclass
class Event:
    """A drive or a memory write, as docs/architecture.md section 7 defines it. ``slice``: counted from the site's
    first."""

    time: int
    slice: int
    address: int
    word: int


def signature(events: Iterable[Event], place: int, superlane: int = 0) -> int:
    """The signature of one tile, of the events of its slice."""
    total = 0
    for event in events:
        data = np.frombuffer(word_of(event.word, superlane).to_bytes(16, "little"), np.uint8)
        numbers = (np.array([number], np.int64) for number in (event.time, event.address, place))
        total += int(event_hash(*numbers, data)[0])
    return total % 2**64


def word_of(vector: int, superlane: int) -> int:
    """One superlane's 16 bytes of a vector."""
    return vector >> WORD_BITS * superlane & (1 << WORD_BITS) - 1


def idle(cycles: int) -> list[Row]:
    """Rows in which nothing happens."""
    return [Row() for _ in range(cycles)]


def compare(want: Sequence[Shown], seen: Sequence[Sequence[Shown]]) -> None:
    """The scoreboard: every superlane must show what the model says, where it says something. AssertionError else."""
    for superlane, shown in enumerate(seen):
        assert len(shown) == len(want), f"{len(shown)} cycles were seen, {len(want)} expected"
        for cycle, (ours, theirs) in enumerate(zip(want, shown, strict=True)):
            difference = _difference(ours, theirs, superlane)
            assert difference is None, f"cycle {cycle}, superlane {superlane}: {difference}"


def _difference(want: Shown, seen: Shown, superlane: int) -> str | None:
    for field in ("fault", "stream_event", "write_event"):
        if getattr(want, field) != getattr(seen, field):
            return f"{field} is {getattr(seen, field)}, must be {getattr(want, field)}"
    if seen.north is not None and want.north != seen.north:
        return f"handed north is {seen.north}, must be {want.north}"
    if want.streams.keys() != seen.streams.keys():
        ours, theirs = (" ".join(map(stream_name, sorted(side.streams))) or "none" for side in (want, seen))
        return f"streams present are {theirs}, must be {ours}"
    for operand, vector in want.streams.items():
        word = None if vector is None else word_of(vector, superlane)
        if word is not None and word != seen.streams[operand]:
            found = seen.streams[operand]
            return f"{stream_name(operand)} is {'undefined' if found is None else hex(found)}, must be {word:#x}"
    return None
