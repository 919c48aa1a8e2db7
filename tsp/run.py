"""Run one program on the golden model or on the RTL, and say what became of it."""

import dataclasses
import errno
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from golden import machine
from tsp import tensors
from tsp.blame import fault_name, fault_text, queue_name
from tsp.checker import check
from tsp.config import ChipConfig
from tsp.dispatch import Unrolled
from tsp.dump import Word, defined, dumped_words, elements, superlanes
from tsp.errors import EXIT_DIFFERS, EXIT_MACHINE_FAULT, EXIT_RIGHT, InputError, nearest
from tsp.files import reason
from tsp.flips import Flip, refuse_late, refuse_wrong
from tsp.floorplan import floorplan
from tsp.flow import Fault, Flow
from tsp.flow.fetch import expand_program
from tsp.program import Program
from tsp.timing import timing

BACKENDS = ("golden", "icarus", "verilator")
MAX_CYCLES = 1_000_000
"""Cycles after which a run counts as endless, if nothing else is said."""
_SLACK = 64
"""Clock cycles that the RTL may take beyond its prediction before it counts as hanging."""


@dataclasses.dataclass(frozen=True)
class RunResult:
    """What a run left behind.

    Attributes:
        on: where it ran.
        predicted: cycles computed before the run (last event + 1); ``cycles``: what the machine counted.
        done: it finished; False only for RTL that runs on beyond its prediction.
        fault, expected_fault: the first fault, latched by the machine and as predicted by the golden model.
        fault_text: the latched fault as a sentence, empty without one.
        memory: the words asked for → uint8 [16·S], or None for a word that is undefined at the end.
        symbols: the symbols asked for → their vectors' elements, or None for a vector that is not defined.
        signature: slice name → 64-bit signature; empty without the feature ``trace``.
        corrected: words that units corrected, with feature ``ecc``.
        lost: words of ``memory`` that the host could not correct, as far as the machine says.
        seconds: wall clock from start to done; ``clocks``: clock cycles of the RTL, with the drain.
        waves: the file written, or None.
    """

    on: str
    config: ChipConfig
    predicted: int
    cycles: int
    done: bool
    fault: Fault | None
    expected_fault: Fault | None
    fault_text: str
    memory: dict[Word, NDArray[np.uint8] | None]
    symbols: dict[str, list[list[int] | list[float] | None]]
    signature: dict[str, int]
    seconds: float
    clocks: int | None = None
    waves: Path | None = None
    corrected: int = 0
    lost: int = 0

    @property
    def difference(self) -> str:
        """How the machine differs from the prediction, in a sentence; empty if it does not.

        After a fault events are undefined, so cycles are compared only without one.
        """
        if not self.done:
            return f"{self.on} is not done after {self.clocks} clock cycles; predicted were {self.predicted} cycles"
        if self.fault != self.expected_fault:
            latched, expected = (fault_name(fault, self.config) for fault in (self.fault, self.expected_fault))
            return f"{self.on} latched {latched}; predicted was {expected}"
        if self.fault is None and self.cycles != self.predicted:
            return f"{self.on} took {self.cycles} cycles; predicted were {self.predicted}"
        return ""

    @property
    def exit_code(self) -> int:
        """1 if the machine differs from the prediction, 3 if it latched a fault, otherwise 0."""
        return EXIT_DIFFERS if self.difference else EXIT_MACHINE_FAULT if self.fault else EXIT_RIGHT

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON. Bytes are hexadecimal, lane 0 first, a string per superlane."""
        slices = floorplan(self.config).slices
        fault = None
        if self.fault is not None:
            queue = queue_name(self.fault.queue, self.config)
            fault = {"cycle": self.fault.cycle, "queue": queue, "kind": self.fault.name, "message": self.fault_text}
        memory = [
            {"slice": slices[place].name, "address": address, "superlanes": superlanes(word)}
            for (place, address), word in self.memory.items()
        ]
        return {
            "on": self.on,
            "predicted_cycles": self.predicted,
            "cycles": self.cycles,
            "difference": self.difference or None,
            "fault": fault,
            "signature": {name: f"{value:016x}" for name, value in self.signature.items()},
            "memory": memory,
            "symbols": self.symbols,
            "corrected": self.corrected,
            "lost": self.lost,
            "clocks": self.clocks,
            "seconds": self.seconds,
            "waves": None if self.waves is None else str(self.waves),
        }


class Refused(InputError):
    """The checker found mistakes; the message has a line for each."""


class SimulatorFailed(InputError):
    """A simulator did not build the RTL or broke off. No fault of the input, but commands end the same way."""

    exit_code = EXIT_DIFFERS


def run(
    program: Program,
    on: str,
    *,
    checked: bool = True,
    dump: Sequence[str] = (),
    max_cycles: int = MAX_CYCLES,
    waves: Path | None = None,
    flips: Sequence[Flip] = (),
) -> RunResult:
    """Run a program.

    Args:
        on: one of :data:`BACKENDS`.
        checked: refuse what the checker refuses. Without it the machine's own faults show.
        dump: words and symbols to read back, see :func:`tsp.dump.dumped_words`.
        max_cycles: a program that takes longer is refused.
        waves: file to record to, on a simulator: ``.fst`` or ``.vcd``, in a folder that is there.
        flips: bits to turn over, with feature ``ecc``; those on streams in the program's cycles.

    Raises:
        InputError: the question is wrong, the program is illegal (:class:`Refused`) or too long, a simulator is
            missing or broke off (:class:`SimulatorFailed`).
    """
    if on not in BACKENDS:
        raise InputError(f"unknown machine '{on}'{nearest(on, BACKENDS)}")
    if on == "golden" and waves is not None:
        raise InputError("the golden model has no signals to record; use --waves with --on icarus or --on verilator")
    if waves is not None:
        _refuse_waves(on, waves)
    asked = {text: dumped_words(program, text) for text in dump}
    refuse_wrong(program, flips)
    if checked and not (report := check(program)).ok:
        raise Refused(str(report))
    unrolled = expand_program(program)
    _refuse_endless(program, unrolled)
    # The queues' end is known before the run, which costs the more the longer the program is.
    _refuse_long(max(unrolled.ends.values(), default=0), max_cycles)
    began = time.perf_counter()
    expected = machine.run(program, flips=flips)
    seconds, flow = time.perf_counter() - began, expected.flow
    _refuse_long(flow.cycles, max_cycles)
    refuse_late(flips, flow.cycles, program.config)
    words = {word for found in asked.values() for word in found}
    known = words & defined(program, expected.flow, expected.written, expected.fault)
    if on == "golden":
        result = _of_golden(program, flow, expected, known, seconds)
        held = {word: expected.words(word[0], [word[1]])[0] for word in known}
    else:
        result, held = _run_rtl(program, flow, expected, on, known, waves, flips)
    symbols = {text: elements(program, program.symbols[text], held) for text in dump if text in program.symbols}
    memory = {word: held.get(word) for text in dump if text not in symbols for word in asked[text]}
    return dataclasses.replace(result, memory=memory, symbols=symbols)


def outputs_of(program: Program) -> dict[str, NDArray[Any]]:
    """The tensors that a program with its inputs gives on the golden model. InputError if it is illegal or faults."""
    if not (report := check(program)).ok:
        raise Refused(str(report))
    result = machine.run(program, trace=False)
    if result.fault is not None:
        raise InputError(fault_text(program, result.flow, result.fault))
    return tensors.outputs(program, lambda place, address: result.words(place, [address])[0])


def _refuse_waves(on: str, waves: Path) -> None:
    """InputError unless ``on`` can write exactly this file."""
    from tb import simulator

    if waves.suffix not in (".fst", ".vcd"):
        raise InputError(f"--waves {waves}: must name a .fst or a .vcd file")
    simulator.tool(on)
    written = simulator.wave_file(on, waves)
    if written != waves.absolute():
        other = waves.with_suffix(written.suffix)
        raise InputError(f"--waves {waves}: {on} writes {written.suffix} files on this machine; try {other}")
    try:
        if waves.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        tempfile.TemporaryFile(dir=waves.parent).close()  # not the file itself, which may hold an older run
    except OSError as error:
        raise InputError(f"--waves {waves}: cannot be written: {reason(error)}") from None


def _refuse_endless(program: Program, unrolled: Unrolled) -> None:
    for queue in program.queues:
        if queue not in unrolled.ends:
            sync = next(c for c in unrolled.controls if c.queue == queue and c.mnemonic == "SYNC" and c.resume is None)
            name = queue_name(queue, program.config)
            where = program.where(queue, sync.index)
            waits = f"{name} waits from cycle {sync.cycle} in a SYNC that no NOTIFY releases"
            raise InputError(f"the program never ends: {waits} ({where})")


def _refuse_long(cycles: int, max_cycles: int) -> None:
    if cycles > max_cycles:
        raise InputError(
            f"the program takes at least {cycles} cycles, more than the {max_cycles} allowed; see --max-cycles"
        )


def _of_golden(program: Program, flow: Flow, found: machine.Result, known: set[Word], seconds: float) -> RunResult:
    text = fault_text(program, flow, found.fault)
    return RunResult(
        "golden", program.config, flow.cycles, found.cycles, True, found.fault, found.fault, text, {}, {},
        found.signature, seconds, corrected=found.corrected, lost=found.at_host(sorted(known))[1],
    )  # fmt: skip


def _run_rtl(
    program: Program, flow: Flow, expected: machine.Result, on: str, known: set[Word], waves: Path | None,
    flips: Sequence[Flip],
) -> tuple[RunResult, dict[Word, NDArray[np.uint8]]]:  # fmt: skip
    from tb import machine, simulator

    config = program.config
    simulator.tool(on)  # before anything is generated
    job = machine.Job(program, clock_limit(flow), read=sorted(known), flips=flips)
    try:
        with Console(stderr=True).status(f"building the RTL of {config.name} for {on} (minutes, once), running it"):
            (found,) = machine.run([job], config, on, waves=waves, fast=flow.cycles > machine.LONG_RUN)
    except (simulator.BuildFailed, simulator.TestsFailed) as error:
        raise SimulatorFailed(f"{on}: {error}") from error
    fault = None if found.fault is None else Fault(found.fault.cycle, found.fault.queue, found.fault.kind)
    slices = floorplan(config).slices
    result = RunResult(
        on=on,
        config=config,
        predicted=flow.cycles,
        cycles=found.cycles,
        done=found.done,
        fault=fault,
        expected_fault=expected.fault,
        fault_text=fault_text(program, flow, fault),
        memory={},
        symbols={},
        signature={slices[place].name: value for place, value in found.signatures.items()},
        seconds=found.seconds,
        clocks=found.clocks,
        waves=None if waves is None else simulator.wave_file(on, waves),
        corrected=found.corrected,
        lost=found.host_uncorrectable,
    )
    return result, found.memory


def clock_limit(flow: Flow) -> int:
    """Clock cycles after which the RTL hangs: a DESKEW waits for the next epoch, which schedule time does not count."""
    deskews = sum(control.mnemonic == "DESKEW" for control in flow.unrolled.controls)
    end = max([flow.cycles, *flow.unrolled.ends.values()])
    return end + 2 * deskews * flow.config.hac_period + timing(flow.config).drain + _SLACK
