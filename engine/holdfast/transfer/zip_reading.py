"""The table of contents of a zip archive that somebody else made, read as what it is: hostile.

Nothing is believed that can be checked: the table is exactly where the end says, each entry has its
own place in front of it, and says there what it says in the table (APPNOTE.TXT, 4.3 to 4.5).
"""

import os
import stat
import struct
from collections.abc import Iterator
from typing import Final

from attrs import frozen

from holdfast.transfer.errors import BadArchive
from holdfast.transfer.zip_format import (
    CENTRAL,
    CENTRAL_SIGNATURE,
    END,
    END_64,
    END_64_SIGNATURE,
    END_SIGNATURE,
    LOCAL,
    LOCAL_SIGNATURE,
    LOCATOR_64,
    LOCATOR_64_SIGNATURE,
    MOST_16,
    MOST_32,
    TIME_FIELD,
    UNIX,
    UTF8,
    ZIP64_FIELD,
)

STORED: Final = 0
DEFLATED: Final = 8

MOST_CONTENTS: Final = 256 * 1024 * 1024
"""Bytes of the longest table of contents: a million entries with long names."""

MOST_RATIO: Final = 1032
"""Deflate makes at most so many bytes of one; who promises more lies."""

_ENCRYPTED = 1 << 0 | 1 << 6 | 1 << 13
_PATCH = 1 << 5
_FOLDER_OF_DOS = 0x10
_ROOM = 64 * 1024


@frozen
class Item:
    """An entry of an archive.

    Args:
        path: the name, without the slash that ends a folder's.
        is_folder: whether it is one, and not a file.
        method: `STORED` or `DEFLATED`.
        packed: bytes in the archive.
        size: bytes of the file.
        crc: CRC-32 of the file.
        start: offset of its header in the archive.
        data: offset of its data.
        mode: permissions, None if the archive says nothing.
        mtime: seconds since 1970, None if the archive does not say so.
    """

    path: str
    is_folder: bool
    method: int
    packed: int
    size: int
    crc: int
    start: int
    data: int
    mode: int | None
    mtime: int | None


@frozen
class Contents:
    """Where the table of contents is.

    Args:
        start: its offset.
        size: its bytes.
        count: of the entries.
    """

    start: int
    size: int
    count: int


def read_at(file: int, length: int, offset: int) -> bytes:
    """Return exactly `length` bytes at `offset` of an archive.

    Raises:
        BadArchive: it is shorter.
        OSError: it cannot be read.
    """
    data = os.pread(file, length, offset) if offset >= 0 else b""
    if len(data) != length:
        raise BadArchive("The folder arrived as an archive that is incomplete.")
    return data


def find_contents(file: int) -> Contents:
    """Return where the table of contents of an archive is.

    Raises:
        BadArchive: it is not an archive, or damaged.
        OSError: it cannot be read.
    """
    size = os.fstat(file).st_size
    tail_at = max(0, size - END.size - MOST_16)
    tail = read_at(file, size - tail_at, tail_at)
    at = tail.rfind(END_SIGNATURE)
    while at >= 0:
        if len(tail) - at >= END.size:
            found = END.unpack_from(tail, at)
            if at + END.size + found[7] == len(tail):
                return _contents(file, tail_at + at, found)
        at = tail.rfind(END_SIGNATURE, 0, at + 3)
    raise BadArchive("The folder arrived as something that is not a zip archive.")


def _contents(file: int, at: int, found: tuple[int, ...]) -> Contents:
    _, disk, its_disk, here, count, size, start, _ = found
    end = at
    if MOST_16 in (here, count) or MOST_32 in (size, start):
        locator = LOCATOR_64.unpack(read_at(file, LOCATOR_64.size, at - LOCATOR_64.size))
        end = locator[2]
        if locator[0] == LOCATOR_64_SIGNATURE and end <= at:
            large = END_64.unpack(read_at(file, END_64.size, end))
            if large[0] == END_64_SIGNATURE:
                disk, its_disk, here, count, size, start = large[4:]
    if disk or its_disk or here != count or start + size != end:
        raise _damaged()
    if not count * CENTRAL.size <= size <= MOST_CONTENTS:
        raise _damaged()
    return Contents(start, size, count)


