"""What a connection to the model of `holdfast mailbox` says of watching, and what it is answered.

Part of the model in `mailbox_server.py`; the frames are those of watching.md, "Frames".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from attrs import define, field

from holdfast.testing.server.service import Refused

if TYPE_CHECKING:
    from holdfast.testing.server.tables import Tables
    from holdfast.testing.server.watching import Watcher

KEY: Final = "holdfast-watching"
BATCH: Final = 500
UNACKNOWLEDGED: Final = 10 * BATCH

_KINDS: Final = frozenset(
    f"holdfast-{kind}" for kind in ("watcher", "watch", "unwatch", "acknowledge")
)


@define(eq=False, repr=False)
class WatchLine:
    """A connection's part in watching: at most `most` mailboxes of an application."""

    tables: Tables
    most: int
    app: str
    say: Callable[..., None]
    watcher: Watcher | None = None
    told: int = 0
    _request: dict[str, Any] = field(factory=dict)

    def hear(self, frame: Mapping[str, Any], now: float) -> bool:
        """Answer a frame; return whether it is one of watching."""
        kind = frame["type"]
        if not isinstance(kind, str) or kind not in _KINDS:
            return False
        number = frame.get("request")
        original = {"type": kind} | ({"request": number} if _is_number(number) else {})
        try:
            self._do(kind, frame, now)
        except Refused as refused:
            self.say("error", error=str(refused), orig=original)
        return True

    def _do(self, kind: str, frame: Mapping[str, Any], now: float) -> None:
        if kind == "holdfast-watcher":
            self._begin(frame, now)
        elif self.watcher is None:
            raise Refused("must say who watches first")
        elif kind == "holdfast-acknowledge":
            self._acknowledge(self.watcher, frame)
        elif not _is_number(frame.get("request")):
            raise Refused("request must be a number")
        elif kind == "holdfast-watch":
            self._watch(self.watcher, frame, now)
        else:
            for mailbox, side in _entries(frame, 2):
                if self.tables.watches.watched.get((mailbox, side)) is self.watcher:
                    self.tables.watches.end((mailbox, side))
            self.say("holdfast-unwatched", request=frame["request"])

    def _begin(self, frame: Mapping[str, Any], now: float) -> None:
        name = frame.get("watcher")
        if not isinstance(name, str) or not _is_name(name) or len(name) < 32:
            raise Refused("a watcher's name has 32 to 200 printable characters")
        if self.watcher is not None:
            raise Refused("only one watcher per connection")
        watches = self.tables.watches
        self.watcher = watches.watcher(self.app, name, now)
        count = len(watches.of(self.watcher))
        self.say("holdfast-watching", revision=self.watcher.revision, watches=count)

    def _watch(self, watcher: Watcher, frame: Mapping[str, Any], now: float) -> None:
        wanted = _entries(frame, 3)
        if not all(_is_number(heard) for *_, heard in wanted):
            raise Refused("how many messages were heard must be a number")
        watches = self.tables.watches
        there = {(mailbox, side) for mailbox, side, _ in wanted if self._may(mailbox, side)}
        if len(there | set(watches.of(watcher))) > self.most:
            raise Refused(f"a watcher may watch at most {self.most} mailboxes here")
        missing = []
        for mailbox, side, heard in wanted:
            key = mailbox, side
            if key in there or watches.watched.get(key) is watcher:
                watches.end(key)
            if key not in there:
                missing.append(key)
                continue
            watches.watched[key] = watcher
            self.tables.touch(mailbox, now)
            stored = self.tables.messages.get(mailbox, ())
            if heard != sum(m.app == self.app and m.side != side for m in stored):
                watches.note(key)
        watcher.revision += 1
        number = frame["request"]
        self.say("holdfast-watched", request=number, revision=watcher.revision, missing=missing)

    def _may(self, mailbox: str, side: str) -> bool:
        row = self.tables.mailboxes.get(mailbox)
        return row is not None and row.app == self.app and side in row.sides and len(row.sides) <= 2

    def _acknowledge(self, watcher: Watcher, frame: Mapping[str, Any]) -> None:
        numbers = frame.get("arrivals")
        if not isinstance(numbers, list) or len(numbers) > BATCH:
            raise Refused(f"arrivals must be a list of at most {BATCH} numbers")
        if not all(_is_number(number) for number in numbers):
            raise Refused(f"arrivals must be a list of at most {BATCH} numbers")
        for number in numbers:
            key = self.tables.watches.arrivals.get(number)
            if key and number <= self.told and self.tables.watches.watched[key] is watcher:
                self.tables.watches.end(key)

    def tell(self) -> None:
        """Tell what has come and was not told on this connection."""
        watches = self.tables.watches
        own = [
            (number, *key)
            for number, key in sorted(watches.arrivals.items())
            if self.watcher is not None and watches.watched[key] is self.watcher
        ]
        room = UNACKNOWLEDGED - sum(number <= self.told for number, *_ in own)
        new = [arrival for arrival in own if arrival[0] > self.told][: max(room, 0)]
        for first in range(0, len(new), BATCH):
            batch = new[first : first + BATCH]
            self.told = batch[-1][0]
            self.say("holdfast-arrived", arrivals=batch)

    def keep(self, now: float) -> None:
        """Note that the watcher is there."""
        if self.watcher is not None:
            self.watcher.seen = max(now, self.watcher.seen)


def _entries(frame: Mapping[str, Any], size: int) -> list[Any]:
    value = frame.get("mailboxes")
    if not isinstance(value, list) or len(value) > BATCH:
        raise Refused(f"mailboxes must be a list of at most {BATCH}")
    for entry in value:
        if not isinstance(entry, list) or len(entry) != size or not all(map(_is_name, entry[:2])):
            raise Refused(f"each entry of mailboxes is a list of {size}: mailbox, side, ...")
    if len({(mailbox, side) for mailbox, side, *_ in value}) < len(value):
        raise Refused("one frame must not name a mailbox and side twice")
    return value


def _is_name(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 200 and value.isprintable()


def _is_number(value: object) -> bool:
    return type(value) is int and 0 <= value < 2**53
