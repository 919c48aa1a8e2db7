"""Random instruction words, legal and near the border to illegal, with rubbish in the bits that nobody names."""

import random

from tsp import isa, isa_rules
from tsp.config import ChipConfig
from tsp.floorplan import Queue


def legal_word(rng: random.Random, queue: Queue, config: ChipConfig, operation: isa.Operation) -> int:
    """A random legal word, with rubbish in the bits that the operation does not name."""
    word = rng.getrandbits(isa.WORD_BITS) & ~0xFF | operation.opcode
    for field in operation.fields:
        if field.kind in ("count", "number", "signed"):
            word = put(word, field.lo, field.width, rng.randint(1, 6))
    while rule := isa_rules.broken_rule(word, queue, config):
        assert isinstance(rule, isa_rules.Rule), rule
        value = rng.choice(range(-(-rule.low // rule.align) * rule.align, rule.high + 1, rule.align))
        word = put(word, rule.lo, rule.width, value)
    return word


def any_word(rng: random.Random, queue: Queue, config: ChipConfig) -> int:
    """A word near the border between legal and illegal: a legal one with up to two fields or the opcode disturbed."""
    operation = rng.choice(isa_rules.operations_of(queue, config))
    word = legal_word(rng, queue, config, operation)
    for _ in range(rng.randint(0, 2)):
        rules = isa_rules.rules(operation, queue.hemisphere, config)
        if rules and rng.random() < 0.8:
            rule = rng.choice(rules)
            near = [rule.low - 1, rule.low, rule.low + 1, rule.high, rule.high + 1, rng.getrandbits(rule.width)]
            word = put(word, rule.lo, rule.width, rng.choice(near))
        else:
            word = put(word, 0, 8, rng.choice([rng.getrandbits(8), rng.choice(isa.OPERATIONS).opcode]))
    return word


def broken_words(rng: random.Random, queue: Queue, config: ChipConfig, tries: int = 20) -> list[int]:
    """For each rule of a queue's instructions, words that keep all others, and break it on its borders and at the top.

    ``tries``: random legal words of each operation, among which those are looked for to which a rule applies.
    """
    bound: dict[isa_rules.Rule, list[int]] = {}
    for operation in isa_rules.operations_of(queue, config):
        words = [legal_word(rng, queue, config, operation) for _ in range(tries)]
        for rule in isa_rules.rules(operation, queue.hemisphere, config):
            applies = (all(word >> lo & (1 << width) - 1 == value for lo, width, value in rule.when) for word in words)
            bound.setdefault(rule, []).extend(word for word, does in zip(words, applies, strict=True) if does)
    found = []
    for rule, words in bound.items():
        top = (1 << rule.width) - 1
        values = {rule.low - 1, rule.low + 1, rule.high + 1, top}
        for value in sorted(value for value in values if words and 0 <= value <= top):
            word = put(rng.choice(words), rule.lo, rule.width, value)
            found += [word] if not rule.holds(word) else []
    return found


def put(word: int, lo: int, width: int, value: int) -> int:
    """``word`` with other bits at ``lo``."""
    mask = (1 << width) - 1
    return word & ~(mask << lo) | (value & mask) << lo
