"""Mistakes of single words: wrong opcodes, operands out of range, REPEATs where none may be, queues too long."""

import random
from collections.abc import Callable
from functools import partial

from tsp import isa, isa_rules
from tsp.floorplan import Queue
from tsp.randprog import streams
from tsp.randprog.expectation import ILLEGAL_INSTRUCTION, Expectation
from tsp.randprog.layout import Item, Layout, NoRoom, Shape
from tsp.randprog.mxm import Plane

Mistake = Callable[[Layout, list[Plane]], Expectation]


def _illegal(mistake: str, cycle: int, queue: Queue) -> Expectation:
    return Expectation(mistake, "illegal_instruction", (cycle, queue.index, ILLEGAL_INSTRUCTION))


def _place(layout: Layout, *kinds: str) -> tuple[Queue, int]:
    """A random queue and a random cycle."""
    queues = [q for q in layout.plan.queues if not kinds or q.kind in kinds]
    if not queues:
        raise NoRoom
    return layout.rng.choice(queues), layout.rng.randrange(layout.horizon)


def _single(mistake: str, layout: Layout, queue: Queue, time: int, word: int) -> Expectation:
    """Book a word that is illegal by itself."""
    if isa_rules.broken_rule(word, queue, layout.config) is None:
        raise NoRoom
    layout.book(queue.index, Item(time, time + 1, (word,)))
    return _illegal(mistake, time, queue)


def unknown_opcode(layout: Layout, planes: list[Plane]) -> Expectation:
    """An opcode that is none."""
    queue, time = _place(layout)
    opcode = layout.rng.choice([code for code in range(256) if code not in isa.BY_OPCODE])
    return _single("unknown_opcode", layout, queue, time, opcode | layout.rng.getrandbits(100) << 8)


def wrong_queue(layout: Layout, planes: list[Plane]) -> Expectation:
    """An instruction of another unit, or one that this configuration does not have."""
    queue, time = _place(layout)
    own = isa_rules.operations_of(queue, layout.config)
    operation = layout.rng.choice([op for op in isa.OPERATIONS if op not in own])
    return _single("wrong_queue", layout, queue, time, operation.opcode)


def broken_rule(
    name: str, chosen: Callable[[isa_rules.Rule, isa.Field], bool], layout: Layout, _: list[Plane]
) -> Expectation:
    """An operand that breaks one rule of its operation."""
    queue, time = _place(layout)
    candidates = []
    for operation in isa_rules.operations_of(queue, layout.config):
        for rule in isa_rules.rules(operation, queue.hemisphere, layout.config):
            if chosen(rule, operation.field(rule.field)):
                candidates.append((operation, rule))
    if not candidates:
        raise NoRoom
    operation, rule = layout.rng.choice(candidates)
    word = _set(operation.opcode, 0, 0, 0)
    for lo, width, value in rule.when:
        word = _set(word, lo, width, value)
    word = _set(word, rule.lo, rule.width, _bad_value(rule, layout.rng))
    return _single(name, layout, queue, time, word)


def _bad_value(rule: isa_rules.Rule, rng: random.Random) -> int:
    """A value that breaks a rule, often the nearest."""
    top = (1 << rule.width) - 1
    bad = [v for v in (rule.low - 1, rule.high + 1, top, rule.low + 1, rule.high - 1) if 0 <= v <= top]
    bad += [rng.randint(0, top) for _ in range(4)]
    bad = [v for v in bad if not rule.low <= v <= rule.high or v % rule.align]
    if not bad:
        raise NoRoom
    return rng.choice(bad)


def _set(word: int, lo: int, width: int, value: int) -> int:
    return word & ~(((1 << width) - 1) << lo) | value << lo


def _of_kind(*kinds: str) -> Callable[[isa_rules.Rule, isa.Field], bool]:
    return lambda rule, field: field.kind in kinds and rule.align == 1


def _aligned(rule: isa_rules.Rule, field: isa.Field) -> bool:
    return rule.align > 1


def _repeat(rng: random.Random) -> int:
    fields = {"n": rng.randint(1, 3), "d": rng.randint(1, 3)}
    return isa.instruction("REPEAT", **fields).encode()


def repeat_of_nothing(layout: Layout, planes: list[Plane]) -> Expectation:
    """A REPEAT after a NOP, after a SYNC, or at the beginning of a queue."""
    queue, time = _place(layout)
    word = _repeat(layout.rng)
    released = [item.end for item in layout.items[queue.index] if item.words == (isa.instruction("SYNC").encode(),)]
    way = layout.rng.randrange(3)
    if way == 0:
        layout.book(queue.index, Item(time, time + 2, (isa.instruction("NOP", n=1).encode(), word)))
        return _illegal("repeat_of_nothing", time + 1, queue)
    if way == 1 and not released:
        raise NoRoom
    time = layout.rng.choice(released) if way == 1 else 0
    layout.book(queue.index, Item(time, time + 1, (word,)))
    return _illegal("repeat_of_nothing", time, queue)


