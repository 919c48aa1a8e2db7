"""What every superlane does beside its tiles: pass on time, the host's request, the host's answers and the faults."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib.wiring import Component, In, Member, Out

from rtl import beats, tile
from rtl.flips import moving_flip_ports
from rtl.stream import Fault, unreset_register
from rtl.tile import SUPERLANE_BITS
from tsp import isa
from tsp.config import ChipConfig
from tsp.floorplan import floorplan

CHIP_QUEUE_BITS = 8
CHIP_CORRECTED_BITS = 16
"""For the words that a whole chip corrects in a cycle T."""


def request_ports(config: ChipConfig, flow, prefix: str) -> dict[str, Member]:  # type: ignore[no-untyped-def]
    """The host's request between superlanes: ``<prefix>_valid``, ``_superlane`` and the request of a tile."""
    widths = {"valid": 1, "superlane": SUPERLANE_BITS}
    widths |= {name.removeprefix("host_"): width for name, width in tile.host_request(config).items()}
    return {f"{prefix}_{name}": flow(width) for name, width in widths.items() if name != "select"}


def answer_ports(flow, prefix: str, bits: int) -> dict[str, Member]:  # type: ignore[no-untyped-def]
    """``<prefix>_valid``, ``<prefix>_data``: an answer to the host on its way south."""
    return {f"{prefix}_valid": flow(1), f"{prefix}_data": flow(bits)}


def fault_ports(flow, prefix: str) -> dict[str, Member]:  # type: ignore[no-untyped-def]
    """``<prefix>_valid``, ``_queue``, ``_kind``: the first fault of one cycle T of all superlanes so far."""
    widths = {"valid": 1, "queue": CHIP_QUEUE_BITS, "kind": tile.KIND_BITS}
    return {f"{prefix}_{name}": flow(width) for name, width in widths.items()}


def corrected_ports(config: ChipConfig, flow, prefix: str) -> dict[str, Member]:  # type: ignore[no-untyped-def]
    """``<prefix>_corrected``, with feature ``ecc``: words corrected in one cycle T by all superlanes so far."""
    return {f"{prefix}_corrected": flow(CHIP_CORRECTED_BITS)} if config.ecc else {}


def power_ports(config: ChipConfig) -> dict[str, Member]:
    """``power``, ``north_power``: how many superlanes act, on the way north; none in a chip of one superlane."""
    if config.superlanes == 1:
        return {}
    return {"power": In(SUPERLANE_BITS), "north_power": Out(SUPERLANE_BITS, init=config.superlanes)}


