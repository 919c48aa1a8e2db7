"""Check bits beside the words of one module each: host port, MEM tile, station, stream registers, queue of flips."""

import random

import pytest
from amaranth.hdl import Module, Signal, Value
from amaranth.sim import Simulator

from rtl import stamp
from rtl.flips import FLIP_DEPTH, LEAD, FlipQueue
from rtl.host_port import HostPort, saturating_sum
from rtl.mem import MemSite, MemTile
from rtl.station import Station
from tb import host
from tests.unit.test_rtl_ecc import check_bits
from tests.unit.test_rtl_mem import both, read, write
from tsp.config import preset
from tsp.floorplan import floorplan
from tsp.isa import instruction, stream_operand

TINY = preset("tiny")
HALF = TINY.mem_words // 2
PLACE, NUMBER = 17, 1
ECC_UNCORRECTABLE = 8
DATA = (1 << 128) - 1


def run(dut, outputs, cycles, after=4, held=()):
    """Outputs of every cycle, given {input: value} for each; inputs last one cycle, ``held`` all."""
    seen = []

    async def bench(ctx):
        now = {}
        for inputs in [*cycles, *[{}] * after]:
            now = dict.fromkeys(now, 0) | inputs | dict(held)
            for name, value in now.items():
                ctx.set(Value.cast(getattr(dut, name)), value)
            seen.append({name: ctx.get(Value.cast(getattr(dut, name))) for name in outputs})
            await ctx.tick()

    with stamp.inlined():
        simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return seen


def coded(data):
    return data | check_bits(data) << 128


def a_word(seed):
    return random.Random(seed).getrandbits(128)


# --- MEM tile

HOST = {"host_select": 1, "host_place": PLACE}


def tile(*cycles):
    outputs = ("drive_word", "drive_valid", "fault_valid", "fault_kind", "corrected", "host_rvalid", "host_rdata")
    return run(MemTile(TINY), outputs, cycles, held={"place": PLACE})


def issue(word, operand=0):
    return {"instr_valid": 1, "instr": word, "operand": operand, "operand_present": 1}


def host_write(address, word):
    return HOST | {"host_write": 1, "host_address": address, "host_wdata": word & DATA, "host_check": word >> 128}


def flip(address, mask):
    return host_write(address, mask) | {"host_flip": 1}


def test_memory_passes_wrong_bits_on():
    """WRITE stores what comes, READ drives what is stored: check bits and all, and no fault."""
    wrong = coded(a_word(1)) ^ 1 << 40 ^ 1 << 133
    seen = tile(issue(write(5, 0), wrong), issue(both(5, 3, HALF, 0), coded(7)))
    assert [cycle["drive_word"] for cycle in seen if cycle["drive_valid"]] == [wrong]
    assert not any(cycle["fault_valid"] for cycle in seen)


def test_the_host_brings_check_bits_and_asks_for_correction():
    word = coded(a_word(2))
    seen = tile(host_write(9, word), HOST | {"host_address": 9}, HOST | {"host_address": 9, "host_flip": 1})
    assert [cycle["host_rdata"] for cycle in seen[:5]] == [0, 0, word | 1 << 137, word, 0]


@pytest.mark.parametrize("bits", [(0,), (127,), (128,), (136,), (3, 130)])
def test_a_flip_turns_bits_over_in_two_cycles(bits):
    word, mask = coded(a_word(3)), sum(1 << bit for bit in bits)
    seen = tile(host_write(9, word), host_write(10, word), flip(9, mask), {}, issue(read(9, 3)), issue(read(10, 3)))
    assert [cycle["drive_word"] for cycle in seen if cycle["drive_valid"]] == [word ^ mask, word]


def test_flipping_twice_changes_nothing():
    seen = tile(host_write(9, coded(5)), flip(9, 6), {}, flip(9, 6), {}, issue(read(9, 3)))
    assert [cycle["drive_word"] for cycle in seen if cycle["drive_valid"]] == [coded(5)]


def map_of(named, *bits):
    """Of a GATHER or SCATTER: a word that names another, with wrong bits."""
    return coded(named | a_word(9) & DATA << 16) ^ sum(1 << bit for bit in bits)


def indirect(mnemonic, map_, data=0):
    fields = {"read_stream": 3} if mnemonic == "GATHER" else {"write_stream": 2}
    return issue(instruction(mnemonic, map=1, **fields).encode(), data) | {"map": map_, "map_present": 1}


@pytest.mark.parametrize("bit", [0, 15, 16, 127, 128, 136])
def test_the_map_of_a_gather_is_corrected(bit):
    seen = tile(host_write(9, coded(5)), indirect("GATHER", map_of(9, bit)), indirect("GATHER", map_of(9)))
    assert [cycle["drive_word"] for cycle in seen if cycle["drive_valid"]] == [coded(5)] * 2
    assert [cycle["corrected"] for cycle in seen[:4]] == [0, 0, 1, 0]
    assert not any(cycle["fault_valid"] for cycle in seen)


