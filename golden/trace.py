"""Events and signatures (docs, section 7)."""

import numpy as np
from numpy.typing import NDArray

from golden.indirect import addresses, powered
from golden.stream import Values
from tsp.config import LANES_PER_SUPERLANE
from tsp.flow import NONE, Flow
from tsp.flow.issues import Ints

Words = NDArray[np.uint64]

EVENT = np.dtype([("time", "<i8"), ("place", "<i8"), ("superlane", "<i8"), ("address", "<i8"), ("data", "u1", (16,))])
"""One tile driving a stream or writing a word."""

MEMORY_ADDRESS = 0x8000
"""Added to a word's address in a memory event, which keeps it apart from streams."""

_CHUNK = 8192
"""Events hashed at once: bounds the temporaries of a long program."""


def event_hash(time: Ints, address: Ints, place: Ints, data: NDArray[np.uint8]) -> Words:
    """uint64 [...]: hash of events; ``data`` is uint8 [..., 16]."""
    halves = np.ascontiguousarray(data).view("<u8")
    key = (time.astype(np.uint64) & np.uint64(0xFFFFFFFF)) + (address.astype(np.uint64) << np.uint64(32))
    key = key + (place.astype(np.uint64) << np.uint64(48))
    a = key * np.uint64(0x9E3779B97F4A7C15)
    b = ((a ^ (a >> np.uint64(32))) + halves[..., 0]) * np.uint64(0xBF58476D1CE4E5B9)
    c = ((b ^ (b >> np.uint64(29))) + halves[..., 1]) * np.uint64(0x94D049BB133111EB)
    h: Words = c ^ (c >> np.uint64(32))
    return h


class Trace:
    """Every event of a program whose values are computed: int64 [n] columns, and data by slot."""

    def __init__(self, flow: Flow, values: Values):
        drives, stores = flow.drives, flow.stores
        self.time = np.concatenate([drives.time, flow.reads.time[stores.read]])
        self.place = np.concatenate([flow.issues.place[drives.issue], stores.place])
        self.address = np.concatenate([drives.stream, MEMORY_ADDRESS + stores.address])
        self.slot = np.concatenate([values.of_drive, values.of_read[stores.read]])
        self.only = np.full(len(self.time), NONE, np.int64)
        """The superlane of an event that happens in one; NONE for one in all."""
        self.read = np.concatenate([np.full(len(drives), NONE), stores.read])
        self.powered = flow.issues.powered[np.concatenate([drives.issue, stores.issue])]
        """How many superlanes an event happens in."""
        self.values, self.superlanes = values, flow.config.superlanes
        self._add_scatters(flow)

    def _add_scatters(self, flow: Flow) -> None:
        """A SCATTER is an event a superlane, as each writes a word of its own."""
        table = flow.indirect
        rows = np.flatnonzero(table.writes)
        where = addresses(flow, self.values, rows)
        row, superlane = np.nonzero((where < flow.config.mem_words) & powered(flow, table.issue[rows]))
        data = table.data[rows[row]]
        self.time = np.concatenate([self.time, flow.reads.time[data]])
        self.place = np.concatenate([self.place, table.place[rows[row]]])
        self.address = np.concatenate([self.address, MEMORY_ADDRESS + where[row, superlane]])
        self.slot = np.concatenate([self.slot, self.values.of_read[data]])
        self.read = np.concatenate([self.read, data])
        self.only = np.concatenate([self.only, superlane])
        self.powered = np.concatenate([self.powered, flow.issues.powered[table.issue[rows[row]]]])

    def _happens(self, rows: Ints) -> NDArray[np.bool_]:
        """bool [n, S]: in which superlanes an event happens."""
        only, every = self.only[rows][:, None], np.arange(self.superlanes)
        found: NDArray[np.bool_] = (only == NONE) & (every < self.powered[rows][:, None]) | (only == every)
        return found

    @property
    def cycles(self) -> int:
        """The cycle of the last event plus one; 0 without events."""
        return int(self.time.max(initial=-1)) + 1

    def _data(self, rows: Ints) -> NDArray[np.uint8]:
        """uint8 [n, S, 16]."""
        # As driven, or as it comes to a WRITE: with its wrong bits.
        errors = self.values.errors
        vectors = errors.drives.over(rows, self.values.slots[self.slot[rows]])
        vectors = errors.reads.over(self.read[rows], vectors)
        return np.reshape(vectors, (-1, self.superlanes, LANES_PER_SUPERLANE))

    def signatures(self, places: int) -> Words:
        """uint64 [places, S]: each tile's sum of hashes, modulo 2^64."""
        sums = np.zeros((places, self.superlanes), np.uint64)
        order = np.argsort(self.place, kind="stable")
        for first in range(0, len(order), _CHUNK):
            rows = order[first : first + _CHUNK]
            place = self.place[rows]
            time, address = self.time[rows][:, None], self.address[rows][:, None]
            hashes = event_hash(time, address, place[:, None], self._data(rows))
            hashes[~self._happens(rows)] = 0
            starts = np.flatnonzero(np.append(True, np.diff(place) != 0))
            sums[place[starts]] += np.add.reduceat(hashes, starts, axis=0)
        return sums

    def events(self) -> NDArray[np.void]:
        """All events as :data:`EVENT` rows, by time, place, superlane and address."""
        rows = np.lexsort((self.address, self.place, self.time))
        table = np.zeros((len(rows), self.superlanes), EVENT)
        for name in ("time", "place", "address"):
            table[name] = getattr(self, name)[rows][:, None]
        table["superlane"] = np.arange(self.superlanes)
        table["data"] = self._data(rows)
        flat = table[self._happens(rows)]
        return flat[np.lexsort((flat["address"], flat["superlane"], flat["place"], flat["time"]))]
