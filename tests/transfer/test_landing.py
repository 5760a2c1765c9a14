"""What arrives appears whole under its name, or not at all, and replaces nothing."""

import contextlib
import errno
import hashlib
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.transfer.errors import BadArchive, Stopped, in_words
from holdfast.transfer.hidden import Hidden
from holdfast.transfer.landing import (
    Landing,
    LandingError,
    OutOfSpace,
    TargetExists,
    check_space,
    free_name,
    has_left_something,
    in_units,
)
from holdfast.transfer.names import BadName
from tests.transfer.faults import at_call, before_call, failing
from tests.transfer.trees import archive, content

DATA = b"some data " * 1000
TREE = {"a": b"first", "b/c": b"second", "b/d/e": b"third"}
ARCHIVE = archive(*TREE.items())


def landing(folder: Path, data: bytes = DATA, name: str = "got") -> Landing:
    made = Landing(folder, name, "key")
    made.write([memoryview(data)])
    return made


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def unpack(made: Landing) -> Path:
    return made.unpacked(files=3, total=100)


def test_what_is_left(tmp_path: Path) -> None:
    """To look for it makes nothing, whatever of it is left, and nothing of others counts."""
    assert not has_left_something(tmp_path, "key")
    assert names(tmp_path) == []
    with contextlib.closing(landing(tmp_path)) as made:
        assert has_left_something(tmp_path, "key") and not has_left_something(tmp_path, "other")
        made.finish_file()
        assert has_left_something(tmp_path, "key"), "the marker, until it is written down"
        made.discard()
    assert not has_left_something(tmp_path, "key")
    assert names(tmp_path) == ["got"]


def test_a_file(tmp_path: Path) -> None:
    """Until it is finished nothing has its name, and nobody else may read it."""
    made = Landing(tmp_path, "got", "key")
    assert (made.target, made.landed, made.size) == (tmp_path / "got", None, 0)
    made.write([memoryview(DATA[:100])])
    made.write([memoryview(DATA[100:])])
    made.sync()
    assert names(tmp_path) == [".holdfast-key"]
    assert stat.S_IMODE((tmp_path / ".holdfast-key").stat().st_mode) == 0o600
    assert made.hasher(100).hexdigest() == hashlib.sha256(DATA[:100]).hexdigest()
    assert made.finish_file() == tmp_path / "got"
    assert made.landed == made.finish_file() == tmp_path / "got"
    made.discard()
    assert names(tmp_path) == ["got"]
    assert (tmp_path / "got").read_bytes() == DATA
    old = os.umask(0o022)
    os.umask(old)
    assert stat.S_IMODE((tmp_path / "got").stat().st_mode) == 0o666 & ~old


def test_a_folder(tmp_path: Path) -> None:
    """It is unpacked beside its target."""
    made = landing(tmp_path, ARCHIVE)
    assert unpack(made) == tmp_path / "got"
    assert unpack(made) == tmp_path / "got"
    made.discard()
    assert names(tmp_path) == ["got"]
    assert content(tmp_path / "got") == TREE
    old = os.umask(0o022)
    os.umask(old)
    assert stat.S_IMODE((tmp_path / "got").stat().st_mode) == 0o777 & ~old


def test_it_goes_on_after_a_restart(tmp_path: Path) -> None:
    """What is behind the durable offset is forgotten; what is before is checked."""
    made = landing(tmp_path, DATA[:5000])
    made.close()
    again = Landing(tmp_path, "got", "key")
    assert again.size == 5000
    again.write([memoryview(b"behind")])
    assert again.size == 5006
    again.truncate(4000)
    hasher = again.hasher(4000)
    again.write([memoryview(DATA[4000:])])
    hasher.update(DATA[4000:])
    assert (
        again.hasher(len(DATA)).hexdigest()
        == hasher.hexdigest()
        == hashlib.sha256(DATA).hexdigest()
    )
    for more in (lambda: again.truncate(len(DATA) + 1), lambda: again.hasher(len(DATA) + 1)):
        with pytest.raises(OSError, match="less is there"):
            more()
    again.close()


