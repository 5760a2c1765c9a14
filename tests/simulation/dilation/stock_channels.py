"""The subchannels of a modelled stock peer, and the application that has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import define, field

from holdfast.dilation.records import Close, Data, Open
from tests.simulation.dilation.script import Script, Speech

if TYPE_CHECKING:
    from tests.simulation.dilation.stock import Manager
    from tests.simulation.dilation.world import End


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
            if not self._end.world.hurried:
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
