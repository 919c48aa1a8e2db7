"""Plays a block's benches on its mutants, in several simulator processes at once."""

import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tb import simulator
from tb.mutation.netlist import Netlist
from tsp.config import ChipConfig

HARNESS = "tb.mutation.harness"
SECONDS_EACH, SECONDS_MORE = 60, 120
"""Of the wall clock, for a mutant and for a process: what hangs in no simulated time is stopped."""


@dataclass(frozen=True)
class Verdict:
    """``killed_by``: the test that failed, None if all passed."""

    killed_by: str | None
    message: str = ""


def play(
    netlist: Netlist, built: simulator.Build, benches: Sequence[str], config: ChipConfig, seed: int, workers: int,
    progress: Callable[[int], object] = lambda done: None,
) -> dict[int, Verdict]:  # fmt: skip
    """The verdict on every mutant; TestsFailed if a bench fails without one."""
    numbers = [mutant.number for mutant in netlist.mutants]
    shares = [numbers[first::workers] for first in range(min(workers, len(numbers)))]
    found: dict[int, Verdict] = {}

    def note(more: dict[int, Verdict]) -> None:
        found.update(more)
        progress(len(found))

    def one(share: Sequence[int]) -> None:
        _play_share(netlist, built, benches, config, seed, share, note)

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(one, shares))
    return found


def _play_share(
    netlist: Netlist, built: simulator.Build, benches: Sequence[str], config: ChipConfig, seed: int,
    share: Sequence[int], note: Callable[[dict[int, Verdict]], None],
) -> None:  # fmt: skip
    """Where a mutant stops the simulator, the next process goes on behind it."""
    folder = netlist.directory / f"run-{share[0]}"
    verdicts = folder / "verdicts.jsonl"
    left = list(share)
    while left:
        folder.mkdir(parents=True, exist_ok=True)
        verdicts.write_text("")
        env = {
            "TSP_CONFIG": json.dumps(config.as_dict()),
            "TSP_BENCHES": " ".join(benches),
            "TSP_MUTANTS": " ".join(map(str, left)),
            "TSP_VERDICTS": verdicts,
            "COCOTB_LOG_LEVEL": "ERROR",
        }
        limit = SECONDS_MORE + SECONDS_EACH * len(left)
        stopped = None
        try:
            simulator.run(built, HARNESS, seed=seed, env=env, directory=folder, time_limit=limit)
        except simulator.TestsFailed as error:
            stopped = error
        found, bare = read(verdicts)
        note(found)
        left = [number for number in left if number not in found]
        if stopped is None and bare == 2 and not left:
            return
        if stopped is None or not bare or stopped.results.cases:
            # Without a mutant it must pass: as the first of all, and as the last.
            raise stopped or RuntimeError(f"no verdict on mutants {left} of {netlist.top}: see {folder}")
        if left:
            note({left.pop(0): Verdict("the simulator", f"stopped: {os.linesep.join(str(stopped).splitlines()[:1])}")})


def read(verdicts: Path) -> tuple[dict[int, Verdict], int]:
    """(the verdicts written so far, how often all tests passed without a mutant)."""
    lines: list[dict[str, Any]] = [json.loads(line) for line in verdicts.read_text().splitlines()]
    found = {line["mutant"]: Verdict(line["killed_by"], line.get("message", "")) for line in lines if line["mutant"]}
    return found, sum(line["mutant"] == 0 for line in lines)
