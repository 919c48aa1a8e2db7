"""Collectives of a node as scheduled programs: every chip sends to all others over all its links at once.

A link's queue sends *blocks* of vectors, packet behind packet, and takes what has come in the gap behind each block; so
seven links keep seven queues busy all the time. Vectors are int8 [n, 16·S].
"""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tsp.errors import InputError
from tsp.exchange import Block, Exchange
from tsp.node import Node
from tsp.program import Symbol
from tsp.system import System

MANY = 42
"""Vectors from which on two steps of an eighth each take less time than one with all, on eight chips of groqchip."""

Int8 = NDArray[np.int8]
Values = Callable[[Symbol], NDArray[np.int64]]
"""Reads a symbol at the end of a run, such as :meth:`golden.machine.Result.values`."""


@dataclasses.dataclass(frozen=True)
class Collective:
    """A scheduled collective.

    Attributes:
        system: the node, with the programs of its chips.
        parts: chip → the symbols that hold its result, one after the other.
        count: how many vectors of them are the result; None for all.
    """

    system: System
    parts: tuple[tuple[Symbol, ...], ...]
    count: int | None = None

    def result(self, values: Sequence[Values]) -> NDArray[np.int64]:
        """int64 [chips, vectors, lanes]: what every chip has at the end."""
        of_chips = [[read(symbol) for symbol in parts] for read, parts in zip(values, self.parts, strict=True)]
        return np.stack([np.concatenate(parts)[: self.count] for parts in of_chips])


def broadcast(node: Node, root: int, vectors: ArrayLike) -> Collective:
    """int8 [n, lanes] of chip ``root`` to every chip."""
    if root not in range(node.chips):
        raise InputError(f"broadcast: root is {root}, must be the number of a chip, 0…{node.chips - 1}")
    exchange, data = Exchange(node), _checked(vectors, node, 2)
    mine = exchange.copies(root, "own", data)
    blocks = exchange.blocks(len(data), exchange.first_send)
    for block in blocks:
        exchange.send_shared(block, root, mine, block.first)
    pairs = [(chip, node.port(chip, root)) for chip in range(node.chips) if chip != root]
    received = exchange.gather(blocks, pairs, len(data))
    own = next(iter(mine.values()))
    return _done(exchange, [[own if c == root else received[c, node.port(c, root)]] for c, _ in exchange])


def all_gather(node: Node, vectors: ArrayLike) -> Collective:
    """int8 [chips, n, lanes], the vectors of each chip, to every chip."""
    exchange, data = Exchange(node), _checked(vectors, node, 3)
    mine = [exchange.copies(chip, "own", data[chip]) for chip, _ in exchange]
    blocks = exchange.blocks(data.shape[1], exchange.first_send)
    for block in blocks:
        for chip, _ in exchange:
            exchange.send_shared(block, chip, mine[chip], block.first)
    received = exchange.gather(blocks, exchange.every, data.shape[1])
    own = [[next(iter(copies.values()))] for copies in mine]
    return _done(exchange, _in_order(node, own, received))


def reduce_scatter(node: Node, vectors: ArrayLike) -> Collective:
    """int8 [chips, chips · n, lanes] added up over the chips: chip i has part i, of n vectors. Sums are exact, and then
    saturated."""
    exchange, data = Exchange(node), _checked(vectors, node, 3)
    if data.shape[1] % node.chips:
        raise InputError(
            f"reduce_scatter: {data.shape[1]} vectors for {node.chips} chips; their number must be a multiple of"
            f" {node.chips}, such as {data.shape[1] // node.chips * node.chips + node.chips}"
        )
    blocks, own = _scatter(exchange, data)
    sums = exchange.sums(blocks)
    exchange.add_up(blocks, own, sums)
    return _done(exchange, [[next(iter(copies.values())) for copies in by_block] for by_block in sums])


