"""A MEM tile and a MEM site in amaranth.sim: latencies, order, faults, host access, signature."""

import gc

import pytest
from amaranth.hdl import Value
from amaranth.sim import Simulator

from rtl import stamp, stream
from rtl.mem import MemSite, MemTile
from tests.unit.test_rtl_trace import event_hash
from tsp.config import preset
from tsp.isa import instruction, stream_operand

TINY = preset("tiny").override(["ecc=off"])
HALF = TINY.mem_words // 2
PLACE = 17
BANK_CONFLICT, OPERAND_ABSENT, COLLISION, GATHER_ADDRESS = 2, 3, 1, 6


def read(address: int, operand: int) -> int:
    return instruction("READ", read_address=address, read_stream=operand).encode()


def write(address: int, operand: int) -> int:
    return instruction("WRITE", write_address=address, write_stream=operand).encode()


def both(read_address: int, source: int, write_address: int, target: int) -> int:
    return instruction(
        "READ_WRITE", read_address=read_address, read_stream=source, write_address=write_address, write_stream=target
    ).encode()


class Bench:
    """Drives a tile or site cycle by cycle and records its outputs: ``seen[t]`` holds those of cycle t."""

    def __init__(self, dut, outputs):
        self.dut, self.outputs, self.seen = dut, outputs, []

    def run(self, cycles):
        """``cycles``: inputs per cycle, as {port: value}; an input lasts one cycle."""

        async def bench(ctx):
            held = {}
            for t, inputs in enumerate([*cycles, *[{}] * 4]):
                held = dict.fromkeys(held, 0) | inputs | {"time": t, "place": PLACE}
                for name, value in held.items():
                    ctx.set(Value.cast(getattr(self.dut, name)), value)
                outputs = {name: Value.cast(getattr(self.dut, name)) for name in self.outputs}
                self.seen.append({name: ctx.get(port) for name, port in outputs.items()})
                await ctx.tick()

        simulator = Simulator(self.dut)
        simulator.add_clock(1e-6)
        simulator.add_testbench(bench)
        simulator.run()
        return self.seen


TILE_OUTPUTS = (
    "drive_mask", "drive_word", "drive_valid", "write_valid", "fault_valid", "fault_kind",
    "host_rvalid", "host_rdata", "north_valid", "north",
)  # fmt: skip


def tile(*cycles):
    return Bench(MemTile(TINY), TILE_OUTPUTS).run(cycles)


def issue(word, data=None):
    """The inputs of one instruction, with the word on the stream it reads (None: there is none)."""
    return {"instr_valid": 1, "instr": word, "operand": data or 0, "operand_present": int(data is not None)}


def test_a_read_sees_the_writes_of_earlier_cycles_only():
    seen = tile(issue(write(5, 0), 111), issue(write(5, 0), 222), issue(read(5, 3)), issue(write(5, 0), 333),
                issue(read(5, 3)))  # fmt: skip
    assert [cycle["drive_word"] for cycle in seen if cycle["drive_valid"]] == [222, 333]


def test_read_and_write_in_one_word_do_both():
    seen = tile(issue(write(5, 0), 111), issue(both(5, 3, HALF + 5, 0), 222), issue(read(HALF + 5, 4)))
    assert [(cycle["drive_word"], cycle["drive_mask"]) for cycle in seen if cycle["drive_valid"]] == [
        (111, 1 << 3), (222, 1 << 4)
    ]  # fmt: skip
    assert not any(cycle["fault_valid"] for cycle in seen)


@pytest.mark.parametrize("direction, index", [(0, 0), (0, 31), (1, 0), (1, 31)])
def test_a_read_drives_its_stream_one_cycle_after_dispatch(direction, index):
    seen = tile(issue(read(5, stream_operand(direction, index))))
    assert [cycle["drive_mask"] for cycle in seen[:3]] == [0, 1 << index + direction * TINY.streams, 0]


def test_the_instruction_moves_north_in_a_cycle():
    word = read(5, 3)
    seen = tile(issue(word), {})
    assert [cycle["north_valid"] for cycle in seen[:3]] == [0, 1, 0]
    assert seen[1]["north"] == word == seen[3]["north"]


def test_reading_and_writing_one_bank_at_once_is_a_bank_conflict():
    seen = tile({}, issue(both(5, 3, HALF - 1, 0), 1), issue(both(5, 3, HALF, 0), 1))
    assert [cycle["fault_valid"] for cycle in seen[:4]] == [0, 0, 1, 0]
    assert seen[2]["fault_kind"] == BANK_CONFLICT


