"""Words with wrong bits: where flips get to, what their consumers make of them (docs, section 9).

The code is linear: what arrives is a right word XOR its wrong bits, and what a consumer makes of it depends on the
wrong bits alone. So they are followed without the words; there are few, and everything else stays as fast as without.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from golden import ecc
from tsp.config import LANES_PER_SUPERLANE as LANES
from tsp.flips import DATA_BITS, Flip, in_memory, on_streams
from tsp.flow import NONE, Fault, Flow
from tsp.flow.faults import ECC_UNCORRECTABLE
from tsp.flow.issues import Ints, ints
from tsp.flow.streams import Streams, resolve
from tsp.isa import STREAM_DIRECTION_BIT
from tsp.program import Image
from tsp.timing import timing

Wrong = dict[int, int]
"""Superlane → the wrong bits of its word, data bits first."""
Word = tuple[int, int]
"""(place of a MEM slice, address)."""


def _xor(one: Wrong, other: Wrong) -> Wrong:
    return {k: bits for k in one.keys() | other.keys() if (bits := one.get(k, 0) ^ other.get(k, 0))}


class Overlay:
    """What is XORed to some vectors of a table: ``rows`` ascending, ``bytes`` uint8 [rows, lanes]."""

    def __init__(self, wrong: Mapping[int, NDArray[np.uint8]], lanes: int):
        self.rows = ints(sorted(wrong))
        self.bytes = np.array([wrong[row] for row in sorted(wrong)], np.uint8).reshape(-1, lanes)

    def over(self, rows: Ints, vectors: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Vectors [..., lanes] of rows [...], with what is XORed to them."""
        if not len(self.rows):
            return vectors
        at = np.minimum(np.searchsorted(self.rows, rows), len(self.rows) - 1)
        here = self.rows[at] == rows
        if here.any():
            vectors = vectors.copy()
            vectors[here] ^= self.bytes[at[here]]
        return vectors


@dataclasses.dataclass(frozen=True)
class Left:
    """A word with wrong bits as the host reads it at the end: what still differs, and how many superlanes'
    words were corrected, and could not be."""

    differs: NDArray[np.uint8]
    counts: tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Errors:
    """What flips do to a program.

    Attributes:
        drives, reads: for rows of ``flow.drives`` and ``flow.reads``, what differs in the data bits as they are on the
            stream.
        consumed: for rows of ``flow.reads`` that a unit consumes, what differs after correction.
        corrected: words that units correct, each time one is read.
        faults: the uncorrectable ones.
        left: words that have wrong bits at the end.
    """

    drives: Overlay
    reads: Overlay
    consumed: Overlay
    corrected: int
    faults: list[Fault]
    left: dict[Word, Left]


def follow(
    flow: Flow, flips: Sequence[Flip], addresses: Ints | None = None, marked: Mapping[int, Wrong] | None = None
) -> Errors:
    """Where flips get to.

    Args:
        addresses: int64 [indirect, S], those of GATHERs and SCATTERs; without them these move no wrong bits.
        marked: row of ``flow.drives`` → the wrong bits it is driven with.
    """
    lanes, superlanes = flow.config.lanes, flow.config.superlanes
    if not flips and not marked:
        nothing = Overlay({}, lanes)
        return Errors(nothing, nothing, nothing, 0, [], {})
    spread = _Spread(flow, flips, addresses, marked or {})
    reads = spread.reads()
    stored = {*flow.stores.read.tolist(), *flow.indirect.data.tolist()}
    consumed, corrected, faults = {}, 0, set()
    for row, wrong in reads.items():
        if row in stored:
            continue
        found = _decode(wrong, superlanes)
        consumed[row] = found.data.ravel()
        corrected += int(found.corrected.sum())
        if found.uncorrectable.any():
            queue = int(flow.issues.queue[flow.reads.issue[row]])
            faults.add(Fault(int(flow.reads.time[row]), queue, ECC_UNCORRECTABLE))
    raw = (
        Overlay({row: _words(wrong, superlanes)[0].ravel() for row, wrong in table.items()}, lanes)
        for table in (spread.driven, reads)
    )
    left = {word: _left(wrong, superlanes) for word, wrong in spread.memory.items() if wrong}
    return Errors(next(raw), next(raw), Overlay(consumed, lanes), corrected, sorted(faults), left)


