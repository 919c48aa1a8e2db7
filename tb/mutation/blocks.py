"""The blocks that are mutated, and the benches that must notice it."""

from dataclasses import dataclass

from tb.benches import BENCHES, Bench
from tb.small import small
from tsp.config import ChipConfig


@dataclass(frozen=True)
class Block:
    """``benches``: names in :data:`tb.benches.BENCHES`, all of one design. ``modules``: patterns of the names of the
    Verilog modules that are mutated, ``wires``: in these, only cells at signals with such names."""

    benches: tuple[str, ...]
    modules: tuple[str, ...]
    wires: tuple[str, ...] = ()

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


BLOCKS: dict[str, Block] = {
    "stream": Block(("stream",), ("sxm_site",)),
    "mem_tile": Block(("mem",), ("mem_tile",)),
    "mem_site": Block(("mem",), ("mem_site",)),
    "select": Block(("mem",), ("select_*",)),
    "trace": Block(("mem",), ("mem_tile",), ("hasher__*",)),
    "vxm_alu": Block(("vxm",), ("vxm_alu",)),
    "vxm_site": Block(("vxm",), ("vxm_site",)),
    "mxm_supercell": Block(("mxm",), ("mxm_supercell",)),
    "mxm_plane_row": Block(("mxm",), ("mxm_plane_row",)),
    "mxm_tile": Block(("mxm",), ("mxm_tile",)),
    "mxm_site": Block(("mxm",), ("mxm_site_*",)),
    "sxm_tile": Block(("sxm",), ("sxm_tile",)),
    "sxm_site": Block(("sxm",), ("sxm_site",)),
    "sxm_across": Block(("sxm",), ("sxm_across",)),
    "sxm_movers": Block(("sxm",), ("sxm_permute_row", "sxm_shifter")),
    "station": Block(("station",), ("station",)),
    "host_port": Block(("host_port",), ("host_port",)),
    "icu_queue": Block(("icu", "counters"), ("icu_queue_*",)),
    "icu_control": Block(("icu", "counters"), ("icu",)),
    "counters": Block(("counters", "icu"), ("icu",), ("control__counters__*", "hac", "sac", "delta")),
}


def config() -> ChipConfig:
    """The configuration in which blocks are mutated."""
    return small().override(["mxm_planes_w=0", "links_w=0"])
