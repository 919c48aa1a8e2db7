"""One instruction queue of the ICU: its memory and its sequencer."""

from dataclasses import dataclass

from amaranth.hdl import Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from rtl import icu_decode
from rtl.c2c.bundle import LINK_BITS
from rtl.fetch import STREAM_BITS
from rtl.tile import SUPERLANE_BITS
from tsp import isa, isa_rules
from tsp.config import ChipConfig

PREFETCH_CYCLES = 3
"""A word pushed in cycle c can be decided in c + 3 and dispatched in c + 4."""

CONTROL = ("NOP", "REPEAT", "SYNC", "NOTIFY", "IFETCH", "CONFIG", "DESKEW", "RUNTIME_DESKEW", "POLL")

_NOP_N, _REPEAT_N = isa.BY_MNEMONIC["NOP"].field("n"), isa.BY_MNEMONIC["REPEAT"].field("n")
_REPEAT_D, _TIME = isa.BY_MNEMONIC["REPEAT"].field("d"), isa.BY_MNEMONIC["RUNTIME_DESKEW"].field("t")
_POWER = isa.BY_MNEMONIC["CONFIG"].field("p")
_POLL_LINK = isa.BY_MNEMONIC["POLL"].field("link")
_FETCH_N, _FETCH_STREAM = (isa.BY_MNEMONIC["IFETCH"].field(name) for name in ("n", "stream"))
# One counter serves NOP, REPEAT and IFETCH, because their counts stand in the same place.
assert (_NOP_N.lo, _NOP_N.width) == (_REPEAT_N.lo, _REPEAT_N.width) == (_FETCH_N.lo, _FETCH_N.width)


def _bits(word, field: isa.Field):
    return word[field.lo : field.lo + field.width]


class QueueMemory(wiring.Component):
    """``depth`` words of ``width`` bits in block RAM; its read register holds the oldest word, so that one can be taken
    every cycle. A word pushed into a full memory destroys others.

    Attributes:
        push_valid, push_word: in, append.
        valid, word: out, the oldest word; valid two cycles after its push at the earliest.
        take: in, only when valid: the word is done with at the end of this cycle.
        empty: out, nothing is left but ``word``.
    """

    def __init__(self, width: int, depth: int):
        self._depth = depth
        super().__init__(
            {
                "push_valid": In(1),
                "push_word": In(width),
                "valid": Out(1),
                "word": Out(width),
                "take": In(1),
                "empty": Out(1, init=1),
            }
        )

    def elaborate(self, platform):
        """Two pointers with one bit more than an address, so that full and empty differ."""
        m = Module()
        m.submodules.memory = memory = Memory(shape=self.word.shape(), depth=self._depth, init=[])
        write, read = memory.write_port(), memory.read_port()
        write_pointer = Signal(range(2 * self._depth))
        read_pointer = Signal(range(2 * self._depth))
        m.d.comb += [
            self.empty.eq(write_pointer == read_pointer),
            write.addr.eq(write_pointer[:-1]),
            write.data.eq(self.push_word),
            write.en.eq(self.push_valid),
            read.addr.eq(read_pointer[:-1]),
            read.en.eq((~self.valid | self.take) & ~self.empty),
            self.word.eq(read.data),
        ]
        with m.If(self.push_valid):
            m.d.sync += write_pointer.eq(write_pointer + 1)
        with m.If(read.en):
            m.d.sync += [read_pointer.eq(read_pointer + 1), self.valid.eq(1)]
        with m.Elif(self.take):
            m.d.sync += self.valid.eq(0)
        return m


class _Decoded:
    """The stage before the issue register: a word, whether it is legal, and one flag per control opcode."""

    def __init__(self, width: int, operations: list[isa.Operation]):
        self.valid = Signal(name="decoded_valid")
        self.word = Signal(width, name="decoded_word", reset_less=True)
        self.legal = Signal(name="decoded_legal")
        names = [operation.mnemonic for operation in operations if operation.mnemonic in CONTROL]
        self.is_ = {name: Signal(name=f"decoded_{name.lower()}") for name in names}
        self.issues = Signal(name="decoded_issues")
        self.take = Signal(name="decoded_take")


@dataclass(frozen=True)
class Fetch:
    """Of the word in the decoded stage: ``first`` cycle of its count; an IFETCH goes on; an IFETCH has no room."""

    first: Value
    fetching: Value
    refused: Value


