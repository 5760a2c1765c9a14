"""Flows whose wormholes are dilated: what their subchannels do is part of their entries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from attrs import define, field
from twisted.internet.protocol import Factory, Protocol

import holdfast
from holdfast import Flow, flow, task
from holdfast.testing import URL
from tests.flows.world import World

APPID = "example.com/dilated-flow"
LINES = [b"one", b"two", b"three"]
TOLD: list[tuple[str, bool]] = []
"""How often each flow was told that it is dilated, and whether it was resumed."""


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
        TOLD.append((self.bad, dilated.resumed))
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
    said: bool = False

    def __attrs_post_init__(self) -> None:
        self.wormhole = holdfast.create(APPID, URL, self.world.clock)
        dilated = self.wormhole.dilate()
        dilated.listener_for("answers").listen(Making(lambda: Line(self.answers.append)))
        dilated.connector_for("lines").connect(Making(lambda: self.asking))
        self.wormhole.set_code(self.code)

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


def exchange(world: World, name: str, dies_at: int = 0, *, lost: bool = False) -> Any:
    """Run a flow to its end, killed when it has *dies_at* entries; return what its peer got.

    With *lost*, nothing that its last entry caused has left the process.
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
            if not peer.said and peer.asking.transport is not None:
                peer.said = True
                peer.say(*LINES)
            if len(peer.answers) == len(LINES):
                peer.say(b"end")
        return world.finished(name)

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
    peer.close()
    world.until(lambda: peer.ending)
    entries = world.row(name).seq
    world.crash()
    return world.status(name), peer.answers, peer.asking.over, peer.ending, entries


def test_x(lasting):
    print(exchange(lasting, "a"))
    for e in lasting.history("a"): print(e.kind, e.heard, e.said)
    print(TOLD)
    assert 0
