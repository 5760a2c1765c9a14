"""Parking: thousands of flows wait for their recipients, and only some hold a connection.

A process has so many connections. Most of them belong to `residents`, flows that stay connected.
The rest are for `visits`: a flow that merely waits is let go as soon as the server has shown it
everything, and it is taken again, by whichever worker is free, before the server may forget it.
A parked flow is a row in the database and nothing in any process.

Residents are those that do something, then those whose peers were heard recently, then those that
came first. However many peers come and then fall silent, the places for visits stay free: a visit
that finds a peer lasts for some seconds after its last word. Nothing is lost when it ends, because
the next one shows what has come meanwhile. If visits would be late, there are fewer residents, or
none (`visits`).

A stock server forgets a mailbox 660 seconds after the last `open` at the earliest, unless a client
is subscribed to it. It looks for subscribers every 300 seconds, and counts from then.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from math import inf
from typing import Final, Protocol, TypeVar

from attrs import define, field

from holdfast.flows.engine.visits import VISIT_WITHIN, Visits

SEEN_WITHIN: Final = 300.0
"""Seconds since a server last noted that a client is subscribed, at most."""

VISIT_AFTER: Final = 30.0
"""The fewest seconds that a flow stays parked."""

BEGUN_WITHIN: Final = 60.0
"""Seconds in which all that are new should begin; otherwise they get most of the connections."""

VISITS_A_SECOND: Final = 10.0
"""As many as cost a few hundredths of a processor; more only where the server would forget."""

TURNS_A_SECOND: Final = 40.0
"""The most flows that are taken in vain, because their server says nothing."""

TALKS_FOR: Final = 600.0
"""Seconds of silence during which an exchange still comes before flows that merely wait: enough for
a person to look something up."""

ANSWERS_WITHIN: Final = 10.0
"""Seconds that a visit waits for another word of a peer: enough for a program that is there."""

NO_SERVER_FOR: Final = 60.0
"""Seconds that a visit waits for a server that is down, or silent, before it is another's turn."""


class Parkable(Protocol):
    """What is asked of a running flow."""

    taken_at: float
    """When it was taken, by a clock that never jumps."""
    heard_at: float | None
    """When its peer was last heard, in seconds since the epoch; None if there is none yet."""
    rested_at: float | None
    """When the server had first shown it everything, as far as was looked, by the same clock."""
    well_at: float
    """When its server had last answered all that it was asked; or when it was taken."""

    @property
    def is_busy(self) -> bool:
        """Whether it has something to do, and must not be parked."""
        ...

    @property
    def is_resting(self) -> bool:
        """Whether it waits for its peer or for a time, and for nothing else."""
        ...

    @property
    def is_unanswered(self) -> bool:
        """Whether its server is not there, or owes it an answer."""
        ...

    @property
    def due_at(self) -> float | None:
        """When it has something to do by itself, in seconds since the epoch."""
        ...


P = TypeVar("P", bound=Parkable)


@define
class Parking:
    """Decides which flows are parked, and until when.

    Times: `now` is by the clock of `taken_at`, `clock` is the same in seconds since the epoch.

    Args:
        connections: how many may be open at once.
    """

    connections: int
    parked: int = 0
    """How many flows have no connection: the last count, kept up to date since."""
    new: int = 0
    """How many have not begun, likewise."""
    visits: Visits = field(factory=Visits)

    def residents(self, running: int) -> int:
        """How many flows stay connected, if so many run; the other connections are for visits."""
        quarter = max(1, self.connections // 4)
        needed = self.visits.needed(self.parked + running)
        if self.visits.round(self.new, quarter) > BEGUN_WITHIN:
            needed = max(needed, self.connections - quarter)
        return self.connections - min(self.connections, max(quarter, needed))

    def is_full(self, running: int) -> bool:
        """Whether there are too many for all to be connected."""
        return running > self.residents(running)

    def takes_turns(self, running: int) -> bool:
        """Whether there are, including parked flows, too many for all to be connected."""
        return running + self.parked > self.residents(running)

    def look_at(self, running: Collection[P], now: float) -> Sequence[P]:
        """Note, and return, which of `running` have their answers."""
        well = [runner for runner in running if not runner.is_unanswered]
        for runner in well:
            runner.well_at = now
            if runner.rested_at is None and runner.is_resting:
                runner.rested_at = now
        return well

    def choose(self, running: Collection[P], now: float, clock: float) -> Sequence[P]:
        """Return those of `running`, which are in the order in which they came, to be parked."""

        def rank(runner: P) -> tuple[int, float]:
            if runner.is_busy:
                return 0, 0.0
            if _is_alone(runner, now):
                return 3, 0.0
            if runner.heard_at is None:
                return 2, 0.0
            silence = _silence(runner, clock)
            return (1, silence) if silence < TALKS_FOR else (2, 0.0)

        stays = self.residents(len(running))
        return [
            runner
            for place, runner in enumerate(sorted(running, key=rank))
            if not runner.is_busy
            and (
                _is_alone(runner, now) or (place >= stays and has_had_its_turn(runner, now, clock))
            )
        ]

    def _round(self) -> float:
        """Seconds in which all can be visited, if new flows get every other turn.

        Coming back sooner would only keep others, and new flows, from their turn.
        """
        places = self.connections - self.residents(0)
        return self.visits.round(self.parked, places) * (2 if self.new else 1)

    def later(self) -> float:
        """Seconds for which a flow is left alone if enough flows of its server are tried."""
        return min(VISIT_WITHIN / 2, max(NO_SERVER_FOR, self.parked / TURNS_A_SECOND))

    def wake_times(
        self, parked: Collection[P], now: float, clock: float
    ) -> Mapping[float, Sequence[P]]:
        """Return when each is to be taken again, in seconds since the epoch.

        Those with the same second together.
        """
        pause = min(VISIT_WITHIN, max(VISIT_AFTER, self.parked / VISITS_A_SECOND, self._round()))
        groups: dict[float, list[P]] = {}
        for runner in parked:
            # If the server has nothing of a flow, it cannot forget it.
            wake_at = clock + (NO_SERVER_FOR if runner.is_unanswered else VISIT_WITHIN)
            if runner.is_resting:
                seen = min(now - runner.taken_at, SEEN_WITHIN)
                wake_at = clock + min(VISIT_WITHIN - seen, pause)
            if runner.due_at is not None:
                wake_at = min(wake_at, runner.due_at)
            groups.setdefault(float(int(wake_at)), []).append(runner)
        return groups


def _silence(runner: Parkable, clock: float) -> float:
    """Seconds since its peer was heard."""
    heard_at = runner.heard_at
    # A time in the future was noted before the clock was set back.
    return inf if heard_at is None or heard_at > clock else clock - heard_at


def has_had_its_turn(runner: Parkable, now: float, clock: float) -> bool:
    """Whether a visit may end."""
    if runner.is_resting:
        return _silence(runner, clock) >= ANSWERS_WITHIN
    return now - runner.taken_at > NO_SERVER_FOR


def _is_alone(runner: Parkable, now: float) -> bool:
    """Whether its server has said nothing for the longest time of a visit."""
    return now - runner.well_at > NO_SERVER_FOR
