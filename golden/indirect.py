"""Memories word by word as time passes: where addresses come off streams (GATHER and SCATTER), and where some
superlanes are written without the others.

Where nothing writes piecewise, a READ still is the value that was written (:mod:`golden.stream`), and only what a
GATHER may read is kept here as well.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from golden.stream import Values, kept
from tsp.config import LANES_PER_SUPERLANE
from tsp.flow import NONE, Fault, Flow
from tsp.flow.faults import GATHER_ADDRESS
from tsp.flow.issues import Ints
from tsp.program import Image
from tsp.timing import timing


def addresses(flow: Flow, values: Values, rows: Ints) -> Ints:
    """int64 [n, S]: what each superlane's map says, for rows of ``flow.indirect`` whose maps are computed."""
    maps = values.taken(flow.indirect.map[rows])
    bytes_ = maps.reshape(len(rows), flow.config.superlanes, LANES_PER_SUPERLANE).astype(np.int64)
    found: Ints = bytes_[..., 0] | bytes_[..., 1] << 8
    return found


def powered(flow: Flow, issues: Ints) -> NDArray[np.bool_]:
    """bool [n, S]: in which superlanes issues [n] act."""
    found: NDArray[np.bool_] = np.arange(flow.config.superlanes) < flow.issues.powered[issues][:, None]
    return found


def bad_addresses(flow: Flow, values: Values) -> list[Fault]:
    """A fault for every GATHER and SCATTER of which a superlane's address is beyond its memory."""
    rows = np.arange(len(flow.indirect.issue))
    beyond = addresses(flow, values, rows) >= flow.config.mem_words
    issues = flow.indirect.issue[(beyond & powered(flow, flow.indirect.issue)).any(axis=1)]
    cycles = flow.issues.time[issues] + timing(flow.config).write_skew
    queues = flow.issues.queue[issues]
    return [Fault(cycle, queue, GATHER_ADDRESS) for cycle, queue in zip(cycles.tolist(), queues.tolist(), strict=True)]


class Memories:
    """The memories of all slices with a GATHER or a SCATTER, or written piecewise, as the batches run so far leave
    them."""

    def __init__(self, flow: Flow, values: Values, memory: Mapping[int, Image]):
        self.flow, self.values = flow, values
        shape = (flow.config.mem_words, flow.config.superlanes, LANES_PER_SUPERLANE)
        places = kept(flow).tolist()
        self._words = {place: np.zeros(shape, np.uint8) for place in places}
        self._written = {place: np.zeros(shape[:2], np.bool_) for place in places}
        for place in set(places) & set(memory):
            image = memory[place]
            self._words[place][image.addresses] = image.words.reshape(-1, *shape[1:])
        self._piecewise = set(flow.piecewise.tolist())
        self._writes = np.append(flow.indirect.writes, False)
        """Which rows of ``flow.indirect`` are SCATTERs; NONE is not."""
        self._drive = flow.drives.rows_of(flow.issues, 0)
        self._load, self._store, self._indirect = (
            flow.issues.rows_in(table.issue) for table in (flow.loads, flow.stores, flow.indirect)
        )

    def run(self, issues: Ints) -> None:
        """Issues of one slice by time: all read, or all write, or it is a single one that does both."""
        place = int(self.flow.issues.place[issues[0]])
        if place in self._piecewise:
            load = self._load[issues]
            reads = issues[load != NONE]
            self._read(place, reads, self._everywhere(self.flow.loads.address[self._load[reads]]))
        row = self._indirect[issues]
        gathers = issues[(row != NONE) & ~self._writes[row]]
        self._read(place, gathers, addresses(self.flow, self.values, self._indirect[gathers]))
        self._write(place, issues)

    def _everywhere(self, address: Ints) -> Ints:
        """[n, S]: one address for all superlanes."""
        return np.broadcast_to(address[:, None], (len(address), self.flow.config.superlanes))

    def _read(self, place: int, issues: Ints, address: Ints) -> None:
        inside = address < self.flow.config.mem_words
        words = self._words[place][np.where(inside, address, 0), np.arange(address.shape[1])]
        vectors = np.where(inside[..., None], words, np.uint8(0)).reshape(len(issues), self.flow.config.lanes)
        self.values.slots[self.values.of_drive[self._drive[issues]]] = vectors

    def _write(self, place: int, issues: Ints) -> None:
        """WRITEs and SCATTERs, the later ones over the earlier."""
        store, row = self._store[issues], self._indirect[issues]
        scatters = self._writes[row]
        writers = (store != NONE) | scatters
        scatters, store, row = scatters[writers], store[writers], row[writers]
        acts = powered(self.flow, issues[writers])
        address = np.zeros((len(row), self.flow.config.superlanes), np.int64)
        address[~scatters] = self._everywhere(self.flow.stores.address[store[~scatters]])
        address[scatters] = addresses(self.flow, self.values, row[scatters])
        data = np.zeros(len(row), np.int64)
        data[~scatters] = self.flow.stores.read[store[~scatters]]
        data[scatters] = self.flow.indirect.data[row[scatters]]
        words = self.values.slots[self.values.of_read[data]].reshape(*address.shape, LANES_PER_SUPERLANE)
        number, superlane = np.nonzero((address < self.flow.config.mem_words) & acts)
        # Of equal indices numpy keeps the last value, and `nonzero` lists the later writers last.
        self._words[place][address[number, superlane], superlane] = words[number, superlane]
        self._written[place][address[number, superlane], superlane] = True

    def written(self) -> dict[int, Image]:
        """The words of slices written piecewise in which something was written; a superlane of such a word in which
        nothing ever was reads as zero."""
        found = {}
        for place in sorted(self._piecewise):
            at = np.flatnonzero(self._written[place].any(axis=1))
            if len(at):
                found[place] = Image(at, self._words[place][at].reshape(len(at), -1))
        return found
