"""A real process on storage that really fails: nothing leaves early, and everything goes on."""

import os
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from holdfast_journal import DatabaseAway, SqlJournal
from tests.cli.journals import failed, open_at, run
from tests.harness.climate import can_attach
from tests.harness.peers import Received, StockReceivers
from tests.harness.process import Child, Holdfast
from tests.harness.server import MailboxServer
from tests.harness.waiting import until
from tests.journal.postgres import find_server, server

KEY = "5a" * 32
PEOPLE = "name,secret\nann,one\nbob,two\n"

Storage = Callable[[Child], Callable[[], None]]
"""Makes the storage of a running command fail; what it returns mends it."""


def installed(command: str) -> str:
    """Where a command is, or skip the test."""
    found = shutil.which(command)
    if found is None:
        pytest.skip(f"{command} is not installed")
    return found


@contextmanager
def full_disk(folder: Path) -> Iterator[Storage]:
    """A small file system of its own, which is filled."""
    size = "size=2m,mode=0700"
    mount, umount = installed("mount"), installed("umount")
    mounted = subprocess.run([mount, "-t", "tmpfs", "-o", size, "tmpfs", folder], check=False)
    if mounted.returncode:
        pytest.skip("only root can mount a small file system")
    filler = folder / "filler"

    def fill(_: Child) -> Callable[[], None]:
        with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
            while True:
                file.write(bytes(4096))
        return filler.unlink

    try:
        yield fill
    finally:
        subprocess.run([umount, "--lazy", folder], check=True)


@contextmanager
def limited_files(folder: Path) -> Iterator[Storage]:
    """A limit on the size of the process's files, as a quota is one; anybody can have it."""

    def limit(child: Child) -> Callable[[], None]:
        _, hard = resource.prlimit(child.pid, resource.RLIMIT_FSIZE)
        size = (folder / "holdfast.db-wal").stat().st_size
        resource.prlimit(child.pid, resource.RLIMIT_FSIZE, (size, hard))
        return lambda: resource.prlimit(child.pid, resource.RLIMIT_FSIZE, (hard, hard)) and None

    yield limit


@contextmanager
def killed_server(_: Path) -> Iterator[tuple[Storage, str]]:
    """A PostgreSQL server that dies of kill -9 and is started again."""
    programs = find_server()
    if programs is None:
        pytest.skip("no PostgreSQL server is installed in /usr/lib/postgresql")
    with server(programs) as running:

        def kill(_: Child) -> Callable[[], None]:
            running.kill9()
            return running.start

        yield kill, running.database()


def ours(mailbox: MailboxServer, code: str) -> list[str]:
    """The phases of what the holder of `code` has sent, the other side being there."""
    tables = mailbox.tables()
    [place] = [row for row in tables.nameplates if row["name"] == code.partition("-")[0]]
    messages = [row for row in tables.messages if row["mailbox_id"] == place["mailbox_id"]]
    sides = list(dict.fromkeys(row["side"] for row in messages))
    if len(sides) < 2:
        return []
    return [row["phase"] for row in messages if row["side"] == sides[0]]


def counts(database: str, environ: Mapping[str, str] = {"HOLDFAST_KEY": KEY}) -> Mapping[str, int]:
    """How many flows have each status."""
    url = f"sqlite:///{database}" if database.startswith("/") else database
    journal = SqlJournal.open_inline(url, environ=environ)
    try:
        return journal.counts()
    finally:
        journal.close()


STORAGES: Mapping[str, tuple[Callable[[Path], Any], str]] = {
    "full_disk": (full_disk, "database or disk is full"),
    "limited_files": (limited_files, r"disk I/O error \(SQLITE_IOERR_WRITE: the disk may be full"),
    "killed_server": (killed_server, "OperationalError|closed|terminat|connection"),
}


@pytest.fixture(params=STORAGES)
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Any, str, Path]]:
    """Storage, what a command says when it fails, and a folder that may be on it."""
    make, says = STORAGES[request.param]
    folder = tmp_path / "storage"
    folder.mkdir()
    with make(folder) as made:
        yield made, says, folder


