"""Bringing a database to this release's schema.

Alembic costs a command nearly half a second, so it is imported only when there is something to do:
that a database is current is read from its version table alone.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from sqlalchemy import column, inspect, select, table, text
from sqlalchemy.engine import Connection

from holdfast_journal.errors import DatabaseUnusable, NewerSchema
from holdfast_journal.store.database import Database
from holdfast_journal.store.schema import REVISIONS, VERSION_TABLE, metadata

SchemaState = Literal["empty", "current", "older", "newer"]

_LOCK = 0x686F6C64  # any number that others do not use: "hold"


def schema_state(database: Database) -> SchemaState:
    """Compare the database's schema with this release's. Raises DatabaseUnusable."""
    with database.reading() as connection:
        return _state(connection)


def revision(database: Database) -> str | None:
    """The migration that the database is at; None if it is empty. Raises DatabaseUnusable."""
    with database.reading() as connection:
        return _revision(connection)


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    found = connection.scalar(select(column("version_num")).select_from(table(VERSION_TABLE)))
    return None if found is None else str(found)


def _state(connection: Connection) -> SchemaState:
    version = _revision(connection)
    if version is None:
        return "empty"
    if version == REVISIONS[-1]:
        return "current"
    return "older" if version in REVISIONS else "newer"


def upgrade(
    database: Database,
    *,
    before: Callable[[str], object] | None = None,
    after: Callable[[Connection], object] | None = None,
) -> bool:
    """Bring the schema up to date, in one transaction; False if it was.

    For a database of an older release `before` is called with its revision, once nobody else can
    write, and `after` at the end of the transaction; what they raise leaves everything as it was.
    Several processes may try at once. Raises NewerSchema, or DatabaseUnusable.
    """
    if _settled(schema_state(database), database):
        return False
    with database.writing() as connection:
        if database.is_postgresql:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        state = _state(connection)  # again: another process may have been quicker
        if _settled(state, database):
            return False
        if state == "empty":
            _refuse_strangers(connection, database)
        elif before is not None:
            before(_revision(connection) or "")
        migrate(connection, "head")
        if state == "older" and after is not None:
            after(connection)
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


def _settled(state: SchemaState, database: Database) -> bool:
    if state == "newer":
        raise NewerSchema(
            f"the database {database.name} was made by a newer Holdfast; upgrade this one"
        )
    return state == "current"


def _refuse_strangers(connection: Connection, database: Database) -> None:
    """Without our version table, tables of our names are somebody else's."""
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
