"""What an error of the database means, and how it is said in one line."""

import sqlite3
from enum import Enum

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout


class ErrorKind(Enum):
    """What a database error means for the transaction that met it."""

    PASSING = "passing"  # locked, full, connection lost: the same transaction may yet succeed
    REFUSED = "refused"  # the statements themselves: trying again changes nothing
    BROKEN = "broken"  # the disk: what was written before may be gone too


# Errors of the disk that say at once that nothing was written: a quota, a limit, no memory. (A full
# disk has a code of its own.) A failed fsync, or data that cannot be read back, is another matter.
_NOTHING_WRITTEN = frozenset(
    {
        sqlite3.SQLITE_IOERR_WRITE,
        sqlite3.SQLITE_IOERR_SHMOPEN,
        sqlite3.SQLITE_IOERR_SHMSIZE,
        sqlite3.SQLITE_IOERR_NOMEM,
    }
)


# What a server's answer asks of its operator, by SQLSTATE.
REMEDIES = {
    "42501": "grant the role what it lacks, or let the owner of the tables do this",
    "42P01": "a table is missing: restore a backup, or look at the role's search_path",
    "42703": "a column is missing: restore a backup, or look at the role's search_path",
    "3F000": "create the schema, or look at the role's search_path",
    "25006": "connect to the primary server, as a role that may write",
    "22021": "the database must have the encoding UTF8",
    "22P05": "the database must have the encoding UTF8",
    "26000": "a pooler seems to be between: connect to PostgreSQL itself",
    "42P05": "a pooler seems to be between: connect to PostgreSQL itself",
    "08P01": "a pooler seems to be between: connect to PostgreSQL itself",
    "53300": "raise max_connections, or end some connections",
    "57P03": "wait until the server has started",
}


RESTORE = "restore the database from a backup"
"""What an operator does about damage."""

UNIQUE = (sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY)


def trouble(error: SQLAlchemyError) -> ErrorKind:
    """Say what `error` means."""
    if isinstance(error, PoolTimeout):
        return ErrorKind.PASSING  # every connection waits for an answer
    if not isinstance(error, DBAPIError):
        return ErrorKind.REFUSED
    code = getattr(error.orig, "sqlite_errorcode", None)
    if isinstance(code, int):
        if code in _NOTHING_WRITTEN:
            return ErrorKind.PASSING
        primary = code & 0xFF
        if primary in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            return ErrorKind.BROKEN
        if primary in (
            sqlite3.SQLITE_BUSY,
            sqlite3.SQLITE_LOCKED,
            sqlite3.SQLITE_FULL,
            sqlite3.SQLITE_CANTOPEN,
            sqlite3.SQLITE_NOMEM,
            sqlite3.SQLITE_READONLY,
        ):
            return ErrorKind.PASSING
        return ErrorKind.REFUSED
    state = getattr(error.orig, "sqlstate", None)
    if isinstance(state, str):
        # Connection, rollback, resources, locks, shutdown, system; and a server that became a
        # standby (25006); and a transaction that was ended while we were paused in it (25P03).
        # https://www.postgresql.org/docs/current/errcodes-appendix.html
        passing = state[:2] in ("08", "40", "53", "55", "57", "58") or state in ("25006", "25P03")
        return ErrorKind.PASSING if passing else ErrorKind.REFUSED
    if isinstance(error.orig, sqlite3.Error) and "disk I/O error" in str(error.orig):
        return ErrorKind.BROKEN
    if error.connection_invalidated or isinstance(error, (OperationalError, InterfaceError)):
        return ErrorKind.PASSING
    return ErrorKind.REFUSED


def reason(error: SQLAlchemyError) -> str:
    """What the driver said: its first line, since the others may quote values."""
    said = error.orig if isinstance(error, DBAPIError) else error
    lines = str(said).strip().splitlines()
    text = lines[0][:300] if lines else type(said).__name__
    # "disk I/O error" can be anything from a quota to a dying disk.
    name = getattr(said, "sqlite_errorname", "")
    if not name.startswith("SQLITE_IOERR_"):
        return text
    full = getattr(said, "sqlite_errorcode", None) in _NOTHING_WRITTEN
    return f"{text} ({name}{': the disk may be full, or a quota used up' if full else ''})"
