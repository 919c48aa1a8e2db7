"""The host port's addresses (docs/architecture.md, section 8), as the host sees them."""

REGISTERS, QUEUE, MEMORY, SIGNATURE = range(4)
CONTROL, STATUS, CYCLES, FAULT, COUNTERS = range(5)
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


def superlane(address: int) -> int:
    """The superlane an address of memory or signature is in; 0 for registers."""
    return address >> 13 & 0x3F if address >> 28 in (MEMORY, SIGNATURE) else 0
