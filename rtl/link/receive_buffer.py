"""What waits for its RECEIVE: the order of slots, whether their vectors are good, and what is to be turned back."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import Component, In, Out

from rtl.link import code

COUNTER_BITS = 16
FLIPS_BITS = 2 * code.FLIP.size


class ReceiveBuffer(Component):
    """A queue of ``slots`` slots, used in turns; the vectors themselves are elsewhere. A is as in
    :class:`rtl.link.receive.LinkReceive`, which says what the ports that both have mean.

    Ports:
        full: out, no slot is left. entry_slot: out, the next one.
        enters: in, in A: the vector in that slot is whole. decided, good, flips: in, in A + 3: what became of it.
        taken_flips: out, register, in T + 1: ``flips`` of the vector taken.
    """

    SHOWN = ("taken_valid", "taken_good", "taken_slot", "ready_good", "occupancy", "slack")
    """Ports that LinkReceive shows as they are."""

    def __init__(self, slots: int):
        assert slots >= 2 and slots & (slots - 1) == 0, "slots are numbered by the low bits of counters"
        self.slots = slots
        slot = (slots - 1).bit_length()
        inputs = {"enters": 1, "decided": 1, "good": 1, "flips": FLIPS_BITS, "take": 1, "clear": 1, "flush": 1}
        outputs = {"full": 1, "entry_slot": slot, "taken_valid": 1, "taken_good": 1, "taken_slot": slot}
        outputs |= {"taken_flips": FLIPS_BITS, "ready_good": 1, "occupancy": slot + 1, "slack": COUNTER_BITS}
        ports = {name: In(shape) for name, shape in inputs.items()} | {
            name: Out(shape) for name, shape in outputs.items()
        }
        ports["slack"] = Out(COUNTER_BITS, init=(1 << COUNTER_BITS) - 1)
        super().__init__(ports)

    def elaborate(self, platform: object) -> Module:
        """Three counters with one bit more than a slot's number: vectors that came, were decided, and were taken."""
        m = Module()
        shape = range(2 * self.slots)
        entered, ready, taken = (Signal(shape, name=name) for name in ("entered", "ready", "taken"))
        used = Signal(shape, name="used")
        there, takes = Signal(name="there"), Signal(name="takes")
        m.d.comb += [
            used.eq(entered - taken),
            self.full.eq(used == self.slots),
            self.entry_slot.eq(entered),
            there.eq(ready != taken),
            takes.eq(self.take & there),
        ]
        for counter, moves in ((entered, self.enters), (ready, self.decided), (taken, takes)):
            with m.If(self.flush):
                m.d.sync += counter.eq(0)
            with m.Elif(moves):
                m.d.sync += counter.eq(counter + 1)
        m.submodules.goods = goods = Memory(shape=1, depth=self.slots, init=[])
        decide, oldest = goods.write_port(), goods.read_port(domain="comb")
        m.d.comb += [
            decide.en.eq(self.decided),
            decide.addr.eq(ready),
            decide.data.eq(self.good),
            oldest.addr.eq(taken),
            self.ready_good.eq(there & oldest.data),
        ]
        m.d.sync += [self.taken_valid.eq(takes), self.taken_good.eq(takes & self.ready_good), self.taken_slot.eq(taken)]
        self._keep(m, ready[:-1], taken[:-1], takes)
        self._watch(m, used)
        return m

    def _keep(self, m: Module, ready: Signal, taken: Signal, takes: Signal) -> None:
        """With the flips stands the cycle in which a RECEIVE that loses no time would show them."""
        m.submodules.memory = memory = Memory(shape=FLIPS_BITS + COUNTER_BITS, depth=self.slots, init=[])
        write, read = memory.write_port(), memory.read_port()
        self._now, self._since = Signal(COUNTER_BITS, name="now"), Signal(COUNTER_BITS, name="since")
        since = (self._now + 2)[:COUNTER_BITS]
        m.d.sync += self._now.eq(self._now + 1)
        m.d.comb += [
            write.en.eq(self.decided),
            write.addr.eq(ready),
            write.data.eq(self.flips | since << FLIPS_BITS),
            read.en.eq(takes),
            read.addr.eq(taken),
            self.taken_flips.eq(read.data),
            self._since.eq(read.data[FLIPS_BITS:]),
        ]

    def _watch(self, m: Module, used: Signal) -> None:
        waited = Signal(COUNTER_BITS, name="waited")
        m.d.comb += waited.eq(self._now - self._since)
        with m.If(self.clear):
            m.d.sync += [self.occupancy.eq(used), self.slack.eq(self.slack.init)]
        with m.Else():
            m.d.sync += self.occupancy.eq(Mux(used > self.occupancy, used, self.occupancy))
            with m.If(self.taken_valid & (waited < self.slack)):
                m.d.sync += self.slack.eq(waited)
