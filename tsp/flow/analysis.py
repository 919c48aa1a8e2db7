"""The whole resolution of a program; see :class:`Flow`."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from tsp.config import PAIR, ChipConfig
from tsp.dispatch import Unrolled
from tsp.errors import InputError
from tsp.flow import faults
from tsp.flow.collect import Collector
from tsp.flow.issues import Ints, Issues
from tsp.flow.links import Receives, Sends, link_faults, receives, sends
from tsp.flow.state import NONE, exact, latest, present, take
from tsp.flow.streams import Streams, collisions, resolve
from tsp.flow.tables import Accumulations, Bools, Chains, Indirect, Installs, Loads, Products, Stores
from tsp.isa import AccMode
from tsp.timing import timing


@dataclasses.dataclass(frozen=True)
class Moves:
    """What moves over streams and in and out of memory. Tables name issues by number (rows of ``issues``).

    Attributes:
        source: int64 [reads], the drive each read sees, or NONE.
    """

    config: ChipConfig
    unrolled: Unrolled
    issues: Issues
    drives: Streams
    reads: Streams
    source: Ints
    loads: Loads
    stores: Stores
    indirect: Indirect


@dataclasses.dataclass(frozen=True)
class Flow(Moves):
    """A program's dataflow.

    Attributes:
        collided: pairs of drives, (every one but the first, the first).
        conflicts: issues that read and write one bank.
        faults: all run-time faults, the first first, but those of what comes over links, or does not.
        cycles: predicted cycle count, last event + 1.
    """

    collided: tuple[Ints, Ints]
    conflicts: Ints
    chains: Chains
    installs: Installs
    products: Products
    accumulations: Accumulations
    sends: Sends
    receives: Receives
    faults: list[faults.Fault]
    cycles: int

    @property
    def piecewise(self) -> Ints:
        """Places of slices in which some superlanes' parts of a word may be written without the others': by SCATTERs,
        and by WRITEs while not all superlanes are powered."""
        partly = self.issues.powered[self.stores.issue] < self.config.superlanes
        written = [self.indirect.place[self.indirect.writes], self.stores.place[partly]]
        found: Ints = np.unique(np.concatenate(written))
        return found


MOST_ISSUES = 1 << 23
"""Bounds the memory of an analysis (about 200 bytes an issue): REPEATs let a small file ask for billions."""


def refuse_too_many(unrolled: Unrolled) -> None:
    """InputError for more than :data:`MOST_ISSUES` issues."""
    total = sum(burst.count for burst in unrolled.bursts)
    if total > MOST_ISSUES:
        raise InputError(f"the program issues {total} instructions, at most {MOST_ISSUES} can be analysed; split it")


def analyse(unrolled: Unrolled, config: ChipConfig, defined: Mapping[int, Ints]) -> Flow:
    """Resolve a program.

    Args:
        unrolled: from :func:`tsp.dispatch.unroll`.
        defined: place of a MEM slice → int64 [n] ascending addresses that hold a word at the start.

    Raises InputError for more than :data:`MOST_ISSUES` issues.
    """
    refuse_too_many(unrolled)
    specs = Collector(unrolled.bursts, config)
    moved = moves(unrolled, specs, config, defined)
    issues, drives, reads, loads, stores = moved.issues, moved.drives, moved.reads, moved.loads, moved.stores
    operand0 = reads.rows_of(issues, 0)
    collided = collisions(drives, issues)
    conflicts = _conflicts(loads, stores, config)
    chains = _chains(specs, issues, config)
    installs = _installs(specs, issues, operand0, config)
    products = _products(specs, issues, operand0, installs, config)
    accumulations = _accumulations(specs, issues, products, config)
    sent, received = sends(specs.sends, issues, operand0, config), receives(specs.receives, issues)
    found = [
        faults.of_mistakes(unrolled.mistakes),
        _collision_faults(drives, issues, collided),
        faults.rows(faults.BANK_CONFLICT, issues.time[conflicts], issues.queue[conflicts]),
        _absent(issues, reads, moved.source, chains, accumulations),
        _shared_faults(issues, products),
        link_faults(sent, received, issues),
    ]
    written = reads.time[np.concatenate([stores.read, moved.indirect.data[moved.indirect.writes]])]
    cycles = max(int(drives.time.max(initial=-1)), int(written.max(initial=-1))) + 1
    return Flow(
        **vars(moved),
        collided=collided,
        conflicts=conflicts,
        chains=chains,
        installs=installs,
        products=products,
        accumulations=accumulations,
        sends=sent,
        receives=received,
        faults=faults.ordered(found),
        cycles=cycles,
    )


def moves(unrolled: Unrolled, specs: Collector, config: ChipConfig, defined: Mapping[int, Ints]) -> Moves:
    """The first part of :func:`analyse`; ``specs``: of the bursts."""
    issues = Issues.of(unrolled.bursts, config, unrolled.power(config))
    drives, reads = Streams.of(specs.drives, issues), Streams.of(specs.reads, issues)
    operand0, operand1 = reads.rows_of(issues, 0), reads.rows_of(issues, 1)
    stores = _stores(specs, issues, operand0)
    loads = _loads(specs, issues, stores, defined, config)
    indirect = _indirect(specs, issues, operand0, operand1)
    return Moves(config, unrolled, issues, drives, reads, resolve(drives, reads), loads, stores, indirect)


def _stores(specs: Collector, issues: Issues, operand0: Ints) -> Stores:
    rows = specs.stores.expand(issues)
    issue = rows["issue"]
    return Stores(issue, issues.place[issue], rows["address"] + issues.step[issue] * rows["by"], operand0[issue])


def _indirect(specs: Collector, issues: Issues, operand0: Ints, operand1: Ints) -> Indirect:
    rows = specs.indirect.expand(issues)
    issue = rows["issue"]
    data = np.where(rows["scatter"] == 1, operand0[issue], NONE)
    return Indirect(issue, issues.place[issue], operand1[issue], data)


def _loads(specs: Collector, issues: Issues, stores: Stores, defined: Mapping[int, Ints], config: ChipConfig) -> Loads:
    rows = specs.loads.expand(issues)
    issue = rows["issue"]
    place, address = issues.place[issue], rows["address"] + issues.step[issue] * rows["by"]
    asked, time = place * config.mem_words + address, issues.time[issue] - timing(config).write_read
    key, powered = stores.place * config.mem_words + stores.address, issues.powered
    store = latest(key, issues.time[stores.issue], asked, time)
    in_image = _in_image(place, address, defined)
    whole = in_image | present(store) & (take(powered[stores.issue], store) >= powered[issue])
    for count in np.unique(powered[issue[~whole & present(store)]]).tolist():
        # An earlier WRITE may have defined the superlanes that the last one left as they were.
        wide = np.flatnonzero(powered[stores.issue] >= count)
        here = np.flatnonzero(powered[issue] == count)
        whole[here] |= present(latest(key[wide], issues.time[stores.issue[wide]], asked[here], time[here]))
    return Loads(issue, place, address, store, in_image & ~present(store), whole)


def _in_image(place: Ints, address: Ints, defined: Mapping[int, Ints]) -> Bools:
    """Which words the image defines."""
    found = np.zeros(len(place), np.bool_)
    for of_place, addresses in defined.items():
        here = np.flatnonzero(place == of_place)
        if len(addresses):
            nearest = np.minimum(np.searchsorted(addresses, address[here]), len(addresses) - 1)
            found[here] = addresses[nearest] == address[here]
    return found


def _conflicts(loads: Loads, stores: Stores, config: ChipConfig) -> Ints:
    """Issues whose READ and WRITE hit one bank: the top address bit."""
    both, load, store = np.intersect1d(loads.issue, stores.issue, assume_unique=True, return_indices=True)
    half = config.mem_words // 2
    same: Ints = both[loads.address[load] // half == stores.address[store] // half]
    return same


def _chains(specs: Collector, issues: Issues, config: ChipConfig) -> Chains:
    given, asked = specs.next.expand(issues), specs.chains.expand(issues)
    dispatched = issues.time[asked["issue"]] - timing(config).alu_next
    found = exact(given["alu"], issues.time[given["issue"]], asked["alu"], dispatched)
    return Chains(asked["issue"], asked["operand"], asked["alu"], take(given["issue"], found))


def _installs(specs: Collector, issues: Issues, operand0: Ints, config: ChipConfig) -> Installs:
    """Per install and column the last LW at least lw_iw cycles earlier."""
    s = config.superlanes
    lw, iw = specs.supercells.expand(issues), specs.installs.expand(issues)
    supercell = lw["supercell"] + issues.step[lw["issue"]] * lw["by"]
    asked = (issues.place[iw["issue"]] * s)[:, None] + np.arange(s)
    time = np.repeat(issues.time[iw["issue"]] - timing(config).lw_iw, s)
    found = latest(issues.place[lw["issue"]] * s + supercell, issues.time[lw["issue"]], asked.ravel(), time)
    return Installs(iw["issue"], take(operand0[lw["issue"]], found).reshape(-1, s))


def _products(specs: Collector, issues: Issues, operand0: Ints, installs: Installs, config: ChipConfig) -> Products:
    rows = specs.products.expand(issues)
    issue, fp16 = rows["issue"], rows["fp16"] == 1
    time, place = issues.time[issue] - timing(config).iw_abc, issues.place[issue]
    # The planes of a hemisphere have neighbouring places.
    install, partner = (
        latest(issues.place[installs.issue], issues.time[installs.issue], place + plane, time) for plane in range(PAIR)
    )
    return Products(issue, operand0[issue], install, fp16, np.where(fp16, partner, NONE))


def shared(issues: Issues, products: Products) -> tuple[Ints, Ints]:
    """Rows of products that use one array in one cycle: (of fp16, of the pair's plane 1)."""
    of_pair = np.flatnonzero(products.fp16)
    place, time = issues.place[products.issue], issues.time[products.issue]
    other = exact(place, time, place[of_pair] + 1, time[of_pair])
    return of_pair[present(other)], other[present(other)]


def _accumulations(specs: Collector, issues: Issues, products: Products, config: ChipConfig) -> Accumulations:
    rows = specs.accumulations.expand(issues)
    issue = rows["issue"]
    row = rows["row"] + issues.step[issue] * rows["by"]
    place, time = issues.place[issue], issues.time[issue]
    asked = time - timing(config).abc_acc
    product = exact(issues.place[products.issue], issues.time[products.issue], place, asked)
    writers = np.flatnonzero(rows["mode"] <= AccMode.ADD)
    group = place * config.acc_depth + row
    found = latest(group[writers], time[writers], group, time - timing(config).acc_acc)
    return Accumulations(issue, row, rows["mode"], rows["out"], product, take(writers, found))


def _collision_faults(drives: Streams, issues: Issues, collided: tuple[Ints, Ints]) -> Ints:
    """One fault per collision, of its lowest queue: the first of each pair."""
    first = np.unique(collided[1])
    return faults.rows(faults.COLLISION, drives.time[first], issues.queue[drives.issue[first]])


def _shared_faults(issues: Issues, products: Products) -> Ints:
    issue = products.issue[shared(issues, products)[0]]
    return faults.rows(faults.COLLISION, issues.time[issue], issues.queue[issue])


def _absent(issues: Issues, reads: Streams, source: Ints, chains: Chains, accumulations: Accumulations) -> Ints:
    stream = np.flatnonzero(source == NONE)
    chain = chains.issue[chains.source == NONE]
    acc = accumulations.issue[accumulations.product == NONE]
    cycle = np.concatenate([reads.time[stream], issues.time[chain], issues.time[acc]])
    queue = issues.queue[np.concatenate([reads.issue[stream], chain, acc])]
    return faults.rows(faults.OPERAND_ABSENT, cycle, queue)
