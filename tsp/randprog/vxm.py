"""Templates of the VXM: trees of operations over streams, immediates and chains through the stages."""

import dataclasses

from tsp import isa, isa_rules
from tsp.floorplan import EAST, WEST, Queue
from tsp.isa import FLOAT_TYPES, OperandKind, Operation, Type
from tsp.randprog import streams, values
from tsp.randprog.layout import Layout, NoRoom, Shape

SHIFTS = ("SHL", "SRA", "SRL")


@dataclasses.dataclass(frozen=True)
class Given:
    """A group of streams that must be an operand of the tree."""

    operands: tuple[int, ...]
    type: Type


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What the root of a tree should be; None leaves it to chance. ``kinds``: where its operands come from."""

    operation: Operation | None = None
    kinds: tuple[OperandKind, ...] | None = None
    types: tuple[Type, ...] | None = None
    data: tuple[tuple[int, ...], ...] | None = None
    """Per operand the numbers its elements are drawn from, if it is a stream."""
    saturate: int | None = None
    result: tuple[Type, int] | None = None
    """Type and direction of the stream result."""
    is_float: bool | None = None


ANYTHING = Wanted()


class Tree:
    """One dataflow tree whose root drives a stream. Its nodes share a burst shape, a cycle per stage."""

    def __init__(self, layout: Layout, shape: Shape, given: Given | None = None):
        self.layout, self.shape, self.given = layout, shape, given
        self.site = layout.plan.vxm_site
        self.results: dict[tuple[int, int], list[int]] = {}
        """(stage, cycle) → rows whose results go to the next stage."""

    def grow(self, time: int, depth: int, wanted: Wanted = ANYTHING) -> list[int]:
        """Book the tree with its root at ``time``; returns the stream operands it drives. A given group of streams is
        read ``depth`` stages before."""
        queue = self._alu(self.layout.rng.randrange(self.layout.config.vxm_stages), time)
        planes = self._node(queue, time, depth, wanted, root=True)
        if self.given is not None:
            raise NoRoom
        return planes

    def _alu(self, stage: int, time: int) -> Queue:
        """A free ALU of a stage."""
        layout = self.layout
        rows = [layout.plan.queue(f"vxm.r{row}s{stage}") for row in range(layout.config.vxm_rows)]
        free = [q for q in rows if layout.free(q.index, time, time + self.shape.length)]
        if not free:
            raise NoRoom
        return layout.rng.choice(free)

    def _node(self, queue: Queue, time: int, depth: int, wanted: Wanted, root: bool) -> list[int]:
        layout, rng = self.layout, self.layout.rng
        is_float, operation = self._operation(depth, wanted)
        fields = {"immediate": values.immediate(rng, operation.mnemonic in SHIFTS, is_float), "float": int(is_float)}
        fields["saturate"] = rng.randrange(2) if wanted.saturate is None else wanted.saturate
        fields["to_next"] = int(not root or rng.random() < 0.1)
        operands = self._operands(queue, time, depth, operation, is_float, wanted)
        planes: list[int] = []
        types = isa_rules.stream_types(operation, layout.config)[is_float]
        if operation.mnemonic == "CONVERT":
            fields["type"] = rng.choice(types)
        if root or rng.random() < 0.2:
            type_, direction = wanted.result or (rng.choice(types), rng.choice((EAST, WEST)))
            planes = streams.any_group(layout, direction, type_.planes)
            fields |= {"to_stream": 1, "type": type_, "stream": planes[0]}
        layout.issue(queue, time, self.shape, isa.instruction(operation.mnemonic, **fields, **operands))
        for plane in planes:
            layout.drive(queue, plane, time, layout.timing.alu_func, self.shape)
        if not root:
            stage, row = divmod(queue.number, layout.config.vxm_rows)
            self.results.setdefault((stage, time), []).append(row)
        return planes

    def _operation(self, depth: int, wanted: Wanted) -> tuple[bool, Operation]:
        """What a node computes, and whether in fp32."""
        config, rng = self.layout.config, self.layout.rng
        is_float = wanted.is_float
        if is_float is None:
            is_float = config.vxm_float and rng.random() < 0.5
        if self.given is not None and depth == 0 and wanted.kinds is None:
            is_float = self.given.type in FLOAT_TYPES  # the operand it reads
        if wanted.operation is not None:
            return is_float, wanted.operation
        known = isa_rules.operations("vxm", config)
        able = [op for op in known if op.arity and is_float in isa_rules.stream_types(op, config)]
        return is_float, rng.choice(able)

    def _operands(
        self, queue: Queue, time: int, depth: int, operation: Operation, is_float: bool, wanted: Wanted
    ) -> dict[str, int]:
        fields: dict[str, int] = {}
        kinds = wanted.kinds or tuple(self._kind(depth) for _ in range(operation.arity))
        if self.given is not None and wanted.kinds is None:
            kinds = (OperandKind.STREAM if depth == 0 else OperandKind.ALU, *kinds[1:])
        for i, (name, kind) in enumerate(zip(isa.OPERAND_NAMES, kinds, strict=False)):
            fields[f"{name}_kind"] = kind
            if kind == OperandKind.STREAM:
                types = isa_rules.operand_types(operation, name, self.layout.config)[is_float]
                source, type_ = self._stream(time, wanted, i, types)
                fields |= {f"{name}_source": source, f"{name}_type": type_}
            elif kind == OperandKind.ALU:
                fields[f"{name}_source"] = self._chain(queue, time, depth)
        return fields

    def _kind(self, depth: int) -> OperandKind:
        if depth > 0:
            weights = (0.25, 0.15, 0.6)
        else:
            weights = (0.75, 0.25, 0.0)
        kinds = (OperandKind.STREAM, OperandKind.IMMEDIATE, OperandKind.ALU)
        return self.layout.rng.choices(kinds, weights)[0]

    def _stream(self, time: int, wanted: Wanted, position: int, types: tuple[Type, ...]) -> tuple[int, Type]:
        """A stream operand of an ALU that dispatches at ``time``."""
        layout, rng = self.layout, self.layout.rng
        if self.given is not None:
            given, self.given = self.given, None
            for operand in given.operands:
                layout.read(self.site, operand, time + layout.timing.alu_skew, self.shape)
            return given.operands[0], given.type
        type_ = wanted.types[position] if wanted.types else rng.choice(types)
        operands = streams.any_group(layout, rng.choice((EAST, WEST)), type_.planes)
        read = time + layout.timing.alu_skew
        if wanted.data:
            numbers = [values.drawn(rng, wanted.data[position], layout.config.lanes) for _ in range(self.shape.count)]
            streams.source(layout, self.site, operands, read, self.shape, type_, reuse=0, vectors=numbers)
        else:
            streams.source(layout, self.site, operands, read, self.shape, type_)
        return operands[0], type_

    def _chain(self, queue: Queue, time: int, depth: int) -> int:
        """The row of an ALU of the stage before whose result an ALU that dispatches at ``time`` takes."""
        layout = self.layout
        stage = (queue.number // layout.config.vxm_rows - 1) % layout.config.vxm_stages
        before = time - layout.timing.alu_next
        rows = self.results.get((stage, before), [])
        if rows and self.given is None and layout.rng.random() < 0.5:
            return layout.rng.choice(rows)
        source = self._alu(stage, before)
        self._node(source, before, max(depth - 1, 0), ANYTHING, root=False)
        return source.number % layout.config.vxm_rows


def tree(layout: Layout, time: int, shape: Shape, wanted: Wanted = ANYTHING) -> None:
    """A tree whose root dispatches at ``time``; its result may be written."""
    stages = layout.config.vxm_stages
    depth = layout.rng.choice((0, 0, 1, 1, 2, stages, stages + 1))
    operands = Tree(layout, shape).grow(time, depth, wanted)
    if layout.rng.random() < 0.5:
        event = time + layout.timing.alu_func
        layout.attempt(lambda: streams.store(layout, layout.plan.vxm_site, operands, event, shape))


def consume(layout: Layout, operands: list[int], type_: Type, time: int, shape: Shape) -> None:
    """A tree that takes the group of streams that passes the VXM in cycle ``time``; its result is written."""
    depth = layout.rng.choice((0, 0, 1, 2))
    root = time - layout.timing.alu_skew + depth * layout.timing.alu_next
    results = Tree(layout, shape, Given(tuple(operands), type_)).grow(root, depth)
    event = root + layout.timing.alu_func
    layout.attempt(lambda: streams.store(layout, layout.plan.vxm_site, results, event, shape))
