"""Files that are written whole or not at all, and what is left after a kill."""

import fcntl
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.files import clear_leftovers, write_whole

KILLED_HALFWAY = """
import os, signal, sys
from pathlib import Path
from holdfast import files

call, path = sys.argv[1:]
real = getattr(os, call)
def kill(*args, **kwargs):
    if call == "write":
        real(args[0], args[1][:1])
    os.kill(os.getpid(), signal.SIGKILL)
setattr(os, call, kill)
files.write_whole(Path(path), b"new")
"""


def hidden(folder: Path) -> list[Path]:
    return [each for each in folder.iterdir() if each.name.startswith(".")]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_content_and_mode(tmp_path: Path) -> None:
    """A new file has the content and exactly the mode asked for, and keeps it when replaced."""
    path = tmp_path / "file"
    old_mask = os.umask(0o077)
    try:
        write_whole(path, b"new", mode=0o664)
    finally:
        os.umask(old_mask)
    assert (path.read_bytes(), mode(path)) == (b"new", 0o664)
    path.chmod(0o640)
    write_whole(path, b"")
    assert (path.read_bytes(), mode(path)) == (b"", 0o640)
    write_whole(path, b"ours", keep=False)
    assert (path.read_bytes(), mode(path)) == (b"ours", 0o600)
    assert not hidden(tmp_path)


@pytest.mark.parametrize("call", ["fchmod", "write", "fsync", "replace"])
def test_killed_at_any_time(tmp_path: Path, call: str) -> None:
    """A writer killed before it has renamed leaves the old file, and its leftover is cleared."""
    path = tmp_path / ("n" * 255)
    path.write_bytes(b"old")
    ran = subprocess.run([sys.executable, "-c", KILLED_HALFWAY, call, path], check=False)
    assert ran.returncode == -signal.SIGKILL
    assert path.read_bytes() == b"old"
    assert len(hidden(tmp_path)) == 1
    write_whole(path, b"newer")
    assert path.read_bytes() == b"newer"
    assert not hidden(tmp_path)


def test_leftovers_of_others_stay(tmp_path: Path) -> None:
    """Only leftovers of the same target go, and none of a writer that is still alive."""
    for name in ("file", "other"):
        ran = subprocess.run(
            [sys.executable, "-c", KILLED_HALFWAY, "fsync", tmp_path / name], check=False
        )
        assert ran.returncode == -signal.SIGKILL
    before = set(hidden(tmp_path))
    with next(iter(before)).open("rb") as alive:
        fcntl.flock(alive, fcntl.LOCK_EX)
        clear_leftovers(tmp_path / "file")
        clear_leftovers(tmp_path / "other")
        assert [each.name for each in hidden(tmp_path)] == [Path(alive.name).name]
    clear_leftovers(tmp_path / "file")
    assert len(hidden(tmp_path)) <= 1


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    """A symbolic link is written through, not replaced."""
    (tmp_path / "there").mkdir()
    link = tmp_path / "link"
    link.symlink_to("there/file")
    write_whole(link, b"new")
    assert link.is_symlink()
    assert (tmp_path / "there/file").read_bytes() == b"new"


def test_what_is_no_file_is_not_replaced(tmp_path: Path) -> None:
    """A directory, a pipe and a device are left alone."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (tmp_path, pipe, Path("/dev/null")):
        with pytest.raises(OSError, match="not a regular file") as caught:
            write_whole(path, b"new")
        assert caught.value.strerror == "not a regular file"


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the disk is full the old file stays and the part is removed."""
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def full(_descriptor: int, _data: memoryview) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.write", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert not hidden(tmp_path)


def test_many_writers_at_once(tmp_path: Path) -> None:
    """Writers of one file never fail over each other, and one of them wins whole."""
    path = tmp_path / "file"
    script = (
        "import sys; from pathlib import Path; from holdfast.files import write_whole\n"
        "for _ in range(30): write_whole(Path(sys.argv[1]), sys.argv[2].encode() * 5000)"
    )
    letters = "abc"
    writers = [subprocess.Popen([sys.executable, "-c", script, path, each]) for each in letters]
    assert [each.wait() for each in writers] == [0, 0, 0]
    assert path.read_text() in {each * 5000 for each in letters}
    assert not hidden(tmp_path)
