"""Residual networks (He et al., "Deep Residual Learning for Image Recognition", CVPR 2016) as quantised ONNX models.

ResNet-50 has the structure of the light model that the onnx package ships: the stride of a stage is in its first 3×3
convolution, batch normalisation is folded into weights and biases. Weights are random, of the size He et al. give
("Delving Deep into Rectifiers", ICCV 2015), so that activations neither die nor saturate.

Activations are uint8 after a relu and int8 elsewhere, weights int8 with a scale for each output channel. Of an
addition the shortcut is quantised and the sum of products is not, as NVIDIA's TensorRT wants it. Scales are powers of
two, so real numbers, onnxruntime's float32 and whole numbers agree in every bit; those of activations are calibrated on
one image.

A member with ``exact=False`` has scales of any size, and both sides of an addition are quantised, as onnxruntime's
quantiser has it.
"""

import dataclasses
import math
from pathlib import Path

import click
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Reals = NDArray[np.float64]
Bytes = NDArray[np.uint8]
OPSET = 21
EXPANSION = 4
"""Channels behind a bottleneck block for each one in it."""
_SEED = 50
_SPREAD = math.sqrt(4 * (63**2 - 1) / 12)
"""Standard deviation of the sum of four numbers in -31…31."""
_KEPT = 0.999
"""Share of a tensor's values that its scale must hold."""
_BRANCH = 0.5
"""How large what a block adds is, compared with a layer of He's."""


@dataclasses.dataclass(frozen=True)
class Family:
    """Sizes of a member.

    Attributes:
        side: lines and columns of the image.
        stem: channels of the first convolution and in the first stage's blocks; each stage doubles them.
        blocks: how many bottleneck blocks each stage has.
        exact: scales are powers of two. Only then are the bytes of a model those of every other machine.
    """

    name: str
    side: int
    stem: int
    blocks: tuple[int, ...]
    classes: int
    exact: bool = True


RESNET50 = Family("resnet50", 224, 64, (3, 4, 6, 3), 1000)
SMALL = Family("resnet-small", 32, 16, (2, 1), 10)


@dataclasses.dataclass(frozen=True)
class _Tensor:
    """A tensor of the model, and its real values [lines, columns, channels] for the image of the calibration."""

    name: str
    real: Reals


