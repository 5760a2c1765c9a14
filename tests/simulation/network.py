"""Connections between processes and the mailbox server, which may be cut, half dead, or slow.

`Dialer` stands where `holdfast.rendezvous.dialer.Dialer` does, under the real connector; its
sockets do, frame by frame, what `holdfast.rendezvous.boundaries.Listener` is promised. The bytes
below that are tested in tests/rendezvous.
"""

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from attrs import define, field

from holdfast.rendezvous.boundaries import ConnectionEnded, Listener
from tests.simulation.kernel import Kernel
from tests.simulation.threads import Process

SILENCE = 75.0
"""Seconds after which a client gives a silent server up (`holdfast.rendezvous.websocket`)."""

SERVER_PATIENCE = 660.0
"""Seconds after which the stock server has given up a client that vanished."""


class ServerLine(Protocol):
    """One connection, at the server's end."""

    def hear(self, text: str) -> None: ...

    def gone(self) -> None: ...


class MailboxServer(Protocol):
    """See `holdfast.testing.MailboxServer`."""

    running: bool

    def connect(self, deliver: Callable[[str], None], cut: Callable[[], None]) -> Any: ...


class Watcher(Protocol):
    """Who sees what passes."""

    def sends(self, socket: "Socket", text: str) -> None:
        """A process gives a frame to its socket."""

    def arrives(self, socket: "Socket", text: str) -> None:
        """The server is about to hear a frame."""

    def answers(self, socket: "Socket", text: str) -> None:
        """The server is about to give a frame to a wire."""

    def hears(self, socket: "Socket") -> None:
        """A process takes in what the server said."""

    def ends(self, socket: "Socket", why: str) -> None:
        """A process learns that a connection is gone, which it did not close."""


@define(eq=False, repr=False)
class Network:
    """Everything between the processes and the server."""

    kernel: Kernel
    server: MailboxServer
    watcher: Watcher
    refuses: float = 0.0
    """The chance that a connection is refused all the same."""
    slowest: float = 0.05
    """Seconds that a frame is under way at most."""
    sockets: list["Socket"] = field(factory=list, init=False)

    def latency(self) -> float:
        return self.kernel.between(0.0005, self.slowest)

    def busy(self) -> float:
        """Seconds until a process reads what has come, and all that comes meanwhile with it."""
        return self.latency() if self.kernel.random.random() < 0.5 else 0.0

    def answers(self, socket: "Socket", text: str) -> None:
        """The server says something."""
        self.watcher.answers(socket, text)
        socket.down.put(text)

    def passed(self, socket: "Socket", text: str) -> None:
        """Something has come out of a wire, at either end."""

    def survivors(self, under_way: int) -> int:
        """Of so many frames that are under way when a connection breaks, how many arrive."""
        return self.kernel.random.randint(0, under_way)


@define(eq=False, repr=False)
class Dialer:
    """Makes the connections of one process."""

    network: Network
    process: Process
    paused: bool = field(default=False, init=False)
    _waiting: list["Socket"] = field(factory=list, init=False)

    @property
    def clock(self) -> Any:
        return self.process.reactor

    def dial(self, url: str, listener: Listener) -> "Socket":
        socket = Socket(self, listener)
        if self.paused:
            self._waiting.append(socket)
        else:
            socket.begin()
        return socket

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False
        waiting, self._waiting = self._waiting, []
        for socket in waiting:
            socket.begin()
        for socket in tuple(self.network.sockets):
            if socket.dialer is self:
                self.network.kernel.after(0, socket.go_on, self.process)


@define(eq=False, repr=False)
class Pipe:
    """One direction of a connection: what goes in comes out, in order, some time."""

    network: Network
    out: Callable[[str], None]
    broken: bool = False
    last: float = 0.0
    texts: deque[str] = field(factory=deque)

    def put(self, text: str) -> None:
        if not self.broken:
            self.texts.append(text)
            self.last = max(self.last, self.network.kernel.now + self.network.latency())
            self.network.kernel.at(self.last, self._next)

    def _next(self) -> None:
        if self.texts:
            text = self.texts.popleft()
            if text is not _LOST:
                self.out(text)

    def lose(self) -> None:
        """From somewhere on nothing arrives any more."""
        self.broken = True
        if self.texts:
            keep = self.network.survivors(len(self.texts))
            self.texts = deque([*list(self.texts)[:keep], *[_LOST] * (len(self.texts) - keep)])


_LOST = "\0lost"


