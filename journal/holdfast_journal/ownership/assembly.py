"""How what runs flows is put together: with threads around a reactor, or all in one thread."""

import time
from collections.abc import Callable, Mapping
from typing import Self, TypedDict

from attrs import define
from twisted.logger import Logger

from holdfast_journal.commits.backlog import Backlog
from holdfast_journal.commits.boundaries import Reactor, Writer
from holdfast_journal.commits.committer import Committer
from holdfast_journal.commits.inline import InlineWriter
from holdfast_journal.commits.pressure import Pressure
from holdfast_journal.commits.threaded import ThreadedWriter
from holdfast_journal.errors import JournalBroken
from holdfast_journal.keys.ring import KeyRing
from holdfast_journal.ownership.held import Held, Outfit
from holdfast_journal.ownership.running import Running
from holdfast_journal.ownership.sharing import Sharing
from holdfast_journal.upkeep.opening import Ready, look_ready, open_ready
from holdfast_journal.workers.clocks import boot_time
from holdfast_journal.workers.liveness import moving
from holdfast_journal.workers.locks import locks_for
from holdfast_journal.workers.registration import Registration
from holdfast_journal.workers.renewing import Renewing
from holdfast_journal.workers.shared_time import SharedTime
from holdfast_journal.workers.term import LEASE, Term

BUSY = 5.0
"""Seconds for which a busy machine may make us silent in the middle of a transaction."""

_log = Logger()


def log_fatal(error: JournalBroken) -> None:
    """Say that the disk failed, if nobody else does."""
    _log.critical("{error}; stop this process and start it again", error=error)


class Options(TypedDict, total=False):
    """What whoever runs flows may choose; see `SqlJournal.open`."""

    on_fatal: Callable[[JournalBroken], object]
    host: str | None
    clock: Callable[[], float]
    lease: float
    uptime: Callable[[], float]
    retain: float


@define(eq=False)
class Assembly:
    """The parts of a journal that runs flows, or could."""

    ready: Ready
    clock: Callable[[], float]
    registration: Registration
    writer: Writer
    held: Held
    pressure: Pressure

    @classmethod
    def threaded(  # noqa: PLR0913 - the options of a journal
        cls,
        url: str,
        keys: KeyRing | None,
        environ: Mapping[str, str],
        reactor: Reactor,
        *,
        make_parents: bool = False,
        on_fatal: Callable[[JournalBroken], object] = log_fatal,
        host: str | None = None,
        clock: Callable[[], float] = time.time,
        lease: float = LEASE,
        uptime: Callable[[], float] = boot_time,
        retain: float = 0.0,
    ) -> Self:
        """Commits in a thread, their calls in the reactor's, and a thread that renews the lease."""
        ready = open_ready(
            url,
            keys,
            environ,
            clock,
            pause=max(lease, BUSY),
            make_parents=make_parents,
            settles=True,
        )
        database, locks = ready.database, locks_for(ready.database)
        running = Running(database, reactor.callFromThread)
        term, renewing = Term(lease, uptime), Renewing(moving(reactor, uptime))
        registration = Registration(database, clock, locks, running.lapse, term, renewing, host)
        pressure = Pressure(database.name)
        writer = ThreadedWriter(database, registration, reactor, on_fatal, Backlog(pressure))
        return cls._of(ready, clock, running, registration, writer, pressure, retain)

    @classmethod
    def inline(  # noqa: PLR0913 - the options of a journal
        cls,
        url: str,
        keys: KeyRing | None,
        environ: Mapping[str, str],
        *,
        make_parents: bool = False,
        on_fatal: Callable[[JournalBroken], object] = log_fatal,
        host: str | None = None,
        clock: Callable[[], float] = time.time,
        lease: float = LEASE,
        uptime: Callable[[], float] = boot_time,
        retain: float = 0.0,
    ) -> Self:
        """Commits and calls inside `process()`, where the lease is renewed too. No thread."""
        ready = open_ready(
            url,
            keys,
            environ,
            clock,
            pause=max(lease, BUSY),
            make_parents=make_parents,
            writes=False,
        )
        database, locks = ready.database, locks_for(ready.database)
        running = Running(database, _at_once)
        term = Term(lease, uptime)
        registration = Registration(database, clock, locks, running.lapse, term, host=host)
        return cls._in_one_thread(ready, clock, running, registration, on_fatal, retain)

    @classmethod
    def looking(
        cls,
        url: str,
        keys: KeyRing | None,
        environ: Mapping[str, str],
        clock: Callable[[], float],
    ) -> Self:
        """Nothing is written, and no lock is held."""
        ready = look_ready(url, keys, environ)
        running = Running(ready.database, _at_once)
        locks = locks_for(ready.database, looks=True)
        registration = Registration(ready.database, clock, locks, running.lapse)
        return cls._in_one_thread(ready, clock, running, registration, log_fatal, 0.0)

    @classmethod
    def _in_one_thread(
        cls,
        ready: Ready,
        clock: Callable[[], float],
        running: Running,
        registration: Registration,
        on_fatal: Callable[[JournalBroken], object],
        retain: float,
    ) -> Self:
        committer = Committer(ready.database, _do_not_wait, registration.keep, _log_trouble)
        writer = InlineWriter(ready.database, committer, registration, on_fatal)
        pressure = Pressure(ready.database.name)
        return cls._of(ready, clock, running, registration, writer, pressure, retain)

    @classmethod
    def _of(
        cls,
        ready: Ready,
        clock: Callable[[], float],
        running: Running,
        registration: Registration,
        writer: Writer,
        pressure: Pressure,
        retain: float,
    ) -> Self:
        database, keys = ready.database, ready.keys
        # Who gives us a clock says what time it is.
        shared = SharedTime(database, clock, clock is time.time)
        sharing = Sharing(database, registration, shared.now)
        outfit = Outfit(database, writer, clock, retain, running.gone)
        held = Held(database, keys, registration, running, outfit, shared, sharing)
        return cls(ready, clock, registration, writer, held, pressure)


def _at_once(call: Callable[[], object]) -> None:
    call()


def _do_not_wait(_delay: float) -> bool:
    return False


def _log_trouble(why: str | None) -> None:
    _log.warn("the database does not answer: {why}", why=why)
