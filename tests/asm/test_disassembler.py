"""Exact round trips: what the disassembler writes assembles to the same program."""

import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from legal_words import legal_word, says_something

from tsp import isa, isa_rules
from tsp.assembler import assemble
from tsp.config import ChipConfig, preset
from tsp.disassembler import disassemble
from tsp.floorplan import Queue, floorplan
from tsp.isa import Type
from tsp.program import Image, Program, Symbol

EXAMPLES = 100 if os.environ.get("TSP_FULL") else 8


def forms(config: ChipConfig) -> list[tuple[Queue, isa.Operation]]:
    """Every operation in a queue of every kind and hemisphere that takes it."""
    queues = {(queue.kind, queue.hemisphere): queue for queue in floorplan(config).queues}.values()
    return [(queue, operation) for queue in queues for operation in isa_rules.operations_of(queue, config)]


BEFORE = {"mem": 0x11, "vxm": 0x37 | 1 << 52 | 3 << 67, "mxm_activations": 0x64, "mxm_accumulate": 0x68}


def same(program: Program) -> Program:
    """The program after a round trip, which must be the same machine contents."""
    again = assemble(disassemble(program))
    program.validate()
    assert again.config == program.config
    assert again.queues == program.queues
    assert again.memory == program.memory
    return again


def before(queue: Queue, config: ChipConfig) -> list[int]:
    """A word that may be repeated, if the queue has one."""
    outward = queue.hemisphere == "w"
    word = BEFORE.get(queue.kind, 0x61) | (outward << 45 if queue.kind == "mxm_activations" else 0)
    return [word] if isa_rules.broken_rule(word, queue, config) is None else []


def check_word(data: st.DataObject, config: ChipConfig, queue: Queue, operation: isa.Operation, clean: bool) -> None:
    """Draw a legal word and take it through a round trip; a clean word must not need a ``.word``."""
    first = before(queue, config)
    word = data.draw(legal_word(queue, config, operation, clean))
    assert isa_rules.broken_rule(word, queue, config) is None
    program = Program(config, {queue.index: [*first, word]})
    same(program)
    if clean and says_something(word, queue) and (operation.mnemonic != "REPEAT" or first):
        assert f".word {word:#034x}" not in disassemble(program)


@pytest.mark.parametrize(
    "queue, operation", forms(preset("tiny")), ids=lambda x: x.name if isinstance(x, Queue) else x.mnemonic
)
def test_every_operation(queue: Queue, operation: isa.Operation) -> None:
    @settings(max_examples=EXAMPLES, deadline=None, database=None)
    @given(st.data(), st.booleans())
    def check(data: st.DataObject, clean: bool) -> None:
        check_word(data, preset("tiny"), queue, operation, clean)

    check()


@pytest.mark.parametrize("name", ["groqchip", "board"])
def test_other_presets(name: str) -> None:
    @settings(max_examples=8 * EXAMPLES, deadline=None, database=None)
    @given(st.data(), st.sampled_from(forms(preset(name))), st.booleans())
    def check(data: st.DataObject, form: tuple[Queue, isa.Operation], clean: bool) -> None:
        check_word(data, preset(name), *form, clean)

    check()


FLOAT = preset("tiny").override(["superlanes=1"])


def test_floating_point() -> None:
    alus = [form for form in forms(FLOAT) if form[1].arity]

    @settings(max_examples=25 * EXAMPLES, deadline=None, database=None)
    @given(st.data(), st.sampled_from(alus), st.booleans())
    def check(data: st.DataObject, form: tuple[Queue, isa.Operation], clean: bool) -> None:
        check_word(data, FLOAT, *form, clean)

    check()


words = st.one_of(
    st.integers(0, (1 << 128) - 1),
    st.builds(lambda low, high: low | high << 8, st.sampled_from(list(isa.BY_OPCODE)), st.integers(0, (1 << 120) - 1)),
    st.sampled_from([0x01 | 9 << 8, 0x02 | 1 << 8 | 1 << 24, 0x03, 0x04, 0x07, 0x08 | 5 << 8, 0x11, 0x61]),
)


@settings(max_examples=10 * EXAMPLES, deadline=None)
@given(st.dictionaries(st.integers(0, 64), st.lists(words, max_size=12), max_size=5))
def test_any_words_at_all(queues: dict[int, list[int]]) -> None:
    same(Program(preset("tiny"), queues))


rows = st.dictionaries(st.integers(0, 127), st.binary(min_size=32, max_size=32), max_size=6)
symbols = st.builds(
    Symbol, st.sampled_from([12, 14, 15, 24]), st.integers(0, 100), st.integers(1, 5), st.sampled_from(list(Type))
)


@settings(max_examples=10 * EXAMPLES, deadline=None)
@given(
    st.dictionaries(st.sampled_from([12, 14, 15, 16, 17, 25]), rows, max_size=4),
    st.dictionaries(st.sampled_from(["x", "y_2", "e4", "next", "r0", "file", "no name", "ä"]), symbols, max_size=4),
)
def test_any_memory_and_symbols(memory: dict[int, dict[int, bytes]], names: dict[str, Symbol]) -> None:
    images = {
        place: Image.of({a: np.frombuffer(data, np.uint8) for a, data in held.items()}, 32)
        for place, held in memory.items()
    }
    again = same(Program(preset("tiny"), {}, images, dict(names)))
    assert again.symbols.items() <= names.items()


def test_symbols_survive_and_are_used() -> None:
    text = """
        .config tiny superlanes=1
        .data x: mem.e0[5] int32 = [1, -2], [70000]
        .space y: mem.w3, 4
        .queue mem.e2
        READ x + 1, e4
        .queue mem.w3
        WRITE y, e3
    """
    program = assemble(text)
    assert "READ x + 1, e4" in disassemble(program) and "WRITE y, e3" in disassemble(program)
    assert same(program).symbols == program.symbols


def test_settings_survive() -> None:
    config = preset("board").override(["superlanes=2", "trace=on"])
    assert disassemble(Program(config)).startswith(".config board superlanes=2 trace=True\n")
    same(Program(config))
