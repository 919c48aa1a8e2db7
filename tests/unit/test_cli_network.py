"""``tsp network``: figures, pictures, and a sentence for what does not work."""

import json
import xml.etree.ElementTree as tree
from pathlib import Path

import pytest

from golden.network import report, schedule
from golden.network.topology import topology
from tb import network
from tsp.cli import run

Capture = pytest.CaptureFixture[str]


def test_hops_and_bandwidth(capsys: Capture) -> None:
    assert run(["network", "hops", "--nodes", "33"]) == 0
    assert "51,744" in capsys.readouterr().out
    assert run(["network", "bandwidth", "--nodes", "33"]) == 0
    assert "50.58" in capsys.readouterr().out
    assert run(["network", "hops", "--racks", "2", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["chips"] == 144 and sum(found["canonical"]) == 144**2
    assert run(["network", "bandwidth", "--nodes", "2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["canonical"]["bytes_per_second"] == 12.5e9 * 15 / 3


def test_a_route_is_printed_written_and_drawn(tmp_path: Path, capsys: Capture) -> None:
    picture, plan = tmp_path / "route.svg", tmp_path / "route.json"
    asked = ["network", "route", "--nodes", "1", "--from", "0", "--to", "5", "--bytes", "65536"]
    assert run([*asked, "--draw", str(picture), "-o", str(plan)]) == 0
    printed = capsys.readouterr().out
    assert "1,177" in printed and "4,579" in printed
    assert tree.parse(picture).getroot().tag.endswith("svg")
    written = json.loads(plan.read_text())
    assert sum(packet["size"] for packet in written["packets"]) == 65536
    assert len({(row["chip"], row["port"], row["slot"]) for row in written["slots"]}) == len(written["slots"])
    assert run([*asked, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["packets"] == 205


@pytest.mark.parametrize("arguments, pairs", [(["--to", "3"], 15), (["--from", "3"], 15), ([], 240)])
def test_every_chip_that_is_not_named(arguments: list[str], pairs: int, capsys: Capture) -> None:
    assert run(["network", "route", "--nodes", "2", *arguments, "--bytes", "9", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["transfers"] == pairs


def test_aligned_clocks(tmp_path: Path, capsys: Capture) -> None:
    picture = tmp_path / "hac.png"
    asked = ["network", "align", "--nodes", "1", "--cycles", "30000"]
    assert run([*asked, "--draw", str(picture)]) == 0
    assert "locked after" in capsys.readouterr().out and picture.read_bytes()[:4] == b"\x89PNG"
    assert run([*asked, "--seed", "2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["seed"] == 2


def test_the_same_picture_has_the_same_bytes(tmp_path: Path) -> None:
    files = [tmp_path / "a.svg", tmp_path / "b.svg"]
    for file in files:
        assert run(["network", "draw", "--racks", "3", "-o", str(file)]) == 0
    assert files[0].read_bytes() == files[1].read_bytes() and b"3 racks" in files[0].read_bytes()


@pytest.mark.parametrize(
    "arguments, said",
    [
        ("hops", "say nodes 33"),
        ("hops --nodes 34", "nodes 33 works, and so does racks 4"),
        ("hops --racks 146", "racks 145 works"),
        ("hops --nodes 3 --racks 3", "either nodes (1…33) or racks (2…145)"),
        ("draw --nodes 3 -o x.pdf", "x.pdf: a picture is an .svg or a .png; x.svg works"),
        ("draw --nodes 3 -o nowhere/x.svg", "nowhere/x.svg: cannot be written: No such file or directory"),
        ("align --nodes 3 --draw x.gif", "x.gif: a picture is"),
        ("align --nodes 3 --cycles 100", "400000 works"),
        ("route --nodes 1 --bytes 0", "'--bytes': 0 is not in the range x>=1"),
        ("route --nodes 1 --from 8 --bytes 5", "chip 8: the system has chips 0…7"),
        ("route --nodes 1 --from 2 --to 2 --bytes 5", "chip 2 sends to itself"),
        ("route --nodes 33 --bytes 6400", "1,393,920 packets, at most 1,000,000 are placed at once; name a chip"),
        ("route --nodes 1 --from 0 --to 5 --bytes 320000001", "at most 1,000,000 are placed at once; send less"),
    ],
)
def test_bad_input_is_one_sentence(
    arguments: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["network", *arguments.split()]) == 2
    printed = capsys.readouterr()
    assert said in printed.err and printed.err.count("\n") == 1 and printed.out == ""
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_schedule_is_not_reported() -> None:
    made = schedule.schedule(topology(nodes=1), [schedule.Transfer(0, 1, 640)])
    made.placed[1] = made.placed[1]._replace(slot=made.placed[0].slot)
    with pytest.raises(
        report.Wrong, match=r"report it: packets 0 and 1 are both on port 0 of chip 0 in slot 0"
    ) as wrong:
        report.routed(made)
    assert wrong.value.exit_code == 1


def test_the_report_holds_figures_against_their_limits() -> None:
    rows = {row.name: row for row in network.measure({"nodes": 2, "racks": 2}, 30_000, 1)}
    assert all(row.verdict != "missed" for row in rows.values())
    assert rows["16 chips: most hops, canonical"].value == 2
    assert rows["144 chips: pairs without a way"].value == 0
    assert rows["144 chips: HAC locked after"].limit == 200_000
