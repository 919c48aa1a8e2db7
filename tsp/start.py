"""The start of a system: what stands before the programs of its chips so that schedule time is common to all of them
(docs/links.md, section 3).

Every queue waits in a SYNC meanwhile, but a C2C queue of each chip, its *leader*, which DESKEWs (that of the root) or
POLLs, has the start vector sent on, DESKEWs until all chips have been reached, and releases the others.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from tsp import isa
from tsp.config import ChipConfig, enough
from tsp.errors import InputError
from tsp.floorplan import Link, floorplan
from tsp.flow.channels import Channel, ready_after
from tsp.isa import stream_operand
from tsp.program import Image, Program, Source
from tsp.system import INTERVAL, MOST_OFF, Chip, System
from tsp.system_file import with_programs
from tsp.timing import timing
from tsp.track import Track
from tsp.travel import travel

EARLY_NOTIFY = 1
"""The cycle, from the release of a DESKEW or POLL on, in which a leader calls the queues that send the start vector."""

_OTHERS = 32
"""More words than a leader has beside its DESKEWs, but for those of a program."""


@dataclasses.dataclass(frozen=True)
class Preamble:
    """What one chip does before the start. Cycles count from the release of its first DESKEW or POLL.

    Attributes:
        parent: the channel that its start vector comes on; None for the root.
        sends: (channel, w): the SENDs of start vectors to its children.
        epoch: in which it is released: how many epochs after the root.
        deskew, deskews: cycle of the first DESKEW after that, and how many there are.
        pad: cycles before the first DESKEW or POLL.
        late: cycles from the release of the last DESKEW to the last NOTIFY.
    """

    parent: Channel | None
    sends: tuple[tuple[Channel, int], ...]
    epoch: int
    deskew: int
    deskews: int
    pad: int = 0
    late: int = 0

    @property
    def last(self) -> int:
        """Schedule time of the last NOTIFY."""
        return self.pad + 1 + self.deskew + self.deskews + self.late


def preambles(system: System) -> list[Preamble]:
    """The preamble of every chip. InputError if epochs are too short to tell which one a vector comes in, or more than
    fit into a queue."""
    period = system.chips[system.root].config.hac_period
    children: dict[int, list[Channel]] = {chip: [] for chip in range(len(system.chips))}
    for channel in filter(None, system.parents):
        children[channel.sender].append(channel)
    order, epoch = [system.root], {system.root: 0}
    sends: dict[int, tuple[tuple[Channel, int], ...]] = {}
    for chip in order:
        sends[chip] = _waits(children[chip], system.chips[chip].config)
        for channel, wait in sends[chip]:
            came = wait + ready_after(channel, system.chips[chip].config)
            _refuse_short(channel, wait, came, system)
            epoch[channel.receiver] = epoch[chip] + came // period + 1
            order.append(channel.receiver)
    start = max(epoch.values()) + 1
    found = [_preamble(system, chip, sends[chip], epoch[chip], start) for chip in range(len(system.chips))]
    _refuse_long(found, system)
    barriers = [timing(chip.config).barrier for chip in system.chips]
    found = [dataclasses.replace(p, late=max(barriers) - b) for p, b in zip(found, barriers, strict=True)]
    ends = [p.last + b for p, b in zip(found, barriers, strict=True)]
    # At least one cycle, in which all other queues are parked.
    return [dataclasses.replace(p, pad=max(ends) - end + 1) for p, end in zip(found, ends, strict=True)]


def started(system: System) -> tuple[System, int]:
    """The system with preambles before its programs, and the cycle of schedule time, common to all chips, in which
    cycle 0 of the programs is then. Without ``system.preamble`` nothing changes."""
    if not system.preamble:
        return system, 0
    found = preambles(system)
    programs = [_put_before(p, chip) for p, chip in zip(found, system.chips, strict=True)]
    return with_programs(system, programs), found[0].last + timing(system.chips[0].config).barrier


def _waits(children: Sequence[Channel], config: ChipConfig) -> tuple[tuple[Channel, int], ...]:
    """The SENDs to children: each comes in the middle of an epoch, or as soon after it as the queue is free."""
    found: list[tuple[Channel, int]] = []
    taken: set[tuple[str, int]] = set()
    for channel in children:
        h, ready = floorplan(config).links[channel.out].hemisphere, ready_after(channel, config)
        least = EARLY_NOTIFY + timing(config).barrier + travel(config, f"mem.{h}0", f"c2c.{h}")
        wait = least + (config.hac_period // 2 - ready - least) % config.hac_period
        while (h, wait) in taken:
            wait += 1
        taken.add((h, wait))
        found.append((channel, wait))
    return tuple(found)


def _refuse_short(channel: Channel, wait: int, came: int, system: System) -> None:
    period = system.chips[channel.sender].config.hac_period
    need = MOST_OFF + system.margin(channel, wait) + 1
    if min(came % period, period - came % period) < need:
        receiver = system.chips[channel.receiver].name
        raise InputError(
            f"{system.name}: hac_period is {period}, but the start vector of chip {receiver} may come up to {need}"
            f" cycles early or late; set hac_period={max(2 * period, 128)} in all chips"
        )


def _refuse_long(found: Sequence[Preamble], system: System) -> None:
    """Before words are written of which there may be far more than a queue holds."""
    for chip, preamble in zip(system.chips, found, strict=True):
        if preamble.deskews > chip.config.queue_depth:
            deeper = enough("queue_depth", preamble.deskews + _OTHERS)
            raise InputError(
                f"{system.name}: chip {chip.name} must DESKEW {preamble.deskews} times until the last chip is reached,"
                f" but a queue holds {chip.config.queue_depth} words (queue_depth); take a tree with shorter ways"
                f"; {deeper}"
            )


def _preamble(
    system: System, chip: int, sends: tuple[tuple[Channel, int], ...], epoch: int, start: int
) -> Preamble:  # fmt: skip
    config = system.chips[chip].config
    table, period = timing(config), config.hac_period
    # Nothing may be in flight when the DESKEWs come.
    busy = [wait + table.send_wire + config.superlanes + 1 for _, wait in sends]
    busy += [table.receive_func] if system.parents[chip] is not None else []
    deskew = _sure(max(busy, default=0), period)
    return Preamble(system.parents[chip], sends, epoch, deskew, start - epoch - deskew // period)


def _sure(cycle: int, period: int) -> int:
    """The first cycle from one on that is in its epoch whatever steps the HAC has made by then, one in each interval:
    counted from where an epoch began."""
    steps, phase = cycle // INTERVAL + 1, cycle % period
    if phase + steps >= period:
        return _sure(cycle + period - phase, period)
    return cycle if cycle < period else max(cycle, cycle - phase + steps)


def _put_before(preamble: Preamble, chip: Chip) -> Program:
    """The chip's program behind its preamble."""
    program, config = chip.program, chip.config
    plan = floorplan(config)
    tracks: dict[int, Track] = {}

    def track(queue: str) -> Track:
        index = plan.queue(queue).index
        return tracks.setdefault(index, Track(plan.queues[index], config, long=True))

    def put(queue: str, mnemonic: str, at: int | None = None, **values: int) -> None:
        track(queue).append(isa.instruction(mnemonic, **values).encode(), at=at)

    leader = f"c2c.{_leader(preamble, config).hemisphere}0"
    first = preamble.pad + 1
    put(leader, "NOP", n=preamble.pad)
    if preamble.parent is None:
        put(leader, "DESKEW")
    else:
        link = plan.links[preamble.parent.into]
        put(leader, "POLL", link=link.number)
        put(leader, "RECEIVE", link=link.number, stream=_outward(link))
    if preamble.sends:
        put(leader, "NOTIFY", first + EARLY_NOTIFY)
    release = EARLY_NOTIFY + timing(config).barrier
    memory = dict(program.memory)
    for channel, wait in sorted(preamble.sends, key=lambda send: send[1]):
        link = plan.links[channel.out]
        queue, slice_ = f"c2c.{link.hemisphere}0", f"mem.{link.hemisphere}0"
        for name in (queue, slice_):
            if name != leader and not track(name).words:
                put(name, "SYNC")
        read = wait - travel(config, slice_, f"c2c.{link.hemisphere}") - release
        address = _word(plan.slice(slice_).index, memory, program)
        put(slice_, "READ", read, read_address=address, read_stream=_outward(link))
        put(queue, "SEND", first + wait if queue == leader else wait - release, link=link.number, stream=_outward(link))
    for number in range(preamble.deskews):
        put(leader, "DESKEW", first + preamble.deskew if number == 0 else None)
    put(leader, "NOTIFY", preamble.last)
    put(leader, "SYNC")
    for index in program.queues.keys() | tracks.keys():
        queue = plan.queues[index].name
        if queue != leader:
            for _ in range(1 if tracks.get(index) or not preamble.sends else 2):
                put(queue, "SYNC")
    return _joined({index: track.words for index, track in tracks.items()}, memory, program)


