"""Which words are legal: what their bits must be, in which queue and configuration.

Assembler, checker, golden model and the ICU's gates derive from the rules here; the layouts stand in :mod:`tsp.isa`.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from functools import lru_cache

from tsp.config import ChipConfig
from tsp.floorplan import EAST, WEST, Queue
from tsp.isa import (
    ALU_OPERATIONS,
    BY_OPCODE,
    COMPARES,
    CONDITIONS,
    FLOAT_ONLY,
    FLOAT_TYPES,
    INDIRECT,
    INTEGER_ONLY,
    INTEGER_TYPES,
    OF_A_PAIR,
    OPERAND_NAMES,
    OPERATIONS,
    PAYLOAD_BITS,
    PRODUCTS,
    ROTATIONS,
    STREAM_DIRECTION_BIT,
    STREAM_INDEX_BITS,
    TRANSFERS,
    Field,
    OperandKind,
    Operation,
    Type,
)


@dataclasses.dataclass(frozen=True)
class Rule:
    """Bits ``lo … lo + width - 1`` hold ``low … high`` and a multiple of ``align`` when every ``(lo, width, value)`` of
    ``when`` matches. A word that breaks a rule of its operation is an illegal instruction, in golden model and RTL.
    ``reason`` is how a message goes on that says so, where the configuration allows less than the instruction set."""

    field: str
    lo: int
    width: int
    low: int
    high: int
    align: int = 1
    when: tuple[tuple[int, int, int], ...] = ()
    reason: str = dataclasses.field(default="", compare=False)

    def holds(self, word: int) -> bool:
        """Whether ``word`` keeps the rule."""
        for lo, width, value in self.when:
            if (word >> lo) & ((1 << width) - 1) != value:
                return True
        value = (word >> self.lo) & ((1 << self.width) - 1)
        return self.low <= value <= self.high and value % self.align == 0


def _stream_rules(
    field: Field, config: ChipConfig, group: int, direction: int | None, when: tuple[tuple[int, int, int], ...] = ()
) -> Iterator[Rule]:
    low, high = (0, 1) if direction is None else (direction, direction)
    yield Rule(field.name, field.lo, STREAM_INDEX_BITS, 0, config.streams - 1, group, when)
    # The two bits above the direction are zero, so direction and they are one number.
    yield Rule(field.name, field.lo + STREAM_DIRECTION_BIT, 3, low, high, 1, when)


_When = tuple[tuple[int, int, int], ...]
BY_FLOAT: Mapping[int, tuple[Type, ...]] = {0: INTEGER_TYPES, 1: FLOAT_TYPES}
"""The types of operands and most results, by the instruction's ``float``."""
ALL_INTEGER: Mapping[int, tuple[Type, ...]] = dict.fromkeys((0, 1), INTEGER_TYPES)


def floats(operation: Operation) -> tuple[int, int]:
    """The least and the greatest legal value of ``float``, where ``vxm_float`` is on."""
    return int(operation.mnemonic in FLOAT_ONLY), int(operation.mnemonic not in INTEGER_ONLY)


def result_types(operation: Operation) -> Mapping[int, tuple[Type, ...]]:
    """The types a result may have, by the instruction's ``float``, where ``vxm_float`` is on."""
    if operation.mnemonic in COMPARES:
        return ALL_INTEGER
    return dict.fromkeys((0, 1), tuple(Type)) if operation.mnemonic == "CONVERT" else BY_FLOAT


def operand_types(operation: Operation, name: str, config: ChipConfig) -> Mapping[int, tuple[Type, ...]]:
    """The types a stream operand may have, for each legal value of ``float``."""
    types = ALL_INTEGER if CONDITIONS.get(operation.mnemonic) == name else BY_FLOAT
    return _legal(types, operation, config)


def stream_types(operation: Operation, config: ChipConfig) -> Mapping[int, tuple[Type, ...]]:
    """The types a result on a stream may have, for each legal value of ``float``."""
    return _legal(result_types(operation) if config.vxm_float else BY_FLOAT, operation, config)


