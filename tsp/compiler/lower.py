"""Stage 1: a graph becomes passes. A pass streams the rows of some blocks through one plane of the MXM, through a chain
of ALUs, or through both, and writes one block."""

import dataclasses
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from tsp.compiler.graph import DTYPES, INTEGERS, Array, Graph, Rows, Tensor
from tsp.config import ChipConfig
from tsp.errors import InputError
from tsp.isa import Type

TYPES = {"int8": Type.INT8, "int16": Type.INT16, "int32": Type.INT32, "float16": Type.FP16, "float32": Type.FP32}
MNEMONICS = {"add": "ADD", "sub": "SUB", "mul": "MUL", "minimum": "MIN", "maximum": "MAX", "relu": "RELU"}


@dataclasses.dataclass(frozen=True)
class Block:
    """Up to 16·S features of a tensor: a vector for each row, and one more for rows that a view takes from nowhere.

    Attributes:
        values: of a constant, [rows, features].
        given: it is of an input.
        fill: what the vector behind the last row holds; None if there is none.
    """

    tensor: str
    index: int
    rows: int
    type: Type
    values: Array | None = dataclasses.field(default=None, compare=False)
    given: bool = False
    fill: int | None = None

    @property
    def name(self) -> str:
        return f"{self.tensor}.{self.index}"

    @property
    def words(self) -> int:
        """How many it takes of each of its slices."""
        return self.rows + (self.fill is not None)


Runs = tuple[tuple[int, int, int], ...]
"""Rows in the order in which they are read or written: first row, how many, step."""


@dataclasses.dataclass(frozen=True)
class View:
    """Rows of a block."""

    block: Block
    runs: Runs


@dataclasses.dataclass(frozen=True)
class Tile:
    """Weights int8 [out ≤ 16·S, in ≤ 16·S] and the rows they multiply."""

    name: str
    weights: NDArray[np.int8] = dataclasses.field(compare=False)
    view: View


SHOWN = 3
"""Tiles of a pass that are written out."""
PREVIOUS = "previous"
"""Operand: what the step before made, or the sums of the MXM."""
Operand = View | int | float | str


@dataclasses.dataclass(frozen=True)
class Step:
    """An instruction of the VXM. ``is_float``: its result is fp32, else int32; ``from_float``: so is what it takes."""

    mnemonic: str
    operands: tuple[Operand, ...]
    is_float: bool
    from_float: bool

    def __str__(self) -> str:
        return f"{self.mnemonic}({', '.join(o.block.name if isinstance(o, View) else str(o) for o in self.operands)})"


@dataclasses.dataclass(frozen=True)
class Pass:
    """``count`` rows of ``result``, one a cycle. Without tiles the first step reads blocks."""

    name: str
    count: int
    tiles: tuple[Tile, ...]
    steps: tuple[Step, ...]
    result: View

    def views(self) -> list[View]:
        """Those its steps read, each once."""
        return list(dict.fromkeys(o for step in self.steps for o in step.operands if isinstance(o, View)))

    def blocks(self) -> Iterator[Block]:
        """All that it reads or writes, but the weights."""
        views = [*(tile.view for tile in self.tiles), *self.views(), self.result]
        yield from dict.fromkeys(view.block for view in views)

    def together(self) -> list[Block]:
        """Those it reads or writes at the same time: with the last of its tiles."""
        views = [*(tile.view for tile in self.tiles[-1:]), *self.views(), self.result]
        return list(dict.fromkeys(view.block for view in views))

    def __str__(self) -> str:
        first = self.result.runs[0][0]
        tiles = [f"{tile.view.block.name} × {tile.name}" for tile in self.tiles]
        if len(tiles) > SHOWN:
            tiles = [*tiles[: SHOWN - 1], f"… {len(tiles)} tiles"]
        made = " → ".join([*([" + ".join(tiles)] if tiles else []), *map(str, self.steps)])
        return f"{self.result.block.name} rows {first}…{first + self.count - 1}: {made}"


@dataclasses.dataclass
class _Chain:
    """What is computed and not in memory yet: products and the operations on their sums, or the latter alone."""

    tensor: Tensor
    product: Tensor | None
    steps: list[tuple[Tensor, str]]
    """An operation, and the name of the tensor before it in the chain; none for the first, if there are no products."""


