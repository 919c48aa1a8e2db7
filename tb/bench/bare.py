"""Runs jobs on the chip under a bare C++ main (``bench/chip_main.cpp``) instead of cocotb: the same build options, the
same job, the same answer."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tb import host, machine, simulator
from tb.chip import REGISTERS
from tb.command import not_installed
from tb.machine import Job, RtlResult
from tsp.config import ChipConfig
from tsp.errors import InputError

FOLDER = Path(__file__).absolute().parents[2] / "bench"
HEAD = 4
"""Numbers before the words of an answer: see ``bench/chip_main.cpp``."""


def source(name: str) -> Path:
    """A file of ``bench/``; InputError where there is no checkout."""
    path = FOLDER / name
    if not path.is_file():
        raise not_installed(f"bench/{name}")
    return path


def build(config: ChipConfig) -> simulator.Build:
    """The chip compiled with the C++ main, reused when nothing changed."""
    main = source("chip_main.cpp")  # before anything is generated
    return simulator.build_program(machine.sources(config), "chip", main)


def run(made: simulator.Build, jobs: Sequence[Job], config: ChipConfig) -> list[RtlResult]:
    """Run jobs one after another in one process, as :func:`tb.machine.run_on` does; no drift."""
    archive = machine.encode(jobs, config)
    if len(archive["drift_cycles"]):
        raise InputError("the bare main does not step the HAC; run jobs with drift under cocotb")
    asked = _asked(archive)
    key = simulator.digest([str(made.directory), asked.tobytes().hex()])
    directory = simulator.build_root() / "runs" / "bare" / key
    directory.mkdir(parents=True, exist_ok=True)
    asked.tofile(directory / "jobs")
    assert made.program is not None
    subprocess.run([made.program, directory / "jobs", directory / "answers"], check=True)
    return machine.decode(jobs, config, _answered(np.fromfile(directory / "answers", "<u8"), archive))


def _asked(archive: dict[str, np.ndarray]) -> np.ndarray:
    registers = [host.register(number) for number in REGISTERS]
    parts = [[len(archive["max_cycles"])]]
    for number, max_cycles in enumerate(archive["max_cycles"]):
        addresses, words = (_part(archive, f"write_{name}", number) for name in ("addresses", "words"))
        reads = np.append(registers, _part(archive, "read_addresses", number))
        writes = np.column_stack([addresses.astype("<u8"), words])
        parts += [[max_cycles, len(writes), len(reads)], writes.ravel(), reads]
    return np.concatenate([np.asarray(part, "<u8") for part in parts])


def _part(archive: dict[str, np.ndarray], name: str, number: int) -> np.ndarray:
    low, high = archive[f"{name.split('_')[0]}_bounds"][number : number + 2]
    return archive[name][low:high]


def _answered(answers: np.ndarray, archive: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    heads, registers, words = [], [], []
    for count in np.diff(archive["read_bounds"]).tolist():
        read = answers[HEAD:][: 2 * (len(REGISTERS) + count)].reshape(-1, 2)
        heads.append(answers[:HEAD])
        registers.append(read[: len(REGISTERS), 0])
        words.append(read[len(REGISTERS) :])
        answers = answers[HEAD + read.size :]
    done, clocks, nanoseconds, cpu_nanoseconds = np.array(heads).T
    joined = np.concatenate(words)
    return {
        "done": done.astype(bool),
        "clocks": clocks,
        "seconds": nanoseconds / 1e9,
        "cpu_seconds": cpu_nanoseconds / 1e9,
        "registers": np.array(registers),
        "words": joined,
        "known": np.ones(len(joined), bool),
    }
