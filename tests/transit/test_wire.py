"""A socket as the thread of a transfer sees it."""

import os
import socket
import threading
from collections.abc import Iterator

import pytest

from holdfast.transit.errors import WireError
from holdfast.transit.wire import SocketWire, Wire, receive_exactly

Pair = tuple[SocketWire, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """A wire over TCP, and the other end."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        ours = socket.create_connection(server.getsockname())
        theirs, _ = server.accept()
    wire = SocketWire(ours.detach(), b"left")
    yield wire, theirs
    wire.close()
    theirs.close()


def test_fits(pair: Pair) -> None:
    """A socket's wire is a wire; what was read before comes first."""
    wire: Wire = pair[0]
    pair[1].sendall(b"over")
    assert wire.readable(0)
    buffer = bytearray(3)
    assert wire.receive_into(memoryview(buffer)) == 3
    assert buffer == b"lef"
    assert receive_exactly(wire, 5) == b"tover"
    assert not wire.readable(0)


def test_both_ways(pair: Pair) -> None:
    """A megabyte goes through, although the other side takes it slowly; then the end is seen."""
    wire, theirs = pair
    data = bytes(range(256)) * 4096
    sending = threading.Thread(target=wire.send, args=(data,))
    sending.start()
    assert theirs.recv(len(data), socket.MSG_WAITALL) == data
    sending.join()
    theirs.shutdown(socket.SHUT_WR)
    assert receive_exactly(wire, 4) == b"left"
    assert wire.readable(60)
    assert wire.receive_into(memoryview(bytearray(1))) == 0
    with pytest.raises(WireError, match="closed the connection"):
        receive_exactly(wire, 1)


def blocked(call) -> tuple[threading.Thread, list[str]]:
    words: list[str] = []

    def attempt() -> None:
        try:
            call()
        except WireError as error:
            words.append(str(error))

    thread = threading.Thread(target=attempt)
    thread.start()
    return thread, words


@pytest.mark.parametrize("way", ["receive", "send", "readable"])
def test_interrupted(pair: Pair, way: str) -> None:
    """Whoever waits is woken, says why, and cannot begin again."""
    wire, _ = pair
    receive_exactly(wire, 4)
    buffer = memoryview(bytearray(1 << 26))
    call = {
        "receive": lambda: wire.receive_into(buffer),
        "send": lambda: wire.send(buffer),
        "readable": lambda: wire.readable(600),
    }[way]
    thread, words = blocked(call)
    wire.interrupt()
    thread.join()
    assert words == ["The transfer was interrupted."]
    with pytest.raises(WireError, match="was interrupted"):
        wire.send(b"x")
    wire.close()
    wire.interrupt()


def test_reset(pair: Pair) -> None:
    """A connection that the other side drops ends in words."""
    wire, theirs = pair
    receive_exactly(wire, 4)
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    theirs.close()
    with pytest.raises(WireError, match="The connection broke: "):
        wire.receive_into(memoryview(bytearray(1)))


@pytest.mark.parametrize("way", ["receive", "send"])
def test_silence(way: str) -> None:
    """A side that neither sends nor takes anything is given up."""
    ours, theirs = socket.socketpair()
    wire = SocketWire(ours.detach(), idle=0.01)
    buffer = memoryview(bytearray(1 << 22))
    with theirs, pytest.raises(WireError, match="Nothing has moved for"):
        wire.receive_into(buffer) if way == "receive" else wire.send(buffer)
    wire.close()


def test_keepalive() -> None:
    """The system asks whether a silent host is still there; a duplicate of the socket will do."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        ours = socket.create_connection(server.getsockname())
        assert not ours.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        SocketWire(os.dup(ours.fileno())).close()
        assert ours.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        ours.close()
