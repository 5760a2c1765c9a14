"""Which master keys open a database: from the environment, a file, or a file made beside it.

The table `keys` holds the identifiers of all master keys that flows are sealed under, so that a
wrong key is noticed before anything is done. With each goes the fingerprint key, sealed under it:
the same key under all of them, so that fingerprints outlive every master key.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import define, field, frozen
from sqlalchemy import (
    BindParameter,
    ColumnElement,
    LargeBinary,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.engine import Connection
from twisted.logger import Logger

from holdfast_journal.errors import Unreadable, WrongKey
from holdfast_journal.keys.files import KeyFile, make_key_file
from holdfast_journal.keys.ring import ID_BYTES, KeyRing, missing_key, sealed_under
from holdfast_journal.keys.sealing import new_key
from holdfast_journal.store.database import Database
from holdfast_journal.store.remembering import Remembered
from holdfast_journal.store.schema import flows, keys

SEALED_UNDER: ColumnElement[bytes] = func.substr(flows.c.data_key, 1, ID_BYTES, type_=LargeBinary)
"""The identifier of the master key that a flow's data key is sealed under, in the database."""

_USED = select(keys.c.id).order_by(keys.c.created_at)

_log = Logger()


@frozen
class Given:
    """The keys that an operator gives, and where they come from."""

    ring: KeyRing
    file: Path | None
    """The key file; None for HOLDFAST_KEY."""


def given_keys(environ: Mapping[str, str]) -> Given | None:
    """The keys that HOLDFAST_KEY or HOLDFAST_KEY_FILE give; None if neither is set.

    Raises WrongKey for a value or a file without a key.
    """
    if value := environ.get("HOLDFAST_KEY"):
        return Given(KeyRing.parse(value, "HOLDFAST_KEY"), None)
    if name := environ.get("HOLDFAST_KEY_FILE"):
        return Given(KeyFile(Path(name)).ring(), Path(name))
    return None


def key_file_of(path: Path) -> Path:
    """Where the master key of the SQLite file at `path` is, unless the operator says otherwise.

    Beside the file, or beside a symbolic link to it, where earlier releases put it.
    """
    real = Path(os.path.realpath(path))
    beside, link = real.with_name(real.name + ".key"), path.with_name(path.name + ".key")
    return link if link.exists() and not beside.exists() else beside


def find_keys(
    database: Database, given: KeyRing | None, *, make: bool = True
) -> tuple[KeyRing, Path | None]:
    """The keys that open `database`, and the key file if it was just made. Raises WrongKey.

    With `make`, an SQLite file in which nothing was ever sealed gets a key file.
    """
    made: Path | None = None
    ring = given
    used = used_keys(database)
    if ring is None and database.given_path is not None:
        path = key_file_of(database.given_path)
        if not path.exists():
            if used or not make:
                raise WrongKey(
                    f"the master key of {database.path} is missing: restore {path},"
                    " or set HOLDFAST_KEY_FILE"
                )
            made = path if make_key_file(path) else None
        ring = KeyFile(path).ring()
    elif ring is None and database.in_memory:
        ring = KeyRing.random()
    elif ring is None:
        raise WrongKey(
            "a PostgreSQL database needs a master key: set HOLDFAST_KEY_FILE to a file"
            " that holds 64 random hex digits"
        )
    if name := _missing(ring, used):
        raise missing_key(name)
    return ring, made


def used_keys(database: Database) -> list[str]:
    """Identifiers of the master keys that flows of `database` are sealed under, oldest first."""
    with database.reading() as connection:
        return list(connection.scalars(_USED))


def known(ring: KeyRing) -> list[bytes]:
    """The identifiers of the keys of `ring`, as they are put in front of what they sealed."""
    return [bytes.fromhex(name) for name in ring.ids]


