"""What every graph has: inputs, constants, outputs, and tensors in the order of their making."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from tsp.compiler.tensor import DTYPES, INTEGERS, Array, Tensor
from tsp.errors import InputError, nearest

MOST_ROWS = 1 << 24
"""Of a tensor: more than the words of the largest chip, with sixteen pixels in each."""


class GraphBase:
    """Inputs, operations in the order of their making, outputs. Methods raise InputError, which names the tensors."""

    def __init__(self) -> None:
        self.tensors: dict[str, Tensor] = {}
        self.inputs: list[Tensor] = []
        self.outputs: dict[str, Tensor] = {}
        self.node = ""
        """Of a model's nodes the one that is read: what is made of it is called by its name."""
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

    def lines(self) -> Iterator[str]:
        """A line of text for each tensor."""
        for x in self.tensors.values():
            image = f" image {list(x.image)}" if x.image is not None else ""
            yield f"{x}{image} = {x.op or 'given'}({', '.join(y.name for y in x.inputs)})"

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

    def make(
        self, op: str, shape: tuple[int, int], dtype: str, inputs: tuple[Tensor, ...],
        image: tuple[int, int, int] | None, **attributes: Any,
    ) -> Tensor:  # fmt: skip
        """A new tensor; of constants alone a constant."""
        made = Tensor(self._fresh(op), shape, dtype, op, inputs, tuple(attributes.items()), image)
        known = [x.value for x in inputs if x.value is not None]
        if len(known) < len(inputs):
            return self._add(made)
        from tsp.compiler.reference import evaluate

        return self.constant(evaluate(made, known, 1))

    def written(self, x: Tensor, dtype: str, image: tuple[int, int, int] | None = None) -> Tensor:
        """A tensor of its own, which the chip writes, with the numbers of another one; also of a constant."""
        return self._add(Tensor(self._fresh("convert"), x.shape, dtype, "convert", (x,), (), image))

    def _add(self, tensor: Tensor) -> Tensor:
        if tensor.name in self.tensors:
            raise InputError(f"tensor {tensor.name!r} is there twice; choose another name")
        if tensor.rows > MOST_ROWS:
            raise InputError(f"{tensor} has {tensor.rows} rows; no chip holds more than {MOST_ROWS}")
        self.tensors[tensor.name] = tensor
        return tensor

    def _fresh(self, kind: str) -> str:
        """A name that no tensor has yet."""
        kind = f"{self.node}:{kind}" if self.node else kind
        while (name := f"{kind}_{self._numbers[kind]}") in self.tensors:
            self._numbers[kind] += 1
        return name
