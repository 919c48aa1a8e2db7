"""Division is exact: against numpy, for every pair of bytes, and for floats where it is hardest."""

import numpy as np
import pytest

import tsp
from tsp.compiler import reference
from tsp.compiler.division import FACTORS, LIMIT, divide, divide_whole, rounded_quotient
from tsp.compiler.graph import Graph
from tsp.config import preset

CONFIG = preset("tiny").override(["mem_words=512", "queue_depth=512"])
RNG = np.random.default_rng
SHAPE = 300, 300
CORNERS = np.array(
    [0, -0.0, 1, -1, np.inf, -np.inf, np.nan, 1e-45, -1e-45, 3e-39, 2.0**-126, 2.0**-127, 3.4028235e38, 255, 2**24 - 1],
    np.float32,
)


def graph_of(make, *values):
    graph = Graph()
    graph.output("y", make(graph, *(graph.input(f"x{i}", v.shape, str(v.dtype)) for i, v in enumerate(values))))
    return graph, {f"x{i}": v for i, v in enumerate(values)}


def in_numpy(make, *values):
    graph, named = graph_of(make, *values)
    return graph.evaluate(named)["y"]


def on_the_chip(make, *values):
    graph, named = graph_of(make, *values)
    return tsp.compile(graph, CONFIG)(**named)["y"]


def same(found, want):
    return (found.view(np.int32) == want.view(np.int32)) | (np.isnan(found) & np.isnan(want))


def bits(rng):
    return rng.integers(0, 1 << 32, SHAPE, dtype=np.uint64).astype(np.uint32).view(np.float32)


def significands(rng, low=0, high=1):
    """From 1 to 2, times powers of two."""
    return np.ldexp(rng.uniform(1, 2, SHAPE).astype(np.float32), rng.integers(low, high, SHAPE)).astype(np.float32)


def pairs(seed):
    """Any two; quotients near 1; subnormal operands; subnormal quotients; those that are halves of a subnormal."""
    rng = RNG(seed)
    yield bits(rng), bits(rng)
    near = significands(rng)
    yield (near.view(np.int32) + rng.integers(-3, 4, SHAPE, dtype=np.int32)).view(np.float32), near
    small = rng.integers(1, 1 << 23, SHAPE, dtype=np.int32).view(np.float32)
    yield small, significands(rng, -30, 5)
    yield small, small[::-1].copy()
    yield significands(rng, -126, -110), significands(rng, 0, 30)
    yield np.ldexp(rng.integers(1, 1 << 24, SHAPE).astype(np.float32), -149), np.full(SHAPE, 4, np.float32)
    yield np.repeat(CORNERS[None], len(CORNERS), 0), np.repeat(CORNERS[:, None], len(CORNERS), 1)


@pytest.fixture(params=[0, 3])
def estimates(request, monkeypatch):
    """1/√ in numpy is off by so many units in the last place: what is exact must not depend on it."""
    plain, rng = reference.evaluate, RNG(9)

    def evaluate(x, inputs, lanes):
        found = plain(x, inputs, lanes)
        if x.op != "rsqrt":
            return found
        moved = found.view(np.int32) + rng.integers(-request.param, request.param + 1, found.shape, dtype=np.int32)
        return np.where(np.isfinite(found) & (found != 0), moved.view(np.float32), found)

    monkeypatch.setattr(reference, "evaluate", evaluate)


def test_float_quotients_are_rounded_once(estimates):
    with np.errstate(all="ignore"):
        for a, b in pairs(1):
            assert same(in_numpy(divide, a, b), a / b).all()


def test_float_quotients_on_the_chip():
    rows = [tuple(v[:5, :15] for v in pair) for pair in pairs(2)]
    a, b = (np.concatenate(part) for part in zip(*rows, strict=True))
    with np.errstate(all="ignore"):
        assert same(on_the_chip(divide, a, b), a / b).all()