def test_the_same_bytes_are_written_again(tmp_path: Path) -> None:
    """A full disk loses nothing: who writes waits for room, then writes the same again."""
    made = landing(tmp_path, DATA[:100])
    with failing("pwritev", OSError(errno.ENOSPC, "No space left on device")):
        with pytest.raises(OSError, match="No space left"):
            made.write([memoryview(DATA[100:])])
    made.write([memoryview(DATA[100:])])
    assert made.hasher(len(DATA)).hexdigest() == hashlib.sha256(DATA).hexdigest()
    made.close()


def test_a_write_that_is_cut_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system may write less than it was given, and ends anywhere."""
    real = os.pwritev

    def short(file: int, views: list[memoryview], offset: int) -> int:
        data = b"".join(views)
        return real(file, [data[: max(1, len(data) // 2)]], offset)

    monkeypatch.setattr(os, "pwritev", short)
    made = landing(tmp_path, b"")
    made.write([memoryview(DATA[at : at + 700]) for at in range(0, len(DATA), 700)])
    assert made.hasher(len(DATA)).hexdigest() == hashlib.sha256(DATA).hexdigest()
    made.close()


def test_it_is_given_up(tmp_path: Path) -> None:
    """Nothing stays."""
    landing(tmp_path).discard()
    assert names(tmp_path) == []


def test_it_is_kept(tmp_path: Path) -> None:
    """After a failure a person sees what was received, under a name that nothing has."""
    (tmp_path / "got.part").touch()
    made = landing(tmp_path)
    assert made.keep() == made.keep() == made.landed == tmp_path / "got (2).part"
    made.discard()
    assert names(tmp_path) == ["got (2).part", "got.part"]
    assert (tmp_path / "got (2).part").read_bytes() == DATA
    made = landing(tmp_path)
    assert (made.is_kept, made.keep(), made.is_kept) == (False, tmp_path / "got (3).part", True)
    made.close()
    made = Landing(tmp_path, "got", "key")  # its process died: this is not what was to arrive
    assert (made.is_kept, made.landed, made.size) == (True, tmp_path / "got (3).part", len(DATA))
    made.discard()
    (tmp_path / "got (3).part").unlink()
    made = landing(tmp_path, name="n" * 255)
    assert made.keep() == tmp_path / ("n" * 250 + ".part")
    made.discard()


def make_file(place: Path) -> None:
    place.write_bytes(b"mine")


def make_link(place: Path) -> None:
    place.symlink_to("nowhere")


def make_folder(place: Path) -> None:
    place.mkdir()


TAKERS = [make_file, make_link, make_folder, os.mkfifo]


@pytest.mark.parametrize("take", TAKERS)
@pytest.mark.parametrize("finish", [Landing.finish_file, unpack])
def test_nothing_is_replaced(
    tmp_path: Path, take: Callable[[Path], object], finish: Callable[[Landing], Path]
) -> None:
    """Also not what appeared at the last moment; another name is proposed, and can be used."""
    made = landing(tmp_path, ARCHIVE)
    made.check_free()
    take(tmp_path / "got")
    (tmp_path / "got (2)").touch()
    before = (tmp_path / "got").lstat()
    for attempt in (made.check_free, lambda: finish(made)):
        with pytest.raises(TargetExists, match=r"called got already.* such as got \(3\)\."):
            attempt()
    assert (tmp_path / "got").lstat() == before
    made.close()
    another = Landing(tmp_path, "got (3)", "key")
    assert another.hasher(len(ARCHIVE)).hexdigest() == hashlib.sha256(ARCHIVE).hexdigest()
    finish(another)
    another.discard()
    assert names(tmp_path) == ["got", "got (2)", "got (3)"]


@pytest.mark.parametrize("take", [make_file, make_folder])
@pytest.mark.parametrize("without", ["_renameat2", "link", "both"])
@pytest.mark.parametrize("finish", [Landing.finish_file, unpack])
def test_disks_and_systems_that_can_do_less(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    take: Callable[[Path], object],
    finish: Callable[[Landing], Path],
    without: str,
) -> None:
    """Neither a rename that replaces nothing nor second names are needed."""
    made = landing(tmp_path, ARCHIVE)
    take(tmp_path / "got")
    if without != "link":
        monkeypatch.setattr("holdfast.transfer.placing._renameat2", None)
    no_link = OSError(errno.EPERM, "Operation not permitted")
    for expected in (TargetExists, None):
        with failing("link" if without != "_renameat2" else "nothing", no_link):
            if expected:
                with pytest.raises(expected):
                    finish(made)
                (tmp_path / "got").rename(tmp_path / "old")
            else:
                finish(made)
    made.discard()
    assert names(tmp_path) == ["got", "old"]


def test_what_is_to_be_replaced(tmp_path: Path) -> None:
    """When it is asked for: a file or a link, in one step, but no folder."""
    (tmp_path / "other").write_bytes(b"other")
    (tmp_path / "got").symlink_to("other")
    made = landing(tmp_path)
    assert made.finish_file(overwrite=True) == tmp_path / "got"
    made.discard()
    assert not (tmp_path / "got").is_symlink()
    assert (tmp_path / "other").read_bytes() == b"other"
    (tmp_path / "folder").mkdir()
    made = landing(tmp_path, name="folder")
    with pytest.raises(TargetExists):
        made.finish_file(overwrite=True)
    made.discard()


def test_one_process_at_a_time(tmp_path: Path) -> None:
    """Two would write one part."""
    made = landing(tmp_path)
    with pytest.raises(LandingError, match="Another process is receiving this"):
        Landing(tmp_path, "got", "key")
    Landing(tmp_path, "got", "another").discard()
    made.close()
    Landing(tmp_path, "got", "key").discard()


@pytest.mark.parametrize("hidden", [".holdfast-key", ".holdfast-key.to"])
@pytest.mark.parametrize("take", [make_link, make_folder, os.mkfifo, "hard link"])
def test_what_somebody_put_there(
    tmp_path: Path, hidden: str, take: Callable[[Path], object] | str
) -> None:
    """A part that is not ours is neither written nor followed."""
    (tmp_path / "precious").write_bytes(b"precious")
    if callable(take):
        take(tmp_path / hidden)
    else:
        (tmp_path / hidden).hardlink_to(tmp_path / "precious")
    with pytest.raises(LandingError):
        Landing(tmp_path, "got", "key")
    assert (tmp_path / "precious").read_bytes() == b"precious"


def test_a_link_in_the_place_of_the_folder(tmp_path: Path) -> None:
    """It is not followed when the leftovers of a dead process are removed."""
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").touch()
    (tmp_path / ".holdfast-key.d").symlink_to("precious")
    made = landing(tmp_path, ARCHIVE)
    with pytest.raises(LandingError):
        unpack(made)
    assert content(tmp_path / "precious") == {"file": b""}
    made.close()


@pytest.mark.parametrize("finish", [Landing.finish_file, unpack])
def test_a_directory_that_is_swapped(tmp_path: Path, finish: Callable[[Landing], Path]) -> None:
    """Nothing is written into another one, and nothing is said to be where it is not."""
    home = tmp_path / "home"
    home.mkdir()
    made = landing(home, ARCHIVE)
    home.rename(tmp_path / "moved")
    home.mkdir()
    with pytest.raises(LandingError, match="is not the directory any more"):
        finish(made)
    assert names(home) == []
    home.rmdir()
    (tmp_path / "moved").rename(home)
    finish(made)
    made.discard()
    assert names(home) == ["got"]


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\0b", "n" * 256])
def test_what_is_no_name(tmp_path: Path, name: str) -> None:
    """Whoever forgot to make it safe is stopped."""
    with pytest.raises(BadName):
        Landing(tmp_path, name, "key")


@pytest.mark.parametrize("key", ["", "a/b", ".", "k" * 65, "a-b"])
def test_what_is_no_key(tmp_path: Path, key: str) -> None:
    """It becomes a part of a name."""
    with pytest.raises(ValueError, match="1 to 64 letters and digits"):
        Landing(tmp_path, "got", key)
    assert names(tmp_path) == []


def test_no_directory(tmp_path: Path) -> None:
    """The words say what to do."""
    with pytest.raises(LandingError, match=r"does not exist\. Make it, or choose another"):
        Landing(tmp_path / "missing", "got", "key")
    (tmp_path / "file").touch()
    with pytest.raises(LandingError, match="does not exist"):
        Landing(tmp_path / "file", "got", "key")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.ENOSPC, "disk is full.* Make room"),
        (errno.EDQUOT, "quota is used up.* Make room"),
        (errno.EROFS, "cannot be written. Choose another directory"),
        (errno.EACCES, "not allowed to write .*got. Choose another directory"),
        (errno.EIO, "disk failed .* another disk"),
        (errno.ENAMETOOLONG, "too long .* shorter"),
        (errno.EMFILE, "cannot be written: Too many"),
    ],
)
def test_words(tmp_path: Path, code: int, words: str) -> None:
    """Each failure of the system says what to do."""
    error = OSError(code, os.strerror(code))
    with failing("open", error), pytest.raises(LandingError, match=words) as caught:
        Landing(tmp_path, "got", "key")
    assert str(caught.value) == in_words(error, tmp_path / "got")
    assert isinstance(caught.value, OutOfSpace) is (code in (errno.ENOSPC, errno.EDQUOT))


@pytest.mark.parametrize("finish", [Landing.finish_file, unpack, Landing.keep, Landing.discard])
def test_a_failure_at_every_call(tmp_path: Path, finish: Callable[[Landing], Path]) -> None:
    """The error has words, what was received is still there, and the second attempt works."""
    number, failed = 0, True
    while failed:
        number += 1
        folder = tmp_path / str(number)
        folder.mkdir()
        made = landing(folder, ARCHIVE)

        def fail() -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        try:
            with at_call(number, fail) as calls:
                finish(made)
            failed = len(calls) >= number  # what is only a second opinion may fail
        except OutOfSpace:
            made.close()
            again = Landing(folder, "got", "key")
            if again.landed is None and finish is not Landing.discard:
                assert again.hasher(len(ARCHIVE)).hexdigest() == hashlib.sha256(ARCHIVE).hexdigest()
                assert [each for each in names(folder) if each[0] != "."] == []
            finish(again)
            made = again
        made.close()
        if finish is not Landing.discard:
            Landing(folder, "got", "key").discard()
        assert [each.removesuffix(".part") for each in names(folder)] in ([], ["got"])
        assert bool(names(folder)) is (finish is not Landing.discard)
    assert number > 3


def test_a_bad_archive(tmp_path: Path) -> None:
    """Nothing of it is left but what was received, which can be kept."""
    made = landing(tmp_path, archive(("../out", b"")))
    with pytest.raises(BadArchive):
        unpack(made)
    assert names(tmp_path) == [".holdfast-key"]
    assert made.keep(".zip.part") == tmp_path / "got.zip.part"
    made.discard()
    broken = ARCHIVE.replace(b"third", b"turd!")  # found out when the others are there
    made = landing(tmp_path, broken)
    with pytest.raises(BadArchive, match="b/d/e in the folder arrived damaged"):
        unpack(made)
    assert names(tmp_path) == [".holdfast-key", "got.zip.part"]
    made.discard()


def test_it_stops(tmp_path: Path) -> None:
    """And can be done again."""
    made = landing(tmp_path, ARCHIVE)
    stop = threading.Event()
    stop.set()
    with pytest.raises(Stopped):
        made.hasher(100, stop=stop)
    with pytest.raises(Stopped):
        made.unpacked(files=3, total=100, stop=stop)
    assert names(tmp_path) == [".holdfast-key"]
    unpack(made)
    made.discard()
    assert content(tmp_path / "got") == TREE


def test_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is looked at before anything is accepted; a disk that says 0 of 0 does not know."""
    check_space(tmp_path, 1)
    with pytest.raises(OutOfSpace, match=r"1\.15 EB are needed, and .*B are free. Make room"):
        check_space(tmp_path, 2**60)
    with pytest.raises(LandingError, match="does not exist"):
        check_space(tmp_path / "missing", 1)
    check_space(Path("/proc"), 2**60)  # one that says 0 of 0, as ramfs does


