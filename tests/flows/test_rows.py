"""Rows of the application's own are written with the entry that they belong to, or not at all."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from attrs import field
from sqlalchemy import text

from holdfast import Flow, flow
from tests.flows.world import World

APPID = "example.com/rows"

COUNT = text("INSERT INTO heard (what) VALUES (:what)")

FAILS: list[str] = []
"""Messages at which the flow below raises, once each."""


@flow("test-writes", appid=APPID)
class Writes(Flow):
    messages: int = field(default=0, init=False)

    def started(self) -> None:
        self.wormhole.allocate_code()

    def wormhole_got_code(self, code: str) -> None:
        self.publish(code=code)

    def wormhole_got_message(self, message: bytes) -> None:
        what = message.decode()
        if what == "refuse me":
            self.execute(text("INSERT INTO nowhere VALUES (1)"))
        self.execute(COUNT, [{"what": what}, {"what": f"{what} again"}])
        self.messages += 1
        self.publish(messages=self.messages)
        if what in FAILS:
            FAILS.remove(what)
            raise ZeroDivisionError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture
def world(file: Path) -> Iterator[World]:
    FAILS.clear()
    world = World(f"sqlite:///{file}")
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE heard (what TEXT)")
    world.add(Writes())
    world.serve()
    yield world
    world.close()


def say(world: World, *messages: str) -> None:
    peer = world.peer(world.code())
    for message in messages:
        peer.send(message.encode())


def rows(file: Path) -> list[str]:
    with closing(sqlite3.connect(file)) as connection:
        return [what for (what,) in connection.execute("SELECT what FROM heard ORDER BY rowid")]


def forgive(file: Path) -> None:
    """Let no death count: a flow with which several processes died would be set aside."""
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE holdfast_flows SET deaths = 0")


def test_an_event_that_did_not_happen(world: World, file: Path) -> None:
    """What a method wrote before it raised is not there; after another try it is, once."""
    FAILS.append("two")
    say(world, "one", "two", "three")
    world.until(lambda: "messages" in world.published())
    assert (world.published()["messages"], rows(file)) == (1, ["one", "one again"])
    world.until(lambda: world.published()["messages"] == 3)
    assert rows(file) == ["one", "one again", "two", "two again", "three", "three again"]
    assert FAILS == []


def test_together_with_one_that_fails(world: World, file: Path) -> None:
    """Events of one read happen together or not at all; after a failure, each for itself."""
    FAILS.extend(["two", "two"])
    world.network.together = True
    peer = world.peer(world.code())
    world.until(lambda: bool(peer.got))
    for message in (b"one", b"two", b"three"):
        peer.send(message)
    world.until(lambda: len(FAILS) < 2)
    assert rows(file) == []
    world.until(lambda: not FAILS)
    assert (world.published()["messages"], rows(file)) == (1, ["one", "one again"])
    world.until(lambda: world.published()["messages"] == 3)
    assert rows(file) == ["one", "one again", "two", "two again", "three", "three again"]


def test_killed_between_two_events(world: World, file: Path) -> None:
    """Whenever the process dies, there are rows for the entries that are there, and no others."""
    say(world, "one", "two", "three")
    seen = set()
    for life in range(60):
        steps = iter(range(life))
        world.dies_when = lambda steps=steps: next(steps, None) is None
        world.until(lambda: False)
        world.crash()
        done = world.published().get("messages", 0)
        assert len(rows(file)) == 2 * done
        seen.add(done)
        if done == 3:
            break
        forgive(file)
        world.serve()
    assert max(seen) == 3
    assert len(seen) > 2


def test_a_statement_that_is_refused(world: World, file: Path) -> None:
    """Then the event has not happened; the flow is tried again, and set aside at last."""
    say(world, "one", "refuse me")
    world.until(world.finished)
    assert world.status() == "failed"
    assert (world.published()["messages"], rows(file)) == (1, ["one", "one again"])
