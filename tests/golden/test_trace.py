"""Event hashes: values worked out with plain integers from the contract's formula, and what they must notice."""

import numpy as np
from test_vector_add import TINY, vector_add

from golden.trace import event_hash

MASK = (1 << 64) - 1


def by_hand(time, place, address, data):
    """The contract's formula in Python's unbounded integers."""
    d0, d1 = int.from_bytes(data[:8], "little"), int.from_bytes(data[8:], "little")
    key = (time + address * 2**32 + place * 2**48) & MASK
    a = key * 0x9E3779B97F4A7C15 & MASK
    b = ((a ^ a >> 32) + d0) * 0xBF58476D1CE4E5B9 & MASK
    c = ((b ^ b >> 29) + d1) * 0x94D049BB133111EB & MASK
    return c ^ c >> 32


def hashed(time, place, address, data):
    columns = (np.array([x], np.int64) for x in (time, address, place))
    return int(event_hash(*columns, np.frombuffer(data, np.uint8)[None])[0])


def test_worked_values():
    assert hashed(0, 0, 0, bytes(16)) == 0
    for event in [
        (1, 0, 0, bytes(16)),
        (412, 17, 0x27, bytes(range(16))),
        (2**32 - 1, 95, 0x8000 + 8191, bytes([255] * 16)),
    ]:
        assert hashed(*event) == by_hand(*event)
    assert hashed(412, 17, 0x27, bytes(range(16))) == 0x6BB7F3AFED17C5C1


def test_time_is_taken_modulo_2_to_the_32():
    assert hashed(2**32 + 5, 1, 2, bytes(16)) == hashed(5, 1, 2, bytes(16))


def test_every_part_of_an_event_matters():
    base = (100, 3, 7, bytes(16))
    changes = [(101, 3, 7, bytes(16)), (100, 4, 7, bytes(16)), (100, 3, 8, bytes(16))]
    changes += [(100, 3, 7, (1 << bit).to_bytes(16, "little")) for bit in range(128)]
    hashes = [hashed(*event) for event in [base, *changes]]
    assert len(set(hashes)) == len(hashes)


def test_signature_is_the_sum_over_events_of_each_tile():
    made = vector_add(5)
    result = made.run(events=True)
    sums = [[0] * TINY.superlanes for _ in made.plan.slices]
    for event in result.events:
        time, place, superlane, address = (int(event[name]) for name in ("time", "place", "superlane", "address"))
        sums[place][superlane] += by_hand(time, place, address, event["data"].tobytes())
    assert [[tile & MASK for tile in slice_] for slice_ in sums] == result.tile_signatures.tolist()
    assert result.signature["mem.e4"] == sum(sums[made.place("mem.e4")]) & MASK != 0


def test_no_signature_without_trace():
    assert vector_add(1).run(trace=False).signature == {}
