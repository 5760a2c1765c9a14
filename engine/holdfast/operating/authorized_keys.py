"""Adding a public key to a person's `authorized_keys`: once, whole, and nowhere else.

Everything happens relative to open directories, so nothing that is renamed meanwhile leads astray.
One's own `~/.ssh` may be reached by symbolic links, since people keep such files elsewhere. In
another person's home, where root writes, no link is followed: its owner could make it lead
anywhere.

The new file takes the place of the old one, so `sshd` sees either of them, also after a power cut.
It belongs to the person, and nobody else can write it: otherwise `sshd` would not heed it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import pwd
import stat
from pathlib import Path
from typing import Final

from attrs import frozen

from holdfast.operating.printable import quoted
from holdfast.operating.refused import Refused
from holdfast.transfer.public_keys import PublicKey

LONGEST_FILE: Final = 4_000_000
"""Bytes of the longest `authorized_keys` that is read."""

DIRECTORY: Final = ".ssh"
FILE: Final = "authorized_keys"

PART: Final = ".holdfast-authorized_keys"
"""The new file until it is whole. Whoever makes it has the lock of the directory."""

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_OLD: Final = os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@frozen
class Account:
    """Whose `authorized_keys` it is.

    Args:
        home: that person's home directory.
        uid: the number of the user.
        gid: that of the user's group.
    """

    home: Path
    uid: int
    gid: int

    @property
    def is_ours(self) -> bool:
        """Whether this process runs as that person."""
        return self.uid == os.geteuid()

    @property
    def path(self) -> Path:
        """The file, for people."""
        return self.home / DIRECTORY / FILE


def account_of(user: str | None) -> Account:
    """Return a user's account; without a name, that of whoever runs this.

    Raises:
        Refused: there is no such user, or we may not act for them.
    """
    if user is None:
        return _our_account()
    try:
        found = pwd.getpwnam(user)
    except (KeyError, ValueError):  # ValueError: there is a NUL in it
        raise Refused(f"--user: there is no user {quoted(user)}") from None
    if os.geteuid() not in (0, found.pw_uid):
        raise Refused(f"--user: only root and {quoted(user)} can add a key for {quoted(user)}")
    return Account(Path(found.pw_dir), found.pw_uid, found.pw_gid)


def _our_account() -> Account:
    try:
        home = Path.home()
        owner = home.stat().st_uid
    except (RuntimeError, OSError):
        raise Refused("your home directory cannot be found; HOME names it") from None
    if os.geteuid() == 0 and owner != 0:  # as `sudo` leaves it
        raise Refused(f"{quoted(str(home))} is not root's home: say whose it is with --user")
    return Account(home, os.geteuid(), os.getegid())


def check(account: Account) -> None:
    """Find out whether a key could be added, before anything starts, and change nothing.

    Raises:
        Refused: it could not.
    """
    folder = account.home / DIRECTORY
    try:
        directory, name = _opened(account, make=False)
    except FileNotFoundError:
        if not os.access(account.home, os.W_OK | os.X_OK):
            raise Refused(f"{folder} does not exist, and you may not make it") from None
        return
    except OSError as error:
        raise _because(account, error) from None
    try:
        _read(account, directory, name)
        if not os.access(".", os.W_OK | os.X_OK, dir_fd=directory):
            raise Refused(f"{folder}: you are not allowed to write there")
    except OSError as error:
        raise _because(account, error) from None
    finally:
        os.close(directory)


def add(account: Account, key: PublicKey) -> bool:
    """Add a key; return False if it is there already. To do it twice is to do it once.

    Raises:
        Refused: it could not be added.
    """
    try:
        directory, name = _opened(account, make=True)
        try:
            fcntl.flock(directory, fcntl.LOCK_EX)
            while True:
                old, status = _read(account, directory, name)
                if _has(old, key):
                    return False
                ending = b"" if not old or old.endswith(b"\n") else b"\n"
                data = old + ending + key.line.encode() + b"\n"
                if _replaced(account, directory, name, data, status):
                    return True
        finally:
            os.close(directory)
    except OSError as error:
        raise _because(account, error) from None


def _opened(account: Account, *, make: bool) -> tuple[int, str]:
    """Open the directory that holds the file; return it, and the file's name there."""
    if account.is_ours:
        folder = Path(os.path.realpath(account.home / DIRECTORY))
        if make:
            with contextlib.suppress(FileExistsError):
                folder.mkdir(mode=0o700)
        file = Path(os.path.realpath(folder / FILE))
        return os.open(file.parent, _FOLDER), file.name
    home = os.open(account.home, _FOLDER)
    try:
        made = False
        if make:
            with contextlib.suppress(FileExistsError):
                os.mkdir(DIRECTORY, 0o700, dir_fd=home)
                made = True
        directory = os.open(DIRECTORY, _FOLDER | os.O_NOFOLLOW, dir_fd=home)
        if made:
            os.fchown(directory, account.uid, account.gid)
        return directory, FILE
    finally:
        os.close(home)


def _read(account: Account, directory: int, name: str) -> tuple[bytes, os.stat_result | None]:
    """Return what the file holds, and which file that was; nothing and None if there is none.

    Raises:
        OSError: we may not read and write it.
        Refused: it is not a file to add a key to.
    """
    try:
        descriptor = os.open(name, _OLD, dir_fd=directory)
    except FileNotFoundError:
        return b"", None
    with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise Refused(f"{account.path}: not a regular file")
        # A second name of a file that is not the person's own would let them read it.
        if not account.is_ours and status.st_uid != account.uid and status.st_nlink != 1:
            raise Refused(f"{account.path}: this file has other names, and another owner")
        data = file.read(LONGEST_FILE + 1)
    if len(data) > LONGEST_FILE:
        raise Refused(f"{account.path}: longer than {LONGEST_FILE:,} bytes")
    return data, status


def _has(old: bytes, key: PublicKey) -> bool:
    """Whether the key stands in a line that is not a comment; it may have options there."""
    blob = key.blob.encode()
    lines = (line.split() for line in old.splitlines())
    return any(blob in words and not words[0].startswith(b"#") for words in lines)


def _replaced(
    account: Account, directory: int, name: str, data: bytes, old: os.stat_result | None
) -> bool:
    """Put a new file in the place of the old one; return False if that has changed meanwhile."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(PART, dir_fd=directory)  # of a process that died here
    descriptor = os.open(PART, _NEW, 0o600, dir_fd=directory)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor
            if os.geteuid() == 0:
                owner = (account.uid, account.gid) if old is None else (old.st_uid, old.st_gid)
                os.fchown(descriptor, *owner)
            if old is not None:
                os.fchmod(descriptor, stat.S_IMODE(old.st_mode) & ~0o022)
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        if not _is_still(directory, name, old):  # a program that appends to it has no lock
            return False
        os.rename(PART, name, src_dir_fd=directory, dst_dir_fd=directory)
        os.fsync(directory)
        return True
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(PART, dir_fd=directory)


def _is_still(directory: int, name: str, old: os.stat_result | None) -> bool:
    try:
        now = os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return old is None
    if old is None:
        return False
    return (now.st_ino, now.st_size, now.st_mtime_ns) == (old.st_ino, old.st_size, old.st_mtime_ns)


def _because(account: Account, error: OSError) -> Refused:
    why = error.strerror or type(error).__name__
    if not account.is_ours and error.errno in (errno.ELOOP, errno.ENOTDIR):
        why = "a symbolic link is not followed in another person's home: run this as that user"
    return Refused(f"{account.path}: {why}")
