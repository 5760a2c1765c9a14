"""Flows whose wormholes are dilated: what their subchannels do is part of their entries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from attrs import define, field
from twisted.internet.protocol import Factory, Protocol

import holdfast
from holdfast import Flow, flow, task
from holdfast.cli.commands.doctor import check
from holdfast.flows.document import Checkpoint
from holdfast.flows.engine.replay import check_flow
from holdfast.testing import URL
from holdfast_journal.doctor.examined import Examined
from tests.flows.world import BATCH, World
from tests.harness.reactor import flush_logged_errors

APPID = "example.com/dilated-flow"
LINES = [b"one", b"two", b"three"]
TOLD: list[bool] = []
"""Each time a flow was told that it is dilated: whether it was resumed."""

ENTRIES = 28
"""The fewest entries of the exchange below."""


@task("upper-case")
def upper_case(call: Any) -> str:
    return str(call.arguments["line"]).upper()


@flow("dilated", appid=APPID)
class Answers(Flow):
    """Each line that comes goes to a task, whose result goes back on another subchannel."""

    bad: str = ""
    came: list[str] = field(factory=list, init=False)
    answered: list[str] = field(factory=list, init=False)

    def started(self) -> None:
        self.wormhole.dilate()
        self.wormhole.allocate_code()

    def wormhole_got_code(self, code: str) -> None:
        self.publish(code=code)

    def wormhole_dilated(self, dilated: Any) -> None:
        TOLD.append(dilated.resumed)
        dilated.listener_for("lines").listen(Making(lambda: Line(self.got_line)))
        out = Making(lambda: Line(None))
        if dilated.resumed:
            [self.out] = dilated.connector_for("answers").resume(out)
        else:
            dilated.connector_for("answers").connect(out).addCallback(self.opened)

    def wormhole_cannot_dilate(self, error: Exception) -> None:
        self.fail(type(error).__name__)

    def opened(self, out: Any) -> None:
        self.out = out

    def got_line(self, line: bytes) -> None:
        if line == self.bad.encode():
            raise ValueError(line)
        if line == b"end":
            self.finish()
            return
        self.came.append(line.decode())
        self.perform("upper-case", line=line.decode())

    def upper_case_done(self, line: str) -> None:
        self.answered.append(line)
        self.out.transport.write(line.encode())


class Making(Factory):
    """Makes protocols with a function."""

    noisy = False

    def __init__(self, make: Callable[[], Any]) -> None:
        self.make = make

    def buildProtocol(self, addr: Any) -> Any:
        return self.make()


@define(eq=False, slots=False)
class Line(Protocol):
    """Passes on what comes, and remembers how much that was."""

    hear: Callable[[bytes], object] | None
    over: bool = False

    def dataReceived(self, data: bytes) -> None:
        if self.hear is not None:
            self.hear(data)

    def connectionLost(self, reason: Any = None) -> None:
        self.over = True


@define(eq=False)
class Peer:
    """The person at the other end, with a program that dilates."""

    world: World
    code: str
    answers: list[bytes] = field(factory=list)
    asking: Line = field(factory=lambda: Line(None))
    wormhole: Any = field(init=False)
    ending: list[Any] = field(factory=list)
    said: int = 0

    def __attrs_post_init__(self) -> None:
        self.wormhole = holdfast.create(APPID, URL, self.world.clock)
        dilated = self.wormhole.dilate()
        dilated.listener_for("answers").listen(Making(lambda: Line(self.answers.append)))
        dilated.connector_for("lines").connect(Making(lambda: self.asking))
        self.wormhole.set_code(self.code)

    def talk(self) -> None:
        """Say the lines, and the end after the last answer."""
        if self.said == 0 and self.asking.transport is not None:
            self.said = 1
            self.say(*LINES)
        if self.said == 1 and len(self.answers) == len(LINES):
            self.said = 2
            self.say(b"end")

    def say(self, *lines: bytes) -> None:
        for line in lines:
            self.asking.transport.write(line)

    def close(self) -> None:
        self.wormhole.close().addBoth(self.ending.append)


@pytest.fixture(autouse=True)
def nothing_told() -> None:
    TOLD.clear()


@pytest.fixture(scope="module")
def lasting() -> World:
    """One world for many exchanges, because a journal takes its time to be made."""
    world = World()
    yield world
    world.close()


def exchange(
    world: World, name: str, dies_at: int = 0, *, lost: bool = False
) -> tuple[str, list[bytes], int]:
    """Run a flow to its end, killed when it has *dies_at* entries.

    With *lost*, nothing that its last entry caused has left the process.

    Returns:
        Its status, what its peer got, and how many entries it has.
    """
    peers: list[Peer] = []
    lives = 1

    def dead() -> bool:
        return lives == 1 and 0 < dies_at <= world.row(name).seq

    def watch() -> bool:
        code = world.published(name).get("code")
        if code and not peers:
            peers.append(Peer(world, code))
        for peer in peers:
            peer.talk()
        return world.finished(name)

    world.server.restart(forget=True)
    world.dies_when = dead
    world.loses_when = dead if lost else lambda: False
    world.add(Answers(), name)
    world.serve()
    world.until(watch)
    if dies_at:
        assert dead()
        world.crash()
        lives += 1
        world.serve()
        world.until(watch)
    [peer] = peers
    world.until(lambda: peer.asking.over)
    peer.close()
    world.until(lambda: peer.ending)
    assert peer.ending == ["happy"]
    world.crash()
    return world.status(name), peer.answers, world.row(name).seq


def test_one_exchange(lasting: World) -> None:
    """What comes goes to tasks, their results go back, and each of that is one entry."""
    status, answers, entries = exchange(lasting, "ann")
    assert (status, answers) == ("done", [b"ONE", b"TWO", b"THREE"])
    assert entries >= ENTRIES
    heard = [entry.heard for entry in lasting.history("ann")]
    assert "subchannels: connected, 1 record to send" in heard
    at = heard.index("subchannels: 4 records came")
    assert heard[at + 1 : at + 3] == ["task upper-case: done", "subchannels: 1 record to send"]
    assert TOLD == [False]


@pytest.mark.parametrize("lost", [False, True], ids=["sent", "not sent"])
@pytest.mark.parametrize("dies_at", [12, 18, 21])
def test_killed(lasting: World, dies_at: int, *, lost: bool) -> None:
    """Killed behind any entry, it takes each line once and gives each answer once."""
    name = f"{dies_at} {lost}"
    status, answers, _ = exchange(lasting, name, dies_at, lost=lost)
    assert (status, sorted(answers)) == ("done", sorted([b"ONE", b"TWO", b"THREE"]))


@pytest.fixture
def talking(world: World) -> tuple[World, Peer]:
    """A flow and its peer, which are connected."""
    world.add(Answers(bad="bad"))
    world.serve()
    peer = Peer(world, world.code())
    world.until(lambda: "subchannels: 1 record came" in world.heard())
    return world, peer


def test_waiting_for_a_peer(world: World) -> None:
    """Whoever loads a flow that waits for its peer writes nothing; so visits cost nothing."""
    world.add(Answers())
    world.serve()
    world.code()
    entries = world.row().seq
    world.crash()
    world.serve()
    world.advance(2)
    assert world.row().seq == entries


def test_told_once_it_is_told(world: World) -> None:
    """A process that ends before there was a connection leaves nothing to resume."""
    world.add(Answers())
    world.serve()
    code = world.code()
    world.crash()
    world.serve()
    peer = Peer(world, code)
    world.until(lambda: TOLD)
    assert TOLD == [False]
    world.crash()
    world.serve()
    world.until(lambda: TOLD[1:])
    assert TOLD == [False, True]
    peer.say(b"one")
    world.until(lambda: peer.answers)
    assert peer.answers == [b"ONE"]


@define(eq=False, slots=False)
class Raising(Protocol):
    """Raises in one of its methods."""

    where: str

    def raising(self, where: str) -> None:
        if where == self.where:
            raise LookupError("a secret")

    def connectionMade(self) -> None:
        self.raising("connectionMade")
        self.transport.write_plan({}, 1)

    def dataReceived(self, data: bytes) -> None:
        self.raising("dataReceived")

    def make_record(self, plan: Any, index: int) -> bytes:
        self.raising("make_record")
        return b""

    def save_state(self) -> Any:
        self.raising("save_state")

    def connectionLost(self, reason: Any = None) -> None:
        self.raising("connectionLost")


@flow("raising", appid=APPID)
class Raises(Flow):
    where: str

    def started(self) -> None:
        self.wormhole.dilate()
        self.wormhole.allocate_code()

    def wormhole_got_code(self, code: str) -> None:
        self.publish(code=code)

    def wormhole_dilated(self, dilated: Any) -> None:
        dilated.listener_for("lines").listen(Making(lambda: Raising(self.where)))


@pytest.mark.parametrize(
    "where", ["connectionMade", "dataReceived", "make_record", "save_state", "connectionLost"]
)
def test_a_protocol_that_raises(world: World, where: str) -> None:
    """It is a failure of the flow: tried again from its checkpoint, and then set aside."""
    world.add(Raises(where=where))
    world.serve()
    peer = Peer(world, world.code())
    world.until(lambda: peer.asking.transport)
    peer.say(b"line")
    peer.asking.transport.loseConnection()
    world.until(world.finished)
    row = world.row()
    assert (row.status, row.failures) == ("failed", 3)
    assert "LookupError in raising" in (row.trouble or "")
    assert f"called in {where}," in (row.trouble or "")
    assert flush_logged_errors() == []


def test_what_failed_with_it_comes_again(talking: tuple[World, Peer]) -> None:
    """What shared the entry in which a protocol raised has not happened, and comes again, alone."""
    world, peer = talking
    peer.say(b"one")
    world.until(lambda: peer.answers)
    peer.say(b"two", b"bad")
    world.until(world.finished)
    heard = world.heard()
    assert peer.answers == [b"ONE", b"TWO"]
    assert "subchannels: 1 record came" in heard[heard.index("task upper-case: done") :]


@pytest.mark.parametrize("way", ["cancel", "expire", "finish"])
def test_the_peer_is_told(talking: tuple[World, Peer], way: str) -> None:
    """However the flow ends, its peer's subchannels are closed, after all that was written."""
    world, peer = talking
    [runner] = world.engine.running.values()
    if way == "cancel":
        runner.cancel()
    elif way == "expire":
        runner._state.deadline = world.now() - 601
    else:
        peer.say(b"end")
    world.until(world.finished)
    assert world.status() == {"cancel": "cancelled", "expire": "expired", "finish": "done"}[way]
    world.until(lambda: peer.asking.over)


