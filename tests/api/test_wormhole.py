"""The shell around the core: what it does when things go wrong around it."""

import json
from itertools import count
from typing import Any

import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from holdfast.api import create
from holdfast.core.exchange import Exchange
from holdfast.crypto import start
from holdfast.rendezvous.boundaries import ConnectionEnded
from holdfast.shell.contact import MOST_UNHEARD, SHORT
from holdfast.shell.lull import LONGEST, Lull
from holdfast.shell.options import Options
from holdfast.shell.wormhole import DelegatedWormhole
from holdfast.timing import DebugTiming
from holdfast_journal import Journal
from tests.harness.reactor import flush_logged_errors

_numbers = count()
WELCOME = '{"type": "welcome", "welcome": {}}'


class Link:
    """A connection that a test can look into."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.aborted = False
        self.is_paused = False

    def send(self, text: str) -> None:
        self.sent.append(text)

    def abort(self, reason: str) -> None:
        self.aborted = True


class Connections:
    """A connector that connects when the test says so."""

    def __init__(self) -> None:
        self.stopped = False
        self.owner: Any = None

    def start(self) -> None:
        pass

    def stop(self) -> Deferred[None]:
        self.stopped = True
        return succeed(None)

    def welcomed(self) -> None:
        pass


class Delegate:
    """Keeps how the wormhole ended; raises when it gets a code, if asked to."""

    def __init__(self, *, raises: bool = False) -> None:
        self.raises = raises
        self.ended: list[object] = []

    def wormhole_got_code(self, code: str) -> None:
        if self.raises:
            raise ArithmeticError

    def wormhole_closed(self, result: object) -> None:
        self.ended.append(result)


def wormhole(delegate: Delegate, side: str, saved: list[Any], **options: Any) -> Any:
    """A wormhole whose checkpoints go to *saved*, and its connector."""
    connections = Connections()
    made: Any = None
    journal = Journal(lambda: saved.append(made.serialize()))

    def connector(url: str, owner: object) -> Any:
        connections.owner = owner
        return connections

    arguments: Any = (delegate, journal, connector)
    made = DelegatedWormhole(
        "ws://relay.example.com/v1",
        Exchange("app", side),
        *arguments,
        options=Options(**options),
    )
    made.start()
    return made, connections


def test_an_exception_of_the_application_stops_the_wormhole() -> None:
    """A delegate that raises inside set_code leaves nothing that is neither saved nor sent."""
    saved: list[Any] = []
    made, connections = wormhole(Delegate(raises=True), "shell1", saved)
    link: Any = Link()
    connections.owner.connected(link)
    connections.owner.received([WELCOME])
    already = len(saved), len(link.sent)
    with pytest.raises(ArithmeticError):
        made.set_code("4-purple-sausages")
    made.send_message(b"into the void")
    connections.owner.disconnected(ConnectionEnded("gone", clean=False))
    assert (len(saved), len(link.sent)) == already
    assert connections.stopped


@pytest.mark.parametrize("first", ["{}", "rubbish", '{"type": "error", "error": "no", "orig": {}}'])
def test_a_server_that_never_welcomes_is_left(first: str) -> None:
    """Rubbish instead of a welcome drops the connection, and that is the end of the wormhole."""
    delegate = Delegate()
    made, connections = wormhole(delegate, f"shell2{len(first)}", [])
    made.set_code("4-purple-sausages")
    made.exchange.nameplate.change().claim()  # something of ours may be there already
    link: Any = Link()
    connections.owner.connected(link)
    connections.owner.received([first])
    assert link.aborted
    assert delegate.ended == []
    connections.owner.disconnected(ConnectionEnded("gone", clean=False))
    assert [type(each).__name__ for each in delegate.ended] == ["ServerError"]
    assert connections.stopped


@pytest.mark.parametrize("versions", [{"a": b"bytes"}, {"a": float("nan")}, {"a": {1, 2}}], ids=str)
def test_versions_that_are_no_json_are_refused_at_once(versions: dict[str, Any]) -> None:
    """What the peer can never be told is a TypeError where it is given."""
    with pytest.raises(TypeError, match="JSON"):
        create("app", "ws://relay.example.com/v1", None, versions=versions, delegate=object())


def test_frames_leave_after_the_checkpoint() -> None:
    """Nothing is sent that the last checkpoint does not know of."""
    saved: list[Any] = []
    made, connections = wormhole(Delegate(), "shell3", saved)
    made.set_code("4-purple-sausages")

    class Watching(Link):
        def send(self, text: str) -> None:
            assert saved[-1] == made.serialize()
            super().send(text)

    link: Any = Watching()
    connections.owner.connected(link)
    connections.owner.received([WELCOME])
    assert len(link.sent) == 2
    assert saved[-1]["exchange"]["nameplate"]["state"] == "claiming"
    made.abandon()


def message(side: str, phase: str, body: bytes) -> str:
    return json.dumps({"type": "message", "side": side, "phase": phase, "body": body.hex()})


CLAIMED = '{"type": "claimed", "mailbox": "m"}'
PAKE = json.dumps({"pake_v1": start("4-purple-sausages", "app", bytes(63) + b"1").message.hex()})


def test_what_comes_together_is_saved_together() -> None:
    """Events of one read are one checkpoint, and what they want said leaves behind it, once."""
    saved: list[Any] = []
    made, connections = wormhole(Delegate(), "shell4", saved)
    made.set_code("4-purple-sausages")
    link: Any = Link()
    connections.owner.connected(link)
    connections.owner.received([WELCOME])
    already = len(saved)
    connections.owner.received([CLAIMED, message("peer", "pake", PAKE.encode())])
    assert len(saved) == already + 1
    assert saved[-1]["exchange"]["key"]["state"] == "agreed"
    kinds = [json.loads(text)["type"] for text in link.sent]
    assert kinds == ["bind", "claim", "open", "add", "add", "release"]
    connections.owner.received(['{"type": "ack"}', '{"type": "ack"}'])
    assert len(saved) == already + 1
    made.abandon()


@pytest.mark.parametrize("careful", [False, True])
def test_what_comes_together_with_a_failure(*, careful: bool) -> None:
    """The application fails at one of them: none has happened, or those before it if asked to."""

    class Fails(Delegate):
        def wormhole_got_unverified_key(self, key: bytes) -> None:
            raise ArithmeticError

    saved: list[Any] = []
    delegate = Fails()
    made, connections = wormhole(delegate, f"shell5{careful}", saved, careful=careful)
    made.set_code("4-purple-sausages")
    link: Any = Link()
    connections.owner.connected(link)
    connections.owner.received([WELCOME])
    already = len(saved)
    texts = [CLAIMED, message("peer", "pake", PAKE.encode()), message("peer", "0", b"")]
    connections.owner.received(texts)
    assert len(saved) == already + careful
    kinds = [json.loads(text)["type"] for text in link.sent]
    assert kinds == ["bind", "claim", *(["open", "add"] if careful else [])]
    assert [type(each) for each in delegate.ended] == [ArithmeticError]
    assert connections.stopped
    flush_logged_errors(ArithmeticError)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def echoed(clock: Clock, saved: list[Any], **options: Any) -> tuple[Any, Any, Link, int]:
    """A wormhole of which the server has just shown the first message, and how much was saved."""
    side = f"lull{next(_numbers)}"
    made, connections = wormhole(Delegate(), side, saved, lull=Lull(clock), **options)
    link: Any = Link()
    made.set_code("4-purple-sausages")
    connections.owner.connected(link)
    connections.owner.received([WELCOME])
    connections.owner.received([CLAIMED])
    already = len(saved)
    body = json.loads(link.sent[-1])["body"]
    connections.owner.received([message(side, "pake", bytes.fromhex(body)), '{"type": "ack"}'])
    return made, connections, link, already


def stored(saved: list[Any]) -> bool:
    [message] = saved[-1]["exchange"]["outbox"]["data"]["sent"]
    return bool(message["echoed"])


def test_an_echo_waits_for_what_comes_next(clock: Clock) -> None:
    """One entry for both, in their order; or, if nothing comes, one of its own a little later."""
    saved: list[Any] = []
    made, connections, _, already = echoed(clock, saved)
    assert len(saved) == already
    connections.owner.received([message("peer", "1", b"")])
    assert len(saved) == already + 1
    assert stored(saved)
    clock.advance(LONGEST)
    assert len(saved) == already + 1, "it is heard once"
    made.abandon()

    made, _, _, already = echoed(clock, saved)
    clock.advance(LONGEST)
    assert len(saved) == already + 1
    assert stored(saved)
    made.abandon()


def test_an_echo_is_heard_before_whatever_else_happens(clock: Clock) -> None:
    """What the application does, and the loss of the connection."""
    saved: list[Any] = []
    made, _, link, _ = echoed(clock, saved)
    made.close()
    assert json.loads(link.sent[-1])["type"] == "release"
    assert made.exchange.lifecycle.state == "closing"
    assert not made.exchange.outbox.data.undelivered
    made.abandon()

    made, connections, _, _ = echoed(clock, saved)
    assert not stored(saved)
    connections.owner.disconnected(ConnectionEnded("gone", clean=False))
    assert stored(saved)
    clock.advance(LONGEST)
    made.abandon()


@pytest.mark.parametrize("options", [{"careful": True}, {"timing": DebugTiming()}], ids=str)
def test_an_echo_that_does_not_wait(clock: Clock, options: dict[str, Any]) -> None:
    """Each by itself, or at its time."""
    saved: list[Any] = []
    made, _, _, already = echoed(clock, saved, **options)
    assert len(saved) == already + 1
    made.abandon()


@pytest.mark.parametrize(("count", "size"), [(MOST_UNHEARD, 1), (1, SHORT)], ids=["many", "long"])
def test_a_server_that_echoes_too_much(clock: Clock, count: int, size: int) -> None:
    """What it says is heard at once, in order: nothing piles up until the lull is over."""
    saved: list[Any] = []
    made, connections, _, already = echoed(clock, saved)
    side = made.exchange.side
    for number in range(count):
        connections.owner.received([message(side, str(number), bytes(size))])
    assert len(saved) == already + 1
    assert stored(saved)
    made.abandon()


def test_an_echo_that_a_code_waits_for(clock: Clock) -> None:
    """A discreet wormhole tells its code when the first message is there."""
    saved: list[Any] = []
    made, _, _, already = echoed(clock, saved, discreet=True)
    assert len(saved) == already + 1
    made.abandon()
