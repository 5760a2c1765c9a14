"""An SQLite file is what it is by any name, stays where it is, and is not touched by who looks."""

import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import select, update

from holdfast_journal import (
    DatabaseUnusable,
    JournalBroken,
    JournalStopped,
    KeyRing,
    OlderSchema,
    SqlJournal,
)
from holdfast_journal.doctor.health import check
from holdfast_journal.errors import DatabaseAway, DatabaseMoved
from holdfast_journal.keys.files import add_key
from holdfast_journal.store.database import Database
from holdfast_journal.store.schema import batches, workers
from holdfast_journal.workers.file_locks import FileLocks
from holdfast_journal.workers.locks import locks_for
from holdfast_journal.workers.registration import Registration
from holdfast_journal.workers.term import Term
from tests.harness.process import Child
from tests.harness.waiting import until
from tests.journal.conftest import Journals
from tests.journal.helpers import ManualReactor, run, start

HEX = "ab" * 32


@pytest.fixture
def journals() -> Iterator[Journals]:
    """Journals under the key that other processes get too."""
    made = Journals(KeyRing.parse(HEX, "a test"))
    yield made
    for journal in made.opened:
        journal.close()


@pytest.fixture
def path(upgraded_file: Path, folder: Path) -> Path:
    """An SQLite database with the current schema."""
    shutil.copy(upgraded_file, folder / "journal.db")
    return folder / "journal.db"


def files(folder: Path) -> Mapping[str, tuple[bytes, int, int]]:
    """What a folder holds; of the index of a log, which every reader shares, only its name."""
    return {
        each.name: (b"", 0, 0)
        if each.name.endswith("-shm")
        else (each.read_bytes(), each.stat().st_mtime_ns, each.stat().st_mode)
        for each in folder.iterdir()
    }


# A process that opens the journal twice, closes one, starts a flow after each line that it reads,
# and is then killed. With an argument it opens the file as release 0.2.0 did.
TWICE = """
import os, sys
from pathlib import Path
from holdfast_journal import NewFlow, SqlJournal
from holdfast_journal.store import place
if len(sys.argv) > 2:
    careful = place.find
    def careless(path, **options):
        found = careful(path, **options)
        os.close(os.open(found, os.O_CREAT | os.O_RDWR, 0o600))
        return found
    place.find = careless
url = f"sqlite:///{sys.argv[1]}"
one = SqlJournal.open_inline(url)
one.start_flows("batch", [NewFlow("before", "test", b"")], own=True)
SqlJournal.open_inline(url).close()
print("opened", flush=True)
sys.stdin.readline()
one.start_flows("batch", [NewFlow("after", "test", b"")])
print("committed", flush=True)
sys.stdin.readline()
"""


# A process that opens the journal and closes it, again and again.
COMES_AND_GOES = """
import sys
from holdfast_journal import SqlJournal
for _ in range(100):
    SqlJournal.open_inline(sys.argv[1]).close()
"""


def names_after_a_kill(path: Path, *careless: str) -> list[str]:
    """The flows that are there after somebody has looked, and the process has died."""
    program = [sys.executable, "-c", TWICE, str(path), *careless]
    with Child(program, stdin=subprocess.PIPE, env=environment()) as process:
        process.wait_for("^opened$")
        # As any command does that is not one of those that only look.
        other = f"from holdfast_journal import SqlJournal; SqlJournal.open_inline('sqlite:///{path}').close()"
        said_by([sys.executable, "-c", other])
        process.write("\n")
        until(lambda: "committed" in process.out or not process.alive, process.describe)
    journal = SqlJournal.open_inline(f"sqlite:///{path}", environ=environment())
    try:
        return [each.name for each in journal.overview()]
    finally:
        journal.close()


# As `cp` does it: into the file that is there. In a process of its own, since a descriptor that is
# closed in ours would cost SQLite its locks.
COPY = "import shutil, sys; shutil.copyfile(sys.argv[1], sys.argv[2])"


def environment() -> dict[str, str]:
    return {**os.environ, "HOLDFAST_KEY": HEX}


def said_by(words: Sequence[str | Path]) -> str:
    """What a program prints that ends well."""
    with Child(words, env=environment()) as child:
        ended = child.wait()
    assert ended.status == 0, ended
    return ended.out


