"""Our own end: the real wormhole, manager, ledger, driver and channels, and a small application.

What the application knows is committed together with the wormhole's document, so a process that
dies leaves both as they were after the same entry. The next one goes on from there.
"""

from __future__ import annotations

import json
import os
from functools import partial
from typing import TYPE_CHECKING, Any

from attrs import define, field
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Factory
from twisted.internet.protocol import Protocol as TwistedProtocol
from zope.interface import implementer

from holdfast.core import checkpoint
from holdfast.core.exchange import Exchange
from holdfast.errors import PeerGoneError, WormholeClosed
from holdfast.shell.options import Options
from holdfast.shell.wormhole import DelegatedWormhole
from holdfast_journal import Journal
from tests.simulation.dilation.durable import Saved, SlowJournal
from tests.simulation.dilation.script import Script, Speech
from tests.simulation.peers import URL
from tests.simulation.process import Process

if TYPE_CHECKING:
    from tests.simulation.dilation.world import End

APPID = "example.com/dilated"

BYE = b"that was all"
"""What each end says when all its subchannels have ended; it stays until the other has said so."""


def fresh_rows() -> dict[str, Any]:
    """What the application knows at first."""
    return {"opened": [], "ended": [], "said": [], "heard": [], "byes": [], "closed": None}


@define(eq=False, repr=False)
class Ours(Process):
    """One process of an end of ours."""

    is_ours = True
    end: End = field(kw_only=True)
    wormhole: DelegatedWormhole = field(init=False)
    rows: dict[str, Any] = field(factory=fresh_rows, init=False)
    _speakers: dict[str, Speaker] = field(factory=dict, init=False)

    def begin(self) -> None:
        """Start, or go on where the process before this one was."""
        end = self.end
        self.say("starts" if end.saved is None else "goes on")
        if end.saved is None:
            saved = checkpoint.SavedWormhole(URL, Exchange(APPID, os.urandom(5).hex()), ())
            saved.exchange.talk.dilation = True
        else:
            document = json.loads(end.saved.text)
            saved, self.rows = checkpoint.load(document["wormhole"]), document["rows"]
        if self.rows["closed"] is not None:
            self._leaves()
            return
        journal = Journal(lambda: self.commit(self.take()))
        self.wormhole = DelegatedWormhole(
            URL,
            saved.exchange,
            self,
            journal if end.at_once else SlowJournal(self, end.world.commit_delay),
            self.connector,
            pending=saved.pending,
            heard_at=saved.heard_at,
            dilation=saved.dilation,
            options=Options(clock=self.reactor, now=end.world.wall, on_broken=end.world.broken),
        )
        self.wormhole.start()
        if end.saved is None:
            self.wormhole.set_code(end.world.code)

    # Commits.

    def take(self) -> Saved:
        """Everything as it is now."""
        return Saved.of(self.wormhole.serialize(), self.rows)

    def commit(self, saved: Saved) -> None:
        """Make it durable."""
        if self.doomed:
            self.die()  # a Deferred has caught the first death
        self.end.world.faults.before_commit(self)
        self.end.saved = saved
        self.end.world.watch.committed(self.end)
        self.end.world.faults.after_commit(self)

    # What the wormhole tells.

    def wormhole_got_versions(self, versions: dict[str, object]) -> None:
        if self.wormhole._happening.dilation is None:
            self.wormhole.dilate(**self.end.options)

    def wormhole_dilated(self, dilated: Any) -> None:
        self.say("is dilated")
        if self.end.world.hurried and self.end.number == 0:
            self.reactor.callLater(self.kernel.between(0, 20), self._hurry)
        for script in self.end.world.scripts:
            if script.name in self.rows["ended"]:
                continue
            late = script.after[self.end.number]
            self.reactor.callLater(late, partial(self._begin, dilated, script))

    def wormhole_cannot_dilate(self, error: Exception) -> None:
        if not (self.end.world.gone and isinstance(error, PeerGoneError)):
            self.end.world.violate(f"{self.end.name} cannot dilate: {error}")
        self.say("gives its peer up")
        self.wormhole.close()

    def wormhole_got_message(self, message: bytes) -> None:
        self.rows["byes"].append("theirs")
        self._consider()

    def wormhole_closed(self, result: object) -> None:
        self.end.leaves(self, result)
        self.rows["closed"] = str(result)
        self.wormhole.on_down(lambda: self.reactor.callLater(0, self._leaves))

    def _leaves(self) -> None:
        self.end.over = True
        self.doomed = True

    # Subchannels.

    def _begin(self, dilated: Any, script: Script) -> None:
        factory = Speakers(self, script)
        if script.opener != self.end.number:
            dilated.listener_for(script.name).listen(factory)
        elif not dilated.connector_for(script.name).resume(factory):
            if script.name in self.rows["opened"]:
                return  # it has ended, and the end is in the same commit
            opening = dilated.connector_for(script.name).connect(factory)
            opening.addErrback(self._cannot_open)

    def _cannot_open(self, failure: Any) -> None:
        failure.trap(WormholeClosed)
        if not self.end.world.is_cut_short:
            self.end.world.violate(f"{self.end.name} cannot open a subchannel")

    def opened(self, script: Script) -> None:
        """It has a protocol of ours for the first time."""
        if script.name in self.rows["opened"]:
            self.end.world.violate(f"{self.end.name} opens {script.name} twice")
        self.rows["opened"].append(script.name)

    def ended(self, script: Script) -> None:
        """It is over for the application."""
        self.say(f"has ended {script.name}")
        if script.name in self.rows["ended"]:
            self.end.world.violate(f"{self.end.name} is told twice that {script.name} ended")
        self.rows["ended"].append(script.name)
        self._consider()

    def _hurry(self) -> None:
        """Close before the end."""
        self.wormhole.send_message(BYE)
        self.wormhole.close()

    def _consider(self) -> None:
        """Close when both ends have ended everything."""
        byes = self.rows["byes"]
        if self.end.world.hurried:
            if "theirs" in byes:
                self._hurry()
            return
        if len(self.rows["ended"]) < len(self.end.world.scripts):
            return
        if "ours" not in byes:
            byes.append("ours")
            self.wormhole.send_message(BYE)
        if "theirs" in byes:
            self.wormhole.close()

    def buried(self) -> None:
        self.say("is gone")
        Process.buried(self)
        self.end.gone(self)


