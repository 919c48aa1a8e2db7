"""The generated supercell over two written by hand, in Verilator under one C++ main (``bench/supercell_main.cpp``)."""

import subprocess
from pathlib import Path

from rtl import verilog
from rtl.mxm import MxmSupercell
from tb import simulator
from tb.bench import bare
from tb.bench.chip import Differs
from tb.bench.pairs import interleave
from tb.bench.row import Row
from tb.generated import generated
from tsp.config import LANES_PER_SUPERLANE, preset

GENERATED = MxmSupercell.module_name
BY_HAND = {"supercell_loop": 1.3, "supercell_packed": 2.0}
"""Module in ``bench/`` → limit of the generated one's time over its time."""
MACS = LANES_PER_SUPERLANE**2


class _Supercell:
    """One supercell, compiled. ``time`` is a busy cycle's nanoseconds; ``last`` what else was measured with it."""

    def __init__(self, module: str, cycles: int):
        self.module, self.cycles = module, cycles
        self.last: dict[str, float] = {}
        self.checksum = ""
        main = bare.source("supercell_main.cpp")  # before anything is generated
        self.made = simulator.build_program(_sources(module), module, main)

    def time(self) -> float:
        assert self.made.program is not None
        command = [str(self.made.program), str(self.cycles)]
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        busy, idle, self.checksum = printed.split()
        self.last = {"busy_ns_per_mac": float(busy) / MACS, "idle_ns_per_cycle": float(idle)}
        return float(busy)


def _sources(module: str) -> list[Path]:
    if module != GENERATED:
        return [bare.source(f"{module}.v")]
    config = preset("tiny")
    supercell = MxmSupercell(config)
    return list(
        generated(module, config.as_dict(), lambda folder: verilog.write(verilog.modules(supercell, module), folder))
    )


def rows(repeats: int, cycles: int) -> list[Row]:
    """A row per supercell written by hand; raises :class:`Differs` when one computes something else."""
    ours = _Supercell(GENERATED, cycles)
    found = []
    for module, limit in BY_HAND.items():
        other = _Supercell(module, cycles)
        pairs = interleave(ours.time, other.time, repeats)
        if ours.checksum != other.checksum:
            raise Differs(f"{module}: checksum {other.checksum}, the generated supercell has {ours.checksum}")
        details = {GENERATED: ours.last, module: other.last, "repeats": repeats, "cycles": cycles}
        name = f"generated supercell over {module.replace('supercell_', 'hand-written ')}"
        found.append(Row(name, pairs.ratio, limit=limit, details=details))
    return found
