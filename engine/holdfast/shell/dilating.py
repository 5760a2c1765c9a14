"""The dilation of a wormhole: what it needs of the wormhole, and what the wormhole tells it.

`holdfast.dilation` knows a key, a network, and two ways to speak: phases that go through the
mailbox, and entries of the journal. `Dilating` is both for it, and keeps its document beside the
wormhole's own. Imported only by wormholes that are dilated.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from math import isfinite
from typing import TYPE_CHECKING, Any, Final

from attrs import field, frozen

from holdfast.clock import Timer
from holdfast.core import events as ev
from holdfast.core.documents import structure, unstructure
from holdfast.crypto import derive
from holdfast.dilation.control import Reconnect, Reconnecting, read
from holdfast.dilation.document import Options, load
from holdfast.dilation.driver import Dilation
from holdfast.errors import WormholeClosed
from holdfast.status import DilationStatus, Status
from holdfast.transit.hints import address
from holdfast.transit.network import network_of
from holdfast_journal import ImmediateJournal

if TYPE_CHECKING:
    from holdfast.dilation.dilated import DilatedWormhole
    from holdfast.shell.happening import Happening

PURPOSE: Final = "dilation-v1"
"""What the key of dilation is derived for (dilation-protocol.md)."""

GATHERED_FOR: Final = 0.005
"""Seconds for which a commit waits for more that can share it."""


@frozen
class Saved:
    """A dilation in the document of its wormhole.

    Args:
        state: the dilation's own document.
        asked: how many phases we had said when we last said one that the peer must answer before
            the next of its kind, or 0.
        closing: whether the application has closed the wormhole.
        told: whether the application was told that it may use it.
    """

    state: dict[str, Any] = field(repr=False)
    asked: int = 0
    closing: bool = False
    told: bool = False


class Dilating:
    """The host of a dilation (`holdfast.dilation.entries.Host`), inside its wormhole.

    Args:
        wormhole: what is dilated.
        options: the arguments of `dilate`; of no use if there is something saved.
        saved: what an earlier process has saved; None for a new dilation.

    Raises:
        BadCheckpoint: `saved` is damaged.
    """

    def __init__(self, wormhole: Happening, options: Options, saved: Saved | None = None) -> None:
        self._wormhole = wormhole
        self.network = network_of(wormhole.options.clock, wormhole.options.tor)
        """Where connections are made: through Tor if the wormhole's own is."""
        self.clock = self.network.clock
        """The time that timers have."""
        self._beginning: Timer | None = None
        self._told_before = saved is not None and saved.told
        """Whether an earlier process has told the application."""
        self._asked = 0 if saved is None else saved.asked
        self.is_closing = saved is not None and saved.closing
        """Whether the application has closed the wormhole."""
        self.is_gone = False
        """Whether the peer cannot dilate, or has been given up."""
        self._was_told = False
        self._has_begun = False
        loaded = None if saved is None else load(saved.state)
        options = options if loaded is None else loaded.options
        self._dilation = Dilation(self, loaded, options)
        self._dilation.dilated.resumed = self._told_before
        self._was_connected = False
        self._mark = self._dilation.mark()
        """As of the last entry."""

    # What the wormhole tells, all of it inside an entry.

    def resume(self) -> None:
        """Tell the application that it can go on with what it had, and begin soon.

        Not at once, since that has to be saved: `from_serialized` must have returned before.
        """
        if self._told_before:
            self.told(self.dilated)
        if self._wormhole.exchange.talk.can_dilate is not None or self.is_closing:
            self._beginning = self.clock.callLater(0, self.within, self.begin)
        # Else it begins when the peer has come: a visit of one that waits writes nothing.

    def begin(self) -> None:
        """Begin, or go on where an earlier process was."""
        if self._has_begun:
            return
        self._has_begun = True
        self._dilation.start()
        self.met()
        if self.is_closing:
            self._dilation.close(self._closed)

    def met(self) -> None:
        """Tell whether the peer can dilate, once that is known."""
        self.begin()
        can = self._wormhole.exchange.talk.can_dilate
        if can is not None:
            self._dilation.peer(can)

    def heard(self, body: bytes) -> None:
        """The peer's dilation says this."""
        self.begin()
        if self._asked and _is_turn(body):
            # The peer says this only after it has read what we said before our own.
            asked, self._asked = self._asked, 0
            self._wormhole.react(ev.DilationSeen(asked))
        self._dilation.heard(body)

    def close(self) -> None:
        """Close every subchannel; the wormhole closes when the peer knows, or ten seconds later."""
        self.begin()
        self.is_closing = True
        self._dilation.close(self._closed)

    def end(self) -> None:
        """The wormhole closes, well or badly: its subchannels hear that; twice is once."""
        ending = self._wormhole.ending
        self._dilation.end(ending if isinstance(ending, Exception) else WormholeClosed())
        self._wormhole.journal.queue_outbound(self.stop)

    def leave_entry(self) -> str | None:
        """Have the dilation hear of this entry's commit; return in words what it has changed.

        That is nothing, if it was something that only programs want to know; and None if it has
        not begun, so that there is nothing to be saved.
        """
        if not self._has_begun:
            return None
        before, self._mark = self._mark, self._dilation.mark()
        self._wormhole.journal.queue_outbound(self._dilation.committed, self._mark)
        connected, was = self._dilation.is_connected, self._was_connected
        self._was_connected = connected
        words = [] if connected == was else ["connected" if connected else "not connected"]
        if came := self._mark.in_ - before.in_:
            words.append(f"{_records(came)} came")
        if written := self._mark.out - before.out:
            words.append(f"{_records(written)} to send")
        return ", ".join(words)

    # Outside.

    @property
    def is_to_begin(self) -> bool:
        """Whether it has not begun in this process."""
        return not self._has_begun

    @property
    def dilated(self) -> DilatedWormhole:
        """What the application holds."""
        return self._dilation.dilated

    def save(self) -> dict[str, Any]:
        """Return the document, JSON values."""
        told = self._told_before or self._was_told
        saved = Saved(self._dilation.save(), self._asked, self.is_closing, told)
        document: dict[str, Any] = unstructure(saved)
        return document

    @property
    def is_unsaved(self) -> bool:
        """Whether there is something that has to be durable, since the last entry."""
        return self._dilation.is_unsaved

    def stop(self) -> None:
        """Let go of every connection: the wormhole is over, or continues elsewhere."""
        if self._beginning is not None and self._beginning.active():
            self._beginning.cancel()
        self._dilation.stop()

    # What the dilation asks.

    @property
    def delay(self) -> float:
        """Seconds for which a commit waits for more; 0 if nothing is stored."""
        return 0.0 if isinstance(self._wormhole.journal, ImmediateJournal) else GATHERED_FOR

    @property
    def careful(self) -> bool:
        """Whether each record has an entry of its own."""
        return self._wormhole.options.careful

    def now(self) -> float:
        """Seconds since the epoch."""
        return self._wormhole.options.now()

    def entropy(self, length: int) -> bytes:
        """Random bytes."""
        return os.urandom(length)

    def key(self) -> bytes:
        """The key of dilation, 32 bytes; there is one as soon as the peer can dilate."""
        shared = self._wormhole.exchange.shared_key
        if shared is None:
            raise RuntimeError("dilation began before there was a key")
        return derive(shared, PURPOSE, 32)

    def status(self) -> Status:
        """How the wormhole stands."""
        return self._wormhole.status

    def within(self, do: Callable[[], object]) -> None:
        """Call `do` inside an entry: the one that is open, or else a new one.

        What it raises there is the application's failure, as with every method of a delegate.
        """
        self._wormhole.within(do)

    def say(self, body: bytes) -> None:
        """Tell the peer's dilation; inside an entry."""
        self._wormhole.react(ev.SendDilation(body))
        if _is_turn(body):
            self._asked = self._wormhole.exchange.outbox.data.next_dilation

    def later(self, call: Callable[..., object], *args: object) -> None:
        """Call it behind the commit of this entry."""
        self._wormhole.journal.queue_outbound(call, *args)

    def told(self, dilated: DilatedWormhole) -> None:
        """The application may use it; it is told once in each process."""
        if not self._was_told:
            self._was_told = True
            self.within(lambda: self._wormhole.tell("wormhole_dilated", dilated))

    def cannot(self, error: Exception) -> None:
        """There is no dilation, or no longer."""
        self.is_gone = True
        self.within(lambda: self._wormhole.tell("wormhole_cannot_dilate", error))

    def _closed(self) -> None:
        self.within(lambda: self._wormhole.react(ev.Close()))


