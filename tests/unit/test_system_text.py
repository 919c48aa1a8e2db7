"""Systems as text: what is written is read again."""

import dataclasses
from pathlib import Path

import pytest

from programs.examples import node
from tests.unit.systems import random_system
from tsp.assembler import assemble_file
from tsp.cli import run
from tsp.config import preset
from tsp.program import Program
from tsp.system import Chip, System
from tsp.system_file import load_system
from tsp.system_text import system_text


def read(system: System, folder: Path) -> System:
    (folder / "x.toml").write_text(system_text(system))
    return dataclasses.replace(load_system(folder / "x.toml", assemble_file), name=system.name)


@pytest.mark.parametrize("seed", range(8))
def test_any_system_is_read_as_it_was_written(seed: int, tmp_path: Path) -> None:
    system = random_system(seed)
    links = [dataclasses.replace(x, measured=(x.latency[0] + 3, x.latency[1]), jitter=7) for x in system.links]
    system = dataclasses.replace(system, links=tuple(links), ppm=50, preamble=bool(seed % 2))
    assert read(system, tmp_path) == system


def test_chips_may_differ_and_be_spares(tmp_path: Path) -> None:
    tiny, large = preset("tiny").override(["c2c=on", "links_w=2", "link_buffer=4"]), preset("groqchip")
    configs = [tiny, preset("tiny").override(["c2c=on", "queue_depth=64"]), large.override(["superlanes=2"]), tiny]
    chips = [Chip(name, config, Program(config), name == "d") for name, config in zip("abcd", configs, strict=True)]
    for chip in chips[1:]:
        text = system_text(System("x.toml", (chips[0], chip), ()))
        (tmp_path / "x.toml").write_text(text + f'[[link]]\nfrom = "a.e0"\nto = "{chip.name}.w0"\nlatency = 9\n')
        assert load_system(tmp_path / "x.toml", assemble_file).chips == (chips[0], chip)


def test_the_node_adds_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    node.write(tmp_path)
    arguments = ["run", "--system", str(tmp_path / "node8.toml"), str(tmp_path / "all_reduce.npz")]
    assert run([*arguments, "--dump", "chip7:sum_e0"]) == 0
    total = node.example().sum(axis=(0, 1), dtype=int)
    assert f"chip7:sum_e0[0]: {' '.join(map(str, total))}\n" in capsys.readouterr().out
