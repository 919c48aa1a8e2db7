"""Values on streams. Moving costs nothing: a READ of a word that a WRITE took off a stream *is* the value that was
driven there, so only words of the initial image and results of ALUs and planes are stored, each once. Of slices that
are written piecewise, every word read has a slot of its own.

A vector that was made with fewer superlanes powered holds anything in the others. Nobody looks at it there."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from golden.flips import Errors
from golden.mem import fill_initial
from tsp.flow import NONE, Flow
from tsp.flow.issues import Ints
from tsp.program import Image

ZERO = 0
"""Slot of the vector of zeros: what absent operands and undefined words read as."""


class Values:
    """The vectors of a program.

    Attributes:
        slots: uint8 [slots, lanes]; slot 0 is zero. Results of ALUs and planes are filled in as they are computed.
        of_drive, of_read: int64, the slot of every row of ``flow.drives`` and ``flow.reads``.
        maker: int64 [slots], the issue that fills a slot (of an ALU, an ACC, the SXM, an indirect access); NONE for
            zero and words of the image.
        errors: what is wrong with some of them on their way, and after correction.
    """

    def __init__(self, flow: Flow, memory: Mapping[int, Image], errors: Errors):
        self.errors = errors
        origin, words = _origins(flow)
        total = len(flow.drives)
        own = origin[:total] == np.arange(total)
        slot = np.append(np.cumsum(own), ZERO)
        self.of_drive: Ints = slot[origin[:total]]
        self.of_read: Ints = np.where(flow.source == NONE, ZERO, np.append(self.of_drive, ZERO)[flow.source])
        made = np.flatnonzero(own)
        self.maker: Ints = np.append(NONE, flow.drives.issue[made])
        self.slots: NDArray[np.uint8] = np.zeros((len(made) + 1, flow.config.lanes), np.uint8)
        drives, loads = words
        self.maker[slot[drives]] = NONE
        fill_initial(self.slots, slot[drives], memory, flow.loads.place[loads], flow.loads.address[loads])

    def taken(self, rows: Ints) -> NDArray[np.uint8]:
        """uint8 [..., lanes]: what the readers of rows [...] of ``flow.reads`` take, after correction."""
        return self.errors.consumed.over(rows, self.slots[self.of_read[rows]])


def kept(flow: Flow) -> Ints:
    """Places of the slices whose memory is followed word by word (:mod:`golden.indirect`)."""
    return np.unique(np.concatenate([flow.indirect.place, flow.piecewise]))


def _origins(flow: Flow) -> tuple[Ints, tuple[Ints, Ints]]:
    """(per drive the drive whose vector it repeats, or len(drives) for zeros), and the drives that bring words of the
    image, with the loads that do."""
    total = len(flow.drives)
    origin = np.arange(total + 1)
    drive = flow.drives.rows_of(flow.issues, 0)[flow.loads.issue]
    store = flow.loads.store
    known = ~np.isin(flow.loads.place, flow.piecewise)
    stored = np.flatnonzero(known & (store != NONE))
    # NONE is -1, so an absent operand of the WRITE indexes the last entry: zeros.
    origin[drive[stored]] = origin[flow.source[flow.stores.read[store[stored]]]]
    undefined = known & (store == NONE) & ~flow.loads.initial
    origin[drive[undefined]] = total
    initial = np.flatnonzero(known & flow.loads.initial)
    word = flow.loads.place[initial] * flow.config.mem_words + flow.loads.address[initial]
    _, first, repeated = np.unique(word, return_index=True, return_inverse=True)
    origin[drive[initial]] = drive[initial[first]][repeated]
    while not np.array_equal(further := origin[origin], origin):
        origin = further
    return origin, (drive[initial[first]], initial[first])
