"""Transit for applications: a connection for bulk data, with the names of the stock library."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, ClassVar, Final

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from holdfast.transit.connection import Connection
from holdfast.transit.contest import Candidate, Contest, Link
from holdfast.transit.errors import TransitError
from holdfast.transit.handshake import Effects, Handshake, LineHandshake, Lost
from holdfast.transit.hints import Hint, abilities, address, parse
from holdfast.transit.keys import KEY_LENGTH, Role, TransitKeys
from holdfast.transit.network import Timer, network_of

CONNECT_TIME: Final = 120.0
"""Seconds that connecting takes at most, as with the stock client."""


class Transit:
    """Connects to the side that has the same key; what `TransitSender` and `TransitReceiver` share.

    Each side tells the other its hints (through a wormhole), takes the other's, and connects.

    Args:
        transit_relay: our relay, as `tcp:HOST:PORT`, or None.
        no_listen: whether nobody may connect to us.
        tor: a `TorManager`, or txtorcon's own object, through which all connections go; then
            nobody can connect to us.
        reactor: Twisted's; by default the one that is installed.

    Raises:
        ValueError: `transit_relay` is malformed.
    """

    TRANSIT_KEY_LENGTH: ClassVar[int] = KEY_LENGTH
    """Bytes of a transit key."""

    _role: ClassVar[Role]
    _peer: ClassVar[Role]

    def __init__(
        self,
        transit_relay: str | None = None,
        no_listen: bool = False,  # noqa: FBT001, FBT002 - as the stock library has it
        tor: Any = None,
        reactor: Any = None,
    ) -> None:
        if reactor is None:
            from twisted.internet import reactor
        network = network_of(reactor, tor)
        self._clock = network.clock
        self._side = os.urandom(8).hex()
        self._keys: TransitKeys | None = None
        self._hints: list[Hint] = []
        self._candidate: Candidate | None = None
        self._connecting: Deferred[Connection] | None = None
        self._deadline: Timer | None = None
        self._contest = Contest(
            network,
            None,
            self._role,
            self,
            side=self._side,
            relays=() if transit_relay is None else (address(transit_relay),),
            listen=not no_listen,
            greet=self._greet,
        )

    def get_connection_abilities(self) -> list[dict[str, str]]:
        """The kinds of hints that we understand, as JSON values."""
        return abilities()

    def get_connection_hints(self) -> Deferred[list[dict[str, Any]]]:
        """Listen, and return a Deferred of where we can be reached, as JSON values for the peer."""
        return self._contest.listen().addCallback(lambda _: self._contest.hints())

    def add_connection_hints(self, hints: Iterable[Any]) -> None:
        """Take the peer's hints, as they came; what is wrong with them is skipped."""
        self._hints += parse(list(hints))
        self._dial()

    def set_transit_key(self, key: bytes) -> None:
        """Use `key` (32 bytes), which the peer has too.

        Until then, whoever connects to us is turned away.

        Raises:
            TypeError: it is not bytes.
            ValueError: it has another length.
            RuntimeError: there is a key already.
        """
        if not isinstance(key, bytes):
            raise TypeError("a transit key is bytes")
        if self._keys is not None:
            raise RuntimeError("a Transit object has one key")
        self._keys = TransitKeys(key)
        self._dial()

    def connect(self) -> Deferred[Connection]:
        """Connect, as soon as there is a key.

        Returns:
            A Deferred of the connection; it fails with TransitError if there is none within two
            minutes, or before that if nobody can come in and all that was dialled has failed.
            Cancelling it gives up.

        Raises:
            RuntimeError: it was called before.
        """
        if self._connecting is not None:
            raise RuntimeError("a Transit object connects once")
        self._connecting = Deferred(lambda _: self._stop())
        self._deadline = self._clock.callLater(
            CONNECT_TIME,
            self._fail,
            "No connection to the other side within two minutes.",
        )
        connecting = self._connecting
        self._dial()
        if self._candidate is not None:
            self.ready(self._candidate)
        return connecting

    def close(self) -> Deferred[None]:
        """Stop listening and connecting; a `Connection` has its own `close`.

        Returns:
            A Deferred that fires when that is done. One of `connect` that has not fired fails.
        """
        self._fail("Connecting was given up.")
        return self._contest.stop()

    # What the contest tells (see `ContestOwner`).

    def ready(self, candidate: Candidate) -> None:
        """Use it, if we are to connect."""
        if self._connecting is None:
            self._candidate = candidate
        else:
            candidate.choose().addCallbacks(self._connected, _ignore)

    def exhausted(self, reason: str) -> None:
        """There will be no connection."""
        self._fail(f"No connection to the other side: {reason}.")

    def _dial(self) -> None:
        if self._connecting is not None and self._keys is not None:
            hints, self._hints = self._hints, []
            self._contest.dial(hints)

    def _greet(self, at_relay: bool) -> Handshake:  # noqa: FBT001
        if self._keys is None:
            return _NoKeyYet()
        return LineHandshake(self._keys, self._role, self._side if at_relay else None)

    def _connected(self, link: Link) -> None:
        assert self._keys is not None  # noqa: S101 - for type checkers
        connecting = self._connecting
        self._stop()
        keys = self._keys
        connection = Connection(
            link.describe, keys.record_key(self._role), keys.record_key(self._peer)
        )
        link.attach(connection)
        if connecting is not None and not connecting.called:
            connecting.callback(connection)

    def _fail(self, words: str) -> None:
        self._stop()
        if self._connecting is not None and not self._connecting.called:
            self._connecting.errback(TransitError(words))

    def _stop(self) -> None:
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
        self._contest.stop()


class TransitSender(Transit):
    """The side that sends the data, whoever connects to whom."""

    is_sender = True
    _role = "sender"
    _peer = "receiver"


class TransitReceiver(Transit):
    """The side that receives the data."""

    is_sender = False
    _role = "receiver"
    _peer = "sender"


class _NoKeyYet:
    """The handshake of a socket that came too early."""

    def begin(self) -> Effects:
        """Turn it away."""
        return (Lost("there is no key yet"),)

    def hear(self, data: bytes) -> Effects:  # noqa: ARG002
        """Nothing."""
        return ()

    def choose(self) -> Effects:
        """Nothing."""
        return ()

    def reject(self) -> Effects:
        """Nothing."""
        return ()


def _ignore(failure: Failure) -> None:
    """The contest has another candidate, or tells that there is none."""
    failure.trap(TransitError)