def dilate(
    wormhole: Happening,
    asked: Options,
    on_status_update: Callable[[DilationStatus], object] | None,
) -> DilatedWormhole:
    """Begin to dilate `wormhole`; the caller has checked that this may be."""
    dilation = wormhole.dilation = Dilating(wormhole, asked)
    dilation.dilated.on_status_update = on_status_update

    def begin() -> None:
        dilation.begin()
        wormhole.react(ev.Dilate())

    wormhole.enter(begin)
    return dilation.dilated


def options(
    transit_relay_location: str | None,
    *,
    no_listen: bool,
    ping_interval: float | None,
    expected_subprotocols: Iterable[str] | None,
    peer_timeout: float | None,
) -> Options:
    """Return the arguments of `dilate` as it keeps them.

    Raises:
        ValueError: the relay or a time is malformed.
        TypeError: the names of subprotocols are something else.
    """
    names = None if expected_subprotocols is None else [*expected_subprotocols]
    if isinstance(expected_subprotocols, str) or not all(isinstance(n, str) for n in names or ()):
        raise TypeError("expected_subprotocols are names, each of them text")
    if transit_relay_location is not None:
        address(transit_relay_location)
    for seconds in (ping_interval, peer_timeout):
        if seconds is not None and not (isfinite(seconds) and seconds > 0):
            raise ValueError(f"a time is a number of seconds above 0, not {seconds}")
    return Options(
        transit_relay_location,
        no_listen,
        Options().ping_interval if ping_interval is None else float(ping_interval),
        names,
        None if peer_timeout is None else float(peer_timeout),
    )


def _records(count: int) -> str:
    return "1 record" if count == 1 else f"{count:,} records"


def _is_turn(body: bytes) -> bool:
    """Whether this is a message of which each side says one, then the other side one."""
    return isinstance(read(body), Reconnect | Reconnecting)


def resumed(wormhole: Happening, document: Mapping[str, Any]) -> Dilating:
    """Bring back what `Dilating.save` gave.

    Raises:
        BadCheckpoint: the document is damaged.
    """
    saved = structure(document, Saved)
    return Dilating(wormhole, Options(), saved)


def check(document: Mapping[str, Any]) -> None:
    """Look whether it can be brought back.

    Raises:
        BadCheckpoint: the document is damaged.
    """
    load(structure(document, Saved).state)