class _Lowering:
    def __init__(self, graph: Graph, config: ChipConfig):
        self.graph, self.config = graph, config
        self.open: dict[str, _Chain] = {}
        self.passes: list[Pass] = []
        self.uses: dict[str, int] = {}
        for x in [*graph.outputs.values(), *(y for z in graph.tensors.values() for y in z.inputs)]:
            self.uses[x.name] = self.uses.get(x.name, 0) + 1
        self.fills = _fills(graph)
        """Tensors of which an operation takes rows that are not there, and what those hold."""

    def run(self) -> list[Pass]:
        for x in self.graph.tensors.values():
            if x.op and x.op != "rows" and x.name in self.uses:
                self._lower(x)
        for x in self.graph.outputs.values():
            self._close(x)
        return self.passes

    def _lower(self, x: Tensor) -> None:
        if x.op == "matmul":
            self._close(x.inputs[0])
            self.open[x.name] = _Chain(x, x, [])
            return
        before = next((y for y in x.inputs if self._extends(y, x)), None)
        for y in x.inputs:
            if y is not before:
                self._close(y)
        chain = self.open.pop(before.name) if before is not None else _Chain(x, None, [])
        self.open[x.name] = _Chain(x, chain.product, [*chain.steps, (x, before.name if before is not None else "")])

    def _extends(self, y: Tensor, x: Tensor) -> bool:
        """Whether ``x`` may follow directly on what makes its input ``y``: there are ALUs for it, and nothing in memory
        is read twice at the same time."""
        if y.name not in self.open or self.uses[y.name] > 1:
            return False
        chain = self.open[y.name]
        read = {_base(z).name for step, before in chain.steps for z in step.inputs if z.name != before}
        read |= {_base(chain.product.inputs[0]).name} if chain.product is not None else set()
        beside = {_base(z).name for z in x.inputs if z is not y}
        return len(chain.steps) < self.config.vxm_rows * self.config.vxm_stages and not read & beside

    def _close(self, x: Tensor) -> None:
        """Write a tensor to memory, if it is not there."""
        if (chain := self.open.pop(_base(x).name, None)) is None:
            return
        x = chain.tensor
        several = chain.product is not None and len(self._tiles(chain.product, 0, 0, 1)) > 1
        chunk = min(x.rows, self.config.acc_depth) if several else x.rows
        for first in range(0, x.rows, chunk):
            for index in range(blocks_of(x, self.config)):
                self.passes.append(self._pass(chain, index, first, min(chunk, x.rows - first)))

    def _pass(self, chain: _Chain, index: int, first: int, count: int) -> Pass:
        x = chain.tensor
        tiles = self._tiles(chain.product, index, first, count) if chain.product is not None else []
        # Passes that run side by side begin with different blocks, as a slice is read for one of them at a time.
        planes = max(1, self.config.mxm_planes_w + self.config.mxm_planes_e)
        begin = index % planes * max(1, len(tiles) // planes) % max(1, len(tiles))
        tiles = [*tiles[begin:], *tiles[:begin]]
        names = [f"{chain.product.inputs[0].name} matmul"] if chain.product is not None else []
        name = " ".join([*names, *(step.op for step, _ in chain.steps)])
        steps = tuple(self._step(step, before, index, first, count) for step, before in chain.steps)
        return Pass(name, count, tuple(tiles), steps, View(self.block(x, index), ((first, count, 1),)))

    def _step(self, x: Tensor, before: str, index: int, first: int, count: int) -> Step:
        operands: list[Operand] = []
        for y in x.inputs:
            if y.name == before:
                operands.append(PREVIOUS)
            elif y.value is not None and y.value.size == 1:
                operands.append(y.value.item())
            else:
                operands.append(self.view(y, index, None, first, count))
        is_float, from_float = x.dtype not in INTEGERS, x.inputs[0].dtype not in INTEGERS
        if x.op == "shift":
            return Step("SRA.sat", (*operands, int(x.attribute("shift"))), False, False)
        if x.op in ("convert", "saturate"):
            return Step("CONVERT.sat", tuple(operands), is_float, from_float)
        return Step(MNEMONICS[x.op], tuple(operands), is_float, from_float)

    def _tiles(self, product: Tensor, index: int, first: int, count: int) -> list[Tile]:
        """For every tap and every block of what is multiplied one."""
        lanes = self.config.lanes
        x, w = product.inputs
        assert w.value is not None
        columns, found = slice(index * lanes, (index + 1) * lanes), []
        for tap, rows in enumerate(product.attribute("taps")):
            for part in range(blocks_of(x, self.config)):
                low = tap * x.features + part * lanes
                high = min(low + lanes, (tap + 1) * x.features)
                matrix = np.ascontiguousarray(w.value[low:high, columns].T)
                name = f"{w.name}.{index}.{tap * blocks_of(x, self.config) + part}"
                found.append(Tile(name, matrix, self.view(x, part, rows, first, count)))
        return found

    def view(self, x: Tensor, index: int, rows: Rows, first: int, count: int) -> View:
        """Rows ``first`` … of a tensor, as an operation takes them; ``rows`` names them if it does not go straight."""
        chosen = np.arange(first, first + count) if rows is None else np.asarray(rows)[first : first + count]
        if x.op == "rows":
            base = x.inputs[0]
            through = np.append(np.asarray(x.attribute("rows")), -1)
            return self.view(base, index, tuple(through[chosen].tolist()), 0, count)
        block = self.block(x, index)
        if block.rows == 1 and rows is None:
            chosen = np.zeros(count, np.int64)
        return View(block, runs_of(np.where(chosen < 0, block.rows, chosen)))

    def block(self, x: Tensor, index: int) -> Block:
        """A block of a tensor that is in memory."""
        lanes = self.config.lanes
        values = None if x.value is None else x.value[:, index * lanes : (index + 1) * lanes]
        given = not x.op and x.value is None
        return Block(x.name, index, x.rows, _narrowest(x), values, given, self.fills.get(x.name))


def _leaves(x: Tensor) -> bool:
    """Whether an operation takes rows from nowhere."""
    lists = x.attribute("taps") if x.op == "matmul" else (x.attribute("rows"),) if x.op == "rows" else ()
    return any(rows is not None and min(rows) < 0 for rows in lists)


def _fills(graph: Graph) -> dict[str, int]:
    """Tensor → what pads it; InputError if two operations want it padded with different numbers."""
    found: dict[str, int] = {}
    for x in graph.tensors.values():
        if _leaves(x):
            name, fill = x.inputs[0].name, x.attribute("fill") if x.op == "matmul" else -128
            if found.setdefault(name, fill) != fill:
                raise InputError(f"{name} is padded with {found[name]} and, for {x}, with {fill}; one number must do")
    return found


def runs_of(rows: NDArray[np.int64]) -> Runs:
    """Rows as few runs: each goes on as long as the step stays the same."""
    found: list[tuple[int, int, int]] = []
    at = 0
    steps = np.diff(rows)
    while at < len(rows):
        if at == len(rows) - 1:
            found.append((int(rows[at]), 1, 0))
            break
        other = np.flatnonzero(steps[at:] != steps[at])
        count = int(other[0]) + 1 if len(other) else len(rows) - at
        found.append((int(rows[at]), count, int(steps[at])))
        at += count
    return tuple(found)


def _base(x: Tensor) -> Tensor:
    """The tensor that is in memory, of which another names rows."""
    return _base(x.inputs[0]) if x.op == "rows" else x


def lower(graph: Graph, config: ChipConfig) -> list[Pass]:
    """The passes in an order in which each finds its blocks in memory. InputError for what the chip cannot do."""
    if not graph.outputs:
        raise InputError("the graph has no output; name one with graph.output(name, tensor)")
    for x in graph.outputs.values():
        if not x.op:
            raise InputError(f"output {x} is an input or a constant; nothing is computed")
    for x in graph.tensors.values():
        _check(x, config)
    return _Lowering(graph, config).run()


def _check(x: Tensor, config: ChipConfig) -> None:
    if x.op == "matmul" and not config.mxm_planes_w + config.mxm_planes_e:
        raise InputError(f"{x} is a matmul, but config {config.name} has no MXM; set mxm_planes_e=1")
    if x.op and x.dtype not in INTEGERS and not config.vxm_float:
        raise InputError(f"{x} is a float, but config {config.name} has vxm_float=False; set vxm_float=True")
    if x.op == "mul" and x.dtype in INTEGERS and config.vxm_mul_bits < 32:
        raise InputError(
            f"{x} multiplies int32, but config {config.name} has vxm_mul_bits={config.vxm_mul_bits};"
            " set vxm_mul_bits=32"
        )


def _narrowest(x: Tensor) -> Type:
    """The type with the fewest byte planes that holds a constant; ALUs compute in int32 anyway."""
    if x.value is None or x.dtype not in INTEGERS:
        return TYPES[x.dtype]
    kinds = [dtype for dtype in INTEGERS if np.array_equal(x.value.astype(DTYPES[dtype]), x.value)]
    return TYPES[kinds[0]]


def blocks_of(x: Tensor, config: ChipConfig) -> int:
    """How many blocks a tensor has."""
    return -(-x.features // config.lanes)
