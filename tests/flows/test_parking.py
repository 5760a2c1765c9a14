"""Parked flows: thousands wait with a few connections, and no server forgets one of them."""

import gc
import json
from collections.abc import Iterator
from typing import Any
from unittest.mock import Mock

import pytest
from attrs import define, field

from holdfast.flows import Flow, flow, parking
from holdfast.flows.document import new_flow
from holdfast.flows.provision import Provision
from holdfast_journal import Snapshot
from tests.flows.world import BATCH, URL, Line, Link, Server, World

FORGETS_AFTER = 660.0
"""Seconds after the last `open` in which a stock server remembers a mailbox without subscribers."""

SWEEP_EVERY = 300.0
"""Seconds between two looks for such mailboxes; those with subscribers count as opened then."""


@define(eq=False, repr=False)
class StockServer(Server):
    """Forgets, as a stock server does, the mailboxes to which nobody has come for some time."""

    now: Any = None
    touched: dict[str, float] = field(factory=dict)
    swept_at: float = 0.0
    visits: dict[str, int] = field(factory=dict)
    most: int = 0
    """The most connections that were open at one time."""

    def _claim(self, link: Link, frame: dict[str, Any]) -> None:
        super()._claim(link, frame)
        self.touched[f"mailbox-{frame['nameplate']}"] = self.now()

    def _open(self, link: Link, frame: dict[str, Any]) -> None:
        super()._open(link, frame)
        self.touched[frame["mailbox"]] = self.now()
        self.visits[frame["mailbox"]] = self.visits.get(frame["mailbox"], 0) + 1
        self.most = max(self.most, len(self.lines))

    def _add(self, link: Link, frame: dict[str, Any]) -> None:
        super()._add(link, frame)
        assert link.mailbox is not None
        self.touched[link.mailbox] = self.now()

    def forgotten(self) -> list[str]:
        """The mailboxes that a sweep would drop now."""
        subscribed = {line.link.mailbox for line in self.lines if line.link is not None}
        if self.now() - self.swept_at >= SWEEP_EVERY:
            self.swept_at += SWEEP_EVERY
            self.touched.update((box, self.swept_at) for box in subscribed if box is not None)
        return [
            mailbox
            for mailbox, at in self.touched.items()
            if mailbox not in subscribed
            and mailbox in self.mailboxes
            and self.now() - at > FORGETS_AFTER
        ]


@pytest.fixture
def world() -> Iterator[World]:
    server = StockServer()
    world = World(server=server)
    server.now = world.seconds
    yield world
    world.stop()


def people(count: int) -> list[str]:
    return [f"p{number}" for number in range(count)]


def add(world: World, names: list[str], deadline: float | None = None) -> None:
    flows = [Provision(name=name, secret=f"secret of {name}") for name in names]
    new = [
        new_flow(flow.name, flow, relay=URL, appid=flow.appid, deadline=deadline) for flow in flows
    ]
    world.journal.start_flows(BATCH, new)


def codes(world: World) -> dict[str, str]:
    shown = {row.name: (row.published or {}).get("code") for row in world.rows()}
    return {name: str(code) for name, code in shown.items() if code}


def accept(peer: Any, message: bytes) -> None:
    peer.wormhole.send_message(b'{"answer": {"message_ack": "ok"}}')


def watch(world: World, seconds: float) -> None:
    """Let time pass, and see that nobody is forgotten."""
    for _ in range(int(seconds / 15)):
        world.rest(15, step=5)
        assert world.server.forgotten() == []


def test_few_connections_for_many(world: World) -> None:
    """However many flows wait, no more than the allowed connections are open, and all get codes."""
    add(world, people(60))
    world.start(connections=8)
    world.until(lambda: len(codes(world)) == 60)
    watch(world, 2000)
    assert world.server.most == 8
    assert len(world.engine.running) <= 8
    assert len({world.server.visits[mailbox] for mailbox in world.server.mailboxes}) > 1


def test_one_connection(world: World) -> None:
    """A single connection serves several in turn."""
    add(world, people(5))
    world.start(connections=1)
    world.until(lambda: len(codes(world)) == 5)
    watch(world, 2000)
    assert world.server.most == 1


def test_no_need_to_park(world: World) -> None:
    """As long as there are connections enough, everybody has one, and news at once."""
    add(world, people(6))
    world.start(connections=8)
    world.until(lambda: len(codes(world)) == 6)
    world.rest(3000, step=30)
    assert len(world.engine.running) == 6
    assert set(world.server.visits.values()) == {1}


def test_the_recipient_of_a_parked_flow(world: World) -> None:
    """Who comes to a parked flow is found at the next visit, soon if few are parked."""
    add(world, people(12))
    world.start(connections=4)
    world.until(lambda: len(codes(world)) == 12)
    world.rest(5)
    running = {runner.taken.name for runner in world.engine.running.values()}
    parked = [name for name in people(12) if name not in running]
    assert len(parked) >= 8
    peers = {
        name: world.peer(codes(world)[name], Provision.appid, on_message=accept) for name in parked
    }
    world.until(lambda: all(world.finished(name) for name in parked), seconds=60, step=1)
    for name, peer in peers.items():
        assert [name in message.decode() for message in peer.messages] == [True]
        assert world.status(name) == "done"
    assert len(world.engine.running) == 12 - len(parked)


