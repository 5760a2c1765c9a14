"""`Dialect`: all that differs between SQLite and PostgreSQL, for every room above this one.

Ask a database for its `dialect`, and a connection by `dialect_of`. No other code asks which of the
two it is: if you need another difference, give it a name here.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Protocol

from sqlalchemy import ColumnElement, Table
from sqlalchemy.engine import Connection, Engine

from holdfast_journal.store.many import Query
from holdfast_journal.store.postgresql import PostgresqlDialect
from holdfast_journal.store.sqlite import SqliteDialect


class Dialect(Protocol):
    """What a kind of database can do, and how that is said to it."""

    def __hash__(self) -> int:
        """Make it a key: there is one of each kind, and statements are cached by it."""
        ...

    @property
    def many_writers(self) -> bool:
        """Whether transactions that write run at the same time, from any number of services.

        If not, one that writes sees everything as it is, and nothing changes until it is over.
        """
        ...

    @property
    def under_way(self) -> int:
        """Entries, more or less, that unfinished transactions of all workers may have inserted."""
        ...

    # Rows

    def locked(
        self,
        query: Query,
        *,
        of: Table | None = None,
        skip: bool = False,
        share: bool = False,
        key: bool = False,
    ) -> Query:
        """The query, so that no other transaction changes its rows before the end of this one.

        Args:
            query: of rows.
            of: the table whose rows are meant, if there are several.
            skip: whether to leave out rows that others have locked, instead of waiting for them.
            share: whether other transactions may do the same meanwhile.
            key: whether other transactions may change what is not part of a key.
        """
        ...

    def lock_table(self, connection: Connection, table: Table) -> None:
        """Keep others from changing a table before the end of the transaction."""
        ...

    def lock_upgrades(self, connection: Connection) -> None:
        """Keep others from changing the schema before the end of the transaction."""
        ...

    def begin_snapshot(self, connection: Connection) -> None:
        """See to it that all statements of a transaction that only reads see the same moment."""
        ...

    # Many values in one statement

    def among(self, column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
        """`column` IN the parameter `name`, which `listed` makes of any number of values."""
        ...

    def globs(self, column: ColumnElement[Any], pattern: str) -> ColumnElement[bool]:
        """Whether all of a text matches, where `*` is any text and `?` any one character."""
        ...

    def listed(self, values: Iterable[object] | None) -> object:
        """Values for `among`; None for None."""
        ...

    def written(
        self,
        connection: Connection,
        pieces: Iterable[tuple[str, list[tuple[Any, ...]]]],
    ) -> int:
        """Execute statements, each once for each of its lists of values; count the changed rows."""
        ...

    def at_once(self, most: int) -> int:
        """How many rows go into one text that SQLite takes up to `most` of."""
        ...

    @property
    def place(self) -> str:
        """Where a value goes in a text for the driver."""
        ...

    def update_of(self, template: str, columns: Mapping[str, str], count: int) -> str:
        """The text of an UPDATE of `count` rows, each with values of its own.

        Args:
            template: the text with a place `{name}` for each column, `{ids}` for what `flow.id` is
                compared with, and `{values}` where another table can stand.
            columns: the columns that a row has values for, `id` among them, and their types.
            count: how many rows.
        """
        ...

    def are_among(self, columns: Mapping[str, str], count: int) -> str:
        """The text of a condition: these columns, of these types, are one of `count` rows."""
        ...

    # Clocks and health

    @property
    def has_clock(self) -> bool:
        """Whether the database has a clock, which all workers share."""
        ...

    def clock(self, now: float) -> ColumnElement[Any]:
        """The time that all workers share, in seconds since the epoch; `now` is our machine's."""
        ...

    def refuse_unfit(self, engine: Engine, name: str, *, looks: bool) -> None:
        """Refuse a database in which a journal would not be safe. Raises DatabaseUnusable."""
        ...

    def rewrite_log(self, engine: Engine) -> None:
        """Write anew what a process that is gone has left in a write-ahead log; see `Database`."""
        ...

    def quick_check(self, connection: Connection, most: int) -> Sequence[str]:
        """What the database says of its own structure, if that can be found out quickly."""
        ...

    def integrity(self, connection: Connection, most: int) -> Iterator[tuple[str, str]]:
        """What is wrong with the database's own structure, and what to do about it.

        At most `most` lines of its own check are reported.
        """
        ...


_DIALECTS: Final[Mapping[str, Dialect]] = {
    "sqlite": SqliteDialect(),
    "postgresql": PostgresqlDialect(),
}


def dialect_of(where: Connection | Engine) -> Dialect:
    """The dialect of a connection or an engine."""
    return _DIALECTS[where.dialect.name]
