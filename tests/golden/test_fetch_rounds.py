"""Following programs further and further: as if each round began anew, and looked at everything."""

import random

import numpy as np
import pytest

from tsp import isa
from tsp.config import preset
from tsp.dispatch import Unrolling, unroll
from tsp.errors import InputError
from tsp.floorplan import floorplan
from tsp.flow import fetch
from tsp.program import Image

TINY = preset("tiny")
SLICES = [queue for queue in floorplan(TINY).queues if queue.kind == "mem"]
ROUNDS = 12


def word(rng):
    """A word of a slice's queue; few addresses and streams, so that much meets."""
    stream = isa.stream_operand(rng.randint(0, 1), rng.randint(0, 1))
    words = [
        isa.instruction("NOP", n=rng.randint(1, 9)),
        isa.instruction("READ", read_address=rng.randint(0, 40), read_stream=stream),
        isa.instruction("READ", read_address=rng.randint(0, 40), read_stream=stream),
        isa.instruction("REPEAT", n=rng.randint(1, 6), d=rng.randint(1, 3), step_a=rng.randint(-1, 1)),
        isa.instruction("IFETCH", stream=stream, n=rng.randint(1, 2)),
        isa.instruction("IFETCH", stream=stream, n=2),
        isa.instruction("WRITE", write_address=rng.randint(0, 60), write_stream=stream),
        isa.instruction("NOTIFY"),
    ]
    return isa.instruction("SYNC").encode() if rng.random() < 0.05 else rng.choice(words).encode()


def queues(rng):
    return {queue.index: [word(rng) for _ in range(rng.randint(3, 14))] for queue in rng.sample(SLICES, 6)}


@pytest.mark.parametrize("seed", range(30))
def test_going_on_is_as_beginning_anew(seed):
    rng = random.Random(seed)
    given, fetched = queues(rng), {}
    unrolling = Unrolling(given, TINY)
    for _ in range(ROUNDS):
        out = unrolling.run(fetched)
        assert out == unroll(given, TINY, fetched)
        # Also in an order in which they do not come: then they wait.
        for one in rng.sample(out.unknown, min(2, len(out.unknown))):
            fetched[one.key] = [word(rng) for _ in range(one.words)]
    assert len(fetched) > 1


def memory(rng):
    """Slices full of words."""
    shape = (41, TINY.superlanes, 16)
    found = {}
    for queue in rng.sample(SLICES, 8):
        data = b"".join(word(rng).to_bytes(16, "little") for _ in range(shape[0] * shape[1]))
        found[queue.slice] = Image(np.arange(shape[0]), np.frombuffer(data, np.uint8).reshape(shape[0], -1))
    return found


def test_what_is_left_out_has_no_say(monkeypatch):
    def expanded(seed):
        rng = random.Random(seed)
        try:
            return fetch.expand(queues(rng), TINY, memory(rng))
        except InputError as error:
            return str(error)

    found = [expanded(seed) for seed in range(60)]
    monkeypatch.setattr(fetch, "_concerning", lambda fetches, out, config: out)
    assert found == [expanded(seed) for seed in range(60)]
    brought = [out.words for out in found if not isinstance(out, str) and out.fetches]
    assert sum(word not in (0, None) for words in brought for part in words.values() for word in part[14:]) > 20
