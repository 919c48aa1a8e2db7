"""The tensors in a program file's header, which comes from strangers."""

import math
from typing import Any

from tsp.errors import InputError
from tsp.program import NARROW, Tensor, Window

DTYPES = ("bool", "int8", "uint8", "int16", "int32", "float16", "float32")
"""What a tensor's elements may be for its user; an input's also of types that numpy has not, and those of a table's
rows int64."""
_AXES = 8
_LARGEST = 1 << 16
"""Lines, columns, pads and the like of a window."""
_ROWS = 1 << 24
"""Of a table."""


def parse_tensors(rows: Any) -> dict[str, Tensor]:
    """Of a header; files of earlier releases have none. InputError if anything is not what it must be."""
    if type(rows) is not dict:
        raise InputError("the header's 'tensors' are damaged")
    return {name: _tensor(row) for name, row in rows.items()}


def _tensor(row: Any) -> Tensor:
    kinds = {"given": bool, "shape": list, "dtype": str, "offset": int, "channels_first": bool, "blocks": list}
    right = type(row) is dict and row.keys() - {"table"} == {*kinds, "fold", "window"}
    right = right and all(type(row[k]) is kinds[k] for k in kinds)
    table = row.get("table", 0) if right else 0
    right = right and type(table) is int and 0 <= table <= _ROWS and (not table or row["given"])
    known = ("int32", "int64") if table else (*DTYPES, *NARROW) if right and row["given"] else DTYPES
    if not right or row["dtype"] not in known or len(row["shape"]) > _AXES:
        raise InputError("the header's 'tensors' are damaged")
    sizes, blocks, fold = row["shape"], row["blocks"], row["fold"]
    least = 2 if row["channels_first"] else 0
    right = _sizes(sizes) and len(sizes) >= least and abs(row["offset"]) <= 128 and _sizes([fold])
    if not right or not all(type(block) is str for block in blocks):
        raise InputError("the header's 'tensors' are damaged")
    window = None if row["window"] is None else _window(row["window"])
    found = Tensor(**row | {"shape": tuple(sizes), "blocks": tuple(blocks), "window": window})
    pixels = math.prod(sizes) // found.features
    if table and (fold > 1 or window is not None):
        raise InputError("the header's 'tensors' are damaged")
    if pixels % fold or (window is not None and (math.prod(window.image) != pixels or not found.given)):
        raise InputError("the header's 'tensors' are damaged")
    return found


def _window(row: Any) -> Window:
    """Its lists have these lengths; pads and fill may be zero, or below."""
    lists = {"image": 3, "size": 2, "strides": 2, "pads": 4}
    right = type(row) is dict and row.keys() == {*lists, "dilation", "fill"}
    if not right or not all(_integers(row[n], count) for n, count in lists.items()):
        raise InputError("the header's 'tensors' are damaged")
    positive = [*row["image"], *row["size"], *row["strides"], row["dilation"]]
    small = _sizes(positive) and type(row["fill"]) is int and abs(row["fill"]) <= 256 and min(row["pads"]) >= 0
    window = Window(**row | {name: tuple(row[name]) for name in lists}) if small else None
    if window is None or min(window.places) < 1 or max(positive + row["pads"]) > _LARGEST:
        raise InputError("the header's 'tensors' are damaged")
    return window


def _sizes(values: list[Any]) -> bool:
    return all(type(size) is int and size >= 1 for size in values)


def _integers(value: Any, count: int) -> bool:
    return type(value) is list and len(value) == count and all(type(x) is int for x in value)