def test_two_wrong_bits_of_a_map_are_a_fault():
    seen = tile({}, indirect("GATHER", map_of(9, 100, 130)), indirect("SCATTER", map_of(9, 100, 101), coded(1)))
    assert [cycle["fault_valid"] for cycle in seen[:5]] == [0, 0, 1, 1, 0]
    assert [cycle["fault_kind"] for cycle in seen[2:4]] == [ECC_UNCORRECTABLE] * 2
    assert not any(cycle["corrected"] for cycle in seen)


def test_what_is_scattered_and_gathered_keeps_its_wrong_bits():
    wrong = coded(a_word(10)) ^ 1 << 3 ^ 1 << 135
    seen = tile(indirect("SCATTER", map_of(9, 4), wrong), {}, indirect("GATHER", map_of(9)))
    assert [cycle["drive_word"] for cycle in seen if cycle["drive_valid"]] == [wrong]
    assert [cycle["corrected"] for cycle in seen[:4]] == [0, 1, 0, 0]


# --- stream registers


def site(*cycles):
    outputs = ("e_out_4", "w_out_4", "e_out_5", "e_present_out")
    return run(MemSite(TINY), outputs, cycles, held={"place": PLACE})


def turn(stream, mask):
    return {"flip_valid": 1, "flip_stream": stream, "flip_mask": mask}


PASSING = {
    "e_in_4": 77, "e_in_5": 55, "e_present_in": 0b110000, "w_in_4": 66, "w_present_in": 1 << 4
}  # fmt: skip


@pytest.mark.parametrize("stream, changed", [(4, "e_out_4"), (36, "w_out_4"), (5, "e_out_5"), (9, None)])
def test_a_flip_hits_one_stream_of_one_direction(stream, changed):
    mask = 1 << 3 | 1 << 136
    right, wrong = site(PASSING)[1], site(PASSING | turn(stream, mask))[1]
    assert wrong == right | ({changed: right[changed] ^ mask} if changed else {})


def test_a_flip_of_an_empty_stream_does_nothing():
    seen = site(PASSING, turn(4, 1), {})
    assert [cycle["e_out_4"] for cycle in seen[1:4]] == [77, 77, 77]
    assert [cycle["e_present_out"] for cycle in seen[1:4]] == [0b110000, 0, 0]


def test_a_flip_hits_what_is_driven():
    word = coded(a_word(4))
    load = {"instr_0_valid": 1, "instr_0": write(1, stream_operand(0, 4)), "e_in_4": word, "e_present_in": 1 << 4}
    drive = {"instr_0_valid": 1, "instr_0": read(1, stream_operand(0, 5))}
    seen = site(load, {}, drive, turn(5, 1 << 9), {})
    assert seen[4]["e_out_5"] == word ^ 1 << 9


# --- station


def station(*cycles):
    dut = Station(TINY)
    outputs = [name for name, member in dut.signature.members.items() if member.flow.name == "Out"]
    return run(dut, outputs, cycles, held={"number": NUMBER}, after=2)


def moving(superlane, sr, stream):
    names = ("valid", "superlane", "sr", "stream", "mask")
    return {f"south_flip_{name}": value for name, value in zip(names, (1, superlane, sr, stream, 6), strict=True)}


@pytest.mark.parametrize("sr", [0, 3, len(floorplan(TINY).sites) - 2])
@pytest.mark.parametrize("stream, more", [(31, 0), (32, 1)])
def test_a_flip_moves_north_and_reaches_the_site_that_drives_the_register(sr, stream, more):
    seen = station(moving(NUMBER, sr, stream), moving(NUMBER + 1, sr, stream))
    assert [cycle["north_flip_valid"] for cycle in seen] == [0, 1, 1, 0]
    reached = [[s.index for s in floorplan(TINY).sites if cycle[f"site_{s.index}_flip_valid"]] for cycle in seen]
    assert reached == [[], [sr + more], [], []]
    assert (seen[1]["north_flip_stream"], seen[1]["north_flip_mask"]) == (stream, 6)


def test_corrected_words_are_summed_on_the_way_north():
    seen = station({"south_corrected": 1000, "site_0_corrected": 3, f"site_{floorplan(TINY).vxm_site}_corrected": 200})
    assert [cycle["north_corrected"] for cycle in seen] == [0, 1203, 0]


# --- queue of flips


def push(cycle, superlane=1, stream=35, sr=4):
    return {"push": 1, "data": host.flip_when(cycle, superlane, stream, sr)}


def flips(*cycles):
    outputs = ("flip_valid", "flip_superlane", "flip_stream", "flip_sr", "flip_mask")
    return run(FlipQueue(TINY), outputs, cycles, after=0)


def test_flips_wait_for_their_time():
    asked = [{"mask_write": 1, "data": 5, "address": 256}, push(9), push(11), *[{}] * 3]
    seen = flips(*asked, *({"now": t} for t in range(14)))
    fired = {t: cycle for t, cycle in enumerate(seen[len(asked) :]) if cycle["flip_valid"]}
    assert sorted(fired) == [9 - LEAD, 11 - LEAD]
    for cycle in fired.values():
        fields = [cycle[f"flip_{name}"] for name in ("superlane", "stream", "sr", "mask")]
        assert fields == [1, 35, 4, 5 | 256 << 128]


