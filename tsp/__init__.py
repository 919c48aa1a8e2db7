"""The contract of the Tensor Streaming Processor and the software that programs it."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tsp.compiler import Compiled
    from tsp.compiler.progress import Progress
    from tsp.config import ChipConfig


def compile(model: Any, config: "ChipConfig", name: str = "network", progress: "Progress | None" = None) -> "Compiled":
    """Compile a :class:`tsp.compiler.graph.Graph` or an ONNX model; see :func:`tsp.compiler.compile`."""
    from tsp.compiler import compile as compile_model

    return compile_model(model, config, name, progress)
