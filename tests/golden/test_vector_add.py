"""Hand-made memory and VXM programs, with cycles worked out by hand."""

import numpy as np
from handmade import ALU, IMMEDIATE, STREAM, Handmade, east, int32, random_bytes, read, west, write

from golden.machine import run
from tsp.config import preset
from tsp.isa import Type, instruction

TINY = preset("tiny")


def vector_add(count: int, wait: int = 5) -> Handmade:
    """mem.e0 + mem.e1 (westward) in r0s0, eastward to mem.e4, one group beyond, which writes from cycle ``wait`` on."""
    made = Handmade(TINY)
    add = instruction(
        "ADD", a_kind=STREAM, a_source=west(0), b_kind=STREAM, b_source=west(1), to_stream=1, stream=east(3)
    )
    for number in range(2):
        made.put(f"mem.e{number}", random_bytes(count, TINY.lanes, number))
        made.at(0, f"mem.e{number}", read(0, west(number)), count, a=1)
    made.at(2, "vxm.r0s0", add, count)
    made.at(wait, "mem.e4", write(9, east(3)), count, b=1)
    return made


def test_vector_add_to_the_cycle():
    made = vector_add(5)
    x, y = random_bytes(5, 32, 0), random_bytes(5, 32, 1)
    result = made.run(events=True)
    assert result.fault is None
    assert np.array_equal(result.words(made.place("mem.e4"), range(9, 14)), x + y)
    # READ at i is in the SR at i + 2, beside the VXM at once; ADD at i + 2 is in the SR at i + 4, passes group 0 and is
    # beside group 1 at i + 5, where it is written in that cycle. The last of five: 9.
    assert result.cycles == 10
    events = {s.name: result.events[result.events["place"] == s.index] for s in made.plan.slices}
    times = {name: sorted(set(table["time"].tolist())) for name, table in events.items() if len(table)}
    reads = list(range(2, 7))
    assert times == {"mem.e0": reads, "mem.e1": reads, "vxm": list(range(4, 9)), "mem.e4": list(range(5, 10))}
    assert set(events["vxm"]["address"].tolist()) == {3}
    assert events["mem.e4"]["address"].tolist()[::2] == [0x8000 + 9 + i for i in range(5)]
    assert events["vxm"][1]["superlane"] == 1
    assert np.array_equal(events["vxm"][1]["data"], (x + y)[0, 16:])


def test_one_cycle_late_is_operand_absent():
    made = vector_add(1, wait=6)
    result = made.run()
    assert [tuple(fault) for fault in result.faults] == [(6, made.queue("mem.e4"), 3)]
    assert result.fault is not None and result.fault.name == "operand_absent"
    assert not result.words(made.place("mem.e4"), [9]).any(), "an absent operand reads as zero"


def test_a_nearer_driver_takes_the_place_of_what_comes():
    made = Handmade(TINY)
    far, near = random_bytes(3, 32, 1), random_bytes(1, 32, 2)
    made.put("mem.w4", far)
    made.put("mem.w0", near)
    # mem.w4's READs of 0, 1, 2 are in the SR west of mem.w0's site at 2, 3, 4 and would be east of it at 3, 4, 5.
    made.at(0, "mem.w4", read(0, east(7)), 3, a=1)
    made.at(2, "mem.w0", read(0, east(7)))
    made.at(4, "mem.e0", write(0, east(7)), 3, b=1)
    result = made.run()
    assert result.fault is None
    assert np.array_equal(result.words(made.place("mem.e0"), range(3)), np.stack([far[0], near[0], far[2]]))


def test_repeat_feeds_an_alu_to_itself():
    """Running sums: with one stage an ALU's next stage is itself."""
    made = Handmade(TINY.override(["vxm_rows=1", "vxm_stages=1"]))
    count = 50
    x = random_bytes(count, 32)
    made.put("mem.e0", x)
    made.at(0, "mem.e0", read(0, west(0)), count, a=1)
    common = dict(a_kind=STREAM, a_source=west(0), to_next=1, to_stream=1, stream=east(0), type=int(Type.INT32))
    made.at(2, "vxm.r0s0", instruction("CONVERT", **common))
    made.at(3, "vxm.r0s0", instruction("ADD", **common, b_kind=ALU), count - 1)
    for plane in range(4):
        made.at(5, f"mem.e{4 + plane}", write(0, east(plane)), count, b=1)
    result = made.run()
    assert result.fault is None
    sums = int32(result, [made.place(f"mem.e{4 + plane}") for plane in range(4)], range(count))
    assert np.array_equal(sums, np.cumsum(x.view(np.int8).astype(np.int32), axis=0))


