"""Making an SQLite database quickly, where the making is not what a test is about.

The migrations are the only way to a schema. They take a hundredth of a second each, and the suite
makes thousands of databases: so what they did to the first that was empty is done again, statement
by statement, to each later one of the same process.
"""

from holdfast_journal.store import upgrading
from holdfast_journal.store.database import Database

_TABLES = "SELECT count(*) FROM sqlite_master"
_SCHEMA = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name != 'sqlite_sequence'"

migrate = upgrading.migrate
"""The migrations themselves."""

_statements: list[str] = []


def quickly(connection, revision, *, down=False):
    """Do what `upgrading.migrate` does."""
    whole = revision == "head" and not down and connection.dialect.name == "sqlite"
    if not whole or connection.exec_driver_sql(_TABLES).scalar():
        migrate(connection, revision, down=down)
    elif _statements:
        for each in _statements:
            connection.exec_driver_sql(each)
    else:
        migrate(connection, revision)
        _statements.extend(connection.exec_driver_sql(f"{_SCHEMA} ORDER BY rowid").scalars())
        version = upgrading.revision_in(connection)
        _statements.append(f"INSERT INTO {upgrading.VERSION_TABLE} VALUES ('{version}')")


def install():
    """Let `upgrading.upgrade` use it from now on, and so whatever opens a journal."""
    upgrading.migrate = quickly


def learn():
    """Note now what the migrations do, and not at the first database."""
    database = Database.open("sqlite://")
    upgrading.upgrade(database)
    database.close()
