"""Parked flows: thousands wait with a few connections, and no server forgets one of them."""

import gc
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any
from unittest.mock import Mock

import pytest
from attrs import define, evolve, field

from holdfast.flows import Flow, flow
from holdfast.flows.document import new_flow
from holdfast.flows.engine import parking, taking
from holdfast.flows.shipped.provision import Provision
from holdfast.testing import Network
from holdfast.testing.network import Link
from holdfast.testing.server import EXPIRY, Mailbox
from holdfast_journal import Snapshot
from tests.flows.many_people import accept, add, codes, people
from tests.flows.world import BATCH, URL, World


@define(eq=False, repr=False)
class Watched(Network):
    """Counts the visits, and the connections."""

    visits: Counter[str] = field(factory=Counter, init=False)
    """How often each mailbox was opened."""
    most: int = field(default=0, init=False)
    """The most connections that were open at one time."""

    def hear(self, link: Link, text: str) -> None:
        super().hear(link, text)
        frame = json.loads(text)
        if frame["type"] == "open":
            self.visits[frame["mailbox"]] += 1
            self.most = max(self.most, len(self.connectors))


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    world.network = Watched(world.server, world.clock)
    yield world
    world.close()


def forgotten(world: World) -> list[str]:
    """The mailboxes that the server's next sweep would drop, and the nameplates looked for."""
    now = world.clock.seconds()
    listening = {line.mailbox for line in world.server.lines if line.listening}
    late = [
        name
        for name, mailbox in world.server.tables().mailboxes.items()
        if name not in listening and now - mailbox.updated > EXPIRY
    ]
    return late + [side for side, frame in world.network.log if frame == "list"]


def watch(world: World, seconds: float) -> None:
    """Let time pass, and see that nobody is forgotten."""
    for _ in range(int(seconds / 15)):
        world.advance(15, step=15)
        assert forgotten(world) == []


def test_few_connections_for_many(world: World) -> None:
    """However many flows wait, no more than the allowed connections are open, and all get codes."""
    add(world, people(30))
    world.serve(connections=4)
    world.until(lambda: len(codes(world)) == 30)
    watch(world, 750)
    assert world.network.most == 4
    assert len(world.engine.running) <= 4
    assert len({world.network.visits[mailbox] for mailbox in world.server.tables().mailboxes}) > 1


def test_one_connection(world: World) -> None:
    """A single connection serves several in turn."""
    add(world, people(5))
    world.serve(connections=1)
    world.until(lambda: len(codes(world)) == 5)
    watch(world, 750)
    assert world.network.most == 1


def test_no_need_to_park(world: World) -> None:
    """As long as there are connections enough, everybody has one, and news at once."""
    add(world, people(6))
    world.serve(connections=8)
    world.until(lambda: len(codes(world)) == 6)
    world.advance(1500, step=30)
    assert len(world.engine.running) == 6
    assert set(world.network.visits.values()) == {1}


def test_the_recipient_of_a_parked_flow(world: World) -> None:
    """Who comes to a parked flow is found at the next visit, soon if few are parked."""
    add(world, people(12))
    world.serve(connections=4)
    world.until(lambda: len(codes(world)) == 12)
    world.advance(5)
    running = {runner.taken.name for runner in world.engine.running.values()}
    parked = [name for name in people(12) if name not in running]
    assert len(parked) >= 8
    peers = {
        name: world.peer(codes(world)[name], appid=Provision.appid, on_message=accept)
        for name in parked
    }
    world.until(lambda: all(world.finished(name) for name in parked), seconds=60, step=1)
    for name, peer in peers.items():
        assert [name in message.decode() for message in peer.messages] == [True]
        assert world.status(name) == "done"
    assert len(world.engine.running) == 12 - len(parked)


@pytest.mark.long
def test_peers_who_fall_silent(world: World) -> None:
    """However many come and say no more, others are served in time, and no word is lost."""
    names = people(40)
    add(world, names)
    world.serve(connections=8)
    world.until(lambda: len(codes(world)) == 40)
    silent, gone, honest = names[:20], names[20:30], names[30:]
    peers = [world.peer(codes(world)[name], appid=Provision.appid) for name in silent]
    for name in gone:
        peer = world.peer(codes(world)[name], appid=Provision.appid)
        world.deliver_all()
        peer.vanish()
    watch(world, 240)
    for name in honest:
        world.peer(codes(world)[name], appid=Provision.appid, on_message=accept)
    world.until(lambda: all(world.finished(name) for name in honest), seconds=240, step=2)
    assert [len(peer.messages) for peer in peers] == [1] * 20
    watch(world, 500)
    for peer in peers:
        accept(peer, b"")
    world.until(lambda: all(world.finished(name) for name in silent), seconds=240, step=2)
    assert all(world.status(name) == "done" for name in silent + honest)
    assert not any(world.finished(name) for name in gone)


