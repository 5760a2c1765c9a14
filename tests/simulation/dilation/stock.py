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
from tests.simulation.dilation.script import Script, Speech
from tests.simulation.dilation.stock_wire import Connection, Connector
from tests.simulation.peers import URL
from tests.simulation.process import Process

if TYPE_CHECKING:
    from tests.simulation.dilation.world import End

PING_INTERVAL = 30.0


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
        if len(self._byes) == 2:
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
        if self.state == "stopped":
            return
        match message.get("type"), self.state:
            case "please", "wanting":
                self._please(message["side"])
            case "connection-hints", "connecting":
                assert self._connector is not None
                self._connector.dial(message["hints"])
            case "connection-hints", _:
                pass
            case "reconnect", "connecting" | "lonely":
                self._anew()
            case "reconnect", "connected" if not self.leads:
                assert self._connection is not None
                self.state = "abandoning"
                self._connection.let_go()
            case "reconnecting", "flushing":
                self._connect()
            case kind, state:
                self.process.end.world.violate(
                    f"{self.process.end.name}'s wormhole dies of {kind!r} while {state}"
                )

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


@define(eq=False)
class Channel:
    """A subchannel of the stock peer's, and the application that has it."""

    scid: int
    name: str
    speech: Speech | None = None
    """None before somebody listens."""
    held: list[Data | Close] = field(factory=list)
    out_closed: bool = False
    in_closed: bool = False


class Channels:
    """The subchannels, and what the application does with them."""

    def __init__(self, manager: Manager) -> None:
        self._manager = manager
        self._by_number: dict[int, Channel] = {}
        self._listening: set[str] = set()
        self._next = 0
        self._ended = 0

    @property
    def _end(self) -> End:
        return self._manager.process.end

    def begin(self) -> None:
        """The roles are known."""
        self._next = 1 if self._manager.leads else 2
        for script in self._end.world.scripts:
            start = self._open if script.opener == self._end.number else self._listen
            late = script.after[self._end.number]
            self._manager.process.reactor.callLater(late, start, script)

    def got(self, record: Open | Data | Close) -> None:
        """A record has come whose number is new."""
        channel = self._by_number.get(record.scid)
        if isinstance(record, Open):
            if channel is None:
                channel = self._by_number[record.scid] = Channel(record.scid, record.name)
                if record.scid % 2 == self._next % 2:
                    self._end.world.violate("the other end opens a channel with our parity")
                if record.name in self._listening:
                    self._attach(channel)
        elif channel is not None and channel.speech is None:
            channel.held.append(record)
        elif channel is not None:
            self._take(channel, record)

    def _open(self, script: Script) -> None:
        channel = Channel(self._next, script.name)
        self._next += 2
        self._by_number[channel.scid] = channel
        self._manager.send(Open, channel.scid, script.name)
        self._attach(channel)

    def _listen(self, script: Script) -> None:
        self._listening.add(script.name)
        for channel in list(self._by_number.values()):
            if channel.name == script.name:
                self._attach(channel)

    def _attach(self, channel: Channel) -> None:
        script = self._end.world.script(channel.name)
        channel.speech = Speech(script, self._end.number, self._end.world.violate)
        held, channel.held = channel.held, []
        for record in held:
            self._take(channel, record)
        self._write(channel)

    def _take(self, channel: Channel, record: Data | Close) -> None:
        speech = channel.speech
        assert speech is not None
        if channel.in_closed:
            self._end.world.violate(f"{self._end.name} gets a record after the end")
        elif isinstance(record, Data):
            speech.hear(record.data)
            self._consider(channel)
        else:
            channel.in_closed = True
            speech.hear_end()
            if not speech.script.half:
                self._close(channel)
            self._look(channel)

    def _write(self, channel: Channel) -> None:
        speech, process = channel.speech, self._manager.process
        assert speech is not None
        if channel.out_closed:
            return
        for index in speech.next(process.kernel.random):
            self._manager.send(Data, channel.scid, speech.script.record(speech.end, index))
            speech.written += 1
        if not speech.has_written:
            delay = speech.script.pace * 2 * process.kernel.random.random()
            process.reactor.callLater(delay, self._write, channel)
        self._consider(channel)

    def _consider(self, channel: Channel) -> None:
        """Close it when nothing is left to do."""
        speech = channel.speech
        assert speech is not None
        if speech.has_written and (speech.script.half or speech.has_read):
            self._close(channel)

    def _close(self, channel: Channel) -> None:
        if not channel.out_closed:
            channel.out_closed = True
            self._manager.send(Close, channel.scid)
            self._look(channel)

    def _look(self, channel: Channel) -> None:
        """Is it over?"""
        if channel.out_closed and channel.in_closed and channel.scid in self._by_number:
            del self._by_number[channel.scid]
            self._manager.process.say(f"has ended {channel.name}")
            self._ended += 1
            if self._ended == len(self._end.world.scripts):
                self._manager.process.ended()