def all_reduce(node: Node, vectors: ArrayLike) -> Collective:
    """int8 [chips, n, lanes] added up over the chips, to every chip. Sums are exact, and then saturated.

    A few vectors go from every chip to every other. Of more each chip adds up a part and sends the sums to the others,
    as reduce_scatter and all_gather do, without a break between them. Parts are equally long; zeros make up for what
    is missing.
    """
    data = _checked(vectors, node, 3)
    count = data.shape[1]
    if count < MANY:
        return _at_once(node, data)
    padded = np.pad(data, ((0, 0), (0, -count % node.chips), (0, 0)))
    return dataclasses.replace(_in_two_steps(node, padded), count=count)


def _at_once(node: Node, data: Int8) -> Collective:
    exchange = Exchange(node)
    blocks = exchange.blocks(data.shape[1], exchange.first_send)
    mine = [exchange.copies(chip, "own", data[chip]) for chip, _ in exchange]
    for block in blocks:
        for chip, _ in exchange:
            exchange.send_shared(block, chip, mine[chip], block.first)
    own = [builder.place("mine", exchange.own, data[chip]) for chip, builder in exchange]
    sums = exchange.sums(blocks)
    exchange.add_up(blocks, own, sums)
    return _done(exchange, [[copies["e"] for copies in by_block] for by_block in sums])


def _in_two_steps(node: Node, data: Int8) -> Collective:
    exchange, part = Exchange(node), data.shape[1] // node.chips
    blocks, own = _scatter(exchange, data)
    start, slices = exchange.second(blocks)
    sums, second = exchange.sums(blocks, slices), exchange.blocks(part, start, blocks[-1])
    for block in second:
        for chip, _ in exchange:
            exchange.send_shared(block, chip, sums[chip][block.number], 0)
    exchange.add_up(blocks, own, sums)
    received = exchange.gather(second, exchange.every, part)
    return _done(exchange, _in_order(node, [[copies["e"] for copies in by_block] for by_block in sums], received))


def _scatter(exchange: Exchange, data: Int8) -> tuple[list[Block], list[Symbol]]:
    """SEND part i of every chip's vectors to chip i; the blocks, and each chip's own part."""
    node, part = exchange.node, data.shape[1] // exchange.node.chips
    sources = {}
    for chip, port in exchange.every:
        h, number = node.place(port)
        peer = node.peer(chip, port)
        vectors = data[chip, peer * part : (peer + 1) * part]
        sources[chip, port] = exchange.builders[chip].place(f"to_{port}", exchange.near(h, number), vectors)
    own = [b.place("mine", exchange.own, data[chip, chip * part : (chip + 1) * part]) for chip, b in exchange]
    blocks = exchange.blocks(part, exchange.first_send)
    for block in blocks:
        exchange.send(block, sources, block.first)
    return blocks, own


def _in_order(
    node: Node, own: Sequence[Sequence[Symbol]], received: dict[tuple[int, int], Symbol]
) -> list[list[Symbol]]:
    """For each chip the symbols of all chips, by their numbers."""

    def part(chip: int, peer: int) -> Sequence[Symbol]:
        return own[chip] if peer == chip else [received[chip, node.port(chip, peer)]]

    chips = range(node.chips)
    return [[symbol for peer in chips for symbol in part(chip, peer)] for chip in chips]


def _done(exchange: Exchange, parts: Sequence[Sequence[Symbol]]) -> Collective:
    return Collective(exchange.node.system(exchange.programs()), tuple(tuple(of_chip) for of_chip in parts))


def _checked(vectors: ArrayLike, node: Node, dimensions: int) -> Int8:
    """The vectors as int8 [chips, n, lanes] or [n, lanes]; InputError for another shape."""
    found = np.asarray(vectors)
    wanted = "chips, n, lanes" if dimensions == 3 else "n, lanes"
    right = found.ndim == dimensions and found.shape[-1] == node.config.lanes and 0 not in found.shape
    if not right or found.dtype != np.int8 or (dimensions == 3 and len(found) != node.chips):
        raise InputError(
            f"vectors are {found.dtype} {list(found.shape)}, must be int8 [{wanted}] with {node.config.lanes} lanes"
            + (f" and {node.chips} chips" if dimensions == 3 else "")
        )
    return found
