"""Operations of a graph that take each number for itself."""

import numpy as np
from numpy.typing import ArrayLike

from tsp.compiler.graph_base import GraphBase
from tsp.compiler.tensor import BITS, COMPARES, DTYPES, ELEMENTWISE, INTEGERS, Tensor, wide
from tsp.errors import InputError, nearest


class Elementwise(GraphBase):
    """Operations of a graph that take each number for itself."""

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
            if x.features < features and x.value is None and not x.is_column:
                raise InputError(f"{op}: {x} has its numbers in one lane, so it must have {features} features")
            number = x.value is not None and x.shape == (1, 1)
            # An instruction has one immediate: the other numbers are rows.
            if x.value is not None and x.features < features and not (number and immediate):
                x = self.constant(np.repeat(x.value, features, axis=1))
            immediate = immediate and not number
            found.append(x)
        image = next((x.image for x in found if x.rows == rows and x.image is not None), None)
        return self.make(op, (rows, features), dtype, tuple(found), image)
