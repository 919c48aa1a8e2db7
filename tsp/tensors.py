"""The tensors that a program takes and gives: where they lie in its memory, and how."""

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsp.errors import InputError, nearest
from tsp.files import parse_npy, read_bounded
from tsp.floorplan import floorplan
from tsp.isa import FLOAT_TYPES, Type
from tsp.memory_map import octets, plane_slices, typed
from tsp.program import NARROW, Image, Program, Symbol, Tensor, Window

Array = NDArray[Any]
Words = Callable[[int, int], NDArray[np.uint8]]
"""(place, address) → uint8 [16·S]."""
_FILE_LIMIT = 1 << 30
_OCTETS = 16
"""Of a superlane's word."""


def given(tensors: Mapping[str, Tensor], values: Mapping[str, Array]) -> None:
    """InputError unless the values are exactly the inputs, in shape and type."""
    wanted = {name: tensor for name, tensor in tensors.items() if tensor.given}
    for name in values:
        if name not in wanted:
            raise InputError(f"the program has no input {name!r}{nearest(name, wanted)}; it takes {_named(wanted)}")
    for name, tensor in wanted.items():
        if name not in values:
            raise InputError(f"no value for input {name!r}, {tensor}; the program takes {_named(wanted)}")
        array = values[name]
        if array.shape != tensor.shape or not _holds(array, tensor.dtype):
            raise InputError(f"input {name!r} is {array.dtype}{list(array.shape)}, must be {tensor}")
        if tensor.table:
            check_numbers(array, tensor.table, f"input {name!r}")


def check_numbers(numbers: Array, table: int, name: str) -> None:
    """InputError unless these are numbers of rows of a table that has so many."""
    for number in (int(numbers.min()), int(numbers.max())):
        if not -table <= number < table:
            nearest_one = min(max(number, -table), table - 1)
            raise InputError(f"{name} holds {number}, but the table has {table} rows, so must be {-table}…{table - 1}; "
                             f"try {nearest_one}")  # fmt: skip


def _holds(array: Array, dtype: str) -> bool:
    """Whether the elements are of a type. Of one that numpy has not, they may be bytes of its range."""
    least, most = NARROW.get(dtype, (0, -1))
    in_bytes = str(array.dtype) in ("int8", "uint8") and bool(((array >= least) & (array <= most)).all())
    return str(array.dtype) == dtype or in_bytes


def with_inputs(program: Program, values: Mapping[str, Array]) -> Program:
    """A program with its inputs in memory. InputError for a missing one, or one of another shape or type."""
    given(program.tensors, values)
    memory = {
        place: dict(zip(image.addresses.tolist(), image.words, strict=True)) for place, image in program.memory.items()
    }
    for name, array in values.items():
        tensor = program.tensors[name]
        rows = laid_out(array, tensor)
        for index, block in enumerate(tensor.blocks):
            for symbol in copies(program, block) if block else ():
                part = rows[:, index * program.config.lanes :]
                is_map = tensor.table and symbol.type == Type.INT8
                _store(program, memory, symbol, _maps(part, program.config.superlanes) if is_map else part)
    images = {place: Image.of(words, program.config.lanes) for place, words in memory.items()}
    return dataclasses.replace(program, memory=images)


def _maps(numbers: Array, superlanes: int) -> Array:
    """What GATHER takes: the first two bytes of each superlane's word are an address."""
    addresses = numbers.astype("<u2").view(np.int8)
    return np.tile(np.pad(addresses, ((0, 0), (0, _OCTETS - 2))), superlanes)


def copies(program: Program, block: str) -> Iterator[Symbol]:
    """The symbol of a block and those of its copies, which a compiler makes where it is read in several places."""
    yield program.symbols[block]
    for number in itertools.count(1):
        if (symbol := program.symbols.get(f"{block}.copy{number}")) is None:
            return
        yield symbol


def _store(program: Program, memory: dict[int, dict[int, Any]], symbol: Symbol, rows: Array) -> None:
    data = octets(rows[:, : program.config.lanes], symbol.type, program.config.lanes, "input")
    for plane, place in enumerate(_places(program, symbol)):
        held = memory.setdefault(place, {})
        held |= {symbol.address + row: data[row, :, plane].copy() for row in range(symbol.count)}


def _places(program: Program, symbol: Symbol) -> list[int]:
    return plane_slices(program.config, floorplan(program.config).slices[symbol.slice], symbol.type)


