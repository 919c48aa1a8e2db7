"""What keeps time at a link's end, side by side in one module: elastic buffer, meter and aligner."""

from amaranth.hdl import ClockSignal, EnableInserter, Module
from amaranth.lib.wiring import Component, In

from rtl.link.aligner import Aligner
from rtl.link.elastic import ElasticBuffer
from rtl.link.meter import LinkMeter

SAMPLES = 8
"""Of a measurement."""


class LinkTimeParts(Component):
    """Ports: those of the three, of which the aligner and the meter share some inputs. ``received_clk`` is the clock
    itself; in cycles with ``received_holds`` or ``holds`` the writing or the reading side of the buffer stands still,
    as if that clock were the slower."""

    module_name = "link_time_parts"

    def __init__(self, superlanes: int, period: int):
        self.superlanes, self.period = superlanes, period
        self._parts = {
            "elastic": ElasticBuffer(superlanes),
            "meter": LinkMeter(period, SAMPLES),
            "aligner": Aligner(period),
        }
        ports = {"holds": In(1), "received_holds": In(1)}
        for part in self._parts.values():
            ports |= {name: port for name, port in part.signature.members.items() if name != "received_clk"}
        super().__init__(ports)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        ticks = EnableInserter({"sync": ~self.holds, "received": ~self.received_holds})
        for name, part in self._parts.items():
            m.submodules[name] = ticks(part) if name == "elastic" else part
            for port, member in part.signature.members.items():
                near = getattr(part, port)
                far = ClockSignal() if port == "received_clk" else getattr(self, port)
                m.d.comb += near.eq(far) if member.flow == In else far.eq(near)
        return m
