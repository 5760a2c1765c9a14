"""Folders between us and stock clients: what each packs, the other unpacks."""

import base64
import io
import os
import zipfile
from pathlib import Path

from wormhole.cli.cmd_receive import Receiver
from wormhole.cli.cmd_send import ZipStream, walk

from holdfast.transfer.landing import Landing
from holdfast.transfer.sources import measure, open_source
from tests.transfer.trees import content, everything, make

TREE: dict[str, bytes | None] = {
    "a.txt": b"first",
    "a/b/deep": b"deep" * 10_000,
    "a/empty": None,
    "empty file": b"",
    "Grüße/ü": "grüß".encode(),
}

WILLIAM = base64.b64decode("""
UEsDBBQACAAIAAAAAAAAAAAAAAAAAAAAAAABAAAAYQAYAOf/aGVsbG8gaGVsbG8gaGVsbG8gaGVsbG8KAwBQSwcIAIhZ
Cx8AAAAYAAAAUEsDBBQACAgIAAAAAAAAAAAAAAAAAAAAAAAEAAAAZC/DvAMAUEsHCAAAAAACAAAAAAAAAFBLAQIUAxQA
CAAIAAAAAAAAiFkLHwAAABgAAAABAAAAAAAAAAAAAADogQAAAABhUEsBAhQDFAAICAgAAAAAAAAAAAACAAAAAAAAAAQA
AAAAAAAAAAAAAKSBTgAAAGQvw7xQSwUGAAAAAAIAAgBhAAAAggAAAAAA
""")
"""What wormhole-william 1.0.6 sent: deflated, with data descriptors, month and day 0."""


def landed(data: bytes, place: Path, files: int, total: int) -> Path:
    made = Landing(place, "got", "key")
    made.write([memoryview(data)])
    found = made.unpacked(files=files, total=total)
    made.discard()
    return found


def test_from_stock_python(tmp_path: Path) -> None:
    """Packed by the stock sender's own stream, with the numbers that it offers."""
    folder = make(tmp_path / "folder", TREE)
    stream = ZipStream(sized=True)
    for path in walk(str(folder), preserve_empty=True, followlinks=True):
        stream.add_path(path, arcname=os.path.relpath(path, folder), recurse=False)
    sizes = [each["size"] for each in stream.info_list() if not each["is_dir"]]
    out = landed(b"".join(stream), tmp_path, len(sizes), sum(sizes))
    assert content(out) == content(folder)


def test_to_stock_python(tmp_path: Path) -> None:
    """Unpacked by the stock receiver's own method, entry by entry."""
    folder = make(tmp_path / "folder", TREE)
    (folder / "a.txt").chmod(0o640)
    source = measure([folder])
    stream = open_source([folder], source)
    data = io.BytesIO(everything(stream, source.size))
    stream.close()
    out = tmp_path / "out"
    with zipfile.ZipFile(data) as file:
        for each in file.infolist():
            Receiver._extract_file(None, file, each, str(out))
    assert content(out) == content(folder)
    assert (out / "a.txt").stat().st_mode == (folder / "a.txt").stat().st_mode


def test_from_william(tmp_path: Path) -> None:
    """Recorded, because it packs only what it sends."""
    out = landed(WILLIAM, tmp_path, 2, 24)
    assert content(out) == {"a": b"hello hello hello hello\n", "d/ü": b""}
    assert (out / "a").stat().st_mode & 0o777 == 0o750
