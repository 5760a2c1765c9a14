"""A worker that is paused: its flows go to others in time, and it lets nothing of them out."""

import json
import signal
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from attrs import define
from sqlalchemy import event, select, text, update
from sqlalchemy.engine import Connection, Engine

from holdfast_journal import DatabaseUnusable, Fenced, KeyRing, SqlJournal
from holdfast_journal.store.database import Database
from holdfast_journal.store.schema import flows, workers
from tests.harness.process import Child, state
from tests.harness.waiting import until
from tests.journal.conftest import Journals
from tests.journal.helpers import PATIENCE, ManualReactor, Runner, at_commit, locked, run, start
from tests.journal.postgres import Server

KEY = "ab" * 32


@define
class Time:
    """Both clocks of one machine, turned by hand."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now

    def options(self) -> dict[str, Any]:
        return {"clock": self, "uptime": self, "lease": 30.0}


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def file(upgraded_file: Path, folder: Path) -> str:
    """An SQLite file: its leases go by the clock of the test."""
    (folder / "journal.db").write_bytes(upgraded_file.read_bytes())
    return f"sqlite:///{folder}/journal.db"


def names(journal: SqlJournal, **options: Any) -> list[str]:
    return [flow.name for flow in journal.take(**options)]


def kinds(errors: list[Exception]) -> list[type[Exception]]:
    return [type(error) for error in errors]


class TestLease:
    def test_a_silent_worker(self, file: str, journals: Journals, time: Time) -> None:
        """What a worker owns is free when nothing was heard of it for the length of a lease."""
        silent, other = (journals.open(file, **time.options()) for _ in range(2))
        run(silent, "ada")
        time.now += 29
        assert names(other) == []
        assert [worker.alive for worker in other.workers()] == [True, True]
        time.now += 2
        assert other.overview()[0].owner_alive is False
        assert names(other) == ["ada"]

    def test_a_worker_that_looks(self, file: str, journals: Journals, time: Time) -> None:
        """A worker that looks for requests now and then keeps what it has, for ever."""
        busy, other = (journals.open(file, **time.options()) for _ in range(2))
        (ada,) = run(busy, "ada")
        for _ in range(30):
            time.now += 11
            assert busy.requests() == []
            assert names(other) == []
        ada.event()
        assert (ada.released, ada.lost) == ([1], [])

    def test_renewed_by_a_thread(self, url: str, journals: Journals) -> None:
        """With a reactor that turns the lease is renewed although nobody calls any method."""
        reactor = ManualReactor()
        journal, other = journals.open(url, reactor=reactor, lease=4.5), journals.open(url)
        run(journal, "ada")
        seen = {lease(url)}
        while len(seen) < 3:
            reactor.wait()
            seen.add(lease(url))
            assert names(other) == []

    def test_dropped_at_a_clean_end(self, url: str, journals: Journals) -> None:
        """close() leaves no lease behind."""
        journal = journals.open(url)
        run(journal, "ada")
        assert lease(url) is not None
        journal.close()
        assert lease(url) is None

    def test_a_worker_of_the_release_before(
        self, file: str, journals: Journals, time: Time
    ) -> None:
        """Where there is no lease, the lock decides alone."""
        old, other = (journals.open(file, **time.options()) for _ in range(2))
        run(old, "ada")
        database = Database.open(file)
        with database.writing() as connection:
            connection.execute(update(workers).values(lease_until=None))
        database.close()
        time.now += 100
        assert names(other) == []
        old.close()
        assert names(other) == ["ada"]


class TestPaused:
    """A worker that was paused for longer than its lease finds that out before it sends."""

    def test_nothing_to_write(self, file: str, journals: Journals, time: Time) -> None:
        """A call that needs no commit is not made for a flow that others took; for ours it is."""
        paused, other = (journals.open(file, **time.options()) for _ in range(2))
        ada, bob = run(paused, "ada", "bob")
        time.now += 31
        assert names(other, names=["ada"]) == ["ada"]
        ada.taken.journal.queue_outbound(ada.released.append, "hello")
        bob.taken.journal.queue_outbound(bob.released.append, "hello")
        assert (ada.released, kinds(ada.lost)) == ([], [Fenced])
        assert (bob.released, bob.lost) == (["hello"], [])
        # It is as good as any other again.
        time.now += 29
        assert names(other) == []
        bob.event()
        assert names(paused) == []
        assert bob.released == ["hello", 1]

    def test_durable_and_not_released(self, file: str, journals: Journals, time: Time) -> None:
        """What was committed before the pause is not sent after it, if others have the flow."""
        reactor = ManualReactor()
        paused = journals.open(file, reactor=reactor, **time.options())
        other = journals.open(file, **time.options())
        ada, bob = run(paused, "ada", "bob")
        for runner in (ada, bob):
            runner.event(b"", "one")
            runner.event(b"", "two")
        reactor.turn()
        while other.overview(name="bob")[0].seq < 2:
            pass
        time.now += 31
        (taken,) = other.take(names=["ada"])
        again = Runner(taken)
        again.event()
        reactor.until(lambda: bob.released and ada.lost)
        assert (ada.released, kinds(ada.lost)) == ([], [Fenced])
        assert (bob.released, bob.lost) == (["one", "two"], [])
        assert again.released == [1]
        assert names(paused) == []

    def test_in_the_middle_of_a_release(self, file: str, journals: Journals, time: Time) -> None:
        """A pause between two calls of one commit stops the second."""
        reactor = ManualReactor()
        paused = journals.open(file, reactor=reactor, **time.options())
        other = journals.open(file, **time.options())
        (ada,) = run(paused, "ada")

        def pause() -> None:
            time.now += 31
            assert names(other) == ["ada"]

        with ada.taken.journal.process():
            ada.taken.journal.record("message", heard="", said=[], event=b"")
            ada.taken.journal.queue_outbound(pause)
            ada.taken.journal.queue_outbound(ada.released.append, "hello")
        reactor.until(lambda: ada.lost)
        assert ada.released == []
        with pytest.raises(Fenced):
            ada.event()

    def test_a_flow_that_only_waits(self, file: str, journals: Journals, time: Time) -> None:
        """A flow without any event is let go at the next look, if others took it."""
        paused, other = (journals.open(file, **time.options()) for _ in range(2))
        ada, bob = run(paused, "ada", "bob")
        time.now += 31
        assert names(other, names=["ada"]) == ["ada"]
        assert paused.requests() == []
        assert (kinds(ada.lost), bob.lost) == ([Fenced], [])
        other.give_back()
        assert names(paused) == ["ada"]

    def test_over_before_the_clock_is_set_back(
        self, file: str, journals: Journals, time: Time
    ) -> None:
        """What was lost while its lease was over is lost, whatever time it is again."""
        uptime = Time()
        paused, other = (
            journals.open(file, **time.options() | {"uptime": uptime}) for _ in range(2)
        )
        ada, bob = run(paused, "ada", "bob")
        time.now, uptime.now = 1031, 1031
        assert names(other, names=["ada"]) == ["ada"]
        time.now = 10
        assert paused.requests() == []
        assert (kinds(ada.lost), bob.lost) == ([Fenced], [])

    def test_over_while_the_renewal_waits(self, file: str, journals: Journals, time: Time) -> None:
        """A renewal that waits until the lease is over finds out what is lost."""
        paused, other = (journals.open(file, **time.options()) for _ in range(2))
        ada, bob = run(paused, "ada", "bob")
        time.now += 29
        taken: list[str] = []

        def wait(_: Connection) -> None:
            if time.now < 1031:
                time.now += 2
                taken.extend(names(other, names=["ada"]))

        event.listen(Engine, "begin", wait)
        try:
            assert paused.requests() == []
        finally:
            event.remove(Engine, "begin", wait)
        assert taken == ["ada"]
        assert (kinds(ada.lost), bob.lost) == ([Fenced], [])

    def test_back_before_it_is_taken(self, file: str, journals: Journals, time: Time) -> None:
        """A worker that renews after another found it dead, and before that one took, keeps all."""
        paused, other = (journals.open(file, **time.options()) for _ in range(2))
        (ada,) = run(paused, "ada")
        assert names(other) == []
        time.now += 31
        with before("AS since", paused.requests):
            assert names(other) == []
        ada.event()
        assert (ada.released, ada.lost) == ([1], [])

    def test_back_before_others_take_again(self, file: str, journals: Journals, time: Time) -> None:
        """Who only asks again finds out all the same that a worker is not dead after all."""
        paused, other = (journals.open(file, **time.options()) for _ in range(2))
        run(paused, "ada", "bob")
        time.now += 31
        assert len(names(other, limit=1)) == 1
        paused.requests()  # it is back
        assert names(other, again=True) == []
        time.now += 31
        assert len(names(other, again=True)) == 1

    def test_back_while_it_is_taken(
        self, postgres: Server, upgraded: str, journals: Journals
    ) -> None:
        """A worker that comes back while another takes its flows waits, and then sees which."""
        url = postgres.database(upgraded)
        paused, other = journals.open(url, lease=0.1), journals.open(url)
        (ada,) = run(paused, "ada")
        while other.overview()[0].owner_alive:
            pass
        back = threading.Thread(target=paused.requests, daemon=True)
        watcher = Database.open(url)

        def come_back(connection: Connection) -> None:
            owner = connection.scalar(select(flows.c.owner))
            if owner != other.worker or back.ident is not None:
                return
            back.start()
            with watcher.reading() as seen:
                waiting = text(
                    "SELECT count(*) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND wait_event_type = 'Lock'"
                )
                while not seen.scalar(waiting):
                    assert back.is_alive()

        with at_commit(come_back):
            assert names(other) == ["ada"]
            back.join(PATIENCE)  # listeners come and go only while nobody uses them
        watcher.close()
        assert kinds(ada.lost) == [Fenced]

    def test_paused_while_it_takes(self, file: str, journals: Journals, time: Time) -> None:
        """Flows that were taken, and lost again before take() came back, are not handed out."""
        paused, other = (journals.open(file, **time.options()) for _ in range(2))
        assert names(paused) == names(other) == []
        start(paused, "ada")
        stolen: list[str] = []
        looking = threading.Lock()

        def pause(*_: object) -> None:
            if looking.acquire(blocking=False):
                if not stolen and other.overview()[0].owner == paused.worker:
                    time.now += 31
                    stolen.extend(names(other))
                    paused.requests()
                looking.release()

        event.listen(Engine, "checkin", pause)
        try:
            assert names(paused) == []
        finally:
            event.remove(Engine, "checkin", pause)
        assert stolen == ["ada"]

    def test_paused_while_it_takes_and_the_database_goes_away(
        self, file: str, journals: Journals, time: Time
    ) -> None:
        """Flows that could not be handed out are there at the next look."""
        paused = journals.open(file, **time.options())
        assert names(paused) == []
        start(paused, "ada")
        looking = threading.Lock()

        def pause(*_: object) -> None:
            if looking.acquire(blocking=False):
                if time.now < 1031 and paused.overview()[0].owner == paused.worker:
                    time.now += 31
                    paused.requests()
                looking.release()

        def fail() -> None:
            raise locked()

        event.listen(Engine, "checkin", pause)
        try:
            with before("epoch \nFROM holdfast_flows", fail), pytest.raises(DatabaseUnusable):
                paused.take()
        finally:
            event.remove(Engine, "checkin", pause)
        assert names(paused) == ["ada"]


def test_a_database_that_goes_away_while_a_worker_looks_what_it_lost(
    file: str, journals: Journals, time: Time
) -> None:
    """The lease is renewed all the same, as soon as that is possible."""

    def fail() -> None:
        raise locked()

    reactor = ManualReactor()
    paused = journals.open(file, reactor=reactor, **time.options())
    (ada,) = run(paused, "ada")
    time.now += 31
    with before("epoch \nFROM holdfast_flows", fail):
        ada.event()
        reactor.until(lambda: ada.released)
    assert (ada.released, ada.lost) == ([1], [])


def lease(url: str) -> float | None:
    """Until when the first worker is taken for alive."""
    database = Database.open(url)
    with database.reading() as connection:
        found = connection.scalar(select(workers.c.lease_until).order_by(workers.c.id))
    database.close()
    return found


@contextmanager
def before(words: str, call: Callable[[], object]) -> Iterator[None]:
    """Make one call before a statement with `words` in it is executed."""
    left = [call]

    def watch(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if words in statement and left:
            left.pop()()

    event.listen(Engine, "before_cursor_execute", watch)
    try:
        yield
    finally:
        event.remove(Engine, "before_cursor_execute", watch)


CHILD = """
import contextlib, json, os, sys
from twisted.internet import reactor, task
from holdfast_journal import DatabaseUnusable, Fenced, KeyRing, SqlJournal
from tests.journal.helpers import Runner

