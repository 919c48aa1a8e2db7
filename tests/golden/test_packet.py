"""Packets of a link: the values worked out in docs/links.md, a second plain reading, and patterns of wrong bits."""

import os
import random
import re
from pathlib import Path

import numpy as np
import plain_packet
import pytest

from golden import packet
from tb import links

LINKS = Path(__file__).parents[2] / "docs" / "links.md"
FULL = bool(os.environ.get("TSP_FULL"))
STATUS = ("right", "corrected", "uncorrectable")

# (flags, sequence, HAC, tag, the vector's bytes): the packet, as docs/links.md has it, and its checks A and B.
WORKED = [
    ((0, 0, 0, 0, 0), "00 00 00 00 00 00 00 00 8a b2 28 8c 0b 68 00 00", (0x80B, 0x006)),
    ((1, 0, 0x1234, 7, 0), "00 01 00 00 34 12 07 00 c5 ec e8 e4 19 08 03 00", (0x819, 0x030)),
    (
        (4, 0, 0x00FE, 3, 16),
        "ff 04 00 00 fe 00 03 00 00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f 35 6c e1 28 af b9 9b 00",
        (0x9AF, 0x9BB),
    ),
]


def random_packets(superlanes, count, seed):
    """(words, vectors, headers)"""
    rng = np.random.default_rng(seed)
    vectors = rng.integers(0, 256, (count, 16 * superlanes), dtype=np.uint8)
    headers = packet.Headers(rng.integers(0, 256, count), *rng.integers(0, 0x10000, (3, count)))
    return packet.encode(vectors, headers), vectors, headers


def test_the_crc_is_crc_32c():
    data = np.frombuffer(b"123456789", np.uint8)[None]
    zeros, ones = np.zeros((1, 32), np.uint8), np.full((1, 32), 255, np.uint8)  # RFC 3720, appendix B.4
    assert [int(packet.crc32c(some)[0]) for some in (data, zeros, ones)] == [0xE3069283, 0x8A9136AA, 0x62A8AB43]


