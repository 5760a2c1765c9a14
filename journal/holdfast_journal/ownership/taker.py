"""`Taker`: what a process that runs flows does, beside reading and starting them."""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING

from attrs import define
from sqlalchemy import select

from holdfast_journal.auditing.acts import Act
from holdfast_journal.commits.backlog import Backlog
from holdfast_journal.commits.boundaries import Writer
from holdfast_journal.commits.pressure import Pressure
from holdfast_journal.keys.watching import WatchKeys
from holdfast_journal.ownership import asking, detached, taking, watching
from holdfast_journal.ownership.detached import Asked, DetachedTask
from holdfast_journal.ownership.due import Wanted
from holdfast_journal.ownership.held import Held
from holdfast_journal.ownership.lookout import Lookout
from holdfast_journal.ownership.starting import Starter, start_flows
from holdfast_journal.ownership.values import NewFlow, Started, TakenFlow
from holdfast_journal.ownership.vitals import Vitals, vitals_of
from holdfast_journal.ownership.watching import Watcher
from holdfast_journal.store.schema import workers
from holdfast_journal.upkeep.shredding import empty_log, shred_due
from holdfast_journal.workers.registration import Registration

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred


@define(eq=False)
class Taker(Starter):
    """This process's part in running the flows of a journal.

    Every method but `stop` raises DatabaseUnusable.
    """

    _registration: Registration
    _writer: Writer
    _held: Held
    _backlog: Backlog
    _lookout: Lookout | None
    """None if there are no threads."""

    @property
    def pressure(self) -> Pressure:
        """Where to hear, and to say, that the database does not answer."""
        return self._backlog.pressure

    def vitals(self) -> Vitals:
        """How this worker is, now. For the reactor's thread; does not block."""
        return vitals_of(self._registration, self._backlog)

    def observe_writes(self, observe: Callable[[int, float], object]) -> None:
        """Have `observe` called with the commits of each transaction and its seconds.

        It is called in the reactor's thread, before the calls of these commits, and must not raise.
        An inline journal does not call it.
        """
        self._backlog.observe = observe

    def stop(self, patience: float | None = None) -> "Deferred[None]":
        """Fires when everything submitted is durable and released; then nothing more is recorded.

        To end cleanly: `stop()`, then `give_back()`, then `close()`. Does not block.
        Fails with JournalStopped if the disk failed before, or if the database has not answered for
        `patience` seconds: nothing of what it did not take was released.
        """
        return self._writer.stop(patience)

    def close(self) -> None:
        """Stop being a worker, whose flows are free from now on, and close the database."""
        if self._lookout is not None:
            self._lookout.end()
        self._registration.drop()
        self._database.close()

    @property
    def worker(self) -> int | None:
        """This process's worker id; None until it has owned a flow."""
        return self._registration.current

    def serve(self, kinds: Collection[str] | None) -> None:
        """Be a service of this database until `close` or death: run whatever is started there.

        An SQLite file has room for one. On PostgreSQL there can be any number, and those that serve
        the same `kinds` share the flows: `take` hands out no more than this worker's part, and
        `excess` tells what it has above that. With None it takes all that it can, as without this.
        Raises AlreadyServed.
        """
        self._held.serve(kinds)

    def share(self, on: bool) -> None:  # noqa: FBT001 - public
        """Take part in sharing flows with the other services, or leave their shares to them.

        Without `serve` this changes nothing.
        """
        self._held.share(on=on)

    @property
    def services(self) -> int:
        """How many services share the flows, we among them, by the last count."""
        return self._held.services

    def start_flows(
        self, batch: str, new: Sequence[NewFlow], *, own: bool = False, act: Act | None = None
    ) -> Started:
        """Start flows in one transaction; a name that is in the batch already is not started again.

        With `own` they belong to this worker from birth: no other worker takes them first.
        Raises ValueError if a name comes twice, WrongKey.
        """
        with self._held.born() if own else nullcontext() as owner:
            return start_flows(self._database, self._keys, batch, new, owner, self._clock(), act)

    def asked_to_leave(self) -> bool:
        """Whether an operator has asked this worker to give back its flows and end; see `drain`."""
        worker = self._registration.current
        if worker is None:
            return False
        query = select(workers.c.drain_at).where(workers.c.id == worker)
        with self._database.reading() as connection:
            return connection.scalar(query) is not None

    def take(  # noqa: PLR0913 - the face of the journal
        self,
        *,
        batch: str | None = None,
        names: Collection[str] | None = None,
        ids: Collection[int] | None = None,
        kinds: Collection[str] | None = None,
        limit: int | None = None,
        again: bool = False,
        begun: bool = False,
        suspects: bool | None = None,
        without: Collection[int] = (),
    ) -> list[TakenFlow]:
        """Take unfinished flows that no living worker owns, or that we own and do not run.

        A flow that was given back with a `wake_at` can be taken then, or as soon as something is
        asked of it; the flows of a worker that died, at once. The one that has waited longest comes
        first. If several services share, each takes no more than its share. From then on only the
        returned `journal` of each flow can write it.
        A flow that cannot be read ends as "damaged", and one whose master key is not here is left
        to other workers; that is logged once. Raises DatabaseUnusable; then nothing was taken.
        Flows whose workers died again and again are `suspects`: False leaves them, and True takes
        some of them, and nothing else; then call `survived` with those that did no harm.
        If you asked just now and know that there were more, it costs less to ask `again`: workers
        and keys are then assumed to be as they were. With `begun`, flows that have not begun stay
        where they are, unless something is asked of them. `without` are the ids of flows that are
        left to other workers.
        """
        wanted = Wanted(batch, names, ids, kinds, limit, tuple(without), begun, suspects)
        return self._held.take(wanted, again=again)

    def is_still(
        self,
        *,
        batch: str | None = None,
        names: Collection[str] | None = None,
        kinds: Collection[str] | None = None,
        without: Collection[int] = (),
    ) -> bool:
        """Whether `requests` and `take` would find nothing, as they did when they were last called.

        That is: nothing was committed since, by anybody, and no time has come at which a flow is
        due. It costs next to nothing, and renews our lease as `requests` does. False if it cannot
        be known, as on PostgreSQL, or if `take` was not asked for just these flows, suspects among
        them.
        """
        with self._database.explaining_errors():
            self._registration.keep()
        return self._held.is_still(Wanted(batch, names, kinds=kinds, without=tuple(without)))

    def look_out(
        self,
        then: Callable[[], object],
        *,
        every: float,
        batch: str | None = None,
        names: Collection[str] | None = None,
        kinds: Collection[str] | None = None,
    ) -> bool:
        """Have `then` called in the reactor's thread as soon as `is_still` is not so any more.

        A thread asks that from now on, after every so many seconds and later more seldom. For the
        reactor's thread; does not block. What was asked for before is not told any more. Returns
        False if there is no such thread: then look yourself.
        """
        if self._lookout is None:
            return False
        wanted = Wanted(batch, names, kinds=kinds)
        self._lookout.begin(partial(self._held.is_still, wanted), every, then)
        return True

    def excess(self) -> int:
        """How many flows we run above our share, which others will take if we give them back.

        0 without `serve`.
        """
        return self._held.excess()

    def give_back(
        self, flow_ids: Collection[int] | None = None, *, wake_at: float | None = None
    ) -> None:
        """Let workers take these flows again (all that we run, without `flow_ids`).

        At once, or not before `wake_at`, in seconds since the epoch and at most ten minutes ahead.
        A time farther ahead counts as due: the clock must have been set back.
        Call it only once their last commit is durable: one that is still under way may be fenced.
        To reload a flow after an exception, give it back and take it again.
        """
        self._held.give_back(flow_ids, wake_at)

    def watcher(self, url: str, appid: str) -> Watcher:
        """The watcher for this mailbox server and application: the same for all workers.

        One whose row was altered gets another name, and its flows are due. Raises WrongKey,
        Unreadable.
        """
        return watching.find_or_make(self._database, self._watch_keys(), url, appid, self._clock())

    def watchers(self) -> list[Watcher]:
        """The watchers that have something to watch. Raises WrongKey, Unreadable.

        The flows of a watcher whose row was altered are due, and that is logged.
        """
        return watching.in_use(self._database, self._watch_keys())

    def watch(self, watcher: int, flows: Mapping[int, tuple[str, str]]) -> None:
        """Note durably that these flows are found by an arrival: (mailbox, side) by flow id.

        Call it before the server is asked, once the flow has nothing to do but to wait. The flow
        stays ours; it is `park` that lets it go. Flows that we do not own stay as they are.
        Raises WrongKey, Unreadable.
        """
        if self.worker is not None and flows:
            keys = self._watch_keys()
            marks = {flow: keys.mark(watcher, *place) for flow, place in flows.items()}
            watching.watch(self._database, self.worker, watcher, marks)

    def park(self, flows: Mapping[int, float | None], revision: int) -> None:
        """Give these flows back, watched: the server has confirmed that with this `revision`.

        None is taken before its time, in seconds since the epoch, however far ahead (or at all,
        with None), unless something is asked of it. One that an arrival, or `forgotten`, has met
        since `watch` is due at once. As with `give_back`, their last commits must be durable.
        """
        self._held.park(flows, revision)

    def has_come(self, watcher: int, marks: Collection[tuple[str, str]]) -> int:
        """Let the flows be due for which something has come: (mailbox, side) of each.

        Those that a worker runs are due once it parks them. Others than ours are met too, and to
        call it twice does no harm. Once it has returned, the arrivals may be acknowledged.
        Returns how many flows it has met. Raises WrongKey, Unreadable.
        """
        if not marks:
            return 0
        keys = self._watch_keys()
        found = {keys.mark(watcher, mailbox, side) for mailbox, side in marks}
        return watching.has_come(self._database, found)

    def forgotten(self, watcher: int, above: int) -> int:
        """Let those flows be due that the server does not watch: confirmed `above` this revision.

        Those that are not confirmed yet are met too, whichever worker has asked for them: call it
        before `watch` on a new connection. Returns how many flows it has met.
        """
        return watching.forgotten(self._database, watcher, above)

    def _watch_keys(self) -> WatchKeys:
        return WatchKeys.derived(self._own_key())

    def give_back_failed(self, flow_id: int, trouble: str, wake_at: float) -> int:
        """Give back a flow whose own code failed, and note where: `trouble`, without secrets.

        No worker takes it before `wake_at`, in seconds since the epoch.
        Returns how often it failed recently; an hour after a failure the counting begins anew. 0 if
        the flow is not ours any more.
        """
        return self._held.give_back_failed(flow_id, trouble, wake_at, self._clock())

    def give_back_unloaded(self, flow_id: int, reason: str) -> None:
        """Give back a flow that this process cannot load.

        `reason` holds no secret, and begins as UNLOADED. Other workers may be able to load the
        flow, and can take it at once: see `without` of `take`.
        """
        self._held.give_back_unloaded(flow_id, reason)

    def survived(self, flow_ids: Collection[int]) -> None:
        """Clear these flows of suspicion: they did not end the process that runs them."""
        if self.worker is not None:
            taking.survived(self._database, self.worker, flow_ids)

    def forget_trouble(self, flow_id: int) -> None:
        """Forget why a flow could not be loaded: it is running now."""
        if self.worker is not None:
            taking.forget_trouble(self._database, self.worker, flow_id)

    def tell(self, notice: str | None) -> None:
        """Tell operators this of our work until something else is told."""
        taking.tell(self._database, self._registration.id(), notice)

    def requests(self) -> list[tuple[int, str]]:
        """What other processes asked of unfinished flows that we own: (flow id, request).

        A request stays until it is `answered` or the flow is finished, so that none is lost in a
        crash. Call this from
        time to time: it also renews our lease. If the lease had been over, it finds out which flows
        other workers have taken; those are then lost.
        """
        return self._held.requests()

    def answered(self, done: Collection[tuple[int, str]]) -> None:
        """Forget requests that were heeded, and whose outcome is durable: (flow id, request).

        If something else was asked meanwhile, that stays.
        """
        asking.answered(self._database, done)

    def claim_detached(
        self, leases: Mapping[str, float], *, limit: int, batch: str | None = None
    ) -> list[DetachedTask]:
        """Claim detached tasks that are due, each for so many seconds as `leases` says by its name.

        Unless it is reported before that time is over, it is due again, for any worker. Only tasks
        named in `leases` are claimed, of flows of this `batch`, whatever their kinds. Each claim
        counts as a try. Raises WrongKey, Unreadable.
        """
        asked = Asked(leases, batch, limit)
        return detached.claim(self._database, self._held.detached_key, asked, self._clock())

    def detached_goes_on(self, some: Sequence[DetachedTask], seconds: float) -> None:
        """Keep the claims of these detached tasks for so many seconds from now.

        One that has lapsed meanwhile, and was claimed by another worker, stays that worker's.
        """
        detached.goes_on(self._database, some, self._clock() + seconds)

    def detached_done(self, task: DetachedTask) -> None:
        """Forget a detached task."""
        detached.done(self._database, task)

    def detached_failed(self, task: DetachedTask, reason: str, due_at: float) -> None:
        """Have a detached task done later: `reason` is why not now, without secrets."""
        detached.failed(self._database, task, reason, due_at)

    def shred_due(self) -> int:
        """Shred the flows that were kept long enough; return how many. Call it once a minute.

        It also sees to it that what was deleted is gone from SQLite's write-ahead log.
        """
        shredded = shred_due(self._database, self._clock())
        empty_log(self._database)
        return shredded