def test_the_marker_goes_first(tmp_path: Path) -> None:
    """Without the folder it would say that the folder has its name."""
    for number in range(1, 10):
        home = tmp_path / str(number)
        home.mkdir()
        directory = os.open(home, os.O_RDONLY)
        hidden = Hidden(directory, "key")
        os.close(hidden.make_folder())
        hidden.mark("folder", "got")
        assert hidden.became() is None

        def fail() -> None:
            raise OSError(errno.EIO, "")

        with contextlib.suppress(OSError), at_call(number, fail):
            hidden.remove()
        assert hidden.became() is None
        os.close(directory)


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_nothing_stays_open(tmp_path: Path) -> None:
    """Neither after a failure nor at the end."""
    before = descriptors()
    made = landing(tmp_path, ARCHIVE)
    for name, key in (("got", "key"), ("n" * 256, "b"), ("got", "/")):
        with pytest.raises((LandingError, BadName, ValueError)):
            Landing(tmp_path, name, key)
    with pytest.raises(BadArchive):
        made.unpacked(files=0, total=0)
    unpack(made)
    made.discard()
    made.close()
    assert descriptors() == before


@pytest.mark.parametrize("call", ["flock", "fsync", "fchmod"])
def test_what_some_disks_cannot_do(tmp_path: Path, call: str) -> None:
    """A disk without locks or modes, or that cannot sync a directory, is good enough."""
    code = {"flock": errno.ENOLCK, "fsync": errno.EINVAL, "fchmod": errno.EPERM}[call]
    error = OSError(code, os.strerror(code))
    with failing(call, error, nth=1 if call != "fsync" else 2):  # the first is of the marker
        made = landing(tmp_path)
        made.finish_file()
    made.discard()
    assert (tmp_path / "got").read_bytes() == DATA