class Station(Component):
    """The registers between one superlane and the next.

    What is valid in a cycle at an input is one cycle later at the output of the same meaning, so that things of one
    schedule time meet in every superlane.

    Ports:
        time, north_time: schedule time of this superlane in this cycle, and the next superlane's.
        number: this superlane's number.
        power, north_power: in T of this superlane's time and the next one's, how many superlanes act on instructions of
            T. powered: whether this one does. The three are absent in a chip of one superlane.
        south_request_* / north_request_*: the host's request. The tiles of this superlane see ``north_request_*``, and
            ``select`` when it is for them.
        site_<i>_answer_* (of a tile, a cycle after ``select``, in beats), north_answer_* / south_answer_*.
        site_<i>_fault_* (T_f + 1 of this superlane's time; the queue counted from the site's first), south_fault_* /
            north_fault_* (chip-wide queue): the lowest queue's lowest kind.
        With feature ``ecc``: south_flip_* / north_flip_* of a flip; the sites of this superlane see ``north_flip_*``,
            and ``site_<i>_flip_valid`` when it is for their SRs. site_<i>_corrected, south_corrected /
            north_corrected: words corrected, with the timing of faults.
    """

    module_name = "station"

    def __init__(self, config: ChipConfig):
        self.config = config
        self.sites = floorplan(config).sites
        ports: dict[str, Member] = {"time": In(tile.TIME_BITS), "north_time": Out(tile.TIME_BITS)}
        ports |= {"number": In(SUPERLANE_BITS), "select": Out(1)}
        ports |= power_ports(config) | ({"powered": Out(1)} if config.superlanes > 1 else {})
        ports |= request_ports(config, In, "south_request") | request_ports(config, Out, "north_request")
        answer = tile.answer_bits(config)
        ports |= answer_ports(In, "north_answer", answer * config.beats)
        ports |= answer_ports(Out, "south_answer", answer * config.beats)
        ports |= moving_flip_ports(config, In, "south_flip") | moving_flip_ports(config, Out, "north_flip")
        ports |= corrected_ports(config, In, "south") | corrected_ports(config, Out, "north")
        ports |= fault_ports(In, "south_fault") | fault_ports(Out, "north_fault")
        for site in self.sites:
            ports |= answer_ports(In, f"site_{site.index}_answer", answer)
            if config.ecc:
                ports |= {f"site_{site.index}_flip_valid": Out(1)}
                ports |= {f"site_{site.index}_corrected": In(tile.CORRECTED_BITS)}
            ports |= {f"site_{site.index}_{name}": In(port.shape) for name, port in tile.site_fault_ports().items()}
        super().__init__(ports)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.sync += unreset_register(m, self.north_time).eq(self.time)
        if self.config.superlanes > 1:
            m.d.sync += self.north_power.eq(self.power)
            m.d.comb += self.powered.eq(self.number < self.power)
        self._pass_request(m)
        self._pass_answer(m)
        self._pass_fault(m)
        if self.config.ecc:
            self._pass_flip(m)
            self._pass_corrected(m)
        return m

    def _pass_request(self, m: Module) -> None:
        m.d.sync += self.north_request_valid.eq(self.south_request_valid)
        targets = {
            name: unreset_register(m, getattr(self, name))
            for name in request_ports(self.config, Out, "north_request")
            if name != "north_request_valid"
        }
        with m.If(self.south_request_valid):
            for name, register in targets.items():
                m.d.sync += register.eq(getattr(self, name.replace("north", "south")))
        here = self.north_request_superlane == self.number
        m.d.comb += self.select.eq(self.north_request_valid & here)

    def _pass_answer(self, m: Module) -> None:
        valid: Value = Const(0)
        data: Value = Const(0, tile.answer_bits(self.config))
        for site in self.sites:
            valid = valid | getattr(self, f"site_{site.index}_answer_valid")
            data = data | getattr(self, f"site_{site.index}_answer_data")
        data = beats.whole(m, "answer", self.config.beats, data)
        own = Signal()
        m.d.comb += own.eq(valid)
        m.d.sync += self.south_answer_valid.eq(own | self.north_answer_valid)
        register = unreset_register(m, self.south_answer_data)
        with m.If(own | self.north_answer_valid):
            m.d.sync += register.eq(Mux(own, data, self.north_answer_data))

    def _pass_flip(self, m: Module) -> None:
        m.d.sync += self.north_flip_valid.eq(self.south_flip_valid)
        for name in moving_flip_ports(self.config, Out, "north_flip"):
            if name != "north_flip_valid":
                register = unreset_register(m, getattr(self, name))
                with m.If(self.south_flip_valid):
                    m.d.sync += register.eq(getattr(self, name.replace("north", "south")))
        here = self.north_flip_valid & (self.north_flip_superlane == self.number)
        # An SR's westward registers are the outputs of the site east of it.
        westward = self.north_flip_stream[isa.STREAM_DIRECTION_BIT]
        for site in self.sites:
            at_site = (self.north_flip_sr + westward) == site.index
            m.d.comb += getattr(self, f"site_{site.index}_flip_valid").eq(here & at_site)

    def _pass_corrected(self, m: Module) -> None:
        total: Value = self.south_corrected
        for site in self.sites:
            total = total + getattr(self, f"site_{site.index}_corrected")
        m.d.sync += self.north_corrected.eq(total)

    def _pass_fault(self, m: Module) -> None:
        own = tile.first_fault([self._site_fault(site.index) for site in self.sites], CHIP_QUEUE_BITS)
        own_order = Signal(CHIP_QUEUE_BITS + tile.KIND_BITS)
        m.d.comb += own_order.eq(Cat(own.kind, own.queue))
        south_order = Cat(self.south_fault_kind, self.south_fault_queue)
        raised = Signal()
        m.d.comb += raised.eq(own.valid | self.south_fault_valid)
        m.d.sync += self.north_fault_valid.eq(raised)
        queue = unreset_register(m, self.north_fault_queue)
        kind = unreset_register(m, self.north_fault_kind)
        with m.If(raised):
            south_first = self.south_fault_valid & (~own.valid | (south_order < own_order))
            m.d.sync += Cat(kind, queue).eq(Mux(south_first, south_order, own_order))

    def _site_fault(self, site: int) -> Fault:
        queues = floorplan(self.config).site_queues(site)
        first = queues[0].index if queues else 0
        queue = (getattr(self, f"site_{site}_fault_queue") + first)[:CHIP_QUEUE_BITS]
        return Fault(getattr(self, f"site_{site}_fault_valid"), queue, getattr(self, f"site_{site}_fault_kind"))
