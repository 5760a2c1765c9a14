"""Checks of the database as a whole: its files, the references between its tables, its workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from attrs import field, frozen
from sqlalchemy import column, func, or_, select, table
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DatabaseError

from holdfast_journal.doctor import checking
from holdfast_journal.doctor.condition import Condition, condition
from holdfast_journal.doctor.examined import Examined, Finding
from holdfast_journal.errors import DatabaseAway, DatabaseUnusable
from holdfast_journal.keys.ring import KeyRing
from holdfast_journal.ownership.due import SINCE, is_due
from holdfast_journal.store.database import Database
from holdfast_journal.store.place import log_of
from holdfast_journal.store.schema import (
    batches,
    entries,
    flows,
    messages,
    metadata,
    tasks,
    workers,
)
from holdfast_journal.store.trouble import RESTORE, reason
from holdfast_journal.workers.file_locks import FileLocks, locks_of
from holdfast_journal.workers.registration import Alive

_MOST = 20
"""How many lines of SQLite's own check are reported."""

LATE = 600.0
"""Seconds after which a worker should have done what it does once a minute."""

_WORDS = {
    batches.name: ("batch", "batches"),
    workers.name: ("worker", "workers"),
    flows.name: ("flow", "flows"),
    entries.name: ("entry", "entries"),
    tasks.name: ("task", "tasks"),
    messages.name: ("message", "messages"),
}


def check_database(database: Database) -> list[Finding]:
    """Check the database's own structure. Raises DatabaseUnusable, and what `damage` explains."""
    with database.reading() as connection:
        found = database.dialect.integrity(connection, _MOST)
        own = [Finding("integrity", what, do) for what, do in found]
        return [*own, *_references(connection)]


def check_log(database: Database) -> list[Finding]:
    """Check that a worker's write-ahead log is there: SQLite keeps it while the worker lives.

    Raises DatabaseUnusable.
    """
    if database.path is None or log_of(database.path).exists():
        return []
    locks = FileLocks(locks_of(database.path), looks=True)
    if not locks.is_anybody() or log_of(database.path).exists():
        return []
    what = "a worker uses this database, and its write-ahead log (-wal) was deleted under it"
    do = "stop every process that uses it before you do anything else; what they committed last"
    return [Finding("integrity", what, f"{do} may be lost, and then {RESTORE}")]


def check_retention(database: Database, now: float) -> list[Finding]:
    """Check that the secrets of finished flows are gone when they should be.

    Raises DatabaseUnusable.
    """
    query = select(func.count()).where(flows.c.shred_at < now - LATE)
    with database.reading() as connection:
        number = connection.scalar(query)
    if not number:
        return []
    what = f"the secrets of finished flows ({number}) should have been deleted by now"
    do = "start 'holdfast run', or run 'holdfast purge'"
    return [Finding("retention", what, do)]


def damage(error: DatabaseUnusable | DatabaseError) -> Finding:
    """Return the finding for a database that cannot be read further.

    If the database only does not answer, raises `error`.
    """
    if isinstance(error, DatabaseAway):
        raise error
    said = reason(error) if isinstance(error, DatabaseError) else str(error)
    return Finding("integrity", f"the database cannot be read: {said}", RESTORE)


def _references(connection: Connection) -> Iterator[Finding]:
    """Rows that belong to nothing: what the foreign keys would not have let happen."""
    for child in metadata.sorted_tables:
        for key in sorted(child.foreign_keys, key=lambda each: each.parent.name):
            parent = table(key.column.table.name, column("id")).alias("parent")
            query = (
                select(func.count(), func.min(child.c.id))
                .select_from(child.outerjoin(parent, key.parent == parent.c.id))
                .where(key.parent.is_not(None), parent.c.id.is_(None))
            )
            number, first = connection.execute(query).one()
            if number:
                one, many = _WORDS[child.name]
                owner = _WORDS[key.column.table.name][0]
                what = f"{number} {one if number == 1 else many} of a {owner} that is not there"
                what += f" (the first has the id {first})"
                check = "task" if child is tasks else "reference"
                yield Finding(check, what, RESTORE)


@frozen
class Unattended:
    """An unfinished flow that is due, and that no living worker runs."""

    id: int
    epoch: int
    """While it stays the same, no worker has taken the flow."""
    batch: str
    name: str
    kind: str
    left: bool
    """Whether the worker that owns it is dead."""
    waiting: float
    """Seconds since it became due; if it was not parked, since it was written."""


def unattended(database: Database, alive: Alive, batch: str | None, now: float) -> list[Unattended]:
    """Return the flows of a batch, or all, that a worker should have. Raises DatabaseUnusable.

    It is normal to find some for the moment that taking them over takes.
    """
    due = is_due(now)
    query = (
        select(
            *(flows.c[name] for name in ("id", "epoch", "name", "kind", "owner")),
            batches.c.name.label("batch_name"),
            SINCE.label("since"),
        )
        .join(batches, flows.c.batch_id == batches.c.id)
        .where(flows.c.finished_at.is_(None), or_(flows.c.owner.is_not(None), due))
        .order_by(flows.c.id)
    )
    if batch is not None:
        query = query.where(batches.c.name == batch)
    with database.reading() as connection:
        rows = connection.execute(query).all()
    living = alive({row.owner for row in rows if row.owner is not None})
    return [
        Unattended(
            row.id,
            row.epoch,
            str(row.batch_name),
            str(row.name),
            str(row.kind),
            row.owner is not None,
            now - row.since if isinstance(row.since, float | int) else 0.0,
        )
        for row in rows
        if row.owner not in living
    ]


@frozen
class Checks:
    """Everything that can be asked of a journal in order to find out whether it is well."""

    _database: Database
    _keys: KeyRing = field(repr=False)
    _alive: Alive
    _clock: Callable[[], float]

    def database(self) -> list[Finding]:
        """What is wrong with the database as a whole.

        Raises DatabaseUnusable, and SQLAlchemy's DatabaseError; see `damage`.
        """
        found = check_database(self._database)
        found += check_log(self._database)
        return [*found, *check_retention(self._database, self._clock())]

    def flows(
        self,
        batch: str | None = None,
        name: str | None = None,
        counted: Callable[[int], object] = lambda _: None,
    ) -> Iterator[Examined]:
        """Each flow of a batch, or of that name, or each: opened, with what is wrong with it.

        `counted` is told first how many they are.
        Raises DatabaseUnusable, and SQLAlchemy's DatabaseError; see `damage`.
        """
        return checking.examine(self._database, self._keys, batch, name, counted)

    def unattended(self, batch: str | None = None) -> list[Unattended]:
        """Return the flows that a worker should have, and none has. Raises DatabaseUnusable."""
        return unattended(self._database, self._alive, batch, self._clock())

    def condition(self) -> Condition:
        """What is quickly known: revision, keys, size, disk. Raises DatabaseUnusable."""
        return condition(self._database, self._keys)