def test_a_lock_that_fails_otherwise(tmp_path: Path) -> None:
    """It is not taken for a lock."""
    with failing("flock", OSError(errno.EIO, "Input/output error")):
        with pytest.raises(LandingError, match="disk failed"):
            Landing(tmp_path, "got", "key")


@pytest.mark.parametrize("another", [False, True])
def test_a_part_that_its_owner_renames_meanwhile(tmp_path: Path, another: bool) -> None:
    """Whoever waited for nothing begins with a part of its own."""
    made = landing(tmp_path)

    def finish() -> None:
        made.finish_file()
        made.close()
        if another:
            (tmp_path / ".holdfast-key").write_bytes(b"new")

    with before_call("flock", finish):
        again = Landing(tmp_path, "got", "key")
    assert again.size == (3 if another else 0)
    again.discard()
    assert (tmp_path / "got").read_bytes() == DATA


def test_a_marker_that_is_not_whole(tmp_path: Path) -> None:
    """Its writer died before it renamed anything."""
    landing(tmp_path).close()
    (tmp_path / ".holdfast-key.to").touch()
    made = Landing(tmp_path, "got", "key")
    assert (made.landed, made.size) == (None, len(DATA))
    made.finish_file()
    made.discard()
    assert names(tmp_path) == ["got"]


