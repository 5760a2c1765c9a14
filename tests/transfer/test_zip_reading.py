"""The table of contents of archives that are too large to be unpacked in a test."""

import io
import os
import tempfile
import zipfile
from collections.abc import Iterator

import pytest

from holdfast.transfer.errors import BadArchive
from holdfast.transfer.tree import Entry
from holdfast.transfer.zip_format import ending
from holdfast.transfer.zip_reading import Contents, find_contents, items
from holdfast.transfer.zipping import Plan, ZipStream, unknown_checksums

LARGE = 5 * 2**30


@pytest.fixture
def file() -> Iterator[int]:
    with tempfile.TemporaryFile() as made:
        yield made.fileno()


def headers(plan: Plan, file: int) -> None:
    """Write an archive with holes where the data of its files belongs."""
    checksums = unknown_checksums(len(plan.entries))
    for number in range(len(plan.entries)):
        checksums[number] = number
    stream = ZipStream(plan, {}, checksums)
    for entry, start, end in zip(plan.entries, plan.starts, plan.starts[1:], strict=False):
        stream.seek(start)
        room = bytearray(end - start - entry.size)
        stream.read_into(memoryview(room))
        os.pwrite(file, room, start)
    stream.seek(plan.starts[-1])
    room = bytearray(plan.size - plan.starts[-1])
    stream.read_into(memoryview(room))
    os.pwrite(file, room, plan.starts[-1])


def test_large_files(file: int) -> None:
    """Sizes and offsets that do not fit into 32 bits."""
    sizes = [1, LARGE, 2, 2**32 - 1, 3, 2**32 - 2]
    plan = Plan([Entry(b"%d" % number, size, 33188, 0, 0) for number, size in enumerate(sizes)])
    headers(plan, file)
    contents = find_contents(file)
    assert (contents.start, contents.count) == (plan.starts[-1], len(sizes))
    found = list(items(file, contents))
    assert [each.size for each in found] == [each.packed for each in found] == sizes
    assert [each.start for each in found] == list(plan.starts[:-1])
    assert [each.crc for each in found] == list(range(len(sizes)))
    ends = [each.data + each.packed for each in found]
    assert ends == list(plan.starts[1:])


@pytest.mark.parametrize("count", [65_534, 65_535, 1_000_000])
def test_many_entries(file: int, count: int) -> None:
    """A number of them that does not fit into 16 bits."""
    start, size = 100, 46 * count
    os.pwrite(file, ending(count, start, size), start + size)
    assert find_contents(file) == Contents(start, size, count)


@pytest.mark.parametrize("field", [b"\1\0", b"\1\0\x08\0", b"\1\0\x08\0" + b"\xff" * 8, b""])
def test_a_large_number_that_is_not_there(file: int, field: bytes) -> None:
    """The extra field is cut, or has a number that no file can have."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        info = zipfile.ZipInfo("a")
        info.extra = b"\xff\xff\0\0" + field
        archive.writestr(info, b"x")
    data = bytearray(made.getvalue())
    at = data.index(b"PK\x01\x02")
    data[at + 20 : at + 28] = b"\xff" * 8
    os.pwrite(file, data, 0)
    with pytest.raises(BadArchive, match="damaged"):
        list(items(file, find_contents(file)))


def test_a_table_that_ends_in_the_middle_of_an_entry(file: int) -> None:
    """Its size and count are those of another."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name in ("a", "long name"):
            archive.writestr(name, b"")
    data = made.getvalue()
    second = data.rindex(b"PK\x01\x02")
    end = data.index(b"PK\x05\x06")
    cut = bytearray(data[: second + 46] + data[end:])
    place = cut.index(b"PK\x05\x06")
    cut[place + 12 : place + 16] = (place - data.index(b"PK\x01\x02")).to_bytes(4, "little")
    os.pwrite(file, cut, 0)
    with pytest.raises(BadArchive, match="damaged"):
        list(items(file, find_contents(file)))
