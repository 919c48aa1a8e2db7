"""Stage 1: a graph becomes passes. A pass streams the rows of some blocks through one plane of the MXM, through a chain
of ALUs, or through both, and writes one block."""

import dataclasses
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from tsp.compiler.graph import DTYPES, INTEGERS, Array, Graph, Tensor
from tsp.config import ChipConfig
from tsp.errors import InputError
from tsp.isa import Type

TYPES = {"int8": Type.INT8, "int16": Type.INT16, "int32": Type.INT32, "float16": Type.FP16, "float32": Type.FP32}
MNEMONICS = {"add": "ADD", "sub": "SUB", "mul": "MUL", "minimum": "MIN", "maximum": "MAX", "relu": "RELU"}


@dataclasses.dataclass(frozen=True)
class Block:
    """Up to 16·S features of a tensor: a vector for each row. ``values``: of a constant, [rows, features]. ``given``: it
    is of an input."""

    tensor: str
    index: int
    rows: int
    type: Type
    values: Array | None = dataclasses.field(default=None, compare=False)
    given: bool = False

    @property
    def name(self) -> str:
        return f"{self.tensor}.{self.index}"


@dataclasses.dataclass(frozen=True)
class Tile:
    """Weights int8 [out ≤ 16·S, in ≤ 16·S] and the block they multiply."""

    name: str
    weights: NDArray[np.int8] = dataclasses.field(compare=False)
    block: Block


PREVIOUS = "previous"
"""Operand: what the step before made, or the sums of the MXM."""
Operand = Block | int | float | str


@dataclasses.dataclass(frozen=True)
class Step:
    """An instruction of the VXM. ``is_float``: its result is fp32, else int32; ``from_float``: so is what it takes."""

    mnemonic: str
    operands: tuple[Operand, ...]
    is_float: bool
    from_float: bool

    def __str__(self) -> str:
        return f"{self.mnemonic}({', '.join(o.name if isinstance(o, Block) else str(o) for o in self.operands)})"


@dataclasses.dataclass(frozen=True)
class Pass:
    """Rows ``first`` … ``first + count - 1`` of ``result``. Without tiles the first step reads blocks."""

    name: str
    first: int
    count: int
    tiles: tuple[Tile, ...]
    steps: tuple[Step, ...]
    result: Block

    def blocks(self) -> Iterator[Block]:
        """Those it reads, without weights, each once."""
        found = [tile.block for tile in self.tiles]
        found += [operand for step in self.steps for operand in step.operands if isinstance(operand, Block)]
        yield from dict.fromkeys(found)

    def together(self) -> list[Block]:
        """Those it reads or writes at the same time: with the last of its tiles."""
        operands = [operand for step in self.steps for operand in step.operands if isinstance(operand, Block)]
        return list(dict.fromkeys([*(tile.block for tile in self.tiles[-1:]), *operands, self.result]))

    def __str__(self) -> str:
        rows = f"rows {self.first}…{self.first + self.count - 1}"
        tiles = [f"{tile.block.name} × {tile.name}" for tile in self.tiles]
        return (
            f"{self.result.name} {rows}: {' + '.join(tiles)}{' → ' if tiles else ''}{' → '.join(map(str, self.steps))}"
        )


@dataclasses.dataclass
class _Chain:
    """What is computed and not in memory yet: a matmul and the operations on its sums, or the latter alone."""

    tensor: Tensor
    product: tuple[Tensor, Tensor] | None
    steps: list[tuple[Tensor, str]]
    """An operation, and the name of the tensor before it in the chain; of the first of a chain without a matmul none."""


class _Lowering:
    def __init__(self, graph: Graph, config: ChipConfig):
        self.graph, self.config = graph, config
        self.open: dict[str, _Chain] = {}
        self.passes: list[Pass] = []
        self.uses: dict[str, int] = {}
        for x in [*graph.outputs.values(), *(y for z in graph.tensors.values() for y in z.inputs)]:
            self.uses[x.name] = self.uses.get(x.name, 0) + 1
        self.outputs = {x.name for x in graph.outputs.values()}

    def run(self) -> list[Pass]:
        for x in self.graph.tensors.values():
            if x.op and x.name in self.uses:
                self._lower(x)
        for x in self.graph.outputs.values():
            self._close(x)
        return self.passes

    def _lower(self, x: Tensor) -> None:
        if x.op == "matmul":
            self._close(x.inputs[0])
            self.open[x.name] = _Chain(x, (x.inputs[0], x.inputs[1]), [])
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
        read = {z.name for step, before in chain.steps for z in step.inputs if z.name != before}
        read |= {z.name for z in chain.product or ()}
        beside = {z.name for z in x.inputs if z is not y}
        return len(chain.steps) < self.config.vxm_rows * self.config.vxm_stages and not read & beside

    def _close(self, x: Tensor) -> None:
        """Write a tensor to memory, if it is not there."""
        if (chain := self.open.pop(x.name, None)) is None:
            return
        many = chain.product is not None and chain.product[0].features > self.config.lanes
        chunk = min(x.rows, self.config.acc_depth) if many else x.rows
        for first in range(0, x.rows, chunk):
            for index in range(blocks_of(x, self.config)):
                self.passes.append(self._pass(chain, index, first, min(chunk, x.rows - first)))

    def _pass(self, chain: _Chain, index: int, first: int, count: int) -> Pass:
        x = chain.tensor
        tiles = tuple(self._tiles(*chain.product, index)) if chain.product else ()
        names = [chain.product[0].name + " matmul"] if chain.product else []
        result = Block(x.name, index, x.rows, TYPES[x.dtype])
        name = " ".join([*names, *(step.op for step, _ in chain.steps)])
        steps = tuple(self._step(step, before, index) for step, before in chain.steps)
        return Pass(name, first, count, tiles, steps, result)

    def _step(self, x: Tensor, before: str, index: int) -> Step:
        operands: list[Operand] = []
        for y in x.inputs:
            if y.name == before:
                operands.append(PREVIOUS)
            elif y.value is not None and y.value.size == 1:
                operands.append(y.value.item())
            else:
                operands.append(self.block(y, index))
        is_float, from_float = x.dtype not in INTEGERS, x.inputs[0].dtype not in INTEGERS
        if x.op == "shift":
            return Step("SRA.sat", (*operands, int(x.attribute("shift"))), False, False)
        if x.op in ("convert", "saturate"):
            return Step("CONVERT.sat", tuple(operands), is_float, from_float)
        return Step(MNEMONICS[x.op], tuple(operands), is_float, from_float)

    def _tiles(self, x: Tensor, w: Tensor, index: int) -> Iterator[Tile]:
        lanes = self.config.lanes
        assert w.value is not None
        for part in range(blocks_of(x, self.config)):
            rows, columns = slice(part * lanes, (part + 1) * lanes), slice(index * lanes, (index + 1) * lanes)
            matrix = np.ascontiguousarray(w.value[rows, columns].T)
            yield Tile(f"{w.name}.{index}.{part}", matrix, self.block(x, part))

    def block(self, x: Tensor, index: int) -> Block:
        """A block of a tensor that is in memory."""
        lanes = self.config.lanes
        values = None if x.value is None else x.value[:, index * lanes : (index + 1) * lanes]
        return Block(x.name, index, x.rows, _narrowest(x), values, not x.op and x.value is None)


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
            f"{x} multiplies int32, but config {config.name} has vxm_mul_bits={config.vxm_mul_bits}; set vxm_mul_bits=32"
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
