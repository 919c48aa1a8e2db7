"""``make systems``: its programs are legal and right on the golden model, and what a chip does otherwise is told."""

import dataclasses

import numpy as np
import pytest

from golden.system import run_system
from tb.link.chips import Run, Wires, measures
from tb.machine import Fault, RtlResult
from tb.systems import ROWS, Row, differences, wires
from tests.unit.systems import row as chips_in_a_row
from tsp.errors import InputError
from tsp.floorplan import floorplan
from tsp.system import System
from tsp.system_check import check_system


def as_expected(system: System) -> Run:
    """What RTL must bring: what the golden model does."""
    chips = []
    for chip, result in zip(system.chips, run_system(system), strict=True):
        words = {(s.slice, s.address + k) for s in chip.program.symbols.values() for k in range(s.count)}
        memory = {word: result.words(word[0], [word[1]])[0] for word in words}
        signatures = {floorplan(chip.config).slice(name).index: value for name, value in result.signature.items()}
        tiles = np.zeros((0, chip.config.superlanes), np.uint64)
        chips.append(RtlResult(True, result.cycles, None, memory, signatures, tiles, 0, 0.0, 0.0, 0, 0, 0))
    return Run(chips, [], [])


@pytest.mark.parametrize("row", ROWS[:3], ids=lambda row: row.name)
def test_whatever_is_done_otherwise_is_told(row: Row) -> None:
    collective, right = row.make()
    system, found = collective.system, as_expected(collective.system)
    report, expected = check_system(system), run_system(system)
    assert report.ok, str(report)

    def told(**changed: object) -> list[str]:
        last = dataclasses.replace(found.chips[-1], **changed)
        return differences(collective, right, Run([*found.chips[:-1], last], [], []), expected, report)

    last, number = found.chips[-1], len(system.chips) - 1
    place, value = next(iter(last.signatures.items()))
    symbol = collective.parts[-1][0]
    word = symbol.slice, symbol.address
    assert told() == []
    assert told(done=False) == [f"chip {number}: done False, fault None"]
    assert told(fault=Fault(7, 1, 13)) == [f"chip {number}: done True, fault {Fault(7, 1, 13)}"]
    assert told(cycles=1) == [f"chip {number} took 1 cycles, not {last.cycles}"]
    assert told(signatures=last.signatures | {place: value ^ 1}) == [
        f"chip {number}: events are not those of the golden model"
    ]
    assert told(memory=last.memory | {word: last.memory[word] ^ 1}) == ["the RTL has other numbers"]


def test_every_run_has_clocks_and_wires_of_its_own() -> None:
    system = ROWS[-1].make()[0].system
    runs = [wires(system, seed) for seed in range(1, 7)]
    assert len({tuple(run.ppm) for run in runs}) == 6 and all(max(map(abs, run.ppm)) <= 100 for run in runs)
    assert len({tuple(run.uneven) for run in runs}) == 6
    for run in runs:
        assert len(run.ppm) == 8 and len(run.uneven) == 56
        assert all(
            there == -back and abs(there) == 8 for there, back in zip(run.uneven[::2], run.uneven[1::2], strict=True)
        )


@pytest.mark.parametrize("jitter, least", [(True, 13), (False, 4)])
def test_a_wire_that_takes_less_than_nothing_is_refused(jitter: bool, least: int) -> None:
    """The latency that the sentence names is the least that works."""
    wires, short = Wires(jitter=jitter), chips_in_a_row([(216, 216), (216, least - 1)])
    with pytest.raises(InputError, match=rf"what comes into b\.e2 takes {least - 1} cycles, .*; {least} works"):
        measures(short, wires)
    measures(chips_in_a_row([(216, 216), (least, least)]), wires)


def test_packets_jitter_by_no_more_than_any_link_of_the_system() -> None:
    system = chips_in_a_row([(216, 216)] * 2)
    quiet = dataclasses.replace(system.links[1], jitter=3)
    assert measures(system, Wires())["jitter"] == 9 and measures(system, Wires(jitter=False))["jitter"] == 0
    assert measures(dataclasses.replace(system, links=(system.links[0], quiet)), Wires())["jitter"] == 3
