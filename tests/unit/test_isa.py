"""The instruction set: words worked out by hand from the bit positions in ``docs/isa.md``, and the document itself."""

import re
from pathlib import Path

import pytest

from tsp import isa, isa_doc, isa_rules
from tsp.assembler import assemble
from tsp.config import ChipConfig, preset
from tsp.disassembler import spell
from tsp.errors import InputError
from tsp.floorplan import floorplan

TINY = preset("tiny")
FLOAT, INTEGER = (TINY.override([f"vxm_float={switch}", "c2c=on", "links_e=3"]) for switch in ("on", "off"))

# Not made with isa.encode: added up by hand from the table of bit positions.
BY_HAND = [
    ("mem.e0", "NOP 1", 0x101),
    ("vxm.r0s0", "NOP 65535", 0xFFFF01),
    ("sxm.w.rotate", "NOP 258", 0x10201),
    ("mem.e0", "REPEAT 7, 1, 1", 0x100010001000702),
    ("mem.w3", "REPEAT 65535, 65535, -1, 2", 0x2FFFFFFFFFFFF02),
    ("vxm.r1s1", "REPEAT 3, 4", 0x4000302),
    ("mxm.e1.accumulate", "REPEAT 2, 1, -3", 0xFFFDFFFD0001000202),
    ("mem.e0", "SYNC", 0x3),
    ("c2c.e0", "SYNC", 0x3),
    ("mem.e0", "NOTIFY", 0x4),
    ("mem.e0", "CONFIG 1", 0x106),
    ("mxm.w0.activations", "CONFIG 2", 0x206),
    ("mxm.w0.weights", "DESKEW", 0x7),
    ("vxm.r0s1", "RUNTIME_DESKEW 0", 0x8),
    ("mem.w0", "RUNTIME_DESKEW 300", 0x12C08),
    ("mem.e0", "READ 0, e0", 0x10),
    ("mem.e0", "READ 127, w31", 0x3F0000007F10),
    ("mem.w11", "READ 5, e4", 0x40000000510),
    ("mem.e0", "WRITE 0, w0", 0x20000000000011),
    ("mem.w1", "WRITE 127, e31", 0x1F00007F000011),
    ("mem.e2", "READ 3, e1 & WRITE 64, w2", 0x22010040000312),
    ("mem.w4", "IFETCH w3, 2", 0x230000000205),
    ("vxm.r0s0", "IFETCH e31, 1", 0x1F0000000105),
    ("mem.e4", "GATHER e1, w3", 0x2300010000000013),
    ("mem.w2", "SCATTER w2, e31", 0x1F22000000000014),
    ("sxm.e.permute", "PERMUTE e0, e2 -> w4", 0x0224000000000040),
    ("sxm.w.distribute3", "DISTRIBUTE w3, e5 -> e7", 0x0507230000000041),
    ("sxm.e.transpose1", "TRANSPOSE e16 -> w0", 0x0020100000000042),
    ("sxm.e.shift0", "SHIFT e4, up, 3 -> e8", 0x03000008040000000043),
    ("sxm.w.shift1", "SHIFT w4, down, 17, e1 -> w8", 0x11030128240000000043),
    ("sxm.w.rotate", "ROTATE e4, 3 -> e16", 0x0310040000000044),
    ("vxm.r0s0", "ADD e4:int8, w5:int8 -> e8:int8", 0x825080408080000000020),
    ("vxm.r0s0", "ADD.sat e4:int16, w6:int16 -> w8:int32", 0x92609042A280000000020),
    ("vxm.r0s0", "SUB e4:int8, #5 -> next", 0x1000080410000000000521),
    ("vxm.r0s0", "SUB #-1, e4:int8 -> next", 0x80410001000FFFFFFFF21),
    ("vxm.r0s1", "MUL r0, r1 -> e8:int32, next", 0x180118001A080000000022),
    ("vxm.r0s0", "MIN e0:int32, w28:int32 -> e31:int8", 0xA3C0A00081F0000000023),
    ("vxm.r0s0", "MAX.sat r1, #-2147483648 -> w2:int16", 0x1000180129228000000024),
    ("vxm.r0s0", "ABS.sat w1:int8 -> w1:int8", 0x82128210000000025),
    ("vxm.r0s0", "NEG r0 -> next", 0x180010000000000026),
    ("vxm.r0s0", "AND e0:int8, #255 -> e0:int8", 0x100008000800000000FF27),
    ("vxm.r0s0", "OR e0:int8, r1 -> e0:int8", 0x1801080008000000000028),
    ("vxm.r1s0", "XOR r1, r1 -> next", 0x1801180110000000000029),
    ("vxm.r1s0", "NOT e30:int16 -> w30:int16", 0x91E093E000000002A),
    ("vxm.r1s0", "SHL r0, #31 -> next", 0x1000180010000000001F2B),
    ("vxm.r1s0", "SRA.sat r0, #7 -> e12:int8", 0x10001800280C000000072C),
    ("vxm.r1s0", "SRL w4:int32, e1:int8 -> w4:int32", 0x8010A240A24000000002D),
    ("vxm.r1s0", "EQ r0, r1 -> next", 0x180118001000000000002E),
    ("vxm.r1s0", "NE e2:int8, #0 -> next", 0x100008021000000000002F),
    ("vxm.r1s0", "LT e2:int8, e3:int8 -> e2:int8", 0x803080208020000000030),
    ("vxm.r1s0", "LE e2:int8, e3:int8 -> e2:int8", 0x803080208020000000031),
    ("vxm.r1s0", "GT e2:int8, e3:int8 -> e2:int8", 0x803080208020000000032),
    ("vxm.r1s0", "GE e2:int8, e3:int8 -> e2:int8", 0x803080208020000000033),
    ("vxm.r1s1", "MASK e16:int32, r0 -> w16:int32, next", 0x18000A101A300000000034),
    ("vxm.r1s1", "SELECT e1:int8, w2:int16, r1 -> e4:int16", 0x18010922080109040000000035),
    ("vxm.r1s1", "SELECT #9, r0, e28:int32 -> next", 0xA1C1800100010000000000935),
    ("vxm.r1s1", "CONVERT.sat w12:int32 -> e5:int8", 0xA2C28050000000036),
    ("vxm.r1s1", "RELU r0 -> next", 0x180010000000000037),
    ("mxm.e0.weights", "LW 1, e16", 0x100000000160),
    ("mxm.w0.weights", "LW 0, w0", 0x200000000060),
    ("mxm.e1.weights", "IW", 0x61),
    ("mxm.e1.weights", "LW 1, e0 & IW", 0x162),
    ("mxm.e0.activations", "ABC e5", 0x50000000064),
    ("mxm.w0.activations", "ABC w31", 0x3F0000000064),
    ("mxm.e0.activations", "ABC e6:fp16", 0x60000000065),
    ("mxm.e0.activations", "ABC e30:fp16", 0x1E0000000065),
    ("mxm.e0.accumulate", "ACC 7, store", 0x768),
    ("mxm.e0.accumulate", "ACC 511, add -> w4", 0x524000001FF68),
    ("mxm.w0.accumulate", "ACC 0, pass -> e28", 0x61C0000000068),
    ("mxm.e1.accumulate", "ACC 2, peek -> w0", 0x7200000000268),
    ("c2c.e0", "SEND 2, e5", 0x50000000270),
    ("c2c.w3", "RECEIVE 0, w31", 0x3F0000000071),
    ("c2c.e1", "POLL 1", 0x172),
    ("c2c.w0", "REPEAT 4, 3", 0x3000402),
]

