"""Stage 0: convolutions and pools become products of rows, with several pixels of a line in one row.

An image of few channels leaves most lanes of its rows empty. *Folded* by f, a row holds f pixels that stand side by
side: [n, h, w, c] is [n, h, w/f, f·c], the same numbers in the same order. A convolution between folded images is
another one with wider rows and weights that repeat along a diagonal (a block Toeplitz matrix). ``folds.py`` chooses f
for the images of each size.
"""

import dataclasses
import functools
import math

import numpy as np

from tsp.compiler.folds import INPUT_WINDOWS, Columns, choose, folded_rows, reach
from tsp.compiler.graph import Array, Graph, Rows, Tensor
from tsp.compiler.tables import in_parts
from tsp.compiler.tensor import least, table_of
from tsp.compiler.windows import Windows
from tsp.config import ChipConfig
from tsp.program import Window


@dataclasses.dataclass(frozen=True)
class Layout:
    """How the rows of an input or output hold an image: so many pixels each, or what a window covers."""

    fold: int = 1
    window: Window | None = None


class _Folding(Graph):
    """The new graph. Tensors keep their names; new ones are called ``tensor.kind.number`` by what they are made for."""

    def __init__(self, old: Graph, config: ChipConfig):
        super().__init__()
        self.old, self.plan, self.words = old, choose(old, config), config.mem_words
        self.layouts: dict[str, Layout] = {}
        self.made = 0

    def _fresh(self, kind: str) -> str:
        self.made += 1
        return f"{self.node}.{kind}.{self.made}"

    def run(self) -> "_Folding":
        for x in self.old.tensors.values():
            self.node = x.name
            self._tensor(x)
        for name, x in self.old.outputs.items():
            self.outputs[name] = self.tensors[x.name]
            # An output may be an image as rows that are none.
            self.layouts[x.name] = Layout(self.plan.fold(self.old.tensors[x.name]))
        return self

    def _tensor(self, x: Tensor) -> None:
        if x.value is not None:
            self._add(x)
        elif not x.op:
            self._given(x)
        elif x.op == "max_pool":
            self._pool(x)
        elif x.op == "look_up" and x.inputs[0].rows > self.words:
            self._table(x)
        elif self.plan.window(x) is not None and self.plan.changes(x):
            size, windows = self.plan.kernel(x)
            weights = x.inputs[1].value
            assert weights is not None
            parts = weights.reshape(-1, *size, x.inputs[0].features, x.features)
            self._product(x, self.plan.fold(x.inputs[0]), self.tensors[x.inputs[0].name], parts, windows)
        else:
            fold = self.plan.fold(x)
            shape, image = _folded(x, fold)
            repeated = self._diagonal if self.plan.joins(x) else self._repeated
            inputs = tuple(repeated(x, y, fold) for y in x.inputs)
            self._add(dataclasses.replace(x, shape=shape, image=image, inputs=inputs))

    def _given(self, x: Tensor) -> None:
        fold, layout = self.plan.fold(x), Layout()
        shape, image = _folded(x, fold)
        if fold == INPUT_WINDOWS:
            # Its rows are laid out for the convolution that takes it.
            conv = next(y for y in self.old.tensors.values() if x in y.inputs)
            window = self._window(conv)
            image = (window.image[0], *window.places)
            shape = math.prod(image), math.prod(window.size) * x.features
            layout = Layout(1, window)
        elif x.image is not None:
            layout = Layout(fold)
        elif table_of(x) > self.words:
            x = dataclasses.replace(x, attributes=())  # numbers that the chip makes maps of
        self.layouts[x.name] = layout
        self.inputs.append(self._add(dataclasses.replace(x, shape=shape, image=image)))

    def _table(self, x: Tensor) -> None:
        """Rows of a table that no slice holds."""
        table, which = x.inputs
        assert table.value is not None
        number = self.tensors[which.inputs[0].name if which.op else which.name]
        found = in_parts(self, table.value, number, self.words)
        del self.tensors[found.name]
        self._add(dataclasses.replace(found, name=x.name))

    def _window(self, conv: Tensor) -> Window:
        """What a row of the input of a convolution holds: all that a row of its result takes."""
        size, windows = self.plan.kernel(conv)
        fold, (down, across) = self.plan.fold(conv), windows.strides
        width = reach(size[1], windows, fold)
        image, (above, left, below, right) = conv.inputs[0].image, windows.pads
        assert image is not None and conv.image is not None
        # Windows of pixels beyond the end of a line of the result stand there too.
        right = max(right, (-(-conv.image[2] // fold) - 1) * across * fold + width - image[2] - left)
        strides, dilation, pads = (down, across * fold), windows.dilations[0], (above, left, below, right)
        return Window(image, (size[0], width), strides, pads, dilation, conv.attribute("fill"))

    def _repeated(self, x: Tensor, y: Tensor, fold: int) -> Tensor:
        """An operand of an elementwise operation; constants as wide, or with as many rows, as the rest."""
        if y.value is None or fold == 1 or y.value.size == 1:
            return self.tensors[y.name]
        if y.rows == 1:
            return self.constant(np.tile(y.value, (1, fold)), y.dtype)
        assert x.image is not None
        pixels = y.value.reshape(-1, x.image[2], y.features)
        padded = np.pad(pixels, ((0, 0), (0, -x.image[2] % fold), (0, 0)))
        return self.constant(padded.reshape(-1, fold * y.features), y.dtype)

    def _diagonal(self, _: Tensor, y: Tensor, fold: int) -> Tensor:
        """An operand of products of the same pixel: weights as often as there are pixels in a row."""
        if y.value is None or fold == 1:
            return self.tensors[y.name]
        return self.constant(np.kron(np.eye(fold, dtype=y.value.dtype), y.value))

    def _product(self, x: Tensor, before: int, taken: Tensor, parts: Array, windows: Windows) -> Tensor:
        """``x`` from an image that is folded by ``before`` to ``taken``: weights [part, lines, columns, in, out]."""
        assert x.image is not None and taken.image is not None
        after, width = self.plan.fold(x), parts.shape[2]
        taps: tuple[Rows, ...] = (None,)
        if before == INPUT_WINDOWS:
            at = dataclasses.replace(windows, pads=(0, 0, 0, 0))
            columns = Columns(self._window(x).size[1], after, at, width, x.image[2])
        else:
            columns = Columns(before, after, windows, width, x.image[2])
            across = columns.windows(taken.image[2])
            whole = Windows(
                (windows.strides[0], across.strides[1]),
                (windows.pads[0], across.pads[1], windows.pads[2], across.pads[3]),
                (windows.dilations[0], 1),
            )
            taps, _ = whole.rows(taken, (parts.shape[1], columns.taps))
        flat = columns.toeplitz(parts)
        weights = self.constant(np.ascontiguousarray(flat.reshape(-1, flat.shape[-1])))
        attributes = (("taps", taps * len(parts)), ("fill", x.attribute("fill")))
        shape, made = _folded(x, after)
        return self._add(Tensor(x.name, shape, x.dtype, "matmul", (taken, weights), attributes, made))

    def _pool(self, x: Tensor) -> None:
        """Down the lines, as rows of the image; then across, as rows too if they hold one pixel, else as what the MXM
        picks out of them."""
        image, size, windows = x.inputs[0], x.attribute("size"), x.attribute("windows")
        (down, across), (above, left, below, right) = windows.strides, windows.pads
        found = self.tensors[image.name]
        if size[0] > 1 or down > 1 or above or below:
            lines = dataclasses.replace(windows, strides=(down, 1), pads=(above, 0, below, 0))
            found = self._greatest(x, found, (size[0], 1), lines)
        columns = dataclasses.replace(windows, strides=(1, across), pads=(0, left, 0, right))
        if self.plan.fold(image) == self.plan.fold(x) == 1:
            found = self._greatest(x, found, (1, size[1]), columns)
        else:
            found = self._picked(x, image, found, columns)
        del self.tensors[found.name]
        self._add(dataclasses.replace(found, name=x.name))

    def _greatest(self, x: Tensor, image: Tensor, size: tuple[int, int], windows: Windows) -> Tensor:
        taps, made = windows.rows(image, size)
        shape = len(taps[0]), image.features
        parts = [self.make("rows", shape, x.dtype, (image,), made, rows=rows, fill=least(x.dtype)) for rows in taps]
        return self.convert(functools.reduce(self.maximum, parts), x.dtype)

    def _picked(self, x: Tensor, image: Tensor, found: Tensor, windows: Windows) -> Tensor:
        one = np.eye(image.features, dtype=np.int8)[None, None, None]
        greatest: Tensor | None = None
        for column in range(x.attribute("size")[1]):
            pad = windows.pads[1] - column * windows.dilations[1]
            at = dataclasses.replace(windows, pads=(0, pad, 0, 0), dilations=(1, 1))
            like = dataclasses.replace(x, name=f"{x.name}.{column}", dtype="int32", attributes=(("fill", -128),))
            picked = self._product(like, self.plan.fold(image), found, one, at)
            greatest = self.convert(picked if greatest is None else self.maximum(picked, greatest), x.dtype)
        assert greatest is not None
        return greatest


def _folded(x: Tensor, fold: int) -> tuple[tuple[int, int], tuple[int, int, int] | None]:
    """Shape and image of a tensor with ``fold`` pixels in a row."""
    if x.image is None or fold <= 1:
        return x.shape, x.image
    n, lines, columns = x.image
    return (folded_rows(x.image, fold), x.features * fold), (n, lines, -(-columns // fold))


def fold(graph: Graph, config: ChipConfig) -> tuple[Graph, dict[str, Layout]]:
    """The graph in products of rows, and the layouts of its inputs and outputs by the names of their tensors."""
    folding = _Folding(graph, config).run()
    return folding, folding.layouts
