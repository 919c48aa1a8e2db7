"""What an SXM's tiles send to the part that crosses superlanes, and what comes back: names and widths, once.

For each of :data:`UNITS` u, valid in T + 1 of its instruction, in superlane time:

- ``across_<u>_valid``, ``across_<u>_source``, ``across_<u>_with``: its vector, and the map or the selection.
- ``across_<u>_control``: of a SHIFT n, the way and whether it selects, lowest bits first; the same in all superlanes.

And valid in T + S + 1: ``across_<u>_result``; for PERMUTE ``across_bad_map``, that its map does not name every lane
once.
"""

from amaranth.lib.wiring import In, Member, Out

from rtl.stream import WORD_BITS
from tsp import isa

UNITS = ("permute", "shift0", "shift1")
CONTROL_BITS = 18
WITH_BITS = {"permute": 2 * WORD_BITS, "shift0": WORD_BITS, "shift1": WORD_BITS}


def tile_side(prefix: str = "across_") -> dict[str, Member]:
    """The ports of a tile."""
    ports: dict[str, Member] = {f"{prefix}bad_map": In(1)}
    for unit in UNITS:
        ports |= {f"{prefix}{unit}_valid": Out(1), f"{prefix}{unit}_source": Out(WORD_BITS)}
        ports |= {f"{prefix}{unit}_with": Out(WITH_BITS[unit]), f"{prefix}{unit}_control": Out(CONTROL_BITS)}
        ports |= {f"{prefix}{unit}_result": In(WORD_BITS)}
    return ports


def across_side(superlane: int) -> dict[str, Member]:
    """The ports to superlane k: those of a tile, turned round, named ``<u>_…_<k>``."""
    return {f"{name}_{superlane}": port.flip() for name, port in tile_side("").items()}


def shift_field(name: str) -> tuple[int, int]:
    """(lowest bit, width) of a field of SHIFT."""
    field = isa.BY_MNEMONIC["SHIFT"].field(name)
    return field.lo, field.width
