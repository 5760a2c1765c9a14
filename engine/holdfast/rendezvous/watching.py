"""A client's half of watching (watching.md, "What a client does"): pure, and holds nothing durable.

The caller connects, binds, and passes on what is said and heard. It has on its own disk which
mailboxes it waits for, and at which revision each watch was confirmed; here is only what was not
answered yet, so it does not grow with what is watched.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final, TypeAlias

from attrs import define, field, frozen

from holdfast.rendezvous import watch_frames as fr
from holdfast.rendezvous.watch_frames import Arrival, Key, Offer, Wanted
from holdfast.rendezvous.wire import Malformed

MOST_ASKED: Final = 4
"""Requests that wait for their answers at a time: others are answered between them."""


MOST_TOLD: Final = 20_000
"""Arrivals that a server may tell before the first of them is acknowledged."""


@frozen
class Returned:
    """The server has what was confirmed up to `revision`, and has forgotten what came later.

    Before anything else is said, the caller notes durably that what it has as confirmed at a higher
    revision is not watched; then it calls `noted()`, and watches that anew.
    """

    revision: int


@frozen
class Confirmed:
    """These are watched, durably; the caller notes `revision` with each.

    For the `missing` ones there is no mailbox that the side may open: they are to be looked at, as
    if something had come.
    """

    revision: int
    watched: tuple[Wanted, ...]
    missing: tuple[Wanted, ...]


@frozen
class HasCome:
    """Something has come for these. Once that is durable, the caller calls `acknowledge()`."""

    arrivals: tuple[Arrival, ...]


@frozen
class Refused:
    """The server refuses; these, if any, are not watched and are to be looked at by visits."""

    text: str
    wanted: tuple[Wanted, ...]


News: TypeAlias = Returned | Confirmed | HasCome | Refused


@define(eq=False)
class Watching:
    """A watcher: what it says on the present connection, and on the next.

    Args:
        name: the watcher's secret name, 32 to 200 printable characters from a good random source.
    """

    name: str = field(repr=False)
    _offer: Offer | None = None
    _hears: bool = False
    """Whether the server has answered who watches."""
    _may_say: bool = False
    _wishes: dict[Key, Wanted | None] = field(factory=dict, repr=False)
    """To be watched, or (None) not any longer; not said yet."""
    _asked: dict[int, dict[Key, Wanted | None]] = field(factory=dict, repr=False)
    """By the number of the request that the server has not answered."""
    _next: int = 0
    _told: dict[int, Arrival] = field(factory=dict, repr=False)
    """On this connection, not acknowledged by the caller."""
    _done: list[int] = field(factory=list, repr=False)

    def connected(self, offer: Offer) -> str:
        """Return what is said first on a connection that is bound."""
        self.disconnected()
        self._offer = offer
        return fr.watcher(self.name)

    def disconnected(self) -> None:
        """The connection has gone: what was not answered is to be said again."""
        later, self._wishes = self._wishes, {}
        for asked in self._asked.values():
            self._wishes |= asked
        self._wishes |= later
        self._asked = {}
        # A number means something only on its connection: a server that was restored from a backup
        # gives it to another arrival. What was not acknowledged is told again.
        self._told, self._done = {}, []
        self._offer, self._hears, self._may_say = None, False, False

    def noted(self) -> None:
        """The caller has noted what `Returned` says."""
        self._may_say = self._hears

    def watch(self, wanted: Iterable[Wanted]) -> None:
        """Watch these; the last word on a side of a mailbox counts."""
        self._wishes |= {one.key: one for one in wanted}

    def unwatch(self, keys: Iterable[Key]) -> None:
        """Watch these no longer."""
        self._wishes |= dict.fromkeys(keys)

    def acknowledge(self, arrivals: Iterable[Arrival]) -> None:
        """What follows from these is durable; this ends their watches."""
        for arrival in arrivals:
            if self._told.get(arrival.number) == arrival:
                del self._told[arrival.number]
                self._done.append(arrival.number)

    def to_say(self) -> Iterator[str]:
        """What can be said now; each is said once on a connection."""
        if self._offer is None or not self._may_say:
            return
        batch = self._offer.batch
        while self._done:
            said, self._done = self._done[:batch], self._done[batch:]
            yield fr.acknowledge(said)
        while self._wishes and len(self._asked) < MOST_ASKED:
            yield self._ask(batch)

    def _ask(self, most: int) -> str:
        """Say the oldest wishes that are of one kind, at most so many."""
        ends = next(iter(self._wishes.values())) is None
        same = ((key, one) for key, one in self._wishes.items() if (one is None) is ends)
        asked = dict(islice(same, most))
        for key in asked:
            del self._wishes[key]
        number, self._next = self._next, self._next + 1
        self._asked[number] = asked
        if ends:
            return fr.unwatch(number, asked)
        return fr.watch(number, _watches(asked))

    @property
    def idle(self) -> bool:
        """Whether the server has answered all that was wished."""
        return not self._wishes and not self._asked

    def hear(self, text: str) -> News | None:
        """Take what the server said; None if it is nothing of watching, or needs nothing.

        Raises:
            Malformed: the server must not say that, or not now. The connection is of no use.
        """
        heard = fr.read(text)
        if heard is None:
            return None
        in_turn = self._offer is not None and self._hears != isinstance(heard, fr.Began)
        if not in_turn and not isinstance(heard, fr.Failed):
            raise Malformed("the server speaks of watching out of turn")
        match heard:
            case fr.Began(revision):
                self._hears = True
                return Returned(revision)
            case fr.Watched(number, revision, missing):
                return self._confirmed(number, revision, missing)
            case fr.Unwatched(number):
                self._answered(number, ends=True)
                return None
            case fr.Arrived(arrivals):
                self._told |= {arrival.number: arrival for arrival in arrivals}
                if len(self._told) > MOST_TOLD:
                    raise Malformed("the server does not wait for acknowledgements")
                return HasCome(arrivals)
            case fr.Failed(_, number, why):
                asked = {} if number is None else self._asked.pop(number, {})
                return Refused(why, _watches(asked))

    def _confirmed(self, number: int, revision: int, missing: frozenset[Key]) -> News:
        asked = self._answered(number, ends=False)
        if not missing <= asked.keys():
            raise Malformed("the server misses mailboxes that it was not asked for")
        both = _watches(asked)
        watched = tuple(one for one in both if one.key not in missing)
        return Confirmed(revision, watched, tuple(one for one in both if one.key in missing))

    def _answered(self, number: int, *, ends: bool) -> dict[Key, Wanted | None]:
        asked = self._asked.get(number)
        if asked is None or (None in asked.values()) is not ends:
            raise Malformed("the server answers what it was not asked")
        return self._asked.pop(number)


def _watches(asked: dict[Key, Wanted | None]) -> tuple[Wanted, ...]:
    return tuple(one for one in asked.values() if one is not None)
