"""What is sent: a file, or a folder as one stream, measured before it is offered.

A source is measured once, and what was found is a value that survives its process. From then on the
source is read only as long as it is what was measured (who sends something else leaves a stock
receiver waiting forever). Everything here blocks, and is meant for a thread.
"""

import base64
import hashlib
import os
import sys
from array import array
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, Literal

from attrs import field, frozen

from holdfast.transfer.errors import SourceChanged as SourceChanged
from holdfast.transfer.errors import SourceError as SourceError
from holdfast.transfer.errors import Stopped as Stopped
from holdfast.transfer.names import BadName, harmless, safe_name
from holdfast.transfer.pulse import Pulse, Stop
from holdfast.transfer.streams import FileStream, digest
from holdfast.transfer.streams import Stream as Stream
from holdfast.transfer.streams import digest_of as digest_of
from holdfast.transfer.tree import Entry, cannot_read, said, walk
from holdfast.transfer.zipping import Plan, ZipStream, unknown_checksums, where

NAME_OF_SEVERAL: Final = "files"
"""What several things are called together if they have no folder in common."""


@frozen
class Source:
    """What was found when something was measured. All of it are JSON values.

    Args:
        name: under which it is offered, without path.
        kind: what it is for the other side.
        size: bytes on the wire.
        files: how many.
        total: bytes of the files together.
        sha256: of the bytes on the wire, in lower-case hexadecimal.
        stamp: tells whether it changed: of a file its size, time (nanoseconds) and inode, of a
            folder a digest of these and of the names and modes. Not the device, whose number may
            be another after a reboot.
        checksums: of a folder's files, so that its archive may be read from any offset: about 5
            bytes for each file. Empty if they are to be found again.
    """

    name: str
    kind: Literal["file", "folder"]
    size: int
    files: int
    total: int
    sha256: str
    stamp: str
    checksums: str = field(default="", repr=False)


def measure(
    paths: Sequence[Path],
    *,
    name: str | None = None,
    progress: Callable[[int], None] | None = None,
    stop: Stop | None = None,
) -> Source:
    """Measure what is at `paths`: a file, or a folder, or several of both, which become a folder.

    Args:
        paths: one or more.
        name: under which it is offered; by default its own. That of several is the folder that
            they are all in, or `files`.
        progress: called with the bytes read so far, at most every 0.25 s.
        stop: set to give up.

    Raises:
        SourceError: it cannot be sent, as the words say.
        Stopped: as asked.
    """
    pulse = Pulse(progress, stop)
    name = name_of(paths, name)
    if len(paths) == 1 and not _is_folder(paths[0]):
        stream = FileStream(paths[0])
        try:
            return _measured_file(stream, name, pulse)
        finally:
            stream.close()
    roots = _roots(paths)
    entries = walk(roots, pulse)
    if not entries:
        raise _empty(paths[0])
    return _measured_folder(name, roots, entries, pulse)


def look(paths: Sequence[Path]) -> None:
    """Find out whether what is at `paths` can be measured, without reading all of it.

    Raises:
        SourceError: it cannot be sent, as the words say.
    """
    if len(paths) == 1 and not _is_folder(paths[0]):
        FileStream(paths[0]).close()
        return
    roots = _roots(paths)
    entries = walk(roots, Pulse())
    if not entries:
        raise _empty(paths[0])
    for each in entries:
        place = where(roots, each)
        if not each.is_folder and not os.access(place, os.R_OK):
            raise SourceError(f"{said(place)} cannot be read: Permission denied.")


def stamp_of(paths: Sequence[Path]) -> tuple[str, float]:
    """Return the stamp that `measure` would find, and when any of it was last changed.

    Errors are those of `look`; the time is in seconds since the epoch.
    """
    if len(paths) == 1 and not _is_folder(paths[0]):
        stream = FileStream(paths[0])
        try:
            return stream.stamp, stream.changed_at
        finally:
            stream.close()
    entries = walk(_roots(paths), Pulse())
    return _stamp(entries), max((each.mtime for each in entries), default=0) / 1e9


def name_of(paths: Sequence[Path], name: str | None) -> str:
    """Return the name under which it is offered."""
    return harmless(name) if name else _name(paths)


