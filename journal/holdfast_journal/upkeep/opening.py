"""What happens to a database before it is used: its schema, and its master key."""

from collections.abc import Callable
from pathlib import Path

from attrs import frozen
from sqlalchemy.engine import Connection

from holdfast_journal.errors import OlderSchema
from holdfast_journal.keys.master import find_keys, note_key, used_keys
from holdfast_journal.keys.ring import KeyRing
from holdfast_journal.store.copies import keep_copy
from holdfast_journal.store.database import Database
from holdfast_journal.store.schema import REVISIONS
from holdfast_journal.store.upgrading import revision, schema_state, upgrade


@frozen
class Ready:
    """A database that can be used."""

    keys: KeyRing
    made_key: Path | None
    """The key file, if it was just made."""
    copy: Path | None
    """The copy of the database as it was, if it is an SQLite file and was just upgraded."""


def make_ready(
    database: Database, given: KeyRing | None, clock: Callable[[], float], *, asked: bool = False
) -> Ready:
    """Find the keys of `database`, and bring its schema up to date.

    An SQLite file of an older release is upgraded automatically, after a copy. A PostgreSQL
    database, which other workers may be using, is upgraded only if that is `asked` for.

    Raises OlderSchema, NewerSchema, DatabaseUnusable and WrongKey; then nothing was changed.
    """
    state = schema_state(database)
    if state in ("empty", "newer"):
        upgrade(database)
    elif state == "older" and database.is_postgresql and not asked:
        raise OlderSchema(
            f"the database {database.name} is at revision {revision(database)}, and this Holdfast"
            f" needs {REVISIONS[-1]}: run 'holdfast db upgrade --db {database.name}'"
        )
    ring, made = find_keys(database, given)
    copies: list[Path] = []
    if state == "older":  # only now that we know that we have the right key

        def before(old: str) -> None:
            if database.path is not None:
                copies.append(keep_copy(database.path, old, clock()))

        def after(connection: Connection) -> None:
            # While the ring is still the one that the older release had.
            if used:
                note_key(connection, database, ring, clock())

        used = used_keys(database)
        upgrade(database, before=before, after=after)
    return Ready(ring, made, copies[0] if copies else None)


def look_ready(database: Database, given: KeyRing | None) -> Ready:
    """As `make_ready`, for callers that change nothing.

    Raises OlderSchema, NewerSchema, DatabaseUnusable and WrongKey.
    """
    state = schema_state(database)
    if state == "newer":
        upgrade(database)  # which refuses it
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
    ring, _ = find_keys(database, given, make=False)
    return Ready(ring, None, None)
