"""What all ``python -m tb…`` commands do alike: a build folder that cannot be had is a sentence, a report is whole."""

import errno
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from tb import __main__ as sim
from tb import command, digits, regress, synth, tools
from tb.bench import __main__ as bench
from tb.coverage import __main__ as coverage
from tsp.errors import InputError


def never(*arguments, **named):
    raise AssertionError("the work began before the build folder was there")


COMMANDS = {
    "tb": (sim.main, ["--sim", "icarus", "--bench", "mem"], (sim, "run_bench")),
    "digits": (digits.main, ["--sim", "icarus"], (digits, "measure")),
    "regress": (regress.main, ["--sim", "icarus", "--seeds", "1"], (regress, "prepare")),
    "coverage": (coverage.main, ["--seeds", "1"], (coverage, "cover")),
    "synth": (synth.main, [], (synth, "synthesise")),
    "bench": (bench.main, ["--only", "golden"], (bench, "measure")),
}


@pytest.fixture(params=COMMANDS)
def run(request, monkeypatch):
    """Runs a command that must not come to its work."""
    main, arguments, (module, work) = COMMANDS[request.param]
    monkeypatch.setattr(tools, "tool", lambda sim: None)
    monkeypatch.setattr(sim.simulator, "tool", lambda sim: None)
    monkeypatch.setattr(module, work, never)
    return lambda: CliRunner().invoke(main, arguments)


def test_a_build_folder_that_cannot_be_made_is_one_sentence(run, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("TSP_BUILD", str(tmp_path / "file" / "build"))
    done = run()
    assert done.exit_code == 2, done.output
    assert done.output.startswith(f"error: {tmp_path}/file/build") and "Not a directory" in done.output
    assert "TSP_BUILD=FOLDER" in done.output and done.output.count("\n") == 1
    assert (tmp_path / "file").read_text() == "no folder"


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
