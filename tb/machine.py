"""Run programs on the RTL: generate and build a configuration once, then one simulator process for many programs."""

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rtl import verilog
from tb import host, simulator
from tb.generated import generated
from tsp.config import ChipConfig
from tsp.flips import DATA_BITS, Flip, in_memory, on_streams
from tsp.floorplan import floorplan
from tsp.program import Program


@dataclasses.dataclass(frozen=True)
class Job:
    """One program to run.

    Attributes:
        program: queues and initial memory.
        max_cycles: schedule cycles after which the run is given up.
        read: (slice index, word) pairs to read back, all superlanes.
        drift: (schedule cycle after the start, +1 or -1) steps of the HAC.
        flips: bits turned over, see :mod:`tsp.flips`; with feature ``ecc`` only.
    """

    program: Program
    max_cycles: int
    read: Sequence[tuple[int, int]] = ()
    drift: Sequence[tuple[int, int]] = ()
    flips: Sequence[Flip] = ()


@dataclasses.dataclass(frozen=True)
class Fault:
    """The first fault: schedule time, queue index, kind."""

    cycle: int
    queue: int
    kind: int


@dataclasses.dataclass(frozen=True)
class RtlResult:
    """What the chip answered.

    Attributes:
        done: it finished within ``max_cycles``.
        cycles: its cycle register, the last event's cycle plus one.
        fault: the first fault, or None.
        memory: the words asked for, (slice, word) → uint8[16·S]; without those that Icarus shows as undefined.
        signatures: slice index → 64-bit signature (empty without the feature ``trace``); without undefined ones, which
            only a program with a fault can leave.
        tile_signatures: uint64 [slices, S] (no rows without it); a slice's signature is the sum of its tiles'.
        clocks: schedule cycles from start to done, stalled ones too.
        seconds, cpu_seconds: what they took by the clock on the wall, and of the processor.
        hac, sac, delta: the counters at the end.
        corrected: words that units corrected, each time one was read.
        host_corrected, host_uncorrectable: of the words read back, those corrected and those that could not be.
    """

    done: bool
    cycles: int
    fault: Fault | None
    memory: dict[tuple[int, int], np.ndarray]
    signatures: dict[int, int]
    tile_signatures: np.ndarray
    clocks: int
    seconds: float
    cpu_seconds: float
    hac: int
    sac: int
    delta: int
    corrected: int = 0
    host_corrected: int = 0
    host_uncorrectable: int = 0


@functools.lru_cache(maxsize=16)
def sources(config: ChipConfig) -> tuple[Path, ...]:
    """The Verilog of a configuration, generated once per content of ``rtl`` and what it imports."""
    fields = config.as_dict() | {"name": ""}
    return generated(config.name, [fields], lambda folder: verilog.generate(config, folder))


FLAT_SUPERLANES = 4
"""Of more superlanes Verilator would need more than 8 GiB to make one flat model."""
BLOCKS: tuple[str, ...] = ("superlane", "mxm_plane_row")
"""Compiled once each and placed as often as they stand in a large chip: slower to run, and possible to build."""


LONG_RUN = 1_000_000
"""Cycles from which on a model that runs nearly twice as fast is worth a compilation of nearly twice the time."""


def build(config: ChipConfig, sim: str, *, waves: bool = False, fast: bool = False) -> simulator.Build:
    """The chip compiled for a simulator, reused when nothing changed.

    ``fast``: made to run fast rather than to be compiled fast.
    """
    blocks = BLOCKS if config.superlanes > FLAT_SUPERLANES else ()
    planes = config.mxm_planes_w + config.mxm_planes_e
    blocks = blocks if planes else blocks[:1]
    if blocks and (config.multiplies_fp16("w") or config.multiplies_fp16("e")):
        blocks = (*blocks, "mxm_fp16_row")
    return simulator.build(sim, sources(config), "chip", waves=waves, blocks=blocks, fast=fast)


