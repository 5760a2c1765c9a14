"""Opening a database, for a service or for one short command."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.operating.addresses import default_database
from holdfast.operating.printable import printable
from holdfast.operating.refused import Refused

if TYPE_CHECKING:
    from holdfast_journal import Reactor, SqlJournal
    from holdfast_journal.errors import JournalBroken
    from holdfast_journal.upkeep import Upkeep


Tell = Callable[[str], object]
"""Tells the operator something in one line."""


def open_journal(url: str, tell: Tell) -> "SqlJournal":
    """Open the database at `url`, or make it, for one command; the caller closes the journal.

    Commits happen at once. Directories are made for the default database only. The operator is told
    of a key file that had to be made. Raises JournalError.
    """
    from holdfast_journal import SqlJournal

    journal = SqlJournal.open_inline(url, make_parents=url == default_database())
    _tell_what_was_made(tell, journal.made_key, journal.kept_copy)
    return journal


def open_serving_journal(
    url: str,
    tell: Tell,
    reactor: "Reactor",
    on_fatal: "Callable[[JournalBroken], object]",
    retain: float,
) -> "SqlJournal":
    """Open it like `open_journal`, for a process that runs flows.

    `SqlJournal.open` describes the arguments. Raises JournalError.
    """
    from holdfast_journal import SqlJournal

    journal = SqlJournal.open(
        url,
        reactor=reactor,
        on_fatal=on_fatal,
        retain=retain,
        make_parents=url == default_database(),
    )
    _tell_what_was_made(tell, journal.made_key, journal.kept_copy)
    return journal


def _tell_what_was_made(tell: Tell, key: Path | None, copy: Path | None) -> None:
    """Tell the operator which key file and which copy opening a database made."""
    if key is not None:
        tell(
            f"made the key file {printable(str(key))}; keep a copy of it"
            " in a safe place, because the database cannot be read without it"
        )
    if copy is not None:
        tell(
            f"upgraded the database; {printable(str(copy))} is a copy of it as it was,"
            " to be deleted when all is well, because it keeps what has been shredded since"
        )


@contextlib.contextmanager
def existing_journal(url: str, tell: Tell, *, looks: bool = False) -> Iterator["SqlJournal"]:
    """Open the journal for one short command that has no reactor; close it at the end.

    A command that only `looks` changes nothing, and works on a database that cannot be written.
    Raises `Refused` if there is no such database yet, and JournalError; nothing is made.
    """
    from holdfast_journal import SqlJournal

    must_exist(url)
    journal = SqlJournal.look(url) if looks else open_journal(url, tell)
    try:
        yield journal
    finally:
        journal.close()


@contextlib.contextmanager
def upkeep(
    url: str, tell: Tell, *, upgrade: bool = False, looks: bool = False
) -> Iterator["Upkeep"]:
    """Open an existing database for upkeep, not to run flows; close it at the end.

    `upgrade` and `looks` are those of `Upkeep.open`. Raises as `existing_journal` does;
    nothing is made.
    """
    from holdfast_journal.upkeep import Upkeep

    must_exist(url)
    keeper = Upkeep.open(url, upgrade=upgrade, looks=looks)
    _tell_what_was_made(tell, keeper.ready.made_key, keeper.ready.copy)
    try:
        yield keeper
    finally:
        keeper.close()


def must_exist(url: str) -> None:
    """Refuse a database that is not there, instead of making it. Raises `Refused`."""
    from holdfast_journal.upkeep import parse_url

    parsed = parse_url(url)
    if parsed.get_backend_name() != "sqlite":
        return
    if not parsed.database or parsed.database == ":memory:":
        raise Refused("a database in memory ends with its process; --db must name a file")
    if not Path(parsed.database).exists():
        raise Refused(
            f"there is no database {parsed.database} yet; 'holdfast provision' makes it,"
            " and --db or HOLDFAST_DB names another"
        )