def test_everything_waits(
    storage: tuple[Any, str, Path],
    tmp_path: Path,
    mailbox: MailboxServer,
    stock: StockReceivers,
) -> None:
    """While storage fails nobody is answered, status can be read, and then everything goes on."""
    people = tmp_path / "people.csv"
    people.write_text(PEOPLE)
    made, says, folder = storage
    fail, database = made if isinstance(made, tuple) else (made, str(folder / "holdfast.db"))
    home = Holdfast(tmp_path / "home", mailbox.url, database, {"HOLDFAST_KEY": KEY})
    # Made before, so that SQLite's write-ahead log is empty and has to grow.
    counts(database)
    with home.start("provision", people) as child:
        ann = child.wait_for("^ann\t(\\S+)$")[1]
        bob = child.wait_for("^bob\t(\\S+)$")[1]
        mend = fail(child)
        asked = [stock.receive(code, f"{code} of {tmp_path}") for code in (ann, bob)]
        child.wait_for(f"cannot be used now: .*({says})", stream="err")
        until(lambda: ours(mailbox, ann) and ours(mailbox, bob), "the other sides")
        assert ours(mailbox, ann) == ours(mailbox, bob) == ["pake"]
        if database.startswith("/"):
            shown = run(Path(database), "status", HOLDFAST_KEY=KEY)
            assert shown.exit_code == 0, shown.output
            assert "2 flows: 2 waiting." in shown.stdout
        assert not stock.ended & set(asked)
        mend()
        assert [stock.wait(each) for each in asked] == [
            Received(True, "one"),
            Received(True, "two"),
        ]
        ended = child.wait()
    assert ended.status == 0, ended
    assert ended.err.count("cannot be used now") == 1, ended.err
    assert ended.err.count("can be used again") == 1, ended.err
    assert counts(database) == {"done": 2}


@pytest.fixture(scope="module")
def _attaching() -> None:
    if not can_attach():
        pytest.skip("strace is not installed, or may not look at other processes")


@pytest.mark.usefixtures("_attaching")
def test_a_failed_fsync(home: Holdfast, stock: StockReceivers, tmp_path: Path) -> None:
    """It is never tried again: the process says so and ends, and the next one goes on."""
    people = tmp_path / "people.csv"
    people.write_text(PEOPLE)
    with home.start("provision", people) as child:
        ann = child.wait_for("^ann\t(\\S+)$")[1]
        bob = child.wait_for("^bob\t(\\S+)$")[1]
        calls = "fsync,fdatasync"
        words = ["-f", "-p", str(child.pid), "-e", f"trace={calls}"]
        words += ["-e", f"inject={calls}:error=EIO", "-o", os.devnull]
        with Child(["strace", *words]) as tracer:
            until(lambda: "attach" in tracer.err, tracer.describe)
            asked = [stock.receive(code, f"{code} of {tmp_path}") for code in (ann, bob)]
            ended = child.wait()
    assert ended.status == 1
    assert "the disk under" in ended.err
    assert "start again to continue from what is on the disk" in ended.err
    assert "Traceback" not in ended.err
    assert not stock.ended & set(asked)
    with home.start("provision", people) as child:
        assert [stock.wait(each) for each in asked] == [
            Received(True, "one"),
            Received(True, "two"),
        ]
        assert child.wait().status == 0
    assert counts(str(home.db), environ={}) == {"done": 2}


@pytest.mark.parametrize(
    "words", [("provision", "people.csv"), ("send", "--text", "hi"), ("receive", "4-a-b")]
)
def test_gone_before_anything_was_started(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database that goes away when it has just been opened is one line, too."""

    def gone(*_: object) -> str:
        raise DatabaseAway("the database cannot be used: connection refused", "connection refused")

    open_at(tmp_path / "x.db").close()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(SqlJournal, "fingerprint", gone)
    (tmp_path / "people.csv").write_text(PEOPLE)
    failed(run(tmp_path / "x.db", *words), "connection refused")
