"""A net without network: wormholes of `holdfast.create`, a mailbox server in memory, a clock."""

import json
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from attrs import define, field
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.python.failure import Failure

import holdfast
from holdfast.rendezvous.boundaries import ConnectionEnded, Fault
from holdfast.rendezvous.connector import Owner
from tests.flows import world

T = TypeVar("T")

APPID = "example.com/api"
URL = world.URL
CODE = "4-purple-sausages"


@define(eq=False)
class Line:
    """A connector, which comes back a second after each end of a connection."""

    server: "Server"
    owner: Owner
    link: Any = None
    there: bool = False

    def start(self) -> None:
        self.there = True
        self.server.lines.append(self)  # type: ignore[arg-type]
        self.connect()

    def connect(self) -> None:
        if not self.there:
            return
        if not self.server.up:
            reason = ConnectionEnded("connection refused", clean=False)
            self.server.queue.append(partial(self._tell, self.owner.failed, reason, 1.0))
            self.server.clock.callLater(1, self.connect)
            return
        self.link = Link(self.server, self.owner, lambda: False, line=self)
        self.server.queue.append(partial(self._tell, self.owner.connected, self.link))
        self.link.receive(type="welcome", welcome=self.server.welcome)

    def cut(self, fault: Fault | None = None) -> None:
        """The connection breaks."""
        if self.link is not None and self.link.up:
            self.link.up = False
            reason = ConnectionEnded("cut", clean=False, fault=fault)
            self.server.queue.append(partial(self._tell, self.owner.disconnected, reason))
            self.server.clock.callLater(1, self.connect)

    def welcomed(self) -> None:
        pass

    def stop(self) -> "Deferred[None]":
        self.there = False
        if self.link is not None:
            self.link.up = False
        if self in self.server.lines:
            self.server.lines.remove(self)  # type: ignore[arg-type]
        return succeed(None)

    def _tell(self, method: Callable[..., object], *args: object) -> None:
        if self.there:
            method(*args)


@define(eq=False)
class Link(world.Link):
    """A connection whose end is noticed."""

    line: Any = None

    def abort(self, reason: str = "") -> None:
        self.line.cut()

    def say(self, **fields: Any) -> None:
        """The server says this out of turn."""
        self.receive(**fields)


@define(eq=False)
class Server(world.Server):
    """A server that also lists nameplates, and can misbehave.

    Args:
        refusing: types of frames that get an error instead of an answer, and the error's text.
        mute: types of frames that get no answer.
        listed: what it says when it is asked for nameplates; else the truth.
        moods: what was said in `close` frames.
    """

    clock: Clock = field(factory=Clock)
    refusing: dict[str, str] = field(factory=dict)
    mute: set[str] = field(factory=set)
    listed: list[str] | None = None
    moods: list[str] = field(factory=list)
    frames: list[dict[str, Any]] = field(factory=list)
    watch: Callable[[Any, dict[str, Any]], object] = lambda link, frame: None
    """Called with every frame, before it is answered."""

    def connector(self, url: str, owner: Owner) -> Any:
        assert url == URL
        return Line(self, owner)

    def heard(self, link: Any, frame: dict[str, Any]) -> None:
        kind = frame["type"]
        self.frames.append(frame)
        self.watch(link, frame)
        if kind == "close":
            self.moods.append(frame["mood"])
        if kind in self.refusing:
            link.receive(type="error", error=self.refusing[kind], orig=frame)
        elif kind == "add" and link.mailbox is None:
            link.receive(type="error", error="must open mailbox before adding", orig=frame)
        elif kind not in self.mute:
            super().heard(link, frame)

    def _list(self, link: Any, frame: dict[str, Any]) -> None:
        listed = list(self.nameplates) if self.listed is None else self.listed
        link.receive(type="nameplates", nameplates=[{"id": each} for each in listed])

    def say(self, **fields: Any) -> None:
        """Say something to everybody."""
        for line in tuple(self.lines):
            line.link.receive(**fields)  # type: ignore[union-attr]


@define(eq=False)
class Delegate:
    """Keeps all that it is told, in order; does what *on* has for it."""

    told: list[tuple[str, Any]] = field(factory=list)
    on: dict[str, Callable[[Any], object]] = field(factory=dict)

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("wormhole_"):
            raise AttributeError(name)
        return partial(self._tell, name.removeprefix("wormhole_").removeprefix("got_"))

    def _tell(self, name: str, argument: Any) -> None:
        self.told.append((name, argument))
        if name in self.on:
            self.on[name](argument)

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.told]

    def got(self, name: str) -> Any:
        """The argument of the one call of this name."""
        [argument] = [argument for each, argument in self.told if each == name]
        return argument

    @property
    def messages(self) -> list[bytes]:
        return [argument for name, argument in self.told if name == "message"]


@define(eq=False)
class Net:
    """A server, a clock, and the wormholes of one test."""

    clock: Clock = field(factory=Clock)
    server: Server = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.server = Server(clock=self.clock)

    def create(self, appid: str = APPID, **options: Any) -> Any:
        """Make a wormhole as an application does."""
        return holdfast.create(appid, URL, self.clock, **options)

    def resume(self, data: Any, delegate: object, journal: Any = None, **options: Any) -> Any:
        """Resume one from its JSON text or dictionary."""
        data = json.loads(data) if isinstance(data, str) else data
        return holdfast.from_serialized(data, self.clock, delegate, journal, **options)

    def pair(self, **options: Any) -> tuple[Any, Any]:
        """Two wormholes in Deferred mode that have found each other."""
        ours, theirs = self.create(**options), self.create()
        ours.set_code(CODE)
        theirs.set_code(CODE)
        self.run()
        return ours, theirs

    def run(self, seconds: float = 0) -> None:
        """Let everything arrive that is on its way; then let time pass, and again."""
        end = self.clock.seconds() + seconds
        while True:
            while self.server.queue:
                self.server.queue.popleft()()
            calls = self.clock.getDelayedCalls()
            due = min((call.getTime() for call in calls), default=end + 1)
            if due > end:
                break
            self.clock.advance(max(0.0, due - self.clock.seconds()))
        self.clock.advance(end - self.clock.seconds())

    def result(self, waiting: Deferred[T], seconds: float = 0) -> T:
        """What a Deferred fires with, within some time; raises what it fails with."""
        outcome: list[Any] = []
        waiting.addBoth(outcome.append)
        self.run(seconds)
        assert outcome, "it has not fired"
        if isinstance(outcome[0], Failure):
            raise outcome[0].value
        return outcome[0]  # type: ignore[no-any-return]