def opens(known: Sequence[bytes] | BindParameter[Any]) -> ColumnElement[bool]:
    """The condition for flows whose data key is sealed under one of these keys, or is missing."""
    return or_(flows.c.data_key.is_(None), SEALED_UNDER.in_(known))


def note_key(connection: Connection, database: Database, ring: KeyRing, now: float) -> None:
    """Note, in the caller's transaction, that `ring` seals here. Raises WrongKey.

    Until the end of the transaction, other processes cannot forget the key that seals.
    """
    dialect = database.dialect
    query = select(keys)
    found = connection.execute(query).all()
    if _is_noted(ring, found):
        if not dialect.many_writers:
            return
        first = select(keys.c.id).where(keys.c.id == ring.ids[0])
        if connection.scalar(dialect.locked(first, share=True, key=True)) is not None:
            return
    # Two processes with different keys must not both be the first.
    dialect.lock_table(connection, keys)
    found = connection.execute(query).all()
    if name := _missing(ring, [row.id for row in found]):
        raise missing_key(name)
    own = _fingerprint_key(ring, found)
    if own is None:
        # A database of the first release, or one in which nothing was ever sealed.
        own = ring.first_fingerprint_key() if found else new_key()
    sealed = ring.seal("", "fingerprint_key", own)
    name = ring.ids[0]
    if all(row.id != name for row in found):
        values = {"id": name, "created_at": now, "fingerprint_key": sealed}
        connection.execute(insert(keys).values(values))
    else:
        statement = update(keys).where(keys.c.id == name, keys.c.fingerprint_key.is_(None))
        connection.execute(statement.values(fingerprint_key=sealed))


def fingerprint_key(database: Database, ring: KeyRing, now: float) -> bytes:
    """The key of fingerprints, made if it does not exist. Raises WrongKey, Unreadable."""
    with database.reading() as connection:
        found = _fingerprint_key(ring, connection.execute(select(keys)).all())
    if found is None:
        with database.writing() as connection:
            note_key(connection, database, ring, now)
            found = _fingerprint_key(ring, connection.execute(select(keys)).all())
    if found is None:
        raise Unreadable("the key that fingerprints are made with is not in the database")
    return found


@define
class MissingKeys:
    """Says once, for each master key in use, that this process does not have it."""

    _database: Database
    _ring: KeyRing
    _used: Remembered = field(init=False, repr=False)
    _told: set[str] = field(factory=set, init=False)

    def __attrs_post_init__(self) -> None:
        self._used = Remembered(self._database)

    def look(self) -> None:
        """Read the key file again if it has changed, and see which keys are missing.

        Raises DatabaseUnusable.
        """
        used, ring = self._used.ask(used_keys, self._database), self._ring
        ring.refresh()
        known = ring.ids
        missing = [name for name in used if name not in known]
        advice = "set HOLDFAST_KEY to both keys, the new one first, and restart this process"
        if ring.follows_a_file:
            advice = "put that key into the key file"
        for name in missing:
            if name not in self._told:
                self._told.add(name)
                _log.warn(
                    "flows are being sealed under the master key {name}, which this process has not"
                    " got; it leaves them alone: {advice}",
                    name=name,
                    advice=advice,
                )


def _missing(ring: KeyRing, used: Sequence[str]) -> str | None:
    """The identifier of a key that is in use and not in `ring`."""
    if set(used) - set(ring.ids):
        ring.refresh()
    return next((name for name in used if name not in ring.ids), None)


def _is_noted(ring: KeyRing, found: Sequence[Any]) -> bool:
    return _missing(ring, [row.id for row in found]) is None and any(
        row.id == ring.ids[0] and row.fingerprint_key is not None for row in found
    )


def _fingerprint_key(ring: KeyRing, found: Sequence[Any]) -> bytes | None:
    for row in found:
        sealed = row.fingerprint_key
        if sealed is not None and sealed_under(sealed) in ring.ids:
            return ring.open("", "fingerprint_key", sealed)
    return None
