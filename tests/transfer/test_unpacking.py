"""Archives that somebody else made, and some that nobody should make."""

import io
import os
import stat
import struct
import tempfile
import threading
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.transfer.errors import BadArchive, Stopped
from holdfast.transfer.pulse import Pulse
from holdfast.transfer.sources import measure, open_source
from holdfast.transfer.unpacking import Bounds, unpack
from tests.transfer.trees import archive, content, entry, everything, make

PLENTY = Bounds(files=100, total=10**7)


def unpacked(
    data: bytes, folder: Path, bounds: Bounds = PLENTY, pulse: Pulse | None = None
) -> Path:
    """Unpack an archive into a new folder, and return it."""
    folder.mkdir()
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with tempfile.TemporaryFile() as file:
            file.write(data)
            file.flush()
            unpack(file.fileno(), descriptor, bounds, pulse or Pulse())
    finally:
        os.close(descriptor)
    return folder


def refused(data: bytes, folder: Path, words: str, bounds: Bounds = PLENTY) -> None:
    """Expect that an archive is refused before anything of it is written."""
    with pytest.raises(BadArchive, match=words):
        unpacked(data, folder, bounds)
    assert list(folder.iterdir()) == []


def test_ours(tmp_path: Path) -> None:
    """What we pack comes out, with modes and times."""
    tree = {"a": b"a" * 500_000, "b/c": b"c", "b/ü": b"", "e": None, ".h": b"h", "x\\y": b"y"}
    folder = make(tmp_path / "folder", tree)
    (folder / "b" / "c").chmod(0o750)
    (folder / "e").chmod(0o700)
    os.utime(folder / "b" / "c", (0, 1_700_000_001))
    source = measure([folder])
    stream = open_source([folder], source)
    data = everything(stream, source.size)
    stream.close()
    out = unpacked(data, tmp_path / "out", Bounds(source.files, source.total))
    assert content(out) == tree
    found = (out / "b" / "c").stat()
    assert (stat.S_IMODE(found.st_mode), found.st_mtime) == (0o750, 1_700_000_001)
    assert stat.S_IMODE((out / "e").stat().st_mode) == 0o700


class Pipe(io.RawIOBase):
    """A stream that `zipfile` cannot seek in, so that it writes data descriptors."""

    def __init__(self) -> None:
        self.data = b""

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self.data += bytes(data)
        return len(data)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("zip64", [False, True])
def test_streamed(tmp_path: Path, method: int, zip64: bool) -> None:
    """Stock Python stores with data descriptors behind the data, and with zip64 if need be."""
    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", method) as file:
        for name in ("a", "b/c"):
            with file.open(name, "w", force_zip64=zip64) as part:
                part.write(name.encode() * 200_000)
    out = unpacked(pipe.data, tmp_path / "out")
    assert content(out) == {"a": b"a" * 200_000, "b/c": b"b/c" * 200_000}


def test_deflated_without_a_date(tmp_path: Path) -> None:
    """wormhole-william writes month and day 0, flags the data descriptor, and gives no mode."""
    data = archive((entry("a", 0o100600, create_system=0), b"a" * 10_000), method=8)
    for signature, at in ((b"PK\x03\x04", 10), (b"PK\x01\x02", 12)):
        place = data.index(signature) + at
        data = data[:place] + bytes(4) + data[place + 4 :]
    out = unpacked(data, tmp_path / "out")
    assert content(out) == {"a": b"a" * 10_000}
    assert stat.S_IMODE((out / "a").stat().st_mode) == 0o644


def test_folders(tmp_path: Path) -> None:
    """Those of other programs: an entry for each, or one that only its mode tells from a file."""
    data = archive(
        (entry("a/", 0o40700), b""),
        (entry("a/b", 0o100644), b"b"),
        (entry("c", 0o40000), b""),
        (entry("d/e/", 0), b""),
    )
    out = unpacked(data, tmp_path / "out")
    assert content(out) == {"a/b": b"b", "c": None, "d/e": None}
    assert stat.S_IMODE((out / "a").stat().st_mode) == 0o700


