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
