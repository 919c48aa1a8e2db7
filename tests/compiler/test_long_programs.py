"""Programs longer than their queues: words come from memory, and results are those of a chip with long queues."""

import numpy as np
import pytest

import tsp
from tests.compiler.golden_run import golden_run
from tests.cosim.test_fetched_programs import config as small
from tsp.checker import check
from tsp.compiler.graph import Graph, Windows
from tsp.config import preset
from tsp.errors import InputError
from tsp.floorplan import floorplan
from tsp.flow.fetch import expand_program

RNG = np.random.default_rng


def chain(length, rows=3):
    """Passes that follow each other: every second needs the whole of the one before."""
    graph = Graph()
    x = y = graph.input("x", (rows, 16))
    for i in range(length):
        y = graph.add(y, np.arange(16) * (i + 1)) if i % 2 else graph.relu(graph.sub(y, x))
    graph.output("y", y)
    return graph


def run(compiled, values):
    """The outputs; the program is legal, takes the predicted cycles, and its queues hold what they can."""
    assert max(map(len, compiled.program.queues.values())) <= compiled.config.queue_depth
    return golden_run(compiled, values)[0]


def brought(compiled):
    """(queue, number of its word) of the READs that bring words of the program."""
    queues = floorplan(compiled.config).queues
    at = {(b.slice, b.address) for b in compiled.fetched.blocks}
    return {
        (queues[b.queue].name, b.index)
        for b in expand_program(compiled.program).bursts
        if b.instruction.mnemonic == "READ" and (queues[b.queue].name, b.instruction["read_address"]) in at
    }


@pytest.mark.parametrize("superlanes", [1, 2])
def test_words_beyond_the_depth_come_from_memory(superlanes):
    graph, values = chain(8), {"x": RNG(1).integers(-128, 128, (3, 16)).astype(np.int8)}
    compiled = tsp.compile(graph, small(superlanes))
    deep = tsp.compile(graph, small(superlanes, "queue_depth=256"))
    assert compiled.fetched.blocks and not deep.fetched.blocks
    assert np.array_equal(run(compiled, values)["y"], graph.evaluate(values)["y"])
    # There are free cycles enough in these queues: nothing takes longer.
    assert check(compiled.program).cycles == check(deep.program).cycles


def test_words_that_bring_words_are_brought_themselves():
    graph, values = chain(16), {"x": RNG(2).integers(-128, 128, (3, 16)).astype(np.int8)}
    compiled = tsp.compile(graph, small(1))
    assert np.array_equal(run(compiled, values)["y"], graph.evaluate(values)["y"])
    resident = compiled.fetched.resident
    fed = [name for name, number in brought(compiled) if number >= resident.get(name, number + 1)]
    assert len(fed) > 5


def test_a_convolution_whose_passes_leave_room():
    """Queues without a free cycle in a whole pass: it is cut, and the parts stand apart."""
    rng, graph = RNG(3), Graph()
    x = graph.input("x", (256, 260), image=(1, 16, 16))
    y = graph.conv2d(x, rng.integers(-9, 9, (260, 260, 3, 3)).astype(np.int8), windows=Windows(pads=(1, 1, 1, 1)))
    graph.output("y", graph.requantise(graph.relu(y), shift=5))
    config = preset("tiny").override(["superlanes=20", "mem_words=1024", "queue_depth=64"])
    compiled, deep = tsp.compile(graph, config), tsp.compile(graph, config.override(["queue_depth=256"]))
    assert len(compiled.passes) > len(deep.passes) and compiled.fetched.blocks and not deep.fetched.blocks
    values = {"x": rng.integers(-9, 9, (256, 260)).astype(np.int8)}
    assert np.array_equal(run(compiled, values)["y"], graph.evaluate(values)["y"])


def test_same_bytes(tmp_path):
    for name in "ab":
        tsp.compile(chain(16), small(1)).program.save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_what_brings_words_is_shown():
    text = tsp.compile(chain(8), small(1)).dump("fetch").split("\n")
    assert "vxm.r0s0: 12 words from the start" in text
    assert any("vxm.r0s0" in line and "8 words from mem." in line and " by " in line for line in text)
    assert tsp.compile(chain(2), small(1)).dump("fetch") == "no queue has too many words"


@pytest.mark.parametrize(
    "length, superlanes, more, sentence",
    [
        (8, 1, ["ifetch=off"], "needs 36 words, but queue_depth is 16 and config tiny has ifetch=False; set"),
        (16, 2, [], r"needs 72 words, but queue_depth is 16 and [\w.]+ is too busy before cycle \d+ to fetch more;"
         " set"),
        (16, 1, ["mem_words=16"], "needs 72 words, but queue_depth is 16 and no MEM slice has room for more words of"
         " the program; set"),
    ],
)  # fmt: skip
def test_refused(length, superlanes, more, sentence):
    with pytest.raises(InputError, match=f"^queue vxm.r0s0 {sentence} queue_depth=\\d+$") as error:
        tsp.compile(chain(length), small(superlanes, *more))
    depth = str(error.value).rpartition(" ")[2]
    assert not tsp.compile(chain(length), small(superlanes, *more, depth)).fetched.blocks