def test_peers_who_fall_silent(world: World) -> None:
    """However many come and say no more, others are served in time, and no word is lost."""
    names = people(40)
    add(world, names)
    world.start(connections=8)
    world.until(lambda: len(codes(world)) == 40)
    silent, gone, honest = names[:20], names[20:30], names[30:]
    peers = [world.peer(codes(world)[name], Provision.appid) for name in silent]
    for name in gone:
        peer = world.peer(codes(world)[name], Provision.appid)
        world.pump()
        peer.wormhole.abandon()
    watch(world, 240)
    for name in honest:
        world.peer(codes(world)[name], Provision.appid, on_message=accept)
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
    world.start(connections=4)
    world.until(lambda: len(codes(world)) == 12)
    world.rest(5)
    [*_, last] = [row.name for row in world.rows() if row.owner is None]
    world.journal.ask(last, BATCH, "cancel")
    world.until(lambda: world.finished(last), seconds=3)
    assert world.status(last) == "cancelled"


def test_a_deadline_of_parked_flows(world: World) -> None:
    """A parked flow wakes for its deadline."""
    add(world, people(12), deadline=300.0)
    world.start(connections=4)
    world.rest(250, step=5)
    assert len(codes(world)) == 12
    world.until(lambda: all(world.finished(name) for name in people(12)), seconds=60)
    assert {row.status for row in world.rows()} == {"expired"}
    assert world.server.empty


def test_another_process_goes_on_with_the_visits(world: World) -> None:
    """Parked flows belong to nobody: after a kill the next process visits them in time."""
    add(world, people(30))
    world.start(connections=6)
    world.until(lambda: len(codes(world)) == 30)
    watch(world, 300)
    world.kill()
    world.start(connections=6)
    watch(world, 2000)
    assert len(world.server.mailboxes) == 30


def test_a_clock_that_is_set_back(world: World) -> None:
    """However far the machine's clock is set back, the visits go on, and recipients are found."""
    add(world, people(6))
    world.start(connections=4)
    world.until(lambda: len(codes(world)) == 6)
    world.rest(10)
    world.set_back = 86400.0
    watch(world, 700)
    for name in people(6):
        world.peer(codes(world)[name], Provision.appid, on_message=accept)
    world.until(lambda: all(world.finished(name) for name in people(6)), seconds=120, step=1)


def test_a_server_that_is_away(world: World) -> None:
    """While a server is away some of its flows try it, and all are well when it is back."""
    add(world, people(20))
    world.start(connections=8)
    world.until(lambda: len(codes(world)) == 20)
    world.server.go_down()
    taken: set[str] = set()
    for _ in range(180):
        world.rest(5, step=5)
        taken |= {runner.taken.name for runner in world.engine.running.values()}
    assert len(taken) > 8
    world.server.come_up()
    world.rest(120, step=5)
    for name in people(20):
        world.peer(codes(world)[name], Provision.appid, on_message=accept)
    world.until(lambda: all(world.finished(name) for name in people(20)), seconds=500, step=2)
    assert {row.status for row in world.rows()} == {"done"}


@define(eq=False, repr=False)
class MuteServer(Server):
    """Takes connections, and says nothing more than its welcome."""

    def heard(self, link: Link, frame: dict[str, Any]) -> None:
        self.log.append((link.side, str(frame["type"])))


def test_no_more_begin_than_can_be_visited(world: World) -> None:
    """Who would be forgotten gets no code before there is room, and everybody is told why."""
    add(world, people(150))
    world.start(connections=2)
    for _ in range(120):
        world.rest(16, step=8)
        assert world.server.forgotten() == []
    shown = codes(world)
    assert 50 < len(shown) < 110
    [(worker, words)] = world.journal.notices()
    assert worker == world.journal.worker
    assert f"{150 - len(shown)} more begin when there is room" in words
    assert "2 connections" in words and "--connections" in words
    for name in list(shown)[:30]:
        world.peer(shown[name], Provision.appid, on_message=accept)
    for _ in range(120):
        world.rest(16, step=8)
        assert world.server.forgotten() == []
    assert len(codes(world)) >= len(shown) - 10, "others take the places of those who collected"


def test_a_request_needs_no_room(world: World) -> None:
    """Whoever waits for room can be cancelled."""
    add(world, people(150))
    world.start(connections=2)
    world.rest(1000, step=8)
    [*_, last] = [row.name for row in world.rows() if row.status == "new"]
    world.journal.ask(last, BATCH, "cancel")
    world.rest(160, step=8)
    assert world.status(last) == "cancelled"


def test_more_have_begun_than_can_be_visited(world: World) -> None:
    """A worker with fewer connections than the one before says what may happen."""
    add(world, people(150))
    world.start(connections=400)
    world.rest(5, step=1)
    assert len(codes(world)) == 150
    assert world.journal.notices() == []
    world.kill()
    world.start(connections=2)
    world.rest(600, step=8)
    [(_, words)] = world.journal.notices()
    assert "may forget their codes" in words
    for code in list(codes(world).values())[20:]:
        world.peer(code, Provision.appid, on_message=accept)
    world.until(lambda: not world.journal.notices(), seconds=4000, step=8)


