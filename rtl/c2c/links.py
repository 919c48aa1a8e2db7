"""The links of a chip, in its south: their ends, the aligner of its HAC, and what its C2C queues ask of them."""

from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Const, Module, Signal, Value, signed
from amaranth.lib.wiring import Component, In, Member, Out

from rtl import station, tile
from rtl.c2c.bundle import ADDRESS_BITS, ARRIVAL, DATA_BITS, LINK_BITS, RECEIVE, REGISTER_BITS
from rtl.c2c.control import Hemisphere, Issue, Taken
from rtl.counters import COUNTER_BITS
from rtl.link.aligner import FRACTION_BITS, Aligner
from rtl.link.end import LinkEnd, keep_time
from rtl.stamp import Stamp
from rtl.stream import WORD_BITS, Fault
from tsp import isa_rules
from tsp.config import ChipConfig
from tsp.floorplan import Queue, floorplan

LINK_OVERRUN, LINK_SILENT, LINK_UNEXPECTED = 12, 14, 15
NO_QUEUE = (1 << station.CHIP_QUEUE_BITS) - 1

TIME, LATENCY, MEASURE, TRIPS, OFFSETS, PACKETS, BUFFER = range(7)
"""Registers of a link: the low bits of an address in the host port's region 8, above them the link's number."""


def c2c_queues(config: ChipConfig) -> list[Queue]:
    """The C2C queues whose instructions the links obey."""
    found = floorplan(config).queues if config.c2c else []
    return [queue for queue in found if queue.kind == "c2c"]


def queue_ports(config: ChipConfig) -> dict[str, Member]:
    """``instr_<q>_valid``, ``instr_<q>``: in T, from the ICU. ``send_<q>``: in T, it goes on to superlane 0.
    ``receive_<q>_valid``, ``receive_<q>``: in T + 1, a RECEIVE goes there."""
    ports: dict[str, Member] = {}
    for queue in c2c_queues(config):
        q = queue.index
        ports |= {f"instr_{q}_valid": In(1), f"instr_{q}": In(isa_rules.payload_bits("c2c", config))}
        ports |= {f"send_{q}": Out(1), f"receive_{q}_valid": Out(1), f"receive_{q}": Out(RECEIVE)}
    return ports


def pin_ports(config: ChipConfig) -> dict[str, Member]:
    """``tx_<link>``: out, a word in every cycle. ``rx_<link>``, ``rx_<link>_clk``: in, a word and the clock it has."""
    ports: dict[str, Member] = {}
    for link in floorplan(config).links:
        ports |= {f"tx_{link.name}": Out(WORD_BITS), f"rx_{link.name}": In(WORD_BITS), f"rx_{link.name}_clk": In(1)}
    return ports


