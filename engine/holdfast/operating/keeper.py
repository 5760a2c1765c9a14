"""`holdfast keep`: a process that holds descriptors, so that connections outlive their processes.

It listens on a socket in the file system, of mode 0600, and listens to processes of its own user
alone. Each has one connection to it, of messages (SOCK_SEQPACKET):

    keep NAME, with a descriptor   ok | full | refused
    take FLOW TAG                  here NAME, with a descriptor | busy | none
    release NAME                   ok
    drop FLOW                      ok
    count                          N of MOST

Names begin with FLOW and TAG (`holdfast.transit.keeping`). Nobody is told names: who takes one
knows its TAG, and so has the keys of that connection.

What a process has kept, or taken, is its own until it says `release`, or its connection ends, which
is what the death of a process looks like. It never reads or writes what it holds.
"""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import stat
import struct
import time
from array import array
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from attrs import define, field

MOST: Final = 1000
"""Descriptors that are held, by default."""

MOST_PEERS: Final = 200
"""Processes that are connected at once."""

LONGEST_MESSAGE: Final = 300
MOST_DESCRIPTORS: Final = 4
"""With one message; the system closes what does not fit in."""

ALONE: Final = 900.0
"""Seconds after which what nobody uses is closed: the other side, which waits, should know."""

_FLOW: Final = re.compile(r"[a-z0-9]{1,20}-[0-9a-f]{1,64}-")
_TAG: Final = re.compile(r"[0-9a-f]{32}-")
_NAME: Final = re.compile(rf"{_FLOW.pattern}{_TAG.pattern}\d{{1,20}}-\d{{1,20}}", re.ASCII)
"""Of any release. `holdfast.transit` is not asked: that would need much more memory."""

_CREDENTIALS: Final = struct.Struct("=iII")


@define(eq=False)
class _Held:
    name: str
    descriptor: int
    owner: int | None
    """Which connection uses it; None if nobody does."""
    since: float


