"""What `on_status_update` is told: the state of the connection, and of the key."""

from __future__ import annotations

from attrs import field, frozen

# The connection to the mailbox server.


@frozen
class NotConnecting:
    """Nothing has been tried yet."""


@frozen
class Connecting:
    """An attempt to connect to the server at `url` is under way."""

    url: str


@frozen
class Connected:
    """The server at `url` has welcomed us."""

    url: str


@frozen
class Disconnected:
    """The connection to the server at `url` is gone; another attempt follows by itself."""

    url: str
    reason: str


@frozen
class Unreachable:
    """The server at `url` could not be reached; the next attempt is in `retry_in` seconds."""

    url: str
    reason: str
    retry_in: float


@frozen
class Closed:
    """The wormhole is over, and will not connect again."""


Connection = NotConnecting | Connecting | Connected | Disconnected | Unreachable | Closed

# The key that is shared with the peer.


@frozen
class NoKey:
    """No client has answered yet."""


@frozen
class AllegedKey:
    """A client has answered, which may not know the code."""


@frozen
class ConfirmedKey:
    """The peer has proved that it knows the code."""


Key = NoKey | AllegedKey | ConfirmedKey


@frozen
class Status:
    """The state of a wormhole."""

    mailbox_connection: Connection = field(factory=NotConnecting)
    peer_key: Key = field(factory=NoKey)


# A dilated wormhole.


@frozen
class NoPeer:
    """The peer has not dilated yet."""


@frozen
class ConnectingPeer:
    """There has been no connection to the peer yet; attempts began at `last_attempt`."""

    last_attempt: float


@frozen
class ReconnectingPeer:
    """The connection to the peer is gone; attempts to get another began at `last_attempt`."""

    last_attempt: float


@frozen
class ConnectedPeer:
    """There is a connection to the peer, made at `connected_at`.

    If nothing comes before `expires_at`, it may be given up. `hint_description` says where it
    leads, such as `->tcp:192.0.2.1:4001`. Times are seconds, as the reactor has them.
    """

    connected_at: float
    expires_at: float
    hint_description: str


@frozen
class StoppedPeer:
    """There will be no connection to the peer any more."""


PeerConnection = NoPeer | ConnectingPeer | ReconnectingPeer | ConnectedPeer | StoppedPeer


@frozen
class DilationHint:
    """Where the peer says that it can be reached: `url`, and whether no relay is between."""

    url: str
    is_direct: bool


@frozen
class DilationStatus:
    """The state of a dilated wormhole: its `generation` counts the efforts to get a connection."""

    mailbox: Status = field(factory=Status)
    generation: int = 0
    peer_connection: PeerConnection = field(factory=NoPeer)
    hints: frozenset[DilationHint] = frozenset()
