"""What compiled programs make of the chip, by the checker's cycles, and the golden model on the largest of them."""

import dataclasses

import numpy as np
from numpy.typing import NDArray

import golden.machine
import tsp
from tb.bench.chip import Differs
from tb.bench.model import timed
from tb.bench.pairs import interleave
from tb.bench.row import Row
from tb.command import require_checkout
from tsp.checker import check
from tsp.compiler import Compiled
from tsp.compiler.decoder import decoder_layer
from tsp.compiler.decoder_sizes import Sizes, Weights
from tsp.compiler.graph import Graph
from tsp.config import ChipConfig, preset

INPUTS, OUTPUTS = 4096, 2304
"""Of the published matmul, [2304×4096]·[4096×N]."""
ROWS = (1376, 3391)
"""Values of N: the ends of the range that the published 80 % are for, and no multiple of anything."""
TALL = 12_800
"""Outputs of the larger product with a vector."""
DIGITS = {"24 images on tiny": ("mlp", 24), "360 images on groqchip": ("mlp", 360), "a convolution on tiny": ("cnn", 1)}
"""Networks of the digits, and how many images at once; the last word is the chip."""
LAYERS = {"16 tokens": Sizes(576, 9, 3, 1536, 16), "a token behind 127": Sizes(576, 9, 3, 1536, 1, 127)}
"""Decoder layers as large as those of SmolLM2-135M."""
SHIFT = 14
GOLDEN_LIMIT = 5.0
"""Most that the golden model may take of the time of numpy's float32 product."""


@dataclasses.dataclass(frozen=True)
class Product:
    """int8 [rows, inputs] times constant int8 [inputs, outputs], requantised, compiled for a chip; a row is a vector
    that comes to the planes."""

    rows: int
    weights: NDArray[np.int8]
    compiled: Compiled
    cycles: int

    @classmethod
    def of(cls, rows: int, inputs: int = INPUTS, outputs: int = OUTPUTS, config: ChipConfig | None = None) -> "Product":
        """Compile it, for ``groqchip`` by default. Raises :class:`Differs` if the checker finds a mistake."""
        weights = np.random.default_rng(1).integers(-128, 128, (inputs, outputs)).astype(np.int8)
        graph = Graph()
        graph.output("y", graph.requantise(graph.matmul(graph.input("x", (rows, inputs)), weights), shift=SHIFT))
        compiled = tsp.compile(graph, config or preset("groqchip"))
        return cls(rows, weights, compiled, legal(compiled))

    @property
    def tiles(self) -> int:
        """Blocks of weights as large as a plane."""
        return int(np.prod([-(-size // self.compiled.config.lanes) for size in self.weights.shape]))

    @property
    def utilisation(self) -> float:
        """Share of the products that the planes could do in its cycles: useful MACs over (MACs a cycle · cycles)."""
        config = self.compiled.config
        planes = config.mxm_planes_w + config.mxm_planes_e
        return self.rows * self.weights.size / (planes * config.lanes**2 * self.cycles)

    @property
    def bound(self) -> float:
        """The most that :attr:`utilisation` can be: planes multiply whole tiles."""
        return self.weights.size / (self.tiles * self.compiled.config.lanes**2)

    @property
    def load_share(self) -> float:
        """Share of what all streams of a site carry in its cycles that its tiles of weights are."""
        config = self.compiled.config
        return self.tiles * config.lanes**2 / (2 * config.streams * config.lanes * self.cycles)


def legal(compiled: Compiled) -> int:
    """The cycles that the checker foretells."""
    report = check(compiled.program)
    if not report.ok:
        raise Differs(f"the compiler made an illegal program: {report.problems[0]}")
    return report.cycles


def digits_cycles(case: str) -> int:
    """Cycles of one of :data:`DIGITS`."""
    require_checkout("programs.digits")
    from programs.digits import networks

    network, images = DIGITS[case]
    return legal(tsp.compile(getattr(networks, network)(images), preset(case.split()[-1])))


def layer_cycles(case: str) -> int:
    """Cycles of one of :data:`LAYERS` with random weights of a byte."""
    graph = decoder_layer(LAYERS[case], Weights.random(LAYERS[case]))
    return legal(tsp.compile(graph, preset("groqchip")))


def rows(repeats: int) -> list[Row]:
    """All figures of compiled programs."""
    products = [Product.of(count) for count in ROWS]
    vectors = [Product.of(1, outputs=outputs) for outputs in (OUTPUTS, TALL)]
    return [
        *(_utilisation(product) for product in products),
        *(_load_share(vector) for vector in vectors),
        *(Row(f"digits, {case}", digits_cycles(case), "cycles") for case in DIGITS),
        *(Row(f"decoder layer of SmolLM2-135M, {case}", layer_cycles(case), "cycles") for case in LAYERS),
        _golden(products[-1], repeats),
    ]


def _name(product: Product) -> str:
    inputs, outputs = product.weights.shape
    return f"[{outputs}×{inputs}]·[{inputs}×{product.rows}] on groqchip"


def _utilisation(product: Product) -> Row:
    bound = 100 * product.bound
    name = f"{_name(product)}, products (by its shape {bound:.1f} % at most)"
    details = {"cycles": product.cycles, "macs": product.rows * product.weights.size, "bound": bound}
    return Row(name, 100 * product.utilisation, "%", goal=85.0, details=details)


def _load_share(vector: Product) -> Row:
    name = f"{_name(vector)}, weights of what streams carry"
    return Row(name, 100 * vector.load_share, "%", goal=90.0, details={"cycles": vector.cycles})


def _golden(product: Product, repeats: int) -> Row:
    """Golden model over numpy's float32 product of the same matrices, in turn in one process."""
    x = np.random.default_rng(2).integers(-128, 128, (product.rows, len(product.weights))).astype(np.int8)
    sums = x.astype(np.float64) @ product.weights.astype(np.float64)  # exact: all below 2^53
    expected = np.clip(np.rint(sums / 2**SHIFT), -128, 127)
    if not np.array_equal(product.compiled(x=x)["y"], expected):
        raise Differs(f"{_name(product)}: the golden model's result is not numpy's")
    program = product.compiled.with_inputs({"x": x})
    x32, w32 = x.astype(np.float32), product.weights.astype(np.float32)
    pairs = interleave(timed(golden.machine.run, program, trace=False), timed(np.matmul, x32, w32), repeats)
    details = pairs.details("golden_seconds", "numpy_seconds")
    return Row(f"golden over numpy float32 @, {_name(product)}", pairs.ratio, limit=GOLDEN_LIMIT, details=details)
