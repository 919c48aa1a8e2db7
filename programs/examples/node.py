"""A node of eight chips that add up a vector each: ``python -m programs.examples.node FOLDER`` writes ``node8.toml``,
the chips and their 28 links, and ``all_reduce.npz``, their programs, for ``tsp run --system``.
"""

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tsp.collectives import Collective, all_reduce
from tsp.config import preset
from tsp.node import Node
from tsp.system_programs import save_programs
from tsp.system_text import system_text

CONFIG = preset("tiny").override(["c2c=on", "links_w=3", "links_e=4", "vxm_rows=4", "vxm_stages=4"])


def example() -> NDArray[np.int8]:
    """Of each chip one vector, int8 [8, 1, lanes]."""
    return np.random.default_rng(8).integers(-20, 20, (8, 1, CONFIG.lanes), dtype=np.int8)


def write(folder: Path) -> Collective:
    """Write both files. After a run ``sum_e0`` of every chip is the sum."""
    found = all_reduce(Node(CONFIG), example())
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "node8.toml").write_text(system_text(found.system))
    save_programs({chip.name: chip.program for chip in found.system.chips}, folder / "all_reduce.npz")
    return found


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m programs.examples.node FOLDER")
    write(Path(sys.argv[1]))
    print(f"tsp run --system {sys.argv[1]}/node8.toml {sys.argv[1]}/all_reduce.npz --dump chip7:sum_e0")
