"""The packet of a link in logic: its fields, its two codes and its CRC, all linear over GF(2) (docs/links.md).

A linear function is given by its *columns*: what it makes of each input bit alone. The CRC (CRC-32C, RFC 3720 appendix
B.4) is such a function of its register and of the bits that come, and so is a code's check of the bits of a word.
"""

from collections.abc import Sequence

from amaranth.hdl import Cat, Const, Mux, Value
from amaranth.lib import data

WORD_BITS = 128
HALF_BITS = 64
NUMBER_BITS = 16
CRC_BITS = 32
CHECK_BITS = 12
"""Of a code: the XOR of the indices, and the parity."""
PLACE_BITS = 5
"""The high part of an index: which word of the packet."""
BIT_BITS = 6
"""The low part: which bit of the word, among those of its code."""
COVERED = 96
"""Bits of a packet's last word that have an index. The crc stands below, the check bits above."""
CODES = 2
SUPERLANE_BITS = 5
FLIP = data.StructLayout({"valid": 1, "superlane": SUPERLANE_BITS, "bit": 7})
"""A bit of a vector's word that is to be turned back; none if it is not valid."""

PLACES = tuple(number for number in range(1 << PLACE_BITS) if number.bit_count() >= 2)
"""Word of a packet → the high part of its bits' indices."""
_POLYNOMIAL = 0x82F63B78

HEADER = data.StructLayout(
    {"type": 8, "probe": 1, "reflection": 1, "start": 1, "_": 5, "sequence": 16, "hac": 16, "tag": 16}
)


def linear(columns: Sequence[int], width: int, bits: Value) -> Value:
    """The linear function with these columns, one for each of ``bits``."""
    assert len(columns) == len(bits)
    rows = (Cat(bits[i] for i, column in enumerate(columns) if column >> row & 1) for row in range(width))
    return Cat(row.xor() if len(row) else Const(0, 1) for row in rows)


def advanced(crc: int, bits: int) -> int:
    """A CRC register after so many bits of zero."""
    for _ in range(bits):
        crc = crc >> 1 ^ (_POLYNOMIAL if crc & 1 else 0)
    return crc


def crc_of(bits: Value, after: int = 0) -> Value:
    """What a CRC register (32) of zeros becomes by ``bits`` and as many bits of zero ``after`` them."""
    return linear([advanced(1, after + len(bits) - i) for i in range(len(bits))], CRC_BITS, bits)


def crc_past(crc: Value, bits: int) -> Value:
    """A CRC register after so many bits of zero."""
    return linear([advanced(1 << i, bits) for i in range(CRC_BITS)], CRC_BITS, crc)


CRC_START = (1 << CRC_BITS) - 1
CRC_RIGHT = advanced(CRC_START, CRC_BITS + WORD_BITS - COVERED)
"""The register after all words of a right packet, with zeros for the check bits and the zero byte: its crc makes it all
ones, whatever came before."""


def sums_of(bits: Value, place: Value, first: int = 0) -> Value:
    """What ``bits``, bits ``first`` … of the word at ``place``, add to the sums of both codes (24, code A below): of
    each the XOR of the indices of the bits that are set (11) and their parity.

    ``place`` may be late: only a few gates depend on it.
    """
    return Cat(at_place(digest, place) for digest in digests(bits, first))


def digests(bits: Value, first: int = 0) -> list[Value]:
    """Of each code the XOR of the low parts of its bits that are set (6), and their parity (1)."""
    found = []
    for code in range(CODES):
        mine = [i for i in range(len(bits)) if (first + i) % CODES == code]
        columns = [(first + i) // CODES | 1 << BIT_BITS for i in mine]
        found.append(linear(columns, BIT_BITS + 1, Cat(bits[i] for i in mine)))
    return found


def at_place(digest: Value, place: Value) -> Value:
    """A sum of a code (12) from a digest of bits of the word at ``place``."""
    low, parity = digest[:BIT_BITS], digest[BIT_BITS]
    return Cat(low, place & parity.replicate(PLACE_BITS), parity)


def columns_of(number: Value, code: int) -> Value:
    """What the bit of this number in a code (6 bits), alone in a word, makes of a CRC register of zeros."""
    table = [advanced(1, WORD_BITS - CODES * i - code) for i in range(1 << BIT_BITS)]
    return Const(sum(column << CRC_BITS * i for i, column in enumerate(table)), CRC_BITS << BIT_BITS).word_select(
        number, CRC_BITS
    )


def next_place(place: Value) -> Value:
    """The place of the word after that at ``place``: the next number with at least two ones."""
    powers = [(1 << bit) - 1 for bit in range(2, PLACE_BITS)]
    return (place + Mux(Cat(place == power for power in powers).any(), 2, 1))[:PLACE_BITS]
