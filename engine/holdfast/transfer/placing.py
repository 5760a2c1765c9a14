"""Putting a finished file or folder under its name, durably and without replacing anything.

All names are relative to the descriptor of an open directory, so that a directory that is moved or
swapped meanwhile does not lead elsewhere.
"""

import contextlib
import ctypes
import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC

_NO_REPLACE = 1
_NOT_HERE = frozenset(
    {errno.EINVAL, errno.ENOSYS, errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.EMLINK}
)
"""Errors of a file system, or of a system, that does not have what was asked for."""


def _of_libc(name: str) -> Callable[..., int] | None:
    function: Callable[..., int] | None = getattr(ctypes.CDLL(None, use_errno=True), name, None)
    return function


_renameat2 = _of_libc("renameat2")
_syncfs = _of_libc("syncfs")


def rename_new(directory: int, old: str, new: str) -> None:
    """Rename a file or folder, unless something is called `new` already.

    Linux does it in one step, where the file system can. Elsewhere a file gets its second name
    before it loses its first. What has no second names is looked for, then renamed: there something
    that appears in this very moment is replaced, if it is a file or an empty folder.

    Raises:
        FileExistsError: there is something.
        OSError: it cannot be done.
    """
    if _renamed_at_once(directory, old, new) or _linked(directory, old, new):
        return
    with contextlib.suppress(FileNotFoundError):
        os.stat(new, dir_fd=directory, follow_symlinks=False)
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), new)
    os.rename(old, new, src_dir_fd=directory, dst_dir_fd=directory)


def _renamed_at_once(directory: int, old: str, new: str) -> bool:
    if _renameat2 is None:
        return False
    names = os.fsencode(old), os.fsencode(new)
    if _renameat2(directory, names[0], directory, names[1], _NO_REPLACE) == 0:
        return True
    code = ctypes.get_errno()
    if code in _NOT_HERE:
        return False
    raise OSError(code, os.strerror(code), new)


def _linked(directory: int, old: str, new: str) -> bool:
    try:
        os.link(old, new, src_dir_fd=directory, dst_dir_fd=directory, follow_symlinks=False)
    except FileExistsError:
        if not are_one(directory, old, new):  # or else NFS did it, and lost its answer
            raise
    except OSError as error:
        if error.errno in _NOT_HERE:
            return False
        raise
    os.unlink(old, dir_fd=directory)
    return True


def are_one(directory: int, one: str, two: str) -> bool:
    """Whether two names in a directory are those of one file."""
    try:
        return os.path.samestat(
            os.stat(one, dir_fd=directory, follow_symlinks=False),
            os.stat(two, dir_fd=directory, follow_symlinks=False),
        )
    except FileNotFoundError:
        return False


def sync_tree(directory: int) -> None:
    """Make everything in a directory durable: one call for any number of files.

    Raises:
        OSError: the disk failed.
    """
    if _syncfs is None:
        os.sync()
    elif _syncfs(directory) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def sync_file(file: int) -> None:
    """Make what was written into a file durable. Raises OSError."""
    getattr(os, "fdatasync", os.fsync)(file)


def sync_directory(directory: int) -> None:
    """Make durable what the things in a directory are called. Raises OSError."""
    try:
        os.fsync(directory)
    except OSError as error:
        if error.errno not in _NOT_HERE:  # some disks cannot do this for a directory alone
            raise


def set_usual_mode(file: int, most: int) -> None:
    """Give what was made for us alone the mode that everything new of this user gets.

    Args:
        file: descriptor of a file or folder.
        most: what the umask is applied to.
    """
    with contextlib.suppress(PermissionError):  # of a disk that knows no modes
        os.fchmod(file, most & ~_umask())


def _umask() -> int:
    # Asking for it the usual way changes it, for a moment, for all threads.
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("Umask:"):
                return int(line.split()[1], 8)
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
