"""What clients say of watching, checked (watching.md, "Frames"). It is hostile until then."""

import json
from collections.abc import Mapping
from typing import Any, Final, TypeGuard

from attrs import field, frozen

KEY: Final = "holdfast-watching"
"""Under which the welcome offers it."""

MARK: Final = b'"holdfast-'
"""What every frame of the extension contains; frames without it are not looked at twice."""

KINDS: Final = frozenset(
    {"holdfast-watcher", "holdfast-watch", "holdfast-unwatch", "holdfast-acknowledge"}
)

BATCH: Final = 500
"""How many mailboxes, or arrivals, one frame may name."""

SHORTEST_SECRET: Final = 32
LONGEST_NAME: Final = 200
"""Characters of the shortest watcher's name and of the longest name of any kind."""

HIGHEST: Final = 2**53 - 1
"""The highest number that every reader of JSON can represent."""


class BadFrame(Exception):
    """A client said something that it must not; the text says what, and quotes nothing."""


@frozen
class Wanted:
    """A side of a mailbox that is to be watched, and how many messages of others it has heard."""

    mailbox: str = field(repr=False)
    side: str
    heard: int


def read(payload: bytes) -> Mapping[str, Any] | None:
    """Return a frame of the extension, or None if it is none, or nothing that can be read."""
    if MARK not in payload:
        return None
    try:
        frame = json.loads(payload)
    except (ValueError, RecursionError):
        return None  # the package sees it next, and does with it what it does
    if not isinstance(frame, dict):
        return None
    kind = frame.get("type")
    return frame if isinstance(kind, str) and kind in KINDS else None


def watcher(frame: Mapping[str, Any]) -> str:
    """Return the watcher's name. Raises BadFrame."""
    value = frame.get("watcher")
    if not _is_name(value) or len(value) < SHORTEST_SECRET:
        raise BadFrame(
            f"a watcher's name has {SHORTEST_SECRET} to {LONGEST_NAME} printable characters"
        )
    return value


def request(frame: Mapping[str, Any]) -> int:
    """Return the number that the answer repeats. Raises BadFrame."""
    value = frame.get("request")
    if not _is_number(value):
        raise BadFrame(f"request must be a number from 0 to {HIGHEST}")
    return value


def wanted(frame: Mapping[str, Any]) -> list[Wanted]:
    """Return what is to be watched. Raises BadFrame."""
    found = [Wanted(*entry) for entry in _entries(frame, 3) if _is_number(entry[2])]
    if len(found) < len(frame["mailboxes"]):
        raise BadFrame("how many messages were heard must be a number")
    return found


def unwanted(frame: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what is not to be watched any more: mailboxes and sides. Raises BadFrame."""
    return [(mailbox, side) for mailbox, side in _entries(frame, 2)]


def arrivals(frame: Mapping[str, Any]) -> list[int]:
    """Return the numbers of arrivals that are acknowledged. Raises BadFrame."""
    value = frame.get("arrivals")
    if not isinstance(value, list) or len(value) > BATCH or not all(map(_is_number, value)):
        raise BadFrame(f"arrivals must be a list of at most {BATCH} numbers")
    return value


def _entries(frame: Mapping[str, Any], size: int) -> list[list[Any]]:
    value = frame.get("mailboxes")
    if not isinstance(value, list) or len(value) > BATCH:
        raise BadFrame(f"mailboxes must be a list of at most {BATCH}")
    for entry in value:
        if not isinstance(entry, list) or len(entry) != size or not all(map(_is_name, entry[:2])):
            raise BadFrame(f"each entry of mailboxes is a list of {size}: mailbox, side, ...")
    if len({(mailbox, side) for mailbox, side, *_ in value}) < len(value):
        raise BadFrame("one frame must not name a mailbox and side twice")
    return value


def _is_name(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and 0 < len(value) <= LONGEST_NAME and value.isprintable()


def _is_number(value: object) -> TypeGuard[int]:
    return type(value) is int and 0 <= value <= HIGHEST


def original(frame: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an error repeats of the frame that caused it: no mailbox, and no secret."""
    number = frame.get("request")
    told = {"type": frame["type"]}
    return told | {"request": number} if _is_number(number) else told