class _Maker:
    """Writes nodes and computes what they make. If ``exact``, real numbers are whole multiples of powers of two that
    float64 holds, so sums are the same in any order."""

    def __init__(self, seed: int, exact: bool):
        self.exact = exact
        self.random = np.random.RandomState(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, NDArray[np.generic]] = {}
        self.scales: dict[str, Reals] = {}

    def node(self, op: str, inputs: list[str], output: str, **attributes: object) -> str:
        self.nodes.append(helper.make_node(op, inputs, [output], name=f"{output}.{op}", **attributes))
        return output

    def constant(self, name: str, value: NDArray[np.generic]) -> str:
        self.constants[name] = value
        return name

    def dequantised(self, name: str, scale: Reals, zero: NDArray[np.generic], **attributes: int) -> str:
        """DequantizeLinear of a quantised tensor or constant."""
        scales = self.constant(f"{name}.scale", scale.astype(np.float32))
        self.scales[f"{name}.real"] = scale
        return self.node("DequantizeLinear", [name, scales, self.constant(f"{name}.zero", zero)], f"{name}.real",
                         **attributes)  # fmt: skip

    def quantised(self, x: _Tensor, name: str, dtype: str) -> _Tensor:
        """QuantizeLinear and DequantizeLinear, with zero point 0."""
        scale, real = self.quantise(x, name, dtype)
        return _Tensor(self.dequantised(name, np.asarray(scale), np.zeros((), dtype)), real)

    def quantise(self, x: _Tensor, name: str, dtype: str) -> tuple[float, Reals]:
        """QuantizeLinear; the scale, and the real values that are left."""
        limits = np.iinfo(dtype)
        size = np.sort(np.abs(x.real), axis=None)[int(_KEPT * (x.real.size - 1))]
        scale = _power_above(size / limits.max) if self.exact else float(np.float32(size / limits.max))
        real = np.clip(np.rint(x.real / scale), limits.min, limits.max) * scale
        constants = {"scale": np.float32(scale), "zero": np.zeros((), dtype)}
        self.node("QuantizeLinear", [x.name, *(self.constant(f"{name}.{k}", v) for k, v in constants.items())], name)
        return scale, real

    def weights(self, x: _Tensor, name: str, shape: tuple[int, ...], gain: float) -> tuple[list[str], Reals, Reals]:
        """Names of what a convolution or Gemm takes, real weights [out, in, …], real biases [out]."""
        spread = gain * math.sqrt(2 / math.prod(shape[1:]))
        draws = self.random.randint(-31, 32, (4, *shape), np.int8).sum(0, np.int16)
        gains = [math.frexp(spread * g / 64 / _SPREAD) for g in self.random.randint(32, 97, shape[0])]
        along = (-1,) + (1,) * (len(shape) - 1)
        whole = draws * np.array([round(m * 256) for m, _ in gains], np.int16).reshape(along) >> 8
        scale = np.array([2.0**e for _, e in gains])
        if not self.exact:
            whole, scale = draws, np.array([float(np.float32(math.ldexp(*gain))) for gain in gains])
        bias = np.rint(self.random.randint(-32, 33, shape[0]) / 128 / (scale * self.scales[x.name]))
        axis, out = {"axis": 0}, np.zeros(shape[0])
        names = [
            x.name,
            self.dequantised(
                self.constant(f"{name}.weights", whole.astype(np.int8)), scale, out.astype(np.int8), **axis
            ),
            self.dequantised(
                self.constant(f"{name}.bias", bias.astype(np.int32)), scale * self.scales[x.name],
                out.astype(np.int32), **axis,
            ),
        ]  # fmt: skip
        return names, whole * scale.reshape(along), bias * scale * self.scales[x.name]

    def conv(self, x: _Tensor, name: str, out: int, size: int, stride: int, gain: float = 1.0) -> _Tensor:
        """Padded by half its size."""
        pad = size // 2
        names, w, bias = self.weights(x, name, (out, x.real.shape[2], size, size), gain)
        found = self.node("Conv", names, f"{name}.sums", kernel_shape=[size] * 2, strides=[stride] * 2, pads=[pad] * 4)
        rows = _windows(x.real, size, stride, 0.0)
        return _Tensor(found, sum(rows[i, j] @ w[:, :, i, j].T for i, j in np.ndindex(size, size)) + bias)

    def relu(self, x: _Tensor, name: str) -> _Tensor:
        positive = _Tensor(self.node("Relu", [x.name], f"{name}.positive"), np.maximum(x.real, 0))
        return self.quantised(positive, name, "uint8")

    def block(self, x: _Tensor, name: str, inner: int, stride: int) -> _Tensor:
        """A bottleneck: 1×1, 3×3 and 1×1 beside a shortcut, which is a convolution where the shape changes."""
        out = inner * EXPANSION
        h = self.relu(self.conv(x, f"{name}.a", inner, 1, 1), f"{name}.a.y")
        h = self.relu(self.conv(h, f"{name}.b", inner, 3, stride), f"{name}.b.y")
        branch = self.conv(h, f"{name}.c", out, 1, 1, _BRANCH)
        branch = branch if self.exact else self.quantised(branch, f"{name}.c.y", "int8")
        shortcut = x
        if stride > 1 or x.real.shape[2] != out:
            shortcut = self.quantised(
                self.conv(x, f"{name}.shortcut", out, 1, stride, math.sqrt(0.5)), f"{name}.shortcut.y", "int8"
            )
        added = _Tensor(self.node("Add", [branch.name, shortcut.name], f"{name}.sum"), branch.real + shortcut.real)
        return self.relu(added, f"{name}.y")

    def max_pool(self, x: _Tensor, name: str) -> _Tensor:
        """Of 3×3 with stride 2."""
        found = self.node("MaxPool", [x.name], name, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
        self.scales[found] = self.scales[x.name]
        return _Tensor(found, _windows(x.real, 3, 2, -np.inf).max((0, 1)))

    def read_out(self, x: _Tensor, classes: int) -> None:
        """The mean of all pixels, and a matrix."""
        mean = x.real.sum((0, 1), keepdims=True) / math.prod(x.real.shape[:2])
        pooled = self.quantised(_Tensor(self.node("GlobalAveragePool", [x.name], "mean"), mean), "pooled", "uint8")
        flat = self.node("Flatten", [pooled.name], "flat")
        self.scales[flat] = self.scales[pooled.name]
        names, w, bias = self.weights(_Tensor(flat, pooled.real), "classes", (classes, mean.shape[2]), 2.0)
        sums = self.node("Gemm", names, "classes.sums", transB=1)
        self.quantise(_Tensor(sums, pooled.real @ w.T + bias), "logits", "int8")


def _power_above(x: float) -> float:
    """The least power of two that is not less."""
    mantissa, exponent = math.frexp(x)
    return 2.0 ** (exponent - (mantissa == 0.5))


def _windows(x: Reals, size: int, stride: int, fill: float) -> Reals:
    """[size, size, lines, columns, channels]: for each place in a window the values of all windows."""
    padded = np.pad(x, ((size // 2,) * 2, (size // 2,) * 2, (0, 0)), constant_values=fill)
    found = np.lib.stride_tricks.sliding_window_view(padded, (size, size), (0, 1))[::stride, ::stride]
    return found.transpose(3, 4, 0, 1, 2)


def image(side: int, seed: int = _SEED) -> Bytes:
    """uint8 [1, 3, side, side]: coarse squares and noise."""
    random = np.random.RandomState(seed)
    coarse = random.randint(0, 128, (3, -(-side // 16), -(-side // 16))).repeat(16, 1).repeat(16, 2)
    return (coarse[:, :side, :side] + random.randint(0, 128, (3, side, side))).astype(np.uint8)[None]


def resnet(family: Family = RESNET50, seed: int = _SEED) -> onnx.ModelProto:
    """uint8 images [1, 3, side, side] → int8 logits [1, classes]. The same family and seed give the same bytes."""
    maker = _Maker(seed, family.exact)
    scale, zero = np.asarray(2.0**-6), np.asarray(128, np.uint8)
    pixels = (image(family.side, seed)[0].transpose(1, 2, 0).astype(np.float64) - 128) * scale
    x = _Tensor(maker.dequantised("image", scale, zero), pixels)
    x = maker.max_pool(maker.relu(maker.conv(x, "stem", family.stem, 7, 2), "stem.y"), "stem.pool")
    for stage, count in enumerate(family.blocks):
        for number in range(count):
            stride = 2 if stage and not number else 1
            x = maker.block(x, f"stage{stage + 1}.{number}", family.stem << stage, stride)
    maker.read_out(x, family.classes)
    graph = helper.make_graph(
        maker.nodes, family.name,
        [helper.make_tensor_value_info("image", TensorProto.UINT8, [1, 3, family.side, family.side])],
        [helper.make_tensor_value_info("logits", TensorProto.INT8, [1, family.classes])],
        [numpy_helper.from_array(np.asarray(value), key) for key, value in maker.constants.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
    onnx.checker.check_model(model)
    return model


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
def main(folder: Path) -> None:
    """Write ResNet-50, a small member of its family, and an image for each, to FOLDER."""
    folder.mkdir(parents=True, exist_ok=True)
    for family in (SMALL, RESNET50):
        onnx.save(resnet(family), str(folder / f"{family.name}.onnx"))
        np.save(folder / f"{family.name}.npy", image(family.side))


if __name__ == "__main__":
    main()
