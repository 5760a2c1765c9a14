"""Parking: thousands of flows wait for their recipients, and only some hold a connection.

A process has so many connections.  Most of them belong to *residents*, flows that stay connected
for as long as they live.  The rest are for *visits*: a flow that merely waits is let go as soon as
the server has shown it everything, and it is taken again, by whichever worker is free, before the
server may forget it.  A parked flow is a row in the database and nothing in any process.

A stock server forgets a mailbox 660 seconds after the last `open` at the earliest, unless somebody
is subscribed to it.  So a flow may be parked only while its own `open` is young.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final, Protocol, TypeVar

from attrs import define

VISIT_WITHIN: Final = 480.0
"""Seconds from one visit to the next: one minute less than is safe, for a visit takes its time."""

VISIT_AFTER: Final = 30.0
"""Seconds that a flow stays parked at least."""

VISITS_A_SECOND: Final = 10.0
"""As many as cost a few hundredths of a processor; more only where the server would forget."""

PARKED_WITHIN: Final = 360.0
"""Seconds after its visit began in which a flow may be parked, with time left before the next."""

NO_SERVER_FOR: Final = 60.0
"""Seconds that a visit waits for a server which cannot be reached, before it is another's turn."""


class Parkable(Protocol):
    """What is asked of a running flow."""

    taken_at: float
    """When it was taken, by a clock that never jumps."""

    @property
    def is_resting(self) -> bool:
        """Whether it waits for its peer or for a time, and for nothing else."""
        ...

    @property
    def is_cut_off(self) -> bool:
        """Whether it has no connection, and nothing to do without one."""
        ...

    @property
    def due_at(self) -> float | None:
        """When it has something to do by itself, in seconds since the epoch."""
        ...


P = TypeVar("P", bound=Parkable)


@define
class Parking:
    """Decides which flows are parked, and until when.

    Args:
        connections: how many may be open at once.
    """

    connections: int
    parked: int = 0
    """How many flows have no connection, as counted lately."""

    @property
    def residents(self) -> int:
        """How many flows stay connected; the other connections are for visits."""
        return self.connections - max(1, self.connections // 4)

    def is_full(self, running: int) -> bool:
        """Whether there are too many to be all connected."""
        return running > self.residents

    def choose(self, running: Collection[P], now: float) -> Sequence[P]:
        """Return those of *running*, which are in the order in which they came, to be parked.

        The newest go first, so that residents stay.

        Args:
            now: the time by the clock of `taken_at`.
        """
        too_many = len(running) - self.residents
        chosen: list[P] = []
        for runner in reversed(tuple(running)):
            age = now - runner.taken_at
            if age > PARKED_WITHIN or len(chosen) >= too_many:
                break
            if runner.is_resting or (age > NO_SERVER_FOR and runner.is_cut_off):
                chosen.append(runner)
        return chosen

    def wake_times(
        self, parked: Collection[P], now: float, clock: float
    ) -> Mapping[float, Sequence[P]]:
        """Return when each is to be taken again, those with the same second together.

        Args:
            now: the time by the clock of `taken_at`.
            clock: the same, in seconds since the epoch, as what is returned.
        """
        pause = min(VISIT_WITHIN, max(VISIT_AFTER, self.parked / VISITS_A_SECOND))
        groups: dict[float, list[P]] = {}
        for runner in parked:
            wake_at = clock + NO_SERVER_FOR
            if runner.is_resting:
                wake_at = clock + min(runner.taken_at + VISIT_WITHIN - now, pause)
            if runner.due_at is not None:
                wake_at = min(wake_at, runner.due_at)
            groups.setdefault(float(int(wake_at)), []).append(runner)
        return groups