FLOAT_BY_HAND = [
    ("vxm.r0s0", "EXP w4:fp16 -> e8:fp16", 0xB244B080000000039),
    ("vxm.r0s0", "TANH r1:fp32 -> next", 0x180150000000000038),
    ("vxm.r1s0", "RSQRT e0:fp32 -> w28:fp32, next", 0xC005C3C000000003A),
    ("vxm.r1s0", "ADD e4:fp32, #1.5 -> next", 0x10000C0450003FC0000020),
    ("vxm.r1s0", "CONVERT r0:fp32 -> next", 0x180050000000000036),
    ("vxm.r1s1", "CONVERT e4:int32 -> next:fp32", 0xA0414000000000036),
    ("vxm.r1s1", "CONVERT.sat e4:fp32 -> e8:int8", 0xC0468080000000036),
    ("vxm.r1s1", "SELECT e4:fp16, #-inf, e1:int8 -> w0:fp16", 0x80110000B044B20FF80000035),
    ("vxm.r1s1", "LT r0:fp32, r1:fp32 -> e3:int8", 0x1801180048030000000030),
    ("vxm.r1s1", "MASK #0x7fc00001:fp32, r0 -> next", 0x1800100050007FC0000134),
]


def assembled(queue: str, text: str, config: ChipConfig) -> int:
    """The last word of a queue that holds ``text``, after something that a REPEAT may follow."""
    kind = floorplan(TINY).queue(queue).kind
    before = {"mem": "READ 0, e0", "vxm": "NOT r0 -> next", "mxm_accumulate": "ACC 0, store", "c2c": "SEND 0, e0"}
    lines = [f".queue {queue}", *([before.get(kind, "IW")] if text.startswith("REPEAT") else []), text]
    return assemble("\n".join(lines), config=config).queues[floorplan(TINY).queue(queue).index][-1]


