"""DESKEW, POLL and RUNTIME_DESKEW in the whole ICU: in which cycle a queue that waits goes on."""

from types import SimpleNamespace

from amaranth.hdl import Cat, Signal, Value

from tb.formal.barrier import few_queues, waits_and_runs
from tb.formal.bench import Bench
from tb.formal.counters import LINKED_CONFIG, PERIOD, PERIOD_16, RULES, Stall, clocks, keep_rules
from tb.formal.planted import Bug, Rtl
from tb.formal.proof import Proof
from tb.formal.sequencer import CUT
from tsp.floorplan import floorplan


def waits(rtl: Rtl) -> Bench:
    """A queue of a MEM slice, two C2C queues of the west, which has two links, and one of the east."""

    def build(bench: Bench) -> None:
        m, every = bench.m, floorplan(LINKED_CONFIG).queues
        places = [queue for queue in every if queue.kind == "mem"][:1]
        for hemisphere, count in (("w", 2), ("e", 1)):
            places += [queue for queue in every if (queue.kind, queue.hemisphere) == ("c2c", hemisphere)][:count]
        icu, inside, names = few_queues(bench, rtl, LINKED_CONFIG, places)
        ready = [Value.cast(1)]  # of what a MEM queue polls
        for place, name in zip(places[1:], names[1:], strict=True):
            good = getattr(icu, f"link_ready_{place.hemisphere}")
            ready.append(good.bit_select(inside[f"{name}.poll_link"], 1))
        of_all = {state: Cat(inside[f"{name}.{state}"] for name in names) for state in ("deskew", "runtime_deskew")}
        of_all["poll"] = Cat(0, *(inside[f"{name}.poll"] for name in names[1:]))
        epochs, stalls = of_all["deskew"] | of_all["poll"], of_all["runtime_deskew"]
        seen = {"runtime_t": inside["runtime_t"], "resume": inside["control.resume"], "start": icu.start}
        keep_rules(bench, SimpleNamespace(**of_all, **seen), epochs.any(), stalls.any())

        stall, align = Stall(bench, stalls.any(), inside["runtime_t"], icu.delta), Signal()
        polled = Cat(~polls | good for polls, good in zip(of_all["poll"], ready, strict=True)).all()
        expected = clocks(m, icu, align, stall.first)
        m.d.comb += align.eq(epochs.any() & expected.epoch_ends & polled)
        bench.claim(icu.hac == expected.total % PERIOD)
        bench.claim(icu.delta == expected.delta)
        aligned = bench.before(align, "aligned")
        bench.claim((icu.hac < 2) & (icu.sac == icu.hac) & (icu.delta == 0), aligned)
        for i, (place, name) in enumerate(zip(places, names, strict=True)):
            word, go = inside[f"{name}.decoded_valid"], inside[f"{name}.go"]
            ends = expected.epoch_ends & polled
            bench.claim(go == (word & ends), epochs[i])
            bench.claim(~go | ready[i], of_all["poll"][i])
            bench.claim(go == (word & stall.ends), stalls[i])
            bench.claim(epochs[i], bench.before(epochs[i] & ~ends, f"waits_{i}"))
            bench.claim(stalls[i], bench.before(stalls[i] & ~stall.ends, f"stalls_{i}"))
            issues = word & inside[f"{name}.decoded_legal"] & inside[f"{name}.decoded_issues"]
            issued = getattr(icu, f"instr_{place.index}_valid")
            bench.claim(issued, bench.before(epochs[i] & ends & issues, f"released_{i}"))
            bench.claim(~issued, bench.before(epochs[i] & ~ends | stalls[i] & ~stall.ends, f"held_{i}"))
            polls = {"poll": "poll"} if i else {}
            waits_and_runs(bench, inside, name, {"sync": "parked", **polls})
        stall.invariants(bench, inside, stalls.any(), "control.")

    return Bench(build)


LINKS = f"4 queues, 3 links, {PERIOD_16}, no IFETCH"
PROOFS = [
    Proof(
        name="deskew-release",
        block="icu",
        claim="a queue that waits in a DESKEW goes on in the first cycle of the next epoch and in no other; one that "
        "waits in a RUNTIME_DESKEW t goes on after t + δ cycles, whatever epochs end meanwhile",
        build=waits,
        bug=Bug("rtl.icu", "placed.resume.eq(control.resume)", "placed.resume.eq(control.resume | control.carry)"),
        reduced=LINKS,
        assumed=f"{CUT}; {RULES}",
    ),
    Proof(
        name="poll-release",
        block="icu",
        claim="a queue that waits in a POLL goes on in the first cycle of an epoch before which, in the last cycle of "
        "the epoch before, the link it names had a good vector, in the first such cycle and in no other",
        build=waits,
        bug=Bug("rtl.icu", "(ready >> queue.poll_link)[0]", "ready.any()"),
        reduced=LINKS,
        assumed=f"{CUT}; {RULES}",
    ),
]
