"""The other side of a wormhole."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from holdfast.api import create
from holdfast.testing.network import URL, Network


class Peer:
    """A person with an ordinary client, which notes everything that it is told.

    Args:
        network: what the client connects through.
        appid: the application's identifier.
        on_message: called with the peer and each message.
        versions: what the client says of itself, as `holdfast.create` takes it.
    """

    def __init__(
        self,
        network: Network,
        appid: str,
        on_message: Callable[[Peer, bytes], object] | None = None,
        versions: Mapping[str, Any] | None = None,
    ) -> None:
        self.on_message = on_message
        self.got: list[tuple[str, Any]] = []
        """What it was told, in order: ("versions", ...), ("message", ...), ("closed", ...)."""
        self.wormhole = create(
            appid, URL, network.clock, delegate=self, versions=dict(versions or {})
        )

    @property
    def messages(self) -> list[bytes]:
        """The messages that the peer received, in order."""
        return [argument for name, argument in self.got if name == "message"]

    @property
    def result(self) -> str | Exception | None:
        """How the peer's wormhole has ended: "happy", or an error; None while it has not."""
        return next((argument for name, argument in self.got if name == "closed"), None)

    def enter(self, code: str) -> Peer:
        """Type `code`; return the peer."""
        self.wormhole.set_code(code)
        return self

    def send(self, message: bytes) -> None:
        """Send a message."""
        self.wormhole.send_message(message)

    def close(self) -> None:
        """Close the wormhole."""
        self.wormhole.close()

    def vanish(self) -> None:
        """Disconnect without a word."""
        self.wormhole.abandon()

    # Called by the wormhole, whose delegate this is.

    def wormhole_got_versions(self, versions: dict[str, Any]) -> None:
        """The other side has proved the code."""
        self.got.append(("versions", versions))

    def wormhole_got_message(self, message: bytes) -> None:
        """The other side has sent something."""
        self.got.append(("message", message))
        if self.on_message is not None:
            self.on_message(self, message)

    def wormhole_closed(self, result: str | Exception) -> None:
        """It is over."""
        self.got.append(("closed", result))
