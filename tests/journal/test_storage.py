"""When storage fails: nothing leaves whose entry is not there, and everything goes on afterwards.

Failures on demand are in `test_writer`; here are locks, servers and lines that really fail.
"""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import NullPool

from holdfast_journal import (
    DatabaseAway,
    DatabaseUnusable,
    JournalBroken,
    JournalStopped,
    SqlJournal,
)
from holdfast_journal.commits.backlog import MOST_BYTES, MOST_COMMITS
from holdfast_journal.store import postgresql, sqlite
from holdfast_journal.store.trouble import ErrorKind, trouble
from tests.journal.conftest import Journals
from tests.journal.helpers import (
    PATIENCE,
    ManualReactor,
    at_commit,
    disk_failed,
    locked,
    run,
    start,
)
from tests.journal.postgres import Server
from tests.journal.proxy import At, Proxy, proxy


@pytest.fixture
def reactor() -> ManualReactor:
    return ManualReactor()


def stop(journal: SqlJournal, reactor: ManualReactor) -> None:
    stopped = journal.stop()
    reactor.until(lambda: stopped.called)


@contextmanager
def away() -> Iterator[Callable[[], None]]:
    """Let every COMMIT of the writer's fail until the function that this gives is called."""
    there = threading.Event()

    def fail(_connection: object) -> None:
        if threading.current_thread().name == "journal" and not there.is_set():
            raise locked()

    with at_commit(fail):
        yield there.set


