"""Bringing a database to this release's schema.

Alembic costs a command nearly half a second, so it is imported only if there is something to do:
the version table alone tells whether a database is current.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from sqlalchemy import column, inspect, select, table
from sqlalchemy.engine import Connection

from holdfast_journal.errors import DatabaseUnusable, NewerSchema
from holdfast_journal.store.database import Database
from holdfast_journal.store.schema import REVISIONS, VERSION_TABLE, metadata

SchemaState = Literal["empty", "current", "older", "newer"]


def schema_state(database: Database) -> SchemaState:
    """Compare the database's schema with this release's. Raises DatabaseUnusable."""
    with database.reading() as connection:
        return _state(connection)


def state_in(connection: Connection, database: Database) -> SchemaState:
    """The same, in the caller's transaction. Raises NewerSchema."""
    state = _state(connection)
    refuse_newer(database, state)
    return state


def revision(database: Database) -> str | None:
    """The migration that the database is at; None if it is empty. Raises DatabaseUnusable."""
    with database.reading() as connection:
        return revision_in(connection)


def revision_in(connection: Connection) -> str | None:
    """The same, in the caller's transaction."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    found = connection.scalar(select(column("version_num")).select_from(table(VERSION_TABLE)))
    return None if found is None else str(found)


def refuse_newer(database: Database, state: SchemaState) -> None:
    """Refuse the database of a newer release. Raises NewerSchema."""
    if state == "newer":
        raise NewerSchema(
            f"the database {database.name} was made by a newer Holdfast; upgrade this one"
        )


def _state(connection: Connection) -> SchemaState:
    version = revision_in(connection)
    if version is None:
        return "empty"
    if version == REVISIONS[-1]:
        return "current"
    return "older" if version in REVISIONS else "newer"


@contextmanager
def turn(database: Database) -> Iterator[Connection]:
    """A transaction in which no other process changes the schema. Raises DatabaseUnusable.

    Other processes may have changed it while this waited for its turn.
    """
    with database.writing() as connection:
        database.dialect.lock_upgrades(connection)
        yield connection


def upgrade(database: Database) -> bool:
    """Bring the schema up to date, in one transaction. Return False if it was up to date.

    Several processes may try at once. Raises NewerSchema, or DatabaseUnusable.
    """
    state = schema_state(database)
    refuse_newer(database, state)
    if state == "current":
        return False
    with turn(database) as connection:
        state = state_in(connection, database)
        if state == "current":
            return False  # another process was quicker
        if state == "empty":
            _refuse_strangers(connection, database)
        migrate(connection, "head")
    return True


def migrate(connection: Connection, revision: str, *, down: bool = False) -> None:
    """Take the schema to `revision`, up or down ("base": nothing left). For developers and tests.

    Inside the caller's transaction.
    """
    from alembic import command
    from alembic.config import Config

    config = Config()
    # Alembic reads this as a ConfigParser value, in which a percent sign is special.
    config.set_main_option("script_location", str(migrations()).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    (command.downgrade if down else command.upgrade)(config, revision)


def downgrade(database: Database, revision: str) -> None:
    """Take the schema back to `revision` ("base": nothing left). For developers and tests."""
    with database.writing() as connection:
        migrate(connection, revision, down=True)


def _refuse_strangers(connection: Connection, database: Database) -> None:
    """Refuse tables with our names if our version table is missing: they are not ours."""
    looking = inspect(connection)
    names = {*looking.get_table_names(), *looking.get_view_names()}
    taken = sorted(names & set(metadata.tables))
    if taken:
        raise DatabaseUnusable(
            f"the database {database.name} belongs to another program:"
            f" it has tables named {', '.join(taken)}"
        )


def migrations() -> Path:
    """The folder of the migrations: inside the installed package, or at the top of a checkout."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "migrations", package.parents[1] / "migrations"):
        if (folder / "env.py").is_file():
            return folder
    raise DatabaseUnusable("this installation is damaged: its migrations are missing")
