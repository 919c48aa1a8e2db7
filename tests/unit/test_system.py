"""Systems: what the file may say, what is refused in it, and what chips do wrong only together."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from golden.system import run_system
from tb.link import chips
from tests.golden.test_links import RECEIVER_AT, SENDER
from tests.unit.systems import random_system, row
from tsp.assembler import assemble_file
from tsp.errors import InputError
from tsp.run_system import run_checked
from tsp.start import started
from tsp.system import System
from tsp.system_check import check_system, resolve_system
from tsp.system_file import load_system

FILE = """
config = "tiny"
set = ["c2c=on"]
[[chip]]
name = "a"
program = "a.tsp"
[[chip]]
name = "b"
program = "b.tsp"
set = ["link_buffer=4"]
[[link]]
from = "a.e0"
to = "b.w0"
latency = [216, 200]
measured = [220, 201]
"""
READY = 4 + 6 + 220 + 3 + 3
MARGIN = 9 + 11 + 1 + 2
"""J, ε of one edge, a cycle of drift begun, 2."""


def load(folder: Path, text: str = FILE, sender: str = SENDER, receiver: str = "") -> System:
    (folder / "a.tsp").write_text(sender)
    (folder / "b.tsp").write_text(receiver or RECEIVER_AT.format(at=READY + MARGIN))
    (folder / "two.toml").write_text(text)
    return load_system(folder / "two.toml", assemble_file)


def problem(folder: Path, **files: str) -> str:
    system = load(folder, **files)
    return str(check_system(system)).replace(f"{folder}/", "")


def test_a_vector_goes_from_chip_to_chip_with_the_least_margin(tmp_path: Path) -> None:
    system = load(tmp_path)
    report = check_system(system)
    assert str(report) == f"legal, {max(report.cycles)} cycles, of which the start takes {report.zero}"
    results = run_system(system)
    assert [result.cycles for result in results] == report.cycles and not any(result.faults for result in results)
    assert results[1].values(system.chips[1].program.symbols["y"])[:, 0].tolist() == [1, 2, 3]
    # What is computed does not depend on the preamble.
    assert report.cycles[1] == report.zero + READY + MARGIN + 4 + 6 + 1
    assert problem(tmp_path, receiver=RECEIVER_AT.format(at=READY + MARGIN - 1)) == (
        f"two.toml: chip b: b.tsp:4: c2c.w0: cycle {READY + MARGIN - 1}: RECEIVE of link w0 is 1 cycle too early for"
        f" the vector that chip a sends in cycle 4, with a margin of {MARGIN}; works from cycle {READY + MARGIN}"
    )


def test_a_receive_that_is_too_early_is_named_before_what_its_reader_misses(tmp_path: Path) -> None:
    lines = RECEIVER_AT.format(at=READY + MARGIN).replace(f"@{READY + MARGIN}", f"@{READY + MARGIN - 2}", 1)
    early, missing = problem(tmp_path, receiver=lines).split("\n")
    assert f"cycle {READY + MARGIN - 2}: RECEIVE of link w0 is 2 cycles too early for" in early
    assert "nothing arrives on it" in missing


@pytest.mark.parametrize(
    "programs, message",
    [
        (
            {"receiver": RECEIVER_AT.format(at=300).replace("REPEAT 2, 3\n", "REPEAT 3, 3\n", 1)},
            "RECEIVE of link w0 has none to take: chip a sends 3 vectors on link e0; add a SEND, or take the RECEIVE a",
        ),
        ({"receiver": ".queue mem.w0\nNOP 1"}, ""),
        (
            {"sender": SENDER.replace("2, 3", "5, 3").replace("[3]", "[3], [4], [5], [6]")},
            "two.toml: chip b: link w0: the vector that chip a sends in cycle 16 may find 4 in the receive buffer, whi",
        ),
        (
            {"sender": SENDER.replace("2, 3", "5, 3").replace("[3]", "[3], [4], [5], [6]"),
             "receiver": RECEIVER_AT.format(at=300)},
            "sends in cycle 16 may find 4 in the receive buffer, which holds 4 (link_buffer); send it 76 cycles later",
        ),
        (
            {"receiver": RECEIVER_AT.format(at=300) + ".queue c2c.e0\n@7 RECEIVE 0, w9\n"},
            "chip b: b.tsp:10: c2c.e0: cycle 7: RECEIVE of link e0, which is not connected; give b.e0 a [[link]]; chip",
        ),
        (
            {"sender": SENDER + ".data z: mem.w0 int8 = 1\n.queue mem.w0\nREAD z, w4\n.queue c2c.w0\n@4 SEND 0, w4\n"},
            "chip a: a.tsp:13: c2c.w0: cycle 4: SEND on link w0, which is not connected; give a.w0 a [[link]]; chip",
        ),
        ({"sender": SENDER.replace("2, 3", "2, 2")}, "two.toml: chip a: a.tsp:7: c2c.e0: cycle 6: SEND on link e0 mee"),
        ({"sender": SENDER + "@40 RUNTIME_DESKEW 40"}, "chip b: has none where chip a has RUNTIME_DESKEW 40 in cycle"),
        (
            {
                "sender": SENDER + "@40 RUNTIME_DESKEW 13",
                "receiver": ".queue c2c.w0\n@40 RUNTIME_DESKEW 13",
            },
            "cycle 40: RUNTIME_DESKEW 13 may be too short: in",
        ),
    ],
)
def test_what_is_wrong_only_together(programs: dict[str, str], message: str, tmp_path: Path) -> None:
    found = problem(tmp_path, **programs)
    assert message in found and (message or found.startswith("legal")), found


def test_programs_that_do_not_start_together_are_refused(tmp_path: Path) -> None:
    text = "preamble = false\n" + FILE
    assert "chip b: nothing makes its schedule time that of the others; begin with DESKEW or" in str(
        check_system(load(tmp_path, text))
    )
    never = str(check_system(load(tmp_path, text, ".queue c2c.e0\nDESKEW\n", ".queue c2c.w0\nPOLL 0\n")))
    assert "chip b: c2c.w0: cycle 0: POLL of link w0 waits for ever: it needs 1 vector, but chip a sends 0 on" in never
    late = str(check_system(load(tmp_path, text, ".queue c2c.e0\nDESKEW\n", ".queue c2c.w0\nDESKEW\nDESKEW\n")))
    assert "chip b: behind its last DESKEW or POLL it is 255 cycles behind chip a; its preamble must take" in late


def test_programs_wait_once_more_together(tmp_path: Path) -> None:
    sender, receiver = f"{SENDER}@300 DESKEW\n", ".queue c2c.w0\n@300 POLL 0\nRECEIVE 0, e4\nREPEAT 2, 3\n"
    assert problem(tmp_path, sender=sender, receiver=receiver).startswith("legal")
    alone = problem(tmp_path, sender=SENDER, receiver=receiver)
    assert "behind its last DESKEW or POLL it is" in alone and "those of all other chips DESKEW or POLL in the" in alone


@pytest.mark.parametrize("seed", range(6))
def test_started_systems_without_programs_are_legal(seed: int) -> None:
    assert check_system(random_system(seed)).ok


REFUSED = [
    ("from = \"a.e0\"", "from = \"a.e1\"", "link 0: from is 'a.e1', but chip a has no port 'e1'; it has w0, e0, or m"),
    ("from = \"a.e0\"", "from = \"a.e7\"", 'or more with set = ["links_e=8"]'),
    ("from = \"a.e0\"", "from = \"a.e16\"", "chip a has no port 'e16'; it has w0, e0"),
    ("latency = [216, 200]", "", "link a.e0 - b.w0: 'latency' is missing; such as latency = 216"),
    ("set = [\"c2c=on\"]", "set = \"c2c=on\"", 'set is \'c2c=on\', must be a list such as ["c2c=on"]'),
    ("[[chip]]\nname = \"a\"", "[[chip]]\nspare = true\nname = \"c\"\n[[chip]]\nname = \"a\"", "root = 'a' works"),
    ("to = \"b.w0\"", "to = \"c.w0\"", "link 0: to is 'c.w0', but there is no chip 'c'"),
    ("latency = [216, 200]", "latency = 0", "link a.e0 - b.w0: latency is 0, must be 1…65536; try 1"),
    ("latency = [216, 200]", "latency = [216, 70000]", "b.w0: latency is 70000, must be 1…65536; try 65536"),
    ("latency = [216, 200]", "latency = 216.5", "latency is 216.5, must be cycles, one whole number or two"),
    ("latency = [216, 200]", "latency = [216, 200]\njitter = 65", "a.e0 - b.w0: jitter is 65, must be 0…64; try 64"),
    ("latency = [216, 200]", "latency = [1, 2, 3]", "latency is [1, 2, 3], must be cycles, one whole number or two"),
    ("measured = [220, 201]", "measured = [249, 200]", "measured latency 249 is 33 cycles from the nominal 216, at mo"),
    ("to = \"b.w0\"", "to = \"a.e0\"", "joins a port to itself; join two"),
    ("name = \"b\"", "name = \"a\"", "two chips are called 'a'; names must differ"),
    ("name = \"b\"", "name = \"b c\"", "chip 1: name is 'b c', must be 1…64 letters, digits, '_' or '-'"),
    ("set = [\"c2c=on\"]", "", 'chip a: config tiny has c2c=False; add set = ["c2c=on"]'),
    ("config = \"tiny\"", "config = \"tinny\"", "chip a: unknown config 'tinny'; did you mean 'tiny'?"),
    ("config = \"tiny\"", "", "chip a: 'config' is missing"),
    ("config = \"tiny\"", "config = 3", "chip a: config is 3, must be a text"),
    ("link_buffer=4", "superlanes=4", "the chips have superlanes=2 and superlanes=4, must have the same"),
    ("link_buffer=4", "superlanez=4", "chip b: set superlanez=4: unknown field 'superlanez'; did you mean 'superlanes"),
    ("[[link]]", "[[lnik]]", "unknown key 'lnik'; did you mean 'link'?"),
    ("config = \"tiny\"", "config = \"tiny\"\nroot = \"x\"", "root is 'x', which is no chip"),
    ("config = \"tiny\"", "config = \"tiny\"\nppm = 2000", "ppm is 2000, must be 0…200; try 200"),
    ("config = \"tiny\"", "config = \"tiny\"\nppm = true", "ppm is True, must be a whole number"),
    ("config = \"tiny\"", "config = \"tiny\"\npreamble = 1", "preamble is 1, must be true or false"),
    ("program = \"b.tsp\"", "program = \"c.tsp\"", "chip b: {folder}/c.tsp: cannot be read: No such file"),
    ("[[chip]]", "[chip]", "is not TOML"),
    ("[[link]]", "[[chip]]\nname = \"c\"\n[[link]]", "no links lead from chip 'a' to chip 'c'; join it to one that is"),
    (
        "[[link]]",
        "[[link]]\nfrom = \"a.w0\"\nto = \"b.w0\"\nlatency = 9\n[[link]]",
        "link 1: port b.w0 is joined by link 0 already; b.e0 is free",
    ),
    (
        "[[link]]",
        "[[link]]\nfrom = \"a.w0\"\nto = \"b.e0\"\nlatency = 9\ntree = true\n[[link]]\ntree = true",
        "link 1: tree is true, but its chips are joined without it; a tree has no circle",
    ),
    (
        "[[link]]",
        "[[chip]]\nname = \"c\"\n[[link]]\nfrom = \"c.w0\"\nto = \"b.e0\"\nlatency = 9\n[[link]]\ntree = true",
        "no links with tree = true lead from chip 'a' to chip 'c'; give one more link tree = true, or none",
    ),
]  # fmt: skip


@pytest.mark.parametrize("old, new, message", REFUSED, ids=[message[:40] for _, _, message in REFUSED])
def test_files_that_are_refused(old: str, new: str, message: str, tmp_path: Path) -> None:
    assert old in FILE
    with pytest.raises(InputError) as caught:
        load(tmp_path, FILE.replace(old, new, 1))
    found = str(caught.value)
    assert message.replace("{folder}", str(tmp_path)) in found
    assert found.startswith(f"{tmp_path}/two.toml: ") and "\n" not in found


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: row([(216, -1)]), "latency is -1, must be 1…65536; try 1"),
        (lambda: dataclasses.replace(row([(216, 216)]).links[0], measured=(216, 249)), "measured latency 249 is 33 cy"),
        (lambda: dataclasses.replace(row([(216, 216)]).links[0], jitter=-1), "jitter is -1, must be 0…64; try 0"),
        (lambda: dataclasses.replace(row([(216, 216)]), ppm=201), "ppm is 201, must be 0…200; try 200"),
    ],
)
def test_links_that_no_machine_has_are_refused_from_python_too(make: Callable[[], object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()


def test_mistakes_of_a_program_say_whose_it_is(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        load(tmp_path, receiver=".queue c2c.w0\nRECIEVE 0, e4\nSEND 7, e4\n")
    place = f"{tmp_path}/two.toml: chip b: {tmp_path}/b.tsp"
    typo, port = str(caught.value).split("\n")
    assert typo.startswith(f"{place}:2:") and "did you mean 'RECEIVE'?" in typo
    assert port.startswith(f"{place}:3:") and "links_w=1" in port


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    assert load(tmp_path, f"\ufeff{FILE}").chips[1].name == "b"


def test_cycles_of_a_poll_that_waits_for_ever_count_from_cycle_0_of_the_programs(tmp_path: Path) -> None:
    text = FILE.replace('program = "a.tsp"\n', "")
    assert str(check_system(load(tmp_path, text, receiver=".queue c2c.w0\n@7 POLL 0\n"))).endswith(
        "two.toml: chip b: c2c.w0: cycle 7: POLL of link w0 waits for ever: it needs 2 vectors, but chip a sends 1 on"
        " link e0; add a SEND"
    )


def test_a_start_that_a_queue_has_no_room_for_is_named(tmp_path: Path) -> None:
    assert problem(tmp_path, text=FILE.replace("[216, 200]", "65000").replace("[220, 201]", "65000")).endswith(
        "but holds 256 (queue_depth); 12 too many, with the start that is put before the program"
    )


def test_the_tree_is_breadth_first_from_the_root_and_says_how_far_apart_hacs_are() -> None:
    system = row([(216, 216)] * 3)
    assert system.depth == [0, 1, 2, 3] and system.apart(0, 3) == 33 and system.apart(1, 3) == 22
    assert system.apart(2, 2) == 0 and system.drift(5000) == 1 and system.drift(5001) == 2
    for seed in range(20):
        found = random_system(seed)
        assert found.depth[found.root] == 0 and len(found.tree) == len(found.chips) - 1
        for link in found.links:
            a, b = (found.depth[port.chip] for port in link.ends)
            assert abs(a - b) <= 1


def test_times_are_common_behind_the_start(tmp_path: Path) -> None:
    system = load(tmp_path)
    resolved = resolve_system(system)
    assert resolved.zero == started(system)[1]
    sends, receives = resolved.flows[0].sends, resolved.flows[1].receives
    sent = resolved.arrived[0].common(resolved.flows[0].issues.time[sends.issue])
    taken = resolved.arrived[1].common(resolved.flows[1].issues.time[receives.issue])
    assert (taken[1:] - sent[1:]).tolist() == [READY + MARGIN - 4] * 3




def test_a_simulator_has_wires_as_they_were_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def told(system: System, *_: object) -> None:
        raise InputError(f"wires {[channel.latency for channel in system.nominal]}")

    monkeypatch.setattr(chips, "run", told)
    with pytest.raises(InputError, match=r"wires \[220, 201\]"):
        run_checked(load(tmp_path), on="icarus")
