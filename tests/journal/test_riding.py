"""Commits that nobody waits for are written with the next one of their flow, or some time later."""

import pytest
from sqlalchemy import text

from holdfast_journal import Fenced, SqlJournal
from tests.journal.conftest import Journals
from tests.journal.helpers import ManualReactor, Runner, run


@pytest.fixture
def reactor() -> ManualReactor:
    return ManualReactor()


@pytest.fixture
def journal(journals: Journals, reactor: ManualReactor) -> SqlJournal:
    return journals.open("sqlite://", reactor=reactor)


@pytest.fixture
def written(journal: SqlJournal) -> list[int]:
    """How many commits each transaction has."""
    found: list[int] = []
    journal.observe_writes(lambda commits, _: found.append(commits))
    return found


def hear(runner: Runner, *, again: bool = True) -> None:
    """Hear something that the server says, which leads to nothing."""
    with runner.taken.journal.process():
        runner.taken.journal.record("message", heard="an echo", said=[], event=b"")
        if again:
            runner.taken.journal.comes_again()


def test_it_rides_with_the_next_of_its_flow(
    journal: SqlJournal, reactor: ManualReactor, written: list[int]
) -> None:
    """Not with that of another, and always before its own."""
    ada, bob = run(journal, "ada", "bob")
    hear(ada)
    hear(ada)
    bob.event()
    reactor.until(lambda: bob.released)
    assert written == [1]
    ada.event()
    reactor.until(lambda: ada.released)
    assert written == [1, 3]
    assert [row.heard for row in journal.history(ada.taken.id)] == ["an echo", "an echo", "event 1"]


def test_it_does_not_wait_for_long(
    journal: SqlJournal, reactor: ManualReactor, written: list[int]
) -> None:
    """If its flow is quiet, all that wait are written after a while."""
    ada, bob = run(journal, "ada", "bob")
    hear(ada)
    hear(bob)
    assert not reactor.later
    reactor.pass_time()
    reactor.until(lambda: written)
    assert written == [2]
    hear(ada)
    reactor.pass_time()
    reactor.until(lambda: len(written) == 2)


def test_what_waits_for_it_is_called_behind_it(
    journal: SqlJournal, reactor: ManualReactor, written: list[int]
) -> None:
    """A call with nothing to write of its own."""
    (ada,) = run(journal, "ada")
    hear(ada)
    ada.taken.journal.queue_outbound(ada.released.append, "behind")
    assert ada.released == []
    reactor.until(lambda: ada.released)
    assert len(journal.history(ada.taken.id)) == 1


def test_stopping_writes_it(
    journal: SqlJournal, reactor: ManualReactor, written: list[int]
) -> None:
    """Nothing is left behind, and what is heard meanwhile does not wait."""
    (ada,) = run(journal, "ada")
    hear(ada)
    stopped = journal.stop()
    hear(ada)
    reactor.until(lambda: stopped.called)
    assert sum(written) == 2
    assert reactor.timers == []


def test_others_do_not_wait(
    journal: SqlJournal, reactor: ManualReactor, written: list[int]
) -> None:
    """What an application does is not heard again, and its statements and tasks are wanted soon."""
    (ada,) = run(journal, "ada")
    hear(ada, again=False)
    reactor.until(lambda: written == [1])
    with ada.taken.journal.process():
        ada.taken.journal.comes_again()
        ada.taken.journal.execute(text("SELECT 1"))
    reactor.until(lambda: written == [1, 1])
    with ada.taken.journal.process():
        ada.taken.journal.comes_again()
        ada.taken.journal.add_task(1, "print", b"", "key", 0.0)
    reactor.until(lambda: written == [1, 1, 1])


def test_the_last_of_a_flow_rides_with_any(
    journal: SqlJournal, reactor: ManualReactor, written: list[int]
) -> None:
    """With what waits of its own flow before it; and not for long."""
    ada, bob, eve = run(journal, "ada", "bob", "eve")
    hear(ada)
    for runner in (ada, eve):
        runner.finished = True
        with runner.taken.journal.process():
            runner.taken.journal.record("closed", heard="the end", said=[], event=b"")
            runner.taken.journal.comes_again()
            runner.taken.journal.queue_outbound(runner.released.append, "the end")
        if runner is ada:
            bob.event()
        else:
            reactor.pass_time()
        reactor.until(lambda runner=runner: runner.released)  # type: ignore[misc]
    assert written == [3, 1]
    assert [row.heard for row in journal.history(ada.taken.id)] == ["an echo", "the end"]
    assert bob.released == [1]


def test_what_waits_for_a_flow_that_was_taken_again(
    journal: SqlJournal, reactor: ManualReactor, written: list[int]
) -> None:
    """By the same worker, under another epoch: only the old commit is refused."""
    (ada,) = run(journal, "ada")
    hear(ada)
    journal.give_back([ada.taken.id])
    [again] = [Runner(taken) for taken in journal.take()]
    again.event()
    reactor.until(lambda: again.released)
    assert [type(error) for error in ada.lost] == [Fenced]
    assert [row.heard for row in journal.history(ada.taken.id)] == ["event 1"]
