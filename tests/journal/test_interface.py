"""What every journal promises: a contract that each kind is put through."""

import unittest
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext

import pytest
from attrs import define, field

from holdfast_journal import IJournal, ImmediateJournal, Journal
from holdfast_journal.testing import JournalContract
from tests.journal.conftest import Journals
from tests.journal.helpers import ManualReactor, run


@define
class Subject:
    """A journal under test."""

    journal: IJournal
    settle: Callable[[], object] = lambda: None
    """Waits until everything that was submitted is released."""


@define
class Storage:
    """Somebody's own storage."""

    saved: list[str] = field(factory=list)

    def save(self) -> None:
        self.saved.append("checkpoint")


@pytest.fixture(params=["immediate", "checkpointed", "inline", "threaded"])
def subject(request: pytest.FixtureRequest, journals: Journals) -> Iterator[Subject]:
    match request.param:
        case "immediate":
            yield Subject(ImmediateJournal())
        case "checkpointed":
            yield Subject(Journal(Storage().save))
        case "inline":
            (runner,) = run(journals.open("sqlite://"), "ada")
            yield Subject(runner.taken.journal)
        case _:
            reactor = ManualReactor()
            journal = journals.open("sqlite://", reactor=reactor)
            (runner,) = run(journal, "ada")

            def settle() -> None:
                flow = runner.taken.journal
                done: list[int] = []
                flow.queue_outbound(done.append, 1)
                reactor.until(lambda: done)

            yield Subject(runner.taken.journal, settle)
            stopped = journal.stop()
            reactor.until(lambda: stopped.called)


class TestContract(JournalContract):
    @pytest.fixture(autouse=True)
    def _use(self, subject: Subject) -> None:
        self.subject = subject

    def make_journal(self) -> IJournal:
        return self.subject.journal

    def settle(self) -> None:
        self.subject.settle()


class Hasty:
    """A journal that keeps no promise: it calls at once."""

    def process(self) -> AbstractContextManager[None]:
        return nullcontext()

    def queue_outbound(self, fn: Callable[..., object], *args: object, **kwargs: object) -> None:
        fn(*args, **kwargs)


class OfHasty(JournalContract):
    def make_journal(self) -> IJournal:
        return Hasty()


def test_one_that_breaks_it() -> None:
    """The contract fails a journal that calls inside of the block, also under unittest."""

    class Case(OfHasty, unittest.TestCase):
        pass

    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(Case).run(result)
    broken = {test.id().rpartition(".")[2] for test, _ in result.failures}
    assert broken == {
        "test_calls_run_after_the_block_in_order",
        "test_an_inner_block_joins_the_outer",
        "test_an_exception_drops_what_was_queued",
        "test_a_call_that_processes_another_event",
    }
    assert result.testsRun == 6 and not result.errors


class TestCheckpointed:
    def test_saves_once_before_anything_leaves(self) -> None:
        """One checkpoint for each outermost block, and before its calls."""
        storage = Storage()
        journal = Journal(storage.save)
        with journal.process(), journal.process():
            journal.queue_outbound(storage.saved.append, "left")
        assert storage.saved == ["checkpoint", "left"]

    def test_an_exception_saves_nothing(self) -> None:
        """A block that failed is not saved."""
        storage = Storage()
        journal = Journal(storage.save)
        with pytest.raises(ZeroDivisionError), journal.process():
            raise ZeroDivisionError
        assert storage.saved == []

    def test_a_failed_save_releases_nothing(self) -> None:
        """If the checkpoint cannot be saved nothing leaves, and the error comes out."""
        ran: list[object] = []

        def fail() -> None:
            raise OSError("disk full")

        journal = Journal(fail)
        with pytest.raises(OSError, match="disk full"), journal.process():
            journal.queue_outbound(ran.append, 1)
        journal.save_checkpoint = lambda: None
        with journal.process():
            journal.queue_outbound(ran.append, 2)
        assert ran == [2]

    def test_a_call_that_fails_does_not_stop_the_others(self) -> None:
        """All calls run, and the error comes out afterwards."""
        ran: list[object] = []

        def fail() -> None:
            raise OSError("no socket")

        journal = Journal(lambda: None)
        with pytest.raises(OSError, match="no socket"), journal.process():
            journal.queue_outbound(fail)
            journal.queue_outbound(ran.append, 1)
        assert ran == [1]

    def test_several_failed_calls_are_all_told(self) -> None:
        """Several errors come out as a group."""

        def fail() -> None:
            raise OSError("no socket")

        journal = Journal(lambda: None)
        with pytest.raises(ExceptionGroup) as caught, journal.process():
            journal.queue_outbound(fail)
            journal.queue_outbound(fail)
        assert len(caught.value.exceptions) == 2
