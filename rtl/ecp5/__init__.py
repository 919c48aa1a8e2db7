"""Synthesis for a Lattice ECP5, with the MXM's products in its 9×9 multipliers.

yosys' ``synth_ecp5`` gives every product a MULT18X18D, of which an ECP5-85F has 156; a supercell alone has 256
products. Each of those sites can be two MULT9X9D instead, a primitive that Lattice's tools take but that yosys and
nextpnr do not know: :data:`CELLS` declares it and :data:`MAPS` map products of int8 to it, and sums to carry chains.
Other products are made of LUTs.
"""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

CELLS = Path(__file__).with_name("mult9x9d.v")
MAPS = tuple(CELLS.with_name(name) for name in ("mult9x9d_map.v", "add_map.v"))
PART = "ECP5-85F"
CAPACITY = {"LUT": 83_640, "FF": 83_640, "DSP": 156, "EBR": 208}
"""What it has: LUT4s, flip-flops, MULT18X18D sites, DP16KD blocks."""

# The widths of operands must be known before products are mapped: weights are kept sign-extended, see rtl/mxm.
BEFORE_MAPPING = ("proc", "opt", "wreduce", "opt_clean")


def mapping_passes(top: str) -> list[str]:
    """yosys commands that leave the products of a design that has been read in MULT9X9D cells.

    They read files that :func:`place` put into the folder yosys runs in: the wheel's yosys has a /tmp of its own, so
    that it cannot read a checkout there by its full path.
    """
    maps = (f"techmap -map {file.name}" for file in MAPS)
    return [f"read_verilog -lib {CELLS.name}", f"hierarchy -top {top}", *BEFORE_MAPPING, *maps]


def place(folder: Path) -> None:
    """Copy what :func:`mapping_passes` reads into the folder in which yosys will run."""
    for file in (CELLS, *MAPS):
        shutil.copy(file, folder)


def synthesis_passes(top: str, report: Path) -> list[str]:
    """yosys commands that synthesise a design that has been read and write its cell counts to ``report`` as JSON."""
    # Nothing reads a word of a queue or a memory in the cycle it is written, and needs it: without a check for that
    # (-no-rw-check) memories are block RAM and nothing else.
    synthesis = f"synth_ecp5 -nodsp -noflatten -no-rw-check -top {top}"
    return [*mapping_passes(top), synthesis, f"tee -q -o {report} stat -json"]


def used(cells: Mapping[str, int]) -> dict[str, int]:
    """Of what :data:`CAPACITY` counts, how much a design with these numbers of cells takes.

    A CCU2C is two LUT4s with a carry. Distributed RAM (TRELLIS_DPR16X4) takes six LUT4s' places.
    """
    count = {name.split("$")[-1]: number for name, number in cells.items()}
    return {
        "LUT": count.get("LUT4", 0) + 2 * count.get("CCU2C", 0) + 6 * count.get("TRELLIS_DPR16X4", 0),
        "FF": count.get("TRELLIS_FF", 0),
        "DSP": count.get("MULT18X18D", 0) + (count.get("MULT9X9D", 0) + 1) // 2,
        "EBR": count.get("DP16KD", 0) + count.get("PDPW16KD", 0),
    }


def read_passes(files: Sequence[Path]) -> list[str]:
    """yosys commands that read generated Verilog."""
    return [f"read_verilog {file}" for file in files]
