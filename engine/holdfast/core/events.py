"""What may happen to a wormhole.

Events are frozen and already parsed: the code that makes one has checked its types and bounds, so
the machines do not check them again.
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
        discreet: whether to tell the application the code only once it works.
        digits: how many digits a number has that we choose ourselves; 0 if the server gives one.
    """

    length: int
    discreet: bool = False
    digits: int = 0


@frozen
class SetCode:
    """The application has the whole code; `codes.split` accepted it.

    Args:
        discreet: whether to tell the application the code only once it works.
        again: whether it is a code of ours that people have from an earlier wormhole.
    """

    code: str = field(repr=False)
    discreet: bool = False
    again: bool = False


@frozen
class TypeCode:
    """The user is about to type the code, its nameplate first.

    Args:
        discreet: whether to tell the application the code only once it works.
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
class Dilate:
    """The application dilates the wormhole, and from now on hears what the peer says about that."""


@frozen
class SendDilation:
    """Our dilation says `plaintext` to the peer's, which is known to understand it."""

    plaintext: bytes = field(repr=False)


@frozen
class DilationSeen:
    """The peer has shown that it has the first `count` messages of our dilation."""

    count: int


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
    """A message is in the mailbox; it may be our own, echoed."""

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
    """The server sent something that servers must not send."""

    reason: str


@frozen
class NoServer:
    """The first connection attempt failed, and the application asked that this be final."""

    reason: str


@frozen
class ConnectionLost:
    """The connection is gone, or could not be made."""


# When the server may have forgotten something.


@frozen
class LongAbsence:
    """There is a new connection, after so long that the server may have forgotten us."""


@frozen
class MailboxMissing:
    """The mailbox that we knew holds nothing, of ours or of the peer's."""


@frozen
class NameplateListed:
    """The server's list of nameplates was asked for ours.

    Args:
        taken: whether it is on the list.
        lately: whether the server showed that it had something of ours so recently that it
            cannot have forgotten that in its usual way.
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
    | Dilate
    | SendDilation
    | DilationSeen
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
