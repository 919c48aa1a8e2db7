"""The SXM's tile in one superlane: reads its streams, moves bytes inside the superlane, hands the rest across."""

from collections.abc import Sequence

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib.wiring import Component, In, Member, Out

from rtl import beats, stream, tile
from rtl.ecc import Checks, coded
from rtl.stream import WORD_BITS
from rtl.sxm.across import delayed
from rtl.sxm.bundle import CONTROL_BITS, UNITS, shift_field, tile_side
from rtl.trace import hashed_drives
from tsp import isa
from tsp.config import LANES_PER_SUPERLANE as LANES
from tsp.config import ChipConfig
from tsp.floorplan import SXM_QUEUES

MNEMONICS = {op.queues[0]: op.mnemonic for op in isa.OPERATIONS if op.queues[0] in isa.SXM_KINDS}
MOST_WORDS = {"TRANSPOSE": LANES, "ROTATE": LANES}
"""Streams an instruction drives, if more than one."""


def words_of(queue: str) -> int:
    """How many words a queue's instructions drive at most; a stream takes the one of its number modulo that."""
    return MOST_WORDS.get(MNEMONICS[SXM_QUEUES[queue]], 1)


class SxmTile(Component):
    """Obeys all instructions of the ten queues of an SXM (``instr_<queue>`` …, names of ``floorplan.SXM_QUEUES``).

    Operands are read in T. What stays in the superlane is driven in T + 1; what crosses superlanes in T + S + 1.

    Ports beside those of every tile:
        e_<i>, w_<i> (word), e_present, w_present: in T, the streams that arrive at the site.
        <queue>_mask (2·streams), <queue>_word_<i>: the drive of a queue's instruction.
        absent (10): in T + 1, an operand of queue n's instruction was not there.
        bad_map: in T + S + 3 of a PERMUTE.
        drive_valid: whether any mask is not zero.
        uncorrectable (10), corrected: in T + 1, what the check bits of operands told, by queue, with feature ``ecc``.
        across_*: see :mod:`rtl.sxm.bundle`.
    """

    module_name = "sxm_tile"

    def __init__(self, config: ChipConfig):
        self.config = config
        word = stream.stream_word(config)
        ports: dict[str, Member] = {f"{side}_{i}": In(word) for side in "ew" for i in range(config.streams)}
        ports |= {"e_present": In(config.streams), "w_present": In(config.streams)}
        for queue, kind in SXM_QUEUES.items():
            ports |= tile.instruction_ports(kind, queue) | {f"{queue}_mask": Out(2 * config.streams)}
            ports |= {f"{queue}_word_{i}": Out(word) for i in range(words_of(queue))}
        ports |= {"absent": Out(len(SXM_QUEUES)), "bad_map": Out(1), "drive_valid": Out(1)} | tile_side()
        ports |= tile.corrected_ports(config) | ({"uncorrectable": Out(len(SXM_QUEUES))} if config.ecc else {})
        super().__init__(ports | tile.place_ports() | tile.host_ports(config))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        self._words = [*stream.words(self, "e", self.config), *stream.words(self, "w", self.config)]
        events: list[tuple[Value, Value, Value]] = []
        masks, counts = [], []
        for number, (queue, kind) in enumerate(SXM_QUEUES.items()):
            tile.move_north(m, self, queue)
            checks = Checks(m, self.config)
            valid, words, operand, streams = self._obey(m, number, queue, MNEMONICS[kind], checks)
            if self.config.ecc:
                m.d.sync += self.uncorrectable[number].eq(Cat(checks.uncorrectable).any())
                counts.append(checks.count)
            mask = getattr(self, f"{queue}_mask")
            m.d.comb += mask.eq(Mux(valid, stream.drive_mask(operand, streams, self.config), 0))
            masks.append(valid)
            for i, word in enumerate(words):
                driven = coded(m, f"{queue}_{i}", self.config, valid & streams[i], beats.part(self.config.beats, word))
                m.d.comb += getattr(self, f"{queue}_word_{i}").eq(driven)
                events.append((valid & streams[i], operand | i if len(words) > 1 else operand, word))
        m.d.comb += self.drive_valid.eq(Cat(masks).any())
        if self.config.ecc:
            m.d.sync += self.corrected.eq(sum(counts[1:], counts[0]))
        if self.config.trace:
            tile.answer_signature(m, self, hashed_drives(m, self, events))
        return m

    def _obey(
        self, m: Module, number: int, queue: str, mnemonic: str, checks: Checks
    ) -> tuple[Value, list[Value], Value, Value]:
        """(drives now, words, stream operand of the first, one bit for each word that is driven)."""
        instr = getattr(self, f"instr_{queue}")
        valid = getattr(self, f"instr_{queue}_valid")
        north, later = getattr(self, f"north_{queue}"), getattr(self, f"north_{queue}_valid")
        result = _field(north, mnemonic, "result")
        reads: list[tuple[str, Value]] = [("source", Const(1))]
        if mnemonic in ("PERMUTE", "DISTRIBUTE"):
            reads.append(("map", Const(1)))
        elif mnemonic == "SHIFT":
            reads.append(("select", _field(instr, mnemonic, "selects")))
        lost, operands = [], []
        for i, (name, used) in enumerate(reads):
            operand, group = _field(instr, mnemonic, name), isa.BY_MNEMONIC[mnemonic].field(name).group
            present = stream.read_present(operand, self.e_present, self.w_present, group)
            of_three: Value = Const(0)
            if mnemonic == "ROTATE":
                three = stream.read_present(operand, self.e_present, self.w_present, 3)
                of_three = _field(instr, mnemonic, "n") == 3
                present = present | (three & of_three)
            checked = [present & ~of_three if member == 3 else present for member in range(group)]
            operands.append(self._read(m, f"{queue}_{i}", valid & used, operand, checked, checks))
            lost.append(used & ~present)
        m.d.sync += self.absent[number].eq(valid & Cat(lost).any())
        if queue in UNITS:
            return self._across(m, queue, mnemonic, operands, north, later)
        if mnemonic == "DISTRIBUTE":
            return later, [_distributed(*(Cat(words) for words in operands))], result, Const(1, 1)
        (words,) = operands
        if mnemonic == "TRANSPOSE":
            return later, _transposed(words), result, Const((1 << LANES) - 1, LANES)
        three = _field(north, mnemonic, "n") == 3
        streams = Mux(three, Const((1 << 9) - 1, LANES), Const((1 << LANES) - 1, LANES))
        return later, _rotations(words, three), result, streams

    def _read(
        self, m: Module, name: str, valid: Value, operand: Value, checked: Sequence[Value], checks: Checks
    ) -> list[Value]:
        """The words of a group, in registers that load in T; those are ``checked`` that are used and there."""
        found, group = [], len(checked)
        index = stream.stream_index(operand, self.config.streams, group)
        for member in range(group):
            choices = self._words[member::group]
            word = stream.choose(m, f"{name}_{member}", valid, index, choices)
            word = checks.data(f"{name}_{member}", valid & checked[member], word)
            register = Signal(WORD_BITS, name=f"{name}_{member}_word", reset_less=True)
            together = beats.whole(m, f"{name}_{member}", self.config.beats, word)
            with m.If(valid):
                m.d.sync += register.eq(together)
            found.append(register)
        return found

    def _across(
        self, m: Module, queue: str, mnemonic: str, operands: list[list[Value]], north: Value, later: Value
    ) -> tuple[Value, list[Value], Value, Value]:
        control = Const(0, CONTROL_BITS)
        if mnemonic == "SHIFT":
            control = Cat(north[lo : lo + width] for lo, width in map(shift_field, ("n", "way", "selects")))
        m.d.comb += [
            getattr(self, f"across_{queue}_valid").eq(later),
            getattr(self, f"across_{queue}_source").eq(Cat(operands[0])),
            getattr(self, f"across_{queue}_with").eq(Cat(operands[1])),
            getattr(self, f"across_{queue}_control").eq(control),
        ]
        result = _field(north, mnemonic, "result")
        drives, (operand,) = delayed(m, f"{queue}_drive", later, [result], self.config.superlanes)
        if mnemonic == "PERMUTE":
            bad = Signal(name="bad_map_before")
            m.d.sync += [bad.eq(self.across_bad_map), self.bad_map.eq(bad)]
        return drives, [getattr(self, f"across_{queue}_result")], operand, Const(1, 1)


def _field(word: Value, mnemonic: str, name: str) -> Value:
    return tile.operand(word, mnemonic, name)


def _byte(word: Value, lane: int) -> Value:
    return word[8 * lane : 8 * lane + 8]


def _distributed(source: Value, map_: Value) -> Value:
    """Lane l takes the byte that map's lane l names, zero from 16 on."""
    indices = (_byte(map_, lane) for lane in range(LANES))
    return Cat(Mux(index[4:].any(), 0, source.word_select(index[:4], 8)) for index in indices)


def _transposed(words: Sequence[Value]) -> list[Value]:
    """Word j holds lane j of every word."""
    return [Cat(_byte(word, j) for word in words) for j in range(LANES)]


def _rotations(words: Sequence[Value], three: Value) -> list[Value]:
    """Word n·i + j: word i, lane l from lane l + j."""
    turned = [[Cat(word[8 * j :], word[: 8 * j]) for j in range(4)] for word in words]
    of_four = [turned[i][j] for i in range(4) for j in range(4)]
    of_three = [turned[i][j] for i in range(3) for j in range(3)]
    return [Mux(three, of_three[i], word) if i < len(of_three) else word for i, word in enumerate(of_four)]
