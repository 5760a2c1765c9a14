"""What `on_status_update` is told: how the connection stands, and how far the key is."""

from __future__ import annotations

from attrs import field, frozen

# The connection to the mailbox server.


@frozen
class NotConnecting:
    """Nothing has been tried yet."""


@frozen
class Connecting:
    """The server at `url` is being tried."""

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
    """The wormhole is over, and its connection down for good."""


Connection = NotConnecting | Connecting | Connected | Disconnected | Unreachable | Closed

# The key that is shared with the peer.


@frozen
class NoKey:
    """Nobody has answered yet."""


@frozen
class AllegedKey:
    """Somebody has answered, who may not know the code."""


@frozen
class ConfirmedKey:
    """The peer has proved that it knows the code."""


Key = NoKey | AllegedKey | ConfirmedKey


@frozen
class Status:
    """How a wormhole stands."""

    mailbox_connection: Connection = field(factory=NotConnecting)
    peer_key: Key = field(factory=NoKey)
