"""What may happen to a wormhole.

Events are frozen and already parsed: whoever makes one has checked its types and bounds, so no
machine checks them again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from attrs import field, frozen

# From the application.


@frozen
class AllocateCode:
    """The application wants a new code with `length` words.

    Args:
        discreet: whether it is to be told the code only once that works.
    """

    length: int
    discreet: bool = False


@frozen
class SetCode:
    """The application has the whole code; `codes.split` accepted it.

    Args:
        discreet: whether it is to be told the code only once that works.
    """

    code: str = field(repr=False)
    discreet: bool = False


@frozen
class TypeCode:
    """Somebody is about to type the code, its nameplate first.

    Args:
        discreet: whether the application is to be told the code only once that works.
    """

    discreet: bool = False


@frozen
class ChooseNameplate:
    """The nameplate is typed."""

    nameplate: str = field(repr=False)


@frozen
class ChooseWords:
    """The words are typed: what follows the nameplate and its hyphen."""

    words: str = field(repr=False)


@frozen
class SendMessage:
    """The application sends `plaintext` to the peer."""

    plaintext: bytes = field(repr=False)


@frozen
class Close:
    """The application is done with the wormhole."""


# From the mailbox server.


@frozen
class Welcomed:
    """A new connection is up and the server has greeted us."""

    welcome: Mapping[str, Any]


@frozen
class Allocated:
    """The server gave us a nameplate."""

    nameplate: str = field(repr=False)


@frozen
class Claimed:
    """The nameplate is ours (too) and leads to this mailbox."""

    mailbox: str


@frozen
class MessageArrived:
    """A message lies in the mailbox; it may be our own, echoed."""

    side: str
    phase: str
    body: bytes = field(repr=False)


@frozen
class NameplateReleased:
    """The server has taken our name off the nameplate."""


@frozen
class MailboxClosed:
    """The server has closed our side of the mailbox."""


@frozen
class Refused:
    """The server answered a frame of type `about` with an error."""

    error: str
    about: str | None


@frozen
class ServerMisbehaved:
    """The server sent what no server may send."""

    reason: str


@frozen
class NoServer:
    """There was no server to connect to at the first attempt, and that is to be the end."""

    reason: str


@frozen
class ConnectionLost:
    """The connection is gone, or could not be made."""


# What the server may have forgotten.


@frozen
class LongAbsence:
    """A new connection, after so long that the server may have forgotten us meanwhile."""


@frozen
class MailboxMissing:
    """The mailbox that we knew holds nothing, of ours or of the peer's."""


@frozen
class NameplateListed:
    """The server's list of nameplates was asked for ours.

    Args:
        taken: whether it is on the list.
        lately: whether the server showed that it had something of ours so lately that it cannot
            have forgotten that in its usual way.
    """

    taken: bool
    lately: bool


Event: TypeAlias = (
    AllocateCode
    | SetCode
    | TypeCode
    | ChooseNameplate
    | ChooseWords
    | SendMessage
    | Close
    | Welcomed
    | Allocated
    | Claimed
    | MessageArrived
    | NameplateReleased
    | MailboxClosed
    | Refused
    | ServerMisbehaved
    | NoServer
    | ConnectionLost
    | LongAbsence
    | MailboxMissing
    | NameplateListed
)
