"""The page of ``tsp timeline --html``: one file that loads nothing, stable, and safe whatever names it shows."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tsp.assembler import assemble, assemble_file
from tsp.cli import run
from tsp.program import Symbol
from tsp.timeline.html import content, page
from tsp.timeline.model import timeline

EXAMPLES = Path(__file__).parents[2] / "programs" / "examples"
EXAMPLE = EXAMPLES / "vector_add.tsp"
EVIL = "</script><script>alert(1)</script><!--<script>&amp;'\"\u2028"


class Elements(HTMLParser):
    """Elements and their attributes, and the text of the scripts."""

    def __init__(self, text):
        super().__init__()
        self.found, self.scripts, self._script = [], [], False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        self._script = tag == "script"

    def handle_data(self, data):
        if self._script:
            self.scripts.append(data)

    def handle_endtag(self, tag):
        self._script = False


def columns(differences):
    return [sum(differences[: i + 1]) for i in range(len(differences))]


def test_the_page_loads_nothing(tmp_path):
    assert run(["timeline", str(EXAMPLE), "--html", str(tmp_path / "a.html")]) == 0
    text = (tmp_path / "a.html").read_text()
    elements = Elements(text).found
    assert not [tag for tag, attributes in elements if {"src", "href", "action", "data"} & set(attributes)]
    assert not {"link", "img", "iframe", "object", "embed", "base", "form"} & {tag for tag, _ in elements}
    assert set(re.findall(r"\w+://[\w./]*", text)) == {"http://www.w3.org/2000/svg"}  # a name, which is not loaded
    assert not re.search(r"url\(|@import|\bimport\b|fetch\(|XMLHttpRequest|WebSocket|innerHTML|eval\(", text)
    policy = next(a["content"] for tag, a in elements if tag == "meta" and "http-equiv" in a)
    assert policy.startswith("default-src 'none'")


def test_the_same_program_is_the_same_page(tmp_path):
    for name in ("a.html", "b.html"):
        assert run(["timeline", str(EXAMPLES / "softmax.tsp"), "--html", str(tmp_path / name)]) == 0
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_the_page_holds_bursts_with_their_lines():
    data = content(timeline(assemble_file(EXAMPLES / "scale.tsp")), "scale.tsp")
    found = timeline(assemble_file(EXAMPLES / "scale.tsp"))
    for row, (queue, bars) in zip(data["queues"], found.bars.items(), strict=True):
        assert columns(row["start"]) == [bar.start for bar in bars]
        assert columns(row["word"]) == [bar.index for bar in bars]
        lines = columns(row["line"])
        assert lines == [found.program.source.lines[queue, bar.index] for bar in bars]
        for form, bar, line in zip(row["form"], bars, lines, strict=True):
            text, kind, count, interval, *_ = data["forms"][form]
            assert (kind, count, interval) == (bar.kind, bar.count, bar.interval)
            assert data["texts"][text].split()[0].split(".")[0] in data["lines"][str(line)]


def test_drives_and_reads_have_their_latencies():
    data = content(timeline(assemble_file(EXAMPLE)), "x")
    shapes = {}
    for row in data["queues"]:
        (form,) = row["form"]
        shapes[row["name"]] = data["shapes"][data["forms"][form][6]]
    nothing = {"drives": [], "reads": [], "chains": [], "next": 0, "names": [], "scatters": 0}
    assert shapes["mem.w0"] == nothing | {"drives": [[4, 1, 2, 0]]}
    assert shapes["mem.e4"] == nothing | {"reads": [[8, 1, 0, 0]]}
    alu = {"drives": [[8, 1, 2, 0]], "reads": [[4, 1, 0, 0], [36, 1, 0, 1]], "names": ["a", "b", "c"]}
    assert shapes["vxm.r0s0"] == nothing | alu


@pytest.mark.parametrize("evil", [EVIL, "@DATA@", "@SCRIPT@ \\1 \\g<0>"])
def test_names_are_never_markup(evil):
    program = assemble(EXAMPLE.read_text())
    plain = [tag for tag, _ in Elements(page(timeline(program), "plain").decode()).found]
    program.symbols[evil] = Symbol(next(iter(program.symbols.values())).slice, 100, 1)
    program.source.name = evil
    program.source.text = {line: evil for line in program.source.text}
    text = page(timeline(program), evil).decode()
    found = Elements(text)
    assert [tag for tag, _ in found.found] == plain
    data = json.loads(found.scripts[0])
    assert data["name"] == data["source"] == evil and evil in [symbol[0] for symbol in data["symbols"]]
    assert data["fault"] == "" and set(data["lines"].values()) == {" ".join(evil.split())}


def test_a_name_that_is_no_text_has_a_page():
    assert page(timeline(assemble(".config tiny")), "a\udc80.tsp").startswith(b"<!doctype html>")


def test_a_page_for_nothing():
    data = content(timeline(assemble(".config tiny")), "x")
    assert (data["queues"], data["span"]) == ([], 1)


def test_files_that_cannot_be_written_are_a_sentence(tmp_path, capsys):
    source = tmp_path / "a.tsp"
    source.write_text(EXAMPLE.read_text())
    both = str(tmp_path / "a.out")
    for options, said in [
        (["--html", str(source)], "is what is read, must be another file"),
        (["--html", both, "--perfetto", both], "is named by --html and by --perfetto, must be two files"),
        (["--html", str(tmp_path)], "Is a directory"),
        (["--html", ""], "--html: must name a file"),
    ]:
        assert run(["timeline", str(source), *options]) == 2
        captured = capsys.readouterr()
        assert said in captured.err and captured.err.count("\n") == 1 and captured.out == ""
    assert [path.name for path in tmp_path.iterdir()] == ["a.tsp"]
    assert source.read_text() == EXAMPLE.read_text()
