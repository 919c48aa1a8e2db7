"""What ``tsp run --dump`` shows: words of memory as bytes, symbols as elements of their type."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsp.errors import InputError, nearest
from tsp.floorplan import floorplan
from tsp.flow import Fault, Flow
from tsp.memory_map import plane_slices, typed
from tsp.program import Image, Program, Symbol
from tsp.system import System
from tsp.toml_file import shortened

Word = tuple[int, int]
"""(place of a MEM slice, address)."""
Memory = Mapping[Word, NDArray[np.uint8]]
"""Words that are defined → uint8 [16·S]."""


def dumped_words(program: Program, text: str, chip: str = "") -> list[Word]:
    """The words ``mem.e0:4`` (one), ``mem.e0:0:4`` (slice, address, count) or a symbol's name stand for.

    Raises InputError for anything else, and for words that memory does not have. ``chip``: of a system, for messages.
    """
    before = f"--dump {chip}:" if chip else "--dump "
    plan, config = floorplan(program.config), program.config
    name, *numbers = text.split(":")
    if symbol := program.symbols.get(text):  # whose name may have colons in it
        places = plane_slices(config, plan.slices[symbol.slice], symbol.type)
        return [(place, symbol.address + i) for place in places for i in range(symbol.count)]
    memories = [slice_.name for slice_ in plan.slices if slice_.unit == "mem"]
    if name in program.symbols:
        raise InputError(f"{before}{text}: a symbol is dumped as a whole; try {before}{name}")
    if name not in memories:
        known = nearest(name, [*program.symbols, *memories])
        raise InputError(f"{before}{text}: '{name}' is no MEM slice or symbol{known}")
    if not 1 <= len(numbers) <= 2 or not all(number.isascii() and number.isdigit() for number in numbers):
        raise InputError(f"{before}{text}: must be slice:address:count, such as {name}:0:4")
    # Nineteen digits are as far out of range as six thousand, which int() refuses.
    address, count = (int(number.lstrip("0")[:19] or 0) for number in [*numbers, "1"][:2])
    if not 1 <= count <= config.mem_words - address:
        raise InputError(f"{before}{text}: must lie in words 0…{config.mem_words - 1} and have at least one")
    place = plan.slice(name).index
    return [(place, address + i) for i in range(count)]


def of_chip(system: System, text: str, names: Sequence[str] = ()) -> tuple[int, str]:
    """The number of the chip in ``CHIP:WORDS``, among those of a system or ``names``, and the words. InputError if
    there is none."""
    known = names or [chip.name for chip in system.chips]
    name, colon, rest = text.partition(":")
    if not colon:
        close = shortened(f"{known[0]}:{text}")
        raise InputError(f"--dump {shortened(text)}: of a system must begin with a chip and a colon, such as {close}")
    if name not in known:
        raise InputError(f"{system.name}: there is no chip '{shortened(name)}'{nearest(name[:60], known)}")
    return known.index(name), rest


def shown(program: Program, text: str, held: Memory) -> Any:
    """What :func:`dumped_words` asks for: the elements of a symbol, or the bytes of each word by name."""
    if text in program.symbols:
        return elements(program, program.symbols[text], held)
    slices, words = floorplan(program.config).slices, dumped_words(program, text)
    return {f"{slices[place].name}[{at}]": superlanes(held.get((place, at))) for place, at in words}


def superlanes(word: NDArray[np.uint8] | None) -> list[str] | None:
    """A word's bytes in hexadecimal, lane 0 first, a string per superlane; None for an undefined word."""
    return None if word is None else [row.tobytes().hex() for row in word.reshape(-1, 16)]


def elements(
    program: Program, symbol: Symbol, memory: Memory
) -> list[list[int] | list[float] | None]:
    """A symbol's vectors in its type; None for one of which a word is missing in ``memory``.

    Floats are the shortest decimal numbers that round to them as fp32: 0.1, not 0.10000000149011612.
    """
    config = program.config
    places = plane_slices(config, floorplan(config).slices[symbol.slice], symbol.type)
    found: list[list[int] | list[float] | None] = []
    for address in range(symbol.address, symbol.address + symbol.count):
        if any((place, address) not in memory for place in places):
            found.append(None)
            continue
        images = {place: Image(np.array([address]), memory[place, address][None]) for place in places}
        vector = dataclasses.replace(symbol, address=address, count=1)
        values = typed(Program(config, memory=images), vector)[0]
        floats = values.dtype.kind == "f"
        found.append([float(str(v)) for v in values.astype(np.float32)] if floats else values.tolist())
    return found


def defined(program: Program, flow: Flow, written: Mapping[int, Image], fault: Fault | None) -> set[Word]:
    """The words that are defined at the end: given, or written before the first fault and not after it. Of a slice with
    a SCATTER, no word after a fault."""
    known = _words(program.memory) | _words(written)
    if fault is None:
        return known
    stores, scattered = flow.stores, set(flow.indirect.place[flow.indirect.writes].tolist())
    late = flow.reads.time[stores.read] >= fault.cycle
    spoilt = set(zip(stores.place[late].tolist(), stores.address[late].tolist(), strict=True))
    return {word for word in known - spoilt if word[0] not in scattered}


def _words(memory: Mapping[int, Image]) -> set[Word]:
    return {(place, address) for place, image in memory.items() for address in image.addresses.tolist()}
