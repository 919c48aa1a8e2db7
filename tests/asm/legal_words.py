"""Random legal words of every operation, drawn from the rules of :mod:`tsp.isa` alone."""

from hypothesis import strategies as st

from tsp import isa, isa_rules
from tsp.config import ChipConfig
from tsp.floorplan import Queue
from tsp.isa import STREAM_DIRECTION_BIT, STREAM_INDEX_BITS, OperandKind


def bits(word: int, lo: int, width: int) -> int:
    return (word >> lo) & ((1 << width) - 1)


@st.composite
def legal_word(draw: st.DrawFn, queue: Queue, config: ChipConfig, operation: isa.Operation, clean: bool) -> int:
    """A legal word of ``operation``; ``clean``: nothing in bits that have no meaning."""
    word = operation.opcode
    rules = isa_rules.rules(operation, queue.hemisphere, config)
    # Flags and kinds decide about types, and types about streams.
    rank = {"flag": 0, "kind": 0, "type": 1}
    for field in sorted(operation.fields, key=lambda field: rank.get(field.kind, 2)):
        active = [
            rule
            for rule in rules
            if rule.field == field.name and all(bits(word, lo, width) == value for lo, width, value in rule.when)
        ]
        word |= draw(_value(field, active, clean)) << field.lo
    if not clean:
        return word | draw(st.integers(0, (1 << isa.WORD_BITS) - 1)) & ~_named(operation)
    return word if _uses_immediate(operation, word) else word & ~(0xFFFFFFFF << 8 if operation.arity else 0)


def _value(field: isa.Field, active: list[isa_rules.Rule], clean: bool) -> st.SearchStrategy[int]:
    index = [rule for rule in active if rule.lo == field.lo]
    direction = [rule for rule in active if rule.lo == field.lo + STREAM_DIRECTION_BIT]
    if field.kind == "stream" or (field.kind == "source" and direction):
        if not direction:
            return st.just(0) if clean else st.integers(0, (1 << field.width) - 1)
        ways = st.integers(direction[0].low, direction[0].high)
        return st.tuples(_within(index, STREAM_INDEX_BITS), ways).map(lambda pair: pair[0] | pair[1] << 5)
    if not index and clean and field.kind in ("source", "type"):
        return st.just(0)
    return _within(index, field.width)


def _within(rules: list[isa_rules.Rule], width: int) -> st.SearchStrategy[int]:
    low = max((rule.low for rule in rules), default=0)
    high = min((rule.high for rule in rules), default=(1 << width) - 1)
    align = max((rule.align for rule in rules), default=1)
    return st.integers(-(-low // align), high // align).map(lambda value: value * align)


def _named(operation: isa.Operation) -> int:
    mask = 0xFF
    for field in operation.fields:
        mask |= ((1 << field.width) - 1) << field.lo
    return mask


def _uses_immediate(operation: isa.Operation, word: int) -> bool:
    kinds = [operation.field(f"{name}_kind") for name in isa.OPERAND_NAMES[: operation.arity]]
    return any(bits(word, kind.lo, kind.width) == OperandKind.IMMEDIATE for kind in kinds)


def says_something(word: int, queue: Queue) -> bool:
    """Whether the assembler has a spelling for a clean word: results that go nowhere and steps of nothing have none."""
    instruction = isa.decode(word)
    assert instruction is not None
    if instruction.operation.arity:
        return bool(instruction["to_stream"] or instruction["to_next"])
    if instruction.mnemonic == "ACC":
        return bool(instruction["out"]) or instruction["mode"] in (isa.AccMode.STORE, isa.AccMode.ADD)
    if instruction.mnemonic == "REPEAT" and queue.kind == "vxm":
        return not (instruction["step_a"] or instruction["step_b"])
    return True