@define(eq=False, repr=False)
class Socket:
    """A WebSocket of a process, and the wire behind it, up to the server's line."""

    dialer: Dialer
    listener: Listener | None
    stage: str = "dialling"
    """dialling, open, closing, closed: as the process sees it."""
    line: ServerLine | None = None
    """The server's end, while it has one."""
    up: Pipe = field(init=False)
    down: Pipe = field(init=False)
    note: Any = None
    """What the watcher knows of it."""
    _unread: list[str] = field(factory=list, init=False)

    def __attrs_post_init__(self) -> None:
        self.up = Pipe(self.network, self._at_server)
        self.down = Pipe(self.network, self._at_process)

    @property
    def network(self) -> Network:
        return self.dialer.network

    @property
    def process(self) -> Process:
        return self.dialer.process

    # What the process does.

    @property
    def is_open(self) -> bool:
        return self.stage == "open"

    @property
    def is_paused(self) -> bool:
        return self.dialer.paused or bool(self._unread)

    def send(self, text: str) -> None:
        if self.stage == "open" and self.process.alive and not self.process.doomed:
            self.network.watcher.sends(self, text)
            self.up.put(text)

    def close(self) -> None:
        if self.stage == "dialling":
            self.abort("we closed the connection before it was open")
        elif self.stage == "open":
            self.stage = "closing"
            self._unread.clear()
            self.up.put(_BYE)
            self._ends(ConnectionEnded("we closed the connection", True), self.network.latency())

    def abort(self, reason: str = "we dropped the connection") -> None:
        if self.stage in ("dialling", "open"):
            self.stage = "closing"
            self._unread.clear()
            self._break()
            self._ends(ConnectionEnded(reason, False), 0.0)

    # What happens to it.

    def begin(self) -> None:
        """Go to the server."""
        if self.stage == "dialling":
            self.network.sockets.append(self)
            self.network.kernel.after(self.network.latency(), self._reaches_server)

    def cut(self, reason: str = "connection lost") -> None:
        """It breaks; what is under way is lost, and each end notices in its own time."""
        if self.stage == "closed":
            return
        self.down.lose()
        self._break()
        if self.stage != "closing":
            end = ConnectionEnded(reason, False)
            self.network.kernel.after(self.network.latency(), partial(self._cut, end), self.process)

    def fall_silent(self) -> None:
        """Nothing passes any more, and nobody is told: each end notices by its own patience."""
        self.down.lose()
        self._break(self.network.kernel.between(60, SERVER_PATIENCE))
        end = ConnectionEnded("the server was silent for 75 seconds", False)
        late = self.network.kernel.between(SILENCE, SILENCE + 30)
        self.network.kernel.after(late, partial(self._cut, end), self.process)

    def orphaned(self) -> None:
        """The process is dead: any prefix of what it wrote arrives, and the end is noticed late."""
        if self.stage != "closed":
            self.stage = "closed"
            self.listener = None
            slow = self.network.kernel.random.random() < 0.1
            self._break(self.network.kernel.between(0, SERVER_PATIENCE if slow else 0.2))
            self._forget()

    def go_on(self) -> None:
        """Read what has come, unless the process cannot take it in now."""
        if self._unread and self.stage == "open" and not self.dialer.paused:
            texts, self._unread = self._unread, []
            self.network.watcher.hears(self)
            if self.listener is not None:
                self.listener.received(texts)

    # Inside.

    def _reaches_server(self) -> None:
        if self.stage != "dialling" or not self.process.alive:
            return
        network = self.network
        refused = network.kernel.random.random() < network.refuses
        if refused or not network.server.running:
            self.stage = "closing"
            end = ConnectionEnded("cannot connect: connection refused", False)
            self._ends(end, network.latency())
            return
        self.down.last = network.kernel.now + network.latency()
        network.kernel.at(self.down.last, self._opens, self.process)
        self.line = network.server.connect(partial(network.answers, self), self._server_cuts)

    def _opens(self) -> None:
        if self.stage == "dialling" and self.listener is not None:
            self.stage = "open"
            self.listener.opened()

    def _server_cuts(self) -> None:
        self.line = None
        self.up.lose()
        end = ConnectionEnded("the server hung up", False)
        self.down.last = max(self.down.last, self.network.kernel.now + self.network.latency())
        self.network.kernel.at(self.down.last, partial(self._cut, end), self.process)

    def _at_server(self, text: str) -> None:
        if text is _BYE:
            self._server_notices()
        elif self.line is not None:
            self.network.watcher.arrives(self, text)
            self.line.hear(text)
            self.network.passed(self, text)

    def _at_process(self, text: str) -> None:
        process = self.process
        if process.alive and self.stage in ("open", "dialling"):
            self.network.passed(self, text)
            self._unread.append(text)
            if len(self._unread) == 1:
                # As a step of its own: a process that is paused reads it when it goes on.
                self.network.kernel.after(self.network.busy(), self.go_on, self.process)

    def _cut(self, end: ConnectionEnded) -> None:
        if self.stage in ("dialling", "open"):
            self.stage = "closing"
            self._unread.clear()
            self.network.watcher.ends(self, end.reason)
            self._end(end)

    def _break(self, server_notices: float | None = None) -> None:
        """Nothing more gets to the server, but a part of what is under way."""
        kernel = self.network.kernel
        self.up.lose()
        late = self.network.latency() if server_notices is None else server_notices
        kernel.at(max(self.up.last, kernel.now + late), self._server_notices)

    def _server_notices(self) -> None:
        line, self.line = self.line, None
        if line is not None:
            line.gone()

    def _ends(self, end: ConnectionEnded, delay: float) -> None:
        self.network.kernel.after(delay, partial(self._end, end), self.process)

    def _end(self, end: ConnectionEnded) -> None:
        if self.stage == "closed":
            return
        self.stage = "closed"
        self._forget()
        listener, self.listener = self.listener, None
        if listener is not None:
            listener.closed(end)

    def _forget(self) -> None:
        if self in self.network.sockets:
            self.network.sockets.remove(self)


_BYE = "\0bye"
