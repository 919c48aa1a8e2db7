"""Templates of the memory: values brought to where they are read, results written, copies."""

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from tsp import isa
from tsp.floorplan import EAST, WEST, Queue
from tsp.isa import Type
from tsp.randprog import fetched, values
from tsp.randprog.fetched import Fetch
from tsp.randprog.layout import Item, Layout, NoRoom, Shape
from tsp.timing import arrival

TRIES = 8
"""Slices tried for a read or a write before the template gives up."""


def group(direction: int, base: int, planes: int) -> list[int]:
    """The stream operands of a group."""
    return [isa.stream_operand(direction, base + plane) for plane in range(planes)]


def any_group(layout: Layout, direction: int, planes: int) -> list[int]:
    """A random group of that direction; low streams are likelier, so that values meet."""
    count = layout.config.streams // planes
    index = layout.rng.randrange(count if layout.rng.random() < 0.6 else max(1, count // 4))
    return group(direction, planes * index, planes)


def source(
    layout: Layout,
    site: int,
    operands: Sequence[int],
    time: int,
    shape: Shape,
    type_: Type = Type.INT8,
    reuse: float = 0.5,
    vectors: list[NDArray[np.int64]] | None = None,
    words: list[list[NDArray[np.uint8]]] | None = None,
) -> None:
    """Read streams at a site, from ``time`` on; READs upstream bring what is not there yet (``vectors``, or any data).

    ``words``: what each stream brings, if it is not the byte planes of vectors. With probability ``reuse`` values that
    happen to pass are taken instead.
    """
    if layout.rng.random() < reuse and all(layout.present(site, operand, time, shape) for operand in operands):
        for operand in operands:
            layout.read(site, operand, time, shape)
        return
    if vectors is None and words is None:
        vectors = [values.vector(layout.rng, type_, layout.config.lanes) for _ in range(shape.count)]
    for plane, operand in enumerate(operands):
        data = values.plane(vectors or [], plane % type_.planes) if words is None else words[plane]
        slices = layout.upstream(operand >> isa.STREAM_DIRECTION_BIT, site)
        layout.rng.shuffle(slices)
        if len(operands) < isa.GROUP16:
            slices = slices[:TRIES]
        ways = (partial(bring, layout, queue, operand, site, time, shape, data) for queue in slices)
        if not any(layout.attempt(way) for way in ways):
            layout.read(site, operand, time, shape)


def bring(
    layout: Layout, queue: Queue, operand: int, site: int, time: int, shape: Shape, data: list[NDArray[np.uint8]]
) -> None:
    """READs of one slice whose values a site reads from ``time`` on."""
    start = time - arrival(queue.site, site) - layout.timing.read_func
    address, step = layout.memory.fresh(queue.slice, shape.count)
    read_words(layout, queue, address, step, start, shape, data)
    word = isa.instruction("READ", read_address=address, read_stream=operand)
    layout.issue(queue, start, shape, word, step_a=step, step_b=spare_step(layout, shape))
    layout.drive(queue, operand, start, layout.timing.read_func, shape)
    layout.read(site, operand, time, shape)


def constant(
    layout: Layout, queue: Queue, operand: int, site: int, time: int, shape: Shape, data: list[NDArray[np.uint8]]
) -> int:
    """READs of words kept for just these vectors, which a site reads from ``time`` on; their first address."""
    start = time - arrival(queue.site, site) - layout.timing.read_func
    address = layout.memory.constant(queue, data)
    # What passes already may have been driven between that slice and here, and would be read instead.
    passing = any(layout.present(site, operand, at, Shape()) for at in shape.times(time))
    if start < 0 or address < 0 or passing:
        raise NoRoom
    word = isa.instruction("READ", read_address=address, read_stream=operand)
    layout.issue(queue, start, shape, word, step_a=1 if shape.count > 1 else 0)
    layout.drive(queue, operand, start, layout.timing.read_func, shape)
    layout.read(site, operand, time, shape)
    return address


def fetch(layout: Layout, time: int) -> None:
    """An IFETCH, and the READs of the words it brings: whatever the queue's last words turn out to be."""
    rng, superlanes = layout.rng, layout.config.superlanes
    count = rng.randint(1, 4) if superlanes == 1 else 2
    last = time + count + layout.timing.ifetch_dispatch + 2 * superlanes
    if any(layout.powered(at) < superlanes for at in range(time, time + count)):
        raise NoRoom
    enough = [q for q in layout.plan.queues if q.slice >= 0 and _words_from(layout, q, last) >= count * superlanes]
    if not enough:
        raise NoRoom
    kinds = sorted({q.kind for q in enough})
    # Few programs have enough words in a queue of an SXM.
    rare = [kind for kind in kinds if kind in isa.SXM_KINDS]
    kind = rng.choice(rare if rare and rng.random() < 0.8 else kinds)
    queue = rng.choice([q for q in enough if q.kind == kind])
    neighbours = [f for f in layout.fetches if layout.plan.queues[f.queue].site == queue.site]
    if any(f.queue == queue.index or abs(f.time - time) < 2 * superlanes + 4 for f in neighbours):
        raise NoRoom
    direction = rng.choice((EAST, WEST))
    slices = [slice_ for slice_ in layout.upstream(direction, queue.site) if slice_.slice not in layout.scattered]
    if not slices:
        raise NoRoom
    operand, shape = any_group(layout, direction, 1)[0], Shape(count)
    source, zeros = rng.choice(slices), [np.zeros(layout.config.lanes, np.uint8)] * count
    read = time + layout.timing.ifetch_skew
    address = constant(layout, source, operand, queue.site, read, shape, zeros)
    layout.book(queue.index, Item(time, time + count, (fetched.word(operand, count),)))
    layout.fetches.append(Fetch(queue.index, time, count, source.slice, address))
    layout.log(layout.fetches.pop)


def _words_from(layout: Layout, queue: Queue, cycle: int) -> int:
    return sum(len(item.words) for item in layout.items[queue.index] if item.start >= cycle and not item.idle)


def read_words(
    layout: Layout,
    queue: Queue,
    address: int,
    step: int,
    start: int,
    shape: Shape,
    data: Sequence[NDArray[np.uint8]] = (),
) -> None:
    """Make the words that READs take defined."""
    for i, time in enumerate(shape.times(start)):
        layout.memory.read(queue, address + i * step, time, data[i] if data else None)


def write_words(layout: Layout, queue: Queue, address: int, step: int, start: int, shape: Shape) -> None:
    """Note the words that WRITEs define."""
    for i, time in enumerate(shape.times(start)):
        if layout.powered(time) < layout.config.superlanes:
            # What is left of the word in the others must be defined as well.
            layout.memory.read(queue, address + i * step, time)
        layout.memory.write(queue, address + i * step, time, time + layout.timing.write_read)


def spare_step(layout: Layout, shape: Shape) -> int:
    """A step for the address that an instruction does not have: the machine ignores it."""
    return layout.rng.randint(-3, 3) if shape.count > 1 and layout.rng.random() < 0.1 else 0


def store(layout: Layout, site: int, operands: Sequence[int], event: int, shape: Shape) -> None:
    """Write streams that enter their SR at ``site`` in cycle ``event`` somewhere downstream."""
    for operand in operands:
        queues = layout.downstream(operand >> isa.STREAM_DIRECTION_BIT, site)
        layout.rng.shuffle(queues)
        layout.first([partial(write, layout, queue, operand, site, event, shape) for queue in queues[:TRIES]])


def write(layout: Layout, queue: Queue, operand: int, site: int, event: int, shape: Shape) -> None:
    """WRITEs of one slice that take what enters its SR at ``site`` in cycle ``event``."""
    start = event + arrival(site, queue.site) - layout.timing.write_skew
    address, step = layout.memory.addresses(shape.count)
    layout.read(queue.site, operand, start + layout.timing.write_skew, shape)
    write_words(layout, queue, address, step, start, shape)
    word = isa.instruction("WRITE", write_address=address, write_stream=operand)
    layout.issue(queue, start, shape, word, step_a=spare_step(layout, shape), step_b=step)


def copy(layout: Layout, time: int, shape: Shape) -> None:
    """READ at one slice, WRITE at another."""
    direction = layout.rng.choice((EAST, WEST))
    queue = layout.rng.choice([q for q in layout.plan.queues if q.kind == "mem"])
    operand = any_group(layout, direction, 1)[0]
    address, step = layout.memory.addresses(shape.count)
    read_words(layout, queue, address, step, time, shape)
    word = isa.instruction("READ", read_address=address, read_stream=operand)
    layout.issue(queue, time, shape, word, step_a=step, step_b=spare_step(layout, shape))
    layout.drive(queue, operand, time, layout.timing.read_func, shape)
    if layout.rng.random() < 0.8:
        store(layout, queue.site, [operand], time + layout.timing.read_func, shape)


def exchange(layout: Layout, time: int, shape: Shape) -> None:
    """READ and WRITE in one word, in different banks; what is read may be written further on."""
    queue = layout.rng.choice([q for q in layout.plan.queues if q.kind == "mem"])
    bank = layout.rng.randrange(2)
    taken, given = (any_group(layout, layout.rng.choice((EAST, WEST)), 1)[0] for _ in range(2))
    if not layout.upstream(taken >> isa.STREAM_DIRECTION_BIT, queue.site):
        raise NoRoom
    read_address, step_a = layout.memory.addresses(shape.count, bank)
    write_address, step_b = layout.memory.addresses(shape.count, 1 - bank)
    source(layout, queue.site, [taken], time + layout.timing.write_skew, shape)
    read_words(layout, queue, read_address, step_a, time, shape)
    write_words(layout, queue, write_address, step_b, time, shape)
    fields = {"read_address": read_address, "read_stream": given, "write_address": write_address, "write_stream": taken}
    layout.issue(queue, time, shape, isa.instruction("READ_WRITE", **fields), step_a=step_a, step_b=step_b)
    layout.drive(queue, given, time, layout.timing.read_func, shape)
    if layout.rng.random() < 0.5:
        event = time + layout.timing.read_func
        layout.attempt(lambda: store(layout, queue.site, [given], event, shape))
