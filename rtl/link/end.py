"""One end of a link: elastic buffer, receiver, transmitter and meter, joined as they are in every chip."""

from collections.abc import Sequence

from amaranth.hdl import Array, Module, Signal, Value

from rtl.link.aligner import Aligner
from rtl.link.code import NUMBER_BITS
from rtl.link.elastic import ElasticBuffer
from rtl.link.meter import SAMPLES, LinkMeter
from rtl.link.receive import LinkReceive
from rtl.link.transmit import LinkTransmit
from rtl.stamp import stamp


class LinkEnd:
    """The parts of a link's end, placed in a module; what is not joined here is for whoever places it.

    Args:
        m: where they stand.
        name: of the link; the parts are ``buffer_<name>`` …
        superlanes, link_buffer, period: of the chip. samples: see :class:`rtl.link.meter.LinkMeter`.
    """

    def __init__(self, m: Module, name: str, superlanes: int, link_buffer: int, period: int, samples: int = SAMPLES):
        self.buffer = stamp(ElasticBuffer(superlanes), f"buffer_{name}")
        self.receive = stamp(LinkReceive(superlanes, link_buffer), f"receive_{name}")
        self.transmit = stamp(LinkTransmit(superlanes), f"transmit_{name}")
        self.meter = LinkMeter(period, samples)
        for part in ("buffer", "receive", "transmit", "meter"):
            m.submodules[f"{part}_{name}"] = getattr(self, part)
        m.d.comb += [
            self.receive.valid.eq(self.buffer.valid),
            self.receive.word.eq(self.buffer.word),
            self.meter.stamp_valid.eq(self.receive.hac_valid),
            self.meter.stamp.eq(self.receive.hac),
            self.meter.arrival.eq(self.receive.hac_arrival),
            self.meter.probe_came.eq(self.receive.probe_valid),
            self.meter.reflection_came.eq(self.receive.reflect_valid),
            self.meter.tag.eq(self.receive.tag),
        ]
        for kind in ("probe", "reflect"):
            for suffix in ("valid", "tag"):
                m.d.comb += getattr(self.transmit, f"{kind}_{suffix}").eq(getattr(self.meter, f"{kind}_{suffix}"))
            m.d.comb += getattr(self.meter, f"{kind}_taken").eq(getattr(self.transmit, f"{kind}_taken"))

    def join(self, m: Module, clk: Value, word: Value, tx: Value, latency: Value, fraction: Value) -> None:
        """The pins, and the nominal latency of what comes, in cycles and 32nds of one."""
        self.fraction = fraction
        m.d.comb += [
            self.buffer.received_clk.eq(clk),
            self.buffer.received_word.eq(word),
            tx.eq(self.transmit.tx),
            self.meter.latency.eq(latency),
        ]


def keep_time(m: Module, ends: Sequence[LinkEnd], aligner: Aligner, hac: Value, hac_next: Value, carry: Value,
              parent: Value) -> None:  # fmt: skip
    """Give all ends the chip's time, and the aligner what comes on the link with the number ``parent``.

    ``hac``, ``hac_next``, ``carry``: of :class:`rtl.counters.Counters`.
    """
    epochs, epoch_next = Signal(NUMBER_BITS, name="epochs"), Signal(NUMBER_BITS, name="epoch_next")
    m.d.comb += epoch_next.eq(epochs + carry)
    m.d.sync += epochs.eq(epoch_next)
    for end in ends:
        m.d.comb += [
            end.receive.hac_now.eq(hac),
            end.transmit.hac_next.eq(hac_next),
            end.transmit.epoch_next.eq(epoch_next),
        ]
    for name in ("stamp_valid", "stamp", "arrival", "latency"):
        m.d.comb += getattr(aligner, name).eq(Array(getattr(end.meter, name) for end in ends)[parent])
    m.d.comb += aligner.fraction.eq(Array(end.fraction for end in ends)[parent])
