"""The blocks that are mutated, and the benches that must notice it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tb.benches import BENCHES, Bench
from tb.mutation.equivalence import Terms
from tb.small import small
from tsp.config import ChipConfig


@dataclass(frozen=True)
class Block:
    """A part of the design.

    Attributes:
        benches: names in :data:`tb.benches.BENCHES`, all of one design.
        modules: patterns of the names of the Verilog modules that are mutated.
        wires: in these, only cells at signals with such names.
        within: the module in which a mutant may be equivalent too, where that has inputs which never come.
        valid: see :class:`tb.mutation.equivalence.Terms`.
        alone: equivalence is looked for without what stands in the module, which would take z3 too long.
        numbers: inputs that are numbers of something, and the field of the configuration that says of how many.
    """

    benches: tuple[str, ...]
    modules: tuple[str, ...]
    wires: tuple[str, ...] = ()
    within: str = ""
    valid: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    numbers: Mapping[str, str] = field(default_factory=dict)
    alone: bool = False

    @property
    def bench(self) -> Bench:
        """The one that says what is built."""
        found = BENCHES[self.benches[0]]
        assert isinstance(found, Bench)
        return found

    @property
    def tests(self) -> list[str]:
        """The modules with the tests."""
        return [bench.tests for bench in map(BENCHES.__getitem__, self.benches) if isinstance(bench, Bench)]

    def terms(self, config: ChipConfig) -> Terms:
        """Of equivalence, in a configuration."""
        return Terms(self.valid, {name: getattr(config, of) - 1 for name, of in self.numbers.items()})


BLOCKS: dict[str, Block] = {
    "stream": Block(("stream",), ("sxm_site",)),
    "mem_tile": Block(("mem",), ("mem_tile",)),
    "mem_site": Block(("mem",), ("mem_site",)),
    # Of a map that names no word it does not matter which.
    "select": Block(("mem",), ("select_*",), within="mem_site"),
    "trace": Block(("mem",), ("mem_tile",), ("hasher__*",)),
    "vxm_alu": Block(("vxm",), ("vxm_alu",)),
    "vxm_site": Block(("vxm",), ("vxm_site",)),
    "mxm_supercell": Block(("mxm",), ("mxm_supercell",)),
    "mxm_plane_row": Block(
        ("mxm",),
        ("mxm_plane_row",),
        valid={"sum": ("sum_valid", 0), "south_out_1": ("south_out_valid", 1)}
        | {f"supercell_{k}.load_data": (f"supercell_{k}.load", 0) for k in range(2)}
        | {f"supercell_{k}.activation": (f"supercell_{k}.activate", 0) for k in range(2)},
        numbers={"load_index": "superlanes"},
        alone=True,
    ),
    "mxm_tile": Block(("mxm",), ("mxm_tile",)),
    "mxm_site": Block(("mxm",), ("mxm_site_*",), alone=True),
    "sxm_tile": Block(("sxm",), ("sxm_tile",)),
    "sxm_site": Block(("sxm",), ("sxm_site",)),
    # Its results count in the cycles that the tiles know.
    "sxm_across": Block(("sxm",), ("sxm_across",), within="sxm_column"),
    "sxm_movers": Block(("sxm",), ("sxm_permute_row", "sxm_shifter")),
    "station": Block(("station",), ("station",)),
    "host_port": Block(("host_port",), ("host_port",)),
    "link_transmit": Block(("link",), ("link_transmit",), alone=True),
    "link_receive": Block(("link",), ("link_receive",), alone=True),
    "icu_queue": Block(("icu", "counters"), ("icu_queue_*",)),
    "icu_control": Block(("icu", "counters"), ("icu",), ("control__*",), alone=True),
    "counters": Block(("counters", "icu"), ("icu",), ("control__counters__*", "hac", "sac", "delta"), alone=True),
}


def config() -> ChipConfig:
    """The configuration in which blocks are mutated."""
    return small().override(["mxm_planes_w=0", "links_w=0"])
