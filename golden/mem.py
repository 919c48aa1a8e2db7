"""Memory: words before the start, and after the end."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from tsp.flow import Flow
from tsp.flow.issues import Ints
from tsp.flow.tables import Stores
from tsp.program import Image


def fill_initial(slots: NDArray[np.uint8], slot: Ints, memory: Mapping[int, Image], place: Ints, address: Ints) -> None:
    """Put words [n] that the image defines into slots [n]."""
    for of_place in np.unique(place).tolist():
        here = np.flatnonzero(place == of_place)
        image = memory[of_place]
        slots[slot[here]] = image.words[np.searchsorted(image.addresses, address[here])]


def written_words(flow: Flow, slots: NDArray[np.uint8], of_read: Ints) -> dict[int, Image]:
    """The last value of every word that was written, by slice; without slices that are written piecewise."""
    stores = flow.stores
    known = ~np.isin(stores.place, flow.piecewise)
    stores = Stores(stores.issue[known], stores.place[known], stores.address[known], stores.read[known])
    key = stores.place * flow.config.mem_words + stores.address
    order = np.lexsort((flow.issues.time[stores.issue], key))
    last = order[np.append(np.diff(key[order]) != 0, True)] if len(order) else order
    place = stores.place[last]
    written = {}
    for of_place in np.unique(place).tolist():
        rows = last[place == of_place]
        written[of_place] = Image(stores.address[rows], slots[of_read[stores.read[rows]]])
    return written


def merged(memory: Mapping[int, Image], written: Mapping[int, Image]) -> dict[int, Image]:
    """The image after the end: ``memory`` with ``written`` over it."""
    merged = dict(memory)
    for place, new in written.items():
        old = memory.get(place)
        if old is None:
            merged[place] = new
            continue
        kept = ~np.isin(old.addresses, new.addresses)
        addresses = np.concatenate([old.addresses[kept], new.addresses])
        words = np.concatenate([old.words[kept], new.words])
        order = np.argsort(addresses)
        merged[place] = Image(addresses[order], words[order])
    return dict(sorted(merged.items()))