def repeat_twice(layout: Layout, planes: list[Plane]) -> Expectation:
    """A REPEAT after a REPEAT, or after an illegal word (which is then the first fault)."""
    queue, time = _place(layout, "mem")
    word = _repeat(layout.rng)
    if layout.rng.random() < 0.5:
        layout.book(queue.index, Item(time, time + 2, (0xFF, word)))
        return _illegal("repeat_twice", time, queue)
    shape = Shape(2, layout.rng.randint(1, 3))
    read = _read(layout, queue, time, shape, 0)
    repeat = isa.instruction("REPEAT", n=1, d=shape.interval).encode()
    layout.book(queue.index, Item(time, time + shape.length + 1, (read.encode(), repeat, word)))
    return _illegal("repeat_twice", time + shape.length, queue)


def step_out_of_range(layout: Layout, planes: list[Plane]) -> Expectation:
    """A REPEAT whose step leads out of the memory; the issues before are sound."""
    queue, time = _place(layout, "mem")
    sound, interval = layout.rng.randint(1, 3), layout.rng.randint(1, 3)
    down = layout.rng.random() < 0.5
    size = layout.rng.randint(1, max(1, min(3, (layout.config.mem_words - 1) // sound)))
    step = -size if down else size
    address = (sound - 1) * size if down else layout.config.mem_words - 1 - (sound - 1) * size
    if not 0 <= address < layout.config.mem_words:
        raise NoRoom
    read = _read(layout, queue, time, Shape(sound, interval), step, address)
    extra = layout.rng.randint(0, 2)
    fields = {"n": sound + extra, "d": interval, "step_a": step}
    end = time + fields["n"] * interval + 1
    layout.book(queue.index, Item(time, end, (read.encode(), isa.instruction("REPEAT", **fields).encode())))
    return _illegal("step_out_of_range", time + sound * interval, queue)


def _read(
    layout: Layout, queue: Queue, time: int, shape: Shape, step: int, address: int | None = None
) -> isa.Instruction:
    """A READ of defined words to a free stream, not booked yet."""
    operand = streams.any_group(layout, layout.rng.randrange(2), 1)[0]
    start = layout.rng.choice(layout.memory.pool) if address is None else address
    streams.read_words(layout, queue, start, step, time, shape)
    layout.drive(queue, operand, time, layout.timing.read_func, shape)
    return isa.instruction("READ", read_address=start, read_stream=operand)


def reserved_bits(layout: Layout, planes: list[Plane]) -> Expectation:
    """A NOP with bits outside its fields: the machine ignores them."""
    queue, time = _place(layout)
    word = isa.instruction("NOP", n=1).encode() | 1 << layout.rng.randint(24, 127)
    layout.book(queue.index, Item(time, time + 1, (word,)))
    return Expectation("reserved_bits", "reserved_bits")


def oversize_queue(layout: Layout, planes: list[Plane]) -> Expectation:
    """More words than a queue holds."""
    queue, _ = _place(layout)
    end = max((item.end for item in layout.items[queue.index]), default=0)
    words = (isa.instruction("NOP", n=1).encode(),) * (layout.config.queue_depth + 1)
    layout.items[queue.index].append(Item(end, end + len(words), words))
    return Expectation("oversize_queue", "queue_depth", runs=False)


WORD_MISTAKES: dict[str, Mistake] = {
    "unknown_opcode": unknown_opcode,
    "wrong_queue": wrong_queue,
    "address_range": partial(broken_rule, "address_range", _of_kind("mem_address", "acc_row", "supercell")),
    "stream_range": partial(broken_rule, "stream_range", _of_kind("stream")),
    "misaligned_group": partial(broken_rule, "misaligned_group", _aligned),
    "source_range": partial(broken_rule, "source_range", _of_kind("source")),
    "no_such_type": partial(broken_rule, "no_such_type", _of_kind("type", "kind")),
    "power_range": partial(broken_rule, "power_range", _of_kind("powered")),
    "zero_count": partial(broken_rule, "zero_count", _of_kind("count")),
    "repeat_of_nothing": repeat_of_nothing,
    "repeat_twice": repeat_twice,
    "step_out_of_range": step_out_of_range,
    "reserved_bits": reserved_bits,
    "oversize_queue": oversize_queue,
}
