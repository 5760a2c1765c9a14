"""PostgreSQL: sessions that notice when the server is gone."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from attrs import frozen
from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Table,
    any_,
    bindparam,
    event,
    extract,
    func,
    text,
)
from sqlalchemy.engine import URL, Connection, Engine, create_engine
from sqlalchemy.exc import ArgumentError

from holdfast_journal.distribution import install
from holdfast_journal.errors import DatabaseUnusable
from holdfast_journal.store.many import Query
from holdfast_journal.store.servers import refuse_encoding, refuse_unfit
from holdfast_journal.store.sqlite import BUSY_TIMEOUT
from holdfast_journal.store.trouble import RESTORE
from holdfast_journal.store.urls import shown

_KEEPALIVES = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
"""So that a server that vanished silently is noticed in a minute, not in two hours."""

_UPGRADES = 0x686F6C64
"""The advisory lock for changing the schema: any number that others do not use, "hold"."""

_ROWS_AT_ONCE = 256
"""Many, because each statement is a round trip."""


def postgresql_engine(url: URL, pause: float) -> Engine:
    """Connect when first asked. The server ends a transaction that is silent for `pause` seconds.

    Raises DatabaseUnusable.
    """
    engine = _engine(url)
    _prepare_connections(engine, url, pause)
    return engine


def _engine(url: URL) -> Engine:
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
            f"PostgreSQL needs one more package: {install('postgres')}"
        ) from error
    return engine


def _prepare_connections(engine: Engine, url: URL, pause: float) -> None:
    @event.listens_for(engine, "do_connect")
    def connect(dialect: Any, _record: object, arguments: Any, named: Any) -> Any:
        connection = dialect.connect(*arguments, **named)
        refuse_encoding(connection, shown(url))
        return connection

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        # If a lock does not clear, that is then an error that can be reported, and not a silence.
        connection.execute(f"SET lock_timeout = {BUSY_TIMEOUT * 1000:.0f}")
        # A worker that is paused in a transaction must not keep flows locked from other workers.
        connection.execute(f"SET idle_in_transaction_session_timeout = {pause * 1000:.0f}")
        connection.commit()

    @event.listens_for(engine, "do_executemany")
    def one_by_one(cursor: Any, statement: str, parameters: Any, _context: object) -> bool:
        # The driver would send all of them before it asks for an answer. If a worker were paused
        # between two of them, the server would wait without calling the session idle.
        for each in parameters:
            cursor.execute(statement, each)
        return True


_LIKE = str.maketrans({"*": "%", "?": "_", "%": r"\%", "_": r"\_", "\\": r"\\"})


@frozen(eq=False)
class PostgresqlDialect:
    """See `dialect.Dialect`. Any number of workers write, and lock what must not change."""

    many_writers = True
    under_way = 4096
    place = "%s"
    has_clock = True

    def locked(
        self,
        query: Query,
        *,
        of: Table | None = None,
        skip: bool = False,
        share: bool = False,
        key: bool = False,
    ) -> Query:
        """SELECT ... FOR UPDATE, or a weaker lock."""
        return query.with_for_update(of=of, skip_locked=skip, read=share, key_share=key)

    def lock_table(self, connection: Connection, table: Table) -> None:
        """LOCK TABLE, in a mode that lets readers continue."""
        connection.execute(text(f"LOCK TABLE {table.name} IN SHARE ROW EXCLUSIVE MODE"))

    def lock_upgrades(self, connection: Connection) -> None:
        """An advisory lock: there may be no table yet."""
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _UPGRADES})

    def begin_snapshot(self, connection: Connection) -> None:
        """REPEATABLE READ."""
        connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"))

    def among(self, column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
        """By an array."""
        return column == any_(bindparam(name, type_=ARRAY(column.type)))

    def globs(self, column: ColumnElement[Any], pattern: str) -> ColumnElement[bool]:
        """LIKE, in which other characters mean this."""
        return column.like(pattern.translate(_LIKE), escape="\\")

    def listed(self, values: Iterable[object] | None) -> object:
        """An array."""
        return None if values is None else list(values)

    def written(
        self, connection: Connection, pieces: Iterable[tuple[str, list[tuple[Any, ...]]]]
    ) -> int:
        """Each list of values by itself, so that its rows are counted."""
        return sum(
            connection.exec_driver_sql(text, row).rowcount for text, rows in pieces for row in rows
        )

    def at_once(self, most: int) -> int:
        """Many: each statement is a round trip."""
        return _ROWS_AT_ONCE

    def update_of(self, template: str, columns: Mapping[str, str], count: int) -> str:
        """By UPDATE ... FROM (VALUES ...)."""
        row = ", ".join(f"%s::{kind}" for kind in columns.values())
        values = f" FROM (VALUES {', '.join([f'({row})'] * count)}) AS v ({', '.join(columns)})"
        return template.format(
            values=values, ids="= v.id", **{name: f"v.{name}" for name in columns}
        )

    def are_among(self, columns: Mapping[str, str], count: int) -> str:
        """By IN (VALUES ...)."""
        row = ", ".join(f"%s::{kind}" for kind in columns.values())
        return f"({', '.join(columns)}) IN (VALUES {', '.join([f'({row})'] * count)})"

    def clock(self, now: float) -> ColumnElement[Any]:
        """The server's, but not now(), which stands still during a transaction, however long."""
        return extract("epoch", func.clock_timestamp())

    def refuse_unfit(self, engine: Engine, name: str, *, looks: bool) -> None:
        """See `servers`. Raises SQLAlchemy's errors too."""
        refuse_unfit(engine, name, looks=looks)

    def rewrite_log(self, engine: Engine) -> None:
        """Nothing to do: the server takes care of its log."""

    def quick_check(self, connection: Connection, most: int) -> Sequence[str]:
        """There is no quick one."""
        return ()

    def integrity(self, connection: Connection, most: int) -> Iterator[tuple[str, str]]:
        """What the server knows already; its full check is `pg_amcheck`, which takes long."""
        failures = connection.scalar(
            text(
                "SELECT checksum_failures FROM pg_stat_database WHERE datname = current_database()"
            )
        )
        if failures:
            what = f"the server has met {failures} damaged pages in this database"
            yield what, f"look into the server's log, and {RESTORE}"
        broken = connection.scalars(
            text(
                "SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
                " JOIN pg_class t ON t.oid = i.indrelid"
                " WHERE NOT i.indisvalid AND t.relname LIKE 'holdfast\\_%' ORDER BY 1"
            )
        )
        for name in broken:
            yield f"the index {name} is not valid", f"REINDEX INDEX {name}"