NO_FETCH = Fetch(Const(0), Const(0), Const(0))


class IcuQueue(wiring.Component):
    """A queue of ``config.queue_depth`` words and the sequencer that dispatches them, one a cycle.

    A word moves memory → decoded → issue register without bubbles. It is in the decoded stage in the cycle before its
    dispatch cycle T; one that takes several cycles (NOP, REPEAT) stays there until its last. What is valid in T is a
    register.
    Memory and stages keep only the bits that some instruction of this kind names.

    Attributes:
        push_valid, push_word: in, append a word, its low ``stored_bits``; one pushed into a full queue destroys others.
        run: in, one cycle before a cycle that may be a dispatch cycle.
        unpark: in, one cycle before the next dispatch of a queue that is parked in a SYNC.
        resume: in, the same for a queue that waits in a DESKEW, RUNTIME_DESKEW or POLL.
        instr_valid, instr: out, T of an instruction for the slice. Absent in kinds without a payload.
        notify: out, T of a NOTIFY.
        deskew: out, from T of a DESKEW through the cycle of its ``resume``.
        runtime_deskew, runtime_t: out, from T of a RUNTIME_DESKEW through the cycle of its ``resume``; ``runtime_t`` is
            its operand, and zero at other times.
        illegal: out, T of an illegal word, or of an issue that a REPEAT moved out of range.
        busy: out, the queue will dispatch or wait in the next cycle.
        poll, poll_link: out, from T of a POLL through the cycle of its ``resume``, and its link. Absent but in
            C2C queues with the feature ``c2c``.
        power: out, p in T of a CONFIG, and zero at other times. Absent in a chip of one superlane.
        With the feature ``ifetch``, in kinds that take IFETCH:
        fetch_valid, fetch_stream: out, in each cycle T of an IFETCH.
        fetch_refused: in, in such a T: this vector is not fetched, its words would meet others.
        fetched_valid, fetched_word: in, append a word that it brought.
        whole: in, all superlanes will be powered in the next cycle: without, an IFETCH in it is illegal. Absent in a
            chip of one superlane.
        dry: out, T in which no word is there though one is still to come.
    """

    def __init__(self, config: ChipConfig, kind: str, hemisphere: str = "", leads: bool = False):
        self.config, self.kind = config, kind
        # The queue of a pair's plane 0 has instructions for both (:func:`tsp.isa_rules.leads_pair`).
        self.leads = leads and kind == "mxm_activations"
        self.polls = config.c2c and kind == "c2c"
        # Only the MXM's rules know a direction, and links a number: other kinds have one module for both hemispheres.
        self.hemisphere = hemisphere if kind.startswith("mxm") or self.polls else ""
        self.module_name = f"icu_queue_{kind}" + (f"_{self.hemisphere}" if self.hemisphere else "")
        self.module_name += "_fp16" if self.leads else ""
        self.stored_bits = icu_decode.stored_bits(kind, config)
        payload = isa_rules.payload_bits(kind, config)
        ports = {name: In(1) for name in ("push_valid", "run", "unpark", "resume")}
        ports |= {name: Out(1) for name in ("notify", "deskew", "runtime_deskew", "illegal", "busy")}
        ports |= {"push_word": In(self.stored_bits), "runtime_t": Out(_TIME.width)}
        if payload:
            ports |= {"instr_valid": Out(1), "instr": Out(payload)}
        self.fetches = config.ifetch and kind in isa.SLICE_KINDS
        if self.fetches:
            ports |= {"fetch_valid": Out(1), "fetch_stream": Out(STREAM_BITS), "dry": Out(1)}
            ports |= {"fetch_refused": In(1), "fetched_valid": In(1), "fetched_word": In(self.stored_bits)}
            ports |= {"whole": In(1)} if config.superlanes > 1 else {}
        ports |= {"power": Out(SUPERLANE_BITS)} if config.superlanes > 1 else {}
        ports |= {"poll": Out(1), "poll_link": Out(LINK_BITS)} if self.polls else {}
        super().__init__(ports)

    def elaborate(self, platform):
        """Memory, decoded stage, sequencer."""
        m = Module()
        m.submodules.memory = memory = QueueMemory(self.stored_bits, self.config.queue_depth)
        decoded = _Decoded(self.stored_bits, icu_decode.operations(self.kind, self.config, self.leads))
        parked = Signal()
        waiting = Signal()
        go = Signal()
        timed = self.deskew | self.runtime_deskew
        timed = timed | self.poll if self.polls else timed
        m.d.comb += [
            waiting.eq(parked & ~self.unpark | timed & ~self.resume),
            go.eq(decoded.valid & self.run & ~waiting),
        ]
        if not self.fetches:
            m.d.comb += [
                memory.push_valid.eq(self.push_valid),
                memory.push_word.eq(self.push_word),
                self.busy.eq(decoded.valid | memory.valid | ~memory.empty | waiting),
            ]
        self._decode(m, memory, decoded)
        self._wait(m, decoded, go, parked)
        fetch = self._fetch(m, memory, decoded, go, waiting) if self.fetches else NO_FETCH
        self._count(m, decoded, go, fetch)
        return m

    def _fetch(self, m: Module, memory: QueueMemory, decoded: _Decoded, go, waiting):
        """IFETCH, if all of its words will find room. ``left`` counts the words that are there or on their way."""
        superlanes, depth = self.config.superlanes, self.config.queue_depth
        left = Signal(range(depth + 2), name="left")
        words = Signal(range(2 * depth + superlanes + 2), name="fetch_words")
        fits, first = Signal(name="fetch_fits"), Signal(name="fetch_first")
        asked = decoded.is_["IFETCH"] & decoded.legal
        vectors = _bits(decoded.word, _FETCH_N)
        whole = self.whole if superlanes > 1 else Const(1)
        m.d.comb += [
            # The word itself is among those left.
            fits.eq(whole & (vectors * superlanes + left <= depth + 1)),
            words.eq(Mux(go & asked & first & fits, vectors[: len(words)] * superlanes, 0)),
            memory.push_valid.eq(self.push_valid | self.fetched_valid),
            memory.push_word.eq(Mux(self.fetched_valid, self.fetched_word, self.push_word)),
        ]
        m.d.sync += [
            left.eq(left + words + self.push_valid - decoded.take - Mux(self.fetch_refused, superlanes, 0)),
            self.fetch_valid.eq(go & asked & (fits | ~first)),
            self.dry.eq(self.run & ~waiting & ~decoded.valid & (left != 0)),
        ]
        with m.If(go & asked):
            m.d.sync += self.fetch_stream.eq(_bits(decoded.word, _FETCH_STREAM))
        m.d.comb += self.busy.eq(decoded.valid | memory.valid | ~memory.empty | waiting | (left != 0))
        return Fetch(first, asked & (fits | ~first), asked & first & ~fits)

    def _decode(self, m: Module, memory: QueueMemory, decoded: _Decoded):
        """Memory → decoded stage, when that is empty or its word leaves."""
        m.d.comb += memory.take.eq(memory.valid & (~decoded.valid | decoded.take))
        word, kind = memory.word, self.kind
        taken = icu_decode.operations(kind, self.config, self.leads)
        repeatable = [operation for operation in taken if operation.repeatable]
        with m.If(memory.take):
            m.d.sync += [
                decoded.valid.eq(1),
                decoded.word.eq(word),
                decoded.legal.eq(icu_decode.legal(word, kind, self.hemisphere, self.config, self.leads)),
                decoded.issues.eq(icu_decode.opcode_is(word, repeatable)),
            ]
            for name, flag in decoded.is_.items():
                m.d.sync += flag.eq(icu_decode.opcode_is(word, [isa.BY_MNEMONIC[name]]))
        with m.Elif(decoded.take):
            m.d.sync += decoded.valid.eq(0)

    def _wait(self, m: Module, decoded: _Decoded, go, parked):
        """Dispatch of SYNC, NOTIFY, CONFIG, DESKEW, POLL and RUNTIME_DESKEW: the queue's state from T on."""
        legal = go & decoded.legal
        if self.config.superlanes > 1:
            power = _bits(decoded.word, _POWER)[:SUPERLANE_BITS]
            m.d.sync += self.power.eq(Mux(legal & decoded.is_["CONFIG"], power, 0))
        m.d.sync += self.notify.eq(legal & decoded.is_["NOTIFY"])
        states = [
            (parked, "SYNC", self.unpark),
            (self.deskew, "DESKEW", self.resume),
            (self.runtime_deskew, "RUNTIME_DESKEW", self.resume),
        ]
        if self.polls:
            states.append((self.poll, "POLL", self.resume))
            with m.If(legal & decoded.is_["POLL"]):
                m.d.sync += self.poll_link.eq(_bits(decoded.word, _POLL_LINK))
        for state, name, end in states:
            # The start has priority: a word that is let go may be another of its sort.
            with m.If(legal & decoded.is_[name]):
                m.d.sync += state.eq(1)
            with m.Elif(end):
                m.d.sync += state.eq(0)

    def _count(self, m: Module, decoded: _Decoded, go, fetch: "Fetch"):
        """How long a word stays in the decoded stage. NOP and IFETCH count to n, a REPEAT n times to d."""
        nop = decoded.is_["NOP"] & decoded.legal | fetch.fetching
        count = Signal(_REPEAT_N.width, init=1)
        tick = Signal()
        last = Signal()
        held = Signal()
        if self.fetches:
            m.d.comb += fetch.first.eq(count == 1)
        m.d.comb += [
            last.eq(count == _bits(decoded.word, _REPEAT_N)),
            decoded.take.eq(go & ~held),
        ]
        with m.If(go & tick):
            m.d.sync += count.eq(Mux(last, 1, count + 1))
        if "REPEAT" not in decoded.is_:
            m.d.comb += [tick.eq(nop), held.eq(nop & ~last)]
            self._issue_nothing(m, decoded, go)
            return
        repeating = Signal()
        repeatable = Signal()
        interval = Signal(_REPEAT_D.width, init=1)
        interval_end = Signal()
        m.d.comb += [
            repeating.eq(decoded.is_["REPEAT"] & decoded.legal & repeatable),
            interval_end.eq(interval == _bits(decoded.word, _REPEAT_D)),
            tick.eq(nop | repeating & interval_end),
            held.eq(nop & ~last | repeating & ~(interval_end & last)),
        ]
        with m.If(go & repeating):
            m.d.sync += interval.eq(Mux(interval_end, 1, interval + 1))
        with m.If(decoded.take):
            m.d.sync += repeatable.eq(decoded.issues & decoded.legal)
        refused = go & (~decoded.legal | decoded.is_["REPEAT"] & ~repeatable | fetch.refused)
        self._issue(m, decoded, go & decoded.legal, go & repeating & interval_end, refused)

    def _issue(self, m: Module, decoded: _Decoded, legal, again, refused):
        """The issue register: a new instruction, or the last one with REPEAT's steps added. It also keeps the operand
        of a RUNTIME_DESKEW while the queue waits."""
        payload = isa_rules.payload_bits(self.kind, self.config)
        issued = Signal(payload, reset_less=True)
        stepped = Signal(payload)
        m.d.comb += [
            self.instr.eq(issued),
            stepped.eq(issued),
            self.runtime_t.eq(Mux(self.runtime_deskew, _bits(issued, _TIME), 0)),
        ]
        for lo, width, step in icu_decode.steps(self.kind, self.config):
            m.d.comb += stepped[lo : lo + width].eq(issued[lo : lo + width] + _bits(decoded.word, step))
        out_of_range = again & ~icu_decode.addresses_legal(stepped, self.kind, self.hemisphere, self.config)
        with m.If(again):
            m.d.sync += issued.eq(stepped)
        with m.Elif(legal & (decoded.issues | decoded.is_["RUNTIME_DESKEW"])):
            m.d.sync += issued.eq(decoded.word)
        m.d.sync += [
            self.instr_valid.eq(legal & decoded.issues | again & ~out_of_range),
            self.illegal.eq(refused | out_of_range),
        ]

    def _issue_nothing(self, m: Module, decoded: _Decoded, go):
        """What is left of the issue register in a queue without a slice: the operand of a RUNTIME_DESKEW."""
        time = Signal(_TIME.width, reset_less=True)
        m.d.comb += self.runtime_t.eq(Mux(self.runtime_deskew, time, 0))
        with m.If(go & decoded.legal & decoded.is_["RUNTIME_DESKEW"]):
            m.d.sync += time.eq(_bits(decoded.word, _TIME))
        m.d.sync += self.illegal.eq(go & ~decoded.legal)
