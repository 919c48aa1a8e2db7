"""The links of a chip, in its south: their ends, the aligner of its HAC, and what its C2C queues ask of them."""

from functools import reduce
from operator import or_

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib.wiring import Component, In, Member, Out

from rtl import station, tile
from rtl.c2c.bundle import ADDRESS_BITS, ARRIVAL, DATA_BITS, LINK_BITS, RECEIVE, REGISTER_BITS
from rtl.c2c.control import Hemisphere, Issue, Taken
from rtl.counters import COUNTER_BITS
from rtl.link.aligner import Aligner
from rtl.link.elastic import ElasticBuffer
from rtl.link.meter import LinkMeter
from rtl.link.receive import LinkReceive
from rtl.link.transmit import LinkTransmit
from rtl.stamp import Stamp, stamp
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
        self._registers(m)
        self._receives, self._transmits, self._meters = [], [], []
        for link in self.links:
            self._end(m, link.name, link.index)
        self._align(m)
        self._read(m)
        queue_faults = [fault for h in self.hemispheres for fault in self._obey(m, h)]
        self._report(m, queue_faults)
        return m

    def _written(self, register: int, link: int | None = None) -> Value:
        at = self.write & (self.write_address[:REGISTER_BITS] == register)
        return at if link is None else at & (self.write_address[REGISTER_BITS:] == link)

    def _registers(self, m: Module) -> None:
        """What the host sets: whom the HAC follows, and what is begun anew."""
        self._child, self._parent = Signal(name="child"), Signal(LINK_BITS, name="parent")
        self._flush, self._epochs = Signal(name="flush"), Signal(COUNTER_BITS, name="epochs")
        m.d.sync += self._flush.eq(self._written(TIME) & self.write_data[16])
        with m.If(self._written(TIME)):
            m.d.sync += [self._child.eq(self.write_data[0]), self._parent.eq(self.write_data[8 : 8 + LINK_BITS])]
        with m.If(self.carry):
            m.d.sync += self._epochs.eq(self._epochs + 1)

    def _end(self, m: Module, name: str, index: int) -> None:
        """One link: what comes is buffered, read and measured; what leaves is SENDs' vectors and idle words."""
        m.submodules[f"elastic_{name}"] = elastic = stamp(ElasticBuffer(self.config.superlanes), f"elastic_{name}")
        receive = stamp(LinkReceive(self.config.superlanes, self.config.link_buffer), f"receive_{name}")
        m.submodules[f"receive_{name}"] = receive
        m.submodules[f"transmit_{name}"] = transmit = stamp(LinkTransmit(self.config.superlanes), f"transmit_{name}")
        m.submodules[f"meter_{name}"] = meter = LinkMeter(self.config.hac_period)
        latency = Signal(COUNTER_BITS, name=f"latency_{name}")
        with m.If(self._written(LATENCY, index)):
            m.d.sync += latency.eq(self.write_data)
        measure = self._written(MEASURE, index)
        m.d.comb += [
            elastic.received_clk.eq(getattr(self, f"rx_{name}_clk")),
            elastic.received_word.eq(getattr(self, f"rx_{name}")),
            receive.valid.eq(elastic.valid),
            receive.word.eq(elastic.word),
            receive.hac_now.eq(self.hac),
            receive.flush.eq(self._flush),
            receive.clear.eq(measure & self.write_data[2]),
            transmit.word_valid.eq(getattr(self, f"word_{name}_valid")),
            transmit.word.eq(getattr(self, f"word_{name}")),
            transmit.hac_next.eq(self.hac_next),
            transmit.epoch_next.eq(self._epochs + self.carry),
            transmit.flush.eq(self._flush),
            getattr(self, f"tx_{name}").eq(transmit.tx),
            meter.latency.eq(latency),
            meter.epoch.eq(self.carry),
            meter.stamp_valid.eq(receive.hac_valid),
            meter.stamp.eq(receive.hac),
            meter.arrival.eq(receive.hac_arrival),
            meter.probe_came.eq(receive.probe_valid),
            meter.reflection_came.eq(receive.reflect_valid),
            meter.tag.eq(receive.tag),
            meter.measure_trips.eq(measure & self.write_data[0]),
            meter.measure_offsets.eq(measure & self.write_data[1]),
        ]
        for kind in ("probe", "reflect"):
            m.d.comb += [
                getattr(transmit, f"{kind}_valid").eq(getattr(meter, f"{kind}_valid")),
                getattr(transmit, f"{kind}_tag").eq(getattr(meter, f"{kind}_tag")),
                getattr(meter, f"{kind}_taken").eq(getattr(transmit, f"{kind}_taken")),
            ]
        arrival = getattr(self, f"arrive_{name}")
        m.d.comb += [
            getattr(self, f"arrive_{name}_valid").eq(receive.north_valid),
            arrival.superlane.eq(receive.north_superlane),
            arrival.slot.eq(receive.north_slot),
            arrival.data.eq(receive.north_word),
        ]
        self._receives.append(receive)
        self._transmits.append(transmit)
        self._meters.append(meter)

    def _align(self, m: Module) -> None:
        m.submodules.aligner = self._aligner = aligner = Aligner(self.config.hac_period)
        m.d.comb += [
            aligner.enable.eq(self._child),
            self.hac_fast.eq(aligner.hac_fast),
            self.hac_slow.eq(aligner.hac_slow),
        ]
        for name in ("stamp_valid", "stamp", "arrival", "latency"):
            chosen = Array(getattr(meter, name) for meter in self._meters)[self._parent]
            m.d.comb += getattr(aligner, name).eq(chosen)

    def _read(self, m: Module) -> None:
        """The register that the host reads."""
        number, link = self.read_address[:REGISTER_BITS], self.read_address[REGISTER_BITS:]
        with m.If(number == TIME):
            of_time = Cat(self._child, Const(0, 7), self._parent, Const(0, 8 - LINK_BITS), self._aligner.silent)
            m.d.comb += self.read_data.eq(of_time)
        for i, (meter, receive) in enumerate(zip(self._meters, self._receives, strict=True)):
            offsets = Signal(signed(32), name=f"offsets_sum_{self.links[i].name}")
            m.d.comb += offsets.eq(meter.offsets_sum)
            shown = {
                LATENCY: meter.latency,
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
            receive = self._receives[link.index]
            m.d.comb += [
                self._transmits[link.index].send.eq(asked.send[link.number]),
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
        came = reduce(or_, (receive.north_valid for receive in self._receives))
        silent = Signal(name="silent_before")
        m.d.sync += silent.eq(self._aligner.silent)
        general = [
            (reduce(or_, (receive.overrun for receive in self._receives)), LINK_OVERRUN),
            (self._aligner.silent & ~silent, LINK_SILENT),
            (came & ~self.running, LINK_UNEXPECTED),
        ]
        faults = list(of_queues)
        for valid, kind in general:
            faults.append(Fault(valid, Const(NO_QUEUE, station.CHIP_QUEUE_BITS), Const(kind, tile.KIND_BITS)))
        own = tile.first_fault(faults, station.CHIP_QUEUE_BITS)
        order, icu = Cat(own.kind, own.queue), Cat(self.icu_fault_kind, self.icu_fault_queue)
        mine = Signal(name="own_fault_first")
        m.d.comb += [
            mine.eq(own.valid & (~self.icu_fault_valid | (order < icu))),
            self.fault_valid.eq(own.valid | self.icu_fault_valid),
            Cat(self.fault_kind, self.fault_queue).eq(Mux(mine, order, icu)),
        ]


def _taken(receive: Stamp) -> Taken:
    """What a link's receive buffer gave."""
    flips = Cat(
        Cat(flip.valid, flip.superlane, Const(0, tile.SUPERLANE_BITS - len(flip.superlane)), flip.bit)
        for flip in (receive.taken_flip_0, receive.taken_flip_1)
    )
    return Taken(receive.taken_valid, receive.taken_good, receive.taken_slot, flips)
