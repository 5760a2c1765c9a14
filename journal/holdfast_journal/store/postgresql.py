"""PostgreSQL: sessions that notice when the server is gone."""

from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import URL, Engine, create_engine
from sqlalchemy.exc import ArgumentError

from holdfast_journal.errors import DatabaseUnusable
from holdfast_journal.store.servers import refuse_encoding
from holdfast_journal.store.sqlite import BUSY_TIMEOUT
from holdfast_journal.store.urls import shown

_KEEPALIVES = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
"""A PostgreSQL server that vanished without a word is noticed in a minute, not in two hours."""


def postgresql_engine(url: URL, pause: float) -> Engine:
    """Connect when first asked; give up a server that is silent for `pause` seconds."""
    try:
        engine = create_engine(
            url,
            pool_pre_ping=True,
            hide_parameters=True,
            connect_args={
                "connect_timeout": 15,
                "application_name": "holdfast",
                "tcp_user_timeout": 60_000,
                **_KEEPALIVES,
            },
        )
        engine.dialect.create_connect_args(url)
    except (ArgumentError, ValueError, TypeError):
        raise DatabaseUnusable(
            "this is not the URL of a PostgreSQL database; it looks like"
            " postgresql://user@host/database"
        ) from None
    except ImportError as error:
        raise DatabaseUnusable(
            "PostgreSQL needs one more package: pip install 'holdfast[postgres]'"
        ) from error

    @event.listens_for(engine, "do_connect")
    def connect(dialect: Any, _record: object, arguments: Any, named: Any) -> Any:
        connection = dialect.connect(*arguments, **named)
        refuse_encoding(connection, shown(url))
        return connection

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        # A lock that does not clear is then an error that can be told, and not a silence.
        connection.execute(f"SET lock_timeout = {BUSY_TIMEOUT * 1000:.0f}")
        # Whoever is paused in a transaction must not keep its flows locked from those who go on.
        connection.execute(f"SET idle_in_transaction_session_timeout = {pause * 1000:.0f}")
        connection.commit()

    @event.listens_for(engine, "do_executemany")
    def one_by_one(cursor: Any, statement: str, parameters: Any, _context: object) -> bool:
        # The driver would send all of them before it asks for an answer, and the server does not
        # call it idle when whoever is paused between two of them keeps it waiting.
        for each in parameters:
            cursor.execute(statement, each)
        return True

    return engine
