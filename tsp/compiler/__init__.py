"""From a graph to a program whose every cycle is known: lower, place, schedule, emit, each a stage in its own file."""

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tsp.compiler.emit import emit
from tsp.compiler.graph import DTYPES, Array, Graph, Tensor
from tsp.compiler.lower import Pass, blocks_of, lower
from tsp.compiler.place import Places, place
from tsp.compiler.schedule import Burst, schedule
from tsp.config import ChipConfig
from tsp.floorplan import floorplan
from tsp.program import Image, Program

STAGES = ("lower", "place", "schedule")
"""What ``--dump-after`` prints: passes, places, bursts."""
Words = Callable[[int, int], NDArray[np.uint8]]
"""(place, address) → uint8 [16·S]."""


@dataclasses.dataclass(frozen=True)
class Compiled:
    """A program with what became of it in each stage.

    Attributes:
        program: with zeros for the inputs.
        cycles: what a run takes, on the RTL as on the golden model.
    """

    graph: Graph
    config: ChipConfig
    passes: list[Pass]
    places: Places
    bursts: list[Burst]
    program: Program

    def with_inputs(self, values: Mapping[str, ArrayLike]) -> Program:
        """The program with inputs in its memory. InputError for a missing one, or one of another shape or type."""
        memory = {place: dict(zip(image.addresses.tolist(), image.words, strict=True))
                  for place, image in self.program.memory.items()}  # fmt: skip
        for x in self.graph.inputs:
            array = self.graph.given(x, values)
            for index in range(blocks_of(x, self.config)):
                if (home := self.places.blocks.get(f"{x.name}.{index}")) is None:
                    continue
                part = array[:, index * self.config.lanes : (index + 1) * self.config.lanes]
                padded = np.zeros((x.rows, self.config.lanes), part.dtype)
                padded[:, : part.shape[1]] = part
                octets = padded[..., None].view(np.uint8)
                for plane, name in enumerate(home.slices):
                    words = memory[floorplan(self.config).slice(name).index]
                    words |= {home.address + row: octets[row, :, plane].copy() for row in range(x.rows)}
        images = {place: Image.of(words, self.config.lanes) for place, words in memory.items()}
        return dataclasses.replace(self.program, memory=images)

    def outputs(self, words: Words) -> dict[str, Array]:
        """Every output, from what memory holds after a run."""
        return {name: self._tensor(x, words) for name, x in self.graph.outputs.items()}

    def output_words(self) -> list[tuple[int, int]]:
        """(place, address) of every word that holds a part of an output."""
        plan = floorplan(self.config)
        homes = [self.places.blocks[f"{x.name}.{index}"] for x in self.graph.outputs.values()
                 for index in range(blocks_of(x, self.config))]  # fmt: skip
        return sorted({(plan.slice(name).index, home.address + row) for home in homes for name in home.slices
                       for row in range(home.block.rows)})  # fmt: skip

    def _tensor(self, x: Tensor, words: Words) -> Array:
        plan, parts = floorplan(self.config), []
        for index in range(blocks_of(x, self.config)):
            home = self.places.blocks[f"{x.name}.{index}"]
            planes = [
                [words(plan.slice(name).index, home.address + row) for row in range(x.rows)] for name in home.slices
            ]
            octets = np.ascontiguousarray(np.moveaxis(np.array(planes, np.uint8), 0, -1))
            parts.append(octets.view(DTYPES[x.dtype])[..., 0])
        return np.concatenate(parts, axis=1)[:, : x.features]


def compile_graph(graph: Graph, config: ChipConfig) -> Compiled:
    """Compile for a chip. Same graph and config, same bytes. InputError names what does not fit, and what would."""
    passes = lower(graph, config)
    places = place(passes, config)
    bursts = schedule(passes, places, config)
    return Compiled(graph, config, passes, places, bursts, emit(bursts, places, config))
