"""Opening the journal; why that is not possible becomes one line in `one_line_errors`."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.cli import say
from holdfast.cli.failure import Failure
from holdfast.cli.printable import printable
from holdfast.cli.settings import default_database

if TYPE_CHECKING:
    from holdfast_journal import Reactor, SqlJournal
    from holdfast_journal.errors import JournalBroken
    from holdfast_journal.upkeep import Upkeep


def open_journal(url: str) -> "SqlJournal":
    """Open the database at ``url``, or make it, for one command; the caller closes the journal.

    Commits happen at once. Directories are made for the default database only. A key file that had
    to be made is told of on standard error.
    Raises JournalError.
    """
    from holdfast_journal import SqlJournal

    journal = SqlJournal.open_inline(url, make_parents=url == default_database())
    tell_what_was_made(journal.made_key, journal.kept_copy)
    return journal


def open_serving_journal(
    url: str, reactor: "Reactor", on_fatal: "Callable[[JournalBroken], object]", retain: float
) -> "SqlJournal":
    """The same, for who runs flows; see ``SqlJournal.open`` for the arguments."""
    from holdfast_journal import SqlJournal

    journal = SqlJournal.open(
        url,
        reactor=reactor,
        on_fatal=on_fatal,
        retain=retain,
        make_parents=url == default_database(),
    )
    tell_what_was_made(journal.made_key, journal.kept_copy)
    return journal


def tell_what_was_made(key: Path | None, copy: Path | None) -> None:
    """Tell on standard error of the key file and of the copy that opening a database made."""
    if key is not None:
        say.err(
            f"holdfast: made the key file {printable(str(key))}; keep a copy of it"
            " in a safe place, because the database cannot be read without it"
        )
    if copy is not None:
        say.err(
            f"holdfast: upgraded the database; {printable(str(copy))} is a copy of it as it was,"
            " to be deleted when all is well, because it keeps what has been shredded since"
        )


@contextlib.contextmanager
def existing_journal(url: str, *, looks: bool = False) -> Iterator["SqlJournal"]:
    """Open the journal for one short command that has no reactor; close it at the end.

    A command that only ``looks`` changes nothing, and works on what cannot be written.
    Raises :class:`Failure` if there is no such database yet, and JournalError; nothing is made.
    """
    from holdfast_journal import SqlJournal

    must_exist(url)
    journal = SqlJournal.look(url) if looks else open_journal(url)
    try:
        yield journal
    finally:
        journal.close()


@contextlib.contextmanager
def upkeep(url: str, *, upgrade: bool = False, looks: bool = False) -> Iterator["Upkeep"]:
    """Open an existing database to look after it, and not to run flows; close it at the end.

    ``upgrade`` and ``looks`` are those of ``Upkeep.open``. Raises as `existing_journal` does;
    nothing is made.
    """
    from holdfast_journal.upkeep import Upkeep

    must_exist(url)
    keeper = Upkeep.open(url, upgrade=upgrade, looks=looks)
    tell_what_was_made(keeper.ready.made_key, keeper.ready.copy)
    try:
        yield keeper
    finally:
        keeper.close()


def must_exist(url: str) -> None:
    """Refuse a database that is not there, instead of making it. Raises :class:`Failure`."""
    from holdfast_journal.upkeep import parse_url

    parsed = parse_url(url)
    if parsed.get_backend_name() != "sqlite":
        return
    if not parsed.database or parsed.database == ":memory:":
        raise Failure("a database in memory ends with its process; --db must name a file")
    if not Path(parsed.database).exists():
        raise Failure(
            f"there is no database {parsed.database} yet; 'holdfast provision' makes it,"
            " and --db or HOLDFAST_DB names another"
        )
