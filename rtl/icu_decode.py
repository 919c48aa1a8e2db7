"""The ICU's reading of a word: which opcode, and whether it keeps every rule of :func:`tsp.isa_rules.rules`."""

from collections.abc import Sequence
from functools import reduce
from operator import and_

from amaranth.hdl import Const, Value

from tsp import isa, isa_rules
from tsp.config import ChipConfig

OPCODE_BITS = isa.OPCODE.width


def opcode_is(word: Value, operations: Sequence[isa.Operation]) -> Value:
    """1 when the word's opcode is one of the operations'."""
    if not operations:
        return Const(0, 1)
    return word[:OPCODE_BITS].matches(*(operation.opcode for operation in operations))


def holds(word: Value, rule: isa_rules.Rule) -> Value:
    """``rule.holds(word)`` in gates."""
    value = word[rule.lo : rule.lo + rule.width]
    # A limit that the field's width gives for free is no gate, and the alignments are powers of two.
    kept = []
    if rule.low > 0:
        kept.append(value >= rule.low)
    if rule.high < (1 << rule.width) - 1:
        kept.append(value <= rule.high)
    if rule.align > 1:
        assert rule.align & (rule.align - 1) == 0, f"{rule.field}: {rule.align} is no power of two"
        kept.append(value[: rule.align.bit_length() - 1] == 0)
    if not kept:
        return Const(1, 1)
    applies = [word[lo : lo + width] == value for lo, width, value in rule.when]
    excused = ~reduce(and_, applies) if applies else Const(0, 1)
    return excused | reduce(and_, kept)


def operations(kind: str, config: ChipConfig, leads: bool = False) -> list[isa.Operation]:
    """The operations of a queue of that kind (that ``leads`` a pair of planes); without REPEAT, which is always out of
    place, where none can repeat."""
    found = isa_rules.operations(kind, config, leads)
    repeats = any(operation.repeatable for operation in found)
    return [operation for operation in found if repeats or operation.mnemonic != "REPEAT"]


def legal(word: Value, kind: str, hemisphere: str, config: ChipConfig, leads: bool = False) -> Value:
    """``broken_rule(word) is None`` in gates, for queues of that kind and hemisphere.

    Each distinct rule is built once, beside the opcodes that it binds.
    """
    taken = operations(kind, config, leads)
    bound: dict[isa_rules.Rule, list[isa.Operation]] = {}
    for operation in taken:
        for rule in isa_rules.rules(operation, hemisphere, config):
            bound.setdefault(rule, []).append(operation)
    kept = [~opcode_is(word, bound_operations) | holds(word, rule) for rule, bound_operations in bound.items()]
    return reduce(and_, kept, opcode_is(word, taken))


def addresses_legal(word: Value, kind: str, hemisphere: str, config: ChipConfig) -> Value:
    """1 when the address operands that REPEAT steps are in range, in a word that was legal before the step."""
    stepped = {(lo, width) for lo, width, _ in steps(kind, config)}
    kept = []
    for operation in operations(kind, config):
        for rule in isa_rules.rules(operation, hemisphere, config):
            if operation.repeatable and (rule.lo, rule.width) in stepped:
                kept.append(~opcode_is(word, [operation]) | holds(word, rule))
    return reduce(and_, kept, Const(1, 1))


def steps(kind: str, config: ChipConfig) -> list[tuple[int, int, isa.Field]]:
    """``(lo, width, field of REPEAT)`` of the address operands that instructions of this kind have. VXM: none."""
    repeat = isa.BY_MNEMONIC["REPEAT"]
    places = {
        (field.lo, field.width)
        for operation in operations(kind, config)
        for field in operation.fields
        if operation.repeatable and kind != "vxm"
    }
    both = ((isa.ADDRESS_A, repeat.field("step_a")), (isa.ADDRESS_B, repeat.field("step_b")))
    return [(*address, field) for address, field in both if address in places]


def stored_bits(kind: str, config: ChipConfig) -> int:
    """Low bits of a word that a queue of that kind ever looks at: what its memory keeps."""
    used = [isa_rules.payload_bits(kind, config)]
    stepped = {field.name for _, _, field in steps(kind, config)}
    for operation in operations(kind, config):
        for field in operation.fields:
            if field.kind != "signed" or field.name in stepped:
                used.append(field.lo + field.width)
    return max(used)
