"""Two sides of a dilated wormhole, the mailbox and the connections between them, all in memory.

A connection is made if one side dials a hint of the contest that the other one has now. The leader
has it first; whether the follower ever does is another step.
"""

from __future__ import annotations

import json
from itertools import count
from typing import Any

from attrs import define, field

from holdfast.dilation.control import Control, Hints, Please, Reconnect, Reconnecting
from holdfast.dilation.generations import Dial, Drop, Effects, Refused, Say, StartContest
from holdfast.dilation.manager import Manager
from holdfast.transit.hints import DirectHint


@define(eq=False)
class Link:
    """A connection. Each side finds out by itself that it is broken."""

    broken: bool = False


class End:
    """What both kinds of sides have: what they said, and what they do to connect."""

    ports = count(1)

    def __init__(self, side: str) -> None:
        self.side = side
        self.said: list[Control] = []
        self.heard = 0
        self.alive = True
        self.contest: int | None = None
        """The port of the contest that is going on."""
        self.dialling: list[int] = []
        self.link: Link | None = None
        self.refused: str | None = None

    leader: bool | None
    listens = True
    """Whether it looks at the mailbox."""

    def begin(self) -> None:
        """The application asks for it, and the peer can."""
        raise NotImplementedError

    def hear(self, control: Control) -> None:
        """The next message came."""
        raise NotImplementedError

    def tell_connected(self) -> None:
        """The contest is won."""
        raise NotImplementedError

    def tell_lost(self) -> None:
        """The connection is gone."""
        raise NotImplementedError

    def drop(self) -> None:
        """Give up the connection and the contest."""
        if self.link is not None:
            self.link.broken = True
        self.link = self.contest = None
        self.dialling = []

    def compete(self) -> None:
        """Begin a contest."""
        self.drop()
        self.contest = next(self.ports) % 60000 + 1

    def tell_hints(self) -> None:
        """Say where the contest is, for the first time or again."""
        if self.contest is not None:
            self.said.append(Hints((DirectHint("192.0.2.1", self.contest),)))

    def won(self, link: Link) -> None:
        """The contest is over."""
        self.contest, self.dialling, self.link = None, [], link
        self.tell_connected()


class Ours(End):
    """A manager, saved whenever something has happened."""

    def __init__(self, side: str) -> None:
        super().__init__(side)
        self.manager = Manager.begin(side)
        self.saved = ""
        self.run(())

    @property
    def leader(self) -> bool | None:  # type: ignore[override]
        """Whether it leads."""
        return self.manager.leader

    def begin(self) -> None:
        """In the order of a wormhole that is dilated before its peer is there."""
        if self.manager.state == "waiting":
            self.run(self.manager.dilate(1.0))
            self.run(self.manager.peer(2.0, can=True))

    def hear(self, control: Control) -> None:
        """What is done belongs to the same commit."""
        self.run(self.manager.heard(control, 3.0))

    def tell_connected(self) -> None:
        """Commit that too."""
        self.run(self.manager.connected())

    def tell_lost(self) -> None:
        """The connection was aborted before."""
        self.run(self.manager.lost(4.0))

    def die(self) -> None:
        """The process is killed."""
        self.alive = False
        self.drop()

    def resume(self) -> None:
        """Another process loads what was saved last."""
        self.alive = True
        self.manager = Manager.load(json.loads(self.saved))
        self.run(self.manager.resumed(5.0))

    def run(self, effects: Effects) -> None:
        """Commit, then do what has to be done."""
        self.saved = json.dumps(self.manager.save())
        for effect in effects:
            match effect:
                case Say(control):
                    self.said.append(control)
                case StartContest():
                    self.compete()
                case Dial(hints):
                    assert self.contest is not None
                    self.dialling += [hint.port for hint in hints if isinstance(hint, DirectHint)]
                case Drop():
                    self.drop()
                case Refused(reason):
                    self.refused = reason


class StockDied(AssertionError):
    """Stock 0.24 would have ended its whole wormhole."""