def test_cancelled_while_parked(world: World) -> None:
    """A request wakes a parked flow at once."""
    add(world, people(12))
    world.serve(connections=4)
    world.until(lambda: len(codes(world)) == 12)
    world.advance(5)
    [*_, last] = [row.name for row in world.rows() if row.owner is None]
    world.journal.ask(last, BATCH, "cancel")
    world.until(lambda: world.finished(last), seconds=3)
    assert world.status(last) == "cancelled"


def test_a_deadline_of_parked_flows(world: World) -> None:
    """A parked flow wakes for its deadline."""
    add(world, people(12), deadline=300.0)
    world.serve(connections=4)
    world.advance(250, step=5)
    assert len(codes(world)) == 12
    world.until(lambda: all(world.finished(name) for name in people(12)), seconds=60)
    assert {row.status for row in world.rows()} == {"expired"}
    assert world.server.tables().empty


def test_another_process_goes_on_with_the_visits(world: World) -> None:
    """Parked flows belong to nobody: after a kill the next process visits them in time."""
    add(world, people(30))
    world.serve(connections=6)
    world.until(lambda: len(codes(world)) == 30)
    watch(world, 300)
    world.crash()
    world.serve(connections=6)
    watch(world, 750)
    assert len(world.server.tables().mailboxes) == 30


def test_a_clock_that_is_set_back(world: World) -> None:
    """However far the machine's clock is set back, the visits go on, and recipients are found."""
    world.advance(2 * 86400.0)  # no time of day is before the epoch
    add(world, people(6))
    world.serve(connections=4)
    world.until(lambda: len(codes(world)) == 6)
    world.advance(10)
    world.set_back = 86400.0
    watch(world, 700)
    for name in people(6):
        world.peer(codes(world)[name], appid=Provision.appid, on_message=accept)
    world.until(lambda: all(world.finished(name) for name in people(6)), seconds=120, step=1)


@pytest.mark.long
def test_a_server_that_is_away(world: World) -> None:
    """While a server is away some of its flows try it, and all are well when it is back."""
    add(world, people(20))
    world.serve(connections=8)
    world.until(lambda: len(codes(world)) == 20)
    world.server.stop()
    taken: set[str] = set()
    for _ in range(120):
        world.advance(7.5, step=7.5)
        taken |= {runner.taken.name for runner in world.engine.running.values()}
    assert len(taken) > 8
    world.server.start()
    world.advance(120, step=5)
    for name in people(20):
        world.peer(codes(world)[name], appid=Provision.appid, on_message=accept)
    world.until(lambda: all(world.finished(name) for name in people(20)), seconds=500, step=2)
    assert {row.status for row in world.rows()} == {"done"}


class Mute(Network):
    """Leads to a server that says nothing more than its welcome."""

    def hear(self, link: Link, text: str) -> None:
        self.log.append((URL, json.loads(text)["type"]))


@pytest.mark.long
def test_no_more_begin_than_can_be_visited(world: World) -> None:
    """Who would be forgotten gets no code before there is room, and everybody is told why.

    Whoever waits for room can be cancelled.
    """
    add(world, people(75))
    world.serve(connections=2)
    for _ in range(75):
        world.advance(16, step=16)
        assert forgotten(world) == []
    shown = codes(world)
    assert 25 < len(shown) < 55
    [(worker, words)] = world.journal.notices()
    assert worker == world.journal.worker
    assert f"{75 - len(shown)} more begin when there is room" in words
    assert "2 connections" in words and "--connections" in words
    [*_, last] = [row.name for row in world.rows() if row.status == "new"]
    world.journal.ask(last, BATCH, "cancel")
    world.advance(160, step=16)
    assert world.status(last) == "cancelled"
    for name in list(shown)[:15]:
        world.peer(shown[name], appid=Provision.appid, on_message=accept)
    for _ in range(60):
        world.advance(16, step=16)
        assert forgotten(world) == []
    assert len(codes(world)) >= len(shown) - 5, "others take the places of those who collected"


def test_more_have_begun_than_can_be_visited(world: World) -> None:
    """A worker with fewer connections than the one before says what may happen."""
    add(world, people(75))
    world.serve(connections=400)
    world.advance(5, step=1)
    assert len(codes(world)) == 75
    assert world.journal.notices() == []
    world.crash()
    world.serve(connections=2)
    world.advance(600, step=16)
    [(_, words)] = world.journal.notices()
    assert "may forget their codes" in words
    for code in list(codes(world).values())[10:]:
        world.peer(code, appid=Provision.appid, on_message=accept)
    world.until(lambda: not world.journal.notices(), seconds=4000, step=16)


def test_all_connections_visit_if_need_be(world: World) -> None:
    """Nobody stays connected while others wait for longer than a server remembers."""
    add(world, people(80))
    world.serve(connections=4)
    for _ in range(60):
        world.advance(16, step=16)
        assert forgotten(world) == []
    assert len(codes(world)) == 80


