"""Queue words as vectors of memory, in the order in which an IFETCH brings them."""

from collections.abc import Sequence

from tsp import isa
from tsp.config import LANES_PER_SUPERLANE, ChipConfig
from tsp.timing import timing


def arrivals(cycle: int, count: int, config: ChipConfig) -> list[int]:
    """The first cycles that the words of an IFETCH of ``count`` vectors, dispatched in ``cycle``, can dispatch in, in
    the order they come: superlane k's word of a vector 2·k cycles after superlane 0's."""
    first = cycle + timing(config).ifetch_dispatch
    return sorted(first + v + 2 * k for v in range(count) for k in range(config.superlanes))


def vectors(words: Sequence[int], config: ChipConfig) -> list[bytes]:
    """Queue words as the vectors that an IFETCH of pairs brings in that order: filled up with ``NOP 1`` to whole pairs,
    or with one superlane to whole vectors."""
    superlanes = config.superlanes
    block = superlanes if superlanes == 1 else 2 * superlanes
    nop = isa.instruction("NOP", n=1).encode()
    padded = [*words, *[nop] * (-len(words) % block)]
    if superlanes == 1:
        return [word.to_bytes(LANES_PER_SUPERLANE, "little") for word in padded]
    found = []
    for first in range(0, len(padded), block):
        pair = padded[first : first + block]
        found += [b"".join(word.to_bytes(LANES_PER_SUPERLANE, "little") for word in pair[v::2]) for v in range(2)]
    return found
