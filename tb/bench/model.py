"""The golden model: a matrix product against numpy, and instructions per second."""

import os
import time
from collections.abc import Callable, Sequence

import numpy as np

import golden.machine
from tb.bench import programs
from tb.bench.chip import Differs
from tb.bench.pairs import interleave
from tb.bench.row import Row
from tsp.config import preset
from tsp.memory_map import typed
from tsp.program import Program
from tsp.randprog import legal

VECTORS = 1_000
RANDOM_PROGRAMS = 10


def rows(repeats: int) -> list[Row]:
    """All figures of the golden model."""
    return [*_matmul(repeats), *_instructions(repeats)]


def _matmul(repeats: int) -> list[Row]:
    config, rng = preset("groqchip"), np.random.default_rng(1)
    x = rng.integers(-128, 128, (VECTORS, config.lanes), dtype=np.int8)
    w = rng.integers(-128, 128, (config.lanes, config.lanes), dtype=np.int8)
    program = programs.matmul(config, x, w)
    _check(program, x.astype(np.int32) @ w.astype(np.int32).T)
    x32, w32 = x.astype(np.float32), np.ascontiguousarray(w.T.astype(np.float32))
    blas = {name: os.environ[name] for name in sorted(os.environ) if name.startswith(("OPENBLAS_", "OMP_"))}
    found = []
    for trace, limit in ((False, 8.0), (True, None)):
        run = timed(golden.machine.run, program, trace=trace)
        pairs = interleave(run, timed(np.matmul, x32, w32), repeats)
        details = pairs.details("golden_seconds", "numpy_seconds") | {"environment": blas}
        name = f"golden over numpy float32 @, signature {'on' if trace else 'off'}"
        found.append(Row(name, pairs.ratio, limit=limit, details=details))
    return found


def _check(program: Program, expected: np.ndarray) -> None:
    result = golden.machine.run(program)
    after = Program(program.config, memory=result.memory)
    if result.fault is not None or not np.array_equal(typed(after, program.symbols["y"]), expected):
        raise Differs("the matrix product on the golden model is not numpy's")


def timed(function: Callable[..., object], *arguments: object, **options: object) -> Callable[[], float]:
    """What calls the function, and returns the seconds that it took."""

    def call() -> float:
        began = time.perf_counter()
        function(*arguments, **options)
        return time.perf_counter() - began

    return call


def _instructions(repeats: int) -> list[Row]:
    """Issues per second, signature off and on: long bursts (the busy program), and random programs without any."""
    config = preset("tiny")
    works = {
        "the busy program": [programs.busy(config)],
        "random programs": [legal(seed, config) for seed in range(RANDOM_PROGRAMS)],
    }
    found = []
    for name, work in works.items():
        issues = sum(len(golden.machine.run(program).flow.issues) for program in work)
        off, on = (timed(_run_all, work, trace) for trace in (False, True))
        seconds, traced = interleave(off, on, min(repeats, 5)).medians
        details = {"instructions": issues, "seconds": seconds, "signature_on_per_second": issues / traced}
        found.append(Row(f"golden, {name}", issues / seconds, "instructions/s", details=details))
    return found


def _run_all(work: Sequence[Program], trace: bool) -> None:
    for program in work:
        golden.machine.run(program, trace=trace)
