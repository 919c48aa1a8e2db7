"""Bits turned over on purpose: what the test ports of feature ``ecc`` are asked for (docs, sections 8 and 9)."""

import dataclasses
from collections.abc import Iterable, Sequence

from tsp.config import ChipConfig
from tsp.errors import InputError, counted, nearest
from tsp.floorplan import floorplan
from tsp.isa import STREAM_DIRECTION_BIT, STREAM_INDEX_BITS, stream_name
from tsp.program import Program

DATA_BITS = 128
WORD_BITS = DATA_BITS + 9
"""Data bits first: bit 8·l + b is bit b of lane l; then the check bits."""
FIRST_CYCLE = 2
"""The first in which an SR can hold a word."""
LAST_CYCLE = (1 << 31) - 1
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
    for flip in flips:
        what = spell(flip, config)
        if not config.ecc:
            raise InputError(f"{what}: config {config.name} has no check bits, so no bits can be flipped; set ecc=on")
        if not 0 < flip.mask < 1 << WORD_BITS:
            raise InputError(f"{what}: its bits must be some of 0…{WORD_BITS - 1}")
        if not 0 <= flip.superlane < config.superlanes:
            raise InputError(f"{what}: superlane {flip.superlane} must be 0…{config.superlanes - 1}")
        if isinstance(flip, MemoryFlip):
            _refuse_word(flip, what, program)
        else:
            _refuse_stream(flip, what, config)
    moving = on_streams(flips)
    for one, other in zip(moving, moving[1:], strict=False):
        if other.cycle - one.cycle < LEAST_DISTANCE:
            before, least = spell(one, config), one.cycle + LEAST_DISTANCE
            raise InputError(f"{spell(other, config)}: too soon after {before}; its cycle must be {least} or later")
    if len(moving) > MOST_WAITING:
        what = spell(moving[MOST_WAITING], config)
        raise InputError(f"{what}: one of {len(moving)} flips on streams, at most {MOST_WAITING} can wait")


def refuse_late(flips: Iterable[Flip], cycles: int, config: ChipConfig) -> None:
    """InputError for flips on streams after the last of a program's cycles, which nobody would see."""
    for flip in on_streams(flips):
        if flip.cycle >= cycles:
            what, taken = spell(flip, config), counted(cycles, "cycle")
            if cycles <= FIRST_CYCLE:
                raise InputError(f"{what}: the program takes {taken}, too few for a flip on a stream")
            raise InputError(f"{what}: the program takes {taken}, so its cycle must be {FIRST_CYCLE}…{cycles - 1}")


def _refuse_word(flip: MemoryFlip, what: str, program: Program) -> None:
    image, slices = program.memory.get(flip.place), floorplan(program.config).slices
    if image is None:
        names = [slices[place].name for place in program.memory]
        rule = f"must be a word of a slice in which the program defines some; they are {', '.join(names) or 'none'}"
        raise InputError(f"{what}: {rule}")
    if flip.address not in image.addresses:
        close = min(image.addresses.tolist(), key=lambda address: abs(address - flip.address))
        raise InputError(f"{what}: word {flip.address} must be one that the program defines; try {close}")


def _refuse_stream(flip: StreamFlip, what: str, config: ChipConfig) -> None:
    sites = floorplan(config).sites
    west = flip.stream >> STREAM_DIRECTION_BIT
    if west > 1 or flip.stream & (1 << STREAM_INDEX_BITS) - 1 >= config.streams:
        raise InputError(f"{what}: {_streams(config)}")
    if not 0 <= flip.sr <= len(sites) - 2:
        first, last = (sites[0], sites[-2]) if west else (sites[1], sites[-1])
        raise InputError(f"{what}: {stream_name(flip.stream)} has readers at sites {first.name} to {last.name} only")
    if not FIRST_CYCLE <= flip.cycle <= LAST_CYCLE:
        raise InputError(f"{what}: its cycle must be {FIRST_CYCLE}…{LAST_CYCLE}")


def spell(flip: Flip, config: ChipConfig) -> str:
    """``flip mem.e0:4:0:17`` or ``flip e7:vxm:20:0:17``: what messages begin with, as :func:`parse` reads it."""
    plan = floorplan(config)
    bits = "+".join(str(bit) for bit in range(flip.mask.bit_length()) if flip.mask >> bit & 1)
    if isinstance(flip, MemoryFlip):
        name = plan.slices[flip.place].name if 0 <= flip.place < len(plan.slices) else f"place {flip.place}"
        return f"flip {name}:{flip.address}:{flip.superlane}:{bits}"
    reader = flip.sr + (0 if flip.stream >> STREAM_DIRECTION_BIT else 1)
    site = plan.sites[reader].name if 0 <= reader < len(plan.sites) else f"site {reader}"
    return f"flip {stream_name(flip.stream)}:{site}:{flip.cycle}:{flip.superlane}:{bits}"


FORMS = "mem.e0:address:superlane:bits or e7:site:cycle:superlane:bits, bits such as 17 or 17+130"


def parse(text: str, config: ChipConfig) -> Flip:
    """The flip a text stands for: ``mem.e0:4:0:17`` or ``e7:vxm:12:0:17+130``.

    A stream's word is the one that a reader at that site would see in that cycle. Raises InputError.
    """
    name, *rest = text.split(":")
    if name.startswith("mem"):
        if len(rest) != 3:
            raise InputError(f"flip {text}: must be {FORMS}")
        address, superlane = (_number(text, part) for part in rest[:2])
        try:
            place = floorplan(config).slice(name).index
        except InputError as error:
            raise InputError(f"flip {text}: {error}") from None
        return MemoryFlip(place, address, superlane, _mask(text, rest[2]))
    if len(rest) != 4:
        raise InputError(f"flip {text}: must be {FORMS}")
    stream, sites = _stream(text, name, config), {site.name: site.index for site in floorplan(config).sites}
    if rest[0] not in sites:
        raise InputError(f"flip {text}: unknown site '{rest[0]}'{nearest(rest[0], sites)}")
    cycle, superlane = (_number(text, part) for part in rest[1:3])
    sr = sites[rest[0]] - (0 if stream >> STREAM_DIRECTION_BIT else 1)
    return StreamFlip(cycle, superlane, stream, sr, _mask(text, rest[3]))


def _streams(config: ChipConfig) -> str:
    return f"streams are e0…e{config.streams - 1} and w0…w{config.streams - 1}"


def _stream(text: str, name: str, config: ChipConfig) -> int:
    if name[:1] not in ("e", "w") or not name[1:].isdecimal() or len(name) > 3:
        raise InputError(f"flip {text}: must be {FORMS}")
    index = _number(text, name[1:])
    if index >= 1 << STREAM_INDEX_BITS:
        raise InputError(f"flip {text}: {_streams(config)}")
    return index | (name[0] == "w") << STREAM_DIRECTION_BIT


def _mask(text: str, bits: str) -> int:
    mask = 0
    for part in bits.split("+"):
        bit = _number(text, part)
        if bit >= WORD_BITS:
            raise InputError(f"flip {text}: bit {bit} must be 0…{WORD_BITS - 1}")
        mask |= 1 << bit
    return mask


def _number(text: str, part: str) -> int:
    if not (part.isascii() and part.isdecimal() and len(part) < 12):
        raise InputError(f"flip {text}: '{part[:20]}' is not a number; must be {FORMS}")
    return int(part)
