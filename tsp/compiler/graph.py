"""A network as a graph of tensors; ``reference.py`` says what each of its operations means in numpy.

g = Graph()
x = g.input("x", (360, 64))                      # int8, a sample in each row
h = g.requantise(g.relu(g.add(g.matmul(x, w1), b1)), shift=7)
g.output("logits", g.add(g.matmul(h, w2), b2))   # int32
"""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tsp.compiler.tensor import BITS, COMPARES, DTYPES, ELEMENTWISE, INTEGERS, Array, Rows, Tensor, is_column, wide
from tsp.compiler.windows import Windows
from tsp.errors import InputError, nearest

__all__ = [
    "BITS", "COMPARES", "DTYPES", "ELEMENTWISE", "INTEGERS", "Array", "Graph", "Rows", "Tensor", "Windows",
    "is_column", "wide",
]  # fmt: skip

MOST_ROWS = 1 << 24
"""Of a tensor: more than the words of the largest chip, with sixteen pixels in each."""


class Graph:
    """Inputs, operations in the order of their making, outputs. Methods raise InputError, which names the tensors."""

    def __init__(self) -> None:
        self.tensors: dict[str, Tensor] = {}
        self.inputs: list[Tensor] = []
        self.outputs: dict[str, Tensor] = {}
        self._numbers: Counter[str] = Counter()

    def input(
        self, name: str, shape: tuple[int, int], dtype: str = "int8", image: tuple[int, int, int] | None = None,
        **attributes: Any,
    ) -> Tensor:  # fmt: skip
        """What is given for each run."""
        if dtype not in DTYPES:
            raise InputError(f"input {name!r} is {dtype}{nearest(dtype, DTYPES)}; known: {', '.join(DTYPES)}")
        if len(shape) != 2 or min(shape) < 1:
            raise InputError(f"input {name!r} has shape {list(shape)}, must be [rows, features], each at least 1")
        if image is not None and np.prod(image) != shape[0]:
            raise InputError(f"input {name!r} has {shape[0]} rows, but its image {list(image)} {np.prod(image)} pixels")
        found = self._add(Tensor(name, shape, dtype, attributes=tuple(attributes.items()), image=image))
        self.inputs.append(found)
        return found

    def constant(self, value: ArrayLike, dtype: str | None = None, name: str = "") -> Tensor:
        """A matrix, or a vector, which is one row."""
        array = np.asarray(value)
        array = array.reshape(1, -1) if array.ndim < 2 else array
        found = dtype or str(array.dtype)
        if found not in DTYPES or array.ndim != 2 or not array.size:
            kinds = ", ".join(DTYPES)
            raise InputError(
                f"constant {name or 'of ' + found} {list(array.shape)} must be a matrix or vector of {kinds}"
            )
        cast = array.astype(found)
        if not np.array_equal(cast, array, equal_nan=array.dtype.kind == "f") and found in INTEGERS:
            raise InputError(f"constant {name or 'given'} has values that are no {found}")
        return self._add(Tensor(name or self._fresh("constant"), cast.shape, found, value=cast))

    def matmul(self, x: Tensor, *weights: ArrayLike) -> Tensor:
        """int8 [n, k] times constant int8 [k, m], or times the sum of several: int32 [n, m], modulo 2^32. float16 times
        float16: float32, as :func:`tsp.compiler.floats.products` says."""
        parts = [np.asarray(part) for part in weights]
        if x.dtype == "float16":
            from tsp.compiler.floats import products

            return products(self, [(x, part) for part in parts])
        for part in parts:
            if x.dtype != "int8" or part.dtype != np.int8 or part.ndim != 2:
                raise InputError(f"matmul takes int8 times int8, not {x} times {part.dtype}{list(part.shape)}")
            if x.features != len(part):
                raise InputError(f"matmul: {x} has {x.features} features, but the weights have {len(part)} rows")
        w = self.constant(np.concatenate(parts))
        return self.make("matmul", (x.rows, w.features), "int32", (x, w), x.image, taps=(None,) * len(parts), fill=0)

    def matmul_each(self, x: Tensor, of_row: NDArray[np.int64], *stacks: ArrayLike) -> Tensor:
        """Row r times matrix ``of_row[r]`` of int8 [matrices, k, m], or times the sum of those of several stacks:
        int32 [n, m]. It takes as long as if every row were multiplied with every matrix."""
        parts = [np.asarray(stack) for stack in stacks]
        for part in parts:
            if x.dtype != "int8" or part.dtype != np.int8 or part.ndim != 3 or part.shape[1] != x.features:
                kinds = f"{part.dtype}{list(part.shape)}"
                raise InputError(f"matmul_each takes int8 times a stack of int8 [n, {x.features}, m], not {x}, {kinds}")
        w = self.constant(np.concatenate([matrix for part in parts for matrix in part]))
        rows = np.arange(x.rows)
        taps = tuple(tuple(np.where(of_row == n, rows, -1).tolist()) for part in parts for n in range(len(part)))
        return self.make("matmul", (x.rows, w.features), "int32", (x, w), x.image, taps=taps, fill=0)

    def conv2d(self, x: Tensor, *weights: ArrayLike, windows: Windows | None = None, fill: int = 0) -> Tensor:
        """Cross-correlation of images int8 with constant int8 [out, in, lines, columns], or with the sum of several:
        int32. What pads the images is ``fill``."""
        parts = [np.asarray(w) for w in weights]
        for w in parts:
            if x.image is None or w.ndim != 4 or w.dtype != np.int8 or x.dtype != "int8" or w.shape[1] != x.features:
                raise InputError(
                    f"conv2d takes int8 images and int8 [out, in, h, w], not {x} and {w.dtype}{list(w.shape)}"
                )
        out, into, lines, columns = parts[0].shape
        taps, image = (windows or Windows()).rows(x, (lines, columns))
        flat = np.concatenate([w.transpose(2, 3, 1, 0).reshape(lines * columns * into, out) for w in parts])
        found = self.constant(np.ascontiguousarray(flat))
        shape = int(np.prod(image)), out
        return self.make(
            "matmul", shape, "int32", (x, found), image, taps=taps * len(parts), fill=fill,
            window=((lines, columns), windows or Windows()),
        )  # fmt: skip

    def max_pool(self, x: Tensor, size: tuple[int, int], windows: Windows | None = None) -> Tensor:
        """The greatest of each window of an image; windows stand side by side if nothing else is said. What pads the
        image is less than anything."""
        windows = windows or Windows(strides=size)
        taps, image = windows.rows(x, size)
        return self.make("max_pool", (len(taps[0]), x.features), x.dtype, (x,), image, size=size, windows=windows)

    def sum_pool(self, x: Tensor, size: tuple[int, int], windows: Windows | None = None, fill: int = 0) -> Tensor:
        """The sum of each window of images int8: int32. Windows stand side by side if nothing else is said; what pads
        the images is ``fill``."""
        if x.dtype != "int8":
            raise InputError(f"sum_pool takes int8 images, not {x}")
        taps, image = (windows or Windows(strides=size)).rows(x, size)
        return self.make("sum_pool", (len(taps[0]), x.features), "int32", (x,), image, taps=taps, fill=fill)

    def flatten(self, x: Tensor, weights: ArrayLike) -> Tensor:
        """Whole images, [n, channels·h·w] in ONNX's order, times int8 [channels·h·w, out]: int32 [n, out]."""
        if x.image is None:
            raise InputError(f"flatten: {x} is no image; use matmul")
        _, lines, columns = x.image
        w = np.asarray(weights)
        kernel = w.T.reshape(w.shape[1], x.features, lines, columns)
        found = self.conv2d(x, np.ascontiguousarray(kernel))
        return dataclasses.replace(found, image=None)

    def add(self, a: Tensor, b: Tensor | ArrayLike) -> Tensor:
        """int32 modulo 2^32, or float32."""
        return self.elementwise("add", a, b)

    def sub(self, a: Tensor, b: Tensor | ArrayLike) -> Tensor:
        """int32 modulo 2^32, or float32."""
        return self.elementwise("sub", a, b)

    def mul(self, a: Tensor, b: Tensor | ArrayLike) -> Tensor:
        """int32 modulo 2^32, or float32."""
        return self.elementwise("mul", a, b)

    def minimum(self, a: Tensor, b: Tensor | ArrayLike) -> Tensor:
        """The lesser of each two."""
        return self.elementwise("minimum", a, b)

    def maximum(self, a: Tensor, b: Tensor | ArrayLike) -> Tensor:
        """The greater of each two."""
        return self.elementwise("maximum", a, b)

    def take(self, x: Tensor, rows: Iterable[int]) -> Tensor:
        """Rows of a tensor, in any order and any number of times."""
        chosen = tuple(rows)
        return self.make("rows", (len(chosen), x.features), x.dtype, (x,), None, rows=chosen, fill=0)

    def relu(self, x: Tensor) -> Tensor:
        """max(x, 0)."""
        return self.make("relu", x.shape, x.dtype, (x,), x.image)

    def convert(self, x: Tensor, dtype: str, wrap: bool = False) -> Tensor:
        """The nearest number of another type, ties to even. An integer beyond the type saturates, or with ``wrap``
        keeps its low bits."""
        if dtype not in DTYPES:
            raise InputError(f"convert {x} to {dtype}{nearest(dtype, DTYPES)}; known: {', '.join(DTYPES)}")
        if wrap and x.dtype not in INTEGERS:
            raise InputError(f"convert {x}: floats saturate; they have no low bits to keep")
        return self.make("wrap" if wrap else "convert", x.shape, dtype, (x,), x.image)

    def requantise(
        self, x: Tensor, *, shift: ArrayLike | None = None, scale: ArrayLike | None = None, zero: int = 0
    ) -> Tensor:
        """int32 to int8: x / 2^shift, or x · scale in float32, rounded half to even, plus ``zero``, saturated. One
        shift or scale for all, or one for each feature."""
        if x.dtype != "int32" or (shift is None) == (scale is None) or (shift is not None and zero):
            raise InputError(f"requantise {x}: takes int32 and either shift, or scale and zero")
        if shift is not None:
            shifts = np.asarray(shift).reshape(-1)
            if shifts.min() < 0 or shifts.max() > 31 or shifts.size not in (1, x.features):
                raise InputError(f"requantise {x}: shift is {shift}, must be 0…31, for all or for each feature")
            by = self.constant(shifts[:1] if (shifts == shifts[0]).all() else shifts, "int32")
            return self.make("shift", x.shape, "int8", (x, by), x.image)
        if not -128 <= zero <= 127:
            raise InputError(f"requantise {x}: zero is {zero}, must be -128…127")
        scaled = self.mul(self.convert(x, "float32"), np.asarray(scale, np.float32))
        if not zero:
            return self.convert(scaled, "int8")
        whole, moved = self.convert(scaled, "int32"), self.constant(np.int32(zero))
        return self.make("add_saturated", x.shape, "int8", (whole, moved), x.image)

    def lines(self) -> Iterator[str]:
        """A line of text for each tensor."""
        for x in self.tensors.values():
            image = f" image {list(x.image)}" if x.image is not None else ""
            yield f"{x}{image} = {x.op or 'given'}({', '.join(y.name for y in x.inputs)})"

    def output(self, name: str, x: Tensor) -> None:
        """What a run gives. Of an input a copy is made."""
        if x.op == "rows" or x in self.inputs:
            x = self.convert(x, x.dtype)
        if name in self.outputs or name in (given.name for given in self.inputs):
            raise InputError(f"output {name!r} is there twice, or an input; choose another name")
        self.outputs[name] = x

    def evaluate(self, values: Mapping[str, ArrayLike], lanes: int = 320) -> dict[str, Array]:
        """Every output in numpy. ``lanes``: 16·S of the chip; sums of that many products of floats are rounded once."""
        from tsp.compiler.reference import evaluate

        known: dict[str, Array] = {x.name: self.given(x, values) for x in self.inputs}
        for x in self.tensors.values():
            if x.value is not None:
                known[x.name] = x.value
            elif x.op:
                known[x.name] = evaluate(x, [known[y.name] for y in x.inputs], lanes)
        return {name: known[x.name] for name, x in self.outputs.items()}

    def given(self, x: Tensor, values: Mapping[str, ArrayLike]) -> Array:
        """What was given for an input; InputError if it is not that tensor."""
        if x.name not in values:
            raise InputError(f"no value for input {x}; inputs are {', '.join(map(str, self.inputs))}")
        array = np.asarray(values[x.name])
        if array.shape != x.shape or array.dtype != x.dtype:
            raise InputError(f"input {x.name!r} is {array.dtype}{list(array.shape)}, must be {x.dtype}{list(x.shape)}")
        return array

    def elementwise(self, op: str, a: Tensor, b: Tensor | ArrayLike) -> Tensor:
        """One of :data:`ELEMENTWISE`; in int32 or float32, or bits and shifts in int32. Compares give int32, 1 or 0;
        the lesser or greater of two tensors of one type has that type."""
        if op not in ELEMENTWISE:
            raise InputError(f"unknown operation '{op}'{nearest(op, ELEMENTWISE)}; known: {', '.join(ELEMENTWISE)}")
        other = b if isinstance(b, Tensor) else self.constant(b, wide(a.dtype))
        if (a.dtype in INTEGERS) != (other.dtype in INTEGERS):
            raise InputError(f"{op}: {a} and {other} are an integer and a float; convert one of them")
        compares, bits = ELEMENTWISE[op] in COMPARES, ELEMENTWISE[op] in BITS
        if bits and a.dtype not in INTEGERS:
            raise InputError(f"{op}: {a} is a float; bits are of integers")
        kept = op in ("minimum", "maximum") and other.dtype == a.dtype
        dtype = "int32" if compares else a.dtype if kept else wide(a.dtype)
        return self._each(op, dtype, (a, other))

    def select(self, condition: Tensor, a: Tensor | ArrayLike, b: Tensor | ArrayLike) -> Tensor:
        """``a`` where the condition, an integer, is not 0, else ``b``: int32, or float32 of floats."""
        kind = next((wide(x.dtype) for x in (a, b) if isinstance(x, Tensor)), "int32")
        given = [x if isinstance(x, Tensor) else self.constant(x, kind) for x in (a, b)]
        if condition.dtype not in INTEGERS or any(wide(x.dtype) != kind for x in given):
            raise InputError(
                f"select: {given[0]} and {given[1]} must be of one kind, and {condition} an integer; see bits"
            )
        return self._each("select", kind, (*given, condition))

    def bits(self, x: Tensor, dtype: str) -> Tensor:
        """The same 32 bits, read as int32 or float32."""
        if {x.dtype, dtype} != {"int32", "float32"}:
            raise InputError(f"bits of {x} as {dtype}: must be int32 as float32, or the other way round")
        return self.make("bits", x.shape, dtype, (x,), x.image)

    def rsqrt(self, x: Tensor) -> Tensor:
        """About 1/√x, within 2 units in the last place: who uses it corrects for that."""
        return self.make("rsqrt", x.shape, "float32", (x,), x.image)

    def _each(self, op: str, dtype: str, operands: tuple[Tensor, ...]) -> Tensor:
        """An operation element by element. One row meets every row; of a constant one number meets every feature."""
        rows, features = (max(x.shape[axis] for x in operands) for axis in (0, 1))
        found, immediate = [], True
        for x in operands:
            if x.rows not in (1, rows) or x.features not in (1, features):
                names = " and ".join(map(str, operands))
                raise InputError(f"{op}: {names} have different shapes; one may have one row or one number")
            if x.features < features and x.value is None and not is_column(x):
                raise InputError(f"{op}: {x} has its numbers in one lane, so it must have {features} features")
            number = x.value is not None and x.shape == (1, 1)
            # An instruction has one immediate: the other numbers are rows.
            if x.value is not None and x.features < features and not (number and immediate):
                x = self.constant(np.repeat(x.value, features, axis=1))
            immediate = immediate and not number
            found.append(x)
        image = next((x.image for x in found if x.rows == rows and x.image is not None), None)
        return self.make(op, (rows, features), dtype, tuple(found), image)

    def make(
        self, op: str, shape: tuple[int, int], dtype: str, inputs: tuple[Tensor, ...],
        image: tuple[int, int, int] | None, **attributes: Any,
    ) -> Tensor:  # fmt: skip
        """A new tensor; of constants alone a constant."""
        made = Tensor(self._fresh(op), shape, dtype, op, inputs, tuple(attributes.items()), image)
        known = [x.value for x in inputs if x.value is not None]
        if len(known) == len(inputs):
            from tsp.compiler.reference import evaluate

            return self.constant(evaluate(made, known, 1))
        return self._add(made)

    def _add(self, tensor: Tensor) -> Tensor:
        if tensor.name in self.tensors:
            raise InputError(f"tensor {tensor.name!r} is there twice; choose another name")
        if tensor.rows > MOST_ROWS:
            raise InputError(f"{tensor} has {tensor.rows} rows; no chip holds more than {MOST_ROWS}")
        self.tensors[tensor.name] = tensor
        return tensor

    def _fresh(self, kind: str) -> str:
        """A name that no tensor has yet."""
        while (name := f"{kind}_{self._numbers[kind]}") in self.tensors:
            self._numbers[kind] += 1
        return name
