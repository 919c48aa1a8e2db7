"""Bits turned over on purpose: what the test ports of feature ``ecc`` are asked for (docs, sections 8 and 9)."""

import dataclasses
from collections.abc import Iterable, Sequence

from tsp.config import ChipConfig
from tsp.errors import InputError, nearest
from tsp.floorplan import floorplan
from tsp.isa import STREAM_DIRECTION_BIT, STREAM_INDEX_BITS, stream_name
from tsp.program import Program

DATA_BITS = 128
WORD_BITS = DATA_BITS + 9
"""Data bits first: bit 8·l + b is bit b of lane l; then the check bits."""
FIRST_CYCLE = 2
"""The first in which an SR can hold a word."""
LEAST_DISTANCE = 2
"""Cycles from one flip on a stream to the next."""
MOST_WAITING = 32
"""Flips on streams the test port holds."""


@dataclasses.dataclass(frozen=True)
class MemoryFlip:
    """Turn over the bits of ``mask`` in a word that a program's image defines, before it starts."""

    place: int
    address: int
    superlane: int
    mask: int


@dataclasses.dataclass(frozen=True)
class StreamFlip:
    """Turn over the bits of ``mask`` in the word that stream ``stream`` (a 6-bit operand) holds in SR ``sr`` in cycle
    ``cycle``; the SR east of site n has number n. Nothing happens if it holds none."""

    cycle: int
    superlane: int
    stream: int
    sr: int
    mask: int


Flip = MemoryFlip | StreamFlip


def in_memory(flips: Iterable[Flip]) -> list[MemoryFlip]:
    """Those of words in memory."""
    return [flip for flip in flips if isinstance(flip, MemoryFlip)]


def on_streams(flips: Iterable[Flip]) -> list[StreamFlip]:
    """Those of words on streams, by cycle."""
    return sorted((flip for flip in flips if isinstance(flip, StreamFlip)), key=lambda flip: flip.cycle)


def refuse_wrong(program: Program, flips: Sequence[Flip]) -> None:
    """InputError for flips that a chip's test ports cannot make."""
    config = program.config
    if not flips:
        return
    if not config.ecc:
        raise InputError(f"config {config.name} has no check bits, so no bits can be flipped; set ecc=on")
    for flip in flips:
        what = describe(flip, config)
        if not 0 < flip.mask < 1 << WORD_BITS:
            raise InputError(f"flip of {what}: its bits must be some of 0…{WORD_BITS - 1}")
        if not 0 <= flip.superlane < config.superlanes:
            raise InputError(f"flip of {what}: superlane {flip.superlane} must be 0…{config.superlanes - 1}")
        if isinstance(flip, MemoryFlip):
            image = program.memory.get(flip.place)
            if image is None or flip.address not in image.addresses:
                raise InputError(f"flip of {what}: the word must be one that the program's image defines")
        else:
            _refuse_stream(flip, what, config)
    moving = on_streams(flips)
    for one, other in zip(moving, moving[1:], strict=False):
        if other.cycle - one.cycle < LEAST_DISTANCE:
            least = one.cycle + LEAST_DISTANCE
            raise InputError(f"flip of {describe(other, config)}: too soon after the one before; earliest is {least}")
    if len(moving) > MOST_WAITING:
        raise InputError(f"{len(moving)} flips on streams, at most {MOST_WAITING} can wait")


def _refuse_stream(flip: StreamFlip, what: str, config: ChipConfig) -> None:
    last = len(floorplan(config).sites) - 2
    if flip.stream >> STREAM_DIRECTION_BIT > 1 or flip.stream & (1 << STREAM_INDEX_BITS) - 1 >= config.streams:
        raise InputError(f"flip of {what}: there are {config.streams} streams a direction")
    if not 0 <= flip.sr <= last:
        raise InputError(f"flip of {what}: SR {flip.sr} must be 0…{last}")
    if not FIRST_CYCLE <= flip.cycle < 1 << 31:
        raise InputError(f"flip of {what}: its cycle must be {FIRST_CYCLE} or later")


def describe(flip: Flip, config: ChipConfig) -> str:
    """``mem.e0:4 superlane 0`` or ``e7 in SR 3 in cycle 20, superlane 0``."""
    if isinstance(flip, MemoryFlip):
        slices = floorplan(config).slices
        name = slices[flip.place].name if 0 <= flip.place < len(slices) else f"place {flip.place}"
        return f"{name}:{flip.address}, superlane {flip.superlane}"
    return f"{stream_name(flip.stream)} in SR {flip.sr} in cycle {flip.cycle}, superlane {flip.superlane}"


FORMS = "mem.e0:address:superlane:bits or e7:site:cycle:superlane:bits, bits such as 17 or 17+130"


def parse(text: str, config: ChipConfig) -> Flip:
    """The flip a text stands for: ``mem.e0:4:0:17`` or ``e7:vxm:12:0:17+130``.

    A stream's word is the one that a reader at that site would see in that cycle. Raises InputError.
    """
    name, *rest = text.split(":")
    if name.startswith("mem"):
        if len(rest) != 3:
            raise InputError(f"--flip {text}: must be {FORMS}")
        address, superlane = (_number(text, part) for part in rest[:2])
        return MemoryFlip(floorplan(config).slice(name).index, address, superlane, _mask(text, rest[2]))
    if len(rest) != 4:
        raise InputError(f"--flip {text}: must be {FORMS}")
    stream, sites = _stream(text, name), {site.name: site.index for site in floorplan(config).sites}
    if rest[0] not in sites:
        raise InputError(f"--flip {text}: unknown site '{rest[0]}'{nearest(rest[0], sites)}")
    cycle, superlane = (_number(text, part) for part in rest[1:3])
    sr = sites[rest[0]] - (0 if stream >> STREAM_DIRECTION_BIT else 1)
    return StreamFlip(cycle, superlane, stream, sr, _mask(text, rest[3]))


def _stream(text: str, name: str) -> int:
    if name[:1] not in ("e", "w") or not name[1:].isdecimal() or len(name) > 3:
        raise InputError(f"--flip {text}: must be {FORMS}")
    index = _number(text, name[1:])
    if index >= 1 << STREAM_INDEX_BITS:
        raise InputError(f"--flip {text}: there is no stream {name}")
    return index | (name[0] == "w") << STREAM_DIRECTION_BIT


def _mask(text: str, bits: str) -> int:
    mask = 0
    for part in bits.split("+"):
        bit = _number(text, part)
        if bit >= WORD_BITS:
            raise InputError(f"--flip {text}: bit {bit} must be 0…{WORD_BITS - 1}")
        mask |= 1 << bit
    return mask


def _number(text: str, part: str) -> int:
    if not (part.isascii() and part.isdecimal() and len(part) < 12):
        raise InputError(f"--flip {text}: '{part[:20]}' is not a number; must be {FORMS}")
    return int(part)
