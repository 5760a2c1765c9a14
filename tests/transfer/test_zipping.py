"""A folder as one stream: an archive that others can unpack, from any offset, of any size."""

import hashlib
import io
import os
import shutil
import subprocess
import time
import tracemalloc
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.transfer.sources import measure, open_source
from holdfast.transfer.tree import Entry
from holdfast.transfer.zip_format import END, END_64_SIGNATURE, ending
from holdfast.transfer.zipping import Plan, ZipStream, unknown_checksums
from tests.transfer.trees import content, everything, make

TREE: dict[str, bytes | None] = {
    "a.txt": b"first",
    "a/b/c/deep": b"deep",
    "a/b/empty": None,
    "empty file": b"",
    ".hidden/file": b"h",
    "Grüße/🧑‍🚀": "grüß".encode(),
    "large": os.urandom(700_000),
    "back\\slash": b"b",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("zipping") / "folder", TREE)


@pytest.fixture(scope="module")
def data(folder: Path) -> bytes:
    source = measure([folder])
    stream = open_source([folder], source)
    data = everything(stream, source.size)
    stream.close()
    assert hashlib.sha256(data).hexdigest() == source.sha256
    assert (len(data), source.files) == (source.size, 7)
    assert source.total == sum(len(each or b"") for each in TREE.values())
    return data


def test_python_unpacks_it(data: bytes, tmp_path: Path) -> None:
    """As the stock client does: the same tree comes out."""
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        assert file.testzip() is None
        file.extractall(tmp_path)
        assert file.namelist() == sorted(file.namelist(), key=str.encode)
    assert content(tmp_path) == dict(sorted(TREE.items(), key=lambda each: Path(each[0])))


@pytest.mark.skipif(shutil.which("unzip") is None, reason="unzip is not installed")
def test_unzip_finds_no_fault(data: bytes, tmp_path: Path) -> None:
    """An implementation that has nothing to do with ours."""
    (tmp_path / "it.zip").write_bytes(data)
    subprocess.run(["unzip", "-tqq", tmp_path / "it.zip"], check=True)


def test_it_is_read_from_anywhere(folder: Path, data: bytes) -> None:
    """What comes at an offset does not depend on what was read before."""
    source = measure([folder])
    stream = open_source([folder], source)

    @settings(max_examples=60)
    @given(st.integers(0, len(data)), st.integers(1, 300_000))
    def at(offset: int, length: int) -> None:
        stream.seek(offset)
        part = bytearray(length)
        count = stream.read_into(memoryview(part))
        assert part[:count] == data[offset : offset + length]
        assert count == min(length, len(data) - offset)

    at()
    assert everything(stream, len(data), room=97) == data
    stream.close()


def test_reading_late_reads_nothing_early(tmp_path: Path) -> None:
    """After a restart the files that are through are not needed."""
    folder = make(tmp_path / "folder", {"a": b"a" * 100_000, "b": b"b" * 100_000})
    source = measure([folder])
    stream = open_source([folder], source)
    data = everything(stream, source.size)
    stream.seek(150_000)
    (folder / "a").unlink()
    rest = bytearray(source.size)
    assert stream.read_into(memoryview(rest)) == source.size - 150_000
    assert rest.startswith(data[150_000:])
    stream.close()


@pytest.fixture
def tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("tokyo")
def test_times_and_modes_travel(tmp_path: Path) -> None:
    """But not the bits that let a program run as its owner, and in no time zone."""
    folder = make(tmp_path / "folder", {"new": b"", "old": b"", "odd": b"", "empty": None})
    (folder / "new").chmod(0o4755)
    (folder / "old").chmod(0o400)
    (folder / "empty").chmod(0o750)
    os.utime(folder / "new", (0, 1_700_000_000))
    os.utime(folder / "old", (0, -5))
    os.utime(folder / "odd", (0, 2**33))
    source = measure([folder])
    stream = open_source([folder], source)
    with zipfile.ZipFile(io.BytesIO(everything(stream, source.size))) as file:
        found = {each.filename: each for each in file.infolist()}
    assert found["new"].external_attr >> 16 == 0o100755
    assert found["old"].external_attr >> 16 == 0o100400
    assert found["empty/"].external_attr >> 16 == 0o40750
    assert found["empty/"].is_dir()
    assert found["new"].date_time == (2023, 11, 14, 22, 13, 20)
    assert found["old"].date_time == (1980, 1, 1, 0, 0, 0)
    assert found["odd"].date_time == (2038, 1, 19, 3, 14, 6)
    stream.close()


def test_more_than_4_gib(tmp_path: Path) -> None:
    """Sizes and offsets that need zip64, with files of holes: only headers are looked at."""
    size = 5 * 2**30
    folder = make(tmp_path / "folder", {"a": b"", "b": b"x", "c": b""})
    os.truncate(folder / "a", size)
    entries = [
        Entry(path.encode(), found.st_size, found.st_mode, found.st_mtime_ns, found.st_ino)
        for path, found in ((each, (folder / each).stat()) for each in "abc")
    ]
    plan = Plan(entries)
    checksums = unknown_checksums(3)
    checksums[0] = 7  # nobody wants to read the holes
    stream = ZipStream(plan, {b"": os.fsencode(folder)}, checksums)
    with zipfile.ZipFile(File(stream, plan.size)) as file:
        found = {each.filename: each for each in file.infolist()}
        assert file.read("b") == b"x"
    assert found["a"].file_size == found["a"].compress_size == size
    assert found["a"].CRC == 7
    assert found["b"].header_offset == plan.starts[1] > size
    stream.close()


class File(io.RawIOBase):
    """What `zipfile` needs to read a stream without holding it."""

    def __init__(self, stream: ZipStream, size: int) -> None:
        self._stream, self._size, self._at = stream, size, 0

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset + (0, self._at, self._size)[whence]
        return self._at

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        self._stream.seek(self._at)
        count = self._stream.read_into(memoryview(buffer)[: max(0, self._size - self._at)])
        self._at += count
        return count


def test_many_entries(data: bytes) -> None:
    """A number of entries that does not fit into 16 bits needs zip64."""
    assert len(ending(65_534, 0, 0)) == END.size
    assert ending(65_535, 0, 0).startswith(END_64_SIGNATURE)
    start, end = data.index(b"PK\x01\x02"), data.rindex(b"PK\x05\x06")
    large = data[:end] + ending(65_535, start, end - start)
    with zipfile.ZipFile(io.BytesIO(large)) as file:  # which does not look at the number
        assert file.testzip() is None


def test_many_bytes() -> None:
    """A total above 4 GiB of small files needs zip64 for the table alone, and for late offsets."""
    size = 2**30
    plan = Plan([Entry(b"%d" % number, size, 0o100644, 0, 0) for number in range(5)])
    checksums = unknown_checksums(5)
    for number in range(5):
        checksums[number] = number
    stream = ZipStream(plan, {}, checksums)
    with zipfile.ZipFile(File(stream, plan.size)) as file:
        assert [each.header_offset for each in file.infolist()] == list(plan.starts[:-1])
        assert [each.CRC for each in file.infolist()] == list(range(5))


def test_a_plan_of_many_files_is_small() -> None:
    """A hundred thousand files are kept in about thirty megabytes."""
    tracemalloc.start()
    try:
        plan = Plan(
            [
                Entry(b"folder-%d/some-file-%d.txt" % (n % 100, n), 10**6 + n, 33188, 10**18 + n, n)
                for n in range(10_000)
            ]
        )
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(plan.entries) == 10_000
    assert used < 3_200_000