def run(
    jobs: Sequence[Job], config: ChipConfig, sim: str, *, waves: Path | None = None, time_limit: float | None = None,
    fast: bool = False,
) -> list[RtlResult]:  # fmt: skip
    """Run jobs one after another in one simulator process; results in the same order. ``fast``: see :func:`build`."""
    made = build(config, sim, waves=waves is not None, fast=fast)
    return run_on(made, jobs, config, waves=waves, time_limit=time_limit)


def run_on(
    made: simulator.Build, jobs: Sequence[Job], config: ChipConfig, *, waves: Path | None = None,
    time_limit: float | None = None, directory: Path | None = None,
) -> list[RtlResult]:  # fmt: skip
    """:func:`run` on a finished build; the simulator's log stays in the run's directory."""
    archive = encode(jobs, config)
    key = simulator.digest([str(made.directory), [array.tobytes().hex() for array in archive.values()]])
    directory = directory or simulator.build_root() / "runs" / made.sim / f"jobs-{key}"
    directory.mkdir(parents=True, exist_ok=True)
    asked, answered = directory / "jobs.npz", directory / "results.npz"
    answered.unlink(missing_ok=True)
    np.savez(asked, **archive)
    simulator.run(
        made, "tb.chip", testcase="jobs", env={"TSP_JOBS": asked, "TSP_RESULTS": answered},
        waves=waves, time_limit=time_limit, directory=directory,
    )  # fmt: skip
    with np.load(answered, allow_pickle=False) as results:
        return decode(jobs, config, {name: results[name] for name in results.files})


def _places(config: ChipConfig) -> list[int]:
    return [slice_.index for slice_ in floorplan(config).slices] if config.trace else []


def _reads(job: Job, config: ChipConfig) -> list[int]:
    rows = range(config.superlanes)
    addresses = [host.memory(place, k, word) for place, word in job.read for k in rows]
    return addresses + [host.signature(place, k) for place in _places(config) for k in rows]


def host_writes(program: Program, config: ChipConfig) -> tuple[list[int], list[tuple[int, int]]]:
    """(addresses, words as low and high halves) that load a program through the host port."""
    addresses, words = [], []
    for queue, queue_words in sorted(program.queues.items()):
        addresses += [host.queue(queue)] * len(queue_words)
        words += [(word & (1 << 64) - 1, word >> 64) for word in queue_words]
    for place, image in sorted(program.memory.items()):
        tiles = np.ascontiguousarray(image.words).view("<u8").reshape(-1, config.superlanes, 2)
        for row, tile in zip(image.addresses.tolist(), tiles.tolist(), strict=True):
            addresses += [host.memory(place, k, row) for k in range(config.superlanes)]
            words += [(low, high) for low, high in tile]
    return addresses, words


def flip_writes(flips: Sequence[Flip]) -> tuple[list[int], list[tuple[int, int]]]:
    """(addresses, words as low and high halves) that ask the test ports for flips."""
    found: list[tuple[int, int]] = []
    for flip in in_memory(flips):
        at, data = (flip.place, flip.superlane, flip.address), flip.mask & (1 << DATA_BITS) - 1
        # A flip takes two cycles: the write to a register that takes none fills the second.
        idle = host.register(host.STATUS), 0
        found += [(host.flip_data(*at), data), idle, (host.flip_check(*at), flip.mask >> DATA_BITS), idle]
    for moving in on_streams(flips):
        found.append((host.flip_mask(moving.mask >> DATA_BITS), moving.mask & (1 << DATA_BITS) - 1))
        when = host.flip_when(moving.cycle, moving.superlane, moving.stream, moving.sr)
        found.append((host.flip_stream(), when))
    return [address for address, _ in found], [(word & (1 << 64) - 1, word >> 64) for _, word in found]


