"""Opening a database to use it: its file or server, its schema, and its master keys."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from attrs import frozen

from holdfast_journal.errors import DatabaseAway, OlderSchema
from holdfast_journal.keys.master import (
    Given,
    find_keys,
    given_keys,
    key_file_of,
    note_key,
    used_keys,
)
from holdfast_journal.keys.ring import KeyRing
from holdfast_journal.store.copies import keep_copy
from holdfast_journal.store.database import Database
from holdfast_journal.store.schema import REVISIONS
from holdfast_journal.store.upgrading import (
    SchemaState,
    migrate,
    refuse_newer,
    revision,
    revision_in,
    schema_state,
    state_in,
    turn,
    upgrade,
)
from holdfast_journal.store.urls import Where, parse_url

MOVING = 1.0
"""Seconds within which a process has made or deleted all that it keeps beside an SQLite file."""

PAUSE = 0.02
"""Seconds between two tries to look meanwhile."""


@frozen
class Ready:
    """A database that is open and can be used."""

    database: Database
    keys: KeyRing
    key_file: Path | None
    """Where the keys are; None if they come from HOLDFAST_KEY, or from the caller."""
    found: SchemaState
    """How its schema was."""
    made_key: Path | None = None
    """The key file, if it was made just now."""
    copy: Path | None = None
    """The copy of the database as it was, if it was upgraded just now and is an SQLite file."""


def open_ready(  # noqa: PLR0913 - the options of a journal
    url: Where,
    keys: KeyRing | None,
    environ: Mapping[str, str],
    clock: Callable[[], float],
    *,
    writes: bool = True,
    pause: float = 30.0,
    make_parents: bool = False,
    asked: bool = False,
    settles: bool = False,
) -> Ready:
    """Open the database at `url`, bring its schema up to date, and find its keys.

    An SQLite file of an older release is upgraded by itself, after a copy; PostgreSQL, which
    others may be using, only if that is `asked` for. Without `keys`, they come from `environ`, or
    from a file beside the database. With `settles`, what a dead process has left in the log is
    written anew: see `Database.rewrite_log`. The other arguments are those of `Database.open`.
    Raises OlderSchema, NewerSchema, DatabaseUnusable and WrongKey; then nothing was changed, except
    that a missing SQLite file may have been made.
    """
    given = None if keys is not None else given_keys(environ)
    database = Database.open(url, make_parents=make_parents, writes=writes, pause=pause)
    try:
        state = schema_state(database)
        refuse_newer(database, state)
        if state == "empty":
            upgrade(database)
        elif state == "older" and database.dialect.many_writers and not asked:
            raise OlderSchema(
                f"the database {database.name} is at revision {revision(database)}, and this"
                f" Holdfast needs {REVISIONS[-1]}: run 'holdfast db upgrade --db {database.name}'"
            )
        ring, made = find_keys(database, keys if given is None else given.ring)
        copy = None
        if state == "older":  # not before we know that we have the right key
            copy = _bring_forward(database, ring, clock)
        if settles:
            database.rewrite_log()
    except BaseException:
        database.close()
        raise
    return Ready(database, ring, key_file(database, given), state, made, copy)


def look_ready(url: Where, keys: KeyRing | None, environ: Mapping[str, str]) -> Ready:
    """As `open_ready`, but only to look: makes and changes nothing, not even a key file.

    A process that begins or stops using an SQLite file makes or deletes the log and its index, one
    after the other, so what is there can change while it is opened. Then it is opened again.

    Raises OlderSchema, NewerSchema, DatabaseUnusable and WrongKey.
    """
    is_file = parse_url(url).get_backend_name() == "sqlite"
    until = time.monotonic() + (MOVING if is_file else 0)
    while True:
        try:
            return _look_ready(url, keys, environ)
        except DatabaseAway:
            if time.monotonic() >= until:
                raise
            time.sleep(PAUSE)


def _look_ready(url: Where, keys: KeyRing | None, environ: Mapping[str, str]) -> Ready:
    given = None if keys is not None else given_keys(environ)
    database = Database.open(url, looks=True)
    try:
        state = schema_state(database)
        refuse_newer(database, state)
        if state == "empty":
            raise OlderSchema(
                f"nothing is in the database {database.name} yet;"
                " the first command that starts a flow prepares it"
            )
        if state != "current":
            raise OlderSchema(
                f"the database {database.name} was not brought up to date yet:"
                f" run 'holdfast db upgrade --db {database.name}'"
            )
        ring, _ = find_keys(database, keys if given is None else given.ring, make=False)
    except BaseException:
        database.close()
        raise
    return Ready(database, ring, key_file(database, given), state)


def key_file(database: Database, given: Given | None) -> Path | None:
    """Where the keys of `database` are, if they are in a file."""
    if given is not None:
        return given.file
    return None if database.given_path is None else key_file_of(database.given_path)


def _bring_forward(database: Database, ring: KeyRing, clock: Callable[[], float]) -> Path | None:
    """Upgrade a database of an older release; return where the copy of it is, if it is a file.

    If it raises, everything is as it was.
    """
    used = used_keys(database)
    copy = None
    with turn(database) as connection:
        if state_in(connection, database) != "older":
            return None  # another process was quicker
        if database.path is not None:
            # No other process can write now.
            copy = keep_copy(database.path, revision_in(connection) or "", clock())
        migrate(connection, "head")
        if used:
            # While the ring is the one that the older release had.
            note_key(connection, database, ring, clock())
    return copy
