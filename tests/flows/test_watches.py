"""Flows that are watched: nothing of them is in the process, and nobody waits for an answer."""

import copy
import json
from collections import Counter
from collections.abc import Iterator

import pytest
from attrs import define, field
from sqlalchemy import update

from holdfast.flows.shipped.provision import Provision
from holdfast.testing import Network
from holdfast.testing.network import Link
from holdfast.testing.server.watching import Watches
from holdfast_journal.store.schema import watchers
from tests.flows.many_people import accept, add, codes, people
from tests.flows.world import BATCH, World


@define(eq=False, repr=False)
class Listened(Network):
    """Counts what the server is told, by kind."""

    said: Counter[str] = field(factory=Counter, init=False)

    def hear(self, link: Link, text: str) -> None:
        super().hear(link, text)
        self.said[json.loads(text)["type"]] += 1


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    world.network = Listened(world.server, world.clock)
    world.server.watched = 1000
    yield world
    world.close()


def wait(world: World, count: int, connections: int = 4) -> None:
    """Have so many flows wait, all of which are watched."""
    add(world, people(count))
    world.serve(connections=connections)
    all_wait(world, count)


def all_wait(world: World, count: int) -> None:
    world.until(lambda: len(codes(world)) == count and not world.engine.running)
    world.advance(1)
    assert len(world.server.tables().watches.watched) == count


def collect(world: World, names: list[str], seconds: float = 5) -> None:
    """Let these people collect, and see that each gets what is theirs, soon."""
    shown = codes(world)
    peers = {
        name: world.peer(shown[name], appid=Provision.appid, on_message=accept) for name in names
    }
    world.until(lambda: all(world.finished(name) for name in names), seconds=seconds)
    for name, peer in peers.items():
        assert [f"secret of {name}" in message.decode() for message in peer.messages] == [True]
        assert world.status(name) == "done"


def test_who_waits_costs_nothing(world: World) -> None:
    """They have one connection together, and nobody visits them."""
    wait(world, 12)
    said = Counter(world.network.said)
    world.advance(2 * 3600, step=60)
    assert world.network.said == said
    assert len(world.network.connectors) == 1
    assert not world.engine.running
    assert len(world.server.tables().mailboxes) == 12


def test_who_comes_is_answered_at_once(world: World) -> None:
    """Each soon after they have come, some early and some late."""
    wait(world, 10)
    collect(world, people(3))
    assert len(world.server.tables().watches.watched) == 7
    world.advance(3600, step=60)
    collect(world, people(10)[3:])
    assert not world.server.tables().watches.watched


def test_after_a_death_nobody_is_visited(world: World) -> None:
    """The next process loads none of them, and hears of those who came meanwhile."""
    wait(world, 20)
    world.crash()
    opened = world.network.said["open"]
    early = world.peer(codes(world)["p3"], appid=Provision.appid, on_message=accept)
    world.advance(100)
    world.serve(connections=4)
    world.until(lambda: world.finished("p3"), seconds=10)
    assert len(early.messages) == 1
    assert world.network.said["open"] - opened <= 2  # the peer's, and ours
    collect(world, people(3))


def test_a_server_that_was_restarted(world: World) -> None:
    """Who came before, between and after its death is found."""
    wait(world, 12)
    shown = codes(world)
    world.peer(shown["p0"], appid=Provision.appid, on_message=accept)
    world.server.restart()
    world.peer(shown["p1"], appid=Provision.appid, on_message=accept)
    world.until(lambda: world.finished("p0") and world.finished("p1"), seconds=20)
    collect(world, ["p2", "p3"])


def test_a_server_that_forgot_who_watches(world: World) -> None:
    """All are visited, and watched anew."""
    wait(world, 12)
    world.server.stop()
    world.server.service.tables.watches = Watches()
    world.server.start()
    world.until(lambda: len(world.server.tables().watches.watched) == 12, seconds=60)
    all_wait(world, 12)
    collect(world, people(12))


