"""A service manager, as far as a service sees it: the socket where it is told things."""

import socket

from attrs import define, field

from tests.harness.waiting import DEADLINE


@define
class Listening:
    """The manager's socket."""

    address: str
    _socket: socket.socket = field(
        factory=lambda: socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM), init=False
    )

    def __attrs_post_init__(self) -> None:
        self._socket.settimeout(DEADLINE)
        self._socket.bind(self.address.replace("@", "\0", 1))

    def close(self) -> None:
        self._socket.close()

    def heard(self) -> list[str]:
        """The variables of the next message."""
        return self._socket.recv(4096).decode().split("\n")

    def last(self) -> list[str]:
        """The variables of the next message that says more than that the service is alive."""
        while (heard := self.heard()) == ["WATCHDOG=1"]:
            pass
        return heard

    def silent(self) -> bool:
        """Whether no message waits."""
        self._socket.settimeout(0)
        try:
            self._socket.recv(4096)
        except BlockingIOError:
            return True
        finally:
            self._socket.settimeout(DEADLINE)
        return False
