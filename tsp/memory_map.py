"""Which memory words are taken, and what they hold at the start. Assembler and builder share this."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tsp import float_text
from tsp.config import ChipConfig
from tsp.errors import InputError, counted, nearest
from tsp.floorplan import Slice, floorplan
from tsp.isa import FLOAT_TYPES, Type
from tsp.program import Image, Program, Symbol


class MemoryMap:
    """The memory of one chip being laid out: no word is given away twice."""

    def __init__(self, config: ChipConfig):
        self.config = config
        self.symbols: dict[str, Symbol] = {}
        self._taken: dict[int, NDArray[np.bool_]] = {}
        self._words: dict[int, dict[int, NDArray[np.uint8]]] = {}

    def reserve(
        self, name: str, slice_: str, count: int, type_: Type = Type.INT8, address: int | None = None
    ) -> Symbol:
        """Take ``count`` vectors of ``type_`` at ``address``, by default at the first that is free in all their slices.

        An empty name takes the words without naming them. Raises InputError for a slice that is no memory, a taken
        name, words that are taken or do not exist.
        """
        if name in self.symbols:
            raise InputError(f"'{name}' is defined twice; choose another name")
        planes = plane_slices(self.config, self._mem(slice_), type_)
        if not 1 <= count <= self.config.mem_words:
            raise InputError(f"'{name or slice_}' has {count} words, must be 1…{self.config.mem_words}")
        first = next(iter(self._free(planes, count).tolist()), -1) if address is None else address
        if not self._is_free(planes, first, count):
            free = self._free(planes, count)
            close = (
                f"try {free[np.argmin(np.abs(free - first))]}" if len(free) else "no free run of that length is left"
            )
            where = f"at {slice_}[{address}]" if address is not None else f"in {slice_}"
            raise InputError(
                f"no {count} free words {where} for '{name or slice_}' (memory has {self.config.mem_words}); {close}"
            )
        for place in planes:
            self._of(place)[first : first + count] = True
        symbol = Symbol(planes[0], first, count, type_)
        if name:
            self.symbols[name] = symbol
        return symbol

    def _of(self, place: int) -> NDArray[np.bool_]:
        """Which words of a slice are taken."""
        if place not in self._taken:
            self._taken[place] = np.zeros(self.config.mem_words, np.bool_)
        return self._taken[place]

    def _free(self, planes: list[int], count: int) -> NDArray[np.int64]:
        """Addresses from which on ``count`` words are free in all these slices."""
        return _runs(~np.any([self._of(place) for place in planes], axis=0), count)

    def _is_free(self, planes: list[int], first: int, count: int) -> bool:
        inside = 0 <= first <= self.config.mem_words - count
        return inside and not any(self._of(place)[first : first + count].any() for place in planes)

    def place(
        self, name: str, slice_: str, values: ArrayLike, type_: Type = Type.INT8, address: int | None = None
    ) -> Symbol:
        """Take words for ``values`` and define them: an array [n, at most 16·S], a row a vector filled up with zeros,
        or a flat one, which fills lane after lane; of integers, or for a floating-point type of any numbers. Raises
        InputError as :meth:`reserve` does, and for values out of range."""
        data = octets(np.asarray(values), type_, self.config.lanes, name or slice_)
        symbol = self.reserve(name, slice_, len(data), type_, address)
        for plane, place in enumerate(plane_slices(self.config, floorplan(self.config).slices[symbol.slice], type_)):
            words = self._words.setdefault(place, {})
            words.update(enumerate(data[..., plane].copy(), symbol.address))
        return symbol

    def symbol(self, name: str) -> Symbol:
        """The symbol of that name; InputError with the nearest otherwise."""
        if name not in self.symbols:
            raise InputError(f"'{name}' names no words of memory{nearest(name, self.symbols)}")
        return self.symbols[name]

    def define(self, name: str, words: NDArray[np.uint8]) -> None:
        """Define the first words [n, 16·S] of an int8 symbol. InputError if it has fewer, or some are defined."""
        symbol = self.symbol(name)
        if symbol.type != Type.INT8 or len(words) > symbol.count:
            size = f"{counted(symbol.count, 'vector')} of {symbol.type.name.lower()}"
            taken = counted(len(words), "vector")
            raise InputError(f"they take {taken} of int8, but '{name}' has {size}; change its .space")
        held = self._words.setdefault(symbol.slice, {})
        if any(symbol.address + i in held for i in range(symbol.count)):
            raise InputError(f"'{name}' holds data already; reserve words with .space")
        held |= {symbol.address + i: word.copy() for i, word in enumerate(words)}

    def images(self) -> dict[int, Image]:
        """The memory of a :class:`Program`."""
        return {place: Image.of(words, self.config.lanes) for place, words in sorted(self._words.items())}

    def _mem(self, name: str) -> Slice:
        slice_ = floorplan(self.config).slice(name)
        if slice_.unit != "mem":
            raise InputError(f"'{name}' has no memory; memory slices are mem.w0… and mem.e0…")
        return slice_


def plane_slices(config: ChipConfig, first: Slice, type_: Type) -> list[int]:
    """Places of the slices that hold the byte planes of a vector whose plane 0 lies in ``first``; InputError if one is
    beyond the last slice."""
    if first.number + type_.planes > config.mem_slices:
        close = f"mem.{first.hemisphere}{config.mem_slices - type_.planes}"
        raise InputError(f"{type_.name.lower()} in {first.name} takes {type_.planes} slices outward; start at {close}")
    plan = floorplan(config)
    return [plan.slice(f"mem.{first.hemisphere}{first.number + plane}").index for plane in range(type_.planes)]


def octets(values: NDArray[Any], type_: Type, lanes: int, name: str) -> NDArray[np.uint8]:
    """uint8 [n, lanes, 4]: the byte planes of :func:`vectors`."""
    rows = vectors(values, type_, lanes, name)
    return rows.astype("<u4").view(np.uint8).reshape(len(rows), lanes, 4)


def vectors(values: NDArray[Any], type_: Type, lanes: int, name: str) -> NDArray[np.int64]:
    """int64 [n, lanes] of a flat or two-dimensional array: integers, or the bits of floats. InputError for other arrays
    and values."""
    floats = type_ in FLOAT_TYPES
    if values.dtype.kind not in ("iuf" if floats else "iu") or values.ndim not in (1, 2) or values.size == 0:
        shape, kind = f"{values.dtype} {list(values.shape)}", "numbers" if floats else "integers"
        raise InputError(f"'{name}' is {shape}, must be a one- or two-dimensional array of {kind}, not empty")
    if floats:
        return _rows(float_text.bits_of(values, type_, name), lanes, name)
    limit = 1 << (8 * type_.planes - 1)
    for value in (values.min(), values.max()):
        if not -limit <= int(value) < limit:
            close = min(max(int(value), -limit), limit - 1)
            raise InputError(f"'{name}' holds {value}, {type_.name.lower()} is {-limit}…{limit - 1}; try {close}")
    return _rows(values, lanes, name)


def _rows(values: NDArray[Any], lanes: int, name: str) -> NDArray[np.int64]:
    """int64 [n, lanes], filled up with zeros."""
    if values.ndim == 2 and values.shape[1] > lanes:
        raise InputError(f"'{name}' has rows of {values.shape[1]}, but a vector has {lanes} lanes; split its rows")
    width = values.shape[1] if values.ndim == 2 else lanes
    rows = -(-values.size // width)
    flat = np.zeros(rows * width, np.int64)
    flat[: values.size] = values.reshape(-1)
    found = np.zeros((rows, lanes), np.int64)
    found[:, :width] = flat.reshape(rows, width)
    return found


def typed(program: Program, symbol: Symbol) -> NDArray[Any]:
    """[count, 16·S]: what a symbol's vectors hold at the start, undefined bytes as zero. int64, or float16 and float32
    for a floating-point type."""
    first = floorplan(program.config).slices[symbol.slice]
    addresses = range(symbol.address, symbol.address + symbol.count)
    planes = [program.initial(p, addresses) for p in plane_slices(program.config, first, symbol.type)]
    total = sum(plane.astype(np.int64) << (8 * i) for i, plane in enumerate(planes))
    if symbol.type in FLOAT_TYPES:
        return float_text.numbers_of(np.asarray(total, np.int64), symbol.type)
    bits = 8 * len(planes)
    return np.asarray((total + (1 << bits - 1)) % (1 << bits) - (1 << bits - 1), np.int64)


def _runs(free: NDArray[np.bool_], count: int) -> NDArray[np.int64]:
    """Addresses at which ``count`` free words begin."""
    total = np.concatenate([[0], np.cumsum(free)])
    return np.flatnonzero(total[count:] - total[:-count] == count)