def items(file: int, contents: Contents) -> Iterator[Item]:
    """Yield all entries of a table of contents, in its order.

    Raises:
        BadArchive: it is damaged, or has an entry that we do not unpack.
        OSError: it cannot be read.
    """
    offset, end = contents.start, contents.start + contents.size
    data, at = b"", 0
    for _ in range(contents.count):
        if len(data) - at < CENTRAL.size + 3 * MOST_16 and offset < end:
            data, at = data[at:], 0
            more = read_at(file, min(end - offset, 4 * _ROOM), offset)
            data += more
            offset += len(more)
        if len(data) - at < CENTRAL.size:
            raise _damaged()
        fields = CENTRAL.unpack_from(data, at)
        length = CENTRAL.size + fields[10] + fields[11] + fields[12]
        if fields[0] != CENTRAL_SIGNATURE or len(data) - at < length:
            raise _damaged()
        name_at = at + CENTRAL.size
        extra_at = name_at + fields[10]
        extra = data[extra_at : extra_at + fields[11]]
        yield _item(file, fields, data[name_at:extra_at], extra)
        at += length
    if offset < end or at != len(data):
        raise _damaged()


def _item(file: int, fields: tuple[int, ...], raw: bytes, extra: bytes) -> Item:
    _, made_by, _, flags, method, _, _, crc, packed, size = fields[:10]
    disk, attributes, start = fields[13], fields[15], fields[16]
    if flags & (_ENCRYPTED | _PATCH):
        raise BadArchive("The folder arrived as an archive that is encrypted.")
    if method not in (STORED, DEFLATED):
        raise BadArchive(
            f"The folder arrived as an archive packed by method {method}, which we do not know."
        )
    large, mtime = _extra(extra)
    size, large = _large(size, large)
    packed, large = _large(packed, large)
    start, large = _large(start, large)
    mode = attributes >> 16 if made_by >> 8 == UNIX else 0
    is_folder = _is_folder(raw, mode, size)
    if disk not in (0, MOST_16) or (is_folder and size):
        raise _damaged()
    if (packed != size) if method == STORED else (size > packed * MOST_RATIO):
        raise _damaged()
    path, data = _path(raw, flags), _data(file, start, raw, method)
    permissions = mode & 0o777 or None
    return Item(path, is_folder, method, packed, size, crc, start, data, permissions, mtime)


def _extra(extra: bytes) -> tuple[tuple[int, ...], int | None]:
    """Return the numbers of the zip64 field, and the time of the field UT."""
    at, large, mtime = 0, (), None
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        field = extra[at + 4 : at + 4 + length]
        if kind == ZIP64_FIELD:
            large = struct.unpack_from(f"<{min(len(field) // 8, 3)}Q", field)
        elif kind == TIME_FIELD and len(field) >= 5 and field[0] & 1:
            mtime = max(0, struct.unpack_from("<l", field, 1)[0])
        at += 4 + length
    return large, mtime


def _large(value: int, large: tuple[int, ...]) -> tuple[int, tuple[int, ...]]:
    if value != MOST_32:
        return value, large
    if not large or large[0] >= 1 << 63:
        raise _damaged()
    return large[0], large[1:]


def _path(raw: bytes, flags: int) -> str:
    name = raw.removesuffix(b"/")
    try:
        return name.decode()
    except UnicodeDecodeError as error:
        if flags & UTF8:
            raise _damaged() from error
        return name.decode("cp437")  # what archives used before they could say that it is UTF-8


def _is_folder(raw: bytes, mode: int, size: int) -> bool:
    kind = stat.S_IFMT(mode)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise BadArchive(
            "The folder arrived as an archive with a link or a device in it, which we do not make."
        )
    # Other programs write an empty folder's entry without the slash.
    return raw.endswith(b"/") or (kind == stat.S_IFDIR and size == 0)


def _data(file: int, start: int, raw: bytes, method: int) -> int:
    """Return the offset of an entry's data, if its header says what the table says."""
    header = read_at(file, LOCAL.size + len(raw), start)
    fields = LOCAL.unpack_from(header)
    same = (fields[0], fields[3], fields[9]) == (LOCAL_SIGNATURE, method, len(raw))
    if not same or header[LOCAL.size :] != raw or fields[2] & _ENCRYPTED:
        raise _damaged()
    return start + len(header) + int(fields[10])


def _damaged() -> BadArchive:
    return BadArchive("The folder arrived as an archive that is damaged.")
