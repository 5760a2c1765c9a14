"""What a gigabyte costs at least: each part of a transfer alone, and our pump without a wormhole.

    python -m tests.bench --only transfer_floor

A record of 128 KiB at a time, as we send them; the parts are what any client must do, in the way
that costs least in Python.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from holdfast.crypto.in_place import MAC_LENGTH, AesPlace, Boxes, Place
from holdfast.transfer.landing import Landing
from holdfast.transfer.pumping import receive_ack, receive_all, send_all, send_json
from holdfast.transfer.sources import measure as measure_source
from holdfast.transfer.sources import open_source
from holdfast.transfer.watcher import Watcher
from holdfast.transit.bulk import ROOM, Bulk
from holdfast.transit.wire import SocketWire
from tests.bench.measuring import Figures, folder, number, program

SIZE = 500_000_000
KEY, OTHER = bytes(32), bytes(range(32))


def cpu_of(work: Callable[[], object]) -> float:
    """CPU seconds for a gigabyte, when `work` does `SIZE` bytes in this process."""
    begun = time.process_time()
    work()
    return (time.process_time() - begun) * 1e9 / SIZE


def in_a_child(work: Callable[[], object]) -> Callable[[], float]:
    """Do it in a fork; what is returned waits for it, and tells its CPU seconds a gigabyte."""
    pid = os.fork()
    if pid == 0:
        work()
        os._exit(0)

    def wait() -> float:
        _, status, used = os.wait4(pid, 0)
        assert status == 0
        return (used.ru_utime + used.ru_stime) * 1e9 / SIZE

    return wait


def cipher(boxes: Boxes, buffer: bytearray, by: str) -> dict[str, float]:
    """CPU seconds a gigabyte of sealing and of opening."""
    nonce, count = bytes(24), range(SIZE // ROOM)
    sealing = cpu_of(lambda: [boxes.seal(nonce, 0, ROOM) for _ in count])
    boxes.seal(nonce, 0, ROOM)
    sealed = bytes(buffer)

    def again() -> None:
        buffer[:] = sealed

    def opened() -> None:
        again()
        assert boxes.open(nonce, 0, ROOM)

    copied = cpu_of(lambda: [again() for _ in count])
    opening = cpu_of(lambda: [opened() for _ in count]) - copied
    return {f"seal{by}": sealing, f"open{by}": opening}


def parts(place: Path) -> Figures:
    """CPU seconds a gigabyte of each part, in this process."""
    buffer = bytearray(MAC_LENGTH + ROOM)
    view = memoryview(buffer)[MAC_LENGTH:]
    digest = sha256()
    count = range(SIZE // ROOM)
    found = cipher(Place(KEY, buffer), buffer, "")
    found |= cipher(AesPlace(KEY, buffer), buffer, " by AES")
    found["sha256"] = cpu_of(lambda: [digest.update(view) for _ in count])
    path = place / "floor"
    with path.open("wb", buffering=0) as file:
        found["write"] = cpu_of(lambda: [file.write(view) for _ in count])
    with path.open("rb", buffering=0) as file:
        found["read"] = cpu_of(lambda: [file.readinto(view) for _ in count])
    return found


def connection() -> tuple[socket.socket, socket.socket]:
    """Both ends of a connection over loopback."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        one = socket.create_connection(server.getsockname())
        return one, server.accept()[0]


def sockets() -> Figures:
    """CPU seconds a gigabyte of sending and of receiving, each in its process."""
    one, other = connection()

    def send() -> None:
        data = bytes(ROOM)
        for _ in range(SIZE // ROOM):
            one.sendall(data)

    def receive() -> None:
        one.close()
        buffer = bytearray(2 * ROOM)
        while other.recv_into(buffer):
            pass

    receiving, sending = in_a_child(receive), in_a_child(send)
    one.close()
    return {"send": sending(), "receive": receiving()}


def pump(place: Path, *, by_aes: bool = False) -> Figures:
    """The bulk alone, from file to file, in two processes that have nothing else to do.

    Args:
        place: a folder.
        by_aes: whether records are sealed as two Holdfasts agree on.
    """
    with (place / "from").open("wb") as file:
        for _ in range(SIZE // ROOM):
            file.write(os.urandom(ROOM))
    paths = [place / "from"]
    begun = time.process_time()
    source = measure_source(paths)
    offered = (time.process_time() - begun) * 1e9 / source.size
    one, other = connection()
    watcher = Watcher(stop=threading.Event())

    def send() -> None:
        bulk = Bulk(SocketWire(one.detach()), KEY, OTHER)
        if by_aes:
            bulk.send_by_aes()
        send_all(bulk, open_source(paths, source), watcher, size=source.size)
        receive_ack(bulk, watcher, size=source.size)

    def receive() -> None:
        bulk = Bulk(SocketWire(other.detach()), OTHER, KEY)
        if by_aes:
            bulk.receive_by_aes()
        digest = sha256()
        landing = Landing(place, "to", f"bench{int(by_aes)}")
        receive_all(bulk, landing, digest, watcher, size=source.size)
        send_json(bulk, {"ack": "ok", "sha256": digest.hexdigest()})

    begun = time.monotonic()
    receiving, sending = in_a_child(receive), in_a_child(send)
    sent, received = sending(), receiving()
    rate = source.size / 1e6 / (time.monotonic() - begun)
    return {"offer": offered, "sender": sent, "receiver": received, "rate": rate}


def measure() -> Figures:
    """All of it."""
    with folder(on_disk=True) as place:
        found = {**parts(place), **sockets(), **pump(place)}
        return found | {f"{name} by AES": each for name, each in pump(place, by_aes=True).items()}


def sentence(found: Figures) -> str:
    """What was measured, for below the table."""
    told = {name: number(value) for name, value in found.items()}
    least_sender = found["seal"] + found["read"] + found["send"]
    least_receiver = found["open"] + found["sha256"] + found["write"] + found["receive"]
    return (
        "A gigabyte of a transfer takes at least, in CPU seconds of each part alone:"
        f" seal {told['seal']}, open {told['open']}, the same by AES {told['seal by AES']} and"
        f" {told['open by AES']}, SHA-256 {told['sha256']},"
        f" read a file {told['read']}, write it {told['write']},"
        f" send {told['send']}, receive {told['receive']};"
        f" together {number(least_sender)} to send and {number(least_receiver)} to receive."
        f" Our pump without a wormhole takes {told['sender']} and {told['receiver']},"
        f" at {told['rate']} MB/s, and by AES {told['sender by AES']} and"
        f" {told['receiver by AES']}, at {told['rate by AES']} MB/s; to offer a file, it is"
        f" read and digested once before, which takes {told['offer']}."
    )


def tell(say: Callable[[str], object]) -> None:
    """Measure it some times, and say it."""
    for _ in range(3):
        say(sentence(measure()))


if __name__ == "__main__":
    program(measure)
