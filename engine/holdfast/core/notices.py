"""What a wormhole tells its application: the effects that leave the core.

Frames for the server are not among them: `holdfast.core.wanted` derives those from the state.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from attrs import field, frozen


@frozen
class GotWelcome:
    """The server's welcome; the same welcome is told only once."""

    welcome: Mapping[str, Any]


@frozen
class GotCode:
    """The code is known."""

    code: str = field(repr=False)


@frozen
class GotUnverifiedKey:
    """A client answered; it is not known yet whether it has our code."""

    key: bytes = field(repr=False)


@frozen
class GotVerifier:
    """The peer has proved that it knows the code."""

    verifier: bytes = field(repr=False)


@frozen
class GotVersions:
    """What the peer passed to `create(versions=)`."""

    versions: Mapping[str, Any] = field(repr=False)


@frozen
class GotMessage:
    """One message of the peer, in order."""

    plaintext: bytes = field(repr=False)


@frozen
class GotDilation:
    """One message of the peer's dilation for ours, in order."""

    plaintext: bytes = field(repr=False)


@frozen
class Closed:
    """The wormhole is over.

    Args:
        mood: as told to the server.
        error: the name of the class in `holdfast.errors`, or "" for a happy end.
        detail: the words of the server or the reason, for the error's message.
    """

    mood: str
    error: str
    detail: str


Notice: TypeAlias = (
    GotWelcome
    | GotCode
    | GotUnverifiedKey
    | GotVerifier
    | GotVersions
    | GotMessage
    | GotDilation
    | Closed
)
Notices: TypeAlias = tuple[Notice, ...]
