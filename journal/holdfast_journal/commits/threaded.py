"""Group commit: how commits get from the events that make them to the database and back.

`ThreadedWriter` hands what one reactor turn made to a thread, which writes all of it in one
transaction; what comes meanwhile is the next transaction. When one is durable the reactor runs its
calls, in order, for some time of each turn. (`inline.InlineWriter` does all that on the spot.)

A commit goes this way, and never another:

1. `submitted`: in `_turn`, until the reactor turn is over. Its flow has `fence.pending` commits.
2. `given`: in the queue of `Writing`, whose thread takes up to `BATCH` entries at a time. Commits
   stay in the order in which they were submitted, also those that write nothing, which are given
   for the sake of that order alone: their calls must not overtake those of the commit before.
3. `durable`, or `lost`: `_durable` hears of a batch in the reactor's thread, in order. The only
   call of a lost one is its flow's `refused`.
4. `released`: `Releasing` has run its calls. Before each of them the lease must hold, and the flow
   must not be fenced; a call of a fenced flow is dropped, and when the lease does not hold
   everything waits until the thread that renews it has found out which flows are ours still.

So what a call lets out was durable before, under an epoch that nobody has followed; and it happens
at most once. After a crash between 3 and 4 it has not happened: whoever loads the flow does it
then, from its checkpoint.

Threads: all methods here are for the reactor's thread. `Writing` has one of its own, which does
nothing but write. It tells the reactor's by `callFromThread`, so nothing here needs a lock but the
queue. While the database does not answer, the thread waits and tries again, for ever: only
`_give_up`, some time after `stop`, ends that.

It ends in one of three ways, after which `submit` raises JournalStopped. `Stopped`: `stop` was
called, and everything was released. *Given up*: `stop` was called with a patience, in which the
database has not finished a transaction. `Broken`: the disk failed, or we have made a mistake;
nothing more is written or released, since nobody knows what of it would last, and `on_fatal` is to
end this process. After the latter two, what was not released happens again in whatever process
takes the flows next.
"""

from collections.abc import Callable, Mapping
from functools import partial

from attrs import define, field
from twisted.internet.defer import Deferred

from holdfast_journal.commits.backlog import Backlog
from holdfast_journal.commits.boundaries import Reactor
from holdfast_journal.commits.releasing import Releasing
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

    _turn: list[Commit] = field(factory=list, init=False)
    """What this reactor turn has submitted so far."""
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
        self._watch = Watch(self._reactor, self._finished, self._waits, self._stalled)
        self._patience = Watch(self._reactor, self._finished, self._stops, self._give_up)

    def submit(self, commit: Commit) -> None:
        """Take `commit`; nothing happens before the end of this reactor turn.

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
        self._turn.append(commit)
        if len(self._turn) == 1:
            self._reactor.callLater(0, self._hand_over)
        self._backlog.submitted(commit)

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

    def _durable(self, batch: list[Commit], lost: Mapping[Commit, Exception]) -> None:
        if self._stopped is not None:
            return  # we gave up before this came
        self._backlog.written(len(batch))
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
        self._watch.stop()
        self._patience.stop()
        self._writing.end()
