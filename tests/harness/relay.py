"""A transit relay in this process, with a clock that the test holds, and clients with sockets."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from attrs import define
from twisted.internet import reactor as loop
from twisted.internet.task import Clock
from twisted.internet.tcp import Server

from holdfast.server import RelayService, relay_service
from tests.harness import reactor
from tests.harness.waiting import DEADLINE

TOKEN = "5a" * 32


def please(side: str | None = "1", token: str = TOKEN) -> bytes:
    """Return the line of a client; a side is one hexadecimal digit, None is for the old form."""
    rest = "" if side is None else f" for side {side * 16}"
    return f"please relay {token}{rest}\n".encode()


@define
class Client:
    """Somebody's connection to the relay."""

    socket: socket.socket

    def say(self, data: bytes) -> None:
        self.socket.sendall(data)

    def hears(self, data: bytes) -> None:
        """Check that exactly this comes next."""
        heard = bytearray()
        while len(heard) < len(data) and (more := self.socket.recv(len(data) - len(heard))):
            heard += more
        assert bytes(heard) == data

    def ends(self) -> None:
        """Check that nothing more comes before the end."""
        with suppress(ConnectionResetError):
            assert self.socket.recv(1) == b""


class Relay:
    """It runs inside `running_relay()`."""

    def __init__(self, **bounds: Any) -> None:
        self.clock = Clock()
        self.service: RelayService = relay_service(
            loop, listen="127.0.0.1:0", clock=self.clock, **bounds
        )
        self._clients: list[Client] = []

    def start(self) -> None:
        async def starting() -> str:
            self.service.startService()
            return await self.service.when_listening()

        self.where = reactor.run(starting)

    def stop(self) -> None:
        reactor.run(self.service.stopService)

    def client(self, says: bytes = b"") -> Client:
        """Connect, and say something."""
        port = int(self.where.rpartition(":")[2])
        client = Client(socket.create_connection(("127.0.0.1", port), timeout=DEADLINE))
        self._clients.append(client)
        client.say(says)
        return client

    def pair(self) -> tuple[Client, Client]:
        """Connect two clients with each other."""
        one, other = self.client(please("1")), self.client(please("2"))
        one.hears(b"ok\n")
        other.hears(b"ok\n")
        return one, other

    def after(self, seconds: float) -> None:
        """Let time pass."""
        reactor.call(self.clock.advance, seconds)

    def timers(self) -> list[float]:
        """When each of its connections would be dropped, as things are, in seconds from now."""
        now = self.clock.seconds()
        return sorted(call.getTime() - now for call in reactor.call(self.clock.getDelayedCalls))

    def reads(self, client: Client) -> bool:
        """Whether it takes what the client says."""
        return bool(self._there(client, loop.getReaders))

    def held_for(self, client: Client) -> int:
        """How many bytes of its partner wait for the client in the relay's memory."""
        [held] = self._there(client, loop.getWriters) or [None]
        return 0 if held is None else len(held.dataBuffer) + held._tempDataLen

    def option(self, client: Client, level: int, option: int) -> int:
        """Return an option of the relay's socket for the client."""
        [there] = self._there(client, loop.getReaders)
        value: int = there.getHandle().getsockopt(level, option)
        return value

    def _there(self, client: Client, known: Any) -> list[Any]:
        name = client.socket.getsockname()
        return [
            each
            for each in reactor.call(known)
            if isinstance(each, Server) and (each.getPeer().host, each.getPeer().port) == name
        ]

    def close_clients(self) -> None:
        for client in self._clients:
            client.socket.close()


@contextmanager
def running_relay(**bounds: Any) -> Iterator[Relay]:
    """Run one inside the block; nothing of it is left behind."""
    relay = Relay(**bounds)
    relay.start()
    try:
        yield relay
    finally:
        relay.stop()
        relay.close_clients()
    assert relay.timers() == []
