"""Stage 1: a graph of products of rows becomes passes. A pass streams the rows of some blocks through one plane of the
MXM, through a chain of ALUs, or through both, and writes one block."""

import dataclasses
from collections import Counter

import numpy as np

from tsp.compiler.graph import ELEMENTWISE, INTEGERS, Graph, Rows, Tensor
from tsp.compiler.passes import PREVIOUS, SUMS, Block, Operand, Pass, Step, Tile, View, runs_of
from tsp.compiler.spread import Share, spread
from tsp.compiler.traits import (
    PRODUCTS,
    VIEWS,
    base,
    blocks_of,
    check,
    distinct,
    fills,
    gaps,
    given,
    immediate,
    may_follow,
    narrowest,
    narrows,
    wild,
)  # fmt: skip
from tsp.config import ChipConfig
from tsp.errors import InputError
from tsp.isa import Type

COPIES = 3
"""A pass reads a tensor of bytes at so many places at the same time."""
MNEMONICS = ELEMENTWISE | {"relu": "RELU", "exp": "EXP", "tanh": "TANH", "rsqrt": "RSQRT", "select": "SELECT"}


@dataclasses.dataclass
class _Chain:
    """What is computed and not in memory yet: products and the operations on their sums, or the latter alone."""

    tensor: Tensor
    product: Tensor | None
    steps: list[tuple[Tensor, str]]
    """An operation, and the name of the tensor before it in the chain; none for the first, if it takes no sums."""