class Stock(End):
    """`magic-wormhole` 0.24, as it was measured: many a message ends it."""

    leader = None

    def __init__(self, side: str) -> None:
        super().__init__(side)
        self.state = "waiting"

    def begin(self) -> None:
        """It has seen our versions."""
        if self.state == "waiting":
            self.state = "wanting"
            self.said.append(Please(self.side, holdfast=False))

    def hear(self, control: Control) -> None:
        """Hints are dialled once; they are ignored where they make no sense. Nothing else is."""
        match control, self.state:
            case Hints(hints), "connecting":
                self.dialling += [hint.port for hint in hints if isinstance(hint, DirectHint)]
            case Hints(), "wanting" | "connected" | "flushing" | "lonely" | "abandoning":
                pass
            case Please(side), "wanting" if side != self.side:
                self.leader = self.side > side
                self.connect()
            case Reconnect(), "connecting" | "lonely":
                self.said.append(Reconnecting())
                self.connect()
            case Reconnect(), "connected" if not self.leader:
                assert self.link is not None
                self.link.broken = True
                self.state = "abandoning"
            case Reconnecting(), "flushing":
                self.connect()
            case _:
                raise StockDied(f"{control} while {self.state}")

    @property
    def listens(self) -> bool:  # type: ignore[override]
        """What comes before it is dilated is kept."""
        return self.state != "waiting"

    def connect(self) -> None:
        """A new connector; its hints are told once."""
        self.compete()
        super().tell_hints()
        self.state = "connecting"

    def tell_hints(self) -> None:
        """It never tells them again."""

    def tell_connected(self) -> None:
        """It was chosen."""
        self.state = "connected"

    def tell_lost(self) -> None:
        """What it does depends on what it knew."""
        if self.leader:
            self.said.append(Reconnect())
            self.state = "flushing"
        elif self.state == "abandoning":
            self.said.append(Reconnecting())
            self.connect()
        else:
            self.state = "lonely"


@define(eq=False)
class World:
    """Both sides.

    Args:
        one: a side.
        other: the other one.
        reachable: who can be dialled, by name of the side; both, or one.
    """

    one: End
    other: End
    reachable: frozenset[str]
    pending: tuple[Link, int | None] | None = field(default=None, init=False)
    """What the leader has chosen and the follower has not heard of, and the follower's contest."""

    def peer(self, end: End) -> End:
        """The other one."""
        return self.other if end is self.one else self.one

    def deliver(self, end: End) -> bool:
        """One message through the mailbox. Whether there was one."""
        said = self.peer(end).said
        if not (end.alive and end.listens) or end.heard == len(said):
            return False
        end.heard += 1
        end.hear(said[end.heard - 1])
        return True

    def dial(self, end: End) -> None:
        """Try what is dialled. Ours tries again and again; stock tries once."""
        peer = self.peer(end)
        if end.contest is None or self.pending is not None or peer.side not in self.reachable:
            return
        if peer.alive and peer.contest in end.dialling:
            leader = end if end.leader else peer
            link = Link()
            self.pending = link, self.peer(leader).contest
            leader.won(link)
        elif isinstance(end, Stock):
            end.dialling = []

    def confirm(self) -> None:
        """The leader's choice reaches the follower, unless that has given up meanwhile."""
        if self.pending is None:
            return
        (link, contest), self.pending = self.pending, None
        follower = self.one if self.other.leader else self.other
        if link.broken or not follower.alive or follower.contest != contest:
            link.broken = True
        else:
            follower.won(link)

    def cut(self) -> None:
        """The connection breaks."""
        for end in (self.one, self.other):
            if end.link is not None:
                end.link.broken = True

    def notice(self, end: End) -> None:
        """One side finds out that its connection is broken."""
        if end.alive and end.link is not None and end.link.broken:
            end.drop()
            end.tell_lost()

    def settle(self) -> None:
        """Everything that is under way arrives, and all who should be connected are."""
        for end in (self.one, self.other):
            end.begin()
            if isinstance(end, Ours) and not end.alive:
                end.resume()
        for _ in range(12):
            for end in (self.one, self.other):
                self.confirm()
                self.notice(end)
                while self.deliver(end):
                    pass
                if not self.linked:
                    end.tell_hints()
                self.dial(end)

    @property
    def linked(self) -> bool:
        """Whether both have the same connection."""
        return self.one.link is not None and self.one.link is self.other.link

    def step(self, what: str, whom: Any) -> None:
        """One of the things that may happen."""
        end = self.one if whom else self.other
        match what:
            case "begin":
                if end.alive:
                    end.begin()
            case "deliver" | "dial" | "notice":
                if end.alive:
                    getattr(self, what)(end)
            case "hints":
                end.tell_hints()
            case "confirm" | "cut":
                getattr(self, what)()
            case "die" if isinstance(end, Ours):
                end.resume() if not end.alive else end.die()
