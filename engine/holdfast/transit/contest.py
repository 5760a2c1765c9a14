"""One effort to get one connection: listen, dial all that is offered, and let one socket win.

Specified in transit.md, "Transit Negotiation". Who else listens where a hint points is not known
before its first bytes come, so a hostile peer may have us open connections to any address and port
that we can reach, as with every client; we write no more there than the handshake's first line, and
there are limits to their number (`holdfast.transit.dialling`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, Protocol

from attrs import field, frozen
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Protocol as TwistedProtocol

from holdfast.transit.attempt import Attempt, Way
from holdfast.transit.dialling import Dialling, place
from holdfast.transit.door import Door
from holdfast.transit.errors import TransitError
from holdfast.transit.handshake import Handshake, LineHandshake
from holdfast.transit.hints import DirectHint, Hint, RelayHint, encode
from holdfast.transit.keys import Role, TransitKeys
from holdfast.transit.network import Network, Timer
from holdfast.transit.wire import Wire

MOST_ACCEPTED: Final = 50
"""Sockets that came in and have not proved themselves; the oldest goes when there are more."""


class ContestOwner(Protocol):
    """Is told how a contest goes, but never from inside one of its own calls."""

    def ready(self, candidate: Candidate) -> None:
        """`candidate` may be chosen.

        One at a time: another comes only if this one was rejected or is lost. It may be lost
        before it is chosen, which `choose` tells, and so does another candidate.
        """
        ...

    def exhausted(self, reason: str) -> None:
        """All that was dialled has failed, and nobody can come in either. `reason` is in words."""
        ...


@frozen(eq=False)
class Candidate:
    """A socket at whose other end somebody has the same key."""

    describe: str
    _contest: Contest = field(repr=False)
    _attempt: Attempt = field(repr=False)

    @property
    def is_lost(self) -> bool:
        """Whether it broke meanwhile, so that choosing it would fail."""
        return self._attempt.reason is not None

    @property
    def transport(self) -> Any:
        """Twisted's transport."""
        return self._attempt.transport

    def choose(self) -> Deferred[Link]:
        """Use it. For a receiver this is the point of no return, for a sender as well.

        Returns:
            A Deferred that fires when the sender has said `go`, or fails with TransitError if that
            was about another socket, or this one broke: then the contest goes on.
        """
        return self._contest._choose(self._attempt)  # noqa: SLF001 - one idea in two classes

    def reject(self) -> None:
        """Do not use it: close it, and go on with the others."""
        self._attempt.reject()


class Link:
    """The connection that has won. Its transport does not read before somebody takes it over."""

    def __init__(self, network: Network, attempt: Attempt) -> None:
        self._network = network
        self._attempt = attempt
        self.describe = attempt.describe

    @property
    def leftover(self) -> bytes:
        """What came after the handshake."""
        return self._attempt.leftover

    @property
    def handshake(self) -> Handshake:
        """What was made by `greet` for this connection."""
        return self._attempt.handshake

    @property
    def transport(self) -> Any:
        """Twisted's transport."""
        return self._attempt.transport

    def wire(self) -> Wire:
        """Take the connection away from Twisted, for a thread. Once, and instead of `attach`.

        Raises:
            WireError: it broke meanwhile.
        """
        return self._network.wire(self.transport, self.leftover)

    def attach(self, protocol: TwistedProtocol) -> None:
        """Give the connection to `protocol`, which gets `leftover` first. Once."""
        self._attempt.take_over(protocol)

    def close(self) -> None:
        """Close it."""
        self.transport.loseConnection()

    def abort(self) -> None:
        """Close it at once, whatever has not been sent."""
        self.transport.abortConnection()


