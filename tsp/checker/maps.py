"""The rule of PERMUTE's maps, where they can be known before the program runs: words of the image that are read."""

from collections.abc import Mapping

import numpy as np

from tsp.checker.report import Writer, burst_of, first_of_burst
from tsp.flow import NONE, Flow
from tsp.flow.issues import Ints
from tsp.program import Image


def check_maps(flow: Flow, memory: Mapping[int, Image], writer: Writer) -> None:
    """Report PERMUTEs whose map does not name every lane once, once per burst. A map that is computed is not known."""
    low = flow.reads.rows_of(flow.issues, 1)
    permutes = [n for n, burst in enumerate(flow.issues.bursts) if burst.instruction.mnemonic == "PERMUTE"]
    issues = np.flatnonzero(np.isin(flow.issues.burst, permutes))
    maps = {int(issue): _map(flow, memory, int(low[issue])) for issue in issues}
    every = np.arange(writer.config.lanes)
    wrong = {i: map_ for i, map_ in maps.items() if map_ is not None and not np.array_equal(np.sort(map_), every)}
    numbers = np.asarray(list(wrong), np.int64)
    for issue in numbers[first_of_burst(flow, numbers)].tolist():
        map_, last = wrong[issue], len(every) - 1
        message = f"PERMUTE takes a map that must name each of the lanes 0…{last} once; "
        beyond = np.flatnonzero(map_ > last)
        if len(beyond):
            message += f"lane {int(beyond[0])} names {int(map_[beyond[0]])}"
        else:
            twice = np.flatnonzero(map_ == np.argmax(np.bincount(map_)))
            missing = int(np.setdiff1d(every, map_)[0])
            message += f"lanes {int(twice[0])} and {int(twice[1])} both name {int(map_[twice[0]])}, and none names"
            message += f" {missing}"
        writer.add_issue("permute_map", flow, issue, int(flow.issues.time[issue]), message)


def _map(flow: Flow, memory: Mapping[int, Image], row: int) -> Ints | None:
    """The map whose low plane is that row of ``flow.reads``, or None if it is no word of the image."""
    planes = []
    for plane in (row, row + 1):
        drive = int(flow.source[plane])
        if drive == NONE or burst_of(flow, int(flow.drives.issue[drive])).instruction.operation.queues != ("mem",):
            return None
        (load,) = np.flatnonzero(flow.loads.issue == flow.drives.issue[drive]).tolist()
        if not flow.loads.initial[load]:
            return None
        image = memory[int(flow.loads.place[load])]
        planes.append(image.words[np.searchsorted(image.addresses, flow.loads.address[load])].astype(np.int64))
    found: Ints = planes[0] | planes[1] << 8
    return found
