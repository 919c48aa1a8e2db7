"""Random legal programs: templates are thrown at a layout until the program is large and dense enough."""

import random
from collections.abc import Callable
from functools import partial

from tsp.config import ChipConfig
from tsp.program import Program
from tsp.randprog import control, indirect, mxm, streams, sxm, vxm
from tsp.randprog.corners import corners
from tsp.randprog.density import MINIMUM, density
from tsp.randprog.layout import Layout, Shape
from tsp.timing import timing

ROUNDS = 4000
"""Templates tried before a horizon is given up."""


def legal(seed: int, config: ChipConfig) -> Program:
    """A random program that the checker accepts and whose every result reaches an event.

    It has at least the densities of :data:`tsp.randprog.density.MINIMUM`. Equal arguments give equal programs.
    """
    rng = random.Random(f"legal {seed}")
    table = timing(config)
    for stretch in range(20):
        deskews = rng.choice((0, 0, 0, 0, 1, 1, 2))
        horizon = rng.randint(60, 140) + table.abc_acc + table.barrier + 40 * stretch
        horizon += deskews * (control.quiet(config) + 2 * table.barrier)
        layout = Layout(config, rng, horizon, control.SLACK if control.drifts(seed) else 0)
        program = _fill(layout, deskews, corners(seed, config))
        if program is not None:
            return program
    raise AssertionError(f"config {config.name}, seed {seed}: no legal program of the wanted density found")


def _fill(layout: Layout, deskews: int, wanted: list[vxm.Wanted]) -> Program | None:
    """Fill a layout until it is dense enough; None if it does not get there."""
    control.phases(layout, deskews)
    planes = mxm.planes(layout)
    # Weights are many words: some programs leave some planes alone.
    planes = layout.rng.sample(planes, layout.rng.randint(min(1, len(planes)), len(planes)))
    for plane in planes:
        _start(layout, plane)
    for corner in wanted:
        _corner(layout, corner)
    for round_ in range(ROUNDS):
        layout.attempt(_template(layout, planes))
        if round_ % 32 == 0 and (program := _dense(layout)):
            return program
    return None


def _start(layout: Layout, plane: mxm.Plane) -> None:
    """Weights for a plane, early."""
    for attempt in range(60):
        # As early as the first values can be there, and later with every attempt.
        time = len(layout.plan.sites) + layout.rng.randint(0, layout.horizon * (attempt + 10) // 120)
        if layout.attempt(partial(plane.load_all, time, layout.rng.choice((1, 1, 2, 3)))):
            break
    for _ in range(20):
        time = min(plane.loaded, layout.horizon) + layout.rng.choice((0, 0, 1, 5))
        if layout.attempt(partial(plane.install, time, Shape())):
            break
    for _ in range(layout.rng.choice((0, 0, 20))):
        time = layout.rng.randrange(layout.horizon)
        if layout.attempt(partial(plane.load_all, time, layout.rng.choice((1, 1, 2, 3)), install=True)):
            break


def _corner(layout: Layout, wanted: vxm.Wanted) -> None:
    for _ in range(40):
        time, shape = layout.rng.randrange(layout.horizon), Shape(layout.rng.choice((1, 2, 2, 3)))
        if layout.attempt(partial(vxm.tree, layout, time, shape, wanted)):
            break


def _template(layout: Layout, planes: list[mxm.Plane]) -> Callable[[], object]:
    rng = layout.rng
    shape = Shape(rng.choice((1, 1, 2, 3, 4, 6, 8, 12)), rng.choice((1, 1, 1, 2, 3, 7)))
    time = rng.randrange(layout.horizon)
    choices: list[tuple[float, Callable[[], object]]] = [
        (4, partial(vxm.tree, layout, time, shape)),
        (1, partial(streams.copy, layout, time, shape)),
        (2, partial(streams.exchange, layout, time, shape)),
    ]
    if layout.config.ifetch:
        choices.append((1.5, partial(streams.fetch, layout, rng.randrange(2 * layout.horizon // 3))))
    if layout.config.gather:
        choices.append((1.5, partial(indirect.access, layout, time, shape)))
    if layout.config.sxm:
        choices.append((2.5, partial(sxm.move, layout, time, shape)))
    for plane in planes:
        # One plane's share of the attempts does not depend on how many planes there are.
        share = 1 / len(planes)
        choices += [
            (2 * share, partial(plane.multiply, time, shape)),
            (1 * share, partial(plane.matmul, time, shape)),
            (0.3 * share, partial(plane.load_some, time, shape)),
            (0.2 * share, partial(plane.install, time, shape)),
            (0.6 * share, partial(plane.overlap, time, shape)),
        ]
        if plane.partner in planes:
            choices += [
                (2 * share, partial(plane.multiply, time, shape, fp16=True)),
                (1 * share, partial(plane.matmul, time, shape, fp16=True)),
            ]
    weights = [weight for weight, _ in choices]
    return rng.choices([template for _, template in choices], weights)[0]


def _dense(layout: Layout) -> Program | None:
    """The program laid out so far, if it is large and dense enough."""
    multiplied = [bool(layout.items[q.index]) for q in layout.plan.queues if q.kind == "mxm_activations"]
    if sum(map(len, layout.items.values())) < MINIMUM.instructions or (multiplied and not any(multiplied)):
        return None
    program = layout.program()
    return program if density(program).reaches(MINIMUM) else None
