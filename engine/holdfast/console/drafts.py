"""Lists of people that were sent and wait for a word: in memory only, because of their secrets."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

from attrs import define, evolve, field, frozen

from holdfast.console.answers import Wrong
from holdfast.operating.coding import AskedCode
from holdfast.operating.people import Person

LIVES: Final = 900.0
"""Seconds for which a list can be started."""

MOST_BYTES: Final = 64 * 1024 * 1024
"""Of all lists together; then the oldest goes."""


@frozen
class Draft:
    """A list that can be started.

    Args:
        owner: whose session sent it.
        batch: where its people are started.
        people: who; nobody once they were started.
        size: bytes of the file.
        lasts: seconds that recipients have; None for as long as they like.
        code: what codes they get.
        sent_at: in seconds that never jump.
    """

    owner: str = field(repr=False)
    batch: str
    people: Sequence[Person] = field(repr=False)
    size: int
    lasts: float | None
    code: AskedCode
    sent_at: float = 0.0


@define(eq=False)
class Drafts:
    """All drafts of a console. Used by several threads.

    Args:
        now: seconds that never jump.
    """

    _now: Callable[[], float] = time.monotonic
    _drafts: dict[str, Draft] = field(factory=dict, init=False, repr=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False)

    def keep(self, draft: Draft) -> str:
        """Keep a draft; return the key by which its owner finds it."""
        key = secrets.token_hex(16)
        with self._lock:
            self._forget_old()
            while self._drafts and self._size() + draft.size > MOST_BYTES:
                del self._drafts[next(iter(self._drafts))]
            self._drafts[key] = evolve(draft, sent_at=self._now())
        return key

    def find(self, key: str, owner: str) -> Draft:
        """Return a draft of this owner. Raises Wrong."""
        with self._lock:
            self._forget_old()
            found = self._drafts.get(key)
        if found is None or found.owner != owner:
            raise Wrong(410, "This list is not here any more; send it again.")
        return found

    def empty(self, key: str) -> None:
        """Forget the people of a draft: they were started."""
        with self._lock:
            found = self._drafts.get(key)
            if found is not None:
                self._drafts[key] = evolve(found, people=(), size=0)

    def _forget_old(self) -> None:
        since = self._now() - LIVES
        for key in [key for key, each in self._drafts.items() if each.sent_at < since]:
            del self._drafts[key]

    def _size(self) -> int:
        return sum(each.size for each in self._drafts.values())
