"""`SqlJournal`: many flows, durable in one SQL database.

    journal = SqlJournal.open("/var/lib/x/holdfast.db", reactor=reactor)
    journal.start_flows("2025-03", [NewFlow("ada", "provision", params)], own=True)
    for flow in journal.take():
        ...                             # run it with flow.journal, a FlowJournal

Every method but `stop` blocks for as long as the database takes. If a reactor is running, call them
from a thread (`deferToThread`). They may be called from several threads.
"""

import os
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

from attrs import define, evolve

from holdfast_journal.commits.boundaries import Reactor
from holdfast_journal.doctor.soundness import Checks
from holdfast_journal.errors import JournalBroken
from holdfast_journal.keys.ring import KeyRing
from holdfast_journal.ownership.assembly import Assembly, Options, log_fatal
from holdfast_journal.ownership.taker import Taker
from holdfast_journal.store.urls import Where
from holdfast_journal.upkeep.opening import look_ready, open_ready
from holdfast_journal.workers.clocks import boot_time
from holdfast_journal.workers.term import LEASE


@define(eq=False)
class SqlJournal(Taker):
    """A journal in a database, and this process's part in running its flows.

    Use `open` to run flows, `open_inline` in a short command or a test, and `look` to read only.
    Every method raises DatabaseUnusable.
    """

    made_key: Path | None = None
    """The key file that `open` has just made; tell the operator of it."""
    kept_copy: Path | None = None
    """The copy that `open` has just made of an older release's SQLite file before upgrading it."""

    @classmethod
    def open(  # noqa: PLR0913 - the face of the journal
        cls,
        url: Where,
        *,
        keys: KeyRing | None = None,
        reactor: Reactor | None = None,
        on_fatal: Callable[[JournalBroken], object] = log_fatal,
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

        `url` is a URL, or the path of an SQLite file: what has no `://` in it is a path.

        An SQLite file of an older release is upgraded after a copy was made (`kept_copy`);
        PostgreSQL is not, because other processes may be using it.

        Without `keys`, they come from HOLDFAST_KEY or HOLDFAST_KEY_FILE in `environ`, or from
        `<database file>.key`, which is made for a database that has never been sealed.
        Commits happen in a thread, by group, and their calls in that of the `reactor`. Without one
        this is `open_inline`, and with `looks` it is `look`; both are deprecated.
        If the disk fails, `on_fatal` is called in the reactor's thread: nothing more will be
        written or released, and the process should end.
        `on_pressure` is called there too, with True when no more events should be taken in, because
        the database does not answer or too much waits for it, and with False when it is over.
        `clock` gives seconds since the epoch, and `uptime` seconds since any moment, without jumps.
        If this worker has not been heard of for `lease` seconds, others may take over its flows.
        `make_parents` makes missing directories.
        `retain` is the attribute of that name.

        Raises DatabaseUnusable (NewerSchema and OlderSchema among them) and WrongKey; then nothing
        was changed, except that a missing SQLite file may have been made.
        """
        if looks:
            _deprecated("SqlJournal.open(url, looks=True) is SqlJournal.look(url) now")
            return cls.look(url, keys=keys, clock=clock, environ=environ)
        options = Options(on_fatal, host, clock, lease, uptime, retain)
        if reactor is None:
            _deprecated("SqlJournal.open() without a reactor is SqlJournal.open_inline() now")
            journal = cls._inline(url, keys, environ, options, make_parents=make_parents)
        else:
            ready = open_ready(
                url,
                keys,
                environ,
                clock,
                pause=options.pause,
                make_parents=make_parents,
                settles=True,
            )
            journal = cls._of(Assembly.threaded(ready, reactor, options))
        if on_pressure is not None:
            journal.pressure.listen(on_pressure)
        return journal

    @classmethod
    def open_inline(  # noqa: PLR0913 - the face of the journal
        cls,
        url: Where,
        *,
        keys: KeyRing | None = None,
        on_fatal: Callable[[JournalBroken], object] = log_fatal,
        host: str | None = None,
        clock: Callable[[], float] = time.time,
        lease: float = LEASE,
        uptime: Callable[[], float] = boot_time,
        make_parents: bool = False,
        retain: float = 0.0,
        environ: Mapping[str, str] = os.environ,
    ) -> Self:
        """As `open`, without a reactor or any thread: for a short command, and for tests.

        Commits, and the calls that wait for them, happen inside `process()`. The database need not
        be writable now: a caller that does not write may still look at it, also on a full disk.
        """
        options = Options(on_fatal, host, clock, lease, uptime, retain)
        return cls._inline(url, keys, environ, options, make_parents=make_parents)

    @classmethod
    def look(
        cls,
        url: Where,
        *,
        keys: KeyRing | None = None,
        environ: Mapping[str, str] = os.environ,
        clock: Callable[[], float] = time.time,
    ) -> Self:
        """As `open`, but only to read: the database need not be writable.

        It makes and changes nothing, not even a key file or a lock; and nothing can be started,
        taken or asked. Raises OlderSchema if the database would have to be upgraded.
        """
        ready = look_ready(url, keys, environ)
        return cls._of(Assembly.inline(ready, Options(clock=clock), looks=True))

    @classmethod
    def _inline(
        cls,
        url: Where,
        keys: KeyRing | None,
        environ: Mapping[str, str],
        options: Options,
        *,
        make_parents: bool,
    ) -> Self:
        ready = open_ready(
            url,
            keys,
            environ,
            options.clock,
            pause=options.pause,
            make_parents=make_parents,
            writes=False,
        )
        return cls._of(Assembly.inline(ready, options))

    @classmethod
    def _of(cls, parts: Assembly) -> Self:
        return cls(
            parts.ready.database,
            parts.ready.keys,
            parts.registration.alive,
            parts.clock,
            parts.registration,
            parts.writer,
            parts.held,
            parts.backlog,
            parts.lookout,
            parts.ready.made_key,
            parts.ready.copy,
        )

    @property
    def retain(self) -> float:
        """Seconds for which a flow that went well or was cancelled can still be read.

        Setting it is deprecated: it is an argument of `open`.
        """
        return self._held.outfit.retain

    @retain.setter
    def retain(self, seconds: float) -> None:
        _deprecated("SqlJournal.retain is an argument of SqlJournal.open() now")
        self._held.outfit = evolve(self._held.outfit, retain=seconds)

    @property
    def checks(self) -> Checks:
        """What looks for damage, and writes nothing."""
        return Checks(self._database, self._keys, self._alive, self._clock)


def _deprecated(text: str) -> None:
    warnings.warn(text, DeprecationWarning, stacklevel=3)
