"""Direct connections between processes: what takes the place of TCP under a transfer.

A process has an address, and listens there. Either end of a line may be used as Twisted does it, or
by a thread that waits, as a `holdfast.transit.wire.Wire`. If a process dies, any part of what it
wrote arrives, and then the other end is told.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from attrs import define, field
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionDone, ConnectionLost, ConnectionRefusedError
from twisted.python.failure import Failure

from holdfast.transit.errors import WireError
from tests.simulation.kernel import Kernel
from tests.simulation.threads import Waiting

if TYPE_CHECKING:
    from tests.simulation.process import Process

ROOM = 256 * 1024
"""Bytes that may be under way on a line before whoever sends more has to wait."""

SPEED = 200_000.0
"""Bytes that a line takes in a second: a file of some records takes some time."""

KEPT_ALIVE = 180.0
"""Seconds after which the system has given up a connection whose other end does not answer."""

IDLE = 900.0
"""Seconds after which a thread gives up (`holdfast.transit.wire.IDLE`)."""


class LinesWatcher:
    """Who sees what happens on the lines; here: nobody."""

    def writes(self, end: End, data: bytes) -> None:
        """A process gives bytes to its end of a line."""

    def passed(self) -> None:
        """Something has arrived at one end of a line."""

    def survivors(self, under_way: int) -> int:
        """Of so many writes that are under way when a line breaks, how many arrive."""
        return under_way


@define(eq=False, repr=False)
class Lines:
    """All lines of a world, and who listens where."""

    kernel: Kernel
    watcher: LinesWatcher
    slowest: float = 0.05
    """Seconds that what was written is under way at most, beside its own length."""
    listening: dict[tuple[str, int], Port] = field(factory=dict, init=False)
    dead_is_dead: bool = field(default=False, init=False)
    """Whether on a line that is silent not even an end is told before the system finds out."""
    walled: set[str] = field(factory=set, init=False)
    """Addresses that nobody can reach."""
    ends: list[End] = field(factory=list, init=False)
    last_port: int = field(default=40_000, init=False)

    def latency(self) -> float:
        return self.kernel.between(0.0005, self.slowest)

    def gone(self, process: Process) -> None:
        """A process is dead."""
        for port in [port for port in self.listening.values() if port.process is process]:
            port.close()
        for end in [end for end in self.ends if end.process is process]:
            end.orphaned()

    def cut(self, end: End) -> None:
        """A line breaks: a part of what is under way is lost, and both ends notice soon."""
        for each in (end, end.other):
            each.loses()
            each.other.notices("lost", self.latency())

    def fall_silent(self, end: End) -> None:
        """Nothing passes any more, and nobody is told before the system finds out."""
        for each in (end, end.other):
            each.silent = True
            each.loses()
            each.other.notices("lost", self.kernel.between(KEPT_ALIVE / 3, KEPT_ALIVE))


@define(eq=False, repr=False)
class Port:
    """Somebody listens."""

    lines: Lines
    process: Process
    address: str
    port: int
    factory: Any

    def close(self) -> None:
        if self.lines.listening.get((self.address, self.port)) is self:
            del self.lines.listening[self.address, self.port]

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

    @property
    def hides(self) -> bool:
        return False

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
        walled = host in self.lines.walled
        there = None if walled else self.lines.listening.get((host, port))
        kernel, late = self.lines.kernel, self.lines.latency()
        if not self.process.alive:
            return
        if there is None:
            refused = Failure(ConnectionRefusedError())
            kernel.after(late, partial(_fail, connected, refused), self.process)
            return
        ours, theirs = (
            End(self.lines, self.process, host),
            End(self.lines, there.process, self.address),
        )
        ours.other, theirs.other = theirs, ours
        self.lines.ends += [ours, theirs]
        kernel.after(0, partial(theirs.opens, there.factory, None), there.process)
        kernel.after(late, partial(ours.opens, factory, connected), self.process)

    def wire(self, transport: Any, leftover: bytes) -> Wire:
        end: End = transport
        if end.shut or end.protocol is None:
            raise WireError
        end.taken = True
        end.unread[:0] = leftover
        protocol, end.protocol = end.protocol, None
        protocol.connectionLost(Failure(ConnectionDone()))
        return Wire(end)


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
    """Whether a thread has it."""
    waiting: Waiting = field(factory=Waiting, init=False)
    paused: bool = field(default=False, init=False)
    shut: bool = field(default=False, init=False)
    """Whether we have closed it ourselves."""
    note: Any = field(default=None, init=False)
    """What the watcher knows of it."""
    _under_way: deque[bytes | None] = field(factory=deque, init=False)
    """What was written and has not arrived; None in the place of what is lost."""
    _broken: bool = field(default=False, init=False)
    _last: float = field(default=0.0, init=False)
    """When what was sent last will arrive."""
    silent: bool = field(default=False, init=False)
    """Whether nothing passes, an end neither."""
    backed_up: bool = field(default=False, init=False)
    """Whether something that was written never arrives, and so is kept by the system."""
    _producer: Any = field(default=None, init=False)
    """Who is to be paused while there is no room."""
    _full: bool = field(default=False, init=False)
    bufferSize = 65_536  # noqa: N815
    """Bytes that are read at once at most, as Twisted tells."""

    @property
    def under_way(self) -> int:
        """Bytes that were written and have not arrived."""
        return sum(len(data) for data in self._under_way if data is not None)

    def opens(self, factory: Any, connected: Deferred[Any] | None) -> None:
        if connected is not None and connected.called:
            self.abortConnection()
            return
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
        self.backed_up = self.backed_up or (self._broken and not self.shut)
        if self.shut or self._broken or not data:
            return
        if self.process.alive and not self.process.doomed:
            self.lines.watcher.writes(self, data)
            kernel = self.lines.kernel
            self._under_way.append(bytes(data))
            soonest = max(self._last, kernel.now + self.lines.latency())
            self._last = soonest + len(data) / SPEED
            kernel.at(self._last, self._arrives)
            if self._producer is not None and not self._full and self.under_way > ROOM:
                self._full = True
                self._producer.pauseProducing()

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
        self.lines.kernel.after(0, self.read, self.process)

    def stopProducing(self) -> None:
        self.loseConnection()

    def registerProducer(self, producer: Any, streaming: bool) -> None:  # noqa: N802
        self._producer = producer

    def unregisterProducer(self) -> None:  # noqa: N802
        self._producer = None

    def getPeer(self) -> IPv4Address:  # noqa: N802
        return IPv4Address("TCP", self.host, 1)

    def getHost(self) -> IPv4Address:  # noqa: N802
        return IPv4Address("TCP", self.host, 1)

    # What happens to it.

    def read(self) -> None:
        """Take in what has come, if anybody does."""
        if self.taken:
            self.waiting.wake()
        elif self.protocol is not None and not self.paused:
            if self.unread:
                data, self.unread = bytes(self.unread), bytearray()
                self.protocol.dataReceived(data)
            if self.closed and not (self.shut or self.taken or self.paused or self.unread):
                self._told()

    def hears(self, data: bytes) -> None:
        """The other end's bytes are here."""
        if self.process.alive and not self.shut and not self.closed:
            self.unread += data
            self.lines.watcher.passed()
            # As a step of its own: a process that is paused reads it when it goes on.
            self.lines.kernel.after(0, self.read, self.process)

    def hears_end(self, how: str) -> None:
        """The other end is closed, or the line broke."""
        if not self.closed and self.process.alive:
            self.closed = how
            self.lines.watcher.passed()
            self.lines.kernel.after(0, self.read, self.process)

    def loses(self) -> None:
        """Of what was written only a part arrives from now on, and nothing that follows."""
        if not self._broken:
            self._broken = True
            keep = self.lines.watcher.survivors(len(self._under_way))
            for place in range(keep, len(self._under_way)):
                self._under_way[place] = None
                self.backed_up = True

    def notices(self, how: str, late: float) -> None:
        """This end learns that the line broke."""
        after = max(self.other._last, self.lines.kernel.now + late)
        self.lines.kernel.at(after, partial(self.hears_end, how))

    def orphaned(self) -> None:
        """The process is dead, and the system closes what it had."""
        if not self.shut:
            self.shut = True
            self.loses()
            self._ends("lost" if self.unread else "done")
        self._forget()

    # Inside.

    def _arrives(self) -> None:
        data = self._under_way.popleft()
        if data is not None:
            self.other.hears(data)
        if self.taken:
            self.waiting.wake()  # there is room again
        if self._full and self.under_way <= ROOM:
            self._full = False
            self.lines.kernel.after(0, self._drained, self.process)

    def _drained(self) -> None:
        if self._producer is not None and not (self.shut or self._full):
            self._producer.resumeProducing()

    def _told(self) -> None:
        """Close it too."""
        self.shut = True
        self._ends("done")
        self._forget()
        protocol, self.protocol = self.protocol, None
        protocol.connectionLost(
            Failure(ConnectionDone() if self.closed == "done" else ConnectionLost())
        )

    def _shut(self, how: str) -> None:
        self.shut = True
        self._ends(how)
        self._forget()
        self.waiting.wake()
        protocol, self.protocol = self.protocol, None
        if protocol is not None:
            why = Failure(ConnectionDone() if how == "done" else ConnectionLost())
            self.lines.kernel.after(0, partial(protocol.connectionLost, why), self.process)

    def _ends(self, how: str) -> None:
        """The other end is told that we have closed, if anything passes."""
        late = self.lines.latency()
        if not (self.silent and self.lines.dead_is_dead):
            self.other.notices(how, late)

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
        while self.end.under_way > ROOM and not self._over:
            self.end.waiting.wait(IDLE)
            self._check()
        if self._over:
            raise WireError("The connection broke.")
        self.end.write(bytes(data))

    def receive_into(self, buffer: memoryview) -> int:
        if not self.readable(IDLE):
            raise WireError("Nothing has moved for a long time.")
        unread = self.end.unread
        if unread:
            count = min(len(unread), len(buffer))
            buffer[:count] = unread[:count]
            del unread[:count]
            return count
        if self.end.closed != "done":
            raise WireError("The connection broke.")
        return 0

    def readable(self, seconds: float) -> bool:
        self._check()
        kernel = self.end.lines.kernel
        until = kernel.now + seconds
        while not self._is_readable and kernel.now < until:
            self.end.waiting.wait(until - kernel.now)
            self._check()
        return self._is_readable

    def interrupt(self) -> None:
        self.interrupted = True
        self.end.loseConnection()

    def close(self) -> None:
        self.end.loseConnection()

    @property
    def _over(self) -> bool:
        return bool(self.end.closed or self.end.shut)

    @property
    def _is_readable(self) -> bool:
        return bool(self.end.unread) or self._over

    def _check(self) -> None:
        if self.interrupted:
            raise WireError("The transfer was interrupted.")
