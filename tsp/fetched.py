"""Queue words as vectors of memory, in the order in which an IFETCH brings them."""

from collections.abc import Sequence

from tsp import isa
from tsp.config import LANES_PER_SUPERLANE, ChipConfig


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
