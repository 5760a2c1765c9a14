"""What an application holds of a dilated wormhole."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import Any, TypeAlias

from twisted.internet.defer import Deferred

from holdfast.dilation.channels import Channels
from holdfast.dilation.endpoints import (
    SUBCHANNEL,
    ControlEndpoint,
    SubchannelConnector,
    SubchannelListener,
)
from holdfast.dilation.records import LONGEST_NAME
from holdfast.dilation.reporting import Reporting
from holdfast.dilation.waiting import Waiting

Endpoints: TypeAlias = tuple[ControlEndpoint, SubchannelConnector, SubchannelListener]
"""The control channel's, the client's and the server's endpoint."""


class DilatedWormhole:
    """Opens subchannels to the peer, and takes those that it opens.

    It is also what the first API of dilation returned: await it, add callbacks to it as to a
    Deferred, or unpack it, for the three endpoints `(control, client, server)`.

    Args:
        channels: the subchannels.
        reporting: tells how it stands.
        resumed: whether an earlier process began it.
    """

    def __init__(self, channels: Channels, reporting: Reporting, *, resumed: bool) -> None:
        self._channels = channels
        self._reporting = reporting
        self.resumed = resumed
        """Whether an earlier process began it: there may be subchannels to go on with."""
        self._roles = Waiting()
        self._ready = Waiting()
        self._endpoints: Endpoints = (
            ControlEndpoint(channels, self._roles),
            self.connector_for(SUBCHANNEL),
            self.listener_for(SUBCHANNEL),
        )
        self._fired: Deferred[Endpoints] | None = None

    # What applications call.

    @property
    def on_status_update(self) -> Callable[[Any], object] | None:
        """Is called with a `holdfast.status.DilationStatus` whenever something has changed."""
        return self._reporting.tell

    @on_status_update.setter
    def on_status_update(self, tell: Callable[[Any], object] | None) -> None:
        self._reporting.tell = tell

    def connector_for(self, name: str) -> SubchannelConnector:
        """Return an endpoint that opens subchannels for the subprotocol `name`.

        Raises:
            ValueError: the name is empty, or longer than 256 bytes.
        """
        return SubchannelConnector(_named(name), self._channels, self._roles)

    def listener_for(self, name: str) -> SubchannelListener:
        """Return an endpoint that listens for the peer's subchannels of the subprotocol `name`.

        What comes before somebody listens waits; if it is much, everything behind it waits too.

        Raises:
            ValueError: the name is empty, or longer than 256 bytes.
        """
        return SubchannelListener(_named(name), self._channels)

    def when_dilated(self) -> Deferred[None]:
        """Return a Deferred that fires when there has been a connection in this process.

        It fails with OldPeerCannotDilateError, PeerGoneError or WormholeClosed if there will be
        none.
        """
        return self._ready.wait().addCallback(lambda _: None)

    def addCallbacks(  # noqa: N802
        self, callback: Callable[..., Any], errback: Callable[..., Any] | None = None, *rest: Any
    ) -> Deferred[Any]:
        """As on a Deferred of the three endpoints, which fires when there is a connection."""
        return self._deferred().addCallbacks(callback, errback, *rest)

    def addCallback(self, callback: Callable[..., Any], *args: Any, **kw: Any) -> Deferred[Any]:  # noqa: N802
        """See `addCallbacks`."""
        return self._deferred().addCallback(callback, *args, **kw)

    def addErrback(self, errback: Callable[..., Any], *args: Any, **kw: Any) -> Deferred[Any]:  # noqa: N802
        """See `addCallbacks`."""
        return self._deferred().addErrback(errback, *args, **kw)

    def addBoth(self, callback: Callable[..., Any], *args: Any, **kw: Any) -> Deferred[Any]:  # noqa: N802
        """See `addCallbacks`."""
        return self._deferred().addBoth(callback, *args, **kw)

    def __await__(self) -> Generator[Any, None, Endpoints]:
        yield from self._ready.wait().__await__()
        return self._endpoints

    def __iter__(self) -> Iterator[Any]:
        """The three endpoints, which wait by themselves."""
        return iter(self._endpoints)

    # What the driver tells.

    def met(self, *, leader: bool) -> None:
        """Both sides have dilated."""
        self._roles.know(leader)

    def ready(self) -> None:
        """There is a connection."""
        self._ready.know("connected")

    def fail(self, error: Exception) -> None:
        """There is no dilation, or no longer."""
        self._roles.know(error)
        self._ready.know(error)

    def _deferred(self) -> Deferred[Endpoints]:
        if self._fired is None:
            self._fired = self._ready.wait().addCallback(lambda _: self._endpoints)
        return self._fired


def _named(name: str) -> str:
    if not isinstance(name, str):
        raise TypeError("the name of a subprotocol is text")
    if not 1 <= len(name.encode()) <= LONGEST_NAME:
        raise ValueError(f"the name of a subprotocol has 1 to {LONGEST_NAME} bytes")
    return name
