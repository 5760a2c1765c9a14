"""What holds a worker's connections beyond its death: `holdfast keep`, or its unit of systemd."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Final

from attrs import define, field

from holdfast.operating.keeper import received, user_of
from holdfast.operating.printable import printable

if TYPE_CHECKING:
    from holdfast.operating.supervising import Manager
    from holdfast.transit.keeping import Keeper

PATIENCE: Final = 2.0
"""Seconds that a keeper may take to answer."""

QUIET: Final = 30.0
"""Seconds for which a keeper that did not answer in time is not asked: no transfer should wait."""

BUSY_FOR: Final = 5.0
BUSY_EVERY: Final = 0.1
"""A process that is ending may need so long to let go of a connection; asked so often."""


VARIABLE: Final = "HOLDFAST_KEEPER"
"""The environment variable that names the keeper's socket."""

NOBODY: Final = "none"
"""Its value if nothing is to be kept."""


class NoKeeper(Exception):
    """There is none, or it does not answer; the words say why."""


@define(eq=False)
class KeeperClient:
    """A keeper that is another process; see `holdfast.transit.keeping.Keeper`.

    Args:
        path: of the keeper's socket.
    """

    path: Path
    _socket: socket.socket | None = field(default=None, init=False)
    _lock: Lock = field(factory=Lock, init=False)
    _quiet_until: float = field(default=0.0, init=False)

    def keep(self, name: str, descriptor: int) -> bool:
        """Hold a duplicate of `descriptor`."""
        return self._asked(f"keep {name}", descriptor)[0] == "ok"

    def take(self, flow: str, tag: str) -> tuple[str, int] | None:
        """Return what is held for a flow."""
        until = time.monotonic() + BUSY_FOR
        while (said := self._asked(f"take {flow} {tag}"))[0] == "busy" and time.monotonic() < until:
            time.sleep(BUSY_EVERY)
        answer, descriptor = said
        return None if descriptor is None else (answer.removeprefix("here "), descriptor)

    def release(self, name: str) -> None:
        """Let go of it."""
        self._asked(f"release {name}")

    def drop(self, flow: str) -> None:
        """Close what is held for a flow."""
        self._asked(f"drop {flow}")

    def count(self) -> str:
        """Return how many are held, of how many. Raises NoKeeper."""
        return self._ask("count")[0]

    def _asked(self, message: str, descriptor: int | None = None) -> tuple[str, int | None]:
        try:
            return self._ask(message, descriptor)
        except NoKeeper:
            return "", None

    def _ask(self, message: str, descriptor: int | None = None) -> tuple[str, int | None]:
        with self._lock:
            if time.monotonic() < self._quiet_until:
                raise NoKeeper("it does not answer")
            try:
                if self._socket is None:
                    self._socket = _connected(self.path)
                sent = [] if descriptor is None else [descriptor]
                socket.send_fds(self._socket, [message.encode()], sent)
                answer, found = received(self._socket)
                if not answer:
                    raise ConnectionResetError
            except OSError as error:
                self.close()
                if isinstance(error, TimeoutError):
                    self._quiet_until = time.monotonic() + QUIET
                raise NoKeeper(error.strerror or str(error) or "it has ended") from None
        return answer.decode(errors="replace"), found[0] if found else None

    def close(self) -> None:
        """End the connection to it: others may take what this process has kept."""
        if self._socket is not None:
            self._socket.close()
        self._socket = None


def keeper_for(environ: MutableMapping[str, str], manager: Manager) -> Keeper | None:
    """Choose what holds the connections of this process; systemd's variables are removed.

    None where there is nothing: only Linux counts what is needed to go on.
    """
    from holdfast.operating.descriptor_store import DescriptorStore

    stored = DescriptorStore.taken_from(environ, os.getpid(), manager)
    named = environ.get(VARIABLE)
    if sys.platform != "linux" or named == NOBODY:
        return None
    if not named and manager.address is not None:
        return stored
    return KeeperClient(Path(named) if named else default_socket())


def kept_in_words(environ: Mapping[str, str]) -> str:
    """Say in a line whether the connections of transfers outlive their process."""
    named = environ.get(VARIABLE)
    if sys.platform != "linux":
        return "connections are not kept when a process ends: that needs Linux"
    if named == NOBODY:
        return f"connections are not kept when a process ends: {VARIABLE} is {NOBODY}"
    path = Path(named) if named else default_socket()
    client = KeeperClient(path)
    try:
        held = client.count()
    except NoKeeper:
        also = "" if named else "; a worker under systemd uses its unit's store"
        return f"no 'holdfast keep' answers at {printable(str(path))}{also}"
    finally:
        client.close()
    return f"'holdfast keep' holds {held} connections"


def default_socket() -> Path:
    """Return where the keeper of this user listens."""
    import platformdirs  # takes longer than the rest of this module

    return Path(platformdirs.user_state_dir("holdfast"), "keeper")


def _connected(path: Path) -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        made.settimeout(PATIENCE)
        made.connect(str(path))
        if user_of(made) not in (os.geteuid(), 0):
            raise PermissionError("it is another user's")
    except BaseException:
        made.close()
        raise
    return made
