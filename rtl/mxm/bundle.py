"""What an MXM tile sends into its row of the plane, and what comes back: names and widths, once.

All of it is registered and valid in T + 1 of its instruction, in superlane time:

- ``load``, ``load_index``, ``load_data``: sixteen vectors for supercell ``load_index``; bits 128·j + 8·i … are
  the weight from input i to output j.
- ``install``: the weight buffers become the array.
- ``activate``, ``activation``: one activation vector, input i in bits 8·i ….
- ``sum_valid``, ``sum``: output l in bits 32·l …, in T + 1 of the ACC that takes it, 2·S cycles after the ABC.
"""

from amaranth.lib.wiring import In, Member, Out

from rtl.stream import WORD_BITS
from tsp.config import LANES_PER_SUPERLANE

INDEX_BITS = 5
LOAD_BITS = LANES_PER_SUPERLANE * WORD_BITS
SUM_BITS = LANES_PER_SUPERLANE * 32

TO_ROW = {
    "load": 1,
    "load_index": INDEX_BITS,
    "load_data": LOAD_BITS,
    "install": 1,
    "activate": 1,
    "activation": WORD_BITS,
}
FROM_ROW = {"sum": SUM_BITS, "sum_valid": 1}


def tile_side(prefix: str = "") -> dict[str, Member]:
    """The ports of a tile to its plane row; each name is ``prefix`` + its name above."""
    ports = {f"{prefix}{name}": Out(width) for name, width in TO_ROW.items()}
    return ports | {f"{prefix}{name}": In(width) for name, width in FROM_ROW.items()}


def plane_side(suffix: str = "") -> dict[str, Member]:
    """The ports of a plane row to its tile; each name is its name above + ``suffix``."""
    ports = {f"{name}{suffix}": In(width) for name, width in TO_ROW.items()}
    return ports | {f"{name}{suffix}": Out(width) for name, width in FROM_ROW.items()}
