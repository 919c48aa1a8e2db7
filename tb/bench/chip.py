"""The chip in Verilator: cocotb over a bare C++ main, signature on over off, an idle cycle over a busy one."""

import dataclasses
from collections.abc import Callable

import golden.machine
from tb import machine
from tb.bench import bare, programs
from tb.bench.pairs import interleave
from tb.bench.row import Row
from tb.compare import compare
from tb.machine import Job, RtlResult
from tsp.config import ChipConfig, preset
from tsp.errors import InputError
from tsp.flow.fetch import expand_program
from tsp.program import Program
from tsp.timing import timing

MARGIN = 64
LEAST_CYCLES = 20_000
"""A run shorter than this would measure its start."""


class Differs(Exception):
    """A run that was to be timed did not do what the golden model does."""


@dataclasses.dataclass(frozen=True)
class Timed:
    """A program on one build, checked against the golden model: ``run`` returns the result of a run."""

    program: Program
    job: Job
    expected: golden.machine.Result
    run: Callable[[Job], RtlResult]
    where: str

    @classmethod
    def of(cls, program: Program, run: Callable[[Job], RtlResult], where: str) -> "Timed":
        expected = golden.machine.run(program)
        words = [(place, word) for place, image in expected.written.items() for word in image.addresses.tolist()]
        end = max(expand_program(program).ends.values())
        limit = max(end, expected.cycles) + timing(program.config).drain + MARGIN
        return cls(program, Job(program, limit, words), expected, run, where)

    def seconds(self) -> float:
        """Seconds of the processor per clock cycle, from start to done."""
        result = self.run(self.job)
        differences = compare(self.expected, result, self.program.config)
        if differences:
            raise Differs(f"{self.where}: {differences[0]}")
        return result.cpu_seconds / result.clocks


def _under_cocotb(config: ChipConfig) -> Callable[[Job], RtlResult]:
    made = machine.build(config, "verilator", fast=True)
    return lambda job: machine.run_on(made, [job], config)[0]


def _under_main(config: ChipConfig) -> Callable[[Job], RtlResult]:
    made = bare.build(config)
    return lambda job: bare.run(made, [job], config)[0]


def rows(repeats: int, cycles: int = LEAST_CYCLES) -> list[Row]:
    """All figures of the chip, on ``tiny``, with programs of ``cycles`` cycles."""
    if cycles < LEAST_CYCLES:
        raise InputError(f"a run of {cycles} cycles measures its start; use at least {LEAST_CYCLES}")
    config = preset("tiny")
    quiet = dataclasses.replace(config, trace=False)
    main, untraced = _under_main(config), _under_main(quiet)
    busy = programs.busy(config, cycles)
    cocotb = Timed.of(busy, _under_cocotb(config), "cocotb")
    traced = Timed.of(busy, main, "bare main")
    off = Timed.of(programs.busy(quiet, cycles), untraced, "bare main, trace off")
    idle = Timed.of(programs.idle(config, cycles), main, "bare main, idle")
    return [
        _row("cocotb over bare C++ main", 1.2, cocotb, traced, repeats, "cocotb", "bare"),
        _row("signature on over off", 1.5, traced, off, repeats, "on", "off"),
        _row("idle over busy cycle", None, idle, traced, repeats, "idle", "busy"),
    ]


def _row(name: str, limit: float | None, first: Timed, second: Timed, repeats: int, *names: str) -> Row:
    pairs = interleave(first.seconds, second.seconds, repeats)
    rates = {f"{key}_cycles_per_second": 1 / seconds for key, seconds in zip(names, pairs.medians, strict=True)}
    return Row(name, pairs.ratio, limit=limit, details=rates | {"repeats": repeats, "cycles": second.expected.cycles})
