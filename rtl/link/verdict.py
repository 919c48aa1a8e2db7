"""Whether a packet is right, or two bits turned back make it so, or it is lost."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib.wiring import Component, In, Out

from rtl.link import code
from rtl.link.code import BIT_BITS, CHECK_BITS, CODES, COVERED, CRC_BITS, NUMBER_BITS, PLACES, WORD_BITS

_SEQUENCE_BIT = 16
"""Where in the header the sequence number begins."""


class Verdict(Component):
    """Of each vector packet, three cycles after its last word came (A); of idle words whether they are right.

    The codes name at most one bit each. A CRC is linear: turning a bit back changes the register by what that bit
    alone, with zeros after it, makes of a register of zeros. So there is no second pass: the register must differ from
    that of a right packet by just that. What a bit makes of it within its word is a table; to go past n words more, it
    is multiplied by the matrices of 1, 2, 4 … words that add up to n.

    Ports:
        ended, vector, dropped, sequence (16), crc (32), sums (24): in, in A + 1: a packet has ended, it is a vector, it
            had no room; the number in its header, the CRC register and the codes' sums after all of its words.
        flush: in, forget what is under way, and expect number 0.
        right: out, in A + 1: nothing is wrong with the packet, vector or not.
        decided, good, corrected, lost: out, in A + 3, of a vector: it is decided; it may be used; some of its bits were
            wrong, and all have been found; it had no room.
        flip_0, flip_1: out, in A + 3: bits of a good vector to be turned back, in its order superlane by superlane.
    """

    def __init__(self, superlanes: int):
        self.superlanes = superlanes
        inputs = {"ended": 1, "vector": 1, "dropped": 1, "flush": 1}
        inputs |= {"sequence": NUMBER_BITS, "crc": CRC_BITS, "sums": CODES * CHECK_BITS}
        outputs = {
            "right": 1,
            "decided": 1,
            "good": 1,
            "corrected": 1,
            "lost": 1,
            "flip_0": code.FLIP,
            "flip_1": code.FLIP,
        }
        ports = {name: In(shape) for name, shape in inputs.items()}
        super().__init__(ports | {name: Out(shape) for name, shape in outputs.items()})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        one, two = self._stage(m, "one"), self._stage(m, "two")
        m.d.comb += self.right.eq(self.ended & (self.crc == code.CRC_RIGHT) & ~self.sums.any())
        wrong = [
            _WrongBit(m, f"wrong_{i}", self.superlanes, i, self.sums.word_select(i, CHECK_BITS)) for i in range(CODES)
        ]
        m.d.sync += [
            one["ended"].eq(self.ended & self.vector & ~self.flush),
            one["dropped"].eq(self.dropped),
            one["right"].eq(self.right),
            one["mended"].eq(Cat(bit.mended for bit in wrong).all()),
            one["sequence"].eq(self.sequence),
            one["crc"].eq(self.crc ^ code.CRC_RIGHT),
            *(two[name].eq(one[name]) for name in ("dropped", "right", "mended", "crc")),
            two["ended"].eq(one["ended"] & ~self.flush),
            two["sequence"].eq(one["sequence"] ^ wrong[0].sequence ^ wrong[1].sequence),
        ]
        self._decide(m, two, wrong)
        return m

    def _stage(self, m: Module, name: str) -> dict[str, Signal]:
        widths = {"ended": 1, "dropped": 1, "right": 1, "mended": 1, "sequence": NUMBER_BITS, "crc": CRC_BITS}
        return {key: Signal(width, name=f"{key}_{name}", reset_less=key != "ended") for key, width in widths.items()}

    def _decide(self, m: Module, now: dict[str, Signal], wrong: "list[_WrongBit]") -> None:
        expected, holds = Signal(NUMBER_BITS, name="expected"), Signal(name="holds")
        m.d.comb += [
            holds.eq(now["mended"] & (now["crc"] == wrong[0].column ^ wrong[1].column)),
            self.decided.eq(now["ended"]),
            self.good.eq(now["ended"] & holds & (now["sequence"] == expected)),
            self.corrected.eq(now["ended"] & holds & ~now["right"]),
            self.lost.eq(now["dropped"]),
        ]
        for port, bit in zip((self.flip_0, self.flip_1), wrong, strict=True):
            m.d.comb += [port.eq(bit.flip), port.valid.eq(bit.flip.valid & self.good)]
        with m.If(self.flush):
            m.d.sync += expected.eq(0)
        with m.Elif(now["ended"]):
            m.d.sync += expected.eq(Mux(now["right"], now["sequence"], expected) + 1)


class _WrongBit:
    """What one code says.

    Attributes:
        mended: in A + 1: nothing is wrong by this code, or a check bit is, or one bit that it names.
        sequence: in A + 2: that bit, if it is of the sequence number.
        flip: in A + 3: that bit, if it is of the vector.
        column: in A + 3: what that bit makes of the CRC register; zero if there is none.
    """

    def __init__(self, m: Module, name: str, superlanes: int, code_number: int, sums: Value):
        self._m, self._name, self._superlanes = m, name, superlanes
        self._code = Const(code_number, 1)
        after = Signal(range(superlanes + 1), name=f"{name}_after")
        known = Signal(name=f"{name}_known")
        index, odd, low = sums[:-1], sums[-1], sums[:BIT_BITS]
        with m.Switch(index[BIT_BITS:]):
            for word, place in enumerate(PLACES[: superlanes + 1]):
                with m.Case(place):
                    covered = low < COVERED // CODES if word == superlanes else 1
                    m.d.comb += [after.eq(superlanes - word), known.eq(covered)]
        one_or_none = (index & (index - 1)) == 0
        self.mended = Mux(odd, known | one_or_none, ~index.any())
        column = self._register("column_one", Mux(odd & known, code.columns_of(low, code_number), 0))
        self._locate(self._register("turn", odd & known), self._register("low", low), self._register("after", after))
        half = len(after) // 2
        column = self._register("column_two", self._past(column, self._after, range(half, len(after))))
        self.column = self._past(column, self._register("after_two", self._after), range(half))

    def _register(self, name: str, value: Value) -> Signal:
        register = Signal(len(value), name=f"{self._name}_{name}", reset_less=True)
        self._m.d.sync += register.eq(value)
        return register

    def _past(self, column: Value, words: Value, bits: range) -> Value:
        """A column past as many words of zeros as these bits of ``words`` count."""
        for bit in bits:
            past = Signal(CRC_BITS, name=f"{self._name}_past_{1 << bit}")
            self._m.d.comb += past.eq(Mux(words[bit], code.crc_past(column, WORD_BITS << bit), column))
            column = past
        return column

    def _locate(self, turn: Value, low: Value, after: Value) -> None:
        """In A + 2. A word of the packet has the second half of a superlane's word below and the first half of the next
        one's above; below in the first word is the header, and above in the last one the trailer."""
        self._after = after
        upper, first, last = low[-1], after == self._superlanes, after == 0
        in_sequence = turn & first & (low[3:] == _SEQUENCE_BIT >> 4)
        self.sequence = (in_sequence << Cat(self._code, low[:3]))[:NUMBER_BITS]
        flip = Signal(code.FLIP, name=f"{self._name}_flip", reset_less=True)
        self._m.d.sync += [
            flip.valid.eq(turn & ~Mux(upper, last, first)),
            flip.superlane.eq(self._superlanes - 1 - after + upper),
            flip.bit.eq(Cat(self._code, low[:-1], ~upper)),
        ]
        self.flip = flip