class _Spread:
    """Follows wrong bits through memories in the order of time.

    Attributes:
        driven: row of ``flow.drives`` → its wrong bits where it enters the stream.
        memory: the wrong bits of words.
    """

    def __init__(self, flow: Flow, flips: Sequence[Flip], addresses: Ints | None, marked: Mapping[int, Wrong]):
        self._flow, self._addresses = flow, addresses
        self.driven: dict[int, Wrong] = dict(marked)
        self.memory: dict[Word, Wrong] = {}
        for flip in in_memory(flips):
            word = flip.place, flip.address
            self.memory[word] = _xor(self.memory.get(word, {}), {flip.superlane: flip.mask})
        self._on_the_way = self._hits(flips)
        self._drive = flow.drives.rows_of(flow.issues, 0)
        # A READ sees the WRITEs of a cycle at least write_read earlier. What a WRITE takes was read earlier still.
        later = timing(flow.config).write_read
        accesses = [(time, 1, self._load, row) for row, time in enumerate(self._times(flow.loads.issue))]
        accesses += [(time + later, 0, self._store, row) for row, time in enumerate(self._times(flow.stores.issue))]
        for row, time in enumerate(self._times(flow.indirect.issue) if addresses is not None else []):
            writes = bool(flow.indirect.writes[row])
            accesses.append((time + later, 0, self._scatter, row) if writes else (time, 1, self._gather, row))
        for _, _, access, row in sorted(accesses, key=lambda access: access[:2]):
            access(row)

    def _times(self, issue: Ints) -> list[int]:
        times: list[int] = self._flow.issues.time[issue].tolist()
        return times

    def _load(self, row: int) -> None:
        loads = self._flow.loads
        self._drives(int(loads.issue[row]), self.memory.get((int(loads.place[row]), int(loads.address[row])), {}))

    def _gather(self, row: int) -> None:
        """Every superlane's wrong bits are of a word of its own."""
        assert self._addresses is not None
        table = self._flow.indirect
        count = self._powered(int(table.issue[row]))
        found = {
            k: bits
            for k, address in enumerate(self._addresses[row].tolist()[:count])
            if (bits := self.memory.get((int(table.place[row]), address), {}).get(k, 0))
        }
        self._drives(int(table.issue[row]), found)

    def _drives(self, issue: int, wrong: Wrong) -> None:
        wrong = {k: bits for k, bits in wrong.items() if k < self._powered(issue)}
        if wrong:
            self.driven[int(self._drive[issue])] = wrong

    def _store(self, row: int) -> None:
        stores = self._flow.stores
        word, count = (int(stores.place[row]), int(stores.address[row])), self._powered(int(stores.issue[row]))
        left = {k: bits for k, bits in self.memory.get(word, {}).items() if k >= count}
        self.memory[word] = left | self._read(int(stores.read[row]))

    def _powered(self, issue: int) -> int:
        """How many superlanes an issue acts in."""
        return int(self._flow.issues.powered[issue])

    def _scatter(self, row: int) -> None:
        assert self._addresses is not None
        table = self._flow.indirect
        wrong = self._read(int(table.data[row]))
        for k, address in enumerate(self._addresses[row].tolist()[: self._powered(int(table.issue[row]))]):
            if address < self._flow.config.mem_words:
                word = int(table.place[row]), address
                before = {other: bits for other, bits in self.memory.get(word, {}).items() if other != k}
                self.memory[word] = before | ({k: wrong[k]} if k in wrong else {})

    def _read(self, row: int) -> Wrong:
        """The wrong bits that a row of ``flow.reads`` sees."""
        source = int(self._flow.source[row])
        wrong = self.driven.get(source, {})
        for position, hit in self._on_the_way.get(source, ()):
            if position <= self._flow.reads.position[row]:
                wrong = _xor(wrong, hit)
        count = self._powered(int(self._flow.reads.issue[row]))
        return {k: bits for k, bits in wrong.items() if k < count}

    def reads(self) -> dict[int, Wrong]:
        """Those of all rows of ``flow.reads`` that see any."""
        wrong_at_all = np.isin(self._flow.source, ints([*self.driven, *self._on_the_way]))
        rows = np.flatnonzero(wrong_at_all & (self._flow.source != NONE)).tolist()
        return {row: wrong for row in rows if (wrong := self._read(row))}

    def _hits(self, flips: Sequence[Flip]) -> dict[int, list[tuple[int, Wrong]]]:
        """Drive → (position of the first reader that sees it, wrong bits) of every flip of its word on the way."""
        moving = on_streams(flips)
        stream, time = ints([flip.stream for flip in moving]), ints([flip.cycle for flip in moving])
        sr = ints([flip.sr for flip in moving])
        position = np.where(stream >> STREAM_DIRECTION_BIT == 1, -sr, sr + 1)
        none = np.zeros(len(moving), np.int64)
        source = resolve(self._flow.drives, Streams(none, none, none, stream, time, position))
        found: dict[int, list[tuple[int, Wrong]]] = {}
        for row, flip, first in zip(source.tolist(), moving, position.tolist(), strict=True):
            if row != NONE:
                found.setdefault(row, []).append((first, {flip.superlane: flip.mask}))
        return found


def _words(wrong: Wrong, superlanes: int) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
    """Wrong bits as data [S, 16] and check bits [S]."""
    masks = [wrong.get(k, 0) for k in range(superlanes)]
    low = b"".join((mask & (1 << DATA_BITS) - 1).to_bytes(LANES, "little") for mask in masks)
    data = np.frombuffer(low, np.uint8).reshape(superlanes, LANES)
    return data, np.array([mask >> DATA_BITS for mask in masks], np.uint16)


def _decode(wrong: Wrong, superlanes: int) -> ecc.Decoded:
    return ecc.decode(*_words(wrong, superlanes))


def _left(wrong: Wrong, superlanes: int) -> Left:
    found = _decode(wrong, superlanes)
    return Left(found.data.ravel(), (int(found.corrected.sum()), int(found.uncorrectable.sum())))


def decoded_words(images: Mapping[int, Image], left: Mapping[Word, Left]) -> dict[int, Image]:
    """Right words as the host reads them at the end."""
    found = dict(images)
    for (place, address), word in left.items():
        if place in found and address in found[place].addresses:
            words = found[place].words.copy()
            words[np.searchsorted(found[place].addresses, address)] ^= word.differs
            found[place] = Image(found[place].addresses, words)
    return found
