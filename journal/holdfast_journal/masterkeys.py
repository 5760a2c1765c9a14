"""Where the master key comes from: the environment, a file, or a file made beside the database.

The table `keys` holds the identifiers of all master keys that a database was ever sealed under, so
that a wrong key is noticed before anything is done.
"""

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from sqlalchemy import insert, select, text
from sqlalchemy.engine import Connection

from holdfast_journal.database import Database
from holdfast_journal.errors import WrongKey
from holdfast_journal.schema import keys
from holdfast_journal.sealing import KeyRing, missing_key, new_key


def find_keys(database: Database, given: KeyRing | None) -> tuple[KeyRing, Path | None]:
    """The keys that open `database`, and the key file if it was made just now. Raises WrongKey."""
    made: Path | None = None
    ring = given
    if ring is None and database.path is not None:
        path = database.path.with_name(database.path.name + ".key")
        if not path.exists():
            if _sealed_under(database):
                raise WrongKey(
                    f"the master key of {database.path} is missing: restore {path},"
                    " or set HOLDFAST_KEY_FILE"
                )
            made = path if _make_key_file(path) else None
        ring = _read_keys(path)
    elif ring is None and database.in_memory:
        ring = KeyRing.random()
    elif ring is None:
        raise WrongKey(
            "a PostgreSQL database needs a master key: set HOLDFAST_KEY_FILE to a file"
            " that holds 64 random hex digits"
        )
    for name in _sealed_under(database):
        if name not in ring.ids:
            raise missing_key(name)
    return ring, made


def _sealed_under(database: Database) -> list[str]:
    """Identifiers of the master keys that `database` was ever sealed under."""
    with database.reading() as connection:
        return list(connection.scalars(select(keys.c.id).order_by(keys.c.created_at)))


def note_key(connection: Connection, database: Database, ring: KeyRing, now: float) -> None:
    """Remember, in the caller's transaction, that `ring` seals here. Raises WrongKey."""
    query = select(keys.c.id)
    if ring.ids[0] in connection.scalars(query).all():
        return
    if database.is_postgresql:
        # Two processes with different keys must not both be the first.
        connection.execute(text("LOCK TABLE holdfast_keys IN SHARE ROW EXCLUSIVE MODE"))
    used = connection.scalars(query).all()
    for name in used:
        if name not in ring.ids:
            raise missing_key(name)
    if ring.ids[0] not in used:
        connection.execute(insert(keys).values(id=ring.ids[0], created_at=now))


def given_keys(environ: Mapping[str, str]) -> KeyRing | None:
    """The keys that HOLDFAST_KEY or HOLDFAST_KEY_FILE give; None if neither is set.

    Raises WrongKey for a value or a file that holds no key.
    """
    if given := environ.get("HOLDFAST_KEY"):
        return KeyRing.parse(given, "HOLDFAST_KEY")
    if name := environ.get("HOLDFAST_KEY_FILE"):
        return _read_keys(Path(name))
    return None


def _read_keys(path: Path) -> KeyRing:
    """Read a key file. Raises WrongKey."""
    try:
        content = path.read_text("utf-8")
    except UnicodeDecodeError:
        content = ""
    except OSError as error:
        raise WrongKey(f"the key file {path} cannot be read: {error.strerror}") from error
    return KeyRing.parse(content, f"the key file {path}")


def _make_key_file(path: Path) -> bool:
    """Make a key file with a new key, mode 0600, whole or not at all; False if it is there.

    On disk before it returns: what is sealed with it must never outlive it. Raises WrongKey.
    """
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    content = "# Holdfast's master key. Whoever has it can read the database beside it.\n"
    content += new_key().hex() + "\n"
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "w") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            try:
                os.link(draft, path)
            except FileExistsError:
                return False
        finally:
            draft.unlink()
        directory = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError as error:
        raise WrongKey(f"the key file {path} cannot be made: {error.strerror}") from error
    return True
