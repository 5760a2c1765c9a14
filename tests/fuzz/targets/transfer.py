"""What the other side of a transfer sends: names, and folders as archives."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator

from holdfast.transfer.errors import BadArchive
from holdfast.transfer.names import BadName, safe_name, shown
from holdfast.transfer.pulse import Pulse
from holdfast.transfer.sources import measure, open_source
from holdfast.transfer.unpacking import SLACK_BYTES, SLACK_FOLDERS, Bounds, unpack
from tests.fuzz.scratch import folder, written
from tests.fuzz.target import expect, target
from tests.transfer.trees import archive, entry, everything, make

OFFERED = Bounds(files=8, total=4000)


def _archives() -> Iterator[bytes]:
    ours = make(folder() / "ours", {"a": b"a" * 100, "b/ü": b"", "b/empty": None, ".c/d": b"d"})
    source = measure([ours])
    stream = open_source([ours], source)
    yield everything(stream, source.size)
    stream.close()
    yield archive(("a", b"x" * 3000), ("b/c", b"c"), method=8)
    yield archive((entry("a/", 0o40755), b""), (entry("a/b", 0o100600), b"b"), ("c", b""))
    yield archive(("a", b"x"), (entry("b", 0o100644, extra=b"\1\0\x08\0" + bytes(8)), b"y"))


@target(BadArchive, seeds=_archives, quotes=True, examples=150)
def archived_folder(data: bytes) -> None:
    """An archive, unpacked: plain files and folders, no more than was offered, nothing outside."""
    out = folder() / "unpacked" / "here"
    shutil.rmtree(out.parent, ignore_errors=True)
    out.mkdir(parents=True)
    directory, file = os.open(out, os.O_RDONLY), os.open(written("it.zip", data), os.O_RDONLY)
    try:
        unpack(file, directory, OFFERED, Pulse())
    finally:
        os.close(directory)
        os.close(file)
        found = [each.lstat() for each in out.rglob("*")]
        files = [each for each in found if stat.S_ISREG(each.st_mode)]
        expect(list(out.parent.iterdir()) == [out], "something is outside")
        expect(all(stat.S_ISDIR(each.st_mode) or each in files for each in found), "a link")
        expect(all(not each.st_mode & 0o7000 for each in found), "a bit that is not to be set")
        expect(len(files) <= OFFERED.files, "more files than were offered")
        expect(len(found) <= OFFERED.files + SLACK_FOLDERS, "more folders than are allowed")
        size = sum(each.st_size for each in files)
        expect(size <= OFFERED.total * 1.01 + SLACK_BYTES, "more bytes than were offered")


def _names() -> Iterator[bytes]:
    for name in ("report.pdf", "../etc/passwd", "C:\\x\\.ssh", "nul.txt", "a\u202eb\n", "x" * 300):
        yield name.encode()
    yield b"caf\xe9"


@target(BadName, seeds=_names, quotes=True, examples=100)
def offered_name(data: bytes) -> None:
    """A name that is offered: it becomes one that can be in a directory, or it is refused."""
    offered = data.decode(errors="surrogateescape")
    expect(shown(offered).isprintable(), "a name that is not fit for a terminal")
    name = safe_name(offered)
    expect(0 < len(name.encode()) <= 255, "a name of another length")
    expect(not set(name) & set("/\\\0\n\x1b\u202e"), "a name with something harmful")
    expect(name[0] != "." and name[-1] not in ". ", "a name that is hidden or reserved")
    expect(safe_name(name) == name, "a name that is not safe yet")
