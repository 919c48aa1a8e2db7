"""Small chips for what takes long on every line of Verilog: Icarus, coverage, mutants. Tests share their models."""

from tsp.config import ChipConfig, preset

SETTINGS = (
    *("superlanes=2", "streams=16", "mem_slices=8", "mem_words=16", "mxm_planes_w=1", "mxm_planes_e=1", "mxm_fp16=off"),
    *("vxm_rows=2", "vxm_stages=1", "links_w=1", "links_e=0", "hac_period=64", "queue_depth=32", "acc_depth=4"),
)
"""What is smaller than in ``tiny``: every unit is there, in both hemispheres. With one MXM plane in each, no fp16."""


def small() -> ChipConfig:
    """``tiny`` made smaller: with the features that it has, but fp16."""
    return preset("tiny").override(SETTINGS)


def in_beats() -> ChipConfig:
    """``board``, whose cycles are several clocks (docs/rtl.md), with more to move in them and events to compare."""
    return preset("board").override(["trace=on", "gather=on", "sxm=on", "vxm_stages=2", "queue_depth=128"])


def linked() -> ChipConfig:
    """A chip of memories and one ALU with a link on each side, for systems of several."""
    settings = (
        *("streams=16", "mem_slices=8", "mem_words=64", "mxm_planes_w=0", "mxm_planes_e=0", "mxm_fp16=off"),
        *("vxm_mul_bits=0", "vxm_float=off", "vxm_rows=1", "vxm_stages=1", "sxm=off", "gather=off", "ifetch=off"),
        *("queue_depth=64", "c2c=on"),
    )
    return preset("tiny").override(settings)


def meshed() -> ChipConfig:
    """The same with links to seven others and the ALUs that add up what comes, for a node of eight chips."""
    settings = ("links_w=3", "links_e=4", "mem_slices=12", "mem_words=16", "vxm_rows=4", "vxm_stages=3")
    return linked().override(settings)
