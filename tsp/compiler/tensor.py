"""The tensors of a graph, and what they may be."""

import dataclasses
import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

DTYPES = ("int8", "int16", "int32", "float16", "float32")
"""What a tensor's elements may be."""
INTEGERS = ("int8", "int16", "int32")
ELEMENTWISE = {
    "add": "ADD", "sub": "SUB", "mul": "MUL", "minimum": "MIN", "maximum": "MAX", "bit_and": "AND", "bit_or": "OR",
    "bit_xor": "XOR", "shift_left": "SHL", "shift_right": "SRL", "shift_rounded": "SRA", "equal": "EQ",
    "not_equal": "NE", "less": "LT", "less_equal": "LE", "greater": "GT", "greater_equal": "GE",
}  # fmt: skip
"""Operations on two tensors, and the instructions that do them. ``shift_right`` shifts zeros in, ``shift_rounded`` the
sign, and rounds half to even."""
COMPARES = ("EQ", "NE", "LT", "LE", "GT", "GE")
BITS = ("AND", "OR", "XOR", "SHL", "SRL", "SRA")
Array = NDArray[Any]
Rows = tuple[int, ...] | None
"""Which rows of a tensor an operation takes, for each of its own; -1 is a row of its ``fill``. None: one after the
other."""


@dataclasses.dataclass(frozen=True, eq=False)
class Tensor:
    """Rows of features: ``shape`` is (rows, features), ``dtype`` one of :data:`DTYPES`. Its name is it.

    A tensor of one row is the same in every row of what it meets. ``image``: the rows are the pixels of so many images
    of so many lines and columns. ``value``: of a constant.
    """

    name: str
    shape: tuple[int, int]
    dtype: str
    op: str = ""
    inputs: tuple["Tensor", ...] = dataclasses.field(default=(), hash=False)
    attributes: tuple[tuple[str, Any], ...] = dataclasses.field(default=(), hash=False)
    image: tuple[int, int, int] | None = None
    value: Array | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tensor) and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)

    @property
    def rows(self) -> int:
        return self.shape[0]

    @property
    def features(self) -> int:
        return self.shape[1]

    @functools.cached_property
    def is_column(self) -> bool:
        """Whether the number of each row is in every lane: a product makes it so, and what is computed of such.

        Kept, as a tensor may be met on many ways from another.
        """
        if self.op == "matmul" or self.value is not None:
            return self.features == 1
        return self.features == 1 and bool(self.inputs) and all(x.is_column for x in self.inputs)

    def attribute(self, name: str) -> Any:
        """Of the operation that makes it."""
        return dict(self.attributes)[name]

    def __str__(self) -> str:
        return f"{self.name} {self.dtype}[{self.rows}, {self.features}]"


def table_of(x: Tensor) -> int:
    """How many rows the table has of which an input gives numbers; 0 for any other tensor."""
    return int(dict(x.attributes).get("table", 0)) if not x.op else 0


def is_map(x: Tensor) -> bool:
    """Whether these are numbers of rows, one in each row, which lie in memory as the maps of GATHERs."""
    return x.op == "map" or table_of(x) > 0


def wide(dtype: str) -> str:
    """What the ALUs compute in."""
    return "int32" if dtype in INTEGERS else "float32"


def least(dtype: str) -> float:
    """The least number of an element type."""
    return int(np.iinfo(dtype).min) if dtype in INTEGERS else -np.inf
