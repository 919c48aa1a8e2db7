"""SYNC and NOTIFY: who is parked goes on in one cycle, a barrier after the NOTIFY and at no other time."""

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from amaranth.hdl import Cat, Signal

from tb.formal.bench import PLAIN, Bench, Inside
from tb.formal.planted import Bug, Rtl
from tb.formal.proof import Proof
from tb.formal.sequencer import CUT, AnyWords, in_place_of_memory
from tsp import isa_rules
from tsp.config import ChipConfig
from tsp.floorplan import Queue, floorplan
from tsp.timing import timing

CONFIG = PLAIN.override(["mem_slices=8"])
BARRIER = timing(CONFIG).barrier
QUEUES = 3


class Watch:
    """Any one cycle T, and whether anybody notified in it; ``age``: cycles since, up to the barrier."""

    def __init__(self, bench: Bench, notifies: Any):
        m, mark = bench.m, bench.free(1, "mark")
        self.age, self.notified = Signal(range(BARRIER)), Signal()
        with m.If((self.age == 0) & mark):
            m.d.sync += [self.age.eq(1), self.notified.eq(notifies)]
        with m.Elif(self.age != 0):
            m.d.sync += self.age.eq(self.age + 1)
        with m.If(self.age == BARRIER - 1):
            m.d.sync += self.age.eq(0)
        self.ends = self.age == BARRIER - 1

    def invariants(self, bench: Bench, stages: Signal) -> None:
        """The NOTIFYs under way."""
        bench.invariant(stages.bit_select((self.age - 1)[: len(self.age)], 1) == self.notified, self.age != 0)
        bench.invariant(self.age < BARRIER)


def barrier(rtl: Rtl) -> Bench:
    """The unit beside the queues."""

    def build(bench: Bench) -> None:
        unit = rtl("rtl.icu_control").IcuControl(CONFIG, QUEUES)
        inside = bench.place("control", unit)
        bench.drive(unit)
        watch = Watch(bench, unit.notify.any())
        bench.claim(unit.unpark == watch.notified, watch.ends)
        watch.invariants(bench, inside["stages"])

    return Bench(build)


def few_queues(bench: Bench, rtl: Rtl, config: ChipConfig, places: Sequence[Queue]) -> tuple[Any, Inside, list[str]]:
    """(the whole ICU of a chip with these queues only, whose memories give any words; its inside; where queues are)."""
    memory, _ = in_place_of_memory(AnyWords)
    queue_type = rtl("rtl.icu_queue", QueueMemory=memory).IcuQueue
    few = {"floorplan": lambda config: SimpleNamespace(queues=places), "IcuQueue": queue_type}
    icu = rtl("rtl.icu", **few).Icu(config)
    inside = bench.place("icu", icu)
    bench.drive(icu)
    return icu, inside, [f"queue_{place.index}.inner" for place in places]


def release(rtl: Rtl) -> Bench:
    """The whole ICU and whom a NOTIFY lets go on."""

    def build(bench: Bench) -> None:
        every = floorplan(CONFIG).queues
        places = [queue for queue in every if queue.kind == "mem"][: QUEUES - 1]
        places += [queue for queue in every if queue.kind == "c2c"][:1]
        icu, inside, names = few_queues(bench, rtl, CONFIG, places)
        watch = Watch(bench, Cat(inside[f"{name}.notify"] for name in names).any())
        for name in names:
            _check_queue(bench, inside, name, watch)
        for place, name in zip(places, names, strict=True):
            if isa_rules.payload_bits(place.kind, CONFIG):
                word = inside[f"{name}.decoded_legal"] & inside[f"{name}.decoded_issues"]
                waits = inside[f"{name}.parked"] & inside[f"{name}.decoded_valid"] & word
                seen = bench.before(watch.ends & watch.notified & waits, f"released_{place.index}")
                bench.claim(getattr(icu, f"instr_{place.index}_valid"), seen)
        watch.invariants(bench, inside["control.stages"])

    return Bench(build)


def _check_queue(bench: Bench, inside: Inside, name: str, watch: Watch) -> None:
    parked, word, go = (inside[f"{name}.{signal}"] for signal in ("parked", "decoded_valid", "go"))
    bench.claim(go == (word & watch.notified), watch.ends & parked)
    stays = bench.before(watch.ends & parked & ~watch.notified, f"stays_{name[:8]}")
    bench.claim(parked, stays)
    # Only another SYNC, dispatched in the cycle of the release, parks a queue that was released.
    syncs = word & inside[f"{name}.decoded_sync"]
    leaves = bench.before(watch.ends & parked & watch.notified & ~syncs, f"leaves_{name[:8]}")
    bench.claim(~parked, leaves)
    waits_and_runs(bench, inside, name, {"sync": "parked"})


def waits_and_runs(bench: Bench, inside: Inside, name: str, others: Mapping[str, str]) -> None:
    """A queue waits for one thing at a time, and the ICU runs meanwhile; ``others``: the words but for DESKEW and
    RUNTIME_DESKEW after which it waits, and the states in which it then is."""
    words = {"deskew": "deskew", "runtime_deskew": "runtime_deskew", **others}
    states = [inside[f"{name}.{state}"] for state in words.values()]
    for bits in (states, [inside[f"{name}.decoded_{word}"] for word in words]):
        bench.invariant(sum(bits) <= 1)
    bench.invariant(inside["control.run"] & ~inside["control.idle"], Cat(states).any())
    bench.invariant(~inside["control.idle"], inside[f"{name}.decoded_valid"])


PROOFS = [
    Proof(
        name="barrier",
        block="icu_control",
        claim="unpark comes barrier - 1 cycles after a NOTIFY's T, for every NOTIFY, and at no other time",
        build=barrier,
        bug=Bug("rtl.icu_control", "self.unpark.eq(stages[-1])", "self.unpark.eq(stages[-1] & ~stages[-2])"),
        twin_depth=BARRIER + 5,
        reduced=f"{QUEUES} queues, a barrier of {BARRIER} cycles, no IFETCH",
    ),
    Proof(
        name="release",
        block="icu",
        claim="a NOTIFY at T lets every queue that is parked in T + barrier - 1 dispatch in T + barrier, all of them "
        "in that cycle; without one a parked queue stays so",
        build=release,
        bug=Bug("rtl.icu", "placed.unpark.eq(control.unpark)", "placed.unpark.eq(control.unpark & ~control.notify[0])"),
        twin_depth=BARRIER + 10,
        reduced=f"{QUEUES} queues, a barrier of {BARRIER} cycles, no IFETCH",
        assumed=CUT,
    ),
]
