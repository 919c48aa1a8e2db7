"""The disassembler: a :class:`tsp.program.Program` to text that assembles to the same queues, memory and configuration.

A word that the assembler would not write bit for bit like that (an illegal one, or one with something in bits that have
no meaning) becomes a ``.word``. Symbols are kept where they can be written down: legal names, no two on one word.
"""

import re
from collections.abc import Iterator

from tsp import float_text, isa, isa_rules
from tsp.assembler import assemble
from tsp.assembler_nodes import RESERVED
from tsp.config import PRESETS, ChipConfig
from tsp.errors import InputError
from tsp.floorplan import Queue, floorplan
from tsp.isa import AccMode, OperandKind, Type
from tsp.memory_map import MemoryMap, plane_slices, typed
from tsp.program import Program, Symbol

_CONTINUED = ",\n        "
_NAME = re.compile(rf"(?!(?:{'|'.join(RESERVED)})$)[A-Za-z_][A-Za-z0-9_]*")


def disassemble(program: Program) -> str:
    """Assembly text of a program; :func:`tsp.assembler.assemble` makes the same queues, memory and config of it."""
    symbols = _usable_symbols(program)
    lines = [_config(program.config), "", *_memory(program, symbols)]
    names = _names(program.config, symbols)
    words = Words(program.config, names)
    for index, queue_words in program.queues.items():
        queue = floorplan(program.config).queues[index]
        lines += ["", f".queue {queue.name}"]
        before = None
        for word in queue_words:
            lines.append(f"        {words.text(word, queue, before)}")
            before = word
    return "\n".join(lines) + "\n"


def _config(config: ChipConfig) -> str:
    base = PRESETS.get(config.name, PRESETS["tiny"])
    mine, its = config.as_dict(), base.as_dict()
    settings = [f"{name}={mine[name]}" for name in mine if name != "name" and mine[name] != its[name]]
    return " ".join([".config", base.name, *settings])


def _usable_symbols(program: Program) -> dict[str, Symbol]:
    """The symbols that can be written: spelled like names, no two on one word, all of their words defined or none."""
    memory = MemoryMap(program.config)
    kept = {}
    for name, symbol in program.symbols.items():
        if not _NAME.fullmatch(name) or _defined(program, symbol) is None:
            continue
        if _defined(program, symbol) and _texts(program, symbol) is None:
            continue
        slice_ = floorplan(program.config).slices[symbol.slice].name
        try:
            memory.reserve(name, slice_, symbol.count, symbol.type, symbol.address)
        except InputError:
            continue
        kept[name] = symbol
    return kept


def _defined(program: Program, symbol: Symbol) -> bool | None:
    """Whether all words of a symbol are defined (True) or none (False)."""
    try:
        places = plane_slices(program.config, floorplan(program.config).slices[symbol.slice], symbol.type)
    except InputError:
        return None
    wanted = set(range(symbol.address, symbol.address + symbol.count))
    held = [len(wanted & set(program.memory[p].addresses.tolist())) if p in program.memory else 0 for p in places]
    if set(held) == {symbol.count}:
        return True
    return False if set(held) == {0} else None


def _memory(program: Program, symbols: dict[str, Symbol]) -> Iterator[str]:
    slices = floorplan(program.config).slices
    written: set[tuple[int, int]] = set()
    for name, symbol in symbols.items():
        where = f"{name}: {slices[symbol.slice].name}[{symbol.address}] {symbol.type.name.lower()}"
        if not _defined(program, symbol):
            yield f".space {where}, {symbol.count}"
            continue
        yield f".data {where} = {_rows(_texts(program, symbol) or [])}"
        for place in plane_slices(program.config, slices[symbol.slice], symbol.type):
            written |= {(place, symbol.address + i) for i in range(symbol.count)}
    for place, image in program.memory.items():
        free = [a for a in image.addresses.tolist() if (place, a) not in written]
        for first, count in _stretches(free):
            data = _texts(program, Symbol(place, first, count)) or []
            yield f".data {slices[place].name}[{first}] int8 = {_rows(data)}"


def _texts(program: Program, symbol: Symbol) -> list[list[str]] | None:
    """The elements of a symbol as written; None if one cannot be: a NaN other than the canonical one."""
    values = typed(program, symbol)
    if symbol.type not in isa.FLOAT_TYPES:
        return [[str(value) for value in row] for row in values.tolist()]
    bits = values.view(f"u{symbol.type.planes}").tolist()
    texts = [[float_text.text_of(value, symbol.type) if value else "0" for value in row] for row in bits]
    known = [[text for text in row if text is not None] for row in texts]
    return known if known == texts else None


def _rows(rows: list[list[str]]) -> str:
    texts = []
    for row in rows:
        used = max((i + 1 for i, value in enumerate(row) if value != "0"), default=1)
        parts = [", ".join(row[i : min(i + 16, used)]) for i in range(0, used, 16)]
        texts.append("[" + _CONTINUED.join(parts) + "]")
    return _CONTINUED.join(texts)


def _stretches(addresses: list[int]) -> Iterator[tuple[int, int]]:
    """Ascending addresses as (first, count) of neighbours."""
    first = 0
    for i in range(1, len(addresses) + 1):
        if i == len(addresses) or addresses[i] != addresses[i - 1] + 1:
            yield addresses[first], i - first
            first = i


def address_names(program: Program) -> dict[tuple[int, int], str]:
    """Place and address → how the address is written, for :func:`spell`."""
    return _names(program.config, _usable_symbols(program))


def _names(config: ChipConfig, symbols: dict[str, Symbol]) -> dict[tuple[int, int], str]:
    """Place and address → how the address is written."""
    names = {}
    for name, symbol in symbols.items():
        for place in plane_slices(config, floorplan(config).slices[symbol.slice], symbol.type):
            for i in range(symbol.count):
                names[place, symbol.address + i] = f"{name} + {i}" if i else name
    return names


