"""The dilation of one wormhole at work: what is saved, the connection, and what goes both ways.

What must survive is in the manager and the ledger, which are pure and are saved in the wormhole's
own commits. Everything else here is of this process: contests, one link after another, protocols.
What the manager asks for is carried out behind the commit in which it asked.

Two rules hold for all that crosses a link: nothing leaves before it is durable, and nothing is
acknowledged before its effect is. `mark` notes at the end of an entry how far the ledger is, and
`committed` lets that out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from attrs import frozen
from twisted.logger import Logger

from holdfast.dilation import control
from holdfast.dilation.alarm import Alarm
from holdfast.dilation.anew import Anew
from holdfast.dilation.channels import Channels
from holdfast.dilation.closing import Closing
from holdfast.dilation.connecting import Connecting
from holdfast.dilation.control import Ignored
from holdfast.dilation.dilated import DilatedWormhole
from holdfast.dilation.document import Options, SavedDilation, save
from holdfast.dilation.entries import Entries, Host
from holdfast.dilation.generations import (
    WORDS,
    Dial,
    Drop,
    Effect,
    Effects,
    Ready,
    Refused,
    Say,
    StartContest,
)
from holdfast.dilation.ledger import Ledger
from holdfast.dilation.level import Level
from holdfast.dilation.manager import Manager
from holdfast.dilation.reporting import Reporting
from holdfast.dilation.traffic import Traffic
from holdfast.errors import OldPeerCannotDilateError, PeerGoneError
from holdfast.status import StoppedPeer
from holdfast.transit.contest import Link as Socket
from holdfast.transit.hints import address

SIDE_LENGTH: Final = 8
"""Bytes of our name in `please`."""

_log = Logger()


@frozen
class Mark:
    """How far the ledger was at the end of an entry.

    Args:
        out: the highest number that was given to a record of ours; -1 if there was none.
        in_: the highest number of a record of the peer's that was taken, or -1.
    """

    out: int
    in_: int


class Dilation:
    """Drives the dilation of one wormhole.

    Args:
        host: the wormhole.
        saved: what an earlier process saved; None for a new one.
        options: the arguments of `dilate`.
    """

    def __init__(self, host: Host, saved: SavedDilation | None, options: Options) -> None:
        self._host = host
        state = self._state = saved or _begin(host, options)
        ledger = state.ledger
        self._is_resumed = saved is not None
        self._entries = Entries(host)
        level = Level(ledger, stored=bool(host.delay))
        expected = options.expected_subprotocols
        self._channels = Channels(ledger, self._entries, level.is_full, expected)
        interval = options.ping_interval
        self._traffic = Traffic(self, host, ledger, self._entries, self._channels, level, interval)
        relay = options.transit_relay_location
        self._connecting = Connecting(
            host,
            self,
            state.manager.data.side,
            () if relay is None else (address(relay),),
            listen=not options.no_listen,
        )
        self._anew = Anew(host.clock, lambda: self._do(lambda: self._manager.lost(host.now())))
        self._deadline = Alarm(host.clock, lambda: self._do(self._manager.expired))
        self._closing = Closing(host.clock, self._entries, self._channels, self._traffic)
        self._reporting = Reporting(host, interval)
        self.dilated = DilatedWormhole(self._channels, self._reporting, resumed=saved is not None)
        """What the application holds."""
        self._channels.unblocked = self._unblocked

    @property
    def _manager(self) -> Manager:
        return self._state.manager

    @property
    def _ledger(self) -> Ledger:
        return self._state.ledger

    # What the wormhole tells.

    def start(self) -> None:
        """Begin, or go on where an earlier process was; inside an entry."""
        now = self._host.now()
        if self._is_resumed:
            self._carry_out(self._manager.resumed(now))
            self._know_roles()
        else:
            self._carry_out(self._manager.dilate(now))

    def peer(self, can: bool) -> None:  # noqa: FBT001 - it is what is told
        """The peer can dilate, or cannot; inside an entry."""
        self._carry_out(self._manager.peer(self._host.now(), can=can))

    def heard(self, body: bytes) -> None:
        """The peer's next phase says this; inside an entry."""
        said = control.read(body)
        if isinstance(said, Ignored):
            self._carry_out((said,))
        else:
            self._carry_out(self._manager.heard(said, self._host.now()))

    def save(self) -> dict[str, Any]:
        """What must survive, as JSON values."""
        self._channels.remember()
        return save(self._manager, self._ledger, self._state.options)

    def mark(self) -> Mark:
        """How far we are, at the end of an entry; `committed` wants it behind the commit."""
        self._entries.saved()
        return Mark(self._ledger.next_out - 1, self._ledger.highest_in)

    @property
    def is_unsaved(self) -> bool:
        """Whether something has changed since the last entry that has to be durable."""
        return self._entries.are_wanted

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection to the peer."""
        manager = self._manager
        return manager.data.lost_at is None and manager.state in ("leading", "following")

    def committed(self, mark: Mark) -> None:
        """Everything up to there is durable."""
        self._traffic.sending.committed(mark.out, mark.in_)
        self._closing.look()

    def close(self, done: Callable[[], object]) -> None:
        """Close every subchannel; call `done` when the peer has everything, or after a while."""
        self._manager.close()
        self._closing.begin(done, hopeless=self._manager.state == "refused")

    def end(self, error: Exception) -> None:
        """The wormhole is over: every subchannel that is open hears that; inside an entry."""
        self._reporting.peer(StoppedPeer())
        self.dilated.fail(error)
        self._channels.lose_all(error)

    def stop(self) -> None:
        """Let go of everything, and call nobody any more."""
        self._entries.stop()
        self._connecting.stop()
        self._anew.clear()
        self._deadline.clear()
        if self._closing.stop():
            self._traffic.close()
        else:
            self._traffic.drop()

    # What contests and links tell.

    def say_hints(self, hints: list[dict[str, Any]]) -> None:
        """Tell the peer where we can be reached."""
        if self._manager.state in ("leading", "following"):
            self._entries.now(lambda: self._host.say(control.write_hints(hints)))

    def connected(self, socket: Socket) -> None:
        """There is a connection."""
        self._do(self._manager.connected)
        if self._manager.data.lost_at is None and not self._entries.is_stopped:
            self._reporting.connected(socket.describe)
            self._traffic.begin(socket)
        else:
            socket.abort()

    def lost(self, *, useful: bool, wrong: bool) -> None:
        """The link is gone."""
        self._reporting.connecting()
        self._anew.lost(useful=useful, wrong=wrong, leader=bool(self._ledger.leader))

    def acknowledged(self) -> None:
        """The peer has taken more."""
        self._channels.acknowledged()
        self._closing.look()

    # What the manager asks for.

    def _do(self, what: Callable[[], Effects]) -> None:
        """Do it in an entry of its own."""
        self._entries.now(lambda: self._carry_out(what()))

    def _carry_out(self, effects: Effects) -> None:
        for effect in effects:
            self._carry_out_one(effect)
        deadline = self._manager.deadline(self._state.options.peer_timeout)
        if deadline is None:
            self._deadline.clear()
        elif not self._deadline.is_set:
            self._deadline.set(deadline - self._host.now())

    def _carry_out_one(self, effect: Effect) -> None:
        host = self._host
        match effect:
            case Say(said):
                host.say(control.write(said))
            case StartContest(leader, generation):
                self._reporting.connecting(generation)
                self._ledger.begin(leader=leader)
                self._know_roles()
                # At once: until the commit, a connection of the older generation may come.
                self._drop()
                host.later(self._start_contest, leader, generation)
            case Dial(hints):
                self._reporting.hints(hints)
                host.later(self._connecting.dial, hints)
            case Ready():
                host.told(self.dilated)
                self.dilated.ready()
            case Drop():
                self._drop()
            case Refused(reason):
                error = (
                    OldPeerCannotDilateError()
                    if reason == "old peer"
                    else PeerGoneError(WORDS[reason])
                )
                self._reporting.peer(StoppedPeer())
                self.dilated.fail(error)
                self._channels.lose_all(error)
                host.cannot(error)
            case Ignored(why):
                _log.debug("dilation: ignored {why}", why=why)

    def _start_contest(self, leader: bool, generation: int) -> None:  # noqa: FBT001
        """Called behind the commit; the manager may have thought better of it since."""
        manager = self._manager
        if generation == manager.data.generation and manager.state in ("leading", "following"):
            self._connecting.begin(leader=leader)

    def _drop(self) -> None:
        self._anew.clear()
        self._traffic.drop()
        self._connecting.stop()

    def _know_roles(self) -> None:
        if self._ledger.leader is not None:
            self.dilated.met(leader=self._ledger.leader)

    def _unblocked(self) -> None:
        """Something that waited for the application can go on."""
        self._host.clock.callLater(0.0, self._traffic.go_on)


def _begin(host: Host, options: Options) -> SavedDilation:
    return SavedDilation(Manager.begin(host.entropy(SIDE_LENGTH).hex()), Ledger(), options)
