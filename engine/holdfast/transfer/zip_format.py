"""The records of a zip archive that we write.

Everything is stored as it is (method 0), with sizes and checksums in front of the data, and with
zip64 where a number needs it. The layout is that of PKWARE's APPNOTE.TXT, 4.3 to 4.5; the time in
seconds since 1970 is Info-ZIP's extra field "UT", because the field of DOS does not say in which
time zone it is.
"""

import stat
import struct
import time
from functools import lru_cache
from typing import Final

from holdfast.transfer.tree import Entry

LOCAL: Final = struct.Struct("<4s5H3L2H")
CENTRAL: Final = struct.Struct("<4s6H3L5H2L")
END: Final = struct.Struct("<4s4H2LH")
END_64: Final = struct.Struct("<4sQ2H2L4Q")
LOCATOR_64: Final = struct.Struct("<4sLQL")

LOCAL_SIGNATURE: Final = b"PK\x03\x04"
CENTRAL_SIGNATURE: Final = b"PK\x01\x02"
END_SIGNATURE: Final = b"PK\x05\x06"
END_64_SIGNATURE: Final = b"PK\x06\x06"
LOCATOR_64_SIGNATURE: Final = b"PK\x06\x07"

MOST_32: Final = 0xFFFF_FFFF
"""In place of a number that is in the zip64 extra field; and so no number itself."""

MOST_16: Final = 0xFFFF
ZIP64_FIELD: Final = 1
TIME_FIELD: Final = 0x5455
UTF8: Final = 1 << 11
"""The flag that says that the name is UTF-8."""

UNIX: Final = 3
_VERSION = 20
_VERSION_64 = 45
_LATEST = 2**31 - 1
_TIME = struct.Struct("<HHBl")
_FOLDER_OF_DOS = 0x10


def local_size(entry: Entry) -> int:
    """Bytes of `local_header`."""
    extra = 20 if entry.size >= MOST_32 else 0
    return LOCAL.size + len(entry.name) + _TIME.size + extra


def local_header(entry: Entry, crc: int) -> bytes:
    """Return what stands in front of the data of `entry`."""
    extra, size, version = _time(entry), entry.size, _VERSION
    if size >= MOST_32:
        extra += struct.pack("<HHQQ", ZIP64_FIELD, 16, size, size)
        size, version = MOST_32, _VERSION_64
    name = entry.name
    day, clock = _dos(_second(entry))
    numbers = (version, UTF8, 0, clock, day, crc, size, size, len(name), len(extra))
    return LOCAL.pack(LOCAL_SIGNATURE, *numbers) + name + extra


def central_size(entry: Entry, offset: int) -> int:
    """Bytes of `central_header`."""
    numbers = (2 if entry.size >= MOST_32 else 0) + (offset >= MOST_32)
    return CENTRAL.size + len(entry.name) + _TIME.size + (4 + 8 * numbers if numbers else 0)


def central_header(entry: Entry, crc: int, offset: int) -> bytes:
    """Return what stands in the table of contents for `entry`, whose header is at `offset`."""
    size, version, large = entry.size, _VERSION, []
    if size >= MOST_32:
        large += [size, size]
        size = MOST_32
    if offset >= MOST_32:
        large += [offset]
        offset = MOST_32
    extra = _time(entry)
    if large:
        version = _VERSION_64
        extra += struct.pack(f"<HH{len(large)}Q", ZIP64_FIELD, 8 * len(large), *large)
    name = entry.name
    day, clock = _dos(_second(entry))
    made_by = UNIX << 8 | version
    numbers = (made_by, version, UTF8, 0, clock, day, crc, size, size, len(name), len(extra))
    return (
        CENTRAL.pack(CENTRAL_SIGNATURE, *numbers, 0, 0, 0, _attributes(entry), offset)
        + name
        + extra
    )


def ending(count: int, start: int, size: int) -> bytes:
    """Return the end of an archive of `count` entries.

    Args:
        count: of the entries.
        start: offset of the table of contents.
        size: bytes of the table of contents.
    """
    end_64 = b""
    if count >= MOST_16 or start >= MOST_32 or size >= MOST_32:
        length = END_64.size - 12
        end_64 = END_64.pack(
            *(END_64_SIGNATURE, length, UNIX << 8 | _VERSION_64, _VERSION_64, 0, 0),
            *(count, count, size, start),
        ) + LOCATOR_64.pack(LOCATOR_64_SIGNATURE, 0, start + size, 1)
        count, start, size = min(count, MOST_16), min(start, MOST_32), min(size, MOST_32)
    return end_64 + END.pack(END_SIGNATURE, 0, 0, count, count, size, start, 0)


def _time(entry: Entry) -> bytes:
    return _TIME.pack(TIME_FIELD, 5, 1, _second(entry))


def _second(entry: Entry) -> int:
    return min(max(entry.mtime // 10**9, 0), _LATEST)


@lru_cache(maxsize=256)  # files of one folder often have one time
def _dos(second: int) -> tuple[int, int]:
    # In UTC, because an archive is not to change with the time zone of who makes it.
    when = time.gmtime(second)
    if when.tm_year < 1980:
        return 1 << 5 | 1, 0
    return (
        when.tm_year - 1980 << 9 | when.tm_mon << 5 | when.tm_mday,
        when.tm_hour << 11 | when.tm_min << 5 | when.tm_sec // 2,
    )


def _attributes(entry: Entry) -> int:
    # Not the bits that let a program run as its owner: stock Python would set them.
    mode = stat.S_IFMT(entry.mode) | entry.mode & 0o777
    return mode << 16 | (_FOLDER_OF_DOS if entry.is_folder else 0)
