"""The shell after an absence: how long it was, and what the server must be asked first."""

import json
from itertools import count
from typing import Any

import pytest
from attrs import define, field
from twisted.internet.defer import Deferred, succeed

import holdfast
from holdfast.core import checkpoint
from holdfast.core.exchange import Exchange
from holdfast.rendezvous.boundaries import ConnectionEnded
from holdfast.shell.contact import REMEMBERED_FOR
from holdfast.shell.options import Options
from holdfast.shell.wormhole import DelegatedWormhole
from holdfast_journal import Journal

URL = "ws://relay.example.com/v1"
LONG = REMEMBERED_FOR + 1
SHORT = REMEMBERED_FOR - 1
_sides = count()


def new_side() -> str:
    return f"absence{next(_sides)}"


@define(eq=False)
class Process:
    """A wormhole in its process, with a connection and a clock that the test holds."""

    side: str
    document: Any = None
    now: float = 1_000_000.0
    saved: list[Any] = field(factory=list)
    sent: list[dict[str, Any]] = field(factory=list)
    told: list[tuple[str, Any]] = field(factory=list)
    hurried: int = 0
    owner: Any = None
    is_paused: bool = False
    discreet: bool = False
    wormhole: DelegatedWormhole = field(init=False)

    def __attrs_post_init__(self) -> None:
        exchange, heard_at = Exchange("app", self.side), None
        if self.document is not None:
            saved = checkpoint.load(json.loads(json.dumps(self.document)))
            exchange, heard_at = saved.exchange, saved.heard_at
        self.wormhole = DelegatedWormhole(
            URL,
            exchange,
            self,
            Journal(lambda: self.saved.append(self.wormhole.serialize())),
            self.connector,  # type: ignore[arg-type]
            heard_at=heard_at,
            options=Options(now=lambda: self.now, discreet=self.discreet),
        )
        self.wormhole.start()

    def connector(self, url: str, owner: object) -> Any:
        self.owner = owner
        return self

    def start(self) -> None: ...

    def stop(self) -> Deferred[None]:
        return succeed(None)

    def welcomed(self) -> None: ...

    def retry_now(self) -> None:
        self.hurried += 1

    def send(self, text: str) -> None:
        self.sent.append(json.loads(text))

    def abort(self, reason: str) -> None:
        self.owner.disconnected(ConnectionEnded(reason, clean=False))

    def wormhole_got_code(self, code: str) -> None:
        self.told.append(("code", code))

    def wormhole_closed(self, result: object) -> None:
        self.told.append(("closed", result))

    def connect(self) -> None:
        self.sent.clear()
        self.owner.connected(self)
        self.hears(type="welcome", welcome={})

    def hears(self, **message: Any) -> None:
        self.owner.received([json.dumps(message)])

    def lists(self, *nameplates: str) -> None:
        self.hears(type="nameplates", nameplates=[{"id": each} for each in nameplates])

    @property
    def said(self) -> list[str]:
        return [frame["type"] for frame in self.sent]

    def lose(self) -> None:
        self.owner.disconnected(ConnectionEnded("gone", clean=False))

    def die(self, later: float) -> "Process":
        """Let the process end; another resumes what it saved."""
        self.wormhole.abandon()
        return Process(self.side, self.saved[-1], self.now + later, discreet=self.discreet)


def allocated() -> Process:
    """A wormhole that was given nameplate 7, and whose claim was never answered."""
    process = Process(new_side())
    process.wormhole.allocate_code()
    process.connect()
    process.hears(type="allocated", nameplate="7")
    assert process.said == ["bind", "allocate", "claim"]
    process.lose()
    return process


def later(process: Process, seconds: float, how: str) -> Process:
    if how == "in another process":
        return process.die(seconds)
    process.now += seconds
    return process


HOW = pytest.mark.parametrize("how", ["in the same process", "in another process"])


@HOW
def test_a_short_absence_leaves_no_doubt(how: str) -> None:
    """What was given to us a moment ago is ours, and is claimed."""
    process = later(allocated(), SHORT, how)
    process.connect()
    assert process.said == ["bind", "claim"]
    process.wormhole.abandon()


