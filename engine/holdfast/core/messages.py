"""Reading what the peer put in the mailbox. All of it is hostile until proven otherwise.

The forms are those of client-protocol.md, "Pake" and "Version exchange".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from attrs import field, frozen

from holdfast.core import strict_json
from holdfast.crypto import BadPake

_NUMBER = re.compile(r"0|[1-9][0-9]{0,8}")
_DILATION = "dilate-"

DILATION: Final[Mapping[str, Any]] = {
    "can-dilate": ["ged"],
    "dilation-abilities": [{"type": "direct-tcp-v1"}, {"type": "relay-v1"}],
}
"""What a version message of a side that can dilate says besides (dilation-protocol.md)."""


def number_of(phase: str) -> int | None:
    """Return the number that `phase` is, or None if it is something else."""
    return int(phase) if _NUMBER.fullmatch(phase) else None


def dilation_phase(number: int) -> str:
    """Return the phase of our dilation's message of that number."""
    return f"{_DILATION}{number}"


def dilation_number(phase: str) -> int | None:
    """Return N if `phase` is `dilate-N`, or None if it is something else."""
    return number_of(phase.removeprefix(_DILATION)) if phase.startswith(_DILATION) else None


def ignored_phase(phase: str) -> bool:
    """Whether we understand nothing that comes under this phase.

    Unknown phases belong to later protocols; the stock client ignores them too.
    """
    return phase != "version" and number_of(phase) is None and dilation_number(phase) is None


def parse_json_object(data: bytes, what: str) -> dict[str, Any]:
    """Return the JSON object in `data`.

    Raises:
        ValueError: it is something else. The message names `what`, never the content.
    """
    try:
        value = strict_json.parse(data.decode())
    except ValueError:
        raise ValueError(f"{what} is no JSON") from None
    if not isinstance(value, dict):
        raise ValueError(f"{what} is no JSON object")
    return value


def parse_pake(body: bytes) -> bytes:
    """Return the peer's SPAKE2 message from the body of its `pake` message.

    Raises:
        BadPake: an honest client does not send that.
    """
    try:
        theirs = bytes.fromhex(parse_json_object(body, "the peer's pake message")["pake_v1"])
    except (ValueError, KeyError, TypeError):
        raise BadPake("the peer's pake message is malformed") from None
    if len(theirs) != 33:
        raise BadPake("the peer's pake message has the wrong length")
    return theirs


@frozen
class Versions:
    """What the peer's version message says.

    Args:
        app: what its application passed to `create(versions=)`.
        can_dilate: whether it understands the dilation that we do.
    """

    app: dict[str, Any] = field(repr=False)
    can_dilate: bool


def parse_versions(plaintext: bytes) -> Versions:
    """Return what the peer's `version` message says.

    Raises:
        ValueError: it is malformed.
    """
    message = parse_json_object(plaintext, "the peer's version message")
    app = message.get("app_versions", {})
    if not isinstance(app, dict):
        raise ValueError("the peer's app_versions is no JSON object")
    known = message.get("can-dilate")
    return Versions(app, can_dilate=isinstance(known, list) and "ged" in known)
