"""``tsp estimate``: sizes, splits and links by hand, and cycles that are the checker's."""

import json

import pytest

import tsp
from tsp.checker import check
from tsp.cli import run
from tsp.config import preset
from tsp.errors import InputError
from tsp.estimate import CLOCK, Split, all_reduce, choose, estimate, hop
from tsp.estimate_models import MODELS, Decoder, Matrices, Sizes

CONFIG = preset("groqchip")
TILE = CONFIG.lanes**2
LARGE, SMALL = (Matrices(MODELS[name]) for name in ("llama2-70b", "smollm2-135m"))


@pytest.mark.parametrize(
    "name, parameters, tables",
    [
        ("llama2-7b", 6_738_415_616, 2),
        ("llama2-13b", 13_015_864_320, 2),
        ("llama2-70b", 68_976_648_192, 2),
        ("smollm2-135m", 134_515_008, 1),  # embedding and head are one
    ],
)
def test_models_have_the_published_number_of_parameters(name, parameters, tables):
    sizes = MODELS[name]
    matrices = sizes.layers * sum(a * b for a, b in sizes.layer(1).values())
    norms = (2 * sizes.layers + 1) * sizes.features
    assert matrices + norms + tables * sizes.features * sizes.vocabulary == parameters


def test_seven_chips_share_a_layer_of_the_largest():
    """By hand. A part of 8192 / 7 features is 4 blocks of 320 and whole ones are 26, keys are a block and hidden ones
    13: 2·26·4 + 2·26 + 3·26·13 = 1274 tiles. The head, 4572 logits, is 26·15 = 390. A chip has room for 5·409."""
    assert LARGE.sizes.layer(7)["down"] == (4096, 8192) and LARGE.tiles(7, CONFIG) == (1274, 390)
    split = choose("llama2-70b", LARGE, 568, CONFIG)
    assert split == Split(7, tuple(TILE * n for n in (*[1274] * 79, 1274 + 390))) and split.chips == 560


def test_links_by_hand():
    """Four blocks of 4 bytes are 16 vectors, and a link takes 23.04 cycles for each: 369, and 93 for four of int8."""
    assert all_reduce(LARGE, 7, CONFIG) == 216 + 369 + 216 + 93
    assert all_reduce(LARGE, 1, CONFIG) == 0
    assert hop(LARGE, 7, CONFIG) == 216 + 93 and hop(Decoder(LARGE.sizes, 9), 7, CONFIG) == 216 + 185


def test_cycles_are_those_of_the_schedule(capsys):
    assert run(["estimate", "smollm2-135m", "--chips", "1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    program = tsp.compile(SMALL.layer(1, CONFIG), CONFIG).program
    assert found["layer"] == check(program).cycles > 42 * TILE / (2 * CONFIG.streams * CONFIG.lanes)
    assert found["cycles"] == 30 * found["layer"] + found["head"] and found["assumed"] == 0
    assert found["tokens_per_second"] == CLOCK / found["cycles"]
    # Tiles, and the activations and words that are fetched beside them.
    assert (30 * 42 + 2 * 154) * TILE < found["held"] < 1.05 * (30 * 42 + 2 * 154) * TILE
    assert found["memory"] == 220 * 2**20 and found["is_left_out"] and found["published"] is None


def test_the_table_adds_up(capsys, monkeypatch):
    monkeypatch.setattr("tsp.estimate._compiled", lambda graph, config, progress: (1000, 10**8))
    assert run(["estimate", "llama2-70b", "--chips", "568"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    total = 81 * 1000 + 160 * 894 + 40 * 309  # two of 10^8 bytes fit a chip
    assert f"{total:,}" in said and f"{CLOCK / total:,.0f} tokens/s" in said and "published: 300" in said
    assert all(f"{what}: " in said for what in ("scheduled", "assumed", "left out"))


def test_parts_of_a_layer_make_a_layer():
    graph = SMALL.layer(2, CONFIG)
    assert [str(x) for x in graph.inputs] == ["x int8[1, 576]"]
    assert {name: x.shape for name, x in graph.outputs.items()} == {"k": (1, 96), "v": (1, 96), "y": (1, 576)}
    graph = Decoder(Sizes(2, 64, 96, 4, 2, 100), 5).layer(2, CONFIG)
    shapes = {x.name: x.shape for x in graph.inputs}
    assert shapes["x"] == graph.outputs["y"].shape == (1, 64) and shapes["k_cache.0"] == (5, 16)


def test_whole_layers_of_a_small_model(monkeypatch):
    """Of two heads of keys: one chip has both, or each of two has one."""
    monkeypatch.setitem(MODELS, "toy", Sizes(2, 64, 96, 4, 2, 100))
    narrow = CONFIG.override(["superlanes=2"])
    found = estimate("toy", 8, narrow, 5)
    assert list(found.work.splits()) == [1, 2] and found.split.chips <= 8
    assert found.cycles == 2 * found.layer + found.head + found.assumed
    layer = found.work.layer(found.split.across, narrow)
    assert found.layer == check(tsp.compile(layer, narrow).program).cycles


def test_what_does_not_work_says_what_would():
    with pytest.raises(InputError, match="unknown model 'llama-70b'; did you mean 'llama2-70b'"):
        estimate("llama-70b", 8, CONFIG)
    with pytest.raises(InputError, match="does not fit 100 chips .* bytes are missing; the least is --chips 405"):
        estimate("llama2-70b", 100, CONFIG)
    assert choose("llama2-70b", LARGE, 405, CONFIG).chips <= 405
    with pytest.raises(InputError, match="a layer of llama2-7b does not fit the 8 chips of a node of config tiny"):
        estimate("llama2-7b", 8, preset("tiny"))
    with pytest.raises(InputError, match="a layer of llama2-70b does not fit the 8 chips .* or leave out --context"):
        estimate("llama2-70b", 568, CONFIG, 0)
    for wrong in (["--chips", "0"], ["--chips", "8", "--context", "-1"]):
        assert run(["estimate", "llama2-7b", *wrong]) == 2