@HOW
@pytest.mark.parametrize("seconds", [LONG, -3600.0], ids=["long", "a clock that was set back"])
def test_a_long_absence_asks_first(how: str, seconds: float) -> None:
    """Whoever has the nameplate after a long absence is not disturbed; the code is lost."""
    process = later(allocated(), seconds, how)
    process.connect()
    assert process.said == ["bind", "list"]
    process.lists("3", "7")
    assert process.said[2:] == ["release"], "which changes nothing for strangers"
    process.hears(type="released")
    assert process.said[3:] == ["list"]
    process.lists("3", "7")
    assert process.said[4:] == []
    [ended] = [result for name, result in process.told if name == "closed"]
    assert isinstance(ended, holdfast.CodeLostError)
    assert "new code" in str(ended)


@HOW
def test_a_long_absence_from_a_server_that_forgot_nothing(how: str) -> None:
    """What was on the list until we gave it back was ours, and is claimed anew."""
    process = later(allocated(), LONG, how)
    process.connect()
    process.lists("3", "7")
    process.hears(type="released")
    process.lists("3")
    assert process.said == ["bind", "list", "release", "list", "claim"]
    process.hears(type="claimed", mailbox="new")
    assert process.hurried == 1, "a nameplate is released once a connection"
    process.connect()
    process.hears(type="pong", pong=0)
    process.lists("3", "7")
    assert process.said == ["bind", "open", "ping", "list", "add"]
    process.wormhole.abandon()


@HOW
def test_a_long_absence_and_a_free_nameplate(how: str) -> None:
    """A nameplate that nobody has is claimed at once, on the connection that told so."""
    process = later(allocated(), LONG, how)
    process.connect()
    process.lists("3", "77")
    assert process.said == ["bind", "list", "claim"]
    process.hears(type="claimed", mailbox="new")
    assert process.said == ["bind", "list", "claim", "open", "add"]
    process.wormhole.abandon()


def test_a_welcome_is_no_sign_that_the_server_remembers() -> None:
    """A connection that showed nothing of ours leaves as much doubt as there was before it."""
    process = allocated()
    process.connect()
    process.hears(type="claimed", mailbox="old")  # and its echo never comes
    process.lose()
    process.now += LONG
    process.connect()
    process.wormhole.send_message(b"saved once more")
    process.lose()
    again = process.die(1.0)
    again.connect()
    again.hears(type="pong", pong=0)
    assert again.said == ["bind", "open", "ping", "list"]
    again.lists("7")
    assert again.said[4:] == ["release"], "a mailbox cannot be closed before that"
    again.hears(type="released")
    assert again.said[5:] == ["close"], "nothing of ours stays in what our open has made"
    again.hears(type="closed")
    assert again.said[6:] == ["list"], "closing takes us off every nameplate"
    again.lists("7")
    assert isinstance(again.told[-1][1], holdfast.CodeLostError)


def test_a_document_without_a_time_is_old() -> None:
    """Nobody knows when a document of version 1 was saved: the server is asked first."""
    process = allocated()
    document = json.loads(json.dumps(process.saved[-1]))
    process.wormhole.abandon()
    assert document["version"] >= 2 and document["heard_at"] == process.now
    del document["heard_at"], document["exchange"]["code"]["data"]["allocated"]
    again = Process(process.side, {**document, "version": 1}, process.now + 1)
    again.connect()
    assert again.said == ["bind", "list"]
    again.wormhole.abandon()


def test_the_new_mailbox_is_opened_on_a_connection_of_its_own() -> None:
    """Forgotten and free: claimed on this connection, which ends; the next one comes at once."""
    process = Process(new_side())
    process.wormhole.allocate_code()
    process.connect()
    process.hears(type="allocated", nameplate="7")
    process.hears(type="claimed", mailbox="old")
    [pake] = [frame["body"] for frame in process.sent if frame["type"] == "add"]
    process.hears(type="message", side=process.side, phase="pake", body=pake)
    process.lose()
    process.connect()
    process.hears(type="pong", pong=0)
    assert process.said == ["bind", "open", "ping", "close", "list"]
    process.hears(type="closed")
    process.lists("3")
    assert process.hurried == 0
    process.hears(type="claimed", mailbox="new")
    assert process.hurried == 1
    process.connect()
    process.hears(type="pong", pong=0)
    process.lists("3", "7")
    assert process.said == ["bind", "open", "ping", "list", "add"]
    assert process.sent[1]["mailbox"] == "new"
    assert process.sent[-1]["body"] == pake
    assert [name for name, _ in process.told] == ["code"]
    process.lose()
    assert process.hurried == 1, "only after a connection that was ended for this"
    process.wormhole.abandon()
