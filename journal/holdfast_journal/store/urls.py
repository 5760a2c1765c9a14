"""The URL of a database: what may be in it, and how it is shown."""

import os
import re
from pathlib import Path
from typing import TypeAlias

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from holdfast_journal.errors import DatabaseUnusable

Where: TypeAlias = str | os.PathLike[str]
"""A database: its URL, or the path of an SQLite file."""

_MEANT_AS_URL = re.compile(r"(sqlite|postgres(ql)?)(\+\w*)?:")


def url_of(where: Where) -> str:
    """Return the URL of a database; what has no `://` in it is the path of an SQLite file.

    A `~` at the beginning of a path is a home directory. Raises DatabaseUnusable.
    """
    if isinstance(where, str):
        if "://" in where:
            return where
        if not where.strip() or _MEANT_AS_URL.match(where):
            raise DatabaseUnusable(
                "this is neither a database URL nor the path of an SQLite file; a URL looks like"
                " sqlite:////path/to/file.db or postgresql://user@host/database"
            )
    try:
        path = str(Path(where).expanduser().absolute())
    except RuntimeError:
        raise DatabaseUnusable("the path of a database: there is no such home directory") from None
    if "?" in path or "%" in path:
        # SQLAlchemy takes what follows a question mark as options; from 2.1 on, %20 as a space.
        raise DatabaseUnusable(
            "the path of a database cannot hold a question mark or a percent sign"
        )
    return f"sqlite:///{path}"


def parse_url(where: Where) -> URL:
    """Read where a database is; SQLite files, SQLite in memory and PostgreSQL are served.

    Raises DatabaseUnusable. The message never repeats a URL: it may hold a password.
    """
    url = url_of(where)
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise DatabaseUnusable(
            "this is not a database URL; it looks like sqlite:////path/to/file.db"
            " or postgresql://user@host/database"
        ) from None
    match parsed.drivername:
        case "sqlite" | "sqlite+pysqlite":
            if (parsed.database or "").startswith("file:"):
                raise DatabaseUnusable("SQLite's file: URIs are not served; use sqlite:///path")
            if parsed.host or parsed.username or parsed.port or parsed.query:
                raise DatabaseUnusable(
                    "the URL of an SQLite database has a path and nothing else: sqlite:///path"
                )
            if "\0" in (parsed.database or ""):
                raise DatabaseUnusable("the path of a database cannot hold a NUL")
            return parsed.set(drivername="sqlite+pysqlite")
        case "postgresql" | "postgres" | "postgresql+psycopg":
            return parsed.set(drivername="postgresql+psycopg")
        case other:
            raise DatabaseUnusable(
                f"databases of the kind {other[:50]!r} are not served; use sqlite or postgresql"
            )


def shown(url: URL) -> str:
    """The URL for people, its password hidden."""
    plain = url.set(drivername=url.get_backend_name())
    return plain.render_as_string(hide_password=True)
