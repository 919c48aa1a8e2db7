"""The host port's addresses (docs/architecture.md, section 8), as the host sees them."""

REGISTERS, QUEUE, MEMORY, SIGNATURE, FLIP_DATA, FLIP_CHECK, FLIP_MASK, FLIP_STREAM, LINK = range(9)
CONTROL, STATUS, CYCLES, FAULT, COUNTERS, CORRECTED = range(6)
START = 1


def register(number: int) -> int:
    """Address of a register."""
    return REGISTERS << 28 | number


def queue(number: int) -> int:
    """Address that appends a word to a queue."""
    return QUEUE << 28 | number << 16


def memory(place: int, superlane: int, word: int) -> int:
    """Address of one tile's memory word."""
    return MEMORY << 28 | place << 19 | superlane << 13 | word


def signature(place: int, superlane: int) -> int:
    """Address of one tile's signature."""
    return SIGNATURE << 28 | place << 19 | superlane << 13


def flip_data(place: int, superlane: int, word: int) -> int:
    """Address that turns over data bits of one tile's memory word; reading it does not correct."""
    return FLIP_DATA << 28 | memory(place, superlane, word) & (1 << 28) - 1


def flip_check(place: int, superlane: int, word: int) -> int:
    """Address that turns over check bits of one tile's memory word."""
    return FLIP_CHECK << 28 | memory(place, superlane, word) & (1 << 28) - 1


def flip_mask(check: int) -> int:
    """Address that takes the data bits of the next flip on a stream; the address has its check bits."""
    return FLIP_MASK << 28 | check


def flip_stream() -> int:
    """Address that takes when and where the flip comes: :func:`flip_when`."""
    return FLIP_STREAM << 28


def flip_when(cycle: int, superlane: int, stream: int, sr: int) -> int:
    """The word for :func:`flip_stream`."""
    return cycle | superlane << 32 | stream << 38 | sr << 44


def link(number: int, register_: int) -> int:
    """Address of a register of a chip's link (:mod:`rtl.c2c.links`)."""
    return LINK << 28 | number << 4 | register_


def superlane(address: int) -> int:
    """The superlane an address of memory or signature is in; 0 for registers."""
    return address >> 13 & 0x3F if address >> 28 in (MEMORY, SIGNATURE, FLIP_DATA) else 0
