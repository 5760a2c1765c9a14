"""`Held`: what this process runs, from taking a flow to giving it back.

Each flow of ours is in one of three states.

- `running`: its row names us as its owner, and it is in `Running`, with the `FlowJournal` that
  writes it under the epoch at which we took it.
- `stray`: its row names us, and we do not run it. A flow starts out as one if we started it with
  `own=True`. It becomes one if a commit of it failed for good, or if taking it raised an error
  although the database did take it.
- `gone`: its row names no owner, or another worker, or it is finished.

`take` moves free flows, flows of dead workers, and strays to `running`. `give_back` and its sisters
move them to `gone`, and so does the commit that ends a flow. Taking raises the epoch, and each
commit names its epoch. So if two processes both believe that they run the same flow, they never
both write it: the one with the older epoch is refused, and is told by `FlowJournal.refused`. The
code here is therefore about not wasting time, and not about safety, with one exception: if a
process has committed something and not sent it yet, it must not send it once another worker may
have the flow.

The lease is there for that (see `workers.registration`). While `holds()` says yes, no other worker
can have taken a flow of ours. If the lease may have been over, `Registration.keep`, which renews
it, calls `Running.lapse` before `holds()` says yes again. That compares the epochs in the database
with ours, and fences the journals of the flows that other workers have. So whenever a call is
released, either the lease holds and the flow is ours, or its journal is fenced and the call is
dropped.

Threads: `take`, `give_back` and everything else that blocks may be called from any thread but the
reactor's. A lock makes them take turns, so two of them never take the same flow. The reactor never
waits for that lock: it removes a flow that is over by `Running.gone`. `Registration.keep` does not
wait for it either, because `take` may be waiting for the renewal. So a lapse may come while flows
are being taken, before they are in `Running`; `take` counts the lapses, and looks again if there
was one.
"""

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from attrs import define, evolve, field, frozen

from holdfast_journal.commits.boundaries import Writer
from holdfast_journal.commits.flow import FlowJournal, LastState
from holdfast_journal.commits.messages import Messages
from holdfast_journal.commits.values import Fence
from holdfast_journal.errors import Unreadable, WrongKey
from holdfast_journal.keys.detached import derived
from holdfast_journal.keys.master import MissingKeys, fingerprint_key, used_keys
from holdfast_journal.keys.ring import KeyRing
from holdfast_journal.keys.sealer import Sealer
from holdfast_journal.ownership import due, taking, watching
from holdfast_journal.ownership.due import Due, Wanted
from holdfast_journal.ownership.nothing import Nothing
from holdfast_journal.ownership.running import Running
from holdfast_journal.ownership.sharing import Sharing
from holdfast_journal.ownership.suspects import deaths_of
from holdfast_journal.ownership.values import TakenFlow
from holdfast_journal.store.database import Database
from holdfast_journal.store.remembering import Remembered
from holdfast_journal.workers.registration import Registration
from holdfast_journal.workers.shared_time import SharedTime


@frozen
class Outfit:
    """What a flow that was taken gets: a journal that writes it."""

    _database: Database
    _writer: Writer
    _clock: Callable[[], float]
    retain: float
    """Seconds for which a flow that went well or was cancelled can still be read; 0: not at all."""
    _gone: Callable[[int, FlowJournal], None]

    def of(self, flow: taking.Taken, worker: int, detached_key: bytes) -> TakenFlow:
        """The flow as its runner gets it."""
        row = flow.row
        lease = Fence(row.id, flow.epoch, worker, Sealer(row.uid, flow.data_key))
        journal = FlowJournal(
            lease,
            row.seq,
            self._writer,
            self._clock,
            self._gone,
            LastState(lease, self.retain),
            row.uid,
            detached_key,
            Messages(self._database, row.id, row.uid, flow.data_key),
        )
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


