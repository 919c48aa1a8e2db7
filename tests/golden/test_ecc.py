"""SECDED in the golden model: the documented code, every single and double flip, and what three flips may look like."""

import re
from itertools import combinations
from pathlib import Path

import numpy as np

from golden import ecc

ARCHITECTURE = Path(__file__).parents[2] / "docs" / "architecture.md"
BITS = 128 + ecc.CHECK_BITS


def documented_columns():
    rows = re.findall(r"^ *\d+ …((?: +[0-9a-f]{3}){16})$", ARCHITECTURE.read_text(), re.MULTILINE)
    return [int(column, 16) for row in rows for column in row.split()]


def parity_of_documented_columns(word):
    """The check bits of 16 bytes, bit by bit from the table of the document."""
    check = 0
    for bit, column in enumerate(documented_columns()):
        if word[bit // 8] >> bit % 8 & 1:
            check ^= column
    return check


def flipped(data, check, *bits):
    data = data.copy()
    for bit in bits:
        if bit < 128:
            data[bit // 8] ^= 1 << bit % 8
        else:
            check = check ^ np.uint16(1 << bit - 128)
    return data, check


def test_the_columns_are_those_of_the_document():
    columns = documented_columns()
    assert len(columns) == len(set(columns)) == 128
    assert ecc.COLUMNS.tolist() == columns
    assert all(column.bit_count() in (3, 5) for column in columns)


def test_worked_examples():
    ends = np.zeros(16, np.uint8)
    ends[0], ends[15] = 1, 0x80
    assert ecc.encode(ends) == 0x0DE
    assert ecc.encode(np.arange(16, dtype=np.uint8)) == 0x0CF
    data, check = flipped(ends, ecc.encode(ends), 17)
    assert ecc.encode(data) == 0x0EC and ecc.encode(data) ^ check == 0x032


def test_random_words_have_the_documented_check_bits():
    words = np.random.default_rng(1).integers(0, 256, (50, 16), dtype=np.uint8)
    assert ecc.encode(words).tolist() == [parity_of_documented_columns(word.tolist()) for word in words]


def test_what_is_right_stays():
    words = np.random.default_rng(2).integers(0, 256, (3, 5, 16), dtype=np.uint8)
    found = ecc.decode(words, ecc.encode(words))
    assert np.array_equal(found.data, words)
    assert not found.corrected.any() and not found.uncorrectable.any()


def test_every_single_flip_is_corrected():
    word = np.random.default_rng(3).integers(0, 256, 16, dtype=np.uint8)
    pairs = [flipped(word, ecc.encode(word), bit) for bit in range(BITS)]
    data, check = (np.array(part) for part in zip(*pairs, strict=True))
    found = ecc.decode(data, check)
    assert np.array_equal(found.data, np.broadcast_to(word, data.shape))
    assert found.corrected.all() and not found.uncorrectable.any()


def test_every_double_flip_is_uncorrectable_and_left_alone():
    word = np.random.default_rng(4).integers(0, 256, 16, dtype=np.uint8)
    pairs = [flipped(word, ecc.encode(word), *bits) for bits in combinations(range(BITS), 2)]
    data, check = (np.array(part) for part in zip(*pairs, strict=True))
    found = ecc.decode(data, check)
    assert np.array_equal(found.data, data)
    assert found.uncorrectable.all() and not found.corrected.any()


def test_three_flips_are_found_or_taken_for_one_but_never_for_none():
    word = np.random.default_rng(5).integers(0, 256, 16, dtype=np.uint8)
    rng = np.random.default_rng(6)
    triples = [rng.choice(BITS, 3, replace=False) for _ in range(2000)]
    pairs = [flipped(word, ecc.encode(word), *bits) for bits in triples]
    data, check = (np.array(part) for part in zip(*pairs, strict=True))
    found = ecc.decode(data, check)
    assert np.array_equal(found.corrected, ~found.uncorrectable)
    assert 0 < found.corrected.sum() < len(triples)