def test_what_comes_too_late_is_dropped():
    seen = flips({"now": 8}, push(5) | {"now": 8}, push(20) | {"now": 9}, *({"now": t} for t in range(10, 24)))
    assert [3 + t + 10 - 3 for t, cycle in enumerate(seen[3:]) if cycle["flip_valid"]] == [20 - LEAD]


def test_the_queue_holds_what_it_says():
    asked = [push(2 * i + 10) for i in range(FLIP_DEPTH)]
    seen = flips(*asked, *({"now": t} for t in range(2 * FLIP_DEPTH + 20)))
    assert sum(cycle["flip_valid"] for cycle in seen) == FLIP_DEPTH


# --- host port


def port(*cycles, after=6):
    dut = HostPort(TINY)
    outputs = [name for name, member in dut.signature.members.items() if member.flow.name == "Out"]
    return run(dut, outputs, [c | {"idle": 1} for c in cycles], held={"idle": 1}, after=after)


def access(kind, address, word=0):
    return {f"host_{kind}": 1, "host_address": address, "host_wdata": word}


def test_a_write_to_memory_brings_its_check_bits():
    word = a_word(5)
    seen = port(access("write", host.memory(3, 1, 9), word))[1]
    assert (seen["request_valid"], seen["request_write"], seen["request_flip"]) == (1, 1, 0)
    assert (seen["request_wdata"], seen["request_check"]) == (word, check_bits(word))


def test_flips_of_data_and_check_bits():
    word = a_word(6)
    seen = port(access("write", host.flip_data(3, 1, 9), word), access("write", host.flip_check(3, 1, 9), 0x1AB))
    for cycle, wanted in zip(seen[1:3], ((word, 0), (0, 0x1AB)), strict=True):
        assert (cycle["request_valid"], cycle["request_write"], cycle["request_flip"]) == (1, 1, 1)
        assert (cycle["request_place"], cycle["request_superlane"], cycle["request_address"]) == (3, 1, 9)
        assert (cycle["request_wdata"], cycle["request_check"]) == wanted


def test_flips_of_streams_go_to_their_queue_also_while_a_program_runs():
    begin = access("write", host.register(host.CONTROL), host.START)
    seen = port(begin, {}, access("write", host.flip_mask(0x1AB), 5), access("write", host.flip_stream(), 7))
    assert [cycle["flip_mask"] for cycle in seen[:5]] == [0, 0, 0, 1, 0]
    assert [cycle["flip_push"] for cycle in seen[:5]] == [0, 0, 0, 0, 1]
    assert (seen[3]["request_address"] & 0x1FF, seen[3]["push_word"], seen[4]["push_word"]) == (0x1AB, 5, 7)
    assert not any(cycle["request_valid"] for cycle in seen)


def test_memory_is_not_flipped_while_a_program_runs():
    begin = access("write", host.register(host.CONTROL), host.START)
    seen = port(begin, {}, access("write", host.flip_data(3, 1, 9), 1), access("write", host.flip_check(3, 1, 9), 1))
    assert not any(cycle["request_valid"] for cycle in seen)


def answer(word, to_correct=1):
    return {"answer_valid": 1, "answer_data": word | to_correct << 137}


def test_answers_are_corrected_if_they_ask_for_it():
    data = a_word(7)
    seen = port(answer(coded(data) ^ 1 << 9), answer(coded(data) ^ 1 << 9, 0), answer(coded(data) ^ 3), answer(5, 0))
    assert [cycle["host_rdata"] for cycle in seen[1:5]] == [data, data ^ 1 << 9, data ^ 3, 5]


def corrected(*cycles):
    """The register after cycles: (units, host, uncorrectable)."""
    seen = port(*cycles, access("read", host.register(host.CORRECTED)), after=8)
    value = [cycle["host_rdata"] for cycle in seen if cycle["host_rvalid"]][-1]
    return value & 0xFFFFFFFF, value >> 32 & 0xFFFF, value >> 48


def test_corrected_words_are_counted():
    data = coded(a_word(8))
    assert corrected({"corrected": 5}, {"corrected": 300}, answer(data)) == (305, 0, 0)
    assert corrected(answer(data ^ 1), answer(data ^ 1 << 130), answer(data ^ 6)) == (0, 2, 1)
    assert corrected(answer(data ^ 1, 0)) == (0, 0, 0)


def test_counts_stop_at_the_most_they_can_hold():
    m, counter, more = Module(), Signal(4), Signal(6)
    m.d.sync += counter.eq(saturating_sum(counter, more))
    found = []

    async def bench(ctx):
        for added in (5, 0, 9, 1, 1, 0, 63):
            ctx.set(more, added)
            await ctx.tick()
            found.append(ctx.get(counter))

    simulator = Simulator(m)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert found == [5, 5, 14, 15, 15, 15, 15]
