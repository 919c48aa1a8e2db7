"""ResNet-50 compiled for ``groqchip`` from its ONNX file: cycles by the checker, and what compiling it takes."""

import tempfile
from pathlib import Path

from tb.bench.generation import TSP, watched
from tb.bench.row import Row
from tb.command import require_checkout
from tsp.checker import check
from tsp.program import Program

CYCLES = 100_000
"""Most that one image may take."""
GOAL = 44_000
"""What the published chip takes, in images a second at its 900 MHz: 20,400."""
CLOCK_HZ = 900e6
SECONDS, GIB = 300.0, 8.0
"""Most that compiling, the check among it, may take."""


def rows() -> list[Row]:
    """Four rows; the network is made first, which is not counted. The command refuses an illegal program itself."""
    require_checkout("programs.resnet")
    from programs.resnet.network import RESNET50, resnet

    with tempfile.TemporaryDirectory(prefix="resnet-") as folder:
        model, output = Path(folder) / "resnet50.onnx", Path(folder) / "resnet50.npz"
        model.write_bytes(resnet(RESNET50).SerializeToString())
        seconds, peak = watched([*TSP, "compile", str(model), "--config", "groqchip", "-o", str(output)])
        program = Program.load(output)
        cycles = check(program).cycles
    words = sum(map(len, program.queues.values()))
    name = "ResNet-50, one image on groqchip"
    return [
        Row(name, cycles, "cycles", CYCLES, details={"words": words}),
        Row(f"{name}, at 900 MHz", CLOCK_HZ / cycles, "images/s", goal=CLOCK_HZ / GOAL),
        Row("ResNet-50, tsp compile", seconds, "s", SECONDS),
        Row("ResNet-50, tsp compile, peak memory", peak / 2**30, "GiB", GIB),
    ]