class Links(Component):
    """All links. T is schedule time of superlane 0.

    Ports:
        :func:`queue_ports`, :func:`pin_ports`.
        word_<l>_valid, word_<l>: in, from superlane 0: a SEND's word, in T + 2·k + 1 superlane k's. arrive_<l>_valid,
            arrive_<l>: out, to superlane 0: a word that came.
        ready_w, ready_e: out, one bit per link of a hemisphere that has some: its oldest vector is good.
        hac, hac_next, carry: in, from the ICU; hac_fast, hac_slow: out, registers, steps that the aligner asks for.
        running: in, a program runs.
        write, write_address, write_data: in, the host writes a register. read_address, read_data: what it reads, in the
            same cycle.
        icu_fault_*: in, in T + 1; fault_*: out, in T + 1: the first of the ICU's faults and those of links.
    """

    module_name = "links"

    def __init__(self, config: ChipConfig):
        self.config = config
        self.links = floorplan(config).links
        self.hemispheres = [h for h in "we" if config.links(h)]
        ports = queue_ports(config) | pin_ports(config)
        for link in self.links:
            ports |= {f"word_{link.name}_valid": In(1), f"word_{link.name}": In(WORD_BITS)}
            ports |= {f"arrive_{link.name}_valid": Out(1), f"arrive_{link.name}": Out(ARRIVAL)}
        ports |= {f"ready_{h}": Out(config.links(h)) for h in self.hemispheres}
        ports |= {"hac": In(COUNTER_BITS), "hac_next": In(COUNTER_BITS), "carry": In(1), "running": In(1)}
        ports |= {"hac_fast": Out(1), "hac_slow": Out(1)}
        ports |= {"write": In(1), "write_address": In(ADDRESS_BITS), "write_data": In(DATA_BITS)}
        ports |= {"read_address": In(ADDRESS_BITS), "read_data": Out(DATA_BITS)}
        super().__init__(ports | station.fault_ports(In, "icu_fault") | station.fault_ports(Out, "fault"))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        self._child, self._parent = Signal(name="child"), Signal(LINK_BITS, name="parent")
        m.submodules.aligner = self._aligner = aligner = Aligner(self.config.hac_period)
        m.d.comb += [
            aligner.enable.eq(self._child),
            self.hac_fast.eq(aligner.hac_fast),
            self.hac_slow.eq(aligner.hac_slow),
        ]
        flush = Signal(name="flush")
        m.d.sync += flush.eq(self._written(TIME) & self.write_data[16])
        with m.If(self._written(TIME)):
            m.d.sync += [self._child.eq(self.write_data[0]), self._parent.eq(self.write_data[8 : 8 + LINK_BITS])]
        self._ends = [self._end(m, link.name, link.index, flush) for link in self.links]
        keep_time(m, self._ends, aligner, self.hac, self.hac_next, self.carry, self._parent)
        self._read(m)
        self._report(m, [fault for h in self.hemispheres for fault in self._obey(m, h)])
        return m

    def _written(self, register: int, link: int | None = None) -> Value:
        at = self.write & (self.write_address[:REGISTER_BITS] == register)
        return at if link is None else at & (self.write_address[REGISTER_BITS:] == link)

    def _end(self, m: Module, name: str, index: int, flush: Value) -> LinkEnd:
        """One link: what comes is buffered, read and measured; what leaves is SENDs' vectors and idle words."""
        end = LinkEnd(m, name, self.config.superlanes, self.config.link_buffer, self.config.hac_period)
        latency = Signal(COUNTER_BITS, name=f"latency_{name}")
        fraction = Signal(FRACTION_BITS, name=f"fraction_{name}")
        with m.If(self._written(LATENCY, index)):
            m.d.sync += Cat(latency, fraction).eq(self.write_data)
        rx, clk, tx = (getattr(self, port) for port in (f"rx_{name}", f"rx_{name}_clk", f"tx_{name}"))
        end.join(m, clk, rx, tx, latency, fraction)
        measure, arrival = self._written(MEASURE, index), getattr(self, f"arrive_{name}")
        m.d.comb += [
            end.receive.flush.eq(flush),
            end.receive.clear.eq(measure & self.write_data[2]),
            end.transmit.flush.eq(flush),
            end.transmit.word_valid.eq(getattr(self, f"word_{name}_valid")),
            end.transmit.word.eq(getattr(self, f"word_{name}")),
            end.meter.measure_trips.eq(measure & self.write_data[0]),
            end.meter.measure_offsets.eq(measure & self.write_data[1]),
            getattr(self, f"arrive_{name}_valid").eq(end.receive.north_valid),
            arrival.superlane.eq(end.receive.north_superlane),
            arrival.slot.eq(end.receive.north_slot),
            arrival.data.eq(end.receive.north_word),
        ]
        return end

    def _read(self, m: Module) -> None:
        """The register that the host reads."""
        number, link = self.read_address[:REGISTER_BITS], self.read_address[REGISTER_BITS:]
        with m.If(number == TIME):
            of_time = Cat(self._child, Const(0, 7), self._parent, Const(0, 8 - LINK_BITS), self._aligner.silent)
            m.d.comb += self.read_data.eq(of_time)
        for i, end in enumerate(self._ends):
            meter, receive = end.meter, end.receive
            offsets = Signal(signed(32), name=f"offsets_sum_{self.links[i].name}")
            m.d.comb += offsets.eq(meter.offsets_sum)
            shown = {
                LATENCY: Cat(meter.latency, end.fraction),
                TRIPS: Cat(meter.trips, Const(0, 32 - len(meter.trips)), meter.trips_sum),
                OFFSETS: Cat(meter.offsets, Const(0, 32 - len(meter.offsets)), offsets),
                PACKETS: Cat(receive.corrected, receive.bad),
                BUFFER: Cat(receive.occupancy, Const(0, 16 - len(receive.occupancy)), receive.slack),
            }
            for register, value in shown.items():
                with m.If((link == i) & (number == register)):
                    m.d.comb += self.read_data.eq(value)

    def _obey(self, m: Module, h: str) -> list[Fault]:
        """The C2C queues of a hemisphere; returns their faults, by queue and kind, in T + 1."""
        queues = [queue for queue in c2c_queues(self.config) if queue.hemisphere == h]
        links = [link for link in self.links if link.hemisphere == h]
        issues = [Issue(getattr(self, f"instr_{q.index}_valid"), getattr(self, f"instr_{q.index}")) for q in queues]
        asked = Hemisphere(m, h, self.config.superlanes, issues, len(links))
        given = []
        for link in links:
            end = self._ends[link.index]
            receive = end.receive
            m.d.comb += [
                end.transmit.send.eq(asked.send[link.number]),
                receive.take.eq(asked.take[link.number]),
                getattr(self, f"ready_{h}")[link.number].eq(receive.ready_good),
            ]
            given.append(_taken(receive))
        faults = []
        for number, queue in enumerate(queues):
            goes, command, found = asked.receive(number, given)
            m.d.comb += [
                getattr(self, f"send_{queue.index}").eq(asked.sends_of(number)),
                getattr(self, f"receive_{queue.index}_valid").eq(goes),
                getattr(self, f"receive_{queue.index}").eq(command),
            ]
            faults += [Fault(fault.valid, Const(queue.index, station.CHIP_QUEUE_BITS), fault.kind) for fault in found]
        return faults

    def _report(self, m: Module, of_queues: list[Fault]) -> None:
        """The first of all faults of T: by queue, then by kind."""
        came = reduce(or_, (end.receive.north_valid for end in self._ends))
        silent = Signal(name="silent_before")
        m.d.sync += silent.eq(self._aligner.silent)
        general = [
            (reduce(or_, (end.receive.overrun for end in self._ends)), LINK_OVERRUN),
            (self._aligner.silent & ~silent, LINK_SILENT),
            (came & ~self.running, LINK_UNEXPECTED),
        ]
        faults = list(of_queues)
        for valid, kind in general:
            faults.append(Fault(valid, Const(NO_QUEUE, station.CHIP_QUEUE_BITS), Const(kind, tile.KIND_BITS)))
        icu = Fault(self.icu_fault_valid, self.icu_fault_queue, self.icu_fault_kind)
        tile.report_first(m, self, tile.first_fault(faults, station.CHIP_QUEUE_BITS), icu)


def _taken(receive: Stamp) -> Taken:
    """What a link's receive buffer gave."""
    flips = Cat(
        Cat(flip.valid, flip.superlane, Const(0, tile.SUPERLANE_BITS - len(flip.superlane)), flip.bit)
        for flip in (receive.taken_flip_0, receive.taken_flip_1)
    )
    return Taken(receive.taken_valid, receive.taken_good, receive.taken_slot, flips)