def test_nothing(tmp_path: Path) -> None:
    """An archive without entries is an empty folder."""
    assert content(unpacked(archive(), tmp_path / "out")) == {}


@pytest.mark.parametrize(
    ("given", "made"), [(0o104755, 0o755), (0o100000, 0o644), (0o100002, 0o400), (0o100400, 0o400)]
)
def test_modes(tmp_path: Path, given: int, made: int) -> None:
    """No set-uid bit, nothing that the umask forbids, and the owner may read it."""
    out = unpacked(archive((entry("a", given), b"x")), tmp_path / "out")
    assert stat.S_IMODE((out / "a").stat().st_mode) == made


def test_names_are_repaired(tmp_path: Path) -> None:
    """Control characters do not reach the disk; old names are of code page 437."""
    old = archive(("caf?", b"1")).replace(b"caf?", b"caf\x82")
    assert content(unpacked(old, tmp_path / "old")) == {"café": b"1"}
    data = archive(("Icon\r", b"2"), ("a\u202eb/c", b"3"))
    assert content(unpacked(data, tmp_path / "out")) == {"Icon_": b"2", "a_b/c": b"3"}


@pytest.mark.parametrize(
    "name",
    [
        *("../x", "a/../x", "a/..", "/x", "//x", "./x", "a/./x", "a//x", "..", ".", "/", "a/../"),
        *(
            "..\\x",
            "a\\..\\x",
            "n" * 256,
            "ü" * 128,
            "d/" * 200 + "x",
            ("d" * 200 + "/") * 10 + "x",
        ),
    ],
)
def test_names_that_are_refused(tmp_path: Path, name: str) -> None:
    """Nothing leads out of the folder, and nothing is written of an archive that tries."""
    refused(archive(("good", b""), (name, b"")), tmp_path / "out", "we make no such file")


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ([("a", b"1"), ("a", b"2")], "two files of the same name"),
        ([("a", b"1"), ("a/", b"")], "two files of the same name"),
        ([("a\n", b"1"), ("a\r", b"2")], "two files of the same name"),
        ([("a", b"1"), ("a/b", b"2")], "both a file and a folder"),
        ([("a/b/c", b"1"), ("a", b"2")], "both a file and a folder"),
        ([(entry("l", 0o120777), b"/etc/passwd")], "a link or a device"),
        ([(entry("l", 0o20666), b"")], "a link or a device"),
        ([(entry("d/", 0o40755), b"x")], "damaged"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_entries_that_are_refused(
    tmp_path: Path, entries: list[tuple[zipfile.ZipInfo | str, bytes]], words: str
) -> None:
    """Stock receivers make plain files of links; a wrong file is worse than none."""
    refused(archive(("first", b""), *entries), tmp_path / "out", words)


def test_names_that_differ_in_case(tmp_path: Path) -> None:
    """They are two, where the disk can tell them apart."""
    assert len(content(unpacked(archive(("a", b""), ("A", b"")), tmp_path / "out"))) == 2


def test_more_than_was_offered(tmp_path: Path) -> None:
    """More files, or more bytes than a file may have grown meanwhile."""
    two = archive(("a", b"x" * 10), ("b", b""))
    refused(two, tmp_path / "1", "more files in it than were offered", Bounds(1, 10))
    folders = archive(*[(f"{number}/", b"") for number in range(10_001)])
    refused(folders, tmp_path / "2", "more files in it than were offered", Bounds(0, 0))
    assert unpacked(archive(("a", b"x" * 2**20)), tmp_path / "3", Bounds(1, 0))
    large = archive(("a", b"x" * (2**20 + 1)))
    refused(large, tmp_path / "4", "larger than was offered", Bounds(1, 0))


def test_more_folders_than_anybody_needs(tmp_path: Path) -> None:
    """A path names many, and each takes room on the disk."""
    deep = "/".join(f"{number}" for number in range(190))
    data = archive(*[(f"{number}/{deep}/", b"") for number in range(53)])
    refused(data, tmp_path / "out", "too many folders", Bounds(0, 0))
    few = archive(*[(f"{number}/{deep}/", b"") for number in range(2)])
    assert unpacked(few, tmp_path / "few", Bounds(0, 0)).joinpath("1", deep).is_dir()


def test_a_bomb_within_the_offer(tmp_path: Path) -> None:
    """What deflate cannot do is a lie; what it does beyond the entry's own size is not written."""
    data = archive(("a", bytes(3_000_000)), method=8)
    for signature, at in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        place = data.index(signature) + at
        for size, name, words in ((2**30, "more", "larger"), (5_000_000, "ratio", "damaged")):
            broken = data[:place] + struct.pack("<L", size) + data[place + 4 :]
            if at == 24:
                refused(broken, tmp_path / name, words + "|damaged", Bounds(1, 5_000_000))
        data = data[:place] + struct.pack("<L", 100) + data[place + 4 :]
    with pytest.raises(BadArchive, match="a in the folder arrived damaged"):
        unpacked(data, tmp_path / "out", Bounds(1, 100))
    assert (tmp_path / "out" / "a").stat().st_size == 0


def central(
    field: int, form: str, value: int, signature: bytes = b"PK\x01\x02"
) -> Callable[[bytes], bytes]:
    """Put a number into the first record with that signature."""

    def broken(data: bytes) -> bytes:
        place = data.index(signature) + field
        return data[:place] + struct.pack(form, value) + data[place + struct.calcsize(form) :]

    return broken


LOCAL, END = b"PK\x03\x04", b"PK\x05\x06"
DAMAGE: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "encrypted": (central(8, "<H", 1), "encrypted"),
    "strongly encrypted": (central(8, "<H", 1 << 6), "encrypted"),
    "encrypted, as the header says": (central(6, "<H", 1, LOCAL), "damaged"),
    "method": (central(10, "<H", 14), "method 14"),
    "another method in the header": (central(8, "<H", 8, LOCAL), "damaged"),
    "another name in the header": (lambda data: data.replace(b"first", b"other", 1), "damaged"),
    "another length of the name": (central(26, "<H", 4, LOCAL), "damaged"),
    "stored, but shorter": (central(20, "<L", 3), "damaged"),
    "size": (central(24, "<L", 6), "damaged"),
    "zip64 without its field": (central(20, "<L", 0xFFFFFFFF), "damaged"),
    "offset of nothing": (central(42, "<L", 1), "damaged"),
    "offset far away": (central(42, "<L", 10**9), "incomplete"),
    "another disk": (central(34, "<H", 3), "damaged"),
    "long name": (central(28, "<H", 60_000), "damaged"),
    "no signature": (central(0, "<L", 0), "damaged"),
    "fewer entries": (central(8, "<L", 0x00010001, END), "damaged"),
    "more entries": (central(8, "<L", 0x00030003, END), "damaged"),
    "very many entries": (central(8, "<L", 0xFFFEFFFE, END), "damaged"),
    "zip64 without its end": (central(8, "<L", 0xFFFFFFFF, END), "damaged"),
    "contents elsewhere": (central(16, "<L", 0, END), "damaged"),
    "larger contents": (central(12, "<L", 10**6, END), "damaged"),
    "something in front": (lambda data: b"#!/bin/sh\n" + data, "damaged"),
    "something behind": (lambda data: data + b"x", "not a zip archive"),
    "cut": (lambda data: data[:-1], "not a zip archive"),
    "empty": (lambda _: b"", "not a zip archive"),
    "another thing": (lambda _: b"<html>" * 100, "not a zip archive"),
    "not UTF-8": (
        lambda data: central(8, "<H", 1 << 11)(data).replace(b"first", b"fir\xffs"),
        "damaged",
    ),
    "overlapping": (
        lambda data: (
            central(42, "<L", 0)(data[: data.rindex(b"PK\x01\x02")])
            + central(42, "<L", 0)(data[data.rindex(b"PK\x01\x02") :]).replace(b"other", b"first")
        ),
        "overlap|damaged",
    ),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_damage(tmp_path: Path, what: str) -> None:
    """Nothing is written of an archive whose parts contradict each other."""
    damage, words = DAMAGE[what]
    refused(damage(archive(("first", b"hello"), ("third", b"world"))), tmp_path / "out", words)


def test_overlapping_data(tmp_path: Path) -> None:
    """One entry inside another's data: how small archives become large ones."""
    inner = archive(("b", b"x" * 100))
    header = inner[: inner.index(b"PK\x01\x02")]
    outer = archive(("a", header))
    at = outer.index(b"PK\x01\x02")
    line = inner[inner.index(b"PK\x01\x02") : inner.index(b"PK\x05\x06")]
    line = line[:42] + struct.pack("<L", outer.index(header)) + line[46:]
    contents = outer[at : outer.index(b"PK\x05\x06")] + line
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 2, 2, len(contents), at, 0)
    refused(outer[:at] + contents + end, tmp_path / "out", "overlap")


