"""The real mailbox server without sockets: the package's own service, sweeps and connections.

It is made by the package's `makeService`, on an in-memory database of the package's making.
What is replaced lies around it: the clock, the random numbers, and autobahn's framing (a message
goes straight to `onMessage`, and comes straight from `sendMessage`). One thing is imitated: Twisted
drops a connection whose code raises, with all that it has not written yet; that this is so over
sockets is seen in `test_server.py`.
"""

import warnings
from collections.abc import Callable
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from attrs import define, field
from twisted.internet.task import Clock

with warnings.catch_warnings():
    # Twisted deprecates a part of its web server that it uses itself.
    warnings.simplefilter("ignore", DeprecationWarning)
    from wormhole_mailbox_server import database, server, server_tap, server_websocket

HOST, PORT = "127.0.0.1", 40000


@define(eq=False, repr=False)
class RealServer:
    """To be used as the model is; *patch* replaces what is around the package."""

    patch: pytest.MonkeyPatch
    random: Random
    clock: Clock
    lines: list["RealLine"] = field(factory=list)
    _database: Any = None
    _service: Any = None

    def __attrs_post_init__(self) -> None:
        self._database = database.create_or_upgrade_channel_db(":memory:")
        time = SimpleNamespace(time=self.clock.seconds)
        self.patch.setattr(server_tap, "time", time)
        self.patch.setattr(server_websocket, "time", time)
        self.patch.setattr(server_tap, "increase_rlimits", lambda: None)
        self.patch.setattr(server_tap, "create_or_upgrade_channel_db", lambda _: self._database)
        self.patch.setattr(server, "random", self.random)
        self.patch.setattr(server, "os", SimpleNamespace(urandom=self.random.randbytes))
        self._start()

    def _start(self) -> None:
        options = server_tap.Options()
        options.parseOptions([])
        self._service = server_tap.makeService(options)
        rendezvous, sweeper, _ = self._service
        rendezvous.startService()
        sweeper.clock = self.clock
        sweeper.startService()

    def connect(self, deliver: Callable[[str], None], cut: Callable[[], None]) -> "RealLine":
        *_, listening = self._service
        protocol = listening.factory.resource.children[b"v1"]._factory.buildProtocol(None)
        line = RealLine(self, protocol, deliver, cut)
        protocol.sendMessage = lambda payload, _: line.answers.append(payload.decode())
        protocol.onConnect(SimpleNamespace(headers={}, peer=f"tcp4:{HOST}:{PORT}"))
        self.lines.append(line)
        protocol.onOpen()
        self.write()
        return line

    def write(self) -> None:
        """Have the reactor write what is in the buffers."""
        for line in self.lines:
            answers, line.answers = line.answers, []
            for answer in answers:
                line.deliver(answer)

    def restart(self, forget: bool = False) -> None:
        for line in tuple(self.lines):
            line.end()
            line.cut()
        _, sweeper, _ = self._service
        sweeper.stopService()
        self._database.rollback()
        if forget:
            self._database.close()
            self._database = database.create_or_upgrade_channel_db(":memory:")
        self._start()

    def kept(self) -> dict[str, Any]:
        """What is in the database: nameplates and mailboxes, each with its sides, and messages."""
        nameplates = {row["id"]: row for row in self._rows("nameplates")}
        claims: dict[int, dict[str, bool]] = {id_: {} for id_ in nameplates}
        for row in self._rows("nameplate_sides"):
            claims[row["nameplates_id"]][row["side"]] = bool(row["claimed"])
        mailboxes = {row["id"]: row for row in self._rows("mailboxes")}
        opens: dict[str, dict[str, bool]] = {id_: {} for id_ in mailboxes}
        for row in self._rows("mailbox_sides"):
            opens[row["mailbox_id"]][row["side"]] = bool(row["opened"])
        return {
            "nameplates": {
                (row["app_id"], row["name"]): (row["mailbox_id"], claims[id_])
                for id_, row in nameplates.items()
            },
            "mailboxes": {
                id_: (row["app_id"], row["updated"], opens[id_]) for id_, row in mailboxes.items()
            },
            "messages": sorted(repr(tuple(row.values())) for row in self._rows("messages")),
        }

    def _rows(self, table: str) -> list[dict[str, Any]]:
        return list(self._database.execute(f"SELECT * FROM {table}"))

    def close(self) -> None:
        self._database.close()


@define(eq=False, repr=False)
class RealLine:
    """One connection."""

    server: RealServer
    protocol: Any
    deliver: Callable[[str], None]
    cut: Callable[[], None]
    answers: list[str] = field(factory=list)
    """Not written yet."""

    def hear(self, text: str) -> None:
        if self not in self.server.lines:
            return
        try:
            self.protocol.onMessage(text.encode(), False)
        except Exception:  # noqa: BLE001 - as Twisted does
            self.end()
            self.cut()
        self.server.write()

    def gone(self) -> None:
        if self in self.server.lines:
            self.end()

    def end(self) -> None:
        self.server.lines.remove(self)
        self.protocol.onClose(False, None, None)
