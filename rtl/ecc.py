"""SECDED: nine check bits beside the 128 data bits of a word (docs/architecture.md, "Check bits").

Every check bit is the parity of the data bits whose column has it. All columns have an odd number of ones (a code of
M. Y. Hsiao, IBM Journal of R&D 14, 1970), so that the syndrome of one wrong bit is odd and that of two is even and not
zero.
"""

from amaranth.hdl import Cat, Const, Module, Signal, Value
from amaranth.lib.wiring import Component, In, Out

from rtl.lanes import Lanes
from rtl.stamp import stamp
from tsp.config import ChipConfig

DATA_BITS = 128
CHECK_BITS = 9


def _columns() -> tuple[int, ...]:
    odd = [number for number in range(1 << CHECK_BITS) if number.bit_count() in (3, 5)]
    return tuple(sorted(odd, key=lambda number: (number.bit_count(), number))[:DATA_BITS])


COLUMNS = _columns()
"""Data bit → the check bits it is counted in; check bit r itself has column ``1 << r``."""
ALL_COLUMNS = (*COLUMNS, *(1 << row for row in range(CHECK_BITS)))
"""Bit of a word, data bits first → its column."""
ROWS = tuple(sum((column >> row & 1) << bit for bit, column in enumerate(COLUMNS)) for row in range(CHECK_BITS))
"""Check bit → mask of the data bits it is the parity of."""


def encode(data: Value) -> Value:
    """The check bits (9) of ``data`` (128)."""
    return Cat(Cat(data[bit] for bit in range(DATA_BITS) if row >> bit & 1).xor() for row in ROWS)


class EncoderLane(Component):
    """:func:`encode` of one word. Ports: those of :class:`EccEncoder` but ``valid``."""

    def __init__(self) -> None:
        super().__init__({"data": In(DATA_BITS), "check": Out(CHECK_BITS)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.comb += self.check.eq(encode(self.data))
        return m


class DecoderLane(Component):
    """What is wrong with one word. Ports: those of :class:`EccDecoder` but ``valid``."""

    def __init__(self) -> None:
        ports = {"data": In(DATA_BITS), "check": In(CHECK_BITS)}
        super().__init__(ports | {"fixed": Out(DATA_BITS), "corrected": Out(1), "uncorrectable": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        syndrome = Signal(CHECK_BITS, name="syndrome")
        wrong = Signal(len(ALL_COLUMNS), name="wrong")
        m.d.comb += [
            syndrome.eq(encode(self.data) ^ self.check),
            wrong.eq(Cat(syndrome == column for column in ALL_COLUMNS)),
            self.fixed.eq(self.data ^ wrong[:DATA_BITS]),
            self.corrected.eq(wrong.any()),
            self.uncorrectable.eq(syndrome.any() & ~wrong.any()),
        ]
        return m


class EccEncoder(Lanes):
    """Check bits for what is driven.

    Ports:
        valid, data (128): in. check (9): the check bits while ``valid``, else zero.
    """

    module_name = "ecc_encoder"
    lane = EncoderLane

    def __init__(self) -> None:
        super().__init__(1)


class EccDecoder(Lanes):
    """Corrects one wrong bit of a word, data or check, and finds two.

    Ports:
        valid, data (128), check (9): in.
        fixed (128): the data with the wrong bit set right; as it is if no single bit explains the check bits; zero
            without ``valid``.
        corrected: ``valid``, and one bit was wrong.
        uncorrectable: ``valid``, and more bits were.
    """

    module_name = "ecc_decoder"
    lane = DecoderLane

    def __init__(self) -> None:
        super().__init__(1)


def coded(m: Module, name: str, config: ChipConfig, valid: Value, data: Value) -> Value:
    """What a producer drives: ``data``, with feature ``ecc`` followed by its check bits, right while ``valid``."""
    if not config.ecc:
        return data
    word = Signal(DATA_BITS, name=f"{name}_data")
    m.submodules[f"{name}_encoder"] = encoder = stamp(EccEncoder(), f"{name}_encoder")
    m.d.comb += [word.eq(data), encoder.valid.eq(valid), encoder.data.eq(word)]
    return Cat(word, encoder.check)


class Checks:
    """What a consumer makes of the words it reads, all in one cycle T. Without feature ``ecc`` words are data.

    Attributes:
        corrected, uncorrectable: a bit for each word read so far.
    """

    def __init__(self, m: Module, config: ChipConfig):
        self._m, self._config = m, config
        self.corrected: list[Value] = []
        self.uncorrectable: list[Value] = []

    def data(self, name: str, valid: Value, word: Value) -> Value:
        """The data of a word, set right while it is ``valid``: read, and there."""
        if not self._config.ecc:
            return word
        decoder = stamp(EccDecoder(), f"{name}_decoder")
        self._m.submodules[f"{name}_decoder"] = decoder
        self._m.d.comb += [decoder.valid.eq(valid), Cat(decoder.data, decoder.check).eq(word)]
        self.corrected.append(decoder.corrected)
        self.uncorrectable.append(decoder.uncorrectable)
        return decoder.fixed

    @property
    def count(self) -> Value:
        """How many words were corrected."""
        total: Value = Const(0, 1)
        for bit in self.corrected:
            total = total + bit
        return total
