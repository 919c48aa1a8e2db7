"""Which words are legal: what their bits must be, in which queue and configuration.

Assembler, checker, golden model and the ICU's gates derive from the rules here; the layouts stand in :mod:`tsp.isa`.
"""

import dataclasses
from collections.abc import Iterator
from functools import lru_cache

from tsp.config import ChipConfig
from tsp.floorplan import EAST, WEST, Queue
from tsp.isa import (
    ALU_OPERATIONS,
    BY_OPCODE,
    INDIRECT,
    INTEGER_TYPES,
    OPERAND_NAMES,
    OPERATIONS,
    ROTATIONS,
    STREAM_DIRECTION_BIT,
    STREAM_INDEX_BITS,
    Field,
    OperandKind,
    Operation,
)


@dataclasses.dataclass(frozen=True)
class Rule:
    """Bits ``lo … lo + width - 1`` hold ``low … high`` and a multiple of ``align`` when every ``(lo, width, value)`` of
    ``when`` matches. A word that breaks a rule of its operation is an illegal instruction, in golden model and RTL."""

    field: str
    lo: int
    width: int
    low: int
    high: int
    align: int = 1
    when: tuple[tuple[int, int, int], ...] = ()

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


def _alu_rules(operation: Operation, config: ChipConfig) -> Iterator[Rule]:
    def typed(stream: Field, kind: Field, when: tuple[tuple[int, int, int], ...]) -> Iterator[Rule]:
        yield Rule(kind.name, kind.lo, kind.width, 0, max(INTEGER_TYPES), 1, when)
        for type_ in INTEGER_TYPES:
            yield from _stream_rules(stream, config, type_.planes, None, (*when, (kind.lo, kind.width, type_)))

    to_stream = operation.field("to_stream")
    yield from typed(operation.field("stream"), operation.field("type"), ((to_stream.lo, to_stream.width, 1),))
    for name in OPERAND_NAMES[: operation.arity]:
        kind, source = operation.field(f"{name}_kind"), operation.field(f"{name}_source")
        yield Rule(kind.name, kind.lo, kind.width, OperandKind.STREAM, OperandKind.ALU)
        yield from typed(source, operation.field(f"{name}_type"), ((kind.lo, kind.width, OperandKind.STREAM),))
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
            found.append(Rule(field.name, field.lo, field.width, 1, most))
        elif field.kind == "rotation":
            found.append(Rule(field.name, field.lo, field.width, *ROTATIONS))
        elif field.kind == "stream":
            inward = WEST if hemisphere == "e" else EAST
            direction = {"LW": 1 - inward, "LW_IW": 1 - inward, "ABC": 1 - inward, "ACC": inward}.get(
                operation.mnemonic
            )
            when: tuple[tuple[int, int, int], ...] = ()
            if flag := _COUNTS_WITH.get((operation.mnemonic, field.name)):
                used = operation.field(flag)
                when = ((used.lo, used.width, 1),)
            found.extend(_stream_rules(field, config, field.group, direction, when))
    return tuple(found)


@lru_cache(maxsize=64)
def operations(kind: str, config: ChipConfig) -> tuple[Operation, ...]:
    """The operations a queue of that kind takes in a configuration."""
    found = (operation for operation in OPERATIONS if kind in operation.queues)
    return tuple(operation for operation in found if missing_feature(operation.mnemonic, config) is None)


def missing_feature(mnemonic: str, config: ChipConfig) -> str | None:
    """The field of a configuration without which an operation does not exist, as it stands there; None if it does."""
    needed = {"MUL": "vxm_mul_bits", "IFETCH": "ifetch", **dict.fromkeys(INDIRECT, "gather")}.get(mnemonic)
    return needed if needed is not None and not getattr(config, needed) else None


def broken_rule(word: int, queue: Queue, config: ChipConfig) -> Rule | str | None:
    """Why the word is an illegal instruction in that queue: the rule it breaks, or a reason in words; None if legal.

    A REPEAT's place (what it follows) is the dispatcher's business, not the word's.
    """
    kept = _rules_by_opcode(queue.kind, queue.hemisphere, config).get(word & 0xFF)
    if kept is None:
        operation = BY_OPCODE.get(word & 0xFF)
        if operation is None:
            return f"opcode {word & 0xFF:#04x} is no instruction"
        return f"{operation.mnemonic} is no instruction of a {queue.kind} queue"
    for rule in kept:
        if not rule.holds(word):
            return rule
    return None


@lru_cache(maxsize=1024)
def _rules_by_opcode(kind: str, hemisphere: str, config: ChipConfig) -> dict[int, tuple[Rule, ...]]:
    return {operation.opcode: rules(operation, hemisphere, config) for operation in operations(kind, config)}