def test_a_free_name(tmp_path: Path) -> None:
    """It is the name itself, or the first number that nothing has."""
    assert free_name(tmp_path, "a.b") == "a.b"
    (tmp_path / "a.b").symlink_to("nowhere")
    assert free_name(tmp_path, "a.b") == "a (2).b"
    (tmp_path / "a (2).b").touch()
    assert free_name(tmp_path, "a.b") == "a (3).b"


@pytest.mark.parametrize("taken", [Landing.finish_file, unpack])
def test_another_name_at_the_last_moment(tmp_path: Path, taken: Callable[[Landing], Path]) -> None:
    """What was received may get another name than was planned."""
    made = landing(tmp_path, ARCHIVE)
    (tmp_path / "got").touch()
    with pytest.raises(TargetExists):
        taken(made)
    made.name = free_name(tmp_path, made.name)
    assert taken(made) == made.landed == tmp_path / "got (2)"
    made.discard()
    assert names(tmp_path) == ["got", "got (2)"]


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1 kB"), (999_499, "999 kB"), (999_500, "1 MB")],
)
def test_units(count: int, said: str) -> None:
    """As people say them."""
    assert in_units(count) == said


def test_a_link_of_which_nobody_was_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NFS may do what it is asked, lose its answer, ask again, and hear that it is done."""
    monkeypatch.setattr("holdfast.transfer.placing._renameat2", None)
    made = landing(tmp_path)

    def do_it() -> None:
        (tmp_path / "got").hardlink_to(tmp_path / ".holdfast-key")

    with before_call("link", do_it):
        made.finish_file()
    made.discard()
    assert names(tmp_path) == ["got"]


def test_a_part_that_is_removed_by_hand(tmp_path: Path) -> None:
    """Nothing is taken for finished because of an attempt that failed."""
    make_file(tmp_path / "got")
    made = landing(tmp_path)
    with pytest.raises(TargetExists):
        made.finish_file()
    made.close()
    (tmp_path / ".holdfast-key").unlink()
    again = Landing(tmp_path, "got", "key")
    assert again.landed is None
    again.discard()
