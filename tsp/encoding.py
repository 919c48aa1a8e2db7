"""From a mnemonic and operands to a 128-bit word, refusing what a queue cannot take with the nearest thing it can.

Assembler and builder share this. What is legal comes from :func:`tsp.isa_rules.rules`; nothing here knows a range of
its own.
"""

import dataclasses
import re
from collections.abc import Mapping
from typing import NamedTuple

from tsp import float_text, isa, isa_rules
from tsp.config import ChipConfig
from tsp.errors import InputError, nearest
from tsp.floorplan import WEST, Queue
from tsp.isa import OperandKind, Type


class FieldError(InputError):
    """An operand a word cannot hold; ``field`` is the field's name in :mod:`tsp.isa`."""

    def __init__(self, message: str, field: str):
        super().__init__(message)
        self.field = field


@dataclasses.dataclass(frozen=True)
class Stream:
    """A stream as written, which the configuration need not have."""

    direction: int
    index: int

    def __str__(self) -> str:
        return f"{'ew'[self.direction]}{self.index}"


class Operand(NamedTuple):
    """An ALU operand: a stream of a type, an immediate, or a row of the stage before. These two are fp32 if ``type`` is
    a floating-point type, else int32."""

    kind: OperandKind
    value: int | Stream
    type: Type = Type.INT8


class Result(NamedTuple):
    """Where an ALU result goes: a stream of a type, the next stage, or both. Without a stream CONVERT alone looks at
    the type."""

    stream: Stream | None = None
    type: Type = Type.INT8
    to_next: bool = False


def stream(text: str) -> Stream:
    """``e7`` or ``w12`` as a stream; InputError otherwise."""
    if not re.fullmatch(r"[ew][0-9]{1,9}", text):
        raise InputError(f"'{text}' is no stream; streams are spelled e0 (eastward) or w0 (westward)")
    return Stream("ew".index(text[0]), int(text[1:]))


def element_type(text: str) -> Type:
    """``int8`` and the like as a type; InputError with the nearest otherwise."""
    names = {type_.name.lower(): type_ for type_ in Type}
    if text not in names:
        raise InputError(f"unknown type '{text}'{nearest(text, names)}")
    return names[text]


def operation(mnemonic: str, queue: Queue, config: ChipConfig) -> isa.Operation:
    """The operation of that mnemonic, if ``queue`` takes it; InputError saying why not and what it takes."""
    taken = {operation.mnemonic: operation for operation in isa_rules.operations_of(queue, config)}
    if mnemonic in taken:
        return taken[mnemonic]
    if mnemonic not in isa.BY_MNEMONIC:
        raise InputError(f"unknown instruction '{mnemonic}'{nearest(mnemonic, spelled(taken))}")
    kinds = isa.BY_MNEMONIC[mnemonic].queues
    if queue.kind in kinds:
        field, op = isa_rules.missing_feature(mnemonic, config), isa.BY_MNEMONIC[mnemonic]
        if field is None:
            raise InputError(isa_rules.not_leading(op, queue, config))
        raise InputError(f"{op.called} needs {field}, but config {config.name} has {field}={getattr(config, field)}")
    raise InputError(f"{mnemonic} is no instruction of queue {queue.name}; it belongs in {' or '.join(kinds)} queues")


def spelled(mnemonics: Mapping[str, object]) -> list[str]:
    """Mnemonics as they stand in assembly: those of two halves are written ``READ … & WRITE …``, others with a type."""
    return [name for name in mnemonics if name not in ("READ_WRITE", "LW_IW", "ABC_FP16")]


def written_operands(operation: isa.Operation, count: int) -> list[str]:
    """The fields of an SXM instruction that ``count`` operands stand for, in the order they are written in.

    The result is not among them. Raises InputError for another number of operands.
    """
    order = ("source", "way", "n", "map", "select")
    names = [field.name for name in order for field in operation.fields if field.name == name]
    least = len(names) - ("select" in names)
    if not least <= count <= len(names):
        text = ", ".join(name if i < least else f"[{name}]" for i, name in enumerate(names))
        raise InputError(f"{operation.mnemonic} takes {text}; {count} given")
    return names[:count]


