"""Packets of a link (docs/links.md, section 1): vectors and idle words as words of 16 bytes, and back.

Everything works on n packets of one length at once. The words of n packets of S superlanes are uint8 [n, S + 1, 16];
an idle word is a packet of no superlane, [n, 1, 16].
"""

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tsp.config import LANES_PER_SUPERLANE as WORD_BYTES

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]

IDLE, VECTOR = 0x00, 0xFF
PROBE, REFLECTION, START = 1, 2, 4
"""Types of packets, and their flags."""
RIGHT, CORRECTED, UNCORRECTABLE = range(3)
"""What a receiver finds."""

_HEADER = np.dtype([("type", "u1"), ("flags", "u1"), ("sequence", "<u2"), ("hac", "<u2"), ("tag", "<u2")])
_HEADER_BYTES = _HEADER.itemsize
_CRC_BYTES, _TRAILER_BYTES = 4, 8
_WORD_BITS = 8 * WORD_BYTES
_INDEX_BITS = 11
_CODE_BITS = _INDEX_BITS + 1
_POLYNOMIAL = 0x82F63B78


class Headers(NamedTuple):
    """What headers say; of encoded ones, numbers stand for all packets."""

    flags: ArrayLike = 0
    sequence: ArrayLike = 0
    hac: ArrayLike = 0
    tag: ArrayLike = 0


class Decoded(NamedTuple):
    """What receivers make of packets.

    Attributes:
        status: int64 [n]. RIGHT, CORRECTED or UNCORRECTABLE.
        vectors: uint8 [n, 16·S], with the wrong bits turned back; as they came where that is impossible.
        headers: likewise, int64 [n] each.
        turned: int64 [n, 2]: of each code the bit of the packet that was turned back, 128·word + bit, or -1.
    """

    status: Ints
    vectors: Bytes
    headers: Headers
    turned: Ints


