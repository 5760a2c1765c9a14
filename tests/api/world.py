"""A net without network: wormholes of `holdfast.create`, a mailbox server in memory, a clock."""

import json
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

import holdfast
from holdfast import testing
from holdfast.testing import Clock, MailboxServer
from holdfast.testing.network import URL, Link

T = TypeVar("T")

APPID = "example.com/api"
CODE = "4-purple-sausages"


@define(eq=False, repr=False)
class Network(testing.Network):
    """A network at whose end the server seems to misbehave.

    Args:
        refusing: types of frames that get an error instead of an answer, and the error's text.
        mute: types of frames that get no answer.
        listed: what it says when it is asked for nameplates; else the truth.
        moods: what was said in `close` frames.
    """

    refusing: dict[str, str] = field(factory=dict, kw_only=True)
    mute: set[str] = field(factory=set, kw_only=True)
    listed: list[str] | None = field(default=None, kw_only=True)
    moods: list[str] = field(factory=list, kw_only=True)
    frames: list[dict[str, Any]] = field(factory=list, kw_only=True)
    watch: Callable[[Any, dict[str, Any]], object] = field(
        default=lambda link, frame: None, kw_only=True
    )
    """Called with every frame, before it is answered."""

    def hear(self, link: Link, text: str) -> None:
        frame = json.loads(text)
        kind = frame["type"]
        self.frames.append(frame)
        self.watch(link, frame)
        if kind == "close":
            self.moods.append(frame["mood"])
        if kind in self.refusing:
            link.line.say("error", error=self.refusing[kind], orig=frame)
        elif kind in self.mute:
            pass
        elif kind == "list" and self.listed is not None:
            link.line.say("nameplates", nameplates=[{"id": each} for each in self.listed])
        else:
            super().hear(link, text)

    def say(self, kind: str, **fields: Any) -> None:
        """Say something to everybody, out of turn."""
        for line in tuple(self.server.lines):
            line.say(kind, **fields)


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
    server: MailboxServer = field(init=False)
    network: Network = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.server = MailboxServer(self.clock.seconds)
        self.network = Network(self.server, self.clock)

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
            self.network.deliver_all()
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
