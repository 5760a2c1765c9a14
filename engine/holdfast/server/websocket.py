"""The package's WebSocket server, whose answers wait for the disk.

Imported only where the package is installed. Private names of the package's classes are neither
used nor overridden here.
"""

from typing import Any

from autobahn.exception import Disconnected
from autobahn.twisted.resource import WebSocketResource
from twisted.logger import Logger
from wormhole_mailbox_server.server_websocket import Error, WebSocketServer, WebSocketServerFactory
from wormhole_mailbox_server.web import make_web_server

from holdfast.server import nameplates, watch_frames
from holdfast.server.watch_frames import BATCH, KEY
from holdfast.server.watches import Watches
from holdfast.server.watching import Watching

FULL = 503
"""HTTP's answer to clients when there are too many connections: service unavailable."""

# The package accepts messages of any size from any client. Eight megabytes are hundreds of times
# what an exchange needs, and still fit into the memory of a small machine.
LARGEST_MESSAGE = 8 * 1024 * 1024

_log = Logger()


class _Connection(WebSocketServer):  # type: ignore[misc]
    """One client's connection."""

    factory: "Connections"
    maxMessagePayloadSize: int  # noqa: N815

    def __init__(self) -> None:
        super().__init__()
        self._bound: tuple[Any, str, str] | None = None
        self._has_allocated = False
        self._watching: Watching | None = None

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        self.factory.turn.begin()
        frame = watch_frames.read(payload) if self.factory.watches.most else None
        if self._bound is not None and (asked := nameplates.only_one(payload)) is not None:
            self._tell_of(self._bound[1], asked)
        elif frame is None:
            super().onMessage(payload, isBinary)
        elif self._watching is None:
            self.send("error", error="must bind first", orig=watch_frames.original(frame))
        else:
            self._watching.hear(frame)

    def onClose(self, wasClean: bool, code: Any, reason: Any) -> None:  # noqa: N802, N803
        super().onClose(wasClean, code, reason)
        if self._watching is not None:
            self._watching.leave()

    def failHandshake(  # noqa: N802
        self, reason: str, code: int = 400, *args: Any, **kwargs: Any
    ) -> None:
        if code == FULL:
            self.factory.is_full()
        super().failHandshake(reason, code, *args, **kwargs)

    def sendMessage(self, payload: bytes, isBinary: bool = False, **options: Any) -> None:
        # The package says everything with this method, as text and without options.
        self.factory.turn.answer(self, payload)

    def tell(self, payload: bytes) -> None:
        # The limit is for what comes in. What was accepted must be passed on, with what the package
        # puts around it: if a client cannot be told it now, a retry would fail as well.
        limit, self.maxMessagePayloadSize = self.maxMessagePayloadSize, 0
        try:
            super().sendMessage(payload)
        except Disconnected:
            pass  # it asks again when it is back
        finally:
            self.maxMessagePayloadSize = limit

    def cut(self) -> None:
        self.dropConnection(abort=True)

    def handle_bind(self, msg: Any, server_rx: float) -> None:
        super().handle_bind(msg, server_rx)
        self._bound = self.factory.rendezvous.get_app(msg["appid"]), msg["appid"], msg["side"]
        self._watching = Watching(self.factory.watches, msg["appid"], self.send)

    def _tell_of(self, app: str, nameplate: str) -> None:
        """Answer a `list` of one nameplate, which would otherwise have 100,000."""
        taken = nameplates.is_taken(self.factory.turn, app, nameplate)
        self.send("nameplates", nameplates=[{"id": nameplate}] if taken else [])

    def handle_allocate(self, server_rx: float) -> None:
        # For each allocation, the package reads the names of all nameplates that are taken.
        if self._has_allocated:
            raise Error("you already allocated one, don't be greedy")
        if self._bound is None:
            raise Error("must bind first")
        app, name, side = self._bound
        nameplate = nameplates.free_nameplate(self.factory.turn, name)
        if nameplate is None:
            raise Error("no nameplate is free")
        app.claim_nameplate(nameplate, side, server_rx)
        self._has_allocated = True
        self.send("allocated", nameplate=nameplate)


class Connections(WebSocketServerFactory):  # type: ignore[misc]
    """Makes one for each client of a `server`; with `most`, at most so many."""

    protocol = _Connection

    def __init__(self, server: Any, watches: Watches, most: int | None = None) -> None:
        super().__init__(None, server)
        self.rendezvous = server
        self.watches = watches
        self.turn = watches.turn
        if watches.most:
            # The package puts into each welcome what is in here.
            server.get_welcome()[KEY] = {"version": 1, "most": watches.most, "batch": BATCH}
        self._most = most
        self.refused = 0
        """How many clients were sent away because there were too many."""
        # A client that sends too much is told so, and need not find out by trying again.
        self.setProtocolOptions(
            maxMessagePayloadSize=LARGEST_MESSAGE, failByDrop=False, maxConnections=most
        )

    def is_full(self) -> None:
        """A client had to be refused: say so, once."""
        self.refused += 1
        if self.refused == 1:
            _log.warn(
                "there are {most} connections, as many as this process may open (ulimit -n); who"
                " comes now is sent away",
                most=self._most,
            )

    @property
    def number(self) -> int:
        """How many there are."""
        return int(self.countConnections)


def site(server: Any, connections: Connections) -> Any:
    """Return the package's web site for `server`, with these connections."""
    result = make_web_server(server, log_requests=False)
    result.resource.putChild(b"v1", WebSocketResource(connections))
    return result
