"""Direct connections in memory, in the place of TCP: those of dilated wormholes, and of Transit."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Final

from attrs import define, field
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import (
    CannotListenError,
    ConnectionDone,
    ConnectionLost,
    ConnectionRefusedError,
)
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure

from holdfast.rendezvous.boundaries import Clock
from holdfast.transit.errors import WireError

ADDRESS: Final = "192.0.2.1"
"""Where everybody can be reached: an address that no machine has."""

Queue = deque[Callable[[], object]]


def _lives() -> bool:
    return False


@define(eq=False, repr=False)
class Direct:
    """Who listens at which port, and which connections there are.

    Args:
        queue: what arrives next, as calls without arguments.
    """

    queue: Queue
    listening: dict[int, Factory] = field(factory=dict, init=False)
    ends: list[End] = field(factory=list, init=False)
    """Both ends of each connection."""
    is_up: bool = True
    """Whether a new connection can be made."""
    _ports: int = field(default=0, init=False)

    def host(self, clock: Clock, is_dead: Callable[[], bool] = _lives) -> Host:
        """The network as one process has it.

        Args:
            clock: the clock of the process.
            is_dead: asked before anything is sent: whether the process has just died.
        """
        return Host(self, clock, is_dead)

    def cut(self) -> None:
        """Break all connections, and lose everything that is on its way."""
        for end in self.ends[:]:
            end.lose(ConnectionLost())

    def free_port(self) -> int:
        """A port at which nobody has listened yet."""
        self._ports += 1
        return self._ports


@define(eq=False, repr=False)
class Host:
    """One process's network; see `holdfast.transit.network.Network`."""

    direct: Direct
    clock: Clock
    is_dead: Callable[[], bool]
    hides: bool = field(default=False, init=False)

    def addresses(self) -> Sequence[str]:
        """The addresses of this host."""
        return (ADDRESS,)

    def listen(self, port: int, factory: Factory) -> Deferred[Any]:
        """Take connections in on `port`, or on any that is free if it is 0."""
        port = port or self.direct.free_port()
        if port in self.direct.listening:
            return fail(CannotListenError(None, port, OSError("in use")))
        self.direct.listening[port] = factory
        return succeed(_Port(self.direct, port))

    def connect(self, host: str, port: int, factory: Factory) -> Deferred[Any]:
        """Connect to whoever listens at `port`."""
        listening = self.direct.listening.get(port)
        if listening is None or host != ADDRESS or not self.direct.is_up:
            return fail(ConnectionRefusedError())
        place: Any = IPv4Address("TCP", ADDRESS, port)
        there, here = listening.buildProtocol(place), factory.buildProtocol(place)
        if there is None or here is None:
            return fail(ConnectionRefusedError())
        near: Any = End(self, here)
        far: Any = End(self, there)
        near.other, far.other = far, near
        self.direct.ends += [near, far]
        there.makeConnection(far)
        here.makeConnection(near)
        return succeed(here)

    def wire(self, transport: Any, leftover: bytes) -> Any:  # noqa: ARG002 - as networks have it
        """Refuse: threads have nothing to wait for here."""
        raise WireError


@define(eq=False, repr=False)
class _Port:
    direct: Direct
    port: int

    def stop(self) -> Deferred[None]:
        self.direct.listening.pop(self.port, None)
        return succeed(None)


@define(eq=False, repr=False)
class End:
    """One end of a connection, as Twisted's transport."""

    host: Host
    protocol: Any
    other: End = field(init=False)
    bufferSize: int = field(default=2**16, init=False)  # noqa: N815 - Twisted's name
    disconnecting: bool = field(default=False, init=False)
    _unread: list[bytes] = field(factory=list, init=False)
    _is_paused: bool = field(default=False, init=False)
    _ends: bool = field(default=False, init=False)
    """Whether the other end is closed, and what it has sent is not read yet."""
    _is_lost: bool = field(default=False, init=False)

    # What protocols call.

    def write(self, data: bytes) -> None:
        """Send `data`."""
        if not (self.disconnecting or self._is_lost or self.host.is_dead()):
            self._soon(self.other.arrives, bytes(data))

    def writeSequence(self, data: Iterable[bytes]) -> None:  # noqa: N802
        """Send all of these."""
        self.write(b"".join(data))

    def loseConnection(self) -> None:  # noqa: N802
        """Close it, when everything has arrived."""
        if not self.disconnecting:
            self.disconnecting = True
            self._soon(self.other.ends)
            self._soon(self._end, ConnectionDone())

    def abortConnection(self) -> None:  # noqa: N802
        """Close it, and lose what is on its way."""
        self._soon(self.lose, ConnectionLost())

    def pauseProducing(self) -> None:
        """Read nothing for a while."""
        self._is_paused = True

    def resumeProducing(self) -> None:
        """Read again."""
        self._is_paused = False
        self._soon(self._read)

    def stopProducing(self) -> None:
        """Close it."""
        self.loseConnection()

    def registerProducer(self, producer: Any, streaming: bool) -> None:  # noqa: FBT001, N802
        """Nothing: there is always room."""

    def unregisterProducer(self) -> None:  # noqa: N802
        """Nothing."""

    def getPeer(self) -> IPv4Address:  # noqa: N802
        """Where the other end is."""
        return IPv4Address("TCP", ADDRESS, 0)

    def getHost(self) -> IPv4Address:  # noqa: N802
        """Where this end is."""
        return IPv4Address("TCP", ADDRESS, 0)

    # What happens to it.

    def arrives(self, data: bytes) -> None:
        """The other end has sent this."""
        self._unread.append(data)
        self._read()

    def ends(self) -> None:
        """The other end has closed it, and everything from there has arrived."""
        self._ends = True
        self._read()

    def lose(self, why: Exception) -> None:
        """It is gone, at both ends."""
        if not self._is_lost:
            self._end(why)
            self._soon(self.other.lose, ConnectionLost())

    def _end(self, why: Exception) -> None:
        """It is gone at this end."""
        if not self._is_lost:
            self._is_lost = True
            self.host.direct.ends.remove(self)
            self.protocol.connectionLost(Failure(why))

    def _read(self) -> None:
        while self._unread and not (self._is_paused or self._is_lost):
            self.protocol.dataReceived(self._unread.pop(0))
        if self._ends and not self._unread:
            self.lose(ConnectionDone())

    def _soon(self, call: Callable[..., object], *args: object) -> None:
        self.host.direct.queue.append(partial(call, *args))