def test_repeat_feeds_itself_through_memory():
    """One burst each of READ_WRITE and ADD chase each other through memory, in alternating banks."""
    made = Handmade(TINY)
    half, x = TINY.mem_words // 2, random_bytes(1, 32)
    add = instruction(
        "ADD", a_kind=STREAM, a_source=west(0), b_kind=IMMEDIATE, immediate=1, to_stream=1, stream=east(1)
    )
    # READ at 0, ADD at 2, the sum beside mem.e0 at 4. At 5 the word of 4 is read.
    made.put("mem.e0", x)
    for turn in range(6):
        made.at(5 * turn, "mem.e0", read(turn % 2 * half + turn // 2, west(0)))
        made.at(5 * turn + 4, "mem.e0", write((turn + 1) % 2 * half + (turn + 1) // 2, east(1)))
    made.at(2, "vxm.r0s0", add, 6, d=5)
    result = made.run()
    assert result.fault is None
    words = result.words(made.place("mem.e0"), [0, half, 1, half + 1, 2, half + 2, 3])
    assert np.array_equal(words, x + np.arange(7, dtype=np.uint8)[:, None])


def test_a_word_written_in_the_cycle_of_its_read_is_seen_later():
    made = Handmade(TINY)
    old, new = random_bytes(1, 32, 1), random_bytes(1, 32, 2)
    made.put("mem.w0", new)
    made.put("mem.e0", old)
    made.at(0, "mem.w0", read(0, east(2)))
    made.at(
        3,
        "mem.e0",
        instruction("READ_WRITE", read_address=0, read_stream=east(9), write_address=0, write_stream=east(2)),
    )
    made.at(4, "mem.e0", read(0, east(9)))
    made.at(5, "mem.e4", write(0, east(9)), 2, b=1)
    result = made.run()
    assert np.array_equal(result.words(made.place("mem.e4"), [0, 1]), np.concatenate([old, new]))
    assert [tuple(fault) for fault in result.faults] == [(3, made.queue("mem.e0"), 2)], "one word is in one bank"


def test_collision_is_the_lowest_queues_at_the_event_time():
    made = Handmade(TINY)
    made.at(7, "mem.e3", read(0, east(2)))
    made.at(7, "mem.e1", read(0, east(2)))
    assert [tuple(fault) for fault in made.run().faults] == [(9, made.queue("mem.e1"), 1)]


def test_ties_go_to_the_lowest_queue_then_the_lowest_kind():
    made = Handmade(TINY)
    for name in ("mem.e3", "mem.e1"):
        made.at(0, name, instruction("READ_WRITE", read_stream=west(9), write_stream=east(2), write_address=1))
    e1, e3 = made.queue("mem.e1"), made.queue("mem.e3")
    assert [tuple(fault) for fault in made.run().faults] == [(0, e1, 2), (0, e1, 3), (0, e3, 2), (0, e3, 3), (2, e1, 1)]


def test_an_illegal_word_takes_one_cycle():
    made = Handmade(TINY)
    made.at(2, "mem.e0", read(0, east(0)))
    made.words("mem.e0").insert(1, 0xFF)
    result = made.run(events=True)
    assert [tuple(fault) for fault in result.faults] == [(2, made.queue("mem.e0"), 5)]
    assert set(result.events["time"].tolist()) == {5}


def test_a_repeat_that_leaves_memory_faults_where_it_does():
    made = Handmade(TINY)
    made.at(0, "mem.e0", read(TINY.mem_words - 2, east(0)), 6, d=3, a=1)
    result = made.run(events=True)
    assert result.fault is not None and tuple(result.fault) == (6, made.queue("mem.e0"), 5)
    assert set(result.events["time"].tolist()) == {2, 5}


def test_the_empty_program():
    result = run({}, TINY, events=True)
    assert (result.cycles, result.faults, result.memory, len(result.events)) == (0, [], {}, 0)
    assert set(result.signature.values()) == {0}


def test_groqchip_memory_is_sparse():
    made = Handmade(preset("groqchip"))
    made.put("mem.w43", random_bytes(1, 320), 8191)
    made.at(0, "mem.w43", read(8191, east(31)))
    # 11 groups a hemisphere with the VXM between: 22 sites on, 21 hops.
    made.at(2 + 21, "mem.e43", write(0, east(31)))
    result = made.run()
    assert result.fault is None
    assert np.array_equal(result.words(made.place("mem.e43"), [0]), random_bytes(1, 320))
    assert sum(image.words.nbytes for image in result.memory.values()) == 640


def test_cost_does_not_follow_cycles():
    """Two reads a hundred million cycles apart."""
    made = Handmade(TINY)
    made.put("mem.e0", random_bytes(1, 32))
    waits = [instruction("NOP", n=65535).encode()] * 1600
    made.words("mem.e0").extend([read(0, east(0)).encode(), *waits, read(0, east(0)).encode()])
    result = made.run()
    assert result.fault is None
    assert result.cycles == 1 + 1600 * 65535 + 2 + 1
