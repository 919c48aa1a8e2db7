"""A superlane: one row of tiles, the SRs between them, and a station. One module serves every superlane."""

from functools import lru_cache
from typing import Any

from amaranth.hdl import Cat, Const, Module, Value
from amaranth.lib.wiring import Component, In, Member, Out

from rtl import fetch, station, stream, tile
from rtl.fetch import FetchPath, fetching_sites
from rtl.flips import moving_flip_ports
from rtl.mem import MemSite
from rtl.mxm import MxmSite
from rtl.stamp import Stamp, ports_of, stamp
from rtl.station import Station
from rtl.sxm import SxmSite
from rtl.sxm.site import moving_ports
from rtl.vxm import VxmSite
from tsp import isa_rules
from tsp.config import ChipConfig
from tsp.floorplan import Queue, Site, floorplan

EVENTS = ("stream_event", "write_event")
BESIDE = ("plane_", "pair_", "across_")
"""Ports of a site to what stands beside all superlanes begin so."""



def commanded_queues(config: ChipConfig) -> list[Queue]:
    """Queues whose instructions go to tiles."""
    return [queue for queue in floorplan(config).queues if isa_rules.payload_bits(queue.kind, config)]


def working_links(config: ChipConfig, site: Site) -> int:
    """Links at a site; none without the feature ``c2c``."""
    return config.links(site.hemisphere) if config.c2c and site.unit == "sxm" else 0


def link_ports(config: ChipConfig, site: Site) -> dict[str, Member]:
    """What passes a site on its way between links and tiles: ``<side>_<site>_<rest>`` of ``<side>_<rest>`` of
    :func:`rtl.sxm.site.moving_ports`."""
    name = identifier(site.name)
    found = {}
    for port, member in moving_ports(working_links(config, site)).items():
        side, rest = port.split("_", 1)
        found[f"{side}_{name}_{rest}"] = member
    return found


def site_component(config: ChipConfig, site: Site) -> Component | None:
    """What stands at a site; None at an edge without planes."""
    if site.unit == "mem":
        return MemSite(config)
    if site.unit == "vxm":
        return VxmSite(config)
    if site.unit == "sxm":
        return SxmSite(config, working_links(config, site))
    planes = config.planes(site.hemisphere)
    return MxmSite(config, planes) if planes else None


def identifier(name: str) -> str:
    """A floorplan's name as part of a Verilog name."""
    return name.replace(".", "_")


@lru_cache(maxsize=16)
def beside_ports(config: ChipConfig) -> dict[str, dict[str, Member]]:
    """Ports between sites and what stands beside all superlanes, MXM planes and the part of an SXM that crosses them:
    site name → port of the site → its flow as the site sees it."""
    found = {}
    for site in floorplan(config).sites:
        component = site_component(config, site) if site.unit in ("mxm", "sxm") else None
        if component is not None:
            component._MustUse__used = True
            members = component.signature.members
            beside = {name: port for name, port in members.items() if name.startswith(BESIDE)}
            found |= {site.name: beside} if beside else {}
    return found


