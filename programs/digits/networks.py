"""The handwritten digits as quantised ONNX models: the classifier of this folder, and a small convolutional one.

The convolution's filters are random and stay so; what reads them out is fitted to the training images by least squares.
Everything is whole numbers, so that onnxruntime and the chip must agree in every bit.
"""

from pathlib import Path

import click
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from programs.digits.data import held_out_set, training_set
from programs.digits.model import Weights, load_weights

OPSET = 21
CHANNELS = 16
SIDE = 8
_SEED = 8


def _model(
    name: str, nodes: list[onnx.NodeProto], constants: dict[str, NDArray[np.generic]], shape: list[int], out: list[int],
    kind: int = TensorProto.INT32,
) -> onnx.ModelProto:  # fmt: skip
    graph = helper.make_graph(
        nodes, name, [helper.make_tensor_value_info("images", TensorProto.INT8, shape)],
        [helper.make_tensor_value_info("logits", kind, out)],
        [numpy_helper.from_array(np.asarray(value), key) for key, value in constants.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
    onnx.checker.check_model(model)
    return model


def mlp(images: int, weights: Weights | None = None) -> onnx.ModelProto:
    """The classifier: int8 [images, 64] → int32 [images, 10]."""
    w = weights or load_weights()
    constants = {
        "w1": w.w1.T.copy(), "b1": w.b1, "w2": w.w2.T.copy(), "b2": w.b2,
        "scale": np.float32(2.0**w.shift1), "zero": np.int8(0),
    }  # fmt: skip
    nodes = [
        helper.make_node("MatMulInteger", ["images", "w1"], ["products1"]),
        helper.make_node("Add", ["products1", "b1"], ["sums1"]),
        helper.make_node("Relu", ["sums1"], ["positive"]),
        helper.make_node("Cast", ["positive"], ["real"], to=TensorProto.FLOAT),
        helper.make_node("QuantizeLinear", ["real", "scale", "zero"], ["hidden"]),
        helper.make_node("MatMulInteger", ["hidden", "w2"], ["products2"]),
        helper.make_node("Add", ["products2", "b2"], ["logits"]),
    ]
    return _model("digits-mlp", nodes, constants, [images, w.w1.shape[1]], [images, len(w.b2)])


def filters() -> NDArray[np.int8]:
    """int8 [16, 1, 3, 3], each without a mean."""
    found = np.random.RandomState(_SEED).randint(-60, 61, (CHANNELS, 1, 3, 3))
    found -= found.mean((2, 3), keepdims=True).astype(int)
    return found.astype(np.int8)


SCALE = np.float32(0.05)
"""From sums of the convolution to int8."""


def features(images: NDArray[np.int8]) -> NDArray[np.int8]:
    """int8 [n, 16, 4, 4]: convolution, relu, scaling and the greatest of each 2×2, in plain numpy."""
    padded = np.pad(images.reshape(-1, SIDE, SIDE).astype(np.int64), ((0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (1, 2))
    sums = np.einsum("nyxij,oij->noyx", windows, filters()[:, 0].astype(np.int64))
    scaled = np.clip(np.rint(np.maximum(sums, 0).astype(np.float32) * SCALE), -128, 127)
    return scaled.reshape(-1, CHANNELS, SIDE // 2, 2, SIDE // 2, 2).max((3, 5)).astype(np.int8)


def readout() -> NDArray[np.int8]:
    """int8 [10, 16, 4, 4]: least squares on the training images, brought to int8."""
    train = training_set()
    x = features(train.images).reshape(len(train.images), -1).astype(np.float64)
    targets = np.eye(10)[train.labels] * 2 - 1
    w = np.linalg.solve(x.T @ x + 3000 * np.eye(x.shape[1]), x.T @ targets).T
    whole = np.rint(w * (127 / np.abs(w).max())).astype(np.int8)
    return whole.reshape(10, CHANNELS, SIDE // 2, SIDE // 2)


def cnn(images: int) -> onnx.ModelProto:
    """int8 [images, 1, 8, 8] → int32 [images, 10, 1, 1]."""
    one, zero = np.float32(1), np.int8(0)
    constants = {
        "filters": filters(), "readout": readout(), "one": one, "zero": zero, "scale": np.float32(1 / SCALE),
        "none": np.zeros(CHANNELS, np.int32),
    }  # fmt: skip
    quantised = ["images", "one", "zero", "filters", "one", "zero", "scale", "zero", "none"]
    nodes = [
        helper.make_node("QLinearConv", quantised, ["signed"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["signed"], ["positive"]),
        helper.make_node("MaxPool", ["positive"], ["pooled"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("ConvInteger", ["pooled", "readout"], ["logits"]),
    ]
    return _model("digits-cnn", nodes, constants, [images, 1, SIDE, SIDE], [images, 10, 1, 1])


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
def main(folder: Path) -> None:
    """Write the two models for 24 images and for one, and those images, to FOLDER."""
    folder.mkdir(parents=True, exist_ok=True)
    images = held_out_set().images
    onnx.save(mlp(24), str(folder / "mlp.onnx"))
    np.save(folder / "mlp.npy", images[:24])
    onnx.save(cnn(1), str(folder / "cnn.onnx"))
    np.save(folder / "cnn.npy", images[:1].reshape(1, 1, SIDE, SIDE))


if __name__ == "__main__":
    main()