def _leader(preamble: Preamble, config: ChipConfig) -> Link:
    """A link of the hemisphere of the leader."""
    links = floorplan(config).links
    if preamble.parent is not None:
        return links[preamble.parent.into]
    return links[preamble.sends[0][0].out] if preamble.sends else links[0]


def _outward(link: Link) -> int:
    """The first stream that leads to a link's hemisphere and beyond, where nobody reads it."""
    return stream_operand("ew".index(link.hemisphere), 0)


def _word(place: int, memory: dict[int, Image], program: Program) -> int:
    """The address of a word that the slice holds at the start: its first, or a new one where no symbol lies."""
    image = memory.get(place)
    if image is not None and len(image.addresses):
        return int(image.addresses[0])
    slices = floorplan(program.config).slices
    used = {
        address
        for symbol in program.symbols.values()
        if slices[symbol.slice].hemisphere == slices[place].hemisphere
        for address in range(symbol.address, symbol.address + symbol.count)
    }
    last = program.config.mem_words - 1
    free = next((address for address in range(last, -1, -1) if address not in used), last)
    memory[place] = Image.of({free: np.zeros(program.config.lanes, np.uint8)}, program.config.lanes)
    return free


def _joined(before: dict[int, list[int]], memory: dict[int, Image], program: Program) -> Program:
    """A program with words before those of its queues."""
    first = {index: len(words) for index, words in before.items()}
    lines = {(queue, index + first[queue]): line for (queue, index), line in program.source.lines.items()}
    source = Source(program.source.name, lines, program.source.text)
    queues = {index: [*words, *program.queues.get(index, [])] for index, words in before.items()}
    return dataclasses.replace(program, queues=queues, memory=memory, source=source).validate()
