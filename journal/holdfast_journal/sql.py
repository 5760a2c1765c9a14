"""`SqlJournal`: many flows, durable in one SQL database.

    journal = SqlJournal.open("sqlite:////var/lib/x/holdfast.db", reactor=reactor)
    journal.start_flows("2025-03", [NewFlow("ada", "provision", params)], own=True)
    for flow in journal.take():
        ...                             # run it with flow.journal, a FlowJournal

Every method but `stop` blocks for as long as the database takes; call them from a thread
(`deferToThread`) where a reactor is running. They may be called from several threads.
"""

import os
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

from attrs import define, field
from twisted.logger import Logger

from holdfast_journal.commits.boundaries import Reactor, Writer
from holdfast_journal.commits.committer import Committer
from holdfast_journal.commits.flow import FlowJournal
from holdfast_journal.commits.inline import InlineWriter
from holdfast_journal.commits.messages import Messages
from holdfast_journal.commits.pressure import Pressure
from holdfast_journal.commits.threaded import ThreadedWriter
from holdfast_journal.commits.values import Lease
from holdfast_journal.doctor.soundness import Checks
from holdfast_journal.errors import Fenced, JournalBroken
from holdfast_journal.keys.master import MissingKeys, fingerprint_key, given_keys
from holdfast_journal.keys.ring import KeyRing, fingerprint
from holdfast_journal.keys.sealer import Sealer
from holdfast_journal.ownership import due, starting, taking
from holdfast_journal.ownership.sharing import Sharing
from holdfast_journal.ownership.suspects import deaths_of
from holdfast_journal.ownership.values import ExistingFlow, NewFlow, Started, TakenFlow, Unfinished
from holdfast_journal.reading import reading
from holdfast_journal.reading.following import Seen
from holdfast_journal.reading.rows import Changes, EntryRow, Event, FlowRow, Worker
from holdfast_journal.store.database import Database
from holdfast_journal.store.schema import DONE
from holdfast_journal.upkeep.opening import look_ready, make_ready
from holdfast_journal.upkeep.shredding import empty_log, shred_due
from holdfast_journal.workers.clocks import boot_time
from holdfast_journal.workers.liveness import moving
from holdfast_journal.workers.locks import locks_for
from holdfast_journal.workers.registration import LEASE, Registration
from holdfast_journal.workers.shared_time import SharedTime

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

BUSY = 5.0
"""Seconds for which a busy machine may make us silent in the middle of a transaction."""


_log = Logger()


def _log_fatal(error: JournalBroken) -> None:
    _log.critical("{error}; stop this process and start it again", error=error)


