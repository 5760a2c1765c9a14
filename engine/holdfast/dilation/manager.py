"""What the two sides agree on through the mailbox, and what has to be done for it; pure.

This finds out what something means; what follows from it is in `holdfast.dilation.generations`.
"""

from __future__ import annotations

from typing import Final, Self

from attrs import define

from holdfast.core.machine import Part
from holdfast.dilation.control import Control, Hints, Ignored, Please, Reconnect, Reconnecting
from holdfast.dilation.generations import MANAGER, Data, Effects, Inputs, State

GRACE: Final = 60.0
"""Seconds that a peer has to answer a process that has just begun."""


@define(eq=False)
class Manager:
    """The machine, behind what finds out which of its inputs something is.

    Make it with `begin` or `load`. Each method returns what has to be done, in that order; times
    are seconds since the epoch. No method raises for what a peer said.
    """

    _part: Part[Inputs, Data, State]
    _resumed_at: float = 0.0

    @classmethod
    def begin(cls, side: str) -> Self:
        """A new one, whose name in `please` is `side`: 16 fresh hexadecimal digits."""
        return cls(MANAGER.begin(Data(side)))

    @classmethod
    def load(cls, record: object) -> Self:
        """Bring back what `save` gave.

        Raises:
            BadCheckpoint: it is damaged.
        """
        return cls(MANAGER.restore(record))

    def save(self) -> dict[str, object]:
        """JSON values."""
        return self._part.serialize()

    @property
    def state(self) -> State:
        """The name of the state."""
        return self._part.state

    @property
    def data(self) -> Data:
        """What it remembers, for reading."""
        return self._part.data

    @property
    def leader(self) -> bool | None:
        """Whether we lead; None before the peer has said `please`."""
        return self.data.side > self.data.theirs if self.data.theirs else None

    def dilate(self, now: float) -> Effects:
        """The application asks for it."""
        self.data.dilated = True
        return self._consider(now)

    def peer(self, now: float, *, can: bool) -> Effects:
        """The peer has said whether it can."""
        if self.data.able is None:
            self.data.able = can
        return self._consider(now)

    def heard(self, control: Control, now: float) -> Effects:
        """The peer's next phase `dilate-N` says this."""
        match control:
            case Please(side, _, holdfast):
                return self._please(side, holdfast=holdfast)
            case Hints(hints):
                return self._part.change().hints(hints)
            case Reconnect():
                return self._part.change().reconnect(now)
            case Reconnecting():
                return self._part.change().reconnecting()

    def connected(self) -> Effects:
        """The contest has a connection."""
        return self._part.change().connected()

    def lost(self, now: float) -> Effects:
        """The connection is gone. As a leader, abort it a moment before this.

        A stock follower that hears of the loss while it still believes in a connection with a full
        buffer waits for ever.
        """
        # Without a connection it is one that we have dropped ourselves.
        return self._part.change().lost(now) if self.data.lost_at is None else ()

    def resumed(self, now: float) -> Effects:
        """A process begins to drive what another one saved. Once, and before anything else."""
        self._resumed_at = now
        return self._part.change().resumed(now)

    def deadline(self, timeout: float | None) -> float | None:
        """When to call `expired`, if a peer may be away for `timeout` seconds; None for never.

        It counts from the loss of the connection, whether or not there was a process meanwhile.
        But the peer may have been there when there was none: each new process gives it a minute.
        """
        if timeout is None or self.data.lost_at is None:
            return None
        if self._part.is_in("refused", "stopped"):
            return None  # it is over
        return max(self.data.lost_at + timeout, self._resumed_at + min(timeout, GRACE))

    def expired(self) -> Effects:
        """The peer has been away for too long."""
        return () if self.data.lost_at is None else self._part.change().refuse("gone")

    def close(self) -> None:
        """The application closes the wormhole: what is there goes on, nothing begins."""
        self.data.closing = True

    def stop(self) -> Effects:
        """The wormhole ends."""
        return self._part.change().stop()

    def _consider(self, now: float) -> Effects:
        data = self.data
        if self.state != "waiting" or not data.dilated or data.closing or data.able is None:
            return ()
        if not data.able:
            return self._part.change().refuse("old peer")
        effects = self._part.change().want(now)
        return (*effects, *self._meet()) if data.theirs else effects

    def _please(self, side: str, *, holdfast: bool) -> Effects:
        data = self.data
        if not data.theirs:
            data.theirs, data.holdfast = side, holdfast
            return self._meet() if self.state == "wanting" else ()
        if side == data.theirs or self._part.is_in("waiting", "refused", "stopped"):
            return (Ignored("another please"),)
        return self._part.change().refuse("began anew")

    def _meet(self) -> Effects:
        data = self.data
        if data.theirs == data.side:
            return self._part.change().refuse("reflected")
        inputs = self._part.change()
        return inputs.lead() if data.side > data.theirs else inputs.follow()
