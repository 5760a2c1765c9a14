"""The world in which others test their flows."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import field
from twisted.internet.defer import Deferred

import holdfast
from holdfast import Call, Flow, TaskFailed, flow, task
from holdfast.testing import URL, Clock, MailboxServer, Network, Peer, World

APPID = "example.com/testing"

OUTCOMES: list[Any] = []
"""What the next tries of the task come to; else "a token"."""

TRIES: list[tuple[float, str]] = []
"""When each was made, with which key."""


@flow("testing-token", appid=APPID)
class Token(Flow):
    user: str
    thanked: int = field(default=0, init=False)

    def started(self) -> None:
        self.wormhole.allocate_code()
        self.wake_at(self.now() + 100)

    def woken(self) -> None:
        self.publish(woken=self.now())

    def wormhole_got_code(self, code: str) -> None:
        self.publish(code=code)

    def wormhole_got_versions(self, versions: dict[str, Any]) -> None:
        self.perform("testing-mint", user=self.user)

    def testing_mint_done(self, token: str) -> None:
        self.wormhole.send_message(token.encode())

    def wormhole_got_message(self, message: bytes) -> None:
        self.finish()


@task("testing-mint", tries=9, blocks=True)
def mint(call: Call) -> str:
    TRIES.append((call.reactor.seconds(), call.key))
    if OUTCOMES:
        raise OUTCOMES.pop(0)
    return f"a token for {call.arguments['user']}"


@pytest.fixture(autouse=True)
def nothing_planned() -> None:
    OUTCOMES.clear()
    TRIES.clear()


@pytest.fixture(params=["memory", "file"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], World]:
    if request.param == "memory":
        return World
    return lambda: World(f"sqlite:///{tmp_path}/flows.db")


def thank(peer: Peer, message: bytes) -> None:
    peer.send(b"thanks")


def test_a_flow_and_its_peer(make: Callable[[], World]) -> None:
    """It runs to its end, and what both sides were told can be seen."""
    with make() as world:
        world.start(Token(user="ada"))
        peer = world.peer(world.code(), thank)
        world.until(world.finished)
        world.advance(1)
        assert world.status() == "done"
        assert peer.messages == [b"a token for ada"]
        assert peer.got[0] == ("versions", {})
        peer.close()
        world.deliver_all()
        assert peer.result == "happy"
        assert world.server.tables().empty
        assert world.history()[0].heard == "flow: started"
        assert [said for side, said in world.network.log if said == "add 0"] == ["add 0"] * 2


def test_a_task_is_tried_again_as_time_passes() -> None:
    """At the times at which a real clock would have it tried, under the same key."""
    OUTCOMES.extend([TaskFailed("no route"), ZeroDivisionError()])
    with World() as world:
        world.start(Token(user="ada"))
        peer = world.peer(world.code(), thank)
        world.deliver_all()
        assert (len(TRIES), peer.messages) == (1, [])
        world.until(world.finished)
        first, second, third = (at for at, _ in TRIES)
        assert 0.5 < second - first < third - second < 60
        assert len({key for _, key in TRIES}) == 1


def test_time() -> None:
    """Timers come when they are due, however large the steps; a deadline ends the flow."""
    with World() as world:
        world.start(Token(user="ada"), deadline=86_400 * 7)
        code = world.code()
        assert world.now() < 2
        world.advance(99)
        assert "woken" not in world.published()
        world.advance(3)
        assert 100 <= world.published()["woken"] <= 102
        world.advance(86_400 * 6, step=3600)
        assert world.status() == "waiting"
        world.advance(86_400, step=3600)
        assert world.status() == "expired"
        peer = world.peer(code)
        world.advance(60)
        assert peer.got == []


@pytest.mark.parametrize("sent", [False, True])
def test_a_crash_after_any_entry(make: Callable[[], World], sent: bool) -> None:
    """There is exactly one, where it was asked for, and what comes of the flow is the same."""
    for entries in (1, 4, 8, 11, 13):
        with make() as world:
            world.crash_after(entries, sent=sent)
            world.start(Token(user="ada"), f"flow {entries}")
            name = f"flow {entries}"
            peer = world.peer(world.code(name), thank)
            world.until(lambda name=name: world.finished(name))  # type: ignore[misc]
            assert (world.status(name), peer.messages) == ("done", [b"a token for ada"])
            assert world.crashes == 1
        if world.database != "sqlite://":
            break  # of the file the entries of all flows count


def test_a_crash_loses_what_was_not_sent() -> None:
    """With the entry, but without its frames; the next process sends them."""
    with World() as world:
        world.crash_after(1, sent=False)
        world.add(Token(user="ada"))
        world.serve()
        assert [said for _, said in world.network.log] == []
        world.code()
        assert world.crashes == 1
        assert [said for _, said in world.network.log].count("allocate") == 1


def test_crash_and_restart(make: Callable[[], World]) -> None:
    """Between the two nobody runs the flow, and its timers do nothing."""
    with make() as world:
        world.start(Token(user="ada"))
        code = world.code()
        world.crash()
        world.crash()
        assert (world.engine, world.crashes) == (None, 1)
        peer = world.peer(code, thank)
        world.advance(200)
        assert peer.messages == [] and "woken" not in world.published()
        world.restart()
        world.until(world.finished)
        assert peer.messages == [b"a token for ada"]


def test_a_clean_end(make: Callable[[], World]) -> None:
    """The flows are given back, and a restart has another process at once."""
    with make() as world:
        world.start(Token(user="ada"))
        world.code()
        world.stop()
        assert world.row().owner is None
        world.restart()
        world.advance(1)
        assert world.row().owner is not None
        world.restart()
        peer = world.peer(world.code(), thank)
        world.until(world.finished)
        assert (peer.messages, world.crashes) == ([b"a token for ada"], 0)


def test_the_server_goes_and_comes() -> None:
    """Everybody connects again; a server that has lost its database is filled again."""
    with World() as world:
        world.start(Token(user="ada"))
        code = world.code()
        world.server.stop()
        world.advance(10)
        world.server.start()
        world.advance(10)
        world.server.restart(forget=True)
        world.advance(30)
        peer = world.peer(code, thank)
        world.until(world.finished)
        assert peer.messages == [b"a token for ada"]


def test_several_flows() -> None:
    """They are told apart by their names, and none may be asked for as the only one."""
    with World() as world:
        for name in ("ada", "bob"):
            world.start(Token(user=name), name)
        peers = {name: world.peer(world.code(name), thank) for name in ("ada", "bob")}
        world.until(lambda: all(map(world.finished, peers)))
        assert peers["bob"].messages == [b"a token for bob"]
        with pytest.raises(ValueError, match="2 flows"):
            world.status()
        with pytest.raises(ValueError, match="no flow called 'cy'"):
            world.status("cy")


def test_what_never_comes() -> None:
    """Waiting has an end, which says how the flows stand; a peer needs to know an application."""
    with World() as world:
        with pytest.raises(ValueError, match="appid"):
            world.peer("4-purple-sausages")
        world.start(Token(user="ada"))
        with pytest.raises(TimeoutError, match="waiting"):
            world.until(world.finished, seconds=20)
        assert world.now() == 20


def test_vanished_peers() -> None:
    """One who is gone hears nothing any more; the flow goes on waiting."""
    with World() as world:
        world.start(Token(user="ada"))
        peer = world.peer(world.code())
        world.deliver_all()
        peer.vanish()
        before = list(peer.got)
        world.advance(30)
        assert peer.got == before
        assert world.status() == "exchanging"


def test_a_wormhole_of_an_application() -> None:
    """`holdfast.create` on the world's clock meets the flow, without a flow as well."""
    with World() as world:
        world.start(Token(user="ada"))
        theirs = holdfast.create(APPID, URL, world.clock)
        theirs.set_code(world.code())
        got: Deferred[bytes] = theirs.get_message()
        world.advance(1)
        messages: list[bytes] = []
        got.addCallback(messages.append)
        assert messages == [b"a token for ada"]


def test_two_wormholes_without_a_world() -> None:
    """A network, a server and a clock are enough for an application's own tests."""
    clock = Clock()
    network = Network(MailboxServer(clock.seconds), clock)
    ours, theirs = Peer(network, APPID), Peer(network, APPID)
    ours.enter("4-purple-sausages").send(b"hello")
    theirs.enter("4-purple-sausages")
    assert network.step()
    network.deliver_all()
    assert theirs.messages == [b"hello"]
    for peer in (ours, theirs):
        peer.close()
    network.deliver_all()
    assert (ours.result, theirs.result) == ("happy", "happy")
    assert not network.step()