def test_writing_what_is_not_there_is_operand_absent():
    seen = tile(issue(write(5, 0)), issue(write(5, 0), 1), issue(read(5, 0)))
    assert [cycle["fault_valid"] for cycle in seen[:4]] == [0, 1, 0, 0]
    assert seen[1]["fault_kind"] == OPERAND_ABSENT


def test_the_lower_kind_of_two_faults_counts():
    seen = tile(issue(both(5, 3, 6, 0)))
    assert (seen[1]["fault_valid"], seen[1]["fault_kind"]) == (1, BANK_CONFLICT)


def indirect(mnemonic, named, data=None):
    """A GATHER to e3 or a SCATTER, with a map that names this word (None: there is no map)."""
    fields = {"read_stream": 3} if mnemonic == "GATHER" else {"write_stream": 2}
    word = instruction(mnemonic, map=1, **fields).encode()
    return issue(word, data) | {"map": named or 0, "map_present": int(named is not None)}


def test_a_gather_reads_and_a_scatter_writes_the_word_of_its_map():
    seen = tile(issue(write(5, 0), 111), indirect("SCATTER", 6, 222), indirect("GATHER", 5), indirect("GATHER", 6))
    assert [cycle["write_valid"] for cycle in seen[:4]] == [1, 1, 0, 0]
    driven = [(cycle["drive_word"], cycle["drive_mask"]) for cycle in seen if cycle["drive_valid"]]
    assert driven == [(111, 1 << 3), (222, 1 << 3)]
    assert not any(cycle["fault_valid"] for cycle in seen)


@pytest.mark.parametrize("named", [TINY.mem_words, TINY.mem_words + 5, 0xFFFF])
def test_an_address_beyond_the_memory_reads_zeros_and_writes_nothing(named):
    seen = tile(issue(write(5, 0), 111), indirect("SCATTER", named, 222), indirect("GATHER", named), issue(read(5, 4)))
    assert [cycle["write_valid"] for cycle in seen[:4]] == [1, 0, 0, 0]
    assert [cycle["drive_word"] for cycle in seen if cycle["drive_valid"]] == [0, 111]
    assert [(cycle["fault_valid"], cycle["fault_kind"]) for cycle in seen[2:4]] == [(1, GATHER_ADDRESS)] * 2


@pytest.mark.parametrize("access", [indirect("GATHER", None), indirect("SCATTER", None, 1), indirect("SCATTER", 5)])
def test_a_map_or_data_that_are_not_there_are_operands_absent(access):
    seen = tile({}, access)
    assert (seen[2]["fault_valid"], seen[2]["fault_kind"]) == (1, OPERAND_ABSENT)


def test_without_the_feature_there_is_no_map():
    made = MemTile(TINY.override(["gather=False"]))
    made._MustUse__used = True  # only its ports are wanted here
    assert "map" not in made.signature.members


HOST = {"host_select": 1, "host_place": PLACE}


def test_the_host_reads_what_it_wrote_a_cycle_later():
    store = HOST | {"host_write": 1, "host_address": 9, "host_wdata": 1234}
    seen = tile(store, HOST | {"host_address": 9}, HOST | {"host_address": 9, "host_place": PLACE + 1})
    assert [cycle["host_rvalid"] for cycle in seen[:4]] == [0, 0, 1, 0]
    assert [cycle["host_rdata"] for cycle in seen[:4]] == [0, 0, 1234, 0]
    assert not any(cycle["drive_valid"] or cycle["drive_mask"] for cycle in seen)


def test_the_host_writes_one_place_only():
    store = HOST | {"host_write": 1, "host_address": 9}
    seen = tile(store | {"host_wdata": 1}, store | {"host_wdata": 2, "host_place": 3}, HOST | {"host_address": 9})
    assert seen[3]["host_rdata"] == 1


def test_the_signature_sums_drives_and_writes():
    source, target = stream_operand(1, 30), stream_operand(0, 2)
    show = HOST | {"host_signature": 1}
    seen = tile(issue(write(5, target), 111), {}, issue(both(5, source, HALF, target), 222), *[{}] * 5, show)
    expected = event_hash(0, PLACE, 0x8005, 111) + event_hash(2, PLACE, 0x8000 + HALF, 222)
    expected += event_hash(2 + 2, PLACE, source, 111)
    assert seen[9]["host_rvalid"] == 1
    assert seen[9]["host_rdata"] == expected % 2**64


