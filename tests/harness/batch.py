"""A batch of people who collect their secrets while the process that serves them dies and dies."""

import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from attrs import Factory, define, field

from tests.harness.aftermath import codes_in
from tests.harness.nursery import Death
from tests.harness.process import Finished
from tests.harness.waiting import DEADLINE

LONGEST_LIFE = 3.0
"""Seconds after which a life that is to be killed is killed wherever it is."""


LATE_STEPS = 80
"""Moments after the first recipient's first message within which a late death comes."""


class Life(Protocol):
    """One life of the provisioning process."""

    @property
    def alive(self) -> bool:
        """Whether it has not ended yet."""
        ...

    @property
    def died_at(self) -> str | None:
        """The moment at which it killed itself."""
        ...

    def wait(self, timeout: float = DEADLINE) -> Finished:
        """Wait for its end."""
        ...

    def describe(self) -> str:
        """All it said."""
        ...


class Peers(Protocol):
    """The recipients: each is told a code once, as a person is."""

    def receive(self, code: str, id: str) -> object:
        """Start the recipient called *id*."""
        ...

    @property
    def ended(self) -> set[str]:
        """Who has ended, well or badly."""
        ...


class Story(Protocol):
    """Who is told what happens."""

    def born(self, life: int) -> None:
        """The process was started, for the first time or again."""
        ...

    def died(self, life: int, moment: str) -> None:
        """It killed itself at this moment."""
        ...

    def collected(self, name: str, at: float) -> None:
        """A recipient has ended."""
        ...


class Silence:
    """A story that nobody listens to."""

    def born(self, life: int) -> None: ...
    def died(self, life: int, moment: str) -> None: ...
    def collected(self, name: str, at: float) -> None: ...


@define
class Batch:
    """Serves a batch through `kills` deaths; the same `rng` chooses the same moments.

    Args:
        names: the people.
        codes_file: where their codes come to be known.
        start: starts the provisioning process, always with the same command.
        peers: the recipients.
        kills: deaths before the process is left in peace.
        steps: the latest moment of a life at which it is killed.
        late: how many deaths, to three others, come when recipients are there.
        late_places: where the steps of such a life begin to be counted.
        longest_life: seconds after which a life that is to be killed is killed wherever it is.
        at_once: recipients under way at a time.
        first: who is told their codes before all others.
        sure: the first deaths, which come without fail.
        between: called again and again; for other mischief.
        stopped: whether *between* has stopped the process, which then ends with status 130.
        forgiven: whether a life that ended by itself had a reason to, and is to be followed by
            another; no death of those that are wanted.
    """

    names: list[str]
    codes_file: Path
    start: Callable[[Death], Life]
    peers: Peers
    rng: random.Random
    kills: int
    steps: int
    late: int = 3
    late_places: Sequence[str] = ("hear-pake", "hear-version", "hear-0")
    longest_life: float = 3.0
    at_once: int = 4
    first: Sequence[str] = ()
    sure: Sequence[Death] = ()
    story: Story = Factory(Silence)
    between: Callable[[], None] = lambda: None
    stopped: Callable[[], bool] = lambda: False
    forgiven: Callable[[Finished], bool] = lambda _: False
    deaths: list[str] = field(factory=list, init=False)
    given: dict[str, str] = field(factory=dict, init=False)
    _ended: set[str] = field(factory=set, init=False)

    def run(self, timeout: float = 5 * DEADLINE) -> None:
        """Go on until the process ends by itself.

        Raises:
            AssertionError: it ended badly, or the time is over.
        """
        end = time.monotonic() + timeout
        order = list(self.names)
        self.rng.shuffle(order)
        order.sort(key=lambda name: name not in self.first)
        lives = 0
        while True:
            lives += 1
            life = self.start(self._death())
            self.story.born(lives)
            while life.alive:
                self._give(order)
                self.between()
                self.notice()
                assert time.monotonic() < end, f"no end of it\n{life.describe()}"
                time.sleep(0.02)
            finished = life.wait()
            status = finished.status
            if status == 0 or (status == 130 and self.stopped()):
                self.notice()
                return
            if self.forgiven(finished):
                assert time.monotonic() < end, f"it never succeeds\n{life.describe()}"
                self.between()
                continue
            assert status == -9, life.describe()
            assert life.died_at is not None, f"it was killed by somebody else\n{life.describe()}"
            self.deaths.append(life.died_at)
            self.story.died(lives, life.died_at)

    def _death(self) -> Death:
        if len(self.deaths) >= self.kills:
            return Death()
        if len(self.deaths) < len(self.sure):
            return self.sure[len(self.deaths)]
        # One in six at a time, which may be before anything else has happened; half of them when
        # recipients are there, because most moments are those of everybody being taken up again.
        kind = self.rng.choices(["time", "early", "late"], weights=[1, 2, self.late])[0]
        if kind == "time":
            return Death(seconds=self.rng.uniform(0.02, self.longest_life / 2))
        if kind == "early":
            return Death(step=self.rng.randint(1, self.steps), seconds=self.longest_life)
        since = self.rng.choice(self.late_places)
        step = self.rng.randint(1, LATE_STEPS)
        return Death(step=step, since=since, seconds=self.longest_life)

    def _give(self, order: list[str]) -> None:
        """Tell codes to so many that each of the lives has something to do."""
        share = (len(self.deaths) + 1) / (self.kills + 1)
        codes = codes_in(self.codes_file)
        for name in order:
            waiting = len(self.given) - len(self._ended)
            if waiting >= self.at_once or len(self.given) >= share * len(order):
                return
            if name in codes and name not in self.given:
                self.given[name] = codes[name]
                self.peers.receive(codes[name], name)

    def notice(self) -> None:
        """Tell the story of everybody who has ended since."""
        for name in sorted(self.peers.ended - self._ended):
            self._ended.add(name)
            if name in self.given:
                self.story.collected(name, time.time())
