"""What holds a worker's connections beyond its death: systemd, in the descriptor store of its unit.

See sd_notify(3) for `FDSTORE`, sd_listen_fds(3) for how a process gets back what the one before it
has stored, and `FileDescriptorStoreMax=` in systemd.service(5): without that, nothing is stored.
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from contextlib import suppress
from threading import Lock, Timer
from typing import Final, Self

from attrs import define, field

from holdfast.operating.keeper import ALONE
from holdfast.operating.supervising import Manager
from holdfast.transit.keeping import FORMAT

_FIRST: Final = 3
_VARIABLES: Final = ("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "LISTEN_PIDFDID")
_MOST: Final = 100_000


@define(eq=False)
class DescriptorStore:
    """A unit's store; see `holdfast.transit.keeping.Keeper`.

    A process gets everything when it starts. So it holds a duplicate of each itself, from which a
    flow that is loaded again gets its own.

    Args:
        manager: systemd.
        held: what an earlier process has stored, by name. It is closed if no flow wants it.
    """

    _manager: Manager
    _held: dict[str, int] = field(factory=dict)
    _used: set[str] = field(factory=set, init=False)
    _lock: Lock = field(factory=Lock, init=False)

    @classmethod
    def taken_from(cls, environ: MutableMapping[str, str], pid: int, manager: Manager) -> Self:
        """Read systemd's variables, and remove them: they are not for children."""
        store = cls(manager, handed_over(environ, pid))
        if store._held:
            timer = Timer(ALONE, store.close_unused)
            timer.daemon = True
            timer.start()
        return store

    def keep(self, name: str, descriptor: int) -> bool:
        """Hold a duplicate of `descriptor`."""
        with self._lock, suppress(OSError):
            self._manager.tell("FDSTORE=1", f"FDNAME={name}", descriptors=[descriptor])
            self._manager.wait()
            self._close(name)
            self._held[name] = os.dup(descriptor)
            self._used.add(name)
            return True
        return False

    def take(self, flow: str, tag: str) -> tuple[str, int] | None:
        """Return what is held for a flow."""
        with self._lock:
            for name, descriptor in self._held.items():
                if name.startswith(flow + tag) and name not in self._used:
                    self._used.add(name)
                    return name, os.dup(descriptor)
        return None

    def release(self, name: str) -> None:
        """Let go of it."""
        with self._lock:
            self._used.discard(name)

    def drop(self, flow: str) -> None:
        """Close what is held for a flow."""
        with self._lock:
            for name in [each for each in self._held if each.startswith(flow)]:
                self._forget(name)

    def close_unused(self) -> None:
        """Close what no flow uses: the other side, which waits, should know."""
        with self._lock:
            for name in [each for each in self._held if each not in self._used]:
                self._forget(name)

    def _forget(self, name: str) -> None:
        self._close(name)
        with suppress(OSError):
            self._manager.tell("FDSTOREREMOVE=1", f"FDNAME={name}")

    def _close(self, name: str) -> None:
        self._used.discard(name)
        if name in self._held:
            os.close(self._held.pop(name))


def handed_over(environ: MutableMapping[str, str], pid: int) -> dict[str, int]:
    """Return the descriptors of ours that systemd has handed to this process, by name.

    None of them is for children.
    """
    count, whom, names, _ = (environ.pop(name, "") for name in _VARIABLES)
    if whom != str(pid) or not count.isdecimal() or int(count) > _MOST:
        return {}
    found: dict[str, int] = {}
    for number, name in enumerate(names.split(":")[: int(count)], _FIRST):
        with suppress(OSError):  # it is not open
            os.set_inheritable(number, False)  # noqa: FBT003 - the system's own
            if name in found:
                os.close(found.pop(name))
            if name.startswith(f"{FORMAT}-"):
                found[name] = number
    return found
