"""Unpacks a folder's archive, which somebody else made, into an empty directory.

Every entry is checked before anything is written, against what was offered and against each other.
Then each is streamed into a new file; modes are masked, links are
neither made nor followed, and what an entry says about its own length or checksum must be true.
"""

import os
import zlib
from collections.abc import Iterator
from typing import Final

from attrs import evolve, frozen

from holdfast.transfer.errors import BadArchive
from holdfast.transfer.names import LONGEST_NAME, harmless, shown
from holdfast.transfer.pulse import Pulse
from holdfast.transfer.tree import MOST_ENTRIES
from holdfast.transfer.zip_reading import (
    STORED,
    Item,
    find_contents,
    items,
)

ROOM: Final = 256 * 1024
"""Bytes that are read, and that are unpacked, at once."""

LONGEST_PATH: Final = 2000
"""Characters of the longest path. Linux takes 4,095 bytes, from the root of all files on."""

MOST_DEPTH: Final = 200
"""Folders in one another; Python's own `rmtree` takes fewer than a thousand."""

SLACK_BYTES: Final = 1024 * 1024
SLACK_PART: Final = 100
"""More bytes than were offered are unpacked: so many, and one in so many. A file may have grown
before the sender came to it."""

SLACK_FOLDERS: Final = 10_000
FOLDERS_FOR_A_FILE: Final = 8
"""Folders that may be there although nobody counts them: so many, and so many for each file. They
take room too."""

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@frozen
class Bounds:
    """What was offered.

    Args:
        files: how many.
        total: bytes of them together.
    """

    files: int
    total: int


def unpack(archive: int, folder: int, bounds: Bounds, pulse: Pulse) -> None:
    """Unpack an archive.

    Args:
        archive: descriptor of a file that is the archive.
        folder: descriptor of an empty directory that nobody else uses.
        bounds: what was offered.
        pulse: counts the bytes of the files.

    Raises:
        BadArchive: it is damaged, or holds something else than was offered.
        OSError: it cannot be read, or the files cannot be written.
        Stopped: as asked.
    """
    found = _checked(archive, bounds, pulse)
    made: set[str] = {""}
    for item in found:
        pulse.beat()
        if item.is_folder:
            _make_folders(item.path, folder, made)
        else:
            _make_folders(item.path.rpartition("/")[0], folder, made)
            _write(archive, item, folder, pulse)
    # Last, so that a folder that nobody may write in is complete.
    for item in found:
        if item.is_folder and item.mode is not None:
            os.chmod(item.path, item.mode | 0o700, dir_fd=folder)


def _checked(archive: int, bounds: Bounds, pulse: Pulse) -> list[Item]:
    """Return all entries, in the order of their data, with paths that are safe."""
    contents = find_contents(archive)
    if contents.count > min(bounds.files + SLACK_FOLDERS, MOST_ENTRIES):
        raise BadArchive("The folder that arrived has more files in it than were offered.")
    found = []
    files = size = 0
    most = bounds.total + SLACK_BYTES + bounds.total // SLACK_PART
    for item in items(archive, contents):
        found.append(_safe(item))
        files += not item.is_folder
        size += item.size
        if files > bounds.files:
            raise BadArchive("The folder that arrived has more files in it than were offered.")
        if size > most:
            raise BadArchive("The folder that arrived is larger than was offered.")
        if not len(found) % 256:
            pulse.beat()
    found.sort(key=lambda each: each.start)
    _check_places(found, contents.start)
    _check_paths(found, SLACK_FOLDERS + FOLDERS_FOR_A_FILE * files)
    return found


def _safe(item: Item) -> Item:
    # Nothing that leads out of the folder, wherever it is copied to later.
    if ".." in item.path.replace("\\", "/").split("/") or len(item.path) > LONGEST_PATH:
        raise _refused(item)
    parts = item.path.split("/")
    if len(parts) > MOST_DEPTH:
        raise _refused(item)
    for part in parts:
        if part in ("", ".") or len(part.encode()) > LONGEST_NAME:
            raise _refused(item)
    path = harmless(item.path)
    return item if path == item.path else evolve(item, path=path)


def _refused(item: Item) -> BadArchive:
    return BadArchive(
        f"The folder that arrived has a file called {shown(item.path)} in it: we make no such file."
    )


def _check_places(found: list[Item], end: int) -> None:
    """Each entry ends before the next begins, and the last before the table of contents."""
    for item in reversed(found):
        if item.data + item.packed > end:
            raise BadArchive("The folder arrived as an archive whose files overlap.")
        end = item.start


def _check_paths(found: list[Item], most_folders: int) -> None:
    if len({item.path for item in found}) != len(found):
        raise BadArchive("The folder that arrived has two files of the same name in it.")
    folders: set[str] = set()
    for item in found:
        path = item.path if item.is_folder else item.path.rpartition("/")[0]
        while path and path not in folders:
            folders.add(path)
            path = path.rpartition("/")[0]
        if len(folders) > most_folders:
            raise BadArchive("The folder that arrived has too many folders in it.")
    if any(item.path in folders for item in found if not item.is_folder):
        raise BadArchive("The folder that arrived has something that is both a file and a folder.")


def _make_folders(path: str, folder: int, made: set[str]) -> None:
    missing = []
    while path not in made:
        missing.append(path)
        made.add(path)
        path = path.rpartition("/")[0]
    for each in reversed(missing):
        os.mkdir(each, dir_fd=folder)


def _write(archive: int, item: Item, folder: int, pulse: Pulse) -> None:
    mode = 0o666 if item.mode is None else item.mode | 0o400
    file = os.open(item.path, _NEW, mode, dir_fd=folder)
    try:
        crc = size = 0
        for part in _parts(archive, item):
            size += len(part)
            if size > item.size:
                raise _untrue(item)
            crc = zlib.crc32(part, crc)
            _write_all(file, part)
            pulse.beat(len(part))
        if (size, crc) != (item.size, item.crc):
            raise _untrue(item)
        if item.mtime is not None:
            os.utime(file, (item.mtime, item.mtime))
    finally:
        os.close(file)


def _write_all(file: int, part: bytes) -> None:
    view = memoryview(part)
    while view:
        view = view[os.write(file, view) :]


def _parts(archive: int, item: Item) -> Iterator[bytes]:
    packed = _packed(archive, item)
    return packed if item.method == STORED else _inflated(packed, item)


def _packed(archive: int, item: Item) -> Iterator[bytes]:
    offset, end = item.data, item.data + item.packed
    while offset < end:
        part = os.pread(archive, min(ROOM, end - offset), offset)
        if not part:
            raise _untrue(item)
        offset += len(part)
        yield part


def _inflated(packed: Iterator[bytes], item: Item) -> Iterator[bytes]:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        for part in packed:
            rest = part
            while rest:
                if inflater.eof:
                    raise _untrue(item)
                yield inflater.decompress(rest, ROOM)
                rest = inflater.unconsumed_tail or inflater.unused_data
        while not inflater.eof and (part := inflater.decompress(b"", ROOM)):
            yield part
    except zlib.error as error:
        raise _untrue(item) from error
    if not inflater.eof:
        raise _untrue(item)


def _untrue(item: Item) -> BadArchive:
    return BadArchive(f"The file {shown(item.path)} in the folder arrived damaged.")