def test_indices_have_at_least_two_ones_and_differ():
    places = [packet.index(128 * word) // 64 for word in range(21)]
    assert places == [3, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26]
    even = [packet.index(bit) for bit in range(0, 128 * 21, 2)]
    assert len(set(even)) == len(even) and min(index.bit_count() for index in even) == 2 and max(even) < 2048
    assert [packet.index(bit + 1) for bit in range(0, 128 * 21, 2)] == even


@pytest.mark.parametrize("fields, text, checks", WORKED)
def test_worked_packets(fields, text, checks):
    *header, size = fields
    words = packet.encode(np.arange(size, dtype=np.uint8)[None], packet.Headers(*header))
    assert words.tobytes().hex(" ") == text
    assert tuple(plain_packet.checks(plain_packet.words_of(words.tobytes()))) == checks
    for line in re.findall(r"(?:[0-9a-f]{2} ?){16}", text):
        assert line.strip() in LINKS.read_text()


def test_a_worked_correction():
    """Bits 18 and 77 of the packet of 16 bytes: the sequence number, and bit 1 of byte 1 of the vector."""
    words = np.array([bytes.fromhex(WORKED[2][1])]).view(np.uint8).reshape(1, 2, 16).copy()
    words[0, 0, 2] ^= 1 << 2
    words[0, 0, 9] ^= 1 << 5
    found = packet.decode(words)
    assert found.turned.tolist() == [[18, 77]] and [packet.index(18), packet.index(77)] == [0x0C9, 0x0E6]
    assert found.status.tolist() == [packet.CORRECTED] and found.headers.sequence.tolist() == [0]
    assert found.vectors[0].tolist() == list(range(16))
    words[0, 0, 2] ^= 1 << 4
    assert packet.index(20) == 0x0CA and packet.decode(words).status.tolist() == [packet.UNCORRECTABLE]


def test_the_type_is_read_by_majority():
    words = np.zeros((256, 16), np.uint8)
    words[:, 0] = np.arange(256)
    assert packet.is_vector(words).tolist() == [number.bit_count() >= 5 for number in range(256)]


@pytest.mark.parametrize("superlanes", [0, 1, 2, 3, 20])
def test_packets_are_those_of_a_plain_reading(superlanes):
    words, _, _ = random_packets(superlanes, 20, superlanes)
    for sent in words:
        data = sent.tobytes()
        assert plain_packet.encode(data[:8], data[8:-8]) == data
    found = packet.decode(words)
    assert (found.status == packet.RIGHT).all() and (found.turned == -1).all()


@pytest.mark.parametrize("superlanes", [0, 1, 2])
def test_wrong_packets_are_read_as_by_trying(superlanes):
    """Up to four wrong bits, many of them near each other and in the trailer, zero byte and all."""
    rng, seen = random.Random(superlanes), set()
    words, _, _ = random_packets(superlanes, 60, superlanes)
    for sent in words:
        wrong = sent.copy()
        start = rng.choice([0, 0, 128 * superlanes + 64])
        for bit in rng.sample(range(start, 128 * (superlanes + 1)), rng.randint(0, 4)):
            wrong[bit // 128, bit % 128 // 8] ^= 1 << bit % 8
        found, (status, data) = packet.decode(wrong[None]), plain_packet.decode(wrong.tobytes())
        assert STATUS[int(found.status[0])] == status
        assert found.vectors[0].tobytes() == data[8:-8]
        assert int(found.headers.sequence[0]) == int.from_bytes(data[2:4], "little")
        seen.add(status)
    assert seen == set(STATUS)


@pytest.mark.parametrize("superlanes", [0, 2, 20])
def test_every_wrong_bit_is_corrected(superlanes):
    """But for the eight of the zero byte, which nobody looks at."""
    bits = links.packet_bits(superlanes)
    assert links.count(superlanes, links.every_pattern(superlanes, 1)).tolist() == [8, bits - 8, 0, 0]


def expected_of_two(superlanes):
    """Of all pairs: both in the zero byte; corrected if they are in different codes or one in the zero byte; else not.
    A code has half of the bits that have an index, and twelve check bits."""
    bits = links.packet_bits(superlanes)
    code = (bits - 32) // 2 + 12
    return [28, 8 * (bits - 8) + code * code, code * (code - 1), 0]


def test_every_two_wrong_bits():
    """One in each code is corrected, two in one code are found."""
    assert links.count(2, links.every_pattern(2, 2)).tolist() == expected_of_two(2)
    if FULL:
        assert links.count(20, links.every_pattern(20, 2)).tolist() == expected_of_two(20)
    assert links.count(20, links.some_patterns(20, 2, 4000, 1))[3] == 0


def test_many_wrong_bits_are_never_taken_for_right():
    samples = 900_000 if FULL else 7_500
    found = links.counts(2, 1, samples)
    assert sum(int(row.sum()) for row in found[3:]) > 12 * samples
    assert [int(row[3]) for row in found] == [0] * (links.MOST + 1)
    assert all(row[2] > 0.9 * row.sum() for row in found[3:])
    assert links.count(20, links.some_patterns(20, 3, samples // 10, 1))[3] == 0


def test_the_estimate_is_the_sum_over_the_numbers_of_wrong_bits():
    """Against packets whose bits are wrong by themselves."""
    found, rate, rng = links.counts(2, 1, 2000), 0.003, np.random.default_rng(1)
    wrong = rng.random((20_000, links.packet_bits(2))) < rate
    numbers = wrong.sum(axis=1)
    assert numbers.max() <= links.MOST
    by_number = [np.nonzero(wrong[numbers == k])[1].reshape((numbers == k).sum(), k) for k in range(links.MOST + 1)]
    seen = sum(links.outcomes(2, patterns, seed) for seed, patterns in enumerate(by_number))
    estimate = links.at_rate(2, rate, found)
    for i, name in enumerate(links.OUTCOMES[:3]):
        assert estimate[name] == pytest.approx(seen[i] / len(wrong), abs=0.015), name
    assert estimate["wrong"] == 0 < estimate["wrong_at_most"] < 1e-3


def test_a_packet_past_mending_is_left_as_it_came():
    words, vectors, _ = random_packets(2, 1, 5)
    words[0, 1, 0] ^= 5  # two bits of one code
    found = packet.decode(words)
    assert found.status.tolist() == [packet.UNCORRECTABLE] and (found.turned == -1).all()
    assert found.vectors[0].tobytes() == words.tobytes()[8:-8] != vectors.tobytes()