def open_source(
    paths: Sequence[Path],
    source: Source,
    *,
    stop: Stop | None = None,
) -> Stream:
    """Open what was measured as `source`, to read it from its start.

    Args:
        paths: as they were given to `measure`.
        source: what it returned.
        stop: set to give up.

    Raises:
        SourceChanged: it is not what was measured.
        SourceError: it cannot be read any more.
        Stopped: as asked.
    """
    if source.kind == "file":
        stream = FileStream(paths[0], source.stamp)
        try:
            stream.check()
        except SourceChanged:
            stream.close()
            raise
        return stream
    pulse = Pulse(stop=stop)
    roots = _roots(paths)
    entries = walk(roots, pulse)
    if _stamp(entries) != source.stamp:
        raise SourceChanged(f"{said(source.name)} has changed meanwhile. Send it again.")
    return ZipStream(Plan(entries), roots, _checksums(source, len(entries)), pulse)


def _measured_file(stream: FileStream, name: str, pulse: Pulse) -> Source:
    size = stream.size
    sha256 = digest(stream, size, pulse)
    stream.check()
    return Source(name, "file", size, 1, size, sha256, stream.stamp)


def _measured_folder(
    name: str, roots: Mapping[bytes, bytes], entries: Sequence[Entry], pulse: Pulse
) -> Source:
    plan = Plan(entries)
    checksums = unknown_checksums(len(entries))
    stream = ZipStream(plan, roots, checksums, pulse)
    try:
        sha256 = digest(stream, plan.size, pulse)
    finally:
        stream.close()
    return Source(
        name=name,
        kind="folder",
        size=plan.size,
        files=sum(not each.is_folder for each in entries),
        total=sum(each.size for each in entries),
        sha256=sha256,
        stamp=_stamp(entries),
        checksums=_packed(checksums),
    )


def _empty(path: Path) -> SourceError:
    return SourceError(f"The folder {said(str(path))} is empty: there is nothing to send.")


def _packed(checksums: "array[int]") -> str:
    short = array("I", checksums)
    if sys.byteorder == "big":
        short.byteswap()
    return base64.b64encode(short).decode()


def _checksums(source: Source, count: int) -> "array[int]":
    if not source.checksums:
        return unknown_checksums(count)
    short = array("I", base64.b64decode(source.checksums))
    if sys.byteorder == "big":
        short.byteswap()
    return array("Q", short)


def _stamp(entries: Sequence[Entry]) -> str:
    hasher = hashlib.sha256()
    for each in entries:
        hasher.update(b"%d %d %d %d %b\0" % _facts(each))
    return hasher.hexdigest()


def _facts(entry: Entry) -> tuple[int, int, int, int, bytes]:
    return entry.size, entry.mode, entry.mtime, entry.inode, entry.path


def _roots(paths: Sequence[Path]) -> dict[bytes, bytes]:
    """Return where each thing is, by the first part of its paths in the archive."""
    if len(paths) == 1:
        return {b"": os.fsencode(paths[0].resolve())}
    roots: dict[bytes, bytes] = {}
    for place in map(_named, paths):
        last = os.fsencode(place.name)
        if not last:
            raise SourceError("The root of all files cannot be sent together with others.")
        if last in roots:
            raise SourceError(
                f"Two of the things to send are called {said(last)}. Rename one, or send it alone."
            )
        roots[last] = os.fsencode(place)
    return roots


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError as error:
        raise cannot_read(str(path), error) from error


def _named(path: Path) -> Path:
    """Return `path` so that it ends in a name. That of a link is its own, as people typed it."""
    return path.resolve() if path.name in ("", "..") else path.absolute()


def _name(paths: Sequence[Path]) -> str:
    places = [_named(each) for each in paths]
    if len(places) == 1:
        if not places[0].name:
            raise SourceError("Say under which name to send the root of all files.")
        return harmless(places[0].name)
    parents = {each.parent.resolve() for each in places}
    common = parents.pop().name if len(parents) == 1 else ""
    try:
        return common if safe_name(common) == common else NAME_OF_SEVERAL
    except BadName:
        return NAME_OF_SEVERAL
