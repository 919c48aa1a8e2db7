"""The programs in ``programs/examples`` and ``docs/programming.md`` are legal and compute what they say."""

import re
from pathlib import Path

import numpy as np
import pytest

from golden.machine import run
from programs.digits.model import INPUTS
from programs.digits.program import IMAGES, build
from programs.examples import convolution, matmul_fp16
from tsp.assembler import assemble, assemble_file
from tsp.builder import Builder
from tsp.checker import check
from tsp.disassembler import disassemble
from tsp.floorplan import floorplan
from tsp.memory_map import typed
from tsp.program import Program

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "programs" / "examples"


def after(program: Program) -> Program:
    """The program's memory when the golden model has run it."""
    assert check(program).ok, str(check(program))
    return Program(program.config, {}, run(program).memory, program.symbols)


def test_every_example_is_tested() -> None:
    tested = {"vector_add", "scale", "transpose", "lookup", "softmax", "layer_norm", "fetched"}
    assert {path.stem for path in EXAMPLES.glob("*.tsp")} == tested
    assert {path.name for path in EXAMPLES.glob("*.py")} == {"convolution.py", "matmul_fp16.py", "node.py"}


def test_vector_add() -> None:
    program = assemble_file(EXAMPLES / "vector_add.tsp")
    x, y = (typed(program, program.symbols[name]) for name in "xy")
    assert (typed(after(program), program.symbols["z"]) == np.clip(x + y, -128, 127)).all()
    assert check(program).cycles == 6


def test_transpose() -> None:
    program = assemble_file(EXAMPLES / "transpose.tsp")
    x = np.stack([typed(program, program.symbols[f"x{i}"])[0] for i in range(16)])
    end = after(program)
    y = np.stack([typed(end, end.symbols[f"y{i}"])[0] for i in range(16)])
    for superlane in (slice(0, 16), slice(16, 32)):
        assert (y[:, superlane] == x[:, superlane].T).all()
    assert check(program).cycles == 13


def test_scale() -> None:
    program = assemble_file(EXAMPLES / "scale.tsp")
    x = typed(program, program.symbols["x"])
    assert (typed(after(program), program.symbols["y"]) == np.clip(np.round((3 * x + 5) / 4), -128, 127)).all()


def test_lookup() -> None:
    program = assemble_file(EXAMPLES / "lookup.tsp")
    table = typed(program, program.symbols["table"])
    tokens = typed(program, program.symbols["tokens"])[:, [0, 16]]
    rows = table.reshape(-1, 2, 16)
    expected = np.stack([rows[tokens[:, k], k] for k in range(2)], axis=1)
    assert (typed(after(program), program.symbols["y"]).reshape(-1, 2, 16) == expected).all()
    assert check(program).cycles == 8


def test_fetched() -> None:
    program = assemble_file(EXAMPLES / "fetched.tsp")
    x = typed(program, program.symbols["x"])
    assert len(program.queues[floorplan(program.config).queue("mem.w8").index]) == 3
    assert (typed(after(program), program.symbols["y"]) == x[::-1]).all()
    assert check(program).cycles == 58


def test_convolution() -> None:
    x, weights = convolution.example()
    program = convolution.build(x, weights)
    y = typed(after(program), program.symbols["y"]).reshape(-1, 2, 16)
    assert (y[..., :14] == convolution.meaning(x, weights)).all()


def test_matmul_fp16() -> None:
    x, weights = matmul_fp16.example()
    program = matmul_fp16.build(x, weights)
    assert (typed(after(program), program.symbols["y"]) == matmul_fp16.meaning(x, weights)).all()
    assert check(program).cycles == 44


def near(program: Program, name: str, wanted: np.ndarray) -> None:
    """A symbol's fp16 vectors after the program, within two units in the last place of fp16 of exact numbers."""
    y = typed(after(program), program.symbols[name]).astype(np.float64)
    ulp = np.spacing(np.abs(wanted).astype(np.float16)).astype(np.float64)
    assert (np.abs(y - wanted) <= 2 * ulp).all(), (y - wanted) / ulp


def test_softmax() -> None:
    program = assemble_file(EXAMPLES / "softmax.tsp")
    x = typed(program, program.symbols["x"]).astype(np.float64)
    e = np.exp(x - x.max(axis=0))
    near(program, "y", e / e.sum(axis=0))


def test_layer_norm() -> None:
    program = assemble_file(EXAMPLES / "layer_norm.tsp")
    x = typed(program, program.symbols["x"]).astype(np.float64)
    d = x - x.mean(axis=0)
    near(program, "y", d / np.sqrt((d * d).mean(axis=0) + 1e-5))


def test_the_python_in_the_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (ROOT / "docs" / "programming.md").read_text().split("## From Python")[1]
    code = re.search(r"```python\n(.*?)```", text, re.S)[1]
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(compile(code, "programming.md", "exec"), names)
    said = re.search(r"# (legal, \d+ cycles)", code)[1]
    assert capsys.readouterr().out == f"{said}\n{names['inputs'] @ names['weights'].T}\n"
    assert isinstance(names["b"], Builder)
    program = Program.load(tmp_path / "matmul.npz")
    result = typed(after(program), program.symbols["y"])
    assert (result == names["inputs"] @ names["weights"].T).all()


def test_the_assembly_in_the_text_is_the_example() -> None:
    text = (ROOT / "docs" / "programming.md").read_text()
    example = (EXAMPLES / "vector_add.tsp").read_text()
    for line in ("READ x, e4", "READ y, w4", "@2      ADD.sat e4:int8, w4:int8 -> e8:int8", "@5      WRITE z, e8"):
        assert line in text and line in example


def test_the_digits_survive_a_round_trip() -> None:
    program = build(np.ones((IMAGES, INPUTS), np.int8))
    again = assemble(disassemble(program))
    assert (again.queues, again.memory, again.config) == (program.queues, program.memory, program.config)
    assert again.symbols == program.symbols
