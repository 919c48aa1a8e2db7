"""TOML that somebody has spoilt: what fuzzers of the readers of files do to a good one."""

from hypothesis import strategies as st

VALUES = (
    *("0", "-1", "1", "255", "65537", "1e400", "nan", "-inf", "true", '""', "[]", "{}", "[[]]", "''", "1979-05-27"),
    *("9" * 5000, "0x" + "f" * 6000, "-" + "9" * 30, "[" * 80 + "]" * 80, "[" * 5000, '"' + "x" * 70_000 + '"'),
    *('"\\u0000"', '"é\\U0001F600"', '"a\\nb"', '"a.b"', "[1, 2]", "[-1, 1]", "[0xffffffffffffffffffff, 1]"),
    *("{a = 1}", "b" + ".b" * 90, f'["superlanes={"9" * 5000}"]', '["="]', "[true]", '["x"]'),
    *('["superlanes=4"]', '["c2c=off"]', '["link_buffer=3"]'),
)
"""What a value may become."""
LINES = (
    "[[chip]]", "[[link]]", "[chip]", "[[fail]]", "x = 1", "[a.b]", "tree = true", "spare = true", "name = 'b'", "\x00",
    "a" + ".a" * 50 + " = 1", "é = 1", '"" = 1', "measured = 216", "jitter = 64", "root = 'b'", "= 1", "[[chip.name]]",
)  # fmt: skip
"""Lines that may be put in."""


def changed(data: st.DataObject, good: bytes) -> bytes:
    """A good file with up to four changes: of a value, a line, two lines, or some bytes."""
    lines = good.split(b"\n")
    for _ in range(data.draw(st.integers(1, 4))):
        kind = data.draw(st.sampled_from(["value", "insert", "remove", "swap", "copy", "bytes"]))
        at = data.draw(st.integers(0, len(lines) - 1))
        if kind == "value":
            key = lines[at].partition(b"=")[0]
            lines[at] = key + b"= " + data.draw(st.sampled_from(VALUES)).encode()
        elif kind == "insert":
            lines.insert(at, data.draw(st.sampled_from(LINES)).encode())
        elif kind == "remove" and len(lines) > 1:
            del lines[at]
        elif kind == "swap":
            other = data.draw(st.integers(0, len(lines) - 1))
            lines[at], lines[other] = lines[other], lines[at]
        elif kind == "copy":
            lines[at:at] = lines[at : at + data.draw(st.integers(1, 6))]
        elif kind == "bytes":
            place = data.draw(st.integers(0, len(lines[at])))
            lines[at] = (
                lines[at][:place] + data.draw(st.binary(max_size=4)) + lines[at][place + data.draw(st.integers(0, 2)) :]
            )
    return b"\n".join(lines)