def test_closing_while_the_peer_is_away(talking: tuple[World, Peer]) -> None:
    """A flow whose peer is gone ends ten seconds after it was cancelled."""
    world, peer = talking
    peer.wormhole._inner.abandon()
    world.advance(5)
    [runner] = world.engine.running.values()
    runner.cancel()
    world.advance(2)
    assert world.status() == "closing"
    world.until(world.finished, 12)


def test_an_old_peer(world: World) -> None:
    """A flow hears that its peer cannot dilate."""
    world.add(Answers())
    world.serve()
    world.peer(world.code())
    world.until(world.finished)
    row = world.row()
    assert (row.status, row.published["reason"]) == ("failed", "OldPeerCannotDilateError")


def test_not_parked(talking: tuple[World, Peer]) -> None:
    """However few connections there are, a dilated flow keeps the ones that it has."""
    world, _ = talking
    [runner] = world.engine.running.values()
    assert (runner.is_resting, runner.is_busy) == (False, True)


def test_connections_that_break(talking: tuple[World, Peer]) -> None:
    """Nothing is lost, and the log says what happened."""
    world, peer = talking
    for line in LINES:
        world.network.direct.cut()
        peer.say(line)
        world.advance(5)
    assert peer.answers == [b"ONE", b"TWO", b"THREE"]
    heard = [entry.heard for entry in world.history()]
    assert "subchannels: not connected" in heard
    assert any(each.startswith("dilation: the peer has") for each in heard)
    assert check(world.journal, pause=pytest.fail).findings == [], "it replays all of that"


def newer(saved: Any) -> Any:
    return {**saved, "state": {**saved["state"], "version": 9}}


@pytest.mark.parametrize("damage", [newer, lambda saved: None], ids=["newer", "gone"])
def test_the_doctor_looks_at_it(talking: tuple[World, Peer], damage: Callable[[Any], Any]) -> None:
    """What a dilation has saved is part of the checkpoint, which must load."""
    world, _ = talking
    [runner] = world.engine.running.values()
    saved = runner.wormhole.serialize()
    saved["dilation"] = damage(saved["dilation"])
    flow = Examined(1, BATCH, "ann", "dilated", "exchanging", False, 1, False)
    flow.checkpoint = Checkpoint(data={}, wormhole=saved).to_bytes()
    check_flow(flow)
    assert [finding.check for finding in flow.findings] == ["checkpoint"]