class Words:
    """Spells the words of one program. ``names``: place and address → the address as written."""

    def __init__(self, config: ChipConfig, names: dict[tuple[int, int], str] | None = None):
        self._config, self._names = config, names or {}

    def text(self, word: int, queue: Queue, before: int | None = None) -> str:
        """The word as assembly; ``.word`` if no instruction after the word ``before`` assembles to just these bits."""
        instruction = isa.decode(word)
        raw = f".word {word:#034x}"
        if instruction is None or isa_rules.broken_rule(word, queue, self._config) is not None:
            return raw
        if instruction.mnemonic == "REPEAT" and not self._repeatable(before, queue):
            return raw
        text = spell(instruction, queue, self._names)
        return text if self._same(spell(instruction, queue, {}), word, queue, before) else f"{raw}    ; {text}"

    def _repeatable(self, word: int | None, queue: Queue) -> bool:
        if word is None or isa_rules.broken_rule(word, queue, self._config) is not None:
            return False
        return (instruction := isa.decode(word)) is not None and instruction.operation.repeatable

    def _same(self, text: str, word: int, queue: Queue, before: int | None) -> bool:
        lead = f".word {before:#x}\n" if before is not None else ""
        try:
            program = assemble(f".queue {queue.name}\n{lead}{text}", config=self._config)
        except InputError:
            return False
        return program.queues[queue.index][-1] == word


def spell(instruction: isa.Instruction, queue: Queue, names: dict[tuple[int, int], str]) -> str:
    """An instruction as assembly; ``names`` as in :class:`Words`. For messages too: it need not be legal."""
    op = instruction.operation
    if op.arity:
        return _spell_alu(instruction)
    match op.mnemonic:
        case "READ_WRITE":
            return " & ".join(_spell_access(instruction, queue, names, half) for half in ("READ", "WRITE"))
        case "READ" | "WRITE":
            return _spell_access(instruction, queue, names, op.mnemonic)
        case "LW" | "LW_IW":
            text = f"LW {instruction['supercell']}, {isa.stream_name(instruction['stream'])}"
            return text + (" & IW" if op.mnemonic == "LW_IW" else "")
        case "ABC_FP16":
            return f"ABC {isa.stream_name(instruction['stream'])}:fp16"
        case "SHIFT":
            n, way = instruction["n"], isa.Way(instruction["way"]).name.lower()
            select = f", {isa.stream_name(instruction['select'])}" if instruction["selects"] else ""
            moved = f"{isa.stream_name(instruction['source'])}, {way}, {n}{select}"
            return f"SHIFT {moved} -> {isa.stream_name(instruction['result'])}"
        case "ACC":
            text = f"ACC {instruction['row']}, {AccMode(instruction['mode']).name.lower()}"
            return text + (f" -> {isa.stream_name(instruction['stream'])}" if instruction["out"] else "")
        case "REPEAT":
            steps = [instruction["step_a"], instruction["step_b"]]
            steps = steps[:1] if steps[0] == steps[1] else steps
            values = [instruction["n"], instruction["d"], *(steps if any(steps) else [])]
            return f"REPEAT {', '.join(map(str, values))}"
    operands = [
        isa.stream_name(instruction[field.name]) if field.kind == "stream" else str(instruction[field.name])
        for field in op.fields
        if field.name != "result"
    ]
    result = f" -> {isa.stream_name(instruction['result'])}" if "result" in instruction.values else ""
    return " ".join([op.mnemonic, ", ".join(operands)]).rstrip() + result


def _spell_access(i: isa.Instruction, queue: Queue, names: dict[tuple[int, int], str], half: str) -> str:
    address, stream = i[f"{half.lower()}_address"], i[f"{half.lower()}_stream"]
    return f"{half} {names.get((queue.slice, address), address)}, {isa.stream_name(stream)}"


def _spell_alu(i: isa.Instruction) -> str:
    operands: list[str] = []
    for name in isa.OPERAND_NAMES[: i.operation.arity]:
        source, is_float = i[f"{name}_source"], i["float"] and isa.CONDITIONS.get(i.mnemonic) != name
        match i[f"{name}_kind"]:
            case OperandKind.STREAM:
                operands.append(_spell_stream(source, i[f"{name}_type"]))
            case OperandKind.IMMEDIATE:
                operands.append(_spell_immediate(i["immediate"], bool(is_float)))
            case OperandKind.ALU:
                operands.append(f"r{source}:fp32" if is_float else f"r{source}")
            case _:
                operands.append("nothing")
    results = [_spell_stream(i["stream"], i["type"])] if i["to_stream"] else []
    if i["to_next"]:
        typed_ = i.mnemonic == "CONVERT" and not i["to_stream"] and i["type"]
        results.append(f"next:{_type_name(i['type'])}" if typed_ else "next")
    suffix = ".sat" if i["saturate"] else ""
    return f"{i.mnemonic}{suffix} {', '.join(operands)} -> {', '.join(results)}".rstrip()


def _spell_stream(operand: int, type_: int) -> str:
    return f"{isa.stream_name(operand)}:{_type_name(type_)}"


def _type_name(type_: int) -> str:
    return Type(type_).name.lower() if type_ in set(Type) else f"type{type_}"


def _spell_immediate(value: int, is_float: bool) -> str:
    """An immediate; the bits of a float that has no other spelling in hexadecimal."""
    if not is_float:
        return f"#{value}"
    return f"#{float_text.text_of(value) or f'{value & 0xFFFFFFFF:#x}:fp32'}"
