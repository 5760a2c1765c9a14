"""Files written whole or not at all.

Whenever the writer is killed, a reader sees the old file or the new one, never a part. The
exception are files that cannot be replaced, which are written in place. A killed writer leaves a
hidden file beside the target, which the next writer of the same target removes. A lock that is held
for a writer's life tells a leftover from work in progress.
"""

import contextlib
import errno
import fcntl
import hashlib
import os
import secrets
import stat
from collections.abc import Collection, Iterator
from pathlib import Path

_ACCESS_LIST = "system.posix_acl_access"
_IRREPLACEABLE = frozenset(
    {errno.EBUSY, errno.EXDEV, errno.EPERM, errno.EACCES, errno.EROFS, errno.ENOTSUP, errno.EINVAL}
)
"""Errors of a file that cannot be replaced, but may still be writable."""

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class NotRegularError(OSError):
    """The target exists and is a directory, a device or a pipe."""

    def __init__(self, target: Path) -> None:
        super().__init__(None, "not a regular file", str(target))
        self.strerror = "not a regular file"


def write_whole(path: Path, data: bytes, mode: int = 0o600, *, keep: bool = True) -> None:
    """Replace the content of the file at `path` by `data`, durably.

    An existing file keeps its owner, group, mode, access list and user attributes; a new one gets
    `mode`. A symbolic link is followed, so that the link stays. Leftovers of killed writers of the
    same file are removed.

    If the file cannot be replaced in this way (a mount point, a directory that cannot be written,
    an owner that we may not set), it is written in place, and a power cut in that moment may leave
    it incomplete. Without `keep`, a file of our own with `mode` replaces it, or nothing happens.

    Raises OSError, and leaves the old content, if anything fails.
    """
    target = _target(path)
    clear_leftovers(path)
    try:
        _replace(target, data, mode, keep=keep)
    except OSError as error:
        if not keep or error.errno not in _IRREPLACEABLE or not target.exists():
            raise
        _write_in_place(target, data)


def write_one_of_many(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Replace a file that can be made again, as `write_whole` does without `keep`, but quickly.

    It is not durable: after a power cut it may be empty. Leftovers of killed writers stay; see
    `clear_leftovers`. Raises OSError, and leaves the old content, if anything fails.
    """
    _replace(_target(path), data, mode, keep=False, durable=False)


def check_whole(path: Path) -> None:
    """Find out whether `write_whole` would work, by doing everything except its last step.

    A file that can be replaced is replaced by its own content. Raises OSError.
    """
    target = _target(path)
    clear_leftovers(path)
    if not target.exists():
        check_new(path)
        return
    try:
        _replace(target, target.read_bytes(), 0o600, keep=True)
    except OSError as error:
        if error.errno not in _IRREPLACEABLE:
            raise
        os.close(os.open(target, os.O_RDWR | os.O_CLOEXEC))


def check_new(path: Path) -> None:
    """Find out whether a file can be made at `path`, by making its hidden part. Raises OSError.

    The hidden part is removed again, and before that what killed processes left of theirs.
    """
    target = _target(path)
    clear_leftovers(target)
    with _locked_part(target) as (part, descriptor):
        _write_all(descriptor, b"\n")
        os.fsync(descriptor)
        part.unlink()


def clear_leftovers(*paths: Path) -> None:
    """Remove what killed writers of these files left behind; call it at the start.

    Leftovers that we may not see or remove stay. Raises OSError if a directory cannot be read for
    another reason.
    """
    prefixes: dict[Path, set[str]] = {}
    for path in paths:
        target = _target(path)
        prefixes.setdefault(target.parent, set()).add(_prefix(target))
    for directory, ours in prefixes.items():
        with contextlib.suppress(PermissionError):
            _clear_leftovers(directory, ours)


def _clear_leftovers(directory: Path, prefixes: Collection[str]) -> None:
    length = len(next(iter(prefixes)))
    with os.scandir(directory) as entries:
        parts = [
            directory / each.name
            for each in entries
            if each.name[:length] in prefixes and each.is_file(follow_symlinks=False)
        ]
    for part in parts:
        _clear(part)


def _replace(target: Path, data: bytes, mode: int, *, keep: bool, durable: bool = True) -> None:
    """Put a new file in the target's place; if `keep`, with the identity of the old one."""
    with _locked_part(target) as (part, descriptor):
        if not (keep and _take_identity(descriptor, target)):
            os.fchmod(descriptor, mode)
        _write_all(descriptor, data)
        if durable:
            os.fsync(descriptor)
        part.replace(target)
    if durable:
        _sync_directory(target.parent)


def _take_identity(descriptor: int, target: Path) -> bool:
    """Give an open file the identity of `target`; return whether `target` exists.

    The identity is the owner, group, mode and attributes. Raises OSError with one of _IRREPLACEABLE
    if we may not.
    """
    try:
        old = target.stat()
    except FileNotFoundError:
        return False
    new = os.fstat(descriptor)
    if (new.st_uid, new.st_gid) != (old.st_uid, old.st_gid):
        os.fchown(descriptor, old.st_uid, old.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(old.st_mode))
    wanted = _attributes(target)
    for name in _attributes(descriptor):
        if name not in wanted:  # such as an access list that the directory gave it
            os.removexattr(descriptor, name)
    for name in wanted:
        os.setxattr(descriptor, name, os.getxattr(target, name))
    return True


def _attributes(file: Path | int) -> list[str]:
    """Return the names of a file's extended attributes that its users have set."""
    if not hasattr(os, "listxattr"):  # not on this system
        return []
    try:
        names = os.listxattr(file)
    except OSError as error:
        if error.errno == errno.ENOTSUP:
            return []
        raise
    return [each for each in names if each == _ACCESS_LIST or each.startswith("user.")]


def _write_in_place(target: Path, data: bytes) -> None:
    with target.open("r+b", buffering=0) as file:
        old = file.read()
        try:
            _overwrite(file.fileno(), data)
        except OSError:
            # The disk is full, but the file already has this much of it.
            _overwrite(file.fileno(), old)
            raise


def _overwrite(descriptor: int, data: bytes) -> None:
    # Not truncated first, so that a killed writer loses as little as possible.
    os.lseek(descriptor, 0, os.SEEK_SET)
    _write_all(descriptor, data)
    os.ftruncate(descriptor, len(data))
    os.fsync(descriptor)


def _target(path: Path) -> Path:
    target = Path(os.path.realpath(path))
    with contextlib.suppress(FileNotFoundError):
        # Renaming over a device, such as /dev/stdout, would destroy it.
        if not stat.S_ISREG(target.stat().st_mode):
            raise NotRegularError(path)
    return target


def _prefix(target: Path) -> str:
    # A hash, because the target's own name may already have the greatest length of a name.
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
        return  # its writer has finished, or is another process that will clear it
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # We have the lock: its writer was killed, or has finished and renamed it meanwhile.
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
