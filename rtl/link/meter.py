"""What a link's ends measure: round trips, and how far HACs are apart on arrival (docs/links.md, section 3)."""

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.counters import COUNTER_BITS
from rtl.link.aligner import hac_error

SAMPLES = 256
"""A measurement has so many round trips, or epochs; software divides the sum."""

QUARTERS = 4
"""Words of an epoch that are taken to measure L_eff."""

COUNT_BITS = 9
TAG_BITS = 16

HELD = 6
"""Cycles of a round trip in which nothing is on its way, if the reflection's channel is idle: at both ends two from a
word's arrival to its report (LinkReceive), at the far one two from there to the pins."""

TIMEOUT = 4096
"""Cycles after which a probe is given up: an idle word may be dropped on the way, or be wrong."""
TRIPS_BITS = 21
OFFSET_COUNT_BITS = COUNT_BITS + (QUARTERS - 1).bit_length()
OFFSETS_BITS = COUNTER_BITS + OFFSET_COUNT_BITS


class LinkMeter(wiring.Component):
    """One end of a link. It reflects what the other end probes, at any time.

    *Round trips*: probes with numbers, one at a time; each counts the chip's own cycles, which are never stepped, from
    the cycle in which the probe is on the pins to that of ``reflection_came``. That is twice the mean latency, and
    :data:`HELD`.

    *Offsets*: errors of good HACs, L + stamp - own HAC at arrival within half a period of 0, the first good one of each
    quarter of the sender's epochs. L_eff is L less the mean. (Of a time of this chip's the first would too often be
    one that comes late, as there are no words for a while before it.)

    Attributes:
        measure_trips, measure_offsets: in, a pulse begins a measurement anew. It ends with its last sample.
        latency: in, nominal L of what arrives.
        stamp_valid, stamp, arrival: in, a good HAC, see :class:`rtl.link.aligner.Aligner`.
        probe_came, reflection_came: in, a good probe or reflection was read, with the number ``tag``.
        probe_valid, probe_tag, reflect_valid, reflect_tag: out, registers, held until ``probe_taken`` or
            ``reflect_taken``, in: the next idle word is to be this probe or reflection, which is on the pins in the
            next cycle.
        trips, trips_sum: out, registers: how many round trips were measured, at most ``samples``, and their cycles in
            all. offsets, offsets_sum: out, registers: likewise the errors, of ``samples`` epochs.
    """

    measure_trips: In(1)
    measure_offsets: In(1)
    latency: In(COUNTER_BITS)
    stamp_valid: In(1)
    stamp: In(COUNTER_BITS)
    arrival: In(COUNTER_BITS)
    probe_came: In(1)
    reflection_came: In(1)
    tag: In(TAG_BITS)
    probe_valid: Out(1)
    probe_tag: Out(TAG_BITS)
    probe_taken: In(1)
    reflect_valid: Out(1)
    reflect_tag: Out(TAG_BITS)
    reflect_taken: In(1)
    trips: Out(COUNT_BITS)
    trips_sum: Out(TRIPS_BITS)
    offsets: Out(OFFSET_COUNT_BITS)
    offsets_sum: Out(signed(OFFSETS_BITS))

    def __init__(self, period: int, samples: int = SAMPLES):
        self.period, self.samples = period, samples
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        with m.If(self.probe_came):
            m.d.sync += [self.reflect_valid.eq(1), self.reflect_tag.eq(self.tag)]
        with m.Elif(self.reflect_taken):
            m.d.sync += self.reflect_valid.eq(0)
        self._trips(m)
        self._offsets(m)
        return m

    def _trips(self, m: Module) -> None:
        """A probe is offered until it is taken, and waited for until it is back or given up."""
        waiting = Signal()
        age = Signal(range(TIMEOUT))
        back = waiting & self.reflection_came & (self.tag == self.probe_tag)
        lost = waiting & age.all() & ~back
        m.d.sync += age.eq(age + 1)
        with m.If(self.measure_trips):
            m.d.sync += [self.trips.eq(0), self.trips_sum.eq(0), waiting.eq(0)]
        with m.Elif(self.probe_valid & self.probe_taken):
            m.d.sync += [self.probe_valid.eq(0), waiting.eq(1), age.eq(0)]
        with m.Elif(back):
            m.d.sync += [self.trips.eq(self.trips + 1), self.trips_sum.eq(self.trips_sum + age), waiting.eq(0)]
        with m.Elif(lost):
            m.d.sync += waiting.eq(0)
        # A reflection of an earlier probe that comes late is none of this one's.
        with m.If(self.measure_trips | lost | (back & (self.trips != self.samples - 1))):
            m.d.sync += [self.probe_valid.eq(1), self.probe_tag.eq(self.probe_tag + 1)]

    def _offsets(self, m: Module) -> None:
        bits = (self.period - 1).bit_length()
        quarter = self.stamp[:bits][-(QUARTERS - 1).bit_length() :]
        last = Signal.like(quarter, name="last_quarter")
        more = self.offsets != QUARTERS * self.samples
        error = hac_error(self.period, self.stamp, self.latency, self.arrival)
        with m.If(self.measure_offsets):
            m.d.sync += [self.offsets.eq(0), self.offsets_sum.eq(0)]
        with m.Elif(self.stamp_valid & (quarter != last) & more):
            m.d.sync += [self.offsets.eq(self.offsets + 1), self.offsets_sum.eq(self.offsets_sum + error)]
        with m.If(self.stamp_valid):
            m.d.sync += last.eq(quarter)
