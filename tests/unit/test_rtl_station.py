"""The station between two superlanes: time, requests, answers and faults are one cycle later on the other side."""

from amaranth.sim import Simulator

from rtl.station import Station
from tsp.config import preset
from tsp.floorplan import floorplan

TINY = preset("tiny")
PLAN = floorplan(TINY)
NUMBER = 1
VXM = PLAN.vxm_site
FIRST_VXM_QUEUE = PLAN.site_queues(VXM)[0].index


def run(*cycles):
    """Outputs of every cycle, given {input: value} for each; inputs last one cycle."""
    dut = Station(TINY)
    outputs = [name for name, member in dut.signature.members.items() if member.flow.name == "Out"]
    seen = []

    async def bench(ctx):
        held = {}
        for inputs in [*cycles, {}, {}]:
            held = dict.fromkeys(held, 0) | inputs | {"number": NUMBER}
            for name, value in held.items():
                ctx.set(getattr(dut, name), value)
            seen.append({name: ctx.get(getattr(dut, name)) for name in outputs})
            await ctx.tick()

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return seen


def request(superlane: int) -> dict[str, int]:
    return {"south_request_valid": 1, "south_request_superlane": superlane, "south_request_address": 77}


def fault(prefix: str, queue: int, kind: int) -> dict[str, int]:
    return {f"{prefix}_valid": 1, f"{prefix}_queue": queue, f"{prefix}_kind": kind}


def first(cycle: dict[str, int]) -> tuple[int, int, int]:
    return cycle["north_fault_valid"], cycle["north_fault_queue"], cycle["north_fault_kind"]


def test_time_is_a_cycle_later_in_the_north():
    assert [cycle["north_time"] for cycle in run({"time": 5}, {"time": 6}, {"time": 6})[1:4]] == [5, 6, 6]


def test_power_moves_north_and_says_whether_this_superlane_has_it():
    seen = run({"power": NUMBER}, {"power": NUMBER + 1}, {"power": 20}, {"power": NUMBER})
    assert [cycle["powered"] for cycle in seen[:4]] == [0, 1, 1, 0]
    # All superlanes are powered until a CONFIG says otherwise.
    assert [cycle["north_power"] for cycle in seen[:5]] == [TINY.superlanes, NUMBER, NUMBER + 1, 20, NUMBER]


def test_a_request_moves_north_and_selects_its_superlane_on_the_way():
    seen = run(request(NUMBER), request(NUMBER + 1))
    assert [cycle["north_request_valid"] for cycle in seen] == [0, 1, 1, 0]
    assert [cycle["select"] for cycle in seen] == [0, 1, 0, 0]
    assert seen[3]["north_request_address"] == 77


def test_answers_move_south_the_next_after_the_own():
    seen = run({f"site_{VXM}_answer_valid": 1, f"site_{VXM}_answer_data": 8},
               {"north_answer_valid": 1, "north_answer_data": 9})  # fmt: skip
    assert [cycle["south_answer_valid"] for cycle in seen] == [0, 1, 1, 0]
    assert [cycle["south_answer_data"] for cycle in seen[1:3]] == [8, 9]


def test_a_fault_of_a_site_moves_north_with_its_queue_on_the_chip():
    seen = run(fault(f"site_{VXM}_fault", 2, 3))
    assert first(seen[1]) == (1, FIRST_VXM_QUEUE + 2, 3)
    assert seen[2]["north_fault_valid"] == 0


def test_the_western_site_comes_first():
    seen = run(fault(f"site_{VXM}_fault", 0, 1) | fault(f"site_{VXM - 1}_fault", 1, 3))
    assert first(seen[1]) == (1, PLAN.site_queues(VXM - 1)[1].index, 3)


def test_of_two_superlanes_the_lower_queue_and_then_the_lower_kind_counts():
    own = fault(f"site_{VXM}_fault", 1, 3)
    queue = FIRST_VXM_QUEUE + 1
    cases = [(queue - 1, 9, 9), (queue, 1, 1), (queue, 3, 3), (queue, 4, 3), (queue + 1, 1, 3)]
    for south_queue, south_kind, kind in cases:
        seen = run(own | fault("south_fault", south_queue, south_kind))
        assert first(seen[1]) == (1, min(queue, south_queue), kind)


def test_a_fault_of_no_queue_comes_last():
    assert first(run(fault("south_fault", 255, 10))[1]) == (1, 255, 10)
    assert first(run(fault("south_fault", 255, 10) | fault(f"site_{VXM}_fault", 0, 3))[1])[1] == FIRST_VXM_QUEUE
