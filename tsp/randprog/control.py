"""Barriers and deskews of a random program. They are booked first; everything else finds its place around them."""

import random
from functools import partial

from tsp import isa
from tsp.config import ChipConfig
from tsp.floorplan import Queue
from tsp.flow.fetch import expand_program
from tsp.program import Program
from tsp.randprog.layout import Item, Layout
from tsp.timing import timing

SLACK = 6
"""t of a RUNTIME_DESKEW is at least this when the HAC drifts, so that t + δ is never negative."""


def word(mnemonic: str, **fields: int) -> tuple[int]:
    """The word of a control instruction."""
    return (isa.instruction(mnemonic, **fields).encode(),)


def quiet(config: ChipConfig) -> int:
    """Cycles after the last instruction until nothing is in flight anywhere."""
    return timing(config).drain


def phases(layout: Layout, deskews: int) -> None:
    """Book barriers over the whole horizon, ``deskews`` of them with everything quiet and a DESKEW before."""
    rng, barrier = layout.rng, layout.timing.barrier
    users = _users(layout)
    now = 0
    while now + 3 * barrier < layout.horizon:
        start = 0 if now == 0 and rng.random() < 0.3 else now + rng.randint(20, 60)
        released: list[int] = []
        if deskews and rng.random() < 0.7 and layout.attempt(partial(_deskew, layout, users, start, released)):
            now = released[0]
            deskews -= 1
        else:
            notify = now if rng.random() < 0.15 else now + rng.randint(0, 80)
            now = _barrier(layout, users, now, notify)


def _barrier(layout: Layout, users: list[Queue], before: int, notify: int) -> int:
    """A NOTIFY in cycle ``notify`` releases some queues that park after ``before``, when the last barrier was over; the
    first cycle in which the next NOTIFY may come."""
    rng, release = layout.rng, notify + layout.timing.barrier
    queues = [q for q in users if layout.free(q.index, notify, release)]
    if release >= layout.horizon or not queues:
        return layout.horizon
    notifier = rng.choice(queues)
    layout.book(notifier.index, Item(notify, notify + 1, word("NOTIFY")))
    share = rng.choice((0.1, 0.2, 0.4))
    for queue in queues:
        # Queues without a slice do nothing else.
        if rng.random() > (share if queue.slice >= 0 else 0.8):
            continue
        first = notify + 1 if queue is notifier else max(before, notify - 10)
        sync = rng.choice((first, notify, release - 1, rng.randint(first, release - 1)))
        sync = max(sync, first)
        if layout.free(queue.index, sync, release):
            layout.book(queue.index, _park(layout, queue, sync, release))
    return release


def _deskew(layout: Layout, users: list[Queue], start: int, released: list[int]) -> None:
    """Park everything from ``start`` on, wait until all is quiet, DESKEW in some queues at once, and go on. Appends the
    first cycle of what comes after to ``released``."""
    rng = layout.rng
    cycle = start + quiet(layout.config) if start else rng.randint(1, 4)
    awake = rng.sample(users, rng.choice((1, 1, 2, 3, len(users))))
    if rng.random() < 0.5:
        words, length = word("DESKEW"), layout.timing.deskew
    else:
        t = layout.slack + rng.choice((0, 1, rng.randint(0, 20)))
        words, length = word("RUNTIME_DESKEW", t=t), t + layout.timing.runtime_deskew
    notify = _configs(layout, awake, cycle + length) + rng.randint(0, 3)
    release = notify + layout.timing.barrier
    for queue in users:
        if queue not in awake:
            layout.book(queue.index, _park(layout, queue, start, release))
    for queue in awake:
        layout.book(queue.index, Item(cycle, cycle + length, words))
        # Nothing but the notifier may go on while the others wait: they would be neither parked nor finished, but busy.
        if queue is awake[0]:
            layout.book(queue.index, Item(notify, notify + 1, word("NOTIFY")))
        for begin, end in ((start, cycle), (cycle + length, notify)):
            _keep_free(layout, queue, begin, end)
    released.append(release)


def _configs(layout: Layout, awake: list[Queue], start: int) -> int:
    """In six of ten cases CONFIGs of some queues, of several kinds if there are, one a cycle from ``start`` on. Returns
    the first cycle from which the last holds. At the end all superlanes are powered, or a number that is the program's.
    """
    rng, every = layout.rng, layout.config.superlanes
    if rng.random() < 0.4:
        return start
    kinds = sorted({queue.kind for queue in awake})
    chosen = rng.sample(kinds, rng.choice((1, min(2, len(kinds)), len(kinds))))
    fewer = min((p for _, p in layout.powers), default=every)
    fewer = rng.randint(1, max(1, every - 1)) if fewer == every else fewer
    for number, kind in enumerate(chosen):
        queue = rng.choice([queue for queue in awake if queue.kind == kind])
        last = number == len(chosen) - 1
        p = rng.choice((fewer, fewer, every)) if last else rng.choice((fewer, every))
        layout.book(queue.index, Item(start + number, start + number + 1, word("CONFIG", p=p)))
        layout.powers.append((start + number, p))
        layout.log(layout.powers.pop)
    return start + len(chosen) - 1 + layout.timing.config


def _park(layout: Layout, queue: Queue, start: int, release: int) -> Item:
    # A queue that has nothing left to do need not wait for anybody; now and then it does.
    return Item(start, release, word("SYNC"), idle=layout.rng.random() < (0.8 if queue.slice >= 0 else 0.3))


def _keep_free(layout: Layout, queue: Queue, start: int, end: int) -> None:
    for cycle in range(start, end):
        if layout.free(queue.index, cycle, cycle + 1):
            layout.block(queue.index, cycle)


def _users(layout: Layout) -> list[Queue]:
    """Queues that take part: those of the units that are built, and a few of the others, which only wait."""
    others = [q for q in layout.plan.queues if q.slice < 0]
    few = layout.rng.sample(others, min(layout.rng.choice((1, 2, 4)), len(others)))
    return sorted([q for q in layout.plan.queues if q.slice >= 0] + few, key=lambda q: q.index)


def deskew_count(program: Program) -> int:
    """How many DESKEWs and RUNTIME_DESKEWs a program has, those among the words that it fetches too."""
    return sum(control.mnemonic in ("DESKEW", "RUNTIME_DESKEW") for control in expand_program(program).controls)


def drifts(seed: int) -> bool:
    """Whether the HAC may drift while the legal program of a seed runs."""
    return seed % 2 == 1


def drift(seed: int, cycles: int) -> list[tuple[int, int]]:
    """Steps of the HAC, (clock cycle, ±1), that the legal program of a seed survives; none for even seeds."""
    rng = random.Random(f"drift {seed}")
    steps: list[tuple[int, int]] = []
    total = 0
    if not drifts(seed):
        return steps
    for cycle in sorted(rng.sample(range(cycles), min(8, cycles))):
        step = rng.choice((-1, 1))
        if abs(total + step) <= SLACK // 2:
            total += step
            steps.append((cycle, step))
    return steps
