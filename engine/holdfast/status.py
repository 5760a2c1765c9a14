"""What `on_status_update` is told about the connection to the mailbox server."""

from __future__ import annotations

from attrs import frozen


@frozen
class Connected:
    """The server at *url* has welcomed us."""

    url: str


@frozen
class Disconnected:
    """The connection to the server at *url* is gone; another attempt follows by itself."""

    url: str
    reason: str


@frozen
class Unreachable:
    """The server at *url* could not be reached; the next attempt is in *retry_in* seconds."""

    url: str
    reason: str
    retry_in: float


Status = Connected | Disconnected | Unreachable
