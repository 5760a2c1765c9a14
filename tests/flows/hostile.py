"""An engine with real sockets and threads, and peers that follow a script, in one process."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from attrs import define, field
from twisted.internet import reactor as real
from twisted.internet.task import LoopingCall

from holdfast.flows import Flow
from holdfast.flows.document import new_flow
from holdfast.flows.engine.engine import Engine
from holdfast.flows.shipped.transferring import TRANSIT_PURPOSE
from holdfast.testing.network import URL, Network
from holdfast.testing.server import MailboxServer
from holdfast.transfer import APPID
from holdfast.transit import hints
from holdfast.transit.keys import Role, TransitKeys
from holdfast.transit.records import Opener, Sealer
from holdfast_journal import FlowRow, SqlJournal
from tests.flows.acting import Client
from tests.harness import reactor
from tests.harness.waiting import DEADLINE

BATCH = "batch"


class Reactor:
    """Twisted's, under another name: what connects through memory here does so only here."""

    def __getattr__(self, name: str) -> Any:
        return getattr(real, name)


@define(eq=False)
class World:
    """An engine, and the mailbox server in memory."""

    reactor: Reactor
    network: Network
    journal: SqlJournal
    engine: Engine
    begun: int = 0

    def start(self, flow: Flow) -> str:
        """Start `flow`; return its name."""
        self.begun += 1
        name = f"flow {self.begun}"
        new = new_flow(name, flow, relay=URL, appid=APPID)
        self.journal.start_flows(BATCH, [new])
        return name

    def row(self, name: str) -> FlowRow:
        (row,) = self.journal.overview(name=name)
        return row

    async def end(self, name: str) -> FlowRow:
        await reactor.until(lambda: self.row(name).finished_at, f"the end of {name}")
        return self.row(name)


def world(folder: Path) -> Iterator[World]:
    """Yield a world."""

    def begin() -> tuple[World, LoopingCall]:
        own = Reactor()
        network = Network(MailboxServer(real.seconds), own)
        journal = SqlJournal.open(f"sqlite:///{folder}/journal.db", reactor=own)
        engine = Engine(journal, own, connector=network.connector)
        engine.start()
        delivering = LoopingCall(network.deliver_all)
        delivering.start(0.003)
        return World(own, network, journal, engine), delivering

    made, delivering = reactor.call(begin)
    yield made
    reactor.run(made.engine.stop)
    reactor.call(delivering.stop)
    made.journal.close()


@define(eq=False)
class Line:
    """A socket that the flow has opened, and the keys."""

    socket: socket.socket
    keys: TransitKeys
    role: Role
    """Of the script."""
    rest: bytes = b""
    heard: list[bytes] = field(factory=list)
    sealer: Sealer = field(init=False)
    opener: Opener = field(init=False)

    def __attrs_post_init__(self) -> None:
        other: Role = "receiver" if self.role == "sender" else "sender"
        self.sealer = Sealer(self.keys.record_key(self.role))
        self.opener = Opener(self.keys.record_key(other))

    def shake(self) -> None:
        """The handshake, as it should be."""
        if self.role == "sender":
            self.write(self.keys.sender_line)
            self.read(len(self.keys.receiver_line))
            self.write(b"go\n")
        else:
            self.write(self.keys.receiver_line)
            self.read(len(self.keys.sender_line) + 3)

    def write(self, data: bytes) -> None:
        self.socket.sendall(data)

    def say(self, *records: bytes) -> None:
        for record in records:
            self.write(self.sealer.seal(record))

    def read(self, length: int) -> bytes:
        """As many bytes; fewer at the end."""
        said = b""
        while len(said) < length and (more := self.socket.recv(length - len(said))):
            said += more
        return said

    def record(self) -> bytes:
        """The next record; raises at the end."""
        while not self.heard:
            data = self.socket.recv(65536)
            if not data:
                raise EOFError
            self.heard += self.opener.feed(data)
        return self.heard.pop(0)


Script = Callable[[Line], object]


@define(eq=False)
class Listener:
    """Where the flow finds the script, each time in a thread of its own."""

    script: Script
    role: Role
    keys: TransitKeys | None = None
    accepted: int = 0
    errors: list[Exception] = field(factory=list)
    socket: socket.socket = field(factory=lambda: socket.create_server(("0.0.0.0", 0)))

    def start(self) -> None:
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def hints(self) -> list[dict[str, Any]]:
        return hints.encode([hints.DirectHint("127.0.0.1", self.port)])

    @property
    def port(self) -> int:
        return int(self.socket.getsockname()[1])

    def close(self) -> None:
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.accepted += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(DEADLINE)
        with connection:
            try:
                self.script(Line(connection, self.keys or TransitKeys(bytes(32)), self.role))
            except (OSError, EOFError):
                pass
            except Exception as error:  # noqa: BLE001 - the test looks at it
                self.errors.append(error)


def key_of(client: Client) -> TransitKeys:
    return TransitKeys(client.wormhole.derive_key(TRANSIT_PURPOSE, 32))
