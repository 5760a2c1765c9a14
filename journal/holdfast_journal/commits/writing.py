"""`Writing`: the thread that makes commits durable, many in one transaction."""

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from attrs import define, field

from holdfast_journal.commits.boundaries import Reactor
from holdfast_journal.commits.committer import Committer
from holdfast_journal.commits.values import Commit
from holdfast_journal.errors import JournalBroken
from holdfast_journal.store.database import Database
from holdfast_journal.workers.registration import Registration

BATCH = 256
"""Entries in one transaction, more or less. No other thread runs while they are arranged, for some
2 ms; more would hardly be faster."""


@define(eq=False)
class Writing:
    """Writes what it is given, and reports in the reactor's thread."""

    _database: Database
    _worker: Registration
    _reactor: Reactor
    _durable: Callable[[list[Commit], Mapping[Commit, Exception], float], object]
    """Called with commits that are durable, with those of them that are lost, and why, and with the
    seconds that it took."""
    _broken: Callable[[JournalBroken], object]
    """Called when nothing more will be written."""
    _tell: Callable[[str | None], object]
    """Called with one line when the database does not answer, and with None when it does again."""
    _thread: threading.Thread | None = field(default=None, init=False)
    _giving_up: threading.Event = field(factory=threading.Event, init=False)

    # What the two threads share, under the lock of `_changed`.
    _changed: threading.Condition = field(factory=threading.Condition, init=False)
    _queue: deque[Commit] = field(factory=deque, init=False)
    _end: bool = field(default=False, init=False)

    # For the reactor's thread.

    def give(self, commits: Sequence[Commit]) -> None:
        """Write these after what was given before."""
        with self._changed:
            self._queue.extend(commits)
            self._changed.notify()
        if self._thread is None and not self._end:
            # A daemon: a database that never answers must not keep the process from ending.
            self._thread = threading.Thread(target=self._work, name="journal", daemon=True)
            self._thread.start()

    def end(self) -> None:
        """Write nothing more, and wait for what is under way."""
        with self._changed:
            self._end = True
            self._changed.notify()
        if self._thread is not None and not self._giving_up.is_set():
            self._thread.join()

    def give_up(self) -> None:
        """Wait for nothing."""
        self._giving_up.set()
        self.end()

    # For the thread itself.

    def _work(self) -> None:
        committer = Committer(self._database, self._wait, self._worker.keep, self._say)
        while batch := self._next_batch():
            self._moves()
            began = self._worker.term.uptime()
            try:
                lost = committer.commit(batch)
            except JournalBroken as error:
                self._reactor.callFromThread(partial(self._broken, error))
                return
            except Exception as error:  # noqa: BLE001  it goes to on_fatal
                # A mistake of ours. Nothing of the batch was released, and nothing will be.
                broken = JournalBroken(f"the journal failed: {type(error).__name__}")
                broken.__cause__ = error
                self._reactor.callFromThread(partial(self._broken, broken))
                return
            seconds = self._worker.term.uptime() - began
            self._reactor.callFromThread(partial(self._durable, batch, lost, seconds))

    def _next_batch(self) -> list[Commit]:
        if self._worker.renewing is not None:
            self._worker.renewing.moving.has_written()
        with self._changed:
            while not self._queue and not self._end:
                self._changed.wait()
            batch: list[Commit] = []
            size = 0
            while self._queue and size < BATCH and not self._end:
                batch.append(self._queue.popleft())
                size += len(batch[-1].entries)
            return batch

    def _wait(self, delay: float) -> bool:
        given_up = self._giving_up.wait(delay)
        self._moves()
        return not given_up

    def _moves(self) -> None:
        if self._worker.renewing is not None:
            self._worker.renewing.moving.writes()

    def _say(self, why: str | None) -> None:
        self._reactor.callFromThread(partial(self._tell, why))
