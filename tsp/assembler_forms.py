"""From one written instruction, or two joined by ``&``, to its word."""

import dataclasses
from collections.abc import Sequence

from tsp import isa
from tsp.assembler_nodes import Immediate, LineError, Mode, Next, Node, Real, Row, StreamNode, Value, Written, located
from tsp.config import ChipConfig
from tsp.encoding import FieldError, Operand, Result, Stream, alu_values, encode, operation, written_operands
from tsp.errors import InputError
from tsp.floorplan import Queue, floorplan
from tsp.isa import OperandKind, Type
from tsp.memory_map import plane_slices
from tsp.program import Symbol

JOINED = {frozenset(("READ", "WRITE")): "READ_WRITE", frozenset(("LW", "IW")): "LW_IW"}
"""Two instructions that go into one word, and the operation that does both."""

_KINDS: dict[str, tuple[type[Node], str]] = {
    "stream": (StreamNode, "a stream such as e4"),
    "mode": (Mode, "a mode: store, add, pass or peek"),
    "way": (Mode, "up or down"),
}
_MODES = {"mode": isa.AccMode, "way": isa.Way}
_VALUE = (Value, "a number or a name")


class Forms:
    """Encodes the written instructions of one program. ``symbols`` tells which memory a named address belongs to."""

    def __init__(self, config: ChipConfig, symbols: dict[str, Symbol]):
        self._config, self._symbols = config, symbols

    def word(self, written: Sequence[Written], queue: Queue) -> int:
        """The 128-bit word; LineError at the operand that is wrong."""
        first = written[0]
        for one in written:
            if one.mnemonic in JOINED.values():
                raise LineError(f"write {one.mnemonic.replace('_', ' … & ')} …", one.token)
            if one.mnemonic == "ABC_FP16":
                raise LineError("write ABC with a stream of fp16, such as ABC e4:fp16", one.token)
        written = [_of_type(one) for one in written]
        for one in written:
            self._operation(one, queue)
        name = written[0].mnemonic
        if len(written) > 1:
            key = frozenset(one.mnemonic for one in written)
            if len(written) != 2 or key not in JOINED:
                raise LineError("only READ & WRITE and LW & IW go into one word", written[1].token)
            name = JOINED[key]
        nodes: dict[str, Node] = {}
        values: dict[str, int | Stream] = {}
        for one in written:
            values |= self._values(one, queue, nodes)
        try:
            return encode(name, values, queue, self._config)
        except FieldError as error:
            node = nodes.get(error.field)
            raise LineError(str(error), (node and node.token) or first.token) from None

    def _operation(self, one: Written, queue: Queue) -> isa.Operation:
        try:
            return operation(one.mnemonic, queue, self._config)
        except InputError as error:
            raise LineError(str(error), one.token) from None

    def _values(self, one: Written, queue: Queue, nodes: dict[str, Node]) -> dict[str, int | Stream]:
        op = isa.BY_MNEMONIC[one.mnemonic]
        if one.suffix and (op.arity == 0 or one.suffix != "sat"):
            raise LineError(f"unknown suffix '.{one.suffix}'; only VXM instructions take one, '.sat'", one.token)
        if op.arity:
            return _alu(one, nodes)
        if one.mnemonic == "ACC":
            return _acc(one, op, nodes)
        if queue.kind in isa.SXM_KINDS and op.repeatable:
            return _sxm(one, op, nodes)
        if one.results:
            raise LineError(f"{one.mnemonic} has no result to send with '->'", one.token)
        values = _plain(one, op.fields, nodes)
        if one.mnemonic == "REPEAT":
            _steps(one, values, queue, nodes)
        self._check_symbols(nodes, queue)
        return values

    def _check_symbols(self, nodes: dict[str, Node], queue: Queue) -> None:
        """A named address belongs to a slice: refuse it in the queue of another."""
        for node in nodes.values():
            if isinstance(node, Value) and node.symbol and queue.kind == "mem":
                symbol, slices = self._symbols[node.symbol], floorplan(self._config).slices
                places = plane_slices(self._config, slices[symbol.slice], symbol.type)
                if queue.slice not in places:
                    homes = ", ".join(slices[place].name for place in places)
                    raise LineError(f"'{node.symbol}' lies in {homes}, not in {queue.name}", node.token)


def _of_type(one: Written) -> Written:
    """An ABC of fp16 as the operation that its stream's type makes it; the stream then has none."""
    operand = one.operands[0] if one.operands else None
    if one.mnemonic != "ABC" or not isinstance(operand, StreamNode) or operand.type is None:
        return one
    if operand.type != Type.FP16:
        raise LineError(f"ABC takes bytes or fp16; write {operand.stream} or {operand.stream}:fp16", operand.token)
    untyped = dataclasses.replace(operand, type=None)
    return dataclasses.replace(one, mnemonic="ABC_FP16", operands=[untyped, *one.operands[1:]])


