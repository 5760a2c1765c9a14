"""A modelled peer that dilates as `magic-wormhole` 0.24 does: by its rules, with its mistakes.

It keeps nothing across its own death. What would end its wormhole is a violation. It takes whatever
comes under a new number, and drops what comes under an old one without a look at the bytes; its
application looks at each. Its mailbox is spoken to by our core.
"""

from __future__ import annotations

import json
import os
from collections import deque
from typing import TYPE_CHECKING, Any

from attrs import define, field

from holdfast.core import events as ev
from holdfast.core.exchange import Exchange
from holdfast.crypto import derive
from holdfast.dilation.records import Ack, Close, Data, Open, Ping, Pong, Record
from holdfast.shell.options import Options
from holdfast.shell.wormhole import DelegatedWormhole
from holdfast_journal import ImmediateJournal
from tests.simulation.dilation.ours import APPID, BYE
from tests.simulation.dilation.stock_channels import Channels
from tests.simulation.dilation.stock_wire import Connection, Connector
from tests.simulation.peers import URL
from tests.simulation.process import Process

if TYPE_CHECKING:
    from tests.simulation.dilation.world import End

PING_INTERVAL = 30.0

TAKEN = {
    *((state, "connection-hints") for state in ("wanting", "connecting", "connected", "flushing")),
    *((state, "connection-hints") for state in ("lonely", "abandoning")),
    ("wanting", "please"),
    ("connecting", "reconnect"),
    ("connected", "reconnect"),
    ("lonely", "reconnect"),
    ("flushing", "reconnecting"),
}
"""What may be said to a manager in each state; anything else ends its wormhole."""


@define(eq=False, repr=False)
class Stock(Process):
    """The process of a stock peer."""

    end: End = field(kw_only=True)
    wormhole: DelegatedWormhole = field(init=False)
    manager: Manager = field(init=False)
    _byes: set[str] = field(factory=set, init=False)
    _dying: bool = field(default=False, init=False)

    def begin(self) -> None:
        world = self.end.world
        self.say("starts")
        exchange = Exchange(APPID, os.urandom(5).hex())
        exchange.talk.dilation = True
        options = Options(clock=self.reactor, now=world.wall, on_broken=world.broken)
        self.wormhole = DelegatedWormhole(
            URL, exchange, self, ImmediateJournal(), self.connector, options=options
        )
        self.manager = Manager(self, "f" * 16 if self.end.leads else "0" * 16)
        self.wormhole.start()
        self.wormhole.set_code(world.code)
        self.reactor.callLater(world.kernel.between(0, 5), self._dilate)

    def _dilate(self) -> None:
        happening = self.wormhole._happening
        happening.dilation = Face(self)  # type: ignore[assignment]
        happening.enter(self._begin_dilation)

    def _begin_dilation(self) -> None:
        self.manager.start()
        self.wormhole._happening.react(ev.Dilate())

    def wormhole_got_message(self, message: bytes) -> None:
        self._byes.add("theirs")
        self._consider()

    def connected(self) -> None:
        """There is a connection."""
        if self.end.mortal and not self._dying:
            self._dying = True
            self.kernel.after(self.kernel.between(0, 20), self._die_out)

    def _die_out(self) -> None:
        if self.alive:
            self.say("dies, and forgets everything")
            self.end.over = self.end.world.gone = True
            self.kill()

    def ended(self) -> None:
        """All subchannels have ended."""
        self._byes.add("ours")
        self.wormhole.send_message(BYE)
        self._consider()

    def _consider(self) -> None:
        if len(self._byes) == 2 or (self.end.world.hurried and "theirs" in self._byes):
            self.wormhole.close()

    def wormhole_closed(self, result: object) -> None:
        self.end.leaves(self, result)
        self.wormhole.on_down(lambda: self.reactor.callLater(0, self._leaves))

    def _leaves(self) -> None:
        self.end.over = True
        self.doomed = True

    def buried(self) -> None:
        self.say("is gone")
        Process.buried(self)
        self.end.gone(self)


class Face:
    """What the wormhole's shell sees of its dilation; see `holdfast.shell.dilating.Dilating`."""

    is_closing = is_gone = is_to_begin = is_unsaved = False

    def __init__(self, process: Stock) -> None:
        self._process = process

    def met(self) -> None:
        self._process.manager.start()

    def heard(self, body: bytes) -> None:
        self._process.manager.heard(body)

    def close(self) -> None:
        self.is_closing = True
        self._process.manager.stop()
        self._process.wormhole._happening.react(ev.Close())

    def end(self) -> None:
        self._process.manager.stop()

    def leave_entry(self) -> str:
        return ""

    def save(self) -> dict[str, Any]:
        return {}

    def stop(self) -> None:
        self._process.manager.stop()


