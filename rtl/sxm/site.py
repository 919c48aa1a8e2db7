"""The SXM's site: the SRs around it in one superlane, its tile and that of C2C, if the configuration has them."""

from functools import reduce
from operator import or_
from typing import Any

from amaranth.hdl import Const, Module, Value
from amaranth.lib.wiring import Component, In, Member, Out

from rtl import stream, tile
from rtl.c2c.bundle import northward_ports, southward_ports
from rtl.c2c.tile import C2cTile
from rtl.stamp import Stamp, stamp
from rtl.sxm.bundle import tile_side
from rtl.sxm.tile import SxmTile, words_of
from tsp.config import ChipConfig
from tsp.floorplan import C2C_QUEUES, SXM_QUEUES


def moving_ports(links: int) -> dict[str, Member]:
    """What passes a site on its way between superlanes, of a hemisphere with ``links`` links that work."""
    return northward_ports(C2C_QUEUES, links) | southward_ports(links) if links else {}


class SxmSite(Component):
    """Ports: docs/rtl.md, "Site", and ``across_*`` of :mod:`rtl.sxm.bundle`. Without feature ``sxm`` streams pass, and
    there are no ports but those of streams.

    With ``links``, those of the hemisphere if they work (feature ``c2c``): the C2C queues come after those of the SXM;
    ``c2c_place``, ``powered`` and :func:`moving_ports` are those of :class:`rtl.c2c.tile.C2cTile`.
    """

    module_name = "sxm_site"

    def __init__(self, config: ChipConfig, links: int = 0):
        self.config, self.links = config, links
        if links:
            self.module_name = f"sxm_site_{links}"
        kinds = [*(SXM_QUEUES.values() if config.sxm else ()), *(["c2c"] * C2C_QUEUES if links else ())]
        self._first_c2c = len(kinds) - (C2C_QUEUES if links else 0)
        ports = stream.site_stream_ports(config) | tile.site_instruction_ports(kinds)
        if config.sxm:
            ports |= tile.place_ports() | tile_side()
        if links:
            ports |= {"time": In(tile.TIME_BITS), "c2c_place": In(tile.PLACE_BITS)} | moving_ports(links)
            ports |= {"powered": In(1)} if config.superlanes > 1 else {}
        if kinds:
            ports |= tile.host_ports(config) | tile.site_fault_ports()
            ports |= {"stream_event": Out(1)} | tile.corrected_ports(config)
        super().__init__(ports)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        tiles: list[Stamp] = []
        drives: list[stream.Drive] = []
        faults: list[stream.Fault] = []
        if self.config.sxm:
            tiles.append(self._place_sxm(m, drives, faults))
        if self.links:
            tiles.append(self._place_c2c(m, drives, faults))
        faults = stream.site_registers(m, self, self.config, drives) + faults
        if not tiles:
            return m
        if self.config.ecc:
            tile.sum_corrected(m, self, tiles)
        tile.report_fault(m, self, sorted(faults, key=lambda fault: (fault.queue.value, fault.kind.value)))
        tile.host_to_tiles(m, self, tiles, self.config)
        m.d.comb += self.stream_event.eq(reduce(or_, (placed.drive_valid for placed in tiles)))
        return m

    def _place_sxm(self, m: Module, drives: list[stream.Drive], faults: list[stream.Fault]) -> Stamp:
        m.submodules.tile = placed = stamp(SxmTile(self.config), "tile")
        for number, queue in enumerate(SXM_QUEUES):
            tile.connect_instruction(m, self, placed, str(number), queue)
            words = [getattr(placed, f"{queue}_word_{i}") for i in range(words_of(queue))]
            drives.append(stream.Drive(getattr(placed, f"{queue}_mask"), words, number))
        m.d.comb += [placed.time.eq(self.time), placed.place.eq(self.place)]
        self._hand_on(m, placed, tile_side())
        self._connect_streams(m, placed)
        faults += self._operand_faults(placed, 0, len(SXM_QUEUES))
        faults.append(_fault(placed.bad_map, 0, tile.PERMUTE_MAP))
        return placed

    def _place_c2c(self, m: Module, drives: list[stream.Drive], faults: list[stream.Fault]) -> Stamp:
        m.submodules.c2c = placed = stamp(C2cTile(self.config, self.links), "c2c")
        for number in range(C2C_QUEUES):
            at = self._first_c2c + number
            tile.connect_instruction(m, self, placed, str(at), str(number))
            drives.append(stream.Drive(getattr(placed, f"mask_{number}"), [getattr(placed, f"word_{number}")], at))
        m.d.comb += [placed.time.eq(self.time), placed.place.eq(self.c2c_place)]
        if self.config.superlanes > 1:
            m.d.comb += placed.powered.eq(self.powered)
        self._hand_on(m, placed, moving_ports(self.links))
        self._connect_streams(m, placed)
        faults += self._operand_faults(placed, self._first_c2c, C2C_QUEUES)
        return placed

    def _hand_on(self, m: Module, placed: Any, ports: dict[str, Member]) -> None:
        """Ports that the site and its tile have alike."""
        for name, port in ports.items():
            inner, outer = getattr(placed, name), getattr(self, name)
            m.d.comb += outer.eq(inner) if port.flow == Out else inner.eq(outer)

    def _connect_streams(self, m: Module, placed: Any) -> None:
        for side in "ew":
            m.d.comb += getattr(placed, f"{side}_present").eq(getattr(self, f"{side}_present_in"))
            inputs, words = stream.words(placed, side, self.config), stream.words(self, f"{side}_in", self.config)
            m.d.comb += [port.eq(word) for port, word in zip(inputs, words, strict=True)]

    def _operand_faults(self, placed: Any, first: int, queues: int) -> list[stream.Fault]:
        """Operands of a tile's queues that were not there, or that could not be set right."""
        found = [_fault(placed.absent[i], first + i, tile.OPERAND_ABSENT) for i in range(queues)]
        if self.config.ecc:
            found += [_fault(placed.uncorrectable[i], first + i, tile.ECC_UNCORRECTABLE) for i in range(queues)]
        return found


def _fault(valid: Value, queue: int, kind: int) -> stream.Fault:
    return stream.Fault(valid, Const(queue, tile.QUEUE_BITS), Const(kind, tile.KIND_BITS))
