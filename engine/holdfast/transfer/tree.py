"""What is in a folder that is to be sent.

Links inside the folder are followed, so that each name under which something can be reached is in
the list. A link that dangles, leads out of the folder or back to a
folder that it is in is refused, and so is what is neither a file nor a folder.
"""

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final, TypeAlias

from attrs import frozen

from holdfast.transfer.errors import SourceError
from holdfast.transfer.names import shown
from holdfast.transfer.pulse import Pulse

MOST_ENTRIES: Final = 1_000_000
"""Files and empty folders of one folder. Links can make a small folder endless."""

Identity: TypeAlias = tuple[int, int]
"""A device and a number of an inode."""

Chain: TypeAlias = tuple[Identity, "Chain | None"]
"""A folder and those that it is in."""


@frozen
class Entry:
    """A file, or an empty folder, as it was when it was looked at.

    Args:
        path: relative, as bytes of the file system; a folder's ends in `/`.
        size: in bytes.
        mode: as the system gives it.
        mtime: nanoseconds since 1970.
        inode: tells a file from another that took its place.
    """

    path: bytes
    size: int
    mode: int
    mtime: int
    inode: int

    @property
    def is_folder(self) -> bool:
        """Whether it is an empty folder."""
        return self.path.endswith(b"/")

    @property
    def name(self) -> bytes:
        """Its name in an archive, which is UTF-8: other bytes become U+FFFD."""
        path = self.path
        return path if path.isascii() else path.decode(errors="replace").encode()


def said(path: bytes | str) -> str:
    """Return a path for an error's text."""
    return shown(os.fsdecode(path))


def cannot_read(path: bytes | str, error: OSError) -> SourceError:
    """Return the error that says why `path` cannot be read."""
    return SourceError(f"{said(path)} cannot be read: {error.strerror or type(error).__name__}.")


def walk(roots: Mapping[bytes, bytes], pulse: Pulse) -> list[Entry]:
    """Return what is under `roots`, sorted by path.

    Args:
        roots: where things are, by the first part of their paths; it is empty for a folder whose
            own name is in no path.
        pulse: counts nothing, but may stop.

    Raises:
        SourceError: something cannot be sent; it is named.
        Stopped: as asked.
    """
    entries: list[Entry] = []
    for entry in _Walk(roots).entries():
        entries.append(entry)
        if len(entries) > MOST_ENTRIES:
            raise SourceError(f"There are more than {MOST_ENTRIES:,} files. Send an archive.")
        if not len(entries) % 256:
            pulse.beat()
    entries.sort(key=lambda each: each.path)
    _check_names(entries)
    return entries


def _check_names(entries: Iterable[Entry]) -> None:
    # Only names that are not UTF-8 can become equal.
    changed = [each for each in entries if each.name != each.path]
    if not changed:
        return
    seen = {each.path for each in entries}
    for each in changed:
        if each.name in seen:
            raise SourceError(
                f"{said(each.path)} has a name that is not UTF-8, and without the bytes that are"
                " not, it is another's. Rename it."
            )
        seen.add(each.name)


class _Walk:
    """Folders that are still to be looked at."""

    def __init__(self, roots: Mapping[bytes, bytes]) -> None:
        self._roots = roots
        self._real = [os.path.realpath(each) for each in roots.values()]
        self._todo: list[tuple[bytes, bytes, Chain]] = []

    def entries(self) -> Iterator[Entry]:
        for first, place in self._roots.items():
            try:
                found = _stat(place)
            except OSError as error:
                raise cannot_read(place, error) from error
            yield from self._thing(place, first, found, None)
        while self._todo:
            yield from self._folder(*self._todo.pop())

    def _folder(self, place: bytes, path: bytes, chain: Chain) -> Iterator[Entry]:
        prefix = path + b"/" if path else b""
        empty = True
        try:
            with os.scandir(place) as listed:
                for each in listed:
                    empty = False
                    found, real = each.stat(follow_symlinks=False), chain
                    if stat.S_ISLNK(found.st_mode):
                        found = self._followed(each.path)
                        if stat.S_ISDIR(found.st_mode):
                            _check_loop(each.path, found, real)
                    yield from self._thing(each.path, prefix + each.name, found, real)
        except OSError as error:
            raise cannot_read(error.filename or place, error) from error
        if empty and path:
            found = _stat(place)
            yield Entry(prefix, 0, found.st_mode, found.st_mtime_ns, found.st_ino)

    def _thing(
        self, place: bytes, path: bytes, found: os.stat_result, chain: Chain | None
    ) -> Iterator[Entry]:
        if stat.S_ISDIR(found.st_mode):
            self._todo.append((place, path, ((found.st_dev, found.st_ino), chain)))
        elif stat.S_ISREG(found.st_mode):
            yield Entry(path, found.st_size, found.st_mode, found.st_mtime_ns, found.st_ino)
        else:
            raise SourceError(f"{said(place)} is neither a file nor a folder, and cannot be sent.")

    def _followed(self, place: bytes) -> os.stat_result:
        try:
            real = os.path.realpath(place, strict=True)
            found = _stat(real)
        except OSError as error:
            raise SourceError(f"{said(place)} is a link that leads nowhere.") from error
        if not any(
            real == root or real.startswith(root.rstrip(b"/") + b"/") for root in self._real
        ):
            raise SourceError(
                f"{said(place)} is a link that leads out of what is sent. Send what it leads to,"
                " or remove the link."
            )
        return found


def _stat(place: bytes) -> os.stat_result:
    return Path(os.fsdecode(place)).stat()


def _check_loop(place: bytes, found: os.stat_result, chain: Chain | None) -> None:
    while chain is not None:
        if chain[0] == (found.st_dev, found.st_ino):
            raise SourceError(
                f"{said(place)} is a link to a folder that it is in, which has no end. Remove it."
            )
        chain = chain[1]
