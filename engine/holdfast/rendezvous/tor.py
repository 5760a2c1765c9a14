"""Connecting through Tor only.

Needs the extra `tor`: the package txtorcon, and a Tor process that it talks to or launches.
"""

from __future__ import annotations

from typing import Any

from attrs import define, field
from twisted.internet.interfaces import IStreamClientEndpoint
from websockets.uri import WebSocketURI

from holdfast.errors import WormholeError
from holdfast_journal import install


class TorUnavailable(WormholeError):
    """Tor was asked for, and is not available; nothing was connected without it."""


@define(eq=False)
class TorManager:
    """Connects a wormhole through Tor; pass it to `create(tor=)`.

    Args:
        tor: an object with txtorcon's method `stream_via(host, port, tls)`. `get_tor` finds or
            launches one.

    Raises:
        TypeError: it does not have that method.
    """

    _tor: Any = field(repr=False)

    def __attrs_post_init__(self) -> None:
        if not callable(getattr(self._tor, "stream_via", None)):
            raise TypeError("tor must have txtorcon's method stream_via; see holdfast.get_tor")

    def __call__(self, uri: WebSocketURI) -> IStreamClientEndpoint:
        """Return the endpoint of a mailbox server, through Tor.

        The name is looked up at the far end, so that local resolvers do not see it.
        """
        endpoint: IStreamClientEndpoint = self._tor.stream_via(uri.host, uri.port, tls=uri.secure)
        return endpoint

    def stream_via(self, host: str, port: int, tls: bool = False) -> IStreamClientEndpoint:  # noqa: FBT001, FBT002 - txtorcon's
        """Return the endpoint of any other host, through Tor."""
        endpoint: IStreamClientEndpoint = self._tor.stream_via(host, port, tls=tls)
        return endpoint


async def get_tor(
    reactor: Any, *, launch_tor: bool = False, tor_control_port: str | None = None
) -> TorManager:
    """Return a TorManager for a Tor that is running here, or for one that is launched now.

    Args:
        reactor: Twisted's reactor.
        launch_tor: start a Tor process of our own.
        tor_control_port: the control port of a running Tor, as a Twisted client endpoint string; by
            default the usual places are tried.

    Raises:
        TorUnavailable: txtorcon or Tor is missing.
    """
    try:
        import txtorcon
    except ModuleNotFoundError:
        raise TorUnavailable(f"Tor needs the package txtorcon: {install('tor')}") from None
    try:
        if launch_tor:
            tor = await txtorcon.launch(reactor)
        else:
            endpoint = None
            if tor_control_port is not None:
                from twisted.internet.endpoints import clientFromString

                endpoint = clientFromString(reactor, tor_control_port)
            tor = await txtorcon.connect(reactor, endpoint)
    except Exception as error:  # the package raises all kinds of errors, and its words help
        raise TorUnavailable(f"Tor cannot be used: {error}") from error
    return TorManager(tor)
