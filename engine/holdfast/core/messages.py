"""Reading what the peer put in the mailbox. All of it is hostile until proven otherwise.

The forms are those of client-protocol.md, "Pake" and "Version exchange".
"""

from __future__ import annotations

import re
from typing import Any

from holdfast.core import strict_json
from holdfast.crypto import BadPake

_NUMBER = re.compile(r"0|[1-9][0-9]{0,8}")


def number_of(phase: str) -> int | None:
    """Return the number that `phase` is, or None if it is something else."""
    return int(phase) if _NUMBER.fullmatch(phase) else None


def ignored_phase(phase: str) -> bool:
    """Whether we understand nothing that comes under this phase.

    Unknown phases belong to later protocols; the stock client ignores them too.
    """
    return phase != "version" and _NUMBER.fullmatch(phase) is None


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


def parse_versions(plaintext: bytes) -> dict[str, Any]:
    """Return the application's versions from the peer's `version` message.

    Raises:
        ValueError: it is malformed.
    """
    versions = parse_json_object(plaintext, "the peer's version message").get("app_versions", {})
    if not isinstance(versions, dict):
        raise ValueError("the peer's app_versions is no JSON object")
    return versions
