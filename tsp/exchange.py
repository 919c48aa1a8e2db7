"""When the chips of a node send and receive: blocks of vectors, and what is done with those that come."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tsp.builder import Builder
from tsp.errors import InputError
from tsp.floorplan import C2C_QUEUES
from tsp.flow.channels import ready_after
from tsp.flow.links import IDLE_EVERY, next_send
from tsp.node import Node
from tsp.program import Program, Symbol
from tsp.timing import timing
from tsp.travel import travel

BLOCK = 15
"""Most vectors of a block. A receive buffer has room for two; the gap behind a block has room for taking one."""
OUT, SHARED, OWN, SUM = 4, 8, 9, 10
"""First streams: of what goes to one link, and to all; of the chip's own vectors, and of sums. What comes over link k
of a hemisphere is on stream k."""

Pair = tuple[int, int]
"""(chip, port)."""


@dataclasses.dataclass(frozen=True)
class Block:
    """``count`` vectors from number ``first`` on; the first of them is sent in cycle ``send``. With the last of them so
    many have followed each other ``unbroken``, without an idle word between."""

    number: int
    first: int
    count: int
    send: int
    unbroken: int


class Exchange:
    """The programs of a node's chips while they are written. All SENDs are placed before the RECEIVEs, which go where
    their queues are free."""

    def __init__(self, node: Node):
        self.node, self.config = node, node.config
        self.builders = [Builder(node.config) for _ in range(node.chips)]
        self.slot = next_send(node.config.superlanes + 1, node.config.superlanes)
        self._system = node.system()
        self._table = timing(node.config)
        self.hemispheres = sorted({node.place(port)[0] for port in range(node.ports)})
        self.every: list[Pair] = [(chip, port) for chip in range(node.chips) for port in range(node.ports)]
        # From the slices next to the links.
        self.first_send = max(travel(self.config, self.near(h, 0), f"c2c.{h}0") for h in self.hemispheres)

    def near(self, h: str, number: int) -> str:
        """The slice of a hemisphere that is so many from the links: number k holds what goes to link k, number
        4 + k what comes from it, number 8 of the west the chip's own vectors. What is farther is for sums."""
        return f"mem.{h}{self.config.mem_slices - 1 - number}"

    @property
    def own(self) -> str:
        """The slice of a chip's own vectors."""
        return self.near("w", 2 * C2C_QUEUES)

    def queue(self, port: int) -> str:
        """That of a port."""
        h, number = self.node.place(port)
        return f"c2c.{h}{number}"

    def blocks(self, count: int, start: int, behind: Block | None = None) -> list[Block]:
        """Blocks of ``count`` vectors, as equal as can be, the first sent in cycle ``start``, but behind another block
        if there is one, and the others as soon as can be."""
        found: list[Block] = []
        unbroken = (IDLE_EVERY - 1) // self.slot
        # Idle words only go between blocks; so many blocks with none between are to be as long as can be.
        total = -(-count // (unbroken // -(-unbroken // BLOCK)))
        first, last = 0, behind
        for number in range(total):
            size = count // total + (number < count % total)
            row = size + (last.unbroken if last else 0)
            if last:
                start = max(start, self._behind(last, idle=row > unbroken))
            last = Block(number, first, size, start, row if row <= unbroken else size)
            found.append(last)
            first += size
        return found

    def _behind(self, block: Block, idle: bool) -> int:
        """When the first vector behind a block can be sent. RECEIVEs of a block fit between, and if it must be an idle
        word."""
        gap = next_send(max(self.slot + idle, BLOCK + 1), self.config.superlanes)
        return block.send + (block.count - 1) * self.slot + gap

    def _span(self, size: int) -> int:
        """Most cycles from a block of so many vectors to the next."""
        return self._behind(Block(0, 0, size, 0, 0), idle=True)

    def copies(self, chip: int, name: str, vectors: NDArray[np.int8]) -> dict[str, Symbol]:
        """Vectors of a chip, beside the links of both hemispheres."""
        return {h: self.builders[chip].place(f"{name}_{h}", self.near(h, 0), vectors) for h in self.hemispheres}

    def send(self, block: Block, sources: Mapping[Pair, Symbol], first: int) -> None:
        """SEND a block on (chip, port)s, each from a symbol of its own, from vector ``first`` of it on."""
        for (chip, port), symbol in sources.items():
            number = self.node.place(port)[1]
            self._send(chip, [port], block, symbol, OUT + number, first)

    def send_shared(self, block: Block, chip: int, sources: Mapping[str, Symbol], first: int) -> None:
        """SEND a block of a chip on all its ports, from one symbol in each hemisphere."""
        for h, symbol in sources.items():
            ports = [port for port in range(self.node.ports) if self.node.place(port)[0] == h]
            self._send(chip, ports, block, symbol, SHARED, first)

    def _send(self, chip: int, ports: Sequence[int], block: Block, symbol: Symbol, index: int, first: int) -> None:
        builder = self.builders[chip]
        at = {"at": block.send, "count": block.count, "every": self.slot}
        stream = builder.fetch(symbol, index, self.queue(ports[0]), first=first, **at)
        for port in ports:
            builder.send(self.queue(port), self.node.place(port)[1], stream, **at)

    def ready(self, block: Block) -> int:
        """The first cycle in which a RECEIVE of a whole block, a vector a cycle, may begin."""
        last, margin = block.count - 1, max(self._system.margin(way, 0) for way in self._system.channels)
        sure = block.send + last * self.slot + ready_after(self._system.channels[0], self.config) + margin
        cycle = sure
        # Clocks drift from the release of the last DESKEW on, one barrier before cycle 0.
        while (later := sure + self._system.drift(cycle + last + self._table.barrier)) > cycle:
            cycle = later
        return cycle - last

    def receive(self, block: Block, pairs: Sequence[Pair]) -> tuple[int, dict[Pair, str]]:
        """RECEIVE a block on (chip, port)s, all in one cycle, the first in which the queues are free; that cycle, and
        the stream of each."""
        at, before = self.ready(block), -1
        while at != before:
            before = at
            for chip, port in pairs:
                at = self.builders[chip].free(self.queue(port), at, block.count)
        streams = {}
        for chip, port in pairs:
            h, number = self.node.place(port)
            streams[chip, port] = f"{'we'[h == 'w']}{number}"
            self.builders[chip].receive(self.queue(port), number, streams[chip, port], at, block.count, 1)
        return at, streams

    def gather(self, blocks: Sequence[Block], pairs: Sequence[Pair], count: int) -> dict[Pair, Symbol]:
        """RECEIVE blocks, and keep their ``count`` vectors."""
        kept: dict[Pair, Symbol] = {}
        for chip, port in pairs:
            h, number = self.node.place(port)
            kept[chip, port] = self.builders[chip].space(f"from_{port}", self.near(h, C2C_QUEUES + number), count)
        for block in blocks:
            at, _ = self.receive(block, pairs)
            for (chip, port), symbol in kept.items():
                _, number = self.node.place(port)
                at_once = {"first": block.first, "count": block.count}
                self.builders[chip].store(symbol, number, self.queue(port), at, **at_once)
        return kept

    def sums(self, blocks: Sequence[Block], slices: int = 1) -> list[list[dict[str, Symbol]]]:
        """Room for sums, in so many slices of each hemisphere by turns: chip → block → hemisphere → symbol."""

        def room(builder: Builder, block: Block, h: str) -> Symbol:
            return builder.space(f"sum_{h}{block.number}", f"mem.{h}{block.number % slices}", block.count)

        return [[{h: room(b, block, h) for h in self.hemispheres} for block in blocks] for b in self.builders]

    def _last_write(self, block: Block) -> int:
        """The last cycle in which a sum of a block may be written, whatever its RECEIVE waits for."""
        through = travel(self.config, "c2c.e", "vxm") + self.config.vxm_stages
        back = max(travel(self.config, "vxm", f"mem.{h}0") for h in self.hemispheres)
        return self.ready(block) + self._span(BLOCK) + BLOCK + through + back

    def second(self, blocks: Sequence[Block]) -> tuple[int, int]:
        """When the sums of blocks can be sent, as blocks again: the earliest cycle, 0 if there is no more to wait for
        than the last block, and to how many slices of a hemisphere sums go by turns, so that none is written where one
        is read. That is so if the first sums are there by then and there are slices enough; else all must be there."""
        reads = max(travel(self.config, f"mem.{h}0", f"c2c.{h}0") for h in self.hemispheres)
        # What is written while a block is read comes so many blocks before the one behind it.
        late = -(-(self._last_write(blocks[0]) + reads - blocks[0].send) // self._span(blocks[-1].count))
        early = (self.ready(blocks[0]) - blocks[0].send) // self._span(blocks[0].count)
        for slices in range(1, self.config.mem_slices - 2 * C2C_QUEUES):
            if len(blocks) > late and all((len(blocks) - apart) % slices for apart in range(early, late + 1)):
                return 0, slices
        return self._last_write(blocks[-1]) + reads + 1, 1

    def add_up(
        self, blocks: Sequence[Block], own: Sequence[Symbol], sums: Sequence[Sequence[Mapping[str, Symbol]]]
    ) -> None:
        """RECEIVE blocks from all chips, and put their sum with the chip's ``own`` vectors into ``sums``."""
        depth = (self.node.chips - 1).bit_length()
        if max(4, self.node.chips) > 2 * self.config.vxm_rows or depth > self.config.vxm_stages:
            rows, stages = self.config.vxm_rows, self.config.vxm_stages
            raise InputError(
                f"config {self.config.name} has vxm_rows={rows} and vxm_stages={stages}; to add {self.node.chips}"
                f" vectors takes {max(2, -(-self.node.chips // 2))} rows and {depth} stages"
            )
        for block in blocks:
            at, streams = self.receive(block, self.every)
            # Both hemispheres are equally far from the VXM.
            meet = at + travel(self.config, f"c2c.{self.hemispheres[0]}0", "vxm")
            for chip, builder in enumerate(self.builders):
                mine = builder.fetch(own[chip], OWN, "vxm.r0s0", meet, first=block.first, count=block.count)
                inputs = [f"{streams[chip, port]}:int8" for port in range(self.node.ports)]
                done = self._tree(builder, [*inputs, f"{mine}:int8"], meet, block.count)
                for symbol in sums[chip][block.number].values():
                    builder.store(symbol, SUM, "vxm", done, count=block.count)

    def _tree(self, builder: Builder, operands: list[str], at: int, count: int) -> int:
        """ALUs that add, two by two; the last in two rows, one for each way. Returns the cycle of these."""
        for stage in range(self.config.vxm_stages):
            pairs = [operands[i : i + 2] for i in range(0, len(operands), 2)]
            last = len(pairs) == 1
            for row, pair in enumerate(pairs * 2 if last else pairs):
                to = f"{'ew'[row]}{SUM}:int8" if last else "next"
                name, pair = "ADD.sat" if last else "ADD", [*pair, "#0"][:2]
                builder.alu(f"vxm.r{row}s{stage}", name, *pair, to=to, at=at + stage, count=count)
            if last:
                return at + stage
            operands = [f"r{row}" for row in range(len(pairs))]
        raise AssertionError("there are stages enough")

    def programs(self) -> list[Program]:
        """What has been written."""
        return [builder.build() for builder in self.builders]

    def __iter__(self) -> Iterator[tuple[int, Builder]]:
        return iter(enumerate(self.builders))