def encode(mnemonic: str, values: Mapping[str, int | Stream], queue: Queue, config: ChipConfig) -> int:
    """The word; fields not given are 0. Raises FieldError for an operand out of range, InputError for the mnemonic."""
    op = operation(mnemonic, queue, config)
    plain = {name: value for name, value in values.items() if isinstance(value, int)}
    plain |= {
        name: isa.stream_operand(value.direction, value.index)
        for name, value in values.items()
        if isinstance(value, Stream)
    }
    if all(_possible(op.field(name), value, config) for name, value in values.items()):
        word = isa.Instruction(op, plain).encode()
        if isa_rules.broken_rule(word, queue, config) is None:
            return word
    for field in op.fields:
        if field.name in values:
            # The other operands decide which rules apply (a type says how many streams), this one is left out.
            others = {n: v for n, v in plain.items() if n != field.name and _fits(op.field(n), values[n])}
            _check(op, field, values[field.name], isa.Instruction(op, others).encode(), queue, config)
    word = isa.Instruction(op, plain).encode()
    broken = isa_rules.broken_rule(word, queue, config)
    if broken is not None:
        name = broken if isinstance(broken, str) else f"{broken.field} out of range"
        raise InputError(f"{mnemonic} is illegal in queue {queue.name}: {name}")
    return word


def _limits(field: isa.Field) -> tuple[int, int]:
    if field.kind == "immediate":
        return -(1 << field.width - 1), (1 << field.width) - 1
    if field.kind == "signed":
        return -(1 << field.width - 1), (1 << field.width - 1) - 1
    return 0, (1 << field.width) - 1


def _possible(field: isa.Field, value: int | Stream, config: ChipConfig) -> bool:
    """Whether a value is one that some instruction of the configuration may have there."""
    low, high = (0, config.streams - 1) if isinstance(value, Stream) else _limits(field)
    return low <= (value.index if isinstance(value, Stream) else value) <= high


def _fits(field: isa.Field, value: int | Stream) -> bool:
    low, high = _limits(field)
    return value.index < 1 << isa.STREAM_INDEX_BITS if isinstance(value, Stream) else low <= value <= high


def _check(
    op: isa.Operation, field: isa.Field, value: int | Stream, others: int, queue: Queue, config: ChipConfig
) -> None:
    found = isa_rules.rules(op, queue.hemisphere, config)
    rules = [rule for rule in found if rule.field == field.name and _applies(rule, others)]
    if isinstance(value, Stream):
        for rule in rules:
            if rule.lo == field.lo + isa.STREAM_DIRECTION_BIT and not rule.low <= value.direction <= rule.high:
                legal = Stream(rule.low, value.index)
                way = "a westward" if rule.low == WEST else "an eastward"
                at = f"{op.called} in queue {queue.name}"
                raise FieldError(f"stream {value}: {at} must use {way} stream; try {legal}", field.name)
    number = value.index if isinstance(value, Stream) else value
    low, high = (0, config.streams - 1) if isinstance(value, Stream) else _limits(field)
    align, reason = 1, ""
    for rule in rules:
        if rule.lo == field.lo:
            reason = reason or rule.reason
            low, high, align = max(low, rule.low), min(high, rule.high), max(align, rule.align)
    if low <= number <= high and number % align == 0:
        return
    close = min(max(number, low), high)
    close -= close % align
    if isinstance(value, Stream):
        rule_text = (
            f"a multiple of {align}, for {align} streams" if number <= high else f"{low}…{high} (config {config.name})"
        )
        legal = Stream(value.direction, close)
        raise FieldError(f"stream {value}: index must be {rule_text}; try {legal}", field.name)
    if not config.vxm_float and (field.name == "float" or number in isa.FLOAT_TYPES and field.kind == "type"):
        raise FieldError(f"fp16 and fp32 need vxm_float, but config {config.name} has vxm_float=False", field.name)
    raise FieldError(f"{op.mnemonic}: {field.name} is {number}, must be {low}…{high}{reason}; try {close}", field.name)


def _applies(rule: isa_rules.Rule, word: int) -> bool:
    return all((word >> lo) & ((1 << width) - 1) == value for lo, width, value in rule.when)


