"""The SXM's site: the SRs around it in one superlane, and its tile if the configuration has one."""

from amaranth.hdl import Const, Module, Value
from amaranth.lib.wiring import Component, Out

from rtl import stream, tile
from rtl.stamp import stamp
from rtl.sxm.bundle import tile_side
from rtl.sxm.tile import SxmTile, words_of
from tsp.config import ChipConfig
from tsp.floorplan import SXM_QUEUES


class SxmSite(Component):
    """Ports: docs/rtl.md, "Site", and ``across_*`` of :mod:`rtl.sxm.bundle`. Without feature ``sxm`` streams pass, and
    there are no ports but those of streams. C2C queues of the site come after these and have no tile yet."""

    module_name = "sxm_site"

    def __init__(self, config: ChipConfig):
        self.config = config
        ports = stream.site_stream_ports(config)
        if config.sxm:
            ports |= tile.site_instruction_ports(list(SXM_QUEUES.values())) | tile.place_ports() | tile_side()
            ports |= tile.host_ports(config) | tile.site_fault_ports() | {"stream_event": Out(1)}
            ports |= tile.corrected_ports(config)
        super().__init__(ports)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        if not self.config.sxm:
            stream.site_registers(m, self, self.config, [])
            return m
        m.submodules.tile = placed = stamp(SxmTile(self.config), "tile")
        for number, queue in enumerate(SXM_QUEUES):
            tile.connect_instruction(m, self, placed, str(number), queue)
        m.d.comb += [placed.time.eq(self.time), placed.place.eq(self.place)]
        for name, port in tile_side().items():
            inner, outer = getattr(placed, name), getattr(self, name)
            m.d.comb += outer.eq(inner) if port.flow == Out else inner.eq(outer)
        for side in "ew":
            m.d.comb += getattr(placed, f"{side}_present").eq(getattr(self, f"{side}_present_in"))
            inputs, words = stream.words(placed, side, self.config), stream.words(self, f"{side}_in", self.config)
            m.d.comb += [port.eq(word) for port, word in zip(inputs, words, strict=True)]
        drives = []
        for number, queue in enumerate(SXM_QUEUES):
            words = [getattr(placed, f"{queue}_word_{i}") for i in range(words_of(queue))]
            drives.append(stream.Drive(getattr(placed, f"{queue}_mask"), words, number))
        faults = stream.site_registers(m, self, self.config, drives)
        faults += [_fault(placed.absent[number], number, tile.OPERAND_ABSENT) for number in range(len(SXM_QUEUES))]
        faults.append(_fault(placed.bad_map, 0, tile.PERMUTE_MAP))
        if self.config.ecc:
            faults += [
                _fault(placed.uncorrectable[number], number, tile.ECC_UNCORRECTABLE)
                for number in range(len(SXM_QUEUES))
            ]
            tile.sum_corrected(m, self, [placed])
        tile.report_fault(m, self, sorted(faults, key=lambda fault: (fault.queue.value, fault.kind.value)))
        tile.host_to_tiles(m, self, [placed], self.config)
        m.d.comb += self.stream_event.eq(placed.drive_valid)
        return m


def _fault(valid: Value, queue: int, kind: int) -> stream.Fault:
    return stream.Fault(valid, Const(queue, tile.QUEUE_BITS), Const(kind, tile.KIND_BITS))
