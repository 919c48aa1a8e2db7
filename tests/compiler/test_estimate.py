"""``tsp estimate``: sizes, splits and links by hand, and cycles that are the checker's."""

import json
import os

import numpy as np
import pytest

import tsp
from golden.system import run_system
from tsp import collectives
from tsp.checker import check
from tsp.cli import run
from tsp.config import preset
from tsp.errors import InputError
from tsp.estimate import CLOCK, Links, Split, choose, estimate
from tsp.estimate_models import MODELS, Sizes
from tsp.node import Node
from tsp.system_check import check_system

CONFIG = preset("groqchip")
TILE = CONFIG.lanes**2
LARGE, SMALL = MODELS["llama2-70b"], MODELS["smollm2-135m"]
NARROW = CONFIG.override(["superlanes=2"])
FULL = bool(os.environ.get("TSP_FULL"))
TOY = Sizes(2, 64, 96, 4, 2, 100)


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
    matrices = sizes.layers * sum(a * b for a, b in sizes.part(1, 0, 320).shapes().values())
    norms = (2 * sizes.layers + 1) * sizes.features
    assert matrices + norms + tables * sizes.features * sizes.vocabulary == parameters


def test_seven_chips_share_a_layer_of_the_largest():
    """By hand. Of eight heads of keys, each of eight queries, seven chips have one each, and share the queries of the
    last: two at most. Queries of a chip meet the first in four rows of two, the other in one. So with 26 blocks of
    inputs there are 2 and 2·4 for one, 2 and 2·1 for the other, and thrice 13 of hidden features: 53·26 = 1378 tiles.
    The head, 4572 logits, is 26·15 = 390. A chip has room for 4·409 tiles, so the head has a group of its own."""
    part = LARGE.part(7, 0, 320)
    assert part.queries == (8, 2) and part.shapes()["down"] == (4096, 8192)
    assert [len(bundle.queries) for bundle in part.bundles()] == [4, 1]
    assert LARGE.tiles(7, 320) == (1378, 390)
    split = choose("llama2-70b", 568, CONFIG)
    assert split == Split(7, tuple(TILE * n for n in (*[1378] * 80, 390))) and split.chips == 567


@pytest.mark.parametrize("sizes", MODELS.values())
@pytest.mark.parametrize("across", range(1, 9))
def test_all_heads_are_in_chips(sizes, across):
    """Whole heads of keys one by one, then each that is left in a chip of its own, or in as many as have no other."""
    each, (whole, rest) = sizes.heads // sizes.kv_heads, divmod(sizes.kv_heads, across)
    found = sizes.queries(across)
    assert found[:whole] == (each,) * whole and len(found) == whole + (rest > 0)
    assert not rest or found[-1] * (across // rest) >= each > (found[-1] - 1) * (across // rest)


def test_links_take_what_the_golden_model_takes():
    """Four blocks of a seventh of the features: parts of 4 bytes are 16 vectors for each chip, then 8 of fp16."""
    links, node, total = Links(8192, 7, CONFIG), Node(CONFIG, 7), 0
    shapes = ((collectives.reduce_scatter, 7 * 16), (collectives.all_gather, 8))
    for collective, vectors in shapes:
        system = collective(node, np.ones((7, vectors, 320), np.int8)).system
        total += max(result.cycles for result in run_system(system, trace=False)) - check_system(system).zero
    assert links.reduce == total > 2 * 216 + (16 + 8) * 21
    assert links.reduce > links.hop > 216 + 8 * 21 and Links(8192, 1, CONFIG).reduce == 0


def test_cycles_are_those_of_the_schedule(capsys, monkeypatch):
    """Of two heads of keys: one chip has both, or each of two has one."""
    monkeypatch.setitem(MODELS, "toy", TOY)
    arguments = ["estimate", "toy", "--context", "5", "--config", "groqchip", "--set", "superlanes=2", "--json"]
    assert run([*arguments, "--chips", "1"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["layer"] == check(tsp.compile(TOY.layer(1, 5, 32), NARROW).program).cycles
    assert found["head"] == check(tsp.compile(TOY.head(1), NARROW).program).cycles
    assert found["linking"] == 0 and found["cycles"] == 2 * found["layer"] + found["head"]
    assert found["tokens_per_second"] == CLOCK / found["cycles"]
    tiles = 2 * TOY.tiles(1, 32)[0] + TOY.tiles(1, 32)[1]
    assert tiles * 32**2 < found["held"] < found["memory"] and found["published"] is None


@pytest.mark.parametrize(
    "name, chips, context, figure",
    [("smollm2-135m", 3, 1024, 7786), *[("llama2-7b", 72, 1024, 3259), ("llama2-70b", 568, 1024, 531)] * FULL],
)
def test_published_models_fit_their_chips(name, chips, context, figure):
    """At nine tenths of the figures in docs/compiler.md."""
    assert estimate(name, chips, CONFIG, context).tokens_per_second > 0.9 * figure


def test_the_table_adds_up(capsys, monkeypatch):
    monkeypatch.setattr("tsp.estimate._compiled", lambda graph, config, progress: (1000, 8 * 10**7))
    monkeypatch.setattr(Sizes, "layer", lambda *arguments: None)
    monkeypatch.setattr(Sizes, "head", lambda *arguments: None)
    assert run(["estimate", "llama2-70b", "--chips", "568"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    links = Links(8192, 7, CONFIG)
    total = 81 * 1000 + 160 * links.reduce + 40 * links.hop  # two of 8·10^7 bytes fit a chip
    assert f"{total:,}" in said and f"{CLOCK / total:,.0f} tokens/s" in said and "published: 300" in said
    assert all(f"{what}: " in said for what in ("scheduled", "assumed", "left out"))


def test_parts_of_a_layer_make_a_layer():
    graph = TOY.layer(2, 5, 32)
    shapes = {x.name: x.shape for x in graph.inputs}
    # A head of keys lies there twice, for each of its queries.
    assert shapes["x"] == graph.outputs["y"].shape == (1, 64) and shapes["k_cache.0"] == (5, 2 * 16)
    assert TOY.head(3).outputs["logits"].shape == (1, 34)


def test_what_does_not_work_says_what_would():
    with pytest.raises(InputError, match="unknown model 'llama-70b'; did you mean 'llama2-70b'"):
        estimate("llama-70b", 8, CONFIG, 0)
    with pytest.raises(InputError, match="does not fit 100 chips .* bytes are missing; the least is --chips 567"):
        estimate("llama2-70b", 100, CONFIG, 0)
    with pytest.raises(InputError, match="a layer of llama2-7b does not fit the 8 chips of a node of config tiny"):
        estimate("llama2-7b", 8, preset("tiny"), 0)
    for wrong in (["--chips", "0"], ["--chips", "8", "--context", "-1"]):
        assert run(["estimate", "llama2-7b", *wrong]) == 2
