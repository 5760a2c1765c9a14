"""What a landing keeps in the target's directory until it is done, hidden from its users.

There are three things, and all are found again by the landing's key:

- the part file `.holdfast-KEY`, with what was received; whoever has it open holds its lock
- the folder `.holdfast-KEY.d`, into which an archive is being unpacked
- the marker `.holdfast-KEY.to`, which names what the part, or the folder, is about to become, and
  tells whether that is what was to arrive, or only what is kept of it after a failure

Part and folder leave their hidden names in one step, when they get the final one. So a marker
without the thing that it speaks of says that this was done, also if the process died right after
it, and whatever its users have done with the file since.
"""

import contextlib
import errno
import fcntl
import os
import re
import shutil
import stat
from typing import Final, Literal, TypeAlias

from holdfast.transfer.errors import LandingError, LandingInUse
from holdfast.transfer.placing import DIRECTORY, are_one, sync_directory

Kind: TypeAlias = Literal["file", "folder", "kept"]
"""What a marker is about: a whole part, a folder, or a part that is kept after a failure."""

_KEY: Final = re.compile(r"[0-9A-Za-z_]{1,64}")
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_OLD = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def hidden_names(key: str) -> tuple[str, str, str]:
    """Return the names of the part file, the folder and the marker of the landing `key`."""
    part = f".holdfast-{key}"
    return part, f"{part}.d", f"{part}.to"


class Hidden:
    """The hidden things of one landing. All methods raise OSError.

    Args:
        directory: descriptor of the target's directory.
        key: the landing's.
    """

    def __init__(self, directory: int, key: str) -> None:
        if not _KEY.fullmatch(key):
            raise ValueError("a landing's key has 1 to 64 letters and digits")
        self._directory = directory
        self.part, self.folder, self._marker = hidden_names(key)

    def open_part(self) -> int:
        """Open the part file, which is made if it is not there, and lock it.

        Raises:
            LandingInUse: another process has it.
            LandingError: it is not ours.
        """
        while True:
            part = self._new_or_old_part()
            with contextlib.ExitStack() as undo:
                undo.callback(os.close, part)
                _lock(part)
                # Or else whoever had the lock has renamed or removed it meanwhile.
                if self._same(part, self.part):
                    undo.pop_all()
                    return part

    def _new_or_old_part(self) -> int:
        try:
            return os.open(self.part, _NEW, 0o600, dir_fd=self._directory)
        except FileExistsError:
            part = os.open(self.part, _OLD, dir_fd=self._directory)
        with contextlib.ExitStack() as undo:
            undo.callback(os.close, part)
            _check_ours(part, self.part)
            undo.pop_all()
        return part

    def make_folder(self) -> int:
        """Make the folder, empty, and return its descriptor."""
        self.remove_folder()
        os.mkdir(self.folder, 0o700, dir_fd=self._directory)
        return os.open(self.folder, DIRECTORY | os.O_NOFOLLOW, dir_fd=self._directory)

    def remove_folder(self) -> None:
        """Remove the folder and what is in it, if it is there."""
        # The marker first: without the folder it would say that the folder has its name.
        self.unmark()
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self.folder, dir_fd=self._directory)

    def mark(self, kind: Kind, name: str) -> None:
        """Write down, durably, that the part or the folder is about to be called `name`."""
        self.unmark()
        marker = os.open(self._marker, _NEW, 0o600, dir_fd=self._directory)
        try:
            os.write(marker, kind.encode() + b"/" + os.fsencode(name))
            os.fsync(marker)
        finally:
            os.close(marker)
        sync_directory(self._directory)

    def unmark(self) -> None:
        """Take back what the marker says, because it was not done."""
        self._unlink(self._marker)

    def became(self) -> tuple[str, bool] | None:
        """Return the name that the part or the folder has got, and whether it is only kept.

        None if neither has a name.

        Raises:
            LandingError: there is a marker that we did not make.
        """
        try:
            marker = os.open(self._marker, _OLD, dir_fd=self._directory)
        except FileNotFoundError:
            return None
        try:
            _check_ours(marker, self._marker)
            kind, _, name = os.read(marker, 1000).partition(b"/")
        finally:
            os.close(marker)
        if not name:  # its writer died
            return None
        if kind != b"folder" and are_one(self._directory, self.part, os.fsdecode(name)):
            self._unlink(self.part)  # it has both names: its writer died between two steps
        hidden = self.folder if kind == b"folder" else self.part
        return None if self._is_there(hidden) else (os.fsdecode(name), kind == b"kept")

    def remove(self) -> None:
        """Remove everything, the marker first."""
        self.remove_folder()
        self._unlink(self.part)

    def _is_there(self, name: str) -> bool:
        try:
            os.stat(name, dir_fd=self._directory, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    def _same(self, file: int, name: str) -> bool:
        try:
            found = os.stat(name, dir_fd=self._directory, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return os.path.samestat(found, os.fstat(file))

    def _unlink(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._directory)


def _lock(part: int) -> None:
    try:
        fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise LandingInUse from error
    except OSError as error:
        # A disk without locks: that a flow runs once at a time has to do.
        if error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP):
            raise


def _check_ours(file: int, name: str) -> None:
    found = os.fstat(file)
    ours = stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid()
    if not ours or found.st_nlink > 1:
        raise LandingError(
            f"{name} in that directory is not a file that we made. Remove it, or choose another"
            " directory."
        )