def _plain(one: Written, fields: tuple[isa.Field, ...], nodes: dict[str, Node]) -> dict[str, int | Stream]:
    """Operands in the order of their fields. REPEAT's steps may be left out."""
    least = sum(field.kind != "signed" for field in fields)
    if not least <= len(one.operands) <= len(fields):
        names = ", ".join(field.name if field.kind != "signed" else f"[{field.name}]" for field in fields)
        raise LineError(f"{one.mnemonic} takes {names or 'no operands'}; {len(one.operands)} given", one.token)
    values: dict[str, int | Stream] = {}
    for field, node in zip(fields, one.operands, strict=False):
        kind, wanted = _KINDS.get(field.kind, _VALUE)
        if not isinstance(node, kind) or (isinstance(node, Mode) and not isinstance(node.mode, _MODES[field.kind])):
            raise LineError(f"{one.mnemonic}: {field.name} must be {wanted}", node.token or one.token)
        nodes[field.name] = node
        values[field.name] = _value(node, one)
    return values


def _value(node: Node, one: Written) -> int | Stream:
    match node:
        case Value():
            return node.number
        case Mode():
            return node.mode
        case StreamNode():
            if node.type is not None:
                raise LineError(f"{one.mnemonic} moves bytes and takes no type; write {node.stream}", node.token)
            return node.stream
    raise LineError(f"{one.mnemonic} does not take this operand", node.token or one.token)


def _steps(one: Written, values: dict[str, int | Stream], queue: Queue, nodes: dict[str, Node]) -> None:
    if "step_a" in values and queue.kind == "vxm":
        raise LineError("VXM instructions have no address to step; write REPEAT n, d", nodes["step_a"].token)
    if "step_a" in values and "step_b" not in values:
        values["step_b"] = values["step_a"]


def _acc(one: Written, op: isa.Operation, nodes: dict[str, Node]) -> dict[str, int | Stream]:
    values = _plain(one, (op.field("row"), op.field("mode")), nodes)
    if one.results:
        result = one.results[0]
        if len(one.results) > 1 or not isinstance(result, StreamNode):
            raise LineError("ACC sends its value to one stream group, such as '-> w4'", result.token or one.token)
        if result.type not in (None, Type.INT32, Type.FP32):
            raise LineError(f"ACC sends int32 or fp32, as the ABC was; write {result.stream}", result.token)
        nodes["stream"] = result
        return values | {"stream": result.stream, "out": 1}
    if values["mode"] in (isa.AccMode.PASS, isa.AccMode.PEEK):
        raise LineError("ACC pass and peek keep the row, so they need a stream: add '-> w4'", one.token)
    return values


def _sxm(one: Written, op: isa.Operation, nodes: dict[str, Node]) -> dict[str, int | Stream]:
    """The operands of an SXM instruction and its result; a SHIFT may have a third stream that selects."""
    names = located(one.token, written_operands, op, len(one.operands))
    values = _plain(one, tuple(op.field(name) for name in names), nodes)
    if len(one.results) != 1 or not isinstance(result := one.results[0], StreamNode):
        raise LineError(f"{op.mnemonic} sends its result to one stream or group, such as '-> e8'", one.token)
    nodes["result"] = result
    flags = {"selects": 1} if "select" in names else {}
    return values | flags | {"result": _value(result, one)}


def _alu(one: Written, nodes: dict[str, Node]) -> dict[str, int | Stream]:
    operands = []
    for name, node in zip(isa.OPERAND_NAMES, one.operands, strict=False):
        operands.append(_operand(node, one))
        nodes["immediate" if isinstance(node, Immediate) else f"{name}_source"] = node
    operands += [Operand(OperandKind.NONE, 0)] * (len(one.operands) - len(operands))
    stream: StreamNode | None = None
    to_next = False
    for result in one.results:
        if (isinstance(result, Next) and to_next) or (isinstance(result, StreamNode) and stream):
            raise LineError("a result goes to one stream, to next, or to both", result.token or one.token)
        if isinstance(result, StreamNode):
            stream = nodes["stream"] = result
        to_next |= isinstance(result, Next)
    sent = Result(stream.stream, _typed(stream), to_next) if stream else Result(to_next=to_next)
    for result in one.results:
        if isinstance(result, Next) and result.type is not None:
            if stream or one.mnemonic != "CONVERT":
                raise LineError("next takes a type in a CONVERT without a stream only; write next", result.token)
            sent = sent._replace(type=result.type)
    try:
        return alu_values(one.mnemonic, operands, sent, one.suffix == "sat")
    except LineError:
        raise
    except InputError as error:
        raise LineError(str(error), one.token) from None


def _operand(node: Node, one: Written) -> Operand:
    match node:
        case StreamNode():
            return Operand(OperandKind.STREAM, node.stream, _typed(node))
        case Immediate():
            return Operand(OperandKind.IMMEDIATE, node.number, node.type or Type.INT8)
        case Row():
            return Operand(OperandKind.ALU, node.number, node.type or Type.INT8)
        case Value() | Real():
            raise LineError(f"{one.mnemonic}: an immediate is written #{node.number}", node.token)
    rule = "takes streams (e4:int8), immediates (#5) and rows of the stage before (r0)"
    raise LineError(f"{one.mnemonic} {rule}", node.token or one.token)


def _typed(node: StreamNode) -> Type:
    if node.type is None:
        raise LineError(f"{node.stream} needs its type, such as {node.stream}:int8", node.token)
    return node.type
