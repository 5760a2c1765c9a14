"""Flows for which a mailbox server watches, so that nothing here costs anything while they wait.

A watcher is all workers of a database, towards one server and for one application. A flow is let
go in steps, and what is lost between any two of them costs a visit, never an arrival:

1. `watch` notes durably by which mark the flow is found, while we still own and run it.
2. The server is asked, and confirms with a revision.
3. `park` gives the flow back, to be watched: until its `wake_at`, or for ever without one, no
   worker takes it, unless something is asked of it. If its mark was taken away meanwhile, because
   something has come, then it is due at once instead.

`has_come` takes the mark away from those flows for which something has come, whoever owns them;
`forgotten` from those of which the server does not know any more. Taking a flow takes it away too.

While a flow is watched, its `wake_at` is a negative number; see `store.resting`.
"""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from attrs import field, frozen
from sqlalchemy import (
    BigInteger,
    Double,
    Select,
    bindparam,
    case,
    cast,
    insert,
    select,
    update,
)
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError
from twisted.logger import Logger

from holdfast_journal.errors import Unreadable
from holdfast_journal.keys.watching import WatchKeys
from holdfast_journal.store.database import Database
from holdfast_journal.store.dialect import dialect_of
from holdfast_journal.store.many import chunks
from holdfast_journal.store.resting import watched_until
from holdfast_journal.store.schema import flows, watchers
from holdfast_journal.store.values import altered, unsound

AT_ONCE: Final = 2000
"""Flows that a server has forgotten, in one transaction: workers on SQLite wait for its end."""

NO_WATCH: Final = {"watcher": None, "watch": None, "watch_revision": None}
"""What stands in the row of a flow for which nobody watches."""

_WATCH = (
    update(flows)
    .where(flows.c.id == bindparam("flow"), flows.c.owner == bindparam("worker"))
    .values(
        watcher=bindparam("by"),
        watch=bindparam("mark"),
        watch_revision=None,
    )
)

_HAS_MARK = flows.c.watch.is_not(None)

_PARK = (
    update(flows)
    .where(flows.c.id == bindparam("flow"), flows.c.owner == bindparam("worker"))
    .values(
        owner=None,
        deaths=None,
        wake_at=case((_HAS_MARK, cast(bindparam("until"), Double))),
        watch_revision=case((_HAS_MARK, cast(bindparam("confirmed"), BigInteger))),
    )
)

_MARKED = (
    select(flows.c.id, flows.c.finished_at)
    .where(flows.c.watch.in_(bindparam("marks", expanding=True)))
    .order_by(flows.c.id)
)

_OF_WATCHER = select(flows.c.id, flows.c.finished_at).where(
    flows.c.watcher == bindparam("by"), _HAS_MARK
)
# In an order in which an index has them: to sort them would be to read all, for each chunk.
_FORGOTTEN = (
    _OF_WATCHER.where(flows.c.watch_revision > bindparam("above"))
    .order_by(flows.c.watch_revision, flows.c.id)
    .limit(AT_ONCE)
)
# Whoever gets its confirmation from a server that has forgotten it since would park it on nothing.
_NOT_CONFIRMED = (
    _OF_WATCHER.where(flows.c.watch_revision.is_(None)).order_by(flows.c.id).limit(AT_ONCE)
)

_DUE = (
    update(flows)
    .where(flows.c.id.in_(bindparam("ids", expanding=True)))
    .values(wake_at=None, **NO_WATCH)
)


_log = Logger()


@frozen
class Watcher:
    """All workers of a database, as one mailbox server knows them for one application."""

    id: int
    url: str
    appid: str
    name: str = field(repr=False)
    """The secret name under which it is known to the server."""


def find_or_make(database: Database, keys: WatchKeys, url: str, appid: str, now: float) -> Watcher:
    """The watcher of this server and application. One that cannot be read is made anew."""
    query = select(watchers).where(watchers.c.uid == keys.uid(url, appid))
    with database.reading() as connection:
        row = connection.execute(query).one_or_none()
    if row is None:
        # The other is a worker that has just made it.
        with suppress(IntegrityError), database.writing() as connection:
            connection.execute(insert(watchers).values(_row(keys, url, appid, now)))
        with database.reading() as connection:
            row = connection.execute(query).one()
    try:
        return _opened(keys, row)
    except Unreadable as error:
        _visit_instead(database, row.id, error)
    with database.writing() as connection:
        renewed = update(watchers).where(watchers.c.id == row.id)
        connection.execute(renewed.values(_row(keys, url, appid, now)))
        return _opened(keys, connection.execute(query).one())