@define(eq=False)
class Held:
    """The flows that this process owns. For any thread but the reactor's."""

    _database: Database
    _keys: KeyRing
    _registration: Registration
    _running: Running
    outfit: Outfit
    _time: SharedTime
    """By which it is stored when a flow is to be taken again."""
    _sharing: Sharing
    _missing_keys: MissingKeys = field(factory=MissingKeys, init=False)
    _strays: frozenset[int] = field(default=frozenset(), init=False)
    """The flows that we own and do not run, as of the last look."""
    _dead: Sequence[int] = field(default=(), init=False)
    """The workers that were gone at the last look, with flows left to be run."""
    _detached_key: bytes = field(default=b"", init=False, repr=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False, repr=False)
    _used: Remembered = field(init=False, repr=False)
    _owners: Remembered = field(init=False, repr=False)
    _requests: Remembered = field(init=False, repr=False)
    _nothing: Mapping[bool | None, Nothing] = field(init=False, repr=False)
    """What it knows of each kind of search: some are made now and then, between the others."""
    _still: Nothing = field(init=False, repr=False)
    """What it knows of all of them, and of requests, while no other worker has flows."""

    def __attrs_post_init__(self) -> None:
        self._nothing = {which: Nothing(self._database) for which in (None, False, True)}
        self._still = Nothing(self._database)
        self._used, self._owners, self._requests = (Remembered(self._database) for _ in range(3))

    def take(self, wanted: Wanted, *, again: bool) -> list[TakenFlow]:
        """See `SqlJournal.take`."""
        worker = self._registration.id()
        if not again:
            used = self._used.ask(used_keys, self._database)
            self._missing_keys.look(used, self._keys)
        self._see_that_the_lease_holds()
        lapses = self._registration.term.lapses
        with self._lock:
            free = self._due(worker, again=again)
            wanted = self._within_our_share(wanted)
            if wanted.limit == 0:
                return []
            taken = self._start_running(free, wanted, again=again)
        if self._registration.term.lapses != lapses:
            self._look_again_at(taken)
        return [flow for flow in taken if not flow.journal.is_lost]

    def _see_that_the_lease_holds(self) -> None:
        if not self._registration.holds():
            with self._database.explaining_errors():
                self._registration.keep()

    def _due(self, worker: int, *, again: bool) -> Due:
        """Return what may be taken now: free flows, flows of dead workers, and strays."""
        if self._running.strays:
            self._running.strays = False  # a loss from here on sets it again
            with self._strays_if_it_fails():
                ours = due.owned(self._database, worker)
                self._strays = frozenset(ours).difference(self._running.journals)
        if not again:
            owners = self._owners.ask(due.owners, self._database)
            self._dead = due.dead_owners(owners, self._registration.alive, worker)
        return Due(worker, self._time.now(), self._dead, self._strays, self._keys)

    def is_still(self, wanted: Wanted) -> bool:
        """Whether `requests` and `take` would find nothing, as they did last; see `nothing`."""
        worker, version = self._registration.current, self._database.data_version()
        if worker is None or version is None or self._running.strays:
            return False
        if self._still.is_known((version, wanted), self._time.now()):
            return True
        if not self._requests.is_known(version, [], self._database, worker):
            return False
        with self._lock:
            free = self._due(worker, again=False)
            for suspects in (False, True):
                nothing = self._nothing[suspects]
                question = nothing.question(version, free, evolve(wanted, suspects=suspects))
                if not nothing.is_known(question, free.now):
                    return False
            # The others, if there are any, may die without a word.
            if self._owners.ask(due.owners, self._database) <= {worker}:
                searches = self._nothing[False], self._nothing[True]
                self._still.follows_from((version, wanted), searches)
        return True

    def _within_our_share(self, wanted: Wanted) -> Wanted:
        room = self._sharing.room(len(self._running.journals))
        if room is None:
            return wanted
        room = max(room, len(self._strays))  # those are ours already
        return evolve(wanted, limit=room if wanted.limit is None else min(wanted.limit, room))

    def _start_running(self, free: Due, wanted: Wanted, *, again: bool) -> list[TakenFlow]:
        nothing = self._nothing[wanted.suspects]
        question = nothing.question(self._database.data_version(), free, wanted)
        if not again and nothing.is_known(question, free.now):
            return []
        with self._strays_if_it_fails():
            found = taking.take(
                self._database, self._keys, self._registration, free, wanted, expected=again
            )
            # Still inside: they are ours already, and reading the key may fail.
            key = self._detached_key_if_any() if found else b""
            taken = [self.outfit.of(flow, free.worker, key) for flow in found]
        self._running.journals.update((flow.id, flow.journal) for flow in taken)
        self._strays = self._strays.difference(self._running.journals)
        if not taken:
            nothing.found(question, free.now)
        return taken

    def _look_again_at(self, taken: Sequence[TakenFlow]) -> None:
        """Look again: the lease may have been over before these flows were in `Running`."""
        try:
            with self._database.explaining_errors():
                self._running.lapse()
        except BaseException:
            with self._lock:
                self._forget(flow.id for flow in taken)
                self._running.strays = True
            raise

    def detached_key(self) -> bytes:
        """The key under which detached tasks are sealed. Raises WrongKey, Unreadable."""
        if not self._detached_key:
            own = fingerprint_key(self._database, self._keys, self._time.now())
            self._detached_key = derived(own)
        return self._detached_key

    def _detached_key_if_any(self) -> bytes:
        """Most flows never ask for a detached task, and run without the key."""
        try:
            return self.detached_key()
        except (WrongKey, Unreadable):
            return b""

    def give_back(self, ids: Collection[int] | None, wake_at: float | None) -> None:
        """See `SqlJournal.give_back`."""
        worker = self._registration.current
        with self._lock:
            ids = set(self._running.journals if ids is None else ids)
            if worker is not None and ids:
                if wake_at is not None:
                    wake_at = self._time.of(wake_at)
                taking.give_back(self._database, worker, ids, wake_at)
            self._forget(ids)

    def park(self, wake_at: Mapping[int, float | None], revision: int) -> None:
        """See `SqlJournal.park`."""
        worker = self._registration.current
        with self._lock:
            if worker is not None and wake_at:
                of = self._time.of
                stored = {id_: None if at is None else of(at) for id_, at in wake_at.items()}
                watching.park(self._database, worker, stored, revision)
            self._forget(wake_at)

    def give_back_failed(self, flow: int, trouble: str, wake_at: float, now: float) -> int:
        """See `SqlJournal.give_back_failed`."""
        worker = self._registration.current
        with self._lock:
            failures = 0
            if worker is not None:
                wake_at = self._time.of(wake_at)
                failures = taking.give_back_failed(
                    self._database, worker, flow, trouble, wake_at, now
                )
            self._forget([flow])
        return failures

    def give_back_unloaded(self, flow: int, reason: str) -> None:
        """See `SqlJournal.give_back_unloaded`."""
        worker = self._registration.current
        with self._lock:
            if worker is not None:
                taking.give_back_unloaded(self._database, worker, flow, reason)
            self._forget([flow])

    def serve(self, kinds: Collection[str] | None) -> None:
        """See `SqlJournal.serve`."""
        self._sharing.serve(kinds)

    def share(self, *, on: bool) -> None:
        """See `SqlJournal.share`."""
        self._sharing.take_part(on=on)

    def excess(self) -> int:
        """See `SqlJournal.excess`."""
        with self._lock:
            return self._sharing.excess(len(self._running.journals))

    @property
    def services(self) -> int:
        """See `SqlJournal.services`."""
        return self._sharing.sharers

    def requests(self) -> list[tuple[int, str]]:
        """See `SqlJournal.requests`."""
        worker = self._registration.current
        if worker is None:
            return []
        with self._database.explaining_errors():
            self._registration.keep()
        return self._requests.ask(taking.requests, self._database, worker)

    @contextmanager
    def born(self) -> Iterator[int]:
        """The id of the owner of flows that are started in this block: strays, until taken."""
        owner = self._registration.id()
        try:
            yield owner
        finally:
            self._running.strays = True

    def _forget(self, flows: Iterable[int]) -> None:
        for flow in flows:
            self._running.journals.pop(flow, None)

    @contextmanager
    def _strays_if_it_fails(self) -> Iterator[None]:
        """Expect strays if this block raises: the database may still have made flows ours."""
        try:
            yield
        except BaseException:
            self._running.strays = True
            raise
