"""What the two sides tell each other in the phases `dilate-N` (dilation-protocol.md); pure.

Whatever a peer says, a wormhole goes on: what makes no sense is ignored.
"""

from __future__ import annotations

import json
from typing import Any, Final, TypeAlias

from attrs import frozen

from holdfast.core import strict_json
from holdfast.transit.hints import Hint, encode, parse

VERSION: Final = "ged"
"""The one version of the protocol that is in use."""

LONGEST_SIDE: Final = 64
"""Characters of the longest name that a peer may give itself. All known clients have 16."""


@frozen
class Please:
    """The speaker wants to dilate.

    Args:
        side: its name for this purpose: the higher of the two leads.
        version: which protocol it will use.
        holdfast: whether it is one of our own.
    """

    side: str
    version: str = VERSION
    holdfast: bool = True


@frozen
class Hints:
    """Where the speaker can be reached."""

    hints: tuple[Hint, ...]


@frozen
class Reconnect:
    """The leader has lost the connection."""


@frozen
class Reconnecting:
    """The follower has given up the connection too, and begins another."""


@frozen
class Ignored:
    """Something else. `why` is a few words for a log."""

    why: str


Control: TypeAlias = Please | Hints | Reconnect | Reconnecting


def write(control: Control) -> bytes:
    """`control` as the body of a phase."""
    match control:
        case Please(side, version, holdfast):
            extra = {"holdfast": 1} if holdfast else {}
            return _body("please", side=side, **{"use-version": version}, **extra)
        case Hints(hints):
            return write_hints(encode(hints))
        case Reconnect():
            return _body("reconnect")
        case Reconnecting():
            return _body("reconnecting")


def write_hints(hints: list[dict[str, Any]]) -> bytes:
    """The body that tells `hints`, which are as `holdfast.transit.contest.Contest.hints` has them.

    `write` of the same `Hints` says the same.
    """
    return _body("connection-hints", hints=hints)


def read(body: bytes) -> Control | Ignored:
    """What a peer said, whatever it was."""
    try:
        message = strict_json.parse(body.decode())
    except ValueError:  # not UTF-8 is one too
        return Ignored("no JSON")
    if not isinstance(message, dict):
        return Ignored("no JSON object")
    match message.get("type"):
        case "please":
            return _please(message)
        case "connection-hints":
            return Hints(parse(message.get("hints")))
        case "reconnect":
            return Reconnect()
        case "reconnecting":
            return Reconnecting()
    return Ignored("an unknown type of message")


def _please(message: dict[str, Any]) -> Please | Ignored:
    side, version = message.get("side"), message.get("use-version")
    if not isinstance(side, str) or not side.isascii() or not 1 <= len(side) <= LONGEST_SIDE:
        return Ignored("a please without a side")
    return Please(side, version if isinstance(version, str) else "", message.get("holdfast") == 1)


def _body(kind: str, **more: object) -> bytes:
    return json.dumps({"type": kind, **more}).encode()