SITE_OUTPUTS = ("e_present_out", "w_present_out", "e_out_0", "e_out_4", "w_out_4", "fault_valid", "fault_queue",
                "fault_kind", "stream_event", "write_event")  # fmt: skip


def site(*cycles):
    with stamp.inlined():
        return Bench(MemSite(TINY), SITE_OUTPUTS).run(cycles)


def to_queue(number, word):
    return {f"instr_{number}_valid": 1, f"instr_{number}": word}


def test_streams_hop_once_a_cycle_and_keep_their_word():
    seen = site({"e_in_4": 77, "e_present_in": 1 << 4, "w_in_4": 66, "w_present_in": 1 << 4}, {"e_in_4": 99})
    assert [cycle["e_present_out"] for cycle in seen[:3]] == [0, 1 << 4, 0]
    assert [cycle["e_out_4"] for cycle in seen[:3]] == [0, 77, 77]
    assert [cycle["w_out_4"] for cycle in seen[:3]] == [0, 66, 66]


def test_a_driven_value_takes_the_place_of_the_one_that_arrives():
    passing = {"e_in_4": 77, "e_present_in": 1 << 4}
    loading = passing | to_queue(2, write(1, stream_operand(0, 4)))
    seen = site(loading, {"e_in_4": 88, **to_queue(2, read(1, stream_operand(0, 0)))}, passing)
    assert (seen[0]["write_event"], seen[2]["stream_event"]) == (1, 1)
    assert [cycle["e_present_out"] for cycle in seen[1:5]] == [1 << 4, 0, 1 << 4 | 1, 0]
    assert (seen[3]["e_out_0"], seen[3]["e_out_4"]) == (77, 77)


@pytest.mark.parametrize("queues, lowest", [((0, 3), 0), ((2, 1), 1), ((1, 2, 3), 1)])
def test_drives_of_one_stream_collide_when_they_would_be_in_the_register(queues, lowest):
    clash = {key: value for queue in queues for key, value in to_queue(queue, read(1, 5)).items()}
    seen = site({}, clash)
    # Dispatched in 1, the values meet in cycle 3; a pulse comes one cycle after its fault.
    assert [cycle["fault_valid"] for cycle in seen[:6]] == [0, 0, 0, 0, 1, 0]
    assert (seen[4]["fault_queue"], seen[4]["fault_kind"]) == (lowest, COLLISION)


def test_drives_of_different_streams_do_not_collide():
    seen = site(to_queue(0, read(1, 5)) | to_queue(1, read(1, stream_operand(1, 5))) | to_queue(2, read(1, 6)))
    assert not any(cycle["fault_valid"] for cycle in seen)


@pytest.mark.parametrize("direction, index", [(0, 0), (0, 31), (1, 0), (1, 31)])
def test_a_site_takes_the_map_off_its_stream(direction, index):
    map_, side = stream_operand(direction, index), "ew"[direction]
    arriving = {f"{side}_in_{index}": HALF + 9 | 0xABC << 16, f"{side}_present_in": 1 << index}
    gather = instruction("GATHER", read_stream=4, map=map_).encode()
    seen = site({"w_in_7": 55, "w_present_in": 1 << 7} | to_queue(1, write(HALF + 9, stream_operand(1, 7))),
                arriving | to_queue(1, gather))  # fmt: skip
    assert (seen[3]["e_present_out"] >> 4 & 1, seen[3]["e_out_4"]) == (1, 55)
    assert not any(cycle["fault_valid"] for cycle in seen)


def test_the_lowest_queue_of_a_site_reports():
    seen = site(to_queue(3, write(1, 5)) | to_queue(1, write(1, 5)))
    assert (seen[1]["fault_valid"], seen[1]["fault_queue"], seen[1]["fault_kind"]) == (1, 1, OPERAND_ABSENT)


@pytest.mark.filterwarnings("ignore:.*created but never used")
def test_a_stamped_tile_does_not_read_as_zeros():
    with pytest.raises(RuntimeError, match="mem_tile"):
        Simulator(MemSite(TINY))
    gc.collect()  # what was not used warns when it is collected: here, not in another test


def test_a_word_is_sixteen_bytes():
    assert stream.stream_word(TINY).size == 128
