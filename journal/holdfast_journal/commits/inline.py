"""Commits on the spot, in the thread that processes events: for short commands and tests."""

from collections.abc import Callable
from functools import partial

from attrs import define, field
from twisted.internet.defer import Deferred

from holdfast_journal.commits.committer import Committer
from holdfast_journal.commits.values import Commit
from holdfast_journal.errors import JournalBroken, JournalStopped
from holdfast_journal.plain.outbound import CallQueue
from holdfast_journal.store.database import Database
from holdfast_journal.workers.registration import Registration


@define
class InlineWriter:
    """Commits inside `submit`, and runs the calls there too.

    What a call raises comes out of `submit` when all have run. If the database does not answer, it
    does not wait: the flow is lost.
    """

    _database: Database
    _committer: Committer
    _worker: Registration
    _on_fatal: Callable[[JournalBroken], object]
    _outbox: CallQueue = field(factory=CallQueue, init=False)
    _stopped: bool = field(default=False, init=False)

    def submit(self, commit: Commit) -> None:
        """Commit and release. Raises JournalStopped, JournalBroken, and what the calls raise."""
        if self._stopped:
            raise JournalStopped("the journal was stopped")
        try:
            lost = self._committer.commit([commit])
        except JournalBroken as error:
            self._stopped = True
            self._on_fatal(error)
            raise
        if commit in lost:
            self._outbox.run([partial(commit.owner.refused, lost[commit])])
            return
        if not self._worker.holds():
            with self._database.explaining_errors():
                self._worker.keep()
        if commit.fence.lost is None:
            self._outbox.run(commit.calls)

    def stop(self, patience: float | None = None) -> "Deferred[None]":  # noqa: ARG002 - as Writer has it
        """Take no more."""
        self._stopped = True
        done: Deferred[None] = Deferred()
        done.callback(None)
        return done
