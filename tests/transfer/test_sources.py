"""What is sent: found, measured once, and read only as long as it is what was measured."""

import hashlib
import json
import os
import socket
import threading
from pathlib import Path

import attrs
import pytest

from holdfast.transfer.sources import (
    Source,
    SourceChanged,
    SourceError,
    Stopped,
    digest_of,
    measure,
    open_source,
)
from holdfast.transfer.streams import ROOM
from tests.transfer.faults import failing
from tests.transfer.trees import everything, make


def test_a_file(tmp_path: Path) -> None:
    """Its size and digest are measured, and it is read from any offset."""
    data = os.urandom(3_000_000)
    path = tmp_path / "report.pdf"
    path.write_bytes(data)
    told: list[int] = []
    source = measure([path], progress=told.append)
    assert (source.name, source.kind, source.size) == ("report.pdf", "file", len(data))
    assert (source.files, source.total) == (1, len(data))
    assert source.sha256 == hashlib.sha256(data).hexdigest()
    stream = open_source([path], source)
    stream.seek(1_000_000)
    part = bytearray(100)
    assert stream.read_into(memoryview(part)) == 100
    assert part == data[1_000_000:1_000_100]
    assert digest_of(stream, 2_000_000) == hashlib.sha256(data[:2_000_000]).hexdigest()
    assert everything(stream, len(data)) == data
    stream.check()
    stream.close()


def test_an_empty_file(tmp_path: Path) -> None:
    """It is sent like any other."""
    (tmp_path / "empty").touch()
    source = measure([tmp_path / "empty"])
    assert (source.size, source.sha256) == (0, hashlib.sha256().hexdigest())
    stream = open_source([tmp_path / "empty"], source)
    assert everything(stream, 0) == b""
    assert digest_of(stream, 0) == source.sha256
    stream.close()


def test_what_was_measured_is_json(tmp_path: Path) -> None:
    """It survives its process, also when the name is not UTF-8."""
    path = tmp_path / os.fsdecode(b"caf\xe9")
    path.write_bytes(b"x")
    folder = make(tmp_path / "folder", {os.fsdecode(b"d\xe9/f\xe9"): b"y", "empty": None})
    for each in (path, folder):
        source = measure([each])
        said = json.dumps(attrs.asdict(source), ensure_ascii=False).encode()
        assert Source(**json.loads(said)) == source
        open_source([each], Source(**json.loads(said))).close()
    assert measure([path]).name == "caf\ufffd"


@pytest.mark.parametrize(
    ("typed", "name"),
    [("link", "link"), ("folder/", "folder"), ("folder/sub/..", "folder"), ("folder/.", "folder")],
)
def test_the_name_is_what_was_typed(tmp_path: Path, typed: str, name: str) -> None:
    """A link gives its own name to what it leads to."""
    make(tmp_path / "folder", {"sub/file": b"x"})
    (tmp_path / "link").symlink_to("folder")
    assert measure([tmp_path / typed]).name == name
    assert measure([tmp_path / typed], name="another").name == "another"


def test_several_things_are_a_folder(tmp_path: Path) -> None:
    """It is called like the folder that all are in."""
    make(tmp_path / "trip", {"a.jpg": b"a", "more/b.jpg": b"b"})
    paths = [tmp_path / "trip" / "a.jpg", tmp_path / "trip" / "more"]
    source = measure(paths)
    assert (source.kind, source.name, source.files, source.total) == ("folder", "trip", 2, 2)
    stream = open_source(paths, source)
    data = everything(stream, source.size)
    assert b"more/b.jpg" in data
    assert b"trip" not in data
    stream.close()


def test_several_things_from_everywhere_are_files(tmp_path: Path) -> None:
    """Without a common folder, or one with a name that may be offered, they are `files`."""
    make(tmp_path / "one", {"a": b""})
    make(tmp_path / ".hidden", {"b": b"", "c": b""})
    assert measure([tmp_path / "one" / "a", tmp_path / ".hidden" / "b"]).name == "files"
    assert measure([tmp_path / ".hidden" / "b", tmp_path / ".hidden" / "c"]).name == "files"


def test_several_things_of_one_name(tmp_path: Path) -> None:
    """They cannot be in one folder."""
    make(tmp_path, {"one/a": b"", "two/a": b""})
    with pytest.raises(SourceError, match="Two of the things to send are called a"):
        measure([tmp_path / "one" / "a", tmp_path / "two" / "a"])


def test_what_cannot_be_sent(tmp_path: Path) -> None:
    """Each is named; a pipe would hang a stock sender."""
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="empty is empty"):
        measure([tmp_path / "empty"])
    with pytest.raises(SourceError, match=r"There is no .*/missing to send"):
        measure([tmp_path / "missing"])
    with pytest.raises(SourceError, match="/dev/null is neither a file nor a folder"):
        measure([Path("/dev/null")])
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SourceError, match="pipe is neither"):
        measure([tmp_path / "pipe"])
    with pytest.raises(SourceError, match="pipe is neither"):
        measure([tmp_path])
    (tmp_path / "pipe").unlink()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        with pytest.raises(SourceError, match=r"socket (is neither|cannot be read)"):
            measure([tmp_path / "socket"])
        with pytest.raises(SourceError, match="socket is neither"):
            measure([tmp_path])


