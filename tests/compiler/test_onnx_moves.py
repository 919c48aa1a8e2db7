"""ONNX operators that move bytes and other numbers: the chip's outputs are onnxruntime's, bit for bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

import tsp
from tests.compiler.test_onnx import model, same
from tsp.compiler.onnx_import import Importer, import_model
from tsp.config import preset
from tsp.errors import InputError

TINY = preset("tiny").override(["mem_words=1024", "queue_depth=4096"])
HALVES = preset("groqchip").override(["superlanes=2"])
KINDS = {"int8": TensorProto.INT8, "uint8": TensorProto.UINT8, "int32": TensorProto.INT32}


def node(op, inputs, *outputs, **attributes):
    return helper.make_node(op, inputs.split(), list(outputs), **attributes)


def numbers(rng, shape, dtype):
    limits = np.iinfo(dtype)
    return rng.integers(limits.min, limits.max, shape, dtype, endpoint=True)


def moved(nodes, config, dtype, shapes, outputs, **constants):
    rng = np.random.default_rng(1)
    made = model(
        nodes, {name: (KINDS[dtype], shape) for name, shape in shapes.items()},
        {name: (KINDS[dtype], None) for name in outputs}, **constants,
    )  # fmt: skip
    return same(made, config, **{name: numbers(rng, shape, dtype) for name, shape in shapes.items()})


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_images(dtype):
    """Channels and images together, some of them, pixels to channels and back, parts of lines."""
    nodes = [
        node("Concat", "x y", "channels", axis=1), node("Concat", "x z", "images", axis=0),
        node("Concat", "x x", "lines", axis=2), node("Split", "channels", "a", "b", axis=1, num_outputs=2),
        node("Slice", "x from to axes", "crop"), node("Gather", "x three", "chosen", axis=1),
        node("SpaceToDepth", "x", "deep", blocksize=2), node("DepthToSpace", "x", "wide", blocksize=2),
        node("DepthToSpace", "x", "crd", blocksize=2, mode="CRD"),
        node("Transpose", "x", "last", perm=[0, 2, 3, 1]), node("Reshape", "last rows", "pixels"),
        node("Flatten", "x", "flat"), node("Unsqueeze", "flat front", "more"), node("Squeeze", "more front", "less"),
    ]  # fmt: skip
    moved(
        nodes, TINY, dtype, {"x": [1, 4, 4, 6], "y": [1, 2, 4, 6], "z": [2, 4, 4, 6]},
        ["channels", "images", "lines", "a", "b", "crop", "chosen", "deep", "wide", "crd", "last", "pixels", "flat",
         "less"],
        axes=np.array([2, 3]), three=np.array([3, -4, 1]), rows=np.array([0, -1, 4]), front=np.array([0]),
        to=np.array([4, -1]), **{"from": np.array([1, 0])},
    )  # fmt: skip


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32"])
def test_matrices(dtype):
    nodes = [
        node("Concat", "x y", "rows", axis=0), node("Concat", "x x", "features", axis=-1),
        node("Transpose", "x", "turned"), node("Gather", "turned few", "some"), node("Concat", "x z", "with", axis=0),
        node("Slice", "x from to end back", "s"),
    ]  # fmt: skip
    moved(
        nodes, HALVES, dtype, {"x": [6, 40], "y": [3, 40]}, ["rows", "features", "turned", "some", "s", "with"],
        few=np.array([[1, 2], [0, -1]]), to=np.array([-41]), end=np.array([1]), back=np.array([-3]),
        z=np.arange(40, dtype=dtype).reshape(1, 40), **{"from": np.array([38])},
    )  # fmt: skip


def test_shapes_of_tensors_are_constants():
    """As exporters write a reshape that keeps the batch."""
    nodes = [
        node("Shape", "x", "sizes"), node("Gather", "sizes zero", "n"), node("Concat", "n rest", "shape", axis=0),
        node("Reshape", "x shape", "y"),
    ]  # fmt: skip
    moved(nodes, TINY, "int8", {"x": [3, 4, 8]}, ["y"], zero=np.array([0]), rest=np.array([-1]))


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_images_with_channels_last(dtype):
    """What a model transposes at its ends need not move."""
    nodes = [
        node("Transpose", "x", "first", perm=[0, 3, 1, 2]),
        node("ConvInteger", "first w", "sums", pads=[1, 1, 1, 1]), node("Transpose", "sums", "y", perm=[0, 2, 3, 1]),
    ]  # fmt: skip
    rng = np.random.default_rng(2)
    weights = rng.integers(-128, 128, (6, 3, 3, 3)).astype(np.int8)
    made = model(nodes, {"x": (KINDS[dtype], [1, 5, 6, 3])}, {"y": (TensorProto.INT32, None)}, w=weights)
    x = numbers(rng, (1, 5, 6, 3), dtype)
    pixels = np.pad(x.astype(int), ((0, 0), (1, 1), (1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(pixels, (3, 3), (1, 2))
    want = np.einsum("nyxcij,ocij->nyxo", windows, weights)
    compiled = tsp.compile(made, TINY)
    assert np.array_equal(compiled(x)["y"], want)
    assert [x.op for x in compiled.graph.tensors.values() if x.op] == ["matmul", "add"][: 1 + (dtype == "uint8")]


def test_whole_images_times_a_matrix():
    """Flatten moves nothing: the weights are laid out as the pixels are."""
    nodes = [node("Flatten", "x", "rows"), node("MatMulInteger", "rows w", "y")]
    weights = np.random.default_rng(3).integers(0, 256, (5 * 12, 7)).astype(np.uint8)
    compiled = tsp.compile(
        made := model(nodes, {"x": (KINDS["uint8"], [2, 5, 3, 4])}, {"y": (KINDS["int32"], None)}, w=weights), TINY
    )
    assert {x.op for x in compiled.graph.tensors.values() if x.op} <= {"matmul", "add"}
    same(made, TINY, x=numbers(np.random.default_rng(4), (2, 5, 3, 4), "uint8"))


def test_rows_in_another_order_times_a_matrix_each():
    """Each matrix takes some of them; nothing is moved."""
    nodes = [node("Gather", "x which", "y"), node("MatMulInteger", "y w", "z")]
    weights = np.random.default_rng(5).integers(0, 256, (4, 6, 7)).astype(np.uint8)
    made = model(nodes, {"x": (KINDS["uint8"], [3, 2, 6])}, {"z": (KINDS["int32"], None)}, w=weights,
                 which=np.array([2, 0, 1, 2]))  # fmt: skip
    same(made, TINY, x=numbers(np.random.default_rng(6), (3, 2, 6), "uint8"))


def test_what_is_doubled_again_and_again_is_one_tensor():
    """And not as many as there are copies of it."""
    doubled = [node("Concat", f"t{n} t{n}", f"t{n + 1}", axis=n % 2) for n in range(7)]
    made = model([node("Relu", "x", "t0"), *doubled], {"x": (KINDS["int8"], [1, 1])}, {"t7": (KINDS["int8"], None)})
    importer = Importer(made)
    importer.run()
    assert len(importer.known["t6"].parts) == 1
    same(made, HALVES, x=np.int8([[5]]))


def test_channels_times_a_matrix():
    """A row for each channel is no whole image."""
    nodes = [node("Reshape", "x rows", "y"), node("MatMulInteger", "y w", "z")]
    weights = np.random.default_rng(5).integers(0, 256, (6, 7)).astype(np.uint8)
    made = model(nodes, {"x": (KINDS["uint8"], [1, 3, 3, 2])}, {"z": (KINDS["int32"], None)}, w=weights,
                 rows=np.array([3, 6]))  # fmt: skip
    same(made, HALVES, x=numbers(np.random.default_rng(6), (1, 3, 3, 2), "uint8"))


def chain(rng, shape):
    """Some moves one after the other, with their constants, what they make, and its features."""
    nodes, constants, name = [], {}, "x"
    for number in range(rng.integers(1, 5)):
        made, axis = f"y{number}", int(rng.integers(len(shape)))
        kind = rng.integers(6)
        if kind == 0:
            perm = rng.permutation(len(shape)).tolist()
            nodes.append(node("Transpose", name, made, perm=perm))
            shape = [shape[axis] for axis in perm]
        elif kind == 1:
            axes = int(rng.integers(1, 5))
            whole, sizes = int(np.prod(shape)), []
            for _ in range(axes - 1):
                sizes.append(int(rng.choice([n for n in range(1, 7) if whole % n == 0])))
                whole //= sizes[-1]
            shape = [int(n) for n in rng.permutation([*sizes, whole])]
            constants[f"c{number}"] = np.array(shape)
            nodes.append(node("Reshape", f"{name} c{number}", made))
        elif kind == 2:
            nodes.append(node("Concat", f"{name} {name}" if shape[axis] < 9 else name, made, axis=axis))
            shape = [n * (1 + (at == axis and n < 9)) for at, n in enumerate(shape)]
        elif kind == 3:
            back, size = bool(rng.integers(2)), shape[axis]
            given = [size - 1, -size - 9, axis, -2] if back else [size // 2, size + 9, axis, 1]
            names = [f"{name}{number}" for name in "fgij"]
            constants |= {key: np.array([value]) for key, value in zip(names, given, strict=True)}
            nodes.append(node("Slice", " ".join([name, *names]), made))
            shape = [len(range(size)[::-2] if back else range(size // 2, size)) if at == axis else n
                     for at, n in enumerate(shape)]  # fmt: skip
        elif kind == 4 and shape[axis] > 1:
            constants[f"c{number}"] = np.array([1, shape[axis] - 1])
            nodes.append(node("Split", f"{name} c{number}", f"first{number}", made, axis=axis))
            shape = [n - (at == axis) for at, n in enumerate(shape)]
        else:
            constants[f"c{number}"] = rng.integers(-shape[axis], shape[axis], rng.integers(1, 6))
            nodes.append(node("Gather", f"{name} c{number}", made, axis=axis))
            shape = [len(constants[f"c{number}"]) if at == axis else n for at, n in enumerate(shape)]
        name = made
    return nodes, constants, name, shape[-1]


@settings(max_examples=12, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32))
def test_chains(seed):
    """Then something is computed, so that the numbers lie as others expect them: by themselves, or with weights."""
    rng, kind = np.random.default_rng(seed), ["int8", "uint8"][seed % 2]
    shape = rng.integers(1, 6, rng.integers(2, 5)).tolist()
    nodes, constants, name, features = chain(rng, shape)
    weights = rng.integers(-128, 128, (features, 7)).astype(np.int8)
    nodes += [node("Max", f"{name} least", "last"), node("MatMulInteger", f"{name} weights", "sums")]
    # onnxruntime multiplies no int8 with int8.
    results = {name: KINDS[kind], "last": KINDS[kind]} | ({"sums": KINDS["int32"]} if kind == "uint8" else {})
    made = model(
        nodes, {"x": (KINDS[kind], shape)}, {key: (value, None) for key, value in results.items()},
        least=np.array(9, kind), weights=weights, **constants,
    )  # fmt: skip
    same(made, HALVES, x=numbers(rng, shape, kind))


@pytest.mark.parametrize(
    "nodes, sentence",
    [
        ([node("Concat", "x u", "y", axis=1)], "of [1, 3, 4, 4] and [1, 2, 3, 4]: all the input array dimensions"),
        ([node("Gather", "x far", "y", axis=1)], "node Gather → 'y': takes numbers 7…7 of an axis of 3"),
        ([node("Gather", "x i", "y", axis=1)], "input 'i' is computed, but must be a constant"),
        ([node("Slice", "x far far", "y")], "makes an empty tensor, [0, 3, 4, 4]; leave it out"),
        ([node("Reshape", "x far", "y")], "node Reshape → 'y': of [1, 3, 4, 4]: cannot reshape array of size 48"),
        ([node("Split", "x sizes", "a", "b", axis=9)], "node Split → 'a': of [1, 3, 4, 4]: there is no such axis"),
        ([node("SpaceToDepth", "x", "y", blocksize=0)], "of [1, 3, 4, 4]: integer division or modulo by zero"),
        ([node("Reshape", "x", "y")], "the model makes no sense: (op_type:Reshape): Input 1 is out of bounds."),
        ([node("Split", "x sizes", "a", "b", axis=1)], "splits an axis of 3 into [1, 1] for 2 outputs"),
        (
            [node("DequantizeLinear", "x s", "a"), node("DequantizeLinear", "x t", "b"),
             node("Concat", "a b", "c"), node("MaxPool", "c", "y", kernel_shape=[2, 2])],
            "takes 'c', which puts tensors of different scales together; quantise it first",
        ),
    ],
)  # fmt: skip
def test_sentences(nodes, sentence):
    made = model(
        nodes, {"x": (KINDS["int8"], [1, 3, 4, 4]), "u": (KINDS["int8"], [1, 2, 3, 4]), "i": (KINDS["int32"], [1])},
        {nodes[-1].output[-1]: (KINDS["int8"], None)}, far=np.array([7]), sizes=np.array([1, 1]), s=np.float32(0.5),
        t=np.float32(0.3),
    )  # fmt: skip
    with pytest.raises(InputError) as found:
        import_model(made)
    assert sentence in str(found.value)
    assert "\n" not in str(found.value)


def test_constants_are_quantised():
    """Weights that are moved before they are quantised."""
    rng = np.random.default_rng(5)
    nodes = [
        node("Reshape", "w wide", "w2"), node("QuantizeLinear", "w2 ws wz", "wq", axis=1),
        node("DequantizeLinear", "wq ws wz", "wr", axis=1), node("DequantizeLinear", "x xs", "xr"),
        node("MatMul", "xr wr", "sums"), node("QuantizeLinear", "sums ys yz", "y"),
    ]  # fmt: skip
    made = model(
        nodes, {"x": (KINDS["uint8"], [3, 20])}, {"y": (KINDS["int8"], None)}, wide=np.array([20, 6]),
        w=rng.normal(size=(2, 10, 6)).astype(np.float32), ws=rng.uniform(0.01, 0.03, 6).astype(np.float32),
        wz=np.zeros(6, np.int8), xs=np.float32(0.0625), ys=np.float32(0.25), yz=np.int8(-3),
    )  # fmt: skip
    same(made, TINY, x=numbers(rng, (3, 20), "uint8"))
