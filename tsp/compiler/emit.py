"""Stage 5: bursts and homes become a program, in which every word names the pass it is of."""

import functools
from collections.abc import Collection, Sequence

import numpy as np

from tsp.builder import Builder
from tsp.compiler.bursts import Burst
from tsp.compiler.fetch import Fetched
from tsp.compiler.homes import Part, Places
from tsp.compiler.passes import Copy, Pass
from tsp.compiler.place import words_of
from tsp.compiler.stationary import unwritten
from tsp.config import ChipConfig
from tsp.program import Program, Source


class _Emitter(Builder):
    """A builder whose lines are the numbers of passes, from 1 on."""

    number = 0

    def _line(self) -> int:
        return self.number


def emit(fetched: Fetched, places: Places, passes: Sequence[Pass], name: str, config: ChipConfig) -> Program:
    """The program, with zeros for what is given for each run. ``name``: of the network, for messages."""
    builder = _Emitter(config)
    _fill(builder, places, config)
    for burst in fetched.bursts:
        builder.number = burst.number
        _call(builder, burst)
    for queue, resident in fetched.resident.items():
        blocks = [block for block in fetched.blocks if block.queue == queue]
        builder.keep(queue, resident, [(block.slice, block.address) for block in blocks], blocks[0].vectors)
    program = builder.build()
    lines: list[object] = [*passes, *(["words of the program"] if fetched.blocks else [])]
    program.source = Source(name, program.source.lines, {n: str(line) for n, line in enumerate(lines, 1)})
    return program


def _fill(builder: Builder, places: Places, config: ChipConfig) -> None:
    """Constants, weights, and room for the rest. What a copy is called: the first as the block or tile, others with a
    number behind."""
    for part in (part for home in places.blocks.values() for part in home.parts):
        for number, copy in enumerate(part.copies):
            _fill_part(builder, part, copy, _numbered(part.name, number), places.lent)
    for weights in places.tiles.values():
        words = words_of(weights.matrix, config.lanes)
        for number, copy in enumerate(weights.copies):
            for j, name in enumerate(copy.slices):
                builder.place(f"{_numbered(weights.name, number)}.{j}", name, words[j], "int8", copy.address)


def _numbered(name: str, number: int) -> str:
    return f"{name}.copy{number}" if number else name


def _fill_part(builder: Builder, part: Part, copy: Copy, name: str, lent: Collection[str]) -> None:
    block, type_, config = part.block, part.block.type.name.lower(), builder.config
    if block.stationary:
        for slice_, address, count in unwritten(block, copy):
            nothing = np.zeros((count, config.lanes), np.int8)
            builder.place(f"{name}.{slice_}.{address}", slice_, nothing, "int8", address)
    elif block.values is not None:
        builder.place(name, copy.slices[0], block.values, type_, copy.address)
    elif block.given:
        builder.place(name, copy.slices[0], np.zeros((block.rows, config.lanes), np.int8), type_, copy.address)
    elif block.name not in lent:
        builder.space(name, copy.slices[0], part.rows, type_, copy.address)
    if block.fills:
        fills = np.repeat(np.array(block.fills)[:, None], config.lanes, axis=1)
        builder.place(f"{name}.fill", copy.slices[0], fills, type_, copy.address + part.rows)


def _call(builder: Builder, burst: Burst) -> None:
    values = dict(burst.arguments)
    call = functools.partial(getattr(builder, burst.method), at=burst.at)
    if burst.method == "alu":
        call(burst.queue, values["mnemonic"], *values["operands"], to=values["to"], count=burst.count)
    elif burst.method in ("read", "write", "gather"):
        call(burst.queue, count=burst.count, **values)
    elif burst.method == "fetch_words":
        call(burst.queue, **values)
    elif burst.method == "iw":
        call(burst.queue.rpartition(".")[0])
    else:
        call(burst.queue.rpartition(".")[0], count=burst.count, **values)
