"""What becomes of a transfer's connection when its process dies, if somebody else holds it, too.

This is for stock clients, which take no second connection; another Holdfast just connects again.
The keeper gets the connection before it is chosen, so that the choice, too, can be gone on with.
"""

from __future__ import annotations

import socket
from functools import partial
from typing import Final

from attrs import define, field
from twisted.internet.defer import Deferred, succeed

from holdfast.flows.activities import Session
from holdfast.transit.contest import Candidate, Link
from holdfast.transit.keeping import Keeper, Kept, flow_of, socket_of, tag_of
from holdfast.transit.kept_wire import KeptWire
from holdfast.transit.positions import position_of
from holdfast.transit.wire import SocketWire, Wire

ROUTE: Final = "through a connection that was kept"
"""What is said of where such a connection leads."""


@define(eq=False)
class Keeping:
    """The connection of one transfer, as far as it is kept."""

    _session: Session
    _kept: Kept | None = field(default=None, init=False)
    """What the keeper holds for us."""

    @property
    def _keeper(self) -> Keeper | None:
        """None for what goes through Tor, too: its address there is gone with this process."""
        return self._session.keeper if self._session.tor is None else None

    @property
    def _flow(self) -> str:
        return flow_of(self._session.key)

    def find(self, transit_key: bytes, *, wanted: bool) -> Deferred[KeptWire | None]:
        """Return the connection that an earlier life of this flow has left, if it is `wanted`.

        What was left and is not wanted, or belongs to an earlier attempt, is closed.
        """
        keeper = self._keeper
        if keeper is None:
            return succeed(None)
        if not wanted:
            return self._session.in_thread(keeper.drop, self._flow)
        return self._session.in_thread(self._find, keeper, transit_key)

    def _find(self, keeper: Keeper, transit_key: bytes) -> KeptWire | None:
        found = keeper.take(self._flow, tag_of(transit_key))
        kept = None if found is None else Kept.named(found[0])
        if found is None or kept is None:
            keeper.drop(self._flow)
            return None
        self._kept = kept
        return KeptWire(found[1], kept.begins, partial(keeper.drop, self._flow))

    def hold(self, candidate: Candidate, transit_key: bytes) -> Deferred[None]:
        """Have a connection held that is about to be chosen."""
        keeper, transport = self._keeper, candidate.transport
        connected = None if keeper is None else socket_of(transport)
        begins = None if connected is None else position_of(connected)
        if keeper is None or connected is None or begins is None:
            return succeed(None)
        try:
            duplicate = connected.dup()
        except OSError:  # too many files are open
            return succeed(None)
        # Twisted reads so many bytes at once. What follows a sender's choice is not to be read
        # there: it would be lost with this process.
        transport.bufferSize = 1
        kept = Kept(self._flow, tag_of(transit_key), begins)
        return self._session.in_thread(self._hold, keeper, kept, duplicate)

    def _hold(self, keeper: Keeper, kept: Kept, connected: socket.socket) -> None:
        with connected:
            if keeper.keep(kept.name, connected.fileno()):
                self._kept = kept

    def wire(self, link: Link) -> Wire:
        """Take a connection away from Twisted, once it was chosen. Raises WireError."""
        keeper, kept, wire = self._keeper, self._kept, link.wire()
        if keeper is None or kept is None or not isinstance(wire, SocketWire):
            return wire
        if link.leftover:  # it is not in the socket any more
            self.drop()
            return wire
        return KeptWire(wire.detach(), kept.begins, partial(keeper.drop, self._flow))

    def drop(self) -> None:
        """The connection is of no use any more."""
        keeper, self._kept = self._keeper, None
        if keeper is not None:
            self._session.in_thread(keeper.drop, self._flow)

    def release(self) -> None:
        """Another process, or another life of the flow, may go on with it."""
        keeper, kept, self._kept = self._keeper, self._kept, None
        if keeper is not None and kept is not None:
            self._session.in_thread(keeper.release, kept.name)
