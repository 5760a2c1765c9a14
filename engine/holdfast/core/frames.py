"""What a client says to a mailbox server, as values; `holdfast.rendezvous.wire` encodes them."""

from __future__ import annotations

from typing import TypeAlias

from attrs import field, frozen


@frozen
class Bind:
    """Who we are; first on every connection."""

    appid: str
    side: str


@frozen
class Allocate:
    """Give us a nameplate."""


@frozen
class Claim:
    """Put our name on this nameplate, and tell us its mailbox."""

    nameplate: str = field(repr=False)


@frozen
class Open:
    """Show us everything in this mailbox, now and as it comes."""

    mailbox: str


@frozen
class Ping:
    """Answer once everything before this has been answered."""


@frozen
class Add:
    """Put a message (hex) in the mailbox."""

    phase: str
    body: str = field(repr=False)


@frozen
class Release:
    """Take our name off the nameplate."""

    nameplate: str = field(repr=False)


@frozen
class CloseMailbox:
    """Close our side of the mailbox."""

    mailbox: str
    mood: str


@frozen
class ListNameplates:
    """Tell us which nameplates there are.

    If only one matters, a server that knows how leaves out all others; a stock server does not.
    """

    only: str | None = field(default=None, repr=False)


Frame: TypeAlias = (
    Bind | Allocate | Claim | Open | Ping | Add | Release | CloseMailbox | ListNameplates
)
