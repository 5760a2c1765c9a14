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
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager

from attrs import define, evolve, field

from holdfast_journal.keys.master import MissingKeys
from holdfast_journal.keys.ring import KeyRing
from holdfast_journal.ownership import taking, watching
from holdfast_journal.ownership.due import Due, Wanted
from holdfast_journal.ownership.outfit import Outfit
from holdfast_journal.ownership.owners import Owners
from holdfast_journal.ownership.running import Running
from holdfast_journal.ownership.sharing import Sharing
from holdfast_journal.ownership.stillness import Stillness
from holdfast_journal.ownership.values import TakenFlow
from holdfast_journal.store.database import Database
from holdfast_journal.workers.registration import Registration
from holdfast_journal.workers.shared_time import SharedTime


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
    _missing_keys: MissingKeys = field(init=False)
    _owners: Owners = field(init=False)
    _stillness: Stillness = field(init=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._missing_keys = MissingKeys(self._database, self._keys)
        self._owners = Owners(
            self._database, self._keys, self._registration, self._running, self._time
        )
        self._stillness = Stillness(self._database, self._time, self._owners)

    def take(self, wanted: Wanted, *, again: bool) -> list[TakenFlow]:
        """See `SqlJournal.take`."""
        worker = self._registration.id()
        if not again:
            self._missing_keys.look()
        self._see_that_the_lease_holds()
        lapses = self._registration.term.lapses
        with self._lock:
            due = self._owners.look(worker, again=again)
            wanted = self._within_our_share(wanted, due)
            if wanted.limit == 0:
                return []
            taken = self._start_running(due, wanted, again=again)
        if self._registration.term.lapses != lapses:
            self._look_again_at(taken)
        return [flow for flow in taken if not flow.journal.is_lost]

    def _see_that_the_lease_holds(self) -> None:
        if not self._registration.holds():
            with self._database.explaining_errors():
                self._registration.keep()

    def _within_our_share(self, wanted: Wanted, due: Due) -> Wanted:
        room = self._sharing.room(len(self._running.journals))
        if room is None:
            return wanted
        room = max(room, len(due.strays))  # those are ours already
        return evolve(wanted, limit=room if wanted.limit is None else min(wanted.limit, room))

    def _start_running(self, due: Due, wanted: Wanted, *, again: bool) -> list[TakenFlow]:
        nothing = self._stillness.of_search(wanted)
        question = nothing.question(self._database.data_version(), due, wanted)
        if not again and nothing.is_known(question, due.now):
            return []
        with self._running.strays_if_it_fails():
            found = taking.take(
                self._database, self._keys, self._registration, due, wanted, expected=again
            )
            # Still inside: they are ours already, and reading a key may fail.
            taken = self.outfit.of(found, due.worker)
        self._running.journals.update((flow.id, flow.journal) for flow in taken)
        self._owners.drop_running()
        if not taken:
            nothing.found(question, due.now)
        return taken

    def _look_again_at(self, taken: Sequence[TakenFlow]) -> None:
        """Look again: the lease may have been over before these flows were in `Running`."""
        try:
            with self._database.explaining_errors():
                self._running.lapse()
        except BaseException:
            with self._lock:
                self._running.forget(flow.id for flow in taken)
                self._running.strays = True
            raise

    def detached_key(self) -> bytes:
        """The key under which detached tasks are sealed. Raises WrongKey, Unreadable."""
        return self.outfit.detached_key.get()

    def give_back(self, ids: Collection[int] | None, wake_at: float | None) -> None:
        """See `SqlJournal.give_back`."""
        worker = self._registration.current
        with self._lock:
            ids = set(self._running.journals if ids is None else ids)
            if worker is not None and ids:
                if wake_at is not None:
                    wake_at = self._time.of(wake_at)
                taking.give_back(self._database, worker, ids, wake_at)
            self._running.forget(ids)

    def park(self, wake_at: Mapping[int, float | None], revision: int) -> None:
        """See `SqlJournal.park`."""
        worker = self._registration.current
        with self._lock:
            if worker is not None and wake_at:
                of = self._time.of
                stored = {id_: None if at is None else of(at) for id_, at in wake_at.items()}
                watching.park(self._database, worker, stored, revision)
            self._running.forget(wake_at)

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
            self._running.forget([flow])
        return failures

    def give_back_unloaded(self, flow: int, reason: str) -> None:
        """See `SqlJournal.give_back_unloaded`."""
        worker = self._registration.current
        with self._lock:
            if worker is not None:
                taking.give_back_unloaded(self._database, worker, flow, reason)
            self._running.forget([flow])

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
        return self._stillness.requests(worker)

    def is_still(self, wanted: Wanted) -> bool:
        """Whether `requests` and `take` would find nothing, as they did last; see `stillness`."""
        worker, version = self._registration.current, self._database.data_version()
        if worker is None or version is None or self._running.strays:
            return False
        if self._stillness.is_known(version, wanted):
            return True
        if not self._stillness.has_no_requests(version, worker):
            return False
        with self._lock:
            due = self._owners.look(worker, again=False)
            return self._stillness.has_no_flows(version, wanted, due)

    @contextmanager
    def born(self) -> Iterator[int]:
        """The id of the owner of flows that are started in this block: strays, until taken."""
        owner = self._registration.id()
        try:
            yield owner
        finally:
            self._running.strays = True
