"""The assembler: placing, names, data, and a sentence with line and column for every mistake."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tsp import isa
from tsp.assembler import MOST_ERRORS, AssemblyError, assemble, assemble_file
from tsp.config import preset
from tsp.dispatch import unroll
from tsp.errors import InputError
from tsp.floorplan import floorplan
from tsp.isa import Type
from tsp.memory_map import typed
from tsp.program import Program, Symbol

TINY = preset("tiny")
EXAMPLE = Path(__file__).parents[2] / "programs" / "examples" / "vector_add.tsp"


def tiny(text: str) -> Program:
    return assemble(text, "a.tsp", TINY)


def code(queue: str, text: str) -> list[str]:
    """Mnemonics of the words a queue gets."""
    words = tiny(f".queue {queue}\n{text}").queues[floorplan(TINY).queue(queue).index]
    return [isa.decode(word).mnemonic for word in words]


def errors(text: str) -> list[str]:
    with pytest.raises(AssemblyError) as caught:
        tiny(text)
    return caught.value.errors


def test_the_example_is_what_its_comments_say() -> None:
    program = assemble_file(EXAMPLE)
    starts = {burst.instruction.mnemonic: burst.start for burst in unroll(program.queues, TINY).bursts}
    assert starts == {"READ": 0, "ADD": 2, "WRITE": 5}
    assert program.symbols["z"] == Symbol(floorplan(TINY).slice("mem.e4").index, 0, 1)
    assert program.source.name == "vector_add.tsp"
    assert program.where(floorplan(TINY).queue("mem.e4").index, 1) == "vector_add.tsp:23"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 400_000), min_size=1, max_size=20, unique=True))
def test_instructions_dispatch_in_their_cycle(cycles: list[int]) -> None:
    lines = [f"@{cycle} READ 0, e0" for cycle in sorted(cycles)]
    program = assemble("\n".join([".config tiny", ".queue mem.e0", *lines]))
    assert sorted(burst.start for burst in unroll(program.queues, TINY).bursts) == sorted(cycles)


def test_cycles_count_repeats_and_deskews() -> None:
    text = ".queue mem.e0\nREAD 0, e0\nREPEAT 3, 5\nRUNTIME_DESKEW 20\n@40 DESKEW\n@41 NOP 2\n@43 WRITE 0, w0"
    unrolled = unroll(tiny(text).queues, TINY)
    assert [(burst.start, burst.end) for burst in unrolled.bursts] == [(0, 16), (43, 44)]
    assert [control.cycle for control in unrolled.controls] == [16, 40]


def test_cycles_count_from_the_release_after_a_sync() -> None:
    unrolled = unroll(tiny(".queue mem.e0\nSYNC\n@3 READ 0, e0\n.queue mem.e1\nNOTIFY").queues, TINY)
    assert unrolled.bursts[0].start == 19 + 3


def test_a_word_may_have_all_its_bits() -> None:
    (words,) = tiny(f".queue mem.e0\n.word 0b{(1 << 128) - 1:b}\n.word {(1 << 128) - 1:#x}").queues.values()
    assert words == [(1 << 128) - 1] * 2


def test_a_queue_may_be_opened_twice() -> None:
    program = tiny(".queue mem.e0\nNOP 1\n.queue mem.e1\nNOP 2\n.queue mem.e0\n@4 NOP 3")
    assert [len(words) for words in program.queues.values()] == [3, 1]


def test_joined_instructions_in_either_order() -> None:
    assert code("mem.e0", "READ 1, e1 & WRITE 64, e2\nWRITE 64, e2 & READ 1, e1") == ["READ_WRITE"] * 2
    assert code("mxm.e0.weights", "LW 0, e0 & IW\nIW & LW 0, e0") == ["LW_IW"] * 2


def test_expressions_and_names_before_their_line() -> None:
    text = ".queue mem.e0\nREAD x + 2*N - 1, e0\n.data x: mem.e0[0x10] int8 = 1\n.const N = -(3 - 5) * 2 - 1"
    word = tiny(text).queues[floorplan(TINY).queue("mem.e0").index][0]
    assert isa.decode(word)["read_address"] == 16 + 2 * 3 - 1


@pytest.mark.parametrize("name", ["e4", "w20", "r0", "store", "up", "next"])
@pytest.mark.parametrize("line", [".const {} = 3", ".space {}: mem.e0, 1", ".data {}: mem.e0 int8 = 1"])
def test_a_name_that_means_something_else_is_refused_where_it_is_defined(line: str, name: str) -> None:
    with pytest.raises(AssemblyError, match=f"'{name}' means (a|the) "):
        tiny(line.format(name))


def test_data_fills_lanes_and_rows() -> None:
    program = tiny(
        """
        .data a: mem.e0 int8 = 1, 2,     ; goes on
                               -3
        .data b: mem.e0 int8 = [1], [2, 3]
        .data c: mem.w2[7] int32 = [70000, -1]
        .data d: mem.e0[4] int8 = 5
        .space r: mem.e0, 2
        """
    )
    assert [program.symbols[name].address for name in "abcdr"] == [0, 1, 7, 4, 5]
    assert typed(program, program.symbols["a"])[0, :4].tolist() == [1, 2, -3, 0]
    assert typed(program, program.symbols["b"])[:, :2].tolist() == [[1, 0], [2, 3]]
    assert program.symbols["c"].type == Type.INT32
    places = [floorplan(TINY).slice(f"mem.w{number}").index for number in (2, 3, 4, 5)]
    assert [program.initial(place, [7])[0, :2].tolist() for place in places] == [
        [112, 255],
        [17, 255],
        [1, 255],
        [0, 255],
    ]


def test_data_from_a_file_beside_the_source(tmp_path: Path) -> None:
    array = np.arange(-6, 6, dtype=np.int16).reshape(3, 4)
    np.save(tmp_path / "weights;1.npy", array)
    (tmp_path / "a.tsp").write_text('.config tiny\n.data w: mem.e1 int8 = file "weights;1.npy" ; ours\n')
    program = assemble_file(tmp_path / "a.tsp")
    assert typed(program, program.symbols["w"])[:, :4].tolist() == array.tolist()


@pytest.mark.parametrize(
    "array, message",
    [
        (np.array([1.5]), "must be a one- or two-dimensional array of integers"),
        (np.array([200]), "int8 is -128…127; try 127"),
        (np.zeros((2, 33), int), "a vector has 32 lanes"),
        (np.zeros((1, 1, 1), int), "must be a one- or two-dimensional"),
        (np.zeros(0, int), "not empty"),
        (np.array([None]), "must hold numbers"),
    ],
)
def test_arrays_that_do_not_fit(array: np.ndarray, message: str, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    with pytest.raises(AssemblyError, match=message):
        assemble('.config tiny\n.data mem.e0 int8 = file "a.npy"', directory=tmp_path)


MISTAKES = [
    ("REED 0, e0", "a.tsp:2:1: unknown instruction 'REED'; did you mean 'READ'?"),
    ("SEND 1, e0", "SEND is no instruction of queue mem.e0; it belongs in c2c queues"),
    ("CONFIG 0", "CONFIG: p is 0, must be 1…2; try 1"),
    ("CONFIG 3", "CONFIG: p is 3, must be 1…2; try 2"),
    ("GATHER e4, 5", "GATHER: map must be a stream such as e4"),
    ("GATHER e4", "GATHER takes read_stream, map; 1 given"),
    ("SCATTER e4:int8, e5", "SCATTER moves bytes and takes no type; write e4"),
    ("GATHER e4, e5 & WRITE 1, e6", "only READ & WRITE and LW & IW go into one word"),
    ("ADD e0:int8, #1 -> next", "ADD is no instruction of queue mem.e0; it belongs in vxm queues"),
    ("READ 128, e0", "a.tsp:2:6: READ: read_address is 128, must be 0…127; try 127"),
    ("READ -1, e0", "must be 0…127; try 0"),
    ("READ 0, e32", "a.tsp:2:9: stream e32: index must be 0…31 (config tiny); try e31"),
    ("READ 0, e0 & READ 1, e1", "only READ & WRITE and LW & IW go into one word"),
    ("READ_WRITE 0, 1, e0, e1", "write READ … & WRITE …"),
    ("READ 0", "READ takes read_address, read_stream; 1 given"),
    ("READ e0, 0", "read_address must be a number or a name"),
    ("READ 0, e0:int8", "READ moves bytes and takes no type; write e0"),
    ("READ.sat 0, e0", "unknown suffix '.sat'"),
    ("READ 0, e0 -> next", "READ has no result"),
    ("READ y, e0", "unknown name 'y'; define it with .const, .data or .space"),
    ("READ 0, x3", "unknown name 'x3'; a stream is written e3 or w3"),
    ("READ 0, E3", "unknown name 'E3'; a stream is written e3 or w3"),
    (".const x33 = 1\nREAD 0, x3", "unknown name 'x3'; did you mean 'x33'?"),
    (".const x3 = store", "unknown name 'store'; define it with"),
    ("NOP n3", "unknown name 'n3'; define it with"),
    ("NOP 0", "NOP: n is 0, must be 1…65535; try 1"),
    ("NOP 70000", "must be 1…65535; try 65535"),
    ("REPEAT 1, 1", "REPEAT follows nothing that can repeat"),
    ("NOP 1\nREPEAT 1, 1", "REPEAT follows NOP"),
    ("READ 0, e0\nREPEAT 1, 1, 99999", "step_a is 99999, must be -32768…32767; try 32767"),
    ("READ 0, e0\n@9 REPEAT 1, 1", "a REPEAT takes no @cycle"),
    ("NOP 5\n@4 READ 0, e0", "a.tsp:3:2: queue mem.e0 cannot dispatch in cycle 4, the earliest free cycle is 5"),
    ("@-1 NOP 1", "cycle -1 is out of range"),
    ("@ 99999999999 NOP 1", "is out of range"),
    ("@20000000 NOP 1", "queue mem.e0 is full: queue_depth is 256"),
    ("READ 0, e0 &", "a.tsp:2:12: the line ends where an instruction is expected"),
    ("READ 0 e0", "a.tsp:2:8: unexpected 'e0'; expected ','"),
    (".space x: mem.e0", "the line ends where ',', '[' or a type such as int8 is expected; write it as in '.space"),
    (".space x: mem.e0 int8", "the line ends where ',' is expected; write it as in '.space x: mem.e0 int8, 4'"),
    (".space x", "the line ends where ':' is expected"),
    (".data x: mem.e0 int8 = [1, 2", "the line ends where ',' or ']' is expected"),
    (".const n = 1 / 0", "a.tsp:2:14: unexpected '/'; expected an operator (+, -, *); write it as in '.const n ="),
    (".queue mem.e0 mem.e1", "unexpected 'mem.e1'; write it as in '.queue mem.e0'"),
    ("READ 0; e0", "READ takes read_address, read_stream; 1 given"),
    ("READ 0, $", "unexpected '$'"),
    (".wrod 3", "unknown directive '.wrod'; did you mean '.word'?"),
    (".word 0x100000000000000000000000000000000", ".word does not fit 128 bits"),
    (".word " + "9" * 6000, "a.tsp:2:7: .word does not fit 128 bits"),
    (".word 0b1" + "0" * 128, ".word does not fit 128 bits"),
    (f".const A = {'9' * 6000}\nNOP A", "a.tsp:2:12: the number leaves the 64 bits"),
    (f"NOP {1 << 65}", "a.tsp:2:5: the number leaves the 64 bits"),
    ("NOP -(1 - 0xffffffffffffffff * 2)", "the expression leaves the 64 bits"),
    (f".queue vxm.r0s0\nADD r{'9' * 6000}, r0 -> next", "the number leaves the 64 bits"),
    (".queue mem.e12", "unknown queue 'mem.e12' in config tiny; did you mean 'mem.e"),
    (".queue vxm.r0s0\nADD e4:int16, #1 -> next\nADD e3:int16, #1 -> next", "e3: index must be a multiple of 2"),
    (".queue vxm.r0s0\nADD e4, #1 -> next", "e4 needs its type, such as e4:int8"),
    (".queue vxm.r0s0\nADD e4:int9, #1 -> next", "unknown type 'int9'; did you mean 'int8'?"),
    (".queue vxm.r0s0\nADD e4:fp34, #1 -> next", "unknown type 'fp34'; did you mean 'fp32'?"),
    (".queue vxm.r0s0\nADD r2, #1 -> next", "a_source is 2, must be 0…1; try 1"),
    (".queue vxm.r0s0\nADD #1, #2 -> next", "ADD has one immediate, but #1 and #2 differ"),
    (".queue vxm.r0s0\nADD #4294967296, r0 -> next", "immediate is 4294967296"),
    (".queue vxm.r0s0\nADD r0, r1", "the result goes nowhere"),
    (".queue vxm.r0s0\nADD r0 -> next", "ADD takes 2 operands, not 1"),
    (".queue vxm.r0s0\nADD r0, 1 -> next", "an immediate is written #1"),
    (".queue vxm.r0s0\nADD r0, r1 -> next, next", "to one stream, to next, or to both"),
    ("READ 1.5, e4", "read_address must be a number or a name"),
    ("@1.5 READ 0, e4", "1.5 stands where a whole number must"),
    (".const half = 0.5\n.space x: mem.e0, half", "0.5 stands where a whole number must"),
    (".data x: mem.e0 int8 = 1.5", "must be a one- or two-dimensional array of integers"),
    (".const nan = 3", "'nan' means a floating-point number; choose another name"),
    (".queue vxm.r0s0\nNOT r0 -> next\nREPEAT 1, 1, 1", "VXM instructions have no address to step"),
    (".queue mxm.e0.weights\nLW 2, e0", "supercell is 2, must be 0…1; try 1"),
    (".queue mxm.e0.weights\nLW 0, e8", "a multiple of 16, for 16 streams; try e0"),
    (".queue mxm.e0.weights\nLW 0, w0", "must use an eastward stream; try e0"),
    (".queue mxm.w0.activations\nABC e3", "must use a westward stream; try w3"),
    (".queue mxm.e0.accumulate\nACC 0, peek", "pass and peek keep the row, so they need a stream"),
    (".queue mxm.e0.accumulate\nACC 0, keep", "unknown name 'keep'; known: store, add, pass, peek"),
    (".queue mxm.e0.accumulate\nACC 0, sotre", "unknown name 'sotre'; did you mean 'store'?"),
    (".const row = 1\n.queue mxm.e0.accumulate\nACC rwo, add", "unknown name 'rwo'; did you mean 'row'?"),
    (".queue vxm.r0s0\nADD e0:int8, #1 -> nxet", "unexpected 'nxet'; expected a stream such as e4 or next"),
    (".queue mxm.e0.accumulate\nACC 0, 1", "mode must be a mode: store, add, pass or peek"),
    (".queue mxm.e0.accumulate\nACC 0, add -> w4:int8", "ACC sends int32"),
    (".config tiny\n.config tiny", ".config must come once"),
    (".data x: mem.e0 int8 = 1\n.const x = 3", "'x' is defined twice"),
    (".data x: mem.e0[128] int8 = 1", "no 1 free words at mem.e0[128]"),
    (".data mem.e0[3] int8 = 1\n.data mem.e0[3] int8 = 2", "try 2"),
    (".space x: mem.e0, 129", "'x' has 129 words, must be 1…128"),
    (".data x: mem.e10 int32 = 1", "takes 4 slices outward; start at mem.e8"),
    (".data x: mxm.e0 int8 = 1", "has no memory"),
    (".data x: mem.e0 int8 = 128", "try 127"),
    ('.data x: mem.e0 int8 = file "no.npy"', "cannot be read"),
    (".data x: mem.w1 int8 = 1\n.queue mem.e0\nREAD x, e0", "'x' lies in mem.w1, not in mem.e0"),
]


@pytest.mark.parametrize("text, message", MISTAKES, ids=[text for text, _ in MISTAKES])
def test_mistakes(text: str, message: str) -> None:
    found = errors(f".queue mem.e0\n{text}")
    assert len(found) == 1 and message in found[0] and found[0].startswith("a.tsp:"), found


def test_missing_queue_and_config() -> None:
    assert "begin with a line such as '.queue mem.e0'" in errors("READ 0, e0")[0]
    with pytest.raises(AssemblyError, match="no configuration"):
        assemble(".queue mem.e0")
    with pytest.raises(AssemblyError, match="no configuration"):
        assemble("; nothing")


def test_config_in_the_source_and_on_the_command_line() -> None:
    assert assemble(".config tiny superlanes=4").config.superlanes == 4
    assert assemble(".config tiny", config=TINY).config == TINY
    with pytest.raises(AssemblyError, match="superlanes=4, not for tiny with superlanes=2"):
        assemble(".config tiny superlanes=4", config=TINY)
    with pytest.raises(AssemblyError, match="must be 1…20; try 20"):
        assemble(".config tiny superlanes=99")
    with pytest.raises(AssemblyError, match="did you mean 'tiny'"):
        assemble(".config tinny")


def test_mul_is_refused_without_a_multiplier() -> None:
    with pytest.raises(AssemblyError, match="MUL needs vxm_mul_bits, but config board has vxm_mul_bits=0"):
        assemble(".config board vxm_mul_bits=0\n.queue vxm.r0s0\nMUL r0, r0 -> next")


def test_many_mistakes_are_reported_at_once() -> None:
    found = errors(".queue mem.e0\n" + "READ 0, e40\n" * 50)
    assert len(found) == MOST_ERRORS
    assert [message.split(":")[1] for message in found] == [str(2 + i) for i in range(MOST_ERRORS)]


@pytest.mark.parametrize(
    "text, message",
    [
        (".queue mem.e0\n" + "READ 0, e0\n" * 280, "a.tsp:258:1: queue mem.e0 is full: queue_depth is 256"),
        (".queue mem.e0\n@20000000 NOP 1\nREAD 0, e0\n.word 1", "a.tsp:2:2: queue mem.e0 is full"),
        (".queue mme.e0\nREAD 0, e0\nREPEAT 2, 1\nREED y, e0\n.word 1", "a.tsp:1:8: unknown queue 'mme.e0'"),
        (".queue mem\nREAD 0, e0\nNOP 1", "a.tsp:1:8: unexpected 'mem'; expected a queue or slice"),
        (".queue vxm.r0s0\n.queue mem.e77\nREAD 0, e0", "a.tsp:2:8: unknown queue 'mem.e77'"),
        ("READ 0, e0\nREPEAT 2, 1\nNOP 1", "a.tsp:1:1: an instruction stands in no queue"),
    ],
)
def test_a_mistake_is_told_once(text: str, message: str) -> None:
    (found,) = errors(text)
    assert found.startswith(message)


def test_what_follows_a_wrong_queue_is_still_looked_at() -> None:
    found = errors(".queue mme.e0\nREAD 0 e0\n.queue mem.e0\nREED 0, e0\n" + "NOP 1\n" * 257 + "READ 999, e0")
    assert [message.split(":")[1] for message in found] == ["1", "2", "4", "261", "262"]


@pytest.mark.parametrize("text", [".data x: mem.e0 int8 = 1\n.const n = 1\n", ".cofnig tiny\n.const n = 1\n", ""])
def test_a_missing_configuration_is_told_once(text: str) -> None:
    with pytest.raises(AssemblyError) as caught:
        assemble(text + ".queue mem.e0\nNOP 1\nNOP 1", "a.tsp")
    assert len(caught.value.errors) == 1 and ".config" in str(caught.value)


def test_a_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "a.tsp").write_text(".config tiny\n.queue mem.e0\nNOP 1\n", "utf-8-sig")
    assert len(assemble_file(tmp_path / "a.tsp").queues) == 1


def test_column_in_a_continued_line() -> None:
    assert errors(".data x: mem.e0 int8 = 1,\n  2,\n  bad")[0].startswith("a.tsp:3:3: unknown name 'bad'")


def test_source_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "a.tsp").write_bytes(b".config tiny\n\xff")
    with pytest.raises(InputError, match="byte 13 is not UTF-8 text"):
        assemble_file(tmp_path / "a.tsp")
    with pytest.raises(InputError, match="No such file"):
        assemble_file(tmp_path / "b.tsp")
