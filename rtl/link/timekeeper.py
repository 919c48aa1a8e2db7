"""A chip without its datapath: counters, an aligner, and the ends of its links (docs/links.md, section 3)."""

from amaranth.hdl import Array, Module, Signal
from amaranth.lib.wiring import Component, In, Out

from rtl.counters import COUNTER_BITS, DELTA_BITS, Counters
from rtl.link.aligner import JITTER, Aligner
from rtl.link.code import NUMBER_BITS, WORD_BITS
from rtl.link.elastic import ElasticBuffer
from rtl.link.meter import COUNT_BITS, OFFSETS_BITS, SAMPLES, TRIPS_BITS, LinkMeter
from rtl.link.receive import LinkReceive
from rtl.link.transmit import LinkTransmit
from rtl.stamp import Stamp, stamp
from tsp.config import ChipConfig

PARENT_BITS = 4
LINK_BUFFER = 2


class Timekeeper(Component):
    """What a chip of many needs to have their time. Its vectors are zeros.

    Attributes:
        hac_fast, hac_slow: in, further steps of the HAC, for tests. align, absorb: in, see
            :class:`rtl.counters.Counters`.
        child: in, the HAC follows the one that comes on link ``parent``.
        measure_trips, measure_offsets: in, a pulse begins the measurement on all links.
        carry, hac, sac, delta: out, see :class:`rtl.counters.Counters`. silent: see
            :class:`rtl.link.aligner.Aligner`.
        received_clk_<i>, received_word_<i>: in, what comes on link i. sent_<i>: out, the word on its pins.
        send_<i>, take_<i>: in, a SEND or a RECEIVE of link i is dispatched. ready_good_<i>: out, a vector is there.
        latency_<i>: in, nominal L of what comes. trips_<i>, trips_sum_<i>, offsets_<i>, offsets_sum_<i>: out, see
            :class:`rtl.link.meter.LinkMeter`.
    """

    module_name = "timekeeper"

    def __init__(self, config: ChipConfig, links: int, jitter: int = JITTER, samples: int = SAMPLES):
        self.config, self.links, self.jitter, self.samples = config, links, jitter, samples
        inputs = dict.fromkeys(("hac_fast", "hac_slow", "align", "absorb", "child"), 1)
        inputs |= {"parent": PARENT_BITS, "measure_trips": 1, "measure_offsets": 1}
        outputs = {"carry": 1, "silent": 1, "hac": COUNTER_BITS, "sac": COUNTER_BITS, "delta": DELTA_BITS}
        into = {"received_clk": 1, "received_word": WORD_BITS, "latency": COUNTER_BITS, "send": 1, "take": 1}
        out_of = {"sent": WORD_BITS, "ready_good": 1, "trips": COUNT_BITS, "trips_sum": TRIPS_BITS}
        out_of |= {"offsets": COUNT_BITS, "offsets_sum": OFFSETS_BITS}
        for i in range(links):
            inputs |= {f"{name}_{i}": width for name, width in into.items()}
            outputs |= {f"{name}_{i}": width for name, width in out_of.items()}
        super().__init__(
            {name: In(width) for name, width in inputs.items()} | {name: Out(width) for name, width in outputs.items()}
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.counters = counters = Counters(self.config)
        m.submodules.aligner = aligner = Aligner(self.config.hac_period, self.jitter)
        epochs = Signal(NUMBER_BITS)
        self._epoch_next = (epochs + counters.carry)[:NUMBER_BITS]
        m.d.sync += epochs.eq(self._epoch_next)
        m.d.comb += [
            counters.hac_fast.eq(aligner.hac_fast | self.hac_fast),
            counters.hac_slow.eq(aligner.hac_slow | self.hac_slow),
            counters.align.eq(self.align),
            counters.absorb.eq(self.absorb),
            self.silent.eq(aligner.silent),
            aligner.enable.eq(self.child),
        ]
        for name in ("carry", "hac", "sac", "delta"):
            m.d.comb += getattr(self, name).eq(getattr(counters, name))
        meters = [self._end(m, i, counters) for i in range(self.links)]
        for name in ("stamp_valid", "stamp", "arrival", "latency"):
            m.d.comb += getattr(aligner, name).eq(Array(getattr(meter, name) for meter in meters)[self.parent])
        return m

    def _end(self, m: Module, i: int, counters: Counters) -> LinkMeter:
        """Link i: what comes is buffered, read and measured, and probes are answered."""
        superlanes = self.config.superlanes
        m.submodules[f"buffer_{i}"] = buffer = stamp(ElasticBuffer(superlanes), f"buffer_{i}")
        m.submodules[f"receive_{i}"] = receive = stamp(LinkReceive(superlanes, LINK_BUFFER), f"receive_{i}")
        m.submodules[f"transmit_{i}"] = transmit = stamp(LinkTransmit(superlanes), f"transmit_{i}")
        m.submodules[f"meter_{i}"] = meter = LinkMeter(self.config.hac_period, self.samples)
        m.d.comb += [
            buffer.received_clk.eq(getattr(self, f"received_clk_{i}")),
            buffer.received_word.eq(getattr(self, f"received_word_{i}")),
            receive.valid.eq(buffer.valid),
            receive.word.eq(buffer.word),
            receive.hac_now.eq(counters.hac),
            receive.take.eq(getattr(self, f"take_{i}")),
            getattr(self, f"ready_good_{i}").eq(receive.ready_good),
            transmit.send.eq(getattr(self, f"send_{i}")),
            transmit.hac_next.eq(counters.hac_next),
            transmit.epoch_next.eq(self._epoch_next),
            getattr(self, f"sent_{i}").eq(transmit.tx),
            meter.latency.eq(getattr(self, f"latency_{i}")),
            meter.epoch.eq(counters.carry),
        ]
        self._measure(m, receive, meter, transmit)
        for name in ("measure_trips", "measure_offsets"):
            m.d.comb += getattr(meter, name).eq(getattr(self, name))
        for name in ("trips", "trips_sum", "offsets", "offsets_sum"):
            m.d.comb += getattr(self, f"{name}_{i}").eq(getattr(meter, name))
        return meter

    def _measure(self, m: Module, receive: Stamp, meter: LinkMeter, transmit: Stamp) -> None:
        m.d.comb += [
            meter.stamp_valid.eq(receive.hac_valid),
            meter.stamp.eq(receive.hac),
            meter.arrival.eq(receive.hac_arrival),
            meter.probe_came.eq(receive.probe_valid),
            meter.reflection_came.eq(receive.reflect_valid),
            meter.tag.eq(receive.tag),
        ]
        for name in ("probe", "reflect"):
            for suffix in ("valid", "tag"):
                m.d.comb += getattr(transmit, f"{name}_{suffix}").eq(getattr(meter, f"{name}_{suffix}"))
            m.d.comb += getattr(meter, f"{name}_taken").eq(getattr(transmit, f"{name}_taken"))
