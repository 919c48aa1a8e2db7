"""An IFETCH is refused unless all of its words find room in the queue."""

from collections.abc import Callable

from amaranth.hdl import Module, Mux, Signal
from amaranth.hdl._ast import AnySeq
from amaranth.lib.wiring import Component, In, Out

from rtl import icu_decode
from tb.formal.bench import PLAIN, Bench
from tb.formal.planted import Bug, Rtl
from tb.formal.proof import Proof
from tb.formal.sequencer import field_of, in_place_of_memory, is_any
from tsp.config import ChipConfig

DEPTH = 16
WIDE = 12
COUNTED = ("NOP", "IFETCH", "REPEAT")


class CountedWords(Component):
    """In place of a queue's memory: as many words as were pushed, whatever they are, each kept until it is taken."""

    def __init__(self, width: int, depth: int):
        ports = {"push_valid": In(1), "push_word": In(width), "take": In(1)}
        super().__init__(ports | {"valid": Out(1), "word": Out(width), "empty": Out(1), "level": Out(WIDE)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        moves = Signal()
        m.d.comb += [self.empty.eq(self.level == 0), moves.eq((~self.valid | self.take) & ~self.empty)]
        m.d.sync += self.level.eq(self.level + self.push_valid - moves)
        with m.If(moves):
            m.d.sync += [self.valid.eq(1), self.word.eq(AnySeq(len(self.word)))]
        with m.Elif(self.take):
            m.d.sync += self.valid.eq(0)
        return m


def room(superlanes: int) -> Callable[[Rtl], Bench]:
    """Count the words that are there, and those that IFETCHes have asked for."""
    config = PLAIN.override(["ifetch=on", f"queue_depth={DEPTH}", f"superlanes={superlanes}"])
    return lambda rtl: _room(rtl, config)


def _room(rtl: Rtl, config: ChipConfig) -> Bench:
    memory, made = in_place_of_memory(CountedWords)

    def build(bench: Bench) -> None:
        m, superlanes = bench.m, config.superlanes
        queue = rtl("rtl.icu_queue", QueueMemory=memory).IcuQueue(config, "mem")
        inside = bench.place("queue", queue)
        bench.drive(queue)
        words = made[-1]
        there, coming, asked, refused = (Signal(WIDE) for _ in range(4))
        m.d.comb += [
            asked.eq(Mux(queue.fetch_valid, superlanes, 0)),
            refused.eq(Mux(queue.fetch_refused, superlanes, 0)),
        ]
        m.d.sync += [
            there.eq(there + queue.push_valid + queue.fetched_valid - inside["decoded_take"]),
            coming.eq(coming + asked - refused - queue.fetched_valid),
        ]
        # The chip around refuses what it is just asked for, and brings no more than it was asked for.
        bench.assume(~queue.fetch_refused | queue.fetch_valid)
        bench.assume(~queue.fetched_valid | (coming != 0))
        # Until it has asked for all of its vectors, the IFETCH itself is one of the words that are there.
        word, count, valid = inside["decoded_word"], inside["count"], inside["decoded_valid"]
        n, fetching, later = field_of(word, "IFETCH", "n"), Signal(), Signal(WIDE)
        m.d.comb += [
            fetching.eq(valid & inside["decoded_legal"] & inside["decoded_ifetch"] & (count != 1)),
            later.eq(Mux(fetching, (n - count + 1) * superlanes, 0)),
        ]
        # The host pushes a program's words before they run, no more than the queue holds.
        full = there + coming + asked + later >= DEPTH
        bench.assume(~queue.push_valid | ~queue.run & ~full & ~queue.fetched_valid)
        bench.claim(there + coming + asked + later <= DEPTH + fetching)
        bench.claim(words.level <= DEPTH)

        bench.invariant(inside["left"] == there + coming + asked + later)
        bench.invariant(there == words.level + words.valid + valid)
        bench.invariant(inside["decoded_legal"] == icu_decode.legal(word, "mem", "", config), valid)
        for name in COUNTED:
            bench.invariant(inside[f"decoded_{name.lower()}"] == is_any(word, name), valid)
            bench.invariant(count <= field_of(word, name, "n"), valid & is_any(word, name) & (count != 1))
        bench.invariant(count >= 1)
        repeating = is_any(word, "REPEAT") & inside["repeatable"]
        counts = valid & inside["decoded_legal"] & (is_any(word, "NOP", "IFETCH") | repeating)
        bench.invariant(count == 1, ~counts)
        for part in (there, coming, later):
            bench.invariant(part <= DEPTH + 1)
        bench.invariant(n <= DEPTH, fetching)

    return Bench(build)


FITS = "superlanes + left <= depth + 1"
CLAIM = (
    "the words in a queue and those that its IFETCHes asked for never are more than it holds, not counting an IFETCH "
    "that still has vectors to ask for; its memory never gets more words than it has room for"
)
AROUND = "queue-fifo; no more words come than were asked for; the host pushes none into a full queue or a running one"
PROOFS = [
    Proof(
        name="ifetch-room",
        block="icu_queue",
        claim=f"with one superlane {CLAIM}",
        build=room(1),
        bug=Bug("rtl.icu_queue", FITS, FITS.replace("1", "2")),
        reduced=f"{DEPTH} words",
        assumed=AROUND,
    ),
    Proof(
        name="ifetch-room-pairs",
        block="icu_queue",
        claim=f"with two {CLAIM}",
        build=room(2),
        bug=Bug("rtl.icu_queue", "vectors[: len(words)] * superlanes, 0", "vectors[: len(words)], 0"),
        twin_depth=30,
        reduced=f"{DEPTH} words",
        assumed=AROUND,
    ),
]
