"""ONNX models: the chip's outputs are onnxruntime's, bit for bit."""

import json
import os

import numpy as np
import onnx
import onnxruntime
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper, numpy_helper

import tsp
from programs.digits import networks
from programs.digits.data import load_digits
from tsp.checker import check
from tsp.cli import cli
from tsp.cli import run as tsp_command
from tsp.compiler.graph import Graph
from tsp.compiler.onnx_file import load
from tsp.compiler.onnx_import import import_model
from tsp.config import preset
from tsp.errors import InputError
from tsp.explain import by_layer, explain

TINY, GROQCHIP = preset("tiny").override(["mem_words=512", "queue_depth=2048"]), preset("groqchip")
FULL = bool(os.environ.get("TSP_FULL"))
IMAGES = load_digits().data.astype(np.int8)


def reference(model, **values):
    session = onnxruntime.InferenceSession(model.SerializeToString())
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, values), strict=True))


def same(model, config, **values):
    """The chip's outputs, which must be onnxruntime's."""
    found, want = tsp.compile(model, config)(**values), reference(model, **values)
    assert found.keys() == want.keys()
    for name in want:
        assert found[name].dtype == want[name].dtype and found[name].shape == want[name].shape
        assert np.array_equal(found[name], want[name]), f"{name}: {(found[name] != want[name]).sum()} differ"
    return found


