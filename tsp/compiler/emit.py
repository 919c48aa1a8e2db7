"""Stage 4: bursts and homes become a program, in which every word names the pass it is of."""

import functools
from collections.abc import Sequence

import numpy as np

from tsp.builder import Builder
from tsp.compiler.bursts import Burst
from tsp.compiler.passes import Pass
from tsp.compiler.place import Places, words_of
from tsp.config import ChipConfig
from tsp.program import Program, Source


class _Emitter(Builder):
    """A builder whose lines are the numbers of passes, from 1 on."""

    number = 0

    def _line(self) -> int:
        return self.number


def emit(bursts: Sequence[Burst], places: Places, passes: Sequence[Pass], name: str, config: ChipConfig) -> Program:
    """The program, with zeros for what is given for each run. ``name``: of the network, for messages. InputError if a
    queue is too long."""
    builder = _Emitter(config)
    _fill(builder, places, config)
    for burst in bursts:
        builder.number = burst.number
        _call(builder, burst)
    program = builder.build()
    program.source = Source(name, program.source.lines, {n: str(pass_) for n, pass_ in enumerate(passes, 1)})
    return program


def _fill(builder: Builder, places: Places, config: ChipConfig) -> None:
    """Constants, weights, and room for the rest."""
    for home in places.blocks.values():
        block, type_ = home.block, home.block.type.name.lower()
        if block.values is not None:
            builder.place(block.name, home.slices[0], block.values, type_, home.address)
        elif block.given:
            zeros = np.zeros((block.rows, config.lanes), np.int8)
            builder.place(block.name, home.slices[0], zeros, type_, home.address)
        else:
            builder.space(block.name, home.slices[0], block.rows, type_, home.address)
        if block.fill is not None:
            fill = np.full((1, config.lanes), block.fill)
            builder.place(f"{block.name}.fill", home.slices[0], fill, type_, home.address + block.rows)
    for weights in places.tiles.values():
        for j, (name, words) in enumerate(zip(weights.slices, words_of(weights, config.lanes), strict=True)):
            builder.place(f"{weights.tile.name}.{j}", name, words, "int8", weights.address)


def _call(builder: Builder, burst: Burst) -> None:
    values = dict(burst.arguments)
    call = functools.partial(getattr(builder, burst.method), at=burst.at)
    if burst.method == "alu":
        call(burst.queue, values["mnemonic"], *values["operands"], to=values["to"], count=burst.count)
    elif burst.method in ("read", "write"):
        call(burst.queue, count=burst.count, **values)
    elif burst.method == "iw":
        call(burst.queue.rpartition(".")[0])
    else:
        call(burst.queue.rpartition(".")[0], count=burst.count, **values)