def test_a_server_that_was_restored_from_a_backup(world: World) -> None:
    """What was watched since the backup is found out, and only that is visited."""
    wait(world, 8)
    backup = copy.deepcopy(world.server.tables().watches)
    add(world, ["late"])
    all_wait(world, 9)
    world.server.stop()
    opened = world.network.said["open"]
    world.server.service.tables.watches = backup
    world.server.start()
    world.until(lambda: len(world.server.tables().watches.watched) == 9, seconds=60)
    assert world.network.said["open"] == opened + 1
    all_wait(world, 9)
    collect(world, ["late", "p0"])


def test_a_server_that_offers_it_no_more(world: World) -> None:
    """Then they are visited as everywhere, and watched again when it offers it again."""
    wait(world, 12, connections=6)
    world.server.watched = 0
    world.server.restart()
    world.until(lambda: len(world.engine.running) > 0, seconds=30)
    world.advance(60)
    world.peer(codes(world)["p5"], appid=Provision.appid, on_message=accept)
    world.until(lambda: world.finished("p5"), seconds=120)
    world.server.watched = 1000
    world.server.restart()
    world.until(lambda: len(world.server.tables().watches.watched) == 11, seconds=700, step=2)


def test_a_server_that_watches_only_some(world: World) -> None:
    """The others are visited."""
    world.server.watched = 5
    add(world, people(12))
    world.serve(connections=4)
    world.until(lambda: len(codes(world)) == 12)
    world.advance(120, step=5)
    assert 0 < len(world.server.tables().watches.watched) <= 5
    shown = codes(world)
    for name in people(12):
        world.peer(shown[name], appid=Provision.appid, on_message=accept)
    world.until(lambda: all(world.finished(name) for name in people(12)), seconds=120, step=2)


def test_requests_and_deadlines(world: World) -> None:
    """What an operator asks is done at once, and a deadline is kept."""
    add(world, people(6), deadline=500.0)
    world.serve(connections=2)
    all_wait(world, 6)
    world.journal.ask("p0", BATCH, "cancel")
    world.until(lambda: world.finished("p0"), seconds=3)
    assert world.status("p0") == "cancelled"
    world.advance(480, step=5)
    assert not world.finished("p1")
    world.until(lambda: all(world.finished(name) for name in people(6)), seconds=30)
    assert {row.status for row in world.rows()} == {"cancelled", "expired"}
    assert world.server.tables().empty


def test_a_watcher_that_was_altered(world: World) -> None:
    """It gets another name, under which all are watched, once they were visited."""
    wait(world, 6)
    world.crash()
    with world.journal._database.writing() as connection:
        connection.execute(update(watchers).values(name=b"altered"))
    watched = world.server.tables().watches.watched
    [old] = set(watched.values())
    world.serve(connections=2)
    world.until(lambda: old not in watched.values(), seconds=60)
    all_wait(world, 6)
    collect(world, people(6))


def test_messages_that_nobody_can_read_are_counted_too(world: World) -> None:
    """Whoever fills a mailbox with rubbish causes one look each time, and not one after another."""
    wait(world, 1)
    [(mailbox, _)] = world.server.tables().watches.watched
    line = world.server.connect(lambda text: None, lambda: None)
    opened = world.network.said["open"]
    for frame in (
        {"type": "bind", "appid": Provision.appid, "side": "stranger"},
        {"type": "open", "mailbox": mailbox},
        {"type": "add", "phase": "0" * 300, "body": "00"},
    ):
        line.hear(json.dumps(frame))
    world.advance(60)
    assert world.network.said["open"] == opened + 1
    all_wait(world, 1)


def test_peers_who_fall_silent(world: World) -> None:
    """Who has come and says nothing is waited for without a connection, too."""
    wait(world, 10)
    shown = codes(world)
    peers = [world.peer(shown[name], appid=Provision.appid) for name in people(10)]
    world.until(lambda: all(peer.messages for peer in peers), seconds=30)
    world.advance(30)
    assert not world.engine.running
    for peer in peers:
        accept(peer, b"")
    world.until(lambda: all(world.finished(name) for name in people(10)), seconds=10)
    assert {row.status for row in world.rows()} == {"done"}