class TestOpenedTwice:
    def test_nothing_is_lost(self, path: Path) -> None:
        """What a process commits is there when it dies, though it opened the file twice."""
        assert names_after_a_kill(path) == ["before", "after"]

    def test_a_careless_opener_is_found_out(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The test before can fail: a descriptor that is opened and closed costs the log.

        Holdfast notices that by now; it did not say that it had committed.
        """
        assert names_after_a_kill(path, "careless") != ["before", "after"]

    def test_no_descriptor_but_sqlites(
        self, path: Path, journals: Journals, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whatever is done with a database, Python opens neither it nor its log."""
        opened: list[str] = []

        def opening(event: str, arguments: tuple[object, ...]) -> None:
            if event == "open" and recording:
                opened.append(os.fsdecode(str(arguments[0])))

        recording = True
        sys.addaudithook(opening)
        try:
            url = f"sqlite:///{path}"
            journal = journals.open(url)
            run(journal, "ada")
            journal.shred_due()
            looking = journals.open(url, looks=True)
            looking.overview()
            assert looking.checks.database() == []
            looking.close()
            journals.open(url).close()
            check(url, environment())
        finally:
            recording = False
        assert [
            each for each in opened if Path(each).name in ("journal.db", "journal.db-wal")
        ] == []

    def test_no_descriptor_for_a_copy(self, path: Path, journals: Journals) -> None:
        """Not even where a database is copied to be looked at: SQLite does it."""
        names = names_after_a_kill_left(path)
        path.with_name("journal.db-shm").unlink()
        opened: list[str] = []

        def opening(event: str, arguments: tuple[object, ...]) -> None:
            if event == "open" and recording:
                opened.append(os.fsdecode(str(arguments[0])))

        recording = True
        sys.addaudithook(opening)
        try:
            looking = journals.open(f"sqlite:///{path}", looks=True)
        finally:
            recording = False
        assert [each.name for each in looking.overview()] == names
        assert str(path.with_name("journal.db-wal")) in opened
        assert str(path) not in opened

    def test_a_new_file_is_made_by_one(self, folder: Path, journals: Journals) -> None:
        """Threads that open a missing file at once share one database."""
        url = f"sqlite:///{folder}/new.db"
        errors: list[Exception] = []

        def open_it(name: str) -> None:
            try:
                start(journals.open(url), name)
            except Exception as error:  # noqa: BLE001
                errors.append(error)

        threads = [threading.Thread(target=open_it, args=(f"n{n}",)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []
        names = {each.name for each in journals.open(url).overview()}
        assert names == {"n0", "n1", "n2", "n3"}


class TestNames:
    def test_a_symbolic_link(self, path: Path, folder: Path) -> None:
        """Through a link the log, the key and the locks are those of the file."""
        link = folder / "link" / "other.db"
        link.parent.mkdir()
        link.symlink_to(path)
        journal = SqlJournal.open_inline(f"sqlite:///{link}", environ={})
        assert journal.made_key == path.with_name("journal.db.key")
        start(journal, "ada", batch="b")
        journal.take()
        other = SqlJournal.open_inline(f"sqlite:///{path}", environ={})
        assert [each.owner_alive for each in other.overview()] == [True]
        other.close()
        journal.close()
        assert list(link.parent.iterdir()) == [link]

    def test_a_key_beside_a_link(self, path: Path, folder: Path) -> None:
        """A key that an earlier release made beside the link is used still."""
        link = folder / "link.db"
        link.symlink_to(path)
        SqlJournal.open_inline(f"sqlite:///{link}", environ={}).close()
        path.with_name("journal.db.key").rename(folder / "link.db.key")
        journal = SqlJournal.open_inline(f"sqlite:///{link}", environ={})
        assert journal.made_key is None
        journal.close()

    @pytest.mark.parametrize("looks", [False, True])
    def test_hard_links(self, path: Path, journals: Journals, looks: bool) -> None:
        """A file with two names is refused, with the remedy; then it is left alone."""
        os.link(path, path.with_name("second.db"))
        before = files(path.parent)
        with pytest.raises(DatabaseUnusable, match=r"2 names .*copy the file with cp"):
            journals.open(f"sqlite:///{path}", looks=looks)
        assert files(path.parent) == before

    def test_a_mount(self, path: Path, journals: Journals, monkeypatch: pytest.MonkeyPatch) -> None:
        """A file that is in use under another name, as bind mounts give it, is refused.

        A rename of its directory stands for the mount: there too the log has another name.
        """
        monkeypatch.setattr("holdfast_journal.store.place.OTHER_NAME", 0.1)
        journal = journals.open(f"sqlite:///{path}")
        other = path.with_name("other.db")
        path.rename(other)
        with pytest.raises(DatabaseUnusable, match="under another name"):
            journals.open(f"sqlite:///{other}")
        journal.close()
        journals.open(f"sqlite:///{other}").close()


def moved(path: Path) -> None:
    path.rename(path.with_name("elsewhere.db"))


def deleted(path: Path) -> None:
    path.unlink()


def replaced(path: Path) -> None:
    other = path.with_name("restored.db")
    shutil.copy(path, other)
    other.replace(path)


def log_deleted(path: Path) -> None:
    path.with_name(path.name + "-wal").unlink()


def log_replaced(path: Path) -> None:
    log = path.with_name(path.name + "-wal")
    copy = path.with_name("copy")
    copy.write_bytes(log.read_bytes())
    copy.replace(log)


HAPPENINGS = [moved, deleted, replaced, log_deleted, log_replaced]


def seen_by_another(locks: Path) -> str:
    """What another process finds out from a file of locks about worker 7, and the service."""
    program = f"""
from pathlib import Path
from holdfast_journal.errors import AlreadyServed
from holdfast_journal.workers.file_locks import FileLocks
locks = FileLocks(Path({str(locks)!r}))
alive = "alive" if locks.is_alive(7) else "dead"
locks.hold(8)
try:
    locks.serve()
    served = "free"
except AlreadyServed as error:
    served = str(error).partition(" serves")[0] + " serves"
print(f"{{alive}}, {{served}}")
"""
    return said_by([sys.executable, "-c", program])


class TestTakenAway:
    @pytest.mark.parametrize("happens", HAPPENINGS)
    def test_while_it_is_written(
        self, path: Path, journals: Journals, happens: Callable[[Path], None]
    ) -> None:
        """Nothing is released of what was written to a file that nobody will find."""
        broken: list[JournalBroken] = []
        reactor = ManualReactor()
        journal = journals.open(f"sqlite:///{path}", reactor=reactor, on_fatal=broken.append)
        (runner,) = run(journal, "ada")
        happens(path)
        runner.event()
        reactor.until(lambda: broken)
        assert runner.released == []
        assert str(path) in str(broken[0])
        assert "while it was in use" in str(broken[0])
        with pytest.raises(JournalStopped):
            runner.event()

    @pytest.mark.parametrize("happens", HAPPENINGS)
    def test_between_a_commit_and_its_release(
        self, path: Path, journals: Journals, happens: Callable[[Path], None]
    ) -> None:
        """Also if it happens while a transaction is under way."""
        database = Database.open(f"sqlite:///{path}")
        with pytest.raises(DatabaseMoved), database.writing():
            happens(path)
        database.close()

    def test_a_link_that_is_led_elsewhere(self, path: Path, folder: Path) -> None:
        """Others find another database there; whoever has the first one open says so and ends."""
        link, other = folder / "link.db", folder / "other.db"
        link.symlink_to(path)
        shutil.copy(path, other)
        database = Database.open(f"sqlite:///{link}")
        with database.writing():
            pass
        link.unlink()
        link.symlink_to(other)
        with pytest.raises(DatabaseMoved, match=f"{link} was led away from the database {path}"):
            with database.reading():
                pass
        database.close()

    @pytest.mark.parametrize("happens", HAPPENINGS)
    def test_while_it_is_read(
        self, path: Path, journals: Journals, happens: Callable[[Path], None]
    ) -> None:
        """No flow of another file is taken for one of ours, in one line for the operator."""
        journal = journals.open(f"sqlite:///{path}")
        start(journal, "ada")
        happens(path)
        with pytest.raises(DatabaseUnusable, match=f"{path}.* while it was in use") as caught:
            journal.take()
        assert "\n" not in str(caught.value)

    def test_a_new_database_keeps_its_log(self, path: Path, journals: Journals) -> None:
        """Whoever had the old file open takes nothing from the new one when it closes."""
        url = f"sqlite:///{path}"
        old = journals.open(url)
        start(old, "ada")
        path.rename(path.with_name("elsewhere.db"))
        shutil.copy(path.with_name("elsewhere.db"), path)
        path.with_name(path.name + "-wal").unlink()
        path.with_name(path.name + "-shm").unlink()
        new = journals.open(url)
        start(new, "bob")
        old.close()
        assert path.with_name(path.name + "-wal").exists()
        start(new, "carol")
        new.close()
        names = {each.name for each in journals.open(url).overview()}
        assert {"bob", "carol"} <= names

    def test_another_copy_in_the_same_file(
        self, path: Path, folder: Path, journals: Journals
    ) -> None:
        """`cp` keeps the file and changes all that is in it; its flows are not ours to take."""
        other = folder / "other.db"
        shutil.copy(path, other)
        restored = journals.open(f"sqlite:///{other}")
        start(restored, "zoe")
        restored.close()
        journal = journals.open(f"sqlite:///{path}")
        run(journal, "ada")
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        # A process of its own: closing the file in this one would drop SQLite's locks.
        said_by([sys.executable, "-c", COPY, other, path])
        with pytest.raises(DatabaseUnusable, match="does not know this process any more"):
            journal.take()

    @pytest.mark.parametrize("change", [{"pid": 1}, {"started_at": 1.0}])
    def test_a_database_that_does_not_know_us(self, url: str, change: Mapping[str, float]) -> None:
        """The same number is another worker there; nothing is let out, by no kind of database."""
        now = 1000.0
        database = Database.open(url)
        us = Registration(database, lambda: now, locks_for(database), term=Term(uptime=lambda: now))
        us.id()
        now += us.term.lease / 2
        us.keep()
        with database.writing() as connection:
            connection.execute(update(workers).values(**change))
        now += us.term.lease / 2
        with pytest.raises(DatabaseMoved, match="does not know this process any more"):
            us.keep()
        assert not us.holds()
        us.drop()
        database.close()

    @pytest.mark.parametrize("instead", [None, b"a file that somebody restored"])
    def test_a_file_of_locks(self, path: Path, instead: bytes | None) -> None:
        """A worker whose file of locks is deleted or replaced holds them in the next one again."""
        locks = FileLocks(path.with_name("journal.db.workers"))
        locks.hold(7)
        locks.serve()
        assert locks.keep()
        locks.path.unlink()
        if instead is not None:
            locks.path.write_bytes(instead)
        assert seen_by_another(locks.path) == "dead, free\n"
        assert not locks.keep()  # others may have taken it for dead
        assert locks.keep()
        assert seen_by_another(locks.path) == f"alive, process {os.getpid()} serves\n"
        locks.drop()
        assert seen_by_another(locks.path) == "dead, free\n"

    def test_no_locks_beside_another_database(self, path: Path) -> None:
        """There the same number is another worker."""
        database = Database.open(f"sqlite:///{path}")
        locks = locks_for(database)
        locks.hold(7)
        replaced(path)
        path.with_name("journal.db.workers").unlink()
        with pytest.raises(DatabaseMoved):
            locks.keep()
        assert not path.with_name("journal.db.workers").exists()
        locks.drop()
        database.close()

    def test_doctor_notices(self, path: Path, journals: Journals) -> None:
        """A log that was deleted under a living worker is found from another process."""
        url = f"sqlite:///{path}"
        journal = journals.open(url)
        run(journal, "ada")
        journals.open(url, looks=True).close()
        program = (
            "import sys; from holdfast_journal import SqlJournal\n"
            f"journal = SqlJournal.look({url!r})\n"
            "print([each.what for each in journal.checks.database()])"
        )
        asking = [sys.executable, "-c", program]

        assert said_by(asking) == "[]\n"
        log_deleted(path)
        assert "write-ahead log (-wal) was deleted under it" in said_by(asking)


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Nobody but root can write there."""
    for each in folder.iterdir():
        each.chmod(0o400)
    folder.chmod(0o500)
    try:
        yield
    finally:
        folder.chmod(0o700)


class TestLooking:
    def test_at_a_backup(self, path: Path, journals: Journals) -> None:
        """Nothing is left beside a copy, and nothing in it changes."""
        journal = journals.open(f"sqlite:///{path}")
        run(journal, "ada")
        copy = path.parent / "backup" / "copy.db"
        copy.parent.mkdir()
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
        before = files(copy.parent)
        url = f"sqlite:///{copy}"
        looking = journals.open(url, looks=True)
        assert [each.name for each in looking.overview()] == ["ada"]
        assert looking.checks.database() == []
        looking.close()
        check(url, environment())
        assert files(copy.parent) == before

    def test_beside_a_service(self, path: Path, journals: Journals) -> None:
        """What is committed is seen, and nothing is written."""
        url = f"sqlite:///{path}"
        journal = journals.open(url)
        run(journal, "ada")
        before = files(path.parent)
        looking = journals.open(url, looks=True)
        assert [(each.name, each.owner_alive) for each in looking.overview()] == [("ada", True)]
        start(journal, "bob")
        assert [each.name for each in looking.overview()] == ["ada", "bob"]
        looking.close()
        after = files(path.parent)
        assert after.keys() == before.keys()
        assert after["journal.db"] == before["journal.db"]

    def test_after_a_death(self, path: Path, journals: Journals) -> None:
        """What a killed process has left in the log is seen, and stays there."""
        names = names_after_a_kill_left(path)
        before = files(path.parent)
        looking = journals.open(f"sqlite:///{path}", looks=True)
        assert [each.name for each in looking.overview()] == names
        looking.close()
        assert files(path.parent) == before

    @pytest.mark.parametrize("without", [(), ("-shm",)])
    def test_where_nothing_can_be_written(
        self, path: Path, journals: Journals, without: tuple[str, ...]
    ) -> None:
        """A log that was copied with its database is read too, from a folder that is read-only."""
        names = names_after_a_kill_left(path)
        for ending in without:
            path.with_name(path.name + ending).unlink()
        before = files(path.parent)
        with read_only(path.parent):
            looking = journals.open(f"sqlite:///{path}", looks=True)
            assert [each.name for each in looking.overview()] == names
            looking.close()
        assert files(path.parent).keys() == before.keys()

    def test_a_writer_that_comes_meanwhile(self, path: Path, journals: Journals) -> None:
        """What it commits is seen from the next look on."""
        looking = journals.open(f"sqlite:///{path}", looks=True)
        assert looking.overview() == []
        start(journals.open(f"sqlite:///{path}"), "ada")
        assert [each.name for each in looking.overview()] == ["ada"]
        looking.close()

    def test_while_a_process_comes_and_goes(self, path: Path) -> None:
        """Its log and index come and go one after the other, and every look finds what it needs."""
        url = f"sqlite:///{path}"
        with Child([sys.executable, "-c", COMES_AND_GOES, url], env=environment()) as child:
            while child.alive:
                SqlJournal.look(url, environ=environment()).close()
            assert child.wait().status == 0, child.describe()

    def test_a_file_that_is_written_meanwhile(self, path: Path, journals: Journals) -> None:
        """What was read while the log was taken into the file is not told as true."""
        database = Database.open(f"sqlite:///{path}", looks=True)
        with pytest.raises(DatabaseAway, match="another process began to write"):
            with database.reading():
                writer = journals.open(f"sqlite:///{path}")
                start(writer, "ada")
                writer.close()
        database.close()

    def test_a_writer_that_comes_while_it_is_copied(
        self, path: Path, journals: Journals, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Nor a copy that may be half of one state and half of the next; a journal looks again."""
        names = names_after_a_kill_left(path)
        path.with_name("journal.db-shm").unlink()
        copyfile = shutil.copyfile

        def slowly(*names: Path) -> None:
            copyfile(*names)
            journals.open(f"sqlite:///{path}")

        monkeypatch.setattr("holdfast_journal.store.looking.shutil.copyfile", slowly)
        with pytest.raises(DatabaseAway, match="another process began to write"):
            Database.open(f"sqlite:///{path}", looks=True)
        journals.opened.pop().close()
        looking = SqlJournal.look(f"sqlite:///{path}", environ=environment())
        assert [each.name for each in looking.overview()] == names
        looking.close()

    def test_what_is_not_there(self, path: Path, folder: Path, journals: Journals) -> None:
        """Neither a file nor a schema is made for who looks."""
        with pytest.raises(DatabaseUnusable, match="there is no database"):
            journals.open(f"sqlite:///{folder}/nothing.db", looks=True)
        (folder / "empty.db").touch()
        with pytest.raises(OlderSchema, match="nothing is in the database"):
            journals.open(f"sqlite:///{folder}/empty.db", looks=True)
        assert (folder / "empty.db").read_bytes() == b""
        assert not (folder / "nothing.db").exists()

    def test_nothing_can_be_written(self, path: Path, journals: Journals) -> None:
        """Whoever opened it to look cannot change it by mistake."""
        looking = journals.open(f"sqlite:///{path}", looks=True)
        with pytest.raises(DatabaseUnusable, match="readonly"):
            start(looking, "ada")
        looking.close()


def names_after_a_kill_left(path: Path) -> list[str]:
    """Leave a log that nobody has taken into the database, as `kill -9` does; its flows."""
    program = f"""
import os
from holdfast_journal import KeyRing, NewFlow, SqlJournal
journal = SqlJournal.open_inline("sqlite:///{path}")
journal.start_flows("batch", [NewFlow("ada", "test", b""), NewFlow("bob", "test", b"")])
os.kill(os.getpid(), 9)
"""
    with Child([sys.executable, "-c", program], env=environment()) as child:
        assert child.wait().status == -9
    assert path.with_name(path.name + "-wal").stat().st_size
    return ["ada", "bob"]


class TestLimits:
    def test_a_lock_that_somebody_keeps(
        self, path: Path, journals: Journals, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Nobody waits for ever for a lock of another program, in a transaction least of all."""
        monkeypatch.setattr("holdfast_journal.workers.file_locks.LOOKS_LAST", 0.05)
        program = (
            "import fcntl, sys\n"
            f"file = open({str(path) + '.workers'!r}, 'w+b')\n"
            "fcntl.lockf(file, fcntl.LOCK_EX)\n"
            "print('locked', flush=True)\n"
            "sys.stdin.read()\n"
        )
        with Child([sys.executable, "-c", program], stdin=subprocess.PIPE) as other:
            other.wait_for("^locked$")
            journal = journals.open(f"sqlite:///{path}")
            with pytest.raises(DatabaseUnusable, match=r"keeps .*workers locked"):
                run(journal, "ada")
        assert [each.taken.name for each in run(journal, "bob")] == ["bob"]

    def test_a_key_file_that_somebody_keeps(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Nor for a key file."""
        import fcntl

        from holdfast_journal import WrongKey

        monkeypatch.setattr("holdfast_journal.keys.files.WAITS_FOR", 0.05)
        path = tmp_path / "key"
        path.write_text(HEX)
        with path.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            with pytest.raises(WrongKey, match="another program keeps it locked"):
                add_key(path)
        add_key(path)

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
    def test_locks_made_by_root_are_the_owners(self, path: Path, journals: Journals) -> None:
        """The owner of a database can use the locks that root made beside it."""
        os.chown(path, 12345, 12345)
        journal = journals.open(f"sqlite:///{path}")
        run(journal, "ada")
        found = path.with_name(path.name + ".workers").stat()
        assert (found.st_uid, found.st_gid) == (12345, 12345)

    def test_looking_at_locks_makes_none(self, path: Path) -> None:
        """Nobody is alive where there is no file of locks, and looking makes none."""
        locks = FileLocks(path.with_name(path.name + ".workers"), looks=True)
        assert not locks.is_alive(1)
        assert not locks.is_anybody()
        assert not locks.path.exists()


def test_a_file_that_a_reader_cannot_change(path: Path) -> None:
    """Batches are read through a connection that cannot write, root or not."""
    database = Database.open(f"sqlite:///{path}", looks=True)
    with database.reading() as connection:
        assert connection.execute(select(batches)).all() == []
    database.close()