WITH_CONFIG = [*((*row, INTEGER) for row in BY_HAND), *((*row, FLOAT) for row in BY_HAND + FLOAT_BY_HAND)]


@pytest.mark.parametrize("queue, text, word, config", WITH_CONFIG)
def test_word_by_hand(queue: str, text: str, word: int, config: ChipConfig) -> None:
    assert assembled(queue, text, config) == word
    assert isa_rules.broken_rule(word, floorplan(TINY).queue(queue), config) is None
    decoded = isa.decode(word)
    assert decoded is not None and decoded.encode() == word
    assert spell(decoded, floorplan(TINY).queue(queue), {}) == text


@pytest.mark.parametrize("queue, text, word", FLOAT_BY_HAND)
def test_floating_point_is_illegal_without_the_feature(queue: str, text: str, word: int) -> None:
    assert isa_rules.broken_rule(word, floorplan(INTEGER).queue(queue), INTEGER) is not None


def test_links_are_refused_by_name_without_the_feature_and_beyond_the_last() -> None:
    assert isa_rules.broken_rule(0x50000000070, floorplan(TINY).queue("c2c.e0"), TINY) is not None
    with pytest.raises(InputError, match="SEND needs c2c, but config tiny has c2c=False"):
        assembled("c2c.e0", "SEND 0, e5", TINY)
    with pytest.raises(InputError, match="link is 3, must be 0…2, as config tiny has links_e=3; try 2"):
        assembled("c2c.e0", "SEND 3, e5", INTEGER)
    with pytest.raises(InputError, match="link is 1, must be 0…0, as config tiny has links_w=1; try 0"):
        assembled("c2c.w0", "POLL 1", INTEGER)


@pytest.mark.parametrize(
    "queue, config, why",
    [
        ("mxm.e0.activations", TINY.override(["mxm_fp16=off"]), "ABC_FP16 is no instruction of a mxm_activations"),
        ("mxm.e1.activations", TINY, "ABC of fp16 is for both planes together; it belongs in queue mxm.e0.activations"),
        ("mxm.w0.activations", TINY, "ABC of fp16 needs two planes, but config tiny has mxm_planes_w=1"),
    ],
)
def test_fp16_products_are_illegal_but_in_the_queue_of_a_pair(queue: str, config: ChipConfig, why: str) -> None:
    word = 0x240000000065 if ".w" in queue else 0x40000000065
    assert isa_rules.broken_rule(word, floorplan(config).queue(queue), config).startswith(why)


def test_words_by_hand_cover_every_operation() -> None:
    seen = {isa.decode(word).mnemonic for _, _, word in BY_HAND + FLOAT_BY_HAND}
    assert seen == set(isa.BY_MNEMONIC)
    assert len(BY_HAND) >= 40


def test_the_document_explains_every_operand_kind() -> None:
    kinds = {field.kind for operation in isa.OPERATIONS for field in operation.fields}
    explained = set(re.findall(r"^\| (\w+) \|", isa_doc.document().split("## Operations")[0], re.MULTILINE))
    assert kinds <= explained, kinds - explained


def test_fields_of_an_operation_do_not_overlap() -> None:
    for operation in isa.OPERATIONS:
        bits: set[int] = set(range(8))
        for field in operation.fields:
            mine = set(range(field.lo, field.lo + field.width))
            assert not mine & bits and max(mine) < isa.WORD_BITS, f"{operation.mnemonic}.{field.name}"
            bits |= mine


def test_payload_holds_every_field_of_a_slice() -> None:
    for operation in isa.OPERATIONS:
        if operation.repeatable:
            top = max((field.lo + field.width for field in operation.fields), default=8)
            assert top <= isa.PAYLOAD_BITS[operation.queues[0]]


def test_document_is_current() -> None:
    path = Path(__file__).parents[2] / "docs" / "isa.md"
    assert path.read_text() == isa_doc.document(), "run: python -m tsp.isa_doc docs/isa.md"


@pytest.mark.parametrize("value", [-1, 1 << 16])
def test_encode_refuses_what_does_not_fit(value: int) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        isa.instruction("READ", read_address=value).encode()