@define(eq=False)
class SqlJournal:
    """A journal in a database, and this process's part in running its flows."""

    _database: Database
    _keys: KeyRing
    _writer: Writer
    _registration: Registration
    _clock: Callable[[], float]
    pressure: Pressure
    """Where to hear, and to say, that the database does not answer."""
    _in_reactor: Callable[[Callable[[], object]], object]
    made_key: Path | None = None
    """The key file that `open` has just made, of which the operator should be told."""
    kept_copy: Path | None = None
    """The copy that `open` has just made of an SQLite file of an older release, upgraded since."""
    retain: float = 0.0
    """Seconds for which a flow that went well or was cancelled can still be read; 0: not at all."""
    _fingerprint_key: bytes | None = field(default=None, init=False, repr=False)
    _missing_keys: MissingKeys = field(factory=MissingKeys, init=False)
    _running: dict[int, FlowJournal] = field(factory=dict, init=False, repr=False)
    _running_lock: threading.Lock = field(factory=threading.Lock, init=False, repr=False)
    _strays: set[int] = field(factory=set, init=False)
    """Flows that we own and do not run."""
    _dead: Sequence[int] = field(default=(), init=False)
    """The workers that were gone when somebody last looked."""
    _adrift: bool = field(default=False, init=False)
    """Whether there may be more of them, so that take() must look."""
    _time: SharedTime = field(init=False, repr=False)
    """By which it is stored when a flow is to be taken again."""
    _sharing: Sharing = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        # Who gives us a clock says what time it is.
        self._time = SharedTime(self._database, self._clock, self._clock is time.time)
        self._sharing = Sharing(self._database, self._keys, self._registration, self._time.now)

    @classmethod
    def open(
        cls,
        url: str,
        *,
        keys: KeyRing | None = None,
        reactor: Reactor | None = None,
        on_fatal: Callable[[JournalBroken], object] = _log_fatal,
        on_pressure: Callable[[bool], object] | None = None,
        host: str | None = None,
        clock: Callable[[], float] = time.time,
        lease: float = LEASE,
        uptime: Callable[[], float] = boot_time,
        make_parents: bool = False,
        retain: float = 0.0,
        looks: bool = False,
        environ: Mapping[str, str] = os.environ,
    ) -> Self:
        """Open the database at `url`, upgrade its schema if need be, and find the master key.

        An SQLite file of an older release is upgraded after a copy was made (`kept_copy`);
        PostgreSQL is not, because others may be using it.

        Without `keys` they come from HOLDFAST_KEY or HOLDFAST_KEY_FILE in `environ`, or from
        `<database file>.key`, which is made for a database that has never been sealed.
        Without `reactor` commits happen inside `process()`; otherwise in a thread, by group.
        `on_fatal` is called, in the reactor's thread, when the disk failed: nothing more will be
        written or released, and the process should end.
        `on_pressure` is called there too, with True when no more events should be taken in, because
        the database does not answer or too much waits for it, and with False when it is over.
        `clock` gives seconds since the epoch, and `uptime` seconds since any moment, without jumps.
        Others may take over our flows when we have not been heard of for `lease` seconds.
        `make_parents` makes missing directories.
        `retain` is the attribute of that name.
        Who only `looks` makes and changes nothing, not even a key file or a lock, and may look at
        what cannot be written; nothing can be started, taken or asked then.

        Raises DatabaseUnusable (NewerSchema and OlderSchema among them) and WrongKey; then nothing
        was changed,
        except that a missing SQLite file may have been made.
        """
        given = None if keys is not None else given_keys(environ)
        # Who runs no flows may only want to look, which a full disk does not keep anybody from.
        database = Database.open(
            url,
            make_parents=make_parents,
            writes=reactor is not None,
            pause=max(lease, BUSY),
            looks=looks,
        )
        try:
            ring = given.ring if given is not None else keys
            ready = look_ready(database, ring) if looks else make_ready(database, ring, clock)
            if reactor is not None:
                database.settle()
        except BaseException:
            database.close()
            raise
        registration = Registration(
            database,
            clock,
            locks_for(database, looks=looks),
            lease,
            uptime,
            moving=None if reactor is None else moving(reactor, uptime),
        )
        if host is not None:
            registration.host = host
        pressure = Pressure(database.name)
        if on_pressure is not None:
            pressure.listen(on_pressure)
        writer: Writer
        if reactor is None:
            committer = Committer(database, _do_not_wait, registration.keep, _log_trouble)
            writer = InlineWriter(database, committer, registration, on_fatal)
        else:
            writer = ThreadedWriter(database, registration, reactor, on_fatal, pressure)
        in_reactor = _at_once if reactor is None else reactor.callFromThread
        journal = cls(
            database,
            ready.keys,
            writer,
            registration,
            clock,
            pressure,
            in_reactor,
            made_key=ready.made_key,
            kept_copy=ready.copy,
            retain=retain,
        )
        registration.on_lapse = journal._let_go
        return journal

    def stop(self, patience: float | None = None) -> "Deferred[None]":
        """Fires when everything submitted is durable and released; then nothing more is recorded.

        To end cleanly: `stop()`, then `give_back()`, then `close()`. Does not block.
        Fails with JournalStopped if the disk failed before, or if the database has not answered for
        `patience` seconds: nothing of what it did not take was released.
        """
        return self._writer.stop(patience)

    def close(self) -> None:
        """Stop being a worker, whose flows are free from now on, and close the database."""
        self._registration.drop()
        self._database.close()

    @property
    def worker(self) -> int | None:
        """This process's worker id; None as long as it has owned nothing."""
        return self._registration.current

    @property
    def name(self) -> str:
        """The database's URL for people, its password hidden."""
        return self._database.name

    def fingerprint(self, *parts: str) -> str:
        """A keyed hash of `parts`, in hex, for `NewFlow.fingerprint`; the same for ever.

        Raises WrongKey, Unreadable, DatabaseUnusable.
        """
        if self._fingerprint_key is None:
            self._fingerprint_key = fingerprint_key(self._database, self._keys, self._clock())
        return fingerprint(self._fingerprint_key, *parts)

    # Running flows

    def serve(self, kinds: Collection[str] | None) -> None:
        """Be a service of this database until `close` or death: whatever anybody starts is ours.

        An SQLite file has room for one. On PostgreSQL there can be any number, and those that serve
        the same `kinds` share the flows: `take` hands out no more than this worker's part, and
        `excess` tells what it has above that. With None it takes whatever it can, as without this.
        Raises AlreadyServed, DatabaseUnusable.
        """
        self._registration.serve(kinds)

    def start_flows(self, batch: str, new: Sequence[NewFlow], *, own: bool = False) -> Started:
        """Start flows in one transaction; a name that is in the batch already is not started again.

        With `own` they belong to this worker from birth: nobody else takes them before it does.
        Raises ValueError if a name comes twice, WrongKey, DatabaseUnusable.
        """
        owner = self._registration.id() if own else None
        try:
            return starting.start_flows(
                self._database, self._keys, batch, new, owner, self._clock()
            )
        finally:
            self._adrift |= own

    def existing(self, batch: str, names: Sequence[str]) -> list[ExistingFlow]:
        """What `start_flows` would find there already, without starting anything.

        Raises DatabaseUnusable.
        """
        return starting.existing_flows(self._database, batch, names)

    def take(
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
        """Take unfinished flows that nobody alive owns, or that we own and do not run.

        One that was given back with a `wake_at` is there then, or as soon as something is asked of
        it; those of a worker that died are there at once. The one that has waited longest comes
        first. One of several services takes no more than its share. From then on only the returned
        `journal` of each can write it.
        A flow that cannot be read ends as "damaged", and one whose master key is not here is left
        to others; that is logged once. Raises DatabaseUnusable; then nothing was taken.
        Flows whose workers died again and again are `suspects`: False leaves them, and True takes
        some of them, and nothing else; then say `survived` of those that did no harm.
        It costs less to ask `again`, for whoever did just now and knows that there were more: then
        the workers and keys are taken to be as they were. With `begun`, flows that have not begun
        stay where they are, unless something is asked of them. `without` are the ids of flows that
        are left to other workers.
        """
        worker = self._registration.id()
        if not again:
            self._missing_keys.look(self._database, self._keys)
        if not self._registration.holds():
            with self._database.clearly():
                self._registration.keep()
        lapses = self._registration.lapses
        # One at a time: two threads must not take the same flow for this worker.
        with self._running_lock:
            if self._adrift:
                self._adrift = False
                try:
                    self._strays = due.owned(self._database, worker) - set(self._running)
                except BaseException:
                    self._adrift = True
                    raise
            if not again:
                self._dead = due.dead_owners(self._database, self._registration.alive, worker)
            strays = frozenset(self._strays)
            free = due.Due(worker, self._time.now(), self._dead, strays, self._keys)
            room = self._sharing.room(len(self._running))
            if room is not None:
                # Strays are ours already.
                room = max(room, len(self._strays))
                limit = room if limit is None else min(limit, room)
            if limit == 0:
                return []
            wanted = due.Wanted(batch, names, ids, kinds, limit, without, begun, suspects)
            try:
                found = taking.take(
                    self._database, self._keys, self._registration, free, wanted, expected=again
                )
            except BaseException:
                self._adrift = True  # they may be ours all the same
                raise
            taken = [self._taken(flow, worker) for flow in found]
            self._running.update((flow.id, flow.journal) for flow in taken)
            self._strays.difference_update(self._running)
        if self._registration.lapses != lapses:
            # What we took may be lost again, since before it was among the running.
            try:
                with self._database.clearly():
                    self._let_go()
            except BaseException:
                with self._running_lock:
                    for each in taken:
                        self._running.pop(each.id, None)
                    self._adrift = True  # nobody has them now, and they may still be ours
                raise
        return [flow for flow in taken if not flow.journal.is_lost]

    def excess(self) -> int:
        """How many flows we run above our share, which others would take if we gave them back.

        0 without `serve`. Raises DatabaseUnusable.
        """
        with self._running_lock:
            return self._sharing.excess(len(self._running))

    def give_back(
        self, flow_ids: Collection[int] | None = None, *, wake_at: float | None = None
    ) -> None:
        """Let workers take these flows again (all that we run, without `flow_ids`).

        At once, or not before `wake_at`, in seconds since the epoch; not more than ten minutes
        ahead, for what is farther ahead counts as due: the clock must have been set back.
        Only after their last commit is durable: one that is still under way may be fenced.
        Giving back and taking again is also how to reload a flow after an exception.
        Raises DatabaseUnusable.
        """
        worker = self._registration.current
        with self._running_lock:
            ids = set(self._running if flow_ids is None else flow_ids)
            if worker is not None and ids:
                if wake_at is not None:
                    wake_at = self._time.of(wake_at)
                taking.give_back(self._database, worker, ids, wake_at)
            for flow in ids:
                self._running.pop(flow, None)

    def survived(self, flow_ids: Collection[int]) -> None:
        """These flows are none of those that end the processes that run them.

        Raises DatabaseUnusable.
        """
        worker = self._registration.current
        if worker is not None:
            taking.survived(self._database, worker, flow_ids)

    def give_back_failed(self, flow_id: int, trouble: str, wake_at: float) -> int:
        """Give back a flow whose own code failed, and note that, and where: `trouble`, no secret.

        No worker takes it before `wake_at`, in seconds since the epoch.
        Returns how often it failed of late: an hour after a failure the counting begins anew. 0 if
        the flow is not ours any more. Raises DatabaseUnusable.
        """
        worker = self._registration.current
        with self._running_lock:
            failures = 0
            if worker is not None:
                wake_at = self._time.of(wake_at)
                failures = taking.give_back_failed(
                    self._database, worker, flow_id, trouble, wake_at, self._clock()
                )
            self._running.pop(flow_id, None)
        return failures

    def share(self, on: bool) -> None:
        """Take part in sharing flows with the other services, or leave their shares to them.

        Nothing changes for who does not `serve`. Raises DatabaseUnusable.
        """
        self._registration.share(on)

    def give_back_unloaded(self, flow_id: int, reason: str) -> None:
        """Give back a flow that this process cannot load; `reason`, no secret, begins as UNLOADED.

        Others may be able to, and can take it at once: see `without` of `take`.
        Raises DatabaseUnusable.
        """
        worker = self._registration.current
        with self._running_lock:
            if worker is not None:
                taking.give_back_unloaded(self._database, worker, flow_id, reason)
            self._running.pop(flow_id, None)

    def forget_trouble(self, flow_id: int) -> None:
        """A flow that could not be loaded is running now. Raises DatabaseUnusable."""
        worker = self._registration.current
        if worker is not None:
            taking.forget_trouble(self._database, worker, flow_id)

    def shred_due(self) -> int:
        """Shred the flows that were kept long enough; return how many. Call it once a minute.

        It also sees to it that what was deleted is gone from SQLite's write-ahead log.
        Raises DatabaseUnusable.
        """
        shredded = shred_due(self._database, self._clock())
        empty_log(self._database)
        return shredded

    def requests(self) -> list[tuple[int, str]]:
        """What others asked of unfinished flows that we own: (flow id, request).

        A request stays until the flow is finished, so that none is lost in a crash. Call this
        from time to time: it also keeps others convinced that we are alive, and finds out which
        flows others have taken when they were not, which are then lost.
        Raises DatabaseUnusable.
        """
        worker = self._registration.current
        if worker is None:
            return []
        with self._database.clearly():
            self._registration.keep()
        return taking.requests(self._database, worker)

    # From any process

    def ask(self, name: str, batch: str | None, request: str) -> bool:
        """Ask something of a flow's owner, present or next; False if the flow is finished.

        Raises NoSuchFlow, DatabaseUnusable.
        """
        flow = starting.find(self._database, name, batch)
        return starting.ask(self._database, flow, request)

    def retry(self, name: str, batch: str | None, *, done: Collection[str] = (DONE,)) -> None:
        """Put a finished flow back to its beginning, unless its status is one of `done`.

        Raises NotRetryable, NoSuchFlow, WrongKey, DatabaseUnusable.
        """
        flow = starting.find(self._database, name, batch)
        starting.retry(self._database, self._keys, flow, done, self._clock())

    def overview(self, batch: str | None = None, name: str | None = None) -> list[FlowRow]:
        """The flows of a batch, or of that name, or all; in the order in which they were started.

        Raises DatabaseUnusable, Unreadable, WrongKey.
        """
        return reading.overview(self._database, self._keys, self._registration.alive, batch, name)

    def pages(self, batch: str | None = None) -> Iterator[list[FlowRow]]:
        """What `overview` gives, a few flows at a time, each time as they stand then."""
        return reading.pages(self._database, self._keys, self._registration.alive, batch)

    def named(self, batch: str, names: Collection[str]) -> list[FlowRow]:
        """The flows of a batch that have these names, whatever else is in it."""
        return reading.named(self._database, self._keys, self._registration.alive, batch, names)

    def unfinished(self, batch: str | None = None) -> list[FlowRow]:
        """The flows of a batch, or all, that are not over; they cost the same beside any others."""
        return reading.unfinished(self._database, self._keys, self._registration.alive, batch)

    def last_finished(self, most: int, batch: str | None = None) -> list[FlowRow]:
        """The flows of a batch, or all, that were the last to end, in the order of their start."""
        alive = self._registration.alive
        return reading.last_finished(self._database, self._keys, alive, batch, most)

    def poll(
        self,
        batch: str | None = None,
        seen: Seen | None = None,
        *,
        names: Collection[str] | None = None,
    ) -> Changes:
        """The flows that moved since the `poll` that returned `seen`.

        Without it, all of the batch that have these `names`; or if none are given, the unfinished.
        Raises DatabaseUnusable, Unreadable, WrongKey.
        """
        alive = self._registration.alive
        return reading.poll(self._database, self._keys, alive, batch, names, seen)

    def counts(
        self, batch: str | None = None, *, finished: bool | None = None
    ) -> Mapping[str, int]:
        """How many flows have each status; of those that are over, or are not, if so asked.

        Raises DatabaseUnusable.
        """
        return reading.counts(self._database, batch, finished=finished)

    def count_unfinished(
        self,
        *,
        batch: str | None = None,
        names: Collection[str] | None = None,
        kinds: Collection[str] | None = None,
    ) -> Unfinished:
        """How many flows are to be run, of those that `take` could give.

        Raises DatabaseUnusable.
        """
        return due.count_unfinished(self._database, due.Wanted(batch, names, kinds=kinds))

    def notices(self) -> list[tuple[int, str]]:
        """What workers that are alive have to say, in words: (worker, words).

        Raises DatabaseUnusable.
        """
        return reading.notices(self._database, self._registration.alive)

    def tell(self, notice: str | None) -> None:
        """Tell operators this of our work until something else is told. Raises DatabaseUnusable."""
        taking.tell(self._database, self._registration.id(), notice)

    @property
    def services(self) -> int:
        """How many services share the flows with us, we among them, as counted lately."""
        return self._sharing.peers

    def history(self, flow_id: int) -> list[EntryRow]:
        """What happened to a flow, in order, no secrets. Raises NoSuchFlow, DatabaseUnusable."""
        return reading.history(self._database, flow_id)

    def events(self, flow_id: int) -> list[Event]:
        """The recorded events of a flow, opened: secrets.

        Raises NoSuchFlow, Shredded, Unreadable, WrongKey, DatabaseUnusable.
        """
        return reading.events(self._database, self._keys, flow_id)

    def workers(self) -> list[Worker]:
        """Every process that ever ran flows of this database. Raises DatabaseUnusable."""
        return reading.all_workers(self._database, self._registration.alive)

    @property
    def checks(self) -> Checks:
        """What looks for damage, and writes nothing."""
        return Checks(self._database, self._keys, self._registration.alive, self._clock)

    def _taken(self, flow: taking.Taken, worker: int) -> TakenFlow:
        row = flow.row
        lease = Lease(row.id, flow.epoch, worker, Sealer(row.uid, flow.data_key))
        journal = FlowJournal(
            lease, row.seq, self._writer, self._clock, self._gone, retain=self.retain
        )
        journal.messages = Messages(self._database, row.id, row.uid, flow.data_key)
        return TakenFlow(
            id=row.id,
            uid=row.uid,
            batch=row.batch_name,
            name=row.name,
            kind=row.kind,
            params=flow.params,
            checkpoint=flow.checkpoint,
            updated_at=row.updated_at,
            status=row.status,
            seq=row.seq,
            epoch=flow.epoch,
            attempt=row.attempt,
            request=row.request,
            tasks=flow.tasks,
            failures=row.failures,
            trouble=row.trouble,
            deaths=deaths_of(row, worker),
            journal=journal,
        )

    def _let_go(self) -> None:
        """Find out which of our flows others have taken. Raises SQLAlchemy's errors."""
        running = dict(self._running)
        epochs = taking.epochs(self._database, running)
        for flow, journal in running.items():
            if epochs.get(flow) != journal.epoch:
                error = Fenced(f"flow {flow} was taken over while this process was paused")
                journal.fence(error)
                self._in_reactor(partial(journal.refused, error))

    def _gone(self, flow: int, journal: FlowJournal) -> None:
        # Without the lock, which may be held for as long as a take() lasts: this is the reactor.
        if self._running.get(flow) is journal:
            self._running.pop(flow, None)
            self._adrift |= journal.is_lost  # it may still be ours


def _at_once(call: Callable[[], object]) -> None:
    call()


def _do_not_wait(_delay: float) -> bool:
    return False


def _log_trouble(why: str | None) -> None:
    _log.warn("the database does not answer: {why}", why=why)
