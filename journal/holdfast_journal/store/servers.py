"""Which PostgreSQL databases can hold a journal: what is checked before one is used."""

import secrets
from contextlib import ExitStack
from typing import Any

from sqlalchemy.engine import Connection, Engine

from holdfast_journal.errors import DatabaseUnusable

ROUNDS = 4
"""How often two connections are looked at in turn: a pooler may be lucky once."""


def refuse_unfit(engine: Engine, name: str, *, looks: bool) -> None:
    """Refuse a database in which a journal would not be safe, before anything is changed.

    Args:
        engine: with at least two connections.
        name: what people call it.
        looks: whether it will only be read, which a standby can.

    Raises DatabaseUnusable, and SQLAlchemy's errors.
    """
    with ExitStack() as stack:
        first, second = (stack.enter_context(engine.connect()) for _ in range(2))
        if not looks and _value(first, "SHOW transaction_read_only") == "on":
            standby = _value(first, "SELECT pg_is_in_recovery()::text") == "true"
            why = "the server is a standby" if standby else "its transactions are read-only"
            raise DatabaseUnusable(
                f"the database {name} cannot be used: {why}, and this command writes;"
                " connect to the primary server, as a role that may write"
            )
        if _value(first, "SELECT current_schema()::text") is None:
            raise DatabaseUnusable(
                f"the database {name} cannot be used: this role's search_path names no schema that"
                " is there; create one, or set search_path with ALTER ROLE"
            )
        if not all(_is_a_session(first, second) for _ in range(ROUNDS)):
            raise DatabaseUnusable(
                f"the database {name} cannot be used: a pooler in front of it gives each"
                " transaction another connection (pool_mode=transaction of PgBouncer), and the"
                " locks that tell which worker lives belong to connections; connect to PostgreSQL"
                " itself, or set pool_mode=session"
            )


def refuse_encoding(connection: Any, name: str) -> None:
    """Refuse a database whose encoding cannot hold every text; before SQLAlchemy stumbles over it.

    Args:
        connection: one of the driver's, just made.
        name: what people call the database.

    Raises DatabaseUnusable.
    """
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        connection.close()
        raise DatabaseUnusable(
            f"the database {name} cannot be used: its encoding is {encoding}, which cannot hold"
            " every name; make one with createdb --encoding=UTF8 --template=template0"
        )


def _is_a_session(first: Connection, second: Connection) -> bool:
    """Whether a connection still knows in one transaction what it was told in the one before.

    And it alone: a pooler with a single connection would give that to both.
    """
    told = {each: secrets.token_hex(8) for each in (first, second)}
    for each, word in told.items():
        _value(each, f"SELECT set_config('holdfast.session', '{word}', false)")
    read = "SELECT current_setting('holdfast.session', true)"
    return all(_value(each, read) == word for each, word in told.items())


def _value(connection: Connection, statement: str) -> str | None:
    """The one value of a statement, in a transaction of its own."""
    value = connection.exec_driver_sql(statement).scalar()
    connection.commit()
    return None if value is None else str(value)
