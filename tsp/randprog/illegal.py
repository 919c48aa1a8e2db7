"""Random illegal programs: a small legal one with a single mistake of a named class."""

import random
from functools import partial

from tsp.config import ChipConfig
from tsp.program import Program
from tsp.randprog import control, mxm, streams, vxm
from tsp.randprog.expectation import Expectation
from tsp.randprog.indirect import INDIRECT_MISTAKES
from tsp.randprog.layout import Layout, Shape
from tsp.randprog.mistakes_flow import FLOW_MISTAKES
from tsp.randprog.mistakes_sxm import SXM_MISTAKES
from tsp.randprog.mistakes_word import WORD_MISTAKES
from tsp.timing import timing

MISTAKES = WORD_MISTAKES | FLOW_MISTAKES | SXM_MISTAKES | INDIRECT_MISTAKES
"""Name of a class of mistakes → the function that books one; it raises NoRoom when it finds no place for it."""

TRIES = 200


def illegal(seed: int, config: ChipConfig) -> tuple[Program, Expectation]:
    """A program with one mistake, and what must come of it. Seeds take the classes by turns.

    A class that a configuration cannot have (MUL without multipliers, say) passes its turn to the next. Equal arguments
    give equal programs.
    """
    rng = random.Random(f"illegal {seed}")
    names = list(MISTAKES)
    for turn in range(len(names)):
        name = names[(seed + turn) % len(names)]
        layout, planes = _background(config, rng)
        found: list[Expectation] = []
        for _ in range(TRIES):
            if layout.attempt(partial(_book, name, layout, planes, found)):
                return layout.program(), found[-1]
    raise AssertionError(f"config {config.name}, seed {seed}: no mistake found a place")


def _book(name: str, layout: Layout, planes: list[mxm.Plane], found: list[Expectation]) -> None:
    found.append(MISTAKES[name](layout, planes))


def _background(config: ChipConfig, rng: random.Random) -> tuple[Layout, list[mxm.Plane]]:
    """A legal program with room left in it."""
    table = timing(config)
    layout = Layout(config, rng, 100 + table.abc_acc + table.barrier)
    control.phases(layout, deskews=0)
    planes = mxm.planes(layout)
    for plane in rng.sample(planes, rng.randint(0, min(1, len(planes)))):
        for _ in range(10):
            time = layout.rng.randint(len(layout.plan.sites), layout.horizon // 2)
            if layout.attempt(partial(plane.load_all, time, 1)):
                layout.attempt(partial(plane.install, plane.loaded, Shape()))
                break
    for _ in range(25):
        time, shape = rng.randrange(layout.horizon), Shape(rng.choice((1, 1, 2, 3)), rng.choice((1, 1, 2)))
        choices = [partial(vxm.tree, layout, time, shape), partial(streams.copy, layout, time, shape)]
        choices += [partial(streams.exchange, layout, time, shape)]
        choices += [partial(plane.multiply, time, shape) for plane in planes]
        layout.attempt(rng.choice(choices))
    return layout, planes