def _writes(job: Job, config: ChipConfig) -> tuple[list[int], list[tuple[int, int]]]:
    loads, flips = host_writes(job.program, config), flip_writes(job.flips)
    return loads[0] + flips[0], loads[1] + flips[1]


def encode(jobs: Sequence[Job], config: ChipConfig) -> dict[str, np.ndarray]:
    """The job file's arrays: of every job its host writes, its reads (all ``words`` asked for, then the signatures),
    its drift and ``max_cycles``; job n's are from ``*_bounds[n]`` to before ``*_bounds[n + 1]``."""
    writes = [_writes(job, config) for job in jobs]
    reads = [_reads(job, config) for job in jobs]

    def bounds(lists: list) -> np.ndarray:  # type: ignore[type-arg]
        return np.cumsum([0] + [len(item) for item in lists])

    def joined(lists: list, dtype: object, *shape: int) -> np.ndarray:  # type: ignore[type-arg]
        return np.array([x for item in lists for x in item], dtype=dtype).reshape(-1, *shape)

    return {
        "write_bounds": bounds([addresses for addresses, _ in writes]),
        "write_addresses": joined([addresses for addresses, _ in writes], np.int64),
        "write_words": joined([words for _, words in writes], np.uint64, 2),
        "read_bounds": bounds(reads),
        "read_addresses": joined(reads, np.int64),
        "drift_bounds": bounds([job.drift for job in jobs]),
        "drift_cycles": joined([[cycle for cycle, _ in job.drift] for job in jobs], np.int64),
        "drift_steps": joined([[step for _, step in job.drift] for job in jobs], np.int64),
        "max_cycles": np.array([job.max_cycles for job in jobs], dtype=np.int64),
        "beats": np.array(config.beats, dtype=np.int64),
    }


def decode(jobs: Sequence[Job], config: ChipConfig, results: dict[str, np.ndarray]) -> list[RtlResult]:
    """What the arrays of a results file say: of every job done, clocks, seconds, cpu_seconds and registers [5]; of
    every read the word [2] and whether it is known."""
    found, position = [], 0
    for number, job in enumerate(jobs):
        size = len(_reads(job, config))
        words = results["words"][position : position + size].reshape(-1, config.superlanes, 2)
        known = results["known"][position : position + size].reshape(-1, config.superlanes).all(axis=1)
        position += size
        found.append(_result(job, config, results, number, words, known))
    return found


def _result(
    job: Job, config: ChipConfig, results: dict[str, np.ndarray], number: int, words: np.ndarray, known: np.ndarray
) -> RtlResult:
    status, cycles, fault, counters, corrected = results["registers"][number].tolist()
    read = {key: words[i].astype("<u8").view(np.uint8).reshape(-1) for i, key in enumerate(job.read)}
    memory = {key: word for (key, word), defined in zip(read.items(), known, strict=False) if defined}
    places = _places(config)
    tiles = words[len(job.read) :, :, 0]
    sums = tiles.sum(axis=1, dtype=np.uint64)
    delta = counters >> 32 & 0xFFF
    return RtlResult(
        done=bool(results["done"][number]) and bool(status & 1),
        cycles=cycles,
        fault=Fault(fault & 0xFFFFFFFF, fault >> 32 & 0xFF, fault >> 40 & 0xF) if status & 4 else None,
        memory=memory,
        signatures={place: s for place, s, ok in zip(places, sums.tolist(), known[len(read) :], strict=True) if ok},
        tile_signatures=tiles,
        clocks=int(results["clocks"][number]),
        seconds=float(results["seconds"][number]),
        cpu_seconds=float(results["cpu_seconds"][number]),
        hac=counters & 0xFFFF,
        sac=counters >> 16 & 0xFFFF,
        delta=delta - 0x1000 if delta & 0x800 else delta,
        corrected=corrected & 0xFFFFFFFF,
        host_corrected=corrected >> 32 & 0xFFFF,
        host_uncorrectable=corrected >> 48,
    )
