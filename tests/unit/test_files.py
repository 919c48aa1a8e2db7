"""Files are written whole, through links and into pipes, and never over what is read."""

import os
import threading
from pathlib import Path

import pytest

from tsp.errors import InputError
from tsp.files import refuse_same, refuse_unwritable, write_atomic


def test_a_link_stays(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    link.symlink_to(target)
    for data in (b"first", b"second"):
        write_atomic(link, data)
        assert link.is_symlink() and target.read_bytes() == data
    target.chmod(0o640)
    write_atomic(link, b"third")
    assert target.stat().st_mode & 0o777 == 0o640
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "target"]


def test_a_pipe_stays(tmp_path: Path) -> None:
    pipe, read = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    write_atomic(pipe, b"data")
    reader.join()
    assert read == [b"data"] and pipe.is_fifo()


@pytest.mark.parametrize("name", ["", ".", "/"])
def test_a_folder_is_refused(name: str) -> None:
    for refused in (lambda: write_atomic(Path(name), b"data"), lambda: refuse_unwritable(Path(name))):
        with pytest.raises(InputError, match=r"^(\.|/): cannot be written: Is a directory$"):
            refused()


def test_asking_whether_a_file_can_be_written_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("old")
    os.mkfifo(tmp_path / "pipe")
    for name in ("old", "new", "pipe"):
        refuse_unwritable(tmp_path / name)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["old", "pipe"]
    assert (tmp_path / "old").read_text() == "old"
    for name in ("old/a", "no/a", "a" * 300, "nul\0"):
        with pytest.raises(InputError, match="cannot be written: "):
            refuse_unwritable(tmp_path / name)


def test_what_is_read_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    refuse_same(tmp_path / "c", tmp_path / "a")
    with pytest.raises(InputError, match="is what is read, must be another file"):
        refuse_same(tmp_path / "b", tmp_path / "a")
