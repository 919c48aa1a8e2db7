"""A chip without its datapath: counters, an aligner, and the ends of its links (docs/links.md, section 3)."""

from amaranth.hdl import Module
from amaranth.lib.wiring import Component, In, Out

from rtl.counters import COUNTER_BITS, DELTA_BITS, Counters
from rtl.link.aligner import FRACTION_BITS, JITTER, Aligner
from rtl.link.code import WORD_BITS
from rtl.link.end import LinkEnd, keep_time
from rtl.link.meter import COUNT_BITS, OFFSET_COUNT_BITS, OFFSETS_BITS, SAMPLES, TRIPS_BITS
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
        latency_<i>, fraction_<i>: in, nominal L of what comes, see :class:`rtl.link.aligner.Aligner`. trips_<i>,
            trips_sum_<i>, offsets_<i>, offsets_sum_<i>: out, see :class:`rtl.link.meter.LinkMeter`.
    """

    def __init__(self, config: ChipConfig, links: int, jitter: int = JITTER, samples: int = SAMPLES):
        self.config, self.links, self.jitter, self.samples = config, links, jitter, samples
        self.module_name = f"timekeeper_{links}"
        inputs = dict.fromkeys(("hac_fast", "hac_slow", "align", "absorb", "child"), 1)
        inputs |= {"parent": PARENT_BITS, "measure_trips": 1, "measure_offsets": 1}
        outputs = {"carry": 1, "silent": 1, "hac": COUNTER_BITS, "sac": COUNTER_BITS, "delta": DELTA_BITS}
        into = {"received_clk": 1, "received_word": WORD_BITS, "latency": COUNTER_BITS, "fraction": FRACTION_BITS}
        into |= {"send": 1, "take": 1}
        out_of = {"sent": WORD_BITS, "ready_good": 1, "trips": COUNT_BITS, "trips_sum": TRIPS_BITS}
        out_of |= {"offsets": OFFSET_COUNT_BITS, "offsets_sum": OFFSETS_BITS}
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
        ends = [self._end(m, i) for i in range(self.links)]
        keep_time(m, ends, aligner, counters.hac, counters.hac_next, counters.carry, self.parent)
        return m

    def _end(self, m: Module, i: int) -> LinkEnd:
        """Link i: what comes is buffered, read and measured, and probes are answered."""
        end = LinkEnd(m, str(i), self.config.superlanes, LINK_BUFFER, self.config.hac_period, self.samples)
        pins = ("received_clk", "received_word", "sent", "latency", "fraction")
        end.join(m, *(getattr(self, f"{name}_{i}") for name in pins))
        m.d.comb += [
            end.receive.take.eq(getattr(self, f"take_{i}")),
            getattr(self, f"ready_good_{i}").eq(end.receive.ready_good),
            end.transmit.send.eq(getattr(self, f"send_{i}")),
        ]
        for name in ("measure_trips", "measure_offsets"):
            m.d.comb += getattr(end.meter, name).eq(getattr(self, name))
        for name in ("trips", "trips_sum", "offsets", "offsets_sum"):
            m.d.comb += getattr(self, f"{name}_{i}").eq(getattr(end.meter, name))
        return end
