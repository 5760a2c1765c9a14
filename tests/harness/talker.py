"""A client that says what it is told to, and understands just enough to hear the answers.

It costs so little that a server can be measured, or brought under load, from the same machine.
"""

import asyncio
import base64
import json
import os
import struct
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from attrs import define, field

_CLOSE, _PING = 0x88, 0x89
"""First bytes of frames."""


@define(eq=False)
class Client(asyncio.Protocol):
    """One connection; made by `connected()`."""

    _transport: Any = None
    _data: bytearray = field(factory=bytearray)
    _heard: dict[str, list[Any]] = field(factory=dict)
    _waits: tuple[str, int, asyncio.Future[Any]] | None = None
    _upgraded: bool = False
    _lost: bool = False

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        key = base64.b64encode(os.urandom(16)).decode()
        transport.write(
            f"GET /v1 HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        self._data += data
        if not self._upgraded:
            head = self._data.find(b"\r\n\r\n")
            if head < 0:
                return
            assert self._data.startswith(b"HTTP/1.1 101"), bytes(self._data)
            del self._data[: head + 4]
            self._upgraded = True
        for payload in self._frames():
            # Acks and the like are most of what comes: not worth parsing.
            if b'"type": "ack"' not in payload:
                said = json.loads(payload)
                self._heard.setdefault(said["type"], []).append(said)
        self._look()

    def connection_lost(self, error: Exception | None) -> None:
        self._lost = True
        self._look()

    def say(self, kind: str, **rest: Any) -> None:
        """Send a command."""
        payload = json.dumps({"type": kind, "id": "0a1b", **rest}).encode()
        size = len(payload)
        # A mask of zeros changes nothing.
        if size < 126:
            head = struct.pack("!BB", 0x81, 0x80 | size)
        elif size < 65536:
            head = struct.pack("!BBH", 0x81, 0x80 | 126, size)
        else:
            head = struct.pack("!BBQ", 0x81, 0x80 | 127, size)
        self._transport.write(head + b"\0\0\0\0" + payload)

    async def heard(self, kind: str, count: int = 1) -> Any:
        """Wait for so many answers of a kind; return the last. Raises ConnectionError.

        The code with which the server closes the connection is a "goodbye".
        """
        self._waits = kind, count, asyncio.get_running_loop().create_future()
        self._look()
        return await self._waits[2]

    def all(self, kind: str) -> list[Any]:
        """Return all answers of a kind that were heard so far."""
        return self._heard.get(kind, [])

    def leave(self) -> None:
        """Hang up."""
        self._transport.abort()

    def _look(self) -> None:
        if self._waits is not None and not self._waits[2].done():
            kind, count, waiting = self._waits
            heard = self._heard.get(kind, [])
            if len(heard) >= count:
                waiting.set_result(heard[count - 1])
            elif self._lost:
                waiting.set_exception(ConnectionError(f"cut off before {kind} was heard"))

    def _frames(self) -> Iterator[bytes]:
        data = self._data
        while len(data) >= 2:
            size, start = data[1], 2
            if size == 126:
                size, start = int.from_bytes(data[2:4], "big"), 4
            elif size == 127:
                size, start = int.from_bytes(data[2:10], "big"), 10
            if len(data) < start + size:
                return
            payload, kind = bytes(data[start : start + size]), data[0]
            del data[: start + size]
            if kind == _CLOSE:
                self._heard["goodbye"] = [int.from_bytes(payload[:2], "big")]
                continue
            if kind != _PING:  # the server waits for its answer for minutes
                yield payload


async def connected(url: str, appid: str, side: str) -> Client:
    """Return a client that was welcomed, and has said who it is."""
    where = urlsplit(url)
    loop = asyncio.get_running_loop()
    _, client = await loop.create_connection(Client, where.hostname, where.port)
    await client.heard("welcome")
    client.say("bind", appid=appid, side=side)
    return client