class Contest:
    """Gets one connection to the side that has the same keys.

    Args:
        network: the network.
        keys: those of this transfer; None if `greet` knows them.
        role: whether we are the sender or the receiver.
        owner: chooses.
        side: our name at relays, 16 hexadecimal digits; the same after a restart, because a relay
            connects any two sides that have different names.
        relays: our own.
        listen: whether others may connect to us.
        greet: makes another handshake for a socket, given whether it leads to a relay.

    Raises:
        ValueError: there are neither keys nor another handshake.
    """

    def __init__(
        self,
        network: Network,
        keys: TransitKeys | None,
        role: Role,
        owner: ContestOwner,
        *,
        side: str,
        relays: Sequence[DirectHint] = (),
        listen: bool = True,
        greet: Callable[[bool], Handshake] | None = None,
    ) -> None:
        self._network = network
        self._owner = owner
        if greet is None:
            if keys is None:
                raise ValueError("a contest needs keys")
            greet = partial(_greet, keys, role, side)
        self._greet = greet
        self._relays = tuple(relays)
        self._door = Door(network, self._accept, closed=not listen or network.hides)
        self._dialling = Dialling(network, self._relays, self._attempt, self._look_soon)
        self._sockets: dict[Attempt, None] = {}
        """All that are open, in the order in which they were opened; the winner is not."""
        self._ready: list[Attempt] = []
        self._offered: Attempt | None = None
        self._choosing: Deferred[Link] | None = None
        self._over = False
        self._look_timer: Timer | None = None

    def listen(self, port: int = 0) -> Deferred[int | None]:
        """Let others connect to us from now on.

        Args:
            port: the number of the port; 0 for any that is free.

        Returns:
            A Deferred of the number; of None if nobody can come in, because we were told not to
            listen, everything goes through Tor, or the port is not free.
        """
        return self._door.open(port)

    def hints(self) -> list[dict[str, Any]]:
        """Where we can be reached, for the other side; complete once `listen` has fired."""
        direct: list[Hint] = []
        if self._door.port is not None:
            direct = [DirectHint(each, self._door.port) for each in self._network.addresses()]
        return encode([*direct, *(RelayHint((relay,)) for relay in self._relays)])

    def dial(self, hints: Sequence[Hint]) -> None:
        """Connect to where the other side can be reached, and to our own relays.

        It may be called again, with more; each address is dialled once.
        """
        if not self._over:
            self._dialling.dial(hints)
            self._look_soon()

    def dial_again(self, hints: Sequence[Hint]) -> None:
        """Connect to `hints` and our own relays once more, also where that has failed before."""
        if not self._over:
            self._dialling.forget()
            self.dial(hints)

    def stop(self) -> Deferred[None]:
        """Give up everything, except a Link that was handed out.

        Returns:
            A Deferred that fires when no other socket is left.
        """
        self._end()
        return Deferred.fromCoroutine(self._down())

    # What attempts tell (see `AttemptOwner`).

    def is_open(self, attempt: Attempt) -> None:
        """There is one more."""
        self._sockets[attempt] = None
        if self._over:
            attempt.reject()
            return
        unproved = [
            each
            for each in self._sockets
            if each.way == "in" and not each.is_proved and each.reason is None
        ]
        if len(unproved) > MOST_ACCEPTED:
            unproved[0].reject()

    def is_ready(self, attempt: Attempt) -> None:
        """It waits until it is the first in line."""
        self._ready.append(attempt)
        self._look_soon()

    def has_won(self, attempt: Attempt) -> None:
        """All others have lost, and are told so before anything else happens."""
        del self._sockets[attempt]
        choosing, self._choosing, self._offered = self._choosing, None, None
        self._end()
        if choosing is not None:
            choosing.callback(Link(self._network, attempt))

    def has_failed(self, attempt: Attempt) -> None:
        """It cannot win."""
        self._dialling.note(f"{attempt.describe}: {attempt.reason}")
        if attempt in self._ready:
            self._ready.remove(attempt)
        if attempt is self._offered:
            choosing, self._choosing, self._offered = self._choosing, None, None
            if choosing is not None:
                choosing.errback(_error(attempt))
        self._look_soon()

    def is_down(self, attempt: Attempt) -> None:
        """There is one less."""
        self._sockets.pop(attempt, None)
        self._look_soon()

    def _choose(self, attempt: Attempt) -> Deferred[Link]:
        """See `Candidate.choose`."""
        if attempt.reason is not None:
            return fail(_error(attempt))
        if attempt is not self._offered or self._choosing is not None:
            raise RuntimeError("a candidate is chosen once")
        choosing: Deferred[Link] = Deferred(lambda _: attempt.reject())
        self._choosing = choosing
        attempt.choose()
        return choosing

    def _accept(self, address: IAddress | None) -> Attempt | None:
        """Somebody has connected to us."""
        host, port = getattr(address, "host", "?"), getattr(address, "port", "?")
        return None if self._over else self._attempt(f"<-{place(host, port)}", "in")

    def _attempt(self, describe: str, way: Way) -> Attempt:
        return Attempt(self, self._greet(way == "relay"), self._network.clock, describe, way)

    def _look_soon(self) -> None:
        """The owner may have to be told something: in a later turn, see `ContestOwner`."""
        if self._look_timer is None and not self._over:
            self._look_timer = self._network.clock.callLater(0, self._look)

    def _look(self) -> None:
        self._look_timer = None
        if self._offered is not None:
            return
        if self._ready:
            attempt = self._offered = self._ready.pop(0)
            self._owner.ready(Candidate(attempt.describe, self, attempt))
        elif not self._sockets and self._door.port is None and self._dialling.has_failed():
            self._owner.exhausted(self._dialling.reason)

    def _end(self) -> None:
        self._over = True
        if self._look_timer is not None:
            self._look_timer.cancel()
            self._look_timer = None
        self._dialling.stop()
        for attempt in tuple(self._sockets):
            attempt.reject()
        self._door.close()

    async def _down(self) -> None:
        await self._door.down
        for attempt in tuple(self._sockets):
            await attempt.down


def _greet(keys: TransitKeys, role: Role, side: str, at_relay: bool) -> Handshake:  # noqa: FBT001
    return LineHandshake(keys, role, side if at_relay else None)


def _error(attempt: Attempt) -> TransitError:
    return TransitError(f"The connection {attempt.describe} was lost: {attempt.reason}.")
