"""Standard input, kept in a file until no flow needs it."""

import io
import os
import stat
from pathlib import Path

import pytest

from holdfast.operating.refused import Refused
from holdfast.operating.spooling import spool_directory, spooled, sweep


def names(directory: Path) -> list[str]:
    return sorted(each.name for each in directory.iterdir())


def test_whole_private_and_named(tmp_path: Path) -> None:
    """Every byte is there, for its owner only, under the name that was asked for."""
    directory, content = tmp_path / "x.spool", os.urandom(3_000_000)
    seen: list[int] = []
    with spooled(io.BytesIO(content), directory, seen.append) as it:
        path, other = it.keep("wanted"), it.keep("wanted by another")
        assert other.samefile(path)
        other.unlink()
    assert path.read_bytes() == content
    assert seen[-1] == it.size == len(content)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert names(directory) == ["wanted"]


def test_the_same_once_more(tmp_path: Path) -> None:
    """What a flow was given already stays the very same file."""
    for _ in range(2):
        with spooled(io.BytesIO(b"x"), tmp_path) as it:
            path = it.keep("wanted")
            inode = path.stat().st_ino
    assert names(tmp_path) == ["wanted"]
    with spooled(io.BytesIO(b"x"), tmp_path) as it:
        assert it.keep("wanted").stat().st_ino == inode


def test_nothing_stays_that_was_not_kept(tmp_path: Path) -> None:
    """Neither after an error, nor if the flow was there already."""
    with pytest.raises(Refused, match="standard input: Is a directory"):
        with spooled(_Broken(), tmp_path):
            pass
    assert names(tmp_path) == []


class _Broken(io.BytesIO):
    def read1(self, size: int | None = -1, /) -> bytes:
        raise IsADirectoryError(21, "Is a directory")


def test_what_is_not_needed_goes(tmp_path: Path) -> None:
    """Also the part of a killed command, but not that of one which still reads."""
    sweep(tmp_path / "none", lambda _: True)
    for name in ("old", "needed", "part-of-a-killed-one"):
        (tmp_path / name).write_bytes(b"x")
    with spooled(io.BytesIO(b"x"), tmp_path) as it:
        sweep(tmp_path, lambda name: name == "needed")
        assert names(tmp_path) == ["needed", it.part.name]
        it.keep("not a flow's yet")
        sweep(tmp_path, lambda name: name == "needed")
        assert names(tmp_path) == ["needed", "not a flow's yet"]
    sweep(tmp_path, lambda name: name == "needed")
    assert names(tmp_path) == ["needed"]


def test_where_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Beside the database; without a file of the database, where no other one has its own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert spool_directory("sqlite:////var/x/h.db") == Path("/var/x/h.db.spool")
    one = spool_directory("postgresql://ann:secret@host/one")
    assert one.is_relative_to(tmp_path)
    assert one != spool_directory("postgresql://host/two")