def alu_values(mnemonic: str, operands: list[Operand], result: Result, saturate: bool) -> dict[str, int | Stream]:
    """Field values of an ALU instruction; InputError for a wrong number of operands or two different immediates."""
    op = isa.BY_MNEMONIC[mnemonic]
    if len(operands) != op.arity:
        raise InputError(f"{mnemonic} takes {op.arity} operand{'s' if op.arity > 1 else ''}, not {len(operands)}")
    if result.stream is None and not result.to_next:
        raise InputError(f"{mnemonic}: the result goes nowhere; add '-> e0:int8' or '-> next'")
    values: dict[str, int | Stream] = {"to_next": int(result.to_next), "saturate": int(saturate)}
    values["float"] = _computes_in(op, operands)
    if result.stream is not None:
        values |= {"to_stream": 1, "stream": result.stream}
    if result.stream is not None or mnemonic == "CONVERT":
        values["type"] = _result_type(op, values["float"], result.type)
    for name, operand in zip(isa.OPERAND_NAMES, operands, strict=False):
        values[f"{name}_kind"] = operand.kind
        if operand.kind == OperandKind.IMMEDIATE:
            if values.setdefault("immediate", _signed(operand.value)) != _signed(operand.value):
                spelled = [_immediate(o) for o in operands if o.kind == OperandKind.IMMEDIATE]
                raise InputError(f"{mnemonic} has one immediate, but {' and '.join(spelled)} differ")
        else:
            values[f"{name}_source"] = operand.value
            if operand.kind == OperandKind.STREAM:
                values[f"{name}_type"] = operand.type
    return values


def _signed(value: int | Stream) -> int | Stream:
    """A 32-bit number as a signed one, if it was written without its sign."""
    return value - (1 << 32) if isinstance(value, int) and 1 << 31 <= value < 1 << 32 else value


def _immediate(operand: Operand) -> str:
    if operand.type in isa.FLOAT_TYPES and isinstance(operand.value, int):
        return f"#{float_text.text_of(operand.value) or hex(operand.value)}"
    return f"#{operand.value}"


def _computes_in(op: isa.Operation, operands: list[Operand]) -> int:
    """The field ``float`` that operands ask for; InputError if they do not agree, or the operation cannot."""
    condition = isa.CONDITIONS.get(op.mnemonic)
    asked: dict[str, int] = {}
    for name, operand in zip(isa.OPERAND_NAMES, operands, strict=False):
        is_float = operand.type in isa.FLOAT_TYPES
        if name != condition:
            asked[name] = int(is_float)
        elif is_float:
            close = "NE with #0.0 makes one, or read the stream as integers"
            raise InputError(f"{op.mnemonic}: condition {name} is a float, must be an integer; {close}")
    low, high = isa_rules.floats(op)
    wrong = [name for name, value in asked.items() if not low <= value <= high]
    if wrong:
        one = operands[isa.OPERAND_NAMES.index(wrong[0])]
        need = f"fp16 or fp32{_as_float(one)}" if low else "an integer: read a float's bits as int32 or int16"
        raise InputError(f"{op.mnemonic}: operand {wrong[0]} must be {need}")
    if len(set(asked.values())) > 1:
        names = {value: name for name, value in asked.items()}
        close = _as_float(operands[isa.OPERAND_NAMES.index(names[0])]) or "; CONVERT one of them before"
        raise InputError(f"{op.mnemonic}: operand {names[1]} is a float and {names[0]} an integer{close}")
    return next(iter(asked.values()))


def _as_float(operand: Operand) -> str:
    """How an operand written as an integer would be written as a float, if it can."""
    if operand.kind == OperandKind.IMMEDIATE:
        return f"; write #{operand.value}.0"
    return f"; write r{operand.value}:fp32" if operand.kind == OperandKind.ALU else ""


def _result_type(op: isa.Operation, is_float: int | Stream, type_: Type) -> Type:
    """The result's type, if the operation makes it; InputError otherwise."""
    allowed = isa_rules.result_types(op)[int(bool(is_float))]
    if type_ in allowed:
        return type_
    names = ", ".join(kind.name.lower() for kind in allowed)
    close = "" if op.mnemonic in isa.COMPARES else "; CONVERT gives any type"
    raise InputError(f"{op.mnemonic}: the result is {type_.name.lower()}, must be one of {names}{close}")


def cost(instruction: isa.Instruction) -> int:
    """Cycles until the queue's next word dispatches (:mod:`tsp.dispatch`); for a SYNC 0: it ends a count of cycles."""
    match instruction.mnemonic:
        case "NOP" | "IFETCH":
            return instruction["n"]
        case "REPEAT":
            return instruction["n"] * instruction["d"]
        case "RUNTIME_DESKEW":
            return instruction["t"] + 1
        case "SYNC":
            return 0
    return 1
