"""What a flow has said and its server has shown: written once, and seldom read.

A checkpoint is written at every commit, so it must not hold what only grows. Each of these messages
is a row of its own, sealed, and is read again only if the server has forgotten it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import field, frozen
from sqlalchemy import bindparam, delete, select
from sqlalchemy.engine import Connection

from holdfast_journal.errors import Unreadable
from holdfast_journal.keys.sealing import unseal
from holdfast_journal.store.database import Database
from holdfast_journal.store.schema import messages

COLUMN = "message"
"""The place that a message is sealed for, with its number."""

MOST_BYTES = 4 * 1024 * 1024
"""Bytes that are read together, but for the last message."""

_READ = (
    select(messages.c.number, messages.c.body)
    .where(
        messages.c.flow_id == bindparam("flow"),
        messages.c.number.in_(bindparam("numbers", expanding=True)),
    )
    .order_by(messages.c.number)
)
_DROP = delete(messages).where(messages.c.flow_id.in_(bindparam("flows", expanding=True)))


@frozen
class Messages:
    """The messages of one flow."""

    _database: Database
    _flow: int
    _uid: str
    _key: bytes = field(repr=False)

    def read(self, numbers: Sequence[int]) -> Mapping[int, bytes]:
        """The first of the messages with these numbers: as many as are well read together.

        Blocks. Raises Unreadable if one is not there or was altered, DatabaseUnusable.
        """
        found: dict[int, bytes] = {}
        size = 0
        with self._database.reading() as connection:
            given = {"flow": self._flow, "numbers": list(numbers)}
            for row in connection.execute(_READ, given):
                found[row.number] = unseal(self._key, self._uid, COLUMN, row.number, row.body)
                size += len(row.body)
                if size > MOST_BYTES:
                    break
        wanted = sorted(numbers)[: len(found)] if size > MOST_BYTES else sorted(numbers)
        if list(found) != wanted:
            raise Unreadable(f"a message that flow {self._uid} has sent is not there any more")
        return found


def drop(connection: Connection, flows: Sequence[int]) -> None:
    """Delete what these flows have said."""
    connection.execute(_DROP, {"flows": flows})


def opened(key: bytes, uid: str, row: Any) -> bytes:
    """Open one row. Raises Unreadable."""
    return unseal(key, uid, COLUMN, row.number, row.body)
