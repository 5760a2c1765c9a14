"""Telling a service manager, such as systemd, how this process is.

The protocol is that of sd_notify(3) and sd_watchdog_enabled(3).

The manager waits for READY before it starts what comes after this service. If it has a watchdog,
it ends a process that has said nothing for too long; this one speaks only if its reactor turns and
it is well, so a process that is stuck is started again.
"""

from __future__ import annotations

import faulthandler
import os
import select
import socket
from collections.abc import Callable, MutableMapping, Sequence
from typing import Any, Final, Self

from attrs import define, field, frozen

from holdfast.operating.printable import printable

PERIOD: Final = 10.0
"""Seconds between two looks at the status, or less if the watchdog asks for it."""

PATIENCE: Final = 1.0
"""Seconds that a manager may take to accept a message."""

_LONGEST: Final = 300

_VARIABLES: Final = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")


@frozen
class Manager:
    """The service manager that started this process.

    Args:
        address: of its socket, or None if nobody wants to be told.
        watchdog: seconds of silence after which it ends this process, or None.
    """

    address: str | None = None
    watchdog: float | None = None

    @classmethod
    def taken_from(cls, environ: MutableMapping[str, str], pid: int) -> Self:
        """Read the manager's variables, and remove them: they are not for children."""
        there, usec, whom = (environ.pop(name, None) for name in _VARIABLES)
        if not there or there[0] not in "/@" or len(there) < 2:
            return cls()  # other kinds of sockets are for managers of virtual machines
        watched = whom is None or whom == str(pid)
        seconds = int(usec) / 1e6 if usec is not None and usec.isdecimal() and watched else 0.0
        return cls(there, seconds or None)

    def tell(self, *assignments: str, descriptors: Sequence[int] = ()) -> None:
        """Send it some variables, such as `READY=1`, and descriptors.

        Raises OSError if it cannot be told.
        """
        if self.address is None:
            return
        # "@" stands for the zero byte with which Linux's names without a file begin.
        there = "\0" + self.address[1:] if self.address[0] == "@" else self.address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sending:
            sending.settimeout(PATIENCE)
            sending.connect(there)
            said = "\n".join(assignments).encode("utf-8", "replace")
            socket.send_fds(sending, [said], descriptors)

    def wait(self) -> None:
        """Wait until it has heard all that it was told before, but not for long.

        What is told by a process that is dead by then, it may not know whom to count it to.

        Raises OSError if it cannot be told.
        """
        ours, theirs = os.pipe()
        try:
            try:
                self.tell("BARRIER=1", descriptors=[theirs])
            finally:
                os.close(theirs)
            poll = select.poll()
            poll.register(ours, 0)
            poll.poll(PATIENCE * 1000)  # it closes the other end
        finally:
            os.close(ours)


def _nothing() -> None:
    return None


@define(eq=False)
class Supervised:
    """Tells the manager, from the reactor's thread, for as long as the reactor runs.

    Args:
        manager: who is told.
        reactor: Twisted's.
        unwell: says in one line why this process makes no progress; None if it does.
        status: what this service does now, in one line; None if there is nothing new to say.
    """

    _manager: Manager
    _reactor: Any
    _unwell: Callable[[], str | None] = _nothing
    _status: Callable[[], str | None] = _nothing
    _said: str | None = field(default=None, init=False)
    _beat: Any = field(default=None, init=False)
    _failed: bool = field(default=False, init=False)

    @classmethod
    def by_environment(
        cls,
        reactor: Any,
        status: Callable[[], str | None] = _nothing,
    ) -> Self:
        """Make one for the manager that started this process."""
        manager = Manager.taken_from(os.environ, os.getpid())
        return cls(manager, reactor, status=status)

    def ready(self) -> None:
        """The service does its work from now on."""
        if self._manager.address is None:
            return
        if self._manager.watchdog is not None and not faulthandler.is_enabled():
            # The watchdog ends us by SIGABRT: then it is told where each thread stands.
            faulthandler.enable()
        self._tell("READY=1", *self._news(self._status()))
        self._reactor.addSystemEventTrigger("before", "shutdown", self._stops)
        self._look_again()

    def _look_again(self) -> None:
        half = PERIOD if self._manager.watchdog is None else self._manager.watchdog / 2
        self._beat = self._reactor.callLater(min(PERIOD, half), self._look)

    def _look(self) -> None:
        why = self._unwell()
        fed = ["WATCHDOG=1"] if why is None and self._manager.watchdog is not None else []
        news = [*fed, *self._news(self._status() if why is None else f"unwell: {why}")]
        if news:
            self._tell(*news)
        self._look_again()

    def _news(self, status: str | None) -> list[str]:
        if status is None or status == self._said:
            return []
        self._said = status
        return [f"STATUS={printable(status, _LONGEST)}"]

    def _stops(self) -> None:
        if self._beat is not None:
            self._beat.cancel()
            self._beat = None
        self._tell("STOPPING=1", *self._news("stopping"))

    def _tell(self, *assignments: str) -> None:
        try:
            self._manager.tell(*assignments)
        except OSError as error:
            if not self._failed:
                from twisted.logger import Logger

                why = error.strerror or type(error).__name__
                Logger().warn("the service manager cannot be told: {why}", why=why)
            self._failed = True
