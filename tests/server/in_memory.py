"""The server that `service()` puts together, without a process, a socket or a clock."""

import base64
import json
import struct
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from attrs import define, field
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from wormhole_mailbox_server.database import create_or_upgrade_channel_db

from holdfast.server.database import MailboxDatabase, open_database
from holdfast.server.turn import Turn
from holdfast.server.watches import Watches

with warnings.catch_warnings():
    # `twisted.web.static`, which the package imports, warns of itself.
    warnings.simplefilter("ignore", DeprecationWarning)
    from holdfast.server.applications import Applications
    from holdfast.server.websocket import Connections, site

APP = "example.com/test"


class Transport(StringTransport):
    """A connection that can be cut."""

    protocol: Any = None
    aborting = False

    def setTcpNoDelay(self, enabled: bool) -> None:  # noqa: N802
        pass

    def unregisterProducer(self) -> None:  # noqa: N802
        pass  # the package's WebSocket library calls it also when there is none

    def abortConnection(self) -> None:  # noqa: N802
        self.aborting = True


@define(eq=False)
class Client:
    """Somebody's connection."""

    transport: Transport
    _read: int = 0

    def say(self, kind: str, **rest: Any) -> None:
        # A longer one has one form of head only.
        payload = json.dumps({"type": kind, **rest}).encode().ljust(126)
        head = struct.pack("!BBH4x", 0x81, 0x80 | 126, len(payload))
        self.transport.protocol.dataReceived(head + payload)

    def heard(self) -> list[dict[str, Any]]:
        """What it was told since it was last asked."""
        return [said for said in self._frames() if said["type"] != "ack"]

    @property
    def kinds(self) -> list[str]:
        return [said["type"] for said in self.heard()]

    @property
    def is_cut(self) -> bool:
        return bool(self.transport.disconnecting or self.transport.aborting)

    def leave(self) -> None:
        self.transport.protocol.connectionLost(Failure(ConnectionDone()))

    def _frames(self) -> Iterator[dict[str, Any]]:
        data = self.transport.value()
        if not self._read:
            self._read = data.index(b"\r\n\r\n") + 4
        while self._read < len(data):
            size, start = data[self._read + 1], self._read + 2
            if size == 126:
                size, start = int.from_bytes(data[start : start + 2], "big"), start + 2
            self._read = start + size
            yield json.loads(data[start : start + size])


def connection(factory: Any) -> Client:
    """A new connection to a server, from which nothing was heard yet."""
    transport = Transport()
    protocol = factory.buildProtocol(None)
    transport.protocol = protocol
    protocol.makeConnection(transport)
    key = base64.b64encode(b"sixteen letters!").decode()
    protocol.dataReceived(
        f"GET /v1 HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
        f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
        f"Sec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    return Client(transport)


@define(eq=False)
class Server:
    """A server on a file."""

    path: Path
    database: MailboxDatabase
    clients: list[Client] = field(factory=list)
    turn: Any = None
    watches: Any = None
    rendezvous: Any = None
    _later: list[Callable[[], None]] = field(factory=list)
    _site: Any = None

    @classmethod
    def on(cls, path: Path, watched: int = 1000) -> "Server":
        new = cls(path, open_database(path, create_or_upgrade_channel_db))
        new.turn = turn = Turn(new.database.connection, new._later.append)
        new.rendezvous = server = Applications(turn)
        new.watches = watches = Watches.on(new.database.connection, turn, watched)
        new._site = site(server, Connections(server, watches))
        return new

    def connect(self, side: str) -> Client:
        """A client that is bound."""
        client = connection(self._site)
        self.clients.append(client)
        client.say("bind", appid=APP, side=side)
        self.next_turn()
        assert client.kinds == ["welcome"]
        return client

    def next_turn(self) -> None:
        """Let the reactor do what is due."""
        later, self._later[:] = list(self._later), []
        for call in later:
            call()

    def stop(self) -> None:
        for client in self.clients:
            client.leave()
        self.database.close()
