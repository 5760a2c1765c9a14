"""The URL of a database: what may be in it, and how it is shown."""

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from holdfast_journal.errors import DatabaseUnusable


def parse_url(url: str) -> URL:
    """Read a database URL; only SQLite files, SQLite in memory and PostgreSQL are served.

    Raises DatabaseUnusable. The message never repeats the URL: it may hold a password.
    """
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
