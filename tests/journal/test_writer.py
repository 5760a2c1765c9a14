"""The group-commit writer: nothing leaves before it is durable, whatever the database does."""

import threading
from collections.abc import Callable, Iterator
from typing import cast

import pytest
from sqlalchemy import text
from sqlalchemy.engine import Connection
from twisted.internet.defer import Deferred
from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher

from holdfast_journal import CommitFailed, Fenced, JournalBroken, JournalStopped, SqlJournal
from holdfast_journal.commits.releasing import TURN
from tests.harness import reactor as harness
from tests.journal.conftest import Journals
from tests.journal.helpers import (
    PATIENCE,
    ManualReactor,
    at_commit,
    disk_failed,
    locked,
    run,
)


@pytest.fixture
def reactor() -> ManualReactor:
    return ManualReactor()


@pytest.fixture
def log() -> Iterator[list[str]]:
    """What is said in Twisted's log, one line an event."""
    lines: list[str] = []

    def observe(event: LogEvent) -> None:
        lines.append(formatEvent(event))

    observer = cast(ILogObserver, observe)
    globalLogPublisher.addObserver(observer)
    yield lines
    globalLogPublisher.removeObserver(observer)


def stop(journal: SqlJournal, reactor: ManualReactor) -> None:
    stopped = journal.stop()
    reactor.until(lambda: stopped.called)


def failing(*errors: Exception | None) -> Callable[[Connection], None]:
    """A handler that raises one of `errors` at each COMMIT of the writer's, then no more."""
    left = list(errors)

    def handler(_connection: Connection) -> None:
        if threading.current_thread().name == "journal" and left:
            error = left.pop(0)
            if error is not None:
                raise error

    return handler


