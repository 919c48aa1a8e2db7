"""What all ``python -m tb…`` commands do alike: a build folder that cannot be had is a sentence, a report is whole."""

import errno
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from tb import __main__ as sim
from tb import command, digits, regress, simulator, synth, systems
from tb.bench import __main__ as bench
from tb.coverage import __main__ as coverage
from tb.mutation import __main__ as mutation
from tsp.errors import InputError


def never(*arguments, **named):
    raise AssertionError("the work began before the build folder was there")


COMMANDS = {
    "tb": (sim.main, ["--sim", "icarus", "--bench", "mem"], (sim, "run_bench")),
    "digits": (digits.main, ["--sim", "icarus"], (digits, "measure")),
    "regress": (regress.main, ["--sim", "icarus", "--seeds", "1"], (regress, "prepare")),
    "coverage": (coverage.main, ["--seeds", "1"], (coverage, "cover")),
    "mutate": (mutation.main, ["--block", "stream"], (mutation, "mutate")),
    "synth": (synth.main, [], (synth, "synthesise")),
    "systems": (systems.main, [], (systems, "measure")),
    "bench": (bench.main, ["--only", "golden"], (bench, "measure")),
}


@pytest.fixture
def run(monkeypatch):
    """Runs a command that must not come to its work, with options beside its own."""

    def run(name, *options):
        main, arguments, (module, work) = COMMANDS[name]
        monkeypatch.setattr(simulator, "tool", lambda sim: None)
        monkeypatch.setattr(module, work, never)
        return CliRunner().invoke(main, [*arguments, *options])

    return run


@pytest.mark.parametrize("name", COMMANDS)
def test_a_build_folder_that_cannot_be_made_is_one_sentence(name, run, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("TSP_BUILD", str(tmp_path / "file" / "build"))
    done = run(name)
    assert done.exit_code == 2, done.output
    assert done.output.startswith(f"error: {tmp_path}/file/build") and "Not a directory" in done.output
    assert "TSP_BUILD=FOLDER" in done.output and done.output.count("\n") == 1
    assert (tmp_path / "file").read_text() == "no folder"


@pytest.mark.parametrize("count", ["0", "-3", "many"])
@pytest.mark.parametrize(
    "name, option", [("regress", "--seeds"), ("coverage", "--seeds"), ("bench", "--repeats"), ("systems", "--runs")]
)
def test_nothing_to_do_is_a_wrong_question(name, option, count, run, monkeypatch, tmp_path):
    monkeypatch.setenv("TSP_BUILD", str(tmp_path / "build"))
    done = run(name, option, count)
    assert done.exit_code == 2 and f"'{option}': " in done.output and count in done.output
    assert not (tmp_path / "build").exists()


@pytest.mark.parametrize("name", COMMANDS)
def test_a_wrong_option_is_one_sentence(name, run, monkeypatch, tmp_path):
    monkeypatch.setenv("TSP_BUILD", str(tmp_path / "build"))
    done = run(name, "--no-such-option")
    assert (done.exit_code, done.output.count("\n")) == (2, 1)
    assert done.output.startswith("error: No such option '--no-such-option'")


def test_a_wrong_seed_is_one_sentence(run):
    done = run("tb", "--seed", "abc")
    assert (done.exit_code, done.output) == (2, "error: Invalid value for '--seed': 'abc' is not a valid integer.\n")


def test_a_report_that_cannot_be_finished_leaves_the_old_one(monkeypatch, tmp_path):
    monkeypatch.setenv("TSP_BUILD", str(tmp_path))
    path = command.report_path("sim")
    command.write_report(path, {"old": 1})
    old = path.read_text()

    def full(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(InputError, match=r"sim\.json: cannot be written: No space left"):
        command.write_report(path, {"new": 2})
    assert path.read_text() == old and list(path.parent.iterdir()) == [path]


def test_a_file_that_is_missing_elsewhere_is_named_without_the_build_folder(capsys):
    with pytest.raises(SystemExit) as ended, command.one_sentence():
        Path("/nonexistent/file").read_text()
    assert ended.value.code == 2
    assert capsys.readouterr().err == "error: /nonexistent/file: No such file or directory\n"
