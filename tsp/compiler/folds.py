"""How many pixels the rows of images hold, so that a network takes few cycles."""

import dataclasses
import functools
import itertools
import math
from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from tsp.compiler.graph import ELEMENTWISE, Array, Graph, Tensor
from tsp.compiler.windows import Windows
from tsp.config import ChipConfig

INPUT_WINDOWS = 0
"""In the place of a fold: the rows of an input hold the windows of the convolution that takes it."""
MOST = 16
"""Pixels in a row, at most."""
PLANS = 20_000
"""So many are compared; with more sizes of images nothing is folded."""
EMISSION = 3
"""Passes whose results the VXM takes at the same time, about."""
ELEMENTWISE_OPS = (*ELEMENTWISE, "relu", "convert", "wrap", "shift", "add_saturated")
"""Operations on each number alone, which do not mind how many pixels a row holds."""
Key = tuple[int, int, int] | str
"""Images of one size are folded alike; an input that one convolution takes may be for itself."""


@dataclasses.dataclass(frozen=True)
class Columns:
    """A convolution across a line: from rows of ``before`` pixels to rows of ``after``.

    Attributes:
        original: its windows on pixels.
        width: of its kernel.
        columns: of the result, in pixels.
    """

    before: int
    after: int
    original: Windows
    width: int
    columns: int

    @property
    def wide(self) -> int:
        """Rows of a line of the result; the last may hold pixels beyond its end."""
        return -(-self.columns // self.after)

    def possible(self) -> bool:
        """Whether every row takes its input from rows at the same distance."""
        return self.wide == 1 or self.original.strides[1] * self.after % self.before == 0

    @functools.cached_property
    def places(self) -> list[tuple[int, int, int, int]]:
        """(row's offset, pixel in it, pixel in the result's row, column of the kernel)."""
        stride, pad, spread = self.original.strides[1], self.original.pads[1], self.original.dilations[1]
        found = []
        for after in range(self.after):
            for column in range(self.width):
                pixel = stride * after + column * spread - pad
                found.append((pixel // self.before, pixel % self.before, after, column))
        return found

    @property
    def first(self) -> int:
        """The lowest offset."""
        return min(place[0] for place in self.places)

    @property
    def taps(self) -> int:
        """How many rows side by side a row of the result takes."""
        return max(place[0] for place in self.places) - self.first + 1

    def windows(self, columns: int) -> Windows:
        """Strides and pads across an image of so many (folded) columns."""
        stride = max(1, self.original.strides[1] * self.after // self.before)
        room = (self.wide - 1) * stride + self.taps
        return Windows((1, stride), (0, -self.first, 0, room + self.first - columns))

    def toeplitz(self, parts: Array) -> Array:
        """Weights [part, lines, columns, in, out] → [part, lines, taps, before·in, after·out]."""
        count, lines, _, into, out = parts.shape
        found = np.zeros((count, lines, self.taps, self.before, into, self.after, out), parts.dtype)
        for offset, pixel, after, column in self.places:
            found[:, :, offset - self.first, pixel, :, after] = parts[:, :, column]
        return found.reshape(count, lines, self.taps, self.before * into, self.after * out)

    def tiles(self, into: int, out: int, lanes: int) -> int:
        """How many of them, of a line of the kernel, are not all zeros."""
        found = set()
        for offset, pixel, after, _ in self.places:
            sources = range(pixel * into // lanes, ((pixel + 1) * into - 1) // lanes + 1)
            targets = range(after * out // lanes, ((after + 1) * out - 1) // lanes + 1)
            found |= {(offset, source, target) for source in sources for target in targets}
        return len(found)


class Plan:
    """What is folded how.

    Attributes:
        folds: of each size of images.
    """

    def __init__(self, graph: Graph, config: ChipConfig):
        self.graph, self.config = graph, config
        self.folds: dict[Key, int] = {}
        self._costs: dict[tuple[str, int, int], float] = {}
        uses = defaultdict(list)
        for x in graph.tensors.values():
            for y in x.inputs:
                uses[y.name].append(x)
        self.own = {
            x.name for x in graph.inputs
            if len(uses[x.name]) == 1 and self.window(uses[x.name][0]) is not None
            and x not in graph.outputs.values()
        }  # fmt: skip
        self.convs = [x for x in graph.tensors.values() if self.window(x) is not None]
        self.joined = [x for x in graph.tensors.values() if self.joins(x)]
        self.pools = [x for x in graph.tensors.values() if x.op == "max_pool"]

    def key(self, x: Tensor) -> Key | None:
        """What decides how a tensor is folded; nothing for one that is no image."""
        return x.name if x.name in self.own else x.image

    def fold(self, x: Tensor) -> int:
        """Pixels in a row of a tensor."""
        key = self.key(x)
        return 1 if key is None else self.folds.get(key, 1)

    def window(self, x: Tensor) -> tuple[tuple[int, int], Windows] | None:
        """Kernel and windows of a convolution of bytes; a product of pixels is one of 1 × 1. Sums of floats would be
        other ones, and infinities meet zeros."""
        products = x.op == "matmul" and x.dtype == "int32" and len(x.inputs) == 2
        if not products or x.inputs[0].image is None or x.image is None:
            return None
        if dict(x.attributes).get("window") is not None:
            found: tuple[tuple[int, int], Windows] = x.attribute("window")
            return found
        return ((1, 1), Windows()) if all(rows is None for rows in x.attribute("taps")) else None

    def joins(self, x: Tensor) -> bool:
        """Whether it is a sum of products of bytes, each of the same pixel of an image of its own."""
        several = x.op == "matmul" and x.dtype == "int32" and len(x.inputs) > 2
        return several and x.image is not None and all(y.image == x.image for y in x.inputs[::2])

    def kernel(self, x: Tensor) -> tuple[tuple[int, int], Windows]:
        """The same of what is one."""
        found = self.window(x)
        assert found is not None
        return found

    def changes(self, x: Tensor) -> bool:
        """Whether a convolution must be made anew."""
        return (self.fold(x), self.fold(x.inputs[0])) != (1, 1)

    def free(self) -> dict[Key, list[int]]:
        """Sizes of images, and the folds that each may have."""
        fixed: set[Key] = set()
        channels: dict[Key, int] = defaultdict(lambda: self.config.lanes)
        for x in self.graph.tensors.values():
            known = x.op in ("", "max_pool") or self.window(x) is not None or self.joins(x) or _pixelwise(x)
            # An operation may take an image as rows that are none.
            inputs = [self.graph.tensors[y.name] for y in x.inputs]
            known = known and all(y.image == taken.image for y, taken in zip(inputs, x.inputs, strict=True))
            for y in (x, *inputs):
                if (key := self.key(y)) is None:
                    continue
                channels[key] = min(channels[key], y.features)
                if not known or (x.op == "max_pool" and x.dtype != "int8"):
                    fixed.add(key)
        found: dict[Key, list[int]] = {}
        for x in self.graph.tensors.values():
            if x.image is None or (key := self.key(x)) is None:
                continue
            most = min(MOST, max(1, 2 * self.config.lanes // channels[key]))
            large = x.rows > self.config.mem_words and key not in self.read_to_the_end
            folds = [f for f in range(1, most + 1) if x.image[2] % f == 0 or large]
            folds = [f for f in folds if folded_rows(x.image, f) <= self.config.mem_words] or folds
            found[key] = [1] if key in fixed else [*([INPUT_WINDOWS] if x.name in self.own else []), *folds]
        return found

    @functools.cached_property
    def read_to_the_end(self) -> set[Key | None]:
        """Sizes of images of which somebody may see what lies behind the last pixel of a line: given or asked for, or
        with windows that stand over the edge."""
        seen = {self.key(x) for x in (*self.graph.inputs, *self.graph.outputs.values())}
        windows = [(x, self.kernel(x)[1]) for x in self.convs]
        windows += [(x, x.attribute("windows")) for x in self.pools]
        return seen | {self.key(x.inputs[0]) for x, at in windows if at.pads[3]}

    def cost(self) -> float:
        """Cycles of all products and pools, about; infinite if it cannot be done."""
        return sum(map(self._conv, self.convs)) + sum(map(self._join, self.joined)) + sum(map(self._pool, self.pools))

    def _conv(self, x: Tensor) -> float:
        key = x.name, self.fold(x.inputs[0]), self.fold(x)
        if key not in self._costs:
            self._costs[key] = self._conv_cost(x, *key[1:])
        return self._costs[key]

    def _conv_cost(self, x: Tensor, before: int, after: int) -> float:
        image, (size, windows) = x.inputs[0], self.kernel(x)
        assert x.image is not None
        lines, features = size[0], image.features
        if before == INPUT_WINDOWS:
            width = reach(size[1], windows, after)
            if size == (1, 1) or width * lines * features > 2 * self.config.lanes:
                return math.inf
            tiles = -(-width * lines * features // self.config.lanes) * -(-after * x.features // self.config.lanes)
        else:
            columns = Columns(before, after, windows, size[1], x.image[2])
            if not columns.possible():
                return math.inf
            tiles = lines * columns.tiles(features, x.features, self.config.lanes)
        return self._cycles(tiles, folded_rows(x.image, after), -(-after * x.features // self.config.lanes))

    def _join(self, x: Tensor) -> float:
        fold = self.fold(x)
        assert x.image is not None
        columns = Columns(fold, fold, Windows(), 1, x.image[2])
        tiles = sum(columns.tiles(y.features, x.features, self.config.lanes) for y in x.inputs[::2])
        return self._cycles(tiles, folded_rows(x.image, fold), -(-fold * x.features // self.config.lanes))

    def _cycles(self, tiles: int, rows: int, blocks: int) -> float:
        if rows > self.config.mem_words // 2:
            return math.inf if rows > self.config.mem_words - 1 else 2.0 * tiles * rows
        planes = self.config.mxm_planes_e + self.config.mxm_planes_w
        products = tiles * max(rows / planes, self.config.superlanes)
        return max(products, blocks * rows / min(blocks, EMISSION))

    def _pool(self, x: Tensor) -> float:
        before, after = self.fold(x.inputs[0]), self.fold(x)
        if before == after == 1:
            return 2.0 * x.rows
        assert x.image is not None and x.inputs[0].image is not None
        width, windows = x.attribute("size")[1], x.attribute("windows")
        columns = Columns(max(1, before), after, windows, width, x.image[2])
        if before < 1 or not columns.possible():
            return math.inf
        channels, rows = x.features, folded_rows((*x.image[:2], x.inputs[0].image[2]), before)
        tiles = width * columns.tiles(channels, channels, self.config.lanes)
        return rows + self._cycles(tiles, folded_rows(x.image, after), -(-after * channels // self.config.lanes))


def folded_rows(image: tuple[int, int, int], fold: int) -> int:
    """Rows of images with so many pixels in each."""
    return image[0] * image[1] * -(-image[2] // fold)


def reach(width: int, windows: Windows, after: int) -> int:
    """How many pixels of a line ``after`` windows side by side cover, whose kernel is so wide."""
    return windows.strides[1] * (after - 1) + (width - 1) * windows.dilations[1] + 1


def _pixelwise(x: Tensor) -> bool:
    """Whether an operation takes each number from the same pixel and feature of all that is computed."""
    alike = all(y.value is not None or (y.image, y.features) == (x.image, x.features) for y in x.inputs)
    return x.op in ELEMENTWISE_OPS and alike


def _plans(choices: dict[Key, list[int]]) -> Iterator[dict[Key, int]]:
    for values in itertools.product(*choices.values()):
        yield dict(zip(choices, values, strict=True))


def choose(graph: Graph, config: ChipConfig) -> Plan:
    """The plan of the fewest cycles; of equal ones that which folds less."""
    plan = Plan(graph, config)
    choices = plan.free()
    if config.mxm_planes_e + config.mxm_planes_w == 0 or math.prod(map(len, choices.values())) > PLANS:
        return plan
    best: tuple[float, int, dict[Key, int]] | None = None
    for folds in _plans(choices):
        plan.folds = folds
        found = plan.cost(), sum(abs(fold - 1) for fold in folds.values())
        if best is None or found < best[:2]:
            best = *found, folds
    assert best is not None
    plan.folds = best[2] if math.isfinite(best[0]) else {}
    return plan
