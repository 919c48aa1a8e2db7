"""Every ONNX operator on the RTL: what it gives is what ONNX wants, in the predicted cycles, on one chip model."""

import os

import numpy as np
from onnx import TensorProto, helper

import golden.machine
import tsp
from tb import machine, regress
from tb.compare import compare
from tests.compiler.test_onnx_nodes import node_cases, prepared
from tests.compiler.test_onnx_operators import model, node, reference
from tsp.checker import check
from tsp.compiler import onnx_float
from tsp.compiler.onnx_operators import OPERATORS
from tsp.config import preset
from tsp.tensors import outputs

CONFIG = preset("tiny")
UINT8, INT32 = TensorProto.UINT8, TensorProto.INT32
FULL = bool(os.environ.get("TSP_FULL"))
RNG = np.random.default_rng(1)


def ints(dtype, *shape, low=None):
    limits = np.iinfo(dtype)
    return RNG.integers(limits.min if low is None else low, limits.max, shape, dtype, endpoint=True)


def floats(*shape):
    return RNG.integers(-9, 9, shape).astype(np.float32) / 2


def chain(*operators):
    """Nodes, each of which takes what the one before made as its first input."""
    found = []
    for number, (op, *more) in enumerate(operators):
        attributes = more.pop() if more and isinstance(more[-1], dict) else {}
        found.append(node(op, f"y{number - 1}" if number else "x", *more, outputs=[f"y{number}"], **attributes))
    return found


def quantised(op, *more):
    """An operator on real numbers, with the scale 1 / 4, between DequantizeLinear and QuantizeLinear."""
    return ("DequantizeLinear", "s"), (op, *more), ("QuantizeLinear", "s", "z")


def of_bytes():
    """Operators on whole numbers and bool."""
    x, z = ints("int8", 2, 5), ints("int8", 2, 5)
    bits = chain(
        ("BitwiseAnd", "z"), ("BitwiseOr", "o"), ("BitwiseXor", "z"), ("BitwiseNot",), ("BitCast", {"to": UINT8}),
        ("BitShift", "u", {"direction": "RIGHT"}), ("Cast", {"to": INT32}), ("CastLike", "o"), ("Identity",),
    )  # fmt: skip
    yield bits, {"x": x, "z": z}, {"o": np.int8([33]), "u": np.uint8([1, 2, 3, 1, 0])}
    whole = chain(
        ("Add", "z"), ("Sub", "z"), ("Mul", "z"), ("Min", "z"), ("Max", "o"), ("Clip", "o", "p"), ("Div", "d"),
        ("Mod", "d"),
    )  # fmt: skip
    yield whole, {"x": x, "z": z}, {"o": np.int8(-99), "p": np.int8(99), "d": np.int8([3, -7, 11, 1, -2])}
    names = "Less", "LessOrEqual", "Greater", "GreaterOrEqual", "Equal"
    compares = [node(op, "x", "z", outputs=[op]) for op in names]
    logic = [
        node("And", "LessOrEqual", "GreaterOrEqual", outputs=["a"]), node("Or", "Less", "a", outputs=["b"]),
        node("Xor", "b", "Greater", outputs=["c"]), node("Not", "c", outputs=["d"]),
        node("Xor", "d", "Equal", outputs=["e"]), node("Where", "e", "x", "z"),
    ]  # fmt: skip
    yield compares + logic, {"x": x, "z": z}, {}


def of_floats():
    """Operators on float32, and those that make or take it."""
    one = helper.make_tensor("one", TensorProto.FLOAT, [], [1.25])
    real = [
        node("Constant", outputs=["c"], value=one), node("Mul", "x", "c", outputs=["m"]),
        node("Relu", "m", outputs=["r"]), node("Round", "r", outputs=["n"]),
        node("ReduceMax", "n", outputs=["h"], keepdims=0), node("ReduceMin", "x", outputs=["l"], keepdims=0),
        node("Div", "h", "l"),
    ]  # fmt: skip
    yield real, {"x": floats(2, 2) - 5 * np.eye(2, dtype=np.float32)}, {}
    yield [node("DynamicQuantizeLinear", "x", outputs=["y0", "y1", "y2"])], {"x": np.float32([-1.5, 4])}, {}
    scales = chain(("QuantizeLinear", "s", "z"), ("DequantizeLinear", "s", "z"))
    yield scales, {"x": floats(2, 3)}, {"s": np.float32([0.1, 0.2, 0.3]), "z": np.uint8([128, 9, 77])}


