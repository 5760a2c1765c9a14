"""What every journal promises: a contract that each kind is put through."""

from collections.abc import Callable, Iterator

import pytest
from attrs import define, field

from holdfast_journal import IJournal, ImmediateJournal, Journal
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


def record(journal: IJournal) -> None:
    """Make the block one that has something to write, if the journal can write."""
    if hasattr(journal, "record"):
        journal.record("message", heard="", said=[], event=b"")


class TestContract:
    def test_calls_run_after_the_block_in_order(self, subject: Subject) -> None:
        """Nothing runs inside the block; then everything does, in the order queued."""
        ran: list[object] = []
        with subject.journal.process():
            record(subject.journal)
            subject.journal.queue_outbound(ran.append, 1)
            subject.journal.queue_outbound(ran.append, 2)
            assert ran == []
        subject.settle()
        assert ran == [1, 2]

    def test_keywords_are_passed_on(self, subject: Subject) -> None:
        """A queued call gets its positional and keyword arguments."""
        ran: list[object] = []

        def call(a: int, *, b: int) -> None:
            ran.append((a, b))

        with subject.journal.process():
            subject.journal.queue_outbound(call, 1, b=2)
        subject.settle()
        assert ran == [(1, 2)]

    def test_an_inner_block_joins_the_outer(self, subject: Subject) -> None:
        """The end of an inner block releases nothing."""
        ran: list[object] = []
        with subject.journal.process():
            with subject.journal.process():
                record(subject.journal)
                subject.journal.queue_outbound(ran.append, 1)
            assert ran == []
            subject.journal.queue_outbound(ran.append, 2)
        subject.settle()
        assert ran == [1, 2]

    def test_an_exception_drops_what_was_queued(self, subject: Subject) -> None:
        """The exception comes out, nothing queued before it runs, and the journal still works."""
        ran: list[object] = []
        with pytest.raises(ZeroDivisionError):
            with subject.journal.process():
                record(subject.journal)
                subject.journal.queue_outbound(ran.append, "never")
                raise ZeroDivisionError
        with subject.journal.process():
            record(subject.journal)
            subject.journal.queue_outbound(ran.append, "after")
        subject.settle()
        assert ran == ["after"]

    def test_outside_any_block(self, subject: Subject) -> None:
        """With nothing under way a call runs at once."""
        ran: list[object] = []
        subject.journal.queue_outbound(ran.append, 1)
        assert ran == [1]

    def test_a_call_that_processes_another_event(self, subject: Subject) -> None:
        """A released call may process an event; what that queues runs behind what waits already."""
        ran: list[object] = []

        def again() -> None:
            with subject.journal.process():
                record(subject.journal)
                subject.journal.queue_outbound(ran.append, "of the second event")
            ran.append("end of the call")

        with subject.journal.process():
            record(subject.journal)
            subject.journal.queue_outbound(again)
            subject.journal.queue_outbound(ran.append, "of the first event")
        subject.settle()
        subject.settle()
        assert ran == ["end of the call", "of the first event", "of the second event"]


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