@pytest.mark.long
def test_a_mute_server_costs_the_others_nothing(world: World) -> None:
    """Its flows share a few connections until it is heard, and those of another are visited."""
    mute, silent = "ws://mute.example/v1", Mute(world.server, world.clock)

    def connector(url: str, owner: Any) -> Any:
        if url == mute:
            return silent.connector(url, owner, clock=world.reactor)
        return world.connector(url, owner)

    flows = [Provision(name=f"m{number}", secret="secret") for number in range(30)]
    first = [new_flow(flow.name, flow, relay=mute, appid=flow.appid) for flow in flows]
    world.journal.start_flows(BATCH, first)
    add(world, people(30))
    world.serve(connections=8, connector=connector)

    def go_on(seconds: float) -> None:
        for _ in range(int(seconds / 5)):
            silent.deliver_all()
            world.advance(5, step=5)

    go_on(240)
    assert len(codes(world)) == 30
    assert {name[0] for name in codes(world)} == {"p"}
    for _ in range(24):  # until everybody would have been forgotten
        go_on(30)
        assert forgotten(world) == []
        assert sum(not each.is_resting for each in world.engine.running.values()) <= 2
    assert {row.status for row in world.rows() if row.name[0] == "m"} <= {"new", "starting"}


@flow("asks-nothing", appid="example.com/asks-nothing")
class AsksNothing(Flow):
    """Waits for something else than a recipient."""

    def started(self) -> None:
        self.wake_at(self.now() + 10_000)


def test_few_begin_at_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others begin when they have their codes, or when their server was silent for a visit."""
    monkeypatch.setattr(taking, "BEGIN_AT_ONCE", 2)
    speaking, world.network = world.network, Mute(world.server, world.clock)
    add(world, people(6))
    world.serve(connections=8)
    world.advance(50, step=5)
    assert len(world.engine.running) == 2
    world.advance(30, step=5)
    assert len(world.engine.running) == 4
    world.stop()
    world.network = speaking
    world.serve(connections=8)
    world.until(lambda: len(codes(world)) == 6)


def test_flows_that_ask_the_server_nothing(world: World) -> None:
    """They take turns too, and their server is not taken for mute because of them."""
    names = people(24)
    new = [new_flow(name, AsksNothing(), relay=URL, appid=AsksNothing.appid) for name in names]
    world.journal.start_flows(BATCH, new)
    world.serve(connections=8)
    taken: set[str] = set()
    for _ in range(120):
        world.advance(5, step=5)
        taken |= {runner.taken.name for runner in world.engine.running.values()}
        assert len(world.engine.running) >= 6, "connections that nobody else wants stay with them"
    assert taken == set(names)


@pytest.mark.long
def test_thousands(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """500 flows wait with 13 connections: each is visited in time, none is in memory.

    They are 10,000 in small: so many that all visits come as late as they may.
    """
    count, connections = 500, 13
    monkeypatch.setattr(parking, "VISITS_A_SECOND", parking.VISITS_A_SECOND / 20)
    assert count / parking.VISITS_A_SECOND > parking.VISIT_WITHIN
    seed(world, count)
    world.serve(connections=connections)
    world.advance(480, step=2)
    assert len(world.network.visits) == count
    assert world.network.most <= connections
    assert forgotten(world) == []
    assert len(world.engine.running) <= connections
    parked = [row for row in world.rows() if row.owner is None]
    assert len(parked) >= count - connections
    assert all(row.wake_at is not None and row.wake_at <= world.now() + 480 for row in parked)


def batched(things: list[Any], size: int) -> Iterator[list[Any]]:
    return (things[at : at + size] for at in range(0, len(things), size))


def seed(world: World, count: int) -> None:
    """Make a world in which so many flows wait already: one that does, over and over."""
    add(world, ["first"])
    world.serve()
    world.code("first")
    world.advance(2)
    [runner] = world.engine.running.values()
    model = runner._snapshot()
    del runner
    world.crash()
    tables = world.server.tables()
    [mailbox] = tables.mailboxes.values()
    [*messages] = tables.messages[mailbox.name]
    first = json.loads(model.checkpoint)
    old_side = first["wormhole"]["exchange"]["side"]
    add(world, people(count - 1))
    writer, commits = world.journal._writer, []
    for taken in world.journal.take():
        if taken.name == "first":
            continue
        # Not one by one: that would take longer than the test itself.
        taken.journal._writer = Mock(submit=commits.append)
        side, name = f"{taken.id:010x}", f"mailbox-{taken.id}"
        text = model.checkpoint.decode().replace(old_side, side).replace(mailbox.name, name)
        snapshot = Snapshot(status="waiting", checkpoint=text.encode(), published=model.published)
        taken.journal.attach(lambda snapshot=snapshot: snapshot)
        with taken.journal.process():
            taken.journal.record("start", heard="seeded", said=(), event=b"")
        tables.add_mailbox(Mailbox(mailbox.app, name, world.now(), sides={side: True}))
        for message in messages:
            tables.add_message(evolve(message, mailbox=name, side=side))
    for batch in batched(commits, 500):
        assert not writer._committer.commit(batch)
    world.journal.give_back()
    gc.freeze()
