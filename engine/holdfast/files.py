"""Files written whole or not at all.

A reader sees the old file or the new one, never a part, whenever the writer is killed.
What a killed writer leaves behind is a hidden file beside the target, which the next writer of
the same target removes; a lock held for a writer's life tells a leftover from work under way.
"""

import contextlib
import fcntl
import hashlib
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class NotRegularError(OSError):
    """The target exists and is a directory, a device or a pipe."""

    def __init__(self, target: Path) -> None:
        super().__init__(None, "not a regular file", str(target))
        self.strerror = "not a regular file"


def write_whole(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Replace the file at ``path`` by ``data``, durably, with exactly these permission bits.

    A symbolic link is followed, so that the link stays. Leftovers of killed writers of the same
    file are removed. Raises OSError, and leaves the old file as it was, if anything fails.
    """
    target = _target(path)
    clear_leftovers(path)
    with _locked_part(target) as (part, descriptor):
        os.fchmod(descriptor, mode)
        _write_all(descriptor, data)
        os.fsync(descriptor)
        part.replace(target)
    _sync_directory(target.parent)


def clear_leftovers(path: Path) -> None:
    """Remove what killed writers of the file at ``path`` left behind; call it at the start.

    Raises OSError if the directory cannot be read or a leftover cannot be removed.
    """
    target = _target(path)
    with os.scandir(target.parent) as entries:
        parts = [
            target.parent / each.name
            for each in entries
            if each.name.startswith(_prefix(target)) and each.is_file(follow_symlinks=False)
        ]
    for part in parts:
        _clear(part)


def _target(path: Path) -> Path:
    target = Path(os.path.realpath(path))
    with contextlib.suppress(FileNotFoundError):
        # Renaming over a device, such as /dev/stdout, would destroy it.
        if not stat.S_ISREG(target.stat().st_mode):
            raise NotRegularError(path)
    return target


def _prefix(target: Path) -> str:
    # A hash, because the target's own name may be as long as a name can be.
    name = hashlib.blake2b(os.fsencode(target.name), digest_size=6).hexdigest()
    return f".holdfast-{name}-"


@contextlib.contextmanager
def _locked_part(target: Path) -> Iterator[tuple[Path, int]]:
    """Make the hidden file, locked; remove it again if it was not renamed."""
    part, descriptor = _new_part(target)
    try:
        yield part, descriptor
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)


def _new_part(target: Path) -> tuple[Path, int]:
    while True:
        part = target.parent / f"{_prefix(target)}{secrets.token_hex(8)}"
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink:
            return part, descriptor
        # Another process took it for a leftover before it was locked.
        os.close(descriptor)


def _clear(part: Path) -> None:
    try:
        descriptor = os.open(part, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except (FileNotFoundError, PermissionError):
        return  # its writer has finished, or is somebody else who will clear it
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Locked, or finished by its writer meanwhile and no longer under this name.
        part.unlink(missing_ok=True)
    except BlockingIOError:
        pass  # its writer is alive
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, _DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
