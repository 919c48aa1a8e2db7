"""The chip: ICU, superlanes from south to north, what stands beside them all, host port."""

from collections.abc import Mapping

from amaranth.hdl import Const, Module, ResetSignal, Signal, Value
from amaranth.lib.wiring import Component, In, Member, Out

from rtl import beats, fetch, station
from rtl.c2c.links import Links, c2c_queues, pin_ports
from rtl.ecc import CHECK_BITS
from rtl.fetch import fetching_sites
from rtl.flips import FlipQueue, moving_flip_ports
from rtl.host_port import ADDRESS_BITS, HostPort
from rtl.icu import Icu, linked_hemispheres
from rtl.mxm import MxmFp16Plane, MxmPlane
from rtl.stamp import Stamp, stamp
from rtl.stream import WORD_BITS
from rtl.superlane import Superlane, beside_ports, commanded_queues, identifier, link_ports
from rtl.sxm import SxmAcross
from tsp.config import ChipConfig
from tsp.floorplan import Site, floorplan


class Chip(Component):
    """A whole chip. No flow control: see docs/architecture.md, section 8.

    Every input is registered: a reset and a step of the HAC take effect one cycle later, accesses of the host two.

    Ports: the host port, test inputs ``hac_fast``, ``hac_slow``, and the status bits ``done``, ``running``, ``fault``.
    With several clocks a cycle also ``last_beat``, an output: inputs are taken at the end of a clock in which it is
    high, and must be there in that clock; outputs stay from one such clock to the next. With feature ``c2c`` the pins
    of the links too, :func:`rtl.c2c.links.pin_ports`; what is received is not registered: its clock is another one.
    """

    module_name = "chip"
    structural = True
    counts_beats = True

    def __init__(self, config: ChipConfig):
        self.config = config
        inputs = {"host_write": 1, "host_read": 1, "host_address": ADDRESS_BITS, "host_wdata": WORD_BITS}
        inputs |= {"hac_fast": 1, "hac_slow": 1}
        outputs = {"last_beat": 1} if config.beats > 1 else {}
        outputs |= {"host_rvalid": 1, "host_rdata": WORD_BITS, "done": 1, "running": 1, "fault": 1}
        super().__init__(
            {name: In(width) for name, width in inputs.items()}
            | {name: Out(width) for name, width in outputs.items()}
            | pin_ports(config)
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # Logic between inputs and registers is evaluated twice a cycle, and a reset is in front of every register.
        self._reset = Signal(name="reset", reset_less=True)
        m.d[beats.domain(self.config.beats)] += self._reset.eq(ResetSignal())
        if self.config.beats > 1:
            beats.count(m, self.config.beats)
            m.d.comb += self.last_beat.eq(beats.last_beat(self.config.beats))
        m.submodules.host_port = host = stamp(HostPort(self.config), "host_port", self._reset)
        m.submodules.icu = icu = stamp(Icu(self.config), "icu", self._reset)
        rows = [stamp(Superlane(self.config), f"superlane_{k}", self._reset) for k in range(self.config.superlanes)]
        for k, row in enumerate(rows):
            m.submodules[f"superlane_{k}"] = row
            m.d.comb += row.number.eq(k)
        if self.config.c2c:
            m.submodules.links = self._links = stamp(Links(self.config), "links", self._reset)
        self._connect_host(m, host, icu)
        self._connect_south(m, host, icu, rows[0])
        for site in fetching_sites(self.config):
            self._connect_fetch(m, identifier(site.name), icu, rows)
        if self.config.ecc:
            self._connect_flips(m, host, icu, rows[0])
            m.d.comb += host.corrected.eq(rows[-1].north_corrected)
        if self.config.c2c:
            self._connect_links(m, host, icu, rows)
        for south, north in zip(rows, rows[1:], strict=False):
            self._connect_rows(south, north)
        m.d.comb += host.fault_time.eq(rows[-1].north_time)
        for name in station.fault_ports(In, "fault"):
            m.d.comb += getattr(host, name).eq(getattr(rows[-1], f"north_{name}"))
        for site, members in beside_ports(self.config).items():
            self._place_beside(m, site, members, rows)
        return m

    def _connect_host(self, m: Module, host: Stamp, icu: Stamp) -> None:
        for name in ("host_write", "host_read", "host_address", "host_wdata"):
            m.d.comb += getattr(host, name).eq(getattr(self, name))
        for name in ("host_rvalid", "host_rdata", "done", "running", "fault"):
            m.d.comb += getattr(self, name).eq(getattr(host, name))
        for name in ("push_valid", "push_queue", "push_word", "start"):
            m.d.comb += getattr(icu, name).eq(getattr(host, name))
        for name in ("idle", "now", "hac", "sac", "delta"):
            m.d.comb += getattr(host, name).eq(getattr(icu, name))
        for name in ("hac_fast", "hac_slow"):
            # A clock in reset defines it; a cycle of several may not end in reset.
            step = Signal(name=f"{name}_now", reset_less=self.config.beats == 1)
            m.d.sync += step.eq(getattr(self, name))
            m.d.comb += getattr(icu, name).eq(step | getattr(self._links, name) if self.config.c2c else step)

    def _connect_south(self, m: Module, host: Stamp, icu: Stamp, row: Stamp) -> None:
        """The southernmost superlane takes its instructions and time from the ICU and the host's requests."""
        m.d.comb += row.time.eq(icu.now)
        if self.config.superlanes > 1:
            m.d.comb += row.power.eq(icu.power)
        for queue in commanded_queues(self.config):
            for suffix in ("_valid", ""):
                name = f"instr_{queue.index}{suffix}"
                sends = queue.kind == "c2c" and suffix == "_valid"
                row.bind(name, getattr(self._links, f"send_{queue.index}") if sends else getattr(icu, name))
        for name in station.request_ports(self.config, In, "request"):
            m.d.comb += getattr(row, f"south_{name}").eq(getattr(host, name))
        for name in station.answer_ports(In, "answer", 0):
            m.d.comb += getattr(host, name).eq(getattr(row, f"south_{name}"))
        for name in station.fault_ports(In, "fault"):
            first = self._links if self.config.c2c else icu
            m.d.comb += getattr(row, f"south_{name}").eq(getattr(first, name))
        m.d.comb += [host.stream_event.eq(row.stream_event), host.write_event.eq(row.write_event)]

    def _connect_fetch(self, m: Module, site: str, icu: Stamp, rows: list[Stamp]) -> None:
        """IFETCHes of a site go north from the ICU, and the words south to it."""
        for port in fetch.command_ports(In, "fetch"):
            name = port.removeprefix("fetch_")
            rows[0].bind(f"south_{site}_{name}", getattr(icu, f"{site}_{name}"))
            for south, north in zip(rows, rows[1:], strict=False):
                north.bind(f"south_{site}_{name}", getattr(south, f"north_{site}_{name}"))
        for port in fetch.word_ports(In, "fetch"):
            name = port.removeprefix("fetch_")
            m.d.comb += getattr(icu, f"{site}_{name}").eq(getattr(rows[0], f"south_{site}_{name}"))
            for south, north in zip(rows, rows[1:], strict=False):
                south.bind(f"north_{site}_{name}", getattr(north, f"south_{site}_{name}"))

    def _connect_links(self, m: Module, host: Stamp, icu: Stamp, rows: list[Stamp]) -> None:
        """The links' pins, what they and the ICU and the host tell each other, and words that go north and south."""
        links = self._links
        for name, member in pin_ports(self.config).items():
            inner, outer = getattr(links, name), getattr(self, name)
            m.d.comb += inner.eq(outer) if member.flow == In else outer.eq(inner)
        for queue in c2c_queues(self.config):
            for suffix in ("_valid", ""):
                name = f"instr_{queue.index}{suffix}"
                m.d.comb += getattr(links, name).eq(getattr(icu, name))
        for h in linked_hemispheres(self.config):
            m.d.comb += getattr(icu, f"link_ready_{h}").eq(getattr(links, f"ready_{h}"))
        m.d.comb += [
            *(getattr(links, name).eq(getattr(icu, name)) for name in ("hac", "hac_next", "carry")),
            *(getattr(links, f"icu_{name}").eq(getattr(icu, name)) for name in station.fault_ports(In, "fault")),
            links.running.eq(host.running),
            links.write.eq(host.link_write),
            links.write_address.eq(host.link_write_address),
            links.write_data.eq(host.push_word),
            links.read_address.eq(host.link_read_address),
            host.link_read_data.eq(links.read_data),
        ]
        for site in floorplan(self.config).sites:
            for port, member in link_ports(self.config, site).items():
                self._connect_moving(m, site, port, member, rows)

    def _connect_moving(self, m: Module, site: Site, port: str, member: Member, rows: list[Stamp]) -> None:
        """One port of :func:`rtl.superlane.link_ports` between neighbouring superlanes, and to the links in the south.

        In the far north nothing comes in, and what goes out is lost.
        """
        if member.flow != In:
            return
        side = port.split("_", 1)[0]
        order, away = (rows, "north") if side == "south" else (rows[::-1], "south")
        other = port.replace(side, away, 1)
        for nearer, further in zip(order, order[1:], strict=False):
            further.bind(port, getattr(nearer, other))
        inner = port.replace(f"{side}_{identifier(site.name)}_", "", 1)
        what, number, *valid = inner.split("_")
        suffix = "_valid" if valid else ""
        if side == "north":
            rows[-1].bind(port, Const(0, len(Value.cast(getattr(rows[-1], port)))))
            source = getattr(rows[0], other)
            m.d.comb += getattr(self._links, f"word_{site.hemisphere}{number}{suffix}").eq(source)
        elif what == "arrive":
            rows[0].bind(port, getattr(self._links, f"arrive_{site.hemisphere}{number}{suffix}"))
        else:
            queue = floorplan(self.config).queue(f"c2c.{site.hemisphere}{number}")
            rows[0].bind(port, getattr(self._links, f"receive_{queue.index}{suffix}"))

    def _connect_flips(self, m: Module, host: Stamp, icu: Stamp, row: Stamp) -> None:
        """Flips of words on streams wait in the south and go north with schedule time."""
        m.submodules.flips = flips = stamp(FlipQueue(self.config), "flips", self._reset)
        m.d.comb += [
            flips.mask_write.eq(host.flip_mask),
            flips.push.eq(host.flip_push),
            flips.address.eq(host.request_address[:CHECK_BITS]),
            flips.data.eq(host.push_word),
            flips.now.eq(icu.now),
        ]
        for name in moving_flip_ports(self.config, In, "flip"):
            m.d.comb += getattr(row, f"south_{name}").eq(getattr(flips, name))

    def _connect_rows(self, south: Stamp, north: Stamp) -> None:
        north.bind("time", south.north_time)
        north.bind("power", south.north_power)
        for queue in commanded_queues(self.config):
            for suffix in ("_valid", ""):
                north.bind(f"instr_{queue.index}{suffix}", getattr(south, f"north_{queue.index}{suffix}"))
        northward = [*station.request_ports(self.config, In, "request"), *station.fault_ports(In, "fault")]
        northward += moving_flip_ports(self.config, In, "flip")
        northward += ["corrected"] if self.config.ecc else []
        for name in northward:
            north.bind(f"south_{name}", getattr(south, f"north_{name}"))
        for name in station.answer_ports(In, "answer", 0):
            south.bind(f"north_{name}", getattr(north, f"south_{name}"))

    def _place_beside(self, m: Module, site: str, members: Mapping[str, Member], rows: list[Stamp]) -> None:
        """What stands beside all superlanes at a site: port ``<prefix><x>`` of superlane k's meets port ``<x>_<k>``."""
        beside: dict[str, Component]
        if site.startswith("mxm"):
            beside = {f"plane_{plane}_": MxmPlane(self.config) for plane in range(self.config.planes(site[-1]))}
            if self.config.multiplies_fp16(site[-1]):
                self._place_pair(m, site, members, rows)
        else:
            beside = {"across_": SxmAcross(self.config)}
        for prefix, component in beside.items():
            name = f"{identifier(site)}_{prefix.removesuffix('_')}"
            m.submodules[name] = placed = stamp(component, name, self._reset)
            for port, member in members.items():
                if port.startswith(prefix):
                    for k, row in enumerate(rows):
                        ends = (placed, f"{port.removeprefix(prefix)}_{k}"), (row, f"{identifier(site)}_{port}")
                        (source, output), (target, into) = ends if member.flow == In else reversed(ends)
                        target.bind(into, getattr(source, output))

    def _place_pair(self, m: Module, site: str, members: Mapping[str, Member], rows: list[Stamp]) -> None:
        """The array that multiplies fp16: it has ports of its own to a superlane, and sees what goes to the planes."""
        name = f"{identifier(site)}_pair"
        m.submodules[name] = placed = MxmFp16Plane(self.config, self._reset)
        for port, member in members.items():
            for k, row in enumerate(rows):
                inner, outer = f"{port}_{k}", f"{identifier(site)}_{port}"
                if member.flow == In and port.startswith("pair_"):
                    row.bind(outer, getattr(placed, inner))
                elif member.flow == Out and hasattr(placed, inner):
                    m.d.comb += getattr(placed, inner).eq(getattr(row, outer))
