"""Folders to send and archives to receive."""

import io
import stat
import zipfile
from pathlib import Path
from typing import Any

from holdfast.transfer.sources import Stream


def everything(stream: Stream, size: int, room: int = 1 << 20) -> bytes:
    """Read a stream from its start to its end, `room` bytes at a time."""
    stream.seek(0)
    data, view = bytearray(), memoryview(bytearray(room))
    while count := stream.read_into(view[: size - len(data)]):
        data += view[:count]
    return bytes(data)


def make(folder: Path, content: dict[str, bytes | None]) -> Path:
    """Make a folder with files; None makes an empty folder."""
    folder.mkdir(exist_ok=True)
    for path, data in content.items():
        place = folder / path
        if data is None:
            place.mkdir(parents=True)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
    return folder


def content(folder: Path) -> dict[str, bytes | None]:
    """Return what is in a folder, as `make` takes it."""
    found: dict[str, bytes | None] = {}
    for place in sorted(folder.rglob("*")):
        assert not place.is_symlink()
        if place.is_file():
            found[str(place.relative_to(folder))] = place.read_bytes()
        elif not any(place.iterdir()):
            found[str(place.relative_to(folder))] = None
    return found


def entry(name: str, mode: int | None = None, **fields: Any) -> zipfile.ZipInfo:
    """Make an entry for `archive`."""
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFREG | 0o644 if mode is None else mode) << 16
    for field, value in fields.items():
        setattr(info, field, value)
    return info


def archive(*entries: tuple[zipfile.ZipInfo | str, bytes], method: int = 0) -> bytes:
    """Make an archive as Python's own library makes it."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as file:
        for info, data in entries:
            file.writestr(info, data, method)
    return made.getvalue()
