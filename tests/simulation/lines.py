"""Direct connections between processes: what takes the place of TCP under a transfer.

A process has an address, and listens there. Either end of a line may be used as Twisted does it, or
by a thread that waits, as a `holdfast.transit.wire.Wire`. If a process dies, any part of what it
wrote arrives, and then the other end is told.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from attrs import define, field
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionDone, ConnectionLost, ConnectionRefusedError
from twisted.python.failure import Failure

from holdfast.transit.errors import WireError
from tests.simulation.threads import Waiting

if TYPE_CHECKING:
    from tests.simulation.kernel import Kernel
    from tests.simulation.process import Process


@define(eq=False, repr=False)
class Lines:
    """All lines of a world, and who listens where."""

    kernel: Kernel
    listening: dict[tuple[str, int], Port] = field(factory=dict)
    ends: list[End] = field(factory=list)
    passed: Callable[[], object] = lambda: None
    """Called whenever something has arrived anywhere."""
    last_port: int = 40_000

    def latency(self) -> float:
        return self.kernel.between(0.0005, 0.05)

    def gone(self, process: Process) -> None:
        """A process is dead."""
        for port in [port for port in self.listening.values() if port.process is process]:
            port.close()
        for end in [end for end in self.ends if end.process is process]:
            end.orphaned()


@define(eq=False, repr=False)
class Port:
    """Somebody listens."""

    lines: Lines
    process: Process
    address: str
    port: int
    factory: Any

    def close(self) -> None:
        self.lines.listening.pop((self.address, self.port), None)

    def stop(self) -> Deferred[None]:
        self.close()
        return succeed(None)


@define(eq=False, repr=False)
class Net:
    """The network as one process has it; see `holdfast.transit.network.Network`."""

    lines: Lines
    process: Process
    address: str

    @property
    def clock(self) -> Any:
        return self.process.reactor

    def addresses(self) -> Sequence[str]:
        return (self.address,)

    def listen(self, port: int, factory: Any) -> Deferred[Port]:
        if not port:
            self.lines.last_port += 1
            port = self.lines.last_port
        place = (self.address, port)
        if place in self.lines.listening:
            return fail(OSError("address already in use"))
        made = self.lines.listening[place] = Port(
            self.lines, self.process, self.address, port, factory
        )
        return succeed(made)

    def connect(self, host: str, port: int, factory: Any) -> Deferred[Any]:
        connected: Deferred[Any] = Deferred()
        self.lines.kernel.after(
            self.lines.latency(), partial(self._arrives, host, port, factory, connected)
        )
        return connected

    def _arrives(self, host: str, port: int, factory: Any, connected: Deferred[Any]) -> None:
        """The first packet is there."""
        there = self.lines.listening.get((host, port))
        kernel, late = self.lines.kernel, self.lines.latency()
        if not self.process.alive:
            return
        if there is None:
            refused = Failure(ConnectionRefusedError())
            kernel.after(late, partial(_fail, connected, refused), self.process)
            return
        ours, theirs = End(self.lines, self.process, host), End(self.lines, there.process, host)
        ours.other, theirs.other = theirs, ours
        self.lines.ends += [ours, theirs]
        kernel.after(0, partial(theirs.opens, there.factory, None), there.process)
        kernel.after(late, partial(ours.opens, factory, connected), self.process)

    def wire(self, transport: End, leftover: bytes) -> Wire:
        transport.taken = True
        transport.unread[:0] = leftover
        return Wire(transport)


def _fail(connected: Deferred[Any], failure: Failure) -> None:
    if not connected.called:
        connected.errback(failure)


@define(eq=False, repr=False)
class End:
    """One end of a line: Twisted's transport."""

    lines: Lines
    process: Process
    host: str
    other: End = field(init=False)
    protocol: Any = field(default=None, init=False)
    unread: bytearray = field(factory=bytearray, init=False)
    closed: str = field(default="", init=False)
    """Why nothing comes any more: done or lost."""
    taken: bool = field(default=False, init=False)
    """Whether a thread reads it."""
    waiting: Waiting = field(factory=Waiting, init=False)
    paused: bool = field(default=False, init=False)
    shut: bool = field(default=False, init=False)
    """Whether we have closed it ourselves."""
    _last: float = field(default=0.0, init=False)
    """When what was sent last will arrive."""

    def opens(self, factory: Any, connected: Deferred[Any] | None) -> None:
        self.protocol = factory.buildProtocol(self.getPeer())
        if self.protocol is None:
            self.abortConnection()
            return
        self.protocol.makeConnection(self)
        if connected is not None and not connected.called:
            connected.callback(self.protocol)
        self.read()

    # What Twisted's protocols use.

    def write(self, data: bytes) -> None:
        if not self.shut and self.process.alive and not self.process.doomed and data:
            self._send(partial(self.other.hears, bytes(data)))

    def writeSequence(self, data: Sequence[bytes]) -> None:  # noqa: N802
        self.write(b"".join(data))

    def loseConnection(self) -> None:  # noqa: N802
        if not self.shut:
            self._shut("done")

    def abortConnection(self) -> None:  # noqa: N802
        if not self.shut:
            self._shut("lost")

    def pauseProducing(self) -> None:
        self.paused = True

    def resumeProducing(self) -> None:
        self.paused = False
        self.read()

    def stopReading(self) -> None:  # noqa: N802
        self.paused = True

    def registerProducer(self, producer: Any, streaming: bool) -> None:  # noqa: N802
        pass

    def unregisterProducer(self) -> None:  # noqa: N802
        pass

    def setTcpKeepAlive(self, enabled: bool) -> None:  # noqa: N802
        pass

    def setTcpNoDelay(self, enabled: bool) -> None:  # noqa: N802
        pass

    def getPeer(self) -> IPv4Address:  # noqa: N802
        return IPv4Address("TCP", self.host, 1)

    def getHost(self) -> IPv4Address:  # noqa: N802
        return IPv4Address("TCP", self.host, 1)

    # What happens to it.

    def hears(self, data: bytes) -> None:
        if self.process.alive and not self.shut:
            self.unread += data
            self.lines.passed()
            self.read()

    def read(self) -> None:
        if self.taken:
            self.waiting.wake()
        elif self.protocol is not None and not self.paused and self.process.alive:
            if self.unread:
                data, self.unread = bytes(self.unread), bytearray()
                self.lines.kernel.act(self.process, partial(self.protocol.dataReceived, data))
            if self.closed and not self.shut and not self.taken and not self.unread:
                self._told()

    def hears_end(self, how: str) -> None:
        if not self.closed and self.process.alive:
            self.closed = how
            if how == "lost":
                self.unread.clear()
            self.lines.passed()
            self.read()

    def orphaned(self) -> None:
        """The process is dead, and the system closes what it had."""
        if not self.shut:
            self.shut = True
            self._send(partial(self.other.hears_end, "lost" if self.unread else "done"))
        self._forget()

    # Inside.

    def _told(self) -> None:
        self.shut = True
        self._send(partial(self.other.hears_end, "done"))
        self._forget()
        protocol, self.protocol = self.protocol, None
        why = ConnectionDone() if self.closed == "done" else ConnectionLost()
        self.lines.kernel.act(self.process, partial(protocol.connectionLost, Failure(why)))

    def _shut(self, how: str) -> None:
        self.shut = True
        self._send(partial(self.other.hears_end, how))
        self._forget()
        self.waiting.wake()
        protocol, self.protocol = self.protocol, None
        if protocol is not None:
            why = Failure(ConnectionDone() if how == "done" else ConnectionLost())
            self.lines.kernel.after(0, partial(protocol.connectionLost, why), self.process)

    def _send(self, call: Callable[[], object]) -> None:
        self._last = max(self._last, self.lines.kernel.now + self.lines.latency())
        self.lines.kernel.at(self._last, call)

    def _forget(self) -> None:
        if self in self.lines.ends:
            self.lines.ends.remove(self)