def test_all_connections_visit_if_need_be(world: World) -> None:
    """Nobody stays connected while others wait for longer than a server remembers."""
    add(world, people(160))
    world.start(connections=4)
    for _ in range(200):
        world.rest(8, step=4)
        assert world.server.forgotten() == []
    assert len(codes(world)) == 160


def test_a_mute_server_costs_the_others_nothing(world: World) -> None:
    """Its flows share a few connections until it is heard, and those of another are visited."""
    mute, servers = (
        "ws://mute.example/v1",
        {URL: world.server, "ws://mute.example/v1": MuteServer()},
    )

    def connector(url: str, owner: Any) -> Line:
        return Line(servers[url], owner)

    flows = [Provision(name=f"m{number}", secret="secret") for number in range(60)]
    first = [new_flow(flow.name, flow, relay=mute, appid=flow.appid) for flow in flows]
    world.journal.start_flows(BATCH, first)
    add(world, people(60))
    world.start(connections=8, connector=connector)
    silent = servers[mute]

    def go_on(seconds: float) -> None:
        for _ in range(int(seconds / 5)):
            while silent.queue:
                silent.queue.popleft()()
            world.rest(5, step=1)

    go_on(240)
    assert len(codes(world)) == 60
    assert {name[0] for name in codes(world)} == {"p"}
    for _ in range(35):  # until everybody would have been forgotten
        go_on(30)
        assert world.server.forgotten() == []
        assert sum(not each.is_resting for each in world.engine.running.values()) <= 2
    assert {row.status for row in world.rows() if row.name[0] == "m"} <= {"new", "starting"}


@flow("asks-nothing", appid="example.com/asks-nothing")
class AsksNothing(Flow):
    """Waits for something else than a recipient."""

    def started(self) -> None:
        self.wake_at(self.now() + 10_000)


def test_flows_that_ask_the_server_nothing(world: World) -> None:
    """They take turns too, and their server is not taken for mute because of them."""
    names = people(24)
    new = [new_flow(name, AsksNothing(), relay=URL, appid=AsksNothing.appid) for name in names]
    world.journal.start_flows(BATCH, new)
    world.start(connections=8)
    taken: set[str] = set()
    for _ in range(120):
        world.rest(5, step=5)
        taken |= {runner.taken.name for runner in world.engine.running.values()}
        assert len(world.engine.running) >= 6, "connections that nobody else wants stay with them"
    assert taken == set(names)


def test_thousands(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """2,000 flows wait with 50 connections: each is visited in time, none is in memory.

    They are 10,000 in small: so many that all visits come as late as they may.
    """
    count, connections = 2_000, 50
    monkeypatch.setattr(parking, "VISITS_A_SECOND", parking.VISITS_A_SECOND / 5)
    assert count / parking.VISITS_A_SECOND > parking.VISIT_WITHIN
    seed(world, count)
    world.start(connections=connections)
    world.rest(480, step=1)
    server = world.server
    assert len(server.visits) == count
    assert server.most <= connections
    assert server.forgotten() == []
    assert len(world.engine.running) <= connections
    parked = [row for row in world.rows() if row.owner is None]
    assert len(parked) >= count - connections
    assert all(row.wake_at is not None and row.wake_at <= world.now() + 480 for row in parked)


def batched(things: list[Any], size: int) -> Iterator[list[Any]]:
    return (things[at : at + size] for at in range(0, len(things), size))


def seed(world: World, count: int) -> None:
    """Make a world in which so many flows wait already: one that does, over and over."""
    add(world, ["first"])
    world.start()
    world.code("first")
    world.rest(2)
    [runner] = world.engine.running.values()
    model = runner._snapshot()
    del runner
    world.kill()
    [(number, messages)] = [
        (m.removeprefix("mailbox-"), b) for m, b in world.server.mailboxes.items()
    ]
    first = json.loads(model.checkpoint)
    old_side = first["wormhole"]["exchange"]["side"]
    add(world, people(count - 1))
    writer, commits = world.journal._writer, []
    for taken in world.journal.take():
        if taken.name == "first":
            continue
        # Not one by one: that would take longer than the test itself.
        taken.journal._writer = Mock(submit=commits.append)
        side, mailbox = f"{taken.id:010x}", f"mailbox-{taken.id}"
        text = (
            model.checkpoint.decode().replace(old_side, side).replace(f"mailbox-{number}", mailbox)
        )
        snapshot = Snapshot(status="waiting", checkpoint=text.encode(), published=model.published)
        taken.journal.attach(lambda snapshot=snapshot: snapshot)
        with taken.journal.process():
            taken.journal.record("start", heard="seeded", said=(), event=b"")
        world.server.mailboxes[mailbox] = [{**message, "side": side} for message in messages]
        world.server.touched[mailbox] = world.server.now()
    for batch in batched(commits, 500):
        assert not writer._committer.commit(batch)
    world.journal.give_back()
    gc.freeze()
