"""Words with wrong bits in the golden model, against the plain one."""

import numpy as np
import pytest
from stepper import Stepper
from test_against_stepper import events_of, memory_of

from golden.machine import run
from tsp.builder import Builder
from tsp.config import preset
from tsp.errors import InputError
from tsp.flips import MemoryFlip, StreamFlip, parse, refuse_wrong
from tsp.floorplan import floorplan
from tsp.program import Image, Program
from tsp.randprog import flips, legal
from tsp.run import run as run_program

TINY = preset("tiny")
SMALL = TINY.override(["superlanes=1", "vxm_rows=1", "vxm_stages=1"])
ECC_UNCORRECTABLE = 8
SMALL_W0 = floorplan(SMALL).slice("mem.w0").index


@pytest.mark.parametrize("config", [TINY, SMALL], ids=["tiny", "one superlane"])
def test_single_flips_are_all_corrected(config):
    corrected = 0
    for seed in range(4):
        program = legal(seed, config)
        right = run(program)
        found = flips(seed, right.flow, 20, single=True)
        refuse_wrong(program, found)
        slow, fast = Stepper(program, found), run(program, events=True, flips=found)
        assert fast.faults == [] and not slow.faults, f"seed {seed}"
        assert fast.corrected == slow.corrected > 0, f"seed {seed}"
        assert events_of(fast) == sorted(slow.events), f"seed {seed}"
        assert memory_of(fast) == slow.memory == memory_of(right), f"seed {seed}"
        assert fast.cycles == right.cycles
        corrected += fast.corrected
    assert corrected > 40


def test_flips_of_several_bits_are_what_the_plain_model_says():
    """Two bits fault; three may be taken for one, and then go on as wrong data: both models say the same."""
    kinds, changed = set(), 0
    for seed in range(12):
        program = legal(seed, SMALL)
        right = run(program)
        found = flips(seed, right.flow, 8)
        slow, fast = Stepper(program, found), run(program, events=True, flips=found)
        before = fast.fault.cycle if fast.fault else fast.cycles
        if fast.fault is None:
            assert fast.corrected == slow.corrected, f"seed {seed}"
            assert memory_of(fast) == slow.memory, f"seed {seed}"
            changed += memory_of(fast) != memory_of(right)
        else:
            assert min(slow.faults) == tuple(fast.fault), f"seed {seed}"
        assert sorted(slow.faults)[:1] == [tuple(fault) for fault in fast.faults[:1]], f"seed {seed}"
        mine = [event for event in events_of(fast) if event[0] < before]
        assert mine == sorted(event for event in slow.events if event[0] < before), f"seed {seed}"
        kinds |= {fault.kind for fault in fast.faults}
    assert ECC_UNCORRECTABLE in kinds


def copy_and_add():
    """mem.w0[0] to mem.e0[1] by way of stream e3, and from there, plus one, to mem.w0[2]."""
    b = Builder(SMALL)
    words = np.arange(1, SMALL.lanes + 1, dtype=np.int8)[None]
    b.place("x", "mem.w0", words, address=0)
    b.read("mem.w0", 0, "e3", at=0)
    b.write("mem.e0", 1, "e3", at=b.arrive(0, "mem.w0", "mem.e0"))
    b.read("mem.e0", 1, "w5", at=20)
    adds = b.arrive(20, "mem.e0", "vxm.r0s0")
    b.alu("vxm.r0s0", "ADD", "w5:int8", "#1", to="w6:int8", at=adds)
    b.write("mem.w0", 2, "w6", at=b.arrive(adds, "vxm.r0s0", "mem.w0"))
    return b.build(), adds


def result_of(found):
    place = floorplan(SMALL).slice("mem.w0").index
    return found.words(place, [2])[0].tolist()


def test_memory_and_streams_pass_wrong_bits_on_to_the_consumer():
    """Two flips of one word, one in memory and one on the way, meet at the ALU; each alone is corrected there."""
    program, adds = copy_and_add()
    place = floorplan(SMALL).slice("mem.w0").index
    one, other = MemoryFlip(place, 0, 0, 1 << 5), parse(f"w5:vxm:{adds}:0:131", SMALL)
    want = list(range(2, SMALL.lanes + 2))
    for single in (one, other):
        found = run(program, flips=[single])
        assert (found.fault, found.corrected, result_of(found)) == (None, 1, want)
    queue = floorplan(SMALL).queue("vxm.r0s0").index
    assert tuple(run(program, flips=[one, other]).fault) == (adds, queue, ECC_UNCORRECTABLE)


def test_events_show_bits_as_they_are_driven_and_written():
    program, _ = copy_and_add()
    place, target = (floorplan(SMALL).slice(name).index for name in ("mem.w0", "mem.e0"))
    found = run(program, events=True, flips=[MemoryFlip(place, 0, 0, 0b110)])
    data = {(int(e["place"]), int(e["address"])): int(e["data"][0]) for e in found.events}
    assert data[place, 3] == data[target, 0x8001] == data[target, 32 + 5] == 1 ^ 0b110