def products():
    """Operators on images and matrices."""
    pool = chain(("MaxPool", {"kernel_shape": [2, 2]}), ("ConvInteger", "w", "o"))
    yield pool, {"x": ints("uint8", 1, 2, 3, 3)}, {"w": ints("uint8", 3, 2, 2, 2), "o": np.uint8(9)}
    linear = chain(
        ("QLinearConv", "s", "o", "w", "s", "o", "t", "o"), ("Flatten",),
        ("QLinearMatMul", "s", "o", "v", "s", "o", "t", "o"), ("MatMulInteger", "v"),
    )  # fmt: skip
    constants = {"w": ints("int8", 4, 2, 3, 3), "v": ints("int8", 4, 4), "o": np.int8(0)}
    yield linear, {"x": ints("int8", 2, 2, 3, 3)}, constants | {"s": np.float32(0.1), "t": np.float32(3)}
    network = chain(
        *quantised("Conv", "rw"), *quantised("AveragePool", {"kernel_shape": [2, 2]}), *quantised("GlobalAveragePool"),
        ("Flatten",), *quantised("Gemm", "rv"), *quantised("MatMul", "rv"),
    )  # fmt: skip
    weights = [node("DequantizeLinear", name, "s", outputs=[f"r{name}"]) for name in "wv"]
    constants = {"w": ints("int8", 3, 2, 1, 1) >> 4, "v": ints("int8", 3, 3) >> 4}
    given = {"x": ints("int8", 2, 2, 5, 5)}
    yield [*weights, *network], given, constants | {"s": np.float32(0.25), "z": np.int8(0)}


def moves():
    """Operators that only move numbers, of bytes."""
    nodes = [
        node("Shape", "x", outputs=["size"]), node("SpaceToDepth", "x", outputs=["deep"], blocksize=2),
        node("DepthToSpace", "deep", outputs=["wide"], blocksize=2, mode="CRD"),
        node("Transpose", "wide", outputs=["last"], perm=[0, 2, 3, 1]), node("Reshape", "last", "size", outputs=["y"]),
        node("Split", "y", outputs=["a", "b"], axis=1, num_outputs=2), node("Concat", "b", "x", "a", axis=1),
    ]  # fmt: skip
    yield nodes, {"x": ints("uint8", 1, 4, 2, 2)}, {}


def of_halves():
    """Operators on float16, whose products take a pair of planes."""
    w, v, row = (RNG.normal(size=shape).astype(np.float16) for shape in ((6, 4), (4, 5), (5,)))
    functions = chain(
        ("MatMul", "w"), ("Gemm", "v"), ("LayerNormalization", "row", "row"), ("RMSNormalization", "row"),
        ("Softmax",), ("Neg",), ("Abs",), ("Sqrt",), ("Exp",), ("Pow", "two"), ("Tanh",), ("Sigmoid",),
    )  # fmt: skip
    given = {"x": RNG.normal(size=(3, 6)).astype(np.float16)}
    yield functions, given, {"w": w, "v": v, "row": row, "two": np.float16(2)}
    shapes = chain(
        ("Unsqueeze", "zero"), ("Squeeze", "zero"), ("Reshape", "shape"),
        ("Concat", "row", {"axis": 1}), ("Gather", "which", {"axis": 1}), ("Slice", "zero", "one", "zero"),
        ("ReduceSum", "one"), ("ReduceMean", "one"), ("ReduceMax", "one"),
    )  # fmt: skip
    numbers = {"zero": [0], "one": [1], "shape": [3, 6], "which": [5, 0, 8, 2]}
    constants = {name: np.array(value, np.int64) for name, value in numbers.items()}
    yield shapes, given | {"row": RNG.normal(size=(3, 3)).astype(np.float16)}, constants


def of_tables():
    """Rows chosen by numbers that are given, one of them from the end, and by bytes."""
    cast = node("Cast", "b", outputs=["c"], to=TensorProto.INT64)
    chosen = [node("Gather", "t", "x", outputs=["p"]), cast, node("Gather", "t", "c", outputs=["q"])]
    given = {"x": np.int64([[2, -1], [0, 39]]), "b": np.uint8([[3, 38], [0, 1]])}
    yield [*chosen, node("Add", "p", "q")], given, {"t": RNG.normal(size=(40, 20)).astype(np.float16)}


def programs():
    """(operators, program with its inputs, wanted outputs); with full counts of the node tests too."""
    for nodes, inputs, constants in (*of_bytes(), *of_floats(), *products(), *moves(), *of_halves(), *of_tables()):
        made = model(nodes, inputs, constants)
        wanted = reference(made, inputs)
        yield {made.op_type for made in nodes}, tsp.compile(made, CONFIG).with_inputs(inputs), wanted
    for case in node_cases() if FULL else ():
        kinds = {made.op_type for made in case.model.graph.node}
        if kinds <= OPERATORS.keys():
            made, inputs, wanted = prepared(case)
            yield kinds, tsp.compile(made, CONFIG).with_inputs(inputs), wanted


def near(found, want):
    """The same; or of float16, which the model rounds after every node, about that."""
    if want.dtype != np.float16:
        return np.array_equal(found, want)
    return np.abs(found.astype(float) - want).max() <= abs(want).max() * 2.0**-8


def test_operators_on_the_rtl():
    operators, given, wanted = zip(*programs(), strict=True)
    assert set().union(*operators) == OPERATORS.keys() | onnx_float.NODES.keys()
    assert all(check(program).ok for program in given)
    expected = [golden.machine.run(program) for program in given]
    jobs = [regress.job(program, want) for program, want in zip(given, expected, strict=True)]
    for program, want, found, arrays in zip(
        given, expected, machine.run(jobs, CONFIG, "verilator"), wanted, strict=True
    ):
        assert [str(difference) for difference in compare(want, found, CONFIG)] == []
        made = outputs(program, lambda place, address, r=found: r.memory[place, address])
        for name, array in arrays.items():
            assert near(made[name], array), f"{name}: {made[name]} must be {array}"
