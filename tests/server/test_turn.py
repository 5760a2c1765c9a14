"""What happens in one turn of the reactor is committed once, and told afterwards."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from attrs import define, field

from holdfast.server.turn import Turn
from tests.harness.reactor import flush_logged_errors


@define(eq=False)
class Listener:
    """Notes what it is told, and what somebody else finds in the database at that moment."""

    path: Path
    told: list[bytes] = field(factory=list)
    on_disk: list[list[int]] = field(factory=list)
    is_cut: bool = False

    def tell(self, payload: bytes) -> None:
        self.told.append(payload)
        self.on_disk.append(rows(self.path))

    def cut(self) -> None:
        self.is_cut = True


@define(eq=False)
class Turns:
    """A turn on a file with two tables, and the reactor's next turns."""

    path: Path
    connection: sqlite3.Connection
    later: list[Callable[[], None]] = field(factory=list)
    commits: list[str] = field(factory=list)

    def next(self) -> None:
        later, self.later[:] = list(self.later), []
        for call in later:
            call()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[tuple[Turn, Turns]]:
    path = tmp_path / "t.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("CREATE TABLE t (n INTEGER PRIMARY KEY)")
        connection.execute("CREATE TABLE bad (n REFERENCES t (n) DEFERRABLE INITIALLY DEFERRED)")
        turns = Turns(path, connection)
        connection.set_trace_callback(
            lambda said: turns.commits.append(said) if said == "COMMIT" else None
        )
        yield Turn(connection, turns.later.append), turns


def rows(path: Path) -> list[int]:
    with closing(sqlite3.connect(path)) as other:
        return [n for (n,) in other.execute("SELECT n FROM t ORDER BY n")]


def test_nobody_hears_before_it_is_committed(world: tuple[Turn, Turns]) -> None:
    """Commands of one turn share a commit, and each answer finds them all in the database."""
    turn, turns = world
    ann, bob = Listener(turns.path), Listener(turns.path)
    for n, client in enumerate((ann, bob, ann)):
        turn.begin()
        turn.execute("INSERT INTO t VALUES (?)", (n,))
        turn.commit()
        turn.answer(client, b"%d" % n)
    assert not ann.told + bob.told
    assert rows(turns.path) == []
    turns.next()
    assert ann.told == [b"0", b"2"]
    assert bob.told == [b"1"]
    assert ann.on_disk + bob.on_disk == [[0, 1, 2]] * 3
    assert turns.commits == ["COMMIT"]


def test_between_turns_answers_go_at_once(world: tuple[Turn, Turns]) -> None:
    """What nothing in the database led to, a welcome for instance, need not wait."""
    turn, turns = world
    client = Listener(turns.path)
    turn.answer(client, b"welcome")
    assert client.told == [b"welcome"]
    assert not turns.later


def test_a_commit_that_fails_is_told_to_nobody(world: tuple[Turn, Turns]) -> None:
    """Everybody who was to hear of it is cut off, and the next turn is as good as any."""
    turn, turns = world
    ann, bob, other = (Listener(turns.path) for _ in range(3))
    turn.execute("INSERT INTO t VALUES (1)")
    turn.answer(ann, b"ack")
    turn.answer(bob, b"message")
    turn.execute("INSERT INTO bad VALUES (7)")
    turns.next()
    assert ann.is_cut and bob.is_cut
    assert not ann.told + bob.told
    turn.execute("INSERT INTO t VALUES (2)")
    turn.answer(other, b"echo")
    turns.next()
    assert (other.told, other.is_cut) == ([b"echo"], False)
    assert rows(turns.path) == [2]


def test_what_sqlite_undid_is_not_told(world: tuple[Turn, Turns]) -> None:
    """After an error that undid the whole transaction, nothing more is added to its turn."""
    turn, turns = world
    client = Listener(turns.path)
    turn.execute("INSERT INTO t VALUES (1)")
    turn.answer(client, b"echo")
    with pytest.raises(sqlite3.IntegrityError):
        turn.execute("INSERT OR ROLLBACK INTO t VALUES (1)")
    with pytest.raises(sqlite3.OperationalError):
        turn.execute("INSERT INTO t VALUES (2)")
    turns.next()
    assert client.is_cut
    assert not client.told
    assert rows(turns.path) == []


def test_a_command_that_fails_is_its_own_affair(world: tuple[Turn, Turns]) -> None:
    """An error that undoes one statement leaves the turn's other commands as they are."""
    turn, turns = world
    client = Listener(turns.path)
    turn.execute("INSERT INTO t VALUES (1)")
    turn.answer(client, b"echo")
    with pytest.raises(sqlite3.IntegrityError):
        turn.execute("INSERT INTO t VALUES (1)")
    turns.next()
    assert client.told == [b"echo"]
    assert rows(turns.path) == [1]


def test_a_turn_that_is_ended_early_ends_once(world: tuple[Turn, Turns]) -> None:
    """A stop ends the turn that is open; what the reactor was to do then does nothing."""
    turn, turns = world
    client = Listener(turns.path)
    turn.execute("INSERT INTO t VALUES (1)")
    turn.answer(client, b"echo")
    turn.end()
    assert client.told == [b"echo"]
    turns.next()
    assert (client.told, turns.commits) == ([b"echo"], ["COMMIT"])


@pytest.mark.parametrize("error", [KeyError("odd"), sqlite3.DataError("odd")])
def test_what_is_added_at_the_end_may_fail(world: tuple[Turn, Turns], error: Exception) -> None:
    """The turn is undone, those who waited for it are cut off, and the next one is committed."""
    turn, turns = world

    def fail() -> None:
        turn.execute("INSERT INTO t VALUES (2)")
        raise error

    for what, found in ((fail, []), (lambda: turn.execute("INSERT INTO t VALUES (3)"), [1, 3])):
        turn.before_commit = what
        client = Listener(turns.path)
        turn.execute("INSERT INTO t VALUES (1)")
        turn.answer(client, b"one")
        turns.next()
        assert rows(turns.path) == found
        assert (client.is_cut, client.told) == (not found, [b"one"] if found else [])
    flush_logged_errors(KeyError)
