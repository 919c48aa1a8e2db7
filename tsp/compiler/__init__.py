"""From a graph to a program whose every cycle is known: fold, lower, place, schedule, fetch, emit, each a stage in its
own file."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tsp.compiler.booking import Pauses
from tsp.compiler.bursts import Burst
from tsp.compiler.emit import emit
from tsp.compiler.fetch import Fetched, NoRoom, fetch, ways
from tsp.compiler.fold import Layout, fold
from tsp.compiler.graph import Graph
from tsp.compiler.homes import Places
from tsp.compiler.lower import lower
from tsp.compiler.passes import Pass
from tsp.compiler.place import place
from tsp.compiler.progress import Progress, silent
from tsp.compiler.schedule import schedule
from tsp.compiler.tensor import table_of
from tsp.compiler.traits import blocks_of
from tsp.config import ChipConfig
from tsp.errors import InputError, nearest
from tsp.program import Program, Tensor
from tsp.tensors import with_inputs

if TYPE_CHECKING:
    import onnx

    from tsp.compiler.onnx_import import Imported

Array = NDArray[Any]
STAGES = ("fold", "lower", "place", "schedule", "fetch")
"""What ``--dump-after`` prints: tensors, passes, places, bursts, and what brings words that queues have no room for."""


@dataclasses.dataclass(frozen=True)
class Compiled:
    """A program with what became of it in each stage.

    Attributes:
        program: with zeros for the inputs, which its ``tensors`` name.
    """

    config: ChipConfig
    graph: Graph
    passes: list[Pass]
    places: Places
    bursts: list[Burst]
    fetched: Fetched
    program: Program

    def __call__(self, *arrays: ArrayLike, **named: ArrayLike) -> dict[str, Array]:
        """Run on the golden model: inputs in their order or by name, outputs by name. InputError for wrong inputs."""
        from tsp.run import outputs_of

        names = [name for name, tensor in self.program.tensors.items() if tensor.given]
        if len(arrays) > len(names):
            raise InputError(f"{len(arrays)} inputs for a program that takes {len(names)}: {', '.join(names)}")
        values = dict(zip(names, arrays, strict=False)) | named
        return outputs_of(self.with_inputs({name: np.asarray(value) for name, value in values.items()}))

    def with_inputs(self, values: Mapping[str, Array]) -> Program:
        """The program with inputs in its memory. InputError for a missing one, or one of another shape or type."""
        return with_inputs(self.program, values)

    def dump(self, stage: str) -> str:
        """What a stage made, as text."""
        if stage not in STAGES:
            raise InputError(f"no stage {stage!r}{nearest(stage, STAGES)}; stages are {', '.join(STAGES)}")
        found: dict[str, Iterable[object]] = {
            "fold": self.graph.lines(), "lower": self.passes, "place": [self.places], "schedule": self.bursts,
            "fetch": [self.fetched],
        }  # fmt: skip
        return "\n".join(map(str, found[stage]))


def compile(
    model: "Graph | Imported | onnx.ModelProto",
    config: ChipConfig,
    name: str = "network",
    progress: Progress | None = None,
) -> Compiled:
    """Compile a graph or an ONNX model for a chip. Same model and config, same bytes. InputError names what does not
    fit, and what would. ``name`` is what messages call the network; ``progress`` is told how far it is."""
    if isinstance(model, Graph):
        graph, tensors = model, _plain(model)
    else:
        from tsp.compiler.onnx_import import Imported, import_model

        imported = model if isinstance(model, Imported) else import_model(model)
        graph, tensors = imported.graph, imported.tensors()
    progress = progress or silent
    progress("fold", 0, 1)
    graph, layouts = fold(graph, config)
    passes, places, bursts, fetched = _stages(graph, config, progress)
    progress("emit", 0, 1)
    program = emit(fetched, places, passes, name, config)
    used = {name: _placed(tensor, graph, layouts, places, config) for name, tensor in tensors.items()}
    program.tensors = {name: tensor for name, tensor in used.items() if any(tensor.blocks)}
    return Compiled(config, graph, passes, places, bursts, fetched, program)


_Made = tuple[list[Pass], Places, list[Burst], Fetched]


def _stages(graph: Graph, config: ChipConfig, progress: Progress) -> _Made:
    """What each stage but the last makes. Where queues are too busy for IFETCHes, they pause, and passes become short
    enough, that there is room."""
    first: NoRoom | None = None
    for words, pauses in ways(config):
        try:
            return _attempt(graph, config, words, pauses, progress)
        except NoRoom as error:
            first = first or error
    assert first is not None
    raise first


def _attempt(graph: Graph, config: ChipConfig, words: int | None, pauses: Pauses, progress: Progress) -> _Made:
    progress("lower", 0, 1)
    passes = lower(graph, config, words)
    progress("place", 0, 1)
    places = place(passes, config, {x.name for x in graph.outputs.values()})
    bursts, booking = schedule(passes, places, config, pauses, progress)
    progress("fetch", 0, 1)
    return passes, places, bursts, fetch(bursts, places, booking, config, len(passes) + 1)


def _plain(graph: Graph) -> dict[str, Tensor]:
    """Name → what is known of each input and output; ``blocks`` is the name of the tensor in the graph for now."""
    found = {x.name: Tensor(True, x.shape, x.dtype, 0, False, (x.name,), table=table_of(x)) for x in graph.inputs}
    return found | {name: Tensor(False, x.shape, x.dtype, 0, False, (x.name,)) for name, x in graph.outputs.items()}


def _placed(
    tensor: Tensor, graph: Graph, layouts: Mapping[str, Layout], places: Places, config: ChipConfig
) -> Tensor:
    x, layout = graph.tensors[tensor.blocks[0]], layouts[tensor.blocks[0]]
    names = [f"{x.name}.{index}" for index in range(blocks_of(x, config))]
    blocks = tuple(name if name in places.blocks else "" for name in names)
    return dataclasses.replace(tensor, blocks=blocks, fold=layout.fold, window=layout.window)