def outputs(program: Program, words: Words) -> dict[str, Array]:
    """Every output, from what memory holds after a run."""
    found = {}
    for name, tensor in program.tensors.items():
        if not tensor.given:
            rows = [_load(program, program.symbols[block], words) for block in tensor.blocks]
            found[name] = restored(np.concatenate(rows, axis=1), tensor)
    return found


def _load(program: Program, symbol: Symbol, words: Words) -> Array:
    addresses = np.arange(symbol.address, symbol.address + symbol.count)
    held = {place: np.array([words(place, address) for address in addresses.tolist()], np.uint8)
            for place in _places(program, symbol)}  # fmt: skip
    images = {place: Image(addresses, rows) for place, rows in held.items()}
    return typed(Program(program.config, memory=images), symbol)


def laid_out(array: Array, tensor: Tensor) -> Array:
    """[rows, width] as memory has them: what an image's pixel is a row of its channels, or several side by side;
    numbers of a table's rows counted from its start."""
    if tensor.table:
        return array.reshape(-1, 1).astype(np.int64) % tensor.table
    moved = np.moveaxis(array, 1, -1) if tensor.channels_first else array
    found = moved if array.dtype.kind == "f" else moved.astype(np.int64) - tensor.offset
    if tensor.window is not None:
        found = _windowed(found.reshape(*tensor.window.image, tensor.features), tensor.window)
    return found.reshape(tensor.rows, tensor.width)


def _windowed(pixels: Array, window: Window) -> Array:
    """[images, down, across, lines, columns, features] of [images, lines, columns, features]."""
    down, across = (np.arange(places) * stride for places, stride in zip(window.places, window.strides, strict=True))
    lines = down[:, None] + window.dilation * np.arange(window.size[0]) - window.pads[0]
    columns = across[:, None] + np.arange(window.size[1]) - window.pads[1]
    at, beside = lines[:, None, :, None], columns[None, :, None, :]
    _, high, wide = window.image
    inside = (at >= 0) & (at < high) & (beside >= 0) & (beside < wide)
    # Not padded before: a stranger's pads may be larger than any memory.
    taken = pixels[:, np.clip(at, 0, high - 1), np.clip(beside, 0, wide - 1)]
    return np.asarray(np.where(inside[..., None], taken, window.fill))


def restored(rows: Array, tensor: Tensor) -> Array:
    """The tensor of [rows, at least features]."""
    whole = rows[:, : tensor.width].reshape(-1, tensor.features)
    if tensor.offset:
        whole = whole.astype(np.int64) + tensor.offset
    whole = whole.astype(tensor.dtype)
    if not tensor.channels_first:
        return whole.reshape(tensor.shape).copy()
    n, channels, *pixels = tensor.shape
    return np.ascontiguousarray(np.moveaxis(whole.reshape(n, *pixels, channels), -1, 1))


def read_array(path: Path) -> Array:
    """An array of a ``.npy`` file; InputError for anything else."""
    return parse_npy(read_bounded(path, _FILE_LIMIT), str(path))


def check_layout(program: Program) -> None:
    """InputError unless every tensor's blocks are symbols that hold exactly its numbers."""
    lanes = program.config.lanes
    for name, tensor in program.tensors.items():
        names = [block for block in tensor.blocks if block or not tensor.given]
        symbols = [symbol for block in names if block in program.symbols for symbol in copies(program, block)]
        alike = {(symbol.count, symbol.type) for symbol in symbols}
        right = len(tensor.blocks) == -(-tensor.width // lanes) and names and set(names) <= program.symbols.keys()
        if not right or alike != {(tensor.rows, symbols[0].type)}:
            raise InputError(f"tensor {name!r}, {tensor}, does not lie in {', '.join(tensor.blocks) or 'any symbol'}")
        as_maps = symbols[0].type == Type.INT8 and tensor.table <= program.config.mem_words
        if tensor.table and not as_maps and symbols[0].type != Type.INT32:
            raise InputError(f"tensor {name!r}, {tensor}, does not hold numbers of {tensor.table} rows")
        if (symbols[0].type in FLOAT_TYPES) != tensor.dtype.startswith("float"):
            raise InputError(f"tensor {name!r}, {tensor}, lies in words of {symbols[0].type.name.lower()}")


def _named(tensors: Mapping[str, Tensor]) -> str:
    return ", ".join(f"{name} {tensor}" for name, tensor in tensors.items()) or "none"
