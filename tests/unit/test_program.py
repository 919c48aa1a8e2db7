"""Programs and their files: round trip, equal bytes, and one sentence for every file that is none."""

import io
import json
import os
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tsp.config import preset
from tsp.errors import InputError
from tsp.isa import Type
from tsp.program import Image, Program, Source, Symbol
from tsp.program_file import MEMBERS

TINY = preset("tiny")
EXAMPLES = 3000 if os.environ.get("TSP_FULL") else 300


def program() -> Program:
    rng = np.random.default_rng(1)
    image = Image.of({a: rng.integers(0, 256, 32, np.uint8) for a in (3, 0, 127)}, TINY.lanes)
    return Program(
        TINY,
        {2: [0x10, 1 << 127], 0: [0x01 | 5 << 8]},
        {12: image, 14: Image.of({9: np.full(32, 7, np.uint8)}, TINY.lanes)},
        {"x": Symbol(12, 0, 1), "wide": Symbol(14, 9, 2, Type.INT32)},
        Source("a.tsp", {(2, 1): 7}, {7: "READ x, e4"}),
    )


def saved() -> bytes:
    with tempfile.TemporaryDirectory() as directory:
        program().save(Path(directory) / "p.npz")
        return (Path(directory) / "p.npz").read_bytes()


DATA = saved()


@pytest.fixture
def data() -> bytes:
    return DATA


def load(path: Path, data: bytes) -> Program:
    path.write_bytes(data)
    return Program.load(path)


def test_round_trip(tmp_path: Path) -> None:
    program().save(tmp_path / "p.npz")
    assert Program.load(tmp_path / "p.npz", TINY) == program().validate()


def test_lines_of_words_to_be_fetched_round_trip(tmp_path: Path) -> None:
    one = program()
    one.source.lines |= {(2, 5): 20, (3, 0): 21}
    one.source.text |= {20: "NOP 1", 21: "NOP 2"}
    one.save(tmp_path / "p.npz")
    assert Program.load(tmp_path / "p.npz") == one


def test_a_file_without_lines_of_fetched_words_is_read(tmp_path: Path, data: bytes) -> None:
    header = {key: value for key, value in header_of(data).items() if key != "fetched"}
    old = packed(members(data) | {"header.npy": npy(np.frombuffer(json.dumps(header).encode(), np.uint8))})
    assert load(tmp_path / "p.npz", old) == program()


def test_empty_program_round_trip(tmp_path: Path) -> None:
    Program(TINY).save(tmp_path / "p.npz")
    assert Program.load(tmp_path / "p.npz") == Program(TINY)


def test_equal_programs_give_equal_bytes(tmp_path: Path, data: bytes) -> None:
    one = load(tmp_path / "p.npz", data)
    one.queues = dict(reversed(one.queues.items()))
    one.save(tmp_path / "q.npz")
    assert (tmp_path / "q.npz").read_bytes() == data


def test_numpy_reads_the_file(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "p.npz").write_bytes(data)
    with np.load(tmp_path / "p.npz", allow_pickle=False) as archive:
        assert archive["words"].shape == (3, 2) and archive["image"].shape == (4, 32)


@pytest.mark.parametrize("setting", ["superlanes=4", "hac_period=512"])
def test_another_config_is_refused(tmp_path: Path, data: bytes, setting: str) -> None:
    (tmp_path / "p.npz").write_bytes(data)
    with pytest.raises(InputError, match=setting.split("=")[0]):
        Program.load(tmp_path / "p.npz", TINY.override([setting]))


def test_where_names_line_or_word() -> None:
    assert program().where(2, 1) == "a.tsp:7"
    assert program().where(2, 0).endswith("word 0")


def test_undefined_words_read_as_zero() -> None:
    rows = program().initial(14, [9, 10])
    assert rows.shape == (2, 32) and rows[0].tolist() == [7] * 32 and not rows[1].any()
    assert program().initial(13, []).shape == (0, 32)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda p: p.queues.update({65: [1]}), "queue 65 does not exist"),
        (lambda p: p.queues.update({0: [1 << 128]}), "does not fit 128 bits"),
        (lambda p: p.memory.update({0: p.memory[12]}), "no MEM slice"),
        (lambda p: p.memory.update({15: Image(np.array([1]), np.zeros((1, 16), np.uint8))}), "must be uint8"),
        (lambda p: p.memory.update({15: Image(np.array([2, 1]), np.zeros((2, 32), np.uint8))}), "do not ascend"),
        (lambda p: p.memory.update({15: Image(np.array([128]), np.zeros((1, 32), np.uint8))}), "beyond the last"),
        (lambda p: p.symbols.update(y=Symbol(12, 127, 2)), "memory ends at 127"),
        (lambda p: p.symbols.update(y=Symbol(0, 0, 1)), "no MEM slice"),
    ],
)
def test_validate_refuses(change: Callable[[Program], None], message: str, tmp_path: Path) -> None:
    bad = program()
    change(bad)
    with pytest.raises(InputError, match=message):
        bad.save(tmp_path / "p.npz")
    assert not list(tmp_path.iterdir()), "something was written"