def _legal(
    types: Mapping[int, tuple[Type, ...]], operation: Operation, config: ChipConfig
) -> Mapping[int, tuple[Type, ...]]:
    low, high = floats(operation) if config.vxm_float else (0, 0)
    return {value: types[value] for value in range(low, high + 1)}


def _alu_rules(operation: Operation, config: ChipConfig) -> Iterator[Rule]:
    float_ = operation.field("float")
    results = stream_types(operation, config)
    yield Rule(float_.name, float_.lo, float_.width, min(results), max(results))

    def typed(stream: Field, kind: Field, when: _When, allowed: Mapping[int, tuple[Type, ...]]) -> Iterator[Rule]:
        for value, types in allowed.items():
            # Where the types are the same for every legal value, one rule says so.
            only = ((float_.lo, float_.width, value),) if len(set(allowed.values())) > 1 else ()
            yield Rule(kind.name, kind.lo, kind.width, min(types), max(types), 1, when + only)
            if not only:
                break
        for type_ in sorted({type_ for types in allowed.values() for type_ in types}):
            yield from _stream_rules(stream, config, type_.planes, None, (*when, (kind.lo, kind.width, type_)))

    to_stream, type_ = operation.field("to_stream"), operation.field("type")
    sent = ((to_stream.lo, to_stream.width, 1),)
    yield from typed(operation.field("stream"), type_, sent, results)
    if operation.mnemonic == "CONVERT":
        # It says what the result is, also for the next stage.
        yield Rule(type_.name, type_.lo, type_.width, 0, max(Type if config.vxm_float else INTEGER_TYPES))
    for name in OPERAND_NAMES[: operation.arity]:
        kind, source = operation.field(f"{name}_kind"), operation.field(f"{name}_source")
        yield Rule(kind.name, kind.lo, kind.width, OperandKind.STREAM, OperandKind.ALU)
        types = operand_types(operation, name, config)
        yield from typed(source, operation.field(f"{name}_type"), ((kind.lo, kind.width, OperandKind.STREAM),), types)
        alu = ((kind.lo, kind.width, int(OperandKind.ALU)),)
        yield Rule(source.name, source.lo, source.width, 0, config.vxm_rows - 1, 1, alu)


FETCHED_VECTORS = 2
"""Most that one IFETCH takes with several superlanes: a pair's words arrive one a cycle, a third would meet them."""
_COUNTS_WITH = {("ACC", "stream"): "out", ("SHIFT", "select"): "selects"}
"""Stream operands that count only with a flag, by operation and field."""


@lru_cache(maxsize=1024)
def rules(operation: Operation, hemisphere: str, config: ChipConfig) -> tuple[Rule, ...]:
    """What a word of ``operation`` in a queue of ``hemisphere`` must keep beside having the right opcode."""
    if operation in ALU_OPERATIONS:
        return tuple(_alu_rules(operation, config))
    limits = {"mem_address": config.mem_words, "acc_row": config.acc_depth, "supercell": config.superlanes}
    limits |= {"lanes": config.lanes + 1}
    found: list[Rule] = []
    for field in operation.fields:
        if field.kind in limits:
            found.append(Rule(field.name, field.lo, field.width, 0, limits[field.kind] - 1))
        elif field.kind == "count":
            pairs = operation.mnemonic == "IFETCH" and config.superlanes > 1
            most = FETCHED_VECTORS if pairs else (1 << field.width) - 1
            reason = f", as with {config.superlanes} superlanes a third vector's words would meet the first's"
            found.append(Rule(field.name, field.lo, field.width, 1, most, reason=reason if pairs else ""))
        elif field.kind == "link":
            links = config.links(hemisphere)
            reason = f", as config {config.name} has links_{hemisphere}={links}"
            found.append(Rule(field.name, field.lo, field.width, 0, links - 1, reason=reason))
        elif field.kind == "rotation":
            found.append(Rule(field.name, field.lo, field.width, *ROTATIONS))
        elif field.kind == "powered":
            found.append(Rule(field.name, field.lo, field.width, 1, config.superlanes))
        elif field.kind == "stream":
            inward = WEST if hemisphere == "e" else EAST
            direction = {"LW": 1 - inward, "LW_IW": 1 - inward, "ACC": inward}.get(operation.mnemonic)
            if operation.mnemonic in PRODUCTS:
                direction = 1 - inward
            when: tuple[tuple[int, int, int], ...] = ()
            if flag := _COUNTS_WITH.get((operation.mnemonic, field.name)):
                used = operation.field(flag)
                when = ((used.lo, used.width, 1),)
            found.extend(_stream_rules(field, config, field.group, direction, when))
    return tuple(found)


