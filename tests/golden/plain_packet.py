"""Packets of a link as plain as can be: bit by bit, and trying every bit that may be wrong."""

from itertools import product

PLACES = [number for number in range(32) if bin(number).count("1") >= 2]


def crc32c(data: bytes) -> int:
    """One bit after the other."""
    crc = 0xFFFFFFFF
    for byte in data:
        for bit in range(8):
            wrong = (crc ^ byte >> bit) & 1
            crc = crc >> 1 ^ (0x82F63B78 if wrong else 0)
    return crc ^ 0xFFFFFFFF


def checks(words: list[int]) -> list[int]:
    """The check bits of codes A and B, of the words of a packet as numbers of 128 bits."""
    found = []
    for code in (0, 1):
        check = ones = 0
        for j, word in enumerate(words):
            for b in range(code, 96 if j == len(words) - 1 else 128, 2):
                if word >> b & 1:
                    check ^= 64 * PLACES[j] + b // 2
                    ones += 1
        found.append(check | (ones + bin(check).count("1")) % 2 << 11)
    return found


def encode(header: bytes, vector: bytes) -> bytes:
    """All bytes of a packet."""
    data = header + vector
    packet = data + crc32c(data).to_bytes(4, "little") + bytes(4)
    a, b = checks(words_of(packet))
    return packet[:-4] + (a | b << 12).to_bytes(4, "little")


def words_of(packet: bytes) -> list[int]:
    return [int.from_bytes(packet[i : i + 16], "little") for i in range(0, len(packet), 16)]


def is_right(packet: bytes) -> bool:
    """Whether a sender may have sent it."""
    return packet[:-1] == encode(packet[:8], packet[8:-8])[:-1]


def decode(packet: bytes) -> tuple[str, bytes]:
    """The status and the packet, corrected by trying: no bit, or one, of each code; checks are bits like others."""
    bits = range(8 * (len(packet) - 1))
    checks_at = 8 * (len(packet) - 4)
    codes: list[list[int]] = [[], []]
    for bit in bits:
        codes[bit >= checks_at + 12 if bit >= checks_at else bit % 2].append(bit)
    if is_right(packet):
        return "right", packet
    good = [_explained(packet, code, [*codes[code], None]) for code in (0, 1)]
    for pair in product(*good):
        tried = bytearray(packet)
        for bit in pair:
            if bit is not None:
                tried[bit // 8] ^= 1 << bit % 8
        if is_right(bytes(tried)):
            return "corrected", bytes(tried)
    return "uncorrectable", packet


def _explained(packet: bytes, code: int, bits: list[int | None]) -> list[int | None]:
    """The bits of a code which, turned over, make its check bits fit."""
    found = []
    for bit in bits:
        tried = bytearray(packet)
        if bit is not None:
            tried[bit // 8] ^= 1 << bit % 8
        came = int.from_bytes(tried[-4:], "little") >> 12 * code & 0xFFF
        if checks(words_of(bytes(tried)))[code] == came:
            found.append(bit)
    return found