def test_save_leaves_nothing_half_written(tmp_path: Path) -> None:
    (tmp_path / "p.npz").mkdir()
    with pytest.raises(InputError, match="cannot be written"):
        program().save(tmp_path / "p.npz")
    with pytest.raises(InputError, match="cannot be written"):
        program().save(tmp_path / "missing" / "p.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["p.npz"]


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        Program.load(tmp_path / "p.npz")


def members(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(parts: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    return buffer.getvalue()


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def header_of(data: bytes) -> dict[str, object]:
    return json.loads(np.load(io.BytesIO(members(data)["header.npy"])).tobytes())


def with_header(data: bytes, **changes: object) -> bytes:
    text = json.dumps(header_of(data) | changes).encode()
    return packed(members(data) | {"header.npy": npy(np.frombuffer(text, np.uint8))})


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"format": "something else"}, "is not a program file"),
        ({"version": 2}, "has version 2, only version 1"),
        ({"config": None}, "has no 'config'"),
        ({"config": preset("tiny").as_dict() | {"superlanes": 99}}, "superlanes is 99"),
        ({"config": preset("tiny").as_dict() | {"superlanes": 4}}, "image.npy is"),
        ({"queues": [[0, 1], [2, 3]]}, "words.npy is"),
        ({"queues": [[2, 2], [0, 1]]}, "'queues' are damaged"),
        ({"queues": [[0, 10**9]]}, "'queues' are damaged"),
        ({"memory": [[12, 3], [10**9, 1]]}, "'memory' are damaged"),
        ({"symbols": {"x": [12, 0, 1, 9]}}, "'symbols' are damaged"),
        ({"symbols": {"x": [0, 0, 1, 0]}}, "no MEM slice"),
        ({"text": {"seven": "READ"}}, "'text' is damaged"),
        ({"fetched": [[2, 1, 9]]}, "'fetched' are damaged"),
        ({"fetched": [[99, 1, 9]]}, "'fetched' are damaged"),
        ({"fetched": {"2": 9}}, "'fetched' are damaged"),
    ],
)
def test_wrong_headers_are_refused(changes: dict[str, object], message: str, tmp_path: Path, data: bytes) -> None:
    with pytest.raises(InputError, match=message):
        load(tmp_path / "p.npz", with_header(data, **changes))


def test_foreign_files_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", weights=np.arange(3))
    with pytest.raises(InputError, match="must hold header.npy"):
        Program.load(tmp_path / "other.npz")
    for foreign in (b"", b"hello", npy(np.arange(3))):
        with pytest.raises(InputError, match="is not a program file"):
            load(tmp_path / "p.npz", foreign)


def test_pickles_are_never_loaded(tmp_path: Path, data: bytes) -> None:
    pickled = npy(np.array([print], object))
    with pytest.raises(InputError, match="must hold numbers"):
        load(tmp_path / "p.npz", packed(members(data) | {"words.npy": pickled}))


def test_large_claims_are_refused_before_they_are_read(tmp_path: Path, data: bytes) -> None:
    bomb = npy(np.zeros(1 << 26, np.uint8))
    with pytest.raises(InputError, match="words.npy has .* bytes, at most"):
        load(tmp_path / "p.npz", packed(members(data) | {"words.npy": bomb}))
    claim = members(data)["words.npy"].replace(b"(3, 2)", b"(3, 9)")
    with pytest.raises(InputError, match="its header says"):
        load(tmp_path / "p.npz", packed(members(data) | {"words.npy": claim}))


def test_every_truncation_and_flip_is_refused_or_harmless(tmp_path: Path, data: bytes) -> None:
    for length in range(0, len(data), 7):
        with pytest.raises(InputError):
            load(tmp_path / "p.npz", data[:length])
    for place in range(0, len(data), 3):
        try:
            load(tmp_path / "p.npz", data[:place] + bytes([data[place] ^ 0x55]) + data[place + 1 :])
        except InputError as error:
            assert "\n" not in str(error)


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.sampled_from(MEMBERS), st.binary(max_size=300), st.booleans())
def test_garbage_members_never_give_a_traceback(member: str, garbage: bytes, valid_npy: bool) -> None:
    path = Path(tempfile.gettempdir()) / f"garbage-{os.getpid()}.npz"
    parts = members(DATA)
    parts[member] = npy(np.frombuffer(garbage, np.uint8)) if valid_npy else parts[member][:60] + garbage
    try:
        load(path, packed(parts))
    except InputError as error:
        assert "\n" not in str(error)
    finally:
        path.unlink()


@pytest.mark.parametrize("change", [{"two\nlines": 1}, {"name": "two\nlines"}])
def test_line_ends_in_a_strangers_config_stay_in_the_line(tmp_path: Path, change: dict[str, object]) -> None:
    with pytest.raises(InputError, match=r"^[^\n]*two\\nlines[^\n]*$"):
        load(tmp_path / "p.npz", with_header(DATA, config=program().config.as_dict() | change))


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.sampled_from(sorted(header_of(DATA))), _JSON)
def test_garbage_headers_never_give_a_traceback(key: str, value: object) -> None:
    path = Path(tempfile.gettempdir()) / f"garbage-{os.getpid()}.npz"
    try:
        load(path, with_header(DATA, **{key: value}))
    except InputError as error:
        assert "\n" not in str(error)
    finally:
        path.unlink()
