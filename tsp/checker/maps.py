"""Rules of maps, where they can be known before the program runs: words of the image that are read."""

from collections.abc import Mapping

import numpy as np

from tsp.checker.report import Writer, burst_of, first_of_burst
from tsp.config import LANES_PER_SUPERLANE
from tsp.flow import NONE, Flow
from tsp.flow.issues import Ints
from tsp.program import Image
from tsp.timing import timing


def check_maps(flow: Flow, memory: Mapping[int, Image], writer: Writer) -> None:
    """Report PERMUTEs whose map does not name every powered lane once, once per burst. A map that is computed is not
    known."""
    low = flow.reads.rows_of(flow.issues, 1)
    permutes = [n for n, burst in enumerate(flow.issues.bursts) if burst.instruction.mnemonic == "PERMUTE"]
    issues = np.flatnonzero(np.isin(flow.issues.burst, permutes))
    maps = {int(issue): _map(flow, memory, int(low[issue])) for issue in issues}
    lanes = {i: LANES_PER_SUPERLANE * int(flow.issues.powered[i]) for i in maps}
    known = {i: map_[: lanes[i]] for i, map_ in maps.items() if map_ is not None}
    wrong = {i: map_ for i, map_ in known.items() if not np.array_equal(np.sort(map_), np.arange(lanes[i]))}
    numbers = np.asarray(list(wrong), np.int64)
    for issue in numbers[first_of_burst(flow, numbers)].tolist():
        map_, last = wrong[issue], lanes[issue] - 1
        message = f"PERMUTE takes a map that must name each of the lanes 0…{last} once; "
        beyond = np.flatnonzero(map_ > last)
        if len(beyond):
            message += f"lane {int(beyond[0])} names {int(map_[beyond[0]])}"
        else:
            twice = np.flatnonzero(map_ == np.argmax(np.bincount(map_)))
            missing = int(np.setdiff1d(np.arange(last + 1), map_)[0])
            message += f"lanes {int(twice[0])} and {int(twice[1])} both name {int(map_[twice[0]])}, and none names"
            message += f" {missing}"
        writer.add_issue("permute_map", flow, issue, int(flow.issues.time[issue]), message)


def check_addresses(flow: Flow, memory: Mapping[int, Image], writer: Writer) -> None:
    """Report GATHERs and SCATTERs of addresses that the memory does not have, and GATHERs of words that nothing has
    defined, once per burst."""
    reported: set[int] = set()
    for number, issue in enumerate(flow.indirect.issue.tolist()):
        burst, word = int(flow.issues.burst[issue]), _word(flow, memory, int(flow.indirect.map[number]))
        if burst in reported or word is None:
            continue
        bytes_ = word.reshape(-1, LANES_PER_SUPERLANE)[: int(flow.issues.powered[issue])]
        named, last = bytes_[:, 0] | bytes_[:, 1] << 8, writer.config.mem_words - 1
        mnemonic = burst_of(flow, issue).instruction.mnemonic
        beyond = np.flatnonzero(named > last)
        if len(beyond):
            message = f"the map of {mnemonic} names word {int(named[beyond[0]])} in superlane {int(beyond[0])}"
            message += f"; words are 0…{last}"
            writer.add_issue("gather_address", flow, issue, int(flow.issues.time[issue]), message)
        elif mnemonic == "GATHER" and len(lost := _undefined(flow, memory, issue, named)):
            message = f"GATHER of word {int(named[lost[0]])} of {writer.plan.slices[flow.issues.place[issue]].name} in"
            message += f" superlane {int(lost[0])}, which no data defines and no WRITE has written before; define it"
            message += " with data or write it first"
            writer.add_issue("undefined_word", flow, issue, int(flow.issues.time[issue]), message)
        else:
            continue
        reported.add(burst)


def _undefined(flow: Flow, memory: Mapping[int, Image], issue: int, named: Ints) -> Ints:
    """Superlanes in which nothing has defined the word that is named; none where SCATTERs write: that is not known."""
    place, before = flow.issues.place[issue], flow.issues.time[issue] - timing(flow.config).write_read
    if place in flow.indirect.place[flow.indirect.writes]:
        return np.zeros(0, np.int64)
    seen = (flow.stores.place == place) & (flow.issues.time[flow.stores.issue] <= before)
    written, count = flow.stores.address[seen], flow.issues.powered[flow.stores.issue[seen]]
    image = memory.get(int(place))
    # In superlane k are the words written with more than k superlanes powered.
    there = (written == named[:, None]) & (count > np.arange(len(named))[:, None])
    return np.flatnonzero(~there.any(axis=1) & ~np.isin(named, [] if image is None else image.addresses))


def _map(flow: Flow, memory: Mapping[int, Image], row: int) -> Ints | None:
    """The map whose low plane is that row of ``flow.reads``, or None if it is no word of the image."""
    low, high = (_word(flow, memory, plane) for plane in (row, row + 1))
    return None if low is None or high is None else low | high << 8


def _word(flow: Flow, memory: Mapping[int, Image], row: int) -> Ints | None:
    """What a row of ``flow.reads`` reads, or None if it is no word of the image."""
    drive = int(flow.source[row])
    if drive == NONE:
        return None
    loads = np.flatnonzero(flow.loads.issue == flow.drives.issue[drive]).tolist()
    scattered = flow.indirect.place[flow.indirect.writes]
    if not loads or not flow.loads.initial[loads[0]] or flow.loads.place[loads[0]] in scattered:
        return None
    image = memory[int(flow.loads.place[loads[0]])]
    found: Ints = image.words[np.searchsorted(image.addresses, flow.loads.address[loads[0]])].astype(np.int64)
    return found