class TestPressure:
    def test_a_database_that_does_not_answer(
        self, journals: Journals, reactor: ManualReactor
    ) -> None:
        """Whoever reads from sockets is told to pause, and to go on when the database answers."""
        told: list[bool] = []
        journal = journals.open("sqlite://", reactor=reactor, on_pressure=told.append)
        (ada,) = run(journal, "ada")
        with away() as answers:
            ada.event()
            reactor.until(lambda: told)
            late: list[bool] = []
            journal.pressure.listen(late.append)
            assert (told, late, ada.released) == ([True], [True], [])
            answers()
            reactor.until(lambda: ada.released)
        assert told == late == [True, False]
        stop(journal, reactor)

    @pytest.mark.parametrize(
        ("body", "enough"), [(b"", MOST_COMMITS), (b"x" * (MOST_BYTES // 8), 7)]
    )
    def test_too_much_waits(
        self, journals: Journals, reactor: ManualReactor, body: bytes, enough: int
    ) -> None:
        """Whether they are many or large, there is a bound, and half of it must be gone again."""
        told: list[tuple[bool, int]] = []
        journal = journals.open(
            "sqlite://",
            reactor=reactor,
            on_pressure=lambda high: told.append((high, len(ada.released))),
        )
        (ada,) = run(journal, "ada")
        for _ in range(enough):
            ada.event(body)
        assert told == []
        ada.event(body)
        assert told == [(True, 0)]
        stop(journal, reactor)
        assert [high for high, _ in told] == [True, False]
        assert told[1][1] >= enough // 2
        assert ada.released == list(range(1, enough + 2))

    def test_a_late_answer(self, journals: Journals, reactor: ManualReactor) -> None:
        """A database that says nothing at all for a while is noticed, too."""
        told: list[bool] = []
        journal = journals.open("sqlite://", reactor=reactor, on_pressure=told.append)
        (ada,) = run(journal, "ada")
        held, go_on = threading.Event(), threading.Event()

        def hold(_connection: object) -> None:
            if threading.current_thread().name == "journal":
                held.set()
                assert go_on.wait(PATIENCE)

        with at_commit(hold):
            ada.event()
            reactor.turn()
            assert held.wait(PATIENCE)
            reactor.pass_time()
            assert (told, ada.released) == ([True], [])
            go_on.set()
            reactor.until(lambda: ada.released)
        assert told == [True, False]
        reactor.pass_time()
        assert reactor.timers == []
        stop(journal, reactor)

    def test_who_stops_does_not_wait_for_ever(
        self, journals: Journals, reactor: ManualReactor
    ) -> None:
        """stop() with patience ends without the database; what it did not take never leaves."""
        journal = journals.open("sqlite://", reactor=reactor)
        (ada,) = run(journal, "ada")
        with away() as answers:
            ada.event()
            reactor.until(lambda: journal.pressure.high)
            stopped = journal.stop(10.0)
            failures: list[JournalStopped] = []
            stopped.addErrback(lambda failure: failures.append(failure.value))
            assert failures == []
            reactor.pass_time()
            assert "not saved was not sent" in str(failures[0])
            with pytest.raises(JournalStopped):
                ada.event()
            answers()
            # What the thread still has to say changes nothing.
            while not reactor.threads.empty():
                reactor.wait()
        assert ada.released == []
        assert reactor.timers == []


class TestLocks:
    def test_a_lock_that_does_not_clear(
        self,
        url: str,
        journals: Journals,
        reactor: ManualReactor,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """While somebody else holds a lock everything waits, unchanged, and says so."""
        for kind in (sqlite, postgresql):
            monkeypatch.setattr(kind, "BUSY_TIMEOUT", 0.05)
        journal = journals.open(url, reactor=reactor)
        ada, bob = run(journal, "ada", "bob")
        with _lock_everything(url):
            ada.event()
            bob.event()
            reactor.until(lambda: journal.pressure.high)
            with pytest.raises(DatabaseAway, match="lock"):
                start(journal, "eve")
            assert ada.released == bob.released == []
            if url.startswith("sqlite"):
                assert len(journals.open(url).overview()) == 2, "it can be read all the time"
        reactor.until(lambda: not journal.pressure.high and bob.released)
        assert (ada.released, bob.released) == ([1], [1])
        assert [row.seq for row in journal.history(ada.taken.id)] == [1]
        stop(journal, reactor)

    def test_a_deadlock(
        self, postgres: Server, upgraded: str, journals: Journals, reactor: ManualReactor
    ) -> None:
        """The transaction that PostgreSQL sacrifices is written again, as it was."""
        url = postgres.database(upgraded)
        engine = _engine(url)
        with engine.begin() as other:
            other.execute(text("CREATE TABLE mine (value int)"))
            other.execute(text("INSERT INTO mine VALUES (1)"))
            # The writer looks for deadlocks when we have made one; we do not look at all.
            name = engine.url.database
            other.execute(text(f"ALTER DATABASE {name} SET deadlock_timeout = '2s'"))
        journal = journals.open(url, reactor=reactor)
        ada, bob = run(journal, "ada", "bob")
        with engine.connect() as other, other.begin():
            other.execute(text("SET deadlock_timeout = '1h'"))
            other.execute(text("UPDATE mine SET value = 0"))
            with ada.taken.journal.process():
                ada.taken.journal.execute(text("UPDATE mine SET value = value + 10"))
                ada.event()
            bob.event()
            reactor.turn()
            while not other.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted")):
                pass
            # The writer has ada's row and waits for ours.
            query = text("SELECT seq FROM holdfast_flows WHERE id = :id FOR UPDATE")
            assert other.scalar(query, {"id": ada.taken.id}) == 0
            reactor.until(lambda: journal.pressure.high)
            assert ada.released == bob.released == []
        reactor.until(lambda: bob.released)
        assert (ada.released, bob.released) == ([1], [1])
        with engine.connect() as other:
            assert other.scalar(text("SELECT value FROM mine")) == 10
        stop(journal, reactor)


@contextmanager
def _lock_everything(url: str) -> Iterator[None]:
    if url.startswith("sqlite"):
        path = make_url(url).database
        assert path is not None
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield
            other.execute("ROLLBACK")
    else:
        with _engine(url).connect() as connection, connection.begin():
            connection.execute(text("LOCK TABLE holdfast_flows IN ACCESS EXCLUSIVE MODE"))
            yield


def _engine(url: str):  # type: ignore[no-untyped-def]
    return create_engine(make_url(url).set(drivername="postgresql+psycopg"), poolclass=NullPool)


class TestServer:
    @pytest.fixture
    def line(self, postgres: Server) -> Iterator[Proxy]:
        with proxy(postgres.folder) as made:
            yield made

    @pytest.mark.parametrize("at", list(At))
    def test_around_a_commit(
        self,
        postgres: Server,
        upgraded: str,
        journals: Journals,
        reactor: ManualReactor,
        line: Proxy,
        at: At,
    ) -> None:
        """A line that breaks at COMMIT, before or behind it, or an answer that comes late.

        The batch is written once, and released once, and only when it is known to be there.
        """
        url = postgres.database(upgraded)
        journal = journals.open(
            url.replace(str(postgres.folder), str(line.folder)), reactor=reactor
        )
        ada, bob = run(journal, "ada", "bob")
        line.at = at
        ada.event()
        bob.event()
        reactor.turn()
        assert line.came.wait(PATIENCE)
        assert ada.released == bob.released == []
        if at is At.LATE:
            written = journals.open(url).history(ada.taken.id)
            assert [row.seq for row in written] == [1], "it is there, and nobody knows it"
            reactor.turn()
            assert ada.released == []
            line.go_on.set()
        reactor.until(lambda: bob.released)
        assert (ada.released, bob.released, ada.lost) == ([1], [1], [])
        ada.event()
        reactor.until(lambda: len(ada.released) == 2)
        assert [row.seq for row in journal.history(ada.taken.id)] == [1, 2]
        stop(journal, reactor)

    def test_killed(
        self, postgres: Server, upgraded: str, journals: Journals, reactor: ManualReactor
    ) -> None:
        """A server that dies of kill -9 in the middle of commits, and comes back, costs nothing."""
        url = postgres.database(upgraded)
        journal = journals.open(url, reactor=reactor)
        runners = run(journal, *(f"flow {n}" for n in range(10)))

        def next_event(runner: object, left: int) -> None:
            event = runner.event  # type: ignore[attr-defined]
            event()
            if left:
                queue = runner.taken.journal.queue_outbound  # type: ignore[attr-defined]
                queue(partial(next_event, runner, left - 1))

        for runner in runners:
            next_event(runner, 40)
        reactor.until(lambda: len(runners[-1].released) > 5)
        postgres.kill9()
        reactor.until(lambda: journal.pressure.high)
        before = [len(runner.released) for runner in runners]
        with pytest.raises(DatabaseAway):
            journal.requests()
        assert [len(runner.released) for runner in runners] == before
        postgres.start()
        reactor.until(lambda: all(len(runner.released) == 41 for runner in runners))
        for runner in runners:
            assert runner.released == list(range(1, 42))
            seqs = [row.seq for row in journal.history(runner.taken.id)]
            assert seqs == runner.released
        stop(journal, reactor)


def test_a_disk_that_fails_under_somebody_else(
    url: str, journals: Journals, reactor: ManualReactor
) -> None:
    """After a failed fsync nothing more is written, whichever transaction it was that met it."""
    broken: list[JournalBroken] = []
    journal = journals.open(url, reactor=reactor, on_fatal=broken.append)
    (ada,) = run(journal, "ada")

    def fail(_connection: object) -> None:
        raise disk_failed()

    with at_commit(fail), pytest.raises(DatabaseUnusable, match="disk I/O error") as caught:
        start(journal, "bob")
    assert not isinstance(caught.value, DatabaseAway)
    ada.event()
    reactor.until(lambda: broken)
    assert ada.released == []
    other = journals.open(url)
    assert (len(other.overview()), other.history(ada.taken.id)) == (1, [])


def _sqlite(name: str) -> OperationalError:
    error = sqlite3.OperationalError("some words")
    error.sqlite_errorcode = getattr(sqlite3, name)
    error.sqlite_errorname = name
    return OperationalError("COMMIT", {}, error)


@pytest.mark.parametrize(
    ("error", "means"),
    [
        (_sqlite("SQLITE_FULL"), ErrorKind.PASSING),
        (_sqlite("SQLITE_BUSY"), ErrorKind.PASSING),
        (_sqlite("SQLITE_IOERR_WRITE"), ErrorKind.PASSING),
        (_sqlite("SQLITE_IOERR_FSYNC"), ErrorKind.BROKEN),
        (_sqlite("SQLITE_IOERR_READ"), ErrorKind.BROKEN),
        (_sqlite("SQLITE_CORRUPT"), ErrorKind.BROKEN),
        (_sqlite("SQLITE_ERROR"), ErrorKind.REFUSED),
        (PoolTimeout("nobody gives a connection back"), ErrorKind.PASSING),
        (InterfaceError("", {}, Exception("the connection is closed")), ErrorKind.PASSING),
        (DBAPIError("", {}, Exception("something else")), ErrorKind.REFUSED),
    ],
)
def test_what_an_error_means(error: Exception, means: ErrorKind) -> None:
    """What may pass is waited out; what fsync lost is not; nor is what will never work."""
    assert trouble(error) is means  # type: ignore[arg-type]


def test_a_lasting_trouble_is_not_waited_for(journals: Journals) -> None:
    """Only what may pass by itself is called away: the others are final."""
    journal = journals.open("sqlite://")
    with pytest.raises(DatabaseUnusable) as caught, journal._database.reading() as connection:
        connection.execute(text("SELECT * FROM nowhere"))
    assert not isinstance(caught.value, DatabaseAway)
