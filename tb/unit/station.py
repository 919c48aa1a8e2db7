"""The station between two superlanes: time, requests, answers and faults are one cycle later on the other side."""

import random
from typing import Any

import cocotb

from tb.unit.ports import Ports, Values, compare, config, seeded
from tsp.floorplan import floorplan

CYCLES = 1000
NUMBER = 2
"""Of the superlane."""
REQUEST = {"superlane": 6, "write": 1, "signature": 1, "place": 9, "address": 13, "wdata": 128}
"""Fields of a request and their widths."""


class StationModel:
    """What the outputs are a cycle after some inputs; what nothing makes valid is left open."""

    def __init__(self) -> None:
        plan = floorplan(config())
        queues = [plan.site_queues(site.index) for site in plan.sites]
        self.first_queue = [own[0].index if own else 0 for own in queues]
        self.queues = list(map(len, queues))
        self.fields = [name for name in REQUEST if name != "signature" or config().trace]

    def inputs(self, rng: random.Random, density: float) -> Values:
        """Random ones; each kind of event comes with probability ``density``."""
        found = {"now": rng.getrandbits(32), "number": NUMBER, "rst": 0}
        found["south_request_valid"] = int(rng.random() < density)
        found |= {f"south_request_{name}": rng.getrandbits(REQUEST[name]) for name in self.fields}
        near = NUMBER ^ 1 << rng.randrange(6)
        found["south_request_superlane"] = rng.choice([NUMBER, NUMBER, near, rng.randrange(64)])
        found |= {"north_answer_valid": int(rng.random() < density), "north_answer_data": rng.getrandbits(128)}
        sites = range(len(self.queues))
        answers = rng.choice(sites) if rng.random() < density else None
        # Mostly one at a time, as the western one hides the others.
        raising = rng.sample(sites, rng.choice((1, 1, 2, 3))) if rng.random() < density else []
        near = 255
        for site in sites:
            found[f"site_{site}_answer_valid"] = int(site == answers)
            found[f"site_{site}_answer_data"] = rng.getrandbits(128) if site == answers else 0
            raises = self.queues[site] and site in raising
            queue = rng.randrange(self.queues[site]) if raises else rng.getrandbits(5)
            found[f"site_{site}_fault_valid"] = int(bool(raises))
            found |= {f"site_{site}_fault_queue": queue, f"site_{site}_fault_kind": rng.getrandbits(4)}
            near = self.first_queue[site] + queue if raises else near
        found |= {"south_fault_valid": int(rng.random() < density), "south_fault_kind": rng.getrandbits(4)}
        found["south_fault_queue"] = rng.choice([255, rng.randrange(256), near, near ^ 1 << rng.randrange(8)])
        return found

    def outputs(self, given: Values) -> Values:
        """The next cycle's."""
        want = {"north_time": given["now"], "north_request_valid": given["south_request_valid"]}
        here = given["south_request_superlane"] == NUMBER
        want["select"] = int(given["south_request_valid"] and here)
        if given["south_request_valid"]:
            want |= {f"north_request_{name}": given[f"south_request_{name}"] for name in self.fields}
        want |= self._answer(given)
        faults = []
        for site, first in enumerate(self.first_queue):
            if given[f"site_{site}_fault_valid"]:
                faults = [(first + given[f"site_{site}_fault_queue"], given[f"site_{site}_fault_kind"])]
                break
        if given["south_fault_valid"]:
            faults.append((given["south_fault_queue"], given["south_fault_kind"]))
        want["north_fault_valid"] = int(bool(faults))
        if faults:
            want["north_fault_queue"], want["north_fault_kind"] = min(faults)
        return want

    def _answer(self, given: Values) -> Values:
        sites = range(len(self.queues))
        own = [given[f"site_{site}_answer_data"] for site in sites if given[f"site_{site}_answer_valid"]]
        if given["north_answer_valid"]:
            own.append(given["north_answer_data"])
        return {"south_answer_valid": 1, "south_answer_data": own[0]} if own else {"south_answer_valid": 0}


async def started(dut: Any, model: StationModel, rng: random.Random) -> Ports:
    ports = Ports(dut)
    await ports.reset(model.inputs(rng, 0.0) | {"rst": 1})
    return ports


@cocotb.test()
async def everything_is_a_cycle_later_on_the_other_side(dut):
    """Requests, answers and faults of all sites and both neighbours, alone and together."""
    model, rng = StationModel(), seeded("station")
    ports = await started(dut, model, rng)
    want: Values = {}
    for cycle in range(CYCLES):
        given = model.inputs(rng, rng.choice((0.1, 0.5, 0.9)))
        await ports.cycle(given)
        compare(cycle, want, ports)
        want = model.outputs(given)


@cocotb.test()
async def what_was_not_asked_for_keeps_its_register(dut):
    """A request, an answer and a fault stay where they are until the next one."""
    model, rng = StationModel(), seeded("kept")
    ports = await started(dut, model, rng)
    for flip in (0, 1):
        given = model.inputs(rng, 1.0)
        given |= {f"south_request_{name}": -flip & (1 << REQUEST[name]) - 1 for name in model.fields}
        await ports.cycle(given)
        want = model.outputs(given)
        for cycle in range(3):
            await ports.cycle(model.inputs(rng, 0.0))
            gone = {name: 0 for name in want if name.endswith("_valid")} if cycle else {}
            kept = {name: value for name, value in want.items() if name not in ("north_time", "select")}
            compare(cycle, kept | gone, ports)


@cocotb.test()
async def reset_drops_what_is_under_way(dut):
    model, rng = StationModel(), seeded("reset")
    ports = await started(dut, model, rng)
    for cycle in range(8):
        await ports.cycle(model.inputs(rng, 1.0) | {"rst": 1})
        await ports.cycle(model.inputs(rng, 0.0))
        nothing = ("north_request_valid", "south_answer_valid", "north_fault_valid", "select")
        compare(cycle, dict.fromkeys(nothing, 0), ports)
