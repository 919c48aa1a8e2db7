"""Templates of GATHER and SCATTER, and the mistakes in them."""

import random

import numpy as np
from numpy.typing import NDArray

from tsp import isa
from tsp.config import LANES_PER_SUPERLANE
from tsp.floorplan import EAST, WEST, Queue
from tsp.randprog import streams
from tsp.randprog.expectation import GATHER_ADDRESS, OPERAND_ABSENT, Expectation
from tsp.randprog.layout import Layout, NoRoom, Shape
from tsp.randprog.mistakes_word import Mistake
from tsp.randprog.mxm import Plane

ONCE = Shape()


def access(layout: Layout, time: int, shape: Shape) -> None:
    """A GATHER or a SCATTER of words that the program uses anyway; what is gathered may be written further on."""
    if not layout.config.gather:
        raise NoRoom
    queue = layout.rng.choice([q for q in layout.plan.queues if q.kind == "mem"])
    named = [layout.rng.choices(layout.memory.pool, k=layout.config.superlanes) for _ in range(shape.count)]
    for at, addresses in zip(shape.times(time), named, strict=True):
        for address in addresses:
            # What a SCATTER leaves of a word must be defined as well.
            layout.memory.read(queue, address, at)
    map_ = _map(layout, queue, time, shape, named)
    if layout.rng.random() < 0.5:
        _scatter(layout, queue, map_, time, shape)
    else:
        _gather(layout, queue, map_, time, shape)


def _map(layout: Layout, queue: Queue, time: int, shape: Shape, named: list[list[int]]) -> int:
    """Bring maps that name these addresses, a superlane each; the stream they come on."""
    operand = streams.any_group(layout, layout.rng.choice((EAST, WEST)), 1)[0]
    slices = layout.upstream(operand >> isa.STREAM_DIRECTION_BIT, queue.site)
    if not slices:
        raise NoRoom
    data = [_vector(layout.rng, addresses) for addresses in named]
    read = time + layout.timing.write_skew
    streams.constant(layout, layout.rng.choice(slices), operand, queue.site, read, shape, data)
    return operand


def _vector(rng: random.Random, addresses: list[int]) -> NDArray[np.uint8]:
    """A map: an address in bytes 0 and 1 of each superlane, anything in the others."""
    words = [address.to_bytes(2, "little") + rng.randbytes(LANES_PER_SUPERLANE - 2) for address in addresses]
    return np.frombuffer(b"".join(words), np.uint8)


def _gather(layout: Layout, queue: Queue, map_: int, time: int, shape: Shape) -> None:
    operand = streams.any_group(layout, layout.rng.choice((EAST, WEST)), 1)[0]
    layout.issue(queue, time, shape, isa.instruction("GATHER", read_stream=operand, map=map_))
    layout.drive(queue, operand, time, layout.timing.read_func, shape)
    if layout.rng.random() < 0.7:
        event = time + layout.timing.read_func
        layout.attempt(lambda: streams.store(layout, queue.site, [operand], event, shape))


def _scatter(layout: Layout, queue: Queue, map_: int, time: int, shape: Shape) -> None:
    operand = streams.any_group(layout, layout.rng.choice((EAST, WEST)), 1)[0]
    if not layout.upstream(operand >> isa.STREAM_DIRECTION_BIT, queue.site):
        raise NoRoom
    streams.source(layout, queue.site, [operand], time + layout.timing.write_skew, shape)
    layout.issue(queue, time, shape, isa.instruction("SCATTER", write_stream=operand, map=map_))


def gather_address(layout: Layout, planes: list[Plane]) -> Expectation:
    """A GATHER or SCATTER one of whose superlanes names an address that the memory does not have."""
    rng, words = layout.rng, layout.config.mem_words
    if not layout.config.gather:
        raise NoRoom
    queue, time = rng.choice([q for q in layout.plan.queues if q.kind == "mem"]), rng.randrange(layout.horizon)
    addresses = rng.choices(layout.memory.pool, k=layout.config.superlanes)
    for address in addresses:
        layout.memory.read(queue, address, time)
    addresses[rng.randrange(len(addresses))] = rng.choice((words, 0xFFFF, 0x8000, words + rng.randrange(words)))
    map_ = _map(layout, queue, time, ONCE, [addresses])
    rng.choice((_scatter, _gather))(layout, queue, map_, time, ONCE)
    fault = (time + layout.timing.write_skew, queue.index, GATHER_ADDRESS)
    return Expectation("gather_address", "gather_address", fault)


def gather_absent(layout: Layout, planes: list[Plane]) -> Expectation:
    """A GATHER whose map nobody brings."""
    rng = layout.rng
    if not layout.config.gather:
        raise NoRoom
    queue, time = rng.choice([q for q in layout.plan.queues if q.kind == "mem"]), rng.randrange(layout.horizon)
    map_ = streams.any_group(layout, rng.choice((EAST, WEST)), 1)[0]
    read = time + layout.timing.write_skew
    if layout.present(queue.site, map_, read, ONCE):
        raise NoRoom
    _gather(layout, queue, map_, time, ONCE)
    return Expectation("gather_absent", "operand_absent", (read, queue.index, OPERAND_ABSENT))


INDIRECT_MISTAKES: dict[str, Mistake] = {"gather_address": gather_address, "gather_absent": gather_absent}