class _Lowering:
    def __init__(self, graph: Graph, config: ChipConfig, words: int | None):
        self.graph, self.config, self.words = graph, config, words
        self.open: dict[str, _Chain] = {}
        self.passes: list[Pass] = []
        self.layer = 0
        self.uses: dict[str, int] = {}
        for x in graph.outputs.values():
            self.uses[x.name] = self.uses.get(x.name, 0) + 1
        for z in reversed(graph.tensors.values()):
            for y in z.inputs if z.name in self.uses else ():
                self.uses[y.name] = self.uses.get(y.name, 0) + 1
        self.whole = {
            piece.name: (x, offset)
            for x in graph.tensors.values() if x.op == "concat"
            for piece, offset in zip(x.inputs, x.attribute("offsets"), strict=True)
        }  # fmt: skip
        """Tensors that are written as rows of another one."""
        self.wild = wild(graph)
        self.fills = fills(graph)
        """Tensors of which operations take rows that are not there, and what those hold."""

    def run(self) -> list[Pass]:
        for x in self.graph.tensors.values():
            if x.op and x.op not in VIEWS and x.name in self.uses:
                self._lower(x)
        for x in self.graph.outputs.values():
            self._close(x)
        return self.passes

    def _lower(self, x: Tensor) -> None:
        if x.op in PRODUCTS or x.op == "concat":
            for y in x.inputs:
                self._close(y)
            if x.op != "concat":
                self.open[x.name] = _Chain(x, x, [])
            return
        before = next((y for y in x.inputs if self._extends(y, x)), None)
        beside = next((z for z in x.inputs if before is not None and self._joins(before, z)), None)
        for y in x.inputs:
            if y is not before and y is not beside:
                self._close(y)
        chain = self.open.pop(before.name) if before is not None else _Chain(x, None, [])
        last, steps = (before.name if before is not None else ""), chain.steps
        if beside is not None:
            last, steps = beside.name, self.open.pop(beside.name).steps
        self.open[x.name] = _Chain(x, chain.product, [*steps, (x, last)])

    def _joins(self, sums: Tensor, z: Tensor) -> bool:
        """Whether ``z``, which is added to bare sums, can be made in their pass: before they come to the ALUs."""
        if z is sums or z.name not in self.open or self.uses[z.name] > 1 or narrows(z) or z.shape != sums.shape:
            return False
        chain, other = self.open[sums.name], self.open[z.name]
        if chain.product is None or chain.steps or other.product is not None:
            return False
        read = {base(y).name for step, before in other.steps for y in step.inputs if y.name != before}
        alus = self.config.vxm_rows * self.config.vxm_stages
        return len(other.steps) < alus and not read & {base(y).name for y in chain.product.inputs}

    def _extends(self, y: Tensor, x: Tensor) -> bool:
        """Whether ``x`` may follow directly on what makes its input ``y``: there are ALUs for it, and nothing in memory
        is read twice at the same time."""
        if y.name not in self.open or self.uses[y.name] > x.inputs.count(y) or (narrows(y) and not may_follow(x, y)):
            return False
        if y.shape != x.shape or (x.op == "select" and x.dtype == "float32" and y is x.inputs[-1]):
            return False
        chain = self.open[y.name]
        earlier = {z for step, _ in chain.steps for z in step.inputs if immediate(z) is None}
        if any(z in earlier for z in x.inputs):
            return False  # the same rows do not come twice
        read = [base(z) for step, before in chain.steps for z in distinct(step) if z.name != before]
        read += [base(z) for z in chain.product.inputs[::2]] if chain.product is not None else []
        read += [base(z) for z in distinct(x) if z is not y and not self._joins(y, z)]
        found = Counter(z for z in read if z.value is None or z.value.size > 1)
        several = all(n == 1 or (z.dtype in ("int8", "float16") and n <= COPIES) for z, n in found.items())
        # All that is read and written at once lies in slices of its own, adjacent ones: leave room to find them.
        slices = sum(narrowest(z).planes for z in {x, *read} if immediate(z) is None)
        room = slices <= 4 * self.config.mem_slices // 3
        alus = len(chain.steps) + 1 + self._is_masked(x)
        return room and alus <= self.config.vxm_rows * self.config.vxm_stages and several

    def _close(self, x: Tensor) -> None:
        """Write a tensor to memory, if it is not there."""
        if (chain := self.open.pop(base(x).name, None)) is None:
            return
        x, self.layer = chain.tensor, self.layer + 1
        passes = self._passes(chain, rows := x.rows)
        while self.words is not None and rows > 1 and max(pass_.instructions for pass_ in passes) > self.words:
            passes = self._passes(chain, rows := -(-rows // 2))
        self.passes += passes

    def _passes(self, chain: _Chain, rows: int) -> list[Pass]:
        """Those of a chain, each of at most so many rows."""
        x, blocks, product = chain.tensor, blocks_of(chain.tensor, self.config), chain.product
        if product is None:
            firsts = range(0, x.rows, rows)
            shares = [Share(n, first, min(rows, x.rows - first), "", 0) for n in range(blocks) for first in firsts]
        else:
            several = len(product.attribute("taps")) * blocks_of(product.inputs[0], self.config) > 1
            deepest = min(rows, self.config.acc_depth) if several else rows
            shares = spread(x.rows, blocks, deepest, self.config, product.dtype == "float32", self.layer)
        return [self._pass(chain, share) for share in shares]

    def _pass(self, chain: _Chain, share: Share) -> Pass:
        x, index, first, count = chain.tensor, share.index, share.first, share.count
        tiles = self._tiles(chain.product, index, first, count) if chain.product is not None else []
        # Passes that run side by side begin with different blocks, as a slice is read for one of them at a time; but
        # sums of floats keep their order.
        begin = int(share.turn * len(tiles)) if tiles and tiles[0].view.block.type == Type.INT8 else 0
        tiles = [*tiles[begin:], *tiles[:begin]]
        names = [f"{chain.product.inputs[0].name} matmul"] if chain.product is not None else []
        name = " ".join([*names, *(step.op for step, _ in chain.steps)])
        sums = chain.product.name if chain.product is not None else ""
        steps = tuple(self._step(step, (before, sums), index, first, count) for step, before in chain.steps)
        steps += tuple(self._masked(chain, index, count))
        whole, offset = self.whole.get(x.name, (x, 0))
        result = View(self.block(whole, index), ((offset + first, count, 1),))
        return Pass(name, count, tuple(tiles), steps, result, self.layer, share.plane)

    def _is_masked(self, x: Tensor) -> bool:
        """Whether lanes that are no features must be made zeros, with an ALU more: a product with a stationary block
        would count them, and 1 / √0 would make NaN of any product. Of what is given they are zeros."""
        if x.op == "keep":
            kept = range(x.attribute("first"), x.attribute("last"))
            return not given(x.inputs[0]) or kept != range(x.features)
        return x.dtype == "float16" and x.name in self.wild

    def _masked(self, chain: _Chain, index: int, count: int) -> list[Step]:
        """What makes zeros of lanes that are no features, where they would do harm."""
        x = chain.tensor
        keep = range(x.attribute("first"), x.attribute("last")) if x.op == "keep" else range(x.features)
        here = range(index * self.config.lanes, (index + 1) * self.config.lanes)
        if not self._is_masked(x):
            return []
        mask = np.array([[lane in keep for lane in here]], np.int8)
        if mask.all():
            return []
        block = Block(f"mask.{keep.start}.{keep.stop}", index, 1, Type.INT8, mask)
        return [Step("MASK", (PREVIOUS, View(block, runs_of(np.zeros(count, np.int64)))), True, True)]

    def _step(self, x: Tensor, made: tuple[str, str], index: int, first: int, count: int) -> Step:
        """``made``: names of what the step before makes, and of the sums."""
        if x.op == "look_up":
            return self._looked_up(x, index, first, count)
        operands: list[Operand] = []
        for y in x.inputs:
            if y.name in made:
                operands.append(SUMS if y.name == made[1] else PREVIOUS)
            elif (number := immediate(y)) is not None and not any(isinstance(o, int | float) for o in operands):
                operands.append(number)  # an instruction has one immediate
            else:
                operands.append(self.view(y, index, None, first, count))
        is_float, from_float = x.dtype not in INTEGERS, x.inputs[0].dtype not in INTEGERS
        if x.op == "shift":
            return Step("SRA.sat", tuple(operands), False, False)
        if x.op == "map":
            # The number is in every lane; the second byte of a map is its next eight bits.
            shifts = np.tile(np.array([[0, 8] + [0] * 14], np.int8), self.config.superlanes)
            lanes = View(Block("map.shifts", 0, 1, Type.INT8, shifts), runs_of(np.zeros(count, np.int64)))
            return Step("SRL", (*operands, lanes), False, False)
        if x.op in ("wrap", "bits"):
            return Step("CONVERT", tuple(operands), False, False)
        if x.op == "add_saturated":
            return Step("ADD.sat", tuple(operands), False, False)
        if x.op in ("convert", "keep"):
            return Step("CONVERT.sat", tuple(operands), is_float, from_float)
        mode = ".sat" if x.op == "relu" and not is_float else ""
        return Step(MNEMONICS[x.op] + mode, tuple(operands), is_float, from_float)

    def _looked_up(self, x: Tensor, index: int, first: int, count: int) -> Step:
        """Rows of a table go to the ALUs as they are."""
        table, which = x.inputs
        maps = self.view(which, 0, None, first, count)
        found = View(self.block(table, index), runs_of(np.zeros(count, np.int64)), maps)
        is_float = x.dtype not in INTEGERS
        return Step("CONVERT", (found,), is_float, is_float)

    def _tiles(self, product: Tensor, index: int, first: int, count: int) -> list[Tile]:
        """For every tap and every block of what is multiplied one, but where all weights are zero; those that are
        alike have one name."""
        lanes = self.config.lanes
        if product.op == "sum_pool":
            x = product.inputs[0]
            same = np.eye(min(lanes, x.features - index * lanes), dtype=np.int8)
            fill = product.attribute("fill")
            views = [self.view(x, index, rows, first, count, fill) for rows in product.attribute("taps")]
            return [Tile(f"identity.{len(same)}", same, view) for view in views]
        columns = slice(index * lanes, (index + 1) * lanes)
        found: list[Tile] = []
        names: dict[tuple[tuple[int, ...], bytes], str] = {}
        for tap, rows in enumerate(product.attribute("taps")):
            # Taps of one tensor share a matrix; or each has a tensor and a matrix of its own.
            own = len(product.inputs) > 2
            x, w = product.inputs[2 * tap : 2 * tap + 2] if own else product.inputs
            start, parts = 0 if own else tap, blocks_of(x, self.config)
            for part in range(parts):
                view = self.view(x, part, rows, first, count, product.attribute("fill"))
                name = f"{w.name}.{index}.{start * parts + part}"
                if w.value is None:
                    found.append(Tile(name, None, view, self.block(w, part), index * lanes))
                    continue
                low, high = start * x.features + part * lanes, start * x.features + min((part + 1) * lanes, x.features)
                matrix = np.ascontiguousarray(w.value[low:high, columns].T)
                if w.features == 1:
                    matrix = np.repeat(matrix, lanes, axis=0)
                name = names.setdefault((matrix.shape, matrix.tobytes()), name)
                found.append(Tile(name, matrix, view))
        return [tile for tile in found if tile.weights is None or tile.weights.any()] or found[:1]

    def view(self, x: Tensor, index: int, rows: Rows, first: int, count: int, fill: float = 0) -> View:
        """Rows ``first`` … of a tensor, as an operation takes them; ``rows`` names them if it does not go straight, and
        where it names none they hold ``fill``."""
        chosen = np.arange(first, first + count) if rows is None else np.asarray(rows)[first : first + count]
        if x.op == "rows":
            base, through = x.inputs[0], np.asarray(x.attribute("rows"))
            if chosen.min() < 0:  # of rows that name some that are not there themselves nobody takes such
                through = np.append(through, -1)
            else:
                fill = x.attribute("fill")
            return self.view(base, index, tuple(through[chosen].tolist()), 0, count, fill)
        if x.op == "columns":
            return self.view(x.inputs[0], index + x.attribute("first") // self.config.lanes, rows, first, count, fill)
        block = self.block(x, 0 if x.features == 1 else index)
        if block.rows == 1 and rows is None:
            chosen = np.zeros(count, np.int64)
        beyond = block.rows + block.fills.index(fill) if chosen.min() < 0 else 0
        return View(block, runs_of(np.where(chosen < 0, beyond, chosen)))

    def block(self, x: Tensor, index: int) -> Block:
        """A block of a tensor that is in memory."""
        lanes = self.config.lanes
        values = None if x.value is None else x.value[:, index * lanes : (index + 1) * lanes]
        if values is not None and x.features == 1:
            values = np.repeat(values, lanes, axis=1)  # as it may meet what is in every lane
        if x.op == "concat" and x.attribute("stationary"):
            return Block(x.name, index, x.rows, narrowest(x), stationary=True, gaps=gaps(x, lanes))
        return Block(x.name, index, x.rows, narrowest(x), values, given(x), self.fills.get(x.name, ()))


def lower(graph: Graph, config: ChipConfig, words: int | None = None) -> list[Pass]:
    """The passes in an order in which each finds its blocks in memory. ``words``: most words of a queue that the rows
    of a pass may need. InputError for what the chip cannot do."""
    if not graph.outputs:
        raise InputError("the graph has no output; name one with graph.output(name, tensor)")
    for x in graph.outputs.values():
        if not x.op:
            raise InputError(f"output {x} is a constant; nothing is computed")
    for x in graph.tensors.values():
        check(x, config)
    return _Lowering(graph, config, words).run()
