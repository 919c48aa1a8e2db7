"""Mistakes in what words do together: collisions, absent operands, undefined words, barriers and deskews."""

from tsp import isa
from tsp.floorplan import EAST, WEST, Queue
from tsp.isa import AccMode, OperandKind, Type
from tsp.randprog import streams
from tsp.randprog.expectation import BANK_CONFLICT, COLLISION, OPERAND_ABSENT, Expectation
from tsp.randprog.layout import Item, Layout, NoRoom, Shape
from tsp.randprog.mistakes_word import Mistake
from tsp.randprog.mxm import Plane

ONCE = Shape()


def collision(layout: Layout, planes: list[Plane]) -> Expectation:
    """A second slice or ALU at the site of a drive drives the same stream in the same cycle."""
    if not layout.drives:
        raise NoRoom
    first, time, operand = layout.rng.choice(layout.drives)
    others = [q for q in layout.plan.site_queues(first.site) if q.kind == first.kind and q is not first]
    if not others or first.kind not in ("mem", "vxm"):
        raise NoRoom
    second = layout.rng.choice(others)
    if first.kind == "mem":
        address = layout.rng.choice(layout.memory.pool)
        streams.read_words(layout, second, address, 0, time, ONCE)
        word, func = isa.instruction("READ", read_address=address, read_stream=operand), layout.timing.read_func
    else:
        word, func = _alu(layout, OperandKind.IMMEDIATE, stream=operand), layout.timing.alu_func
    layout.book(second.index, Item(time, time + 1, (word.encode(),)))
    fault = (time + func, min(first.index, second.index), COLLISION)
    return Expectation("collision", "collision", fault)


def _alu(layout: Layout, kind: OperandKind, stream: int | None = None, **fields: int) -> isa.Instruction:
    """A unary operation on integers to an int8 stream, or to the next stage without one."""
    unary = [op.mnemonic for op in isa.ALU_OPERATIONS if op.arity == 1 and op.mnemonic not in isa.FLOAT_ONLY]
    mnemonic = layout.rng.choice(unary)
    to = {"to_next": 1} if stream is None else {"to_stream": 1, "stream": stream, "type": Type.INT8}
    return isa.instruction(mnemonic, a_kind=kind, **to, **fields)