@define(eq=False)
class KeepingProcess:
    """Holds descriptors for processes of this user.

    Args:
        listening: a socket that listens, of SOCK_SEQPACKET.
        most: descriptors that are held at once.
        alone: seconds after which one is closed that nobody uses.
        now: seconds that only go forward.
    """

    _listening: socket.socket
    _most: int = MOST
    _alone: float = ALONE
    _now: Callable[[], float] = time.monotonic
    _held: dict[str, _Held] = field(factory=dict, init=False)
    _peers: dict[int, socket.socket] = field(factory=dict, init=False)

    def serve(self, seconds: float | None = None) -> None:
        """Wait until something happens, or for so many seconds, and do what is to be done."""
        poll = select.poll()
        poll.register(self._listening, select.POLLIN if len(self._peers) < MOST_PEERS else 0)
        for number in self._peers:
            poll.register(number, select.POLLIN)
        for held in self._held.values():
            poll.register(held.descriptor, 0)  # only its end
        wait = self._until_lonely() if seconds is None else seconds
        events = poll.poll(None if wait is None else wait * 1000)
        ended = {number for number, what in events if what & ~select.POLLIN}
        for name in [each.name for each in self._held.values() if each.descriptor in ended]:
            self._close(name)
        for number, _ in events:
            if number in self._peers:
                self._hear(number)
        if any(number == self._listening.fileno() for number, _ in events):
            self._accept()
        for name in [each.name for each in self._held.values() if self._is_lonely(each)]:
            self._close(name)

    def close(self) -> None:
        """Close everything."""
        for name in tuple(self._held):
            self._close(name)
        for peer in self._peers.values():
            peer.close()
        self._listening.close()

    def _accept(self) -> None:
        with suppress(OSError):
            peer, _ = self._listening.accept()
            if user_of(peer) != os.geteuid():
                peer.close()
                return
            peer.settimeout(0)
            self._peers[peer.fileno()] = peer

    def _hear(self, number: int) -> None:
        peer = self._peers[number]
        descriptors: list[int] = []
        try:
            message, descriptors = received(peer)
            if not message and not descriptors:
                self._leave(number)
            else:
                self._answer(peer, *self._do(number, message, descriptors))
        except BlockingIOError:
            return
        except OSError:
            self._leave(number)
        finally:
            for each in descriptors:
                os.close(each)

    def _do(self, owner: int, message: bytes, descriptors: list[int]) -> tuple[str, int | None]:
        match message.decode("ascii", "replace").split(" "):
            case ["keep", name] if _NAME.fullmatch(name):
                return self._keep(owner, name, descriptors), None
            case ["take", flow, tag] if _FLOW.fullmatch(flow) and _TAG.fullmatch(tag):
                return self._take(owner, flow + tag)
            case ["release", name]:
                self._release(owner, name)
            case ["drop", flow] if _FLOW.fullmatch(flow):
                for name in [each for each in self._held if each.startswith(flow)]:
                    self._close(name)
            case ["count"]:
                return f"{len(self._held)} of {self._most}", None
            case _:
                return "refused", None
        return "ok", None

    def _keep(self, owner: int, name: str, descriptors: list[int]) -> str:
        if len(descriptors) != 1 or not stat.S_ISSOCK(os.fstat(descriptors[0]).st_mode):
            return "refused"
        self._close(name)
        if len(self._held) >= self._most:
            return "full"
        self._held[name] = _Held(name, os.dup(descriptors[0]), owner, self._now())
        return "ok"

    def _take(self, owner: int, prefix: str) -> tuple[str, int | None]:
        found = [each for each in self._held.values() if each.name.startswith(prefix)]
        if not found:
            return "none", None
        free = [each for each in found if each.owner is None]
        if not free:
            return "busy", None
        free[0].owner = owner
        return f"here {free[0].name}", free[0].descriptor

    def _release(self, owner: int, name: str) -> None:
        held = self._held.get(name)
        if held is not None and held.owner == owner:
            held.owner, held.since = None, self._now()

    def _leave(self, number: int) -> None:
        self._peers.pop(number).close()
        for name in tuple(self._held):
            self._release(number, name)

    def _close(self, name: str) -> None:
        held = self._held.pop(name, None)
        if held is not None:
            os.close(held.descriptor)

    def _answer(self, peer: socket.socket, said: str, descriptor: int | None) -> None:
        socket.send_fds(peer, [said.encode()], [] if descriptor is None else [descriptor])

    def _is_lonely(self, held: _Held) -> bool:
        return held.owner is None and self._now() >= held.since + self._alone

    def _until_lonely(self) -> float | None:
        ends = [each.since + self._alone for each in self._held.values() if each.owner is None]
        return max(0.0, min(ends) - self._now()) + 0.01 if ends else None


def received(peer: socket.socket) -> tuple[bytes, list[int]]:
    """Return the next message, and the descriptors that came with it. Raises OSError.

    Not `socket.recv_fds`, which passes over its flags: children must not get any.
    """
    numbers = array("i")
    room = socket.CMSG_LEN(MOST_DESCRIPTORS * numbers.itemsize)
    message, ancillary, _, _ = peer.recvmsg(LONGEST_MESSAGE, room, socket.MSG_CMSG_CLOEXEC)
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            numbers.frombytes(data[: len(data) - len(data) % numbers.itemsize])
    return message, list(numbers)


def user_of(peer: socket.socket) -> int:
    """Return the user of the process at the other end."""
    credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return int(_CREDENTIALS.unpack(credentials)[1])


def listen(path: Path) -> socket.socket:
    """Listen at `path`, for this user alone.

    Raises:
        FileExistsError: another keeper listens there.
        OSError: it cannot be done.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _remove_dead(path)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    before = os.umask(0o177)
    try:
        made.bind(str(path))
    except BaseException:
        made.close()
        raise
    finally:
        os.umask(before)
    made.listen(50)
    made.settimeout(0)
    return made


def _remove_dead(path: Path) -> None:
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise FileExistsError
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as trial:
        try:
            trial.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
        else:
            raise FileExistsError


def keep_until_stopped(process: KeepingProcess, path: Path) -> None:
    """Serve until SIGINT or SIGTERM, and then close everything."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, stop)
    try:
        while True:
            process.serve()
    except KeyboardInterrupt:
        pass
    finally:
        process.close()
        with suppress(OSError):
            path.unlink()