def in_use(database: Database, keys: WatchKeys) -> list[Watcher]:
    """The watchers for which flows wait. The flows of one that cannot be read are due."""
    waiting = select(flows.c.id).where(flows.c.watcher == watchers.c.id, _HAS_MARK).exists()
    with database.reading() as connection:
        rows = connection.execute(select(watchers).where(waiting).order_by(watchers.c.id)).all()
    found = []
    for row in rows:
        try:
            found.append(_opened(keys, row))
        except Unreadable as error:
            _visit_instead(database, row.id, error)
    return found


def _visit_instead(database: Database, watcher: int, error: Unreadable) -> None:
    _log.error("a mailbox server cannot be asked to watch: {error}", error=error)
    forgotten(database, watcher, -1)


def watch(database: Database, worker: int, watcher: int, marks: Mapping[int, str]) -> None:
    """Note by which mark each flow is found, if it is ours."""
    rows = [
        {"flow": flow, "worker": worker, "by": watcher, "mark": mark}
        for flow, mark in sorted(marks.items())
    ]
    with database.writing() as connection:
        connection.execute(_WATCH, rows)


def park(
    database: Database, worker: int, wake_at: Mapping[int, float | None], revision: int
) -> None:
    """Give flows back, watched; those whose mark was taken away are due at once."""
    rows = [
        {"flow": flow, "worker": worker, "until": watched_until(at), "confirmed": revision}
        for flow, at in sorted(wake_at.items())
    ]
    with database.writing() as connection:
        connection.execute(_PARK, rows)


def has_come(database: Database, marks: Iterable[str]) -> int:
    """Let the flows with these marks be due: at once, or once their owners give them back.

    Returns how many there are.
    """
    found = 0
    with database.writing() as connection:
        for chunk in chunks(marks):
            found += _unfinished(_let_be_due(connection, _MARKED, {"marks": chunk}))  # pyrefly: ignore[bad-argument-type]
    return found


def forgotten(database: Database, watcher: int, above: int) -> int:
    """Let those flows be due whose watch was confirmed at a higher revision, or not yet.

    Returns how many there are.
    """
    found = 0
    for query in (_NOT_CONFIRMED, _FORGOTTEN):
        some: Sequence[Any] = [None]
        while some:
            with database.writing() as connection:
                some = _let_be_due(connection, query, {"by": watcher, "above": above})  # pyrefly: ignore[bad-argument-type]
            found += _unfinished(some)
    return found


def _let_be_due(
    connection: Connection, query: Select[Any], given: Mapping[str, object]
) -> Sequence[Any]:
    """Take their marks from the flows that `query` finds; return their rows."""
    # Locked in the order of their ids: workers that hear the same do not wait for each other.
    rows = connection.execute(dialect_of(connection).locked(query, key=True), given).all()
    if rows:
        connection.execute(_DUE, {"ids": [row.id for row in rows]})
    return rows


def _unfinished(rows: Iterable[Any]) -> int:
    return sum(row.finished_at is None for row in rows)


def _row(keys: WatchKeys, url: str, appid: str, now: float) -> dict[str, object]:
    uid = keys.uid(url, appid)
    texts = {"url": url, "appid": appid, "name": secrets.token_hex(32)}
    sealed = {column: keys.seal(uid, column, text) for column, text in texts.items()}
    return {"uid": uid, "created_at": now, **sealed}


def _opened(keys: WatchKeys, row: Any) -> Watcher:
    if columns := unsound(row, watchers):
        raise Unreadable(f"watcher {row.id}: {altered(columns)}")
    return Watcher(
        row.id,
        keys.open(row.uid, "url", row.url),
        keys.open(row.uid, "appid", row.appid),
        keys.open(row.uid, "name", row.name),
    )
