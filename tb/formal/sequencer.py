"""The sequencer of a queue against the words it takes: what is dispatched when, and what a queue waits for."""

from collections.abc import Callable
from typing import Any, TypeVar

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.hdl._ast import AnySeq
from amaranth.lib.wiring import Component, In, Out

from rtl import icu_decode
from tb.formal.bench import LINKED, PLAIN, Bench, Inside
from tb.formal.planted import Bug, Rtl
from tb.formal.proof import Proof
from tsp import isa, isa_rules
from tsp.config import ChipConfig

Words = TypeVar("Words")
SLOT_BITS = 18
"""Enough for slots to be told apart while one word is in the queue's last stage: it stays for less than 2^17 of them
between two issues."""


class AnyWords(Component):
    """In place of a queue's memory: whatever words come whenever, each kept until it is taken."""

    def __init__(self, width: int, depth: int):
        ports = {"push_valid": In(1), "push_word": In(width), "take": In(1)}
        super().__init__(ports | {"valid": Out(1), "word": Out(width), "empty": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.comb += self.empty.eq(AnySeq(1))
        with m.If(~self.valid | self.take):
            m.d.sync += [self.valid.eq(AnySeq(1)), self.word.eq(AnySeq(len(self.word)))]
        return m


def in_place_of_memory(words: Callable[[int, int], Words]) -> tuple[Callable[[int, int], Words], list[Words]]:
    """What to put in the place of ``QueueMemory``, and the list of what is made so."""
    made: list[Words] = []

    def memory(width: int, depth: int) -> Words:
        made.append(words(width, depth))
        return made[-1]

    return memory, made


class Expected:
    """What the contract says of the word in the last stage, in a slot: a cycle in which it may dispatch."""

    def __init__(self, bench: Bench, config: ChipConfig, kind: str, hemisphere: str, width: int):
        self.word, self.valid = Signal(width, name="word"), Signal(name="has_word")
        self.payload = isa_rules.payload_bits(kind, config)
        word = self.word
        repeatable = [op for op in icu_decode.operations(kind, config) if op.repeatable]
        self.legal, self.issues = Signal(name="legal"), Signal(name="issues")
        self.slot = Signal(name="slot")
        self.time = Signal(SLOT_BITS, name="slot_number")
        # The slot of the last issue, and that in which the last word left; the number of repetitions so far.
        self.issued_at, self.left_at = Signal(SLOT_BITS), Signal(SLOT_BITS, init=-1)
        self.again = Signal(17)
        self.may_repeat = Signal()
        m = bench.m
        m.d.comb += [
            self.legal.eq(icu_decode.legal(word, kind, hemisphere, config)),
            self.issues.eq(is_any(word, *(op.mnemonic for op in repeatable))),
        ]
        self.nop = self.legal & is_any(word, "NOP")
        repeat = is_any(word, "REPEAT")
        self.repeating = self.legal & repeat & self.may_repeat
        self.refused = ~self.legal | repeat & ~self.may_repeat
        n, d = field_of(word, "REPEAT", "n"), field_of(word, "REPEAT", "d")
        self.fires = self.repeating & (self.time == (self.issued_at + d)[:SLOT_BITS])
        self.last = Signal()
        m.d.comb += self.last.eq(
            Mux(
                self.nop,
                self.time == (self.left_at + n)[:SLOT_BITS],
                Mux(self.repeating, self.fires & (self.again + 1 == n), 1),
            )
        )
        with m.If(self.slot):
            m.d.sync += self.time.eq(self.time + 1)
            with m.If(self.last):
                m.d.sync += [self.left_at.eq(self.time), self.again.eq(0)]
                m.d.sync += self.may_repeat.eq(self.legal & self.issues)
            with m.Elif(self.fires):
                m.d.sync += self.again.eq(self.again + 1)
            with m.If(self.fires | self.legal & self.issues):
                m.d.sync += self.issued_at.eq(self.time)


def is_any(word: Value, *names: str) -> Value:
    return Cat(word[:8] == isa.BY_MNEMONIC[name].opcode for name in names).any() if names else Const(0)


def field_of(word: Value, mnemonic: str, name: str) -> Value:
    field = isa.BY_MNEMONIC[mnemonic].field(name)
    return word[field.lo : field.lo + field.width]


def sequencer(kind: str, config: ChipConfig, hemisphere: str = "") -> Callable[[Rtl], Bench]:
    """The proof's bench for queues of a kind; links are those of a hemisphere."""

    def build_with(rtl: Rtl) -> Bench:
        memory, made = in_place_of_memory(AnyWords)

        def build(bench: Bench) -> None:
            queue = rtl("rtl.icu_queue", QueueMemory=memory).IcuQueue(config, kind, hemisphere)
            inside = bench.place("queue", queue)
            bench.drive(queue)
            _check(bench, queue, inside, made[0], Expected(bench, config, kind, hemisphere, queue.stored_bits))

        return Bench(build)

    return build_with


def _check(bench: Bench, queue: Any, inside: Inside, words: AnyWords, expected: Expected) -> None:
    m = bench.m
    states = {"SYNC": (Signal(name="parked"), queue.unpark)}
    states |= {"DESKEW": (Signal(name="waits"), queue.resume), "RUNTIME_DESKEW": (Signal(name="stalls"), queue.resume)}
    if queue.polls:
        states["POLL"] = (Signal(name="polls"), queue.resume)
    waiting = Cat(state & ~end for state, end in states.values()).any()
    slot, legal = expected.slot, expected.legal
    leaves = slot & expected.last
    m.d.comb += slot.eq(expected.valid & queue.run & ~waiting)
    for name, (state, end) in states.items():
        with m.If(slot & legal & is_any(expected.word, name)):
            m.d.sync += state.eq(1)
        with m.Elif(end):
            m.d.sync += state.eq(0)
    # No word is lost or doubled: each is taken once, when the one before it leaves, and never changes.
    taken = words.valid & (~expected.valid | leaves)
    bench.claim(words.take == taken)
    with m.If(taken):
        m.d.sync += [expected.valid.eq(1), expected.word.eq(words.word)]
    with m.Elif(leaves):
        m.d.sync += expected.valid.eq(0)

    bench.claim(queue.busy == (expected.valid | words.valid | ~words.empty | waiting))
    bench.claim(queue.notify == bench.before(slot & legal & is_any(expected.word, "NOTIFY"), "notifies"))
    power = Signal(len(queue.power))
    m.d.sync += power.eq(field_of(expected.word, "CONFIG", "p"))
    configured = bench.before(slot & legal & is_any(expected.word, "CONFIG"), "configures")
    bench.claim(queue.power == Mux(configured, power, 0))
    bench.claim(queue.deskew == states["DESKEW"][0])
    bench.claim(queue.runtime_deskew == states["RUNTIME_DESKEW"][0])
    time = Signal(16)
    with m.If(slot & is_any(expected.word, "RUNTIME_DESKEW")):
        m.d.sync += time.eq(field_of(expected.word, "RUNTIME_DESKEW", "t"))
    bench.claim(queue.runtime_t == Mux(states["RUNTIME_DESKEW"][0], time, 0))
    if queue.polls:
        link = Signal.like(queue.poll_link, name="link")
        with m.If(slot & is_any(expected.word, "POLL")):
            m.d.sync += link.eq(field_of(expected.word, "POLL", "link"))
        bench.claim(queue.poll == states["POLL"][0])
        bench.claim(queue.poll_link == link, queue.poll)

    if expected.payload:
        _check_issues(bench, queue, expected)
        bench.invariant(inside["repeatable"] == expected.may_repeat)
    else:
        bench.claim(queue.illegal == bench.before(slot & expected.refused, "refused"))
        bench.invariant(inside["time"] == time, states["RUNTIME_DESKEW"][0])
    bench.invariant(inside["parked"] == states["SYNC"][0])
    _stage(bench, inside, expected, [*states, *(["REPEAT"] if expected.payload else [])])


def _stage(bench: Bench, inside: Inside, expected: Expected, names: list[str]) -> None:
    """The RTL's last stage and its counters, by what is expected."""
    with_word, nop, repeating = expected.valid, expected.valid & expected.nop, expected.valid & expected.repeating
    bench.invariant(inside["decoded_valid"] == with_word)
    bench.invariant(inside["decoded_word"] == expected.word, with_word)
    bench.invariant(inside["decoded_legal"] == expected.legal, with_word)
    bench.invariant(inside["decoded_issues"] == expected.issues, with_word)
    for name in ("NOP", "NOTIFY", "CONFIG", *names):
        bench.invariant(inside[f"decoded_{name.lower()}"] == is_any(expected.word, name), with_word)
    in_stage = (expected.time - expected.left_at)[:SLOT_BITS]
    since_issue = (expected.time - expected.issued_at)[:SLOT_BITS]
    n, d = field_of(expected.word, "REPEAT", "n"), field_of(expected.word, "REPEAT", "d")
    bench.invariant(in_stage == 1, ~(nop | repeating))
    bench.invariant((in_stage >= 1) & (in_stage <= n), nop)
    bench.invariant(inside["count"] == Mux(nop, in_stage, expected.again + 1))
    bench.invariant(expected.again == 0, ~repeating)
    if expected.payload:
        bench.invariant(expected.again < n, repeating)
        bench.invariant(since_issue == in_stage, expected.may_repeat & (expected.again == 0))
        bench.invariant(inside["interval"] == Mux(repeating, since_issue, 1))
        bench.invariant((since_issue >= 1) & (since_issue <= d), repeating)


def _check_issues(bench: Bench, queue: Any, expected: Expected) -> None:
    """Every instruction for the slice is issued once, and again by a REPEAT, with its steps."""
    m, word, slot = bench.m, expected.word, expected.slot
    payload = Signal(expected.payload, name="payload")
    stepped = Signal(expected.payload, name="stepped")
    in_range = Signal()
    m.d.comb += [stepped.eq(payload), in_range.eq(1)]
    if queue.kind == "mem":
        for (lo, width), step, users in (
            (isa.ADDRESS_A, "step_a", ("READ", "READ_WRITE")),
            (isa.ADDRESS_B, "step_b", ("WRITE", "READ_WRITE")),
        ):
            address = stepped[lo : lo + width]
            m.d.comb += address.eq(payload[lo : lo + width] + field_of(word, "REPEAT", step))
            with m.If(is_any(payload, *users) & (address >= queue.config.mem_words)):
                m.d.comb += in_range.eq(0)
    fires, issues = slot & expected.fires, slot & expected.legal & expected.issues
    with m.If(fires):
        m.d.sync += payload.eq(stepped)
    with m.Elif(issues):
        m.d.sync += payload.eq(word)
    issued = bench.before(issues | fires & in_range, "issued")
    bench.claim(queue.instr_valid == issued)
    bench.claim(queue.instr == payload, issued)
    bench.claim(queue.illegal == bench.before(slot & expected.refused | fires & ~in_range, "illegal"))
    bench.invariant(queue.instr == payload, expected.may_repeat)


CUT = "queue-fifo: the memory gives any words at any time, each until it is taken; legal is what icu_decode says"
PROOFS = [
    Proof(
        name="sequencer-mem",
        block="icu_queue",
        claim="NOP n takes n cycles; REPEAT n, d issues n times, each d after the issue before, with its steps; CONFIG "
        "says its p in its cycle, and never else; no word and no issue is lost, doubled or changed; illegal words and "
        "steps out of range issue nothing but a fault",
        build=sequencer("mem", PLAIN),
        bug=Bug("rtl.icu_queue", "interval.eq(Mux(interval_end, 1, interval + 1))", "interval.eq(interval + 1)"),
        reduced="no IFETCH",
        assumed=CUT,
    ),
    Proof(
        name="sequencer-vxm",
        block="icu_queue",
        claim="the same for instructions whose operands REPEAT does not step",
        build=sequencer("vxm", PLAIN),
        bug=Bug("rtl.icu_queue", "repeatable.eq(decoded.issues & decoded.legal)", "repeatable.eq(decoded.issues)"),
        reduced="no IFETCH",
        assumed=CUT,
    ),
    Proof(
        name="sequencer-c2c",
        block="icu_queue",
        claim="in a queue without a slice NOP n takes n cycles; SYNC parks until unpark, DESKEW and RUNTIME_DESKEW "
        "wait until resume, and the next word dispatches in the cycle after that",
        build=sequencer("c2c", PLAIN),
        bug=Bug("rtl.icu_queue", "waiting.eq(parked & ~self.unpark |", "waiting.eq(parked |"),
        reduced="no IFETCH",
        assumed=CUT,
    ),
    Proof(
        name="sequencer-poll",
        block="icu_queue",
        claim="in a queue with links SEND and RECEIVE issue as sequencer-vxm says; POLL says its link and waits until "
        "resume as DESKEW does, and the next word dispatches in the cycle after that",
        build=sequencer("c2c", LINKED, "w"),
        bug=Bug("rtl.icu_queue", "timed = timed | self.poll if self.polls else timed", "timed = timed"),
        reduced="2 links, no IFETCH",
        assumed=CUT,
    ),
]