@define(eq=False, repr=False)
class Wire:
    """A line as a thread sees it; see `holdfast.transit.wire.Wire`."""

    end: End
    interrupted: bool = False

    def send(self, data: bytes | bytearray | memoryview) -> None:
        self._check()
        if self.end.closed or self.end.shut:
            raise WireError("The connection broke.")
        self.end.write(bytes(data))

    def receive_into(self, buffer: memoryview) -> int:
        if not self.readable(None):
            raise WireError("Nothing has moved for a long time.")
        unread = self.end.unread
        if unread:
            count = min(len(unread), len(buffer))
            buffer[:count] = unread[:count]
            del unread[:count]
            return count
        if self.end.closed == "lost":
            raise WireError("The connection broke.")
        return 0

    def readable(self, seconds: float | None) -> bool:
        self._check()
        if not self.end.unread and not self.end.closed and not self.end.shut:
            self.end.waiting.wait(900.0 if seconds is None else seconds)
            self._check()
        return bool(self.end.unread or self.end.closed or self.end.shut)

    def interrupt(self) -> None:
        self.interrupted = True
        self.end.waiting.wake()

    def close(self) -> None:
        self.end.loseConnection()

    def _check(self) -> None:
        if self.interrupted:
            raise WireError("The transfer was interrupted.")