def test_the_host_reads_corrected_words():
    program, _ = copy_and_add()
    place, target = (floorplan(SMALL).slice(name).index for name in ("mem.w0", "mem.e0"))
    single = run(program, flips=[MemoryFlip(place, 0, 0, 1)])
    assert single.words(place, [0])[0].tolist() == single.words(target, [1])[0].tolist() == list(range(1, 17))
    double = run(program, flips=[MemoryFlip(place, 0, 0, 3)])
    assert double.words(place, [0])[0][0] == double.words(target, [1])[0][0] == 1 ^ 3


def test_a_flip_of_nothing_does_nothing():
    program, _ = copy_and_add()
    found = run(program, flips=[StreamFlip(40, 0, 7, 1, 3), StreamFlip(2, 0, 3, 9, 3)])
    assert (found.fault, found.corrected, result_of(found)) == (None, 0, list(range(2, SMALL.lanes + 2)))


def test_a_flip_after_the_end_is_refused():
    program, _ = copy_and_add()
    last = run(program).cycles - 1
    assert run_program(program, "golden", flips=[parse(f"w5:vxm:{last}:0:1", SMALL)]).exit_code == 0
    late = f"flip w5:vxm:{last + 1}:0:1: the program takes {last + 1} cycles, so its cycle must be 2…{last}"
    with pytest.raises(InputError, match=late):
        run_program(program, "golden", flips=[parse(f"w5:vxm:{last + 1}:0:1", SMALL)])


@pytest.mark.parametrize(
    "flip, message",
    [
        (
            MemoryFlip(10**6, 0, 0, 1),
            "place 1000000:0:0:0: must be a word of a slice in which the program defines some",
        ),
        (MemoryFlip(SMALL_W0, 9, 0, 1), "flip mem.w0:9:0:0: word 9 must be one that the program defines; try 0"),
        (MemoryFlip(0, 0, 0, 0), "its bits must be some of 0…136"),
        (MemoryFlip(0, 0, 0, 1 << 137), "its bits must be some of 0…136"),
        (StreamFlip(5, 1, 0, 0, 1), "superlane 1 must be 0…0"),
        (StreamFlip(1, 0, 0, 0, 1), "flip e0:sxm.w:1:0:0: its cycle must be 2…2147483647"),
        (StreamFlip(5, 0, 0, 99, 1), "flip e0:site 100:5:0:0: e0 has readers at sites sxm.w to mxm.e only"),
        (parse("w3:mxm.e:5:0:1", SMALL), "flip w3:mxm.e:5:0:1: w3 has readers at sites mxm.w to sxm.e only"),
        (StreamFlip(5, 0, 64, 0, 1), "streams are e0…e31 and w0…w31"),
    ],
)
def test_a_flip_that_cannot_be_made_is_refused(flip, message):
    program, _ = copy_and_add()
    with pytest.raises(InputError, match=message):
        refuse_wrong(program, [flip])


def test_flips_too_close_and_too_many_and_without_check_bits_are_refused():
    program, _ = copy_and_add()
    with pytest.raises(InputError, match="flip e0:sxm.w:6:0:0: too soon after flip e0:sxm.w:5:0:0; its cycle"):
        refuse_wrong(program, [StreamFlip(6, 0, 0, 0, 1), StreamFlip(5, 0, 0, 0, 1)])
    with pytest.raises(InputError, match="flip e0:sxm.w:66:0:0: one of 33 flips on streams, at most 32"):
        refuse_wrong(program, [StreamFlip(2 * i + 2, 0, 0, 0, 1) for i in range(33)])
    plain = preset("tiny").override(["ecc=off"])
    image = Image(np.array([0]), np.zeros((1, plain.lanes), np.uint8))
    with pytest.raises(InputError, match="flip mem.w9:0:0:0: config tiny has no check bits, .*; set ecc=on"):
        refuse_wrong(Program(plain, {}, {3: image}), [MemoryFlip(3, 0, 0, 1)])


@pytest.mark.parametrize(
    "text, flip",
    [
        ("mem.e0:4:1:17", MemoryFlip(floorplan(TINY).slice("mem.e0").index, 4, 1, 1 << 17)),
        ("e7:vxm:12:0:17+130", StreamFlip(12, 0, 7, floorplan(TINY).slice("vxm").site - 1, 1 << 17 | 1 << 130)),
        ("w31:vxm:12:0:0", StreamFlip(12, 0, 63, floorplan(TINY).slice("vxm").site, 1)),
    ],
)
def test_a_flip_is_read_from_a_text(text, flip):
    assert parse(text, TINY) == flip


@pytest.mark.parametrize(
    "text, message",
    [
        ("mem.e0:4:1", "must be mem.e0:address:superlane:bits or e7:site:cycle:superlane:bits"),
        ("mem.e99:4:1:1", "flip mem.e99:4:1:1: unknown slice 'mem.e99'"),
        ("e7:vxn:12:0:1", "unknown site 'vxn'; did you mean 'vxm'?"),
        ("e32:vxm:12:0:1", "flip e32:vxm:12:0:1: streams are e0…e31 and w0…w31"),
        ("e7:vxm:12:0:137", "bit 137 must be 0…136"),
        ("e7:vxm:-1:0:1", "'-1' is not a number"),
        ("x7:vxm:12:0:1", "must be mem.e0"),
    ],
)
def test_a_text_that_is_no_flip_is_refused(text, message):
    with pytest.raises(InputError, match=message):
        parse(text, TINY)
