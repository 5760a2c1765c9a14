"""Files that are written whole or not at all, and what is left after a kill."""

import contextlib
import errno
import fcntl
import os
import signal
import stat
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from holdfast.files import check_new, check_whole, clear_leftovers, write_whole

NOBODY = 65534

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


def check_again(path: Path, _data: bytes) -> None:
    """As who only wants to know whether something can be written there."""
    check_new(path)


@pytest.mark.parametrize(
    ("call", "again"),
    [
        *((call, write_whole) for call in ("fchmod", "write", "fsync", "replace")),
        ("fsync", check_again),
    ],
)
def test_killed_at_any_time(
    tmp_path: Path, call: str, again: Callable[[Path, bytes], object]
) -> None:
    """A writer killed before it has renamed leaves the old file, and its leftover is cleared."""
    path = tmp_path / ("n" * 255)
    path.write_bytes(b"old")
    ran = subprocess.run([sys.executable, "-c", KILLED_HALFWAY, call, path], check=False)
    assert ran.returncode == -signal.SIGKILL
    assert path.read_bytes() == b"old"
    assert len(hidden(tmp_path)) == 1
    again(path, b"newer")
    assert path.read_bytes() == (b"old" if again is check_again else b"newer")
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


@pytest.fixture
def shared() -> Iterator[Path]:
    """A directory that other users can reach."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        path.chmod(0o755)
        yield path


@contextlib.contextmanager
def as_nobody() -> Iterator[None]:
    """Without root's rights, if we have them."""
    if os.geteuid():
        yield
        return
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


@contextlib.contextmanager
def mounted(there: Path, here: Path) -> Iterator[None]:
    """A file that is a mount point, as `docker -v FILE:FILE` makes one."""
    bound = subprocess.run(["mount", "--bind", there, here], capture_output=True, check=False)
    if bound.returncode:
        pytest.skip("only root can mount")
    try:
        yield
    finally:
        subprocess.run(["umount", here], check=True)


def test_identity_is_kept(tmp_path: Path) -> None:
    """A file that is replaced keeps its mode and attributes, and its owner if we may give that."""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(0o640)
    attributes = {"user.note": b"mine"}
    try:
        os.setxattr(path, "user.note", b"mine")
    except OSError:  # this file system has none
        attributes = {}
    if os.geteuid() == 0:
        os.chown(path, NOBODY, NOBODY)
    before = path.stat()
    write_whole(path, b"new")
    after = path.stat()
    assert path.read_bytes() == b"new"
    assert after.st_ino != before.st_ino
    assert (after.st_mode, after.st_uid, after.st_gid) == (
        before.st_mode, before.st_uid, before.st_gid,
    )  # fmt: skip
    assert {each: os.getxattr(path, each) for each in os.listxattr(path)} == attributes


def access_list(mode: int, reader: int) -> bytes:
    """What Linux stores for these permission bits and one more user who may read."""
    nobody = 0xFFFFFFFF
    entries = [(1, mode >> 6, nobody), (2, 4, reader), (4, mode >> 3 & 7, nobody)]
    entries += [(0x10, mode >> 3 & 7, nobody), (0x20, mode & 7, nobody)]
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *each) for each in entries)


def test_access_lists(tmp_path: Path) -> None:
    """An access list stays, and a directory gives none to a file that had none."""
    listed, plain = tmp_path / "listed", tmp_path / "plain"
    for path in (listed, plain):
        path.write_bytes(b"old")
        path.chmod(0o660)
    try:
        os.setxattr(listed, "system.posix_acl_access", access_list(0o660, NOBODY))
        os.setxattr(tmp_path, "system.posix_acl_default", access_list(0o770, NOBODY))
    except OSError:
        pytest.skip("no access lists here")
    before = os.getxattr(listed, "system.posix_acl_access")
    for path in (listed, plain):
        write_whole(path, b"new")
    assert os.getxattr(listed, "system.posix_acl_access") == before
    assert os.listxattr(plain) == []
    assert mode(plain) == 0o660


def test_a_mount_point(tmp_path: Path) -> None:
    """What cannot be replaced is written in place, shorter and longer, and the check knows that."""
    here, there = tmp_path / "here", tmp_path / "there"
    here.touch()
    there.write_bytes(b"old")
    with mounted(there, here):
        for content in (b"new, and longer", b"n"):
            check_whole(here)
            write_whole(here, content)
            assert there.read_bytes() == content
        with pytest.raises(OSError, match="busy"):
            write_whole(here, b"ours", keep=False)
        assert there.read_bytes() == b"n"
    assert not hidden(tmp_path)


def test_a_directory_that_cannot_be_written(shared: Path) -> None:
    """A file in it that can be written is; what cannot be done the check says."""
    for name, rights in [("mine", 0o666), ("theirs", 0o444)]:
        (shared / name).write_bytes(b"old")
        (shared / name).chmod(rights)
    shared.chmod(0o555)
    with as_nobody():
        check_whole(shared / "mine")
        write_whole(shared / "mine", b"new")
        for call in (check_whole, lambda path: write_whole(path, b"new")):
            for name in ("theirs", "other"):
                with pytest.raises(PermissionError):
                    call(shared / name)
        with pytest.raises(PermissionError):
            check_new(shared / "other")
    shared.chmod(0o755)
    assert (shared / "mine").read_bytes() == b"new"
    assert (shared / "theirs").read_bytes() == b"old"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has files of several owners")
def test_somebody_elses_file(shared: Path) -> None:
    """A file whose owner we may not give to another stays theirs."""
    shared.chmod(0o777)
    path = shared / "file"
    path.write_bytes(b"old")
    path.chmod(0o666)
    before = path.stat()
    with as_nobody():
        check_whole(path)
        write_whole(path, b"new")
    after = path.stat()
    assert path.read_bytes() == b"new"
    assert (after.st_uid, after.st_mode, after.st_ino) == (0, before.st_mode, before.st_ino)


@pytest.mark.parametrize("fails", [1, 2])
def test_a_full_disk_in_place(fails: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was there is there again."""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    writes = 0
    write = os.write

    def busy(self: Path, target: Path) -> None:
        raise OSError(errno.EBUSY, "busy")

    def full(descriptor: int, data: bytes) -> int:
        nonlocal writes
        writes += path.samefile(f"/proc/self/fd/{descriptor}")
        if writes == fails:
            writes += 1
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, data[:4])

    monkeypatch.setattr(Path, "replace", busy)
    monkeypatch.setattr("os.write", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(path, b"new and longer")
    assert path.read_bytes() == b"old"


def test_the_check_leaves_nothing(tmp_path: Path) -> None:
    """A file that is not there is not made, and one that is there keeps its content."""
    check_whole(tmp_path / "new")
    check_new(tmp_path / "new")
    assert not any(tmp_path.iterdir())
    (tmp_path / "old").write_bytes(b"old")
    check_whole(tmp_path / "old")
    assert (tmp_path / "old").read_bytes() == b"old"
    with pytest.raises(OSError, match="too long"):
        check_whole(tmp_path / ("n" * 300))


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
