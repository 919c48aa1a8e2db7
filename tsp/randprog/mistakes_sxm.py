"""Mistakes of the SXM: a map that is no permutation, an operand that nobody brings."""

import numpy as np

from tsp import isa
from tsp.floorplan import EAST, WEST
from tsp.randprog import streams
from tsp.randprog.expectation import OPERAND_ABSENT, PERMUTE_MAP, Expectation
from tsp.randprog.layout import Item, Layout, NoRoom, Shape
from tsp.randprog.mistakes_word import Mistake
from tsp.randprog.mxm import Plane
from tsp.randprog.sxm import constants

ONCE = Shape()


def permute_map(layout: Layout, planes: list[Plane]) -> Expectation:
    """PERMUTE with a map that names a lane twice, or one beyond the vector."""
    rng, lanes = layout.rng, layout.config.lanes
    queues = [queue for queue in layout.plan.queues if queue.kind == "sxm_permute"]
    if not queues:
        raise NoRoom
    queue, time = rng.choice(queues), rng.randrange(layout.horizon)
    map_ = rng.sample(range(lanes), lanes)
    lane = rng.randrange(lanes)
    map_[lane] = rng.choice((map_[lane - 1], lanes, 0x8000 | map_[lane]))
    named = constants(layout, queue, time, ONCE, [np.asarray(map_, np.int64)])
    source = streams.any_group(layout, EAST if queue.hemisphere == "e" else WEST, 1)[0]
    streams.source(layout, queue.site, [source], time + layout.timing.sxm_skew, ONCE)
    target = streams.any_group(layout, rng.choice((EAST, WEST)), 1)[0]
    word = isa.instruction("PERMUTE", source=source, map=named, result=target)
    layout.issue(queue, time, ONCE, word)
    layout.drive(queue, target, time, layout.timing.sxm_across_func, ONCE)
    return Expectation("permute_map", "permute_map", (time + layout.timing.sxm_across_func, queue.index, PERMUTE_MAP))


def sxm_absent(layout: Layout, planes: list[Plane]) -> Expectation:
    """TRANSPOSE of a group of which at least one stream is empty."""
    rng = layout.rng
    queues = [queue for queue in layout.plan.queues if queue.kind == "sxm_transpose"]
    if not queues:
        raise NoRoom
    queue, time = rng.choice(queues), rng.randrange(layout.horizon)
    group = streams.any_group(layout, rng.choice((EAST, WEST)), isa.GROUP16)
    if all(layout.present(queue.site, operand, time + layout.timing.sxm_skew, ONCE) for operand in group):
        raise NoRoom
    target = streams.any_group(layout, rng.choice((EAST, WEST)), isa.GROUP16)
    for operand in target:
        layout.drive(queue, operand, time, layout.timing.sxm_func, ONCE)
    word = isa.instruction("TRANSPOSE", source=group[0], result=target[0])
    layout.book(queue.index, Item(time, time + 1, (word.encode(),)))
    fault = (time + layout.timing.sxm_skew, queue.index, OPERAND_ABSENT)
    return Expectation("sxm_absent", "operand_absent", fault)


SXM_MISTAKES: dict[str, Mistake] = {"permute_map": permute_map, "sxm_absent": sxm_absent}
