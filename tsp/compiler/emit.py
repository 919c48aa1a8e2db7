"""Stage 4: bursts and homes become a program."""

from collections.abc import Sequence

import numpy as np

from tsp.builder import Builder
from tsp.compiler.place import Places, words_of
from tsp.compiler.schedule import Burst
from tsp.config import ChipConfig
from tsp.program import Program


def emit(bursts: Sequence[Burst], places: Places, config: ChipConfig) -> Program:
    """The program, with zeros for what is given for each run. InputError if a queue is too long."""
    builder = Builder(config)
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
    for burst in bursts:
        _call(builder, burst)
    return builder.build()


def _call(builder: Builder, burst: Burst) -> None:
    values = dict(burst.arguments)
    if burst.method == "alu":
        builder.alu(
            burst.queue, values["mnemonic"], *values["operands"], to=values["to"], at=burst.at, count=burst.count
        )
    elif burst.method == "read":
        builder.read(burst.queue, at=burst.at, count=burst.count, **values)
    elif burst.method == "write":
        builder.write(burst.queue, at=burst.at, count=burst.count, **values)
    else:
        plane = burst.queue.rpartition(".")[0]
        if burst.method == "iw":
            builder.iw(plane, burst.at)
        else:
            getattr(builder, burst.method)(plane, at=burst.at, count=burst.count, **values)