def encode(vectors: Bytes, headers: Headers) -> Bytes:
    """uint8 [n, S + 1, 16]: the words of packets with the vectors uint8 [n, 16·S]; of idle words if S is 0."""
    count, size = vectors.shape
    header = np.zeros(count, _HEADER)
    header["type"] = VECTOR if size else IDLE
    for field, values in headers._asdict().items():
        header[field] = values
    packets = np.zeros((count, _HEADER_BYTES + size + _TRAILER_BYTES), np.uint8)
    packets[:, :_HEADER_BYTES] = header.view(np.uint8).reshape(count, _HEADER_BYTES)
    packets[:, _HEADER_BYTES:-_TRAILER_BYTES] = vectors
    packets[:, -_TRAILER_BYTES:-_CRC_BYTES] = _bytes_of(crc32c(packets[:, :-_TRAILER_BYTES]))
    code_a, code_b = _with_parity(_sums(packets)).T
    packets[:, -_CRC_BYTES:] = _bytes_of(code_a | code_b << _CODE_BITS)
    return packets.reshape(count, size // WORD_BYTES + 1, WORD_BYTES)


def idle_words(headers: Headers) -> Bytes:
    """uint8 [n, 1, 16]: idle words; at least one field of the headers is an array of n."""
    count = len(np.broadcast_arrays(*map(np.atleast_1d, headers))[0])
    return encode(np.zeros((count, 0), np.uint8), headers)


def is_vector(words: Bytes) -> NDArray[np.bool_]:
    """[…]: whether words, uint8 […, 16], begin a vector packet, if they begin a packet."""
    majority: NDArray[np.bool_] = np.bitwise_count(words[..., 0]) >= 5
    return majority


def decode(words: Bytes) -> Decoded:
    """Check and correct packets, uint8 [n, S + 1, 16]; whether they are idle or vectors is their length."""
    came = words.reshape(len(words), WORD_BYTES * words.shape[1])
    packets = came.copy()
    turned, wrong, lost = _what_is_wrong(packets)
    for bit in turned.T:
        (at,) = np.nonzero(bit >= 0)
        packets[at, bit[at] // 8] ^= np.left_shift(1, bit[at] % 8).astype(np.uint8)
    crc = packets[:, -_TRAILER_BYTES:-_CRC_BYTES]
    lost |= (_bytes_of(crc32c(packets[:, :-_TRAILER_BYTES])) != crc).any(axis=1)
    status = np.where(lost, UNCORRECTABLE, np.where(wrong, CORRECTED, RIGHT)).astype(np.int64)
    packets[lost] = came[lost]
    turned[lost] = -1
    header = np.ascontiguousarray(packets[:, :_HEADER_BYTES]).view(_HEADER)[:, 0]
    fields = (header[field].astype(np.int64) for field in Headers._fields)
    return Decoded(status, packets[:, _HEADER_BYTES:-_TRAILER_BYTES], Headers(*fields), turned)


def _what_is_wrong(packets: Bytes) -> tuple[Ints, NDArray[np.bool_], NDArray[np.bool_]]:
    """By the two codes alone: the bits to turn [n, 2] or -1, whether anything is wrong, whether it is past mending."""
    sums = _sums(packets)
    came = _number_of(packets[:, -_CRC_BYTES:])
    checks = np.stack([came, came >> _CODE_BITS], axis=1) & (1 << _CODE_BITS) - 1
    difference = (sums ^ checks) & (1 << _INDEX_BITS) - 1
    odd = (sums >> _INDEX_BITS ^ np.bitwise_count(checks)) & 1 == 1
    bits = np.stack([table[difference[:, code]] for code, table in enumerate(_bits(packets.shape[1]))], axis=1)
    check_bit = np.bitwise_count(difference) <= 1
    turned = np.where(odd, bits, -1)
    wrong = odd | (difference != 0)
    lost = wrong & ~(odd & (check_bit | (bits >= 0)))
    return turned, wrong.any(axis=1), lost.any(axis=1)


def crc32c(data: Bytes) -> Ints:
    """[n]: CRC-32C of the bytes [n, length]."""
    table, crc = _crc_table(), np.full(len(data), 0xFFFFFFFF, np.uint32)
    for column in np.ascontiguousarray(data.T):
        crc = table[(crc ^ column) & 0xFF] ^ crc >> 8
    return (crc ^ 0xFFFFFFFF).astype(np.int64)


@cache
def _crc_table() -> NDArray[np.uint32]:
    """uint32 [256]: what a byte makes of a register of zeros."""
    crc = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        crc = np.where(crc & 1, crc >> 1 ^ _POLYNOMIAL, crc >> 1).astype(np.uint32)
    return crc


def index(bit: int) -> int:
    """The index of bit 128·word + b of a packet, in the code of its parity; it has no index in the trailer's checks."""
    places = [number for number in range(32) if number.bit_count() >= 2]
    return 64 * places[bit // _WORD_BITS] + bit % _WORD_BITS // 2


def _covered_bits(size: int) -> range:
    """The bits of a packet of ``size`` bytes that have an index."""
    return range(8 * (size - _CRC_BYTES))


def _sums(packets: Bytes) -> Ints:
    """[n, 2]: of both codes the XOR of the indices of the bits that are set, and above them their parity."""
    table = _sum_table(packets.shape[1])
    total = np.zeros(len(packets), np.uint32)
    for position, column in enumerate(np.ascontiguousarray(packets.T)):
        total ^= table[position, column]
    sums = total.astype(np.int64)
    return np.stack([sums, sums >> _CODE_BITS], axis=1) & (1 << _CODE_BITS) - 1


@cache
def _sum_table(size: int) -> NDArray[np.uint32]:
    """uint32 [size, 256]: what a byte adds to the sums of both codes, that of code B shifted by its width."""
    columns = np.zeros((size, 8), np.uint32)
    for bit in _covered_bits(size):
        columns[bit // 8, bit % 8] = (1 << _INDEX_BITS | index(bit)) << _CODE_BITS * (bit % 2)
    bits = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little")
    table: NDArray[np.uint32] = np.bitwise_xor.reduce(columns[:, None] * bits, axis=2)
    return table


@cache
def _bits(size: int) -> tuple[Ints, Ints]:
    """Of both codes, int64 [2048]: the bit of a packet with this index, or -1."""
    tables = np.full((2, 1 << _INDEX_BITS), -1)
    for bit in _covered_bits(size):
        tables[bit % 2, index(bit)] = bit
    return tables[0], tables[1]


def _with_parity(sums: Ints) -> Ints:
    """Twelve check bits of sums: bit 11 becomes the parity of all bits before it too."""
    parity: Ints = np.bitwise_count(sums & (1 << _INDEX_BITS) - 1).astype(np.int64) & 1
    return sums ^ parity << _INDEX_BITS


def _bytes_of(numbers: Ints) -> Bytes:
    """uint8 [n, 4], the low byte first."""
    return np.ascontiguousarray(numbers.astype("<u4")).view(np.uint8).reshape(-1, 4)


def _number_of(data: Bytes) -> Ints:
    """Of four bytes each, the low one first."""
    numbers: Ints = np.ascontiguousarray(data).view("<u4")[:, 0].astype(np.int64)
    return numbers