@pytest.mark.parametrize("method", [0, 8])
def test_a_wrong_checksum(tmp_path: Path, method: int) -> None:
    """The file is named."""
    data = central(16, "<L", 7)(archive(("a", b"x" * 1000), method=method))
    with pytest.raises(BadArchive, match="a in the folder arrived damaged"):
        unpacked(data, tmp_path / "out")


@pytest.mark.parametrize("keep", [5, 50, 90])
def test_a_broken_stream(tmp_path: Path, keep: int) -> None:
    """Deflated data that ends early, or goes on behind its end."""
    whole = zlib.compressobj(wbits=-15)
    data = whole.compress(os.urandom(100)) + whole.flush()
    made = archive(("a", data[:keep]))
    for field, form, value in ((10, "<H", 8), (24, "<L", 100)):
        made = central(field, form, value)(made)
    made = central(8, "<H", 8, LOCAL)(made)
    with pytest.raises(BadArchive, match="damaged"):
        unpacked(made, tmp_path / "out")


def test_deflated_data_with_something_behind(tmp_path: Path) -> None:
    """What nobody reads could hide something."""
    whole = zlib.compressobj(wbits=-15)
    data = whole.compress(b"x" * 100) + whole.flush() + b"more"
    made = archive(("a", data))
    for field, form, value in ((10, "<H", 8), (24, "<L", 100), (16, "<L", zlib.crc32(b"x" * 100))):
        made = central(field, form, value)(made)
    made = central(8, "<H", 8, LOCAL)(made)
    with pytest.raises(BadArchive, match="damaged"):
        unpacked(made, tmp_path / "out")