def bank_conflict(layout: Layout, planes: list[Plane]) -> Expectation:
    """READ and WRITE of one word in one bank; in a REPEAT maybe not in the first issue."""
    rng, memory = layout.rng, layout.memory
    queue = rng.choice([q for q in layout.plan.queues if q.kind == "mem"])
    time, shape = rng.randrange(layout.horizon), Shape(rng.randint(1, 3), rng.randint(1, 2))
    (read, step_a), (write, step_b) = memory.addresses(shape.count), memory.addresses(shape.count)
    banks = [((read + i * step_a) // memory.half, (write + i * step_b) // memory.half) for i in range(shape.count)]
    bad = next((i for i, (a, b) in enumerate(banks) if a == b), None)
    taken, given = (streams.any_group(layout, rng.choice((EAST, WEST)), 1)[0] for _ in range(2))
    if bad is None or not layout.upstream(taken >> isa.STREAM_DIRECTION_BIT, queue.site):
        raise NoRoom
    streams.source(layout, queue.site, [taken], time + layout.timing.write_skew, shape)
    streams.read_words(layout, queue, read, step_a, time, shape)
    streams.write_words(layout, queue, write, step_b, time, shape)
    fields = {"read_address": read, "read_stream": given, "write_address": write, "write_stream": taken}
    layout.issue(queue, time, shape, isa.instruction("READ_WRITE", **fields), step_a, step_b)
    layout.drive(queue, given, time, layout.timing.read_func, shape)
    fault = (time + bad * shape.interval, queue.index, BANK_CONFLICT)
    return Expectation("bank_conflict", "bank_conflict", fault)


def _absent(layout: Layout, site: int, operands: list[int], time: int) -> None:
    """NoRoom if all of the streams carry a value."""
    if all(layout.present(site, operand, time, ONCE) for operand in operands):
        raise NoRoom


def _fault(layout: Layout, queue: Queue, time: int, mistake: str) -> Expectation:
    return Expectation(mistake, "operand_absent", (time, queue.index, OPERAND_ABSENT))


def absent_stream(layout: Layout, planes: list[Plane]) -> Expectation:
    """A WRITE, an ALU or an ABC reads a stream that carries nothing, or a group that is not complete."""
    rng, time = layout.rng, layout.rng.randrange(layout.horizon)
    way = rng.choice(("mem", "vxm", "mxm") if planes else ("mem", "vxm"))
    if way == "mxm":
        return _absent_activation(layout, rng.choice(planes), time)
    direction = rng.choice((EAST, WEST))
    queue = rng.choice([q for q in layout.plan.queues if q.kind == way])
    if way == "mem":
        operands = streams.any_group(layout, direction, 1)
        address = rng.choice(layout.memory.pool)
        word = isa.instruction("WRITE", write_address=address, write_stream=operands[0])
        skew = layout.timing.write_skew
    else:
        type_ = rng.choice((Type.INT8, Type.INT16, Type.INT32))
        operands = streams.any_group(layout, direction, type_.planes)
        word = _alu(layout, OperandKind.STREAM, a_source=operands[0], a_type=type_)
        skew = layout.timing.alu_skew
    _absent(layout, queue.site, operands, time + skew)
    layout.issue(queue, time, ONCE, word)
    return _fault(layout, queue, time + skew, "absent_stream")


def _absent_activation(layout: Layout, plane: Plane, time: int) -> Expectation:
    if time < plane.installed:
        raise NoRoom
    operand = streams.any_group(layout, plane.inward, 1)[0]
    read = time + layout.timing.abc_skew
    _absent(layout, plane.site, [operand], read)
    layout.issue(plane.activations, time, ONCE, isa.instruction("ABC", stream=operand))
    taken = time + layout.timing.abc_acc
    layout.issue(plane.accumulate, taken, ONCE, isa.instruction("ACC", mode=AccMode.STORE))
    return _fault(layout, plane.activations, read, "absent_stream")


def absent_weights(layout: Layout, planes: list[Plane]) -> Expectation:
    """An LW whose sixteen streams are not all there."""
    if not planes:
        raise NoRoom
    plane, time = layout.rng.choice(planes), layout.rng.randrange(layout.horizon)
    operands = streams.any_group(layout, plane.inward, isa.GROUP16)
    read = time + layout.timing.lw_skew
    _absent(layout, plane.site, operands, read)
    layout.issue(plane.weights, time, ONCE, isa.instruction("LW", stream=operands[0]))
    return _fault(layout, plane.weights, read, "absent_weights")


def absent_chain(layout: Layout, planes: list[Plane]) -> Expectation:
    """An ALU takes the result of one of the stage before that had nothing to do."""
    rng, config = layout.rng, layout.config
    queue, time = rng.choice([q for q in layout.plan.queues if q.kind == "vxm"]), rng.randrange(layout.horizon)
    stage = (queue.number // config.vxm_rows - 1) % config.vxm_stages
    row = rng.randrange(config.vxm_rows)
    before = time - layout.timing.alu_next
    if before >= 0 and not layout.free(layout.plan.queue(f"vxm.r{row}s{stage}").index, before, before + 1):
        raise NoRoom
    layout.issue(queue, time, ONCE, _alu(layout, OperandKind.ALU, a_source=row))
    return _fault(layout, queue, time, "absent_chain")


def absent_sum(layout: Layout, planes: list[Plane]) -> Expectation:
    """An ACC when nothing leaves the array."""
    if not planes:
        raise NoRoom
    plane, time = layout.rng.choice(planes), layout.rng.randrange(layout.horizon)
    before = time - layout.timing.abc_acc
    if before >= 0 and not layout.free(plane.activations.index, before, before + 1):
        raise NoRoom
    word = isa.instruction("ACC", mode=AccMode.STORE, row=layout.rng.choice(plane.pool))
    layout.issue(plane.accumulate, time, ONCE, word)
    return _fault(layout, plane.accumulate, time, "absent_sum")


def shared_plane(layout: Layout, planes: list[Plane]) -> Expectation:
    """Plane 1 of a pair multiplies while both together multiply fp16."""
    pairs = [(plane, plane.partner) for plane in planes if plane.partner is not None]
    if not pairs:
        raise NoRoom
    both, time = layout.rng.choice(pairs), layout.rng.randrange(layout.horizon)
    for plane, mnemonic, count in zip(both, ("ABC_FP16", "ABC"), (2, 1), strict=True):
        operands = streams.any_group(layout, plane.inward, count)
        streams.source(layout, plane.site, operands, time + layout.timing.abc_skew, ONCE)
        layout.issue(plane.activations, time, ONCE, isa.instruction(mnemonic, stream=operands[0]))
        taken = time + layout.timing.abc_acc
        layout.issue(plane.accumulate, taken, ONCE, isa.instruction("ACC", mode=AccMode.STORE))
    return Expectation("shared_plane", "collision", (time, both[0].activations.index, COLLISION))


def undefined_word(layout: Layout, planes: list[Plane]) -> Expectation:
    """A READ of a word that nothing defines. What it brings nobody reads; there is no fault."""
    queue = layout.rng.choice([q for q in layout.plan.queues if q.kind == "mem"])
    time, operand = layout.rng.randrange(layout.horizon), streams.any_group(layout, layout.rng.randrange(2), 1)[0]
    address = layout.rng.randrange(layout.config.mem_words)
    if not layout.memory.undefined(queue, address):
        raise NoRoom
    layout.issue(queue, time, ONCE, isa.instruction("READ", read_address=address, read_stream=operand))
    layout.drive(queue, operand, time, layout.timing.read_func, ONCE)
    return Expectation("undefined_word", "undefined_word")


def _sum(layout: Layout, plane: Plane, time: int, row: int, mode: AccMode) -> None:
    operand = streams.any_group(layout, plane.inward, 1)[0]
    streams.source(layout, plane.site, [operand], time + layout.timing.abc_skew, ONCE)
    layout.issue(plane.activations, time, ONCE, isa.instruction("ABC", stream=operand))
    taken = time + layout.timing.abc_acc
    layout.issue(plane.accumulate, taken, ONCE, isa.instruction("ACC", row=row, mode=mode))


def undefined_row(layout: Layout, planes: list[Plane]) -> Expectation:
    """An ACC adds to a row that nothing has stored in."""
    ready = [plane for plane in planes if plane.installed < layout.horizon]
    if not ready:
        raise NoRoom
    plane = layout.rng.choice(ready)
    time = layout.rng.randint(plane.installed, layout.horizon)
    row = layout.rng.randrange(layout.config.acc_depth)
    if row in plane.rows:
        raise NoRoom
    _sum(layout, plane, time, row, AccMode.ADD)
    return Expectation("undefined_row", "undefined_row")


def undefined_weights(layout: Layout, planes: list[Plane]) -> Expectation:
    """An ABC before anything is installed."""
    if not planes:
        raise NoRoom
    plane, time = layout.rng.choice(planes), layout.rng.randrange(layout.horizon)
    if time >= plane.installed:
        raise NoRoom
    _sum(layout, plane, time, layout.rng.choice(plane.pool), AccMode.STORE)
    return Expectation("undefined_weights", "undefined_weights")


def lost_result(layout: Layout, planes: list[Plane]) -> Expectation:
    """An ALU whose result goes nowhere."""
    queue = layout.rng.choice([q for q in layout.plan.queues if q.kind == "vxm"])
    word = isa.instruction("NOT", a_kind=OperandKind.IMMEDIATE)
    layout.issue(queue, layout.rng.randrange(layout.horizon), ONCE, word)
    return Expectation("lost_result", "no_result")


def ignored_step(layout: Layout, planes: list[Plane]) -> Expectation:
    """A REPEAT with a step after an instruction that has no address: the machine ignores it."""
    queue = layout.rng.choice([q for q in layout.plan.queues if q.kind == "vxm"])
    time, step = layout.rng.randrange(layout.horizon), layout.rng.choice((-1, 1))
    words = (_alu(layout, OperandKind.IMMEDIATE), isa.instruction("REPEAT", n=1, d=1, step_a=step))
    layout.book(queue.index, Item(time, time + 2, tuple(word.encode() for word in words)))
    return Expectation("ignored_step", "ignored_step")


def unreleased_sync(layout: Layout, planes: list[Plane]) -> Expectation:
    """A SYNC after the last NOTIFY: the program never ends."""
    queue = layout.rng.choice(layout.plan.queues)
    notify = isa.instruction("NOTIFY").encode()
    notifies = [item.start for items in layout.items.values() for item in items if notify in item.words]
    last = max((item.end for item in layout.items[queue.index]), default=0)
    time = max(max(notifies, default=-1) + layout.timing.barrier, last) + layout.rng.randint(0, 5)
    layout.items[queue.index].append(Item(time, time + 1, (isa.instruction("SYNC").encode(),)))
    return Expectation("unreleased_sync", "sync", ends=False)


def early_notify(layout: Layout, planes: list[Plane]) -> Expectation:
    """A NOTIFY less than one barrier after another one."""
    notify = isa.instruction("NOTIFY").encode()
    before, barrier = layout.rng.randrange(layout.horizon), layout.timing.barrier
    gap = layout.rng.choice((barrier - 1, 1, layout.rng.randint(1, barrier - 1)))
    for time in (before, before + gap):
        layout.book(layout.rng.choice(layout.plan.queues).index, Item(time, time + 1, (notify,)))
    return Expectation("early_notify", "notify", runs=False)


def busy_deskew(layout: Layout, planes: list[Plane]) -> Expectation:
    """A DESKEW while others work."""
    queue, time = layout.rng.choice(layout.plan.queues), layout.rng.randrange(layout.horizon)
    working = [q.index for q in layout.plan.queues if q is not queue and not layout.free(q.index, time, time + 1)]
    if not any(_works_on(layout, q, time) for q in working):
        raise NoRoom
    word = layout.rng.choice((isa.instruction("DESKEW"), isa.instruction("RUNTIME_DESKEW", t=0)))
    layout.book(queue.index, Item(time, time + 1, (word.encode(),)))
    return Expectation("busy_deskew", "deskew", runs=False)


def twin_config(layout: Layout, planes: list[Plane]) -> Expectation:
    """CONFIGs of two queues in one cycle."""
    time = layout.rng.randrange(layout.horizon)
    for queue in layout.rng.sample(layout.plan.queues, 2):
        layout.book(queue.index, Item(time, time + 1, (_config(layout),)))
    return Expectation("twin_config", "config", runs=False)


def early_config(layout: Layout, planes: list[Plane]) -> Expectation:
    """A CONFIG that holds for a WRITE and not yet for the READ of what it writes."""
    target = layout.rng.choice([q for q in layout.plan.queues if q.kind == "mem"])
    direction, address = layout.rng.choice((EAST, WEST)), layout.rng.choice(layout.memory.pool)
    if not layout.upstream(direction, target.site):
        raise NoRoom
    operand, time = streams.any_group(layout, direction, 1)[0], layout.rng.randrange(layout.horizon)
    streams.source(layout, target.site, [operand], time + layout.timing.write_skew, ONCE)
    streams.write_words(layout, target, address, 0, time, ONCE)
    layout.issue(target, time, ONCE, isa.instruction("WRITE", write_address=address, write_stream=operand))
    at = time - layout.timing.config - layout.rng.randint(0, layout.timing.read_func - 1)
    layout.book(layout.rng.choice(layout.plan.queues).index, Item(at, at + 1, (_config(layout),)))
    return Expectation("early_config", "config", runs=False)


def _config(layout: Layout) -> int:
    return isa.instruction("CONFIG", p=layout.rng.randint(1, layout.config.superlanes)).encode()


def _works_on(layout: Layout, queue: int, time: int) -> bool:
    """Whether a queue issues an instruction in a cycle, not idling in a SYNC."""
    sync = isa.instruction("SYNC").encode()
    return any(item.start <= time < item.end and item.words != (sync,) for item in layout.items[queue])


FLOW_MISTAKES: dict[str, Mistake] = {
    function.__name__: function
    for function in (
        collision,
        bank_conflict,
        absent_stream,
        absent_weights,
        absent_chain,
        absent_sum,
        shared_plane,
        undefined_word,
        undefined_row,
        undefined_weights,
        lost_result,
        ignored_step,
        unreleased_sync,
        early_notify,
        busy_deskew,
        twin_config,
        early_config,
    )
}