url, key, trace = sys.argv[1:]
sent = os.open(trace, os.O_WRONLY | os.O_APPEND)
journal = SqlJournal.open(url, keys=KeyRing.parse(key, "test"), reactor=reactor, lease=LEASE)
running = {}

def send(taken, number):
    os.write(sent, json.dumps([taken.name, taken.epoch, number]).encode() + b"\\n")

def look():
    try:
        journal.requests()
        found = journal.take()
    except DatabaseUnusable:  # PostgreSQL ends a transaction in the middle of which we are stopped
        return
    for taken in found:
        running[taken.id] = runner = Runner(taken)
        def lost(error, taken=taken):
            del running[taken.id]
            print("lost", taken.name, type(error).__name__, flush=True)
        taken.journal.when_lost = lost
        print("took", taken.name, flush=True)

def work():
    for runner in tuple(running.values()):
        with contextlib.suppress(Fenced):  # which it may be a turn before it is told
            event(runner, runner.taken.journal)

def event(runner, flow):
    with flow.process():
        runner.events += 1
        if runner.events % 2:
            flow.record("message", heard="", said=[], event=b"")
        flow.queue_outbound(send, runner.taken, runner.events)

task.LoopingCall(look).start(0.1)
task.LoopingCall(work).start(0.005)
reactor.run()
"""


def test_stopped_by_a_signal(url: str, journals: Journals, tmp_path: Path) -> None:
    """SIGSTOP: others go on in time; after SIGCONT the worker lets go, and is well."""
    journals.keys = KeyRing.parse(KEY, "test")
    journal = journals.open(url)
    start(journal, "ada", "bob")
    trace = tmp_path / "trace"
    trace.touch()
    program = CHILD.replace("LEASE", "0.6")
    with Child([sys.executable, "-c", program, url, KEY, str(trace)]) as process:
        process.wait_for("took ada\ntook bob\n")
        while len(sent(trace)) < 20:
            assert process.alive
        stop(process, url)
        taken = journal.take(names=["ada"])
        while not taken:
            taken = journal.take(names=["ada"])
        ada = Runner(taken[0])
        ada.event()
        before_that = sent(trace)
        process.signal(signal.SIGCONT)
        process.wait_for("took bob\nlost ada Fenced\n")
        ada.status, ada.finished = "done", True
        ada.event()
        start(journal, "cy")
        process.wait_for("lost ada Fenced\ntook cy\n")
        while not {"bob", "cy"} <= {name for name, *_ in sent(trace)[len(before_that) :]}:
            assert process.alive
        assert "ada" not in {name for name, *_ in sent(trace)[len(before_that) :]}
        assert (ada.released, ada.lost) == ([1, 2], [])
        owners = {entry.worker for entry in journal.history(ada.taken.id)[-2:]}
        assert owners == {journal.worker}


def stop(process: Child, url: str) -> None:
    """Stop it, but not while it has SQLite's lock, for which everybody would have to wait."""
    while True:
        process.signal(signal.SIGSTOP)
        until(lambda: state(process.pid) == "T", process.describe)
        if not url.startswith("sqlite:") or is_free(url.removeprefix("sqlite:///")):
            return
        process.signal(signal.SIGCONT)


def is_free(path: str) -> bool:
    """Whether nobody is writing into an SQLite file."""
    with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
    return True


def sent(trace: Path) -> list[list[Any]]:
    """What the child has sent: name, epoch, number."""
    return [json.loads(line) for line in trace.read_text().splitlines()]