def test_the_root_of_all_files(tmp_path: Path) -> None:
    """It has no name."""
    with pytest.raises(SourceError, match="Say under which name"):
        measure([Path("/")])
    with pytest.raises(SourceError, match="cannot be sent together"):
        measure([Path("/"), tmp_path], name="all")


@pytest.mark.parametrize("call", ["stat", "open", "preadv"])
def test_a_file_that_cannot_be_read(tmp_path: Path, call: str) -> None:
    """The error names it."""
    (tmp_path / "secret").write_bytes(b"x")
    with failing(call, PermissionError(13, "Permission denied")):
        with pytest.raises(SourceError, match="secret cannot be read: Permission denied"):
            measure([tmp_path / "secret"])


def test_a_digest_of_more_than_there_is(tmp_path: Path) -> None:
    """The other side says that it has more than there ever was."""
    (tmp_path / "file").write_bytes(b"x")
    stream = open_source([tmp_path / "file"], measure([tmp_path / "file"]))
    with pytest.raises(SourceChanged):
        digest_of(stream, 2)
    stream.close()


def test_several_things_of_which_one_is_missing(tmp_path: Path) -> None:
    """The error names it."""
    (tmp_path / "file").touch()
    with pytest.raises(SourceError, match="missing cannot be read: No such file"):
        measure([tmp_path / "file", tmp_path / "missing"])


@pytest.mark.parametrize("call", ["open", "preadv", "scandir"])
def test_what_cannot_be_read(tmp_path: Path, call: str) -> None:
    """The error names the file or folder that may not be read."""
    make(tmp_path / "folder", {"secret": b"x"})
    with failing(call, PermissionError(13, "Permission denied")):
        with pytest.raises(SourceError, match=r"folder.* cannot be read: Permission denied"):
            measure([tmp_path / "folder"])


def test_links_inside(tmp_path: Path) -> None:
    """What a link leads to is there under every name; stock Python leaves one out."""
    make(tmp_path / "folder", {"real/file": b"data", "top": b"t"})
    (tmp_path / "folder" / "again").symlink_to("real")
    (tmp_path / "folder" / "real" / "up").symlink_to("../top")
    source = measure([tmp_path / "folder"])
    assert (source.files, source.total) == (5, 11)
    stream = open_source([tmp_path / "folder"], source)
    data = everything(stream, source.size)
    for name in (b"again/file", b"again/up", b"real/file", b"real/up", b"top"):
        assert name in data
    stream.close()


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("nowhere", "sub/link is a link that leads nowhere"),
        ("link", "sub/link is a link that leads nowhere"),
        ("../../outside", "sub/link is a link that leads out"),
        ("../../folder-too", "sub/link is a link that leads out"),
        ("/etc", "sub/link is a link that leads out"),
        ("..", "sub/link is a link to a folder that it is in"),
        (".", "sub/link is a link to a folder that it is in"),
    ],
)
def test_links_that_are_refused(tmp_path: Path, target: str, words: str) -> None:
    """They lead nowhere, out, or have no end."""
    make(tmp_path, {"folder/sub/file": b"", "outside": b"", "folder-too/file": b""})
    (tmp_path / "folder" / "sub" / "link").symlink_to(target)
    with pytest.raises(SourceError, match=words):
        measure([tmp_path / "folder"])


def test_a_loop_of_two_links(tmp_path: Path) -> None:
    """It has no end either."""
    make(tmp_path / "folder", {"a/file": b"", "b/file": b""})
    (tmp_path / "folder" / "a" / "to-b").symlink_to("../b")
    (tmp_path / "folder" / "b" / "to-a").symlink_to("../a")
    with pytest.raises(SourceError, match="has no end"):
        measure([tmp_path / "folder"])


