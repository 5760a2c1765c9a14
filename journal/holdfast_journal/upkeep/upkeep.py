"""What an operator does with a database: keys, old flows, the schema; without running flows."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Self

from attrs import define

from holdfast_journal.auditing.acts import Actor
from holdfast_journal.auditing.tokens import Tokens
from holdfast_journal.keys.files import KeyFile
from holdfast_journal.keys.master import find_keys, given_keys
from holdfast_journal.store.database import Database
from holdfast_journal.store.urls import Where
from holdfast_journal.upkeep import purging, rotating
from holdfast_journal.upkeep.opening import Ready, key_file, look_ready, open_ready
from holdfast_journal.upkeep.purging import Old, Purge
from holdfast_journal.upkeep.rotating import KeyUse, Rotation
from holdfast_journal.upkeep.shredding import empty_log, shred_due
from holdfast_journal.workers.locks import locks_for
from holdfast_journal.workers.registration import Alive, Registration


@define(eq=False)
class Upkeep:
    """A database in the hands of its operator. Every method raises DatabaseUnusable."""

    _database: Database
    _alive: Alive
    _clock: Callable[[], float]
    ready: Ready

    @classmethod
    def open(
        cls,
        url: Where,
        *,
        environ: Mapping[str, str] = os.environ,
        clock: Callable[[], float] = time.time,
        upgrade: bool = False,
        looks: bool = False,
    ) -> Self:
        """Open the database at `url` with its keys, as `SqlJournal.open` does.

        With `upgrade`, a PostgreSQL database of an older release is upgraded too. A caller that
        only `looks` changes nothing, and can call only `old` and `find`. Raises DatabaseUnusable
        and WrongKey; then nothing was changed.
        """
        if looks:
            ready = look_ready(url, None, environ)
        else:
            ready = open_ready(url, None, environ, clock, asked=upgrade)
        alive = Registration(ready.database, clock, locks_for(ready.database, looks=looks)).alive
        return cls(ready.database, alive, clock, ready)

    @property
    def name(self) -> str:
        """The database's URL for people, with its password hidden."""
        return self._database.name

    @property
    def key_file(self) -> Path | None:
        """Where the keys are; None if they come from HOLDFAST_KEY."""
        return self.ready.key_file

    @property
    def upgraded(self) -> bool:
        """Whether opening it changed its schema."""
        return self.ready.found != "current"

    @property
    def tokens(self) -> Tokens:
        """The tokens of the console and the API."""
        return Tokens(self._database, self._clock)

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def rotate(
        self, by: Actor | None = None, goes_on: Callable[[int], object] = lambda _: None
    ) -> Rotation:
        """Seal every flow's data key under the first master key; see `rotating.rotate`.

        Raises WrongKey.
        """
        return rotating.rotate(self._database, self.ready.keys, self._clock(), by, goes_on)

    def old(self, seconds: float, batch: str | None, *, names: bool, audit: bool = False) -> Old:
        """The flows that ended more than `seconds` ago; what is deleted with them, see `Old`."""
        return Old(self._clock() - seconds, batch, names, audit)

    def find(self, old: Old) -> Purge:
        """What `purge` would delete."""
        return purging.find(self._database, self._alive, old)

    def purge(self, old: Old, by: Actor | None = None) -> Purge:
        """Delete what is old, and shred what is due; see `purging`."""
        now = self._clock()
        shred_due(self._database, now)
        found = purging.purge(self._database, self._alive, old, by=by, now=now)
        empty_log(self._database)
        return found


def list_keys(url: Where, environ: Mapping[str, str]) -> tuple[Sequence[KeyUse], Path | None]:
    """Every master key that is given or needed, and the key file, if there is one.

    Also works if some keys of the database are missing. Raises DatabaseUnusable and WrongKey.
    """
    given = given_keys(environ)
    with closing(Database.open(url, looks=True)) as database:
        file = key_file(database, given)
        if given is None and file is None:
            find_keys(database, None)  # raises the right error
        ring = given.ring if given is not None else KeyFile(file or Path()).ring()
        return rotating.key_uses(database, ring), file
