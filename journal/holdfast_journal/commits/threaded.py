"""Group commit: how commits get from the events that make them to the database and back.

`ThreadedWriter` hands what one reactor turn made to a thread, which writes all of it in one
transaction; what comes meanwhile is the next transaction. When one is durable the reactor runs its
calls, in order, for some time of each turn. (`inline.InlineWriter` does all that on the spot.)
"""

import threading
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from holdfast_journal.commits.boundaries import Reactor
from holdfast_journal.commits.committer import Committer
from holdfast_journal.commits.pressure import Pressure
from holdfast_journal.commits.values import Commit
from holdfast_journal.errors import JournalBroken, JournalStopped
from holdfast_journal.interface import Call
from holdfast_journal.store.database import Database
from holdfast_journal.workers.registration import Registration

BATCH = 256
"""Entries in one transaction, more or less. No other thread runs while they are arranged, for some
2 ms; more would hardly be faster."""
TURN = 0.001
"""Seconds of one reactor turn for calls, so that sockets are served in between, and the writer's
thread, which waits for its turn too."""
MOST_COMMITS = 2000
"""Commits that wait to be written or released, from which no more should be taken in."""
MOST_BYTES = 64 * 1024 * 1024
"""Bytes of them, likewise."""
SLOW = 10.0
"""Seconds after which a database that has not finished a transaction is said not to answer."""

_log = Logger()


