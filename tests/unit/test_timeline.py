"""``tsp timeline``: what it counts, what it prints, and one sentence for everything that goes wrong."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from tsp.assembler import assemble, assemble_file
from tsp.cli import run
from tsp.config import preset
from tsp.errors import InputError
from tsp.floorplan import floorplan
from tsp.flow.fetch import expand_program
from tsp.randprog import MISTAKES, illegal, legal
from tsp.timeline.html import page
from tsp.timeline.kinds import KINDS
from tsp.timeline.model import timeline, unit_of
from tsp.timeline.perfetto import trace
from tsp.timeline.text import render

EXAMPLES = Path(__file__).parents[2] / "programs" / "examples"
EXAMPLE = str(EXAMPLES / "vector_add.tsp")
Capture = pytest.CaptureFixture[str]

# Four READs, every other cycle from 2 on; a SYNC of cycle 0 that the NOTIFY of cycle 1 releases a barrier (19) later.
HAND = """.config tiny
.data x: mem.w0 int8 = [1], [2], [3], [4]
.queue mem.w0
@2      READ x, e4
        REPEAT 3, 2, 1
.queue mem.e0
        SYNC
        READ 7, w1
.queue mem.e4
@1      NOTIFY
@6      WRITE 9, e4
"""


def bars(text):
    found = timeline(assemble(text))
    return {
        queues(found)[queue].name: [(KINDS[b.kind].name, b.start, b.count, b.interval, b.wait) for b in row]
        for queue, row in found.bars.items()
    }


def queues(found):
    return floorplan(found.config).queues


def test_bars_are_bursts_and_waits():
    assert bars(HAND) == {
        "mem.w0": [("READ", 2, 4, 2, 0)],
        "mem.e0": [("SYNC", 0, 1, 1, 19), ("READ", 20, 1, 1, 0)],
        "mem.e4": [("NOTIFY", 1, 1, 1, 0), ("WRITE", 6, 1, 1, 0)],
    }


def test_utilisation_by_hand():
    found = timeline(assemble(HAND))
    # The last event is what the READ of cycle 20 drives, in cycle 22.
    assert (found.cycles, found.span, found.issues) == (23, 23, 8)
    uses = {use.unit: (use.queues, use.busy) for use in found.uses}
    # Four READs, one READ, one WRITE; SYNC and NOTIFY are the ICU's own.
    assert uses == {"MEM": (24, 6), "VXM": (4, 0), "MXM": (9, 0), "SXM": (20, 0), "C2C": (8, 0), "ICU": (65, 8)}
    assert found.uses[0].share(found.span) == pytest.approx(6 / (24 * 23))
    busy = found.busy(5)
    assert busy["MEM"].tolist() == [2, 3, 0, 0, 1]
    assert busy["ICU"].tolist() == [4, 3, 0, 0, 1]


def test_every_issue_is_the_dispatchers():
    for seed in range(3):
        program = legal(seed, preset("tiny"))
        found, unrolled = timeline(program), expand_program(program)
        issued = [(b.start + i * b.interval, b.queue) for b in unrolled.bursts for i in range(b.count)]
        issued += [(c.cycle, c.queue) for c in unrolled.controls]
        assert sorted(zip(found.time.tolist(), found.queue.tolist(), strict=True)) == sorted(issued)
        for use in found.uses[:-1]:
            mine = {q.index for q in queues(found) if unit_of(q) == use.unit}
            assert use.busy == sum(
                b.count for b in unrolled.bursts if b.queue in mine and b.instruction.mnemonic != "IFETCH"
            )
        for row in found.bars.values():
            assert all(a.end + a.wait <= b.start for a, b in zip(row, row[1:], strict=False))


def test_what_the_machine_skips_is_shown_but_not_counted():
    found = timeline(assemble(".config tiny\n.queue mem.e0\n.word 0xff\nREAD 127, e0\nREPEAT 3, 1, 1\nWRITE 0, e1"))
    (row,) = found.bars.values()
    assert [(KINDS[b.kind].name, b.start, b.count, bool(b.reason)) for b in row] == [
        ("illegal", 0, 1, True),
        ("READ", 1, 1, False),
        ("illegal", 2, 1, True),
        ("WRITE", 5, 1, False),
    ]
    assert found.issues == 2 and "illegal instruction" in found.fault


def test_text_has_a_letter_a_cycle(capsys: Capture, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert run(["timeline", EXAMPLE]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:7] == [
        "vector_add.tsp: 6 cycles, 4 instructions in 4 queues; a column is 1 cycle",
        "         0",
        "mem.w0   r.....",
        "vxm.r0s0 ..a...",
        "mem.e0   r.....",
        "mem.e4   .....w",
        "r READ   w WRITE   a ALU, integers",
    ]
    assert any(line.split()[1:10:2] == ["MEM", "24", "144", "3", "2.1"] for line in lines if "MEM" in line)


def test_text_is_squeezed_into_the_width(capsys: Capture, monkeypatch, tmp_path):
    monkeypatch.setenv("COLUMNS", "20")
    (tmp_path / "a.tsp").write_text(HAND)
    assert run(["timeline", str(tmp_path / "a.tsp")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "mem.w0 .rrrr......." in lines  # two cycles a column
    assert "mem.e0 S---------r." in lines
    assert "mem.e4 N..w........" in lines


def test_text_is_stable_and_has_no_colour_when_piped(capsys: Capture):
    run(["timeline", str(EXAMPLES / "softmax.tsp")])
    first = capsys.readouterr().out
    run(["timeline", str(EXAMPLES / "softmax.tsp")])
    assert capsys.readouterr().out == first and "\x1b" not in first


def test_a_program_that_does_nothing_has_a_timeline(capsys: Capture, tmp_path):
    (tmp_path / "a.tsp").write_text(".config tiny\n")
    assert run(["timeline", str(tmp_path / "a.tsp")]) == 0
    assert capsys.readouterr().out.startswith("a.tsp: 0 cycles, 0 instructions in 0 queues")


def test_mistakes_are_one_sentence(capsys: Capture, tmp_path):
    (tmp_path / "bad.npz").write_bytes(b"nothing")
    for arguments, said in [
        ([], "Missing argument 'PROGRAM'"),
        ([str(tmp_path / "none.tsp")], "No such file"),
        ([str(tmp_path / "bad.npz")], "bad.npz"),
        ([EXAMPLE, "--config", "groqchip"], "groqchip"),
    ]:
        assert run(["timeline", *arguments]) == 2, arguments
        captured = capsys.readouterr()
        assert said in captured.err and captured.err.count("\n") == 1 and captured.out == ""


def test_the_assembled_example_is_the_same(tmp_path, capsys: Capture):
    assemble_file(EXAMPLE).save(tmp_path / "vector_add.npz")
    run(["timeline", EXAMPLE])
    text = capsys.readouterr().out
    run(["timeline", str(tmp_path / "vector_add.npz")])
    assert capsys.readouterr().out.replace("vector_add.npz", "vector_add.tsp") == text


def trace_of(tmp_path, text=HAND):
    (tmp_path / "a.tsp").write_text(text)
    assert run(["timeline", str(tmp_path / "a.tsp"), "--perfetto", str(tmp_path / "a.json")]) == 0
    return json.loads((tmp_path / "a.json").read_bytes())["traceEvents"]


def test_perfetto_slices_are_the_dispatch(tmp_path):
    program = legal(5, preset("tiny"))
    program.save(tmp_path / "a.npz")
    assert run(["timeline", str(tmp_path / "a.npz"), "--perfetto", str(tmp_path / "a.json")]) == 0
    events = json.loads((tmp_path / "a.json").read_bytes())["traceEvents"]
    slices = [e for e in events if e["ph"] == "X"]
    assert all(e["dur"] >= 1 and e["args"]["issues"] in (0, e["dur"]) for e in slices)
    issued = [(e["tid"] - 1, e["ts"] + i) for e in slices for i in range(e["args"]["issues"])]
    unrolled = expand_program(program)
    expected = [(b.queue, b.start + i * b.interval) for b in unrolled.bursts for i in range(b.count)]
    assert sorted(issued) == sorted(expected + [(c.queue, c.cycle) for c in unrolled.controls])
    waits = {(e["tid"] - 1, e["ts"] + e["dur"]) for e in slices if e["name"] == "waiting"}
    assert waits == {(c.queue, c.resume) for c in unrolled.controls if c.resume > c.cycle + 1}


def test_perfetto_has_a_track_a_queue_and_a_counter_a_unit(tmp_path):
    events = trace_of(tmp_path)
    names = {(e["pid"], e["tid"]): e["args"]["name"] for e in events if e["name"] in ("process_name", "thread_name")}
    tracks = {name: names[pid, 0] for (pid, tid), name in names.items() if tid}
    assert tracks == {"mem.w0": "MEM", "mem.e0": "MEM", "mem.e4": "MEM"}
    (read,) = [e for e in events if e.get("cat") == "READ" and e["ts"] == 4]
    assert read["dur"] == 1
    assert read["args"] == {"instruction": "READ x, e4", "where": "a.tsp:4", "issue": 1, "issues": 1}
    counts = [(e["ts"], e["args"]["busy"]) for e in events if e["ph"] == "C" and e["name"] == "MEM busy %"]
    # One of 24 queues is 4.17 %: in cycle 6 mem.w0 and mem.e4, in cycle 20 mem.e0.
    one, two = 4.17, 8.33
    reads = [(2, one), (3, 0), (4, one), (5, 0), (6, two), (7, 0), (8, one), (9, 0), (20, one), (21, 0)]
    assert counts == [(0, 0), *reads, (23, 0)]


def test_too_much_for_perfetto_is_a_sentence(tmp_path, capsys: Capture):
    repeats = "READ 0, e0\nREPEAT 65535, 2\n" * 17
    (tmp_path / "a.tsp").write_text(f".config tiny\n.queue mem.e0\n{repeats}")
    assert run(["timeline", str(tmp_path / "a.tsp"), "--perfetto", str(tmp_path / "a.json")]) == 2
    assert "1114112 slices, at most 1000000 can be shown; use --html" in capsys.readouterr().err
    assert not (tmp_path / "a.json").exists()


def test_the_input_is_never_overwritten(tmp_path, capsys: Capture):
    source = tmp_path / "a.tsp"
    source.write_text(HAND)
    (tmp_path / "link").symlink_to(source)
    for file in (source, tmp_path / "link"):
        assert run(["timeline", str(source), "--perfetto", str(file)]) == 2
        assert capsys.readouterr().err == f"{file}: is what is read, must be another file\n"
    assert source.read_text() == HAND
    assert run(["timeline", str(source), "--perfetto", ""]) == 2
    assert run(["timeline", str(source), "--perfetto", str(tmp_path / "none" / "a.json")]) == 2
    assert capsys.readouterr().err.count("\n") == 2


def luminance(colour):
    """Relative luminance as WCAG 2 defines it."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_kinds_are_told_apart_on_light_and_dark():
    assert len({kind.letter for kind in KINDS}) == len({kind.colour for kind in KINDS}) == len(KINDS)
    dark, light = luminance("#1d2329"), luminance("#ffffff")
    for kind in KINDS:
        mine = luminance(kind.colour)
        assert (light + 0.05) / (mine + 0.05) > 2.7, kind
        assert (mine + 0.05) / (dark + 0.05) > 2.7, kind


@pytest.mark.parametrize("turn", range(3))
def test_broken_programs_have_a_timeline_too(turn):
    """Every class of mistake of the random generator is shown in all three forms."""
    config = preset("tiny")
    for seed in range(turn, len(MISTAKES), 3):
        program, _ = illegal(seed, config)
        try:
            found = timeline(program)
        except InputError as error:
            assert "IFETCH" in str(error)  # of words that the program makes itself
            continue
        assert found.issues == sum(bar.count for row in found.bars.values() for bar in row if not bar.reason)
        assert bool(found.fault) == bool(found.flow.faults)
        for made in (page(found, "x"), trace(found, "x")):
            assert len(made) > 1000
        Console(file=io.StringIO(), width=100).print(render(found, "x", 100))
