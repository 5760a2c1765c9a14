"""The frames of watching, to and from text (watching.md, "Frames"). What comes in is hostile."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeAlias

from attrs import field, frozen

from holdfast.core import strict_json
from holdfast.rendezvous.wire import LONGEST_NAME, LONGEST_TEXT, Malformed

KEY: Final = "holdfast-watching"
"""Under which a server's welcome offers watching."""

VERSION: Final = 1

LARGEST_BATCH: Final = 10_000
"""Entries of the longest list that is accepted from a server, or sent to it."""

HIGHEST: Final = 2**53 - 1


@frozen
class Offer:
    """What a server allows: mailboxes that a watcher may watch, and entries of one frame."""

    most: int
    batch: int


@frozen
class Wanted:
    """A side of a mailbox, and how many messages of other sides it has heard."""

    mailbox: str = field(repr=False)
    side: str
    heard: int

    @property
    def key(self) -> Key:
        """Which watch it is: a side of a mailbox has one."""
        return self.mailbox, self.side


Key: TypeAlias = tuple[str, str]
"""A mailbox and a side."""


@frozen
class Arrival:
    """Something has come for a side of a mailbox; the server numbers what it tells."""

    number: int
    mailbox: str = field(repr=False)
    side: str


@frozen
class Began:
    """The server knows who watches: it has this watcher as it was at `revision`."""

    revision: int
    watches: int


@frozen
class Watched:
    """The answer to `watch`: durable at `revision`, but for the keys that are `missing`."""

    request: int
    revision: int
    missing: frozenset[Key] = field(repr=False)


@frozen
class Unwatched:
    """The answer to `unwatch`."""

    request: int


@frozen
class Arrived:
    """What has come, and was not acknowledged yet."""

    arrivals: tuple[Arrival, ...]


@frozen
class Failed:
    """The server refuses a frame of this kind; the text is the server's."""

    about: str
    request: int | None
    text: str


Heard: TypeAlias = Began | Watched | Unwatched | Arrived | Failed


def offered(welcome: Mapping[str, object]) -> Offer | None:
    """Return what a welcome offers, or None: nothing, another version, or nothing of use."""
    offer = welcome.get(KEY)
    if not isinstance(offer, dict) or offer.get("version") != VERSION:
        return None
    most, batch = offer.get("most"), offer.get("batch")
    if type(most) is not int or type(batch) is not int or most < 1 or batch < 1:
        return None
    return Offer(most, min(batch, LARGEST_BATCH))


def watcher(name: str) -> str:
    """Return the text that says who watches."""
    return json.dumps({"type": "holdfast-watcher", "watcher": name})


def watch(request: int, wanted: Iterable[Wanted]) -> str:
    """Return the text that begins watches."""
    mailboxes = [[one.mailbox, one.side, one.heard] for one in wanted]
    return json.dumps({"type": "holdfast-watch", "request": request, "mailboxes": mailboxes})


def unwatch(request: int, keys: Iterable[Key]) -> str:
    """Return the text that ends watches."""
    mailboxes = [list(key) for key in keys]
    return json.dumps({"type": "holdfast-unwatch", "request": request, "mailboxes": mailboxes})


def acknowledge(numbers: Iterable[int]) -> str:
    """Return the text that acknowledges arrivals, and so ends their watches."""
    return json.dumps({"type": "holdfast-acknowledge", "arrivals": list(numbers)})


def read(text: str) -> Heard | None:
    """Return what the server says of watching, or None if it says something else.

    Raises:
        Malformed: servers must not send that. The text quotes nothing of it.
    """
    try:
        frame = strict_json.parse(text)
    except ValueError:
        raise Malformed("the server sent something that is not JSON") from None
    if not isinstance(frame, dict):
        raise Malformed("the server sent something that is not a JSON object")
    kind = frame.get("type")
    reader = _READERS.get(kind) if isinstance(kind, str) else None
    return None if reader is None else reader(frame)


def _number(value: object) -> int:
    if type(value) is not int or not 0 <= value <= HIGHEST:
        raise Malformed("the server sent a frame of watching with a number that is none")
    return value


def _name(value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_NAME:
        raise Malformed("the server sent a frame of watching with a name that is none")
    return value


def _list(frame: Mapping[str, Any], key: str, size: int) -> list[list[object]]:
    value = frame.get(key)
    if not isinstance(value, list) or len(value) > LARGEST_BATCH:
        raise Malformed(f"the server sent a frame of watching with a bad list of {key}")
    if not all(isinstance(entry, list) and len(entry) == size for entry in value):
        raise Malformed(f"the server sent a frame of watching with a bad entry of {key}")
    return value


def _watched(frame: Mapping[str, Any]) -> Heard:
    missing = ((_name(mailbox), _name(side)) for mailbox, side in _list(frame, "missing", 2))
    revision = _number(frame.get("revision"))
    return Watched(_number(frame.get("request")), revision, frozenset(missing))


def _arrived(frame: Mapping[str, Any]) -> Heard:
    return Arrived(
        tuple(
            Arrival(_number(number), _name(mailbox), _name(side))
            for number, mailbox, side in _list(frame, "arrivals", 3)
        )
    )


def _failed(frame: Mapping[str, Any]) -> Heard | None:
    original, text = frame.get("orig"), frame.get("error")
    if not isinstance(original, dict) or not isinstance(text, str):
        return None
    about, request = original.get("type"), original.get("request")
    if not isinstance(about, str) or not about.startswith("holdfast-"):
        return None
    shown = "".join(each if each.isprintable() else "?" for each in text[:LONGEST_TEXT])
    return Failed(about[:LONGEST_NAME], None if request is None else _number(request), shown)


_READERS: Final[dict[str, Callable[[Mapping[str, Any]], Heard | None]]] = {
    "holdfast-watching": lambda frame: Began(
        _number(frame.get("revision")), _number(frame.get("watches"))
    ),
    "holdfast-watched": _watched,
    "holdfast-unwatched": lambda frame: Unwatched(_number(frame.get("request"))),
    "holdfast-arrived": _arrived,
    "error": _failed,
}
