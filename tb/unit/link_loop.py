"""A link's sending end and a link's receiving end with a wire between them that turns bits over and loses words."""

from amaranth.hdl import Module, Mux
from amaranth.lib.wiring import Component, In

from rtl.link.receive import LinkReceive
from rtl.link.transmit import LinkTransmit
from rtl.stamp import stamp

SLOTS = 8
"""Of the receive buffer."""
_WIRED = ("valid", "word")


class LinkLoop(Component):
    """Ports: those of :class:`LinkTransmit` and of :class:`LinkReceive`, some with another name. The receiver gets no
    word without ``here``, and else what is on the pins, or zeros with ``replace``, XOR ``error`` (128)."""

    module_name = "link_loop"
    structural = True

    def __init__(self, superlanes: int):
        self.superlanes = superlanes
        self._transmit, self._receive = LinkTransmit(superlanes), LinkReceive(superlanes, SLOTS)
        ports = dict(self._transmit.signature.members)
        ports |= {_named(name): port for name, port in self._receive.signature.members.items() if name not in _WIRED}
        super().__init__(ports | {"here": In(1), "replace": In(1), "error": In(128)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.transmit = transmit = stamp(self._transmit, "transmit")
        m.submodules.receive = receive = stamp(self._receive, "receive")
        m.d.comb += [receive.valid.eq(self.here), receive.word.eq(Mux(self.replace, 0, self.tx) ^ self.error)]
        for inner, members in ((transmit, self._transmit), (receive, self._receive)):
            for name, port in members.signature.members.items():
                if inner is receive and name in _WIRED:
                    continue
                outer = getattr(self, _named(name) if inner is receive else name)
                near = getattr(inner, name)
                m.d.comb += near.eq(outer) if port.flow == In else outer.eq(near)
        return m


def _named(name: str) -> str:
    """What the receiving end's ports are called where the sending end has one of that name."""
    return {"flush": "forget", "probe_valid": "probe_comes", "reflect_valid": "reflection_comes"}.get(name, name)
