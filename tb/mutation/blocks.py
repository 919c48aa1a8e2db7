"""The blocks that are mutated, and the benches that must notice it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from rtl.stream import RESIDUES
from rtl.sxm.bundle import UNITS
from tb.benches import BENCHES, Bench
from tb.mutation.machine import Terms, When
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
        valid: see :class:`tb.mutation.machine.Terms`.
        alone: equivalence is looked for without what stands in the module, which would take z3 too long.
        numbers: inputs that are numbers of something, and the field of the configuration that says of how many.
        settings: what the block's configuration has otherwise than :func:`config`.
    """

    benches: tuple[str, ...]
    modules: tuple[str, ...]
    wires: tuple[str, ...] = ()
    within: str = ""
    valid: Mapping[str, When] = field(default_factory=dict)
    numbers: Mapping[str, str] = field(default_factory=dict)
    alone: bool = False
    settings: tuple[str, ...] = ()

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

    def terms(self, config: ChipConfig, within: str = "") -> Terms:
        """Of equivalence, in a configuration. What the block says of its own ports says nothing of those of the module
        ``within`` which it stands."""
        if within:
            return Terms(FAULT)
        return Terms(FAULT | self.valid, {name: getattr(config, of) - 1 for name, of in self.numbers.items()})


FAULT = {name: When("fault_valid") for name in ("fault_queue", "fault_kind")}
"""Every module that raises faults says what they are only when there is one (docs/rtl.md)."""
LONG_PACKETS = ("superlanes=11",)
"""What is wrong in every word of a packet cancels in its sums if they are even in number, and only numbers of words as
large have all five bits."""


def config() -> ChipConfig:
    """The configuration in which blocks are mutated."""
    return small().override(["mxm_planes_w=0", "links_w=0"])


def across_terms() -> Iterator[tuple[str, When]]:
    """A tile takes a result of ``sxm_across`` in the cycle that it is done, one later for each superlane; what moves
    bytes looks at nothing unless it is to."""
    for unit in UNITS:
        yield f"{unit}_result_0", When(f"{unit}_done")
        for superlane in range(1, config().superlanes):
            before = f"{unit}_out_{superlane}_valid_{superlane - 2}" if superlane > 1 else f"{unit}_done"
            yield f"{unit}_result_{superlane}", When(before, ago=1)
    movers = {unit: ("source", "select", "control") for unit in UNITS if unit != "permute"}
    movers |= {f"row_{superlane}": ("source", "low", "high") for superlane in range(config().superlanes)}
    yield from ((f"{mover}.{port}", When(f"{mover}.valid")) for mover, ports in movers.items() for port in ports)


BLOCKS: dict[str, Block] = {
    "stream": Block(("stream",), ("sxm_site",)),
    "mem_tile": Block(("mem",), ("mem_tile",)),
    "mem_site": Block(("mem",), ("mem_site",)),
    # Of a map that names no word it does not matter which.
    "select": Block(("mem",), ("select_*",), within="mem_site"),
    "trace": Block(("mem",), ("mem_tile",), ("hasher__*",)),
    "vxm_alu": Block(
        ("vxm",), ("vxm_alu",), valid={f"drive_word_{i}": When("drive_valid") for i in range(RESIDUES)}, alone=True
    ),
    "vxm_site": Block(("vxm",), ("vxm_site",)),
    "mxm_supercell": Block(("mxm",), ("mxm_supercell",)),
    "mxm_plane_row": Block(
        ("mxm",),
        ("mxm_plane_row",),
        valid={"south_out_1": When("south_out_valid", 1)}
        | {f"supercell_{k}.load_data": When(f"supercell_{k}.load") for k in range(2)}
        | {f"supercell_{k}.activation": When(f"supercell_{k}.activate") for k in range(2)},
        numbers={"load_index": "superlanes"},
        alone=True,
    ),
    "mxm_tile": Block(
        ("mxm",),
        ("mxm_tile",),
        valid={"load_index": When("load"), "load_data": When("load"), "activation": When("activate")},
    ),
    "mxm_site": Block(("mxm",), ("mxm_site_*",)),
    "sxm_tile": Block(("sxm",), ("sxm_tile",)),
    "sxm_site": Block(("sxm",), ("sxm_site",)),
    "sxm_across": Block(("sxm",), ("sxm_across",), valid=dict(across_terms())),
    "sxm_movers": Block(("sxm",), ("sxm_permute_row", "sxm_shifter")),
    "station": Block(("station",), ("station",)),
    "host_port": Block(("host_port",), ("host_port",)),
    "link_transmit": Block(("link",), ("link_transmit",), alone=True, settings=LONG_PACKETS),
    "link_receive": Block(
        ("link",),
        ("link_receive",),
        valid=dict.fromkeys(("north_superlane", "north_slot", "north_word"), When("north_valid")),
        alone=True,
        settings=LONG_PACKETS,
    ),
    "link_verdict": Block(("link",), ("link_receive",), ("verdict__*",), alone=True, settings=LONG_PACKETS),
    "receive_buffer": Block(("link",), ("link_receive",), ("buffer__*",), alone=True, settings=LONG_PACKETS),
    "link_elastic": Block(("link_time",), ("link_time_parts",), ("elastic__*",)),
    "link_meter": Block(("link_time",), ("link_time_parts",), ("meter__*",)),
    "link_aligner": Block(("link_time",), ("link_time_parts",), ("aligner__*",)),
    "icu_queue": Block(("icu", "counters"), ("icu_queue_*",)),
    "icu_control": Block(("icu", "counters"), ("icu",), ("control__*",), alone=True),
    "counters": Block(("counters", "icu"), ("icu",), ("control__counters__*", "hac", "sac", "delta"), alone=True),
}