def whole(a, b, floor):
    """In numpy: quotient and remainder."""
    a, b = a.astype(np.int64), b.astype(np.int64)
    quotient = a // b
    if not floor:
        quotient += (quotient < 0) & (quotient * b != a)
    return quotient, a - quotient * b


@pytest.mark.parametrize("floor", [False, True])
def test_whole_numbers(floor, estimates):
    """All pairs of int8 and of uint8, and int32 near multiples."""
    rng = RNG(3)
    signed, unsigned = np.arange(-128, 128), np.arange(256)
    wide = (rng.integers(-(2**31), 2**31, SHAPE) >> rng.integers(0, 31, SHAPE)) | 1
    near = wide * (rng.integers(-(2**31), 2**31, SHAPE) // abs(wide)) + rng.integers(-1, 2, SHAPE)
    cases = [np.meshgrid(signed, signed[signed != 0]), np.meshgrid(unsigned, unsigned[1:])]
    cases += [(np.clip(near, -(2**31), 2**31 - 1), wide), (wide, wide[::-1])]
    for a, b in ((np.array(a, np.int32), np.array(b, np.int32)) for a, b in cases):
        for part, want in enumerate(whole(a, b, floor)):
            found = in_numpy(lambda g, x, y, p=part: divide_whole(g, x, y, floor)[p], a, b)
            assert np.array_equal(found, want.astype(np.int32))


@pytest.mark.parametrize("floor", [False, True])
def test_whole_numbers_on_the_chip(floor):
    """Every eleventh int8 by every seventh, and ends of int32."""
    a, b = (x.astype(np.int32) for x in np.meshgrid(np.arange(-128, 128, 11), np.arange(-128, 127, 7)))
    a[0, :3], b[0, :3] = [-(2**31), 2**31 - 1, -(2**31)], [1, -1, -(2**31)]
    for part, want in enumerate(whole(a, b, floor)):
        found = on_the_chip(lambda g, x, y, p=part: divide_whole(g, x, y, floor)[p], a, b)
        assert np.array_equal(found, want)


def near_halves(rng, scale):
    """Within three units of the products of scales and halves."""
    x = ((rng.integers(-300, 300, (SHAPE[0], scale.size)) + 0.5) * scale).astype(np.float32)
    return (x.view(np.int32) + rng.integers(-3, 4, x.shape, dtype=np.int32)).view(np.float32)


def scales(rng):
    """Any; a round one; from end to end of what the short way takes, and beyond, where the long way must do."""
    yield rng.uniform(1, 2, (1, SHAPE[1])).astype(np.float32)
    yield np.full((1, 1), 255, np.float32)
    yield np.ldexp(rng.uniform(1, 2, (1, SHAPE[1])), rng.integers(-100, 100, SHAPE[1])).astype(np.float32)
    yield np.array([[FACTORS[0], FACTORS[1]]], np.float32)
    yield np.ldexp(rng.uniform(1, 2, (1, 60)), rng.integers(-148, -100, 60)).astype(np.float32)


def limited(x):
    return np.clip(x, -290, 290)


def test_rounded_quotients():
    """Those of float32, which the plain estimate x · (1 / scale) does not give."""
    rng = RNG(4)
    missed = 0
    for scale in scales(rng):
        x = near_halves(rng, scale)
        want = np.rint(x / scale)
        with np.errstate(over="ignore"):
            missed += (np.rint(x * (1 / scale)) != want).sum()
        assert np.array_equal(limited(in_numpy(lambda g, x, s=scale: rounded_quotient(g, x, s), x)), limited(want))
    assert missed > 1000


def test_rounded_quotients_on_the_chip():
    rng = RNG(5)
    scale = rng.uniform(0.01, 1, (1, 40)).astype(np.float32)
    x = near_halves(rng, scale)[:20]
    x[0, :4] = [np.inf, -np.inf, 1e30, -0.0]
    found = on_the_chip(lambda g, x: rounded_quotient(g, x, scale), x)
    assert np.array_equal(limited(found), limited(np.rint(x / scale)))
    assert abs(found[0, :3]).min() >= LIMIT - 1
