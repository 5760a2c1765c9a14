"""How many flows can be visited in time, by how long visits have taken here.

A code that was shown is a promise: its flow must be visited before the mailbox server may forget
it. So a process begins no more flows than it can visit, with all of its connections if need be. If
there are more already, begun by a process that had more connections, it says so.

A server that is not there, or takes connections and says nothing, would hold every connection for
the longest time that a visit may take. Until it is heard again, its flows share a few connections.
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from itertools import islice
from math import ceil
from typing import Final, Protocol

from attrs import define, field, frozen

VISIT_WITHIN: Final = 480.0
"""Seconds from one visit to the next: less than is safe, by the time that visits may take."""

FILLED: Final = 0.75
"""The part of all that could be visited in time that is begun: servers may become slower."""

WEIGHT: Final = 0.05
"""Of the latest visit, in the mean of all."""


@define
class Visits:
    """How long a visit takes: from taking the flow until its connection is free again."""

    seconds: float | None = None
    """The moving average of the latest visits; None if there were none yet."""

    def took(self, seconds: float) -> None:
        """A visit took so long."""
        before = seconds if self.seconds is None else self.seconds
        self.seconds = before + WEIGHT * (seconds - before)

    def needed(self, flows: int) -> int:
        """How many connections visit so many flows in time."""
        return ceil(flows * (self.seconds or 0.0) / (FILLED * VISIT_WITHIN))

    def round(self, flows: int, connections: int) -> float:
        """Seconds in which so many connections visit each of so many flows once."""
        return flows * (self.seconds or 0.0) / connections

    def most(self, connections: int) -> float:
        """How many flows so many connections visit in time, if everything goes well."""
        return connections * VISIT_WITHIN / self.seconds if self.seconds else float("inf")


@frozen
class Standing:
    """How the flows of a database stand to what can be visited.

    Args:
        begun: unfinished flows that have begun.
        new: those that have not.
        most: how many can be visited in time.
        connections: with how many connections.
    """

    begun: int
    new: int
    most: float
    connections: int

    @property
    def room(self) -> float:
        """How many more may begin."""
        return max(0.0, FILLED * self.most - self.begun)

    @property
    def state(self) -> str:
        """`late`, `full` or nothing in particular."""
        if self.begun > self.most:
            return "late"
        return "full" if self.new and self.room < 1 else ""

    @property
    def words(self) -> str | None:
        """What operators must know, without a full stop; None if there is nothing."""
        if not self.state:
            return None
        can = (
            f"{_connections(self.connections)} can visit about {self.most:.0f} flows every"
            f" {VISIT_WITHIN / 60:.0f} minutes"
        )
        more = "more --connections, or another worker, would help"
        if self.state == "late":
            return (
                f"{can}, and {self.begun} wait: a mailbox server may forget their codes before"
                f" they are visited; {more}"
            )
        return f"{can}, and {self.begun} wait: {self.new} more begin when there is room; {more}"


def _connections(count: int) -> str:
    return "1 connection" if count == 1 else f"{count} connections"


class Visiting(Protocol):
    """What is asked of a running flow."""

    url: str
    """Of its mailbox server."""

    @property
    def is_unanswered(self) -> bool:
        """Whether its server is not there, or owes it an answer."""
        ...


@define
class MuteServers:
    """The servers that were not heard when they were last tried, by their URLs."""

    _urls: set[str] = field(factory=set)

    def tried(self, heard: Set[str], silent: Iterable[str]) -> None:
        """Say which servers answered somebody, and to which a whole visit has heard nothing.

        If it is slow, it is both, and not mute: most of its flows come to their turn.
        """
        self._urls = self._urls.union(silent) - heard

    def has_room(self, url: str, running: Iterable[Visiting], connections: int) -> bool:
        """Whether one more flow of this server may have a connection."""
        if url not in self._urls:
            return True
        most = max(1, connections // 8)
        trying = (each for each in running if each.url == url and each.is_unanswered)
        return len(tuple(islice(trying, most))) < most  # asked of each of thousands