class TestGroupCommit:
    def test_a_turn_is_one_transaction(
        self, url: str, journals: Journals, reactor: ManualReactor
    ) -> None:
        """What one turn records, of all flows, is committed together and released in order."""
        journal = journals.open(url, reactor=reactor)
        ada, bob = run(journal, "ada", "bob")
        order: list[str] = []
        ada.released = bob.released = order  # type: ignore[assignment]
        commits: list[Connection] = []
        written: list[int] = []
        journal.observe_writes(lambda commits, seconds: written.append(commits if seconds else 0))

        def count(connection: Connection) -> None:
            if threading.current_thread().name == "journal":
                commits.append(connection)

        with at_commit(count):
            ada.event(b"", "ada 1")
            bob.event(b"", "bob 1")
            ada.event(b"", "ada 2")
            assert order == []
            assert journal.vitals().commits_waiting == 3
            reactor.until(lambda: len(order) == 3)
        assert order == ["ada 1", "bob 1", "ada 2"]
        assert len(commits) == 1
        assert written == [3]
        assert [event.seq for event in journal.events(ada.taken.id)] == [1, 2]
        assert journal.overview(name="ada")[0].seq == 2
        stop(journal, reactor)

    def test_nothing_leaves_while_the_commit_is_under_way(
        self, url: str, journals: Journals, reactor: ManualReactor
    ) -> None:
        """With the database held inside COMMIT, turns pass and nothing is released."""
        journal = journals.open(url, reactor=reactor)
        (ada,) = run(journal, "ada")
        held, go_on = threading.Event(), threading.Event()

        def hold(_connection: Connection) -> None:
            if threading.current_thread().name == "journal":
                held.set()
                assert go_on.wait(PATIENCE)

        with at_commit(hold):
            ada.event()
            reactor.turn()
            assert held.wait(PATIENCE)
            ada.event()
            # A call with nothing to record waits for what is under way, all the same.
            ada.taken.journal.queue_outbound(ada.released.append, "later")
            reactor.turn()
            reactor.turn()
            assert ada.released == []
            go_on.set()
            reactor.until(lambda: len(ada.released) == 3)
        assert ada.released == [1, 2, "later"]
        stop(journal, reactor)

    def test_a_bounded_time_of_releases_a_turn(
        self, journals: Journals, reactor: ManualReactor
    ) -> None:
        """A large commit is released over several turns, so that others are served in between."""
        now = 0.0
        journal = journals.open("sqlite://", reactor=reactor, uptime=lambda: now)
        (ada,) = run(journal, "ada")

        def release(number: int) -> None:
            nonlocal now
            now += TURN / 4
            ada.released.append(number)

        with ada.taken.journal.process():
            ada.taken.journal.record("message", heard="", said=[], event=b"")
            for number in range(10):
                ada.taken.journal.queue_outbound(release, number)
        reactor.turn()
        reactor.wait()
        counts = [len(ada.released)]
        while len(ada.released) < 10:
            reactor.turn()
            counts.append(len(ada.released))
        assert counts == [4, 8, 10]
        assert ada.released == list(range(10))
        stop(journal, reactor)

    def test_many_events_make_several_batches(
        self, url: str, journals: Journals, reactor: ManualReactor
    ) -> None:
        """More than a batch's worth is committed and released, in order."""
        journal = journals.open(url, reactor=reactor)
        runners = run(journal, *(f"flow {n}" for n in range(20)))
        for _ in range(20):
            for runner in runners:
                runner.event()
        stop(journal, reactor)
        for runner in runners:
            assert runner.released == list(range(1, 21))
            assert len(journal.history(runner.taken.id)) == 20

    def test_stop_waits_for_everything(
        self, url: str, journals: Journals, reactor: ManualReactor
    ) -> None:
        """stop() fires after the last release, those that a release causes included."""
        journal = journals.open(url, reactor=reactor)
        (ada,) = run(journal, "ada")

        with ada.taken.journal.process():
            ada.taken.journal.record("message", heard="", said=[], event=b"")
            ada.taken.journal.queue_outbound(ada.event)
        stopped = journal.stop()
        assert not stopped.called
        reactor.until(lambda: stopped.called)
        assert ada.released == [1]
        assert len(journal.history(ada.taken.id)) == 2
        with pytest.raises(JournalStopped):
            ada.event()
        again: Deferred[None] = journal.stop()
        assert again.called

    def test_a_call_that_fails_is_logged(
        self, journals: Journals, reactor: ManualReactor, log: list[str]
    ) -> None:
        """An error in an outbound call disturbs nobody else, and is not swallowed."""
        journal = journals.open("sqlite://", reactor=reactor)
        ada, bob = run(journal, "ada", "bob")
        with ada.taken.journal.process():
            ada.taken.journal.record("message", heard="", said=[], event=b"")
            ada.taken.journal.queue_outbound(lambda: 1 // 0)
        bob.event()
        stop(journal, reactor)
        assert bob.released == [1]
        assert any("outbound call failed" in line for line in log)
        harness.flush_logged_errors(ZeroDivisionError)


class TestFences:
    def test_only_the_loser_loses(
        self, url: str, journals: Journals, reactor: ManualReactor
    ) -> None:
        """When one flow of a batch was taken over, the others' commits stand."""
        journal, other = journals.open(url, reactor=reactor), journals.open(url)
        ada, bob = run(journal, "ada", "bob")
        journal.give_back([ada.taken.id])
        other.take()
        ada.event()
        bob.event()
        ada.event()
        stop(journal, reactor)
        assert (bob.released, bob.lost) == ([1], [])
        assert ada.released == []
        assert [type(error) for error in ada.lost] == [Fenced]
        assert journal.history(ada.taken.id) == []

    def test_what_came_before_a_refused_commit_stands(
        self, url: str, journals: Journals, reactor: ManualReactor
    ) -> None:
        """Of a flow's commits in one batch those before the refused one stand and are released."""
        journal = journals.open(url, reactor=reactor)
        ada, bob = run(journal, "ada", "bob")
        ada.event()
        with ada.taken.journal.process():
            ada.taken.journal.execute(text("INSERT INTO nowhere VALUES (1)"))
            ada.taken.journal.queue_outbound(ada.released.append, "never")
        ada.event(b"", "never either")
        bob.event()
        stop(journal, reactor)
        assert (ada.released, bob.released) == ([1], [1])
        assert [type(error) for error in ada.lost] == [CommitFailed]
        assert [row.seq for row in journal.history(ada.taken.id)] == [1]

    def test_what_fails_before_a_commit_takes_later_ones_with_it(
        self, url: str, journals: Journals, reactor: ManualReactor
    ) -> None:
        """Of a batch stand that flow's commits before it, and all of others."""
        journal = journals.open(url, reactor=reactor)
        ada, bob = run(journal, "ada", "bob")
        threads: list[object] = []

        def fail() -> None:
            threads.append(threading.current_thread())
            raise OSError

        ada.event()
        with ada.taken.journal.process():
            ada.taken.journal.before_commit(fail)
            ada.taken.journal.queue_outbound(ada.released.append, "never")
        ada.event(b"", "never either")
        bob.event()
        stop(journal, reactor)
        assert (ada.released, bob.released) == ([1], [1])
        assert [type(error) for error in ada.lost] == [CommitFailed]
        assert [row.seq for row in journal.history(ada.taken.id)] == [1]
        [thread] = threads
        assert thread is not threading.main_thread()

    @pytest.mark.parametrize(
        ("heard", "said", "event"),
        [("", [], bytearray(b"x")), ("\ud800", [], b""), ("", ["\ud800"], b"")],
        ids=["event", "heard", "said"],
    )
    def test_what_cannot_be_written_is_refused_at_once(
        self, journals: Journals, reactor: ManualReactor, heard: str, said: list[str], event: bytes
    ) -> None:
        """What the writer would stumble over never gets there: others' commits are not spoilt."""
        journal = journals.open("sqlite://", reactor=reactor)
        ada, bob = run(journal, "ada", "bob")
        bob.event()
        with pytest.raises((TypeError, UnicodeEncodeError)), ada.taken.journal.process():
            ada.taken.journal.record("message", heard=heard, said=said, event=event)
        ada.event()
        stop(journal, reactor)
        assert (ada.released, bob.released) == ([1], [1])
        assert [row.seq for row in journal.history(ada.taken.id)] == [1]

    def test_a_lost_flow_can_be_taken_again(
        self, url: str, journals: Journals, reactor: ManualReactor
    ) -> None:
        """After when_lost the same worker may take the flow anew."""
        journal = journals.open(url, reactor=reactor)
        (ada,) = run(journal, "ada")
        ada.event()
        with ada.taken.journal.process():
            ada.taken.journal.execute(text("INSERT INTO nowhere VALUES (1)"))
        reactor.until(lambda: ada.lost)
        (taken,) = journal.take()
        assert taken.checkpoint == b"after 1"
        stop(journal, reactor)


class TestFailures:
    def test_a_passing_error_is_waited_out(
        self, url: str, journals: Journals, reactor: ManualReactor, log: list[str]
    ) -> None:
        """The same batch is tried again until the database takes it, and is released once."""
        journal = journals.open(url, reactor=reactor)
        ada, bob = run(journal, "ada", "bob")
        with at_commit(failing(locked(), locked())):
            ada.event()
            bob.event()
            reactor.until(lambda: bob.released)
        assert (ada.released, bob.released) == ([1], [1])
        assert len(journal.history(ada.taken.id)) == 1
        told = [line for line in log if "database" in line]
        assert len(told) == 2
        assert "cannot be used now" in told[0]
        assert "can be used again" in told[1]
        assert "hunter2" not in "".join(log)
        stop(journal, reactor)

    def test_refused_after_a_passing_error(
        self, url: str, journals: Journals, reactor: ManualReactor
    ) -> None:
        """A database that refuses a commit answers: whoever lost a flow goes on with the others."""
        slow, other = journals.open(url, reactor=reactor, host="slow"), journals.open(url)
        (ada,) = run(slow, "ada")
        slow.give_back()
        assert [flow.name for flow in other.take()] == ["ada"]
        with at_commit(failing(locked()), "begin"):
            ada.event()
            reactor.until(lambda: ada.lost)
        assert ada.released == []
        assert not slow.pressure.high

    def test_an_unknown_outcome_is_read_back(
        self, url: str, journals: Journals, reactor: ManualReactor
    ) -> None:
        """A commit that was done although it seemed to fail is not done again."""
        journal = journals.open(url, reactor=reactor)
        ada, bob = run(journal, "ada", "bob")
        failed: list[bool] = []

        def commit_and_fail(connection: Connection) -> None:
            if threading.current_thread().name == "journal" and not failed:
                failed.append(True)
                driver = connection.connection.dbapi_connection
                assert driver is not None
                driver.commit()
                raise locked()

        with at_commit(commit_and_fail):
            ada.event()
            bob.event()
            reactor.until(lambda: bob.released)
        assert failed
        assert (ada.released, ada.lost) == ([1], [])
        assert [row.seq for row in journal.history(ada.taken.id)] == [1]
        ada.event()
        stop(journal, reactor)
        assert ada.released == [1, 2]

    def test_taken_over_while_the_database_was_away(
        self, url: str, journals: Journals, reactor: ManualReactor
    ) -> None:
        """If a flow was taken over before the retry, the retry is fenced and releases nothing."""
        journal, other = journals.open(url, reactor=reactor), journals.open(url)
        ada, bob = run(journal, "ada", "bob")
        away, failed = threading.Event(), threading.Event()
        away.set()

        def fail(_connection: Connection) -> None:
            if threading.current_thread().name == "journal" and away.is_set():
                failed.set()
                raise locked()

        with at_commit(fail):
            ada.event()
            bob.event()
            reactor.turn()
            assert failed.wait(PATIENCE)
            journal.give_back([ada.taken.id])
            other.take()
            away.clear()
            stop(journal, reactor)
        assert (bob.released, bob.lost) == ([1], [])
        assert ada.released == []
        assert [type(error) for error in ada.lost] == [Fenced]

    def test_a_failed_disk_is_the_end(
        self, url: str, journals: Journals, reactor: ManualReactor
    ) -> None:
        """After a failed fsync nothing is tried again, and nothing is released any more."""
        broken: list[JournalBroken] = []
        journal = journals.open(url, reactor=reactor, on_fatal=broken.append)
        ada, bob = run(journal, "ada", "bob")
        with at_commit(failing(disk_failed())):
            ada.event()
            reactor.until(lambda: broken)
        assert "disk" in str(broken[0])
        assert "hunter2" not in str(broken[0])
        with pytest.raises(JournalStopped):
            bob.event()
        failures: list[object] = []
        journal.stop().addErrback(failures.append)
        assert len(failures) == 1
        assert ada.released == bob.released == []
        assert journal.history(ada.taken.id) == []

    def test_a_mistake_in_the_writer_is_the_end_too(
        self, url: str, journals: Journals, reactor: ManualReactor
    ) -> None:
        """Whatever else happens in the writer's thread is told, not lost with the thread."""
        broken: list[JournalBroken] = []
        journal = journals.open(url, reactor=reactor, on_fatal=broken.append)
        (ada,) = run(journal, "ada")
        with at_commit(failing(KeyError("what?"))):
            ada.event()
            result = journal.stop()
            failures: list[object] = []
            result.addErrback(failures.append)
            reactor.until(lambda: broken)
        assert isinstance(broken[0].__cause__, KeyError)
        assert ada.released == []
        assert len(failures) == 1


class TestInlineFailures:
    def test_nobody_to_tell(self, journals: Journals) -> None:
        """A lost flow without when_lost raises."""
        journal = journals.open("sqlite://")
        (ada,) = run(journal, "ada")
        ada.taken.journal.when_lost = None

        def fail(_connection: Connection) -> None:
            raise locked()

        with at_commit(fail), pytest.raises(CommitFailed):
            ada.event()

    def test_a_failed_disk(self, journals: Journals) -> None:
        """A failed disk comes out of process(), and the journal takes no more."""
        broken: list[JournalBroken] = []
        journal = journals.open("sqlite://", on_fatal=broken.append)
        (ada,) = run(journal, "ada")

        def fail(_connection: Connection) -> None:
            raise disk_failed()

        with at_commit(fail), pytest.raises(JournalBroken):
            ada.event()
        with pytest.raises(JournalStopped):
            ada.event()
        assert len(broken) == 1
        assert ada.released == []
