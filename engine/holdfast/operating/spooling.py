"""Standard input, spooled into a file, so that it has a size and can be read again.

A stream cannot be offered: its size must be said first. And what a recipient is promised must be
there after a crash. So the stream is first read to its end, into a directory beside the database.
Until it is there whole, nothing was promised, and a part that is left behind is removed.

A spooled file stays as long as a flow may need it. It is removed by the next command that sends
something.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import secrets
from collections.abc import Callable, Iterator
from io import BufferedIOBase
from pathlib import Path
from typing import Final

from attrs import define, field

from holdfast.operating.refused import because
from holdfast.transfer.placing import DIRECTORY, rename_new

_ROOM: Final = 1024 * 1024
_PART: Final = "part-"
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def spool_directory(db: str) -> Path:
    """Return the directory for what is spooled for flows in the database at this URL.

    Beside an SQLite file; for any other database, in the user's state directory.
    """
    from holdfast_journal.upkeep import parse_url

    url = parse_url(db)
    if url.get_backend_name() == "sqlite" and url.database not in (None, "", ":memory:"):
        file = Path(str(url.database))
        return file.with_name(f"{file.name}.spool")
    import platformdirs

    place = f"{url.get_backend_name()} {url.host} {url.port} {url.database}".encode()
    name = f"{hashlib.blake2b(place, digest_size=8).hexdigest()}.spool"
    return Path(platformdirs.user_state_dir("holdfast"), name)


def private_directory(db: str) -> Path:
    """Return the directory for private files of flows in the database at this URL; likewise."""
    return spool_directory(db).with_suffix(".private")


@define
class Spooled:
    """A stream that was read to its end, and has no name at first.

    Args:
        part: where it is.
        size: its bytes.
        sha256: their digest.
    """

    part: Path
    size: int
    sha256: str
    _kept: str | None = field(default=None, init=False)
    """The first name that it was given."""

    def keep(self, name: str) -> Path:
        """Give it this name, and return its path. What has the name already stays, as it is.

        It may have several names, for several flows: it is on the disk once.

        Raises:
            Refused: it cannot be done.
        """
        target = self.part.with_name(name)
        try:
            directory = os.open(self.part.parent, DIRECTORY)
            try:
                with contextlib.suppress(FileExistsError):
                    self._give(directory, name)
                os.fsync(directory)
            finally:
                os.close(directory)
        except OSError as error:
            raise because(str(target), error) from None
        return target

    def _give(self, directory: int, name: str) -> None:
        """Move it there; or link it there, if it is somewhere already."""
        if self._kept is not None:
            os.link(self._kept, name, src_dir_fd=directory, dst_dir_fd=directory)
            return
        rename_new(directory, self.part.name, name)
        self._kept = name


@contextlib.contextmanager
def spooled(
    stream: BufferedIOBase, directory: Path, progress: Callable[[int], object] = lambda _: None
) -> Iterator[Spooled]:
    """Read a stream to its end into a file of our own; what was not kept is gone afterwards.

    Inside the block no sweep removes what was kept: there need not be a flow for it yet.

    Args:
        stream: what is read.
        directory: made if it is not there.
        progress: called with the bytes that are there.

    Raises:
        Refused: it cannot be read or written.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = directory / f"{_PART}{secrets.token_hex(8)}"
        descriptor = os.open(part, _NEW, 0o600)
    except OSError as error:
        raise because(str(directory), error) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        size, sha256 = _copied(stream, descriptor, progress)
        yield Spooled(part, size, sha256)
    finally:
        with contextlib.suppress(FileNotFoundError):
            part.unlink()
        os.close(descriptor)


def sweep(directory: Path, needed: Callable[[str], bool]) -> None:
    """Remove what no flow needs any more, and what killed commands left behind.

    Args:
        directory: where spooled files are, if there is one.
        needed: whether the file of this name, as given to `keep`, is still needed.

    Raises:
        Refused: something cannot be removed.
    """
    try:
        names = sorted(each.name for each in directory.iterdir())
    except FileNotFoundError:
        return
    except OSError as error:
        raise because(str(directory), error) from None
    for name in names:
        if name.startswith(_PART) or not needed(name):
            _remove(directory / name)


def _remove(path: Path) -> None:
    """Remove a file, unless a command that runs has it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    except OSError as error:
        raise because(str(path), error) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink(missing_ok=True)
    except BlockingIOError:
        pass
    finally:
        os.close(descriptor)


def _copied(
    stream: BufferedIOBase, descriptor: int, progress: Callable[[int], object]
) -> tuple[int, str]:
    hasher, size = hashlib.sha256(), 0
    while True:
        try:
            chunk = stream.read1(_ROOM)
        except OSError as error:
            raise because("standard input", error) from None
        if not chunk:
            break
        hasher.update(chunk)
        size += len(chunk)
        _write(descriptor, chunk)
        progress(size)
    try:
        os.fsync(descriptor)
    except OSError as error:
        raise because("standard input could not be kept", error) from None
    return size, hasher.hexdigest()


def _write(descriptor: int, chunk: bytes) -> None:
    rest = memoryview(chunk)
    try:
        while rest:
            rest = rest[os.write(descriptor, rest) :]
    except OSError as error:
        raise because("standard input could not be kept", error) from None