class Manager:
    """Who leads, which connection there is, and which channels.

    Args:
        process: whose it is.
        side: its name in `please`.
    """

    def __init__(self, process: Stock, side: str) -> None:
        self.process = process
        self.side = side
        self.state = "waiting"
        self.leads = False
        self.channels = Channels(self)
        self._connector: Connector | None = None
        self._connection: Connection | None = None
        self._unacked: deque[Open | Data | Close] = deque()
        self._next_out = 0
        self._highest_in = -1
        self._pongs_due = 0

    # The mailbox.

    def start(self) -> None:
        """The application has dilated, or the peer's versions are there."""
        if self.state == "waiting" and self.process.wormhole.exchange.talk.can_dilate:
            self.state = "wanting"
            self.say({"type": "please", "side": self.side, "use-version": "ged"})

    def say(self, message: dict[str, Any]) -> None:
        happening = self.process.wormhole._happening
        body = json.dumps(message).encode()
        self.process.say(f"says {message['type']}")
        happening.within(lambda: happening.react(ev.SendDilation(body)))

    def heard(self, body: bytes) -> None:
        """The other end says something."""
        message = json.loads(body)
        kind = message.get("type")
        if self.state == "stopped":
            return
        if (self.state, kind) not in TAKEN:
            self.process.end.world.violate(
                f"{self.process.end.name}'s wormhole dies of {kind!r} while {self.state}"
            )
        elif kind == "please":
            self._please(message["side"])
        elif kind == "connection-hints" and self.state == "connecting":
            assert self._connector is not None
            self._connector.dial(message["hints"])
        elif kind == "reconnecting":
            self._connect()
        elif kind == "reconnect" and self.state == "connected":
            if self.leads:
                self.process.end.world.violate(f"{self.process.end.name} is stuck for ever")
            assert self._connection is not None
            self.state = "abandoning"
            self._connection.let_go()
        elif kind == "reconnect":
            self._anew()

    def _please(self, theirs: str) -> None:
        if theirs == self.side:
            self.process.end.world.violate("both ends have the same side")
        self.leads = self.side > theirs
        self.channels.begin()
        self._connect()

    def _anew(self) -> None:
        self.say({"type": "reconnecting"})
        self._connect()

    def _connect(self) -> None:
        if self._connector is not None:
            self._connector.stop()
        self.state = "connecting"
        self._connector = Connector(self, self.key())
        self._connector.listen()

    def key(self) -> bytes:
        shared = self.process.wormhole.exchange.shared_key
        assert shared is not None
        return derive(shared, "dilation-v1", 32)

    def stop(self) -> None:
        """The wormhole is closed: nobody is told, and what is unacknowledged is lost."""
        self.state = "stopped"
        if self._connector is not None:
            self._connector.stop()
        if self._connection is not None:
            self._connection.let_go()

    # The connection.

    def made(self, connection: Connection) -> None:
        """A connection is chosen."""
        self.process.say("has a connection")
        self.process.connected()
        self.state = "connected"
        self._connection = connection
        self._pongs_due = 0
        for record in self._unacked:
            connection.send(record)
        if self.leads:
            self.process.reactor.callLater(PING_INTERVAL, self._ping, connection)

    def lost(self, connection: Connection) -> None:
        """It is gone."""
        if connection is not self._connection:
            return
        self.process.say("has lost its connection")
        self._connection = None
        if self.state == "abandoning":
            self._anew()
        elif self.state == "connected" and self.leads:
            self.state = "flushing"
            self.say({"type": "reconnect"})
        elif self.state == "connected":
            self.state = "lonely"

    def got(self, record: Record, connection: Connection) -> None:
        """A record has come; the connection is not ours yet if it came with the other's KCM."""
        ours = connection if connection is self._connection else None
        match record:
            case Ping(number):
                if ours:
                    ours.send(Pong(number))
            case Pong():
                self._pongs_due = 0
            case Ack(number):
                while self._unacked and self._unacked[0].seq <= number:
                    self._unacked.popleft()
            case Open() | Data() | Close():
                if ours:
                    ours.send(Ack(record.seq))
                if record.seq > self._highest_in:
                    self._highest_in = record.seq
                    self.channels.got(record)

    def send(self, make: type[Open | Data | Close], scid: int, *content: Any) -> None:
        """Send the next record, now and until it is acknowledged."""
        record = make(scid, self._next_out, *content)
        self._next_out += 1
        self._unacked.append(record)
        if self._connection is not None:
            self._connection.send(record)

    def _ping(self, connection: Connection) -> None:
        if connection is not self._connection:
            return
        if self._pongs_due == 2:
            connection.let_go()
            return
        self._pongs_due += 1
        connection.send(Ping(self.process.kernel.random.randbytes(4)))
        self.process.reactor.callLater(PING_INTERVAL, self._ping, connection)
