"""The instruction control unit: all queues of a chip and what they share."""

from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl import fetch
from rtl.counters import COUNTER_BITS, DELTA_BITS
from rtl.fetch import fetching_sites
from rtl.icu_control import QUEUE_BITS, IcuControl
from rtl.icu_queue import IcuQueue
from rtl.stamp import stamp
from rtl.tile import KIND_BITS, SUPERLANE_BITS, TIME_BITS
from tsp import isa, isa_rules
from tsp.config import ChipConfig
from tsp.floorplan import Queue, Site, floorplan

PUSH_QUEUE_BITS = 12
"""The queue number in a host address."""


def linked_hemispheres(config: ChipConfig) -> list[str]:
    """Hemispheres with links that work."""
    return [h for h in "we" if config.c2c and config.links(h)]


class Icu(wiring.Component):
    """Holds a program and dispatches it to the southernmost tiles. T is a cycle's schedule time: ``now`` in that cycle.

    Attributes:
        push_valid, push_queue (12), push_word (128): in, append a word; a number that no queue has is ignored.
        start: in, one pulse. Words pushed up to that cycle dispatch from cycle 0 on; ``now`` is 0 in
            :data:`rtl.icu_control.START_CYCLES` cycles.
        hac_fast, hac_slow: in, this cycle's addition to the HAC is 2, 0.
        instr_<q>_valid, instr_<q>: out, registers, valid in T: an instruction for queue q's slice (its low
            ``payload_bits``). Queues without a payload have none.
        now (32): out, register: schedule time of superlane 0.
        power (6): out, register, in T: how many superlanes act on instructions of T. Absent in a chip of one.
        idle: out, register: no queue dispatches or waits, nor will before the next start.
        fault_valid, fault_queue (8), fault_kind (4): out, in T + 1 of a fault of T, the lowest queue's. T is ``now`` of
            the cycle before, which is not ``now - 1`` after a RUNTIME_DESKEW.
        <site>_command_*, <site>_word_*: with the feature ``ifetch``, of every site with queues; see
            :class:`rtl.fetch.FetchPath`. Valid in T; a word that comes in T + 1 can be dispatched in T + 5.
        link_ready_w, link_ready_e: in, one bit per link of a hemisphere that has some, with the feature ``c2c``: its
            oldest vector is good.
        carry, hac_next: out, see :class:`rtl.counters.Counters`, with the feature ``c2c``.
        hac (16), sac (16), delta (12, signed): out, the counters.
    """

    module_name = "icu"

    def __init__(self, config: ChipConfig):
        self.config = config
        self.queues = floorplan(config).queues
        super().__init__(
            self._fetch_ports()
            | {name: In(1) for name in ("push_valid", "start", "hac_fast", "hac_slow")}
            | {"push_queue": In(PUSH_QUEUE_BITS), "push_word": In(isa.WORD_BITS)}
            | self._instruction_ports()
            | ({"power": Out(SUPERLANE_BITS)} if config.superlanes > 1 else {})
            | ({f"link_ready_{h}": In(config.links(h)) for h in linked_hemispheres(config)})
            | ({"carry": Out(1), "hac_next": Out(COUNTER_BITS)} if config.c2c else {})
            | {
                "now": Out(TIME_BITS),
                "idle": Out(1),
                "fault_valid": Out(1),
                "fault_queue": Out(QUEUE_BITS),
                "fault_kind": Out(KIND_BITS),
                "hac": Out(COUNTER_BITS),
                "sac": Out(COUNTER_BITS),
                "delta": Out(signed(DELTA_BITS)),
            }
        )

    def _fetch_ports(self):
        ports = {}
        for site in fetching_sites(self.config):
            name = site.name.replace(".", "_")
            ports |= fetch.command_ports(Out, name) | fetch.word_ports(In, name)
        return ports

    def _instruction_ports(self):
        ports = {}
        for queue in self.queues:
            if payload := isa_rules.payload_bits(queue.kind, self.config):
                ports |= {f"instr_{queue.index}_valid": Out(1), f"instr_{queue.index}": Out(payload)}
        return ports

    def elaborate(self, platform):
        """Queues around the control unit."""
        m = Module()
        m.submodules.control = control = IcuControl(self.config, len(self.queues))
        for name in ("start", "hac_fast", "hac_slow"):
            m.d.comb += getattr(control, name).eq(getattr(self, name))
        for name in ("now", "idle", "hac", "sac", "delta"):
            m.d.comb += getattr(self, name).eq(getattr(control, name))
        for name in ("valid", "queue", "kind"):
            m.d.comb += getattr(self, f"fault_{name}").eq(getattr(control, f"fault_{name}"))
        queues = [self._queue(m, queue, control) for queue in self.queues]
        for name in ("notify", "deskew", "runtime_deskew", "illegal", "busy"):
            m.d.comb += getattr(control, name).eq(Cat(getattr(queue, name) for queue in queues))
        for site in fetching_sites(self.config):
            self._fetches(m, site, queues, control)
        if self.config.superlanes > 1:
            m.d.comb += [
                control.config.eq(reduce(or_, (queue.power for queue in queues))),
                self.power.eq(control.power),
            ]
        if self.config.c2c:
            m.d.comb += [
                control.poll.eq(Cat(getattr(queue, "poll", Const(0)) for queue in queues)),
                control.polled.eq(self._polled(queues)),
                self.carry.eq(control.carry),
                self.hac_next.eq(control.hac_next),
            ]
        m.d.comb += control.runtime_t.eq(reduce(or_, (queue.runtime_t for queue in queues)))
        return m

    def _polled(self, queues):
        """Every link that a queue polls has a good vector."""
        polled = Const(1)
        for h in linked_hemispheres(self.config):
            ready = getattr(self, f"link_ready_{h}")
            for place, queue in zip(self.queues, queues, strict=True):
                if place.kind == "c2c" and place.hemisphere == h:
                    polled = polled & (~queue.poll | (ready >> queue.poll_link)[0])
        return polled

    def _fetches(self, m: Module, site: Site, queues, control: IcuControl):
        """One IFETCH a cycle goes to a site, and a word a cycle comes from it."""
        name, members = site.name.replace(".", "_"), fetch.fetching_queues(self.config, site)
        placed = [queues[queue.index] for queue in members]
        wants = Cat(queue.fetch_valid for queue in placed)
        # Words of vectors that are read an even number of cycles apart, less than 2·S, meet.
        before = Signal(max(1, 2 * self.config.superlanes - 2), name=f"{name}_fetches")
        refused = Signal(name=f"{name}_refused")
        several, seen = Const(0, 1), Const(0, 1)
        for queue in placed:
            several, seen = several | (seen & queue.fetch_valid), seen | queue.fetch_valid
        command = {part: getattr(self, f"{name}_command_{part}") for part in ("valid", "queue", "stream")}
        word = {part: getattr(self, f"{name}_word_{part}") for part in ("valid", "queue", "data")}
        m.d.sync += before.eq(Cat(command["valid"], before))
        meets = before[1::2].any() if self.config.superlanes > 1 else Const(0)
        m.d.comb += [
            refused.eq(several | meets),
            command["valid"].eq(wants.any() & ~refused),
            command["queue"].eq(reduce(or_, (Mux(q.fetch_valid, n, 0) for n, q in enumerate(placed)))),
            command["stream"].eq(reduce(or_, (Mux(q.fetch_valid, q.fetch_stream, 0) for q in placed))),
        ]
        for number, (queue, at) in enumerate(zip(placed, members, strict=True)):
            m.d.comb += [
                queue.fetched_valid.eq(word["valid"] & (word["queue"] == number)),
                queue.fetched_word.eq(word["data"]),
                control.dry[at.index].eq(queue.dry),
                queue.fetch_refused.eq(queue.fetch_valid & refused),
                *([queue.whole.eq(control.whole)] if self.config.superlanes > 1 else []),
                control.path[at.index].eq(queue.fetch_valid & refused),
            ]

    def _queue(self, m: Module, place: Queue, control: IcuControl):
        leads = isa_rules.leads_pair(place, self.config)
        placed = stamp(IcuQueue(self.config, place.kind, place.hemisphere, leads), place.name.replace(".", "_"))
        m.submodules[f"queue_{place.index}"] = placed
        m.d.comb += [
            placed.push_valid.eq(self.push_valid & (self.push_queue == place.index)),
            placed.push_word.eq(self.push_word),
            placed.run.eq(control.run),
            placed.unpark.eq(control.unpark),
            placed.resume.eq(control.resume),
        ]
        if isa_rules.payload_bits(place.kind, self.config):
            m.d.comb += [
                getattr(self, f"instr_{place.index}_valid").eq(placed.instr_valid),
                getattr(self, f"instr_{place.index}").eq(placed.instr),
            ]
        return placed
