"""Group commit: how commits get from the events that make them to the database and back.

`ThreadedWriter` hands what one reactor turn made to a thread, which writes all of it in one
transaction; what comes meanwhile becomes the next transaction. Once a transaction is durable, the
reactor runs its calls, in order, for a limited time in each turn. (`inline.InlineWriter` does all
of this on the spot.)

Every commit goes through the same four states:

1. `submitted`: in `_turn`, until the reactor turn is over; before that perhaps in `Riding`, if
   nobody waits for it. Its flow counts it in `fence.pending`.
2. `given`: in the queue of `Writing`, whose thread takes up to `BATCH` entries at a time. Commits
   stay in the order in which they were submitted. A commit that writes nothing is given only to
   keep that order: its calls must not overtake those of the commit before.
3. `durable`, or `lost`: `_durable` is told of each batch in the reactor's thread, in order. For a
   lost commit nothing is called but its flow's `refused`.
4. `released`: `Releasing` has run its calls. Before each call, the lease must hold and the flow
   must not be fenced. If the flow is fenced, the call is dropped. If the lease does not hold,
   everything waits until the thread that renews it has found out which flows are still ours.

So what a call lets out is already durable, under an epoch that no other has followed; and it is let
out at most once. If the process dies between 3 and 4, the call has not run: the next worker to load
the flow makes up for it, from the flow's checkpoint.

Threads: all methods here are for the reactor's thread. `Writing` has a thread of its own, which
does nothing but write. It reports to the reactor's thread by `callFromThread`, so only the queue
needs a lock. While the database does not answer, the thread waits and tries again without limit:
only `_give_up`, some time after `stop`, ends that.

The writer ends in one of three ways, after which `submit` raises JournalStopped:

- stopped: `stop` was called, and everything was released;
- given up: `stop` was called with a patience, and the database finished no transaction for so long;
- broken: the disk failed, or we have made a mistake. Nothing more is written or released, since it
  is unknown what of it would last, and `on_fatal` should end this process.

After the latter two, what was not released happens again in the process that takes the flows next.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from attrs import define, field
from twisted.internet.defer import Deferred

from holdfast_journal.commits.backlog import Backlog
from holdfast_journal.commits.boundaries import Reactor
from holdfast_journal.commits.releasing import Releasing
from holdfast_journal.commits.riding import Riding
from holdfast_journal.commits.values import Commit
from holdfast_journal.commits.watch import Watch
from holdfast_journal.commits.writing import Writing
from holdfast_journal.errors import JournalBroken, JournalStopped
from holdfast_journal.store.database import Database
from holdfast_journal.workers.registration import Registration

SLOW = 10.0
"""Seconds after which a database that has not finished a transaction is said not to answer."""


@define(eq=False)
class ThreadedWriter:
    """Commits in a thread of its own. All methods are for the reactor's thread."""

    _database: Database
    _worker: Registration
    _reactor: Reactor
    _on_fatal: Callable[[JournalBroken], object]
    _backlog: Backlog
    _is_alone: Callable[[], bool]
    """Whether at most one flow runs in this process."""

    _turn: list[Commit] = field(factory=list, init=False)
    """What this reactor turn has submitted so far."""
    _riding: Riding = field(init=False)
    _writing: Writing = field(init=False)
    _releasing: Releasing = field(init=False)
    _watch: Watch = field(init=False)
    """Of what was given to the thread."""
    _patience: Watch = field(init=False)
    """Of the same, once we are asked to stop."""
    _stopping: "Deferred[None] | None" = field(default=None, init=False)
    _stopped: JournalStopped | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self._writing = Writing(
            *(self._database, self._worker, self._reactor),
            durable=self._durable,
            broken=self._broken,
            tell=self._told,
        )
        self._releasing = Releasing(
            self._worker, self._reactor, self._backlog.released, self._rested
        )
        self._riding = Riding(self._reactor, self._hand_over_all, self._is_alone)
        self._watch = Watch(self._reactor, self._finished, self._waits, self._stalled)
        self._patience = Watch(self._reactor, self._finished, self._stops, self._give_up)

    def submit(self, commit: Commit) -> None:
        """Take `commit`; nothing happens before the end of this reactor turn.

        A commit that nobody waits for may wait a little longer (`riding`).
        A commit that has nothing to write, of a flow with nothing under way, is released at once.
        Raises JournalStopped.
        """
        if self._stopped is not None:
            raise self._stopped
        if commit.state is None and not commit.fence.pending and self._worker.holds():
            for call in commit.calls:
                self._releasing.run(call)
            return
        commit.fence.pending += 1
        self._backlog.submitted(commit)
        if self._stopping is not None or not self._riding.takes(commit):
            self._add([*self._riding.leave(commit.fence.id), commit])

    def _add(self, commits: Sequence[Commit]) -> None:
        if not self._turn:
            self._reactor.callLater(0, self._hand_over)
        self._turn += commits

    def _hand_over_all(self) -> None:
        if left := self._riding.all_leave():
            self._add(left)

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
            self._hand_over_all()
        if patience is not None and self._backlog.outstanding:
            self._patience.start(patience)
        self._stopping.chainDeferred(waiting)
        self._stop_if_idle()
        return waiting

    def _hand_over(self) -> None:
        turn, self._turn = self._turn, []
        self._backlog.unwritten += len(turn)
        if self._stopped is None:
            self._watch.start(SLOW)
            self._writing.give(turn)

    # What the thread says, in ours.

    def _durable(
        self, batch: list[Commit], lost: Mapping[Commit, Exception], seconds: float
    ) -> None:
        if self._stopped is not None:
            return  # we gave up before this came
        self._backlog.written(len(batch), seconds)
        for commit, error in lost.items():
            commit.calls = [partial(commit.owner.refused, error)]
        self._releasing.add(batch)

    def _told(self, why: str | None) -> None:
        if why is None:
            self._backlog.pressure.answers("writer")
        elif self._stopped is None:
            self._backlog.pressure.fails("writer", why)

    def _broken(self, error: JournalBroken) -> None:
        if self._stopped is not None:
            return
        self._stopped = JournalStopped(f"the journal is broken: {error}")
        self._stopped.__cause__ = error
        self._releasing.clear()
        self._finish()
        self._on_fatal(error)
        if self._stopping is not None:
            self._stopping.errback(self._stopped)

    # What the two watches ask, and say.

    def _finished(self) -> int:
        return self._backlog.transactions

    def _waits(self) -> bool:
        return self._stopped is None and bool(self._backlog.unwritten)

    def _stalled(self) -> bool:
        self._backlog.pressure.fails("watch", f"no answer for {SLOW:g} seconds")
        return True

    def _stops(self) -> bool:
        return self._stopped is None and self._stopping is not None

    def _give_up(self) -> bool:
        """We are asked to stop, and the database does nothing."""
        self._stopped = JournalStopped(
            f"the database {self._database.name} does not answer;"
            " what was not saved was not sent either, and will happen again"
        )
        self._releasing.clear()
        self._writing.give_up()
        self._finish()
        if self._stopping is not None:
            self._stopping.errback(self._stopped)
        return False

    # The end.

    def _rested(self) -> None:
        self._backlog.gauge()
        self._stop_if_idle()

    def _stop_if_idle(self) -> None:
        if self._stops() and not self._backlog.outstanding:
            self._stopped = JournalStopped("the journal was stopped")
            self._finish()
            if self._stopping is not None:
                self._stopping.callback(None)

    def _finish(self) -> None:
        self._riding.stop()
        self._watch.stop()
        self._patience.stop()
        self._writing.end()