@lru_cache(maxsize=128)
def operations(kind: str, config: ChipConfig, leads: bool = True) -> tuple[Operation, ...]:
    """The operations queues of that kind take in a configuration; those of :data:`OF_A_PAIR` only if it ``leads``."""
    found = (operation for operation in OPERATIONS if kind in operation.queues)
    mine = (operation for operation in found if leads or operation.mnemonic not in OF_A_PAIR)
    return tuple(operation for operation in mine if missing_feature(operation.mnemonic, config) is None)


def operations_of(queue: Queue, config: ChipConfig) -> tuple[Operation, ...]:
    """The operations that queue takes in a configuration."""
    return operations(queue.kind, config, leads_pair(queue, config))


def leads_pair(queue: Queue, config: ChipConfig) -> bool:
    """Whether a queue is that of plane 0 of two planes that multiply fp16 together."""
    return queue.kind.startswith("mxm") and queue.number == 0 and config.multiplies_fp16(queue.hemisphere)


def missing_feature(mnemonic: str, config: ChipConfig) -> str | None:
    """The field of a configuration without which an operation does not exist, as it stands there; None if it does."""
    features = dict.fromkeys(INDIRECT, "gather") | dict.fromkeys(FLOAT_ONLY, "vxm_float")
    features |= dict.fromkeys(OF_A_PAIR, "mxm_fp16") | dict.fromkeys((*TRANSFERS, "POLL"), "c2c")
    needed = {"MUL": "vxm_mul_bits", "IFETCH": "ifetch", **features}.get(mnemonic)
    return needed if needed is not None and not getattr(config, needed) else None


def payload_bits(kind: str, config: ChipConfig) -> int:
    """Low bits of a word that go to the slice of a queue of that kind; 0 if the configuration has no such slice."""
    return PAYLOAD_BITS[kind] if kind != "c2c" or config.c2c else 0


def not_leading(operation: Operation, queue: Queue, config: ChipConfig) -> str:
    """Why a queue that would take an operation if it led a pair of planes does not."""
    h = queue.hemisphere
    if config.multiplies_fp16(h):
        return f"{operation.called} is for both planes together; it belongs in queue mxm.{h}0.activations"
    return f"{operation.called} needs two planes, but config {config.name} has mxm_planes_{h}={config.planes(h)}"


@lru_cache(maxsize=1 << 15)
def broken_rule(word: int, queue: Queue, config: ChipConfig) -> Rule | str | None:
    """Why the word is an illegal instruction in that queue: the rule it breaks, or a reason in words; None if legal.

    A REPEAT's place (what it follows) is the dispatcher's business, not the word's.
    """
    kept = _rules_by_opcode(queue.kind, queue.hemisphere, leads_pair(queue, config), config).get(word & 0xFF)
    if kept is None:
        operation = BY_OPCODE.get(word & 0xFF)
        if operation is None:
            return f"opcode {word & 0xFF:#04x} is no instruction"
        if queue.kind in operation.queues and missing_feature(operation.mnemonic, config) is None:
            return not_leading(operation, queue, config)
        return f"{operation.mnemonic} is no instruction of a {queue.kind} queue"
    for rule in kept:
        if not rule.holds(word):
            return rule
    return None


@lru_cache(maxsize=1024)
def _rules_by_opcode(kind: str, hemisphere: str, leads: bool, config: ChipConfig) -> dict[int, tuple[Rule, ...]]:
    return {operation.opcode: rules(operation, hemisphere, config) for operation in operations(kind, config, leads)}
