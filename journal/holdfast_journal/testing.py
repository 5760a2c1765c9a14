"""What every journal promises, as a test case for a journal of your own.

    class TestMyJournal(JournalContract):
        def make_journal(self):
            return MyJournal()

pytest collects the methods of such a class; for unittest, let it inherit from `TestCase` too.
"""

from __future__ import annotations

from typing import Any

from holdfast_journal.interface import IJournal

__all__ = ["JournalContract"]


class JournalContract:
    """The promises of `IJournal`, one for each `test_` method; subclass it and say how to make one.

    If the journal has `record` too (`History`), each block is given an entry, since a block with
    nothing to write may release its calls sooner than promised.
    """

    def make_journal(self) -> IJournal:
        """Return a new journal, in which nothing is under way. To be overridden."""
        raise NotImplementedError

    def settle(self) -> None:
        """Wait until all that was queued so far has been called.

        To be overridden for a journal whose blocks end before they are durable.
        """

    def test_calls_run_after_the_block_in_order(self) -> None:
        """Nothing runs inside the block; then everything does, in the order queued."""
        journal, ran = self.make_journal(), list[object]()
        with journal.process():
            _record(journal)
            journal.queue_outbound(ran.append, 1)
            journal.queue_outbound(ran.append, 2)
            _same(ran, [])
        self.settle()
        _same(ran, [1, 2])

    def test_arguments_are_passed_on(self) -> None:
        """A queued call gets its positional and keyword arguments."""
        journal, ran = self.make_journal(), list[object]()

        def call(a: int, *, b: int) -> None:
            ran.append((a, b))

        with journal.process():
            journal.queue_outbound(call, 1, b=2)
        self.settle()
        _same(ran, [(1, 2)])

    def test_an_inner_block_joins_the_outer(self) -> None:
        """The end of an inner block releases nothing."""
        journal, ran = self.make_journal(), list[object]()
        with journal.process():
            with journal.process():
                _record(journal)
                journal.queue_outbound(ran.append, 1)
            _same(ran, [])
            journal.queue_outbound(ran.append, 2)
        self.settle()
        _same(ran, [1, 2])

    def test_an_exception_drops_what_was_queued(self) -> None:
        """The exception comes out, nothing queued before it runs, and the journal still works."""
        journal, ran = self.make_journal(), list[object]()
        came_out = False
        try:
            with journal.process():
                _record(journal)
                journal.queue_outbound(ran.append, "never")
                raise ZeroDivisionError
        except ZeroDivisionError:
            came_out = True
        _same(came_out, True)  # noqa: FBT003 - what is compared
        with journal.process():
            _record(journal)
            journal.queue_outbound(ran.append, "after")
        self.settle()
        _same(ran, ["after"])

    def test_outside_any_block(self) -> None:
        """With nothing under way a call runs at once."""
        journal, ran = self.make_journal(), list[object]()
        journal.queue_outbound(ran.append, 1)
        _same(ran, [1])

    def test_a_call_that_processes_another_event(self) -> None:
        """A released call may process an event; what that queues runs behind what waits already."""
        journal, ran = self.make_journal(), list[object]()

        def again() -> None:
            with journal.process():
                _record(journal)
                journal.queue_outbound(ran.append, "of the second event")
            ran.append("end of the call")

        with journal.process():
            _record(journal)
            journal.queue_outbound(again)
            journal.queue_outbound(ran.append, "of the first event")
        self.settle()
        self.settle()
        _same(ran, ["end of the call", "of the first event", "of the second event"])


def _record(journal: Any) -> None:
    """Make the block one that has something to write, if the journal can write."""
    if hasattr(journal, "record"):
        journal.record("message", heard="", said=[], event=b"")


def _same(found: object, promised: object) -> None:
    # No assert statement: pytest does not explain one outside of test modules.
    if found != promised:
        raise AssertionError(f"{found!r}; the promise is {promised!r}")
