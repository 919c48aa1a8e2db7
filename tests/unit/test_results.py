"""``python -m tb.results``: a report is kept with its commit, machine and command."""

import json
import os
import subprocess

import pytest

from tb import results
from tsp.errors import InputError


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A checkout with one commit, and a report made after it."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    reports = tmp_path / "build" / "reports"
    reports.mkdir(parents=True)
    monkeypatch.setenv("TSP_BUILD", str(tmp_path / "build"))
    (folder / "file").write_text("text")
    for command in (["init", "-q"], ["add", "file"], ["commit", "-q", "-m", "One"]):
        identity = ["-c", "user.name=n", "-c", "user.email=n@example.org"]
        subprocess.run(["git", "-C", folder, *identity, *command], check=True)
    (reports / "bench.json").write_text(json.dumps({"rows": [], "log": f"{folder}/build/a.log"}))
    return folder


def test_a_report_is_kept_with_where_it_came_from(checkout):
    path = results.keep("bench", checkout=checkout)
    assert path == checkout / "docs" / "results" / "bench.json"
    kept = json.loads(path.read_text())
    head = subprocess.run(["git", "-C", checkout, "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip()
    assert kept["commit"] == head and not kept["changed"] and kept["command"] == "make bench"
    assert kept["report"] == {"rows": [], "log": "build/a.log"}
    assert kept["machine"]["cores"] == os.cpu_count() and kept["machine"]["cpu"]
    assert os.uname().nodename not in path.read_text().split('"')


def test_changed_files_show(checkout):
    (checkout / "file").write_text("changed")
    assert json.loads(results.keep("bench", "make bench", checkout).read_text())["changed"]


def test_an_old_report_is_refused(checkout, tmp_path):
    os.utime(tmp_path / "build" / "reports" / "bench.json", (1, 1))
    with pytest.raises(InputError, match="older than the last commit; run make bench again"):
        results.keep("bench", checkout=checkout)
    assert not (checkout / "docs").exists()


def test_a_missing_report_and_an_unknown_command_are_named(checkout, tmp_path):
    with pytest.raises(InputError, match="no report 'bnech'.*did you mean 'bench'"):
        results.keep("bnech", checkout=checkout)
    (tmp_path / "build" / "reports" / "own.json").write_text("{}")
    with pytest.raises(InputError, match="say --command"):
        results.keep("own", checkout=checkout)
    assert json.loads(results.keep("own", "my command", checkout).read_text())["command"] == "my command"


def test_no_commit_no_result(checkout):
    with pytest.raises(InputError, match="results belong to a commit"):
        results.keep("bench", checkout=checkout.parent / "build")
