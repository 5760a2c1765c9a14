"""How a worker's journal is put together: with threads around a reactor, or all in one thread."""

import time
from collections.abc import Callable
from typing import Self

from attrs import define, frozen
from twisted.logger import Logger

from holdfast_journal.commits.backlog import Backlog
from holdfast_journal.commits.boundaries import Reactor, Writer
from holdfast_journal.commits.committer import Committer
from holdfast_journal.commits.inline import InlineWriter
from holdfast_journal.commits.pressure import Pressure
from holdfast_journal.commits.threaded import ThreadedWriter
from holdfast_journal.errors import JournalBroken
from holdfast_journal.keys.detached import DetachedKey
from holdfast_journal.ownership.held import Held
from holdfast_journal.ownership.lookout import Lookout
from holdfast_journal.ownership.outfit import Outfit
from holdfast_journal.ownership.running import Running
from holdfast_journal.ownership.sharing import Sharing
from holdfast_journal.upkeep.opening import Ready
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
    """Log that the disk failed: the default for `on_fatal`."""
    _log.critical("{error}; stop this process and start it again", error=error)


@frozen
class Options:
    """What a worker may choose; see `SqlJournal.open`."""

    on_fatal: Callable[[JournalBroken], object] = log_fatal
    host: str | None = None
    clock: Callable[[], float] = time.time
    lease: float = LEASE
    uptime: Callable[[], float] = boot_time
    retain: float = 0.0

    @property
    def pause(self) -> float:
        """Seconds of silence in a transaction after which a server may end it."""
        return max(self.lease, BUSY)


@define(eq=False)
class Assembly:
    """The parts of a journal that runs flows, or could."""

    ready: Ready
    clock: Callable[[], float]
    registration: Registration
    writer: Writer
    held: Held
    backlog: Backlog
    lookout: Lookout | None

    @classmethod
    def threaded(cls, ready: Ready, reactor: Reactor, options: Options) -> Self:
        """Commits in a thread, their calls in the reactor's; threads for the lease, and to look."""
        database, backlog = ready.database, Backlog(Pressure(ready.database.name))
        running = Running(database, reactor.callFromThread)
        registration = Registration(
            database,
            options.clock,
            locks_for(database),
            running.lapse,
            Term(options.lease, options.uptime),
            Renewing(moving(reactor, options.uptime)),
            options.host,
        )
        writer = ThreadedWriter(
            *(database, registration, reactor, options.on_fatal, backlog), running.is_alone
        )
        lookout = Lookout(reactor)
        return cls._of(ready, options, running, registration, writer, backlog, lookout)

    @classmethod
    def inline(cls, ready: Ready, options: Options, *, looks: bool = False) -> Self:
        """Commits and calls inside `process()`, where the lease is renewed too. No thread.

        If it only `looks`, it holds no lock.
        """
        database = ready.database
        running = Running(database, _at_once)
        registration = Registration(
            database,
            options.clock,
            locks_for(database, looks=looks),
            running.lapse,
            Term(options.lease, options.uptime),
            host=options.host,
        )
        committer = Committer(database, _do_not_wait, registration.keep, _log_trouble)
        writer = InlineWriter(database, committer, registration, options.on_fatal)
        backlog = Backlog(Pressure(database.name))
        return cls._of(ready, options, running, registration, writer, backlog)

    @classmethod
    def _of(
        cls,
        ready: Ready,
        options: Options,
        running: Running,
        registration: Registration,
        writer: Writer,
        backlog: Backlog,
        lookout: Lookout | None = None,
    ) -> Self:
        database, keys, clock = ready.database, ready.keys, options.clock
        # If the caller gives us a clock, that clock decides what time it is.
        shared = SharedTime(database, clock, clock is time.time)
        sharing = Sharing(database, registration, shared.now)
        detached_key = DetachedKey(database, keys, shared)
        outfit = Outfit(database, writer, clock, options.retain, running.gone, detached_key)
        held = Held(database, keys, registration, running, outfit, shared, sharing)
        return cls(ready, clock, registration, writer, held, backlog, lookout)


def _at_once(call: Callable[[], object]) -> None:
    call()


def _do_not_wait(_delay: float) -> bool:
    return False


def _log_trouble(why: str | None) -> None:
    _log.warn("the database does not answer: {why}", why=why)
