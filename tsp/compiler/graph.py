"""A network as a graph of tensors; ``reference.py`` says what each of its operations means in numpy.

g = Graph()
x = g.input("x", (360, 64))                      # int8, a sample in each row
h = g.requantise(g.relu(g.add(g.matmul(x, w1), b1)), shift=7)
g.output("logits", g.add(g.matmul(h, w2), b2))   # int32
"""

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tsp.compiler import floats, moves
from tsp.compiler.elementwise import Elementwise
from tsp.compiler.tensor import BITS, COMPARES, DTYPES, ELEMENTWISE, INTEGERS, Array, Rows, Tensor, wide
from tsp.compiler.windows import Windows
from tsp.errors import InputError

__all__ = [
    "BITS", "COMPARES", "DTYPES", "ELEMENTWISE", "INTEGERS", "Array", "Graph", "Rows", "Tensor", "Windows",
    "wide",
]  # fmt: skip
Image = tuple[int, int, int] | None


class Graph(Elementwise):
    """A network: inputs, operations in the order of their making, outputs. Methods raise InputError, which names the
    tensors."""

    def matmul(self, x: Tensor, *weights: ArrayLike) -> Tensor:
        """int8 [n, k] times constant int8 [k, m], or times the sum of several: int32 [n, m], modulo 2^32. float16 times
        float16: float32, as :func:`tsp.compiler.floats.products` says."""
        parts = [np.asarray(part) for part in weights]
        if x.dtype == "float16":
            return floats.products(self, [(x, part) for part in parts], x.image)
        for part in parts:
            if x.dtype != "int8" or part.dtype != np.int8 or part.ndim != 2:
                raise InputError(f"matmul takes int8 times int8, not {x} times {part.dtype}{list(part.shape)}")
            if x.features != len(part):
                raise InputError(f"matmul: {x} has {x.features} features, but the weights have {len(part)} rows")
        w = self.constant(np.concatenate(parts))
        return self.make("matmul", (x.rows, w.features), "int32", (x, w), x.image, taps=(None,) * len(parts), fill=0)

    def products(self, pairs: Sequence[tuple[Tensor, ArrayLike]], image: Image = None) -> Tensor:
        """The sum of products of tensors of one type, each with weights of its own: of int8 [n, k] times constant int8
        [k, m] int32 [n, m], of float16 float32. ``image``: what its rows are the pixels of."""
        if pairs and pairs[0][0].dtype == "float16":
            return floats.products(self, pairs, image)
        inputs: list[Tensor] = []
        for x, weights in pairs:
            w = self.constant(weights)
            if x.dtype != "int8" or w.dtype != "int8" or x.features != w.rows:
                raise InputError(f"products take int8 [n, k] times int8 [k, m], not {x} times {w}")
            inputs += [x, w]
        shapes = {(x.rows, w.features) for x, w in zip(inputs[::2], inputs[1::2], strict=True)}
        if len(shapes) != 1:
            raise InputError(f"products of different shapes cannot be added: {', '.join(map(str, sorted(shapes)))}")
        return self.make("matmul", shapes.pop(), "int32", tuple(inputs), image, taps=(None,) * len(pairs), fill=0)

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

    def average_pool(
        self, x: Tensor, size: tuple[int, int], windows: Windows | None = None, count_padding: bool = False
    ) -> Tensor:
        """The mean of each window of images int8 or float16, in their type: the sum times 1 / (pixels of the window) in
        float32, of int8 rounded half to even. Windows stand side by side if nothing else is said. Padding is zeros,
        which are pixels of a window only with ``count_padding``."""
        windows = windows or Windows(strides=size)
        share = 1 / windows.pixels(x, size, count_padding)
        if x.dtype == "int8":
            return self.requantise(self.sum_pool(x, size, windows), scale=share)
        if x.dtype != "float16":
            raise InputError(f"average_pool takes images of int8 or float16, not {x}")
        taps, image = windows.rows(x, size)
        unit = np.eye(x.features, dtype=np.float16)
        sums = floats.products(self, [(self.take(x, rows), unit) for rows in taps], image)
        return self.convert(self.mul(sums, share.astype(np.float32)), "float16")

    def flatten(self, x: Tensor, *weights: ArrayLike) -> Tensor:
        """Whole images, [n, channels·h·w] in ONNX's order, times int8 [channels·h·w, out], or the sum of several: int32
        [n, out]."""
        if x.image is None:
            raise InputError(f"flatten: {x} is no image; use matmul")
        _, lines, columns = x.image
        kernels = [np.asarray(w).T.reshape(-1, x.features, lines, columns) for w in weights]
        found = self.conv2d(x, *map(np.ascontiguousarray, kernels))
        return dataclasses.replace(found, image=None)

    def take(self, x: Tensor, rows: Iterable[int]) -> Tensor:
        """Rows of a tensor, in any order and any number of times."""
        chosen = tuple(rows)
        return self.make("rows", (len(chosen), x.features), x.dtype, (x,), None, rows=chosen, fill=0)

    def concat(self, parts: Sequence[Tensor], axis: int = 1) -> Tensor:
        """Tensors of one type side by side (axis 1 or -1), or one below the other (axis 0). Of images side by side are
        their channels, below each other the images."""
        if axis not in (0, 1, -1) or not parts:
            raise InputError(f"concat of {len(parts)} tensors along axis {axis}: takes some, along 0 (rows) or 1")
        if len({part.shape[1 if axis == 0 else 0] for part in parts}) > 1:
            kind = "features" if axis == 0 else "rows"
            raise InputError(f"concat of {' and '.join(map(str, parts))}: they must have as many {kind}")
        images = {part.image if axis else part.image and part.image[1:] for part in parts}
        image = parts[0].image if len(images) == 1 else None
        if image is not None and axis == 0:
            image = sum(part.image[0] for part in parts if part.image), *image[1:]
        return moves.arranged(self, parts, np.concatenate(moves.numbers_of(parts), axis), image)

    def reshape(self, x: Tensor, shape: tuple[int, int], image: Image = None) -> Tensor:
        """The same numbers, row by row, in another shape. ``image``: what its rows are the pixels of."""
        if len(shape) != 2 or min(shape) < 1 or shape[0] * shape[1] != x.rows * x.features:
            raise InputError(f"reshape {x} to {list(shape)}: must be [rows, features] of {x.rows * x.features} numbers")
        if image is not None and np.prod(image) != shape[0]:
            raise InputError(f"reshape {x}: its image {list(image)} must have {shape[0]} pixels")
        return moves.arranged(self, [x], moves.numbers_of([x])[0].reshape(shape), image)

    def transpose(self, x: Tensor) -> Tensor:
        """[features, rows]: of more than a few numbers through float16, which needs an MXM that multiplies it."""
        return moves.arranged(self, [x], moves.numbers_of([x])[0].T)

    def gather(self, x: Tensor, numbers: ArrayLike, axis: int = 0) -> Tensor:
        """Rows (axis 0) or features (axis 1) by constant numbers, in any order and any number of times. Negative ones
        count from the end."""
        wanted, size = np.asarray(numbers), x.shape[axis % 2]
        wrong = wanted.dtype.kind not in "iu" or wanted.ndim != 1 or not wanted.size
        if wrong or wanted.min() < -size or wanted.max() >= size:
            raise InputError(f"gather of {x} along axis {axis}: takes a list of whole numbers {-size}…{size - 1}")
        return moves.arranged(self, [x], moves.numbers_of([x])[0].take(wanted, axis % 2), x.image if axis % 2 else None)

    def output(self, name: str, x: Tensor) -> None:
        """What a run gives. Of an input a copy is made."""
        if x.op == "rows" or x in self.inputs:
            x = self.convert(x, x.dtype)
        if name in self.outputs or name in (given.name for given in self.inputs):
            raise InputError(f"output {name!r} is there twice, or an input; choose another name")
        self.outputs[name] = x

    def softmax(self, x: Tensor, width: int = 0) -> Tensor:
        """Of the features of each row, float32; see :func:`tsp.compiler.floats.softmax`."""
        return floats.softmax(self, x, width)

    def layer_norm(
        self, x: Tensor, gain: ArrayLike | None = None, bias: ArrayLike | None = None, epsilon: float = 1e-5,
        scale: float = 1.0,
    ) -> Tensor:  # fmt: skip
        """Of the features of each row, float32; see :func:`tsp.compiler.floats.layer_norm`."""
        return floats.layer_norm(self, x, gain, bias, epsilon, scale)

    def rms_norm(self, x: Tensor, gain: ArrayLike | None = None, epsilon: float = 1e-5, scale: float = 1.0) -> Tensor:
        """Of the features of each row, float32; see :func:`tsp.compiler.floats.rms_norm`."""
        return floats.rms_norm(self, x, gain, epsilon, scale)
