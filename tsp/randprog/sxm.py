"""Templates of the SXM: operands brought to it, bytes moved, results written."""

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from tsp import isa
from tsp.config import LANES_PER_SUPERLANE
from tsp.floorplan import EAST, WEST, Queue
from tsp.isa import Type, Way
from tsp.randprog import streams, values
from tsp.randprog.layout import Layout, NoRoom, Shape
from tsp.timing import arrival

Fields = dict[str, int]


def move(layout: Layout, time: int, shape: Shape) -> None:
    """Some instruction of some SXM, and its results written somewhere if there is room."""
    rng = layout.rng
    kind = rng.choice(isa.SXM_KINDS)
    queue = rng.choice([q for q in layout.plan.queues if q.kind == kind])
    taken = None
    if rng.random() < 0.3 and kind not in ("sxm_transpose", "sxm_rotate"):
        time, taken = _sum_passing(layout, queue)
        shape = Shape()
    fields, results = _OPERATIONS[kind](layout, queue, taken, time, shape)
    target = streams.any_group(layout, rng.choice((EAST, WEST)), isa.GROUP16 if results > 1 else 1)[:results]
    mnemonic = next(op.mnemonic for op in isa.OPERATIONS if op.queues == (kind,))
    word = isa.instruction(mnemonic, result=target[0], **fields)
    layout.issue(queue, time, shape, word)
    latency = layout.timing.sxm_result(kind)
    for operand in target:
        layout.drive(queue, operand, time, latency, shape)
    wanted = rng.sample(target, min(len(target), rng.choice((1, 2, 4))))
    for operand in wanted:
        layout.attempt(partial(streams.store, layout, queue.site, [operand], time + latency, shape))


def _sum_passing(layout: Layout, queue: Queue) -> tuple[int, int]:
    """When an instruction must be dispatched to take a sum that an MXM has driven, and the stream it is on."""
    driven = [(q, t, s) for q, t, s in layout.drives if q.kind == "mxm_accumulate" and q.hemisphere == queue.hemisphere]
    if not driven:
        raise NoRoom
    source, at, operand = layout.rng.choice(driven)
    table = layout.timing
    return at + table.acc_func + arrival(source.site, queue.site) - table.sxm_skew, operand


def _source(layout: Layout, queue: Queue, taken: int | None, time: int, shape: Shape, group: int, used: int) -> int:
    """Read a group's first streams from the MEM side, or the stream ``taken``; the first one's operand."""
    if taken is not None:
        layout.read(queue.site, taken, time + layout.timing.sxm_skew, shape)
        return taken
    operands = streams.any_group(layout, EAST if queue.hemisphere == "e" else WEST, group)[:used]
    streams.source(layout, queue.site, operands, time + layout.timing.sxm_skew, shape)
    return operands[0]


def constants(layout: Layout, queue: Queue, time: int, shape: Shape, vectors: list[NDArray[np.int64]]) -> int:
    """Bring just these 16-bit vectors to a queue's site, from words kept for them; the first stream they come on."""
    direction = EAST if queue.hemisphere == "e" else WEST
    operands = streams.any_group(layout, direction, Type.INT16.planes)
    slices = layout.rng.sample(layout.upstream(direction, queue.site), len(operands))
    read = time + layout.timing.sxm_skew
    for plane, (operand, source) in enumerate(zip(operands, slices, strict=True)):
        streams.constant(layout, source, operand, queue.site, read, shape, values.plane(vectors, plane))
    return operands[0]


def _map(
    layout: Layout, queue: Queue, time: int, shape: Shape, type_: Type, vectors: list[NDArray[np.int64]] | None,
    reuse: float = 0,
) -> int:  # fmt: skip
    inward = EAST if queue.hemisphere == "e" else WEST
    operands = streams.any_group(layout, inward, type_.planes)
    streams.source(layout, queue.site, operands, time + layout.timing.sxm_skew, shape, type_, reuse, vectors)
    return operands[0]


def _permute(layout: Layout, queue: Queue, taken: int | None, time: int, shape: Shape) -> tuple[Fields, int]:
    on = LANES_PER_SUPERLANE * layout.powered(time)
    maps = [np.asarray(layout.rng.sample(range(on), on), np.int64) for _ in range(shape.count)]
    if on < layout.config.lanes:
        # The map says anything of lanes that are not powered.
        maps = [np.append(map_, _random(layout, layout.config.lanes)[on:]) for map_ in maps]
    map_ = constants(layout, queue, time, shape, maps)
    return {"source": _source(layout, queue, taken, time, shape, 1, 1), "map": map_}, 1


def _distribute(layout: Layout, queue: Queue, taken: int | None, time: int, shape: Shape) -> tuple[Fields, int]:
    most = layout.rng.choice((LANES_PER_SUPERLANE - 1, LANES_PER_SUPERLANE + 4, 255))
    maps = [_random(layout, most) for _ in range(shape.count)]
    map_ = _map(layout, queue, time, shape, Type.INT8, maps, reuse=0.2)
    return {"source": _source(layout, queue, taken, time, shape, 1, 1), "map": map_}, 1


def _transpose(layout: Layout, queue: Queue, taken: int | None, time: int, shape: Shape) -> tuple[Fields, int]:
    source = _source(layout, queue, taken, time, shape, isa.GROUP16, isa.GROUP16)
    return {"source": source}, isa.GROUP16


def _shift(layout: Layout, queue: Queue, taken: int | None, time: int, shape: Shape) -> tuple[Fields, int]:
    rng, lanes = layout.rng, layout.config.lanes
    n = min(rng.choice((0, 1, 15, 16, 17, lanes - 1, lanes, rng.randint(0, lanes))), lanes)
    fields = {"n": n, "way": rng.choice((Way.UP, Way.DOWN)), "selects": rng.randrange(2)}
    if fields["selects"]:
        selections = [_random(layout, 1) * _random(layout, 255) for _ in range(shape.count)]
        fields["select"] = _map(layout, queue, time, shape, Type.INT8, selections, reuse=0.3)
    return fields | {"source": _source(layout, queue, taken, time, shape, 1, 1)}, 1


def _rotate(layout: Layout, queue: Queue, taken: int | None, time: int, shape: Shape) -> tuple[Fields, int]:
    n = layout.rng.randint(*isa.ROTATIONS)
    return {"n": n, "source": _source(layout, queue, taken, time, shape, 4, n)}, n * n


def _random(layout: Layout, most: int) -> NDArray[np.int64]:
    return np.asarray([layout.rng.randint(0, most) for _ in range(layout.config.lanes)], np.int64)


_OPERATIONS: dict[str, Callable[[Layout, Queue, int | None, int, Shape], tuple[Fields, int]]] = {
    "sxm_permute": _permute,
    "sxm_distribute": _distribute,
    "sxm_transpose": _transpose,
    "sxm_shift": _shift,
    "sxm_rotate": _rotate,
}
