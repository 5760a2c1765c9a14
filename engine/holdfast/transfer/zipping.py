"""A folder as one stream: a zip archive that is never written down.

Its bytes follow from a plan and from what is in the files, so that it has a known size, may be read
from any offset, and is the same after a restart.
"""

import os
import stat
import zlib
from array import array
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Final

from holdfast.transfer.errors import SourceChanged
from holdfast.transfer.pulse import Pulse
from holdfast.transfer.tree import Entry, cannot_read, said
from holdfast.transfer.zip_format import (
    central_header,
    central_size,
    ending,
    local_header,
    local_size,
)

ROOM: Final = 256 * 1024
"""Bytes that are read at once for a checksum."""

_UNKNOWN = 1 << 32
_OPEN = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class Plan:
    """Where everything is in the archive of `entries`: first the files, then the contents.

    Attributes:
        entries: in the order in which they come.
        starts: offset of each entry's header; then that of the table of contents.
        contents: offset of each entry in the table of contents; then that of its end.
        size: bytes of the archive.
    """

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = entries
        self.starts, self.contents = array("Q"), array("Q")
        offset = 0
        for entry in entries:
            self.starts.append(offset)
            offset += local_size(entry) + entry.size
        self.starts.append(offset)
        for entry, start in zip(entries, self.starts, strict=False):
            self.contents.append(offset)
            offset += central_size(entry, start)
        self.contents.append(offset)
        self.end = ending(len(entries), self.starts[-1], offset - self.starts[-1])
        self.size = offset + len(self.end)


def unknown_checksums(count: int) -> "array[int]":
    """Return the checksums of `count` files that nobody has read yet."""
    return array("Q", [_UNKNOWN]) * count


class ZipStream:
    """Reads the archive.

    Checksums that are not known are found when the header of their file is read, which costs a
    second reading of a file that does not fit into the view whole.

    Args:
        plan: of the archive.
        roots: where things are, as for `tree.walk`.
        checksums: the CRC-32 of each entry; what is found is written into it.
        pulse: may stop while a long file is read for its checksum.
    """

    def __init__(
        self,
        plan: Plan,
        roots: Mapping[bytes, bytes],
        checksums: "array[int]",
        pulse: Pulse | None = None,
    ) -> None:
        self._plan = plan
        self._roots = roots
        self._checksums = checksums
        self._pulse = pulse or Pulse()
        self._position = 0
        self._file = -1
        self._number = -1  # of the entry whose file is open
        self._header: tuple[int, bytes] = (-1, b"")

    def read_into(self, view: memoryview) -> int:
        """Read the next bytes into `view`; return how many: less than its length only at the end.

        Raises:
            SourceChanged: a file is not as it was when the plan was made.
            SourceError: a file cannot be read.
            Stopped: as asked.
        """
        filled = 0
        while filled < len(view) and self._position < self._plan.size:
            count = self._step(view[filled:])
            filled += count
            self._position += count
        return filled

    def seek(self, offset: int) -> None:
        """Go on at `offset`, from 0 to the size of the archive."""
        self._position = offset

    def check(self) -> None:
        """Find out whether the file that is being read changed; every reading ends with this.

        Raises:
            SourceChanged: it did.
        """
        if self._file < 0:
            return
        entry, found = self._plan.entries[self._number], os.fstat(self._file)
        same = (found.st_size, found.st_mtime_ns, found.st_ino)
        if same != (entry.size, entry.mtime, entry.inode) or not stat.S_ISREG(found.st_mode):
            raise _changed(entry)

    def close(self) -> None:
        """Close the file that is open, if one is."""
        if self._file >= 0:
            os.close(self._file)
        self._file = self._number = -1

    def _step(self, view: memoryview) -> int:
        plan, position = self._plan, self._position
        if position >= plan.contents[-1]:
            return _copy(plan.end, position - plan.contents[-1], view)
        if position >= plan.starts[-1]:
            number = bisect_right(plan.contents, position) - 1
            line = central_header(plan.entries[number], self._checksum(number), plan.starts[number])
            return _copy(line, position - plan.contents[number], view)
        number = bisect_right(plan.starts, position) - 1
        within, length = position - plan.starts[number], plan.starts[number + 1] - position
        if not within and length <= len(view):
            return self._whole(number, view[:length])
        if self._header[0] != number:
            self._header = number, local_header(plan.entries[number], self._checksum(number))
        header = self._header[1]
        if within < len(header):
            return _copy(header, within, view)
        return self._data(number, within - len(header), view)

    def _whole(self, number: int, view: memoryview) -> int:
        """Read an entry at once: first its data, because the header has the checksum in it."""
        entry = self._plan.entries[number]
        data = view[len(view) - entry.size :]
        filled = 0
        while filled < entry.size:
            filled += self._data(number, filled, data[filled:])
        if self._checksums[number] == _UNKNOWN:
            self._checksums[number] = zlib.crc32(data)
        view[: len(view) - entry.size] = local_header(entry, self._checksums[number])
        return len(view)

    def _data(self, number: int, offset: int, view: memoryview) -> int:
        entry = self._plan.entries[number]
        if self._number != number:
            self._open(number)
        try:
            count = os.preadv(self._file, [view[: entry.size - offset]], offset)
        except OSError as error:
            self.check()  # says it better, if a folder has taken its place
            raise cannot_read(self._place(entry), error) from error
        if count == 0:
            raise _changed(entry)
        self.check()
        if offset + count == entry.size:
            self.close()
        return count

    def _checksum(self, number: int) -> int:
        if self._checksums[number] == _UNKNOWN:
            size = self._plan.entries[number].size
            room = memoryview(bytearray(min(ROOM, size)))
            crc = offset = 0
            while offset < size:
                self._pulse.beat()
                count = self._data(number, offset, room)
                crc = zlib.crc32(room[:count], crc)
                offset += count
            self._checksums[number] = crc
        return self._checksums[number]

    def _open(self, number: int) -> None:
        self.close()
        entry = self._plan.entries[number]
        place = self._place(entry)
        try:
            self._file = os.open(place, _OPEN)
        except FileNotFoundError as error:
            raise _changed(entry) from error
        except OSError as error:
            raise cannot_read(place, error) from error
        self._number = number

    def _place(self, entry: Entry) -> bytes:
        return where(self._roots, entry)


def where(roots: Mapping[bytes, bytes], entry: Entry) -> bytes:
    """Return the path of an entry."""
    if b"" in roots:
        return roots[b""] + b"/" + entry.path
    first, slash, rest = entry.path.partition(b"/")
    return roots[first] + slash + rest


def _copy(source: bytes, offset: int, view: memoryview) -> int:
    part = source[offset : offset + len(view)]
    view[: len(part)] = part
    return len(part)


def _changed(entry: Entry) -> SourceChanged:
    return SourceChanged(f"{said(entry.path)} has changed meanwhile. Send it again.")
