"""One commit for everything that happens in one turn of the reactor, and only then the answers.

The server's package commits once or twice in each command, and every commit waits for the disk.
Here the commands that arrived together share one commit. What they cause, both the answers to their
senders and what other clients are told, is held back until the commit is on the disk.
"""

import sqlite3
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from attrs import define, field
from twisted.logger import Logger
from twisted.python.failure import Failure

_log = Logger()


class Client(Protocol):
    """A client that is told something once it is on the disk."""

    def tell(self, payload: bytes) -> None:
        """Send a message, if the connection is still open."""

    def cut(self) -> None:
        """Cut the connection at once: what the client asked for did not happen."""


@define(eq=False)
class Turn:
    """The commands of one turn of the reactor; the package takes this for its connection.

    A turn begins with the first command, or the first statement. It ends in the next turn of the
    reactor, when everything that the sockets had brought is done: the longer a commit takes, the
    more commands wait to share the next one.

    `soon` calls a function in the reactor's next turn. The connection's isolation level is None, so
    that transactions begin and end only here.
    """

    _connection: sqlite3.Connection
    _soon: Callable[[Callable[[], None]], object]
    _open: bool = False
    _answers: list[tuple[Client, bytes]] = field(factory=list, repr=False)
    before_commit: Callable[[], object] = field(default=lambda: None, init=False, repr=False)
    """Called at the end of each turn, to add what its commands have caused."""
    observe: Callable[[int, float], object] = field(default=lambda *_: None, init=False, repr=False)
    """Called behind each commit with the answers that waited for it, and its seconds."""
    is_well: bool = field(default=True, init=False)
    """Whether the last commit succeeded."""

    def begin(self) -> None:
        """Hold back all answers from now until the next commit. Raises sqlite3.Error."""
        if not self._open:
            # IMMEDIATE waits for other writers, such as an operator's shell, here and only once.
            # A transaction that began by reading would fail at its first change.
            self._connection.execute("BEGIN IMMEDIATE")
            self._open = True
            self._soon(self.end)

    def execute(self, statement: str, parameters: Sequence[object] = ()) -> sqlite3.Cursor:
        """Run a statement of the package; raises what SQLite raises."""
        self.begin()
        self._check()
        return self._connection.execute(statement, parameters)

    def commit(self) -> None:
        """Do nothing: the package believes that it commits, but the end of the turn does."""

    def answer(self, client: Client, payload: bytes) -> None:
        """Tell a client something, after the commit if a turn has begun."""
        if self._open:
            self._answers.append((client, payload))
        else:
            client.tell(payload)

    def end(self) -> None:
        """Commit, then give the answers, in the order in which they were made.

        If the commit fails, nothing of this turn has happened. Clients are told nothing of it, and
        those that would have been told something are cut off, so that they reconnect and ask for
        what is there.
        """
        if not self._open:
            return
        began = time.monotonic()
        try:
            self._check()
            self._add_the_rest()
            self._check()
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            self.take_back(error)
            return
        self._open, self.is_well = False, True
        answers, self._answers = self._answers, []
        self.observe(len(answers), time.monotonic() - began)
        for client, payload in answers:
            try:
                client.tell(payload)
            except Exception:  # noqa: BLE001 - it is logged, and the others get their answers
                _log.failure("A client could not be answered", Failure())
                _cut(client)

    def _add_the_rest(self) -> None:
        try:
            self.before_commit()
        except sqlite3.Error:
            raise
        except Exception as error:  # it is logged; a turn that never ends would stop the server
            _log.failure("What a turn has caused could not be added", Failure())
            raise sqlite3.DataError("what it has caused cannot be read") from error

    def take_back(self, error: sqlite3.Error) -> None:
        """Undo all of this turn, because of `error`. Raises sqlite3.Error if that fails too."""
        self._open = self.is_well = False
        answers, self._answers = self._answers, []
        clients = dict.fromkeys(client for client, _ in answers)
        _log.error(
            "the database could not be written: {error}; connections cut off: {count}",
            error=str(error),
            count=len(clients),
        )
        for client in clients:
            _cut(client)
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def _check(self) -> None:
        # After some errors, such as a full disk, SQLite has undone the whole transaction, and this
        # is the only sign of it. The answers that the turn still holds are then no longer true.
        if not self._connection.in_transaction:
            raise sqlite3.OperationalError("the transaction was undone after an earlier error")


def _cut(client: Client) -> None:
    """Cut a client off; an error must not hold up the others."""
    try:
        client.cut()
    except Exception:  # noqa: BLE001 - it is logged, and the others get their turn
        _log.failure("A connection could not be cut", Failure())
