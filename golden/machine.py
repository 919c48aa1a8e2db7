"""The golden model: what programs do to a chip, or to several with links between them, exact in every bit and cycle.

It works on whole vectors in architectural time (the stagger changes nothing there), and on dependencies instead of
cycles: :mod:`tsp.flow` says where each operand comes from, :mod:`golden.order` in which order to compute. The HACs
do not drift here, and links make no errors; schedule time makes the result hold for any clocks.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from golden import link, mem
from golden.chip import Chip, bad_maps
from golden.flips import Errors, decoded_words
from golden.indirect import Memories, bad_addresses
from golden.order import batches
from golden.stream import Values
from golden.trace import Trace
from tsp.config import ChipConfig
from tsp.flips import Flip
from tsp.floorplan import floorplan
from tsp.flow import Fault, Flow, analyse
from tsp.flow.channels import Arrivals, Bad, Channel, arrivals
from tsp.flow.fetch import expand
from tsp.memory_map import typed
from tsp.program import Image, Program, Symbol


@dataclasses.dataclass(frozen=True)
class Result:
    """What a run leaves behind.

    Attributes:
        cycles: the cycle of the last event plus one.
        faults: every fault, the first first; events before its cycle are defined, later ones are not.
        written: place of a MEM slice → the words that were written, as the host reads them at the end.
        initial: the image before the start, as the host reads it.
        errors: what flips did to it.
        tile_signatures: uint64 [slices, S], or None without ``trace``.
        events: rows of :data:`golden.trace.EVENT` by time, place, superlane and address, or None unless asked for.
        flow: the resolved program.
        arrived: what came over its links.
    """

    cycles: int
    faults: list[Fault]
    written: dict[int, Image]
    initial: Mapping[int, Image]
    tile_signatures: NDArray[np.uint64] | None
    events: NDArray[np.void] | None
    flow: Flow
    errors: Errors
    arrived: Arrivals

    @property
    def corrected(self) -> int:
        """Words that units corrected, each time one was read."""
        return self.errors.corrected

    def at_host(self, words: Sequence[tuple[int, int]]) -> tuple[int, int]:
        """(corrected, uncorrectable): how many the host finds when it reads words (place, address) at the end."""
        found = [self.errors.left[word].counts for word in words if word in self.errors.left]
        return sum(corrected for corrected, _ in found), sum(lost for _, lost in found)

    @property
    def fault(self) -> Fault | None:
        """The fault the machine latches."""
        return self.faults[0] if self.faults else None

    @property
    def signature(self) -> dict[str, int]:
        """Slice name → the sum of its tiles' signatures modulo 2^64; empty without ``trace``."""
        if self.tile_signatures is None:
            return {}
        sums = self.tile_signatures.sum(axis=1, dtype=np.uint64).tolist()
        return {slice_.name: sums[slice_.index] for slice_ in floorplan(self.flow.config).slices}

    @property
    def memory(self) -> dict[int, Image]:
        """Place → every word that is defined at the end."""
        return mem.merged(self.initial, self.written)

    def values(self, symbol: Symbol) -> NDArray[Any]:
        """[count, lanes]: a symbol's vectors at the end, in its type: int64, or float16 and float32."""
        return typed(Program(self.flow.config, memory=self.memory), symbol)

    def words(self, place: int, addresses: Sequence[int]) -> NDArray[np.uint8]:
        """uint8 [n, lanes]: words of a slice at the end; undefined ones read as zero."""
        asked = np.asarray(addresses, np.int64)
        words = np.zeros((len(asked), self.flow.config.lanes), np.uint8)
        for images in (self.initial, self.written):
            if place in images:
                images[place].put(words, asked)
        return words


@dataclasses.dataclass(frozen=True)
class Job:
    """What one chip is to run: queue index → 128-bit words, the words (by place of a slice) defined at the start, and
    the bits that are turned over."""

    queues: Mapping[int, Sequence[int]]
    config: ChipConfig
    memory: Mapping[int, Image]
    flips: Sequence[Flip] = ()


def run(
    program: Program | Mapping[int, Sequence[int]],
    config: ChipConfig | None = None,
    memory: Mapping[int, Image] | None = None,
    *,
    trace: bool = True,
    events: bool = False,
    flips: Sequence[Flip] = (),
) -> Result:
    """Run a program, legal or not, on a chip whose links are not connected.

    Args:
        program: a :class:`Program`, or queue index → 128-bit words together with ``config`` and ``memory``.
        config: the chip; by default the program's.
        memory: place → words defined at the start; by default the program's.
        trace: compute signatures (if the configuration has the feature).
        events: list every event.
        flips: bits turned over, see :mod:`tsp.flips`; what they ask for is taken to be right.
    """
    if isinstance(program, Program):
        queues: Mapping[int, Sequence[int]] = program.queues
        config = config or program.config
        memory = program.memory if memory is None else memory
    else:
        queues, memory = program, memory or {}
    if config is None:
        raise ValueError("queues without a Program need a config")
    return run_all([Job(queues, config, memory, flips)], trace=trace, events=events)[0]


def run_all(
    jobs: Sequence[Job], channels: Sequence[Channel] = (), *, bad: Bad = (), names: Sequence[str] = (),
    trace: bool = True, events: bool = False, late: Mapping[int, int] | None = None, endless: bool = False,
) -> list[Result]:  # fmt: skip
    """Run programs, legal or not, on chips that start together.

    Args:
        channels: how they are connected, in numbers of ``jobs``.
        bad, names, late, endless: see :func:`tsp.flow.channels.arrivals`.
        trace, events: as of :func:`run`.

    Raises InputError for a POLL that waits for ever, unless ``endless``.
    """
    flows = []
    for job in jobs:
        defined = {place: image.addresses for place, image in job.memory.items()}
        flows.append(analyse(expand(job.queues, job.config, job.memory), job.config, defined))
    arrived = arrivals(flows, channels, bad, names, late, endless)
    chips = [Chip(flow, job.memory, a, job.flips) for flow, job, a in zip(flows, jobs, arrived, strict=True)]
    _compute(chips)
    return [_result(chip, trace, events) for chip in chips]


def compute(flow: Flow, memory: Mapping[int, Image]) -> tuple[Values, Memories]:
    """Every vector of a resolved program of a chip whose links are not connected, and the memories that GATHER and
    SCATTER access as they are at the end."""
    chip = Chip(flow, memory, arrivals([flow], ())[0])
    _compute([chip])
    return chip.values, chip.memories


def _compute(chips: Sequence[Chip]) -> None:
    while True:
        for number, batch in batches([(chip.flow, chip.values, chip.arrived) for chip in chips]):
            chips[number].run(batch, chips)
        if all([chip.settled() for chip in chips]):
            return
        for chip in chips:
            chip.begin()


def _result(chip: Chip, trace: bool, events: bool) -> Result:
    flow, values, errors = chip.flow, chip.values, chip.values.errors
    found = [*errors.faults, *bad_maps(flow, values), *bad_addresses(flow, values), *link.faults(flow, chip.arrived)]
    record = Trace(flow, values)
    signatures = record.signatures(len(floorplan(flow.config).slices)) if trace and flow.config.trace else None
    written = mem.written_words(flow, values.slots, values.of_read) | chip.memories.written()
    initial, written = (decoded_words(image, errors.left) for image in (chip.memory, written))
    listed = record.events() if events else None
    faults = sorted([*flow.faults, *found])
    return Result(record.cycles, faults, written, initial, signatures, listed, flow, errors, chip.arrived)
