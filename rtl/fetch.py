"""IFETCH: a site's vectors leave for the queues, word by word, going south against the stagger."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib.wiring import Component, In, Member, Out

from rtl import stream, tile
from rtl.ecc import Checks
from rtl.stream import WORD_BITS, Fault, unreset_register
from tsp import isa
from tsp.config import ChipConfig
from tsp.floorplan import Queue, Site, floorplan

STREAM_BITS = isa.STREAM_INDEX_BITS + 1


def command_ports(flow, prefix: str) -> dict[str, Member]:  # type: ignore[no-untyped-def]
    """``<prefix>_command_valid``, ``_queue`` (of the site), ``_stream``: in T of an IFETCH's cycle, to the north."""
    widths = {"valid": 1, "queue": tile.QUEUE_BITS, "stream": STREAM_BITS}
    return {f"{prefix}_command_{name}": flow(width) for name, width in widths.items()}


def word_ports(flow, prefix: str) -> dict[str, Member]:  # type: ignore[no-untyped-def]
    """``<prefix>_word_valid``, ``_queue``, ``_data``: a queue word on its way south."""
    widths = {"valid": 1, "queue": tile.QUEUE_BITS, "data": WORD_BITS}
    return {f"{prefix}_word_{name}": flow(width) for name, width in widths.items()}


def fetching_sites(config: ChipConfig) -> list[Site]:
    """Sites with queues that take IFETCH."""
    return [site for site in floorplan(config).sites if fetching_queues(config, site)]


def fetching_queues(config: ChipConfig, site: Site) -> list[Queue]:
    """The queues of a site that take IFETCH, numbered as the site numbers its queues; none without the feature."""
    found = floorplan(config).site_queues(site.index) if config.ifetch else []
    return [queue for queue in found if queue.kind in isa.SLICE_KINDS]


class FetchPath(Component):
    """One site's part of one superlane. T is this superlane's time.

    A word read in T is in the register to the south in T + 1; words from the north pass. The two never meet: the ICU
    sends no command that would let them, and finds that a collision.

    Ports:
        south_command_*: in, in T. north_command_*: out, registers, in T + 1.
        e_<i>, w_<i>, e_present, w_present: in T, the streams that arrive at the site.
        north_word_*: in. south_word_*: out, registers.
        site_fault_valid, _queue, _kind: in, the site's own; fault_*: out, of both the lowest queue's lowest kind.
        site_corrected: in; corrected: out, both together, with feature ``ecc``.
    """

    module_name = "fetch_path"

    def __init__(self, config: ChipConfig):
        self.config = config
        word = stream.stream_word(config)
        ports = command_ports(In, "south") | command_ports(Out, "north")
        ports |= word_ports(In, "north") | word_ports(Out, "south")
        for side in "ew":
            ports |= {f"{side}_{i}": In(word) for i in range(config.streams)} | {f"{side}_present": In(config.streams)}
        ports |= {f"site_{name}": In(member.shape) for name, member in tile.site_fault_ports().items()}
        ports |= tile.site_fault_ports()
        if config.ecc:
            ports |= {"site_corrected": In(tile.CORRECTED_BITS)} | tile.corrected_ports(config)
        super().__init__(ports)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        valid, wanted = self.south_command_valid, self.south_command_stream
        self._move_north(m)
        words = [word for side in "ew" for word in stream.words(self, side, self.config)]
        index = stream.stream_index(wanted, self.config.streams)
        present = stream.read_present(wanted, self.e_present, self.w_present)
        word = stream.choose(m, "word", valid, index, words)
        checks = Checks(m, self.config)
        self._move_south(m, checks.data("word", valid & present, word))
        conditions = [(valid & ~present, tile.OPERAND_ABSENT)]
        if self.config.ecc:
            conditions.append((valid & Cat(checks.uncorrectable).any(), tile.ECC_UNCORRECTABLE))
            mine = Signal(tile.CORRECTED_BITS, name="corrected_here")
            m.d.sync += mine.eq(checks.count)
            m.d.comb += self.corrected.eq(self.site_corrected + mine)
        self._report(m, conditions)
        return m

    def _move_north(self, m: Module) -> None:
        m.d.sync += self.north_command_valid.eq(self.south_command_valid)
        with m.If(self.south_command_valid):
            m.d.sync += [
                self.north_command_queue.eq(self.south_command_queue),
                self.north_command_stream.eq(self.south_command_stream),
            ]

    def _move_south(self, m: Module, word: Value) -> None:
        valid, passing = self.south_command_valid, self.north_word_valid
        data = unreset_register(m, self.south_word_data)
        m.d.sync += self.south_word_valid.eq(valid | passing)
        with m.If(valid | passing):
            m.d.sync += [
                self.south_word_queue.eq(Mux(valid, self.south_command_queue, self.north_word_queue)),
                data.eq(Mux(valid, word, self.north_word_data)),
            ]

    def _report(self, m: Module, conditions: list[tuple[Value, int]]) -> None:
        valid, kind = Signal(name="own_fault"), Signal(tile.KIND_BITS, name="own_kind")
        tile.pulse_fault(m, valid, kind, conditions)
        site = Fault(self.site_fault_valid, self.site_fault_queue, self.site_fault_kind)
        tile.report_first(m, self, Fault(valid, self.north_command_queue, kind), site)
