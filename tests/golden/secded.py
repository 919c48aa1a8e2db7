"""Words with check bits, as plain as can be: the document's table, and trying every bit that may be wrong."""

import re
from collections.abc import Iterable
from pathlib import Path

ARCHITECTURE = Path(__file__).parents[2] / "docs" / "architecture.md"
_ROWS = re.findall(r"^ *\d+ …((?: +[0-9a-f]{3}){16})$", ARCHITECTURE.read_text(), re.MULTILINE)
COLUMNS = [int(column, 16) for row in _ROWS for column in row.split()]
BITS = len(COLUMNS) + 9


def check_bits(data: int) -> int:
    """Of 128 data bits."""
    check = 0
    for bit, column in enumerate(COLUMNS):
        if data >> bit & 1:
            check ^= column
    return check


def decode(word: int) -> tuple[int, bool, bool]:
    """(data, corrected, uncorrectable) of the 137 bits of a word."""
    if is_right(word):
        return data_of(word), False, False
    for bit in range(BITS):
        if is_right(word ^ 1 << bit):
            return data_of(word ^ 1 << bit), True, False
    return data_of(word), False, True


def is_right(word: int) -> bool:
    return check_bits(data_of(word)) == word >> 128


def data_of(word: int) -> int:
    return word & (1 << 128) - 1


class Vector(bytes):
    """A vector with the check bits its words were made with: ``checks``, one number a superlane."""

    checks: tuple[int, ...]

    @classmethod
    def made(cls, data: bytes) -> "Vector":
        """By a producer."""
        words = [data[i : i + 16] for i in range(0, len(data), 16)]
        return cls.of(data, [check_bits(int.from_bytes(word, "little")) for word in words])

    @classmethod
    def of(cls, data: bytes, checks: Iterable[int]) -> "Vector":
        """Of its parts, right or wrong."""
        vector = cls(data)
        vector.checks = tuple(checks)
        return vector

    def words(self) -> list[int]:
        """137 bits for each superlane."""
        data = [int.from_bytes(self[i : i + 16], "little") for i in range(0, len(self), 16)]
        return [low | check << 128 for low, check in zip(data, self.checks, strict=True)]

    def flipped(self, superlane: int, mask: int) -> "Vector":
        """With bits of one word turned over."""
        words = self.words()
        words[superlane] ^= mask
        data = b"".join(data_of(word).to_bytes(16, "little") for word in words)
        return Vector.of(data, [word >> 128 for word in words])

    def taken(self, superlanes: int | None = None) -> tuple[bytes, int, bool]:
        """(data as a consumer takes it, words corrected, whether any was uncorrectable) in all superlanes or the first
        few; as it came in the others."""
        words = self.words()
        on = len(words) if superlanes is None else superlanes
        found = [decode(word) for word in words[:on]] + [(data_of(word), False, False) for word in words[on:]]
        data = b"".join(word.to_bytes(16, "little") for word, _, _ in found)
        return data, sum(corrected for _, corrected, _ in found), any(bad for _, _, bad in found)
