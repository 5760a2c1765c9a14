"""Twisted's endpoints on a dilated wormhole: where subchannels are opened, and listened for.

The three endpoints of the first API (`w.dilate()` as a Deferred) are subchannels too, of two fixed
subprotocols, so that any implementation can serve them:

- `holdfast.control` is the control channel. The leader opens it, once, and the follower accepts it.
- `holdfast.subchannel` is what the client endpoint opens and the server endpoint listens for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IListeningPort, IStreamClientEndpoint, IStreamServerEndpoint
from twisted.internet.protocol import Factory
from zope.interface import implementer  # type: ignore[import-untyped]

from holdfast.dilation.channel import SubchannelAddress, WormholeAddress
from holdfast.errors import EndpointUsedError

if TYPE_CHECKING:
    from holdfast.dilation.channels import Channels
    from holdfast.dilation.waiting import Waiting

CONTROL: Final = "holdfast.control"
SUBCHANNEL: Final = "holdfast.subchannel"


@implementer(IStreamClientEndpoint)
class SubchannelConnector:
    """Opens subchannels of one name.

    Args:
        name: the subprotocol.
        channels: where they are opened.
        roles: whether we lead, once that is known.
    """

    def __init__(self, name: str, channels: Channels, roles: Waiting) -> None:
        self._name = name
        self._channels = channels
        self._roles = roles

    def connect(self, protocolFactory: Any) -> Deferred[Any]:  # noqa: N803 - Twisted's name
        """Open one.

        Returns:
            A Deferred of its protocol, which may write at once: what is written before there is
            a connection waits for it. The Deferred fires when the peer has dilated too; it fails
            with OldPeerCannotDilateError if it cannot, or with PeerGoneError.
        """

        def connect(_: object) -> Any:
            return self._channels.connect(self._name, protocolFactory)

        return self._roles.wait().addCallback(connect)

    def resume(self, protocolFactory: Any) -> list[Any]:  # noqa: N803 - Twisted's name
        """Go on with those that we opened in an earlier process, and that have no protocol yet.

        Returns:
            The protocols, which the factory made for a `SubchannelAddress` each.
        """
        return self._channels.resume(self._name, protocolFactory)


@implementer(IStreamServerEndpoint)
class SubchannelListener:
    """Listens for the peer's subchannels of one name.

    Args:
        name: the subprotocol.
        channels: where they come.
    """

    def __init__(self, name: str, channels: Channels) -> None:
        self._name = name
        self._channels = channels

    def listen(self, protocolFactory: Any) -> Deferred[SubchannelPort]:  # noqa: N803
        """Let `protocolFactory` make their protocols, also of those that have come before.

        Returns:
            A Deferred that has fired, or has failed with EndpointUsedError because somebody
            listens for that name already.
        """
        try:
            self._channels.listen(self._name, protocolFactory)
        except EndpointUsedError as error:
            return fail(error)
        return succeed(SubchannelPort(self._name, self._channels))


@implementer(IListeningPort)
class SubchannelPort:
    """What `listen` gives.

    Args:
        name: the subprotocol.
        channels: where it is listened for.
    """

    def __init__(self, name: str, channels: Channels) -> None:
        self._name = name
        self._channels = channels

    def startListening(self) -> None:  # noqa: N802
        """Nothing: it listens already."""

    def stopListening(self) -> None:  # noqa: N802
        """Let what the peer opens from now on wait for another listener."""
        self._channels.stop_listening(self._name)

    def getHost(self) -> WormholeAddress:  # noqa: N802
        """The wormhole."""
        return WormholeAddress()


@implementer(IStreamClientEndpoint)
class ControlEndpoint:
    """The control channel: both sides connect, once.

    Args:
        channels: where it is opened, or comes.
        roles: whether we lead, once that is known.
    """

    def __init__(self, channels: Channels, roles: Waiting) -> None:
        self._channels = channels
        self._roles = roles
        self._is_used = False

    def connect(self, protocolFactory: Any) -> Deferred[Any]:  # noqa: N803 - Twisted's name
        """Connect to the control channel, or go on with that of an earlier process.

        Returns:
            A Deferred of its protocol; the second call's fails with EndpointUsedError.
        """
        if self._is_used:
            return fail(EndpointUsedError())
        self._is_used = True

        def connect(leader: bool) -> Any:  # noqa: FBT001 - a result
            if not leader:
                return self._accept(protocolFactory)
            resumed = self._channels.resume(CONTROL, protocolFactory)
            return resumed[0] if resumed else self._channels.connect(CONTROL, protocolFactory)

        return self._roles.wait().addCallback(connect)

    def _accept(self, factory: Any) -> Deferred[Any]:
        once = _Once(factory)
        self._channels.listen(CONTROL, once, once.connected)
        return once.made


class _Once(Factory):
    """Lets another factory make one protocol."""

    noisy = False

    def __init__(self, factory: Any) -> None:
        self._factory: Any = factory
        self.made: Deferred[Any] = Deferred()

    def buildProtocol(self, addr: SubchannelAddress) -> Any:  # type: ignore[override]
        """Make it, or refuse."""
        factory, self._factory = self._factory, None
        return None if factory is None else factory.buildProtocol(addr)

    def connected(self, protocol: Any) -> None:
        """It has its subchannel."""
        if not self.made.called:
            self.made.callback(protocol)