class Superlane(Component):
    """One superlane. T is the schedule time of this superlane, ``time``.

    Ports:
        instr_<q>_valid, instr_<q>, north_<q>_valid, north_<q>: of queue q of the chip, in T and T + 1.
        time, number, north_time, power, north_power, south_request_*, north_request_*, north_answer_*, south_answer_*,
            south_fault_*, north_fault_*: see :class:`rtl.station.Station`.
        south_flip_*, north_flip_*, south_corrected, north_corrected: the same, with feature ``ecc``.
        stream_event, write_event: those of all sites ORed.
        south_<site>_receive_<q>, …: with feature ``c2c``, :func:`link_ports` of the SXM sites.
        <site>_plane_<p>_*, <site>_across_*: the ports of that site to row ``number`` of its plane p, and across
            superlanes.
    """

    module_name = "superlane"
    structural = True

    def __init__(self, config: ChipConfig):
        self.config = config
        ports: dict[str, Member] = {"time": In(tile.TIME_BITS), "number": In(tile.SUPERLANE_BITS)}
        ports |= {"north_time": Out(tile.TIME_BITS)} | {name: Out(1) for name in EVENTS}
        ports |= station.power_ports(config)
        for queue in commanded_queues(config):
            ports |= tile.instruction_ports(queue.kind, str(queue.index))
        ports |= station.request_ports(config, In, "south_request")
        ports |= station.request_ports(config, Out, "north_request")
        answer = tile.answer_bits(config) * config.beats
        ports |= station.answer_ports(In, "north_answer", answer) | station.answer_ports(Out, "south_answer", answer)
        ports |= moving_flip_ports(config, In, "south_flip") | moving_flip_ports(config, Out, "north_flip")
        ports |= station.corrected_ports(config, In, "south") | station.corrected_ports(config, Out, "north")
        ports |= station.fault_ports(In, "south_fault") | station.fault_ports(Out, "north_fault")
        for site, members in beside_ports(config).items():
            ports |= {f"{identifier(site)}_{name}": member for name, member in members.items()}
        for site in fetching_sites(config):
            name = identifier(site.name)
            ports |= fetch.command_ports(In, f"south_{name}") | fetch.command_ports(Out, f"north_{name}")
            ports |= fetch.word_ports(In, f"north_{name}") | fetch.word_ports(Out, f"south_{name}")
        for site in floorplan(config).sites:
            ports |= link_ports(config, site)
        super().__init__(ports)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.station = self._station = stamp(Station(self.config), "station")
        sites = []
        for site in floorplan(self.config).sites:
            component = site_component(self.config, site)
            name = identifier(site.name)
            placed = None if component is None else stamp(component, name)
            if placed is not None:
                m.submodules[name] = placed
                self._connect(m, site, placed)
            sites.append(placed)
        self._connect_station(m)
        self._connect_fetches(m, sites)
        self._connect_streams(sites)
        for event in EVENTS:
            reported = [getattr(site, event) for site in sites if hasattr(site, event)]
            m.d.comb += getattr(self, event).eq(Cat(reported).any())
        return m

    def _connect_station(self, m: Module) -> None:
        for name, (port, is_input) in ports_of(self).items():
            if hasattr(self._station, name):
                inner = getattr(self._station, name)
                m.d.comb += inner.eq(port) if is_input else port.eq(inner)

    def _connect(self, m: Module, site: Site, placed: Stamp) -> None:
        """Instructions, time, place, host, faults and plane of one site."""
        station_ = self._station
        plan = floorplan(self.config)
        commanded = [queue for queue in commanded_queues(self.config) if queue.site == site.index]
        powered = self._station.powered if self.config.superlanes > 1 else None
        for number, queue in enumerate(commanded):
            # Sums of the rows north of an unpowered one pass it, so its tile must know of every ABC. Of an unpowered
            # superlane zeros are sent.
            masked = powered if queue.kind not in ("mxm_activations", "c2c") else None
            tile.connect_instruction(m, self, placed, str(queue.index), str(number), masked)
        if hasattr(placed, "powered"):
            m.d.comb += placed.powered.eq(powered)
        if hasattr(placed, "time"):
            m.d.comb += placed.time.eq(self.time)
        if hasattr(placed, "place"):
            m.d.comb += placed.place.eq(next(slice_.index for slice_ in plan.slices if slice_.site == site.index))
        if hasattr(placed, "c2c_place"):
            m.d.comb += placed.c2c_place.eq(plan.slice(f"c2c.{site.hemisphere}").index)
        for port, member in link_ports(self.config, site).items():
            outer, inner = getattr(self, port), getattr(placed, port.replace(f"_{identifier(site.name)}", "", 1))
            m.d.comb += inner.eq(outer) if member.flow == In else outer.eq(inner)
        if hasattr(placed, "host_select"):
            m.d.comb += placed.host_select.eq(station_.select)
            for name in tile.host_request(self.config):
                if name != "host_select":
                    request = name.replace("host", "north_request")
                    m.d.comb += getattr(placed, name).eq(getattr(station_, request))
            m.d.comb += getattr(station_, f"site_{site.index}_answer_valid").eq(placed.host_rvalid)
            m.d.comb += getattr(station_, f"site_{site.index}_answer_data").eq(placed.host_rdata)
        fetches = bool(fetch.fetching_queues(self.config, site))
        for name in [*tile.site_fault_ports(), *tile.corrected_ports(self.config)]:
            if hasattr(placed, name) and not fetches:
                m.d.comb += getattr(station_, f"site_{site.index}_{name}").eq(getattr(placed, name))
        for name in stream.flip_ports(self.config):
            valid = name == "flip_valid"
            flip = getattr(station_, f"site_{site.index}_flip_valid" if valid else f"north_{name}")
            m.d.comb += getattr(placed, name).eq(flip)
        for name, member in beside_ports(self.config).get(site.name, {}).items():
            inner, outer = getattr(placed, name), getattr(self, f"{identifier(site.name)}_{name}")
            m.d.comb += inner.eq(outer) if member.flow == In else outer.eq(inner)

    def _connect_fetches(self, m: Module, sites: list[Any]) -> None:
        """A path to the queues beside every site that has some; the site's faults go through it."""
        for site in fetching_sites(self.config):
            name, placed = identifier(site.name), sites[site.index]
            m.submodules[f"{name}_fetch"] = path = stamp(FetchPath(self.config), f"{name}_fetch")
            for side, i in (("e", site.index - 1), ("w", site.index + 1)):
                source = sites[i] if 0 <= i < len(sites) else None
                inputs = [f"{side}_present", *(f"{side}_{n}" for n in range(self.config.streams))]
                self._bind_streams(source, "" if i in (0, len(sites) - 1) else side, path, inputs)
            moving = fetch.command_ports(In, "south") | fetch.command_ports(Out, "north")
            moving |= fetch.word_ports(In, "north") | fetch.word_ports(Out, "south")
            for port, member in moving.items():
                side, rest = port.split("_", 1)
                outer, inner = getattr(self, f"{side}_{name}_{rest}"), getattr(path, port)
                m.d.comb += inner.eq(outer) if member.flow == In else outer.eq(inner)
            for port in [*tile.site_fault_ports(), *tile.corrected_ports(self.config)]:
                if hasattr(placed, port):
                    m.d.comb += getattr(path, f"site_{port}").eq(getattr(placed, port))
                m.d.comb += getattr(self._station, f"site_{site.index}_{port}").eq(getattr(path, port))

    def _connect_streams(self, sites: list[Any]) -> None:
        """Eastward streams go from each site to the next, westward ones back. At an edge without planes none enter."""
        for west, east in zip(sites, sites[1:], strict=False):
            self._connect_direction(west, east, "e", east is sites[-1], west is sites[0])
            self._connect_direction(east, west, "w", west is sites[0], east is sites[-1])

    def _connect_direction(
        self, source: Any, target: Any, side: str, to_edge: bool, from_edge: bool
    ) -> None:
        if target is None:
            return
        self._bind_streams(source, "" if from_edge else side, target, self._stream_ports("in", "" if to_edge else side))

    def _bind_streams(self, source: Any, side: str, target: Any, inputs: list[str]) -> None:
        """What leaves a site enters ``inputs``: presence, then the words; nothing does where there is no site."""
        outputs = self._stream_ports("out", side)
        for out, into in zip(outputs, inputs, strict=True):
            width = len(Value.cast(getattr(target, into)))
            target.bind(into, Const(0, width) if source is None else Value.cast(getattr(source, out)))

    def _stream_ports(self, flow: str, side: str) -> list[str]:
        words = [f"{side}_{flow}_{i}" if side else f"{flow}_{i}" for i in range(self.config.streams)]
        return [f"{side}_present_{flow}" if side else f"{flow}_present", *words]