def test_links_that_make_a_small_folder_endless(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is counted has a bound."""
    monkeypatch.setattr("holdfast.transfer.tree.MOST_ENTRIES", 1000)
    make(tmp_path / "folder", {f"{number}/file": b"" for number in range(20)})
    for number in range(19):
        for name in "ab":
            (tmp_path / "folder" / str(number) / name).symlink_to(f"../{number + 1}")
    with pytest.raises(SourceError, match="more than 1,000 files"):
        measure([tmp_path / "folder"])


def test_names_that_become_one(tmp_path: Path) -> None:
    """Bytes that are not UTF-8 cannot be told from each other any more."""
    names = {os.fsdecode(b"caf\xe9"): b"", os.fsdecode(b"caf\xe8"): b""}
    make(tmp_path / "folder", names)
    with pytest.raises(SourceError, match="not UTF-8"):
        measure([tmp_path / "folder"])


def change(path: Path, how: str) -> None:
    before = path.stat()
    match how:
        case "grows":
            with path.open("ab") as file:
                file.write(b"x")
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        case "shrinks":
            os.truncate(path, 10)
        case "is written":
            with path.open("r+b") as file:
                file.write(b"y")
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
        case "is replaced":
            other = path.with_name("other")
            other.write_bytes(path.read_bytes())
            os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
            other.replace(path)
        case "is removed":
            path.unlink()
        case "becomes a folder":
            path.unlink()
            path.mkdir()


CHANGES = ["grows", "shrinks", "is written", "is replaced", "is removed", "becomes a folder"]


@pytest.mark.parametrize("how", CHANGES)
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_change_before_it_is_opened(tmp_path: Path, kind: str, how: str) -> None:
    """It is not sent as something else than what was offered."""
    make(tmp_path / "folder", {"file": b"x" * 100, "more": b""})
    path = tmp_path / "folder" / ("file" if kind == "file" else "")
    source = measure([path])
    change(tmp_path / "folder" / "file", how)
    with pytest.raises(SourceError if (kind, how) == ("file", "is removed") else SourceChanged):
        open_source([path], source)


@pytest.mark.parametrize("how", ["grows", "shrinks", "is written"])
def test_a_change_while_a_file_is_read(tmp_path: Path, how: str) -> None:
    """It is found out before the last byte is sent."""
    (tmp_path / "file").write_bytes(b"x" * 100)
    stream = open_source([tmp_path / "file"], measure([tmp_path / "file"]))
    assert stream.read_into(memoryview(bytearray(50))) == 50
    stream.check()
    change(tmp_path / "file", how)
    for reading in (stream.check, lambda: stream.read_into(memoryview(bytearray(50)))):
        with pytest.raises(SourceChanged, match="file has changed meanwhile"):
            reading()
    stream.close()


@pytest.mark.parametrize("how", CHANGES)
def test_a_change_while_a_folder_is_read(tmp_path: Path, how: str) -> None:
    """Each file is checked when it is read."""
    folder = make(tmp_path / "folder", {"a": b"a" * 1000, "b": b"b" * 1000})
    source = measure([folder])
    stream = open_source([folder], source)
    assert stream.read_into(memoryview(bytearray(500))) == 500
    change(folder / "b", how)
    with pytest.raises(SourceChanged, match="b has changed meanwhile"):
        stream.read_into(memoryview(bytearray(source.size)))
    stream.close()


def test_a_change_in_the_middle_of_a_files_reading(tmp_path: Path) -> None:
    """A file that is open is checked each time."""
    folder = make(tmp_path / "folder", {"a": b"a" * 1000})
    stream = open_source([folder], measure([folder]))
    stream.read_into(memoryview(bytearray(500)))
    stream.check()
    change(folder / "a", "grows")
    with pytest.raises(SourceChanged):
        stream.check()
    stream.close()


def test_a_change_while_it_is_measured(tmp_path: Path) -> None:
    """What grows under one's hands is not offered."""
    path = tmp_path / "log"
    path.write_bytes(b"x" * 3_000_000)

    class Grow:
        def is_set(self) -> bool:
            change(path, "grows")
            return False

    with pytest.raises(SourceChanged):
        measure([path], stop=Grow())


@pytest.mark.parametrize("kind", ["file", "folder", "large"])
def test_it_stops(tmp_path: Path, kind: str) -> None:
    """Measuring takes long, and ends soon after it is told to."""
    make(tmp_path / "folder", {"file": b"x"})
    make(tmp_path / "large", {"file": b"x" * 2_000_000})
    stop = threading.Event()
    stop.set()
    path = tmp_path / "folder" / "file" if kind == "file" else tmp_path / kind
    with pytest.raises(Stopped):
        measure([path], stop=stop)


def test_progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits hears how far it is."""
    monkeypatch.setattr("holdfast.transfer.pulse.EVERY", 0.0)
    (tmp_path / "file").write_bytes(b"x" * 3_000_000)
    told: list[int] = []
    measure([tmp_path / "file"], progress=told.append)
    assert told == [*range(ROOM, 3_000_000, ROOM), 3_000_000]


def test_no_checksums_are_kept(tmp_path: Path) -> None:
    """They are found again, and the stream is the same."""
    folder = make(tmp_path / "folder", {"a": b"a" * 700_000, "b": b"", "c/d": b"d"})
    source = measure([folder])
    with_them, without = (
        open_source([folder], each) for each in (source, attrs.evolve(source, checksums=""))
    )
    data = everything(with_them, source.size, room=99_999)
    assert everything(without, source.size, room=99_999) == data
    assert hashlib.sha256(data).hexdigest() == source.sha256
    with_them.close()
    without.close()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_nothing_stays_open(tmp_path: Path) -> None:
    """Neither after a failure nor at the end."""
    before = len(list(Path("/proc/self/fd").iterdir()))
    folder = make(tmp_path / "folder", {"a": b"a" * 1000, "b": b""})
    for path in (folder, folder / "a"):
        source = measure([path])
        stream = open_source([path], source)
        stream.read_into(memoryview(bytearray(500)))
        stream.close()
        change(folder / "a", "grows")
        with pytest.raises(SourceChanged):
            open_source([path], source)
    with pytest.raises(SourceError):
        measure([Path("/dev/null")])
    assert len(list(Path("/proc/self/fd").iterdir())) == before