@define
class ThreadedWriter:
    """Commits in a thread of its own. All methods are for the reactor's thread."""

    _database: Database
    _worker: Registration
    _reactor: Reactor
    _on_fatal: Callable[[JournalBroken], object]
    _pressure: Pressure

    _turn: list[Commit] = field(factory=list, init=False)
    """What this reactor turn has submitted so far."""
    _releases: deque[Commit] = field(factory=deque, init=False)
    """Durable commits whose calls have not all been run, in order."""
    _releasing: bool = field(default=False, init=False)
    _outstanding: int = field(default=0, init=False)
    """Commits that were submitted and whose calls have not all been run."""
    _bytes: int = field(default=0, init=False)
    """The size of those."""
    _full: bool = field(default=False, init=False)
    _unwritten: int = field(default=0, init=False)
    """Commits that the thread was given and has not finished."""
    _finished: int = field(default=0, init=False)
    """Transactions that it has."""
    _watch: Any = field(default=None, init=False)
    _deadline: Any = field(default=None, init=False)
    _stopping: "Deferred[None] | None" = field(default=None, init=False)
    _stopped: JournalStopped | None = field(default=None, init=False)
    _thread: threading.Thread | None = field(default=None, init=False)

    # What the two threads share, under the lock of `_changed`.
    _changed: threading.Condition = field(factory=threading.Condition, init=False)
    _queue: deque[Commit] = field(factory=deque, init=False)
    _end: bool = field(default=False, init=False)
    _giving_up: threading.Event = field(factory=threading.Event, init=False)

    def submit(self, commit: Commit) -> None:
        """Take `commit`; nothing happens before the end of this reactor turn.

        A commit that has nothing to write, of a flow with nothing under way, is released at once.
        Raises JournalStopped.
        """
        if self._stopped is not None:
            raise self._stopped
        if commit.state is None and not commit.lease.pending and self._worker.holds():
            for call in commit.calls:
                self._run(call)
            return
        commit.lease.pending += 1
        self._outstanding += 1
        self._bytes += commit.size
        self._turn.append(commit)
        if len(self._turn) == 1:
            self._reactor.callLater(0, self._hand_over)
        if self._outstanding > MOST_COMMITS or self._bytes > MOST_BYTES:
            self._gauge()

    def stop(self, patience: float | None = None) -> "Deferred[None]":
        """Fires when all that was submitted is durable and released; then nothing more is taken.

        Fails with JournalStopped if the disk failed before, or if the database has not answered for
        `patience` seconds.
        """
        waiting: Deferred[None] = Deferred()
        if self._stopped is not None:
            if self._stopped.__cause__ is None:
                waiting.callback(None)
            else:
                waiting.errback(self._stopped)
            return waiting
        if self._stopping is None:
            self._stopping = Deferred()
        if patience is not None and self._outstanding and self._deadline is None:
            self._be_patient(patience)
        self._stopping.chainDeferred(waiting)
        self._stop_if_idle()
        return waiting

    def _hand_over(self) -> None:
        with self._changed:
            self._queue.extend(self._turn)
            self._changed.notify()
        self._unwritten += len(self._turn)
        self._turn.clear()
        if self._watch is None and self._stopped is None:
            self._watch = self._reactor.callLater(SLOW, partial(self._look, self._finished))
        if self._thread is None and self._stopped is None:
            # A daemon: a database that never answers must not keep the process from ending.
            self._thread = threading.Thread(target=self._work, name="journal", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        """The writer thread."""
        committer = Committer(self._database, self._wait, self._worker.keep, self._tell)
        while batch := self._next_batch():
            self._moves()
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
            self._reactor.callFromThread(partial(self._durable, batch, lost))

    def _wait(self, delay: float) -> bool:
        given_up = self._giving_up.wait(delay)
        self._moves()
        return not given_up

    def _moves(self) -> None:
        if self._worker.moving is not None:
            self._worker.moving.writes()

    def _tell(self, why: str | None) -> None:
        self._reactor.callFromThread(partial(self._told, why))

    def _next_batch(self) -> list[Commit]:
        if self._worker.moving is not None:
            self._worker.moving.has_written()
        with self._changed:
            while not self._queue and not self._end:
                self._changed.wait()
            batch: list[Commit] = []
            size = 0
            while self._queue and size < BATCH and not self._end:
                batch.append(self._queue.popleft())
                size += len(batch[-1].entries)
            return batch

    def _told(self, why: str | None) -> None:
        if why is None:
            self._pressure.answers("writer")
        elif self._stopped is None:
            self._pressure.fails("writer", why)

    def _look(self, finished: int) -> None:
        """Has the database done anything since it had `finished` transactions?"""
        self._watch = None
        if self._stopped is None and self._unwritten:
            if finished == self._finished:
                self._pressure.fails("watch", f"no answer for {SLOW:g} seconds")
            self._watch = self._reactor.callLater(SLOW, partial(self._look, self._finished))

    def _gauge(self) -> None:
        """Say when too much waits, and when half of it is gone."""
        share = max(self._outstanding / MOST_COMMITS, self._bytes / MOST_BYTES)
        if share > 1.0 if not self._full else share <= 0.5:
            self._full = not self._full
            self._pressure.fill(self._full)

    def _durable(self, batch: list[Commit], lost: Mapping[Commit, Exception]) -> None:
        if self._stopped is not None:
            return  # we gave up before this came
        self._finished += 1
        self._unwritten -= len(batch)
        self._pressure.answers("watch")
        for commit, error in lost.items():
            commit.calls = [partial(commit.owner.refused, error)]
        self._releases += batch
        if not self._releasing:
            self._release()

    def _release(self) -> None:
        self._releasing = True
        worker = self._worker
        now = worker.uptime()
        until = now + TURN
        while self._releases and now < until:
            commit = self._releases[0]
            if commit.called < len(commit.calls):
                if not worker.holds(now):
                    # Others may have taken our flows: go on when it is known which.
                    worker.ask(partial(self._reactor.callFromThread, self._release))
                    return
                commit.called += 1
                if commit.lease.lost is None:
                    self._run(commit.calls[commit.called - 1])
                    now = worker.uptime()
            else:
                self._releases.popleft()
                commit.lease.pending -= 1
                self._outstanding -= 1
                self._bytes -= commit.size
        self._releasing = bool(self._releases)
        if self._releasing:
            self._reactor.callLater(0, self._release)
        self._gauge()
        self._stop_if_idle()

    def _run(self, call: Call) -> None:
        try:
            call()
        except Exception:  # noqa: BLE001  it is logged
            # Its event is durable, whatever became of it, and the calls of others are due.
            _log.failure("an outbound call failed")

    def _stop_if_idle(self) -> None:
        if self._stopping is not None and not self._outstanding and self._stopped is None:
            self._stopped = JournalStopped("the journal was stopped")
            self._finish_thread()
            self._stopping.callback(None)

    def _be_patient(self, patience: float) -> None:
        give_up = partial(self._give_up, self._finished, patience)
        self._deadline = self._reactor.callLater(patience, give_up)

    def _give_up(self, finished: int, patience: float) -> None:
        """We are asked to stop, and the database does nothing since `finished` transactions."""
        self._deadline = None
        if self._stopped is not None or self._stopping is None:
            return
        if self._finished > finished:
            self._be_patient(patience)
            return
        self._stopped = JournalStopped(
            f"the database {self._database.name} does not answer;"
            " what was not saved was not sent either, and will happen again"
        )
        self._releases.clear()
        self._giving_up.set()
        self._finish_thread(wait=False)
        self._stopping.errback(self._stopped)

    def _broken(self, error: JournalBroken) -> None:
        if self._stopped is not None:
            return
        self._stopped = JournalStopped(f"the journal is broken: {error}")
        self._stopped.__cause__ = error
        self._releases.clear()
        self._finish_thread()
        self._on_fatal(error)
        if self._stopping is not None:
            self._stopping.errback(self._stopped)

    def _finish_thread(self, wait: bool = True) -> None:
        for timer in (self._watch, self._deadline):
            if timer is not None:
                timer.cancel()
        self._watch = self._deadline = None
        with self._changed:
            self._end = True
            self._changed.notify()
        if self._thread is not None and wait:
            self._thread.join()