def model(nodes, inputs, outputs, **constants):
    """A model of nodes; ``inputs`` and ``outputs``: name → (element type, shape)."""
    graph = helper.make_graph(
        nodes, "test", [helper.make_tensor_value_info(name, *info) for name, info in inputs.items()],
        [helper.make_tensor_value_info(name, *info) for name, info in outputs.items()],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def test_all_digits_on_the_perceptron():
    found = same(networks.mlp(len(IMAGES)), GROQCHIP, images=IMAGES)["logits"]
    assert (found.argmax(1) == load_digits().target).mean() > 0.98


def test_digits_on_the_convolutional_network():
    """A tenth of them; with full counts all."""
    count = 64
    compiled = tsp.compile(networks.cnn(count), GROQCHIP.override(["queue_depth=16384"]))
    chosen = IMAGES if FULL else IMAGES[: 3 * count]
    batches = [chosen[first : first + count] for first in range(0, len(chosen), count)]
    found = []
    for batch in batches:
        padded = np.zeros((count, 1, 8, 8), np.int8)
        padded[: len(batch)] = batch.reshape(-1, 1, 8, 8)
        found.append(compiled(padded)["logits"][: len(batch)])
    want = reference(networks.cnn(len(chosen)), images=chosen.reshape(-1, 1, 8, 8))["logits"]
    assert np.array_equal(np.concatenate(found), want)
    assert (want[:, :, 0, 0].argmax(1) == load_digits().target[: len(chosen)]).mean() > 0.93


@pytest.mark.parametrize("most", [254, 255])
def test_weights_beyond_int8(most):
    x, w = np.full((1, 2), 200, np.uint8), np.array([[most, 0, 1], [128, most, 127]], np.uint8)
    made = model(
        [helper.make_node("MatMulInteger", ["x", "w"], ["y"])],
        {"x": (TensorProto.UINT8, [1, 2])}, {"y": (TensorProto.INT32, [1, 3])}, w=w,
    )  # fmt: skip
    same(made, TINY, x=x)


@pytest.mark.parametrize("types", [("uint8", "int8"), ("uint8", "uint8"), ("int8", "int8")])
def test_matmul_integer(types):
    """Zero points of both sides, also those that take weights beyond int8."""
    rng = np.random.default_rng(1)
    kinds = {"uint8": (TensorProto.UINT8, 0, 256), "int8": (TensorProto.INT8, -128, 128)}
    (kind, low, high), (_, low_w, high_w) = (kinds[name] for name in types)
    x = rng.integers(low, high, (5, 37)).astype(types[0])
    w = rng.integers(low_w, high_w, (37, 40)).astype(types[1])
    zeros = {"xz": np.array(low + 20, types[0]), "wz": np.array(high_w - 30, types[1])}
    made = model(
        [helper.make_node("MatMulInteger", ["x", "w", "xz", "wz"], ["y"])],
        {"x": (kind, [5, 37])}, {"y": (TensorProto.INT32, [5, 40])}, w=w, **zeros,
    )  # fmt: skip
    exact = (x.astype(int) - zeros["xz"]) @ (w.astype(int) - zeros["wz"])
    assert np.array_equal(tsp.compile(made, TINY)(x)["y"], exact)
    if types[0] == "uint8":
        same(made, TINY, x=x)


def test_qlinear_matmul():
    rng = np.random.default_rng(2)
    made = model(
        [helper.make_node("QLinearMatMul", ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz"], ["y"])],
        {"x": (TensorProto.UINT8, [7, 50])}, {"y": (TensorProto.UINT8, [7, 33])},
        w=rng.integers(-128, 128, (50, 33)).astype(np.int8), xs=np.float32(0.02), xz=np.uint8(131),
        ws=np.float32(0.0137), wz=np.int8(0), ys=np.float32(0.41), yz=np.uint8(117),
    )  # fmt: skip
    same(made, TINY, x=rng.integers(0, 256, (7, 50)).astype(np.uint8))


@pytest.mark.parametrize("group, auto", [(1, "NOTSET"), (4, "NOTSET"), (1, "SAME_UPPER")])
def test_qlinear_conv(group, auto):
    """Groups, paddings with a zero point, a scale for each channel."""
    rng = np.random.default_rng(3)
    placed = {"pads": [1, 0, 0, 1]} if auto == "NOTSET" else {"auto_pad": auto}
    nodes = [
        helper.make_node(
            "QLinearConv",
            ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz", "b"],
            ["y"],
            group=group,
            strides=[2, 1],
            **placed,
        )
    ]
    lines = (6 + 1 - 3) // 2 + 1 if auto == "NOTSET" else 3
    columns = 7 + 1 - 3 + 1 if auto == "NOTSET" else 7
    shape = [1, 6 if group == 1 else 8, lines, columns]
    out = shape[1]
    made = model(
        nodes, {"x": (TensorProto.UINT8, [1, 4, 6, 7])}, {"y": (TensorProto.UINT8, shape)},
        w=rng.integers(-128, 128, (out, 4 // group, 3, 3)).astype(np.int8), xs=np.float32(0.02), xz=np.uint8(100),
        ws=rng.uniform(0.01, 0.03, out).astype(np.float32), wz=np.zeros(out, np.int8), ys=np.float32(0.8),
        yz=np.uint8(99), b=rng.integers(-3000, 3000, out).astype(np.int32),
    )  # fmt: skip
    same(made, TINY, x=rng.integers(0, 256, (1, 4, 6, 7)).astype(np.uint8))


@pytest.mark.parametrize("kind, low", [("int8", -128), ("uint8", 0)])
def test_a_pool_is_padded_with_less_than_anything(kind, low):
    made = model(
        [helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2])],
        {"x": (getattr(TensorProto, kind.upper()), [1, 5, 6, 6])},
        {"y": (getattr(TensorProto, kind.upper()), [1, 5, 3, 3])},
    )
    x = np.random.default_rng(5).integers(low, low + 60, (1, 5, 6, 6)).astype(kind)
    same(made, TINY, x=x)
    imported = import_model(made)
    rows = np.moveaxis(x.astype(int) - imported.inputs["x"].offset, 1, -1).reshape(36, 5).astype(np.int8)
    assert np.array_equal(tsp.compile(imported.graph, TINY)(rows)["y"], imported.graph.evaluate({"x": rows})["y"])


@pytest.mark.parametrize("places", [{"strides": [2, 2]}, {"strides": [2, 3], "pads": [1, 0, 0, 1]}])
def test_a_pool_whose_last_windows_the_edge_cuts(places):
    """As SqueezeNet has them."""
    made = model(
        [helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[3, 3], ceil_mode=1, **places)],
        {"x": (TensorProto.UINT8, [1, 5, 8, 7])}, {"y": (TensorProto.UINT8, None)},
    )  # fmt: skip
    same(made, TINY, x=np.random.default_rng(6).integers(0, 256, (1, 5, 8, 7)).astype(np.uint8))


def test_dequantised_graph():
    """QDQ: a float graph between quantised tensors becomes sums of whole numbers, scaled once."""
    rng = np.random.default_rng(4)
    w1, w2 = (rng.integers(-128, 128, shape).astype(np.int8) for shape in ((20, 30), (8, 30)))
    nodes = [
        helper.make_node("DequantizeLinear", ["x", "xs", "xz"], ["xd"]),
        helper.make_node("DequantizeLinear", ["w1", "ws"], ["w1d"]),
        helper.make_node("MatMul", ["xd", "w1d"], ["m"]),
        helper.make_node("Relu", ["m"], ["r"]),
        helper.make_node("QuantizeLinear", ["r", "hs", "hz"], ["h"]),
        helper.make_node("DequantizeLinear", ["h", "hs", "hz"], ["hd"]),
        helper.make_node("DequantizeLinear", ["w2", "ws"], ["w2d"]),
        helper.make_node("DequantizeLinear", ["b2", "bs"], ["b2d"]),
        helper.make_node("Gemm", ["hd", "w2d", "b2d"], ["g"], transB=1),
        helper.make_node("QuantizeLinear", ["g", "ys", "yz"], ["y"]),
    ]
    scales = {"xs": np.float32(0.25), "ws": np.float32(0.5), "hs": np.float32(16), "ys": np.float32(256)}
    zeros = {"xz": np.uint8(120), "hz": np.uint8(0), "yz": np.int8(3)}
    made = model(
        nodes, {"x": (TensorProto.UINT8, [6, 20])}, {"y": (TensorProto.INT8, [6, 8])}, w1=w1, w2=w2,
        b2=rng.integers(-99, 99, 8).astype(np.int32), bs=np.float32(8), **scales, **zeros,
    )  # fmt: skip
    same(made, TINY, x=rng.integers(0, 256, (6, 20)).astype(np.uint8))


def refused(nodes, inputs, outputs, **constants):
    with pytest.raises(InputError) as found:
        import_model(model(nodes, inputs, outputs, **constants))
    return str(found.value)


I8 = {"x": (TensorProto.INT8, [2, 3])}


def test_what_is_not_supported_is_named():
    out = {"y": (TensorProto.INT8, [2, 3])}
    found = refused([helper.make_node("Softmax", ["x"], ["y"], name="last")], I8, out)
    assert found.startswith("node 'last' Softmax → 'y': is not supported; supported are Add, And, AveragePool,")
    found = refused([helper.make_node("Identity", ["x"], ["y"])], {"x": (TensorProto.INT8, ["batch", 3])}, out)
    assert found == "input 'x' has shape ['batch', 3]; every axis must be a number (fix the dynamic ones)"
    found = refused([helper.make_node("Identity", ["x"], ["y"])], {"x": (TensorProto.DOUBLE, [2, 3])}, out)
    kinds = "int8, uint8, int32, float32, float16, bool, int4, uint4, int2, uint2"
    assert found == f"input 'x' is double; supported are {kinds}"
    found = refused([helper.make_node("MatMulInteger", ["x", "z"], ["y"])], I8 | {"z": (TensorProto.INT8, [3, 3])}, out)
    assert found.endswith("input 'z' is computed, but must be a constant")
    found = refused([helper.make_node("MatMul", ["x", "w"], ["y"])], I8, out, w=np.ones((3, 3), np.float32))
    assert "multiplies floats; put DequantizeLinear before both inputs" in found


def test_foreign_files(tmp_path):
    path = tmp_path / "m.onnx"
    for data, sentence in ((b"hello", "is no ONNX model"), (b"", "is no ONNX model")):
        path.write_bytes(data)
        with pytest.raises(InputError, match=sentence):
            load(path)
    whole = networks.mlp(2).SerializeToString()
    for cut in range(0, len(whole), 397):
        path.write_bytes(whole[:cut])
        try:
            load(path)
        except InputError as error:
            assert "\n" not in str(error)
    with pytest.raises(InputError, match="No such file"):
        load(tmp_path / "none.onnx")


def test_commands(tmp_path, capsys):
    onnx.save(networks.mlp(6), str(tmp_path / "m.onnx"))
    np.save(tmp_path / "x.npy", IMAGES[:6])
    made = CliRunner().invoke(
        cli, ["compile", str(tmp_path / "m.onnx"), "--config", "tiny", "-o", str(tmp_path / "m.npz")]
    )
    assert made.exit_code == 0 and "int32[6, 10]" in made.output and "legal" in made.output
    arguments = [
        "run",
        str(tmp_path / "m.npz"),
        "--input",
        str(tmp_path / "x.npy"),
        "--output",
        str(tmp_path / "y.npy"),
    ]
    assert tsp_command(arguments) == 0
    want = reference(networks.mlp(6), images=IMAGES[:6])["logits"]
    assert np.array_equal(np.load(tmp_path / "y.npy"), want)
    capsys.readouterr()
    assert tsp_command(arguments[:4]) == 0
    printed = capsys.readouterr().out
    assert "logits int32[6, 10]:" in printed and "as the file holds it" not in printed
    assert tsp_command(arguments[:2]) == 0
    assert "images int8[6, 64]: as the file holds it (zeros from tsp compile); --input" in capsys.readouterr().out


def test_names_are_text_and_nothing_else(tmp_path, capsys):
    """Of tensors and nodes; in tables, which have a markup of their own, too."""
    made = model([helper.make_node("Relu", ["[/b]"], ["y"], name="[red]a[/b]")], {"[/b]": (TensorProto.INT8, [2, 3])},
                 {"y": (TensorProto.INT8, [2, 3])})  # fmt: skip
    onnx.save(made, str(tmp_path / "m.onnx"))
    assert tsp_command(["compile", str(tmp_path / "m.onnx"), "--config", "tiny", "-o", str(tmp_path / "m.npz")]) == 0
    assert "[/b]" in capsys.readouterr().out
    for option in ("--path", "--layers"):
        assert tsp_command(["explain", str(tmp_path / "m.npz"), option]) == 0
        assert "[red]a[/b]" in capsys.readouterr().out.replace("\n", "")


def test_progress_is_shown_on_terminals_only(tmp_path, capsys, monkeypatch):
    onnx.save(networks.mlp(6), str(tmp_path / "m.onnx"))
    for terminal, shown in (("0", False), ("1", True)):
        monkeypatch.setenv("TTY_COMPATIBLE", terminal)
        made = ["compile", str(tmp_path / "m.onnx"), "--config", "tiny", "-o", str(tmp_path / "m.npz")]
        assert tsp_command(made) == 0
        captured = capsys.readouterr()
        assert ("check" in captured.err) == shown and "check" not in captured.out
        assert shown or captured.err == ""


def test_the_readme(tmp_path, capsys):
    """Its models and images fit each other."""
    assert CliRunner().invoke(networks.main, [str(tmp_path)]).exit_code == 0
    for name, shape in (("mlp", "int32[24, 10]"), ("cnn", "int32[1, 10, 1, 1]")):
        made = [str(tmp_path / f"{name}.{suffix}") for suffix in ("onnx", "npz", "npy")]
        assert tsp_command(["compile", made[0], "--config", "tiny", "-o", made[1]]) == 0
        assert tsp_command(["run", made[1], "--input", made[2]]) == 0
        assert f"logits {shape}:" in capsys.readouterr().out


def test_explain(tmp_path, capsys):
    """Of the convolution on three planes: rows of four pixels, so 16 for each of two blocks; the pool picks its columns
    from two blocks, twice; the last product takes eight pairs of pixels."""
    path = str(tmp_path / "cnn.npz")
    tsp.compile(networks.cnn(1), preset("tiny"), "cnn.onnx").program.save(path)
    assert tsp_command(["explain", path, "--json"]) == 0
    parts = json.loads(capsys.readouterr().out)
    first = parts[0]
    assert (first["products"], first["loads"], first["bound"]) == (6, 2 * 2, "latency")
    assert first["text"].startswith("positive:relu_0.0 rows 0…5: images.0 × signed:matmul_0.constant.1.0.0 → ")
    assert sum(part["products"] for part in parts) == 2 * 16 + 2 * 2 * 8 + 8
    assert tsp_command(["explain", path]) == 0 and "bound by" in capsys.readouterr().out
    assert tsp_command(["explain", "programs/examples/vector_add.tsp"]) == 2
    assert "was not compiled from a network" in capsys.readouterr().err


def test_layers(tmp_path, capsys):
    """All passes of a node of the model, or of a tensor of a graph, in one row."""
    path = str(tmp_path / "cnn.npz")
    compiled = tsp.compile(networks.cnn(1), preset("tiny"))
    compiled.program.save(path)
    parts = {}
    for option in ((), ("--layers",)):
        assert tsp_command(["explain", path, *option, "--json"]) == 0
        parts[option] = json.loads(capsys.readouterr().out)
    layers = parts["--layers",]
    assert [part["text"] for part in layers] == ["positive (6 passes)", "pooled (8 passes)", "logits (1 pass)"]
    assert len(parts[()]) == 6 + 8 + 1
    for kind in ("products", "loads", "alus"):
        assert sum(part[kind] for part in layers) == sum(part[kind] for part in parts[()])
    assert max(part["last"] for part in layers) == check(compiled.program).cycles - 1
    assert tsp_command(["explain", path, "--layers", "--path"]) == 2
    graph = Graph()
    x = graph.input("x", (32, 1), image=(1, 1, 32))
    graph.output("y", graph.max_pool(graph.relu(x), (1, 2)))
    found = by_layer(explain(tsp.compile(graph, preset("tiny")).program))
    assert [part.text.partition(" ")[0] for part in found] == ["relu_0", "max_pool_0"]
    assert tsp_command(["explain", path, "--layers"]) == 0 and "positive (6" in capsys.readouterr().out


def test_the_critical_path(tmp_path, capsys):
    """Convolution, the pool's lines, its columns one by one, read-out: each reads what the one before wrote."""
    path = str(tmp_path / "cnn.npz")
    tsp.compile(networks.cnn(1), preset("tiny"), "cnn.onnx").program.save(path)
    assert tsp_command(["explain", path, "--path", "--json"]) == 0
    links = json.loads(capsys.readouterr().out)
    assert [link["text"].partition(" ")[0] for link in links] == [
        "positive:relu_0.0", "pooled:max_pool_0.convert.5.0", "pooled:max_pool_0.convert.7.0", "pooled:max_pool_0.0",
        "logits:matmul_0.0",
    ]  # fmt: skip
    assert links[0]["waited"] == 0 and all(link["waited"] >= 1 for link in links[1:])
    assert [link["last"] for link in links] == sorted(link["last"] for link in links)
    assert tsp_command(["explain", path, "--path"]) == 0 and "waited" in capsys.readouterr().out


def test_messages_name_the_pass():
    """The checker blames the pass that a word is of."""
    compiled = tsp.compile(networks.mlp(4), preset("tiny"), "mlp.onnx")
    first = min(compiled.program.queues)
    compiled.program.queues = {index: words for index, words in compiled.program.queues.items() if index != first}
    problem = str(check(compiled.program).problems[0])
    assert problem.startswith("mlp.onnx:")


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (
            ["compile", "m.onnx", "--config", "tiny", "-o", "m.npz", "--dump-after", "x"],
            "stages are fold, lower, place, schedule",
        ),
        (["compile", "m.onnx", "--config", "tiny", "-o", "m.bin"], "m.bin: must end in .npz; try m.bin.npz"),
        (["compile", "none.onnx", "--config", "tiny", "-o", "m.npz"], "none.onnx: No such file"),
        (["run", "p.npz", "--input", "images=y.txt"], "must be input=FILE.npy"),
        (["run", "p.npz", "--input", "img=y.npy"], "its inputs are images"),
        (["run", "p.npz", "--input", "wide.npy"], "input 'images' is int8[1, 3], must be int8[2, 64]"),
        (["run", "p.npz", "--output", "logits=y.npy"], "no value for input 'images'"),
        (["run", "p.npz", "--input", "x.npy", "--output", "no/y.npy"], "no/y.npy: cannot be written: No such file"),
        (["run", "p.npz", "--input", "x.npy", "--output", "x.npy"], "x.npy: is what is read, must be another file"),
    ],
)
def test_bad_input(arguments, sentence, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    onnx.save(networks.mlp(2), "m.onnx")
    tsp.compile(networks.mlp(2), preset("tiny")).program.save("p.npz")
    np.save("wide.npy", np.ones((1, 3), np.int8))
    np.save("x.npy", IMAGES[:2])
    assert tsp_command(arguments) == 2
    out, error = capsys.readouterr()
    assert sentence in error and error.count("\n") == 1 and not out
    assert not (tmp_path / "m.npz").exists() and np.array_equal(np.load("x.npy"), IMAGES[:2])