def test_a_comment_that_looks_like_an_end(tmp_path: Path) -> None:
    """Only what ends where the file ends is the end."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as file:
        file.writestr("a", b"x")
        file.comment = b"PK\x05\x06" + bytes(18) + b"or not"
    assert content(unpacked(made.getvalue(), tmp_path / "out")) == {"a": b"x"}


def test_it_stops_and_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unpacking may take long."""
    monkeypatch.setattr("holdfast.transfer.pulse.EVERY", 0.0)
    data = archive(("a", b"x" * 300_000), ("b", b"y"))
    told: list[int] = []
    unpacked(data, tmp_path / "out", pulse=Pulse(told.append))
    assert told == [262_144, 300_000, 300_001]
    stop = threading.Event()
    stop.set()
    with pytest.raises(Stopped):
        unpacked(data, tmp_path / "stopped", pulse=Pulse(stop=stop))


paths = st.lists(st.sampled_from(["a", "b", "ü", "c d", ".e"]), min_size=1, max_size=3).map(
    "/".join
)


@settings(max_examples=40)
@given(st.dictionaries(paths, st.binary(max_size=300), max_size=6), st.sampled_from([0, 8]))
def test_whatever_python_packs(files: dict[str, bytes], method: int) -> None:
    """It comes out, or it is refused because a name is a file and a folder."""
    data = archive(*files.items(), method=method)
    clash = any(two.startswith(f"{one}/") for one in files for two in files)
    with tempfile.TemporaryDirectory() as place:
        if clash:
            refused(data, Path(place, "out"), "both a file and a folder")
        else:
            assert content(unpacked(data, Path(place, "out"))) == dict(sorted(files.items()))