class Speakers(Factory):
    """Makes the protocol of one subchannel."""

    noisy = False

    def __init__(self, process: Ours, script: Script) -> None:
        self.process, self.script = process, script

    def buildProtocol(self, addr: Any) -> Speaker:
        kind = HalfSpeaker if self.script.half else Speaker
        speaker = kind(self.process, self.script)
        if addr.state is None:
            self.process.opened(self.script)
        else:
            speaker.load(addr)
        return speaker


class Speaker(TwistedProtocol):
    """Writes the records of a script, and checks those that come."""

    transport: Any

    def __init__(self, process: Ours, script: Script) -> None:
        self.process = process
        self.speech = Speech(script, process.end.number, process.end.world.violate)
        self._over = False
        self._reads = True
        """Whether we have not asked for a pause."""
        self._writes = True
        """Whether we are not asked for a pause."""

    def load(self, addr: Any) -> None:
        """Go on with what the process before this one saved."""
        self.speech.written, self.speech.read = addr.state
        if addr.received != self.speech.read or not addr.resumed:
            self.process.end.world.violate(
                f"{self.process.end.name} resumes {addr.subprotocol} after {addr.received} records,"
                f" and had taken {self.speech.read}"
            )

    def save_state(self) -> list[int]:
        return [self.speech.written, self.speech.read]

    def connectionMade(self) -> None:
        kind = self.speech.script.producer
        if kind and not self.speech.has_written:
            self.transport.registerProducer(self, kind == "push")
        if kind != "pull" or self.speech.has_written:
            self._later()

    def dataReceived(self, data: bytes) -> None:
        if not self._reads and not self.transport.disconnecting:
            self.process.end.world.violate("a record comes during a pause")
        self.speech.hear(data)
        random = self.process.kernel.random
        if self.speech.script.moody and random.random() < 0.1:
            self._reads = False
            self.transport.pauseProducing()
            self.process.reactor.callLater(random.random() * 5, self._read_again)
        self.consider()

    def _read_again(self) -> None:
        self._reads = True
        self.transport.resumeProducing()

    def pauseProducing(self) -> None:
        self._writes = False

    def resumeProducing(self) -> None:
        self._writes = True
        self._later()

    def stopProducing(self) -> None:
        self._writes = False

    def connectionLost(self, reason: Any = None) -> None:
        self._over = True
        if not self.process.end.world.is_cut_short:
            self.speech.hear_end()
        self.process.ended(self.speech.script)

    def make_record(self, plan: Any, index: int) -> bytes:
        return self.speech.script.record(self.speech.end, plan["from"] + index)

    def consider(self) -> None:
        """Close when nothing is left to do."""
        if self.speech.has_written and self.speech.has_read:
            self.transport.loseConnection()

    def _later(self) -> None:
        random = self.process.kernel.random
        delay = self.speech.script.pace * 2 * random.random()
        self.process.reactor.callLater(delay, self._write)

    def _write(self) -> None:
        if self._over or not self._writes:
            return
        speech = self.speech
        indices = speech.next(self.process.kernel.random)
        speech.written += len(indices)
        if speech.script.planned and indices:
            self.transport.write_plan({"from": indices.start}, len(indices))
        else:
            for index in indices:
                self.transport.write(speech.script.record(speech.end, index))
        if not speech.has_written and speech.script.producer != "pull":
            self._later()
        elif speech.has_written and speech.script.producer:
            self.transport.unregisterProducer()
        self.consider()


@implementer(IHalfCloseableProtocol)
class HalfSpeaker(Speaker):
    """Closes what it writes when that is all."""

    def consider(self) -> None:
        if self.speech.has_written:
            self.transport.loseWriteConnection()

    def readConnectionLost(self) -> None:  # noqa: N802
        if not self.process.end.world.is_cut_short:
            self.speech.hear_end()

    def writeConnectionLost(self) -> None:  # noqa: N802
        pass
